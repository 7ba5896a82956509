//! What the worker's statements cost: by EXPLAIN on large tables, whatever the statistics say.
//!
//! A claim reads as much with 500,000 jobs in the future as with 10,000, beside 50,000 due jobs of a
//! paused app and 100,000 finished ones; in a session of its own making and in the worker's; planned
//! for the values and for any values; with statistics from when the tables were nearly empty, from
//! when nothing was under way, and from now.

mod held;

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

/// Calls that are followed, settled ones, and callbacks that are done with.
const OPEN: i64 = 50_000;
const SETTLED: i64 = 100_000;

/// Fills the tables of what became of calls: the jobs are the finished ones.
async fn follow_calls(session: &mut PgConnection, from: i64, to: i64) {
    let settled = to - OPEN;
    run(
        session,
        &format!(
            "INSERT INTO callq.calls (job_id, attempt, app, call_id, room_id, look_at)
             SELECT i, 1, 'default', 'call-' || i, 'room-' || i, CASE WHEN i % 2 = 0 THEN now() + interval '5 minutes' END
             FROM generate_series({from}, least({to}, {OPEN})) AS i;
             INSERT INTO callq.legs (job_id, attempt, callee_no, callee, call_id, outcome, source)
             SELECT i, 1, 1, 'jack', 'old-' || i, 'answered', 'record' FROM generate_series({from}, {settled}) AS i;
             INSERT INTO callq.callbacks (app, command, call_id, body, digest, look_at)
             SELECT 'default', 'Call.CallbackAfterEndCall', 'call-' || i, '{{}}', sha256(i::text::bytea), NULL
             FROM generate_series({from}, {to}) AS i;"
        ),
    )
    .await;
}

/// The statements about calls, each about 50 of them.
fn of_calls() -> Vec<(&'static str, Statement, String)> {
    let fifty = |what: &dyn Fn(i64) -> String| {
        let all: Vec<String> = (1..=50).map(|i| what(i * 2)).collect();
        format!("'{{{}}}'", all.join(","))
    };
    let ids = fifty(&|i| i.to_string());
    let names = fifty(&|i| format!("call-{i}"));
    let same = |word: &str| fifty(&|_| word.to_owned());
    let (ones, nulls) = (same("1"), same("NULL"));
    let calls = format!(
        "{ids}, {ones}, {ones}, {}, {}, {}, {nulls}, {names}",
        same("true"),
        same("true"),
        same("answered")
    );
    let legs = format!(
        "{ids}, {ones}, {ones}, {}, {}, {}, {nulls}, {nulls}, {ones}, {ones}",
        same("jack"),
        same("answered"),
        same("record")
    );
    let follow_open = format!("'default', {names}, '{{room-1,room-3}}', '{{5,7}}', '{{1,1}}'");
    let settled = fifty(&|i| format!("old-{i}"));
    vec![
        (
            "follow_callbacks",
            statements::follow_callbacks(),
            format!("'default', {names}, 1000"),
        ),
        (
            "follow_heeded",
            statements::follow_heeded(),
            format!("{ids}, {nulls}, {nulls}, {nulls}"),
        ),
        (
            "follow_hints",
            statements::follow_hints(),
            "'default', 500".to_owned(),
        ),
        ("follow_open", statements::follow_open(), follow_open),
        (
            "follow_settled",
            statements::follow_settled(),
            format!("'default', {settled}"),
        ),
        (
            "outcome",
            statements::outcome(),
            format!("{calls}, {legs}, {nulls}, {nulls}, {nulls}, {nulls}"),
        ),
        (
            "sweep_due",
            statements::sweep_due(),
            "'default', 100".to_owned(),
        ),
        (
            "sweep_later",
            statements::sweep_later(),
            format!("{ids}, {ones}, {ones}"),
        ),
        (
            "sweep_lease",
            statements::sweep_lease(),
            "'default', 'worker', 30".to_owned(),
        ),
    ]
}

#[tokio::test]
async fn what_becomes_of_calls_is_settled_without_looking_through_them() {
    let (_database, mut session) = loaded(1_000).await;
    run(
        &mut session,
        "ALTER TABLE callq.calls SET (autovacuum_enabled = off); ALTER TABLE callq.legs SET (autovacuum_enabled = off);
         ALTER TABLE callq.callbacks SET (autovacuum_enabled = off);
         INSERT INTO callq.sweeps (app, read_until_unix) VALUES ('default', 1)",
    )
    .await;
    for (first, last) in [(1, 1 + OPEN - SETTLED), (2, SETTLED)] {
        // The first time all but nothing, so that the statistics are of that.
        follow_calls(&mut session, first, last.max(first)).await;
        if first == 1 {
            run(
                &mut session,
                "ANALYZE callq.calls, callq.legs, callq.callbacks, callq.attempts, callq.jobs",
            )
            .await;
        }
    }
    for analysed in [Analysed::NearlyEmpty, Analysed::Fresh] {
        if analysed == Analysed::Fresh {
            run(
                &mut session,
                "ANALYZE callq.calls, callq.legs, callq.callbacks, callq.attempts, callq.jobs",
            )
            .await;
        }
        for settings in [
            WORKERS,
            "SET jit = off; SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan;",
        ] {
            for (name, statement, arguments) in of_calls() {
                let cost = explain(&mut session, settings, &statement, &arguments).await;
                let about = format!("{name}, statistics {analysed:?}, {settings}");
                for node in &cost.nodes {
                    let large =
                        ["jobs", "attempts", "calls", "legs", "callbacks"].contains(&&*node.table);
                    // What is planned and not executed reads nothing.
                    let reads = large && node.rows + node.in_vain > 0.0;
                    assert!(!(reads && node.kind == "Seq Scan"), "{about}: {node:?}");
                    assert!(node.in_vain < 6_000.0, "{about}: {node:?}");
                    assert!(!large || node.rows < 6_000.0, "{about}: {node:?}");
                }
                // Some index pages for each of 50 calls, in each of seven tables.
                assert!(cost.buffers < 6_000, "{about}: {} buffers", cost.buffers);
            }
        }
    }
}

/// Calls with media that are rung, are answered, play, are over, and have ended.
const LIVE_STREAMS: i32 = 2_000;
const ENDED_STREAMS: i64 = 100_000;

async fn begin_media(session: &mut PgConnection, from: i64, to: i64) {
    run(
        session,
        &format!(
            "INSERT INTO callq.calls (job_id, attempt, app, room_id, live_until)
             SELECT i, 1, 'default', 'room', now() + interval '1 h' FROM generate_series({from}, least({to}, {LIVE_STREAMS})) AS i;
             INSERT INTO callq.streams (job_id, attempt, app, room_id, room_id_type, robot, state, over_at, tasks, reason, look_at)
             SELECT i, 1, 'default', 'room', 2, 'robot', CASE WHEN k = 0 THEN 'waiting' WHEN k = 1 THEN 'answered' WHEN i <= {LIVE_STREAMS} THEN 'playing' ELSE 'ended' END,
                CASE WHEN k > 2 THEN now() END, CASE WHEN k IN (2, 3) THEN '{{task}}' ELSE '{{}}' END::text[],
                CASE WHEN i > {LIVE_STREAMS} THEN 'media_stopped' END, CASE WHEN k <> 2 AND i <= {LIVE_STREAMS} THEN now() END
             FROM (SELECT i, CASE WHEN i <= {LIVE_STREAMS} THEN i % 4 ELSE 9 END AS k FROM generate_series({from}, {to}) AS i) AS s"
        ),
    )
    .await;
}

fn of_media() -> Vec<(&'static str, Statement, &'static str)> {
    vec![
        (
            "stream_grant",
            statements::stream_grant(),
            "'default', '{ask,start,stop}', '{150,15,15}', '{20,20,20}', '{20,20,20}'",
        ),
        (
            "stream_heard of some",
            statements::stream_heard(),
            "'default', '{4,8,12}', '{1,1,1}', '{true,true,true}', '{false,false,true}', false",
        ),
        (
            "stream_heard of all",
            statements::stream_heard(),
            "'default', '{}', '{}', '{}', '{}', true",
        ),
        (
            "stream_pause",
            statements::stream_pause(),
            "'default', 'AuthFailure', 15",
        ),
        (
            "stream_said",
            statements::stream_said(),
            "4, 1, 0, 'runs', 'task', NULL, NULL",
        ),
        (
            "stream_take",
            statements::stream_take(),
            "'default', 20, 20, 20, 10",
        ),
    ]
}

#[tokio::test]
async fn media_is_looked_after_without_looking_through_what_has_ended() {
    let (_database, mut session) = loaded(1_000).await;
    let analyse = "ANALYZE callq.streams, callq.calls, callq.jobs";
    run(
        &mut session,
        "ALTER TABLE callq.streams SET (autovacuum_enabled = off); ALTER TABLE callq.calls SET (autovacuum_enabled = off)",
    )
    .await;
    begin_media(&mut session, 1, 1).await;
    run(&mut session, analyse).await;
    begin_media(&mut session, 2, ENDED_STREAMS).await;
    for analysed in [Analysed::NearlyEmpty, Analysed::Fresh] {
        if analysed == Analysed::Fresh {
            run(&mut session, analyse).await;
        }
        for settings in [
            WORKERS,
            "SET jit = off; SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan;",
        ] {
            for (name, statement, arguments) in of_media() {
                let cost = explain(&mut session, settings, &statement, arguments).await;
                let about = format!("{name}, statistics {analysed:?}, {settings}");
                // Each live call once for each of the four duties at most.
                let most = 4.0 * f64::from(LIVE_STREAMS);
                for node in &cost.nodes {
                    let large = ["jobs", "calls", "streams"].contains(&&*node.table);
                    let reads = large && node.rows + node.in_vain > 0.0;
                    assert!(!(reads && node.kind == "Seq Scan"), "{about}: {node:?}");
                    assert!(
                        node.in_vain <= most && node.rows <= most,
                        "{about}: {node:?}"
                    );
                }
                assert!(cost.buffers < 20_000, "{about}: {} buffers", cost.buffers);
            }
        }
    }
}
