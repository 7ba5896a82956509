//! Which fault a request meets, and how faults are scripted over HTTP.

use callq::sandbox::{Fault, FaultKind};
use serde_json::{Value, json};

use super::{Bench, bench, body, body_for, body_in};

fn script(bench: &Bench, fault: Fault) {
    bench.sandbox.script(fault).unwrap();
}

async fn post_fault(bench: &Bench, fault: &Value) -> (u16, Value) {
    let url = format!("{}/sandbox/faults", bench.sandbox.url());
    let response = bench.http.post(url).json(fault).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn a_fault_lasts_until_it_is_cleared() {
    let bench = bench().await;
    script(&bench, Fault::new(FaultKind::ErrorCode(60_020)));
    for _ in 0..5 {
        assert_eq!(bench.code(&body()).await, 60_020);
    }
    bench.sandbox.clear_faults();
    assert_eq!(bench.code(&body()).await, 0);
}

#[tokio::test]
async fn a_fault_is_for_the_requests_it_matches() {
    let bench = bench().await;
    let code = |code| Fault::new(FaultKind::ErrorCode(code));
    script(&bench, code(1).for_callee("jill"));
    script(&bench, code(2).for_room("r-*"));
    script(&bench, code(3).for_robot("other").for_callee("jack"));
    let mut both = body();
    both["CalleeList_Account"] = json!(["jack", "jill"]);
    let mut other = body();
    other["Robot_Account"] = json!("other");
    assert_eq!(bench.code(&body()).await, 0);
    assert_eq!(bench.code(&both).await, 1);
    assert_eq!(bench.code(&body_in("r-17")).await, 2);
    assert_eq!(bench.code(&other).await, 3);
    assert_eq!(
        bench.code(&body_for("jilly")).await,
        0,
        "no star, no other ending"
    );
}

#[tokio::test]
async fn the_first_fault_that_matches_is_taken_and_the_next_one_waits() {
    let bench = bench().await;
    script(&bench, Fault::new(FaultKind::ErrorCode(1)).times(1));
    script(&bench, Fault::new(FaultKind::ErrorCode(2)).times(1));
    assert_eq!(bench.code(&body()).await, 1);
    assert_eq!(bench.code(&body()).await, 2);
    assert_eq!(bench.code(&body()).await, 0);
}

#[tokio::test]
async fn a_fault_spoils_the_answer_before_a_callees_name_does() {
    let bench = bench().await;
    script(
        &bench,
        Fault::new(FaultKind::ErrorCode(60_008))
            .that_rings()
            .times(1),
    );
    assert_eq!(bench.code(&body_for("close-x")).await, 60_008);
}

#[tokio::test]
async fn a_delay_leaves_the_answer_to_a_callees_name() {
    let bench = bench().await;
    script(&bench, Fault::new(FaultKind::Delay).delayed_ms(1));
    bench.try_call(&body_for("close-x")).await.unwrap_err();
    assert!(bench.sandbox.ledger().requests()[0].rang);
}

#[tokio::test]
async fn the_control_endpoint_scripts_lists_and_clears_faults() {
    let bench = bench().await;
    let fault = json!({
        "fault": {"error_code": 60_008}, "match": {"callee": "jack"}, "times": 2, "delay_ms": 1,
        "rings": true
    });
    assert_eq!(post_fault(&bench, &fault).await, (201, json!({"id": 1})));
    assert_eq!(
        post_fault(&bench, &json!({"fault": "garbage"})).await,
        (201, json!({"id": 2}))
    );
    assert_eq!(bench.code(&body()).await, 60_008);
    let faults = bench.page("faults").await["faults"].clone();
    let mut left = fault.clone();
    left["id"] = json!(1);
    left["times"] = json!(1);
    assert_eq!(faults[0], left);
    assert_eq!(faults[1]["fault"], "garbage");
    assert_eq!(bench.delete("faults/1").await, 204);
    assert_eq!(bench.delete("faults/1").await, 404);
    assert_eq!(
        bench.page("faults").await["faults"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(bench.delete("faults").await, 204);
    assert_eq!(bench.code(&body()).await, 0);
}

#[tokio::test]
async fn every_kind_of_fault_can_be_scripted_over_http() {
    let bench = bench().await;
    let kinds = [
        json!({"error_code": -10113}),
        json!({"http_status": 503}),
        json!("close_before_reading"),
        json!("close_after_reading"),
        json!("garbage"),
        json!("stall"),
        json!("truncated_body"),
        json!("redirect"),
        json!({"throttle_above": 5}),
    ];
    for kind in kinds {
        assert_eq!(
            post_fault(&bench, &json!({ "fault": kind })).await.0,
            201,
            "{kind}"
        );
    }
    assert_eq!(
        post_fault(&bench, &json!({"fault": "delay", "delay_ms": 5}))
            .await
            .0,
        201
    );
}

#[tokio::test]
async fn a_fault_that_makes_no_sense_is_refused_with_a_sentence() {
    let bench = bench().await;
    let senseless = [
        (json!({"fault": "delay"}), "delay_ms"),
        (
            json!({"fault": "delay", "delay_ms": 1, "rings": false}),
            "rings as usual",
        ),
        (json!({"fault": "garbage", "times": 0}), "at least 1"),
        (
            json!({"fault": "garbage", "delay_ms": 600_001}),
            "at most 600000",
        ),
        (json!({"fault": {"error_code": 0}}), "must not be 0"),
        (json!({"fault": {"http_status": 99}}), "200 to 599"),
        (
            json!({"fault": "close_before_reading", "match": {"callee": "x"}}),
            "only times",
        ),
        (
            json!({"fault": {"throttle_above": 1}, "rings": true}),
            "cannot ring",
        ),
        (json!({"fault": "explode"}), "explode"),
        (json!({"fault": "garbage", "time": 1}), "time"),
        (
            json!({"fault": "garbage", "match": {"calle": "x"}}),
            "calle",
        ),
        (json!({}), "fault"),
    ];
    for (fault, word) in senseless {
        let (status, answer) = post_fault(&bench, &fault).await;
        assert!([400, 422].contains(&status), "{fault}: {status}");
        assert!(
            answer["error"].as_str().unwrap().contains(word),
            "{fault}: {answer}"
        );
    }
    assert_eq!(bench.page("faults").await["faults"], json!([]));
}
