//! What is stored of a callback, whatever stands in it.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use sqlx::postgres::PgListener;

use super::{QUERY, SECRET, Web, count, end_of, rows};
use crate::readme::pages::{Page, table};
use crate::support::{Database, look_again};

const ACKNOWLEDGEMENT: &str = r#"{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0}"#;

const START: &str = "Call.CallbackAfterStartCall";
const MEMBER: &str = "Call.CallbackAfterMemberChanged";
const END: &str = "Call.CallbackAfterEndCall";

/// The command of the URL, a body, and of its row: command, call, room, time, fault.
type Case = (&'static str, Vec<u8>, [Value; 5]);

/// A letter of four bytes.
const LETTER: &str = "\u{10348}";

/// What is understood, in Tencent's spellings and in ours.
fn understood() -> Vec<Case> {
    let row = |command: &str, call: &str, room: Value, time: Value| {
        [json!(command), json!(call), room, time, json!(null)]
    };
    let member = |call: &str| row(MEMBER, call, json!(null), json!(null));
    // Numbers for ids, and a string for a number.
    let started = json!({"CallInfo": {"CallId": 17, "CallMediaType": "Video", "RoomId": 90_071_992_547_409_931_i64, "RoomIdType": 1},
        "UserList": [{"User_Account": 144_115_212_830_834_855_i64, "Status": "Waiting"}], "EventTime": "1700000000001"});
    let of_start = row(
        START,
        "17",
        json!("90071992547409931"),
        json!(1_700_000_000_001_i64),
    );
    let of_end = row(END, "c-1", json!("room-1"), json!(1_700_000_030_123_i64));
    // A time beyond all times is none.
    let changed = json!({"callback_command": "call.callbackaftermemberchanged", "call_id": "c-2",
        "ChangedUserList": [{"User_Account": "jack", "ActionType": "Hang Up"}], "EventTime": i64::MAX});
    // Neither a NUL nor the longest words that are read may keep others from being stored.
    let nul = json!({ "ChangedUserList": [], "CallId": "a\0b" });
    let long = json!({ "ChangedUserList": [], "CallId": LETTER.repeat(10_000) });
    let read_of_long = format!("{}…", LETTER.repeat(499));
    vec![
        (END, end_of("c-1"), of_end),
        (START, text(&started), of_start.clone()),
        // Its fields alone tell which it is.
        ("", text(&started), of_start),
        ("", text(&changed), member("c-2")),
        ("", text(&nul), member("a\\u{0}b")),
        ("", text(&long), member(&read_of_long)),
    ]
}

/// What is not, with the reason.
fn not_understood() -> Vec<Case> {
    let other = "Group.CallbackAfterSendMsg";
    let long = json!({ "CallbackCommand": LETTER.repeat(10_000) });
    let is_other = |name: &str| format!("the command {name} is not one of a call's");
    let no_json = "the body is not a JSON object".to_owned();
    let cases: Vec<(&'static str, Vec<u8>, String)> = vec![
        ("", b"\0\xff\xfe not JSON".to_vec(), no_json.clone()),
        ("", b"".to_vec(), no_json.clone()),
        ("", b"[]".to_vec(), no_json.clone()),
        ("", b"{\"a\":\"\xc3\x28\"}".to_vec(), no_json.clone()),
        ("", "[".repeat(65_536).into_bytes(), no_json),
        (
            "",
            b"{}".to_vec(),
            "nothing says which callback it is".into(),
        ),
        (END, b"{}".to_vec(), "it has no CallId".into()),
        (other, b"{}".to_vec(), is_other(other)),
        (
            "",
            text(&long),
            is_other(&format!("{}…", LETTER.repeat(499))),
        ),
    ];
    let row = |fault| {
        [
            json!(null),
            json!(null),
            json!(null),
            json!(null),
            json!(fault),
        ]
    };
    let case = |(command, body, fault)| (command, body, row(fault));
    cases.into_iter().map(case).collect()
}

fn text(body: &Value) -> Vec<u8> {
    body.to_string().into_bytes()
}

#[tokio::test]
async fn whatever_comes_is_kept_as_it_came_with_what_is_understood_of_it() {
    let database = Database::new().await;
    let web = Web::of_clinic(&database).await;
    let cases = [understood(), not_understood()].concat();
    for (command, body, _) in &cases {
        let query = match *command {
            "" => String::new(),
            command => format!("?SdkAppid=1400000000&CallbackCommand={command}"),
        };
        let answer = web
            .ask("POST", &format!("/callbacks/clinic/{SECRET}{query}"), body)
            .await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (200, ACKNOWLEDGEMENT)
        );
        assert!(
            answer.head.contains("content-type: application/json"),
            "{answer:?}"
        );
    }
    let rows = rows(&database).await;
    assert_eq!(rows.len(), cases.len());
    for ((command, body, expected), row) in cases.iter().zip(&rows) {
        let told = ["command", "call_id", "room_id", "event_ms", "fault"]
            .map(|column| row[column].clone());
        assert_eq!(&told, expected, "{row}");
        let is_understood = row["fault"].is_null();
        assert_eq!(
            row["look_at"].is_null(),
            !is_understood,
            "only what is understood is looked at"
        );
        assert_eq!(
            (row["app"].as_str(), row["looks"].as_i64()),
            (Some("clinic"), Some(0))
        );
        let digest = Sha256::digest([command.as_bytes(), b"\0", body].concat());
        let hex = |bytes: &[u8]| {
            bytes
                .iter()
                .fold("\\x".to_owned(), |hex, byte| format!("{hex}{byte:02x}"))
        };
        assert_eq!(row["digest"], hex(&digest));
        assert_eq!(row["body"], hex(body), "byte by byte");
    }
    let counted = "callq_callbacks_received_total{app=\"clinic\",command=\"not_understood\"}";
    assert_eq!(web.metric(counted).await, 9);
    web.stop().await;
}

#[tokio::test]
async fn the_same_callback_is_stored_once_and_acknowledged_each_time() {
    let database = Database::new().await;
    let web = Web::of_clinic(&database).await;
    for _ in 0..3 {
        assert_eq!(web.post(&end_of("c-1")).await.status, 200);
    }
    assert_eq!(count(&database, "true").await, 1);
    // Two changes in one millisecond differ in their bodies alone.
    for account in ["jack", "rose"] {
        let body = json!({"CallbackCommand": "Call.CallbackAfterMemberChanged", "CallId": "c-1", "EventTime": 1_700_000_000_000_i64,
            "ChangedUserList": [{"User_Account": account, "ActionType": "Answer"}]});
        assert_eq!(web.post(body.to_string().as_bytes()).await.status, 200);
    }
    assert_eq!(count(&database, "call_id = 'c-1'").await, 3);
    assert_eq!(web.metric("callq_callbacks_stored_total").await, 3);
    assert_eq!(web.metric("callq_callbacks_doubled_total").await, 2);
    web.stop().await;
}

/// Name and meaning of each metric, as `/metrics` has them.
fn metrics(text: &str) -> Vec<[String; 2]> {
    let helps = text.lines().filter_map(|line| line.strip_prefix("# HELP "));
    let help = |line: &str| {
        let (name, meaning) = line.split_once(' ')?;
        Some([
            format!("`{name}`"),
            meaning.trim_end_matches('.').to_owned(),
        ])
    };
    helps.filter_map(help).collect()
}

#[tokio::test]
async fn the_metrics_are_those_of_the_page_and_name_no_secret() {
    let database = Database::new().await;
    let web = Web::of_clinic(&database).await;
    let unnamed = format!("/callbacks/clinic/{SECRET}");
    assert_eq!(web.ask("POST", &unnamed, &end_of("c-1")).await.status, 200);
    let text = web.ask("GET", "/metrics", b"").await.body;
    assert!(!text.contains(SECRET), "{text}");
    let table = table(["metric", "meaning"], metrics(&text).into_iter());
    Page("docs/operating.md").keep("web-metrics", &table, str::to_owned);
    web.stop().await;
}

#[tokio::test]
async fn a_body_of_64_kib_is_kept_and_a_longer_one_refused() {
    let database = Database::new().await;
    let web = Web::of_clinic(&database).await;
    assert_eq!(web.post(&vec![b' '; 65_536]).await.status, 200);
    for length in [65_537, 200_000, 3_000_000] {
        assert_eq!(web.post(&vec![b' '; length]).await.status, 413, "{length}");
    }
    assert_eq!(count(&database, "octet_length(body) = 65536").await, 1);
    assert_eq!(count(&database, "true").await, 1);
    web.stop().await;
}

#[tokio::test]
async fn workers_are_told_of_new_callbacks_unless_that_is_switched_off() {
    let database = Database::new().await;
    let web = Web::of_clinic(&database).await;
    let mut listener = PgListener::connect_with(database.pool()).await.unwrap();
    listener
        .listen_all(["callq_callbacks", "test"])
        .await
        .unwrap();
    let mut heard = async || listener.recv().await.unwrap().channel().to_owned();
    assert_eq!(web.post(&end_of("c-1")).await.status, 200);
    assert_eq!(heard().await, "callq_callbacks");
    // One that is there already is no news; nor is any where workers are not to be told.
    assert_eq!(web.post(&end_of("c-1")).await.status, 200);
    let off = "UPDATE callq.settings SET notify = false";
    sqlx::raw_sql(off).execute(database.pool()).await.unwrap();
    assert_eq!(web.post(&end_of("c-2")).await.status, 200);
    sqlx::raw_sql("NOTIFY test")
        .execute(database.pool())
        .await
        .unwrap();
    assert_eq!(heard().await, "test");
    assert_eq!(count(&database, "true").await, 2);
    web.stop().await;
}

#[tokio::test]
async fn a_callback_that_the_database_refuses_keeps_no_other_from_being_stored() {
    let database = Database::new().await;
    let rule = "ALTER TABLE callq.callbacks ADD CHECK (call_id <> 'bad')";
    sqlx::raw_sql(rule).execute(database.pool()).await.unwrap();
    let web = Web::of_clinic(&database).await;
    let hold = sqlx::raw_sql("BEGIN; LOCK TABLE callq.callbacks IN SHARE MODE");
    let mut holder = database.pool().acquire().await.unwrap();
    hold.execute(&mut *holder).await.unwrap();
    // The first waits for the lock, and the others gather behind it.
    let bodies = ["first", "good", "bad", "fine"].map(end_of);
    let posts = async {
        let target = format!("/callbacks/clinic/{SECRET}{QUERY}");
        let post = |body: &Vec<u8>| {
            let (address, target, body) = (web.address, target.clone(), body.clone());
            tokio::spawn(async move {
                super::ask(address, "POST", &target, &body)
                    .await
                    .unwrap()
                    .status
            })
        };
        let mut statuses = Vec::new();
        for post in bodies.iter().map(post).collect::<Vec<_>>() {
            statuses.push(post.await.unwrap());
        }
        statuses
    };
    let release = async {
        let waiting = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'callq.callbacks'::regclass
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))";
        while !sqlx::query_scalar::<_, bool>(waiting)
            .fetch_one(database.pool())
            .await
            .unwrap()
        {
            look_again().await;
        }
        sqlx::raw_sql("COMMIT").execute(&mut *holder).await.unwrap();
    };
    let (mut statuses, ()) = tokio::join!(posts, release);
    assert_eq!(statuses.remove(2), 503);
    // On a machine that is very slow they may have lost their patience, which is no acknowledgement.
    assert!(
        statuses.iter().all(|status| [200, 503].contains(status)),
        "{statuses:?}"
    );
    assert_eq!(count(&database, "call_id <> 'bad'").await, 3);
    web.stop().await;
}
