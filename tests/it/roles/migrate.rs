//! How the roles come to be, on servers of their own: roles belong to the whole server.

use std::io::Write as _;
use std::process::{Command, Stdio};

use callq::dev::postgres::{PostgresServer, StartOptions};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::{ROLES, url_of};
use crate::support::program::{Program, callq, run};

async fn server() -> PostgresServer {
    let started = tokio::task::spawn_blocking(|| PostgresServer::start(StartOptions::throwaway()));
    let started = started.await.expect("no panic");
    started.unwrap_or_else(|error| panic!("{error}"))
}

async fn sql(url: &str, sql: &str) {
    let mut session = PgConnection::connect(url).await.expect("it answers");
    let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(&mut session)
        .await;
    done.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

async fn one(url: &str, sql: &str) -> String {
    let mut session = PgConnection::connect(url).await.expect("it answers");
    let value = sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
        .fetch_one(&mut session)
        .await;
    value.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// Runs SQL as a person would: on psql's standard input.
fn psql(url: &str, sql: &str) -> String {
    let mut child = Command::new("psql")
        .args(["-X", "-v", "ON_ERROR_STOP=1", "-d", url])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("psql is there");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(sql.as_bytes()).expect("psql reads");
    drop(stdin);
    let ended = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(ended.status.success(), "{said}");
    said
}

const RIGHTS: &str = "SELECT has_function_privilege('callq_enqueue', 'callq.cancel(bigint)', 'EXECUTE')::text
    || has_column_privilege('callq_worker', 'callq.jobs', 'state', 'UPDATE') || has_table_privilege('callq_report', 'callq.job_status', 'SELECT')";

#[tokio::test]
async fn a_login_that_may_make_no_roles_migrates_and_says_who_can() {
    let server = server().await;
    let admin = server.url("postgres");
    sql(&admin, "CREATE ROLE plain LOGIN").await;
    sql(&admin, "CREATE DATABASE calls OWNER plain").await;
    let plain = url_of(&server.url("calls"), "plain");
    let migrate = || async {
        run(callq(["migrate"]).env("DATABASE_URL", &plain))
            .await
            .with_code(0)
    };

    let ended = migrate().await;
    let says = format!(
        "callq: this login may not make the roles {}; `callq roles sql` prints the SQL for somebody who may\n",
        ROLES.join(", ")
    );
    assert_eq!(ended.stderr, says, "{ended}");
    assert_eq!(
        one(
            &plain,
            "SELECT count(*)::text FROM pg_roles WHERE rolname LIKE 'callq\\_%'"
        )
        .await,
        "0"
    );
    // Nothing is open to everybody without the roles either.
    let open = "SELECT has_function_privilege('public', 'callq.burst(float8)', 'EXECUTE')::text";
    assert_eq!(one(&plain, open).await, "false");

    let printed = run(&mut callq(["roles", "sql"])).await.with_code(0).text();
    for _ in 0..2 {
        psql(&server.url("calls"), &printed);
        assert_eq!(one(&plain, RIGHTS).await, "truetruetrue");
    }
    assert_eq!(migrate().await.stderr, "", "the roles are there now");

    // Made by somebody who may make roles and does not own the schema, or before there is one: the
    // owner's next migration gives them their rights.
    sql(
        &server.url("calls"),
        &format!("DROP OWNED BY {}", ROLES.join(", ")),
    )
    .await;
    sql(
        &admin,
        &format!(
            "DROP ROLE {}; CREATE ROLE maker LOGIN CREATEROLE",
            ROLES.join(", ")
        ),
    )
    .await;
    let said = psql(&url_of(&server.url("calls"), "maker"), &printed);
    assert!(said.contains("the next callq migrate"), "{said}");
    assert!(psql(&admin, &printed).contains("the next callq migrate"));
    assert_eq!(migrate().await.stderr, "");
    assert_eq!(one(&plain, RIGHTS).await, "truetruetrue");
}

#[tokio::test]
async fn many_migrations_at_once_make_the_roles_once() {
    let server = server().await;
    let admin = server.url("postgres");
    for n in 0..6 {
        sql(&admin, &format!("CREATE DATABASE calls_{n}")).await;
    }
    // Two for each database.
    let urls: Vec<String> = (0..12)
        .map(|n| server.url(&format!("calls_{}", n % 6)))
        .collect();
    let migrate = |url: &String| Program::start(callq(["migrate"]).env("DATABASE_URL", url));
    let running: Vec<Program> = urls.iter().map(migrate).collect();
    for migration in running {
        let ended = migration.end().await.with_code(0);
        assert_eq!(ended.stderr, "", "it has nothing to say about the roles");
    }
    for url in &urls[..6] {
        assert_eq!(one(url, RIGHTS).await, "truetruetrue");
    }
}
