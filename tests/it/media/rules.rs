//! What may be played, where it stands, and who waits because nobody can play it.

use callq::call::MediaSource;
use callq::store::{ClaimOrder, Lows, Store};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::Database;
use crate::support::rig::Rig;

const URL: &str = "https://media.example/hello.mp3?token=swordfish";

/// What the database says of a job with these; `None`: it is taken.
async fn refusal(
    database: &Database,
    url: Option<&str>,
    options: Option<&Value>,
) -> Option<String> {
    let insert = sqlx::query(
        "INSERT INTO callq.jobs (robot_account, callees, media_url, media_options) VALUES ('robot', '{jack}', $1, $2)",
    );
    let inserted = insert.bind(url).bind(options).execute(database.pool());
    let error = inserted.await.err()?;
    let error = error.as_database_error().expect("the database refuses it");
    assert_eq!(error.code().as_deref(), Some("23514"), "{error}");
    assert!(!error.to_string().contains("swordfish"), "{error}");
    Some(error.message().to_owned())
}

#[tokio::test]
async fn a_job_with_media_is_refused_by_the_same_rules_in_the_database_and_in_files() {
    let database = Database::new().await;
    let long = format!("https://a/{}", "b".repeat(1015));
    let urls = [
        URL,
        "http://a/b.m3u8",
        "rtmp://a:1935/live/b",
        "https://[::1]/a",
        "",
        "https://",
        "https:///swordfish",
        "HTTPS://a/swordfish",
        "ftp://a/swordfish",
        "file:///etc/swordfish",
        "https://a/sword fish",
        "https://a/swordfish\n",
        "https://a/é",
        &long[..1024],
        &long,
    ];
    for url in urls {
        let program = MediaSource::new(url, None).is_ok();
        let said = refusal(&database, Some(url), None).await;
        assert_eq!(said.is_none(), program, "{url}: {said:?}");
        assert!(
            said.is_none_or(|said| said.starts_with("media_url ")),
            "{url}"
        );
    }
    for options in [
        json!({}),
        json!({"repeat": -1}),
        json!({"repeat": -1, "max_minutes": 10080, "volume": 0}),
        json!({"repeat": 1000, "volume": 100}),
        json!({"repeat": 0}),
        json!({"repeat": -2}),
        json!({"repeat": 1001}),
        json!({"repeat": 1.5}),
        json!({"repeat": "1"}),
        json!({"repeat": 12_345_678_901_234_567_890_u64}),
        json!({"volume": -1}),
        json!({"volume": 101}),
        json!({"volume": null}),
        json!({"repeat": -1, "max_minutes": 0}),
        json!({"repeat": -1, "max_minutes": 10081}),
        json!({"max_minutes": 5}),
        json!({"repeat": 2, "max_minutes": 5}),
        json!({"loop": true}),
    ] {
        let program = MediaSource::new(URL, options.as_object()).is_ok();
        let said = refusal(&database, Some(URL), Some(&options)).await;
        assert_eq!(said.is_none(), program, "{options}: {said:?}");
        assert!(
            said.is_none_or(|said| said.starts_with("media_options has ")),
            "{options}"
        );
    }
}

#[tokio::test]
async fn a_refusal_names_the_key_and_its_range() {
    let database = Database::new().await;
    for (url, options, said) in [
        (
            Some(URL),
            json!({"repeat": 0}),
            "media_options has repeat \"0\": it must be a whole number from 1 to 1000, or -1 for ever",
        ),
        (
            Some(URL),
            json!({"volume": 101}),
            "media_options has volume \"101\": it must be a whole number from 0 to 100",
        ),
        (
            Some(URL),
            json!({"repeat": -1, "max_minutes": 10081}),
            "media_options has max_minutes \"10081\": it must be a whole number from 1 to 10080",
        ),
        (
            Some(URL),
            json!({"max_minutes": 5}),
            "media_options has max_minutes without repeat -1: it must be given together with \"repeat\": -1",
        ),
        (
            Some(URL),
            json!([1]),
            "media_options is an array: it must be a JSON object such as {\"repeat\": -1}",
        ),
        (
            None,
            json!({"repeat": 2}),
            "media_options stands alone: it must be given together with media_url",
        ),
        (
            Some("gopher://swordfish"),
            json!({}),
            "media_url begins otherwise: it must begin with https://, http:// or rtmp:// and a host",
        ),
    ] {
        assert_eq!(
            refusal(&database, url, Some(&options)).await.as_deref(),
            Some(said)
        );
    }
    // An UPDATE is checked too, while the job waits.
    sqlx::query("INSERT INTO callq.jobs (robot_account, callees, run_at, media_url) VALUES ('robot', '{jack}', now() + interval '1 h', $1)")
        .bind(URL)
        .execute(database.pool())
        .await
        .unwrap();
    let spoilt = sqlx::query("UPDATE callq.jobs SET media_options = '{\"volume\": 1000}'");
    assert!(spoilt.execute(database.pool()).await.is_err());
    let alone = sqlx::query("UPDATE callq.jobs SET media_options = '{}', media_url = NULL");
    assert!(alone.execute(database.pool()).await.is_err());
}

#[tokio::test]
async fn a_schedule_gives_its_media_to_its_firings_and_a_change_reaches_one_that_was_moved() {
    let rig = Rig::new().await;
    rig.sql(
        "INSERT INTO callq.schedules (name, cron, tz, robot_account, callees, media_url, media_options)
         VALUES ('hourly', '0 * * * *', 'UTC', 'robot', '{jack}', 'https://a/one.mp3', '{\"repeat\": 3}')",
    )
    .await;
    rig.sql("SELECT callq.run_schedule_now('hourly')").await;
    let given =
        "SELECT concat_ws(' ', media_url, media_options) FROM callq.jobs ORDER BY id DESC LIMIT 1";
    assert_eq!(
        rig.value::<String>(given).await,
        "https://a/one.mp3 {\"repeat\": 3}"
    );
    let spoilt = sqlx::query("UPDATE callq.schedules SET media_url = 'nowhere'");
    let error = spoilt.execute(rig.db.pool()).await.unwrap_err();
    assert!(
        error.to_string().contains("media_url begins otherwise"),
        "{error}"
    );
    // A firing that a person has moved keeps its time, and rings as the schedule says now.
    rig.sql(
        "DELETE FROM callq.jobs;
         INSERT INTO callq.jobs (robot_account, callees, run_at, schedule_id, nominal_at, nominal_local, nominal_fold, moved_at)
         SELECT 'robot', '{jack}', now() + interval '3 h', s.id, now() + interval '2 h', localtimestamp + interval '2 h', 0, now()
         FROM callq.schedules AS s;
         UPDATE callq.schedules SET media_url = 'https://a/two.mp3', max_call_seconds = 60, ring_policy = '{\"max_rings\": 2}'",
    )
    .await;
    let given = "SELECT concat_ws(' ', media_url, media_options, max_call_seconds, ring_policy) FROM callq.jobs";
    assert_eq!(
        rig.value::<String>(given).await,
        "https://a/two.mp3 {\"repeat\": 3} 60 {\"max_rings\": 2}"
    );
}

#[tokio::test]
async fn a_job_with_media_waits_with_a_reason_while_no_worker_can_play_it_and_no_other_does() {
    let database = Database::new().await;
    let store = Store::connect(database.url(), 2).await.unwrap();
    for (url, callee) in [(Some(URL), "jack"), (None, "ann")] {
        let insert = sqlx::query(
            "INSERT INTO callq.jobs (robot_account, callees, media_url) VALUES ('robot', ARRAY[$2], $1)",
        );
        let insert = insert.bind(url).bind(callee);
        insert.execute(database.pool()).await.unwrap();
    }
    let claim = async |can_stream| {
        let order = ClaimOrder {
            app: "default".to_owned(),
            granted: 10,
            lows: Lows::default(),
            can_stream,
        };
        let lease = std::time::Duration::from_secs(30);
        let claims = store.claim(&[order], Uuid::new_v4(), "a test", lease).await;
        let jobs = claims.unwrap().jobs.into_iter();
        jobs.flat_map(|job| job.callees).collect::<Vec<_>>()
    };
    sqlx::query("INSERT INTO callq.apps (app, kind, served_at, served_since) VALUES ('default', 'sandbox', now(), now() - interval '1 h')")
        .execute(database.pool())
        .await
        .unwrap();
    assert_eq!(claim(false).await, ["ann"]);
    let waits = "SELECT concat_ws(' ', state, reason, attempt, due_at >= run_at + interval '15 s', expires_at > due_at)
        FROM callq.jobs WHERE media_url IS NOT NULL";
    let waits: String = sqlx::query_scalar(waits)
        .fetch_one(database.pool())
        .await
        .unwrap();
    assert_eq!(waits, "scheduled media_no_credentials 0 t t");
    let told: bool = sqlx::query_scalar("SELECT media_waits FROM (SELECT 1) AS one, LATERAL (SELECT EXISTS (
            SELECT FROM callq.job_status WHERE reason = 'media_no_credentials' AND sentence IS NOT NULL AND next_step IS NOT NULL) AS media_waits) AS s")
        .fetch_one(database.pool())
        .await
        .unwrap();
    assert!(told, "the reason has a sentence and a way out");
    let apps = store.apps().await.unwrap();
    assert!(
        apps.iter()
            .any(|app| app.app == "default" && app.media_waits)
    );
    sqlx::query(
        "UPDATE callq.jobs SET run_at = now() - interval '1 s' WHERE media_url IS NOT NULL",
    )
    .execute(database.pool())
    .await
    .unwrap();
    assert_eq!(claim(true).await, ["jack"]);
    // What held it is told if it expires.
    sqlx::query("UPDATE callq.jobs SET state = 'scheduled', reason = 'media_no_credentials', claim_token = NULL, lease_until = NULL,
            due_at = now() - interval '2 s', expires_at = now() - interval '1 s' WHERE media_url IS NOT NULL")
        .execute(database.pool())
        .await
        .unwrap();
    sqlx::query("DELETE FROM callq.attempts")
        .execute(database.pool())
        .await
        .unwrap();
    assert_eq!(claim(false).await, [""; 0]);
    let reason: String =
        sqlx::query_scalar("SELECT reason FROM callq.jobs WHERE media_url IS NOT NULL")
            .fetch_one(database.pool())
            .await
            .unwrap();
    assert_eq!(reason, "expired_no_media");
}
