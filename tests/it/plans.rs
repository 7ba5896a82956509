//! What the worker's statements cost: by EXPLAIN on large tables, whatever the statistics say.
//!
//! A claim reads as much with 500,000 jobs in the future as with 10,000, beside 50,000 due jobs of a
//! paused app and 100,000 finished ones; in a session of its own making and in the worker's; planned
//! for the values and for any values; with statistics from when the tables were nearly empty, from
//! when nothing was under way, and from now.

mod calls;
mod held;
mod media;

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::support::Database;
use crate::support::statements::{self, LOWS, Result, Statement, claim_of, record_of};

const TOKEN: &str = "00000000-0000-0000-0000-000000000001";

/// How the worker's sessions plan; the other way is PostgreSQL's own.
const WORKERS: &str = "SET jit = off; SET enable_seqscan = off;";

/// Finished, dialing, lapsed and doubtful jobs with their attempts; and jobs of a paused app.
const FINISHED: i64 = 100_000;
const DIALING: i64 = 2_000;
const LAPSED: i64 = 600;
const DOUBTFUL: i64 = 600;
/// Doubts that wait for days, and that no statement may look through.
const HELD: i64 = 20_000;
const PAUSED: i64 = 50_000;

/// When the statistics were taken.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Analysed {
    /// When the tables held one row each.
    NearlyEmpty,
    /// When no request was under way.
    NothingOpen,
    /// Now.
    Fresh,
}

async fn run(session: &mut PgConnection, sql: &str) {
    let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(session);
    done.await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// The jobs number `from` to `to`, which differ in what `columns` says of the number i.
fn jobs(from: i64, to: i64, app: &str, due_at: &str, rest: &str) -> String {
    format!(
        "INSERT INTO callq.jobs (id, app, robot_account, callees, run_at, due_at, expires_at, priority,
            state, attempt, claim_token, lease_until, placed_at, finished_at, reason)
         OVERRIDING SYSTEM VALUE
         SELECT i, '{app}', 'bot', '{{jack}}', t, t, t + interval '1 day', i % 4, {rest}
         FROM (SELECT i, {due_at} AS t FROM generate_series({from}, {to}) AS i) AS s;"
    )
}

fn attempts(from: i64, to: i64, state: &str) -> String {
    format!(
        "INSERT INTO callq.attempts (job_id, attempt, claim_token, state, app, worker, room_id, room_id_type, random,
            due_at, claimed_at, replied_at)
         SELECT i, 1, '{TOKEN}', '{state}', 'default', 'worker', 'room', 2, 1, now(), now(),
            CASE '{state}' WHEN 'replied' THEN now() END
         FROM generate_series({from}, {to}) AS i;"
    )
}

/// The first numbers behind each kind of job: finished ones begin at 1, and the future is behind `DUE`.
const DIALING_TO: i64 = FINISHED + DIALING;
const LAPSED_TO: i64 = DIALING_TO + LAPSED;
const DOUBTFUL_TO: i64 = LAPSED_TO + DOUBTFUL;
const HELD_TO: i64 = DOUBTFUL_TO + HELD;
const PAUSED_TO: i64 = HELD_TO + PAUSED;
const DUE_TO: i64 = PAUSED_TO + 1_000;

const WAITS: &str =
    "'scheduled'::callq.job_state, 0, NULL::uuid, NULL::timestamptz, NULL::timestamptz,
    NULL::timestamptz, NULL";

/// A database with `future` jobs that are not due, and all the others but those under way, analysed
/// when its tables held one row each.
async fn loaded(future: i64) -> (Database, PgConnection) {
    let database = Database::new().await;
    let mut session = PgConnection::connect(database.url()).await.unwrap();
    run(
        &mut session,
        "SET synchronous_commit = off; ALTER TABLE callq.jobs DISABLE TRIGGER USER;
         ALTER TABLE callq.jobs SET (autovacuum_enabled = off);
         ALTER TABLE callq.attempts SET (autovacuum_enabled = off);
         INSERT INTO callq.apps (app, kind, calls_per_second)
         VALUES ('default', 'sandbox', 180), ('paused', 'sandbox', 180);
         SELECT callq.make_bucket('default', 20)",
    )
    .await;
    let one = jobs(0, 0, "default", "now() + interval '1 day'", WAITS);
    run(&mut session, &(one + &attempts(0, 0, "replied"))).await;
    analyse(&mut session).await;
    let ended =
        "'placed'::callq.job_state, 1, NULL::uuid, NULL::timestamptz, now(), now(), 'accepted'";
    let long_ago = "now() - interval '1 hour' + i * interval '1 ms'";
    let just_now = "now() - interval '1 minute' + i * interval '1 microsecond'";
    let later = "now() + interval '1 hour' + i * interval '10 ms'";
    let rows = [
        jobs(1, FINISHED, "default", long_ago, ended),
        attempts(1, FINISHED, "replied"),
        jobs(HELD_TO + 1, PAUSED_TO, "paused", long_ago, WAITS),
        jobs(PAUSED_TO + 1, DUE_TO, "default", just_now, WAITS),
        jobs(DUE_TO + 1, DUE_TO + future, "default", later, WAITS),
        // Only 20 due jobs in each level but the last, so that a claim of 100 reads all four.
        format!(
            "UPDATE callq.jobs SET priority = 3 WHERE id BETWEEN {} AND {DUE_TO}",
            PAUSED_TO + 81
        ),
    ];
    run(&mut session, &rows.concat()).await;
    (database, session)
}

/// Adds the jobs that are under way, with their attempts.
async fn begin_calls(session: &mut PgConnection) {
    let leased = |state: &str, lease: &str| {
        format!(
            "'{state}'::callq.job_state, 1, '{TOKEN}'::uuid, now() + interval '{lease}',
             NULL::timestamptz, NULL::timestamptz, NULL"
        )
    };
    let due_at = "now() - interval '1 minute'";
    let rows = [
        jobs(
            FINISHED + 1,
            DIALING_TO,
            "default",
            due_at,
            &leased("dialing", "1 hour"),
        ),
        jobs(
            DIALING_TO + 1,
            LAPSED_TO,
            "default",
            due_at,
            &leased("dialing", "-1 second"),
        ),
        attempts(FINISHED + 1, LAPSED_TO, "claimed"),
        jobs(
            LAPSED_TO + 1,
            DOUBTFUL_TO,
            "default",
            due_at,
            &leased("in_doubt", "-1 second"),
        ),
        jobs(
            DOUBTFUL_TO + 1,
            HELD_TO,
            "default",
            due_at,
            &leased("in_doubt", "6 days"),
        ),
        attempts(LAPSED_TO + 1, HELD_TO, "unknown"),
    ];
    run(session, &rows.concat()).await;
}

/// Takes the calls that are under way away again.
async fn forget_calls(session: &mut PgConnection) {
    let under_way = format!("BETWEEN {} AND {HELD_TO}", FINISHED + 1);
    let delete = format!(
        "DELETE FROM callq.jobs WHERE id {under_way}; DELETE FROM callq.attempts WHERE job_id {under_way}"
    );
    run(session, &delete).await;
}

async fn analyse(session: &mut PgConnection) {
    // What the earlier statements left in the indexes would be counted with the later ones.
    for table in ["callq.jobs", "callq.attempts"] {
        run(
            session,
            &format!("VACUUM (ANALYZE, INDEX_CLEANUP on) {table}"),
        )
        .await;
    }
}

/// One node of a plan that was executed.
#[derive(Debug)]
struct Node {
    kind: String,
    table: String,
    index: String,
    /// Rows that came out, and rows that were read in vain, over all loops.
    rows: f64,
    in_vain: f64,
}

/// What a statement did.
#[derive(Debug)]
struct Cost {
    buffers: u64,
    nodes: Vec<Node>,
}

impl Cost {
    fn of(&self, kind: &str) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(move |node| node.kind == kind)
    }
}

fn collect(plan: &Value, nodes: &mut Vec<Node>) {
    let text = |key: &str| plan[key].as_str().unwrap_or_default().to_owned();
    let number = |key: &str| plan[key].as_f64().unwrap_or_default();
    let loops = number("Actual Loops");
    nodes.push(Node {
        kind: text("Node Type"),
        table: text("Relation Name"),
        index: text("Index Name"),
        rows: number("Actual Rows") * loops,
        in_vain: (number("Rows Removed by Filter") + number("Rows Removed by Join Filter")) * loops,
    });
    for inner in plan["Plans"].as_array().into_iter().flatten() {
        collect(inner, nodes);
    }
}

/// Runs the statement and takes its effects back.
async fn explain(
    session: &mut PgConnection,
    settings: &str,
    statement: &Statement,
    arguments: &str,
) -> Cost {
    let (prepare, name) = statement.prepare();
    let settings = format!("RESET ALL; SET synchronous_commit = off; {settings}");
    run(session, &format!("{settings} {prepare} BEGIN")).await;
    let explain = format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE {name}({arguments})");
    let plan: Value = sqlx::query_scalar(AssertSqlSafe(explain))
        .persistent(false)
        .fetch_one(&mut *session)
        .await
        .unwrap();
    run(session, "ROLLBACK").await;
    let plan = &plan[0]["Plan"];
    let mut nodes = vec![];
    collect(plan, &mut nodes);
    let blocks = |key: &str| plan[key].as_u64().unwrap_or_default();
    Cost {
        buffers: blocks("Shared Hit Blocks") + blocks("Shared Read Blocks"),
        nodes,
    }
}

/// Every statement, with its arguments and how many rows it may lock.
fn all() -> Vec<(&'static str, Statement, String, f64)> {
    let batch: Vec<Result<'_>> = (1..=200)
        .map(|i| Result {
            job_id: FINISHED + i,
            attempt: 1,
            token: TOKEN,
            next: if i % 2 == 0 { "placed" } else { "scheduled" },
        })
        .collect();
    vec![
        ("claim", statements::claim(), claim_of(100, TOKEN), 100.0),
        (
            "grant",
            statements::grant(),
            format!("'{{default}}', '{{100}}', '{{f}}', {LOWS}, 60, '{{sandbox}}'"),
            0.0,
        ),
        (
            "behind",
            statements::behind(),
            "'{default}', '{infinity, infinity, infinity, infinity}', '{0, 0, 0, 0}', NULL"
                .to_owned(),
            0.0,
        ),
        ("record", statements::record(), record_of(&batch), 200.0),
        (
            "lapse",
            statements::lapse(),
            "500, 518400".to_owned(),
            500.0,
        ),
        (
            "settle",
            statements::settle(),
            "500, 518400".to_owned(),
            500.0,
        ),
        (
            "expire",
            statements::expire(),
            "'', 0, '-infinity', -9223372036854775808, 500".to_owned(),
            500.0,
        ),
        (
            "give_back",
            statements::give_back(),
            format!("'{TOKEN}'"),
            2_600.0,
        ),
    ]
}

/// Asserts what holds of every statement.
fn assert_frugal(cost: &Cost, may_lock: f64, about: &str) {
    for node in &cost.nodes {
        let large = ["jobs", "attempts"].contains(&&*node.table);
        assert!(!(large && node.kind == "Seq Scan"), "{about}: {node:?}");
        // 5,200 leases are the most that any statement may look through.
        assert!(
            node.in_vain < 6_000.0 || node.kind == "Nested Loop",
            "{about}: {node:?}"
        );
        assert!(node.in_vain < 60_000.0, "{about}: {node:?}");
        assert!(
            !(node.kind == "Sort" && node.rows > 3_000.0),
            "{about}: {node:?}"
        );
    }
    for lock in cost.of("LockRows") {
        assert!(lock.rows <= may_lock, "{about}: {lock:?}");
    }
}

/// The buffers of every statement, by statement, kind of session and age of the statistics.
async fn costs(future: i64) -> BTreeMap<String, u64> {
    let (_database, mut session) = loaded(future).await;
    begin_calls(&mut session).await;
    let mut costs = BTreeMap::new();
    for analysed in [
        Analysed::NearlyEmpty,
        Analysed::NothingOpen,
        Analysed::Fresh,
    ] {
        match analysed {
            Analysed::NearlyEmpty => {}
            Analysed::NothingOpen => {
                forget_calls(&mut session).await;
                analyse(&mut session).await;
                begin_calls(&mut session).await;
            }
            Analysed::Fresh => analyse(&mut session).await,
        }
        for settings in ["", WORKERS, "SET plan_cache_mode = force_generic_plan;"] {
            for (name, statement, arguments, may_lock) in all() {
                let cost = explain(&mut session, settings, &statement, &arguments).await;
                let about = format!("{name}, statistics {analysed:?}, {settings}");
                assert_frugal(&cost, may_lock, &format!("{about} {future} future jobs"));
                if name == "claim" {
                    let locked: f64 = cost.of("LockRows").map(|n| n.rows).sum();
                    assert!((locked - 100.0).abs() < 0.5, "{about}: {locked}");
                    let by_index = cost.nodes.iter().filter(|n| n.index == "jobs_due");
                    let read: f64 = by_index.map(|n| n.rows).sum();
                    assert!(
                        (locked - read).abs() < 1.5,
                        "{about}: {read} rows by jobs_due"
                    );
                }
                costs.insert(about, cost.buffers);
            }
        }
    }
    costs
}

#[tokio::test]
async fn no_statement_costs_more_with_500_000_future_jobs_than_with_10_000() {
    let (few, many) = tokio::join!(costs(10_000), costs(500_000));
    for (what, buffers) in &many {
        let with_few = few[what];
        // The constant is for statements that read next to nothing.
        let bound = with_few + with_few / 5 + 20;
        assert!(
            *buffers <= bound,
            "{what}: {with_few} buffers, then {buffers}"
        );
    }
}
