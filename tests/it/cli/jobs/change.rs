//! `callq jobs cancel`, `retry`, `reschedule` and `resolve`

use super::super::{callq_on, json_lines, sql};
use super::{CLAIMED, DOUBTED, with_job};
use crate::support::Database;
use crate::support::program::callq;
use crate::support::terminal::Terminal;

/// Jobs 1 to 5 of the app `clinic`: scheduled, dialing, in doubt, placed, failed; and job 6 of the
/// app `default`, scheduled.
async fn one_of_each() -> Database {
    let database = Database::new().await;
    sql(
        &database,
        "INSERT INTO callq.jobs (app, robot_account, callees, run_at)
         SELECT CASE WHEN i < 6 THEN 'clinic' ELSE 'default' END, 'bot', '{jack}', now() + interval '1 hour'
         FROM generate_series(1, 6) AS i;
         UPDATE callq.jobs SET attempt = 1, claim_token = gen_random_uuid(), lease_until = now() + interval '30 seconds',
             state = CASE id WHEN 2 THEN 'dialing' ELSE 'in_doubt' END::callq.job_state WHERE id IN (2, 3);
         UPDATE callq.jobs SET state = 'placed', attempt = 1, placed_at = now(), finished_at = now() WHERE id = 4;
         UPDATE callq.jobs SET state = 'failed', reason = 'refused', attempt = 1, finished_at = now() WHERE id = 5",
    )
    .await;
    database
}

/// The states of all jobs, in the order of their ids.
async fn states(database: &Database) -> Vec<String> {
    sqlx::query_scalar("SELECT state::text FROM callq.jobs ORDER BY id")
        .fetch_all(database.pool())
        .await
        .unwrap()
}

#[tokio::test]
async fn each_named_job_answers_a_cancel_with_its_word() {
    let database = one_of_each().await;
    let cancel = ["jobs", "cancel", "1", "2", "3", "4", "5"];
    let ended = callq_on(&database, &cancel).await.with_code(0);
    let says =
        "job 1: cancelled\njob 2: requested\njob 3: requested\njob 4: too_late\njob 5: failed\n";
    assert_eq!(ended.text(), says);
    let now = [
        "cancelled",
        "dialing",
        "in_doubt",
        "placed",
        "failed",
        "scheduled",
    ];
    assert_eq!(states(&database).await, now);
}

#[tokio::test]
async fn a_filter_cancels_the_open_jobs_that_match_and_counts_the_words() {
    let database = one_of_each().await;
    let cancel = ["jobs", "cancel", "--app", "clinic", "--yes"];
    let ended = callq_on(&database, &cancel).await.with_code(0);
    assert_eq!(ended.text(), "cancelled: 1\nrequested: 2\n");
    let now = [
        "cancelled",
        "dialing",
        "in_doubt",
        "placed",
        "failed",
        "scheduled",
    ];
    assert_eq!(states(&database).await, now);
}

#[tokio::test]
async fn without_a_terminal_a_filter_needs_yes_and_nothing_is_changed() {
    let database = one_of_each().await;
    let before = states(&database).await;
    for verb in ["cancel", "retry", "resolve", "reschedule"] {
        let mut command = vec!["jobs", verb, "--app", "clinic"];
        match verb {
            "resolve" => command.extend(["--failed"]),
            "reschedule" => command.extend(["--by", "1h"]),
            _ => {}
        }
        let ended = callq_on(&database, &command).await.with_code(2);
        let hint = ended.stderr.lines().nth(1).unwrap_or_default();
        assert!(hint.starts_with("hint: add --yes"), "{ended}");
    }
    assert_eq!(states(&database).await, before);
}

#[tokio::test]
async fn a_verb_without_id_and_filter_is_refused_even_with_yes() {
    let database = one_of_each().await;
    let before = states(&database).await;
    let ended = callq_on(&database, &["jobs", "cancel", "--yes"])
        .await
        .with_code(2);
    assert!(ended.stderr.contains("cancel which jobs? "), "{ended}");
    let both = ["jobs", "cancel", "1", "--app", "clinic", "--yes"];
    let ended = callq_on(&database, &both).await.with_code(2);
    assert!(ended.stderr.contains("not both"), "{ended}");
    assert_eq!(states(&database).await, before);
}

#[tokio::test]
async fn what_one_job_refuses_is_told_and_does_not_stop_the_others() {
    let database = one_of_each().await;
    let retry = ["jobs", "retry", "4", "99", "5"];
    let ended = callq_on(&database, &retry).await.with_code(2);
    assert_eq!(ended.text(), "job 5: scheduled\n");
    let mut refusals = ended.stderr.lines();
    let says = "callq: job 4 is placed: retrying it could ring a phone twice";
    assert!(refusals.next().unwrap().starts_with(says), "{ended}");
    assert_eq!(refusals.next(), Some("callq: there is no job 99"));
    assert_eq!(states(&database).await[4], "scheduled");
}

#[tokio::test]
async fn all_jobs_are_done_though_nobody_can_be_told() {
    for format in [&["--json"][..], &[]] {
        let database = one_of_each().await;
        let full = || std::fs::File::create("/dev/full").unwrap();
        let mut command = callq(["jobs", "cancel", "99", "1", "6"]);
        command.args(format).env("DATABASE_URL", database.url());
        command.stdout(full()).stderr(full());
        let ended = command.status().await.unwrap();
        assert_eq!(ended.code(), Some(1), "it could not write");
        let states = states(&database).await;
        assert_eq!((&*states[0], &*states[5]), ("cancelled", "cancelled"));
    }
}

#[tokio::test]
async fn a_job_that_is_not_there_ends_a_verb_with_3() {
    let database = Database::new().await;
    for verb in [
        &["cancel", "1"][..],
        &["retry", "1"],
        &["resolve", "1", "--placed"],
        &["reschedule", "1", "--by", "1h"],
    ] {
        let command = [&["jobs"], verb].concat();
        let ended = callq_on(&database, &command).await.with_code(3);
        assert_eq!(ended.stderr, "callq: there is no job 1\n", "{verb:?}");
    }
}

#[tokio::test]
async fn programs_read_what_each_job_said_as_json() {
    let database = one_of_each().await;
    let retry = [
        "jobs",
        "retry",
        "--app",
        "clinic",
        "--state",
        "placed,failed",
        "--yes",
        "--json",
    ];
    let ended = callq_on(&database, &retry).await.with_code(2);
    let said = json_lines(&ended);
    assert_eq!(said[0]["id"], 4);
    assert!(said[0]["refused"].is_string(), "{ended}");
    assert_eq!(
        said[1],
        serde_json::json!({ "id": 5, "answer": "scheduled" })
    );
}

#[tokio::test]
async fn a_retry_by_a_filter_leaves_cancelled_jobs_alone() {
    let database = one_of_each().await;
    sql(&database, "SELECT callq.cancel(1)").await;
    let retry = ["jobs", "retry", "--app", "clinic", "--yes"];
    let ended = callq_on(&database, &retry).await.with_code(0);
    assert_eq!(ended.text(), "scheduled: 1\n");
    assert_eq!(states(&database).await[0], "cancelled");
}

/// By how many seconds `column` differs from `from` in job 1.
async fn seconds(database: &Database, column: &str, from: &str) -> f64 {
    let sql = format!(
        "SELECT extract(epoch FROM {column} - {from})::float8 FROM callq.jobs WHERE id = 1"
    );
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
        .fetch_one(database.pool())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_scheduled_job_is_moved_to_a_time_or_by_a_while_and_its_deadline_follows() {
    let database = with_job("").await;
    let move_it = async |arguments: &[&str]| {
        let command = [&["jobs", "reschedule", "1"], arguments].concat();
        callq_on(&database, &command).await.with_code(0)
    };
    let ended = move_it(&["--run-at", "2030-01-01T09:00:00+01:00"]).await;
    assert_eq!(ended.text(), "job 1: rings at 2030-01-01T08:00:00.000Z\n");
    let ended = move_it(&["--by", "-30m"]).await;
    assert_eq!(ended.text(), "job 1: rings at 2030-01-01T07:30:00.000Z\n");
    assert!((seconds(&database, "expires_at", "run_at").await - 3600.0).abs() < 0.1);
    move_it(&["--run-at", "in 10m"]).await;
    let ahead = seconds(&database, "due_at", "now()").await;
    assert!((500.0..=600.0).contains(&ahead), "{ahead} s");
}

#[tokio::test]
async fn only_a_scheduled_job_can_be_moved() {
    let database = with_job(CLAIMED).await;
    let command = ["jobs", "reschedule", "1", "--by", "1h"];
    let ended = callq_on(&database, &command).await.with_code(2);
    let says = "callq: job 1 is dialing: it can be changed only while it is scheduled";
    assert!(ended.stderr.starts_with(says), "{ended}");
}

#[tokio::test]
async fn a_doubt_is_settled_with_a_note_and_a_call_id() {
    let database = with_job(&format!("{CLAIMED}{DOUBTED}")).await;
    let resolve = [
        "jobs",
        "resolve",
        "1",
        "--placed",
        "--note",
        "it rang",
        "--call-id",
        "call-7",
    ];
    let ended = callq_on(&database, &resolve).await.with_code(0);
    assert_eq!(ended.text(), "job 1: placed\n");
    let (detail, call_id): (String, String) =
        sqlx::query_as("SELECT reason_detail, call_id FROM callq.jobs")
            .fetch_one(database.pool())
            .await
            .unwrap();
    assert!(detail.ends_with(": it rang"), "{detail}");
    assert_eq!(call_id, "call-7");
    let ended = callq_on(&database, &resolve).await.with_code(2);
    assert!(
        ended.stderr.contains("only a job that is in_doubt"),
        "{ended}"
    );
}

#[tokio::test]
async fn a_retry_may_give_a_new_deadline() {
    let database = with_job(
        "UPDATE callq.jobs SET state = 'expired', reason = 'expired_no_worker', finished_at = now(),
             run_at = now() - interval '2 hours', due_at = now() - interval '2 hours'",
    )
    .await;
    let command = ["jobs", "retry", "1", "--ttl", "30m"];
    callq_on(&database, &command).await.with_code(0);
    let left = seconds(&database, "expires_at", "now()").await;
    assert!((1700.0..=1800.0).contains(&left), "{left} s");
}

#[tokio::test]
async fn a_job_that_another_session_holds_ends_with_1_and_the_others_are_done() {
    let database = one_of_each().await;
    let mut held = database.pool().begin().await.unwrap();
    sqlx::query("SELECT FROM callq.jobs WHERE id = 1 FOR UPDATE")
        .execute(&mut *held)
        .await
        .unwrap();
    let ended = callq_on(&database, &["jobs", "cancel", "1", "6"])
        .await
        .with_code(1);
    assert_eq!(ended.text(), "job 6: cancelled\n");
    assert!(
        ended.stderr.contains("job 1 is held by another session"),
        "{ended}"
    );
}

#[tokio::test]
async fn on_a_terminal_the_jobs_are_counted_and_only_a_yes_changes_them() {
    let database = one_of_each().await;
    let cancel = ["jobs", "cancel", "--app", "clinic"];
    for typed in ["n\n", "\n", "yes please\n"] {
        let (code, shown) = Terminal { columns: 80, typed }
            .run(&database, &cancel)
            .await;
        assert_eq!(code, 0, "{shown}");
        assert!(shown.contains("cancel 3 jobs (1 to 3)? [y/N]"), "{shown}");
        assert!(shown.contains("nothing was changed"), "{shown}");
    }
    assert_eq!(states(&database).await[0], "scheduled");
    let (code, shown) = Terminal {
        columns: 80,
        typed: "y\n",
    }
    .run(&database, &cancel)
    .await;
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("requested: 2"), "{shown}");
    assert_eq!(states(&database).await[0], "cancelled");
}
