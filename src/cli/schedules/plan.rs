//! What `callq schedules apply` would do: files against the database.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::fields::{self, Change, Private};
use super::firings::{Shown, local_shown};
use super::timetable::timetable;
use crate::call::readable;
use crate::config::schedules::ScheduleFile;
use crate::schedule::Timetable;
use crate::store::{PlanItem, ScheduleDefinition, ScheduleRow};

/// What is to become of one schedule.
pub(super) struct Step {
    pub(super) app: String,
    pub(super) name: String,
    pub(super) kind: Kind,
    /// The file that describes it.
    file: Option<Arc<Path>>,
    /// When it rings next, if that can be told.
    next: Option<String>,
    /// It is paused, and stays so.
    paused: bool,
}

pub(super) enum Kind {
    Create(Box<ScheduleDefinition>),
    Change {
        revision: i64,
        definition: Box<ScheduleDefinition>,
        changes: Vec<Change>,
    },
    Remove {
        revision: i64,
    },
    Same,
}

impl Kind {
    /// The word for it.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Create(_) => "create",
            Self::Change { .. } => "change",
            Self::Remove { .. } => "remove",
            Self::Same => "unchanged",
        }
    }

    /// Its colour on a terminal.
    const fn colour(&self) -> &'static str {
        match self {
            Self::Create(_) => "\x1b[32m",
            Self::Change { .. } => "\x1b[33m",
            Self::Remove { .. } => "\x1b[31m",
            Self::Same => "\x1b[2m",
        }
    }
}

/// Whether schedules that no file describes are removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prune {
    /// They stay.
    Keep,
    /// Those of the files' apps go.
    Remove,
}

/// Everything that is to be done, in order of app and name.
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
}

impl Plan {
    /// What makes the database as the files say; `rows` are its schedules.
    pub(super) fn new(
        files: &[ScheduleFile],
        rows: &[ScheduleRow],
        prune: Prune,
        private: Private,
        now: DateTime<Utc>,
    ) -> Self {
        let there: BTreeMap<(&str, &str), &ScheduleRow> = rows
            .iter()
            .map(|row| ((row.app.as_str(), row.name.as_str()), row))
            .collect();
        let mut described = BTreeSet::new();
        let mut steps = Vec::new();
        for file in files {
            let key = (file.app.as_str(), file.name.as_str());
            described.insert(key);
            let row = there.get(&key).copied();
            steps.push(step(file, row, private, now));
        }
        let apps: BTreeSet<&str> = files.iter().map(|file| file.app.as_str()).collect();
        let gone = |key: &(&str, &str)| apps.contains(key.0) && !described.contains(key);
        if prune == Prune::Remove {
            let gone = there.iter().filter(|(key, _)| gone(key));
            steps.extend(gone.map(|(_, row)| Step {
                app: row.app.clone(),
                name: row.name.clone(),
                kind: Kind::Remove {
                    revision: row.revision,
                },
                file: None,
                next: None,
                paused: false,
            }));
        }
        steps.sort_by(|one, other| (&one.app, &one.name).cmp(&(&other.app, &other.name)));
        Self { steps }
    }

    /// What is to be carried out.
    pub(super) fn items(&self) -> Vec<PlanItem> {
        let item = |step: &Step| {
            let (app, name) = (step.app.clone(), step.name.clone());
            Some(match &step.kind {
                Kind::Create(definition) => PlanItem::Create {
                    app,
                    name,
                    definition: definition.clone(),
                },
                Kind::Change {
                    revision,
                    definition,
                    ..
                } => PlanItem::Change {
                    app,
                    name,
                    revision: *revision,
                    definition: definition.clone(),
                },
                Kind::Remove { revision } => PlanItem::Remove {
                    app,
                    name,
                    revision: *revision,
                },
                Kind::Same => return None,
            })
        };
        self.steps.iter().filter_map(item).collect()
    }

    /// How many steps are of this kind.
    fn count(&self, word: &str) -> usize {
        let steps = self.steps.iter();
        steps.filter(|step| step.kind.word() == word).count()
    }

    /// `2 to create, 1 to change, 3 unchanged`.
    pub(super) fn summary(&self) -> String {
        let part = |word: &str, what: &str| match self.count(word) {
            0 => None,
            count => Some(format!("{count} {what}")),
        };
        let parts = [
            part("create", "to create"),
            part("change", "to change"),
            part("remove", "to remove"),
            part("unchanged", "unchanged"),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// The lines of the plan. What is unchanged is only counted.
    pub(super) fn lines(&self, coloured: bool) -> Vec<String> {
        let steps = self.steps.iter();
        let steps = steps.filter(|step| !matches!(step.kind, Kind::Same));
        steps.flat_map(|step| step.lines(coloured)).collect()
    }
}

fn step(
    file: &ScheduleFile,
    row: Option<&ScheduleRow>,
    private: Private,
    now: DateTime<Utc>,
) -> Step {
    let definition = Box::new(fields::definition(file));
    // An interval without start_at is counted from when the schedule is made.
    let timetable = timetable(&definition, row.map_or(now, |row| row.created_at));
    let next = timetable.ok().map(|timetable| next(&timetable, now));
    let kind = match row {
        None => Kind::Create(definition),
        Some(row) if row.definition == *definition => Kind::Same,
        Some(row) => Kind::Change {
            revision: row.revision,
            changes: fields::changes(&row.definition, &definition, private),
            definition,
        },
    };
    Step {
        app: file.app.clone(),
        name: file.name.clone(),
        kind,
        file: Some(Arc::clone(&file.place.file)),
        next: next.filter(|_| file.enabled),
        paused: row.is_some_and(|row| row.paused_at.is_some()),
    }
}

/// When it rings next, by its zone's clock.
fn next(timetable: &Timetable, now: DateTime<Utc>) -> String {
    match timetable.next_fire(now) {
        Some(firing) => {
            let shown = Shown::of(timetable, &firing);
            let zone = timetable.zone().name();
            format!("next {} {zone}", local_shown(shown.local))
        }
        None => "does not ring any more".to_owned(),
    }
}

impl Step {
    fn lines(&self, coloured: bool) -> Vec<String> {
        let word = format!("{:<7}", self.kind.word());
        let word = if coloured {
            format!("{}{word}\x1b[0m", self.kind.colour())
        } else {
            word
        };
        let app = readable(&self.app);
        let mut line = format!("{word} {} (app {app})", readable(&self.name));
        if let Some(file) = &self.file {
            line = format!("{line}  {}", readable(&file.to_string_lossy()));
        }
        let mut lines = vec![line];
        let mut more = |text: String| lines.push(format!("        {text}"));
        match &self.kind {
            Kind::Create(definition) => {
                let (rings, tz) = (fields::rings(definition), readable(&definition.tz));
                more(format!("rings: {rings} {tz}"));
            }
            Kind::Change { changes, .. } => {
                for change in changes {
                    more(format!("{}: {}", change.field, change.shown));
                }
            }
            Kind::Remove { .. } => {
                more("what it made ahead is cancelled; its other jobs stay".to_owned());
            }
            Kind::Same => {}
        }
        if !matches!(self.kind, Kind::Remove { .. }) {
            match &self.next {
                _ if self.paused => more("it is paused, and stays so".to_owned()),
                Some(next) => more(next.clone()),
                None => more("enabled is false: it does not ring".to_owned()),
            }
        }
        lines
    }

    /// For programs.
    pub(super) fn json(&self, applied: bool) -> Value {
        let changes = match &self.kind {
            Kind::Change { changes, .. } => changes.iter(),
            _ => [].iter(),
        };
        let changes: Vec<Value> = changes
            .map(|change| json!({ "field": change.field, "old": change.old, "new": change.new }))
            .collect();
        json!({
            "action": self.kind.word(),
            "app": self.app,
            "name": self.name,
            "file": self.file.as_ref().map(|file| file.to_string_lossy()),
            "changes": changes,
            "applied": applied && !matches!(self.kind, Kind::Same),
        })
    }
}
