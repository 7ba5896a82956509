//! The claim: due jobs become dialing, with their attempts written ahead of any request.

use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::connect::{bounded, watched};
use super::grant::{count, seconds};
use super::low::places;
use super::{Epoch, LEVELS, Low, Lows, Store, StoreError};

/// What a worker may claim of one app.
#[derive(Clone, Debug)]
pub struct ClaimOrder {
    /// The app.
    pub app: String,
    /// At most so many jobs.
    pub granted: usize,
    /// From where to read the queue.
    pub lows: Lows,
    /// Whether this worker can supply media for the app; jobs with media wait otherwise.
    pub can_stream: bool,
}

/// What one claim brought.
#[derive(Default)]
pub struct Claims {
    /// The jobs to place now, in due order within each app.
    pub jobs: Vec<Claimed>,
    /// When it was made, for [`Store::history_holds`].
    pub epoch: Epoch,
    /// Jobs found past their deadline, which are ended now, and those that have to wait: app, state
    /// and reason of each.
    pub ended: Vec<(String, String, String)>,
}

/// One claimed job: the row as the user gave it, and the attempt that was written for it.
///
/// It has no `Debug`: `user_data` and `offline_push` stand in their columns and in no log.
pub struct Claimed {
    /// `callq.jobs.id`.
    pub job_id: i64,
    /// Number of this attempt.
    pub attempt: i32,
    /// The app.
    pub app: String,
    /// `Robot_Account`.
    pub robot_account: String,
    /// `CalleeList_Account`.
    pub callees: Vec<String>,
    /// `Audio` or `Video`.
    pub media_type: String,
    /// The room of this attempt: the user's, or a fresh one.
    pub room_id: String,
    /// 1: digits, 2: text.
    pub room_id_type: i32,
    /// How long the phone rings.
    pub ring_timeout_ms: i64,
    /// `UserData`.
    pub user_data: Option<String>,
    /// `OfflinePushInfo`, as JSON that nobody has read yet: the database holds numbers that no
    /// other program can.
    pub offline_push: Option<String>,
    /// The URL parameter `random` of this attempt.
    pub random: u32,
    /// The level the job was taken from.
    pub priority: i32,
    /// When the attempt was due.
    pub due_at: DateTime<Utc>,
    /// How late the claim was.
    pub late: Duration,
    /// How long after the claim the deadline is; `None` without a deadline.
    pub expires_in: Option<Duration>,
    /// The database's clock at the claim, in seconds since 1970.
    pub claimed_at_unix_s: f64,
    /// How many requests count so far.
    pub attempts_used: i32,
    /// How many may.
    pub max_attempts: i32,
    /// The job's policy for doubts.
    pub on_doubt: String,
    /// Whether refused callees are rung again.
    pub retry_callees: bool,
}

impl Claimed {
    /// Where in the queue it was: its level, as an index of [`Lows`], and its place there.
    #[must_use]
    pub fn place(&self) -> (usize, Low) {
        place(self.priority, self.due_at, self.job_id)
    }
}

/// A due job that lies before the place where claims read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behind {
    /// The app.
    pub app: String,
    /// Its level, as an index of [`Lows`], and its place there.
    pub place: (usize, Low),
}

fn place(priority: i32, due_at: DateTime<Utc>, job_id: i64) -> (usize, Low) {
    let level = usize::try_from(priority).unwrap_or(0).min(LEVELS - 1);
    (level, Low { due_at, job_id })
}

impl Store {
    /// Claims due jobs for the apps of `orders`, as one committed statement.
    ///
    /// `claim_token` is made by the caller for this one claim: with it a claim whose answer was
    /// lost can be given back ([`Store::give_back`]).
    ///
    /// # Errors
    /// If the database did not answer, or may have lost a part of its history. The claim may have
    /// been committed all the same.
    pub async fn claim(
        &self,
        orders: &[ClaimOrder],
        claim_token: Uuid,
        worker: &str,
        lease: Duration,
    ) -> Result<Claims, StoreError> {
        let apps: Vec<String> = orders.iter().map(|o| o.app.clone()).collect();
        let slots: Vec<i32> = orders.iter().map(|o| count(o.granted)).collect();
        let streams: Vec<bool> = orders.iter().map(|o| o.can_stream).collect();
        let (lows, low_ids) = places(orders.iter().map(|o| &o.lows));
        let epoch = self.watch.as_ref().map(|w| w.epoch()).unwrap_or_default();
        let way = self.for_claims();
        let rows = watched!(
            way,
            "claim jobs",
            fetch_all,
            sqlx::query_file!(
                "src/store/claim.sql",
                &apps,
                &slots,
                claim_token,
                worker,
                lease.as_secs_f64(),
                &lows,
                &low_ids,
                &streams,
            )
        )?;

        let mut claims = Claims {
            epoch,
            ..Claims::default()
        };
        for row in rows {
            if row.state != "dialing" {
                let reason = row.reason.unwrap_or_default();
                claims.ended.push((row.app, row.state, reason));
                continue;
            }
            claims.jobs.push(Claimed {
                job_id: row.id,
                attempt: row.attempt,
                app: row.app,
                robot_account: row.robot_account,
                callees: row.callees,
                media_type: row.media_type,
                room_id: row.room_id,
                room_id_type: row.room_id_type,
                ring_timeout_ms: row.ring_timeout_ms,
                user_data: row.user_data,
                offline_push: row.offline_push,
                random: u32::try_from(row.random).unwrap_or_default(),
                priority: row.priority,
                due_at: row.due_at,
                late: seconds(row.late_s),
                expires_in: row.expires_in_s.map(seconds),
                claimed_at_unix_s: row.claimed_at_unix_s,
                attempts_used: row.attempts_used,
                max_attempts: row.max_attempts,
                on_doubt: row.on_doubt,
                retry_callees: row.retry_callees,
            });
        }
        if let (Some(watch), Some(job)) = (&self.watch, claims.jobs.first())
            && !watch.note_claim(epoch, job.job_id, job.attempt, claim_token)
        {
            return Err(StoreError::HistoryUnsure);
        }
        Ok(claims)
    }

    /// Finds the first due job of each app and level that lies before these places: from the very
    /// beginning, or no longer than `since` before them.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn behind(
        &self,
        lows: &[(String, Lows)],
        since: Option<Duration>,
    ) -> Result<Vec<Behind>, StoreError> {
        let apps: Vec<String> = lows.iter().map(|(app, _)| app.clone()).collect();
        let (places, ids) = places(lows.iter().map(|(_, lows)| lows));
        let rows = bounded!(
            self,
            "look for jobs before the last claim",
            fetch_all,
            sqlx::query_file!(
                "src/store/behind.sql",
                &apps,
                &places,
                &ids,
                since.map(|since| since.as_secs_f64()),
            )
        )?;
        let behind = rows.into_iter().map(|row| Behind {
            app: row.app,
            place: place(row.priority, row.due_at, row.job_id),
        });
        Ok(behind.collect())
    }

    /// Gives back whatever a claim took whose answer was lost: its caller has sent nothing.
    ///
    /// Returns how many jobs were given back; none if the claim was never committed.
    ///
    /// # Errors
    /// If the database cannot answer; the jobs become in doubt when their lease lapses.
    pub async fn give_back(&self, claim_token: Uuid) -> Result<u64, StoreError> {
        let done = bounded!(
            self,
            "give a claim back",
            execute,
            sqlx::query_file!("src/store/give_back.sql", claim_token)
        )?;
        Ok(done.rows_affected())
    }
}
