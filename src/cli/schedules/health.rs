//! What keeps schedules from ringing, in sentences, for `callq status` and `callq check`.

use chrono::{DateTime, Utc};

use crate::call::readable;
use crate::cli::when::{ago, time};
use crate::schedule::{zone_data_is_of_the_system, zone_data_version};
use crate::store::{ScheduleFault, ScheduleHealth, Store, StoreError};

/// So many schedules at fault are named.
const FAULTS_NAMED: i64 = 5;

/// One look at all schedules.
pub(in crate::cli) struct Schedules {
    pub(in crate::cli) health: ScheduleHealth,
    pub(in crate::cli) faults: Vec<ScheduleFault>,
}

impl Schedules {
    pub(in crate::cli) async fn read(store: &Store) -> Result<Self, StoreError> {
        let health = store.schedule_health().await?;
        let faults = if health.at_fault > 0 {
            store.schedule_faults(FAULTS_NAMED).await?
        } else {
            Vec::new()
        };
        Ok(Self { health, faults })
    }

    /// How many there are, and how they stand; `None` if there is none.
    pub(in crate::cli) fn count(&self) -> Option<String> {
        let health = &self.health;
        if health.schedules == 0 {
            return None;
        }
        let mut text = health.schedules.to_string();
        for (count, what) in [
            (health.at_fault, "at fault"),
            (health.stopped, "paused or disabled"),
        ] {
            if count > 0 {
                text = format!("{text}, {count} {what}");
            }
        }
        Some(text)
    }

    /// What needs somebody, each as a sentence and what to do.
    pub(in crate::cli) fn troubles(&self, now: DateTime<Utc>) -> Vec<(String, String)> {
        let mut told = Vec::new();
        for fault in &self.faults {
            let (name, app) = (readable(&fault.name), readable(&fault.app));
            let of = match app.as_str() {
                "default" => String::new(),
                app => format!(" --app {app}"),
            };
            told.push((
                format!(
                    "Schedule {name} of app {app} is at fault: {}",
                    readable(&fault.error)
                ),
                format!("callq schedules show {name}{of}"),
            ));
        }
        let named = i64::try_from(self.faults.len()).unwrap_or(i64::MAX);
        if self.health.at_fault > named {
            let more = self.health.at_fault - named;
            told.push((
                format!("{more} more schedules are at fault"),
                "callq schedules list".to_owned(),
            ));
        }
        if let Some(since) = self.health.unattended_since {
            let count = self.health.unattended;
            told.push((
                format!(
                    "{count} schedules wait for a worker to fire them, the first since {} ({})",
                    time(since),
                    ago(since, now)
                ),
                self.who_fires(),
            ));
        }
        told
    }

    fn who_fires(&self) -> String {
        match self.newer_zone_data() {
            Some(newer) => format!("start a worker whose time zone data is {newer} or newer"),
            None => "start `callq worker`".to_owned(),
        }
    }

    /// The version of zone data that schedules were reckoned with, if this program's is older.
    pub(in crate::cli) fn newer_zone_data(&self) -> Option<String> {
        let newest = self.health.zone_data.as_deref()?;
        // As 2026e before 2026f, and 2026z before 2026za.
        (newest > zone_data_version()).then(|| readable(newest))
    }
}

/// The zone data of this program.
pub(in crate::cli) fn zone_data() -> String {
    let place = if zone_data_is_of_the_system() {
        "the system's"
    } else {
        "built in"
    };
    format!("{}, {place}", zone_data_version())
}
