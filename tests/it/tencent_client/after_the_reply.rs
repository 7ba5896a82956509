//! The commands about calls that were started: what leaves, what is read, and how it is judged.

use callq::call::{Answer, CallbackCommand, Ended, LiveUser, Presence};
use callq::tencent::{Command, Judgement, RecordWindow, TencentClient, judge};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::peer::{NOW, Peer, Then, client_of};

const WINDOW: RecordWindow = RecordWindow {
    from_unix: NOW - 60,
    to_unix: NOW,
    page: 2,
};

/// Path and body of each request.
fn asked(peer: &Peer) -> Vec<(String, Value)> {
    let requests = peer.requests();
    let read = |request: &String| {
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        let path = head.split(' ').nth(1).unwrap().split('?').next().unwrap();
        (path.to_owned(), serde_json::from_str(body).unwrap())
    };
    requests.iter().map(read).collect()
}

/// Sends every one of these commands; what came of each.
async fn every_command(client: &TencentClient) -> Vec<(Command, Answer)> {
    let call_id = "c-1";
    vec![
        (
            Command::GetCallInfo,
            client.get_call_info(call_id, 7, NOW).await.answer,
        ),
        (Command::EndCall, client.end_call(call_id, 7, NOW).await),
        (
            Command::GetRecordByCallId,
            client.get_record_by_callid(call_id, 7, NOW).await.answer,
        ),
        (
            Command::GetRecordByFilter,
            client.get_record_by_filter(WINDOW, 7, NOW).await.answer,
        ),
        (
            Command::GetCallback,
            client.get_callback(7, NOW).await.answer,
        ),
        (
            Command::SetCallback,
            client
                .set_callback("https://example.com/x", &CallbackCommand::ALL, 7, NOW)
                .await,
        ),
        (
            Command::DeleteCallback,
            client.delete_callback(7, NOW).await,
        ),
    ]
}

#[tokio::test]
async fn each_command_has_its_path_and_the_documented_fields() {
    let peer = Peer::that_answers(
        "200 OK",
        r#"{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0}"#,
    )
    .await;
    for (command, answer) in every_command(&client_of(peer.address)).await {
        assert_eq!(
            judge(command, &answer),
            Judgement::Done,
            "{command:?}: {answer:?}"
        );
    }
    let of_call = json!({ "CallId": "c-1" });
    let all = [
        "Call.CallbackAfterStartCall",
        "Call.CallbackAfterMemberChanged",
        "Call.CallbackAfterEndCall",
    ];
    let bodies = [
        of_call.clone(),
        of_call.clone(),
        of_call,
        json!({ "StartTime": NOW - 60, "EndTime": NOW, "NumberPerPage": 10, "Page": 2 }),
        json!({}),
        json!({ "Url": "https://example.com/x", "CallbackCommandList": all }),
        json!({}),
    ];
    let paths = Command::ALL.map(|command| command.path().to_owned());
    assert_eq!(
        asked(&peer),
        paths.into_iter().zip(bodies).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_record_is_read_in_whatever_spelling_with_tencents_clock() {
    let body = json!({"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0, "Response": {"CallRecord": {
        "CallId": "c-1", "Caller_Account": 7, "CallResult": "normal_end", "StartTime": "100", "AcceptTime": 103,
        "EndTime": 120, "CalleeList_Account": ["jack", 7], "RoomId": 42, "RoomIdType": "1", "Later": {}}}});
    let body = body.to_string();
    let head = "HTTP/1.1 200 OK\r\nDate: Tue, 14 Nov 2023 22:13:20 GMT\r\n";
    let answer = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    let peer = Peer::that(Then::Write(answer.into_bytes())).await;
    let found = client_of(peer.address)
        .get_record_by_callid("c-1", 7, NOW)
        .await;
    assert_eq!(found.date_unix, Some(1_700_000_000));
    let record = found.record.unwrap();
    assert_eq!(
        (record.call_id.as_str(), record.ended),
        ("c-1", Ended::NormalEnd)
    );
    assert_eq!(
        (record.started_at_s, record.accepted_at_s, record.ended_at_s),
        (Some(100), Some(103), Some(120))
    );
    assert_eq!(
        (record.callees, record.room_id.as_deref()),
        (vec!["jack".to_owned()], Some("42"))
    );
    // The same body in answer to another question holds nothing that was asked for.
    let page = client_of(peer.address)
        .get_record_by_filter(WINDOW, 7, NOW)
        .await;
    assert_eq!(
        (page.total, page.records.len(), page.date_unix),
        (None, 0, Some(1_700_000_000))
    );
}

#[tokio::test]
async fn a_page_of_records_tells_its_total_and_what_it_cannot_read() {
    let body = json!({"ErrorCode": 0, "Response": {"TotalNum": 12, "Page": 2, "CallRecordList": [
        {"CallId": "c-1", "CallResult": "Reject"}, {"CallResult": "Reject"}]}});
    let peer = Peer::that_answers("200 OK", &body.to_string()).await;
    let page = client_of(peer.address)
        .get_record_by_filter(WINDOW, 7, NOW)
        .await;
    assert_eq!(
        (page.total, page.page, page.unreadable),
        (Some(12), Some(2), 1)
    );
    assert_eq!(page.records[0].call_id, "c-1");
    assert_eq!(
        page.date_unix, None,
        "an answer without a date has no clock"
    );
}

#[tokio::test]
async fn a_live_call_is_told_with_who_rings_and_who_talks() {
    let body = json!({"ErrorCode": 0, "Response": {
        "CallInfo": {"CallId": "c-1", "MediaType": "Audio", "ChatGroupId": "", "RoomId": "r", "RoomIdType": 2},
        "UserList": [{"User_Account": "jack", "Status": "Waiting"}, {"User_Account": 9, "Status": "Calling"}]}});
    let peer = Peer::that_answers("200 OK", &body.to_string()).await;
    let call = client_of(peer.address)
        .get_call_info("c-1", 7, NOW)
        .await
        .call
        .unwrap();
    let user = |account: &str, presence| LiveUser {
        account: account.to_owned(),
        presence,
    };
    assert_eq!(
        call.users,
        [
            user("jack", Presence::Waiting),
            user("9", Presence::Calling)
        ]
    );
    assert_eq!(call.room_id.as_deref(), Some("r"));
}

#[tokio::test]
async fn a_refusal_carries_nothing_though_its_body_may() {
    let body = json!({"ErrorCode": 101_001, "ActionStatus": "FAIL", "Response": {"Url": "https://x", "TotalNum": 3,
        "CallRecord": {"CallId": "c-1"}, "CallRecordList": [{"CallId": "c-1"}], "CallInfo": {"CallId": "c-1"}}});
    let peer = Peer::that_answers("200 OK", &body.to_string()).await;
    let client = client_of(peer.address);
    assert_eq!(
        client.get_record_by_callid("c-1", 7, NOW).await.record,
        None
    );
    let page = client.get_record_by_filter(WINDOW, 7, NOW).await;
    assert_eq!((page.total, page.records.len()), (None, 0));
    assert_eq!(client.get_call_info("c-1", 7, NOW).await.call, None);
    assert_eq!(client.get_callback(7, NOW).await.config, None);
}

#[tokio::test]
async fn an_answer_that_never_ends_is_cut_off_and_may_be_asked_for_again() {
    let peer = Peer::that(Then::Flood).await;
    for (command, answer) in every_command(&client_of(peer.address)).await {
        let Answer::Unknown { detail, .. } = &answer else {
            panic!("{command:?}: {answer:?}")
        };
        assert!(detail.contains("more than"), "{detail}");
        assert_eq!(judge(command, &answer), Judgement::TryAgain);
    }
}

#[tokio::test]
async fn whatever_comes_back_no_answer_repeats_the_signature_or_the_url() {
    let probe = client_of(([127, 0, 0, 1], 9).into());
    let sig = probe.user_sigs().current(NOW).expose_secret().to_owned();
    let echo = format!(
        r#"{{"ErrorCode":101002,"ErrorInfo":"https://x/?usersig={sig}","RequestId":"{sig}"}}"#
    );
    for (status, body) in [("200 OK", echo.as_str()), ("502 Bad Gateway", &sig)] {
        let peer = Peer::that_answers(status, body).await;
        let client = client_of(peer.address);
        let own = client.user_sigs().current(NOW);
        assert_eq!(own.expose_secret(), sig, "it is what is repeated");
        for (command, answer) in every_command(&client).await {
            let said = format!("{answer:?}");
            assert!(!said.contains(&sig), "{command:?}: {said}");
            if status == "200 OK" {
                assert!(!said.contains("usersig="), "{command:?}: {said}");
            }
        }
    }
}
