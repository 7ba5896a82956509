//! `callq status`

use chrono::{DateTime, Utc};

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
    // Who is due when it is inserted is overdue five seconds later.
    let inserted = "SELECT (extract(epoch FROM $1::timestamptz - due_at) > 5)::int FROM callq.jobs WHERE id = 2";
    let slow: i32 = sqlx::query_scalar(inserted)
        .bind(
            status["now"]
                .as_str()
                .unwrap()
                .parse::<DateTime<Utc>>()
                .unwrap(),
        )
        .fetch_one(database.pool())
        .await
        .unwrap();
    for (what, jobs) in [
        ("due", 2),
        ("overdue", 1 + slow),
        ("dialing", 1),
        ("in_doubt", 1),
    ] {
        assert_eq!(status[what], jobs, "{what}: {ended}");
    }
    let ended = callq_on(&database, &["status"]).await.with_code(0);
    for words in [
        "overdue   ",
        ", the oldest since ",
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
async fn what_keeps_media_from_being_played_is_named() {
    let database = Database::new().await;
    sql(
        &database,
        "INSERT INTO callq.apps (app, media_retry_at, media_failures, media_failure)
         VALUES ('clinic', now() + interval '1 minute', 1, E'AuthFailure.SecretIdNotFound\\u202e');
         INSERT INTO callq.jobs (app, robot_account, callees, media_url) VALUES ('school', 'bot', '{a}', 'https://a/b.mp3');
         UPDATE callq.jobs SET reason = 'media_no_credentials', due_at = now() + interval '15 seconds'",
    )
    .await;
    let ended = callq_on(&database, &["status"]).await.with_code(0);
    for words in [
        "Media of app clinic is paused, its calls ring in silence: AuthFailure.SecretIdNotFound\\u{202e}. It is \
         tried again at ",
        "; mend the CAM key or the package",
        "App school has jobs with a media_url, and a worker without a CAM key for it: they wait. Give every worker \
         of the app cam_secret_id and cam_secret_key_file",
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

/// Two workers: one cannot reach the host, one is silent. And a pace that is cut and half used.
const WORKERS: &str = "
    INSERT INTO callq.apps (app, kind, served_at, served_since, calls_per_second) VALUES ('default', 'sandbox', now(), now(), 2);
    INSERT INTO callq.pace (app, tokens, granted, asked, refilled_at, factor, factor_at) VALUES ('default', 0, 0, 0, now(), 0.5, now() + interval '1 hour');
    INSERT INTO callq.attempts (job_id, attempt, claim_token, app, worker, room_id, room_id_type, random, due_at, claimed_at, sent_at)
    SELECT i, 1, gen_random_uuid(), 'default', 'w', 'r', 2, 1, now(), now(), now() - interval '5 s' FROM generate_series(1, 60) AS i;
    INSERT INTO callq.workers (worker, version, started_at, seen_at, apps, concurrency, in_flight, unrecorded, listener_deaf, stopping, circuits)
    VALUES ('alpha-1-00aa', '1.2.3', now(), now(), '{default}', 50, 7, 3, true, false, jsonb_build_array(jsonb_build_object(
            'app', 'default', 'since', now() - interval '1 minute', 'next_try_at', now() + interval '9 s', 'failure', E'no route\\u202e to host'))),
        ('beta-2-00bb', '1.2.3', now(), now() - interval '5 minutes', '{default}', 50, 0, 0, false, false, '[]');";

#[tokio::test]
async fn workers_circuits_and_pace_are_shown() {
    let database = Database::new().await;
    sql(&database, WORKERS).await;
    let ended = callq_on(&database, &["status", "--json"])
        .await
        .with_code(0);
    let status = json_lines(&ended).remove(0);
    let (worker, circuit, app) = (
        &status["workers"][0],
        &status["circuits"][0],
        &status["apps"][0],
    );
    assert_eq!(worker["worker"], "alpha-1-00aa", "{ended}");
    assert_eq!(
        (&worker["in_flight"], &worker["concurrency"]),
        (&7.into(), &50.into())
    );
    assert_eq!(status["workers"][1]["state"], "gone");
    assert_eq!(
        (&circuit["app"], &circuit["worker"]),
        (&"default".into(), &"alpha-1-00aa".into())
    );
    assert_eq!(app["workers"], serde_json::json!(["alpha-1-00aa"]));
    assert_eq!(
        (&app["calls_last_minute"], &app["calls_per_second_now"]),
        (&60.into(), &1.0.into())
    );
    let ended = callq_on(&database, &["status"]).await.with_code(0);
    for words in [
        "App default: worker alpha-1-00aa cannot reach its host since ",
        "; no other can: no route\\u{202e} to host. One job finds out at ",
        "Worker beta-2-00bb has been silent since ",
        "working, polls only",
        "7 of 50",
        "1 of 2",
        "60 (50 %)",
        "5 min ago",
    ] {
        assert!(ended.text().contains(words), "{words}: {ended}");
    }
    let ended = callq_on(&database, &["apps", "list"]).await.with_code(0);
    for words in ["alpha-1-00aa", "unreachable"] {
        assert!(ended.text().contains(words), "{words}: {ended}");
    }
    assert!(!ended.text().contains("beta-2-00bb"), "{ended}");
}

#[tokio::test]
async fn calls_whose_records_nobody_reads_are_counted_and_told() {
    let database = Database::new().await;
    sql(
        &database,
        "INSERT INTO callq.sweeps (app, worker, lease_until, swept_at, failed_at, failure) VALUES
             ('away', 'alpha', now() + interval '20 seconds', now() - interval '5 minutes', now(), E'no\\u202eroute'),
             ('left', 'beta', now() - interval '1 hour', now() - interval '1 hour', NULL, NULL),
             ('well', 'alpha', now() + interval '20 seconds', now(), now() - interval '1 day', 'long ago');
         INSERT INTO callq.calls (job_id, attempt, app, room_id, look_at)
         SELECT n, 1, CASE WHEN n < 3 THEN 'left' ELSE 'well' END, 'room', CASE WHEN n <> 5 THEN now() END
         FROM generate_series(1, 5) AS n",
    )
    .await;
    let ended = callq_on(&database, &["status"]).await.with_code(0);
    for words in [
        "followed  4, until their record is read",
        "App away: what became of 0 calls is not known, because its call records cannot be read: no\\u{202e}route. They were read last at ",
        "App left: what became of 2 calls is not known, because no worker reads its call records. Start one. They were read last at ",
    ] {
        assert!(ended.text().contains(words), "{words}: {ended}");
    }
    assert!(!ended.text().contains("App well:"), "{ended}");
    let ended = callq_on(&database, &["status", "--json"])
        .await
        .with_code(0);
    let records = &json_lines(&ended)[0]["records"];
    assert_eq!(
        (
            &records[2]["worker"],
            &records[2]["followed"],
            &records[2]["failure"]
        ),
        (&"alpha".into(), &2.into(), &serde_json::Value::Null),
        "{ended}"
    );
}
