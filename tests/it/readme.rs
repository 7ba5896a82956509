//! The documents say what the program does: their transcript, tables and commands are checked
//! against it. `UPDATE_DOCS=1 cargo test --test it` writes them anew.

mod commands;
pub(crate) mod help;
pub(crate) mod pages;
mod reports;
mod schedules;
mod schema;
mod transcript;

use sqlx::Row as _;

use self::pages::{Page, table};
use crate::support::Database;

pub(crate) const README: Page = Page("README.md");

#[test]
fn the_names_that_dev_reads_are_in_the_table() {
    let source = include_str!("../../src/dev/postgres/places.rs");
    let code = source.split("mod tests").next().expect("a first part");
    let is_name = |c: char| c.is_ascii_uppercase() || c == '_';
    let words = code.split('"').skip(1).step_by(2);
    let ours = words.filter(|w| w.starts_with("CALLQ_") && w.chars().all(is_name));
    let names: Vec<&str> = ours.collect();
    assert!(!names.is_empty(), "no name was found in the source");
    for name in names {
        let known = callq::config::settings::OUTSIDE
            .iter()
            .any(|(n, _)| *n == name);
        assert!(known, "{name} is missing");
    }
}

/// The columns that a user may give are those that may not change later.
const USERS_COLUMNS: &str = "
    SELECT a.attname::text, format_type(a.atttypid, a.atttypmod),
        coalesce(pg_get_expr(d.adbin, d.adrelid), '') AS given,
        col_description(a.attrelid, a.attnum)
    FROM pg_attribute AS a
    LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = 'callq.jobs'::regclass AND a.attname IN (
        SELECT event_object_column FROM information_schema.triggered_update_columns
        WHERE trigger_name = 'only_scheduled_jobs_change')
    ORDER BY a.attnum";

#[tokio::test]
async fn the_table_of_columns_is_that_of_the_database() {
    let database = Database::new().await;
    let rows = sqlx::query(USERS_COLUMNS).fetch_all(database.pool()).await;
    let rows: Vec<[String; 4]> = rows
        .expect("the catalogue can be read")
        .iter()
        .map(|row| {
            let default: String = row.get(2);
            let default = default.split("::").next().expect("a first part").to_owned();
            let default = match default.trim_matches('\'') {
                "" => String::new(),
                "01:00:00" => "1 hour".to_owned(),
                value => format!("`{value}`"),
            };
            let name = format!("`{}`", row.get::<String, _>(0));
            [name, row.get(1), default, row.get(3)]
        })
        .collect();
    for [name, _, default, comment] in &rows {
        let value = default.trim_matches('`');
        let told = comment.to_lowercase().contains("default") && comment.contains(value);
        let follows = ["`run_at`", "`expires_at`"].contains(&name.as_str());
        assert!(
            default.is_empty() || told || follows,
            "{name}'s comment lacks {default}"
        );
    }
    assert_eq!(rows.len(), 22, "every column that a user may give");
    let text = table(["column", "type", "default", "what"], rows.into_iter());
    README.keep("columns", &text, str::to_owned);
}

#[test]
fn the_table_of_callees_is_that_of_the_sandbox() {
    let fresh = format!("```text\n{}```", callq::sandbox::CALLEE_NAMES);
    Page("docs/sandbox.md").keep("callees", &fresh, str::to_owned);
}

#[test]
fn the_faults_of_the_page_can_be_scripted() {
    let page = Page("docs/sandbox.md").text();
    let table = page
        .split("| fault | the request |")
        .nth(1)
        .expect("a table");
    let rows = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let faults: Vec<&str> = rows.filter_map(|row| row.split('`').nth(1)).collect();
    for fault in &faults {
        let fault = fault.replace(": N", ": 500");
        let json = format!("{{\"fault\": {fault}}}");
        let read = serde_json::from_str::<callq::sandbox::Fault>(&json);
        assert!(read.is_ok(), "{json}: {read:?}");
    }
    assert_eq!(faults.len(), 11, "every kind of fault");
    let example = page
        .split("```json\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    let example = serde_json::from_str::<callq::sandbox::Fault>(example.expect("an example"));
    assert!(example.is_ok(), "{example:?}");
}

#[test]
fn every_test_that_the_guarantees_name_is_there() {
    let page = Page("docs/guarantees.md").text();
    let tests = pages::sources_of_tests();
    let named: Vec<(&str, &str)> = page
        .split('`')
        .skip(1)
        .step_by(2)
        .filter_map(|name| name.split_once("::"))
        .collect();
    assert!(named.len() > 30, "the page names the tests");
    for (module, test) in named {
        let in_module = |(path, _): &&(String, String)| {
            path.contains(&format!("/{module}.rs")) || path.contains(&format!("/{module}/"))
        };
        let mut files = tests.iter().filter(in_module);
        let heading = format!("fn {test}()");
        assert!(
            files.any(|(_, text)| text.contains(&heading)),
            "{module}::{test}"
        );
    }
}
