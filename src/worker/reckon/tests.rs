//! What becomes of schedules, as clock times of one morning.

use super::*;

fn at(text: &str) -> DateTime<Utc> {
    let at = DateTime::parse_from_rfc3339(&format!("2026-03-10T{text}Z"));
    at.expect(text).with_timezone(&Utc)
}

/// A schedule that was decided up to `cursor`, looked at at `now`.
fn row(cron: &str, cursor: &str, now: &str) -> DueSchedule {
    DueSchedule {
        id: 7,
        turn: 1,
        app: "default".to_owned(),
        name: "a".to_owned(),
        cron: Some(cron.to_owned()),
        every_s: None,
        on_times: None,
        tz: "UTC".to_owned(),
        ttl: None,
        jitter: Duration::ZERO,
        catch_up: "latest".to_owned(),
        catch_up_window: Duration::from_mins(10),
        overlap: "skip".to_owned(),
        start_at: None,
        end_at: None,
        except_dates: Vec::new(),
        created_at: at("00:00:00"),
        cursor_at: at(cursor),
        stopped_at: None,
        barred_until: None,
        barred_reason: None,
        skip_next: 0,
        pending: None,
        owed: Vec::new(),
        others_can: false,
        now: at(now),
    }
}

#[track_caller]
fn decided(row: &DueSchedule) -> Decision {
    match Timetables::default().reckon(row) {
        Outcome::Decided(decision) => decision,
        other => panic!("{other:?}"),
    }
}

/// What is made, and what is told, as clock times.
fn shown(decision: &Decision) -> (Vec<String>, Vec<String>) {
    let clock = |at: &DateTime<Utc>| at.format("%H:%M:%S").to_string();
    let makes = decision.makes.iter().map(|make| {
        let when = if make.when == Timeliness::Ahead {
            "ahead"
        } else {
            "come"
        };
        format!("{} {when}", clock(&make.nominal_at))
    });
    let tells = decision.tells.iter().map(|tell| {
        let (first, last) = (clock(&tell.first_at), clock(&tell.last_at));
        format!("{} {first}-{last} {}", tell.reason, tell.firings)
    });
    (makes.collect(), tells.collect())
}

#[test]
fn a_firing_is_made_a_minute_ahead_and_the_next_look_is_a_minute_before_the_next_one() {
    let before = decided(&row("0 9 * * *", "08:00:00", "08:58:59"));
    assert_eq!(shown(&before).0, [""; 0]);
    assert_eq!(before.check_at, Some(at("08:59:00")));
    assert_eq!(before.cursor_at, at("08:58:59"));
    let ahead = decided(&row("0,30 9 * * *", "08:00:00", "08:59:00"));
    assert_eq!(shown(&ahead).0, ["09:00:00 ahead"]);
    assert_eq!(
        (ahead.cursor_at, ahead.held_at),
        (at("09:00:00"), at("08:59:00"))
    );
    assert_eq!(ahead.check_at, Some(at("09:29:00")));
    assert_eq!(ahead.upcoming.len(), 10);
    let again = decided(&row("0 9 * * *", "09:00:00", "08:59:30"));
    assert_eq!(shown(&again).0, [""; 0], "what is made ahead is decided");
}

#[test]
fn no_more_than_one_is_ahead_if_it_may_overlap_and_else_a_whole_minute() {
    let mut row = row("*/10 * * * * *", "08:59:55", "08:59:55");
    assert_eq!(shown(&decided(&row)).0, ["09:00:00 ahead"]);
    row.overlap = "allow".to_owned();
    assert_eq!(decided(&row).makes.len(), 6);
}

#[test]
fn less_than_five_seconds_late_is_on_time_whatever_the_policy_says() {
    let mut row = row("0 9 * * *", "08:59:50", "09:00:04");
    row.catch_up = "none".to_owned();
    assert_eq!(shown(&decided(&row)).0, ["09:00:00 come"]);
    row.now = at("09:00:05");
    let late = shown(&decided(&row));
    assert_eq!(
        late,
        (vec![], vec!["missed 09:00:00-09:00:00 1".to_owned()])
    );
}

#[test]
fn of_missed_firings_that_overlap_each_other_the_first_or_the_last_is_made() {
    let mut row = row("*/10 * * * *", "08:55:00", "09:35:00");
    row.catch_up = "all".to_owned();
    row.catch_up_window = Duration::from_hours(1);
    row.ttl = Some(Duration::from_mins(20));
    let skip = shown(&decided(&row));
    assert_eq!(skip.0, ["09:00:00 come", "09:20:00 come"]);
    assert_eq!(skip.1, ["overlap 09:10:00-09:30:00 2"]);
    row.overlap = "cancel_previous".to_owned();
    assert_eq!(shown(&decided(&row)).0, ["09:10:00 come", "09:30:00 come"]);
    row.overlap = "allow".to_owned();
    assert_eq!(decided(&row).makes.len(), 4);
}

#[test]
fn what_a_person_skips_is_decided_when_its_time_has_come() {
    let mut row = row("* * * * *", "08:59:10", "08:59:10");
    row.skip_next = 1;
    let before = decided(&row);
    assert_eq!(
        (shown(&before).0.len(), before.check_at),
        (0, Some(at("09:00:00")))
    );
    row.now = at("09:00:00");
    let come = decided(&row);
    assert_eq!(come.skips, 1);
    let told = vec!["firing_skipped 09:00:00-09:00:00 1".to_owned()];
    assert_eq!(shown(&come), (vec!["09:01:00 ahead".to_owned()], told));
}

#[test]
fn a_pause_is_told_apart_from_what_was_missed_before_it() {
    let mut row = row("*/10 * * * *", "08:55:00", "09:35:00");
    row.stopped_at = Some(at("09:05:00"));
    let stopped = decided(&row);
    assert_eq!(shown(&stopped).1, ["missed 09:00:00-09:00:00 1"]);
    assert_eq!(
        (stopped.cursor_at, stopped.check_at),
        (at("09:05:00"), None)
    );
    row.cursor_at = at("09:05:00");
    row.stopped_at = None;
    row.barred_until = Some(at("09:35:00"));
    assert_eq!(
        shown(&decided(&row)).1,
        ["schedule_paused 09:10:00-09:30:00 3"]
    );
}

#[test]
fn a_clock_that_was_set_back_fires_nothing_again() {
    let row = row("* * * * *", "09:00:00", "08:30:00");
    let decision = decided(&row);
    assert_eq!(shown(&decision), (vec![], vec![]));
    assert_eq!(decision.cursor_at, at("09:00:00"));
}

#[test]
fn a_day_that_does_not_exist_is_told() {
    let mut row = row("0 9 * * *", "00:00:00", "00:00:00");
    row.tz = "Pacific/Apia".to_owned();
    let local = |text: &str| {
        DateTime::parse_from_rfc3339(text)
            .expect(text)
            .with_timezone(&Utc)
    };
    row.created_at = local("2011-01-01T00:00:00Z");
    row.cursor_at = local("2011-12-30T00:00:00Z");
    row.now = local("2011-12-30T10:00:30Z");
    let decision = decided(&row);
    let told: Vec<_> = decision
        .tells
        .iter()
        .map(|t| (t.reason.as_str(), t.firings))
        .collect();
    assert_eq!(told, [("nonexistent_day", 1)]);
}

#[test]
fn a_row_that_cannot_be_reckoned_says_which_column_is_at_fault() {
    let fault = |row: &DueSchedule| match Timetables::default().reckon(row) {
        Outcome::AtFault(fault) => fault,
        other => panic!("{other:?}"),
    };
    let mut broken = row("0 9 31 2 *", "08:00:00", "09:00:00");
    assert!(
        fault(&broken).starts_with("cron: day-of-month"),
        "{}",
        fault(&broken)
    );
    broken.cron = Some("*/5 * * * *".to_owned());
    broken.jitter = Duration::from_mins(5);
    assert!(
        fault(&broken).starts_with("jitter is 300s"),
        "{}",
        fault(&broken)
    );
    broken.jitter = Duration::ZERO;
    broken.tz = "Nowhere".to_owned();
    assert!(fault(&broken).starts_with("tz is"), "{}", fault(&broken));
    broken.tz = "UTC".to_owned();
    broken.cron = None;
    assert!(
        fault(&broken).contains("must be given"),
        "{}",
        fault(&broken)
    );
}

#[test]
fn what_is_owed_is_made_if_the_schedule_still_has_it_and_else_told() {
    let mut row = row("0,30 9 * * *", "09:00:01", "09:00:01");
    row.jitter = Duration::from_mins(5);
    // 09:00 waited for its jitter; 08:00 is of an earlier definition; the others are to come.
    row.owed = ["08:00:00", "09:00:00", "09:15:00", "09:30:00"]
        .map(at)
        .to_vec();
    let decision = decided(&row);
    let told = vec!["superseded 08:00:00-08:00:00 1".to_owned()];
    assert_eq!(shown(&decision), (vec!["09:00:00 come".to_owned()], told));
    let made = decision.makes[0];
    assert!(made.run_at > row.now && made.run_at < at("09:05:00"));
    // Its jitter is over: it rings now, not in the past.
    row.now = at("09:25:00");
    row.cursor_at = at("09:25:00");
    assert_eq!(decided(&row).makes[0].run_at, row.now);
    // Its deadline is over, half an hour later.
    row.now = at("09:30:00");
    row.cursor_at = at("09:30:00");
    row.owed = vec![at("09:00:00")];
    let told = shown(&decided(&row)).1;
    assert_eq!(told, ["superseded 09:00:00-09:00:00 1"]);
}

#[test]
fn what_is_owed_overlaps_like_any_other_firing() {
    let mut row = row("0,5 9 * * *", "09:00:40", "09:05:01");
    row.ttl = Some(Duration::from_hours(1));
    row.owed = vec![at("09:00:00")];
    let skip = shown(&decided(&row));
    assert_eq!(skip.0, ["09:00:00 come"]);
    assert_eq!(skip.1, ["overlap 09:05:00-09:05:00 1"]);
    row.overlap = "cancel_previous".to_owned();
    assert_eq!(shown(&decided(&row)).0, ["09:05:00 come"]);
    row.overlap = "allow".to_owned();
    assert_eq!(shown(&decided(&row)).0, ["09:00:00 come", "09:05:00 come"]);
}

#[test]
fn what_is_owed_is_told_and_not_made_if_nothing_is_to_ring() {
    let mut row = row("0 9 * * *", "09:00:40", "09:00:41");
    row.owed = vec![at("09:00:00")];
    row.barred_until = Some(at("09:00:40"));
    row.barred_reason = Some("firing_forgotten".to_owned());
    let barred = shown(&decided(&row));
    let told = vec!["firing_forgotten 09:00:00-09:00:00 1".to_owned()];
    assert_eq!(barred, (vec![], told));
    row.barred_until = None;
    row.stopped_at = Some(at("09:00:40"));
    let stopped = decided(&row);
    let told = vec!["schedule_paused 09:00:00-09:00:00 1".to_owned()];
    assert_eq!(shown(&stopped), (vec![], told));
    assert_eq!(
        stopped.upcoming.len(),
        10,
        "they are told of, should it be removed"
    );
}

#[test]
fn a_zone_that_only_others_know_is_left_to_them() {
    let mut row = row("0 9 * * *", "08:00:00", "09:00:00");
    row.tz = "Europe/Nowhere".to_owned();
    row.others_can = true;
    let outcome = Timetables::default().reckon(&row);
    assert!(matches!(outcome, Outcome::LeftToOthers), "{outcome:?}");
    // What is wrong with the rest, everybody can tell.
    row.tz = "UTC".to_owned();
    row.cron = Some("never".to_owned());
    let outcome = Timetables::default().reckon(&row);
    assert!(matches!(outcome, Outcome::AtFault(_)), "{outcome:?}");
}
