//! `callq jobs export`

use super::super::{callq_on, json_lines, sql};
use super::{PRIVATE, with_job};
use crate::support::Database;

#[tokio::test]
async fn every_job_of_a_long_export_is_there_and_only_once() {
    let database = Database::new().await;
    // Longer than a page of the export, and with gaps wider than what one statement looks at.
    sql(
        &database,
        "INSERT INTO callq.jobs (id, robot_account, callees, run_at) OVERRIDING SYSTEM VALUE
         SELECT i * 100, 'bot', '{jack}', now() + interval '1 day' FROM generate_series(1, 2500) AS i",
    )
    .await;
    let ended = callq_on(&database, &["jobs", "export", "--json"])
        .await
        .with_code(0);
    let ids = json_lines(&ended)
        .into_iter()
        .map(|job| job["id"].as_i64().unwrap());
    let expected: Vec<i64> = (1..=2500).rev().map(|i| i * 100).collect();
    assert_eq!(ids.collect::<Vec<_>>(), expected);
    let export = ["jobs", "export", "--csv", "--until", "now"];
    let ended = callq_on(&database, &export).await.with_code(0);
    assert_eq!(ended.text().lines().count(), 1, "the header: {ended}");
}

#[tokio::test]
async fn csv_has_the_columns_of_json_and_quotes_what_it_must() {
    let database = with_job(
        "UPDATE callq.jobs SET idempotency_key = E'a \"quoted\",\\nkey', metadata = '{\"a\": 1, \"b\": 2}'",
    )
    .await;
    let json = callq_on(&database, &["jobs", "export", "--json"])
        .await
        .with_code(0);
    let csv = callq_on(&database, &["jobs", "export", "--csv"])
        .await
        .with_code(0);
    let header = csv.text().lines().next().unwrap().to_owned();
    let mut columns: Vec<&str> = header.split(',').collect();
    columns.sort_unstable();
    let job = json_lines(&json).remove(0);
    let keys: Vec<String> = job.as_object().unwrap().keys().cloned().collect();
    assert_eq!(columns, keys);
    assert!(csv.text().contains("\"a \"\"quoted\"\",\nkey\""), "{csv}");
    assert!(csv.text().contains(r#""{""a"": 1, ""b"": 2}""#), "{csv}");
    for ended in [json, csv] {
        assert!(!ended.text().contains(PRIVATE), "{ended}");
    }
}
