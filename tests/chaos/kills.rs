//! A thousand workers killed at random moments under load, and nothing else at fault.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use callq::sandbox::{Fault as Script, FaultKind};
use tokio::{runtime, task::JoinSet, time::timeout};

use crate::{
    crew::Terms,
    disk::Disk,
    evidence::Evidence,
    given,
    judge::{judge, only_what_was_in_flight_is_in_doubt},
    log_folder,
    plant::Plant,
    producers::{self, Mix, Told},
};

const KILLS_DEFAULT: usize = 1000;

const WORKERS: usize = 4;

/// Jobs inserted per second.
const PER_SECOND: usize = 140;

const TERMS: Terms = Terms {
    concurrency: 50,
    request_timeout: Duration::from_secs(2),
    lease: Duration::from_millis(4500),
    calls_per_second: 180,
    // About 20 requests are in flight at any moment.
    answer_delay: Duration::from_millis(150),
};

#[test]
#[ignore = "takes minutes: make kills"]
fn a_thousand_kills_ring_nobody_twice_and_lose_nothing() {
    let kills = given("CALLQ_CHAOS_KILLS").unwrap_or(KILLS_DEFAULT);
    let seed = given("CALLQ_CHAOS_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("{kills} kills; CALLQ_CHAOS_SEED={seed}");
    let disk = Disk::of(2 << 30);
    let runtime = runtime::Builder::new_multi_thread().enable_all().build();
    runtime
        .expect("a runtime starts")
        .block_on(run(disk, kills, seed));
}

async fn run(disk: Disk, kills: usize, seed: u64) {
    let logs = log_folder("kills", seed);
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut plant = Arc::new(Plant::build(disk, WORKERS, TERMS, &logs, &mut rng).await);
    let slow = Script::new(FaultKind::Delay).delayed_ms(150);
    plant
        .sandbox
        .script(slow)
        .expect("a fault that makes sense");
    let told = Arc::new(Told::default());
    let mut users = JoinSet::new();
    let (p, t, r) = (Arc::clone(&plant), Arc::clone(&told), rng.fork());
    users.spawn(async move { producers::insert(&p.pool, &t, Mix::Plain, PER_SECOND, r).await });

    let began = Instant::now();
    for killed in 0..kills {
        tokio::time::sleep(Duration::from_millis(rng.u64(20..480))).await;
        plant.crew.signal(rng.usize(..WORKERS), libc::SIGKILL);
        if killed % 100 == 99 {
            println!("{} kills after {:.0?}", killed + 1, began.elapsed());
        }
    }
    let under_load = began.elapsed();
    let requests = plant.sandbox.read_ledger(|ledger| ledger.requests().len());
    told.stop();
    while let Some(user) = users.join_next().await {
        user.expect("no panic");
    }
    let open = "SELECT count(*) FROM callq.jobs WHERE state IN ('scheduled', 'dialing')
        OR (state = 'in_doubt' AND lease_until < now() + interval '1 hour')";
    let drained = async {
        while sqlx::query_scalar::<_, i64>(open)
            .fetch_one(&plant.pool)
            .await
            .unwrap()
            > 0
        {
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    };
    timeout(Duration::from_mins(3), drained)
        .await
        .expect("the queue drains");
    let owned = Arc::get_mut(&mut plant).expect("all tasks have ended");
    owned.crew.retire().await;

    let evidence = Evidence::of(&plant, &told, logs).await;
    let figures = judge(&evidence);
    only_what_was_in_flight_is_in_doubt(&evidence);
    let per_second = requests as u64 / under_load.as_secs().max(1);
    println!("{requests} requests in {under_load:.0?}: {per_second} per second\n{figures}");
    assert!(
        figures.kills * 10 >= kills * 9,
        "too few processes were there to be killed"
    );
    assert!(
        figures.kills_in_flight * 10 >= kills * 3,
        "too few had requests in flight"
    );
    assert!(
        per_second > 100,
        "the throughput was {per_second} per second"
    );
    Arc::into_inner(plant)
        .expect("all tasks have ended")
        .close()
        .await;
}
