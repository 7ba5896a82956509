//! What becomes of calls when the database fails over to a standby, or is put back: real servers that are
//! promoted and restored under real worker processes, held against the sandbox's ledger.

mod backup;
mod recover;
mod standby;

use std::collections::HashSet;

use callq::sandbox::{Sandbox, SandboxConfig};
use tokio::process::Command;

use crate::support::program::{Ended, Program, callq, run};
use crate::support::proxy::Proxy;
use crate::support::rig::{SURELY, process};
use crate::support::standby::Node;

/// What a worker says when it no longer knows whether the database has everything.
const WAITS: &str = "nothing is claimed: ";

/// What it says when it does again.
const GOES_ON: &str = "jobs are claimed";

/// A sandbox, and the way that workers take to whichever database is the one in use.
struct Scene {
    sandbox: Sandbox,
    way: Proxy,
    url: String,
}

impl Scene {
    async fn new(node: &Node) -> Self {
        let config = SandboxConfig {
            calls_per_second_limit: 0,
            ..SandboxConfig::default()
        };
        let sandbox = Sandbox::start(config).await.unwrap();
        let (way, url) = Proxy::to_database(&node.url()).await;
        Self { sandbox, way, url }
    }

    /// A worker process that takes jobs once this returns.
    async fn worker(&self) -> Program {
        let mut worker = self.starting();
        worker.says("the worker is started").await;
        worker
    }

    fn starting(&self) -> Program {
        let arguments = ["--request-timeout-ms", "2000", "--lease-ms", "5000"];
        process(&self.url, &self.sandbox.url(), &arguments)
    }

    /// From now on the way leads to this server.
    fn lead_to(&self, node: &Node) {
        self.way.lead_to(node.upstream());
    }

    async fn until_requests(&self, requests: usize) {
        self.sandbox
            .wait_for(SURELY, |l| l.requests().len() >= requests)
            .await
            .unwrap();
    }

    fn requests(&self) -> usize {
        self.sandbox.ledger().requests().len()
    }

    /// The jobs that were rung, by the rooms of their calls: each once, and none twice.
    fn rung(&self) -> HashSet<i64> {
        let ledger = self.sandbox.ledger();
        let mut rung = HashSet::new();
        for request in ledger.requests() {
            let room = request.room_id.clone().unwrap();
            let job = room.split('_').nth(1).unwrap().parse().unwrap();
            assert!(
                rung.insert(job),
                "job {job} was rung twice, the second time in {room}"
            );
        }
        rung
    }

    /// For every request an attempt in this database, of the same room and random; none came twice.
    async fn audit(&self, node: &Node) {
        let written =
            sqlx::query_as("SELECT room_id, random FROM callq.attempts").fetch_all(node.pool());
        let written: HashSet<(String, i64)> = written.await.unwrap().into_iter().collect();
        let ledger = self.sandbox.ledger();
        assert_eq!(ledger.repeated().count(), 0);
        for request in ledger.requests() {
            let sent = (
                request.room_id.clone().unwrap(),
                i64::from(request.random.unwrap()),
            );
            assert!(written.contains(&sent), "{sent:?} left without an attempt");
        }
    }
}

/// Inserts jobs, the first due now and each `gap_ms` after the one before.
async fn insert(node: &Node, jobs: usize, gap_ms: f64) {
    node.sql(&format!(
        "INSERT INTO callq.jobs (robot_account, callees, run_at)
         SELECT 'robot', ARRAY['callee' || i], now() + i * {gap_ms} * interval '1 millisecond' FROM generate_series(0, {jobs} - 1) AS i"
    ))
    .await;
}

/// Waits until no job is under way or due.
async fn until_done(node: &Node) {
    node.until("NOT EXISTS (SELECT FROM callq.jobs WHERE state IN ('scheduled', 'dialing'))")
        .await;
}

fn command(node: &Node, arguments: &[&str]) -> Command {
    let mut command = callq(arguments.iter().copied());
    command.env("DATABASE_URL", node.url());
    command
}

/// A command on this server's database.
async fn on(node: &Node, arguments: &[&str]) -> Ended {
    run(&mut command(node, arguments)).await
}

/// The newest time that the database remembers of its workers, as people would give it.
async fn remembers_until(node: &Node) -> String {
    node.value("SELECT to_char(date_trunc('milliseconds', remembers_until) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') FROM callq.history").await
}

async fn stop(worker: Program) {
    worker.signal(libc::SIGTERM);
    worker.end().await.with_code(0);
}
