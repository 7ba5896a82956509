//! What a statement about media costs, beside many streams that have ended.

use sqlx::PgConnection;

use super::{Analysed, WORKERS, explain, loaded, run};
use crate::support::statements::{self, Statement};

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
