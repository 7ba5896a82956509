//! `callq jobs`: `show` here, the others below.

mod change;
mod export;
mod list;
mod live;
mod watch;

use serde_json::Value;
use sqlx::AssertSqlSafe;

use crate::support::Database;
use crate::support::program::{Ended, callq, run};

/// Stands in `user_data` and in the push; must never be printed.
const PRIVATE: &str = "the-callees-own-words";

async fn show(database: &Database, arguments: &[&str]) -> Ended {
    let mut command = callq(["jobs", "show", "1"]);
    run(command.args(arguments).env("DATABASE_URL", database.url())).await
}

/// A database with one job, of which `sql` has made what it should be.
async fn with_job(sql: &str) -> Database {
    let database = Database::new().await;
    let insert = format!(
        "INSERT INTO callq.jobs (robot_account, callees, run_at, user_data, offline_push)
         VALUES ('reminder-bot', '{{jack}}', now() + interval '10 minutes', '{PRIVATE}',
             '{{\"Desc\": \"{PRIVATE}\"}}');
         {sql}"
    );
    sqlx::raw_sql(AssertSqlSafe(insert))
        .execute(database.pool())
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    database
}

/// As a worker leaves them: the job claimed, one attempt.
const CLAIMED: &str = "
    UPDATE callq.jobs SET state = 'dialing', attempt = 1, claim_token = gen_random_uuid(),
        lease_until = now() + interval '30 seconds';
    INSERT INTO callq.attempts (job_id, attempt, claim_token, app, worker, room_id, room_id_type,
        random, due_at, claimed_at)
    SELECT id, 1, claim_token, app, 'w1', 'room1', 2, 7, due_at, now() FROM callq.jobs;";

const DOUBTED: &str = "
    UPDATE callq.jobs SET state = 'in_doubt', reason = 'reply_unknown', attempts_used = 1,
        lease_until = now() + interval '6 days', reason_detail = 'no reply within 8000 ms';
    UPDATE callq.attempts SET state = 'unknown', class = 'in_doubt',
        detail = 'no reply within 8000 ms';";

/// What each state is made of, and what the text must then say.
fn states() -> Vec<(&'static str, String, Vec<&'static str>)> {
    let served = "INSERT INTO callq.apps (app, served_at) VALUES ('default', now());";
    let claimed = CLAIMED;
    let ended = |state: &str, reason: &str| {
        format!(
            "UPDATE callq.jobs SET state = '{state}', reason = '{reason}', finished_at = now(),
                 lease_until = NULL;"
        )
    };
    vec![
        (
            "scheduled",
            served.into(),
            vec!["Next: a request at ", "No attempt yet."],
        ),
        (
            "scheduled",
            String::new(),
            vec!["No worker has ever served the app default."],
        ),
        (
            "scheduled",
            "INSERT INTO callq.apps (app, served_at)
             VALUES ('default', now() - interval '1 hour');"
                .into(),
            vec!["No worker has served the app since "],
        ),
        (
            "scheduled",
            format!("{served} SELECT callq.pause_app('default', 'holidays');"),
            vec!["The app is paused: holidays."],
        ),
        (
            "scheduled",
            format!("{served} SELECT callq.pause_all('fire drill');"),
            vec!["The app is paused: everything is paused: fire drill."],
        ),
        (
            "dialing",
            claimed.into(),
            vec!["Next: the reply, or in doubt at ", "room1", "w1"],
        ),
        (
            "in_doubt",
            format!("{claimed}{DOUBTED}"),
            vec![
                "callq.resolve(id",
                "no reply within 8000 ms",
                "on_doubt = reconcile",
            ],
        ),
        (
            "placed",
            format!(
                "{claimed} UPDATE callq.jobs SET state = 'placed', reason = 'accepted',
                     placed_at = now(), finished_at = now(), call_id = 'call-1',
                     callee_results = '[{{\"Callee_Account\": \"jack\", \"ResultCode\": 0}}]';
                 UPDATE callq.attempts SET state = 'replied', replied_at = now(), error_code = 0,
                     class = 'accepted', call_id = 'call-1', sent_at = now();"
            ),
            vec!["call-1", "jack: 0", "Tencent accepted the call"],
        ),
        (
            "failed",
            format!(
                "{claimed}{} UPDATE callq.jobs SET error_code = 70107, error_info = 'no account',
                     request_id = 'req-1';",
                ended("failed", "refused")
            ),
            vec!["70107 no account", "req-1", "mend the job"],
        ),
        (
            "expired",
            ended("expired", "expired_no_worker"),
            vec!["Start a worker for the app"],
        ),
        (
            "cancelled",
            "SELECT callq.cancel(1);".into(),
            vec!["cancelled_by_user"],
        ),
        (
            "unresolved",
            format!("{claimed}{DOUBTED}{}", ended("unresolved", "unresolved")),
            vec!["SELECT callq.resolve(id, 'placed' | 'failed') if you know."],
        ),
    ]
}

#[tokio::test]
async fn a_job_is_shown_with_what_holds_it_and_the_next_step() {
    for (state, sql, words) in states() {
        let database = with_job(&sql).await;
        let ended = show(&database, &[]).await.with_code(0);
        let text = ended.text();
        let line = text.lines().find(|l| l.trim_start().starts_with("state"));
        assert!(line.is_some_and(|l| l.contains(state)), "{state}: {ended}");
        for word in words {
            assert!(text.contains(word), "{state} lacks {word:?}: {ended}");
        }
        assert!(text.contains("user_data, offline_push"), "{state}: {ended}");
        assert!(!text.contains(PRIVATE), "{state}: {ended}");
    }
}

#[tokio::test]
async fn a_job_is_shown_as_json_without_its_private_columns() {
    for (state, sql, _) in states() {
        let database = with_job(&sql).await;
        let ended = show(&database, &["--json"]).await.with_code(0);
        assert_eq!(ended.text().lines().count(), 1, "{ended}");
        assert!(!ended.text().contains(PRIVATE), "{state}: {ended}");
        let shown: Value = serde_json::from_slice(&ended.stdout).expect("it is JSON");
        assert_eq!(shown["job"]["state"], state);
        assert_eq!(shown["job"]["has_user_data"], true);
        let attempts = shown["attempts"].as_array().expect("a list").len();
        assert_eq!(shown["job"]["attempt"], attempts);
    }
}

#[tokio::test]
async fn a_job_that_is_not_there_ends_with_3() {
    let database = Database::new().await;
    let ended = show(&database, &[]).await.with_code(3);
    assert_eq!(
        ended.stderr,
        "callq: there is no job 1\nhint: `callq jobs list` shows jobs\n"
    );
}
