//! `callq schedules`

mod apply;
mod examples;
mod preview;
mod verbs;

use std::fs;
use std::path::Path;

use sqlx::AssertSqlSafe;
use tempfile::TempDir;

use super::{callq_on, json_lines, sql};
use crate::support::Database;
use crate::support::program::Ended;

/// A file that lacks nothing.
const MEDS: &str = "\
name = \"meds\"
cron = \"0 9 * * *\"
tz = \"Europe/Berlin\"
ttl = \"30m\"
[call]
robot_account = \"bot\"
callees = [\"jack\"]
user_data = \"the-callees-own-words\"
";

/// Stands in `user_data`; printed only if it is asked for.
const PRIVATE: &str = "the-callees-own-words";

/// Another, of another app.
const CLASS: &str = "\
name = \"class\"
app = \"school\"
on = [\"2100-01-01 08:00\", \"2100-01-02 08:00\"]
tz = \"UTC\"
[call]
robot_account = \"bot\"
callees = [\"ann\", \"bob\"]
";

/// A folder of schedules and a database.
struct Jobs {
    folder: TempDir,
    database: Database,
}

impl Jobs {
    async fn new(files: &[(&str, &str)]) -> Self {
        let jobs = Self {
            folder: tempfile::tempdir().unwrap(),
            database: Database::new().await,
        };
        for (name, text) in files {
            jobs.write(name, text);
        }
        jobs
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// `callq schedules apply` on the folder.
    async fn apply(&self, arguments: &[&str]) -> Ended {
        let folder = self.path().to_str().unwrap();
        let all = [&["schedules", "apply", folder], arguments].concat();
        callq_on(&self.database, &all).await
    }

    /// `callq schedules` with these arguments.
    async fn run(&self, arguments: &[&str]) -> Ended {
        callq_on(&self.database, &[&["schedules"], arguments].concat()).await
    }

    async fn value<T>(&self, sql: &str) -> T
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
    {
        let value = sqlx::query_scalar(AssertSqlSafe(sql.to_owned()));
        value.fetch_one(self.database.pool()).await.unwrap()
    }

    /// The names of all schedules, with their app.
    async fn names(&self) -> String {
        self.value("SELECT coalesce(string_agg(app || '/' || name, ' ' ORDER BY app, name), '') FROM callq.schedules")
            .await
    }
}

/// Fails unless each of these stands in what was printed.
#[track_caller]
fn says(ended: &Ended, words: &[&str]) {
    for word in words {
        let printed = format!("{}{}", ended.text(), ended.stderr);
        assert!(printed.contains(word), "{word:?} is not in:\n{ended}");
    }
}
