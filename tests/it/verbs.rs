//! What is more than an INSERT: the functions that people and programs call in SQL.

use sqlx::postgres::{PgDatabaseError, PgListener};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool};

use crate::support::{Database, look_again};

async fn run(pool: &PgPool, sql: &str) {
    let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(pool);
    done.await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// The one value that `sql` answers with, as text.
async fn value(pool: &PgPool, sql: &str) -> String {
    let text = format!("SELECT ({sql})::text");
    let value = sqlx::query_scalar::<_, Option<String>>(AssertSqlSafe(text));
    let value = value.fetch_one(pool).await;
    let value = value.unwrap_or_else(|error| panic!("{sql}: {error}"));
    value.unwrap_or_else(|| "NULL".to_owned())
}

/// What the database says when it refuses `sql`: message and hint.
async fn refusal(pool: &PgPool, sql: &str) -> (String, String) {
    let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(pool);
    let Err(sqlx::Error::Database(error)) = done.await else {
        panic!("{sql} was not refused");
    };
    let error = error.downcast::<PgDatabaseError>();
    (
        error.message().to_owned(),
        error.hint().unwrap_or_default().to_owned(),
    )
}

/// A job in `state`, as the worker would leave it. Returns its id.
async fn job_in(pool: &PgPool, state: &str) -> String {
    let insert = "INSERT INTO callq.jobs (robot_account, callees) VALUES ('bot', '{jack}') RETURNING id::text";
    let id: String = sqlx::query_scalar(insert).fetch_one(pool).await.unwrap();
    let set = match state {
        "scheduled" => return id,
        "tried" => "attempt = 1",
        "dialing" | "in_doubt" => {
            "attempt = 1, claim_token = gen_random_uuid(), lease_until = now() + interval '1 minute'"
        }
        "placed" | "completed" => "attempt = 1, placed_at = now(), finished_at = now()",
        _ => "attempt = 1, finished_at = now(), reason = 'refused'",
    };
    let state = if state == "tried" { "scheduled" } else { state };
    let update = format!("UPDATE callq.jobs SET state = '{state}', {set} WHERE id = {id}");
    run(pool, &update).await;
    id
}

/// Waits until a session waits for a lock of another.
async fn until_somebody_waits(pool: &PgPool) {
    let waiting = "EXISTS (SELECT FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock')";
    while value(pool, waiting).await != "true" {
        look_again().await;
    }
}

#[tokio::test]
async fn enqueue_inserts_and_says_so() {
    let database = Database::new().await;
    let pool = database.pool();
    let got = value(pool, "SELECT e FROM callq.enqueue('bot', '{jack}') AS e").await;
    assert_eq!(got, "(1,t)");
    let all = "SELECT e FROM callq.enqueue('bot', '{jack}', now() + interval '1 day', app => 'a', media_type => 'Video',
        room_id => '7', room_id_type => 1, ring_timeout_ms => 10000, user_data => 'u', offline_push => '{\"Title\": \"t\"}',
        ttl => '5 minutes', priority => 0, max_attempts => 1, on_doubt => 'retry', retry_callees => true,
        idempotency_key => 'k', metadata => '{\"m\": 1}') AS e";
    assert_eq!(value(pool, all).await, "(2,t)");
    let same = "SELECT (app, media_type, room_id, room_id_type, ring_timeout_ms, user_data, offline_push, ttl, priority,
        max_attempts, on_doubt, retry_callees, idempotency_key, metadata, expires_at - run_at) = ('a', 'Video', '7', 1, 10000,
        'u', '{\"Title\": \"t\"}', interval '5 minutes', 0, 1, 'retry', true, 'k', '{\"m\": 1}', interval '5 minutes')
        FROM callq.jobs WHERE id = 2";
    assert_eq!(value(pool, same).await, "true");
}

#[tokio::test]
async fn enqueue_with_a_used_key_returns_the_earlier_job() {
    let database = Database::new().await;
    let pool = database.pool();
    let again = "SELECT e FROM callq.enqueue('bot', '{jack}', idempotency_key => 'k') AS e";
    assert_eq!(value(pool, again).await, "(1,t)");
    assert_eq!(value(pool, again).await, "(1,f)");
    let other = "SELECT inserted FROM callq.enqueue('bot', '{jack}', app => 'other', idempotency_key => 'k')";
    assert_eq!(value(pool, other).await, "true");
}

#[tokio::test]
async fn enqueue_keeps_the_rules_of_an_insert_and_takes_a_deadline_for_a_ttl() {
    let database = Database::new().await;
    let pool = database.pool();
    let (said, _) = refusal(pool, "SELECT callq.enqueue('bot', '{jack}', priority => 9)").await;
    assert_eq!(said, "priority is 9: it must be from 0 (most urgent) to 3");
    run(
        pool,
        "SELECT callq.enqueue('bot', '{jack}', expires_at => now() + interval '2 days')",
    )
    .await;
    run(
        pool,
        "SELECT callq.enqueue('bot', '{jack}', expires_at => 'infinity')",
    )
    .await;
    let ttls = "SELECT string_agg(coalesce(ttl::text, 'NULL'), ' ' ORDER BY id) FROM callq.jobs";
    assert_eq!(value(pool, ttls).await, "2 days NULL");
}

#[tokio::test]
async fn of_two_sessions_with_one_key_the_second_waits_for_what_the_first_decides() {
    let database = Database::new().await;
    let pool = database.pool();
    for (end, key, inserted) in [("COMMIT", "a", "false"), ("ROLLBACK", "b", "true")] {
        let mut first = PgConnection::connect(database.url()).await.unwrap();
        let enqueue = format!("callq.enqueue('bot', '{{jack}}', idempotency_key => '{key}')");
        let begin = format!("BEGIN; SELECT {enqueue}");
        let done = sqlx::raw_sql(AssertSqlSafe(begin)).execute(&mut first);
        done.await.unwrap();
        let other = pool.clone();
        let second =
            tokio::spawn(
                async move { value(&other, &format!("SELECT inserted FROM {enqueue}")).await },
            );
        until_somebody_waits(pool).await;
        sqlx::raw_sql(end).execute(&mut first).await.unwrap();
        assert_eq!(second.await.unwrap(), inserted, "{end}");
    }
    let jobs = "SELECT count(*) FROM callq.jobs";
    assert_eq!(value(pool, jobs).await, "2");
}

#[tokio::test]
async fn cancel_answers_with_a_word_in_every_state() {
    let database = Database::new().await;
    let pool = database.pool();
    for (state, word, then) in [
        ("scheduled", "cancelled", "cancelled cancelled_by_user f"),
        ("tried", "cancelled", "cancelled cancelled_by_user f"),
        ("dialing", "requested", "dialing t"),
        ("in_doubt", "requested", "in_doubt t"),
        ("placed", "too_late", "placed f"),
        ("completed", "too_late", "completed f"),
        ("failed", "failed", "failed refused f"),
        ("expired", "expired", "expired refused f"),
        ("cancelled", "cancelled", "cancelled refused f"),
        ("unresolved", "unresolved", "unresolved refused f"),
    ] {
        let id = job_in(pool, state).await;
        let answer = value(pool, &format!("SELECT callq.cancel({id})")).await;
        assert_eq!(answer, word, "{state}");
        let now = "concat_ws(' ', state, reason, cancel_requested_at IS NOT NULL)";
        let now = value(
            pool,
            &format!("SELECT {now} FROM callq.jobs WHERE id = {id}"),
        )
        .await;
        assert_eq!(now, then, "{state}");
    }
    let (said, _) = refusal(pool, "SELECT callq.cancel(4711)").await;
    assert_eq!(said, "there is no job 4711");
    let (said, _) = refusal(pool, "SELECT callq.cancel(NULL)").await;
    assert_eq!(said, "there is no job NULL");
}

#[tokio::test]
async fn a_second_cancel_keeps_the_time_of_the_first() {
    let database = Database::new().await;
    let pool = database.pool();
    let id = job_in(pool, "dialing").await;
    let asked = format!("SELECT cancel_requested_at FROM callq.jobs WHERE id = {id}");
    run(pool, &format!("SELECT callq.cancel({id})")).await;
    let first = value(pool, &asked).await;
    run(pool, &format!("SELECT callq.cancel({id})")).await;
    assert_eq!(value(pool, &asked).await, first);
}

#[tokio::test]
async fn retry_refuses_what_may_have_rung_and_what_was_never_tried() {
    let database = Database::new().await;
    let pool = database.pool();
    let by_hand =
        "If you know what became of it: SELECT callq.resolve(ID, 'placed' | 'retry' | 'failed').";
    for (state, hint) in [
        ("dialing", "Wait for its reply."),
        ("in_doubt", by_hand),
        ("unresolved", by_hand),
        ("placed", "To ring again on purpose, insert a new job."),
        ("completed", "To ring again on purpose, insert a new job."),
    ] {
        let id = job_in(pool, state).await;
        let (said, why) = refusal(pool, &format!("SELECT callq.retry({id})")).await;
        assert_eq!(
            said,
            format!("job {id} is {state}: retrying it could ring a phone twice")
        );
        assert_eq!(why, hint.replace("ID", &id));
        let now = value(
            pool,
            &format!("SELECT state FROM callq.jobs WHERE id = {id}"),
        )
        .await;
        assert_eq!(now, state);
    }
    let id = job_in(pool, "scheduled").await;
    let (said, hint) = refusal(pool, &format!("SELECT callq.retry({id})")).await;
    assert!(
        said.starts_with(&format!(
            "job {id} has not been tried yet: it is scheduled for "
        )),
        "{said}"
    );
    assert_eq!(hint, "To ring sooner, UPDATE its run_at.");
    let (said, _) = refusal(pool, &format!("SELECT callq.retry({id}, '-1 hour')")).await;
    assert_eq!(
        said,
        "ttl is -01:00:00: it must be longer than zero and at most 100 years"
    );
}

#[tokio::test]
async fn retry_makes_a_job_due_now_with_all_its_attempts() {
    let database = Database::new().await;
    let pool = database.pool();
    for state in ["failed", "expired", "cancelled", "tried"] {
        let id = job_in(pool, state).await;
        let spent =
            "attempts_used = 5, cancel_requested_at = now(), due_at = now() + interval '1 minute'";
        run(
            pool,
            &format!("UPDATE callq.jobs SET {spent} WHERE id = {id}"),
        )
        .await;
        assert_eq!(
            value(pool, &format!("SELECT callq.retry({id})")).await,
            "scheduled"
        );
        let now = "concat_ws(' ', state, reason, attempt, attempts_used, due_at <= now(), num_nonnulls(cancel_requested_at, lease_until, finished_at), expires_at - run_at)";
        let now = value(
            pool,
            &format!("SELECT {now} FROM callq.jobs WHERE id = {id}"),
        )
        .await;
        assert_eq!(
            now, "scheduled retried_by_person 1 0 t 0 01:00:00",
            "{state}"
        );
    }
}

#[tokio::test]
async fn retry_gives_a_new_deadline_that_does_not_grow_with_each_retry() {
    let database = Database::new().await;
    let pool = database.pool();
    run(
        pool,
        "INSERT INTO callq.jobs (robot_account, callees, run_at, ttl) VALUES ('bot', '{jack}', now() - interval '3 days', '10 minutes')",
    )
    .await;
    // Statements of one transaction share their now().
    let fail = "UPDATE callq.jobs SET state = 'failed', attempt = attempt + 1, finished_at = now(), reason = 'refused', expires_at = now()
        FROM (SELECT set_config('session_replication_role', 'replica', true)) AS no_triggers";
    for (retry, left) in [
        ("callq.retry(1)", "00:10:00"),
        ("callq.retry(1)", "00:10:00"),
        ("callq.retry(1, '1 hour')", "01:00:00"),
        ("callq.retry(1)", "00:10:00"),
    ] {
        let mut session = pool.begin().await.unwrap();
        sqlx::raw_sql(fail).execute(&mut *session).await.unwrap();
        let restore = "SET LOCAL session_replication_role = DEFAULT";
        sqlx::raw_sql(restore).execute(&mut *session).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(format!("SELECT {retry}")))
            .execute(&mut *session)
            .await
            .unwrap();
        let got = "SELECT concat_ws(' ', expires_at - now(), ttl) FROM callq.jobs";
        let got: String = sqlx::query_scalar(got)
            .fetch_one(&mut *session)
            .await
            .unwrap();
        assert_eq!(got, format!("{left} 00:10:00"), "{retry}");
        session.commit().await.unwrap();
    }
    run(pool, "UPDATE callq.jobs SET run_at = '2030-01-01 09:00+00'").await;
    let deadline = "SELECT expires_at = '2030-01-01 09:10+00' FROM callq.jobs";
    assert_eq!(
        value(pool, deadline).await,
        "true",
        "a moved run_at has the user's ttl again"
    );
}

#[tokio::test]
async fn retry_of_a_job_cancelled_before_its_time_waits_for_that_time() {
    let database = Database::new().await;
    let pool = database.pool();
    run(
        pool,
        "INSERT INTO callq.jobs (robot_account, callees, run_at) VALUES ('bot', '{jack}', '2030-01-01 09:00+00');
         SELECT callq.cancel(1); SELECT callq.retry(1)",
    )
    .await;
    let now = "SELECT state = 'scheduled' AND due_at = run_at AND expires_at = '2030-01-01 10:00+00' FROM callq.jobs";
    assert_eq!(value(pool, now).await, "true");
}

#[tokio::test]
async fn resolve_takes_each_verdict() {
    let database = Database::new().await;
    let pool = database.pool();
    for state in ["in_doubt", "unresolved"] {
        for (arguments, then) in [
            (
                "'placed', 'she called back', 'call-7'",
                "placed resolved_placed call-7 t t",
            ),
            ("'placed'", "placed resolved_placed t t"),
            ("'retry'", "scheduled retried_by_person f f"),
            ("'failed'", "failed resolved_failed f t"),
        ] {
            let id = job_in(pool, state).await;
            let answer = value(pool, &format!("SELECT callq.resolve({id}, {arguments})")).await;
            assert_eq!(then.split(' ').next(), Some(&*answer));
            let now = "concat_ws(' ', state, reason, call_id, placed_at IS NOT NULL, finished_at IS NOT NULL)";
            let now = value(
                pool,
                &format!("SELECT {now} FROM callq.jobs WHERE id = {id}"),
            )
            .await;
            assert_eq!(now, then, "{state} {arguments}");
        }
    }
    let note = "SELECT reason_detail = 'by ' || session_user || ': she called back' FROM callq.jobs WHERE id = 1";
    assert_eq!(value(pool, note).await, "true");
}

#[tokio::test]
async fn resolve_heeds_a_cancel_that_was_asked_for() {
    let database = Database::new().await;
    let pool = database.pool();
    for (verdict, then) in [("failed", "cancelled"), ("placed", "placed")] {
        let id = job_in(pool, "in_doubt").await;
        run(pool, &format!("SELECT callq.cancel({id})")).await;
        let (said, hint) = refusal(pool, &format!("SELECT callq.resolve({id}, 'retry')")).await;
        assert!(
            said.starts_with(&format!(
                "job {id} cannot ring again: a cancel was asked for at "
            )),
            "{said}"
        );
        assert_eq!(hint, "Resolve it as failed, which cancels it.");
        let answer = value(pool, &format!("SELECT callq.resolve({id}, '{verdict}')")).await;
        assert_eq!(answer, then);
    }
}

#[tokio::test]
async fn resolve_refuses_other_states_other_words_and_a_deadline_that_has_passed() {
    let database = Database::new().await;
    let pool = database.pool();
    for state in [
        "scheduled",
        "dialing",
        "placed",
        "completed",
        "failed",
        "expired",
        "cancelled",
    ] {
        let id = job_in(pool, state).await;
        let (said, _) = refusal(pool, &format!("SELECT callq.resolve({id}, 'placed')")).await;
        assert_eq!(
            said,
            format!(
                "job {id} is {state}: only a job that is in_doubt or unresolved can be resolved"
            )
        );
    }
    let id = job_in(pool, "in_doubt").await;
    for (word, shown) in [("'ok'", "\"ok\""), ("NULL", "NULL")] {
        let (said, _) = refusal(pool, &format!("SELECT callq.resolve({id}, {word})")).await;
        assert!(said.starts_with(&format!("verdict is {shown}: it must be placed (the phone rang), retry (ring again) or failed")), "{said}");
    }
    let late = "INSERT INTO callq.jobs (robot_account, callees, run_at) VALUES ('bot', '{jack}', now() - interval '2 hours');
        UPDATE callq.jobs SET state = 'in_doubt', attempt = 1, lease_until = now() WHERE run_at < now() - interval '1 hour'";
    run(pool, late).await;
    let id = value(pool, "SELECT max(id) FROM callq.jobs").await;
    let (said, hint) = refusal(pool, &format!("SELECT callq.resolve({id}, 'retry')")).await;
    assert!(
        said.starts_with(&format!("job {id} cannot ring again: its deadline was ")),
        "{said}"
    );
    assert_eq!(hint, "Resolve it as failed and insert a new job.");
}

#[tokio::test]
async fn a_pause_keeps_its_beginning_and_takes_the_newest_reason() {
    let database = Database::new().await;
    let pool = database.pool();
    assert_eq!(
        value(pool, "SELECT callq.resume_app('default')").await,
        "false"
    );
    run(pool, "SELECT callq.pause_app('default', 'a flood')").await;
    let state =
        "SELECT concat_ws(' ', paused_at, pause_reason, paused_by = session_user) FROM callq.apps";
    let first = value(pool, state).await;
    assert!(first.ends_with("a flood t"), "{first}");
    run(pool, "SELECT callq.pause_app('default', NULL)").await;
    assert_eq!(
        value(pool, state).await,
        first.replace("a flood", "no reason given")
    );
    assert_eq!(
        value(pool, "SELECT callq.resume_app('default')").await,
        "true"
    );
    assert_eq!(
        value(
            pool,
            "SELECT num_nonnulls(paused_at, pause_reason, paused_by) FROM callq.apps"
        )
        .await,
        "0"
    );
    assert_eq!(
        value(pool, "SELECT callq.resume_app('default')").await,
        "false"
    );
}

#[tokio::test]
async fn a_persons_pause_replaces_one_that_a_fault_brought() {
    let database = Database::new().await;
    let pool = database.pool();
    run(
        pool,
        "INSERT INTO callq.apps (app, paused_at, pause_reason, pause_detail, pause_fingerprint, probe_at, probes)
         VALUES ('default', now(), 'app_fault', '60004', 'f', now(), 3);
         SELECT callq.pause_app('default', 'a flood')",
    )
    .await;
    let left = "SELECT concat_ws(' ', pause_reason, num_nonnulls(pause_detail, pause_fingerprint, probe_at), probes) FROM callq.apps";
    assert_eq!(
        value(pool, left).await,
        "a flood 0 0",
        "no worker probes it"
    );
}

#[tokio::test]
async fn a_pause_of_everything_ends_by_itself_and_leaves_the_apps_pauses() {
    let database = Database::new().await;
    let pool = database.pool();
    assert_eq!(value(pool, "SELECT callq.resume_all()").await, "false");
    run(
        pool,
        "SELECT callq.pause_app('default', 'a flood'); SELECT callq.pause_all('a fire')",
    )
    .await;
    let all = "SELECT concat_ws(' ', pause_reason, paused_by = session_user, paused_at IS NOT NULL) FROM callq.settings";
    assert_eq!(value(pool, all).await, "a fire t t");
    assert_eq!(value(pool, "SELECT callq.resume_all()").await, "true");
    assert_eq!(value(pool, all).await, "f");
    assert_eq!(
        value(pool, "SELECT pause_reason FROM callq.apps").await,
        "a flood"
    );
}

/// The channels on which something came since the last call, in order.
async fn heard(pool: &PgPool, listener: &mut PgListener) -> Vec<String> {
    // Notifications arrive in the order of commits: whatever was sent before has come before this.
    run(pool, "NOTIFY marker").await;
    let mut heard = vec![];
    loop {
        let notification = listener.recv().await.unwrap();
        if notification.channel() == "marker" {
            return heard;
        }
        heard.push(notification.channel().to_owned());
    }
}

#[tokio::test]
async fn workers_are_woken_once_per_statement_and_for_work_that_is_due_within_a_minute() {
    let database = Database::new().await;
    let pool = database.pool();
    let mut listener = PgListener::connect(database.url()).await.unwrap();
    listener
        .listen_all(["callq_jobs", "callq_pauses", "marker"])
        .await
        .unwrap();
    let insert = |run_at: &str, jobs: u32| {
        format!(
            "INSERT INTO callq.jobs (robot_account, callees, run_at, idempotency_key)
             SELECT 'bot', '{{jack}}', {run_at}, i FROM generate_series(1, {jobs}) AS i ON CONFLICT (app, idempotency_key) DO NOTHING"
        )
    };
    let far = "now() + interval '90 seconds'";
    let tried = "UPDATE callq.jobs SET attempt = 1 WHERE id = 1";
    let doubt = "UPDATE callq.jobs SET state = 'in_doubt', lease_until = now() WHERE id = 1";
    for (sql, channels) in [
        (insert(far, 100), vec![]),
        (
            "UPDATE callq.jobs SET run_at = run_at + interval '1 second'".to_owned(),
            vec![],
        ),
        ("UPDATE callq.jobs SET priority = 0".to_owned(), vec![]),
        (
            "UPDATE callq.jobs SET run_at = now() + interval '50 seconds'".to_owned(),
            vec!["callq_jobs"],
        ),
        (insert("now()", 100), vec![]),
        (
            insert("now() + interval '50 seconds'", 200),
            vec!["callq_jobs"],
        ),
        (insert("now() + i * interval '1 second'", 300), vec![]),
        (insert("now() - interval '1 day'", 301), vec!["callq_jobs"]),
        (tried.to_owned(), vec![]),
        ("SELECT callq.retry(1)".to_owned(), vec!["callq_jobs"]),
        (doubt.to_owned(), vec![]),
        (
            "SELECT callq.resolve(1, 'retry')".to_owned(),
            vec!["callq_jobs"],
        ),
        (
            "SELECT callq.pause_app('default', 'x')".to_owned(),
            vec!["callq_pauses"],
        ),
        (
            "SELECT callq.resume_app('default')".to_owned(),
            vec!["callq_pauses"],
        ),
        ("SELECT callq.resume_app('default')".to_owned(), vec![]),
        (
            "SELECT callq.pause_all('x')".to_owned(),
            vec!["callq_pauses"],
        ),
        ("SELECT callq.resume_all()".to_owned(), vec!["callq_pauses"]),
        (
            "UPDATE callq.settings SET notify = false".to_owned(),
            vec![],
        ),
        (insert("now()", 400), vec![]),
        (
            "UPDATE callq.jobs SET run_at = now() WHERE id = 2".to_owned(),
            vec![],
        ),
        (
            "SELECT callq.pause_all('x')".to_owned(),
            vec!["callq_pauses"],
        ),
    ] {
        run(pool, &sql).await;
        assert_eq!(heard(pool, &mut listener).await, channels, "{sql}");
    }
}
