//! The rules of an INSERT: what is refused and in which words, and what is accepted at the edges.

use std::io::Write;
use std::sync::{Arc, Mutex};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool, postgres::PgDatabaseError};

use crate::support::Database;

/// What stands in every refused row and must stand in no refusal.
const SECRET: &str = "ward-7-bed-2";

/// Runs `sql`, which must be refused, and returns what the database said, all of it.
async fn refusal(pool: &PgPool, sql: &str) -> Box<PgDatabaseError> {
    let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(pool);
    match done.await {
        Err(sqlx::Error::Database(error)) => error.downcast::<PgDatabaseError>(),
        other => panic!("{sql} was not refused: {other:?}"),
    }
}

async fn run(pool: &PgPool, sql: &str) {
    let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(pool);
    done.await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// The one value that `sql` answers with, as text.
async fn value(pool: &PgPool, sql: &str) -> String {
    let value = sqlx::query_scalar::<_, Option<String>>(AssertSqlSafe(sql.to_owned()));
    let value = value.fetch_one(pool).await;
    let value = value.unwrap_or_else(|error| panic!("{sql}: {error}"));
    value.unwrap_or_else(|| "NULL".to_owned())
}

/// An INSERT of a job that is right but for what `columns` and `values` add.
fn insert(columns: &str, values: &str) -> String {
    let mut names = vec![];
    let mut given = vec![];
    let has = |name: &str| columns.split(',').any(|c| c.trim() == name);
    let secret_push = format!(r#"'{{"Title": "{SECRET}"}}'"#);
    for (name, right) in [
        ("robot_account", "'bot'"),
        ("callees", "'{jack}'"),
        ("user_data", &*format!("'{SECRET}'")),
        ("offline_push", &*secret_push),
    ] {
        if !has(name) {
            names.push(name.to_owned());
            given.push(right.to_owned());
        }
    }
    names.push(columns.to_owned());
    given.push(values.to_owned());
    let (names, given) = (names.join(", "), given.join(", "));
    format!("INSERT INTO callq.jobs ({names}) VALUES ({given})")
}

/// Asserts that the refusal is the sentence `said`, names `column` to programs too, and shows no
/// text of `user_data` or `offline_push` anywhere.
fn assert_says(error: &PgDatabaseError, column: &str, said: &str, sql: &str) {
    assert_eq!(error.message(), said, "{sql}");
    assert_eq!(error.column(), Some(column), "{sql}");
    assert_eq!(error.code(), "23514", "{sql}");
    let all = format!("{error:?}");
    assert!(!all.contains(SECRET), "{sql} shows personal data: {all}");
    assert_eq!(error.detail(), None, "{sql}");
}

#[tokio::test]
#[allow(clippy::too_many_lines, reason = "one table")]
async fn a_wrong_row_is_refused_with_its_column_its_fault_and_what_is_allowed() {
    const ROOM: &str =
        "it must be a number from 1 to 2147483647 in digits, without sign or leading zero";
    const ROOM_TEXT: &str =
        "it must be 1 to 64 letters a-z, digits, spaces and !#$%&()+-:;<=.>?@[]^_{}|~,";
    const TTL: &str = "it must be longer than zero and at most 100 years; expires_at = 'infinity' means no deadline";
    const OWN: &str = "is given: leave it out, callq writes it itself";
    let ranges = "it must be from 10000 to 600000 milliseconds";
    let cases: &[(&str, &str, &str)] = &[
        ("app", "''", "is empty: it must be 1 to 64 bytes"),
        ("app", "NULL", "is NULL: it must be 1 to 64 bytes"),
        (
            "app",
            "repeat('a', 65)",
            "is 65 bytes long: it must be 1 to 64 bytes",
        ),
        ("robot_account", "NULL", "is NULL: it must be 1 to 32 bytes"),
        ("robot_account", "''", "is empty: it must be 1 to 32 bytes"),
        (
            "robot_account",
            "repeat('b', 33)",
            "is 33 bytes long: it must be 1 to 32 bytes",
        ),
        (
            "robot_account",
            "repeat('é', 16) || 'b'",
            "is 33 bytes long: it must be 1 to 32 bytes",
        ),
        (
            "callees",
            "NULL",
            "is NULL: it must be a list of 1 to 100 accounts",
        ),
        ("callees", "'{}'", "has 0 accounts: it must have 1 to 100"),
        (
            "callees",
            "ARRAY(SELECT 'c' || i FROM generate_series(1, 101) AS i)",
            "has 101 accounts: it must have 1 to 100",
        ),
        (
            "callees",
            "'{{a,b},{c,d}}'",
            "is a list of lists: it must be a list of 1 to 100 accounts",
        ),
        (
            "callees",
            "'{jack,NULL}'",
            "has an account that is NULL: each must be 1 to 32 bytes",
        ),
        (
            "callees",
            "ARRAY['jack','']",
            "has the account \"\" of 0 bytes: each must be 1 to 32 bytes",
        ),
        (
            "callees",
            "ARRAY[repeat('c', 33)]",
            "has the account \"ccccccccccccccccccccccccccccccccc\" of 33 bytes: each must be 1 to 32 bytes",
        ),
        (
            "callees",
            "ARRAY[E'a\\nb' || repeat('c', 90)]",
            "has the account \"a?bccccccccccccccccccccccccccccccccccccccccccccccccccccccccc...\" of 93 bytes: each must be 1 to 32 bytes",
        ),
        (
            "callees",
            "'{jack,ann,jack}'",
            "has the account \"jack\" more than once: each must appear once",
        ),
        (
            "media_type",
            "'video'",
            "is \"video\": it must be Audio or Video, spelled so",
        ),
        (
            "media_type",
            "NULL",
            "is NULL: it must be Audio or Video, spelled so",
        ),
        (
            "room_id_type",
            "0",
            "is 0: it must be 1 (room_id is a number) or 2 (room_id is text)",
        ),
        (
            "room_id_type",
            "NULL",
            "is NULL: it must be 1 (room_id is a number) or 2 (room_id is text)",
        ),
        (
            "room_id_type",
            "40000",
            "is 40000: it must be 1 (room_id is a number) or 2 (room_id is text)",
        ),
        ("room_id", "''", "is empty: it must be 1 to 64 bytes"),
        (
            "room_id",
            "repeat('r', 65)",
            "is 65 bytes long: it must be 1 to 64 bytes",
        ),
        (
            "room_id",
            "'raum-ä'",
            &format!("is \"raum-ä\": {ROOM_TEXT}"),
        ),
        ("room_id", "E'a\\nb'", &format!("is \"a?b\": {ROOM_TEXT}")),
        ("room_id", "'a/b'", &format!("is \"a/b\": {ROOM_TEXT}")),
        (
            "room_id, room_id_type",
            "NULL, 1",
            "is NULL while room_id_type is 1: it must be a number from 1 to 2147483647, or leave room_id_type at 2 and callq makes a room",
        ),
        (
            "room_id, room_id_type",
            "'0', 1",
            &format!("is \"0\" while room_id_type is 1: {ROOM}"),
        ),
        (
            "room_id, room_id_type",
            "'007', 1",
            &format!("is \"007\" while room_id_type is 1: {ROOM}"),
        ),
        (
            "room_id, room_id_type",
            "'-1', 1",
            &format!("is \"-1\" while room_id_type is 1: {ROOM}"),
        ),
        (
            "room_id, room_id_type",
            "'2147483648', 1",
            &format!("is \"2147483648\" while room_id_type is 1: {ROOM}"),
        ),
        (
            "room_id, room_id_type",
            "'99999999999999999999', 1",
            &format!("is \"99999999999999999999\" while room_id_type is 1: {ROOM}"),
        ),
        (
            "room_id, room_id_type",
            "'', 1",
            &format!("is \"\" while room_id_type is 1: {ROOM}"),
        ),
        ("ring_timeout_ms", "9999", &format!("is 9999: {ranges}")),
        ("ring_timeout_ms", "600001", &format!("is 600001: {ranges}")),
        (
            "ring_timeout_ms",
            "45000000000",
            &format!("is 45000000000: {ranges}"),
        ),
        ("ring_timeout_ms", "NULL", &format!("is NULL: {ranges}")),
        (
            "user_data",
            "repeat('u', 1001)",
            "is 1001 bytes long: it must be at most 1000 bytes",
        ),
        (
            "user_data",
            "repeat('€', 334)",
            "is 1002 bytes long: it must be at most 1000 bytes",
        ),
        (
            "run_at",
            "'infinity'",
            "is infinity: it must be a point in time before the year 10000",
        ),
        (
            "run_at",
            "'-infinity'",
            "is -infinity: it must be a point in time before the year 10000",
        ),
        (
            "run_at",
            "NULL",
            "is NULL: it must be a point in time before the year 10000",
        ),
        (
            "run_at",
            "to_timestamp(1760000000000)",
            "is 57742-03-07 08:53:20+00: it must be a point in time before the year 10000",
        ),
        ("ttl", "'0'", &format!("is 00:00:00: {TTL}")),
        ("ttl", "'-1 second'", &format!("is -00:00:01: {TTL}")),
        ("ttl", "'200000 years'", &format!("is 200000 years: {TTL}")),
        (
            "expires_at, run_at",
            "'2030-01-01 00:00+00', '2030-01-01 00:00+00'",
            "is 2030-01-01 00:00:00+00: it must be after run_at, which is 2030-01-01 00:00:00+00",
        ),
        (
            "expires_at, run_at",
            "'-infinity', '2030-01-01 00:00+00'",
            "is -infinity: it must be after run_at, which is 2030-01-01 00:00:00+00",
        ),
        (
            "expires_at",
            "'11000-01-01 00:00+00'",
            "is 11000-01-01 00:00:00+00: it must be before the year 10100, or infinity",
        ),
        (
            "expires_at, ttl",
            "now() + interval '1 day', '5 minutes'",
            "is given together with another ttl: give ttl or expires_at, not both",
        ),
        (
            "expires_at, ttl",
            "'infinity', '5 minutes'",
            "is given together with another ttl: give ttl or expires_at, not both",
        ),
        (
            "priority",
            "4",
            "is 4: it must be from 0 (most urgent) to 3",
        ),
        (
            "priority",
            "-1",
            "is -1: it must be from 0 (most urgent) to 3",
        ),
        (
            "priority",
            "32768",
            "is 32768: it must be from 0 (most urgent) to 3",
        ),
        (
            "priority",
            "NULL",
            "is NULL: it must be from 0 (most urgent) to 3",
        ),
        ("max_attempts", "0", "is 0: it must be from 1 to 100"),
        ("max_attempts", "101", "is 101: it must be from 1 to 100"),
        ("max_attempts", "NULL", "is NULL: it must be from 1 to 100"),
        (
            "on_doubt",
            "'Retry'",
            "is \"Retry\": it must be hold, reconcile or retry",
        ),
        (
            "on_doubt",
            "NULL",
            "is NULL: it must be hold, reconcile or retry",
        ),
        ("retry_callees", "NULL", "is NULL: it must be true or false"),
        (
            "idempotency_key",
            "''",
            "is empty: it must be 1 to 255 bytes, or NULL",
        ),
        (
            "idempotency_key",
            "repeat('k', 256)",
            "is 256 bytes long: it must be 1 to 255 bytes, or NULL",
        ),
        (
            "metadata",
            "NULL",
            "is NULL: it must be a JSON object of at most 8192 bytes",
        ),
        (
            "metadata",
            "'[1]'",
            "is an array: it must be a JSON object of at most 8192 bytes",
        ),
        (
            "metadata",
            "'null'",
            "is null: it must be a JSON object of at most 8192 bytes",
        ),
        (
            "metadata",
            "jsonb_build_object('k', repeat('m', 8184))",
            "is 8193 bytes long: it must be at most 8192 bytes",
        ),
        (
            "offline_push",
            "'\"ward-7-bed-2\"'",
            "is a string of 12 bytes: it must be an object",
        ),
        ("offline_push", "'null'", "is null: it must be an object"),
        ("state", "'placed'", OWN),
        ("state", "NULL", OWN),
        ("reason", "'x'", OWN),
        ("attempt", "1", OWN),
        ("attempts_used", "NULL", OWN),
        ("created_at", "NULL", OWN),
        ("inserted_by", "NULL", OWN),
        ("claim_token", "gen_random_uuid()", OWN),
        ("placed_at", "now()", OWN),
        ("finished_at", "now()", OWN),
        ("ring_no", "2", OWN),
        ("ring_no", "NULL", OWN),
    ];
    assert!(cases.len() >= 40);
    let database = Database::new().await;
    let pool = database.pool();
    run(pool, "SET TimeZone = 'UTC'").await;
    for (columns, values, said) in cases {
        let sql = insert(columns, values);
        let column = columns.split(',').next().unwrap();
        let in_utc = format!("SET TimeZone = 'UTC'; {sql}");
        let error = refusal(pool, &in_utc).await;
        assert_says(&error, column, &format!("{column} {said}"), &sql);
    }
    let rows = value(pool, "SELECT count(*)::text FROM callq.jobs").await;
    assert_eq!(rows, "0", "nothing was inserted");
}

#[tokio::test]
async fn a_wrong_key_of_a_push_is_named_by_its_path_and_its_text_is_not_shown() {
    let cases = [
        (
            r#"{"Title": ["ward-7-bed-2"]}"#,
            "offline_push.Title is an array: it must be a string",
        ),
        (
            r#"{"PushFlag": 2}"#,
            "offline_push.PushFlag is 2: it must be 0 or 1",
        ),
        (
            r#"{"AndroidInfo": {"OPPONotifyLevel": 16}}"#,
            "offline_push.AndroidInfo.OPPONotifyLevel stands alone: it must be given together with offline_push.AndroidInfo.OPPOCategory",
        ),
        (
            r#"{"AndroidInfo": {"HuaWeiImage": "http://ward-7-bed-2"}}"#,
            "offline_push.AndroidInfo.HuaWeiImage is another text: it must be a string that begins with https://",
        ),
        (
            r#"{"ApnsInfo": {"InterruptionLevel": "call ward-7-bed-2"}}"#,
            "offline_push.ApnsInfo.InterruptionLevel is a string of 17 bytes: it must be \"active\", \"critical\", \"passive\" or \"time-sensitive\"",
        ),
        (
            r#"{"ApnsInfo": {"LiveActivity": {"Event": "end", "ContentState": {}}}}"#,
            "offline_push.ApnsInfo.LiveActivity.LaId is missing: it must be a string of 1 to 64 bytes",
        ),
        (
            r#"{"MultiLanguageContent": [{}, "ward-7-bed-2"]}"#,
            "offline_push.MultiLanguageContent[1] is a string of 12 bytes: it must be an object",
        ),
    ];
    let database = Database::new().await;
    for (push, said) in cases {
        let sql = insert("offline_push", &format!("'{push}'"));
        let error = refusal(database.pool(), &sql).await;
        assert_says(&error, "offline_push", said, &sql);
    }
    let long = insert(
        "offline_push",
        "jsonb_build_object('Desc', repeat('d', 72), 'Ext', repeat('e', 3000))",
    );
    let error = refusal(database.pool(), &long).await;
    let said = "offline_push.Desc with offline_push.Ext is 3072 bytes long: it must be less than 3072 bytes together";
    assert_says(&error, "offline_push", said, &long);
}

#[tokio::test]
async fn the_edges_of_every_range_are_accepted() {
    let database = Database::new().await;
    let pool = database.pool();
    for (columns, values) in [
        ("app", "repeat('a', 64)"),
        ("robot_account", "repeat('b', 32)"),
        ("robot_account", "repeat('é', 16)"),
        ("callees", "ARRAY[repeat('€', 10) || 'é']"),
        (
            "callees",
            "ARRAY(SELECT 'c' || i FROM generate_series(1, 100) AS i)",
        ),
        ("callees", "'[0:1]={jack,ann}'"),
        ("media_type", "'Video'"),
        ("room_id, room_id_type", "'1', 1"),
        ("room_id, room_id_type", "'2147483647', 1"),
        ("room_id", "repeat('r', 64)"),
        ("room_id", "' !#$%&()+-:;<=.>?@[]^_{}|~,azAZ09'"),
        ("ring_timeout_ms", "10000"),
        ("ring_timeout_ms", "600000"),
        ("user_data", "NULL"),
        ("user_data", "''"),
        ("user_data", "repeat('u', 1000)"),
        ("user_data", "repeat('€', 333) || 'u'"),
        ("offline_push", "NULL"),
        ("offline_push", "'{}'"),
        (
            "offline_push",
            "jsonb_build_object('Desc', repeat('d', 71), 'Ext', repeat('e', 3000))",
        ),
        ("run_at", "'9999-12-31 23:59:59+00'"),
        ("run_at", "'4714-11-24 00:00+00 BC'"),
        ("ttl", "'1 microsecond'"),
        ("ttl", "'100 years'"),
        ("ttl", "NULL"),
        ("expires_at", "'infinity'"),
        ("expires_at", "NULL"),
        ("ttl, expires_at", "NULL, now() + interval '1 day'"),
        ("ttl, expires_at", "'24 hours', now() + interval '24 hours'"),
        ("priority", "0"),
        ("priority", "3"),
        ("max_attempts", "1"),
        ("max_attempts", "100"),
        ("on_doubt", "'hold'"),
        ("on_doubt", "'retry'"),
        ("retry_callees", "true"),
        ("idempotency_key", "repeat('k', 255)"),
        ("idempotency_key", "NULL"),
        ("metadata", "jsonb_build_object('k', repeat('m', 8183))"),
    ] {
        run(pool, &insert(columns, values)).await;
    }
    let wrong = "SELECT count(*)::text FROM callq.jobs
        WHERE state <> 'scheduled' OR due_at <> run_at OR inserted_by <> session_user OR expires_at <= run_at
           OR (isfinite(expires_at) AND (run_at AT TIME ZONE 'UTC' + ttl) AT TIME ZONE 'UTC' IS DISTINCT FROM expires_at)
           OR (NOT isfinite(expires_at) AND ttl IS NOT NULL)";
    assert_eq!(value(pool, wrong).await, "0");
}

#[tokio::test]
async fn the_shortest_insert_rings_now_and_for_an_hour() {
    let database = Database::new().await;
    let pool = database.pool();
    let got = value(
        pool,
        "INSERT INTO callq.jobs (robot_account, callees) VALUES ('bot', '{jack}')
         RETURNING (run_at = now() AND due_at = now() AND expires_at = now() + interval '1 hour' AND app = 'default'
            AND media_type = 'Audio' AND room_id_type = 2 AND ring_timeout_ms = 45000 AND priority = 1
            AND max_attempts = 5 AND on_doubt = 'reconcile' AND NOT retry_callees AND metadata = '{}')::text",
    );
    assert_eq!(got.await, "true");
}

#[tokio::test]
async fn a_run_at_in_the_past_rings_until_its_deadline() {
    let database = Database::new().await;
    let got = value(
        database.pool(),
        "INSERT INTO callq.jobs (robot_account, callees, run_at) VALUES ('bot', '{jack}', now() - interval '59 minutes')
         RETURNING concat_ws(' ', state, due_at = run_at, expires_at - now())",
    );
    assert_eq!(got.await, "scheduled t 00:01:00");
}

#[tokio::test]
async fn moving_run_at_moves_what_is_due_and_the_deadline() {
    let database = Database::new().await;
    let pool = database.pool();
    run(
        pool,
        "INSERT INTO callq.jobs (robot_account, callees, run_at, ttl, expires_at) VALUES
            ('bot', '{a}', '2030-01-01 09:00+00', '10 minutes', NULL),
            ('bot', '{b}', '2030-01-01 09:00+00', NULL, '2030-01-01 09:30+00'),
            ('bot', '{c}', '2030-01-01 09:00+00', NULL, 'infinity');
         SET TimeZone = 'UTC'",
    )
    .await;
    let now_is = "SELECT string_agg(concat_ws(' ', to_char(due_at AT TIME ZONE 'UTC', 'HH24:MI'),
            CASE WHEN isfinite(expires_at) THEN to_char(expires_at AT TIME ZONE 'UTC', 'HH24:MI') ELSE 'never' END,
            coalesce(ttl::text, 'NULL')), '; ' ORDER BY id) FROM callq.jobs";
    run(
        pool,
        "UPDATE callq.jobs SET run_at = run_at + interval '2 hours'",
    )
    .await;
    assert_eq!(
        value(pool, now_is).await,
        "11:00 11:10 00:10:00; 11:00 11:30 00:30:00; 11:00 never NULL"
    );
    run(pool, "UPDATE callq.jobs SET ttl = '5 minutes'").await;
    assert_eq!(
        value(pool, now_is).await,
        "11:00 11:05 00:05:00; 11:00 11:05 00:05:00; 11:00 11:05 00:05:00"
    );
    run(pool, "UPDATE callq.jobs SET expires_at = '2030-01-01 12:00+00' WHERE id = 1;
        UPDATE callq.jobs SET expires_at = 'infinity' WHERE id = 2;
        UPDATE callq.jobs SET run_at = '2030-01-01 10:00+00', expires_at = '2030-01-01 10:20+00' WHERE id = 3").await;
    assert_eq!(
        value(pool, now_is).await,
        "11:00 12:00 01:00:00; 11:00 never NULL; 10:00 10:20 00:20:00"
    );
    let both =
        "UPDATE callq.jobs SET ttl = '1 minute', expires_at = '2030-01-01 13:00+00' WHERE id = 1";
    let error = refusal(pool, both).await;
    assert_says(
        &error,
        "expires_at",
        "expires_at is given together with another ttl: give ttl or expires_at, not both",
        both,
    );
}

#[tokio::test]
async fn a_deadline_does_not_depend_on_the_time_zone_of_the_session() {
    let database = Database::new().await;
    let mut session = PgConnection::connect(database.url()).await.unwrap();
    // In Berlin 2026-03-29 has 23 hours and 2026-10-25 has 25.
    for zone in [
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
    ] {
        let sql = format!(
            "SET TimeZone = '{zone}';
             INSERT INTO callq.jobs (robot_account, callees, run_at, ttl, app) VALUES
                ('bot', '{{a}}', '2026-03-28 22:00+00', '1 day', '{zone}'),
                ('bot', '{{a}}', '2026-10-24 22:00+00', '1 day', '{zone}');
             UPDATE callq.jobs SET run_at = run_at + interval '1 hour' WHERE app = '{zone}'"
        );
        let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut session);
        done.await.unwrap();
    }
    let spans = value(
        database.pool(),
        "SELECT string_agg(DISTINCT concat_ws(' ', extract(epoch FROM expires_at - run_at)::int, ttl), '; ') FROM callq.jobs",
    );
    assert_eq!(spans.await, "86400 1 day");
}

#[tokio::test]
async fn a_wrong_update_is_refused_as_a_wrong_insert_is() {
    let database = Database::new().await;
    let pool = database.pool();
    run(pool, &insert("app", "'default'")).await;
    for (set, column, said) in [
        (
            "priority = 9",
            "priority",
            "priority is 9: it must be from 0 (most urgent) to 3",
        ),
        (
            "robot_account = NULL",
            "robot_account",
            "robot_account is NULL: it must be 1 to 32 bytes",
        ),
        (
            "callees = '{}'",
            "callees",
            "callees has 0 accounts: it must have 1 to 100",
        ),
        (
            "run_at = NULL",
            "run_at",
            "run_at is NULL: it must be a point in time before the year 10000",
        ),
        (
            "expires_at = '-infinity'::timestamptz",
            "expires_at",
            "expires_at is -infinity: it must be after run_at, which is ",
        ),
        (
            "metadata = NULL",
            "metadata",
            "metadata is NULL: it must be a JSON object of at most 8192 bytes",
        ),
        (
            "offline_push = '7'",
            "offline_push",
            "offline_push is 7: it must be an object",
        ),
    ] {
        let sql = format!("UPDATE callq.jobs SET {set}");
        let error = refusal(pool, &sql).await;
        let message = error.message().to_owned();
        assert!(message.starts_with(said), "{sql}: {message}");
        assert_says(&error, column, &message, &sql);
    }
    let unchanged = "SELECT concat_ws(' ', priority, robot_account, callees) FROM callq.jobs";
    assert_eq!(value(pool, unchanged).await, "1 bot {jack}");
}

#[tokio::test]
async fn a_job_that_is_not_scheduled_keeps_what_the_user_gave() {
    let database = Database::new().await;
    let pool = database.pool();
    run(pool, &insert("app", "'default'")).await;
    for (set, state, hint) in [
        (
            "state = 'dialing', attempt = 1, claim_token = gen_random_uuid(), lease_until = now()",
            "dialing",
            "SELECT callq.cancel(1) asks for it not to ring again.",
        ),
        (
            "state = 'in_doubt'",
            "in_doubt",
            "SELECT callq.cancel(1) asks for it not to ring again.",
        ),
        (
            "state = 'placed', placed_at = now(), finished_at = now(), reason = 'accepted'",
            "placed",
            "Insert a new job.",
        ),
    ] {
        run(pool, &format!("UPDATE callq.jobs SET {set}")).await;
        for column in [
            "run_at = now()",
            "priority = 0",
            "callees = '{ann}'",
            "user_data = NULL",
            "expires_at = 'infinity'",
            "metadata = '{}'",
        ] {
            let error = refusal(pool, &format!("UPDATE callq.jobs SET {column}")).await;
            assert_eq!(
                error.message(),
                format!("job 1 is {state}: it can be changed only while it is scheduled")
            );
            assert_eq!(error.hint(), Some(hint));
            assert!(!format!("{error:?}").contains(SECRET));
        }
    }
}

#[tokio::test]
async fn an_attempted_job_that_waits_keeps_whom_it_calls_and_may_still_be_moved() {
    let database = Database::new().await;
    let pool = database.pool();
    run(pool, &insert("app", "'default'")).await;
    run(pool, "UPDATE callq.jobs SET attempt = 1").await;
    let error = refusal(pool, "UPDATE callq.jobs SET callees = '{ann}'").await;
    assert_eq!(
        error.message(),
        "job 1 has been attempted: who is called, by whom and where cannot be changed any more"
    );
    run(
        pool,
        "UPDATE callq.jobs SET run_at = '2030-01-01 09:00+00', priority = 0",
    )
    .await;
    let moved = "SELECT concat_ws(' ', due_at = run_at, priority) FROM callq.jobs";
    assert_eq!(value(pool, moved).await, "t 0");
}

/// Collects what sqlx logs, which is where it hands notices over.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn more_than_eight_callees_bring_a_notice_and_are_accepted() {
    let database = Database::new().await;
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter("sqlx::postgres::notice=info")
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    for callees in [8, 9] {
        let callees = format!("ARRAY(SELECT 'c' || i FROM generate_series(1, {callees}) AS i)");
        run(database.pool(), &insert("callees", &callees)).await;
    }
    run(database.pool(), "UPDATE callq.jobs SET priority = 0").await;
    let said = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let notice =
        "callees has 9 accounts: Tencent's own user interface shows calls of up to 9 people";
    assert_eq!(said.matches("accounts").count(), 1, "{said}");
    assert!(said.contains(notice), "{said}");
}

#[tokio::test]
async fn a_used_idempotency_key_is_refused_or_silent_as_asked() {
    let database = Database::new().await;
    let pool = database.pool();
    let job = insert("idempotency_key", "'k'");
    run(pool, &job).await;
    let error = refusal(pool, &job).await;
    assert_eq!(error.code(), "23505");
    assert_eq!(
        error.constraint(),
        Some("jobs_idempotency_key_is_unique_per_app")
    );
    assert_eq!(
        error.detail(),
        Some("Key (idempotency_key, app)=(k, default) already exists.")
    );
    run(
        pool,
        &format!("{job} ON CONFLICT (app, idempotency_key) DO NOTHING"),
    )
    .await;
    run(pool, &insert("idempotency_key, app", "'k', 'other'")).await;
    assert_eq!(
        value(pool, "SELECT count(*)::text FROM callq.jobs").await,
        "2"
    );
}
