//! `callq report`, with the rights of `callq_report` alone.

use serde_json::Value;

use super::worked;
use crate::support::program::{callq, run};
use crate::support::rig::Rig;

const NAMES: [&str; 9] = [
    "daily",
    "heatmap",
    "attempts",
    "minutes",
    "not-called",
    "errors",
    "lateness",
    "schedules",
    "in-doubt",
];

/// A login that may do what `callq_report` may, and its URL.
async fn reader(rig: &Rig) -> String {
    let name = format!("callq_test_{}", uuid::Uuid::new_v4().simple());
    rig.sql(&format!(
        "CREATE ROLE {name} LOGIN PASSWORD '{name}' IN ROLE callq_report"
    ))
    .await;
    crate::roles::url_of(rig.db.url(), &name)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_report_is_a_table_with_its_definitions_or_csv_or_json() {
    let rig = worked().await;
    rig.sql(
        "UPDATE callq.jobs SET state = 'in_doubt', reason = 'reply_unknown', finished_at = NULL,
        lease_until = now() WHERE id = (SELECT max(id) FROM callq.jobs WHERE attempt > 0)",
    )
    .await;
    let url = reader(&rig).await;
    for name in NAMES {
        let read = |arguments: &'static [&'static str]| {
            let mut program = callq(["report", name, "--since", "4d"]);
            program.args(arguments).env("DATABASE_URL", &url);
            program
        };
        let screen = run(&mut read(&["--until", "2100-01-01"]))
            .await
            .with_code(0);
        assert_eq!(screen.stderr, "", "{name}");
        let json = run(&mut read(&["--until", "2100-01-01", "--json"]))
            .await
            .with_code(0)
            .text();
        let csv = run(&mut read(&["--until", "2100-01-01", "--csv"]))
            .await
            .with_code(0)
            .text();
        let rows: Vec<Value> = json
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert!(!rows.is_empty(), "{name}");
        let mut csv = csv::Reader::from_reader(csv.as_bytes());
        let header = csv.headers().unwrap().clone();
        for (fields, row) in csv.records().map(Result::unwrap).zip(&rows) {
            for (title, field) in header.iter().zip(&fields) {
                let value = match &row[title] {
                    Value::Null => String::new(),
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                if title == "age_s" {
                    let [earlier, later] = [&*value, field].map(|age| age.parse::<u64>().unwrap());
                    assert!(earlier <= later, "{name} {title}: {later} after {earlier}");
                    continue;
                }
                assert_eq!(field, value, "{name} {title}");
            }
        }
        let text = screen.text();
        let title = text.lines().next().unwrap();
        assert!(title.ends_with("UTC)"), "{title}");
        assert!(
            text.trim_end().ends_with('.'),
            "{name}: definitions end it: {text}"
        );
    }
    rig.sql(&format!(
        "DROP OWNED BY \"{0}\"; DROP ROLE \"{0}\"",
        url.split("user=")
            .last()
            .unwrap()
            .split('&')
            .next()
            .unwrap()
    ))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_of_an_app_a_schedule_and_days_in_a_zone() {
    let rig = Rig::new().await;
    rig.sql(
        "INSERT INTO callq.schedules (name, every, tz, robot_account, callees, enabled) VALUES ('s', '1 hour', 'UTC', 'robot', '{jack}', false);
         INSERT INTO callq.leg_counts
         SELECT timestamptz '2030-01-01 20:00+00', a, i, 'robot', 'Audio', 1, 'answered', n, 0, 0, 0
         FROM callq.schedules AS s, LATERAL (VALUES ('default', s.id, 1), ('default', 0, 2), ('clinic', 0, 4)) AS k(a, i, n)",
    )
    .await;
    for (arguments, told) in [
        (
            vec!["--since", "2030-01-01", "--until", "2030-01-01"],
            "2030-01-01 7",
        ),
        (
            vec![
                "--since",
                "2030-01-01",
                "--until",
                "2030-01-01",
                "--tz",
                "Asia/Tokyo",
            ],
            "",
        ),
        (
            vec![
                "--since",
                "2030-01-02",
                "--until",
                "2030-01-02",
                "--tz",
                "Asia/Tokyo",
            ],
            "2030-01-02 7",
        ),
        (
            vec![
                "--since",
                "2030-01-01",
                "--until",
                "2030-01-02",
                "--app",
                "clinic",
            ],
            "2030-01-01 4",
        ),
        (
            vec![
                "--since",
                "2030-01-01",
                "--until",
                "2030-01-02",
                "--schedule",
                "s",
            ],
            "2030-01-01 1",
        ),
        (
            vec![
                "--since",
                "2030-01-01",
                "--until",
                "2030-01-02",
                "--app",
                "clinic",
                "--schedule",
                "s",
            ],
            "",
        ),
    ] {
        let mut program = callq(["report", "daily", "--json"]);
        program.args(&arguments).env("DATABASE_URL", rig.db.url());
        let text = run(&mut program).await.with_code(0).text();
        let rows: Vec<String> = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .map(|row| format!("{} {}", row["day"].as_str().unwrap(), row["legs"]))
            .collect();
        assert_eq!(rows.join(", "), told, "{arguments:?}");
    }
    for (arguments, code) in [
        (vec!["--tz", "Europe/Berlim"], 2),
        (vec!["--since", "2030-01-02", "--until", "2030-01-01"], 2),
        (vec!["--since", "yesterday"], 2),
    ] {
        let mut program = callq(["report", "daily"]);
        program.args(&arguments).env("DATABASE_URL", rig.db.url());
        run(&mut program).await.with_code(code);
    }
    // What is empty says so, and is no failure.
    let mut program = callq(["report", "daily", "--since", "1d"]);
    program.env("DATABASE_URL", rig.db.url());
    let empty = run(&mut program).await.with_code(0);
    assert!(empty.stderr.contains("nobody was rung"), "{empty}");
}
