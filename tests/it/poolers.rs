//! A real `PgBouncer` in front of the database: in session mode everything works, in the others it is
//! refused before anything is done.

use callq::dev::postgres::{PostgresServer, StartOptions};
use callq::sandbox::{
    SANDBOX_ADMIN_ACCOUNT, SANDBOX_SDK_APP_ID, SANDBOX_SECRET_KEY, Sandbox, SandboxConfig,
};
use tokio::process::Command;

use crate::support::bouncer::Bouncer;
use crate::support::program::{Program, callq, run};
use crate::support::rig::SURELY;

const FIX: &str = "hint: set pool_mode = session for this database, or connect directly; `callq check` tells more\n";

async fn server() -> PostgresServer {
    tokio::task::spawn_blocking(|| PostgresServer::start(StartOptions::throwaway()))
        .await
        .unwrap()
        .unwrap()
}

fn on(url: &str, arguments: &[&str]) -> Command {
    let mut command = callq(arguments.iter().copied());
    command.env("DATABASE_URL", url);
    command
}

fn worker(url: &str, sandbox: &Sandbox) -> Command {
    let mut command = on(url, &["worker"]);
    command
        .env("CALLQ_SDK_APP_ID", SANDBOX_SDK_APP_ID.to_string())
        .env("CALLQ_ADMIN_ACCOUNT", SANDBOX_ADMIN_ACCOUNT)
        .env("CALLQ_SECRET_KEY", SANDBOX_SECRET_KEY)
        .env("CALLQ_HOST", sandbox.url());
    command
}

#[tokio::test]
async fn through_a_pooler_in_session_mode_everything_works() {
    let server = server().await;
    let Some(bouncer) = Bouncer::start(&server, "session").await else {
        return;
    };
    let url = bouncer.url("postgres");
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    run(&mut on(&url, &["migrate"])).await.with_code(0);
    let mut working = Program::start(&mut worker(&url, &sandbox));
    working.says("the worker is started").await;
    let enqueue = ["enqueue", "--robot-account", "bot", "--callee", "jack"];
    run(&mut on(&url, &enqueue)).await.with_code(0);
    let watched = run(&mut on(&url, &["jobs", "watch", "1"]))
        .await
        .with_code(0);
    assert!(watched.text().contains("placed"), "{watched}");
    sandbox
        .wait_for(SURELY, |ledger| ledger.requests().len() == 1)
        .await
        .unwrap();
    working.signal(libc::SIGTERM);
    working.end().await.with_code(0);
}

#[tokio::test]
async fn through_a_pooler_that_gives_sessions_away_nothing_is_begun() {
    let server = server().await;
    let direct = server.url("postgres");
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    for mode in ["transaction", "statement"] {
        let Some(bouncer) = Bouncer::start(&server, mode).await else {
            return;
        };
        let url = bouncer.url("postgres");
        let refused = run(&mut on(&url, &["migrate"])).await.with_code(2);
        assert!(refused.stderr.ends_with(FIX), "{mode}: {refused}");
        let untouched = run(&mut on(&direct, &["jobs", "list"])).await;
        if mode == "transaction" {
            assert!(
                untouched.stderr.contains("has no schema callq"),
                "{untouched}"
            );
        }
        run(&mut on(&direct, &["migrate"])).await.with_code(0);
        let refused = run(&mut worker(&url, &sandbox)).await.with_code(2);
        assert!(refused.stderr.ends_with(FIX), "{mode}: {refused}");
    }
}
