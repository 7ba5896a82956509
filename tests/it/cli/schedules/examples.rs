//! The schedules of `jobs/`: each is loaded, applied, and fired against the sandbox.

use std::fs;
use std::path::Path;

use callq::config::schedules::read_schedules;
use callq::schedule::Zone;
use chrono::{TimeDelta, Utc};

use super::{callq_on, says};
use crate::media::player;
use crate::support::rig::{Rig, SURELY};

fn shipped() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("jobs")
}

#[tokio::test]
async fn every_shipped_schedule_is_applied_and_rings_when_it_is_run() {
    let rig = Rig::new().await;
    let worker = rig.worker_with(player(&rig)).await;
    let jobs = shipped();
    let ended = callq_on(
        &rig.db,
        &["schedules", "apply", jobs.to_str().unwrap(), "--yes"],
    )
    .await;
    says(&ended.with_code(0), &["5 to create.\n5 applied\n"]);
    let schedules = read_schedules(&[jobs]).unwrap();
    assert_eq!(schedules.len(), 5);
    for schedule in &schedules {
        let ended = callq_on(&rig.db, &["schedules", "run-now", &schedule.name, "--json"])
            .await
            .with_code(0);
        let job = super::json_lines(&ended)[0]["job_id"].as_i64().unwrap();
        let placed = rig.until_state(job, "placed").await;
        assert_eq!(
            placed.reason.as_deref(),
            Some("accepted"),
            "{}",
            schedule.name
        );
        let ledger = rig.sandbox.ledger();
        let request = ledger.requests().last().unwrap();
        assert_eq!(
            (&request.robot, &request.callees),
            (&schedule.call.robot_account, &schedule.call.callees)
        );
        drop(ledger);
    }
    let faults = rig
        .value::<i64>("SELECT count(*) FROM callq.schedules WHERE error IS NOT NULL")
        .await;
    assert_eq!(faults, 0, "a worker looked at each and found nothing wrong");
    rig.audit().await;
    worker.stop().await.unwrap();
}

/// The file with another time, some seconds from now by the clock of its own zone; the lines that
/// would move it or leave it out are gone.
fn soon(text: &str, zone: &Zone) -> String {
    let at = zone
        .local(Utc::now() + TimeDelta::seconds(25))
        .format("%Y-%m-%d %H:%M:%S");
    let moved = [
        "cron",
        "on",
        "start_at",
        "end_at",
        "except_dates",
        "calendars",
        "jitter",
    ];
    let stays = |line: &&str| {
        !moved
            .iter()
            .any(|key| line.starts_with(&format!("{key} =")))
    };
    let rest: Vec<&str> = text.lines().filter(stays).collect();
    format!("on = [\"{at}\"]\n{}\n", rest.join("\n"))
}

#[tokio::test]
async fn every_shipped_schedule_fires_by_itself_at_its_time() {
    let rig = Rig::new().await;
    let worker = rig.worker_with(player(&rig)).await;
    let schedules = read_schedules(&[shipped()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for schedule in &schedules {
        let text = fs::read_to_string(&schedule.place.file).unwrap();
        let file = schedule.place.file.file_name().unwrap();
        fs::write(
            folder.path().join(file),
            soon(&text, schedule.timetable.zone()),
        )
        .unwrap();
    }
    let ended = callq_on(
        &rig.db,
        &[
            "schedules",
            "apply",
            folder.path().to_str().unwrap(),
            "--yes",
        ],
    )
    .await;
    says(&ended.with_code(0), &["5 applied\n"]);
    rig.sandbox
        .wait_for(SURELY, |ledger| ledger.requests().len() >= schedules.len())
        .await
        .unwrap();
    let mut rung: Vec<String> = rig
        .sandbox
        .ledger()
        .requests()
        .iter()
        .map(|request| request.robot.clone())
        .collect();
    let mut meant: Vec<String> = schedules
        .iter()
        .map(|schedule| schedule.call.robot_account.clone())
        .collect();
    rung.sort();
    meant.sort();
    assert_eq!(rung, meant);
    let early = rig.value::<i64>("SELECT count(*) FROM callq.jobs WHERE schedule_id IS NOT NULL AND nominal_at <> run_at").await;
    assert_eq!(early, 0, "each has its own time");
    rig.audit().await;
    worker.stop().await.unwrap();
}
