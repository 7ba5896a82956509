//! `callq callbacks`

use callq::sandbox::{Fault, FaultKind, Sandbox, SandboxConfig};
use serde_json::json;
use tokio::process::Command;

use super::{APP, is_one_sentence, json_lines};
use crate::support::program::{callq, run};
use crate::support::terminal::Terminal;

const OURS: &str = "https://calls.example.com/callbacks/s3cret";
const THEIRS: &str = "https://theirs.example.com/hooks/hidden";

async fn sandbox() -> Sandbox {
    Sandbox::start(SandboxConfig::default()).await.unwrap()
}

/// `callq callbacks` with these arguments, on this sandbox; there is no database.
fn callbacks(sandbox: &Sandbox, arguments: &[&str]) -> Command {
    let mut command = callq(["callbacks"].iter().chain(arguments).copied());
    command.envs(APP).env("CALLQ_HOST", sandbox.url());
    command
}

/// What is set, by what `show` says to programs.
async fn url_of(sandbox: &Sandbox) -> serde_json::Value {
    let ended = run(&mut callbacks(sandbox, &["show", "--json"])).await;
    json_lines(&ended.with_code(0))[0]["url"].clone()
}

#[tokio::test]
async fn callbacks_are_shown_set_and_deleted_without_a_database() {
    let sandbox = sandbox().await;
    let show = || async {
        run(&mut callbacks(&sandbox, &["show"]))
            .await
            .with_code(0)
            .text()
    };
    assert_eq!(show().await, "default: no callbacks are sent\n");
    for _ in 0..2 {
        let set = run(&mut callbacks(&sandbox, &["set", OURS]))
            .await
            .with_code(0);
        assert_eq!(set.text(), format!("default: callbacks go to {OURS}\n"));
    }
    let all = [
        "Call.CallbackAfterStartCall",
        "Call.CallbackAfterMemberChanged",
        "Call.CallbackAfterEndCall",
    ];
    assert_eq!(
        show().await,
        format!("default: {} go to {OURS}\n", all.join(", "))
    );
    let json = run(&mut callbacks(&sandbox, &["show", "--json"])).await;
    assert_eq!(
        json_lines(&json),
        [json!({ "app": "default", "url": OURS, "ours": null, "callbacks": all })]
    );
    for told in ["no callbacks are sent any more", "no callbacks were sent"] {
        let deleted = run(&mut callbacks(&sandbox, &["delete", "--yes"]))
            .await
            .with_code(0);
        assert_eq!(deleted.text(), format!("default: {told}\n"));
    }
    assert_eq!(url_of(&sandbox).await, json!(null));
}

#[tokio::test]
async fn a_url_of_somebody_else_is_not_overwritten_without_force() {
    let sandbox = sandbox().await;
    run(&mut callbacks(&sandbox, &["set", THEIRS]))
        .await
        .with_code(0);
    let refused = run(&mut callbacks(&sandbox, &["set", OURS]))
        .await
        .with_code(2);
    is_one_sentence(&refused);
    assert!(
        refused
            .stderr
            .contains("https://theirs.example.com/... already"),
        "{refused}"
    );
    assert!(
        refused.stderr.contains("--force") && !refused.stderr.contains("hidden"),
        "{refused}"
    );
    assert_eq!(url_of(&sandbox).await, THEIRS);
    run(&mut callbacks(&sandbox, &["set", OURS, "--force"]))
        .await
        .with_code(0);
    assert_eq!(url_of(&sandbox).await, OURS);
}

#[tokio::test]
async fn delete_asks_and_needs_somebody_to_ask() {
    let sandbox = sandbox().await;
    run(&mut callbacks(&sandbox, &["set", OURS]))
        .await
        .with_code(0);
    let refused = run(&mut callbacks(&sandbox, &["delete"]))
        .await
        .with_code(2);
    is_one_sentence(&refused);
    assert!(refused.stderr.contains("add --yes"), "{refused}");
    let host = sandbox.url();
    let mut environment = APP.to_vec();
    environment.retain(|(name, _)| *name != "CALLQ_HOST");
    environment.push(("CALLQ_HOST", &host));
    for (typed, left) in [
        ("n\n", json!(OURS)),
        ("\n", json!(OURS)),
        ("y\n", json!(null)),
    ] {
        let terminal = Terminal {
            columns: 120,
            typed,
        };
        let (code, shown) = terminal
            .run_in(&environment, &["callbacks", "delete"])
            .await;
        assert_eq!(code, 0, "{shown}");
        assert!(
            shown.contains("to https://calls.example.com/... any more? [y/N]"),
            "{shown}"
        );
        assert_eq!(url_of(&sandbox).await, left, "{typed:?}: {shown}");
    }
}

#[tokio::test]
async fn a_refusal_ends_with_2_and_what_may_work_later_with_1() {
    let sandbox = sandbox().await;
    for (code, exit, words) in [
        (
            60_007,
            1,
            "could not ask where callbacks go of app default: 60007, too many REST requests",
        ),
        (100_001, 1, "could not ask"),
        (999_999, 1, "could not ask"),
        (100_002, 2, "cannot ask"),
        (
            70_009,
            2,
            "cannot ask where callbacks go of app default: 70009",
        ),
    ] {
        sandbox
            .script(Fault::new(FaultKind::ErrorCode(code)).times(1))
            .unwrap();
        let ended = run(&mut callbacks(&sandbox, &["set", OURS]))
            .await
            .with_code(exit);
        is_one_sentence(&ended);
        assert!(ended.stderr.contains(words), "{ended}");
    }
    let fault = Fault::new(FaultKind::ErrorCode(100_001)).for_command("set_callback");
    sandbox.script(fault).unwrap();
    let ended = run(&mut callbacks(&sandbox, &["set", OURS]))
        .await
        .with_code(1);
    assert!(
        ended
            .stderr
            .contains("could not set where callbacks go of app default"),
        "{ended}"
    );
    let host = sandbox.url();
    sandbox.shutdown().await.unwrap();
    let mut command = callq(["callbacks", "show"]);
    let ended = run(command.envs(APP).env("CALLQ_HOST", host))
        .await
        .with_code(1);
    is_one_sentence(&ended);
    assert!(!ended.stderr.contains("usersig"), "{ended}");
}

#[tokio::test]
async fn of_several_apps_one_must_be_named_before_anything_is_changed() {
    let sandbox = sandbox().await;
    let folder = tempfile::TempDir::new().unwrap();
    let app = |name: &str, id: u64| {
        let key = folder.path().join(name);
        std::fs::write(&key, callq::sandbox::SANDBOX_SECRET_KEY).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&key, mode).unwrap();
        format!(
            "[apps.{name}]\nsdk_app_id = {id}\nadmin_account = \"administrator\"\nsecret_key_file = {:?}\nhost = {:?}\n",
            key.display().to_string(),
            sandbox.url()
        )
    };
    let file = folder.path().join("callq.toml");
    std::fs::write(
        &file,
        app("clinic", callq::sandbox::SANDBOX_SDK_APP_ID) + &app("dentist", 7),
    )
    .unwrap();
    let file = file.to_str().unwrap();
    for arguments in [&["set", OURS][..], &["delete", "--yes"]] {
        let mut command = callq(
            ["callbacks", "--config", file]
                .iter()
                .chain(arguments)
                .copied(),
        );
        let ended = run(&mut command).await.with_code(2);
        is_one_sentence(&ended);
        assert!(
            ended
                .stderr
                .contains("which app? Configured are clinic, dentist"),
            "{ended}"
        );
    }
    assert_eq!(sandbox.ledger().stats().queries, 0);
    let mut command = callq([
        "callbacks",
        "--config",
        file,
        "set",
        OURS,
        "--app",
        "clinic",
    ]);
    run(&mut command).await.with_code(0);
    let mut command = callq(["callbacks", "--config", file, "show", "--app", "nobody"]);
    assert_eq!(run(&mut command).await.code(), 2);
    // The sandbox knows no app 7.
    let mut command = callq(["callbacks", "--config", file, "show"]);
    let ended = run(&mut command).await.with_code(2);
    assert!(
        ended.text().starts_with("clinic: ") && ended.stderr.contains("app dentist: 70020"),
        "{ended}"
    );
}
