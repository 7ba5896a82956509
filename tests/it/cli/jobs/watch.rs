//! `callq jobs watch`

use super::super::{callq_on, json_lines, sql};
use super::{CLAIMED, DOUBTED, PRIVATE, with_job};
use crate::support::Database;
use crate::support::program::{Program, callq};

#[tokio::test]
async fn each_change_is_printed_until_the_job_ends() {
    let database = with_job("").await;
    let mut command = callq(["jobs", "watch", "1"]);
    let mut watching = Program::start(command.env("DATABASE_URL", database.url()));
    watching.prints("scheduled; next request at ").await;
    sql(&database, CLAIMED).await;
    watching.prints("dialing; attempt 1").await;
    sql(&database, DOUBTED).await;
    watching.prints("no reply within 8000 ms").await;
    sql(&database, "SELECT callq.resolve(1, 'failed')").await;
    let ended = watching.end().await.with_code(0);
    let text = ended.text();
    let last = text.lines().last().unwrap();
    assert!(
        last.contains("failed; attempt 1; resolved_failed: "),
        "{ended}"
    );
    assert_eq!(text.lines().count(), 4, "{ended}");
    assert!(!text.contains(PRIVATE), "{ended}");
}

#[tokio::test]
async fn a_job_that_has_ended_is_printed_once() {
    let database = with_job("SELECT callq.cancel(1)").await;
    let watch = ["jobs", "watch", "1", "--json"];
    let ended = callq_on(&database, &watch).await.with_code(0);
    let changes = json_lines(&ended);
    assert_eq!(changes.len(), 1, "{ended}");
    assert_eq!(changes[0]["state"], "cancelled");
}

#[tokio::test]
async fn a_job_that_is_not_there_or_is_deleted_ends_a_watch_with_3() {
    let database = Database::new().await;
    let ended = callq_on(&database, &["jobs", "watch", "1"])
        .await
        .with_code(3);
    assert_eq!(
        ended.stderr,
        "callq: there is no job 1\nhint: `callq jobs list` shows jobs\n"
    );
    let database = with_job("").await;
    let mut command = callq(["jobs", "watch", "1"]);
    let mut watching = Program::start(command.env("DATABASE_URL", database.url()));
    watching.prints("scheduled").await;
    sql(&database, "DELETE FROM callq.jobs").await;
    let ended = watching.end().await.with_code(3);
    assert_eq!(ended.stderr, "callq: job 1 was deleted\n");
}
