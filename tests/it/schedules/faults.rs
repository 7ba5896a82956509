//! Two workers tick, are killed at random, one with a wrong wall clock, and the database restarts:
//! each firing has one job at most, and none is missing without a record.

#[path = "../../chaos/skew.rs"]
mod skew;

use std::time::Duration;

use callq::dev::postgres::{DataDir, Durability, Places, StartOptions};
use callq::sandbox::{
    SANDBOX_ADMIN_ACCOUNT, SANDBOX_SDK_APP_ID, SANDBOX_SECRET_KEY, Sandbox, SandboxConfig,
};
use sqlx::{AssertSqlSafe, PgPool};
use tokio::time::timeout;

use crate::support::child::open_folder;
use crate::support::look_again;
use crate::support::program::{Program, callq};
use crate::support::rig::SURELY;
use crate::support::server::Server;

const SCHEDULES: i64 = 12;
const KILLS: usize = 12;

/// Of each schedule: how many firings lie between its beginning and its cursor, less jobs and
/// records; all of them 0 if nothing is missing and nothing is told twice.
const UNACCOUNTED: &str = "
    SELECT sum(abs(floor(extract(epoch FROM s.cursor_at)) - floor(extract(epoch FROM s.created_at))
        - (SELECT count(*) FROM callq.jobs AS j WHERE j.schedule_id = s.id AND j.nominal_at <= s.cursor_at)
        - (SELECT coalesce(sum(f.firings), 0) FROM callq.skipped_firings AS f WHERE f.schedule_id = s.id)))::bigint
    FROM callq.schedules AS s";

/// Jobs and records that tell of one firing.
const TOLD_TWICE: &str = "
    SELECT (SELECT count(*) FROM callq.jobs AS j JOIN callq.skipped_firings AS f ON f.schedule_id = j.schedule_id
            AND j.nominal_at BETWEEN f.first_nominal_at AND f.last_nominal_at)
         + (SELECT count(*) - count(DISTINCT (schedule_id, nominal_at)) FROM callq.jobs)";

async fn value(pool: &PgPool, sql: &str) -> i64 {
    let value = sqlx::query_scalar::<_, Option<i64>>(AssertSqlSafe(sql.to_owned()));
    value.fetch_one(pool).await.unwrap().unwrap_or_default()
}

#[tokio::test]
async fn every_firing_has_one_job_or_a_record_whatever_is_killed_wrong_or_restarted() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let folder = open_folder();
    let data = folder.path().join("data");
    let start = || {
        Server::start(StartOptions {
            data: DataDir::Kept(data.clone()),
            durability: Durability::Durable,
            places: Places::from_env(),
        })
    };
    let mut server = start().await;
    let sandbox = Sandbox::start(SandboxConfig {
        calls_per_second_limit: 0,
        ..SandboxConfig::default()
    });
    let sandbox = sandbox.await.unwrap();
    let library = skew::library(folder.path());
    let worker = |url: &str, nth: usize| {
        let mut command = callq(["worker"]);
        command
            .env("DATABASE_URL", url)
            .env("CALLQ_HOST", sandbox.url())
            .env("CALLQ_SDK_APP_ID", SANDBOX_SDK_APP_ID.to_string())
            .env("CALLQ_ADMIN_ACCOUNT", SANDBOX_ADMIN_ACCOUNT)
            .env("CALLQ_SECRET_KEY", SANDBOX_SECRET_KEY)
            .env("CALLQ_CALLS_PER_SECOND", "5000");
        if let Some(library) = library.as_ref().filter(|_| nth == 1) {
            command
                .env("LD_PRELOAD", library)
                .env(skew::VARIABLE, "-5400");
        }
        Program::start(&mut command)
    };
    let url = server.url("callq", "");
    server
        .sql(&format!(
            "INSERT INTO callq.schedules (name, cron, tz, catch_up, catch_up_window, overlap, robot_account, callees)
             SELECT 's' || i, '* * * * * *', 'UTC', (ARRAY['latest', 'all', 'none'])[1 + i % 3], '1 min', 
                 (ARRAY['skip', 'allow'])[1 + i % 2], 'robot', ARRAY['callee' || i]
             FROM generate_series(1, {SCHEDULES}) AS i"
        ))
        .await;
    let mut crew = [worker(&url, 0), worker(&url, 1)];
    for kill in 0..KILLS {
        // Any moment will do; this is no wait for something to have happened.
        tokio::time::sleep(Duration::from_millis(rng.u64(50..700))).await;
        let nth = rng.usize(..2);
        crew[nth].signal(libc::SIGKILL);
        if kill == KILLS / 2 {
            server.stop().await;
            server = start().await;
        }
        let next = worker(&url, nth);
        std::mem::replace(&mut crew[nth], next).end().await;
    }
    // What is behind the last kill is decided too.
    let pool = server.pool().clone();
    let killed = value(&pool, "SELECT extract(epoch FROM now())::bigint").await;
    let decided = async {
        let behind = format!(
            "SELECT count(*) FROM callq.schedules WHERE cursor_at < to_timestamp({killed}) + interval '1 second'"
        );
        while value(&pool, &behind).await > 0 {
            look_again().await;
        }
    };
    timeout(SURELY, decided).await.expect("the schedules go on");
    for program in &crew {
        program.signal(libc::SIGTERM);
    }
    for program in crew {
        program.end().await;
    }
    assert_eq!(
        value(&pool, UNACCOUNTED).await,
        0,
        "every firing is accounted for"
    );
    let made = value(&pool, "SELECT count(*) FROM callq.jobs").await;
    assert!(made > SCHEDULES, "{made}");
    // catch_up = all and the records of it may lie within each other; the others may not.
    assert_eq!(value(&pool, TOLD_TWICE).await, 0);
    let ledger = sandbox.ledger();
    assert_eq!(ledger.repeated().count(), 0);
    drop(pool);
    server.stop().await;
}
