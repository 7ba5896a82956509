//! How many requests may leave now: the pace of each app, shared by all workers.

use std::time::Duration;

use super::connect::{bounded, watched};
use super::low::{Lows, places};
use super::{Store, StoreError};

/// Seconds until the first probe of a paused app; doubled by each probe, at most 300.
const PROBE_INTERVAL_S: f64 = 60.0;

/// A worker's question for one app.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The app.
    pub app: String,
    /// How many requests the worker could send at once; also the most that is granted.
    pub slots: usize,
    /// Which credentials the worker has for the app.
    pub fingerprint: String,
    /// `live` or `sandbox`: an app of the other kind is granted nothing.
    pub kind: &'static str,
    /// From where to read.
    pub lows: Lows,
}

/// The answer for one app.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The app.
    pub app: String,
    /// Whether the app is paused for these credentials: nothing is granted.
    pub paused: bool,
    /// Whether the app is paused, and it is this worker's turn to find out if it works again.
    pub probing: bool,
    /// How many jobs are due, counted up to the slots.
    pub due: usize,
    /// How many may be claimed and sent now.
    pub granted: usize,
    /// How long until the bucket holds a further token, if it could not give all that is due.
    pub next_token: Option<Duration>,
    /// How long until the next job that is not yet due becomes due.
    pub next_due: Option<Duration>,
    /// How long the granted tokens may lie idle. From then on the bucket gains tokens that it would
    /// not have room for if those were still in it.
    pub keeps: Duration,
    /// How many tokens the bucket gains in a second.
    pub pace: f64,
}

impl Store {
    /// Asks for permits for several apps at once. Apps that have no row in `callq.apps` are paused.
    ///
    /// # Errors
    /// If the database cannot answer; nothing has then been taken that is not lost within a burst.
    pub async fn grant(&self, asks: &[Ask]) -> Result<Vec<Grant>, StoreError> {
        let apps: Vec<String> = asks.iter().map(|a| a.app.clone()).collect();
        let slots: Vec<i32> = asks.iter().map(|a| count(a.slots)).collect();
        let fingerprints: Vec<String> = asks.iter().map(|a| a.fingerprint.clone()).collect();
        let kinds: Vec<&str> = asks.iter().map(|a| a.kind).collect();
        let (lows, low_ids) = places(asks.iter().map(|a| &a.lows));
        let way = self.for_claims();
        let rows = watched!(
            way,
            "grant calls",
            fetch_all,
            sqlx::query_file!(
                "src/store/grant.sql",
                &apps,
                &slots,
                &fingerprints,
                &lows,
                &low_ids,
                PROBE_INTERVAL_S,
                &kinds as &[&str],
            )
        )?;
        Ok(rows
            .into_iter()
            .map(|row| Grant {
                app: row.app,
                paused: row.paused,
                probing: row.probing,
                due: size(row.due),
                granted: size(row.granted),
                next_token: row.next_token_s.map(seconds),
                next_due: row.next_due_s.map(seconds),
                keeps: row.keeps_s.map_or(Duration::ZERO, seconds),
                pace: row.pace.unwrap_or(0.0),
            })
            .collect())
    }

    /// Adds tokens to the buckets of apps, or takes them where their number is below zero: those
    /// that were granted and not used, so that other workers have them at once, and those that a
    /// bucket gained only because granted ones lay idle. Each app once.
    ///
    /// Returns in how long the longest debt is paid; zero if there is none.
    ///
    /// # Errors
    /// If the database cannot answer; nothing may then have been changed.
    pub async fn correct_tokens(&self, owed: &[(String, f64)]) -> Result<Duration, StoreError> {
        let (apps, tokens): (Vec<String>, Vec<f64>) = owed.iter().cloned().unzip();
        let way = self.for_claims();
        let row = bounded!(
            way,
            "correct the tokens of apps",
            fetch_one,
            sqlx::query_file!("src/store/correct.sql", &apps, &tokens)
        )?;
        Ok(row.debt_s.map_or(Duration::ZERO, seconds))
    }

    /// Halves the pace of an app after Tencent asked it to go slower; it doubles every 15 s until
    /// it is whole again. Many refusals within a second halve it once; a hundredth is the least.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn slow_down(&self, app: &str) -> Result<(), StoreError> {
        bounded!(
            self,
            "slow an app down",
            execute,
            sqlx::query_file!("src/store/slow_down.sql", app)
        )?;
        Ok(())
    }
}

/// A size as PostgreSQL's integer; sizes here are bounded by the number of slots.
pub(super) fn count(size: usize) -> i32 {
    i32::try_from(size).unwrap_or(i32::MAX)
}

/// PostgreSQL's integer as a size.
pub(super) fn size(count: i32) -> usize {
    usize::try_from(count).unwrap_or(0)
}

/// Seconds as a duration; a time that has passed is zero.
pub(super) fn seconds(s: f64) -> Duration {
    Duration::try_from_secs_f64(s).unwrap_or(Duration::ZERO)
}
