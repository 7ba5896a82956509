//! What is followed: calls whose outcome is not settled, and what callbacks have told of them.

use std::collections::HashMap;
use std::time::Duration;

use uuid::Uuid;

use super::connect::bounded;
use super::{Store, StoreError};

/// The most callbacks that are looked at of one call; Tencent sends a few for each callee.
const CALLBACKS_PER_CALL: i64 = 1000;

/// The longest call that is reckoned with where no worker has said another.
const LONGEST_CALL: Duration = Duration::from_mins(30);

/// A call that is followed, with everything that is needed to judge it.
///
/// It has no `Debug`: texts that came from Tencent are for the rows.
#[derive(Clone)]
pub struct OpenCall {
    /// `callq.jobs.id`.
    pub job_id: i64,
    /// Number of the attempt.
    pub attempt: i32,
    /// The turn in which this was read; another change makes it stale.
    pub turn: i32,
    /// Tencent's `CallId`, if it is known.
    pub call_id: Option<String>,
    /// The room of the request.
    pub room_id: String,
    /// Its type, Tencent's number.
    pub room_id_type: i16,
    /// How often its record was looked for by itself.
    pub looks: i32,
    /// The record, as JSON, if it came and callees are unknown.
    pub record: Option<String>,
    /// How long it has been followed.
    pub open_for: Duration,
    /// How long ago it was claimed.
    pub claimed_ago: Duration,
    /// How long after the claim its request left, if that is known.
    pub sent_after: Option<Duration>,
    /// The claim that made the attempt.
    pub claim_token: Uuid,
    /// What the answer meant; `None`: it is not known yet.
    pub class: Option<String>,
    /// `CallResult` of the reply, as JSON.
    pub callee_results: Option<String>,
    /// When the call can have begun at the earliest, in seconds of Tencent's clock, as far as marks
    /// of it tell; only while there is no `CallId`, or when it is looked for by itself.
    pub began_from: Option<i64>,
    /// When it can have begun at the latest, likewise.
    pub began_until: Option<i64>,
    /// The job, unless it is gone.
    pub job: Option<FollowedJob>,
}

/// The job of a call that is followed.
#[derive(Clone)]
pub struct FollowedJob {
    /// Who is rung.
    pub callees: Vec<String>,
    /// Who calls.
    pub robot: String,
    /// Whether the room is the user's.
    pub has_own_room: bool,
    /// How long the phone rings, in milliseconds.
    pub ring_timeout_ms: i64,
    /// Its state.
    pub state: String,
    /// Its reason.
    pub reason: Option<String>,
    /// Its newest attempt.
    pub newest: i32,
    /// Its policy for doubts.
    pub on_doubt: String,
    /// How many requests count so far.
    pub attempts_used: i32,
    /// How many may be spent.
    pub max_attempts: i32,
    /// Whether media is to be played into its calls.
    pub has_media: bool,
    /// How often its callees were rung before without being reached.
    pub redials: i32,
    /// `ring_policy`, as JSON.
    pub ring_policy: Option<String>,
    /// What it leaves out.
    pub app_ring_policy: Option<String>,
    /// How long a call lasts at most.
    pub longest_call: Duration,
    /// How long its deadline is still away, zero if it has passed; `None`: it has none.
    pub deadline_left: Option<Duration>,
}

/// Which calls to read.
#[derive(Clone, Debug, Default)]
pub struct Followed {
    /// Those of these `CallId`s.
    pub call_ids: Vec<String>,
    /// Those without a `CallId` in these rooms.
    pub rooms: Vec<String>,
    /// Those of these jobs and attempts.
    pub attempts: Vec<(i64, i32)>,
}

/// A callback that is to be looked at.
#[derive(Clone)]
pub struct Hint {
    /// `callq.callbacks.id`.
    pub id: i64,
    /// Tencent's name of it, as the URL or the body has it.
    pub command: Option<String>,
    /// The body as it came.
    pub body: Vec<u8>,
    /// How often it was looked at.
    pub looks: i16,
}

/// What a callback that was looked at is found to be.
#[derive(Clone, Copy, Debug)]
pub struct Heeded {
    /// `callq.callbacks.id`.
    pub id: i64,
    /// Job and attempt, if they are known.
    pub attempt: Option<(i64, i32)>,
    /// After how long it is looked at again; `None`: never.
    pub again: Option<Duration>,
}

impl Store {
    /// Reads calls that are followed.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn open_calls(
        &self,
        app: &str,
        which: &Followed,
    ) -> Result<Vec<OpenCall>, StoreError> {
        let (job_ids, attempts): (Vec<i64>, Vec<i32>) = which.attempts.iter().copied().unzip();
        let rows = bounded!(
            self,
            "read calls that are followed",
            fetch_all,
            sqlx::query_file!(
                "src/store/follow_open.sql",
                app,
                &which.call_ids,
                &which.rooms,
                &job_ids,
                &attempts,
            )
        )?;
        let seconds = |s: f64| Duration::try_from_secs_f64(s.max(0.0)).unwrap_or_default();
        let calls = rows.into_iter().map(|row| OpenCall {
            job_id: row.job_id,
            attempt: row.attempt,
            turn: row.turn,
            call_id: row.call_id,
            room_id: row.room_id,
            room_id_type: row.room_id_type.unwrap_or(2),
            looks: row.looks,
            record: row.record,
            open_for: seconds(row.open_s),
            claimed_ago: seconds(row.claimed_ago_s.unwrap_or(row.open_s)),
            sent_after: row.sent_after_s.map(seconds),
            claim_token: row.claim_token.unwrap_or_default(),
            class: row.class,
            callee_results: row.callee_results,
            began_from: row.began_from,
            began_until: row.began_until,
            job: row.callees.map(|callees| FollowedJob {
                callees,
                robot: row.robot.unwrap_or_default(),
                has_own_room: row.own_room,
                ring_timeout_ms: row.ring_timeout_ms.unwrap_or(0),
                state: row.job_state.unwrap_or_default(),
                reason: row.reason,
                newest: row.newest.unwrap_or(0),
                on_doubt: row.on_doubt.unwrap_or_default(),
                attempts_used: row.attempts_used.unwrap_or(0),
                max_attempts: row.max_attempts.unwrap_or(0),
                has_media: row.has_media,
                redials: row.redials.unwrap_or(0),
                ring_policy: row.ring_policy,
                app_ring_policy: row.app_ring_policy,
                longest_call: row.longest_call_s.map_or(LONGEST_CALL, |s| {
                    Duration::from_secs(u64::try_from(s).unwrap_or(0))
                }),
                deadline_left: row.expires_in_s.map(seconds),
            }),
        });
        Ok(calls.collect())
    }

    /// What callbacks have told of these calls: `CallId`, command and body.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn callbacks_of(
        &self,
        app: &str,
        call_ids: &[String],
    ) -> Result<Vec<(String, Option<String>, Vec<u8>)>, StoreError> {
        let rows = bounded!(
            self,
            "read the callbacks of calls",
            fetch_all,
            sqlx::query_file!(
                "src/store/follow_callbacks.sql",
                app,
                call_ids,
                CALLBACKS_PER_CALL
            )
        )?;
        let rows = rows.into_iter();
        Ok(rows
            .map(|row| (row.call_id, row.command, row.body))
            .collect())
    }

    /// The attempts of calls that are settled, by their `CallId`s.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn settled_calls(
        &self,
        app: &str,
        call_ids: &[String],
    ) -> Result<HashMap<String, (i64, i32)>, StoreError> {
        let rows = bounded!(
            self,
            "look for settled calls",
            fetch_all,
            sqlx::query_file!("src/store/follow_settled.sql", app, call_ids)
        )?;
        let rows = rows.into_iter();
        Ok(rows
            .map(|row| (row.call_id, (row.job_id, row.attempt)))
            .collect())
    }

    /// The callbacks of an app that are to be looked at, at most so many.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn hints(&self, app: &str, at_most: usize) -> Result<Vec<Hint>, StoreError> {
        let at_most = i64::try_from(at_most).unwrap_or(i64::MAX);
        let rows = bounded!(
            self,
            "read new callbacks",
            fetch_all,
            sqlx::query_file!("src/store/follow_hints.sql", app, at_most)
        )?;
        let hints = rows.into_iter().map(|row| Hint {
            id: row.id,
            command: row.command,
            body: row.body,
            looks: row.looks,
        });
        Ok(hints.collect())
    }

    /// Notes what callbacks were found to be.
    ///
    /// # Errors
    /// If the database cannot answer: look at them again.
    pub async fn heed(&self, heeded: &[Heeded]) -> Result<(), StoreError> {
        let ids: Vec<i64> = heeded.iter().map(|h| h.id).collect();
        let jobs: Vec<Option<i64>> = heeded.iter().map(|h| h.attempt.map(|a| a.0)).collect();
        let attempts: Vec<Option<i32>> = heeded.iter().map(|h| h.attempt.map(|a| a.1)).collect();
        let again: Vec<Option<f64>> = heeded
            .iter()
            .map(|h| h.again.map(|d| d.as_secs_f64()))
            .collect();
        bounded!(
            self,
            "note what callbacks are about",
            execute,
            sqlx::query_file!(
                "src/store/follow_heeded.sql",
                &ids,
                &jobs as &[Option<i64>],
                &attempts as &[Option<i32>],
                &again as &[Option<f64>],
            )
        )?;
        Ok(())
    }
}
