//! The files of recurring calls: whole and broken ones, each message as a whole.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use callq::config::schedules::{Rings, ScheduleFile, keys, read_schedules};
use proptest::prelude::*;
use tempfile::TempDir;

/// A file that lacks nothing.
const COMPLETE: &str = "\
name = \"meds\"
cron = \"0 9 * * *\"
tz = \"Europe/Berlin\"
[call]
robot_account = \"bot\"
callees = [\"jack\"]
";

/// Texts that no message may hold: a secret key, a `UserSig`, and what belongs to the callee.
const SECRETS: [&str; 3] = [
    callq::sandbox::SANDBOX_SECRET_KEY,
    super::USER_SIG,
    "swordfish-of-jack",
];

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn read(folder: &TempDir) -> Result<Vec<ScheduleFile>, String> {
    let prefix = format!("{}/", folder.path().display());
    let read = read_schedules(&[folder.path().to_owned()]);
    read.map_err(|error| error.to_string().replace(&prefix, ""))
}

/// What is said of one file, after `job.toml:`.
#[track_caller]
fn told(text: &str) -> String {
    let folder = folder(&[("job.toml", text)]);
    let said = read(&folder).expect_err("it is wrong");
    for secret in SECRETS {
        assert!(!said.contains(secret), "{said}");
    }
    let lines: Vec<&str> = said
        .lines()
        .map(|line| line.strip_prefix("job.toml:").unwrap_or(line))
        .collect();
    lines.join("\n")
}

/// What is said of the complete file with other words in it.
#[track_caller]
fn changed(from: &str, to: &str) -> String {
    assert!(COMPLETE.contains(from), "{from}");
    told(&COMPLETE.replacen(from, to, 1))
}

#[test]
fn a_file_may_have_every_key() {
    let text = "
        name = 'every.key_1'
        every = '1h30m'
        tz = 'Europe/Berlin'
        app = 'clinic'
        enabled = false
        ttl = '15m'
        jitter = '30s'
        catch_up = 'all'
        catch_up_window = '4h'
        overlap = 'cancel_previous'
        start_at = 2026-01-01
        end_at = '2026-12-31'
        except_dates = ['2026-12-25', 2026-05-01]
        calendars = ['days.txt']
        [ring_policy]
        max_rings = 3
        busy = ['3m', '1h30m']
        [call]
        robot_account = 'bot'
        callees = ['jack', 'ann']
        media_type = 'Video'
        room_id = '7'
        room_id_type = 1
        ring_timeout_ms = 60_000
        user_data = 'x'
        priority = 0
        max_attempts = 3
        on_doubt = 'hold'
        retry_callees = true
        max_call_seconds = 600
        media_url = 'https://media.example/hello.mp3'
        media_options = { repeat = -1, volume = 80, max_minutes = 5 }
        [call.offline_push]
        Title = 'T'
        BadgeAddNum = 1
        [call.metadata]
        campaign = { name = 'meds', dose = 0.5, days = [1, true] }";
    for key in keys::ALL {
        assert!(
            text.contains(key.name) || ["cron", "on"].contains(&key.name),
            "{}",
            key.name
        );
    }
    let days = "\u{feff}2026-10-03 # a holiday\n\n  2026-12-26\n";
    let folder = folder(&[("all.toml", text), ("days.txt", days)]);
    let schedules = read(&folder).unwrap();
    let [schedule] = schedules.as_slice() else {
        panic!("one file, one schedule")
    };
    assert_eq!(
        (schedule.app.as_str(), schedule.name.as_str()),
        ("clinic", "every.key_1")
    );
    assert_eq!(schedule.rings, Rings::Every(Duration::from_mins(90)));
    assert_eq!(schedule.start_at.as_deref(), Some("2026-01-01"));
    assert_eq!(schedule.end_at.as_deref(), Some("2026-12-31"));
    assert_eq!(
        (schedule.except_dates.len(), schedule.calendar_dates.len()),
        (2, 2)
    );
    assert_eq!(schedule.call.room_id.as_deref(), Some("7"));
    let metadata = serde_json::to_string(&schedule.call.metadata).unwrap();
    assert_eq!(
        metadata,
        r#"{"campaign":{"days":[1,true],"dose":0.5,"name":"meds"}}"#
    );
    let debug = format!("{schedule:?}");
    assert!(
        debug.contains("clinic") && !debug.contains("Title") && !debug.contains("campaign"),
        "{debug}"
    );
}

#[test]
fn what_is_not_given_has_the_default_of_the_list() {
    let folder = folder(&[("a.toml", COMPLETE)]);
    let schedule = read(&folder).unwrap().remove(0);
    let default = |name: &str| {
        let key = keys::ALL.iter().find(|key| key.name == name).unwrap();
        key.absent.trim_matches('`').to_owned()
    };
    assert_eq!(schedule.app, default("app"));
    assert_eq!(schedule.enabled.to_string(), default("enabled"));
    assert_eq!(schedule.catch_up, default("catch_up"));
    assert_eq!(schedule.overlap, default("overlap"));
    assert_eq!(
        callq::config::duration_shown(schedule.jitter),
        default("jitter")
    );
    assert_eq!(
        callq::config::duration_shown(schedule.catch_up_window),
        default("catch_up_window")
    );
    let call = &schedule.call;
    assert_eq!(call.media_type, default("media_type"));
    assert_eq!(call.room_id_type.to_string(), default("room_id_type"));
    assert_eq!(call.ring_timeout_ms.to_string(), default("ring_timeout_ms"));
    assert_eq!(call.priority.to_string(), default("priority"));
    assert_eq!(call.max_attempts.to_string(), default("max_attempts"));
    assert_eq!(call.on_doubt, default("on_doubt"));
    assert_eq!(call.retry_callees.to_string(), default("retry_callees"));
    assert_eq!(
        serde_json::to_string(&call.metadata).unwrap(),
        default("metadata")
    );
}

#[test]
#[allow(clippy::too_many_lines, reason = "one list of cases")]
fn a_mistake_is_told_with_line_column_key_value_and_what_is_allowed() {
    let instant = "must be a date (2026-12-31), a local time (2026-12-31 18:00) or an instant (2026-12-31T18:00:00+01:00)";
    let cases = [
        (
            changed("name = \"meds\"", "name = \"my meds\""),
            "1:8: name is \"my meds\": must be 1 to 64 letters a-z, digits and . _ -",
        ),
        (
            changed("name = \"meds\"", ""),
            "job.toml has no name: must be 1 to 64 letters a-z, digits and . _ -",
        ),
        (
            changed("name = \"meds\"", "name = 5"),
            "1:8: name is an integer: must be in quotes, 1 to 64 letters a-z, digits and . _ -",
        ),
        (
            changed("cron = \"0 9 * * *\"", ""),
            "job.toml has no cron: must be a cron expression such as \"0 9 * * MON-FRI\"",
        ),
        (
            changed("0 9 * * *", "0 9 * * MON,8"),
            "2:21: cron: day-of-week (column 13) is \"MON,8\": 8 is out of range; must be 0-7 (0 and 7 are Sunday, 1 is Monday) or SUN-SAT, *, \
             lists (MON,THU), ranges (MON-FRI) or steps (*/2)",
        ),
        (
            changed("cron", "crom"),
            "2:1: crom is no key: did you mean cron?",
        ),
        (
            changed("cron = \"0 9 * * *\"", "evry = \"1h\""),
            "2:1: evry is no key: did you mean every?",
        ),
        (
            changed("name", "nam"),
            "1:1: nam is no key: did you mean name?",
        ),
        (
            changed("callees", "calees"),
            "6:1: call.calees is no key: did you mean callees?",
        ),
        (
            changed("tz", "end_at = \"2026-01-01\"\nstart_at = 2026-02-01\ntz"),
            "3:10: end_at is 2026-01-01: must not be before start_at, 2026-02-01",
        ),
        (
            changed(
                "tz",
                "except_dates = [2026-12-25, \"2026-12-26\", \"2026-12-25\"]\ntz",
            ),
            "3:43: except_dates has 2026-12-25 twice: must be different dates",
        ),
        (
            changed("tz", "every = \"1h\"\ntz"),
            "3:9: cron and every are both given: must be one of them",
        ),
        (
            changed("Europe/Berlin", "Berlin"),
            "3:6: tz is \"Berlin\", which is no time zone: did you mean Europe/Berlin?",
        ),
        (
            changed("[call]", "ttl = \"0s\"\n[call]"),
            "4:7: ttl is 0s: must be a duration above zero, at most 100 years, as \"15m\"",
        ),
        (
            changed("[call]", "ttl = 90\n[call]"),
            "4:7: ttl is 90: must be a duration above zero, at most 100 years, as \"15m\"",
        ),
        (
            changed("[call]", "jitter = \"1h\"\n[call]"),
            "4:10: jitter is 1h: must be shorter than ttl, 1h",
        ),
        (
            changed("[call]", "jitter = \"15m\"\nttl = \"15m\"\n[call]"),
            "4:10: jitter is 15m: must be shorter than ttl, 15m",
        ),
        (
            changed("[call]", "jitter = \"1d\"\nttl = \"2d\"\n[call]"),
            "4:10: jitter is 1d: must be shorter than the period, 1d",
        ),
        (
            changed("[call]", "catch_up = \"All\"\n[call]"),
            "4:12: catch_up is \"All\": did you mean all?",
        ),
        (
            changed("[call]", "overlap = \"queue\"\n[call]"),
            "4:11: overlap is \"queue\": must be skip, allow or cancel_previous",
        ),
        (
            changed("[call]", "start_at = \"soon\"\n[call]"),
            "4:12: start_at is \"soon\": INSTANT",
        ),
        (
            changed("[call]", "enabled = \"yes\"\n[call]"),
            "4:11: enabled is \"yes\": must be true or false",
        ),
        (
            changed(
                "[call]",
                "except_dates = [\"2026-12-25\", \"25.12.2026\"]\n[call]",
            ),
            "4:31: except_dates has \"25.12.2026\": must be a date such as 2026-12-25",
        ),
        (
            changed("[call]", "calendars = [\"none.txt\"]\n[call]"),
            "4:14: calendars names none.txt, which does not exist: must be there",
        ),
        (
            changed("[call]", "robot_account = \"x\"\n[call]"),
            "4:1: robot_account is no key: it belongs in [call]",
        ),
        (
            changed("[call]\n", ""),
            "job.toml has no section [call]: must have one, with robot_account and callees\nEND",
        ),
        (
            changed("callees = [\"jack\"]", "callees = [\"jack\", \"jack\"]"),
            "6:20: call.callees[1] is \"jack\" a second time: must be an account that is not listed yet",
        ),
        (
            changed("callees = [\"jack\"]", "callees = \"jack\""),
            "6:11: call.callees is a string: must be a list of 1 to 100 different accounts of 1 to 32 bytes",
        ),
        (
            changed("callees = [\"jack\"]", "callees = []"),
            "6:11: call.callees has 0 accounts: must be 1 to 100 accounts",
        ),
        (
            changed("\"bot\"", "\"\""),
            "5:17: call.robot_account is empty: must be 1 to 32 bytes",
        ),
        (
            told(&format!("{COMPLETE}ttl = \"1h\"\n")),
            "7:1: call.ttl is no key: it belongs above [call]",
        ),
        (
            told(&format!("{COMPLETE}run_at = \"now\"\n")),
            "7:1: call.run_at is no key: cron, every or on above [call] says when it rings",
        ),
        (
            told(&format!("{COMPLETE}userdata = \"swordfish-of-jack\"\n")),
            "7:1: call.userdata is no key: did you mean user_data?",
        ),
        (
            told(&format!("{COMPLETE}media_type = \"video\"\n")),
            "7:14: call.media_type is \"video\": did you mean Video?",
        ),
        (
            told(&format!("{COMPLETE}ring_timeout_ms = 5\n")),
            "7:19: call.ring_timeout_ms is 5: must be 10000 to 600000",
        ),
        (
            told(&format!("{COMPLETE}room_id_type = 1\n")),
            "7:16: call.room_id_type is 1 without a room_id: must be with one, or 2",
        ),
        (
            told(&format!("{COMPLETE}priority = 4\n")),
            "7:12: call.priority is 4: must be a whole number from 0 (most urgent) to 3",
        ),
        (
            told(&format!(
                "{COMPLETE}offline_push = {{ PushFlag = 7, Title = \"swordfish-of-jack\" }}\n"
            )),
            "7:16: call.offline_push.PushFlag is 7: must be 0 or 1",
        ),
        (
            told(&format!("{COMPLETE}metadata = {{ a = nan }}\n")),
            "7:18: call.metadata has a number in it that JSON does not know: must be finite",
        ),
        (
            told("name = \"a\nb = 1"),
            "1:10: is not TOML: invalid basic string, expected `\"`",
        ),
    ];
    for (said, expected) in cases {
        let expected = expected.replace("INSTANT", instant);
        match expected.as_str() {
            text if text.ends_with("\nEND") => {
                assert!(said.contains(text.trim_end_matches("\nEND")), "{said}");
            }
            text => assert_eq!(said, text),
        }
    }
}

#[test]
fn all_mistakes_of_all_files_are_told_at_once() {
    let folder = folder(&[
        (
            "a.toml",
            &COMPLETE.replace("0 9", "0 99").replace("Berlin", "Berlim"),
        ),
        ("b.toml", &COMPLETE.replace("jack", "")),
        ("c.toml", "= 5"),
        ("d.toml", COMPLETE),
        ("e.toml", COMPLETE),
        (".hidden.toml", "= 5"),
        ("notes.txt", "= 5"),
    ]);
    let said = read(&folder).expect_err("it is wrong");
    let places: Vec<&str> = said
        .lines()
        .map(|line| line.split(": ").next().unwrap())
        .collect();
    assert_eq!(
        places,
        [
            "a.toml:2:11",
            "a.toml:3:6",
            "b.toml:6:12",
            "c.toml:1:1",
            "e.toml:1:8"
        ],
        "{said}"
    );
    let double = said.lines().last().unwrap();
    assert_eq!(
        double,
        "e.toml:1:8: name is \"meds\", as at d.toml:1:8 in the same app default: must be unique"
    );
}

#[test]
fn what_is_no_schedule_at_all_is_refused_by_name() {
    let folder = folder(&[
        ("huge.toml", &"# long\n".repeat(20_000)),
        ("binary.toml", ""),
    ]);
    fs::write(folder.path().join("binary.toml"), b"\xFF\xFE").unwrap();
    let said = read(&folder).expect_err("they are no schedules");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(
        lines,
        [
            "binary.toml:1:1: is not UTF-8: must be saved as UTF-8",
            "huge.toml is longer than 64 KiB: is it the right file?"
        ]
    );
    let prose = told(&"Dear colleague,\n".repeat(500));
    assert_eq!(prose.lines().count(), 11, "{prose}");
    let empty = tempfile::tempdir().unwrap();
    let said = read_schedules(&[empty.path().to_owned()])
        .expect_err("it is empty")
        .to_string();
    assert!(
        said.ends_with(" holds no schedule: must have files that end in .toml"),
        "{said}"
    );
    let said = read_schedules(&[PathBuf::from("/nowhere/x.toml")])
        .expect_err("nothing is there")
        .to_string();
    assert_eq!(said, "/nowhere/x.toml does not exist: must be there");
    let said = read_schedules(&[PathBuf::from("/dev/zero")])
        .expect_err("it has no end")
        .to_string();
    assert_eq!(said, "/dev/zero is no ordinary file: must be one");
}

#[test]
fn a_calendar_is_bounded_and_tells_its_line_but_no_secret() {
    let text = COMPLETE.replace("[call]", "calendars = [\"days.txt\"]\n[call]");
    let said = |days: &[u8]| {
        let folder = folder(&[("job.toml", &text)]);
        fs::write(folder.path().join("days.txt"), days).unwrap();
        read(&folder).expect_err("it is wrong")
    };
    assert_eq!(
        said(b"2026-01-01\nNew Year\n"),
        "job.toml:4:14: calendars names days.txt, whose line 2 is \"New Year\": must be a date such as 2026-12-25, with a comment after # if any"
    );
    assert_eq!(
        said(b"2026-01-01\nNew Year\n\n25.12.2026\n")
            .matches("calendars names days.txt, whose line ")
            .count(),
        2
    );
    let secret = said(callq::sandbox::SANDBOX_SECRET_KEY.as_bytes());
    assert!(
        secret.ends_with("which holds what looks like a secret: must be a file of dates"),
        "{secret}"
    );
    assert!(said(&b"2026-01-01\n".repeat(50_000)).contains("is longer than 512 KiB"));
    assert!(said(b"\xFF").contains("is not UTF-8"));
}

#[test]
fn a_calendar_in_a_schedules_place_is_told_in_one_sentence() {
    for days in [
        "# Holidays\n2026-01-01  # New Year = a day off\n2026-12-25\n",
        "2026-01-01\n25.12.2026\n",
    ] {
        let folder = folder(&[("days.txt", days)]);
        let path = folder.path().join("days.txt");
        let said = read_schedules(std::slice::from_ref(&path)).expect_err("it is none");
        let expected = "holds dates and no schedule: name it in a schedule's file, as calendars = [\"holidays.txt\"]";
        assert_eq!(said.to_string(), format!("{} {expected}", path.display()));
    }
}

#[test]
fn a_secret_in_the_wrong_place_is_not_repeated() {
    for secret in SECRETS.into_iter().take(2) {
        for key in [
            "name",
            "cron",
            "tz",
            "app",
            "ttl",
            "catch_up",
            "start_at",
            "except_dates",
            "calendars",
            "on",
        ] {
            let value = if ["except_dates", "calendars", "on"].contains(&key) {
                format!("[\"{secret}\"]")
            } else {
                format!("\"{secret}\"")
            };
            let lines: Vec<&str> = COMPLETE
                .lines()
                .filter(|line| !line.starts_with(&format!("{key} ")))
                .filter(|line| key != "on" || !line.starts_with("cron"))
                .collect();
            told(&format!("{key} = {value}\n{}\n", lines.join("\n")));
        }
        told(&format!(
            "{COMPLETE}media_type = \"{secret}\"\non_doubt = \"{secret}\"\npriority = \"{secret}\""
        ));
        told(&format!("{COMPLETE}{secret} = 1"));
    }
}

fn piece() -> impl Strategy<Value = String> {
    let names: Vec<&str> = keys::ALL.iter().map(|key| key.name).collect();
    let value = prop_oneof![
        Just("\"0 9 * * *\"".to_owned()),
        Just("\"Europe/Berlin\"".to_owned()),
        Just("[\"2026-12-24 09:00\"]".to_owned()),
        Just("2026-12-24".to_owned()),
        Just("0xFFFFFFFFFFFFFFFFFFFF".to_owned()),
        Just("[1, {a = 1}]".to_owned()),
        Just("{ a = \"\\u0000\" }".to_owned()),
        Just("\"\\u0007\"".to_owned()),
        Just("\"\"\"".to_owned()),
        Just("\"10m\"".to_owned()),
        "\\PC{0,12}",
        "\"[-0-9a-z*/, ]{0,20}\"",
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| n.to_string()),
    ];
    prop_oneof![
        (proptest::sample::select(names), value)
            .prop_map(|(key, value)| format!("{key} = {value}\n")),
        Just("[call]\n".to_owned()),
        Just("[call.metadata]\n".to_owned()),
        Just("[[call]]\n".to_owned()),
        "\\PC{0,12}\n",
    ]
}

/// Everything that could be made of such a file.
fn survives(bytes: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("job.toml");
    fs::write(&path, bytes).unwrap();
    let read = read_schedules(&[path]);
    let told = read.map_or_else(
        |error| error.to_string(),
        |schedules| format!("{schedules:?}"),
    );
    assert!(
        !told.chars().any(|c| c.is_control() && c != '\n'),
        "{told:?}"
    );
    for secret in SECRETS {
        assert!(!told.contains(secret), "{told}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        survives(&bytes);
    }

    #[test]
    fn no_broken_file_makes_it_panic_or_shows_what_is_private(
        pieces in proptest::collection::vec(piece(), 0..16),
        at in 0..16_usize,
        private in proptest::sample::select(SECRETS.to_vec()),
    ) {
        let mut pieces = pieces;
        let private = format!("user_data = \"{private}\"\nmetadata = {{ a = \"{private}\" }}\noffline_push = {{ Title = \"{private}\", PushFlag = 9 }}\n");
        pieces.insert(at.min(pieces.len()), private);
        survives(format!("{}{}", COMPLETE, pieces.concat()).as_bytes());
        survives(pieces.concat().as_bytes());
    }
}

#[test]
fn a_file_of_the_greatest_length_is_read_in_no_time() {
    for line in [
        "x\n", "[\n", "=", "a.", "[[a]]\n", "a = [", "\u{7}", "[call]\n", "on = [\"", "{",
    ] {
        let began = std::time::Instant::now();
        survives(line.repeat(64_000 / line.len()).as_bytes());
        assert!(
            began.elapsed().as_secs() < 100,
            "{line:?} took {:?}",
            began.elapsed()
        );
    }
}

#[test]
fn the_shipped_schedules_are_sound_and_ring_again() {
    let jobs = Path::new(env!("CARGO_MANIFEST_DIR")).join("jobs");
    let schedules = read_schedules(&[jobs]).unwrap();
    let names: Vec<&str> = schedules
        .iter()
        .map(|schedule| schedule.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "appointment-day-reminder",
            "class-start",
            "medication-reminder",
            "on-call-alarm-test",
            "wake-up-call"
        ]
    );
    let begin = "2026-09-01T00:00:00Z".parse().unwrap();
    for schedule in &schedules {
        assert!(
            schedule.timetable.next_fire(begin).is_some(),
            "{}",
            schedule.name
        );
        let file = schedule.place.file.file_stem().unwrap().to_string_lossy();
        assert_eq!(file, schedule.name, "a file is called as its schedule");
    }
    let class = &schedules[1].timetable;
    let term: Vec<_> = class
        .firings(begin, "2027-06-01T00:00:00Z".parse().unwrap())
        .collect();
    assert_eq!(
        term.first().unwrap().local.to_string(),
        "2026-09-08 07:50:00"
    );
    assert_eq!(
        term.last().unwrap().local.to_string(),
        "2027-01-29 07:50:00"
    );
    let has = |date: &str| {
        term.iter()
            .any(|firing| firing.local.date().to_string() == date)
    };
    assert!(has("2026-11-25") && !has("2026-11-26") && !has("2026-11-13") && !has("2026-11-14"));
}
