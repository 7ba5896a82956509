//! A paused app is asked about by a command that rings nobody, and tried with a job only after that.

use std::time::Duration;

use callq::sandbox::{Answered, Fault, FaultKind, Ledger};
use callq::store::Store;

use crate::support::look_again;
use crate::support::rig::Rig;

const SOON: Duration = Duration::from_secs(30);

impl Rig {
    /// Pauses the app by a job that meets `fault`; the job is the first request.
    async fn paused_by(&self, fault: Fault, callee: &str) -> i64 {
        self.sandbox.script(fault).unwrap();
        let id = self.insert(callee, &[]).await;
        self.until(id, |job| job.reason.as_deref() == Some("app_fault"))
            .await;
        self.until_paused().await;
        id
    }

    /// The time for the next question has come.
    async fn time_to_ask(&self) {
        self.sql("UPDATE callq.apps SET probe_at = now(); SELECT pg_notify('callq_jobs', '')")
            .await;
    }

    async fn until_recorded(&self, replies: usize) {
        let all = "SELECT count(replied_at) FROM callq.attempts";
        let written = async {
            while self.value::<i64>(all).await.unsigned_abs() < replies as u64 {
                look_again().await;
            }
        };
        tokio::time::timeout(SOON, written)
            .await
            .expect("every reply is written");
    }

    async fn until_queries(&self, queries: usize) {
        self.sandbox
            .wait_for(SOON, |l| questions(l).len() >= queries)
            .await
            .unwrap();
    }
}

/// What was asked about calls, and how that was answered: not what was read of records.
fn questions(ledger: &Ledger) -> Vec<Answered> {
    let asked = ledger
        .queries()
        .iter()
        .filter(|query| query.command == "get_call_info");
    asked.map(|query| query.answered).collect()
}

#[tokio::test]
async fn no_job_goes_while_a_question_is_refused() {
    let rig = Rig::new().await;
    let worker = rig.worker().await;
    let id = rig
        .paused_by(Fault::new(FaultKind::ErrorCode(60_020)), "jack")
        .await;
    for asked in 1..=3 {
        rig.time_to_ask().await;
        rig.until_queries(asked).await;
    }
    assert_eq!(rig.sandbox.ledger().requests().len(), 1);
    rig.sandbox.clear_faults();
    rig.time_to_ask().await;
    let job = rig.until_state(id, "placed").await;
    assert_eq!((job.attempt, job.attempts_used), (2, 0));
    worker.stop().await.unwrap();
    let ledger = rig.sandbox.ledger();
    let answers: Vec<_> = questions(&ledger);
    let refused = Answered::Code(60_020);
    assert_eq!(
        answers,
        [refused, refused, refused, Answered::Code(101_004)]
    );
    assert_eq!(ledger.requests().len(), 2);
    assert!(
        rig.value::<bool>("SELECT paused_at IS NULL FROM callq.apps")
            .await
    );
    rig.audit().await;
}

#[tokio::test]
async fn no_job_goes_while_no_answer_can_be_read() {
    let rig = Rig::new().await;
    let worker = rig.worker().await;
    let fault = Fault::new(FaultKind::ErrorCode(60_020)).times(1);
    let id = rig.paused_by(fault, "jack").await;
    for (asked, kind) in [
        FaultKind::HttpStatus(502),
        FaultKind::Garbage,
        FaultKind::CloseAfterReading,
    ]
    .into_iter()
    .enumerate()
    {
        let fault = Fault::new(kind).for_command("get_call_info").times(1);
        rig.sandbox.script(fault).unwrap();
        rig.time_to_ask().await;
        rig.until_queries(asked + 1).await;
    }
    assert_eq!(rig.sandbox.ledger().requests().len(), 1);
    rig.time_to_ask().await;
    rig.until_state(id, "placed").await;
    worker.stop().await.unwrap();
    assert_eq!(rig.sandbox.ledger().stats().per_answer["60020"], 1);
}

#[tokio::test]
async fn every_question_that_is_answered_lets_one_job_go_and_each_time_another() {
    let rig = Rig::new().await;
    // Paused before the first job is there: what is claimed while a pause is being written is
    // another matter.
    rig.sql(
        "INSERT INTO callq.apps (app, kind, paused_at, pause_reason, pause_fingerprint, probe_at)
         VALUES ('default', 'sandbox', now(), 'app_fault', '*', now() + interval '1 hour')",
    )
    .await;
    let calls = Fault::new(FaultKind::ErrorCode(60_020)).for_command("start_call_by_robot");
    rig.sandbox.script(calls).unwrap();
    for callee in ["ann", "bob", "eve"] {
        rig.insert(callee, &[]).await;
    }
    let worker = rig.worker().await;
    for requests in 1..=4 {
        rig.time_to_ask().await;
        rig.until_requests(requests).await;
        // The refused one goes behind the others when its result is written.
        rig.until_recorded(requests).await;
    }
    worker.stop().await.unwrap();
    let ledger = rig.sandbox.ledger();
    let called: Vec<_> = ledger
        .requests()
        .iter()
        .map(|r| r.callees[0].clone())
        .collect();
    assert_eq!(called, ["ann", "bob", "eve", "ann"]);
    assert_eq!(questions(&ledger).len(), 4, "one question for each job");
    rig.audit().await;
}

#[tokio::test]
async fn of_two_workers_one_asks() {
    let rig = Rig::new().await;
    let (one, two) = (rig.worker().await, rig.worker().await);
    let fault = Fault::new(FaultKind::ErrorCode(70_009)).times(1);
    let id = rig.paused_by(fault, "jack").await;
    rig.time_to_ask().await;
    rig.until_state(id, "placed").await;
    one.stop().await.unwrap();
    two.stop().await.unwrap();
    assert_eq!(questions(&rig.sandbox.ledger()).len(), 1);
}

#[tokio::test]
async fn the_questions_come_at_growing_intervals() {
    let rig = Rig::new().await;
    let worker = rig.worker().await;
    rig.paused_by(Fault::new(FaultKind::ErrorCode(60_020)), "jack")
        .await;
    let next = "SELECT extract(epoch FROM probe_at - now())::float8 FROM callq.apps";
    let mut waits = vec![rig.value::<f64>(next).await];
    for asked in 1..=4 {
        rig.time_to_ask().await;
        rig.until_queries(asked).await;
        waits.push(rig.value(next).await);
    }
    worker.stop().await.unwrap();
    for (wait, expected) in waits.iter().zip([60.0, 60.0, 120.0, 240.0, 300.0]) {
        assert!((expected - 20.0..=expected).contains(wait), "{waits:?}");
    }
}

#[tokio::test]
async fn who_was_told_to_wait_a_minute_does() {
    let rig = Rig::new().await;
    let worker = rig.worker().await;
    let fault = Fault::new(FaultKind::ErrorCode(70_050)).times(1);
    let id = rig.paused_by(fault, "jack").await;
    // Whatever the row says, this worker was told.
    rig.time_to_ask().await;
    let moved = async {
        let waits = "SELECT probe_at > now() + interval '50 seconds' FROM callq.apps";
        while !rig.value::<bool>(waits).await {
            look_again().await;
        }
    };
    tokio::time::timeout(SOON, moved)
        .await
        .expect("its turn was taken");
    worker.stop().await.unwrap();
    assert_eq!(questions(&rig.sandbox.ledger()).len(), 0);
    assert_eq!(rig.job(id).await.state, "scheduled");
}

#[tokio::test]
async fn a_probe_is_put_off_and_a_persons_pause_gets_none() {
    let rig = Rig::new().await;
    rig.sql(
        "INSERT INTO callq.apps (app, kind, paused_at, pause_reason, pause_fingerprint, probe_at)
         VALUES ('default', 'sandbox', now(), 'app_fault', 'f', now() + interval '3 seconds');
         SELECT callq.pause_app('other', 'a test')",
    )
    .await;
    let store = Store::connect(rig.db.url(), 1).await.unwrap();
    for app in ["default", "other"] {
        store
            .put_off_probe(app, Duration::from_mins(1))
            .await
            .unwrap();
    }
    let put_off = "SELECT count(*) = 1 AND bool_and(app = 'default' AND probe_at > now() + interval '40 seconds')
        FROM callq.apps WHERE probe_at IS NOT NULL";
    assert!(rig.value::<bool>(put_off).await);
}
