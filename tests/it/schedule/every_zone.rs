//! A fixed time of every day rings once on each day that exists, in every zone.

use callq::schedule::{Expression, Firing, Recurrence, Timetable, TimetableFields, Zone};
use chrono::{NaiveDate, TimeDelta};

use super::draw::{Draw, Place};
use super::{PLACES, instant};

const DAY: i64 = 86_400;

/// So many changes of each zone are looked at.
const CHANGES: usize = 12;

fn daily(place: &Place, draw: &mut Draw) -> Timetable {
    let cron = format!("{} {} * * *", draw.within(0, 59), draw.within(0, 23));
    let timetable = Timetable::new(TimetableFields {
        recurrence: Recurrence::Cron(Expression::parse(&cron).expect("it is sound")),
        zone: Zone::find(&place.name).expect("it is a zone"),
        start_at: None,
        end_at: None,
        except_dates: Vec::new(),
    });
    timetable.expect("it is sound")
}

/// The days that the zone left out, by what the tests know of it.
fn left_out(place: &Place) -> Vec<NaiveDate> {
    let changes = place.offsets.changes(0, 4_133_900_000);
    let days = changes.flat_map(|change| {
        let last = (change - 1 + place.offsets.at(change - 1)).div_euclid(DAY);
        let first = (change + place.offsets.at(change)).div_euclid(DAY);
        last + 1..first
    });
    days.map(|day| instant(day * DAY).date_naive()).collect()
}

#[test]
fn a_fixed_time_rings_once_on_every_day_that_exists() {
    let mut draw = Draw::new(fastrand::u64(..));
    let begin = instant(-2 * DAY);
    let end = instant(4_133_980_800 + 2 * DAY);
    // From 1970 to 2100, of which 32 years have a 29 February (2000 has, 2100 has not).
    let days: u64 = 131 * 365 + 32;
    let mut lost = 0;
    for place in PLACES.iter() {
        let timetable = daily(place, &mut draw);
        let missing = left_out(place);
        lost += missing.len();
        let rings = timetable.count(begin, end) + missing.len() as u64;
        assert_eq!(
            rings,
            days,
            "{:?} in {}",
            timetable.recurrence(),
            place.name
        );

        let mut changes = place.offsets.changes(3 * DAY, 4_133_000_000);
        for _ in 0..CHANGES {
            let Some(change) =
                changes.nth(usize::try_from(draw.within(0, 30)).expect("it is small"))
            else {
                break;
            };
            let timetable = daily(place, &mut draw);
            let around: Vec<Firing> = timetable
                .firings(instant(change - 2 * DAY), instant(change + 2 * DAY))
                .collect();
            assert!(
                around.len() >= 3,
                "{} about {change}: {around:?}",
                place.name
            );
            for pair in around.windows(2) {
                let next = pair[0].local.date().succ_opt().expect("it exists");
                let next = if missing.contains(&next) {
                    next + TimeDelta::days(1)
                } else {
                    next
                };
                assert_eq!(
                    pair[1].local.date(),
                    next,
                    "{} about {change}: {around:?}",
                    place.name
                );
            }
        }
    }
    assert!(
        lost >= 4,
        "Apia, Fakaofo, Kwajalein and Kiritimati have each left out a day"
    );
}
