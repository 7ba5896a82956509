//! Every row of the table of late replies, with a real process: it is stopped while its request is
//! answered, what happens to the job meanwhile differs, and then it goes on.

use callq::sandbox::{Fault, FaultKind};

use crate::support::look_again;
use crate::support::program::Program;
use crate::support::rig::{Job, Rig, process};

/// Long enough for all that happens while the process is stopped.
const LONG: [&str; 4] = ["--request-timeout-ms", "40000", "--lease-ms", "42000"];

/// A worker process that has sent its request and does not run; its reply, with this `ErrorCode`,
/// has come.
struct Stopped {
    rig: Rig,
    worker: Program,
    id: i64,
}

impl Stopped {
    async fn amid_a_call(columns: &[(&str, &str)]) -> Self {
        let rig = Rig::new().await;
        let late = Fault::new(FaultKind::Delay).delayed_ms(2000).times(1);
        rig.sandbox.script(late).unwrap();
        let worker = process(rig.db.url(), &rig.sandbox.url(), &LONG);
        let id = rig.insert("jack", columns).await;
        rig.until_requests(1).await;
        worker.signal(libc::SIGSTOP);
        Self { rig, worker, id }
    }

    /// The lease lapses, as another worker sees it.
    async fn given_up(self) -> Self {
        self.rig
            .sql("UPDATE callq.jobs SET lease_until = now() - interval '1 s' WHERE state = 'dialing'")
            .await;
        self.other_until("in_doubt").await;
        self
    }

    async fn other_until(&self, state: &str) -> Job {
        let other = self.rig.worker().await;
        let job = self.rig.until_state(self.id, state).await;
        other.stop().await.unwrap();
        job
    }

    /// Lets the process go on, and to its end; the job then, and whether its first attempt is told
    /// as a second ring.
    async fn then(self) -> (String, Option<String>, bool) {
        let first = format!(
            "SELECT state = 'replied' FROM callq.attempts WHERE job_id = {} AND attempt = 1",
            self.id
        );
        self.worker.signal(libc::SIGCONT);
        while !self.rig.value::<bool>(&first).await {
            look_again().await;
        }
        self.worker.signal(libc::SIGTERM);
        self.worker.end().await.with_code(0);
        let job = self.rig.job(self.id).await;
        let second = format!(
            "SELECT second_ring FROM callq.attempts WHERE job_id = {} AND attempt = 1",
            self.id
        );
        let second = self.rig.value::<bool>(&second).await;
        self.rig.audit().await;
        (job.state, job.reason, second)
    }
}

fn ended(state: &str, reason: &str, second: bool) -> (String, Option<String>, bool) {
    (state.into(), Some(reason.into()), second)
}

#[tokio::test]
async fn a_reply_while_the_job_is_still_dialing_places_it() {
    let stopped = Stopped::amid_a_call(&[]).await;
    assert_eq!(stopped.then().await, ended("placed", "accepted", false));
}

#[tokio::test]
async fn a_reply_after_the_lease_lapsed_settles_the_doubt() {
    let stopped = Stopped::amid_a_call(&[]).await.given_up().await;
    assert_eq!(stopped.then().await, ended("placed", "accepted", false));
}

#[tokio::test]
async fn a_reply_to_a_job_that_waits_to_ring_again_stops_the_second_ring() {
    let stopped = Stopped::amid_a_call(&[]).await.given_up().await;
    let again = format!(
        "SELECT callq.pause_app('default', 'a test'); SELECT callq.resolve({}, 'retry')",
        stopped.id
    );
    stopped.rig.sql(&again).await;
    assert_eq!(stopped.then().await, ended("placed", "late_reply", false));
}

#[tokio::test]
async fn a_reply_to_a_job_that_ended_by_its_doubt_turns_it_to_placed() {
    let stopped = Stopped::amid_a_call(&[]).await.given_up().await;
    stopped
        .rig
        .sql(
            "UPDATE callq.attempts SET claimed_at = now() - interval '7 days';
             UPDATE callq.jobs SET lease_until = now() - interval '1 s'",
        )
        .await;
    stopped.other_until("unresolved").await;
    assert_eq!(stopped.then().await, ended("placed", "late_reply", false));
}

#[tokio::test]
async fn a_reply_to_a_job_that_ended_by_its_deadline_turns_it_to_placed() {
    let stopped = Stopped::amid_a_call(&[]).await.given_up().await;
    let expired = format!(
        "SELECT callq.pause_app('default', 'a test'); SELECT callq.resolve({}, 'retry');
         UPDATE callq.jobs SET run_at = now() - interval '2 hours'",
        stopped.id
    );
    stopped.rig.sql(&expired).await;
    stopped.other_until("expired").await;
    assert_eq!(stopped.then().await, ended("placed", "late_reply", false));
}

#[tokio::test]
async fn a_reply_beside_a_newer_attempt_leaves_the_job_and_is_told_as_a_second_ring() {
    let stopped = Stopped::amid_a_call(&[]).await.given_up().await;
    let again = format!("SELECT callq.resolve({}, 'retry')", stopped.id);
    stopped.rig.sql(&again).await;
    stopped.other_until("placed").await;
    assert_eq!(stopped.then().await, ended("placed", "accepted", true));
}
