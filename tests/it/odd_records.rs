//! A service of call records that is not what the pages say: nothing that it leaves out, or says
//! of time, proves that a phone did not ring.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::rig::{Rig, Running};

/// Stands in for Tencent: it rings for whatever it is asked to, and answers with a page of HTML.
struct Odd {
    started: (DateTime<Utc>, Instant),
    /// So many of its seconds are one of ours.
    speed: i64,
    /// By how much the `Date` of its answers is off.
    date_off_s: i64,
    /// What it says instead of a page of records.
    says: Option<Value>,
    /// The records of its calls.
    records: Mutex<Vec<Value>>,
}

impl Odd {
    async fn start(speed: i64, date_off_s: i64, says: Option<Value>) -> (String, Arc<Self>) {
        let odd = Arc::new(Self {
            started: (Utc::now(), Instant::now()),
            speed,
            date_off_s,
            says,
            records: Mutex::default(),
        });
        let calls = "/v4/call_engine_http_srv/start_call_by_robot";
        let records = "/v4/call_record_http_srv/get_record_by_filter";
        let router = Router::new()
            .route(calls, post(ring))
            .route(records, post(list))
            .with_state(Arc::clone(&odd));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (url, odd)
    }

    fn now(&self) -> i64 {
        let (at, then) = self.started;
        at.timestamp() + i64::try_from(then.elapsed().as_millis()).unwrap() * self.speed / 1000
    }

    fn answer(&self, status: StatusCode, body: &impl ToString) -> Response {
        let date = DateTime::from_timestamp(self.now() + self.date_off_s, 0).unwrap();
        let date = date.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        (status, [(header::DATE, date)], body.to_string()).into_response()
    }

    /// How many requests for a call it was sent.
    fn rang(&self) -> usize {
        let records = self.records.lock();
        records.unwrap_or_else(PoisonError::into_inner).len()
    }
}

async fn ring(State(odd): State<Arc<Odd>>, Json(body): Json<Value>) -> Response {
    let now = odd.now();
    let mut records = odd.records.lock().unwrap();
    let call_id = format!("c-{}", records.len());
    records.push(json!({"CallId": call_id, "Caller_Account": body["Robot_Account"],
        "MediaType": "Audio", "CallType": "SingleCall", "StartTime": now, "EndTime": now + 20, "AcceptTime": 0,
        "CallResult": "NotAnswer", "CalleeList_Account": body["CalleeList_Account"],
        "RoomId": body["CallInfo"]["RoomId"], "RoomIdType": 2}));
    odd.answer(StatusCode::BAD_GATEWAY, &"<html>")
}

async fn list(State(odd): State<Arc<Odd>>, Json(body): Json<Value>) -> Response {
    if let Some(says) = &odd.says {
        return odd.answer(StatusCode::OK, says);
    }
    let (from, to) = (body["StartTime"].as_i64(), body["EndTime"].as_i64());
    let mut records = odd.records.lock().unwrap().clone();
    records.retain(|record| {
        let began = record["StartTime"].as_i64();
        began >= from && began <= to && record["EndTime"].as_i64().unwrap() + 5 <= odd.now()
    });
    let response = json!({"TotalNum": records.len(), "Page": 1, "CallRecordList": records});
    let envelope = json!({"ActionStatus": "OK", "ErrorCode": 0, "ErrorInfo": "", "RequestId": "r",
        "Response": response});
    odd.answer(StatusCode::OK, &envelope)
}

/// A job in doubt with such a service, from when its clock is known.
async fn in_doubt(rig: &Rig, url: &str) -> (Running, i64) {
    let worker = rig.worker_with(rig.config_for(url)).await;
    rig.until_value("SELECT count(*) FROM callq.clock_marks", |marks: &i64| {
        *marks > 0
    })
    .await;
    let id = rig.insert("jack", &[("ring_timeout_ms", "10000")]).await;
    rig.until(id, |job| job.attempt == 1 && job.state != "dialing")
        .await;
    (worker, id)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_the_records_that_it_has_proves_nothing_and_is_not_asked_for_at_once() {
    let doubted = async |says: Value| {
        let rig = Rig::new().await;
        let (url, odd) = Odd::start(1000, 0, Some(says.clone())).await;
        let (worker, id) = in_doubt(&rig, &url).await;
        rig.until_value(
            "SELECT coalesce(max(look_at) > now() + interval '20 seconds', true) FROM callq.calls",
            |put_off: &bool| *put_off,
        )
        .await;
        assert_eq!(rig.job(id).await.state, "in_doubt", "{says}");
        worker.stop().await.unwrap();
        assert_eq!(odd.rang(), 1, "{says}");
    };
    for says in [
        json!({"ActionStatus": "OK", "ErrorCode": 0, "ErrorInfo": ""}),
        json!({"ErrorCode": 0, "Response": {}}),
        json!({"ErrorCode": 0, "Response": {"TotalNum": 1, "Page": 1, "CallRecordList": []}}),
        json!({"ErrorCode": 0, "Response": {"TotalNum": 1, "Page": 1, "CallRecordList": [{"RoomId": "r"}]}}),
    ] {
        doubted(says).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_found_whatever_the_date_of_answers_says() {
    let found = async |date_off_s| {
        let rig = Rig::new().await;
        // Slowly enough that the call begins before our clock says that it must be over.
        let (url, odd) = Odd::start(100, date_off_s, None).await;
        let (worker, id) = in_doubt(&rig, &url).await;
        let known =
            format!("SELECT state = 'completed' OR attempt > 1 FROM callq.jobs WHERE id = {id}");
        rig.until_value(&known, |known: &bool| *known).await;
        worker.stop().await.unwrap();
        assert_eq!(odd.rang(), 1, "{date_off_s}");
    };
    tokio::join!(found(-8 * 3600), found(8 * 3600));
}
