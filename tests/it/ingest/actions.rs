//! What the three actions do, and how the sandbox keeps account of it.

use callq::call::{Class, Room, RoomIdType};
use callq::tencent::{IngestFault, IngestRoomTypes, StartIngest, Stopped, TaskStatus};
use serde_json::Value;

use super::{Bench, NOW, ROBOT, URL, start, start_of, text_room, user_sigs};

#[tokio::test]
async fn a_stream_plays_from_the_answer_until_it_is_stopped() {
    let bench = Bench::new().await;
    let room = bench.answered("callq_1_1").await;
    bench.pass(2);
    let task = bench.start(&room).await.unwrap();
    assert_eq!(
        bench.streams.describe(&task, NOW).await,
        Ok(TaskStatus::InProgress)
    );
    bench.pass(5);
    assert_eq!(bench.streams.stop(&task, NOW).await, Ok(Stopped::Now));
    assert_eq!(
        bench.streams.describe(&task, NOW).await,
        Ok(TaskStatus::NotExist)
    );
    assert_eq!(bench.streams.stop(&task, NOW).await, Ok(Stopped::Already));
    let tasks = bench.sandbox.ingest_tasks();
    assert_eq!(tasks.len(), 1);
    assert_eq!(
        (
            tasks[0].task_id.as_str(),
            tasks[0].room_id.as_str(),
            tasks[0].user_id.as_str()
        ),
        (task.as_str(), "callq_1_1", ROBOT)
    );
    assert_eq!(
        (
            tasks[0].stream_url.as_str(),
            tasks[0].repeat,
            tasks[0].volume
        ),
        (URL, 1, 100)
    );
    assert_eq!(tasks[0].started_at_ms - tasks[0].answered_at_ms, 2_000);
    assert_eq!(tasks[0].stopped_at_ms, Some(tasks[0].started_at_ms + 5_000));
    let tally = bench.tally();
    assert_eq!(
        (
            tally.started,
            tally.stopped,
            tally.playing,
            tally.latest_start_ms
        ),
        (1, 1, 0, 2_000)
    );
}

#[tokio::test]
async fn nothing_plays_before_the_answer_after_the_end_or_in_a_room_that_is_not() {
    let bench = Bench::new().await;
    let room = text_room("callq_1_1");
    let refused = |error: callq::tencent::IngestError| {
        assert_eq!(
            (error.fault, error.class),
            (IngestFault::RoomNotExist, Class::Cannot),
            "{error}"
        );
        assert!(
            error.to_string().contains("ingest_room_id_type") && error.request_id.is_some(),
            "{error}"
        );
    };
    refused(bench.start(&room).await.unwrap_err());
    bench.ring("talk-10-jack", &room).await;
    refused(bench.start(&room).await.unwrap_err());
    bench.pass(13);
    refused(bench.start(&room).await.unwrap_err());
    let tally = bench.tally();
    assert_eq!(
        (
            tally.without_room,
            tally.before_answer,
            tally.after_end,
            tally.started
        ),
        (1, 1, 1, 0)
    );
}

#[tokio::test]
async fn a_call_that_nobody_answers_has_no_room_to_play_into() {
    let bench = Bench::new().await;
    for (at, callee) in ["busy-a", "noanswer-b", "decline-c", "offline-d"]
        .into_iter()
        .enumerate()
    {
        let room = text_room(&format!("callq_{at}_1"));
        bench.ring(callee, &room).await;
        bench.pass(60);
        assert_eq!(
            bench.start(&room).await.unwrap_err().fault,
            IngestFault::RoomNotExist,
            "{callee}"
        );
    }
    assert_eq!(bench.tally().after_end, 4);
}

#[tokio::test]
async fn a_room_of_digits_and_one_of_a_text_are_told_by_the_numbers_of_the_reference() {
    let bench = Bench::new().await;
    let digits = Room::new("42", RoomIdType::Digits).unwrap();
    bench.ring("talk-60-ann", &digits).await;
    let text = bench.answered("callq_1_1").await;
    let other = bench.client(|settings| settings.room_types = IngestRoomTypes::SourcePage);
    for room in [&digits, &text] {
        let error = start(&other, room).await.unwrap_err();
        assert!(
            error
                .code
                .as_deref()
                .is_some_and(|code| code.ends_with("RoomNotExist") || code.ends_with(".RoomId")),
            "{error}"
        );
        bench.start(room).await.unwrap();
    }
    // The same name is another room with the other type.
    let twin = Room::new("42", RoomIdType::Text).unwrap();
    assert_eq!(
        bench.start(&twin).await.unwrap_err().fault,
        IngestFault::RoomNotExist
    );
}

#[tokio::test]
async fn a_robot_plays_once_in_a_room_and_again_when_that_was_stopped() {
    let bench = Bench::new().await;
    let room = bench.answered("callq_1_1").await;
    let first = bench.start(&room).await.unwrap();
    let error = bench.start(&room).await.unwrap_err();
    assert_eq!(
        (error.fault, error.class),
        (IngestFault::TaskExist, Class::InDoubt),
        "{error}"
    );
    assert_eq!(bench.streams.stop(&first, NOW).await, Ok(Stopped::Now));
    let second = bench.start(&room).await.unwrap();
    assert_ne!(first, second);
    assert_eq!((bench.tally().started, bench.tally().doubled), (2, 1));
}

#[tokio::test]
async fn a_stream_whose_call_is_over_is_left_running_until_it_is_stopped() {
    let bench = Bench::new().await;
    let room = text_room("callq_1_1");
    let call_id = bench.ring("talk-60-jack", &room).await;
    bench.pass(3);
    let task = bench.start(&room).await.unwrap();
    assert_eq!(bench.tally().left_running, 0);
    bench.calls.end_call(&call_id, 1, NOW).await;
    let tally = bench.tally();
    assert_eq!((tally.playing, tally.left_running), (1, 1));
    assert!(bench.sandbox.ingest_tasks()[0].is_left_running());
    assert_eq!(
        bench.streams.describe(&task, NOW).await,
        Ok(TaskStatus::InProgress)
    );
    bench.pass(100);
    assert_eq!(bench.streams.stop(&task, NOW).await, Ok(Stopped::Now));
    assert_eq!((bench.tally().left_running, bench.tally().stopped), (0, 1));
}

#[tokio::test]
async fn a_stream_ends_by_itself_where_its_length_or_its_bound_says() {
    let bench = Bench::new().await;
    let room = bench.answered("callq_1_1").await;
    let task = start_of(
        &bench.streams,
        &room,
        "https://media.example/x.mp4?seconds=5",
    )
    .await
    .unwrap();
    bench.pass(4);
    assert_eq!(bench.tally().playing, 1);
    bench.pass(1);
    assert_eq!((bench.tally().playing, bench.tally().ended), (0, 1));
    assert_eq!(
        bench.streams.describe(&task, NOW).await,
        Ok(TaskStatus::NotExist)
    );
    assert_eq!(bench.streams.stop(&task, NOW).await, Ok(Stopped::Already));
    let user_sig = user_sigs().of_account(ROBOT, NOW).unwrap();
    let looped = StartIngest {
        room: &room,
        robot_account: ROBOT,
        user_sig: &user_sig,
        stream_url: URL,
        repeat: Some(-1),
        max_minutes: Some(1),
        volume: Some(40),
    };
    bench.streams.start(&looped, NOW).await.unwrap();
    let tasks = bench.sandbox.ingest_tasks();
    assert_eq!(
        (tasks[1].repeat, tasks[1].max_minutes, tasks[1].volume),
        (-1, Some(1), 40)
    );
    bench.pass(60);
    assert_eq!(bench.tally().ended, 2);
}

#[tokio::test]
async fn a_stream_that_never_was_counts_as_stopped() {
    let bench = Bench::new().await;
    assert_eq!(bench.streams.stop("none", NOW).await, Ok(Stopped::Already));
    assert_eq!(
        bench.streams.describe("none", NOW).await,
        Ok(TaskStatus::NotExist)
    );
}

#[tokio::test]
async fn the_control_endpoint_tells_of_every_stream_and_shows_no_url() {
    let bench = Bench::new().await;
    let room = bench.answered("callq_1_1").await;
    let task = bench.start(&room).await.unwrap();
    let get = async |path: &str| {
        reqwest::get(format!("{}/sandbox/{path}", bench.sandbox.url()))
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
    };
    let tally: Value = serde_json::from_str(&get("ingest").await).unwrap();
    assert_eq!(
        (&tally["started"], &tally["left_running"]),
        (&1.into(), &0.into())
    );
    let tasks = get("tasks").await;
    assert!(!tasks.contains("s3cret-token"), "{tasks}");
    let tasks: Value = serde_json::from_str(&tasks).unwrap();
    assert_eq!(tasks["tasks"][0]["task_id"], task.as_str());
    let queries = get("queries").await;
    assert!(
        queries.contains("StartStreamIngest") && !queries.contains("s3cret-token"),
        "{queries}"
    );
    assert_eq!(
        bench.sandbox.ledger().requests().len(),
        1,
        "a stream is no call"
    );
}
