//! The soak: every fault of the schedule, then mending, draining, judging.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use callq::sandbox::{Fault as Script, FaultKind};
use tokio::{runtime, task::JoinSet, time::timeout};

use crate::{
    crew::{Terms, now_us},
    disk::Disk,
    evidence::Evidence,
    given,
    judge::judge,
    log_folder,
    plant::Plant,
    producers::{self, Mix, Told},
    proxy::Mode,
    schedule::{self, Fault, Link, WORKERS},
};

/// In CI, with what follows it: two minutes.
const SECONDS_DEFAULT: u64 = 75;

/// Jobs inserted per second.
const PER_SECOND: usize = 100;

/// Every job has rung or has passed its deadline by then, even at the slowest pace.
const DRAINED_WITHIN: Duration = Duration::from_mins(5);

const TERMS: Terms = Terms {
    concurrency: 40,
    request_timeout: Duration::from_secs(2),
    lease: Duration::from_millis(4500),
    calls_per_second: 180,
    answer_delay: Duration::ZERO,
};

#[test]
fn every_promise_holds_under_every_fault() {
    let seconds = given("CALLQ_CHAOS_SECONDS").unwrap_or(SECONDS_DEFAULT);
    let seed = given("CALLQ_CHAOS_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!(
        "chaos for {seconds} s; repeat it with CALLQ_CHAOS_SEED={seed} CALLQ_CHAOS_SECONDS={seconds}"
    );
    // About 1 KB for each of 100 jobs a second with their attempts, indexes and dead rows.
    let disk = Disk::of((600 + seconds / 2) << 20);
    if !disk.can_be_filled() {
        crate::left_out("a full disk (this process may not mount one)");
    }
    let runtime = runtime::Builder::new_multi_thread().enable_all().build();
    runtime
        .expect("a runtime starts")
        .block_on(run(disk, Duration::from_secs(seconds), seed));
}

async fn run(disk: Disk, long: Duration, seed: u64) {
    let logs = log_folder("soak", seed);
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut plant = Arc::new(Plant::build(disk, WORKERS, TERMS, &logs, &mut rng).await);
    let told = Arc::new(Told::default());
    let mut users = JoinSet::new();
    for _ in 0..2 {
        let (plant, told, rng) = (Arc::clone(&plant), Arc::clone(&told), rng.fork());
        let per_second = PER_SECOND / 2;
        users.spawn(async move {
            producers::insert(&plant.pool, &told, Mix::Everything, per_second, rng).await;
        });
    }
    let (p, t, r) = (Arc::clone(&plant), Arc::clone(&told), rng.fork());
    users.spawn(async move { producers::change_minds(&p.pool, &t, r).await });
    let watched = Arc::clone(&plant);
    let watching = tokio::spawn(async move { watched.watch().await });

    let faults = inflict_all(&plant, seed, long).await;
    told.stop();
    while let Some(user) = users.join_next().await {
        user.expect("no panic");
    }
    heal(&plant).await;
    let began = Instant::now();
    drain(&plant).await;
    let drained = began.elapsed();
    watching.abort();
    let _aborted = watching.await;
    let owned = Arc::get_mut(&mut plant).expect("all tasks have ended");
    owned.crew.retire().await;

    let evidence = Evidence::of(&plant, &told, logs).await;
    let figures = judge(&evidence);
    retired_well(&evidence);
    println!("{faults} faults, then drained in {drained:.1?}\n{figures}");
    let gaps = evidence.gaps_us.len();
    println!("the machine itself stood still {gaps} times");
    assert!(
        figures.placed * 10 > figures.jobs,
        "hardly anything was placed"
    );
    Arc::into_inner(plant)
        .expect("all tasks have ended")
        .close()
        .await;
}

/// The last process of each worker ended as it was asked to.
fn retired_well(evidence: &Evidence) {
    for worker in 0..WORKERS {
        let lives = evidence.lives.iter().filter(|life| life.worker == worker);
        let last = lives.max_by_key(|life| life.started_us).expect("it ran");
        assert!(last.ended_well(), "{last:?}");
    }
}

/// Returns how many faults there were.
async fn inflict_all(plant: &Arc<Plant>, seed: u64, long: Duration) -> usize {
    let events = schedule::of(seed, long);
    let began = Instant::now();
    let mut faults = JoinSet::new();
    for event in &events {
        let left = event.at.saturating_sub(began.elapsed());
        tokio::time::sleep(left).await;
        plant.note(format!("{:?}", event.fault));
        let (plant, fault) = (Arc::clone(plant), event.fault.clone());
        faults.spawn(async move { inflict(&plant, fault).await });
    }
    while let Some(fault) = faults.join_next().await {
        fault.expect("no panic");
    }
    events.len()
}

async fn inflict(plant: &Plant, fault: Fault) {
    let sleep = tokio::time::sleep;
    match fault {
        Fault::Kill(worker) => plant.crew.signal(worker, libc::SIGKILL),
        Fault::Term(worker) => plant.crew.signal(worker, libc::SIGTERM),
        Fault::Stop(worker, time) => {
            plant.crew.signal(worker, libc::SIGSTOP);
            sleep(time).await;
            plant.crew.signal(worker, libc::SIGCONT);
        }
        Fault::Postgres(down) => plant.restart(down).await,
        Fault::Backends => {
            let terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE application_name = 'callq' AND random() < 0.5";
            let _down_anyway = sqlx::raw_sql(terminate).execute(&plant.pool).await;
        }
        Fault::Cut(worker, link) => plant.crew.link(worker, link).cut(),
        Fault::Silent(worker, link, time) => {
            plant.crew.link(worker, link).set(Mode::BlackHole);
            sleep(time).await;
            plant.crew.link(worker, link).set(Mode::Pass);
        }
        Fault::Refused(worker, link, time) => {
            plant.crew.link(worker, link).set(Mode::Refuse);
            sleep(time).await;
            plant.crew.link(worker, link).set(Mode::Pass);
        }
        Fault::DatabaseAway(time) => away(plant, Link::Database, time).await,
        Fault::HostAway(time) => away(plant, Link::Host, time).await,
        Fault::DiskFull(time) => {
            if plant.disk.can_be_filled() {
                plant.disk.fill();
                sleep(time).await;
                plant.disk.free();
                plant.note("the disk has room again");
            }
        }
        Fault::Locks(time) => lock_rows(plant, time).await,
        Fault::Answers(script) => {
            plant
                .sandbox
                .script(script)
                .expect("a fault that makes sense");
        }
        Fault::AppRefused(time) => {
            let refused = Script::new(FaultKind::ErrorCode(60_020)).times(3);
            plant
                .sandbox
                .script(refused)
                .expect("a fault that makes sense");
            sleep(time).await;
            // A person looks after it, and again: a refusal that was left pauses the app anew.
            for _ in 0..4 {
                resume(plant).await;
                sleep(Duration::from_millis(500)).await;
            }
        }
    }
}

async fn away(plant: &Plant, link: Link, time: Duration) {
    plant
        .crew
        .links(link)
        .for_each(|proxy| proxy.set(Mode::Refuse));
    tokio::time::sleep(time).await;
    plant
        .crew
        .links(link)
        .for_each(|proxy| proxy.set(Mode::Pass));
}

/// Somebody has left a session open.
async fn lock_rows(plant: &Plant, time: Duration) {
    let Ok(mut open) = plant.pool.begin().await else {
        return;
    };
    let locked = sqlx::query(
        "SELECT FROM callq.jobs WHERE state IN ('scheduled', 'dialing') ORDER BY random() LIMIT 20 FOR UPDATE SKIP LOCKED",
    );
    if locked.execute(&mut *open).await.is_ok() {
        tokio::time::sleep(time).await;
    }
    let _lost_anyway = open.rollback().await;
}

async fn heal(plant: &Plant) {
    plant.note("everything is mended");
    plant.crew.heal();
    plant.sandbox.clear_faults();
    resume(plant).await;
}

async fn resume(plant: &Plant) {
    let resume = "SELECT callq.resume_app('default')";
    while sqlx::raw_sql(resume).execute(&plant.pool).await.is_err() {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Waits until nothing is left to do but for people.
async fn drain(plant: &Plant) {
    let open = "SELECT count(*) FROM callq.jobs WHERE state IN ('scheduled', 'dialing')
        OR (state = 'in_doubt' AND lease_until < now() + interval '1 hour')";
    let drained = async {
        loop {
            let left: Result<i64, _> = sqlx::query_scalar(open).fetch_one(&plant.pool).await;
            if let Ok(0) = left {
                return;
            }
            // An app fault may have met a job at the very end.
            let _tried_again = sqlx::raw_sql("SELECT callq.resume_app('default')")
                .execute(&plant.pool)
                .await;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    };
    if timeout(DRAINED_WITHIN, drained).await.is_err() {
        let left: Vec<String> = sqlx::query_scalar(
            "SELECT j::text FROM callq.jobs AS j WHERE state IN ('scheduled', 'dialing') LIMIT 5",
        )
        .fetch_all(&plant.pool)
        .await
        .unwrap_or_default();
        let lives = plant.crew.lives();
        let lives: Vec<_> = lives.iter().filter(|life| life.ended.is_none()).collect();
        panic!(
            "the queue does not drain; at {} of {left:#?}\n{lives:#?}",
            now_us()
        );
    }
}
