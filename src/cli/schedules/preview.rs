//! `callq schedules preview EXPR --tz ZONE`

use chrono::{TimeDelta, Utc};
use clap::{ArgGroup, Args, value_parser};

use super::firings;
use crate::call::readable;
use crate::cli::table::shown;
use crate::cli::{Failure, print};
use crate::config::duration;
use crate::schedule::{
    Expression, ExpressionFault, Interval, LocalTimes, Recurrence, Timetable, TimetableFault,
    TimetableFields, Zone, zone_data_version,
};

const EXAMPLES: &str = "Examples:\n  \
    callq schedules preview '30 2 * * *' --tz America/New_York --from 2026-03-01\n  \
    callq schedules preview '0 9 * * MON-FRI' --tz Europe/Berlin --count 20\n  \
    callq schedules preview --every 90m --tz UTC --from 2030-01-01\n  \
    callq schedules preview --on '2030-12-24 18:00' --tz Asia/Shanghai";

/// So many notes are told at most.
const NOTES_TOLD_MAX: usize = 50;

/// Show when a cron expression rings, in its zone and in UTC, and what clock changes do to it.
///
/// The expression is read as Unix cron reads it: minute hour day-of-month month day-of-week, or six
/// fields with seconds first, or @daily and the like. Needs no configuration and no database.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, group = ArgGroup::new("rings").required(true))]
pub(super) struct Preview {
    /// A cron expression, in quotes so that the shell leaves * alone
    #[arg(value_name = "EXPR", num_args = 1.., group = "rings")]
    expression: Vec<String>,

    /// Instead: every so often in real time, counted from --from
    #[arg(long, value_name = "DURATION", group = "rings")]
    every: Option<String>,

    /// Instead: at this local time; may be given several times
    #[arg(long, value_name = "TIME", group = "rings")]
    on: Vec<String>,

    /// The time zone, as Europe/Berlin or UTC
    #[arg(long, value_name = "ZONE")]
    tz: String,

    /// Begin here: a date, a local time or an instant; default: now
    #[arg(long, value_name = "DATE")]
    from: Option<String>,

    /// How many firings to show
    #[arg(long, value_name = "N", default_value_t = 10,
        value_parser = value_parser!(u16).range(1..=1000))]
    count: u16,

    /// One JSON object per firing, for programs
    #[arg(long)]
    json: bool,
}

impl Preview {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let recurrence = self.recurrence()?;
        let zone = Zone::find(&self.tz).map_err(cannot)?;
        let from = match &self.from {
            None => Utc::now(),
            Some(text) => {
                let from = zone.start_at(text).map_err(|fault| {
                    let text = fault.to_string();
                    anyhow::anyhow!(text.replacen("start_at", "--from", 1))
                });
                from.map_err(Failure::Cannot)?
            }
        };
        let is_interval = matches!(recurrence, Recurrence::Every(_));
        let timetable = Timetable::new(TimetableFields {
            recurrence,
            zone,
            start_at: is_interval.then_some(from),
            end_at: None,
            except_dates: Vec::new(),
        })
        .map_err(cannot)?;
        // One that falls on --from itself is shown.
        let after = from - TimeDelta::seconds(1);
        let firings = firings::next(&timetable, after, usize::from(self.count));
        if self.json {
            return firings.iter().try_for_each(print::json);
        }
        if firings.is_empty() {
            print::note("it does not ring any more after this time");
            return Ok(());
        }
        print::line(&self.title(&timetable))?;
        print::line(&shown(&firings::table(&firings, timetable.zone())))?;
        for note in firings::notes(&timetable, &firings, after, NOTES_TOLD_MAX) {
            print::line(&note)?;
        }
        if firings.len() < usize::from(self.count) {
            print::line("It does not ring after that.")?;
        }
        Ok(())
    }

    fn recurrence(&self) -> Result<Recurrence, Failure> {
        if let Some(text) = &self.every {
            let wrong = || {
                let text = readable(text);
                anyhow::anyhow!("--every is \"{text}\": must be like 90s, 30m, 1h30m or 2d")
            };
            let every = duration(text).ok_or_else(wrong).map_err(Failure::Cannot)?;
            return Interval::new(every).map(Recurrence::Every).map_err(cannot);
        }
        if !self.on.is_empty() {
            return LocalTimes::parse(&self.on)
                .map(Recurrence::On)
                .map_err(cannot);
        }
        let text = self.expression.join(" ");
        let read = Expression::parse(&text);
        read.map(Recurrence::Cron).map_err(|fault| {
            let refused = refused(&text, &fault);
            match self.expression.len() {
                1 => refused,
                // The shell has put the names of files in its place.
                _ => refused.hint("put the expression in quotes, so that the shell leaves * alone"),
            }
        })
    }

    /// What is shown, and by which rule.
    fn title(&self, timetable: &Timetable) -> String {
        let rule = match timetable.recurrence() {
            Recurrence::Cron(expression) => {
                let rule = if expression.follows_real_time() {
                    "follows real time, because its minute or hour begins with *"
                } else {
                    "a fixed time of the day"
                };
                format!("{}: {rule}", readable(expression.as_str()))
            }
            Recurrence::Every(_) => {
                let every = self.every.as_deref().unwrap_or_default();
                format!("every {}: in real time", readable(every))
            }
            Recurrence::On(_) => "once at each of these local times".to_owned(),
        };
        format!("{rule} (zone data {})", zone_data_version())
    }
}

fn cannot(fault: TimetableFault) -> Failure {
    Failure::Cannot(fault.into())
}

/// The most characters of an expression that are shown left and right of a fault.
const SHOWN_AROUND: usize = 40;

/// A refused expression, with a caret below what is wrong with it.
pub(super) fn refused(text: &str, fault: &ExpressionFault) -> Failure {
    let said = fault.to_string();
    let (said, hint) = match fault.suggestion() {
        Some(hint) => (said.trim_end_matches(hint).trim_end_matches("; "), hint),
        None => (said.as_str(), ""),
    };
    let column = fault.column() - 1;
    let first = column.saturating_sub(SHOWN_AROUND);
    let part: String = text.chars().skip(first).take(2 * SHOWN_AROUND).collect();
    // Where something has to be escaped, a caret would point elsewhere.
    let pointed = if readable(&part) == part {
        format!("\n  {part}\n  {:>1$}", "^", column - first + 1)
    } else {
        String::new()
    };
    let refused = Failure::Pointed(format!("{said}{pointed}"));
    if hint.is_empty() {
        refused
    } else {
        refused.hint(hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> (String, String) {
        let fault = Expression::parse(text).expect_err("it is wrong");
        match refused(text, &fault) {
            Failure::Hinted(failure, hint) => match *failure {
                Failure::Pointed(text) => (text, hint),
                _ => (String::new(), hint),
            },
            Failure::Pointed(text) => (text, String::new()),
            _ => Default::default(),
        }
    }

    #[test]
    fn a_caret_stands_below_the_fault() {
        for (text, caret) in [
            ("0 9 * * 8", 8),
            ("61 9 * * *", 0),
            ("0 9 * * MON,FRY", 12),
            ("0 9 ? * *", 4),
        ] {
            let (said, _) = told(text);
            let lines: Vec<&str> = said.lines().collect();
            assert_eq!(lines[1], format!("  {text}"), "{said}");
            assert_eq!(lines[2].find('^'), Some(caret + 2), "{said}");
        }
    }

    #[test]
    fn a_suggestion_is_a_hint_and_not_said_twice() {
        let (said, hint) = told("0 9 * * ?");
        assert_eq!(hint, "write *");
        assert!(!said.contains("write *"), "{said}");
    }

    #[test]
    fn a_long_expression_is_cut_around_the_fault() {
        let text = format!("{} 9 * * 8", "1,".repeat(100) + "1");
        let (said, _) = told(&text);
        let lines: Vec<&str> = said.lines().collect();
        assert!(
            lines[1].ends_with("9 * * 8") && lines[1].len() < 60,
            "{said}"
        );
        assert_eq!(lines[2].len(), lines[1].len(), "{said}");
        assert!(!told("0 9 * * \u{1b}").0.contains('^'));
    }
}
