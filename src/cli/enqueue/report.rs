//! What `callq enqueue` tells: progress and bad lines on stderr, the outcome on stdout.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::import::Totals;
use crate::call::readable;
use crate::cli::{Failure, print};
use crate::store::Refused;

pub(super) struct Report {
    json: bool,
    dry_run: bool,
    /// Whether there are lines, and not one job by flags.
    has_lines: bool,
    /// Hidden where stderr is no terminal.
    bar: ProgressBar,
    /// For JSON; the others are printed as they come.
    bad: Vec<Refused>,
}

impl Report {
    pub(super) fn new(json: bool, dry_run: bool, has_lines: bool, bytes: Option<u64>) -> Self {
        let bar = match bytes {
            _ if !has_lines => ProgressBar::hidden(),
            Some(bytes) => ProgressBar::new(bytes).with_style(
                ProgressStyle::with_template("{bar:30} {percent}%  {msg}  {eta} left")
                    .expect("the template is right"),
            ),
            None => ProgressBar::new_spinner(),
        };
        if has_lines {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Self {
            json,
            dry_run,
            has_lines,
            bar,
            bad: Vec::new(),
        }
    }

    /// Tells of one batch.
    pub(super) fn batch(&mut self, totals: &Totals, bad: Vec<Refused>) {
        if self.json || !self.has_lines {
            self.bad.extend(bad);
        } else if !bad.is_empty() {
            self.bar.suspend(|| {
                for Refused { line, reason } in &bad {
                    print::tell(&format!("line {line}: {}\n", readable(reason)));
                }
            });
        }
        self.bar.set_position(totals.bytes);
        let bad = match totals.bad {
            0 => String::new(),
            bad => format!(", {bad} bad"),
        };
        self.bar.set_message(format!("{} lines{bad}", totals.lines));
    }

    /// Everything is done as it was asked for.
    pub(super) fn done(self, totals: &Totals) -> Result<(), Failure> {
        self.bar.finish_and_clear();
        if self.json {
            return self.print_json(totals, totals.inserted);
        }
        let jobs = counted(totals.inserted, "job");
        let inserted = match totals.ids {
            _ if self.dry_run => format!("would insert {jobs}"),
            Some((id, last)) if id == last => format!("inserted {jobs} (id {id})"),
            Some((id, last)) => format!("inserted {jobs} (ids {id} to {last})"),
            None => format!("inserted {jobs}"),
        };
        let left_out = if self.has_lines {
            format!(", {} left out", counted(totals.bad, "bad line"))
        } else {
            String::new()
        };
        let there = totals.already_there;
        print::line(&format!("{inserted}, {there} already there{left_out}"))
    }

    /// Nothing was inserted because of bad lines.
    pub(super) fn refused(self, totals: &Totals) -> Result<(), Failure> {
        self.bar.finish_and_clear();
        if self.json {
            self.print_json(totals, 0)?;
        }
        let why = match self.bad.first() {
            Some(refused) if !self.has_lines => {
                return Err(Failure::Cannot(anyhow::Error::msg(readable(
                    &refused.reason,
                ))));
            }
            _ => {
                let are = if totals.bad == 1 { "is" } else { "are" };
                let lines = counted(totals.lines, "line");
                format!("{} of {lines} {are} bad; nothing was inserted", totals.bad)
            }
        };
        let refused = Failure::Cannot(anyhow::Error::msg(why));
        Err(refused.hint("correct the lines above, or insert the others with --skip-bad"))
    }

    fn print_json(&self, totals: &Totals, inserted: u64) -> Result<(), Failure> {
        let ids = totals.ids.filter(|_| inserted > 0 && !self.dry_run);
        let bad: Vec<_> = self
            .bad
            .iter()
            .map(|bad| {
                let line = Some(bad.line).filter(|_| self.has_lines);
                json!({ "line": line, "reason": bad.reason })
            })
            .collect();
        let report = json!({
            "dry_run": self.dry_run,
            "lines": totals.lines,
            "inserted": inserted,
            "already_there": totals.already_there,
            "bad": totals.bad,
            "first_id": ids.map(|(first, _)| first),
            "last_id": ids.map(|(_, last)| last),
            "bad_lines": bad,
        });
        print::json(&report)
    }
}

fn counted(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
