//! Records of calls that are over: one by one, and in pages.

use callq::sandbox::{PlannedOutcome, RecordSpan, SandboxConfig};
use serde_json::{Value, json};

use super::{Bench, SIGNED_AT, bench, bench_with, config};

const BY_CALLID: &str = "/v4/call_record_http_srv/get_record_by_callid";
const BY_FILTER: &str = "/v4/call_record_http_srv/get_record_by_filter";
/// The tests' sandboxes begin then.
const BEGAN: i64 = SIGNED_AT + 100;

impl Bench {
    async fn record(&self, call_id: &str) -> Value {
        self.ask(BY_CALLID, &json!({ "CallId": call_id })).await
    }

    async fn records(&self, filter: Value) -> Value {
        let answer = self.ask(BY_FILTER, &filter).await;
        assert_eq!(answer["ErrorCode"], 0, "{filter}: {answer}");
        answer["Response"].clone()
    }

    /// How many records there are.
    async fn total(&self, filter: Value) -> Value {
        self.records(filter).await["TotalNum"].clone()
    }
}

#[tokio::test]
async fn a_record_is_there_from_5_s_after_the_end_for_7_days() {
    let bench = bench().await;
    let call_id = bench.started(&["jack"]).await;
    // It ends after 23 s.
    for (pass, code) in [
        (0, 101_050),
        (27, 101_050),
        (1, 0),
        (7 * 86_400 - 6, 0),
        (1, 101_050),
    ] {
        bench.pass(pass);
        assert_eq!(bench.record(&call_id).await["ErrorCode"], code, "{pass}");
        let listed = bench.total(json!({})).await;
        assert_eq!(listed, i64::from(code == 0), "{pass}");
    }
    assert_eq!(bench.record("no uuid").await["ErrorCode"], 101_050);
    assert_eq!(bench.ask(BY_CALLID, &json!({})).await["ErrorCode"], 101_002);
}

#[tokio::test]
async fn a_record_says_who_when_where_and_how() {
    let bench = bench().await;
    let call_id = bench.started(&["jack"]).await;
    bench.pass(60);
    let record = json!({
        "CallId": call_id, "Caller_Account": "robot", "MediaType": "Video", "CallType": "SingleCall",
        "StartTime": BEGAN, "AcceptTime": BEGAN + 3, "EndTime": BEGAN + 23, "CallResult": "NormalEnd",
        "CalleeList_Account": ["jack", "robot"], "RoomId": "roomid-test", "RoomIdType": 2
    });
    assert_eq!(
        bench.record(&call_id).await["Response"]["CallRecord"],
        record
    );
    let mut listed = record;
    listed["RoomIdType"] = json!("2");
    assert_eq!(
        bench.records(json!({})).await,
        json!({"TotalNum": 1, "Page": 1, "CallRecordList": [listed]})
    );
}

#[tokio::test]
async fn every_outcome_has_its_result() {
    let bench = bench().await;
    for (callees, result, accepted) in [
        (&["jack"][..], "NormalEnd", true),
        (&["decline-x"], "Reject", false),
        (&["busy-x"], "CallBusy", false),
        (&["noanswer-x"], "NotAnswer", false),
        (&["interrupt-x"], "Interrupt", false),
        (&["offline-x"], "Offline", false),
        (&["badcode-5-x"], "Offline", false),
        (&["jack", "busy-x"], "NormalEnd", true),
        (&["noanswer-x", "noanswer-y"], "NotAnswer", false),
        (&["noanswer-x", "decline-y"], "Reject", false),
    ] {
        let call_id = bench.started(callees).await;
        bench.pass(306);
        let record = &bench.record(&call_id).await["Response"]["CallRecord"];
        assert_eq!(record["CallResult"], result, "{callees:?}");
        assert_eq!(record["AcceptTime"] != 0, accepted, "{callees:?}");
        assert_eq!(
            record["CallType"],
            if callees.len() == 1 {
                "SingleCall"
            } else {
                "MultiCall"
            }
        );
    }
    let cancelled = bench.started(&["jack"]).await;
    bench
        .ask(
            "/v4/call_engine_http_srv/end_call",
            &json!({ "CallId": cancelled }),
        )
        .await;
    bench.pass(5);
    assert_eq!(
        bench.record(&cancelled).await["Response"]["CallRecord"]["CallResult"],
        "Cancel"
    );
    assert_eq!(bench.sandbox.tally().of(PlannedOutcome::Cancelled), 1);
}

#[tokio::test]
async fn records_come_ten_to_a_page_with_the_latest_first() {
    let bench = bench().await;
    let mut started = Vec::new();
    for _ in 0..23 {
        started.push(bench.started(&["busy-x"]).await);
        bench.pass(2);
    }
    bench.pass(5);
    started.reverse();
    let mut read = Vec::new();
    for (page, count) in [(1, 10), (2, 10), (3, 3), (4, 0)] {
        // More than ten are given to nobody.
        let listed = bench
            .records(json!({ "Page": page, "NumberPerPage": 100 }))
            .await;
        assert_eq!(
            (&listed["TotalNum"], &listed["Page"]),
            (&json!(23), &json!(page))
        );
        let list = listed["CallRecordList"].as_array().unwrap();
        assert_eq!(list.len(), count);
        read.extend(
            list.iter()
                .map(|record| record["CallId"].as_str().unwrap().to_owned()),
        );
    }
    assert_eq!(read, started);
    let two = bench
        .records(json!({ "Page": 2, "NumberPerPage": 2 }))
        .await;
    assert_eq!(two["CallRecordList"][0]["CallId"], started[2]);
    // A record that comes between two pages moves the others.
    bench.started(&["busy-x"]).await;
    bench.pass(6);
    let second = bench.records(json!({ "Page": 2 })).await;
    assert_eq!(
        (&second["TotalNum"], &second["CallRecordList"][0]["CallId"]),
        (&json!(24), &json!(started[9]))
    );
}

#[tokio::test]
async fn records_are_listed_by_their_time_and_their_words() {
    for (span, of_start, of_end) in [
        (RecordSpan::OfEnd, 0, 1),
        (RecordSpan::OfStart, 1, 0),
        (RecordSpan::OfBoth, 0, 0),
    ] {
        let bench = bench_with(SandboxConfig {
            record_span: span,
            ..config()
        })
        .await;
        bench.started(&["jack"]).await;
        bench.pass(60);
        let between =
            |from: i64, to: i64| json!({ "StartTime": BEGAN + from, "EndTime": BEGAN + to });
        assert_eq!(bench.total(between(0, 22)).await, of_start, "{span:?}");
        assert_eq!(bench.total(between(1, 23)).await, of_end, "{span:?}");
        assert_eq!(bench.total(between(0, 23)).await, 1, "{span:?}");
        assert_eq!(bench.total(between(24, 0)).await, 0, "{span:?}");
        // Longer ago than records are kept is as long ago as they are.
        assert_eq!(bench.total(json!({ "StartTime": 0 })).await, 1, "{span:?}");
    }
    let bench = bench().await;
    bench.started(&["jack"]).await;
    bench.started(&["busy-x", "busy-y"]).await;
    bench.pass(60);
    for (filter, total) in [
        (json!({ "CallResult": "NormalEnd" }), 1),
        (json!({ "CallResult": "Reject" }), 0),
        (json!({ "CallType": "MultiCall" }), 1),
        (
            json!({ "CallType": "SingleCall", "CallResult": "CallBusy" }),
            0,
        ),
    ] {
        assert_eq!(bench.total(filter.clone()).await, total, "{filter}");
    }
}

#[tokio::test]
async fn a_filter_that_breaks_a_rule_is_refused() {
    let bench = bench().await;
    for field in [
        "StartTime",
        "EndTime",
        "NumberPerPage",
        "Page",
        "CallResult",
        "CallType",
    ] {
        for wrong in [json!({}), json!(1.5), json!([1])] {
            let answer = bench.ask(BY_FILTER, &json!({ field: wrong })).await;
            assert_eq!(answer["ErrorCode"], 101_002, "{field} {wrong}");
        }
    }
    for zero in ["NumberPerPage", "Page"] {
        assert_eq!(
            bench.ask(BY_FILTER, &json!({ zero: 0 })).await["ErrorCode"],
            101_002
        );
    }
}

#[tokio::test]
async fn one_apps_calls_are_nothing_to_another() {
    let other = callq::sandbox::SandboxApp {
        sdk_app_id: 7,
        ..Default::default()
    };
    let mut two = config();
    two.apps.push(other);
    let bench = bench_with(two).await;
    let call_id = bench.started(&["jack"]).await;
    bench.pass(60);
    let sig = super::signed("administrator", 7, super::KEY);
    let ask = |path: &'static str| {
        let target = super::target_with(&[("sdkappid", Some("7")), ("usersig", Some(&sig))])
            .replace(super::PATH, path);
        let body = json!({ "CallId": call_id }).to_string();
        let bench = &bench;
        async move { bench.send(&target, body).await }
    };
    assert_eq!(ask(BY_CALLID).await["ErrorCode"], 101_050);
    assert_eq!(ask(BY_FILTER).await["Response"]["TotalNum"], 0);
    assert_eq!(bench.record(&call_id).await["ErrorCode"], 0);
}
