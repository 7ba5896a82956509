//! What the database knows of an app: who serves it, whether it rings real phones, its pauses.

use std::collections::HashMap;
use std::time::Duration;

use super::connect::bounded;
use super::{Store, StoreError};
use crate::call::JobDefaults;

/// A worker's word that it serves an app.
#[derive(Clone, Debug)]
pub struct Served {
    /// The app.
    pub app: String,
    /// Tencent's `SDKAppID`.
    pub sdk_app_id: u32,
    /// `live` if its host rings real phones, otherwise `sandbox`.
    pub kind: &'static str,
    /// The host.
    pub host: String,
    /// The pace that is configured; `None` leaves what the database has (180 at first).
    pub calls_per_second: Option<f64>,
    /// What its jobs have that give none of their own.
    pub defaults: JobDefaults,
}

/// Why an app may not be served: its host is of the other kind than the one it began with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServeRefused;

/// Why none of an app's jobs may be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paused {
    /// The word or words in `pause_reason`.
    pub reason: String,
    /// Whose credentials the pause is for; `None`: everybody's, by a person; `*`: everybody's,
    /// since several have met the fault.
    pub fingerprint: Option<String>,
}

/// All pauses that are in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PauseState {
    /// The reason of a pause of everything.
    pub all: Option<String>,
    /// The paused apps.
    pub apps: HashMap<String, Paused>,
}

impl PauseState {
    /// Whether a person has paused this app, or everything.
    #[must_use]
    pub fn held_by_a_person(&self, app: &str) -> bool {
        self.all.is_some() || self.apps.get(app).is_some_and(|p| p.fingerprint.is_none())
    }

    /// Whether a worker with these credentials must not send a call of this app.
    #[must_use]
    pub fn holds(&self, app: &str, fingerprint: &str) -> bool {
        self.all.is_some()
            || self.apps.get(app).is_some_and(|p| {
                p.fingerprint
                    .as_deref()
                    .is_none_or(|f| f == "*" || f == fingerprint)
            })
    }
}

impl Store {
    /// Says that an app is served from now on; to be repeated about every 10 s.
    ///
    /// The first word decides whether the app is live or a sandbox. `Err(ServeRefused)` inside `Ok`
    /// means that this worker's host is of the other kind, and nothing was changed.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn serve(&self, app: &Served) -> Result<Result<(), ServeRefused>, StoreError> {
        let row = bounded!(
            self,
            "note that an app is served",
            fetch_optional,
            sqlx::query_file!(
                "src/store/serve.sql",
                app.app,
                i64::from(app.sdk_app_id),
                app.kind,
                app.host,
                app.calls_per_second,
                app.defaults.ring_policy.as_deref(),
                whole(app.defaults.max_call_seconds),
                whole(Some(app.defaults.longest_call_s)),
            )
        )?;
        Ok(row.map(|_| ()).ok_or(ServeRefused))
    }

    /// Pauses an app because of a fault that concerns all its calls, unless it is paused already.
    /// Returns whether this call paused it.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn pause_faulty_app(
        &self,
        app: &str,
        reason: &str,
        detail: &str,
        worker: &str,
        fingerprint: &str,
        probe_after: Duration,
    ) -> Result<bool, StoreError> {
        let row = bounded!(
            self,
            "pause an app",
            fetch_optional,
            sqlx::query_file!(
                "src/store/pause.sql",
                app,
                reason,
                detail,
                worker,
                fingerprint,
                probe_after.as_secs_f64(),
            )
        )?;
        Ok(row.is_some())
    }

    /// Keeps a paused app from being probed for so long.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn put_off_probe(&self, app: &str, wait: Duration) -> Result<(), StoreError> {
        bounded!(
            self,
            "put a probe off",
            execute,
            sqlx::query_file!("src/store/put_off.sql", app, wait.as_secs_f64())
        )?;
        Ok(())
    }

    /// The database's time, in whole seconds since 1970.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn unix_time(&self) -> Result<i64, StoreError> {
        bounded!(
            self,
            "tell the time",
            fetch_one,
            sqlx::query_scalar!(
                r#"SELECT extract(epoch FROM clock_timestamp())::bigint AS "now!""#
            )
        )
    }

    /// Notes that a call of an app was accepted, and lifts a pause that a fault had brought,
    /// whoever met it: the app's credentials work. A person's pause stays. Returns whether a pause
    /// ended.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn note_success(&self, app: &str) -> Result<bool, StoreError> {
        let row = bounded!(
            self,
            "note an accepted call",
            fetch_optional,
            sqlx::query_file!("src/store/succeed.sql", app)
        )?;
        Ok(row.is_some_and(|r| r.resumed))
    }

    /// All pauses in force now.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn pauses(&self) -> Result<PauseState, StoreError> {
        let rows = bounded!(
            self,
            "read the pauses",
            fetch_all,
            sqlx::query!(
                r#"SELECT NULL AS app, pause_reason AS "reason!", NULL AS fingerprint
               FROM callq.settings WHERE paused_at IS NOT NULL
               UNION ALL
               SELECT app, pause_reason, pause_fingerprint
               FROM callq.apps WHERE paused_at IS NOT NULL"#
            )
        )?;
        let mut state = PauseState::default();
        for row in rows {
            match row.app {
                None => state.all = Some(row.reason),
                Some(app) => {
                    let paused = Paused {
                        reason: row.reason,
                        fingerprint: row.fingerprint,
                    };
                    state.apps.insert(app, paused);
                }
            }
        }
        Ok(state)
    }
}

fn whole(seconds: Option<u32>) -> Option<i32> {
    seconds.map(|seconds| i32::try_from(seconds).unwrap_or(i32::MAX))
}
