//! What goes wrong: every code, and answers that are lost before and after a stream began to play.

use std::time::Duration;

use callq::call::Class;
use callq::sandbox::{Fault, FaultKind, IngestCode};
use callq::tencent::{Host, IngestClient, Stopped, TaskStatus, ingest_code};

use super::{Bench, NOW, settings, start, text_room};
use crate::support::port::Port;

const START: &str = "StartStreamIngest";

#[tokio::test]
async fn every_code_of_the_list_has_its_class_over_the_wire() {
    let bench = Bench::new().await;
    let room = text_room("callq_1_1");
    for code in IngestCode::all() {
        bench.sandbox.clear_faults();
        for command in [START, "StopStreamIngest", "DescribeStreamIngest"] {
            let fault = Fault::new(FaultKind::IngestError(code)).for_command(command);
            bench.sandbox.script(fault).unwrap();
        }
        let is_over = matches!(
            code.as_str(),
            "FailedOperation.TaskNotExist" | "FailedOperation.TaskFinished"
        );
        let started = bench.start(&room).await.unwrap_err();
        assert_eq!(started.code.as_deref(), Some(code.as_str()));
        assert_eq!(started.class, ingest_code(code.as_str()).class, "{started}");
        let (stopped, described) = (
            bench.streams.stop("t", NOW).await,
            bench.streams.describe("t", NOW).await,
        );
        if is_over {
            assert_eq!(
                (stopped, described),
                (Ok(Stopped::Already), Ok(TaskStatus::NotExist))
            );
        } else {
            assert_eq!(stopped.unwrap_err().code.as_deref(), Some(code.as_str()));
            assert_eq!(
                described.unwrap_err().class,
                ingest_code(code.as_str()).class
            );
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_leaves_a_start_in_doubt_whether_it_plays_or_not() {
    for (kind, words) in [
        (FaultKind::CloseAfterReading, ""),
        (FaultKind::CloseBeforeReading, ""),
        (FaultKind::Garbage, "no reply of Tencent's"),
        (FaultKind::TruncatedBody, "its body was lost"),
        (FaultKind::HttpStatus(502), "HTTP 502"),
        (FaultKind::Redirect, "HTTP 307"),
        (
            FaultKind::IngestError(IngestCode::new("InternalError").unwrap()),
            "",
        ),
    ] {
        for plays in [true, false] {
            let bench = Bench::new().await;
            let room = bench.answered("callq_1_1").await;
            let fault = Fault::new(kind).times(1);
            let fault = match (kind, plays) {
                (FaultKind::CloseBeforeReading, true) => continue,
                (FaultKind::CloseBeforeReading, false) => fault,
                (_, true) => fault.for_command(START).that_rings(),
                (_, false) => fault.for_command(START).that_rings_nobody(),
            };
            bench.sandbox.script(fault).unwrap();
            let error = bench.start(&room).await.unwrap_err();
            assert_eq!(error.class, Class::InDoubt, "{kind:?} {error}");
            assert!(
                error.to_string().contains(words) && !error.is_unreachable,
                "{kind:?} {error}"
            );
            assert_eq!(bench.tally().playing, u64::from(plays), "{kind:?}");
            // Asked again, the room says what became of it.
            let again = bench.start(&room).await;
            assert_eq!(again.is_err(), plays, "{kind:?}");
        }
    }
}

#[tokio::test]
async fn a_stalled_answer_is_given_up_after_the_timeout_and_a_late_one_is_taken() {
    let bench = Bench::new().await;
    let room = bench.answered("callq_1_1").await;
    let hasty = bench.client(|settings| settings.request_timeout = Duration::from_secs(3));
    let stall = Fault::new(FaultKind::Stall).for_command(START).times(1);
    bench.sandbox.script(stall).unwrap();
    let error = start(&hasty, &room).await.unwrap_err();
    assert_eq!(error.class, Class::InDoubt, "{error}");
    assert_eq!(bench.tally().playing, 1);
    let late = Fault::new(FaultKind::Delay)
        .for_command("DescribeStreamIngest")
        .delayed_ms(50)
        .times(1);
    bench.sandbox.script(late).unwrap();
    let task = bench.sandbox.ingest_tasks()[0].task_id.clone();
    assert_eq!(
        bench.streams.describe(&task, NOW).await,
        Ok(TaskStatus::InProgress)
    );
}

#[tokio::test]
async fn a_lost_reply_to_a_stop_is_settled_by_stopping_again() {
    let bench = Bench::new().await;
    let room = bench.answered("callq_1_1").await;
    let task = bench.start(&room).await.unwrap();
    let lost = Fault::new(FaultKind::CloseAfterReading)
        .for_command("StopStreamIngest")
        .times(1);
    bench.sandbox.script(lost).unwrap();
    assert_eq!(
        bench.streams.stop(&task, NOW).await.unwrap_err().class,
        Class::InDoubt
    );
    assert_eq!(bench.streams.stop(&task, NOW).await, Ok(Stopped::Already));
    assert_eq!(bench.tally().stopped, 1);
}

#[tokio::test]
async fn too_many_requests_are_refused_with_a_code_that_slows_down() {
    let bench = Bench::new().await;
    let fault = Fault::new(FaultKind::ThrottleAbove(0)).for_command("DescribeStreamIngest");
    bench.sandbox.script(fault).unwrap();
    let error = bench.streams.describe("none", NOW).await.unwrap_err();
    assert_eq!(
        (error.class, error.code.as_deref()),
        (Class::Throttled, Some("RequestLimitExceeded"))
    );
}

#[tokio::test]
async fn a_host_that_nobody_is_at_is_proved_safe() {
    let unused = Port::new();
    let client = IngestClient::new(callq::tencent::IngestSettings {
        host: Host::of_ingest(&format!("http://{}", unused.address())).unwrap(),
        ..settings("http://127.0.0.1:9")
    });
    let error = start(&client.unwrap(), &text_room("r")).await.unwrap_err();
    assert_eq!(
        (error.class, error.is_unreachable, error.code),
        (Class::Safe, true, None)
    );
}

#[tokio::test]
async fn a_fault_of_calls_leaves_streams_alone_and_the_other_way_round() {
    let bench = Bench::new().await;
    let room = bench.answered("callq_1_1").await;
    bench
        .sandbox
        .script(Fault::new(FaultKind::Garbage))
        .unwrap();
    bench.start(&room).await.unwrap();
    let code = IngestCode::new("InternalError").unwrap();
    for wrong in [
        Fault::new(FaultKind::IngestError(code)),
        Fault::new(FaultKind::IngestError(code)).for_command("end_call"),
        Fault::new(FaultKind::ErrorCode(60_008)).for_command(START),
    ] {
        assert!(bench.sandbox.script(wrong.clone()).is_err(), "{wrong:?}");
    }
}

#[tokio::test]
async fn a_fault_is_scripted_over_http_by_the_code_itself() {
    let bench = Bench::new().await;
    let post = async |body: &'static str| {
        let request =
            reqwest::Client::new().post(format!("{}/sandbox/faults", bench.sandbox.url()));
        let sent = request
            .header("Content-Type", "application/json")
            .body(body)
            .send();
        sent.await.unwrap().status().as_u16()
    };
    let made = r#"{"fault": {"ingest_error": "FailedOperation.NotAbility"}, "match": {"command": "StartStreamIngest"}}"#;
    assert_eq!(post(made).await, 201);
    let unknown =
        r#"{"fault": {"ingest_error": "Nonsense"}, "match": {"command": "StartStreamIngest"}}"#;
    assert_eq!(post(unknown).await, 422);
    let error = bench.start(&text_room("r")).await.unwrap_err();
    assert_eq!(
        (error.code.as_deref(), error.class),
        (Some("FailedOperation.NotAbility"), Class::App)
    );
}
