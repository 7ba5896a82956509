//! `callq status`

use super::{callq_on, json_lines, sql};
use crate::support::Database;
use crate::support::program::{Program, callq};

/// One job a minute overdue and one due now; one dialing, one in doubt; one in the future, one ended.
const JOBS: &str = "
    INSERT INTO callq.jobs (robot_account, callees, run_at)
    VALUES ('bot', '{a}', now() - interval '1 minute'), ('bot', '{b}', now()), ('bot', '{c}', now()), ('bot', '{d}', now()),
        ('bot', '{e}', now() + interval '1 day'), ('bot', '{f}', now() + interval '1 day');
    UPDATE callq.jobs SET attempt = 1, claim_token = gen_random_uuid(), lease_until = now() + interval '30 seconds',
        state = CASE id WHEN 3 THEN 'dialing' ELSE 'in_doubt' END::callq.job_state WHERE id IN (3, 4);
    SELECT callq.cancel(6);";

#[tokio::test]
async fn the_queue_is_counted_and_what_nobody_serves_is_named() {
    let database = Database::new().await;
    sql(&database, JOBS).await;
    let ended = callq_on(&database, &["status", "--json"])
        .await
        .with_code(0);
    let status = json_lines(&ended).remove(0);
    for (what, jobs) in [("due", 2), ("overdue", 1), ("dialing", 1), ("in_doubt", 1)] {
        assert_eq!(status[what], jobs, "{what}: {ended}");
    }
    let ended = callq_on(&database, &["status"]).await.with_code(0);
    for words in [
        "overdue   1, the oldest since ",
        "App default has waiting jobs and no worker serves it: none ever did",
        "App default has 1 in doubt: callq jobs list --state in_doubt --app default",
    ] {
        assert!(ended.text().contains(words), "{words}: {ended}");
    }
}

#[tokio::test]
async fn a_pause_is_named_with_its_reason_and_the_way_out() {
    let database = Database::new().await;
    sql(
        &database,
        "SELECT callq.pause_app('clinic', E'bad\\u202eprompt'); SELECT callq.pause_all('fire drill')",
    )
    .await;
    let ended = callq_on(&database, &["status"]).await.with_code(0);
    for words in [
        "Everything is paused since ",
        "fire drill. To end it: callq apps resume --all",
        "App clinic is paused: bad\\u{202e}prompt, since ",
        "To end it: callq apps resume clinic",
    ] {
        assert!(ended.text().contains(words), "{words}: {ended}");
    }
}

#[tokio::test]
async fn an_empty_queue_is_held_by_nothing() {
    let database = Database::new().await;
    let ended = callq_on(&database, &["status"]).await.with_code(0);
    assert!(ended.text().contains("Nothing holds the queue."), "{ended}");
}

#[tokio::test]
async fn a_watch_shows_what_changes() {
    let database = Database::new().await;
    let mut command = callq(["status", "--watch", "--json"]);
    let mut watching = Program::start(command.env("DATABASE_URL", database.url()));
    watching.prints("\"in_doubt\":0").await;
    sql(&database, JOBS).await;
    watching.prints("\"in_doubt\":1").await;
    watching.signal(libc::SIGINT);
    let ended = watching.end().await.with_code(130);
    assert_eq!(ended.stderr, "");
}
