//! The commands that ring nobody: what leaves, and what is read.

use callq::call::Answer;
use callq::tencent::{CheckedAccount, NO_CALL_ID, Standing};
use serde_json::{Value, json};

use super::peer::{NOW, Peer, assert_unknown, assert_unreachable, client_of};
use crate::support::port::Port;

/// Path and body of the only request.
fn asked(peer: &Peer) -> (String, Value) {
    let requests = peer.requests();
    let (head, body) = requests[0].split_once("\r\n\r\n").unwrap();
    let path = head.split(' ').nth(1).unwrap().split('?').next().unwrap();
    (path.to_owned(), serde_json::from_str(body).unwrap())
}

#[tokio::test]
async fn a_call_is_asked_for_by_its_id() {
    let no_call =
        r#"{"ActionStatus":"FAIL","ErrorInfo":"no such call","ErrorCode":101004,"RequestId":"r"}"#;
    let peer = Peer::that_answers("200 OK", no_call).await;
    let told = client_of(peer.address)
        .get_call_info(NO_CALL_ID, 7, NOW)
        .await;
    let Answer::Reply(reply) = told.answer else {
        panic!("no reply: {told:?}")
    };
    assert_eq!((reply.error_code, reply.says_fail), (101_004, true));
    let path = "/v4/call_engine_http_srv/get_call_info".to_owned();
    assert_eq!(asked(&peer), (path, json!({ "CallId": NO_CALL_ID })));
}

#[tokio::test]
async fn accounts_are_asked_for_together_and_told_apart() {
    let body = r#"{"ActionStatus":"OK","ErrorCode":0,"ErrorInfo":"","ResultItem":[
        {"UserID":"ann","ResultCode":0,"ResultInfo":"","AccountStatus":"Imported"},
        {"UserID":"bob","ResultCode":0,"ResultInfo":"","AccountStatus":"NotImported"}]}"#;
    let peer = Peer::that_answers("200 OK", body).await;
    let names = ["ann".to_owned(), "bob".to_owned()];
    let checked = client_of(peer.address).account_check(&names, 7, NOW).await;
    let account = |user_id: &str, standing| CheckedAccount {
        user_id: user_id.to_owned(),
        standing,
    };
    assert_eq!(
        checked.accounts,
        [
            account("ann", Standing::Imported),
            account("bob", Standing::NotImported)
        ]
    );
    let path = "/v4/im_open_login_svc/account_check".to_owned();
    let items = json!({ "CheckItem": [{ "UserID": "ann" }, { "UserID": "bob" }] });
    assert_eq!(asked(&peer), (path, items));
}

#[tokio::test]
async fn a_question_that_is_refused_or_unanswered_tells_of_no_account() {
    let refused = r#"{"ActionStatus":"FAIL","ErrorInfo":"x","ErrorCode":70009,"ResultItem":[{"UserID":"ann","AccountStatus":"Imported"}]}"#;
    for body in [refused, "<html>"] {
        let peer = Peer::that_answers("200 OK", body).await;
        let checked = client_of(peer.address)
            .account_check(&["ann".to_owned()], 7, NOW)
            .await;
        assert_eq!(checked.accounts, [], "{body}");
    }
    let peer = Peer::that_answers("502 Bad Gateway", "<html>").await;
    let told = client_of(peer.address)
        .get_call_info(NO_CALL_ID, 7, NOW)
        .await;
    assert_unknown(&told.answer, Some(502), "HTTP 502");
    let port = Port::new();
    let told = client_of(port.address())
        .get_call_info(NO_CALL_ID, 7, NOW)
        .await;
    assert_unreachable(&told.answer);
}
