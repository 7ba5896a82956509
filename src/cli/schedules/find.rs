//! One schedule by its name, or what was probably meant.

use clap::Args;

use crate::call::readable;
use crate::cli::Failure;
use crate::store::{ScheduleRow, Store};

/// Which schedule.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// The schedule's name
    name: String,

    /// The app it belongs to
    #[arg(long, value_name = "APP", default_value = "default")]
    app: String,
}

impl Which {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn app(&self) -> &str {
        &self.app
    }

    /// How a message names it.
    pub(super) fn shown(&self) -> String {
        let (name, app) = (readable(&self.name), readable(&self.app));
        match app.as_str() {
            "default" => format!("schedule {name}"),
            app => format!("schedule {name} of the app {app}"),
        }
    }

    /// Its row.
    pub(super) async fn row(&self, store: &Store) -> Result<ScheduleRow, Failure> {
        let names = [self.name.clone()];
        let mut rows = store.schedules(Some(&self.app), Some(&names), None).await?;
        match rows.pop() {
            Some(row) => Ok(row),
            None => Err(self.missing(store).await?),
        }
    }

    /// That there is none, with the one that is most alike, or the app that has one.
    pub(super) async fn missing(&self, store: &Store) -> Result<Failure, Failure> {
        let none = Failure::NoSuchThing(format!("there is no {}", self.shown()));
        let names = [self.name.clone()];
        let elsewhere = store.schedules(None, Some(&names), None).await?;
        if let Some(row) = elsewhere.first() {
            let app = readable(&row.app);
            let hint = format!("the app {app} has one of this name: add --app {app}");
            return Ok(none.hint(hint));
        }
        let page = store.schedules(Some(&self.app), None, None).await?;
        let distance = |row: &&ScheduleRow| strsim::osa_distance(&row.name, &self.name);
        let nearest = page.iter().min_by_key(distance);
        let most = self.name.chars().count().div_ceil(2);
        let nearest = nearest.filter(|row| distance(row) <= most);
        Ok(none.hint(nearest.map_or_else(
            || "`callq schedules list` shows them".to_owned(),
            |row| format!("did you mean {}?", readable(&row.name)),
        )))
    }
}
