//! What workers tell of themselves, and how little rests on it.

use std::time::Duration;

use callq::sandbox::{Fault, FaultKind};
use callq::store::{Beat, OpenCircuit, Store};
use sqlx::postgres::PgListener;

use crate::support::look_again;
use crate::support::proxy::{Mode, Proxy, Upstream};
use crate::support::rig::{Rig, SURELY};

/// Workers' rows are told of like jobs.
async fn rig() -> Rig {
    let rig = Rig::new().await;
    rig.sql(
        "CREATE FUNCTION tell_worker() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN PERFORM pg_notify('workers', ''); RETURN NULL; END $$;
         CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE ON callq.workers FOR EACH ROW EXECUTE FUNCTION tell_worker()",
    )
    .await;
    rig
}

/// Waits until this is so of callq.workers.
async fn until(rig: &Rig, condition: &str) {
    let mut changes = PgListener::connect(rig.db.url()).await.unwrap();
    changes.listen("workers").await.unwrap();
    let waiting = async {
        while !rig.value::<bool>(&format!("SELECT {condition}")).await {
            changes.recv().await.unwrap();
        }
    };
    let met = tokio::time::timeout(SURELY, waiting).await;
    met.unwrap_or_else(|_| panic!("waited in vain until {condition}"));
}

#[tokio::test]
async fn a_worker_tells_of_itself_and_takes_its_row_with_it() {
    let rig = rig().await;
    rig.sandbox
        .script(Fault::new(FaultKind::Delay).delayed_ms(5000))
        .unwrap();
    let worker = rig.worker().await;
    until(
        &rig,
        "EXISTS (SELECT FROM callq.worker_status WHERE state = 'working' AND in_flight = 0)",
    )
    .await;
    let told: String = rig
        .value(
            "SELECT concat_ws(' ', version, array_to_string(apps, ','), concurrency, unrecorded, listener_deaf, circuits,
                 started_at > now() - interval '1 minute') FROM callq.workers",
        )
        .await;
    assert_eq!(
        told,
        format!("{} default 50 0 f [] t", env!("CARGO_PKG_VERSION"))
    );
    let id = rig.insert("jack", &[]).await;
    rig.until_requests(1).await;
    let stopping = tokio::spawn(worker.stop());
    until(
        &rig,
        "EXISTS (SELECT FROM callq.worker_status WHERE state = 'stopping' AND in_flight = 1)",
    )
    .await;
    let served = rig.value::<bool>("SELECT callq.unserved_since('default') IS NULL");
    assert!(served.await, "it still has a request under way");
    stopping.await.unwrap().unwrap();
    assert_eq!(
        rig.value::<i64>("SELECT count(*) FROM callq.workers").await,
        0
    );
    let unserved =
        rig.value::<bool>("SELECT callq.unserved_since('default') > now() - interval '20 s'");
    assert!(unserved.await, "nobody serves the app from then on");
    let claimed: String = rig.value("SELECT worker FROM callq.attempts").await;
    assert!(claimed.contains('-'), "{claimed}");
    assert_eq!(rig.job(id).await.state, "placed");
}

fn beat(worker: &str, circuits: Vec<OpenCircuit>) -> Beat {
    Beat {
        worker: worker.to_owned(),
        version: "1.2.3",
        up: Duration::from_mins(1),
        apps: vec!["default".to_owned()],
        concurrency: 50,
        in_flight: 3,
        unrecorded: 2,
        deaf: true,
        stopping: false,
        circuits,
    }
}

fn circuit(open_for_s: u64) -> OpenCircuit {
    OpenCircuit {
        app: "default".to_owned(),
        open_for: Duration::from_secs(open_for_s),
        next_try: Duration::from_secs(4),
        failure: "could not connect: Connection refused".to_owned(),
    }
}

#[tokio::test]
async fn a_silent_worker_is_gone_after_20_s_and_its_row_after_an_hour() {
    let rig = Rig::new().await;
    let store = Store::connect(rig.db.url(), 1).await.unwrap();
    for (name, silent_s) in [("lively", 15), ("lost", 25), ("forgotten", 3601)] {
        store.beat(&beat(name, vec![])).await.unwrap();
        rig.sql(&format!(
            "UPDATE callq.workers SET seen_at = now() - {silent_s} * interval '1 s' WHERE worker = '{name}'"
        ))
        .await;
    }
    store.beat(&beat("new", vec![])).await.unwrap();
    let workers = store.workers().await.unwrap();
    let states: Vec<String> = workers
        .iter()
        .map(|w| format!("{} {}", w.worker, w.state))
        .collect();
    assert_eq!(states, ["lively working", "lost gone", "new working"]);
}

#[tokio::test]
async fn an_app_counts_as_served_until_its_last_worker_leaves() {
    let rig = Rig::new().await;
    let (one, two) = (rig.worker().await, rig.worker().await);
    let unserved = "SELECT callq.unserved_since('default') IS NOT NULL";
    let two_rows = async {
        while rig.value::<i64>("SELECT count(*) FROM callq.workers").await < 2 {
            look_again().await;
        }
    };
    tokio::time::timeout(SURELY, two_rows).await.unwrap();
    one.stop().await.unwrap();
    assert!(!rig.value::<bool>(unserved).await);
    two.stop().await.unwrap();
    assert!(rig.value::<bool>(unserved).await);
    // A worker of an earlier version has no row; it says that it serves the app, and that counts.
    rig.sql("UPDATE callq.apps SET served_at = clock_timestamp()")
        .await;
    assert!(!rig.value::<bool>(unserved).await);
}

#[tokio::test]
async fn only_what_no_worker_could_reach_is_noted_as_unreachable() {
    let rig = Rig::new().await;
    let store = Store::connect(rig.db.url(), 1).await.unwrap();
    let noted = "SELECT count(*) FROM callq.app_holds WHERE hold = 'unreachable'";
    // To ten seconds.
    let unreachable = "SELECT coalesce(floor(extract(epoch FROM now() - callq.unreachable_since('default')) / 10)::bigint * 10, -1)";
    store.beat(&beat("a", vec![circuit(60)])).await.unwrap();
    assert_eq!(rig.value::<i64>(unreachable).await, 60);
    store.beat(&beat("b", vec![])).await.unwrap();
    assert_eq!(rig.value::<i64>(unreachable).await, -1, "b reaches it");
    store.beat(&beat("a", vec![])).await.unwrap();
    assert_eq!(rig.value::<i64>(noted).await, 0);
    store.beat(&beat("a", vec![circuit(90)])).await.unwrap();
    store.beat(&beat("b", vec![circuit(30)])).await.unwrap();
    assert_eq!(
        rig.value::<i64>(unreachable).await,
        30,
        "since b does not either"
    );
    store.beat(&beat("b", vec![])).await.unwrap();
    store.beat(&beat("a", vec![])).await.unwrap();
    assert_eq!(
        rig.value::<i64>(noted).await,
        1,
        "the first to reach it ends it"
    );
    let span = "SELECT floor(extract(epoch FROM until - since) / 10)::bigint * 10 FROM callq.app_holds WHERE hold = 'unreachable'";
    assert_eq!(rig.value::<i64>(span).await, 30);
    store.beat(&beat("a", vec![circuit(5)])).await.unwrap();
    store.leave("b", &["default".to_owned()]).await.unwrap();
    store.leave("a", &["default".to_owned()]).await.unwrap();
    assert_eq!(
        rig.value::<i64>(noted).await,
        2,
        "a worker that leaves ends its circuits"
    );
}

#[tokio::test]
async fn a_host_that_is_away_opens_the_circuit_loses_no_job_and_says_so() {
    let rig = rig().await;
    let host = Proxy::to(Upstream::Tcp(rig.sandbox.address()));
    host.set(Mode::Refuse);
    for _ in 0..40 {
        rig.insert("jack", &[("max_attempts", "1")]).await;
    }
    let worker = rig.worker_with(rig.config_for(&host.http_url())).await;
    until(&rig, "EXISTS (SELECT FROM callq.circuits WHERE app = 'default' AND next_try_at < now() + interval '31 s')").await;
    let failure: String = rig.value("SELECT failure FROM callq.circuits").await;
    assert!(failure.to_lowercase().contains("connect"), "{failure}");
    assert!(!failure.contains("http"), "no URL: {failure}");
    // Nobody has tried this one: the circuit is open.
    let hopeless = rig
        .insert("rose", &[("ttl", "interval '900 ms'"), ("priority", "3")])
        .await;
    let job = rig.until_state(hopeless, "expired").await;
    assert_eq!(job.reason.as_deref(), Some("expired_unreachable"));
    host.set(Mode::Pass);
    rig.until_requests(40).await;
    until(&rig, "circuits = '[]' FROM callq.workers").await;
    worker.stop().await.unwrap();
    let ended: String = rig
        .value("SELECT string_agg(DISTINCT concat(state, ' ', attempts_used), ', ') FROM callq.jobs WHERE reason <> 'expired_unreachable'")
        .await;
    assert_eq!(ended, "placed 0");
    assert_eq!(rig.sandbox.ledger().requests().len(), 40);
    assert_eq!(
        rig.value::<String>("SELECT hold FROM callq.app_holds WHERE isfinite(since)")
            .await,
        "unreachable"
    );
}

#[tokio::test]
async fn nothing_that_is_rung_depends_on_the_rows_of_workers() {
    let rig = Rig::new().await;
    rig.sql("ALTER TABLE callq.workers ADD CONSTRAINT refuses CHECK (false)")
        .await;
    let worker = rig.worker().await;
    let id = rig.insert("jack", &[]).await;
    rig.until_state(id, "placed").await;
    worker.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_that_were_held_up_send_no_more_than_200_in_any_second() {
    let rig = Rig::new().await;
    rig.sql(
        "INSERT INTO callq.jobs (robot_account, callees)
         SELECT 'robot', ARRAY['c' || i] FROM generate_series(1, 1500) AS i",
    )
    .await;
    let mut workers = Vec::new();
    for _ in 0..4 {
        let mut config = rig.config();
        config.apps[0].calls_per_second = Some(180.0);
        workers.push(rig.worker_with(config).await);
    }
    rig.until_requests(100).await;
    // It lets grants through and holds up claims, each with its tokens.
    rig.sql("BEGIN; LOCK TABLE callq.jobs IN EXCLUSIVE MODE; SELECT pg_sleep(2.5); COMMIT")
        .await;
    let before = rig.sandbox.ledger().requests().len();
    rig.until_requests(before + 400).await;
    for worker in workers {
        worker.stop().await.unwrap();
    }
    // By when they left, for nobody here answers for how late they were read; and with room for
    // what a machine that stands still for a moment lets go at once: a bucket's burst.
    let busiest: i64 = rig
        .value("SELECT max(n) FROM (SELECT count(*) OVER (ORDER BY sent_at RANGE BETWEEN CURRENT ROW AND interval '999999 us' FOLLOWING) AS n FROM callq.attempts) AS s")
        .await;
    assert!(busiest <= 220, "{busiest} in one second");
    rig.audit().await;
}
