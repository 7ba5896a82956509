//! How late: from the due time to the wire at 200 calls a second, and from INSERT to the wire where
//! nothing else happens.

use std::time::{Duration, Instant};

use super::figure::Sheet;
use super::ground::{Ground, until};
use super::percentile::percentile;
use super::{BenchError, Figure, Part, Plan};
use crate::store::{Fill, Trial};

/// As many as Tencent allows for one app.
const PER_SECOND: f64 = 200.0;

/// The pace, so that it holds nothing back.
const PACE: f64 = 1000.0;

/// From the INSERT to the first due time: the worker is up and has looked by then.
const AHEAD: Duration = Duration::from_secs(3);

/// Single jobs on a system that does nothing else, for each second that the part is given.
const SINGLE_PER_SECOND: usize = 20;

/// What a part may take beyond its own time.
const PATIENCE: Duration = Duration::from_mins(5);

pub(super) async fn latency(ground: &Ground, plan: &Plan) -> Result<Vec<Figure>, BenchError> {
    let trial = ground.trial().await?;
    let name = Part::Latency.name();
    let mut figures = due_to_wire(ground, &trial, plan, Sheet::new(name, "200 calls/s")).await?;
    figures.extend(insert_to_wire(ground, &trial, plan, Sheet::new(name, "idle")).await?);
    trial.end().await?;
    Ok(figures)
}

/// Jobs that become due one after the other, 200 a second.
pub(super) async fn due_to_wire(
    ground: &Ground,
    trial: &Trial,
    plan: &Plan,
    mut sheet: Sheet,
) -> Result<Vec<Figure>, BenchError> {
    let seconds = plan.latency.as_secs_f64();
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a few thousand"
    )]
    let jobs = (seconds * PER_SECOND).max(1.0) as usize;
    let orders = ground.orders(trial, plan.concurrency, PACE);
    ground.answerer.begin(Duration::ZERO);
    let mut hands = [ground.hire(&orders)?];
    let fill = Fill {
        jobs: i64::try_from(jobs).unwrap_or(i64::MAX),
        first_s: AHEAD.as_secs_f64(),
        every_s: 1.0 / PER_SECOND,
        apps: 1,
    };
    let first = trial.fill(fill).await?;
    let came = async || Ok(ground.answerer.count() >= jobs);
    until(&mut hands, plan.latency + PATIENCE, came).await?;
    for hand in hands {
        hand.stop().await?;
    }
    let tally = trial.tally(first).await?;
    sheet.note("sent after due, half", tally.late_p50_ms, "ms");
    sheet.note("sent after due, 99 of 100", tally.late_p99_ms, "ms");
    sheet.note("sent after due, latest", tally.late_max_ms, "ms");
    ground.tell(&sheet.figures);
    Ok(sheet.figures)
}

/// One job after the other, inserted when the one before has long been placed.
async fn insert_to_wire(
    ground: &Ground,
    trial: &Trial,
    plan: &Plan,
    mut sheet: Sheet,
) -> Result<Vec<Figure>, BenchError> {
    let orders = ground.orders(trial, plan.concurrency, PACE);
    ground.answerer.begin(Duration::ZERO);
    let mut hands = [ground.hire(&orders)?];
    let seconds = usize::try_from(plan.latency.as_secs()).unwrap_or(0).max(1);
    let single = SINGLE_PER_SECOND * seconds;
    let mut took = Vec::with_capacity(single);
    for number in 0..=single {
        let began = Instant::now();
        let fill = Fill {
            jobs: 1,
            first_s: 0.0,
            every_s: 0.0,
            apps: 1,
        };
        trial.fill(fill).await?;
        let came = async || Ok(ground.answerer.count() > number);
        until(&mut hands, PATIENCE, came).await?;
        let arrival = ground.answerer.arrivals().last().copied();
        // The first waits for the worker to be up.
        if let (Some(arrival), 1..) = (arrival, number) {
            took.push(arrival.at.duration_since(began).as_secs_f64() * 1000.0);
        }
        let pause = Duration::from_millis(fastrand::u64(20..40));
        tokio::time::sleep(pause).await;
    }
    for hand in hands {
        hand.stop().await?;
    }
    sheet.note("INSERT to wire, half", percentile(&mut took, 0.5), "ms");
    sheet.note(
        "INSERT to wire, 99 of 100",
        percentile(&mut took, 0.99),
        "ms",
    );
    sheet.note("INSERT to wire, longest", percentile(&mut took, 1.0), "ms");
    ground.tell(&sheet.figures);
    Ok(sheet.figures)
}
