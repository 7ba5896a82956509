//! Records are read as fast as calls end, at the pace that Tencent allows and ten to a page.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use callq::sandbox::{Fault, FaultKind, RecordSpan, SandboxConfig};

use super::{agree, insert_of_every_kind};
use crate::support::rig::Rig;

/// For how long calls are placed; `CALLQ_FOLLOW_SECONDS` asks for another time.
const SECONDS: usize = 180;

/// The pace without a configuration.
const CALLS_PER_SECOND: usize = 180;

/// How far away Tencent is: the answer to each request for records takes so long.
const AWAY_MS: u64 = 100;

/// How long after the last call is over its outcome may come: a record is there after 5 s, windows
/// end 3 s before that, and are read every 5 s, or 30 s long if they are of beginnings.
const SURELY_READ: Duration = Duration::from_mins(1);

/// `make follow`: three minutes of calls in real time, for windows of ends and of beginnings.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "eight minutes in real time: make follow"]
async fn the_records_of_180_calls_a_second_are_read_as_fast_as_the_calls_end() {
    for record_span in [RecordSpan::OfEnd, RecordSpan::OfStart] {
        read_all(record_span).await;
    }
}

async fn read_all(record_span: RecordSpan) {
    let rig = Rig::with_sandbox(SandboxConfig {
        record_span,
        ..SandboxConfig::default()
    })
    .await;
    for command in ["get_record_by_filter", "get_record_by_callid"] {
        let away = Fault::new(FaultKind::Delay).for_command(command);
        rig.sandbox.script(away.delayed_ms(AWAY_MS)).unwrap();
    }
    let asked = std::env::var("CALLQ_FOLLOW_SECONDS").ok();
    let seconds = asked.map_or(SECONDS, |asked| asked.parse().expect("a number"));
    let calls = seconds * CALLS_PER_SECOND;
    insert_of_every_kind(&rig, calls, ", expires_at", ", now() + interval '1 hour'").await;
    let begun = Instant::now();
    let mut config = rig.config();
    config.apps[0].calls_per_second = None;
    config.concurrency = 200;
    let worker = rig.worker_with(config).await;
    let over = rig
        .sandbox
        .wait_for_outcomes(Duration::from_mins(30), |tally, _| {
            tally.pending == 0 && tally.legs >= u64::try_from(calls).unwrap()
        });
    over.await.expect("every call ends");
    let last = begun.elapsed();
    let settled = tokio::time::timeout(SURELY_READ, rig.until_all("'completed', 'failed'")).await;
    let left: i64 = rig
        .value("SELECT count(*) FROM callq.jobs WHERE state NOT IN ('completed', 'failed')")
        .await;
    let mut in_second: BTreeMap<(i64, String), u32> = BTreeMap::new();
    rig.sandbox.read_ledger(|ledger| {
        for query in ledger.queries() {
            let second = query.received_at_us / 1_000_000;
            *in_second
                .entry((second, query.command.to_string()))
                .or_default() += 1;
        }
    });
    let most = |command: &str| {
        let of = in_second.iter().filter(|((_, c), _)| c == command);
        of.map(|(_, n)| *n).max().unwrap_or(0)
    };
    let by = most("get_record_by_filter");
    let one = most("get_record_by_callid");
    println!(
        "{record_span:?}: {calls} calls over after {last:.1?}, all settled after {:.1?}; \
         {left} left; in the busiest second {by} pages and {one} single records",
        begun.elapsed()
    );
    assert!(settled.is_ok(), "{left} calls have no outcome");
    assert!(
        by <= 110 && one <= 110,
        "{by} and {one} requests in a second"
    );
    // Refused at once: their legs are settled when nobody else's news are waited for.
    rig.sql("UPDATE callq.calls SET look_at = now()").await;
    rig.until_settled().await;
    agree(&rig).await;
    worker.stop().await.unwrap();
}
