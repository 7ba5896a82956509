//! Upgrades from every schema there was, with rows of every state in it.

use serde_json::{Map, Value};

use super::{migrate_to, migrations};
use crate::support::Database;
use crate::support::rig::Rig;

/// A job in each state, as a program of that schema left them: `$` stands for the schema. Times and states are set
/// after the insert, because from the second migration on a trigger sets the first ones.
const ROWS: &str = "
    INSERT INTO callq.jobs (robot_account, callees, run_at, ttl, due_at, expires_at, on_doubt, metadata)
    SELECT 'robot', ARRAY[k.kind || '-$'], now() - interval '10 min', '1 day', now() - interval '10 min', now() - interval '10 min' + interval '1 day',
        CASE k.kind WHEN 'again' THEN 'retry' ELSE 'hold' END, jsonb_build_object('kind', k.kind, 'schema', $)
    FROM unnest(ARRAY['due', 'later', 'under-way', 'doubt', 'again', 'placed', 'completed', 'failed', 'expired', 'cancelled', 'unresolved'])
        AS k(kind);
    UPDATE callq.jobs SET run_at = now() + interval '1 day', due_at = now() + interval '1 day', expires_at = now() + interval '2 days'
        WHERE callees[1] = 'later-$';
    -- One request each, but for those that were never tried.
    UPDATE callq.jobs SET attempt = 1, claim_token = gen_random_uuid()
        WHERE metadata ->> 'schema' = '$' AND metadata ->> 'kind' NOT IN ('due', 'later', 'expired', 'cancelled');
    INSERT INTO callq.attempts (job_id, attempt, claim_token, app, worker, room_id, room_id_type, random, due_at, claimed_at, sent_at)
    SELECT id, 1, claim_token, app, 'of schema $', 'room-' || id, 2, id, due_at, now() - interval '9 min', now() - interval '9 min'
        FROM callq.jobs WHERE metadata ->> 'schema' = '$' AND attempt = 1;
    UPDATE callq.attempts AS a SET state = 'unknown', class = 'in_doubt', detail = 'the connection broke' FROM callq.jobs AS j
        WHERE j.id = a.job_id AND a.worker = 'of schema $' AND j.metadata ->> 'kind' IN ('doubt', 'again', 'unresolved');
    UPDATE callq.attempts AS a SET state = 'replied', replied_at = now() - interval '8 min', error_code = 0, call_id = 'call-' || j.id
        FROM callq.jobs AS j
        WHERE j.id = a.job_id AND a.worker = 'of schema $' AND j.metadata ->> 'kind' IN ('placed', 'completed', 'failed');
    UPDATE callq.jobs SET state = 'dialing', lease_until = now() - interval '8 min' WHERE callees[1] = 'under-way-$';
    UPDATE callq.jobs SET state = 'in_doubt', reason = 'reply_unknown', attempts_used = 1, lease_until = now() + interval '5 days'
        WHERE callees[1] = 'doubt-$';
    UPDATE callq.jobs SET state = 'in_doubt', reason = 'reply_unknown', attempts_used = 1, lease_until = now() - interval '1 min'
        WHERE callees[1] = 'again-$';
    UPDATE callq.jobs SET state = (metadata ->> 'kind')::callq.job_state, reason = 'accepted', placed_at = now(), finished_at = now()
        WHERE callees[1] IN ('placed-$', 'completed-$');
    UPDATE callq.jobs SET state = (metadata ->> 'kind')::callq.job_state, reason = 'lease_lapsed', finished_at = now()
        WHERE callees[1] IN ('failed-$', 'expired-$', 'cancelled-$', 'unresolved-$');";

/// Where each kind of job is when a worker of this program has looked after all of them.
const ENDS: [(&str, &str); 11] = [
    ("again", "placed"),
    ("cancelled", "cancelled"),
    ("completed", "completed"),
    ("doubt", "in_doubt"),
    ("due", "placed"),
    ("expired", "expired"),
    ("failed", "failed"),
    ("later", "scheduled"),
    ("placed", "placed"),
    ("under-way", "in_doubt"),
    ("unresolved", "unresolved"),
];

/// Every job and attempt, by what tells it, with all its columns.
async fn rows(database: &Database) -> Vec<(String, Map<String, Value>)> {
    let rows: Vec<(String, Value)> = sqlx::query_as(
        "SELECT 'job ' || id, to_jsonb(j) FROM callq.jobs AS j
         UNION ALL SELECT concat('attempt ', attempt, ' of ', job_id), to_jsonb(a) FROM callq.attempts AS a ORDER BY 1",
    )
    .fetch_all(database.pool())
    .await
    .unwrap();
    let object = |value: Value| value.as_object().cloned().expect("a row is an object");
    rows.into_iter()
        .map(|(name, row)| (name, object(row)))
        .collect()
}

/// Fails unless every row is there with every value that it had.
fn assert_kept(before: &[(String, Map<String, Value>)], after: &[(String, Map<String, Value>)]) {
    for (name, was) in before {
        let (_, is) = after
            .iter()
            .find(|(other, _)| other == name)
            .unwrap_or_else(|| panic!("{name} is gone"));
        for (column, value) in was {
            assert_eq!(is.get(column), Some(value), "{column} of {name}");
        }
    }
    assert_eq!(before.len(), after.len());
}

/// Migrates to `first` and from there one by one to `last`, with rows inserted at each; then
/// brings it up to date as `callq migrate` does, and has a worker look after all of them.
async fn upgrade(first: i64, last: i64) {
    let database = Database::empty().await;
    for schema in first..=last {
        let before = if schema == first {
            Vec::new()
        } else {
            rows(&database).await
        };
        migrate_to(database.url(), schema).await;
        assert_kept(
            &before,
            &if schema == first {
                Vec::new()
            } else {
                rows(&database).await
            },
        );
        let insert = ROWS.replace('$', &schema.to_string());
        sqlx::raw_sql(sqlx::AssertSqlSafe(insert))
            .execute(database.pool())
            .await
            .unwrap_or_else(|error| panic!("schema {schema}: {error}"));
    }
    let before = rows(&database).await;
    assert!(before.len() >= 18 * usize::try_from(last - first + 1).unwrap());
    callq::worker::migrate(database.url()).await.unwrap();
    assert_kept(&before, &rows(&database).await);

    let rig = Rig::on(database, 0).await;
    let worker = rig.worker().await;
    for schema in first..=last {
        for (kind, state) in ENDS {
            let which = format!("SELECT id FROM callq.jobs WHERE callees[1] = '{kind}-{schema}'");
            // A call that was placed may be over by now.
            let is_over = |now: &str| state == "placed" && now == "completed";
            rig.until(rig.value(&which).await, |job| {
                job.state == state || is_over(&job.state)
            })
            .await;
        }
    }
    worker.stop().await.unwrap();
    let calls = 2 * usize::try_from(last - first + 1).unwrap();
    let ledger = rig.sandbox.ledger();
    let mut rung: Vec<&str> = ledger
        .requests()
        .iter()
        .map(|r| r.callees[0].as_str())
        .collect();
    rung.sort_unstable();
    rung.dedup();
    assert_eq!(rung.len(), calls, "each of them once: {rung:?}");
    assert_eq!(ledger.requests().len(), calls);
    assert!(
        rung.iter()
            .all(|c| c.starts_with("due-") || c.starts_with("again-")),
        "{rung:?}"
    );
    // What was rung anew is a new attempt beside the old one.
    let again: i64 = rig
        .value("SELECT count(*) FROM callq.attempts AS a JOIN callq.jobs AS j ON j.id = a.job_id WHERE j.callees[1] LIKE 'again-%'")
        .await;
    assert_eq!(again, 2 * (last - first + 1));
}

fn newest() -> i64 {
    migrations().iter().map(|m| m.version).max().unwrap()
}

#[tokio::test]
async fn jobs_of_every_state_survive_each_migration_and_are_worked_off_afterwards() {
    upgrade(1, newest()).await;
}

#[tokio::test]
async fn every_earlier_schema_is_brought_up_to_date_at_once() {
    for schema in 1..newest() {
        upgrade(schema, schema).await;
    }
}
