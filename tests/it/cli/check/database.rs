//! The database's lines, each against a real server, and a real `PgBouncer`.

use std::fs;

use callq::dev::postgres::{PostgresServer, StartOptions};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::super::sql;
use super::{Checked, check};
use crate::support::bouncer::Bouncer;
use crate::support::port::Port;
use crate::support::{Database, look_again, migrate};

/// Nobody is there; what the app's lines say does not matter here.
const NOBODY: &str = "http://127.0.0.1:9";

async fn checked(url: &str) -> Checked {
    Checked::of(&mut check(url, NOBODY)).await
}

#[tokio::test]
async fn a_database_in_order_has_nothing_that_fails() {
    let database = Database::new().await;
    let checked = checked(database.url()).await;
    for name in [
        "database",
        "server version",
        "server role",
        "replication",
        "clock",
        "pooler",
        "database TLS",
        "schema",
        "history",
        "settings",
        "pauses",
        "workers",
        "schedules",
    ] {
        assert_eq!(checked.level(name), "ok", "{name}: {}", checked.ended);
    }
    // Tests sync nothing.
    assert_eq!(checked.level("durability"), "warn");
    assert_eq!(checked.level("time zones"), "ok");
}

#[tokio::test]
async fn a_place_where_no_server_is_could_not_be_reached() {
    let port = Port::new();
    for url in [
        format!("postgres://me:hunter2@{}/callq", port.address()),
        "postgres:///callq?host=/nonexistent&user=me&password=hunter2".to_owned(),
    ] {
        let checked = checked(&url).await;
        checked.fails("database", "no server listens at", "workers", 1);
        assert!(
            !checked.ended.text().contains("hunter2"),
            "{}",
            checked.ended
        );
    }
    let checked = checked("postgres://me@no-such-host.invalid/callq").await;
    checked.fails("database", "is not known", "workers", 1);
}

/// A private server of its own.
async fn server() -> PostgresServer {
    let start = || PostgresServer::start(StartOptions::throwaway());
    tokio::task::spawn_blocking(start).await.unwrap().unwrap()
}

async fn run(url: &str, statement: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let statement = AssertSqlSafe(statement.to_owned());
    sqlx::raw_sql(statement)
        .execute(&mut connection)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_wrong_password_a_missing_role_and_a_missing_database_are_told_apart() {
    let server = server().await;
    let url = server.url("postgres");
    let wrong = url.replace("user=callq", "user=nobody_here");
    checked(&wrong)
        .await
        .fails("database", "has no such user", "workers", 2);
    checked(&server.url("nothing_here")).await.fails(
        "database",
        "has no such database",
        "workers",
        2,
    );
    checked(&format!("{url}&sslmode=require"))
        .await
        .fails("database", "offers none", "workers", 2);

    run(&url, "ALTER ROLE callq PASSWORD 'right'").await;
    let rules = server.data_dir().join("pg_hba.conf");
    fs::write(&rules, "local postgres callq scram-sha-256\n").unwrap();
    run(&url, "SELECT pg_reload_conf()").await;
    // The server reads its rules when it comes to it.
    while PgConnection::connect(&url).await.is_ok() {
        look_again().await;
    }
    let checked_with = async |password: &str| checked(&format!("{url}&password={password}")).await;
    let refused = checked_with("hunter2").await;
    refused.fails("database", "refuses the password", "workers", 2);
    assert!(!refused.ended.text().contains("hunter2"));
    assert_eq!(checked_with("right").await.level("database"), "ok");
    let elsewhere = server.url("template1");
    checked(&elsewhere)
        .await
        .fails("database", "does not let this user in", "workers", 2);
}

#[tokio::test]
async fn a_schema_that_is_missing_older_or_newer_is_told_with_the_way_out() {
    let empty = Database::empty().await;
    let missing = checked(empty.url()).await;
    missing.fails("schema", "has no schema callq", "workers", 1);
    assert_eq!(missing.line("schema")["fix"], "run `callq migrate`");
    let database = Database::new().await;
    for (change, words, fix) in [
        ("schema_version = 0", "has version 0", "run `callq migrate`"),
        ("schema_version = 99", "has version 99", "use a newer callq"),
    ] {
        sql(&database, &format!("UPDATE callq.meta SET {change}")).await;
        let checked = checked(database.url()).await;
        checked.fails("schema", words, "workers", 1);
        assert_eq!(checked.line("schema")["fix"], fix);
    }
}

#[tokio::test]
async fn pauses_unserved_jobs_and_settings_are_warned_of() {
    let database = Database::new().await;
    sql(
        &database,
        "INSERT INTO callq.jobs (app, robot_account, callees) VALUES ('clinic', 'bot', '{jack}');
         SELECT callq.pause_app('shop', 'moving house');
         UPDATE callq.settings SET notify = false",
    )
    .await;
    let checked = checked(database.url()).await;
    for (name, words) in [
        ("pauses", "app shop: moving house"),
        ("workers", "app clinic has 1 due"),
        ("settings", "notify is off"),
    ] {
        assert_eq!(checked.level(name), "warn");
        let says = checked.line(name)["says"].as_str().unwrap().to_owned();
        assert!(says.contains(words), "{says}");
    }
}

#[tokio::test]
async fn a_read_only_database_is_told() {
    let server = server().await;
    run(
        &server.url("postgres"),
        "ALTER ROLE callq SET default_transaction_read_only = on",
    )
    .await;
    let checked = checked(&server.url("postgres")).await;
    assert_eq!(checked.level("server role"), "fail");
    assert_eq!(checked.ended.code(), 2, "{}", checked.ended);
}

#[tokio::test]
async fn a_pooler_is_told_with_its_mode() {
    let server = server().await;
    migrate(server.url("postgres")).await;
    let bouncer = Bouncer::start(&server, "session").await;
    let session = checked(&bouncer.url("postgres")).await;
    assert_eq!(session.level("pooler"), "ok");
    let says = session.line("pooler")["says"].as_str().unwrap();
    assert!(says.contains("session mode"), "{}", session.ended);
    assert_eq!(session.level("schema"), "ok", "{}", session.ended);

    let one = Bouncer::start(&server, "session\ndefault_pool_size = 1").await;
    let checked_one = checked(&one.url("postgres")).await;
    checked_one.fails("pooler", "has too few for callq", "workers", 1);

    for mode in ["transaction", "statement"] {
        let bouncer = Bouncer::start(&server, mode).await;
        let checked = checked(&bouncer.url("postgres")).await;
        checked.fails("pooler", "between transactions", "pooler", 2);
        assert_eq!(checked.level("schema"), "skip", "{}", checked.ended);
    }
    let direct = checked(&server.url("postgres")).await;
    assert!(
        direct.line("pooler")["says"]
            .as_str()
            .unwrap()
            .contains("none")
    );
}
