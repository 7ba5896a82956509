//! Three hours without a worker: nothing stale rings, the rest is ramped up, and all is accounted for.

use callq::sandbox::{CalleeScript, PlannedOutcome};

use crate::support::rig::Rig;

/// A day of jobs as a worker that was killed three hours ago left them, and as they came since.
const OUTAGE: &str = "
    UPDATE callq.apps SET served_at = now() - interval '3 hours', unserved_since = NULL, served_since = now() - interval '1 day';
    DELETE FROM callq.app_holds;
    UPDATE callq.pace SET refilled_at = now() - interval '3 hours', factor = 1, factor_at = now() - interval '1 day';
    -- Due before and during the outage, with deadlines that passed in it.
    INSERT INTO callq.jobs (robot_account, callees, run_at, ttl, metadata)
    SELECT 'robot', ARRAY['stale' || i], now() - i * interval '1 min', '20 min', '{\"kind\": \"stale\"}' FROM generate_series(21, 200) AS i;
    INSERT INTO callq.jobs (robot_account, callees, run_at, expires_at, metadata)
    SELECT 'robot', ARRAY['fresh' || i], now() - i * interval '5 s', CASE i % 2 WHEN 0 THEN 'infinity' ELSE now() + interval '1 hour' END,
        '{\"kind\": \"fresh\"}' FROM generate_series(1, 2000) AS i;
    -- What was under way when it was killed.
    INSERT INTO callq.jobs (robot_account, callees, run_at, ttl, metadata)
    SELECT 'robot', ARRAY['lost' || i], now() - interval '3 hours', '1 day', '{\"kind\": \"lost\"}' FROM generate_series(1, 5) AS i;
    UPDATE callq.jobs SET state = 'dialing', attempt = 1, claim_token = gen_random_uuid(), lease_until = now() - interval '2 h 59 min'
        WHERE metadata ->> 'kind' = 'lost';
    INSERT INTO callq.attempts (job_id, attempt, claim_token, app, worker, room_id, room_id_type, random, due_at, claimed_at)
    SELECT id, 1, claim_token, 'default', 'killed', 'room', 2, 1, due_at, now() - interval '3 hours' FROM callq.jobs WHERE state = 'dialing';";

#[tokio::test]
async fn after_an_outage_of_three_hours_nothing_stale_rings_and_the_rest_is_ramped_up() {
    let rig = Rig::new().await;
    let config = || {
        let mut config = rig.config();
        // A minute's pace is 1,800, less than what is overdue.
        config.apps[0].calls_per_second = Some(30.0);
        config
    };
    rig.worker_with(config()).await.stop().await.unwrap();
    rig.sql(OUTAGE).await;
    // Nobody hangs up before all is looked at: what was placed still is.
    let talks = CalleeScript::new("fresh*", PlannedOutcome::Answered).talk_s(3600);
    rig.sandbox.script_callee(talks).unwrap();
    let worker = rig.worker_with(config()).await;
    rig.until_requests(15).await;
    let last: i64 = rig
        .value("SELECT max(id) FROM callq.jobs WHERE metadata ->> 'kind' = 'lost'")
        .await;
    rig.until_state(last, "in_doubt").await;
    let stale: i64 = rig
        .value("SELECT min(id) FROM callq.jobs WHERE metadata ->> 'kind' = 'stale'")
        .await;
    rig.until_state(stale, "expired").await;
    worker.stop().await.unwrap();

    let ends: Vec<String> = sqlx::query_scalar(
        "SELECT concat_ws(' ', metadata ->> 'kind', state, reason, count(*)) FROM callq.jobs
         WHERE metadata ->> 'kind' <> 'fresh' GROUP BY metadata ->> 'kind', state, reason ORDER BY 1",
    )
    .fetch_all(rig.db.pool())
    .await
    .unwrap();
    // Ten of the stale ones had waited for most of their time while a worker was still there.
    let expected = [
        "lost in_doubt lease_lapsed 5",
        "stale expired expired_no_worker 170",
        "stale expired expired_pace 10",
    ];
    assert_eq!(ends, expected);
    let open: i64 = rig
        .value("SELECT count(*) FROM callq.jobs WHERE metadata ->> 'kind' = 'fresh' AND state NOT IN ('scheduled', 'placed')")
        .await;
    assert_eq!(
        open, 0,
        "what may still ring has rung or waits for its turn"
    );
    let ledger = rig.sandbox.ledger();
    for request in ledger.requests() {
        assert!(request.callees[0].starts_with("fresh"), "{request:?}");
    }
    let at = |i: usize| ledger.requests()[i].monotonic_us;
    // A tenth of 30 in a second, and 2 ^ (4 / 15) of that after 4 s: 15 of them take more than 4 s; half of
    // that leaves room for a first one that was held up.
    assert!(
        at(14) - at(0) > 2_000_000,
        "15 requests within {} us",
        at(14) - at(0)
    );
    let share: f64 = rig.value("SELECT factor FROM callq.pace").await;
    assert!((share - 0.1).abs() < 1e-9, "{share}");
    rig.audit().await;
}
