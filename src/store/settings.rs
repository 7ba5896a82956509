//! The settings that belong to the database, not to a worker.

use super::{Store, StoreError};

/// The row of `callq.settings`, without its pause.
#[derive(Clone, Debug)]
pub struct DatabaseSettings {
    /// Whether work that is due soon wakes the workers at once.
    pub notify: bool,
    /// The zone of the report views.
    pub report_time_zone: String,
    /// Whether the database knows that zone.
    pub zone_is_known: bool,
}

impl Store {
    /// The settings of the database.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn settings(&self) -> Result<DatabaseSettings, StoreError> {
        sqlx::query_file_as!(DatabaseSettings, "src/store/settings.sql")
            .fetch_one(&self.pool)
            .await
            .map_err(StoreError::during("read the settings"))
    }
}
