//! Reading the reports: from the views alone, in the time zone that was asked for.

use std::time::Duration;

use chrono::NaiveDate;
use sqlx::PgConnection;

use super::StoreError;
use super::connect::{SEARCH_PATH, options};
use super::pooler::connect_to_session;
use super::schema::{Program, check_schema};

/// One of the reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// What became of callees who were rung, by day.
    Daily,
    /// The answer rate by weekday and hour.
    Heatmap,
    /// How many rings it took to reach a callee.
    Attempts,
    /// Minutes of ringing and talk, by robot.
    Minutes,
    /// What was played into calls, by day and robot.
    Media,
    /// Jobs that ended without a call, and why.
    NotCalled,
    /// What Tencent refused, by hour and code.
    Errors,
    /// How late requests left, by hour.
    Lateness,
    /// Whether each schedule rings, and whether anybody answers.
    Schedules,
    /// Jobs whose phone may have rung.
    InDoubt,
}

/// Of what a report is.
#[derive(Clone, Debug)]
pub struct ReportSpan {
    /// The first day. Reports of how things stand now have no days.
    pub since: NaiveDate,
    /// The last day, included.
    pub until: NaiveDate,
    /// Only of this app.
    pub app: Option<String>,
    /// Only of schedules of this name.
    pub schedule: Option<String>,
}

/// A connection that only reads, and has more time than workers have.
#[derive(Debug)]
pub struct Reports {
    connection: PgConnection,
    zone: String,
    today: NaiveDate,
}

/// How long a report may take; what is needed on 10 million legs is below 2 s.
const LIMITS: &str = "SET statement_timeout = '60s'; SET jit = off; SET work_mem = '64MB'; \
    SET default_transaction_read_only = on";

/// Longer than the server's own limit.
const ANSWER_MAX: Duration = Duration::from_secs(65);

const VERB: &str = "read the report";

impl Reports {
    /// Connects; days and hours are in this zone, or else in that of the database's settings.
    ///
    /// # Errors
    /// If the database cannot be reached, has another schema, or does not know the zone.
    pub async fn connect(url: &str, zone: Option<&str>) -> Result<Self, StoreError> {
        let mut connection = connect_to_session(&options(url)?).await?;
        for settings in [SEARCH_PATH, LIMITS] {
            sqlx::raw_sql(settings)
                .execute(&mut connection)
                .await
                .map_err(StoreError::during(VERB))?;
        }
        check_schema(&mut connection, &Program::this()).await?;
        if let Some(zone) = zone {
            set(&mut connection, "callq.report_time_zone", zone).await?;
        }
        let clock = sqlx::query_file!("src/store/report_clock.sql")
            .fetch_one(&mut connection)
            .await
            .map_err(StoreError::during(VERB))?;
        // Instants are written in it too.
        set(&mut connection, "TimeZone", &clock.zone).await?;
        Ok(Self {
            connection,
            zone: clock.zone,
            today: clock.today,
        })
    }

    /// The zone of all days, hours and instants.
    #[must_use]
    pub fn zone(&self) -> &str {
        &self.zone
    }

    /// Today in that zone.
    #[must_use]
    pub const fn today(&self) -> NaiveDate {
        self.today
    }

    /// The rows of a report, each as a JSON object.
    ///
    /// # Errors
    /// If the database cannot answer, or the login may not read the views.
    pub async fn read(
        &mut self,
        report: Report,
        span: &ReportSpan,
    ) -> Result<Vec<String>, StoreError> {
        let of = &mut self.connection;
        let (since, until) = (span.since, span.until);
        let (app, schedule) = (span.app.as_deref(), span.schedule.as_deref());
        macro_rules! rows {
            ($file:literal, $($parameter:expr),+) => {
                tokio::time::timeout(
                    ANSWER_MAX,
                    sqlx::query_file_scalar!($file, $($parameter),+).fetch_all(of),
                )
                .await
            };
            ($file:literal) => {
                rows!($file, since, until, app, schedule)
            };
        }
        let read = match report {
            Report::Daily => rows!("src/store/report_daily.sql"),
            Report::Heatmap => rows!("src/store/report_heatmap.sql"),
            Report::Attempts => rows!("src/store/report_attempts.sql"),
            Report::Minutes => rows!("src/store/report_minutes.sql"),
            Report::Media => rows!("src/store/report_media.sql"),
            Report::NotCalled => rows!("src/store/report_not_called.sql"),
            Report::Errors => rows!("src/store/report_errors.sql"),
            Report::Lateness => rows!("src/store/report_lateness.sql"),
            Report::Schedules => rows!("src/store/report_schedules.sql", app, schedule),
            Report::InDoubt => rows!("src/store/report_in_doubt.sql", app, schedule),
        };
        read.map_err(|_| StoreError::Silent { verb: VERB })?
            .map_err(StoreError::during(VERB))
    }
}

/// Sets one setting of the session to a value that is not ours.
async fn set(connection: &mut PgConnection, name: &str, value: &str) -> Result<(), StoreError> {
    sqlx::query("SELECT set_config($1, $2, false)")
        .bind(name)
        .bind(value)
        .execute(connection)
        .await
        .map(drop)
        .map_err(StoreError::during(VERB))
}
