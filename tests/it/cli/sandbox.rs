//! `callq sandbox`

use callq::call::{StartCall, StartCallFields};
use callq::tencent::{Credential, Host, Settings, TencentClient, UserSigs};

use crate::support::Database;
use crate::support::program::{Program, callq, run};
use crate::support::receiver::Receiver;

#[tokio::test]
async fn a_worker_reaches_the_sandbox_with_what_it_prints() {
    let mut sandbox = Program::start(&mut callq(["sandbox", "--listen", "127.0.0.1:0"]));
    let said = sandbox.says(callq::sandbox::SANDBOX_CAM_SECRET_KEY).await;
    let words = said
        .split_whitespace()
        .filter(|word| word.starts_with("CALLQ_"));
    let environment: Vec<_> = words.filter_map(|word| word.split_once('=')).collect();
    assert_eq!(environment.len(), 6, "{said}");

    let database = Database::new().await;
    let mut command = callq(["worker"]);
    command
        .envs(environment)
        .env("DATABASE_URL", database.url());
    let worker = Program::start(&mut command);
    sqlx::query("INSERT INTO callq.jobs (robot_account, callees) VALUES ('bot', '{jack}')")
        .execute(database.pool())
        .await
        .expect("a good row is taken");
    let printed = sandbox.prints("bot -> jack").await;
    assert!(
        printed.contains("  0  ") && printed.contains("  room callq_1_1_"),
        "{printed}"
    );

    worker.signal(libc::SIGTERM);
    worker.end().await.with_code(0);
    sandbox.signal(libc::SIGINT);
    let ended = sandbox.end().await.with_code(0);
    assert_eq!(
        ended.text().lines().count(),
        1,
        "one line per request: {ended}"
    );
}

#[tokio::test]
async fn a_fast_sandbox_calls_back_and_tells_what_became_of_a_call() {
    let receiver = Receiver::start().await;
    let arguments = [
        "sandbox",
        "--listen",
        "127.0.0.1:0",
        "--speed",
        "600",
        "--callback-url",
        receiver.url(),
    ];
    let mut sandbox = Program::start(&mut callq(arguments));
    let said = sandbox.says(callq::sandbox::SANDBOX_SECRET_KEY).await;
    let host = said
        .split_whitespace()
        .find_map(|word| word.strip_prefix("CALLQ_HOST="))
        .unwrap()
        .to_owned();
    let client = TencentClient::new(Settings {
        host: Host::new(&host).unwrap(),
        user_sigs: UserSigs::new(
            1_400_000_000,
            "administrator",
            Credential::SecretKey(callq::sandbox::SANDBOX_SECRET_KEY.into()),
        )
        .unwrap(),
        request_timeout: std::time::Duration::from_secs(30),
        https_proxy: None,
    });
    let call = StartCall::new(StartCallFields {
        robot_account: "bot",
        callees: &["decline-x".to_owned()],
        media_type: "Audio",
        room_id: "room",
        room_id_type: 2,
        ring_timeout_ms: 45_000,
        user_data: None,
        offline_push: None,
    });
    client
        .unwrap()
        .start_call_by_robot(&call.unwrap(), 7, chrono::Utc::now().timestamp())
        .await;
    sandbox.prints("bot -> decline-x").await;
    let end = receiver.arrived("CallbackAfterEndCall").await;
    assert!(end.body.contains("\"CallResult\":\"Reject\""), "{end:?}");
    let outcomes: serde_json::Value = reqwest::get(format!("{host}/sandbox/outcomes"))
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(
        (&outcomes["pending"], &outcomes["outcomes"]["declined"]),
        (&0.into(), &1.into())
    );
    sandbox.signal(libc::SIGINT);
    sandbox.end().await.with_code(0);
}

#[tokio::test]
async fn callbacks_to_another_machine_are_refused() {
    let mut command = callq([
        "sandbox",
        "--listen",
        "127.0.0.1:0",
        "--callback-url",
        "https://example.com/x",
    ]);
    let ended = run(&mut command).await.with_code(2);
    assert!(
        ended.stderr.contains("must be an http URL of this machine"),
        "{ended}"
    );
}
