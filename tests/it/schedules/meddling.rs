//! Somebody meddles with a schedule that rings every few seconds, in every way there is and at any
//! moment: no firing rings twice, and none that every definition has is missing in silence.

use std::time::Duration;

use super::{rig, schedule, texts, until};

const MEDDLINGS: usize = 60;

/// Every definition has the seconds that are even; whatever breaks is mended soon.
const WAYS: [&str; 9] = [
    "UPDATE callq.schedules SET callees = ARRAY['callee' || revision]",
    "UPDATE callq.schedules SET cron = '*/2 * * * * *'",
    "UPDATE callq.schedules SET cron = '* * * * * *'",
    "UPDATE callq.schedules SET cron = 'never'",
    "UPDATE callq.schedules SET jitter = '30 seconds'",
    "UPDATE callq.schedules SET tz = CASE tz WHEN 'UTC' THEN 'Africa/Abidjan' ELSE 'UTC' END",
    "UPDATE callq.schedules SET enabled = NOT enabled",
    "SELECT callq.skip_next('a')",
    "SELECT CASE WHEN paused_at IS NULL THEN callq.pause_schedule('a') ELSE callq.resume_schedule('a') END FROM callq.schedules",
];

const MEND: &str =
    "UPDATE callq.schedules SET cron = CASE cron WHEN 'never' THEN '*/2 * * * * *' ELSE cron END,
    jitter = '900 ms', enabled = true WHERE cron = 'never' OR jitter > '1 second' OR NOT enabled;
    SELECT callq.resume_schedule('a')";

/// The firings that all definitions have, until it ended: those that rang, and whether each is told.
const RANG_OR_TOLD: &str = "
    SELECT concat_ws(' ', f.at::time, (SELECT count(*) FROM callq.jobs AS j WHERE j.nominal_at = f.at AND j.state IN ('placed', 'completed')),
        (SELECT string_agg(concat_ws(' ', r.reason, r.firings), ', ') FROM callq.skipped_firings AS r
         WHERE f.at BETWEEN r.first_nominal_at AND r.last_nominal_at))
    FROM callq.schedules AS s CROSS JOIN ended AS e
    CROSS JOIN LATERAL generate_series(date_trunc('minute', s.created_at), e.at, '2 seconds') AS f(at)
    WHERE f.at > s.created_at ORDER BY f.at";

#[tokio::test]
async fn whatever_is_done_to_a_schedule_no_firing_is_lost_in_silence_or_rings_twice() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let rig = rig().await;
    let columns = [
        ("cron", "'*/2 * * * * *'"),
        ("jitter", "'900 ms'"),
        ("ttl", "'1 minute'"),
        ("overlap", "'allow'"),
        ("catch_up", "'all'"),
    ];
    schedule(&rig, "a", &columns).await;
    let workers = [rig.worker().await, rig.worker().await];
    let mut done = Vec::new();
    for _ in 0..MEDDLINGS {
        // Any moment will do; this is no wait for something to have happened.
        tokio::time::sleep(Duration::from_millis(rng.u64(10..300))).await;
        let way = if rng.u8(..3) == 0 {
            MEND
        } else {
            WAYS[rng.usize(..WAYS.len())]
        };
        done.push(way);
        rig.sql(way).await;
    }
    rig.sql(MEND).await;
    rig.sql("UPDATE callq.schedules SET skip_next = 0; CREATE TABLE ended AS SELECT now() AS at")
        .await;
    until(
        &rig,
        "(SELECT s.cursor_at > e.at AND NOT EXISTS (
             SELECT FROM callq.jobs AS j WHERE j.state NOT IN ('placed', 'completed', 'cancelled') AND j.nominal_at <= e.at)
         FROM callq.schedules AS s, ended AS e)",
    )
    .await;
    let all = texts(&rig, RANG_OR_TOLD).await;
    println!("{}", all.join("\n"));
    let silent = all.iter().filter(|line| line.ends_with(" 0"));
    assert_eq!(silent.count(), 0, "{all:#?} {done:#?}");
    let twice = "SELECT concat_ws(' ', j.nominal_at, count(*)) FROM callq.jobs AS j WHERE j.attempt > 0 GROUP BY j.nominal_at HAVING count(*) > 1
        UNION ALL
        SELECT concat_ws(' ', j.nominal_at, r.reason) FROM callq.jobs AS j JOIN callq.skipped_firings AS r
            ON r.first_nominal_at = j.nominal_at AND r.last_nominal_at = j.nominal_at WHERE j.state IN ('placed', 'completed')";
    assert_eq!(texts(&rig, twice).await, [""; 0], "{done:#?}");
    assert_eq!(rig.sandbox.ledger().repeated().count(), 0);
    for worker in workers {
        worker.stop().await.unwrap();
    }
}
