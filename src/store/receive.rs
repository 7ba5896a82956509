//! Keeping what Tencent calls back with.

use std::time::Duration;

use super::connect::bounded;
use super::{Store, StoreError};

/// The longest body that is kept, in bytes (`a_body_has_at_most_64_kib`).
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// The latest time that is taken for one: the end of the year 9999, in milliseconds since 1970.
const EVENT_MS_MAX: i64 = 253_402_300_799_999;

/// One callback as it came, with what was understood of it. `Debug` shows neither its body nor
/// whom it is about.
#[derive(Clone)]
pub struct ReceivedCallback {
    /// The app whose path it came to.
    pub app: String,
    /// What it tells, by Tencent's name; `None`: not understood.
    pub command: Option<&'static str>,
    /// Tencent's `CallId`.
    pub call_id: Option<String>,
    /// Tencent's `RoomId`, of a start and of an end.
    pub room_id: Option<String>,
    /// Tencent's `EventTime`, in milliseconds since the Unix epoch. What is no time is left out.
    pub event_at_ms: Option<i64>,
    /// At most [`BODY_BYTES_MAX`].
    pub body: Vec<u8>,
    /// By which it is known when it comes again.
    pub digest: [u8; 32],
    /// Why it was not understood.
    pub fault: Option<String>,
}

impl std::fmt::Debug for ReceivedCallback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReceivedCallback")
            .field("app", &self.app)
            .field("command", &self.command)
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Keeps callbacks, durably once this returns; answers how many were not there yet.
    ///
    /// # Errors
    /// If the database does not answer within this time, twice that if a connection must be made
    /// first. They may have been kept all the same.
    pub async fn receive(
        &self,
        callbacks: &[ReceivedCallback],
        within: Duration,
    ) -> Result<u64, StoreError> {
        let (mut apps, mut commands) = (Vec::new(), Vec::new());
        let (mut calls, mut rooms, mut times) = (Vec::new(), Vec::new(), Vec::new());
        let (mut bodies, mut digests, mut faults) = (Vec::new(), Vec::new(), Vec::new());
        for callback in callbacks {
            apps.push(callback.app.clone());
            commands.push(callback.command.map(str::to_owned));
            calls.push(callback.call_id.clone());
            rooms.push(callback.room_id.clone());
            let time = callback.event_at_ms;
            times.push(time.filter(|ms| (0..=EVENT_MS_MAX).contains(ms)));
            bodies.push(callback.body.clone());
            digests.push(callback.digest.to_vec());
            faults.push(callback.fault.clone());
        }
        let row = bounded!(
            self,
            "keep callbacks",
            fetch_one,
            sqlx::query_file!(
                "src/store/receive.sql",
                &apps,
                &commands as &[Option<String>],
                &calls as &[Option<String>],
                &rooms as &[Option<String>],
                &times as &[Option<i64>],
                &bodies,
                &digests,
                &faults as &[Option<String>],
            ),
            within
        )?;
        Ok(u64::try_from(row.stored).unwrap_or(0))
    }
}
