//! What it costs that there are many rows, and that somebody holds a snapshot.

use std::time::Instant;

use super::drain::Drained;
use super::figure::Sheet;
use super::ground::Ground;
use super::limit::statements_alone;
use super::percentile::number;
use super::throughput::one;
use super::{BenchError, Figure, Part, Plan, latency};

/// The same work with ever more rows for the future, and as many that ended.
pub(super) async fn backlog(ground: &Ground, plan: &Plan) -> Result<Vec<Figure>, BenchError> {
    let mut all = Vec::new();
    for rows in &plan.backlogs {
        let trial = ground.trial().await?;
        trial.burden(i64::from(*rows), i64::from(*rows)).await?;
        trial.settle().await?;
        let case = format!("{rows} future, {rows} ended");
        let mut sheet = Sheet::new(Part::Backlog.name(), case.clone());
        let bare = statements_alone(&trial, plan.jobs, plan.concurrency).await?;
        sheet.note("statements alone", bare.per_s, "calls/s");
        sheet.note_if(
            "database CPU per call, statements alone",
            bare.server_us,
            "us",
        );
        let drained = one(plan).run(ground, &trial).await?;
        note(&mut sheet, &drained);
        ground.tell(&sheet.figures);
        all.extend(sheet.figures);
        let sheet = Sheet::new(Part::Backlog.name(), case);
        all.extend(latency::due_to_wire(ground, &trial, plan, sheet).await?);
        trial.end().await?;
    }
    Ok(all)
}

/// Drains one after the other while a snapshot is held, so that what ended meanwhile stays.
pub(super) async fn snapshot(ground: &Ground, plan: &Plan) -> Result<Vec<Figure>, BenchError> {
    let name = Part::Snapshot.name();
    let trial = ground.trial().await?;
    let before = one(plan).run(ground, &trial).await?;
    let mut sheet = Sheet::new(name, "before it is held");
    note(&mut sheet, &before);
    ground.tell(&sheet.figures);
    let mut all = sheet.figures;

    let began = Instant::now();
    let held = trial.hold_snapshot(plan.held * 10);
    let mut drains = 0;
    let drain = async {
        loop {
            let drained = one(plan).run(ground, &trial).await?;
            drains += 1;
            if began.elapsed() >= plan.held {
                return Ok::<_, BenchError>(drained);
            }
        }
    };
    let last = tokio::select! {
        last = drain => last?,
        held = held => {
            held?;
            return Err(BenchError::TooSlow(plan.held * 10));
        }
    };
    let case = format!("held for {} s", began.elapsed().as_secs());
    let mut sheet = Sheet::new(name, case);
    note(&mut sheet, &last);
    let share = last.calls_per_s / before.calls_per_s;
    sheet.note("of the throughput before", share, "");
    sheet.note(
        "drained while it was held",
        number(drains * plan.jobs),
        "jobs",
    );
    ground.tell(&sheet.figures);
    all.extend(sheet.figures);
    trial.end().await?;
    Ok(all)
}

fn note(sheet: &mut Sheet, drained: &Drained) {
    sheet.note("calls", drained.calls_per_s, "calls/s");
    sheet.note_if("database CPU per call", drained.server_us_per_call(), "us");
    sheet.note("WAL per call", drained.wal_per_call(), "bytes");
}
