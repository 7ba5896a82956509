//! Many calls with media at once: workers are killed, replies and callbacks get lost; and how long it
//! takes from an answer to the start.

use std::collections::HashMap;
use std::time::Duration;

use callq::sandbox::{
    CallbackFaults, CalleeScript, Fault, FaultKind, PlannedOutcome, SANDBOX_ADMIN_ACCOUNT,
    SANDBOX_CAM_SECRET_ID, SANDBOX_CAM_SECRET_KEY, SANDBOX_SDK_APP_ID, SANDBOX_SECRET_KEY,
};
use tokio::time::{Instant, timeout_at};

use super::{player, sandbox, until_ended, with_callbacks};
use crate::support::program::{Program, callq};
use crate::support::rig::{Rig, SURELY};

/// How many calls: `CALLQ_MEDIA_CALLS=1000` is what the promise is judged by.
fn calls(usual: u32) -> u32 {
    let asked = std::env::var("CALLQ_MEDIA_CALLS").ok();
    asked.map_or(usual, |asked| {
        asked.parse().expect("CALLQ_MEDIA_CALLS is a number")
    })
}

/// Callees answer after 1 to 20 seconds and talk for so long.
fn answering(rig: &Rig, talk_s: u32) {
    for after_s in 1..=20 {
        let script = CalleeScript::new(&format!("a{after_s}-*"), PlannedOutcome::Answered);
        let script = script.after_s(after_s).talk_s(talk_s);
        rig.sandbox.script_callee(script).unwrap();
    }
}

async fn insert(rig: &Rig, calls: u32) {
    rig.sql(&format!(
        "INSERT INTO callq.jobs (robot_account, callees, on_doubt, media_url, media_options)
         SELECT 'robot', ARRAY[format('a%s-%s', n * 7 % 20 + 1, n)], 'hold', 'https://media.example/hello.mp3',
             '{{\"repeat\": -1, \"max_minutes\": 100}}'
         FROM generate_series(1, {calls}) AS n"
    ))
    .await;
}

/// A worker in a process of its own that can play media.
fn process(rig: &Rig) -> Program {
    let mut command = callq(["worker"]);
    command
        .env("DATABASE_URL", rig.db.url())
        .env("CALLQ_HOST", rig.sandbox.url())
        .env("CALLQ_SDK_APP_ID", SANDBOX_SDK_APP_ID.to_string())
        .env("CALLQ_ADMIN_ACCOUNT", SANDBOX_ADMIN_ACCOUNT)
        .env("CALLQ_SECRET_KEY", SANDBOX_SECRET_KEY)
        .env("CALLQ_CAM_SECRET_ID", SANDBOX_CAM_SECRET_ID)
        .env("CALLQ_CAM_SECRET_KEY", SANDBOX_CAM_SECRET_KEY)
        .env("CALLQ_CALLS_PER_SECOND", "12")
        // As these are: what a worker was killed over is proven soon.
        .env("CALLQ_LONGEST_CALL_S", "60");
    Program::start(&mut command)
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_killed_or_lost_nothing_plays_too_early_or_for_ever_and_nobody_is_rung_again() {
    let seed = fastrand::u64(..);
    println!("kills, and callbacks go wrong, by seed {seed}");
    let mut dice = fastrand::Rng::with_seed(seed);
    let lossy = CallbackFaults {
        lost: 0.3,
        doubled: 0.1,
        reordered: 0.1,
        late: 0.05,
        seed,
    };
    let (rig, web) = with_callbacks(4.0, lossy).await;
    answering(&rig, 40);
    let calls = calls(60);
    insert(&rig, calls).await;
    let mut crew = vec![process(&rig), process(&rig), process(&rig)];
    let placed = "SELECT count(*) = 0 FROM callq.jobs WHERE state IN ('scheduled', 'dialing')";
    let until = Instant::now() + 4 * SURELY;
    while !rig.value::<bool>(placed).await {
        let again = Instant::now() + Duration::from_secs(6);
        for command in ["StartStreamIngest", "StopStreamIngest"] {
            let lost = Fault::new(FaultKind::CloseAfterReading).for_command(command);
            let lost = if dice.bool() {
                lost.that_rings()
            } else {
                lost.that_rings_nobody()
            };
            rig.sandbox.script(lost.times(1)).unwrap();
        }
        crew.swap_remove(dice.usize(..crew.len()))
            .signal(libc::SIGKILL);
        crew.push(process(&rig));
        let all = rig.until_value(placed, |placed: &bool| *placed);
        drop(timeout_at(again, all).await);
        assert!(
            Instant::now() < until || calls > 200,
            "the calls are placed in time"
        );
    }
    rig.sandbox.clear_faults();
    // A call that a worker was killed over is known by its record; one that never rang stays in doubt.
    let rang = rig.sandbox.read_ledger(|ledger| ledger.calls().len());
    until_ended(&rig, i64::try_from(rang).unwrap()).await;
    // What nobody could stop, because its TaskId was lost with a reply or a worker, has ended by itself.
    rig.sandbox.advance(Duration::from_hours(2));
    let tally = rig.sandbox.ingest_tally();
    println!("{tally:?}");
    assert_eq!(tally.before_answer, 0, "{tally:?}");
    assert_eq!(
        (tally.started, tally.playing),
        (tally.stopped + tally.ended, 0),
        "{tally:?}"
    );
    let lost = "SELECT count(*) FROM callq.streams WHERE reason = 'media_lost'";
    let lost: i64 = rig.value(lost).await;
    assert!(
        tally.ended <= lost.unsigned_abs(),
        "{tally:?}, {lost} told as lost"
    );
    let mut of_calls: HashMap<_, u32> = HashMap::new();
    for task in rig.sandbox.ingest_tasks() {
        *of_calls.entry(task.call_id).or_default() += 1;
    }
    assert!(
        of_calls.values().all(|tasks| *tasks == 1),
        "two tasks in one call"
    );
    // A worker that was killed while it called leaves a doubt, which is a promise of its own; media
    // made nobody ring twice.
    let again = "SELECT count(*) FROM callq.attempts AS a JOIN callq.streams AS s USING (job_id) WHERE a.attempt > s.attempt";
    assert_eq!(rig.value::<i64>(again).await, 0);
    rig.audit().await;
    let counted = "SELECT concat_ws(' ', sum(started), sum(failed)) = (SELECT concat_ws(' ', count(started_at), count(*) FILTER (
            WHERE reason NOT IN ('media_stopped', 'media_unanswered'))) FROM callq.streams) FROM callq.media_minutes";
    assert!(rig.value::<bool>(counted).await);
    drop(crew);
    web.stop().await;
}

/// How long each call waited from its answer to its start, in milliseconds, shortest first.
async fn waits(rig: &Rig, calls: u32) -> Vec<i64> {
    answering(rig, 15);
    let mut config = player(rig);
    config.apps[0].calls_per_second = Some(5.0);
    let worker = rig.worker_with(config).await;
    insert(rig, calls).await;
    until_ended(rig, i64::from(calls)).await;
    worker.stop().await.unwrap();
    let tasks = rig.sandbox.ingest_tasks();
    let waits = tasks.iter().map(|t| t.started_at_ms - t.answered_at_ms);
    let mut waits: Vec<i64> = waits.collect();
    waits.sort_unstable();
    assert_eq!(waits.len(), usize::try_from(calls).unwrap());
    waits
}

fn share(waits: &[i64], hundredths: usize) -> i64 {
    waits[(waits.len() * hundredths / 100).min(waits.len() - 1)]
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "two minutes, and a figure of time: make media"]
async fn how_long_it_takes_from_an_answer_to_the_start() {
    let calls = calls(300);
    let asking = Rig::with_sandbox(sandbox(1.0)).await;
    let (told, web) = with_callbacks(1.0, CallbackFaults::default()).await;
    let mut too_slow = Vec::new();
    for (how, rig, most_ms) in [("by asking", &asking, 1500), ("by callbacks", &told, 300)] {
        let waits = waits(rig, calls).await;
        let [p50, p95, p99] = [50, 95, 99].map(|of| share(&waits, of));
        let longest = waits.last().unwrap();
        println!(
            "{how}, {calls} calls: p50 {p50} ms, p95 {p95} ms, p99 {p99} ms, longest {longest} ms"
        );
        too_slow.extend((p95 >= most_ms).then_some(how));
    }
    assert!(too_slow.is_empty(), "{too_slow:?}");
    web.stop().await;
}
