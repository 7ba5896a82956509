//! Input that wants to be expensive, and whatever else may be typed.

use std::time::Duration;

use callq::schedule::{
    CatchUp, DATES_MAX, Expression, Interval, LocalTimes, Recurrence, Timetable, TimetableFields,
    Zone, parse_calendar, parse_dates,
};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use proptest::prelude::*;

use super::instant;

fn timetable(recurrence: Recurrence, except_dates: Vec<NaiveDate>) -> Timetable {
    let timetable = Timetable::new(TimetableFields {
        recurrence,
        zone: Zone::find("America/New_York").expect("it is a zone"),
        start_at: Some(instant(1_000_000_000)),
        end_at: None,
        except_dates,
    });
    timetable.expect("it is sound")
}

fn cron(text: &str) -> Recurrence {
    Recurrence::Cron(Expression::parse(text).expect(text))
}

#[test]
fn what_rings_rarely_or_never_again_is_answered_at_once() {
    for text in [
        "0 0 29 2 */7",
        "* * 29 2 */7",
        "* * * 29 2 */7",
        "59 59 23 31 12 */7",
        "0 0 29 FEB *",
    ] {
        let timetable = timetable(cron(text), Vec::new());
        let mut at = DateTime::<Utc>::MIN_UTC;
        for _ in 0..200 {
            let Some(next) = timetable.next_fire(at) else {
                break;
            };
            assert!(next.at > at);
            at = next.at;
        }
        assert_eq!(
            timetable.next_fire(instant(4_133_980_801 + 86_400)),
            None,
            "{text}"
        );
        assert_eq!(
            timetable.next_fire(DateTime::<Utc>::MAX_UTC),
            None,
            "{text}"
        );
        assert_eq!(
            timetable.previous_fire(DateTime::<Utc>::MIN_UTC),
            None,
            "{text}"
        );
        assert!(
            timetable.previous_fire(DateTime::<Utc>::MAX_UTC).is_some(),
            "{text}"
        );
        assert!(
            timetable.count(DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC) > 0,
            "{text}"
        );
        assert!(timetable.period().is_some(), "{text}");
    }
    for text in [
        "0 0 30 2 *",
        "0 0 31 2,4,6,9,11 *",
        "* * * 31 JUN *",
        "0 0 30,31 2 */7",
    ] {
        let fault = Expression::parse(text).expect_err(text).to_string();
        assert!(fault.contains("never fires"), "{fault}");
    }
}

#[test]
fn a_life_of_dates_left_out_ends() {
    let first = NaiveDate::from_ymd_opt(2001, 9, 1).expect("it exists");
    let except: Vec<NaiveDate> = first.iter_days().take(DATES_MAX).collect();
    let every = Interval::new(Duration::from_secs(1)).expect("it is sound");
    for recurrence in [
        cron("* * * * * *"),
        cron("0 0 * * *"),
        Recurrence::Every(every),
    ] {
        let timetable = timetable(recurrence, except.clone());
        let next = timetable
            .next_fire(instant(1_000_000_000))
            .expect("after all of them");
        assert_eq!(
            next.at.date_naive(),
            first + TimeDelta::days(i64::try_from(DATES_MAX).expect("it is small"))
        );
        assert_eq!(
            timetable.previous_fire(next.at - TimeDelta::seconds(1)),
            None
        );
        assert_eq!(timetable.count(instant(0), next.at), 1);
    }
    let fault = Timetable::new(TimetableFields {
        recurrence: cron("* * * * *"),
        zone: Zone::find("UTC").expect("it is a zone"),
        start_at: None,
        end_at: None,
        except_dates: first.iter_days().take(DATES_MAX + 1).collect(),
    });
    assert!(fault.is_err());
}

#[test]
fn a_century_of_seconds_is_made_up_for_without_walking_through_it() {
    let timetable = timetable(cron("* * * * * *"), Vec::new());
    let (cursor, now) = (instant(1_000_000_000), instant(4_100_000_000));
    for (catch_up, made) in [
        (CatchUp::None, 0),
        (CatchUp::Latest, 1),
        (CatchUp::All, 100),
    ] {
        let missed = timetable.missed(cursor, now, TimeDelta::MAX, catch_up);
        assert_eq!(missed.fire.len(), made);
        let skipped = missed.skipped.expect("there are more");
        assert_eq!(skipped.count, 3_100_000_000 - made as u64);
        assert!(skipped.first.at <= skipped.last.at);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_typed_is_read_or_refused_in_words(
        text in prop_oneof![
            "\\PC{0,40}",
            "(?s).{0,12}",
            "[-*/,0-9a-zA-Z#?LW~@ ]{0,24}",
            "([*]|[0-9]{1,3}|[A-Z]{3}|[*]/[0-9]{1,3}|[0-9]{1,2}-[0-9]{1,2}(/[0-9]{1,2})?)( ([*]|[0-9]{1,2}|[A-Z]{3}|[0-9]-[0-9])){4,5}",
        ],
    ) {
        match Expression::parse(&text) {
            Ok(expression) => {
                prop_assert_eq!(expression.as_str(), text.trim_matches([' ', '\t']));
                let timetable = timetable(Recurrence::Cron(expression), Vec::new());
                prop_assert!(timetable.next_fire(instant(0)).is_some());
            }
            Err(fault) => {
                let said = fault.to_string();
                prop_assert!(said.contains("; must be "), "{}", said);
                prop_assert!(!said.chars().any(char::is_control), "{:?}", said);
                prop_assert!(fault.column() >= 1 && fault.column() <= text.chars().count().max(1) + 1, "{}", said);
            }
        }
        let zone = Zone::find("Asia/Shanghai").expect("it is a zone");
        for refused in [
            Zone::find(&text).err(),
            parse_calendar(&text).err().map(|mut all| all.remove(0)),
            parse_dates([&text]).err(),
            LocalTimes::parse([&text]).err(),
            zone.start_at(&text).err(),
            zone.end_at(&text).err(),
        ].into_iter().flatten() {
            let said = refused.to_string();
            prop_assert!(!said.chars().any(char::is_control), "{:?}", said);
        }
    }
}
