//! The pace: never more in any span of time than it allows, and less at first after an outage.

use std::time::Instant;

use callq::call::JobDefaults;
use callq::store::{Ask, Grant, Lows, Served, Store};
use sqlx::AssertSqlSafe;

use crate::support::Database;

/// Calls per second, and so 600 in a minute.
const PACE: f64 = 10.0;

/// A bucket, and time that passes at the test's will: the rows are set back.
struct Bucket {
    database: Database,
    store: Store,
    began: Instant,
    passed_s: f64,
}

impl Bucket {
    /// An app that has been served for an hour, with so many jobs that became due so long ago.
    async fn new(jobs: u32, due_ago: &str) -> Self {
        let database = Database::new().await;
        let store = Store::connect(database.url(), 1).await.unwrap();
        let bucket = Self {
            database,
            store,
            began: Instant::now(),
            passed_s: 0.0,
        };
        bucket
            .sql(&format!(
                "INSERT INTO callq.apps (app, kind, served_at, served_since, calls_per_second)
                 VALUES ('default', 'sandbox', now(), now() - interval '1 hour', {PACE});
                 INSERT INTO callq.pace (app, tokens, granted, asked, refilled_at)
                 VALUES ('default', 20, 0, 0, now() - interval '30 min');
                 INSERT INTO callq.jobs (robot_account, callees, run_at, ttl, priority)
                 SELECT 'bot', '{{jack}}', now() - interval '{due_ago}', '1 day', i % 4 FROM generate_series(1, {jobs}) AS i"
            ))
            .await;
        bucket
    }

    async fn sql(&self, sql: &str) {
        let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(self.database.pool());
        done.await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    async fn grant(&self) -> Grant {
        let ask = Ask {
            app: "default".to_owned(),
            slots: 100,
            fingerprint: "f".to_owned(),
            kind: "sandbox",
            lows: Lows::default(),
        };
        self.store.grant(&[ask]).await.unwrap().remove(0)
    }

    /// A worker says that it serves the app.
    async fn serve(&self) {
        let served = Served {
            app: "default".to_owned(),
            sdk_app_id: 1,
            kind: "sandbox",
            host: "http://localhost".to_owned(),
            calls_per_second: None,
            defaults: JobDefaults::default(),
        };
        self.store.serve(&served).await.unwrap().unwrap();
    }

    /// The share of the pace in force.
    async fn share(&self) -> f64 {
        self.store.apps().await.unwrap()[0].calls_per_second_now / PACE
    }

    /// Lets time pass for the bucket.
    async fn pass(&mut self, seconds: f64) {
        self.passed_s += seconds;
        self.sql(&format!(
            "UPDATE callq.pace SET refilled_at = refilled_at - {seconds} * interval '1 s', factor_at = factor_at - {seconds} * interval '1 s'"
        ))
        .await;
    }

    /// The time by the bucket's clock.
    fn now_s(&self) -> f64 {
        self.passed_s + self.began.elapsed().as_secs_f64()
    }
}

fn assert_near(value: f64, expected: f64) {
    assert!(
        (value - expected).abs() < expected / 10.0,
        "{value}, not {expected}"
    );
}

/// A ramp from a tenth, that doubles every 15 s and ends with the whole.
async fn assert_ramps(bucket: &mut Bucket) {
    let began = Instant::now();
    // What passed in truth comes on top.
    let doubled = || 2_f64.powf(began.elapsed().as_secs_f64() / 15.0);
    assert_eq!(bucket.grant().await.granted, 0, "nothing saved up is spent");
    assert_near(bucket.share().await, 0.1);
    let mut granted = 0;
    for _ in 0..15 {
        bucket.pass(1.0).await;
        granted += bucket.grant().await.granted;
    }
    // A tenth, doubling: 15 s to the base 2 make 15 / ln 2 of what the first second has.
    let most = 25.0 * doubled();
    assert!(
        granted >= 15 && f64::from(u32::try_from(granted).unwrap()) <= most,
        "{granted} in the first 15 s"
    );
    for share in [0.2, 0.4] {
        let now = bucket.share().await;
        assert!(
            now > share * 0.9 && now < share * 1.1 * doubled(),
            "{now}, not {share}"
        );
        bucket.pass(15.0).await;
    }
    bucket.pass(15.0).await;
    assert_near(bucket.share().await, 1.0);
    bucket.grant().await;
    assert_near(bucket.share().await, 1.0);
}

#[tokio::test]
async fn a_backlog_from_a_time_without_a_worker_is_ramped_up() {
    let mut bucket = Bucket::new(700, "5 min").await;
    bucket
        .sql("UPDATE callq.apps SET served_at = now() - interval '10 min'")
        .await;
    bucket.serve().await;
    assert_ramps(&mut bucket).await;
}

#[tokio::test]
async fn it_is_ramped_up_even_before_the_worker_has_said_that_it_serves_again() {
    let mut bucket = Bucket::new(700, "5 min").await;
    bucket
        .sql("UPDATE callq.apps SET served_at = now() - interval '10 min'")
        .await;
    assert_eq!(bucket.grant().await.granted, 0);
    bucket.pass(15.0).await;
    bucket.serve().await;
    bucket.grant().await;
    assert_near(bucket.share().await, 0.2);
}

#[tokio::test]
async fn a_backlog_from_a_pause_is_ramped_up() {
    for (pause, resume) in [
        ("callq.apps", "SELECT callq.resume_app('default')"),
        ("callq.settings", "SELECT callq.resume_all()"),
    ] {
        let mut bucket = Bucket::new(700, "5 min").await;
        let pause =
            format!("UPDATE {pause} SET paused_at = now() - interval '10 min', pause_reason = 'x'");
        bucket.sql(&pause).await;
        assert!(bucket.grant().await.paused);
        bucket.sql(resume).await;
        assert_ramps(&mut bucket).await;
    }
}

#[tokio::test]
async fn a_backlog_that_waited_for_the_first_worker_ever_is_ramped_up_if_it_waited_long() {
    for (due_ago, share) in [("5 min", 0.1), ("30 s", 1.0)] {
        let bucket = Bucket::new(700, due_ago).await;
        bucket
            .sql("TRUNCATE callq.pace; UPDATE callq.apps SET served_at = NULL, served_since = NULL")
            .await;
        bucket.serve().await;
        bucket.grant().await;
        assert_near(bucket.share().await, share);
    }
}

#[tokio::test]
async fn each_outage_is_followed_by_one_ramp() {
    let mut bucket = Bucket::new(700, "5 min").await;
    let gone = "UPDATE callq.apps SET served_at = now() - interval '10 min'";
    bucket.sql(gone).await;
    bucket.serve().await;
    bucket.grant().await;
    bucket.pass(60.0).await;
    // A bucket that was lost, as in a crash of the server, would forget it; one that is there does not.
    bucket
        .sql("UPDATE callq.pace SET refilled_at = now() - interval '1 hour'")
        .await;
    bucket.grant().await;
    assert_near(bucket.share().await, 1.0);
    bucket
        .sql("UPDATE callq.apps SET served_at = now() - interval '2 min'")
        .await;
    bucket.serve().await;
    bucket.grant().await;
    assert_near(bucket.share().await, 0.1);
}

#[tokio::test]
async fn an_app_saves_up_for_a_burst_from_when_it_is_served_and_not_from_its_first_job() {
    let mut bucket = Bucket::new(0, "0 s").await;
    // As on a new server, or after a crash.
    bucket.sql("TRUNCATE callq.pace").await;
    bucket.serve().await;
    bucket.pass(10.0).await;
    bucket
        .sql("INSERT INTO callq.jobs (robot_account, callees) SELECT 'bot', '{jack}' FROM generate_series(1, 30)")
        .await;
    assert_eq!(bucket.grant().await.granted, 20);
}

#[tokio::test]
async fn a_burst_with_healthy_workers_is_not_ramped_up() {
    let bucket = Bucket::new(3000, "1 s").await;
    assert_eq!(bucket.grant().await.granted, 20);
    assert_near(bucket.share().await, 1.0);
    // Neither is one that has come to wait for its turn.
    let bucket = Bucket::new(3000, "5 min").await;
    assert_eq!(bucket.grant().await.granted, 20);
    assert_near(bucket.share().await, 1.0);
}

#[tokio::test]
async fn what_was_held_shortly_or_is_little_or_became_due_later_is_not_ramped_up() {
    for (what, jobs, due_ago, hold) in [
        (
            "a hold of 50 s",
            700,
            "5 min",
            "now() - interval '50 s', now()",
        ),
        (
            "less than one minute's pace",
            590,
            "5 min",
            "now() - interval '10 min', now()",
        ),
        (
            "a hold that ended before they were due",
            700,
            "5 min",
            "now() - interval '20 min', now() - interval '6 min'",
        ),
        (
            "a hold before the last grant",
            700,
            "5 min",
            "now() - interval '50 min', now() - interval '40 min'",
        ),
    ] {
        let bucket = Bucket::new(jobs, due_ago).await;
        let hold = format!(
            "INSERT INTO callq.app_holds SELECT 'default', h, {hold} FROM unnest('{{paused,no_worker}}'::text[]) AS h"
        );
        bucket.sql(&hold).await;
        assert_eq!(bucket.grant().await.granted, 20, "{what}");
        assert_near(bucket.share().await, 1.0);
    }
}

#[tokio::test]
async fn in_no_span_of_time_is_more_granted_than_the_burst_and_the_pace() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bucket = Bucket::new(2000, "5 min").await;
    // Before and after what time tokens were granted, and how many were spent.
    let mut spent: Vec<(f64, f64, f64)> = Vec::new();
    for _ in 0..400 {
        match random.u8(..10) {
            0 => bucket.pass(random.f64() * 20.0).await,
            1 => bucket.store.slow_down("default").await.unwrap(),
            2 => {
                let hold = "INSERT INTO callq.app_holds VALUES ('default', 'paused', now() - interval '2 min', now()) ON CONFLICT DO NOTHING";
                bucket.sql(hold).await;
            }
            3..6 => bucket.pass(random.f64()).await,
            _ => {
                let before = bucket.now_s();
                let granted = bucket.grant().await.granted;
                let unused = random.usize(..=granted);
                if unused > 0 && random.bool() {
                    bucket
                        .store
                        .correct_tokens(&owed(f64::from(u32::try_from(unused).unwrap())))
                        .await
                        .unwrap();
                    let tokens = f64::from(u32::try_from(granted - unused).unwrap());
                    spent.push((before, bucket.now_s(), tokens));
                } else {
                    let tokens = f64::from(u32::try_from(granted).unwrap());
                    spent.push((before, bucket.now_s(), tokens));
                }
            }
        }
    }
    for from in 0..spent.len() {
        let mut sum = 0.0;
        for (_, after, tokens) in &spent[from..] {
            sum += tokens;
            let within_s = after - spent[from].0;
            let allowed = 20.0 + within_s * PACE + 1e-6;
            assert!(sum <= allowed, "{sum} within {within_s} s, seed {seed}");
        }
    }
    let total: f64 = spent.iter().map(|(_, _, tokens)| tokens).sum();
    assert!(total > 100.0, "the test grants something: {total}");
}

fn owed(tokens: f64) -> [(String, f64); 1] {
    [("default".to_owned(), tokens)]
}

#[tokio::test]
async fn a_bucket_in_debt_grants_nothing_until_it_is_paid() {
    let mut bucket = Bucket::new(100, "1 s").await;
    let began = Instant::now();
    // What passed in truth is paid besides.
    let paid_s = || began.elapsed().as_secs_f64() + 0.01;
    assert_eq!(bucket.grant().await.granted, 20);
    let debt = bucket.store.correct_tokens(&owed(-30.0)).await.unwrap();
    let debt_s = debt.as_secs_f64();
    assert!(debt_s < 3.01 && debt_s > 3.0 - paid_s(), "{debt_s}");
    bucket.pass(2.0).await;
    let grant = bucket.grant().await;
    let next_s = grant.next_token.map_or(0.0, |next| next.as_secs_f64());
    assert!(next_s < 1.11 && next_s > 1.1 - paid_s(), "{next_s}");
    bucket.pass(1.5).await;
    let granted = f64::from(u32::try_from(bucket.grant().await.granted).unwrap());
    assert!(
        granted >= 4.0 && granted <= 6.0 + paid_s() * PACE,
        "{granted}"
    );
}
