//! Intervals in real time, against a plain list of their instants.

use std::time::Duration;

use callq::schedule::{Interval, Recurrence, Timetable, TimetableFields, Zone};

use super::draw::Draw;
use super::{PLACES, RINGS_MAX, date, instant};

#[test]
fn an_interval_keeps_real_time_but_for_dates_left_out() {
    for _ in 0..3000 {
        let seed = fastrand::u64(..);
        let mut draw = Draw::new(seed);
        let place = draw.of(&PLACES);
        let step = *draw.of(&[1, 59, 60, 600, 1800, 3600, 5400, 86_400, 90_061, 31_622_400]);
        // All of it in the years that are known.
        let after = draw
            .instant(&place.offsets)
            .clamp(400 * 86_400, 4_120_000_000);
        let start = after - draw.within(-40, 200) * step.min(86_400) - draw.within(0, 3);
        let today = (after + place.offsets.at(after)).div_euclid(86_400);
        let except: Vec<i64> = (0..draw.within(0, 3))
            .map(|_| today + draw.within(-1, 3))
            .collect();
        let end = (start + draw.within(1, 400) * step).min(4_130_000_000);
        let timetable = Timetable::new(TimetableFields {
            recurrence: Recurrence::Every(
                Interval::new(Duration::from_secs(step.unsigned_abs())).expect("it is sound"),
            ),
            zone: Zone::find(&place.name).expect("it is a zone"),
            start_at: Some(instant(start)),
            end_at: Some(instant(end)),
            except_dates: except.iter().map(|days| date(*days)).collect(),
        });
        let timetable = timetable.expect("it is sound");
        let open = |at: &i64| !except.contains(&(at + place.offsets.at(*at)).div_euclid(86_400));
        let all: Vec<i64> = (0..=400)
            .map(|n| start + n * step)
            .filter(|at| *at <= end)
            .filter(open)
            .collect();
        let later = all.iter().copied().filter(|at| *at > after);
        let expected: Vec<i64> = later.take(RINGS_MAX).collect();
        let told = format!(
            "{seed}: every {step} s in {} from {start} to {end} after {after} but for {except:?}",
            place.name
        );

        let firings: Vec<_> = timetable
            .firings(instant(after), instant(end))
            .take(RINGS_MAX)
            .collect();
        let at: Vec<i64> = firings.iter().map(|firing| firing.at.timestamp()).collect();
        assert_eq!(at, expected, "{told}");
        assert!(
            firings
                .iter()
                .all(|f| f.local == f.at.naive_utc() && f.fold == 0),
            "{told}"
        );
        let now = draw.within(start - 5, end + 5);
        let known = all.partition_point(|at| *at <= now);
        let previous = timetable
            .previous_fire(instant(now))
            .map(|f| f.at.timestamp());
        assert_eq!(previous, all[..known].last().copied(), "{told} at {now}");
        assert_eq!(
            timetable.count(instant(start - 9), instant(now)),
            known as u64,
            "{told} up to {now}"
        );
    }
}
