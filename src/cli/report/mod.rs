//! `callq report`

mod chart;
mod form;

use chrono::{Days, NaiveDate};
use clap::{Args, ValueEnum};
use serde_json::{Map, Value};

use self::form::Form;
use super::settings::ConfigFile;
use super::{Failure, print};
use crate::call::readable;
use crate::schedule::Zone;
use crate::store::{Report as Kind, ReportSpan, Reports};

const EXAMPLES: &str = "Examples:\n  \
    callq report daily --since 30d\n  \
    callq report heatmap --since 2030-01-01 --until 2030-01-31 --tz Europe/Berlin\n  \
    callq report not-called --app clinic --schedule reminder\n  \
    callq report minutes --csv > minutes.csv";

/// What became of calls, from the report views: a table, a chart, and what the numbers mean.
///
/// Needs no more than the rights of callq_report. Every number is exact at the moment it is read,
/// but for percentiles, which are within 5 %; days whose jobs were deleted are still in it. The
/// same in SQL is in docs/reports.md.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Report {
    /// Which one
    #[arg(value_enum, value_name = "REPORT")]
    name: Name,

    /// The first day, as 2030-01-31, or 7d: the last 7 days, today included
    #[arg(long, value_name = "DAY", default_value = "7d", value_parser = day)]
    since: Day,

    /// The last day, included
    #[arg(long, value_name = "DAY", value_parser = day, default_value = "1d",
        hide_default_value = true)]
    until: Day,

    /// Days and hours of this zone [default: callq.settings.report_time_zone]
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,

    /// Only of this app
    #[arg(long)]
    app: Option<String>,

    /// Only of schedules of this name
    #[arg(long, value_name = "NAME")]
    schedule: Option<String>,

    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Args)]
#[group(multiple = false)]
struct Format {
    /// Comma-separated values with a header line, as in RFC 4180
    #[arg(long)]
    csv: bool,

    /// One JSON object per line
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Name {
    /// What became of callees who were rung, by day
    Daily,
    /// Who answers when: the answer rate by weekday and hour
    Heatmap,
    /// How many rings it took to reach a callee
    Attempts,
    /// How long phones rang and how long was talked, by robot
    Minutes,
    /// What was played into calls with a media_url, by day and robot
    Media,
    /// Jobs that ended without a call, and why
    NotCalled,
    /// What Tencent refused, by hour and code
    Errors,
    /// How late requests left, by hour
    Lateness,
    /// Whether each schedule rings, and whether anybody answers; as it is now
    Schedules,
    /// Jobs whose phone may have rung, and what is looked for; as it is now
    InDoubt,
}

impl Name {
    const fn kind(self) -> Kind {
        match self {
            Self::Daily => Kind::Daily,
            Self::Heatmap => Kind::Heatmap,
            Self::Attempts => Kind::Attempts,
            Self::Minutes => Kind::Minutes,
            Self::Media => Kind::Media,
            Self::NotCalled => Kind::NotCalled,
            Self::Errors => Kind::Errors,
            Self::Lateness => Kind::Lateness,
            Self::Schedules => Kind::Schedules,
            Self::InDoubt => Kind::InDoubt,
        }
    }
}

/// A day as people type it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Day {
    On(NaiveDate),
    /// The first of the last so many, of which today is the last.
    Last(u64),
}

fn day(text: &str) -> Result<Day, String> {
    let fault = || "must be a day as 2030-01-31, or as 7d".to_owned();
    if let Some(days) = text.strip_suffix('d') {
        let days: u64 = days.parse().map_err(|_| fault())?;
        return match days {
            1..=36_500 => Ok(Day::Last(days)),
            _ => Err(fault()),
        };
    }
    let on = NaiveDate::parse_from_str(text, "%Y-%m-%d");
    on.map(Day::On).map_err(|_| fault())
}

impl Day {
    fn from(self, today: NaiveDate) -> NaiveDate {
        match self {
            Self::On(day) => day,
            Self::Last(days) => today
                .checked_sub_days(Days::new(days - 1))
                .expect("a hundred years are within the calendar"),
        }
    }
}

impl Report {
    pub(super) async fn run(self, config: &ConfigFile) -> Result<(), Failure> {
        if let Some(zone) = &self.tz {
            Zone::find(zone).map_err(|fault| Failure::Cannot(anyhow::anyhow!(fault)))?;
        }
        let url = config.database_url()?;
        let mut reports = Reports::connect(url.expose(), self.tz.as_deref()).await?;
        let today = reports.today();
        let span = ReportSpan {
            since: self.since.from(today),
            until: self.until.from(today),
            app: self.app.clone(),
            schedule: self.schedule.clone(),
        };
        if span.since > span.until {
            let text = format!("--since {} is after --until {}", span.since, span.until);
            return Err(Failure::Cannot(anyhow::anyhow!(text)));
        }
        let rows = reports.read(self.name.kind(), &span).await?;
        if self.format.json {
            return rows
                .into_iter()
                .try_for_each(|row| print::data(&print::harmless_json(row)));
        }
        let rows: Result<Vec<Map<String, Value>>, _> =
            rows.iter().map(|row| serde_json::from_str(row)).collect();
        let (rows, form) = (rows?, Form::of(self.name.kind()));
        if self.format.csv {
            return print::data(&csv(form, &rows)?);
        }
        let of = if !form.spans_days {
            String::new()
        } else if span.since == span.until {
            format!("{}, ", span.since)
        } else {
            format!("{} to {}, ", span.since, span.until)
        };
        print::line(&format!(
            "{} ({of}{})\n",
            form.title,
            readable(reports.zone())
        ))?;
        if rows.is_empty() {
            print::note(form.if_empty);
            return Ok(());
        }
        print::line(&chart::screen(form, &rows))?;
        print::line(&format!("\n{}", form.definitions.join("\n")))
    }
}

/// The columns of the form as CSV, with a header line; NULL is an empty field.
fn csv(form: &Form, rows: &[Map<String, Value>]) -> Result<String, Failure> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(form.columns.iter().map(|column| column.name))?;
    for row in rows {
        writer.write_record(
            form.columns
                .iter()
                .map(|column| form::plain(&row[column.name])),
        )?;
    }
    let bytes = writer
        .into_inner()
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    let text = String::from_utf8(bytes)?;
    Ok(text.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_dates_or_the_last_so_many() {
        let today = NaiveDate::from_ymd_opt(2030, 3, 1).expect("a day");
        let from = |text| day(text).map(|day| day.from(today).to_string());
        assert_eq!(from("2030-01-31"), Ok("2030-01-31".to_owned()));
        assert_eq!(from("1d"), Ok("2030-03-01".to_owned()));
        assert_eq!(from("7d"), Ok("2030-02-23".to_owned()));
        for text in ["", "d", "0d", "-1d", "7", "2030-02-30", "99999d", "7h"] {
            assert!(from(text).is_err(), "{text}");
        }
    }
}
