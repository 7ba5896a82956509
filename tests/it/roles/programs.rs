//! The program itself as logins that have one role each.

use callq::sandbox::{Fault, FaultKind};

use super::{Login, ROLES, run as run_sql, with_logins};
use crate::support::program::{Ended, Program, callq, run};
use crate::support::rig::{Rig, SURELY};

async fn as_login(login: &Login, arguments: &[&str]) -> Ended {
    let mut command = callq(arguments.iter().copied());
    run(command.env("DATABASE_URL", &login.url)).await
}

/// The worker on this rig, as this login.
fn worker(rig: &Rig, login: &Login) -> Program {
    let mut command = callq([
        "worker",
        "--request-timeout-ms",
        "3000",
        "--lease-ms",
        "6000",
    ]);
    command
        .env(
            "CALLQ_SDK_APP_ID",
            callq::sandbox::SANDBOX_SDK_APP_ID.to_string(),
        )
        .env("CALLQ_ADMIN_ACCOUNT", callq::sandbox::SANDBOX_ADMIN_ACCOUNT)
        .env("CALLQ_SECRET_KEY", callq::sandbox::SANDBOX_SECRET_KEY)
        .env("CALLQ_HOST", rig.sandbox.url())
        .env("CALLQ_LOG", "debug,sqlx=error")
        .env("DATABASE_URL", &login.url);
    Program::start(&mut command)
}

#[tokio::test]
async fn a_worker_needs_no_more_than_callq_worker() {
    let rig = Rig::new().await;
    let login = Login::member_of(Some("callq_worker"), &rig.db).await;
    let mut program = worker(&rig, &login);
    program.says("the worker is started").await;

    let placed = rig.insert("jack", &[]).await;
    let throttled = rig.insert("throttle-1-a", &[]).await;
    let doubted = rig
        .insert("close-a", &[("on_doubt", "'retry'"), ("max_attempts", "1")])
        .await;
    let failed = rig.insert("missing-a", &[]).await;
    let late = [("run_at", "now() - interval '2 hours'")];
    let expired = rig.insert("jack", &late).await;
    let refused: i64 = rig
        .value(
            "INSERT INTO callq.jobs (robot_account, callees, retry_callees, user_data, metadata)
             VALUES ('robot', '{badcode-5-a,jack}', true, 'private', '{\"a\": 1}') RETURNING id",
        )
        .await;
    for (id, state) in [
        (placed, "placed"),
        (throttled, "placed"),
        (doubted, "in_doubt"),
        (failed, "failed"),
        (expired, "expired"),
        (refused, "placed"),
    ] {
        rig.until_state(id, state).await;
    }
    let followed: bool = rig
        .value(&format!(
            "SELECT EXISTS (SELECT FROM callq.jobs WHERE root_id = {refused})"
        ))
        .await;
    assert!(followed, "the worker may insert a follow-up");
    // A schedule, and what was made ahead of it made again.
    rig.sql("INSERT INTO callq.schedules (name, cron, tz, robot_account, callees) VALUES ('s', '* * * * * *', 'UTC', 'robot', '{weekly}')")
        .await;
    let rung = async |callee: &str| {
        let has = |l: &callq::sandbox::Ledger| l.requests().iter().any(|r| r.callees == [callee]);
        rig.sandbox.wait_for(SURELY, has).await.unwrap();
    };
    rung("weekly").await;
    rig.sql("UPDATE callq.schedules SET callees = '{changed}'; UPDATE callq.schedules SET overlap = 'cancel_previous'")
        .await;
    rung("changed").await;
    rig.sql("SELECT callq.remove_schedule('s')").await;
    // A fault of the app, which pauses it.
    rig.sandbox
        .script(Fault::new(FaultKind::ErrorCode(60010)).times(1))
        .unwrap();
    rig.insert("jack", &[]).await;
    rig.until_paused().await;

    program.signal(libc::SIGTERM);
    let ended = program.end().await.with_code(0);
    for word in ["may not", "permission denied", "does not answer"] {
        assert!(!ended.stderr.contains(word), "{ended}");
    }
    rig.sql(&format!("DROP ROLE {}", login.name)).await;
}

/// `callq web` on this database, as this login.
fn web(login: &Login) -> Program {
    let mut command = callq(["web", "--listen", "127.0.0.1:0"]);
    command
        .env("CALLQ_SDK_APP_ID", "1400000000")
        .env("CALLQ_CALLBACKS_SECRET", "0123456789abcdef")
        .env("DATABASE_URL", &login.url);
    Program::start(&mut command)
}

#[tokio::test]
async fn a_receiver_needs_no_more_than_callq_web_and_without_it_says_so() {
    with_logins(|database, [_, _, _, receiver], nobody| async move {
        let ended = web(&nobody).end().await.with_code(1);
        let way_out = "\nhint: grant it callq_web; `callq roles sql` tells how\n";
        assert!(ended.stderr.ends_with(way_out), "{ended}");

        let mut program = web(&receiver);
        let said = program.says(", with /livez").await;
        let address = said
            .split("http://")
            .nth(1)
            .and_then(|rest| rest.split(',').next());
        let address = address.expect("it says where").parse().expect("an address");
        let path = "/callbacks/default/0123456789abcdef";
        for body in ["{}", "{\"CallId\":1,\"ChangedUserList\":[]}"] {
            let answer = crate::callbacks::ask(address, "POST", path, body.as_bytes()).await;
            assert_eq!(answer.map(|answer| answer.status), Some(200));
        }
        let ready = crate::callbacks::ask(address, "GET", "/readyz", b"").await;
        assert_eq!(ready.map(|answer| answer.status), Some(200));
        program.signal(libc::SIGTERM);
        let ended = program.end().await.with_code(0);
        assert!(!ended.stderr.contains("may not"), "{ended}");
        let stored = sqlx::query_scalar("SELECT count(*) FROM callq.callbacks");
        let stored: i64 = stored.fetch_one(database.pool()).await.unwrap();
        assert_eq!(stored, 2);
    })
    .await;
}

#[tokio::test]
async fn people_need_no_more_than_callq_enqueue() {
    with_logins(|database, [person, ..], _| async move {
        run_sql(&database, super::JOBS).await;
        run_sql(&database, "INSERT INTO callq.apps (app) VALUES ('default')").await;
        for arguments in [
            &["enqueue", "--robot-account", "bot", "--callee", "jack"][..],
            &["jobs", "list"],
            &["jobs", "list", "--json"],
            &["jobs", "show", "2"],
            &["jobs", "watch", "2"],
            &["jobs", "export", "--csv"],
            &["jobs", "reschedule", "1", "--run-at", "in 1h"],
            &["jobs", "cancel", "1"],
            &["jobs", "retry", "1"],
            &["jobs", "resolve", "3", "--placed"],
            &["apps", "list"],
            &["apps", "pause", "default", "--reason", "test"],
            &["apps", "resume", "default"],
            &["apps", "pause", "--all", "--reason", "test"],
            &["apps", "resume", "--all"],
            &["status"],
        ] {
            as_login(&person, arguments).await.with_code(0);
        }
    })
    .await;
}

#[tokio::test]
async fn a_command_that_lacks_a_right_says_which_role_has_it() {
    with_logins(|_, [_, _, reporter, _], nobody| async move {
        for login in [&nobody, &reporter] {
            for (role, arguments) in [
                (
                    ROLES[0],
                    &["enqueue", "--robot-account", "bot", "--callee", "jack"][..],
                ),
                (ROLES[0], &["jobs", "list"]),
                (ROLES[0], &["jobs", "show", "1"]),
                (ROLES[0], &["jobs", "cancel", "1"]),
                (ROLES[0], &["jobs", "reschedule", "1", "--run-at", "now"]),
                (ROLES[0], &["apps", "list"]),
                (ROLES[0], &["apps", "resume", "--all"]),
                (ROLES[0], &["status"]),
            ] {
                let ended = as_login(login, arguments).await.with_code(1);
                let way_out = format!("\nhint: grant it {role}; `callq roles sql` tells how\n");
                assert!(ended.stderr.contains("this login may not "), "{ended}");
                assert!(ended.stderr.contains("permission denied for "), "{ended}");
                assert!(ended.stderr.ends_with(&way_out), "{ended}");
                assert_eq!(ended.stderr.lines().count(), 2, "{ended}");
            }
            let ended = as_login(login, &["migrate"]).await.with_code(1);
            assert!(
                ended
                    .stderr
                    .contains("\nhint: migrate as the owner of the schema"),
                "{ended}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn a_check_without_any_role_says_which_one_is_missing() {
    with_logins(|_, _, nobody| async move {
        let ended = as_login(&nobody, &["check"]).await;
        let schema = ended.text();
        let schema = schema.lines().find(|line| line.starts_with("fail  schema"));
        let schema = schema.unwrap_or_else(|| panic!("{ended}"));
        let way_out = "; grant it callq_worker; `callq roles sql` tells how";
        assert!(schema.ends_with(way_out), "{ended}");
    })
    .await;
}

#[tokio::test]
async fn a_worker_without_its_role_ends_and_says_so() {
    let rig = Rig::new().await;
    for role in [None, Some("callq_enqueue")] {
        let login = Login::member_of(role, &rig.db).await;
        let ended = worker(&rig, &login).end().await.with_code(1);
        let way_out = "\nhint: grant it callq_worker; `callq roles sql` tells how\n";
        assert!(ended.stderr.ends_with(way_out), "{ended}");
        rig.sql(&format!("DROP ROLE {}", login.name)).await;
    }
}
