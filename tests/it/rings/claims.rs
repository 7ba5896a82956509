//! One live call per callee: what a claim does with a follow-up job.

use callq::call::RingPolicy;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};
use uuid::Uuid;

use crate::support::Database;
use crate::support::rig::Rig;
use crate::support::statements::{claim, claim_of};

/// A finished job, and a due follow-up of it to these callees; returns the follow-up's id.
async fn follow_up(rig: &Rig, callees: &str) -> i64 {
    let root: i64 = rig
        .value(
            "INSERT INTO callq.jobs (robot_account, callees) VALUES ('robot', '{jack,ann,bob}') RETURNING id",
        )
        .await;
    rig.sql(&format!("SELECT callq.cancel({root})")).await;
    rig.value(&format!(
        "INSERT INTO callq.jobs (robot_account, callees, root_id, follows_id, ring_no, redials)
         VALUES ('robot', '{callees}', {root}, {root}, 2, 1) RETURNING id"
    ))
    .await
}

/// Claims everything that is due, and returns what became of it: id and state.
async fn claimed(connection: &mut PgConnection) -> Vec<(i64, String)> {
    let (prepare, name) = claim().prepare();
    sqlx::raw_sql(AssertSqlSafe(prepare))
        .execute(&mut *connection)
        .await
        .unwrap();
    let run = format!(
        "EXECUTE {name}({})",
        claim_of(100, &Uuid::new_v4().to_string())
    );
    let rows = sqlx::raw_sql(AssertSqlSafe(run))
        .fetch_all(connection)
        .await
        .unwrap();
    let mut claimed: Vec<(i64, String)> = rows
        .iter()
        .map(|row| (row.get("id!"), row.get("state!")))
        .collect();
    claimed.sort();
    claimed
}

fn state(claimed: &[(i64, String)], id: i64) -> Option<&str> {
    let found = claimed.iter().find(|(of, _)| *of == id);
    found.map(|(_, state)| state.as_str())
}

async fn connection(db: &Database) -> PgConnection {
    PgConnection::connect(db.url()).await.unwrap()
}

#[tokio::test]
async fn of_two_claims_at_the_same_instant_one_rings_a_callee_whichever_commits_first() {
    let rig = Rig::new().await;
    let (mut one, mut other) = (connection(&rig.db).await, connection(&rig.db).await);
    let first = follow_up(&rig, "{jack,ann}").await;
    let mut begun = one.begin().await.unwrap();
    assert_eq!(state(&claimed(&mut begun).await, first), Some("dialing"));
    // The first claim is not committed, so nobody else sees it.
    let second = follow_up(&rig, "{bob,ann}").await;
    assert_eq!(state(&claimed(&mut other).await, second), Some("scheduled"));
    begun.commit().await.unwrap();
    let due = format!("UPDATE callq.jobs SET due_at = now() WHERE id = {second}");
    rig.sql(&due).await;
    assert_eq!(state(&claimed(&mut other).await, second), Some("scheduled"));
    let job = rig.job(second).await;
    assert_eq!(job.reason.as_deref(), Some("callee_busy"));
    assert!(
        job.attempt == 0 && job.waits_s > 5.0 && job.waits_s <= 15.0,
        "{job:?}"
    );
    // Somebody else's callee is another's.
    let third = follow_up(&rig, "{rose}").await;
    assert_eq!(state(&claimed(&mut one).await, third), Some("dialing"));
    let attempts: i64 = rig.value("SELECT count(*) FROM callq.attempts").await;
    assert_eq!(attempts, 2);
}

#[tokio::test]
async fn of_two_follow_ups_in_one_claim_the_first_rings_the_callee() {
    let rig = Rig::new().await;
    let first = follow_up(&rig, "{jack}").await;
    let second = follow_up(&rig, "{ann,jack}").await;
    let third = follow_up(&rig, "{bob}").await;
    let claimed = claimed(&mut connection(&rig.db).await).await;
    let states = [first, second, third].map(|id| state(&claimed, id).unwrap());
    assert_eq!(states, ["dialing", "scheduled", "dialing"]);
}

#[tokio::test]
async fn a_callee_on_another_call_is_left_alone_until_it_is_over_or_must_be() {
    let rig = Rig::new().await;
    let worker = rig.worker().await;
    let talking = rig.insert("talk-600-jack", &[]).await;
    rig.until_state(talking, "placed").await;
    let waits = follow_up(&rig, "{talk-600-jack}").await;
    let job = rig
        .until(waits, |job| job.reason.as_deref() == Some("callee_busy"))
        .await;
    assert_eq!((job.state.as_str(), job.attempt), ("scheduled", 0));
    // A job that a user gave a time rings at that time.
    let ordinary = rig.insert("talk-600-jack", &[]).await;
    rig.until_state(ordinary, "placed").await;
    let bounded: bool = rig
        .value("SELECT bool_and(live_until = opened_at + interval '45 seconds' + interval '30 minutes') FROM callq.calls")
        .await;
    assert!(bounded);
    // The calls' ends never became known, and their time is over.
    rig.sql(&format!(
        "UPDATE callq.calls SET live_until = now(); UPDATE callq.jobs SET due_at = now() WHERE id = {waits}"
    ))
    .await;
    rig.until_state(waits, "placed").await;
    worker.stop().await.unwrap();
    rig.audit().await;
}

#[tokio::test]
async fn a_follow_up_whose_callee_is_busy_until_the_deadline_expires_for_that() {
    let rig = Rig::new().await;
    let worker = rig.worker().await;
    let talking = rig.insert("talk-600-jack", &[]).await;
    rig.until_state(talking, "placed").await;
    let waits = follow_up(&rig, "{talk-600-jack}").await;
    rig.until(waits, |job| job.reason.as_deref() == Some("callee_busy"))
        .await;
    rig.sql(&format!(
        "UPDATE callq.jobs SET run_at = now() - interval '1 hour', ttl = '1 hour 2 seconds' WHERE id = {waits}"
    ))
    .await;
    let job = rig.until_state(waits, "expired").await;
    assert_eq!(job.reason.as_deref(), Some("expired_callee_busy"));
    worker.stop().await.unwrap();
}

#[tokio::test]
async fn the_database_and_the_program_take_the_same_policies() {
    let rig = Rig::new().await;
    for given in [
        "{}",
        r#"{"max_rings": 20}"#,
        r#"{"max_rings": 21}"#,
        r#"{"max_rings": 0}"#,
        r#"{"max_rings": 2.5}"#,
        r#"{"max_rings": "2"}"#,
        r#"{"busy": []}"#,
        r#"{"busy": ["1s", "7d", "1h30m"]}"#,
        r#"{"busy": ["0s"]}"#,
        r#"{"busy": ["7d1s"]}"#,
        r#"{"busy": ["1d1h1m1s1s"]}"#,
        r#"{"busy": ["10"]}"#,
        r#"{"busy": ["10 m"]}"#,
        r#"{"busy": ["1234567s"]}"#,
        r#"{"busy": [600]}"#,
        r#"{"busy": "10m"}"#,
        r#"{"no_answer": ["1m","1m","1m","1m","1m","1m","1m","1m","1m","1m","1m","1m","1m","1m","1m","1m","1m","1m","1m","1m","1m"]}"#,
        r#"{"min_gap": "0s", "declined": ["1m"], "unreachable": ["1m"]}"#,
        r#"{"min_gap": "25h"}"#,
        r#"{"min_gap": null}"#,
        r#"{"answered": ["1m"]}"#,
    ] {
        let Value::Object(object) = serde_json::from_str(given).unwrap() else {
            unreachable!("each is an object");
        };
        let program = RingPolicy::default().with(&object).is_ok();
        let insert = sqlx::query(
            "INSERT INTO callq.jobs (robot_account, callees, ring_policy) VALUES ('robot', '{jack}', $1::text::jsonb)",
        );
        let inserted = insert.bind(given).execute(rig.db.pool()).await;
        assert_eq!(inserted.is_ok(), program, "{given}");
        if let Err(error) = inserted {
            assert!(
                error
                    .as_database_error()
                    .unwrap()
                    .message()
                    .starts_with("ring_policy has"),
                "{error}"
            );
        }
    }
}
