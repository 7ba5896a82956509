//! `callq web` as a program: configured, told to Tencent, killed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use callq::sandbox::{SANDBOX_SDK_APP_ID, Sandbox, SandboxConfig};
use tokio::process::Command;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::{QUERY, SECRET, count, end_of};
use crate::support::program::{Program, callq, run};
use crate::support::{Database, look_again};

/// The program for the app `default`, with nothing that only a worker needs.
fn web(database_url: &str) -> Command {
    let mut command = callq(["web", "--listen", "127.0.0.1:0"]);
    command
        .env("DATABASE_URL", database_url)
        .env("CALLQ_SDK_APP_ID", SANDBOX_SDK_APP_ID.to_string())
        .env("CALLQ_CALLBACKS_SECRET", SECRET);
    command
}

/// Where it listens.
async fn address_of(program: &mut Program) -> SocketAddr {
    let said = program.says(", with /livez").await;
    let (_, rest) = said
        .split_once("taking callbacks on http://")
        .expect("it says where");
    let (address, _) = rest.split_once(',').expect("and more");
    address.parse().expect("it is an address")
}

#[tokio::test]
async fn what_is_acknowledged_survives_a_kill() {
    let database = Database::new().await;
    let mut program = Program::start(&mut web(database.url()));
    let address = address_of(&mut program).await;
    let (count_of, enough) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let mut senders = JoinSet::new();
    for sender in 0..16 {
        let (count_of, enough) = (Arc::clone(&count_of), Arc::clone(&enough));
        senders.spawn(async move {
            let mut acknowledged = Vec::new();
            for n in 0.. {
                let call = format!("c-{sender}-{n}");
                let target = format!("/callbacks/default/{SECRET}{QUERY}");
                let answer = super::ask(address, "POST", &target, &end_of(&call)).await;
                match answer.map(|answer| answer.status) {
                    Some(200) => acknowledged.push(call),
                    // Busy, and then gone.
                    Some(503) => {}
                    _ => return acknowledged,
                }
                if count_of.fetch_add(1, Ordering::SeqCst) == 500 {
                    enough.notify_one();
                }
            }
            acknowledged
        });
    }
    enough.notified().await;
    program.signal(libc::SIGKILL);
    let acknowledged: Vec<String> = senders.join_all().await.into_iter().flatten().collect();
    assert!(acknowledged.len() > 100, "{}", acknowledged.len());
    let missing: Vec<String> = sqlx::query_scalar("SELECT a FROM unnest($1::text[]) AS a WHERE a NOT IN (SELECT call_id FROM callq.callbacks)")
        .bind(&acknowledged)
        .fetch_all(database.pool())
        .await
        .unwrap();
    assert_eq!(missing, [""; 0]);
    drop(program.end().await);
}

#[tokio::test]
async fn callbacks_are_set_checked_and_taken_and_the_secret_is_never_shown() {
    let (database, sandbox) = (
        Database::new().await,
        Sandbox::start(SandboxConfig::default()).await.unwrap(),
    );
    let mut command = web(database.url());
    let mut program = Program::start(command.env("CALLQ_LOG", "trace"));
    let address = address_of(&mut program).await;
    let mut shown = String::new();
    let mut callq_on = async |arguments: &[&str], code: i32| {
        let mut command = callq(arguments.iter().copied());
        command
            .env("DATABASE_URL", database.url())
            .env("CALLQ_SDK_APP_ID", SANDBOX_SDK_APP_ID.to_string())
            .env("CALLQ_ADMIN_ACCOUNT", callq::sandbox::SANDBOX_ADMIN_ACCOUNT)
            .env("CALLQ_SECRET_KEY", callq::sandbox::SANDBOX_SECRET_KEY)
            .env("CALLQ_HOST", sandbox.url())
            .env("CALLQ_CALLBACKS_SECRET", SECRET)
            .env("CALLQ_CALLBACKS_BASE_URL", format!("http://{address}/"));
        let ended = run(&mut command).await.with_code(code);
        let said = format!("{}{}", ended.text(), ended.stderr);
        shown.push_str(&said);
        said
    };
    let ours = format!("http://{address}/callbacks/default/(secret)");
    assert!(
        callq_on(&["check"], 0)
            .await
            .contains("none are sent; `callq callbacks set`")
    );
    assert_eq!(
        callq_on(&["callbacks", "set"], 0).await,
        format!("default: callbacks go to {ours}\n")
    );
    assert!(
        callq_on(&["callbacks", "show"], 0)
            .await
            .ends_with(&format!(" go to {ours}\n"))
    );
    let json = callq_on(&["callbacks", "show", "--json"], 0).await;
    assert!(json.contains("\"ours\":true"), "{json}");
    assert!(callq_on(&["check"], 0).await.contains("which is ours"));
    // An earlier secret of ours is overwritten, a foreign URL is not.
    let earlier = format!("http://{address}/callbacks/default/an-earlier-secret");
    callq_on(&["callbacks", "set", &earlier, "--force"], 0).await;
    assert!(
        callq_on(&["check"], 0)
            .await
            .contains("they go to us with another secret")
    );
    callq_on(&["callbacks", "set"], 0).await;
    callq_on(
        &[
            "callbacks",
            "set",
            "https://theirs.example.com/x",
            "--force",
        ],
        0,
    )
    .await;
    assert!(
        callq_on(&["check"], 0)
            .await
            .contains("theirs.example.com/..., and not to us")
    );
    callq_on(&["callbacks", "set"], 2).await;
    callq_on(&["callbacks", "set", "--force"], 0).await;
    callq_on(&["config", "show"], 0).await;

    // The sandbox now sends them there.
    let worker = crate::support::rig::process(database.url(), &sandbox.url(), &[]);
    let job = "INSERT INTO callq.jobs (robot_account, callees) VALUES ('robot', '{jack}')";
    sqlx::raw_sql(job).execute(database.pool()).await.unwrap();
    while count(&database, "command = 'Call.CallbackAfterStartCall'").await == 0 {
        look_again().await;
    }
    worker.signal(libc::SIGTERM);
    worker.end().await.with_code(0);
    program.signal(libc::SIGTERM);
    let ended = program.end().await.with_code(0);
    for said in [&shown, &ended.stderr] {
        assert!(!said.contains(SECRET), "{said}");
    }
}

#[tokio::test]
async fn what_is_missing_or_wrong_is_told_without_repeating_a_secret() {
    for (name, value, words) in [
        (
            "CALLQ_CALLBACKS_SECRET",
            "too-short",
            "CALLQ_CALLBACKS_SECRET is not repeated: must be 16 to 128 of A-Z a-z 0-9 _ -",
        ),
        (
            "CALLQ_CALLBACKS_SECRET",
            "sl/ashes/are/none/of/them",
            "is not repeated: must be 16 to 128",
        ),
        (
            "CALLQ_CALLBACKS_SECRET_FILE",
            "/nonexistent",
            "CALLQ_CALLBACKS_SECRET and CALLQ_CALLBACKS_SECRET_FILE are both set",
        ),
        (
            "CALLQ_WEB_LISTEN",
            "here",
            "CALLQ_WEB_LISTEN is \"here\": must be an address and a port",
        ),
        ("CALLQ_SDK_APP_ID", "", "CALLQ_SDK_APP_ID is not set"),
        (
            "CALLQ_CALLBACKS_SECRET",
            "",
            "there is no app whose callbacks could be taken",
        ),
    ] {
        let mut command = web("postgres:///callq?host=/nonexistent");
        if name == "CALLQ_WEB_LISTEN" {
            command = callq(["web"]);
            command
                .env("DATABASE_URL", "postgres:///callq?host=/nonexistent")
                .env("CALLQ_SDK_APP_ID", "7")
                .env("CALLQ_CALLBACKS_SECRET", SECRET);
        }
        let ended = run(command.env(name, value)).await.with_code(2);
        assert!(ended.stderr.contains(words), "{name}={value}: {ended}");
        assert!(
            !ended.stderr.contains("too-short")
                && !ended.stderr.contains("ashes")
                && !ended.stderr.contains(SECRET),
            "{ended}"
        );
    }
}
