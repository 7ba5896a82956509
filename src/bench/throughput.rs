//! How fast what is due is placed, by one worker and by several, and what it costs.

use std::time::Duration;

use super::drain::{Drain, Drained};
use super::figure::Sheet;
use super::ground::Ground;
use super::percentile::whole;
use super::{BenchError, Figure, Part, Plan};

/// Requests under way where memory is measured, each answered after [`SLOW`].
const MANY: usize = 500;

/// As long as an answer over the internet may take.
const SLOW: Duration = Duration::from_millis(200);

const MIB: f64 = 1024.0 * 1024.0;

/// One worker drains what is due: with the outcomes of calls followed, as is the default, and
/// without.
pub(super) async fn throughput(ground: &Ground, plan: &Plan) -> Result<Vec<Figure>, BenchError> {
    let mut all = Vec::new();
    for follows in [true, false] {
        let trial = ground.trial().await?;
        if !follows {
            trial.leave_outcomes().await?;
        }
        let drained = one(plan).run(ground, &trial).await?;
        trial.end().await?;
        let case = if follows { "" } else { "outcomes off" };
        let mut sheet = Sheet::new(Part::Throughput.name(), case);
        tell(&mut sheet, &drained);
        ground.tell(&sheet.figures);
        all.extend(sheet.figures);
    }
    Ok(all)
}

/// The drain that is compared everywhere.
pub(super) fn one(plan: &Plan) -> Drain {
    Drain {
        jobs: plan.jobs,
        workers: 1,
        concurrency: plan.concurrency,
        apps: 1,
        answered_after: Duration::ZERO,
    }
}

/// All figures of one drain.
pub(super) fn tell(sheet: &mut Sheet, drained: &Drained) {
    let (missing, extra) = drained.missing_and_extra();
    sheet.note("calls", drained.calls_per_s, "calls/s");
    sheet.note("placed and recorded", drained.recorded_per_s, "calls/s");
    sheet.note_if("database CPU per call", drained.server_us_per_call(), "us");
    sheet.note_if("worker CPU per call", drained.workers_us_per_call(), "us");
    sheet.note("commits per call", drained.commits_per_call(), "");
    sheet.note("WAL per call", drained.wal_per_call(), "bytes");
    sheet.note_if(
        "worker's memory at most",
        drained.workers.map(|usage| usage.peak_bytes / MIB),
        "MiB",
    );
    sheet.note("jobs not placed", missing, "");
    sheet.note("requests sent twice", extra, "");
    sheet.note("deadlocks", whole(drained.used.deadlocks), "");
}

/// One worker with many slow requests under way.
pub(super) async fn memory(ground: &Ground, plan: &Plan) -> Result<Vec<Figure>, BenchError> {
    let trial = ground.trial().await?;
    let drain = Drain {
        concurrency: MANY,
        answered_after: SLOW,
        ..one(plan)
    };
    let drained = drain.run(ground, &trial).await?;
    trial.end().await?;
    let case = format!("{MANY} under way, {} ms each", SLOW.as_millis());
    let mut sheet = Sheet::new(Part::Memory.name(), case);
    sheet.note_if(
        "worker's memory at most",
        drained.workers.map(|usage| usage.peak_bytes / MIB),
        "MiB",
    );
    sheet.note("calls", drained.calls_per_s, "calls/s");
    ground.tell(&sheet.figures);
    Ok(sheet.figures)
}

/// Ever more workers.
pub(super) async fn workers(ground: &Ground, plan: &Plan) -> Result<Vec<Figure>, BenchError> {
    let drain = |workers| Drain {
        workers,
        ..one(plan)
    };
    each(ground, Part::Workers, "worker", &plan.workers, drain).await
}

/// The same jobs for ever more apps, which one worker serves.
pub(super) async fn apps(ground: &Ground, plan: &Plan) -> Result<Vec<Figure>, BenchError> {
    let drain = |apps| Drain { apps, ..one(plan) };
    each(ground, Part::Apps, "app", &plan.apps, drain).await
}

/// One drain for each number of `things`, each in a database of its own.
async fn each(
    ground: &Ground,
    part: Part,
    things: &str,
    numbers: &[usize],
    drain: impl Fn(usize) -> Drain,
) -> Result<Vec<Figure>, BenchError> {
    let mut all = Vec::new();
    for number in numbers {
        let trial = ground.trial().await?;
        let drained = drain(*number).run(ground, &trial).await?;
        trial.end().await?;
        let case = match number {
            1 => format!("1 {things}"),
            _ => format!("{number} {things}s"),
        };
        let mut sheet = Sheet::new(part.name(), case);
        tell(&mut sheet, &drained);
        ground.tell(&sheet.figures);
        all.extend(sheet.figures);
    }
    Ok(all)
}
