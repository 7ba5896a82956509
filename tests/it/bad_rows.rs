//! Rows that the rules of an INSERT would have refused, or that no program can read: each ends by
//! itself, with a reason, and delays no other.

use crate::support::program::{callq, run};
use crate::support::rig::Rig;

/// Each with what its reason tells. They are written with the triggers off, as after a restore that
/// went around them.
const BAD: &[(&str, &str, &str)] = &[
    ("robot_account", "''", "robot_account is empty"),
    (
        "robot_account",
        "repeat('x', 100)",
        "robot_account is 100 bytes long",
    ),
    ("callees", "'{}'", "callees"),
    ("callees", "'{NULL}'", "callees"),
    ("callees", "'{jack,NULL,rose}'", "callees"),
    ("callees", "'{jack,jack}'", "callees"),
    ("callees", "'{{jack,rose},{ann,bob}}'", "callees"),
    ("callees", "array_fill('x'::text, ARRAY[101])", "callees"),
    ("media_type", "'Hologram'", "media_type"),
    ("room_id", "repeat('x', 65)", "room_id"),
    ("room_id", "''", "room_id"),
    ("room_id_type", "70000", "room_id_type is 70000"),
    ("room_id_type", "-1", "room_id_type is -1"),
    ("ring_timeout_ms", "5", "ring_timeout_ms is 5"),
    (
        "ring_timeout_ms",
        "9223372036854775807",
        "ring_timeout_ms is 9223372036854775807",
    ),
    ("user_data", "repeat('x', 1001)", "user_data"),
    ("offline_push", "'[1]'", "offline_push"),
    (
        "offline_push",
        "'{\"PushFlag\": 7}'",
        "offline_push.PushFlag",
    ),
    (
        "offline_push",
        "('{\"New\": 1' || repeat('0', 400) || '}')::jsonb",
        "offline_push",
    ),
    ("on_doubt", "'whatever'", "on_doubt"),
    ("max_attempts", "2147483647", ""),
    ("priority", "4", "priority"),
    ("priority", "-1", "priority"),
    ("due_at", "'infinity'", "due_at is infinity"),
    ("due_at", "'-infinity'", "due_at is -infinity"),
    ("run_at", "'-infinity'", ""),
];

#[tokio::test]
async fn a_row_that_cannot_be_a_call_fails_by_itself_and_holds_up_no_other() {
    let rig = Rig::new().await;
    rig.sql("ALTER TABLE callq.jobs DISABLE TRIGGER USER").await;
    let mut bad = Vec::new();
    for (column, value, says) in BAD {
        let mut columns = vec![
            ("app", "'default'"),
            ("robot_account", "'robot'"),
            ("callees", "'{jack}'"),
            ("due_at", "now() - interval '1 minute'"),
            ("expires_at", "now() + interval '1 hour'"),
        ];
        columns.retain(|(name, _)| name != column);
        columns.push((column, value));
        let (names, values): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
        let insert = format!(
            "INSERT INTO callq.jobs ({}) VALUES ({}) RETURNING id",
            names.join(", "),
            values.join(", ")
        );
        let id: i64 = rig.value(&insert).await;
        bad.push((id, format!("{column} {value}"), *says));
    }
    rig.sql("ALTER TABLE callq.jobs ENABLE TRIGGER USER").await;
    let good = rig.insert("rose", &[]).await;
    let worker = rig.worker().await;
    rig.until_state(good, "placed").await;
    for (id, what, says) in bad {
        let job = rig
            .until(id, |job| {
                !matches!(job.state.as_str(), "scheduled" | "dialing")
            })
            .await;
        if says.is_empty() {
            // A call that was placed may be over by now.
            let rang = matches!(job.state.as_str(), "placed" | "completed");
            assert!(rang, "{what}: {job:?}");
            continue;
        }
        assert_eq!(job.state, "failed", "{what}: {job:?}");
        assert_eq!(job.reason.as_deref(), Some("invalid_request"), "{what}");
        let detail: String = rig
            .value(&format!(
                "SELECT reason_detail FROM callq.jobs WHERE id = {id}"
            ))
            .await;
        assert!(detail.starts_with(says), "{what}: {detail}");
    }
    worker.stop().await.unwrap();
    rig.audit().await;
    assert_eq!(
        rig.sandbox.ledger().requests().len(),
        3,
        "rose, and the two whose jack is rung"
    );
}

#[tokio::test]
async fn jobs_of_the_first_instant_that_postgresql_knows_expire_and_hold_up_no_other() {
    let rig = Rig::new().await;
    let first = ("run_at", "'4714-11-24 00:00:00+00 BC'");
    let at_once = rig
        .insert("jack", &[first, ("ttl", "'1 microsecond'")])
        .await;
    let later = rig.insert("jill", &[first]).await;
    rig.sql("INSERT INTO callq.jobs (app, robot_account, callees, run_at) VALUES ('unserved', 'robot', '{joan}', '4714-11-24 00:00:00+00 BC')")
        .await;
    let good = rig.insert("rose", &[]).await;
    let worker = rig.worker().await;
    rig.until_state(good, "placed").await;
    for id in [at_once, later, later + 1] {
        rig.until_state(id, "expired").await;
    }
    worker.stop().await.unwrap();
}

#[tokio::test]
async fn a_lapsed_lease_is_found_whatever_stands_beside_it() {
    let rig = Rig::new().await;
    let bad = rig
        .insert("jack", &[("run_at", "now() + interval '1 hour'")])
        .await;
    let good = rig
        .insert("rose", &[("run_at", "now() + interval '1 hour'")])
        .await;
    rig.sql("ALTER TABLE callq.jobs DISABLE TRIGGER USER").await;
    rig.sql(&format!(
        "UPDATE callq.jobs SET state = 'dialing', attempt = 1, claim_token = gen_random_uuid(), on_doubt = 'retry',
             lease_until = now() - interval '1 s', ring_timeout_ms = CASE id WHEN {bad} THEN 9223372036854775807 ELSE 10000 END"
    ))
    .await;
    rig.sql("ALTER TABLE callq.jobs ENABLE TRIGGER USER").await;
    let worker = rig.worker().await;
    rig.until_state(good, "in_doubt").await;
    rig.until_state(bad, "in_doubt").await;
    worker.stop().await.unwrap();
}

#[tokio::test]
async fn a_number_that_only_the_database_can_hold_is_refused_where_it_is_written() {
    let rig = Rig::new().await;
    let huge = "1".to_owned() + &"0".repeat(400);
    let id = rig
        .insert("jack", &[("run_at", "now() + interval '1 day'")])
        .await;
    for column in ["offline_push", "metadata"] {
        for json in [
            format!("{{\"New\": {huge}}}"),
            format!("{{\"New\": [{{\"a\": -{huge}}}]}}"),
        ] {
            for statement in [
                format!(
                    "INSERT INTO callq.jobs (robot_account, callees, {column}) VALUES ('bot', '{{jack}}', '{json}')"
                ),
                format!("UPDATE callq.jobs SET {column} = '{json}' WHERE id = {id}"),
            ] {
                let done = sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
                    .execute(rig.db.pool())
                    .await;
                let said = done
                    .unwrap_err()
                    .as_database_error()
                    .unwrap()
                    .message()
                    .to_owned();
                assert!(
                    said.starts_with(&format!("{column} has a number that is too large: ")),
                    "{said}"
                );
            }
        }
        let fine = format!(
            "UPDATE callq.jobs SET {column} = '{{\"New\": 0.1234567890123456789, \"Big\": 1e300}}' WHERE id = {id}"
        );
        rig.sql(&fine).await;
    }
}

#[tokio::test]
async fn rows_that_went_around_the_rules_are_listed_shown_and_exported() {
    let rig = Rig::new().await;
    rig.sql(
        "ALTER TABLE callq.jobs DISABLE TRIGGER USER;
         INSERT INTO callq.jobs (robot_account, callees, run_at, due_at, expires_at, ring_timeout_ms, priority, max_attempts, metadata) VALUES
             ('r', '{NULL,jack}', '-infinity', '-infinity', 'infinity', 9223372036854775807, 70000, 70000, '{}'),
             ('r', '{{a,b},{c,d}}', 'infinity', 'infinity', '-infinity', -1, -70000, -1, ('{\"n\": 1' || repeat('0', 400) || '}')::jsonb)",
    )
    .await;
    for arguments in [
        &["jobs", "list"][..],
        &["jobs", "list", "--json"],
        &["jobs", "export", "--csv"],
        &["jobs", "export", "--json"],
        &["jobs", "show", "1"],
        &["jobs", "show", "2"],
        &["jobs", "show", "2", "--json"],
        &["status"],
        &["apps", "list"],
    ] {
        let mut command = callq(arguments.iter().copied());
        let ended = run(command.env("DATABASE_URL", rig.db.url())).await;
        assert_eq!(ended.code(), 0, "{arguments:?}: {ended}");
        if arguments[1..].contains(&"export") {
            assert!(
                ended.text().contains(&"0".repeat(400)),
                "the number is told as it is: {ended}"
            );
        }
    }
}
