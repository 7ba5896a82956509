//! Who may do what: a producer inserts, a reporter reads reports, and neither does more.

use std::panic::resume_unwind;
use std::sync::Arc;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use uuid::Uuid;

use crate::support::Database;

/// What a user may give and change.
const USERS_COLUMNS: [&str; 22] = [
    "app",
    "callees",
    "expires_at",
    "idempotency_key",
    "max_attempts",
    "max_call_seconds",
    "media_options",
    "media_type",
    "media_url",
    "metadata",
    "offline_push",
    "on_doubt",
    "priority",
    "retry_callees",
    "ring_policy",
    "ring_timeout_ms",
    "robot_account",
    "room_id",
    "room_id_type",
    "run_at",
    "ttl",
    "user_data",
];

/// What `sql` says if it is refused for want of a right; `None` if it was done.
async fn denied(session: &mut PgConnection, sql: &str) -> Option<String> {
    match sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(session)
        .await
    {
        Ok(_) => None,
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42501") => {
            Some(error.message().to_owned())
        }
        Err(error) => panic!("{sql}: {error}"),
    }
}

async fn names(database: &Database, sql: &str) -> Vec<String> {
    let names = sqlx::query_scalar(AssertSqlSafe(sql.to_owned()));
    names.fetch_all(database.pool()).await.unwrap()
}

/// Runs `test` as a fresh role to which `allow` was applied, and drops the role whatever happens.
async fn as_role<F>(
    allow: &str,
    test: impl FnOnce(Arc<Database>, PgConnection, String) -> F + Send + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let database = Arc::new(Database::new().await);
    let role = format!("callq_test_{}", Uuid::new_v4().simple());
    let make = format!("CREATE ROLE {role}; SELECT callq.{allow}('{role}')");
    sqlx::raw_sql(AssertSqlSafe(make))
        .execute(database.pool())
        .await
        .unwrap();
    let mut session = PgConnection::connect(database.url()).await.unwrap();
    let become_role = format!("SET SESSION AUTHORIZATION {role}");
    sqlx::raw_sql(AssertSqlSafe(become_role))
        .execute(&mut session)
        .await
        .unwrap();
    let outcome = tokio::spawn(test(Arc::clone(&database), session, role.clone())).await;
    let drop = format!("DROP OWNED BY {role}; DROP ROLE {role}");
    sqlx::raw_sql(AssertSqlSafe(drop))
        .execute(database.pool())
        .await
        .unwrap();
    if let Err(panic) = outcome {
        resume_unwind(panic.into_panic());
    }
}

#[tokio::test]
async fn a_producer_inserts_moves_and_cancels() {
    as_role("allow_producer", |database, mut session, role| async move {
        for sql in [
            "INSERT INTO callq.jobs (robot_account, callees, user_data, offline_push, metadata, run_at, ttl)
             VALUES ('bot', '{jack}', 'u', '{\"Title\": \"t\"}', '{}', now(), '1 hour')",
            "UPDATE callq.jobs SET run_at = now() + interval '10 seconds', priority = 0 WHERE id = 1",
            "SELECT callq.enqueue('bot', '{jack}')",
            "SELECT callq.cancel(1)",
            "SELECT callq.retry(1)",
            "SELECT callq.pause_app('default', 'x'); SELECT callq.resume_app('default')",
            "SELECT callq.pause_all('x'); SELECT callq.resume_all()",
            "SELECT * FROM callq.jobs; SELECT * FROM callq.attempts; SELECT * FROM callq.apps; SELECT * FROM callq.reasons",
        ] {
            assert_eq!(denied(&mut session, sql).await, None, "{sql}");
        }
        let inserted_by = names(&database, "SELECT DISTINCT inserted_by FROM callq.jobs").await;
        assert_eq!(inserted_by, [role], "also where a function of the owner's inserted it");
    })
    .await;
}

#[tokio::test]
async fn a_producer_also_works_where_public_may_call_no_function() {
    as_role("allow_producer", |database, mut session, _| async move {
        sqlx::raw_sql("REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA callq FROM PUBLIC")
            .execute(database.pool())
            .await
            .unwrap();
        let sql = "INSERT INTO callq.jobs (robot_account, callees, offline_push) VALUES ('bot', '{jack}', '{}');
            UPDATE callq.jobs SET run_at = now() - interval '1 second'";
        assert_eq!(denied(&mut session, sql).await, None);
    })
    .await;
}

#[tokio::test]
async fn a_producer_writes_no_column_of_callqs_own() {
    as_role("allow_producer", |database, mut session, _| async move {
        let columns = "SELECT attname::text FROM pg_attribute WHERE attrelid = 'callq.jobs'::regclass AND attnum > 0 ORDER BY 1";
        let mut may_update = vec![];
        let mut may_insert = vec![];
        for column in names(&database, columns).await {
            if denied(&mut session, &format!("UPDATE callq.jobs SET {column} = DEFAULT WHERE false")).await.is_none() {
                may_update.push(column.clone());
            }
            let insert = format!("INSERT INTO callq.jobs ({column}) OVERRIDING SYSTEM VALUE SELECT {column} FROM callq.jobs WHERE false");
            if denied(&mut session, &insert).await.is_none() {
                may_insert.push(column);
            }
        }
        assert_eq!(may_update, USERS_COLUMNS);
        assert_eq!(may_insert, USERS_COLUMNS);
    })
    .await;
}

#[tokio::test]
async fn a_producer_does_nothing_else() {
    as_role("allow_producer", |database, mut session, role| async move {
        for sql in [
            "DELETE FROM callq.jobs".to_owned(),
            "TRUNCATE callq.jobs".to_owned(),
            "UPDATE callq.attempts SET worker = 'x'".to_owned(),
            "INSERT INTO callq.apps (app) VALUES ('x')".to_owned(),
            "UPDATE callq.settings SET notify = false".to_owned(),
            "UPDATE callq.reasons SET sentence = ''".to_owned(),
            "UPDATE callq.pace SET tokens = 20".to_owned(),
            "SELECT callq.lock_job(1)".to_owned(),
            "SELECT callq.why_expired('x', now(), 'x')".to_owned(),
            format!("SELECT callq.allow_producer('{role}')"),
            format!("SELECT callq.allow_report('{role}')"),
            format!("SELECT callq.allow_worker('{role}')"),
            "SELECT callq.apply_rights()".to_owned(),
            "CREATE TABLE callq.mine (id int)".to_owned(),
        ] {
            assert!(denied(&mut session, &sql).await.is_some(), "{sql}");
        }
        drop(database);
    })
    .await;
}

#[tokio::test]
async fn a_reporter_reads_every_view_and_nothing_else() {
    as_role("allow_report", |database, mut session, _| async move {
        let relations = "SELECT relname::text || ' ' || (relkind = 'v') FROM pg_class
            WHERE relnamespace = 'callq'::regnamespace AND relkind IN ('r', 'v') ORDER BY 1";
        let relations = names(&database, relations).await;
        assert!(
            relations.iter().filter(|r| r.ends_with(" true")).count() >= 7,
            "{relations:?}"
        );
        for relation in relations {
            let (name, is_view) = relation.split_once(' ').unwrap();
            let read = denied(&mut session, &format!("SELECT * FROM callq.{name}")).await;
            assert_eq!(read.is_none(), is_view == "true", "{name}");
            // A view that cannot be written to says so to everybody.
            if is_view == "false" {
                let write = format!("DELETE FROM callq.{name} WHERE false");
                assert!(denied(&mut session, &write).await.is_some(), "{name}");
            }
        }
        for sql in [
            "SELECT callq.enqueue('bot', '{jack}')",
            "SELECT callq.cancel(1)",
            "SELECT callq.retry(1)",
            "SELECT callq.resolve(1, 'placed')",
            "SELECT callq.pause_app('default', 'x')",
            "SELECT callq.resume_app('default')",
            "SELECT callq.pause_all('x')",
            "SELECT callq.resume_all()",
        ] {
            assert!(denied(&mut session, sql).await.is_some(), "{sql}");
        }
    })
    .await;
}

#[tokio::test]
async fn no_view_is_made_from_user_data_or_offline_push() {
    let database = Database::new().await;
    let reading = |columns: &str| {
        format!(
            "SELECT DISTINCT c.relname || '.' || a.attname FROM pg_depend AS d
             JOIN pg_rewrite AS r ON r.oid = d.objid AND d.classid = 'pg_rewrite'::regclass
             JOIN pg_class AS c ON c.oid = r.ev_class
             JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
             WHERE d.refobjid = 'callq.jobs'::regclass AND a.attname IN ({columns})"
        )
    };
    let private = names(
        &database,
        &reading("'user_data', 'offline_push', 'media_url'"),
    )
    .await;
    assert_eq!(private, Vec::<String>::new());
    assert!(
        !names(&database, &reading("'callees'")).await.is_empty(),
        "the question finds what is read"
    );
}
