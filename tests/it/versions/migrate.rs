//! `callq migrate` where it must not or cannot do its work, and beside those who hold locks.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::time::timeout;

use super::{migrate_to, migrations, next_schema, one};
use crate::support::Database;
use crate::support::program::{Ended, Program, callq, run};
use crate::support::rig::SURELY;

async fn sql(url: &str, sql: &str) {
    let mut session = PgConnection::connect(url).await.unwrap();
    let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut session);
    done.await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

async fn migrate(url: &str) -> Ended {
    run(callq(["migrate"]).env("DATABASE_URL", url)).await
}

/// All that a migration may touch: definitions, rights, and what it writes.
const EVERYTHING: &str = "SELECT md5(concat(
    (SELECT string_agg(concat(c.oid, c.relname, c.relkind, c.relacl, c.relnatts), ',' ORDER BY c.oid) FROM pg_class AS c
        WHERE c.relnamespace = 'callq'::regnamespace),
    (SELECT string_agg(concat(p.oid, p.proacl, p.prosrc), ',' ORDER BY p.oid) FROM pg_proc AS p WHERE p.pronamespace = 'callq'::regnamespace),
    (SELECT string_agg(to_jsonb(e)::text, ',' ORDER BY e.code) FROM callq.error_codes AS e),
    (SELECT string_agg(to_jsonb(m)::text, ',' ORDER BY m.version) FROM callq._sqlx_migrations AS m),
    (SELECT to_jsonb(m)::text FROM callq.meta AS m)))";

#[tokio::test]
async fn a_schema_of_a_newer_program_is_refused_and_left_as_it_is() {
    let database = Database::new().await;
    let url = database.url();
    // What a migration would bring back.
    sql(
        url,
        "DELETE FROM callq.error_codes WHERE code = 60007; GRANT SELECT ON callq.jobs TO PUBLIC",
    )
    .await;
    sql(url, &next_schema("0.1.0")).await;
    let before = one(url, EVERYTHING).await;
    let ended = migrate(url).await.with_code(1);
    assert!(
        ended
            .stderr
            .contains("; nothing is changed\nhint: use a newer callq\n"),
        "{ended}"
    );
    // As a newer program leaves it, with its own migration in the list.
    sql(
        url,
        "INSERT INTO callq._sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'next', true, '', 0)",
    )
    .await;
    migrate(url).await.with_code(1);
    sql(
        url,
        "UPDATE callq.meta SET schema_version = schema_version - 1",
    )
    .await;
    let unknown = migrate(url).await.with_code(1);
    let says = "callq: the schema callq has migration 9999, which this program does not know; nothing is changed\nhint: use a newer callq\n";
    assert_eq!(unknown.stderr, says);
    sql(
        url,
        "DELETE FROM callq._sqlx_migrations WHERE version = 9999; UPDATE callq.meta SET schema_version = schema_version + 1",
    )
    .await;
    assert_eq!(one(url, EVERYTHING).await, before);
}

#[tokio::test]
async fn a_migration_that_the_database_refuses_leaves_nothing_and_says_what_to_mend() {
    let database = Database::empty().await;
    let url = database.url();
    migrate_to(url, 6).await;
    // Somebody's own function, in the place of one that the seventh migration makes.
    sql(url, "CREATE FUNCTION callq.refuse_numbers() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$").await;
    let before = one(
        url,
        "SELECT concat(max(version), ' ', bool_and(success)) FROM callq._sqlx_migrations",
    )
    .await;
    for _ in 0..2 {
        let ended = migrate(url).await.with_code(1);
        let says = "callq: migration 7 could not be applied, and nothing of it is left: function \"refuse_numbers\" already exists with same \
                    argument types\nhint: mend what the database names, then run `callq migrate` again\n";
        assert_eq!(ended.stderr, says);
        let after = one(
            url,
            "SELECT concat(max(version), ' ', bool_and(success)) FROM callq._sqlx_migrations",
        )
        .await;
        assert_eq!(before, after);
        assert_eq!(
            one(url, "SELECT schema_version::text FROM callq.meta").await,
            "3"
        );
    }
    sql(url, "DROP FUNCTION callq.refuse_numbers").await;
    migrate(url).await.with_code(0);
}

#[tokio::test]
async fn a_list_of_migrations_that_says_half_is_told_and_left_alone() {
    let database = Database::new().await;
    let url = database.url();
    sql(
        url,
        "UPDATE callq._sqlx_migrations SET success = false WHERE version = 3",
    )
    .await;
    let before = one(url, EVERYTHING).await;
    let ended = migrate(url).await.with_code(1);
    let says = "callq: callq._sqlx_migrations says that migration 3 was applied in part, which callq never does: somebody else has written \
                there; nothing is changed\nhint: find out who did, or restore a backup; set success there to true only where everything that \
                the migration makes is in the schema\n";
    assert_eq!(ended.stderr, says);
    assert_eq!(one(url, EVERYTHING).await, before);
    sql(
        url,
        "UPDATE callq._sqlx_migrations SET success = true, checksum = 'other' WHERE version = 3",
    )
    .await;
    let ended = migrate(url).await.with_code(1);
    assert!(
        ended
            .stderr
            .contains("in another form than this program's; nothing is changed\nhint: "),
        "{ended}"
    );
}

#[test]
fn every_migration_is_one_transaction() {
    for migration in migrations().iter() {
        assert!(
            !migration.no_tx,
            "migration {} could stop half-way",
            migration.version
        );
    }
}

/// A lock that the seventh migration has to wait for, as a long transaction of somebody holds it.
const HOLD: &str = "BEGIN; LOCK TABLE callq.jobs IN ROW EXCLUSIVE MODE";

/// Waits so often behind a migration that waits for the holder, until it gives up for a while.
async fn pass_behind(url: &str, times: usize) {
    let mut other = PgConnection::connect(url).await.unwrap();
    let waits = "SELECT count(*)::text FROM pg_locks WHERE relation = 'callq.jobs'::regclass AND NOT granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let passing = async {
        for _ in 0..times {
            while one(url, waits).await == "0" {}
            let pass = "BEGIN; LOCK TABLE callq.jobs IN ROW EXCLUSIVE MODE; COMMIT";
            sqlx::raw_sql(pass).execute(&mut other).await.unwrap();
        }
    };
    let passed = timeout(SURELY, passing).await;
    passed.expect("it lets others pass while the holder stays");
}

#[tokio::test]
async fn a_migration_that_waits_for_a_lock_holds_nobody_up_for_long() {
    let database = Database::empty().await;
    let url = database.url();
    migrate_to(url, 6).await;
    let mut holder = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(HOLD).execute(&mut holder).await.unwrap();
    let migrating = Program::start(callq(["migrate"]).env("DATABASE_URL", url));
    pass_behind(url, 2).await;
    holder.close().await.unwrap();
    let ended = migrating.end().await.with_code(0);
    assert!(ended.text().contains("applied"), "{ended}");
}

#[tokio::test]
async fn a_second_migration_waits_for_the_first_however_long_that_takes() {
    let database = Database::empty().await;
    let url = database.url();
    migrate_to(url, 6).await;
    let mut holder = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(HOLD).execute(&mut holder).await.unwrap();
    let migrations: Vec<Program> = (0..2)
        .map(|_| Program::start(callq(["migrate"]).env("DATABASE_URL", url)))
        .collect();
    let both = "SELECT count(*)::text FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let waiting = async { while one(url, both).await != "2" {} };
    timeout(SURELY, waiting)
        .await
        .expect("one has the lock of migrations, the other waits for it");
    // Longer than the first waits for a lock at once.
    pass_behind(url, 2).await;
    holder.close().await.unwrap();
    for migration in migrations {
        migration.end().await.with_code(0);
    }
}
