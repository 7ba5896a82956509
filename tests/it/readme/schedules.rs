//! What the documents say of recurring calls: the keys, the clock changes, the files, the transcript.

use std::fs;
use std::path::Path;

use callq::config::schedules::{keys, read_schedules};
use callq::schedule::{Expression, Recurrence, Timetable, TimetableFields, Zone};
use chrono::{DateTime, TimeDelta};

use super::README;
use super::pages::{Page, table};
use crate::support::Database;
use crate::support::program::{callq, run};

const PAGE: Page = Page("docs/schedules.md");

#[test]
fn the_table_of_keys_is_the_list_of_the_program() {
    let rows = keys::ALL.iter().map(|key| {
        let name = format!("`{}`", key.path());
        [
            name,
            key.meaning.to_owned(),
            key.allowed.to_owned(),
            key.absent.to_owned(),
        ]
    });
    PAGE.keep(
        "keys",
        &table(["key", "what", "must be", "without it"], rows),
        str::to_owned,
    );
}

/// A zone, the night in it, and an expression.
const NIGHTS: [(&str, &str, &str); 9] = [
    ("America/New_York", "2026-03-08", "30 2 * * *"),
    ("America/New_York", "2026-03-08", "0,30 2 * * *"),
    ("America/New_York", "2026-03-08", "*/30 2 * * *"),
    ("America/New_York", "2026-11-01", "30 1 * * *"),
    ("America/New_York", "2026-11-01", "*/30 1 * * *"),
    ("Australia/Lord_Howe", "2026-10-04", "15 2 * * *"),
    ("Europe/Berlin", "2026-03-29", "30 2 * * *"),
    ("Africa/Cairo", "2026-04-24", "0 0 * * *"),
    ("Pacific/Apia", "2011-12-30", "0 9 * * *"),
];

/// What rings on a local day, by the zone's clock.
fn rings(zone: &str, day: &str, cron: &str) -> String {
    let zone = Zone::find(zone).unwrap();
    let from = zone.start_at(day).unwrap() - TimeDelta::seconds(1);
    let until = zone.end_at(day).unwrap();
    let timetable = Timetable::new(TimetableFields {
        recurrence: Recurrence::Cron(Expression::parse(cron).unwrap()),
        zone,
        start_at: None,
        end_at: None,
        except_dates: Vec::new(),
    })
    .unwrap();
    let shown = |at: DateTime<chrono::Utc>| {
        let local = timetable.zone().local(at);
        let minutes = (local - at.naive_utc()).num_minutes();
        let sign = if minutes < 0 { '-' } else { '+' };
        let minutes = minutes.abs();
        format!(
            "{} {sign}{:02}:{:02}",
            local.format("%H:%M"),
            minutes / 60,
            minutes % 60
        )
    };
    let firings: Vec<String> = timetable
        .firings(from, until)
        .map(|firing| shown(firing.at))
        .collect();
    if firings.is_empty() {
        "not at all".to_owned()
    } else {
        firings.join(", ")
    }
}

#[test]
fn the_nights_of_the_page_ring_as_it_says() {
    let rows = NIGHTS.map(|(zone, day, cron)| {
        [
            format!("{zone}, {day}"),
            format!("`{cron}`"),
            rings(zone, day, cron),
        ]
    });
    PAGE.keep(
        "clock",
        &table(["zone and day", "expression", "rings at"], rows.into_iter()),
        str::to_owned,
    );
    assert_eq!(
        rings("America/New_York", "2026-11-01", "30 1 * * *"),
        "01:30 -04:00"
    );
}

#[test]
fn every_schedule_in_a_code_block_is_sound() {
    let mut read = 0;
    for page in [README, PAGE] {
        for block in page.text().split("```toml\n").skip(1) {
            let text = block.split("```").next().unwrap();
            if !text.contains("[call]") {
                continue;
            }
            let folder = tempfile::tempdir().unwrap();
            let jobs = Path::new(env!("CARGO_MANIFEST_DIR")).join("jobs");
            fs::copy(
                jobs.join("holidays.txt"),
                folder.path().join("holidays.txt"),
            )
            .unwrap();
            fs::write(folder.path().join("job.toml"), text).unwrap();
            let sound = read_schedules(&[folder.path().to_owned()]);
            sound.unwrap_or_else(|error| panic!("{error}\n{text}"));
            read += 1;
        }
    }
    assert!(read > 0, "no schedule was found");
}

/// The same at any time, with any zone data: words with digits become signs.
fn essence(transcript: &str) -> String {
    let sign = |word: &str| {
        let digit = word.chars().any(|c| c.is_ascii_digit());
        let weekday = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].contains(&word);
        if digit || weekday {
            "N".to_owned()
        } else {
            word.to_owned()
        }
    };
    let line = |line: &str| {
        // A prompt's arguments are what they are.
        if line.starts_with("$ ") {
            return line.to_owned();
        }
        line.split_whitespace()
            .map(sign)
            .collect::<Vec<_>>()
            .join(" ")
    };
    // When they ring next, and whether at all, is another matter each day.
    let next =
        |line: &&str| !line.starts_with("        next") && !line.contains("not ring any more");
    transcript
        .lines()
        .filter(next)
        .map(line)
        .collect::<Vec<_>>()
        .join("\n")
}

/// The commands of a transcript, run in the root of the repository on a database of their own.
async fn fresh(kept: &str) -> String {
    let database = Database::new().await;
    let mut fresh = String::from("```\n");
    for command in kept
        .lines()
        .filter_map(|line| line.strip_prefix("$ callq "))
    {
        let words: Vec<String> = command
            .split('\'')
            .enumerate()
            .flat_map(|(n, part)| {
                if n % 2 == 1 {
                    vec![part.to_owned()]
                } else {
                    part.split_whitespace().map(str::to_owned).collect()
                }
            })
            .collect();
        let mut program = callq(words.iter().map(String::as_str));
        program
            .env("DATABASE_URL", database.url())
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        let ended = run(&mut program).await;
        assert!(ended.stderr.is_empty(), "{command}: {ended}");
        fresh.extend(["$ callq ", command, "\n", ended.text().trim_end(), "\n"]);
    }
    fresh + "```"
}

#[tokio::test]
async fn the_transcript_of_recurring_calls_is_what_callq_prints() {
    let fresh = fresh(&README.part("recurring")).await;
    assert!(
        fresh.contains("5 to create.") && fresh.contains("the clocks go forward"),
        "{fresh}"
    );
    README.keep("recurring", &fresh, essence);
}
