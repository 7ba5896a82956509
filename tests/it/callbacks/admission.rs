//! Who is let in, and what the others are told.

use super::{Answer, QUERY, SDK_APP_ID, SECRET, Web, app, count, end_of};
use crate::support::Database;

#[tokio::test]
async fn nobody_learns_what_is_wrong_with_a_path() {
    let database = Database::new().await;
    let of_others = "of-the-pharmacy-0123456789";
    let apps = vec![
        app("clinic", SECRET, None),
        app("two words", of_others, None),
    ];
    let web = Web::on(database.url(), apps).await;
    let body = end_of("call-1");
    let mut answers = Vec::new();
    for path in [
        "/",
        "/callbacks",
        "/callbacks/clinic",
        "/callbacks/clinic/",
        "/callbacks/clinic/wrong",
        "/callbacks/nobody/wrong",
        "/callbacks/%FF/wrong",
        &format!("/callbacks/nobody/{SECRET}"),
        &format!("/callbacks/clinic/{of_others}"),
        &format!("/callbacks/clinic/{SECRET}x"),
        &format!("/callbacks/clinic/{SECRET}/more"),
        &format!("/Callbacks/clinic/{SECRET}"),
    ] {
        for method in ["POST", "GET"] {
            answers.push(web.ask(method, &format!("{path}{QUERY}"), &body).await);
        }
    }
    let first = answers.remove(0);
    assert_eq!(first.status, 404, "{first:?}");
    assert!(answers.iter().all(|answer| *answer == first), "{answers:?}");
    assert_eq!(
        web.metric("callq_callbacks_refused_total{reason=\"not_found\"}")
            .await,
        24
    );
    let get = web
        .ask("GET", &format!("/callbacks/clinic/{SECRET}"), b"")
        .await;
    assert_eq!(get.status, 405);
    assert_eq!(count(&database, "true").await, 0);

    // A slash behind the secret, and a name that a URL writes in its own way, are no mistakes.
    for path in [
        format!("/callbacks/clinic/{SECRET}/"),
        format!("/callbacks/two%20words/{of_others}"),
    ] {
        assert_eq!(web.ask("POST", &path, &body).await.status, 200, "{path}");
    }
    assert_eq!(count(&database, "app = 'two words'").await, 1);
    web.stop().await;
}

#[tokio::test]
async fn another_sdk_app_id_is_refused_and_a_missing_one_is_counted() {
    let database = Database::new().await;
    let web = Web::of_clinic(&database).await;
    let post = async |query: &str| -> Answer {
        let target = format!("/callbacks/clinic/{SECRET}{query}");
        web.ask("POST", &target, &end_of(query)).await
    };
    for query in [
        "?SdkAppid=7",
        "?SdkAppid=",
        "?SdkAppId=7&SdkAppid=1400000000",
    ] {
        assert_eq!(post(query).await.status, 403, "{query}");
    }
    assert_eq!(count(&database, "true").await, 0);
    for query in ["", "?", "?x", &format!("?sdkappid={SDK_APP_ID}"), QUERY] {
        assert_eq!(post(query).await.status, 200, "{query}");
    }
    assert_eq!(count(&database, "true").await, 5);
    let counted = "callq_callbacks_without_sdk_app_id_total{app=\"clinic\"}";
    assert_eq!(web.metric(counted).await, 3);
    assert_eq!(
        web.metric("callq_callbacks_refused_total{reason=\"sdk_app_id\"}")
            .await,
        3
    );
    web.stop().await;
}

#[tokio::test]
async fn a_sign_that_is_wrong_or_old_is_refused_where_there_is_a_token() {
    let database = Database::new().await;
    let web = Web::on(
        database.url(),
        vec![app("clinic", SECRET, Some("xxxxyyyy"))],
    )
    .await;
    let now = chrono::Utc::now().timestamp();
    let sign = |token: &str, at: i64| {
        use sha2::Digest as _;
        let digest = sha2::Sha256::digest(format!("{token}{at}"));
        let hex = digest
            .iter()
            .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        format!("?RequestTime={at}&Sign={hex}")
    };
    for (query, status) in [
        (sign("xxxxyyyy", now), 200),
        (sign("xxxxyyyy", now - 3600), 403),
        (sign("another", now), 403),
        ("?Sign=abc".to_owned(), 403),
        (String::new(), 200),
    ] {
        let target = format!("/callbacks/clinic/{SECRET}{query}");
        let answer = web.ask("POST", &target, &end_of(&query)).await;
        assert_eq!(answer.status, status, "{query}");
    }
    assert_eq!(count(&database, "true").await, 2);
    web.stop().await;
}
