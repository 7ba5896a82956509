//! The limit of calls per second, of an app and of a scripted fault.

use callq::sandbox::{Answered, Fault, FaultKind, SandboxConfig};

use super::{Bench, bench, bench_with, body, config, target};

/// The codes of `count` requests made at once, with each one's time as the ledger has it.
async fn burst(bench: &Bench, count: usize) -> Vec<(u64, i64)> {
    let body = body();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..count {
        let url = format!("{}{}", bench.sandbox.url(), target());
        calls.spawn(bench.http.post(url).body(body.to_string()).send());
    }
    while let Some(answer) = calls.join_next().await {
        answer.unwrap().unwrap();
    }
    let ledger = bench.sandbox.ledger();
    let code = |answered| match answered {
        Answered::Code(code) => code,
        other => panic!("{other:?}"),
    };
    ledger
        .requests()
        .iter()
        .map(|r| (r.monotonic_us, code(r.answered)))
        .collect()
}

/// Whether 60007 was answered exactly when `limit` others had passed in the second before.
fn assert_throttled_above(limit: usize, answers: &[(u64, i64)]) {
    let mut passed: Vec<u64> = Vec::new();
    for (at, code) in answers {
        let recent = passed
            .iter()
            .filter(|passed| at - **passed < 1_000_000)
            .count();
        assert_eq!(
            *code,
            if recent < limit { 0 } else { 60_007 },
            "at {at} us, {recent} before"
        );
        if *code == 0 {
            passed.push(*at);
        }
    }
    assert!(passed.len() < answers.len(), "nothing was throttled");
}

#[tokio::test]
async fn an_app_is_throttled_above_its_limit_in_any_sliding_second() {
    let bench = bench_with(SandboxConfig {
        calls_per_second_limit: 7,
        ..config()
    })
    .await;
    assert_throttled_above(7, &burst(&bench, 40).await);
}

#[tokio::test]
async fn a_limit_of_zero_is_no_limit() {
    let bench = bench().await;
    assert!(burst(&bench, 250).await.iter().all(|(_, code)| *code == 0));
}

#[tokio::test]
async fn a_scripted_throttle_refuses_only_above_its_limit() {
    let bench = bench().await;
    bench
        .sandbox
        .script(Fault::new(FaultKind::ThrottleAbove(5)))
        .unwrap();
    assert_throttled_above(5, &burst(&bench, 40).await);
}
