//! Many jobs due at one instant, at the pace of one app, in front of a server that refuses what
//! comes too often.

use std::collections::HashMap;
use std::time::Duration;

use super::figure::Sheet;
use super::ground::{Ground, until};
use super::percentile::number;
use super::{Arrival, BenchError, Figure, Part, Plan};
use crate::store::Fill;

/// The pace that an app has unless it is changed.
const PACE: f64 = 180.0;

/// What Tencent takes within a second.
const TENCENT_TAKES: u64 = 200;

/// From the INSERT to the instant.
const AHEAD: f64 = 3.0;

pub(super) async fn burst(ground: &Ground, plan: &Plan) -> Result<Vec<Figure>, BenchError> {
    let trial = ground.trial().await?;
    ground.answerer.begin(Duration::ZERO);
    ground.answerer.throttle_above(TENCENT_TAKES);
    let orders = ground.orders(&trial, plan.concurrency, PACE);
    let mut hands = [ground.hire(&orders)?];
    let fill = Fill {
        jobs: i64::try_from(plan.burst).unwrap_or(i64::MAX),
        first_s: AHEAD,
        every_s: 0.0,
        apps: 1,
    };
    trial.fill(fill).await?;
    let expected = Duration::from_secs_f64(number(plan.burst) / PACE);
    let came = async || Ok(ground.answerer.count() >= plan.burst);
    let patience = expected * 2 + Duration::from_mins(5);
    let ended = until(&mut hands, patience, came).await;
    ground.answerer.throttle_above(0);
    ended?;
    for hand in hands {
        hand.stop().await?;
    }
    trial.end().await?;

    let arrivals = ground.answerer.arrivals();
    let seconds = full_seconds(&arrivals);
    let least = seconds.iter().copied().fold(f64::INFINITY, f64::min);
    let most = seconds.iter().copied().fold(0.0, f64::max);
    let mut sheet = Sheet::new(Part::Burst.name(), format!("{} at once", plan.burst));
    sheet.note("calls in the slowest full second", least, "calls");
    sheet.note("calls in the fastest full second", most, "calls");
    sheet.note("full seconds", number(seconds.len()), "");
    let uneven = seconds.iter().filter(|calls| is_uneven(**calls)).count();
    sheet.note("of them more than 5 % off the pace", number(uneven), "");
    sheet.note(
        "most that one call came before its turn",
        displaced(&arrivals),
        "calls",
    );
    #[allow(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    let throttled = ground.answerer.throttled() as f64;
    sheet.note("throttle replies", throttled, "");
    ground.tell(&sheet.figures);
    Ok(sheet.figures)
}

/// How many came in each second, without the first, which has what was saved up, and the last.
fn full_seconds(arrivals: &[Arrival]) -> Vec<f64> {
    let Some(first) = arrivals.first() else {
        return Vec::new();
    };
    let mut seconds: HashMap<u64, usize> = HashMap::new();
    for arrival in arrivals {
        *seconds
            .entry(arrival.at.duration_since(first.at).as_secs())
            .or_default() += 1;
    }
    let last = seconds.keys().copied().max().unwrap_or(0);
    let full = (1..last).map(|second| seconds.get(&second).copied().unwrap_or(0));
    full.map(number).collect()
}

/// Whether a second had more than 5 % too many or too few.
fn is_uneven(calls: f64) -> bool {
    (calls - PACE).abs() > PACE * 0.05
}

/// By how many places a job came before one that was due earlier, at most.
fn displaced(arrivals: &[Arrival]) -> f64 {
    let mut sorted: Vec<i64> = arrivals.iter().map(|arrival| arrival.job).collect();
    sorted.sort_unstable();
    let place: HashMap<i64, usize> = sorted.iter().enumerate().map(|(n, id)| (*id, n)).collect();
    let early = arrivals.iter().enumerate().map(|(came, arrival)| {
        let turn = place.get(&arrival.job).copied().unwrap_or(came);
        turn.saturating_sub(came)
    });
    number(early.max().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn came(jobs: &[i64], every: Duration) -> Vec<Arrival> {
        let began = Instant::now();
        let at = |n: usize| began + every * u32::try_from(n).expect("a few");
        let arrival = |(n, job): (usize, &i64)| Arrival {
            job: *job,
            at: at(n),
        };
        jobs.iter().enumerate().map(arrival).collect()
    }

    #[test]
    fn seconds_are_counted_without_the_first_and_the_last() {
        let arrivals = came(&[1; 35], Duration::from_millis(100));
        assert_eq!(full_seconds(&arrivals), [10.0, 10.0]);
        assert!(full_seconds(&[]).is_empty());
    }

    #[test]
    fn a_second_is_uneven_from_ten_calls_on() {
        assert!(!is_uneven(171.0) && !is_uneven(189.0));
        assert!(is_uneven(170.0) && is_uneven(190.0));
    }

    #[test]
    fn a_call_that_comes_before_its_turn_is_seen() {
        let order = |jobs: &[i64]| displaced(&came(jobs, Duration::ZERO));
        assert!(order(&[1, 2, 3, 4]).abs() < f64::EPSILON);
        assert!((order(&[4, 1, 2, 3]) - 3.0).abs() < f64::EPSILON);
    }
}
