//! `callq config show`.

use std::path::Path;

use callq::config::Sources;
use callq::config::settings::{self, Absent, Section};
use callq::tencent::REQUEST_TIMEOUT_DEFAULT;
use callq::worker::WorkerConfig;
use serde_json::Value;

use super::{COMPLETE, Folder, SECRETS, USER_SIG, end};

const SHOW: [&str; 2] = ["config", "show"];

/// What `config show --json` prints of one setting.
fn setting<'a>(shown: &'a Value, name: &str) -> &'a Value {
    let settings = shown["settings"].as_array().expect("a list");
    let found = settings.iter().find(|setting| setting["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {shown}"))
}

async fn shown(command: &mut tokio::process::Command, code: i32) -> Value {
    let ended = end(command.arg("--json")).await.with_code(code);
    serde_json::from_str(&ended.text()).expect("it is JSON")
}

#[tokio::test]
async fn every_value_is_shown_with_its_origin_and_no_secret() {
    let folder = Folder::new();
    let file = format!("{COMPLETE}calls_per_second = 12.5\n[worker]\nlease_ms = 40_000\n");
    let mut command = folder.command(file.as_bytes(), &SHOW);
    command.args(["--concurrency", "7"]);
    command.env(
        "DATABASE_URL",
        "postgres://me:hunter2@db.example:5433/x?sslmode=require",
    );
    command.env("CALLQ_HTTPS_PROXY", "http://me:hunter2@proxy.example:3128");
    command.env("CALLQ_POLL_INTERVAL_MS", "500");
    for (name, value) in [
        ("CALLQ_SDK_APP_ID", "1400000000"),
        ("CALLQ_ADMIN_ACCOUNT", "administrator"),
        ("CALLQ_SECRET_KEY", SECRETS[0]),
        ("CALLQ_HOST", "china"),
    ] {
        command.env(name, value);
    }
    let ended = end(&mut command).await.with_code(0);
    insta::assert_snapshot!(ended.text(), @r"
    the file is callq.toml
    ┌──────────────────────────────────┬────────────────────────────────────────────────────┬────────────────────────┐
    │ setting                          ┆ value                                              ┆ from                   │
    ╞══════════════════════════════════╪════════════════════════════════════════════════════╪════════════════════════╡
    │ database_url                     ┆ postgres://me@db.example:5433/x?sslmode=require    ┆ DATABASE_URL           │
    │ https_proxy                      ┆ http://me@proxy.example:3128/                      ┆ CALLQ_HTTPS_PROXY      │
    │ log                              ┆ info,sqlx=error                                    ┆ default                │
    │ worker.concurrency               ┆ 7                                                  ┆ --concurrency          │
    │ worker.poll_interval_ms          ┆ 500                                                ┆ CALLQ_POLL_INTERVAL_MS │
    │ worker.lease_ms                  ┆ 40000                                              ┆ callq.toml:9:12        │
    │ worker.request_timeout_ms        ┆ 8000                                               ┆ default                │
    │ worker.listen                    ┆ (not set: nothing is served)                       ┆                        │
    │ worker.log_format                ┆ text                                               ┆ default                │
    │ web.listen                       ┆ 127.0.0.1:9465                                     ┆ default                │
    │ web.callbacks_base_url           ┆ (not set: callq callbacks set needs a whole URL)   ┆                        │
    │ apps.default.sdk_app_id          ┆ 1400000000                                         ┆ CALLQ_SDK_APP_ID       │
    │ apps.default.admin_account       ┆ administrator                                      ┆ CALLQ_ADMIN_ACCOUNT    │
    │ apps.default.secret_key          ┆ (set, not shown)                                   ┆ CALLQ_SECRET_KEY       │
    │ apps.default.host                ┆ china                                              ┆ CALLQ_HOST             │
    │ apps.default.calls_per_second    ┆ (not set: what the database has, 180 at first)     ┆                        │
    │ apps.default.callbacks_secret    ┆ (not set: no callbacks of the app are taken)       ┆                        │
    │ apps.default.callbacks_token     ┆ (not set: no signature is looked at)               ┆                        │
    │ apps.default.ring_policy         ┆ (not set: each callee is rung once)                ┆                        │
    │ apps.default.max_call_seconds    ┆ (not set: calls are not ended)                     ┆                        │
    │ apps.default.longest_call_s      ┆ 1800                                               ┆ default                │
    │ apps.default.cam_secret_id       ┆ (not set: the app plays no media)                  ┆                        │
    │ apps.default.cam_secret_key      ┆ (not set: the app plays no media)                  ┆                        │
    │ apps.default.ingest_host         ┆ (not set: international, or the app's own sandbox) ┆                        │
    │ apps.default.ingest_region       ┆ ap-singapore                                       ┆ default                │
    │ apps.default.ingest_room_id_type ┆ reference                                          ┆ default                │
    │ apps.clinic.sdk_app_id           ┆ 1400000001                                         ┆ callq.toml:3:14        │
    │ apps.clinic.admin_account        ┆ administrator                                      ┆ callq.toml:4:17        │
    │ apps.clinic.secret_key_file      ┆ key (set, not shown)                               ┆ callq.toml:5:19        │
    │ apps.clinic.host                 ┆ singapore                                          ┆ callq.toml:6:8         │
    │ apps.clinic.calls_per_second     ┆ 12.5                                               ┆ callq.toml:7:20        │
    │ apps.clinic.callbacks_secret     ┆ (not set: no callbacks of the app are taken)       ┆                        │
    │ apps.clinic.callbacks_token      ┆ (not set: no signature is looked at)               ┆                        │
    │ apps.clinic.ring_policy          ┆ (not set: each callee is rung once)                ┆                        │
    │ apps.clinic.max_call_seconds     ┆ (not set: calls are not ended)                     ┆                        │
    │ apps.clinic.longest_call_s       ┆ 1800                                               ┆ default                │
    │ apps.clinic.cam_secret_id        ┆ (not set: the app plays no media)                  ┆                        │
    │ apps.clinic.cam_secret_key       ┆ (not set: the app plays no media)                  ┆                        │
    │ apps.clinic.ingest_host          ┆ (not set: international, or the app's own sandbox) ┆                        │
    │ apps.clinic.ingest_region        ┆ ap-singapore                                       ┆ default                │
    │ apps.clinic.ingest_room_id_type  ┆ reference                                          ┆ default                │
    └──────────────────────────────────┴────────────────────────────────────────────────────┴────────────────────────┘
    ");
    assert!(ended.stderr.is_empty(), "{ended}");
}

#[tokio::test]
async fn what_is_wrong_is_told_beside_what_is_known() {
    let folder = Folder::new();
    let mut command = folder.command(COMPLETE.as_bytes(), &SHOW);
    command
        .env("CALLQ_HOST", "mars")
        .env("CALLQ_USER_SIG", USER_SIG);
    let ended = end(&mut command).await.with_code(2);
    assert_eq!(ended.stderr.lines().count(), 3, "{ended}");
    assert!(
        ended
            .text()
            .contains("│ apps.default.sdk_app_id          ┆ (missing)"),
        "{ended}"
    );
    let shown = shown(&mut command, 2).await;
    assert_eq!(shown["faults"].as_array().map(Vec::len), Some(3), "{shown}");
    assert_eq!(setting(&shown, "apps.default.user_sig")["secret"], true);
    assert_eq!(
        setting(&shown, "apps.default.user_sig")["value"],
        Value::Null
    );
    assert_eq!(setting(&shown, "apps.clinic.host")["line"], 6);
}

#[tokio::test]
async fn a_file_that_cannot_be_understood_is_no_reason_to_show_nothing() {
    let folder = Folder::new();
    let ended = end(&mut folder.command(b"secret_key = hunter2", &SHOW))
        .await
        .with_code(2);
    assert!(ended.text().contains("worker.lease_ms"), "{ended}");
    assert_eq!(
        ended.stderr,
        "callq: callq.toml:1:14: is not TOML: text must stand in quotes\n"
    );
}

/// Another value than `example`, which `config show` prints as it is.
fn values(setting: &settings::Setting) -> [&'static str; 3] {
    match setting.key {
        "concurrency" => ["3", "4", "5"],
        "listen" => ["127.0.0.1:3", "127.0.0.1:4", "127.0.0.1:5"],
        "log_format" => ["json", "text", "json"],
        _ => ["10003", "10004", "10005"],
    }
}

#[tokio::test]
async fn a_flag_wins_over_the_environment_that_over_the_file_that_over_the_default() {
    let folder = Folder::new();
    for setting_of_worker in settings::of(Section::Worker) {
        let [in_file, in_environment, as_flag] = values(setting_of_worker);
        let (key, name) = (
            setting_of_worker.key,
            format!("worker.{}", setting_of_worker.key),
        );
        let quoted = if in_file.parse::<u32>().is_ok() {
            in_file.to_owned()
        } else {
            format!("{in_file:?}")
        };
        let file = format!("{COMPLETE}[worker]\n{key} = {quoted}\n");
        let flag = format!(
            "--{}={as_flag}",
            setting_of_worker.flag.expect("each has a flag")
        );

        let told = shown(&mut folder.command(COMPLETE.as_bytes(), &SHOW), 0).await;
        let default = match setting_of_worker.absent {
            Absent::Is(default) => Value::from(default),
            _ => Value::Null,
        };
        assert_eq!(setting(&told, &name)["value"], default);

        let mut command = folder.command(file.as_bytes(), &SHOW);
        let told = shown(&mut command, 0).await;
        assert_eq!(setting(&told, &name)["value"], in_file);
        assert_eq!(setting(&told, &name)["line"], 8);

        command = folder.command(file.as_bytes(), &SHOW);
        command.env(setting_of_worker.environment, in_environment);
        let told = shown(&mut command, 0).await;
        assert_eq!(setting(&told, &name)["value"], in_environment);
        assert_eq!(
            setting(&told, &name)["variable"],
            setting_of_worker.environment
        );

        command = folder.command(file.as_bytes(), &SHOW);
        command
            .env(setting_of_worker.environment, in_environment)
            .arg(&flag);
        let told = shown(&mut command, 0).await;
        assert_eq!(setting(&told, &name)["value"], as_flag);
        assert_eq!(setting(&told, &name)["from"], "flag");
    }
}

#[test]
fn the_defaults_are_those_of_the_worker_that_dev_starts() {
    let ms = |time: std::time::Duration| time.as_millis().to_string();
    for (setting, default) in [
        (
            &settings::CONCURRENCY,
            WorkerConfig::CONCURRENCY.to_string(),
        ),
        (&settings::POLL_INTERVAL_MS, ms(WorkerConfig::POLL_INTERVAL)),
        (&settings::LEASE_MS, ms(WorkerConfig::LEASE)),
        (&settings::REQUEST_TIMEOUT_MS, ms(REQUEST_TIMEOUT_DEFAULT)),
    ] {
        assert_eq!(
            setting.absent,
            Absent::Is(default.leak()),
            "{}",
            setting.key
        );
    }
}

/// An environment that is given, and no other.
pub(super) struct Given<'a>(pub(super) &'a [(&'a str, &'a str)]);

impl callq::config::Environment for Given<'_> {
    fn get(&self, name: &str) -> Result<Option<String>, callq::config::Fault> {
        let found = self.0.iter().find(|(n, _)| *n == name);
        Ok(found.map(|(_, value)| (*value).to_owned()))
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().map(|(name, _)| (*name).to_owned()).collect()
    }
}

#[test]
fn nothing_that_can_be_debugged_shows_a_secret() {
    let folder = Folder::new();
    let file = folder.path().join("callq.toml");
    std::fs::write(&file, COMPLETE).expect("a test may write");
    let given = Given(&[
        ("DATABASE_URL", "postgres://me:hunter2@db/x"),
        ("CALLQ_HTTPS_PROXY", "http://me:hunter2@proxy:3128"),
        ("CALLQ_SDK_APP_ID", "1400000000"),
        ("CALLQ_ADMIN_ACCOUNT", "administrator"),
        ("CALLQ_SECRET_KEY", SECRETS[0]),
        ("CALLQ_HOST", "china"),
    ]);
    let sources = Sources::read(&given, Some(&file), &[]);
    let config = sources.config(&[]).expect("it is complete");
    assert_eq!(config.apps.len(), 2);
    for text in [
        format!("{sources:?}"),
        format!("{config:#?}"),
        format!("{:?}", sources.effective()),
    ] {
        for secret in SECRETS {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[test]
fn a_secret_in_the_place_of_its_file_is_not_repeated_and_a_file_may_have_a_long_name() {
    let folder = Folder::new();
    let file = folder.path().join("callq.toml");
    let read = |name: &str| {
        std::fs::write(&file, COMPLETE.replace("\"key\"", &format!("{name:?}")))
            .expect("a test may write");
        let sources = Sources::read(&Given(&[]), Some(&file), &[]);
        let shown = format!("{:?}", sources.effective());
        assert!(
            !SECRETS.iter().any(|secret| shown.contains(secret)),
            "{shown}"
        );
        sources
            .app("clinic")
            .map(|_| ())
            .map_err(|error| error.to_string())
    };
    for secret in [SECRETS[0], USER_SIG] {
        let error = read(secret).expect_err("there is no such file");
        assert!(error.contains("seems to hold a secret itself"), "{error}");
        assert!(!error.contains(secret), "{error}");
    }
    let long = "callq-secret-key-of-the-app-1400000001";
    folder.write(long, SECRETS[0], 0o600);
    assert_eq!(read(long), Ok(()));
}

#[test]
fn a_secret_file_can_be_read_again() {
    let folder = Folder::new();
    let file = folder.path().join("callq.toml");
    std::fs::write(&file, COMPLETE).expect("a test may write");
    let sources = Sources::read(&Given(&[]), Some(Path::new(&file)), &[]);
    let app = sources.app("clinic").expect("it is complete");
    let again = app.credential_file.as_ref().expect("it is a file");
    let same = again.user_sigs().expect("the file is there");
    assert_eq!(same.fingerprint(), app.user_sigs.fingerprint());
    folder.write("key", "another-key", 0o600);
    let fresh = again.user_sigs().expect("the file is there");
    assert_ne!(fresh.fingerprint(), app.user_sigs.fingerprint());
    folder.write("key", "another-key", 0o604);
    let error = again
        .user_sigs()
        .expect_err("others can read it")
        .to_string();
    assert!(
        error.contains("apps.clinic.secret_key_file names "),
        "{error}"
    );
}
