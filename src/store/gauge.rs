//! How full the queue is, for metrics.

use std::time::Duration;

use super::connect::bounded;
use super::grant::seconds;
use super::{Store, StoreError};

/// The depth of one app's queue, counted up to [`Gauge::COUNTED_UP_TO`].
#[derive(Clone, Debug)]
pub struct Gauge {
    /// The app.
    pub app: String,
    /// Jobs that are due and not claimed.
    pub due: i64,
    /// Jobs whose request may be under way.
    pub dialing: i64,
    /// Jobs whose phone may have rung.
    pub in_doubt: i64,
    /// How long the oldest due job has been due; zero if none is.
    pub oldest_due: Duration,
    /// Whether no media is started for it now.
    pub is_media_paused: bool,
}

impl Gauge {
    /// Counting stops here, so that a gauge costs little however long the queue is.
    pub const COUNTED_UP_TO: i64 = 100_000;
}

impl Store {
    /// The depth of every app that has open jobs or a row in `callq.apps`.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn gauges(&self) -> Result<Vec<Gauge>, StoreError> {
        let rows = bounded!(
            self,
            "measure the queue",
            fetch_all,
            sqlx::query_file!("src/store/gauge.sql", Gauge::COUNTED_UP_TO)
        )?;
        Ok(rows
            .into_iter()
            .map(|row| Gauge {
                app: row.app,
                due: row.due,
                dialing: row.dialing,
                in_doubt: row.in_doubt,
                oldest_due: seconds(row.oldest_due_s),
                is_media_paused: row.media_paused,
            })
            .collect())
    }
}
