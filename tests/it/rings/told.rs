//! What callbacks tell decides who is rung again, and when a call is ended.

use super::{chain, slow, until_over};
use crate::callbacks::{self, SECRET, Web};
use crate::support::Database;
use crate::support::rig::Rig;

use callq::sandbox::SandboxConfig;

/// A slow sandbox whose callbacks are taken.
async fn telling() -> (Rig, Web) {
    let database = Database::new().await;
    let app = callbacks::app("default", SECRET, None);
    let web = Web::on(database.url(), vec![app]).await;
    let config = SandboxConfig {
        callback_url: Some(format!("http://{}/callbacks/default/{SECRET}", web.address)),
        ..slow()
    };
    (Rig::between(database, config).await, web)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_call_to_several_those_are_rung_again_of_whom_a_callback_tells_that_nobody_answered() {
    let (rig, web) = telling().await;
    let worker = rig.worker().await;
    let policy = r#"'{"max_rings": 2, "no_answer": ["1s"], "busy": [], "min_gap": "0s"}'"#;
    let columns = [("ring_policy", policy), ("ring_timeout_ms", "10000")];
    let root = rig
        .insert("answer-2-rose,noanswer-jack,busy-ben", &columns)
        .await;
    until_over(&rig, 2).await;
    assert_eq!(
        chain(&rig, root).await,
        [
            "1 0 answer-2-rose,noanswer-jack,busy-ben completed answered ring_again",
            "2 1 noanswer-jack completed no_answer ring_total",
        ]
    );
    let legs: Vec<String> = sqlx::query_scalar(
        "SELECT concat_ws(' ', callee, outcome) FROM callq.legs ORDER BY job_id, callee_no",
    )
    .fetch_all(rig.db.pool())
    .await
    .unwrap();
    assert_eq!(
        legs,
        [
            "answer-2-rose answered",
            "noanswer-jack no_answer",
            // No callback has a word for busy.
            "busy-ben unknown",
            "noanswer-jack no_answer",
        ]
    );
    worker.stop().await.unwrap();
    web.stop().await;
    rig.audit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_ended_so_long_after_the_callback_that_tells_of_the_answer() {
    let (rig, web) = telling().await;
    let worker = rig.worker().await;
    let id = rig
        .insert("answer-2-jack", &[("max_call_seconds", "3600")])
        .await;
    rig.until_state(id, "placed").await;
    let after = "SELECT extract(epoch FROM end_at - opened_at)::float8 FROM callq.calls";
    // Until then it is reckoned from the longest ring.
    rig.until_value(after, |after: &f64| *after < 3600.0 + 20.0)
        .await;
    assert!(rig.value::<f64>(after).await >= 3600.0);
    worker.stop().await.unwrap();
    web.stop().await;
}
