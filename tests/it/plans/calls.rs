//! What a statement about the outcomes of calls costs, beside many that are open and many settled.

use sqlx::PgConnection;

use super::{Analysed, WORKERS, explain, loaded, run};
use crate::support::statements::{self, Statement};

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
