//! What the worker's statements cost: by EXPLAIN on large tables, whatever the statistics say.
//!
//! A claim reads as much with 500,000 jobs in the future as with 10,000, beside 50,000 due jobs of a
//! paused app and 100,000 finished ones; in a session of its own making and in the worker's; planned
//! for the values and for any values; with statistics from when the tables were nearly empty, from
//! when nothing was under way, and from now.

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

/// A database with `future` jobs that are not due, and all the others. Job numbers: see the constants, in
/// their order, from 1; then 1,000 due ones, then the future.
async fn loaded(future: i64, analysed: Analysed) -> (Database, PgConnection) {
    let database = Database::new().await;
    let mut session = PgConnection::connect(database.url()).await.unwrap();
    let open = "'00000000-0000-0000-0000-000000000001'";
    let waits = "'scheduled'::callq.job_state, 0, NULL::uuid, NULL::timestamptz, NULL::timestamptz, NULL::timestamptz, NULL";
    let ended =
        "'placed'::callq.job_state, 1, NULL::uuid, NULL::timestamptz, now(), now(), 'accepted'";
    let leased = |state: &str, lease: &str| {
        format!(
            "'{state}'::callq.job_state, 1, {open}::uuid, now() + interval '{lease}', NULL::timestamptz, NULL::timestamptz, NULL"
        )
    };
    run(
        &mut session,
        "SET synchronous_commit = off; ALTER TABLE callq.jobs DISABLE TRIGGER USER;
         ALTER TABLE callq.jobs SET (autovacuum_enabled = off); ALTER TABLE callq.attempts SET (autovacuum_enabled = off);
         INSERT INTO callq.apps (app, kind, calls_per_second) VALUES ('default', 'sandbox', 180), ('paused', 'sandbox', 180)",
    )
    .await;
    if analysed == Analysed::NearlyEmpty {
        let one = jobs(0, 0, "default", "now() + interval '1 day'", waits);
        run(
            &mut session,
            &format!("{one} {}", attempts(0, 0, "replied")),
        )
        .await;
        run(&mut session, "VACUUM ANALYZE callq.jobs").await;
        run(&mut session, "VACUUM ANALYZE callq.attempts").await;
    }
    let dialing = FINISHED + DIALING;
    let lapsed = dialing + LAPSED;
    let doubtful = lapsed + DOUBTFUL;
    let paused = doubtful + PAUSED;
    let due = paused + 1_000;
    let closed = [
        jobs(1, FINISHED, "default", "now() - interval '1 hour'", ended),
        attempts(1, FINISHED, "replied"),
        jobs(
            doubtful + 1,
            paused,
            "paused",
            "now() - interval '1 hour' + i * interval '1 ms'",
            waits,
        ),
        jobs(
            paused + 1,
            due,
            "default",
            "now() - interval '1 minute' + i * interval '1 microsecond'",
            waits,
        ),
        jobs(
            due + 1,
            due + future,
            "default",
            "now() + interval '1 hour' + i * interval '10 ms'",
            waits,
        ),
    ];
    run(&mut session, &closed.concat()).await;
    if analysed == Analysed::NothingOpen {
        run(&mut session, "VACUUM ANALYZE callq.jobs").await;
        run(&mut session, "VACUUM ANALYZE callq.attempts").await;
    }
    let under_way = [
        jobs(
            FINISHED + 1,
            dialing,
            "default",
            "now() - interval '1 minute'",
            &leased("dialing", "1 hour"),
        ),
        jobs(
            dialing + 1,
            lapsed,
            "default",
            "now() - interval '1 minute'",
            &leased("dialing", "-1 second"),
        ),
        attempts(FINISHED + 1, lapsed, "claimed"),
        jobs(
            lapsed + 1,
            doubtful,
            "default",
            "now() - interval '1 minute'",
            &leased("in_doubt", "-1 second"),
        ),
        attempts(lapsed + 1, doubtful, "unknown"),
    ];
    run(&mut session, &under_way.concat()).await;
    // Only 20 due jobs in each level but the last, so that a claim of 100 reads all four.
    let spread = format!(
        "UPDATE callq.jobs SET priority = 3 WHERE id BETWEEN {} AND {due}",
        paused + 81
    );
    run(&mut session, &spread).await;
    if analysed == Analysed::Fresh {
        run(&mut session, "VACUUM ANALYZE callq.jobs").await;
        run(&mut session, "VACUUM ANALYZE callq.attempts").await;
    }
    (database, session)
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
    run(
        session,
        &format!(
            "RESET ALL; SET synchronous_commit = off; {settings} {}; BEGIN",
            statement.prepare()
        ),
    )
    .await;
    let explain = format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE s({arguments})");
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
            format!("'{{default}}', '{{100}}', '{{f}}', 20, {LOWS}, 60"),
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

/// The buffers of every statement in every kind of session.
async fn costs(future: i64, analysed: Analysed) -> BTreeMap<String, u64> {
    let (_database, mut session) = loaded(future, analysed).await;
    let mut costs = BTreeMap::new();
    for settings in ["", WORKERS, "SET plan_cache_mode = force_generic_plan;"] {
        for (name, statement, arguments, may_lock) in all() {
            let cost = explain(&mut session, settings, &statement, &arguments).await;
            let about =
                format!("{name} with {future} future jobs, statistics {analysed:?}, {settings}");
            assert_frugal(&cost, may_lock, &about);
            if name == "claim" {
                assert_eq!(
                    cost.of("LockRows").map(|n| n.rows).sum::<f64>(),
                    100.0,
                    "{about}"
                );
                assert!(
                    cost.nodes
                        .iter()
                        .any(|n| n.index == "jobs_due" && n.rows >= 100.0),
                    "{about}"
                );
            }
            costs.insert(format!("{name} {settings}"), cost.buffers);
        }
    }
    costs
}

async fn assert_flat(analysed: Analysed) {
    let (few, many) = tokio::join!(costs(10_000, analysed), costs(500_000, analysed));
    for (what, buffers) in &many {
        let with_few = few[what];
        println!(
            "{analysed:?} {what}: {with_few} buffers with 10,000 future jobs, {buffers} with 500,000"
        );
        assert!(
            // Without the fraction; the constant is for statements that read next to nothing.
            *buffers <= with_few + with_few / 5 + 20,
            "{what} {analysed:?}: {with_few} buffers, then {buffers}"
        );
    }
}

#[tokio::test]
async fn the_future_costs_nothing_with_statistics_from_when_the_tables_were_nearly_empty() {
    assert_flat(Analysed::NearlyEmpty).await;
}

#[tokio::test]
async fn the_future_costs_nothing_with_statistics_from_when_nothing_was_under_way() {
    assert_flat(Analysed::NothingOpen).await;
}

#[tokio::test]
async fn the_future_costs_nothing_with_fresh_statistics() {
    assert_flat(Analysed::Fresh).await;
}
