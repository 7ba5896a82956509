//! Those who use the queue: they insert, cancel and reschedule, and remember what they were told.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::time::{MissedTickBehavior, interval};

use crate::crew::now_us;

/// What the jobs are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mix {
    /// Everything a user can ask for, and callees that everything happens to.
    Everything,
    /// Callees that answer; half a minute to ring them.
    Plain,
}

/// What the producers were told, and so rely on.
#[derive(Debug, Default)]
pub(crate) struct Told {
    facts: Mutex<Facts>,
    stopped: AtomicBool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// Jobs whose INSERT was answered.
    pub(crate) inserted: Vec<i64>,
    /// Jobs whose cancel was answered: id, word, and when it was asked for and answered.
    pub(crate) cancelled: Vec<(i64, String, i64, i64)>,
    /// Jobs that were moved: the deadlines that were told, in microseconds; none where the answer
    /// was lost.
    pub(crate) moved: HashMap<i64, Vec<Option<i64>>>,
    /// Statements that were not answered.
    pub(crate) unanswered: usize,
}

impl Told {
    pub(crate) fn facts(&self) -> Facts {
        self.lock().clone()
    }

    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }

    fn lock(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One of the latest jobs.
    fn recent(&self, rng: &mut fastrand::Rng) -> Option<i64> {
        let facts = self.lock();
        let from = facts.inserted.len().saturating_sub(300);
        rng.choice(facts.inserted[from..].iter().copied())
    }
}

/// How often a batch is inserted.
const EVERY: Duration = Duration::from_millis(100);

/// Inserts so many jobs a second until it is told to stop.
pub(crate) async fn insert(
    pool: &PgPool,
    told: &Told,
    mix: Mix,
    per_second: usize,
    mut rng: fastrand::Rng,
) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let batch = per_second * usize::try_from(EVERY.as_millis()).unwrap() / 1000;
    while !told.stopped.load(Ordering::SeqCst) {
        ticks.tick().await;
        let jobs: Vec<Value> = (0..batch).map(|_| job(mix, &mut rng)).collect();
        let inserted = sqlx::query_scalar(
            "INSERT INTO callq.jobs (robot_account, callees, run_at, ttl, priority, on_doubt, max_attempts,
                 ring_timeout_ms, retry_callees, room_id)
             SELECT 'robot', r.callees, now() + r.in_s * interval '1 s', r.ttl_s * interval '1 s', r.priority, r.on_doubt,
                 r.max_attempts, 10000, r.retry_callees, r.room
             FROM jsonb_to_recordset($1) AS r(callees text[], in_s float8, ttl_s float8, priority int, on_doubt text,
                 max_attempts int, retry_callees boolean, room text)
             RETURNING id",
        )
        .bind(Value::from(jobs))
        .fetch_all(pool)
        .await;
        match inserted {
            Ok(ids) => told.lock().inserted.extend::<Vec<i64>>(ids),
            Err(error) => lost(told, &error).await,
        }
    }
}

/// The answer was lost or refused: goes on, but not at once.
async fn lost(told: &Told, error: &sqlx::Error) {
    let ours = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    assert!(
        !ours.is_some_and(|code| ["22", "23", "42", "P0"].iter().any(|c| code.starts_with(c))),
        "the test's own mistake: {error}"
    );
    told.lock().unanswered += 1;
    tokio::time::sleep(EVERY).await;
}

fn job(mix: Mix, rng: &mut fastrand::Rng) -> Value {
    let callee = format!("u{}", rng.u32(..));
    if mix == Mix::Everything && rng.u32(..2000) == 0 {
        // Rare: each halves the pace.
        return json!({"callees": [format!("throttle-1-{callee}")], "in_s": 0, "ttl_s": 20, "priority": 0, "on_doubt": "hold",
            "max_attempts": 3, "retry_callees": false, "room": null});
    }
    let pick = |rng: &mut fastrand::Rng, words: &[&str]| {
        rng.choice(words.iter())
            .expect("there are some")
            .to_string()
    };
    if mix == Mix::Plain {
        let on_doubt = pick(rng, &["hold", "hold", "hold", "reconcile", "retry"]);
        return json!({"callees": [callee], "in_s": 0, "ttl_s": 30, "priority": rng.i32(0..4), "on_doubt": on_doubt,
            "max_attempts": 5, "retry_callees": false, "room": null});
    }
    let special = [
        "busy",
        "noanswer",
        "decline",
        "badcode-5",
        "missing",
        "code-60008",
        "code-80001",
        "stall",
        "close",
        "garbage",
    ];
    let mut callees = vec![callee.clone()];
    if rng.u32(..10) == 0 {
        let special = pick(rng, &special);
        let named = format!("{special}-{callee}");
        if rng.bool() {
            callees.push(named);
        } else {
            callees = vec![named];
        }
    }
    let ttl_s = match rng.u32(..10) {
        // The deadline is met by every fault that lasts longer.
        0..3 => 0.5 + 2.5 * rng.f64(),
        _ => 5.0 + 20.0 * rng.f64(),
    };
    json!({
        "callees": callees,
        "in_s": if rng.bool() { 0.0 } else { 3.0 * rng.f64() },
        "ttl_s": ttl_s,
        "priority": rng.i32(0..4),
        "on_doubt": pick(rng, &["hold", "reconcile", "retry"]),
        "max_attempts": rng.i32(1..6),
        "retry_callees": rng.u32(..5) == 0,
        "room": (rng.u32(..10) == 0).then(|| format!("own-{callee}")),
    })
}

/// Cancels and reschedules until it is told to stop.
pub(crate) async fn change_minds(pool: &PgPool, told: &Told, mut rng: fastrand::Rng) {
    while !told.stopped.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_millis(rng.u64(20..120))).await;
        let Some(id) = told.recent(&mut rng) else {
            continue;
        };
        if rng.bool() {
            let asked_us = now_us();
            let word = sqlx::query_scalar("SELECT callq.cancel($1)").bind(id);
            match word.fetch_one(pool).await {
                Ok(word) => told.lock().cancelled.push((id, word, asked_us, now_us())),
                Err(error) => lost(told, &error).await,
            }
        } else {
            // While it is scheduled: the trigger refuses any other state.
            let moved = sqlx::query_scalar(
                "UPDATE callq.jobs SET run_at = now() + $2 * interval '1 s' WHERE id = $1 AND state = 'scheduled'
                 RETURNING (extract(epoch FROM expires_at) * 1000000)::bigint",
            );
            let moved = moved.bind(id).bind(3.0 * rng.f64());
            match moved.fetch_optional(pool).await {
                Ok(None) => {}
                Ok(Some(us)) => told.lock().moved.entry(id).or_default().push(Some(us)),
                Err(error) => {
                    told.lock().moved.entry(id).or_default().push(None);
                    lost(told, &error).await;
                }
            }
        }
    }
}
