//! Several apps in one worker, and commands that need none.

use std::time::Duration;

use callq::sandbox::{Sandbox, SandboxApp, SandboxConfig};

use super::{COMPLETE, Folder, end};
use crate::support::Database;
use crate::support::program::Program;

const PATIENCE: Duration = Duration::from_mins(1);

/// Two apps at one sandbox.
fn two_apps(sandbox: &Sandbox) -> String {
    let url = sandbox.url();
    format!(
        "[apps.clinic]
sdk_app_id = 1400000000
admin_account = \"administrator\"
secret_key_file = \"key\"
host = \"{url}\"

[apps.\"my pharmacy\"]
sdk_app_id = 1400000001
admin_account = \"administrator\"
secret_key_file = \"key\"
host = \"{url}\"
calls_per_second = 20
"
    )
}

async fn insert(database: &Database, app: &str) {
    let insert = sqlx::query(
        "INSERT INTO callq.jobs (app, robot_account, callees) VALUES ($1, 'bot', '{jack}')",
    );
    let inserted = insert.bind(app).execute(database.pool()).await;
    inserted.expect("a good row is taken");
}

/// `app state` of every job.
async fn jobs(database: &Database) -> Vec<String> {
    let jobs = sqlx::query_scalar("SELECT app || ' ' || state::text FROM callq.jobs ORDER BY id");
    jobs.fetch_all(database.pool())
        .await
        .expect("the database answers")
}

/// A sandbox that knows both apps.
async fn sandbox() -> Sandbox {
    let mut config = SandboxConfig::default();
    let first = config.apps[0].clone();
    config.apps.push(SandboxApp {
        sdk_app_id: 1_400_000_001,
        ..first
    });
    Sandbox::start(config).await.expect("a sandbox starts")
}

#[tokio::test]
async fn a_worker_serves_every_app_of_the_file() {
    let (database, sandbox, folder) = (Database::new().await, sandbox().await, Folder::new());
    for app in ["clinic", "my pharmacy", "default"] {
        insert(&database, app).await;
    }
    let mut command = folder.command(two_apps(&sandbox).as_bytes(), &["worker"]);
    let worker = Program::start(command.env("DATABASE_URL", database.url()));
    let came = sandbox.wait_for(PATIENCE, |ledger| ledger.requests().len() >= 2);
    came.await.expect("both calls come");
    worker.signal(libc::SIGTERM);
    worker.end().await.with_code(0);
    let expected = ["clinic placed", "my pharmacy placed", "default scheduled"];
    assert_eq!(jobs(&database).await, expected);
}

#[tokio::test]
async fn a_worker_serves_only_the_apps_that_it_is_told_to() {
    let (database, sandbox, folder) = (Database::new().await, sandbox().await, Folder::new());
    for app in ["clinic", "my pharmacy"] {
        insert(&database, app).await;
    }
    // The key of the app that is not served is not this machine's to read.
    let file = two_apps(&sandbox).replacen("\"key\"", "\"open-key\"", 1);
    let mut command = folder.command(file.as_bytes(), &["worker", "--app", "my pharmacy"]);
    let worker = Program::start(command.env("DATABASE_URL", database.url()));
    let came = sandbox.wait_for(PATIENCE, |ledger| !ledger.requests().is_empty());
    came.await.expect("a call comes");
    worker.signal(libc::SIGTERM);
    worker.end().await.with_code(0);
    assert_eq!(
        jobs(&database).await,
        ["clinic scheduled", "my pharmacy placed"]
    );
}

#[tokio::test]
async fn the_environment_describes_default_beside_the_apps_of_the_file() {
    let (database, sandbox, folder) = (Database::new().await, sandbox().await, Folder::new());
    for app in ["default", "clinic"] {
        insert(&database, app).await;
    }
    // An app that the sandbox does not know, and a key that is not there: the environment wins.
    let file = two_apps(&sandbox).replace("\"my pharmacy\"", "default");
    let file = file.replace("1400000001", "1400000002");
    let file = file.replace(
        "secret_key_file = \"key\"\nhost",
        "secret_key_file = \"missing\"\nhost",
    );
    let file = file.replacen("missing", "key", 1);
    let mut command = folder.command(file.as_bytes(), &["worker"]);
    command
        .env("DATABASE_URL_FILE", "database")
        .env("CALLQ_SDK_APP_ID", "1400000001")
        .env("CALLQ_SECRET_KEY", callq::sandbox::SANDBOX_SECRET_KEY);
    folder.write("database", database.url(), 0o600);
    let worker = Program::start(&mut command);
    let came = sandbox.wait_for(PATIENCE, |ledger| ledger.requests().len() >= 2);
    came.await.expect("both calls come");
    worker.signal(libc::SIGTERM);
    worker.end().await.with_code(0);
    assert_eq!(jobs(&database).await, ["default placed", "clinic placed"]);
}

/// What needs the database alone.
const DATABASE_COMMANDS: [&[&str]; 5] = [
    &["migrate"],
    &["jobs", "list"],
    &["apps", "list"],
    &["status"],
    &["enqueue", "--robot-account", "bot", "--callee", "jack"],
];

#[tokio::test]
async fn a_command_that_needs_the_database_alone_needs_no_secret_of_an_app() {
    let (database, folder) = (Database::new().await, Folder::new());
    let file = COMPLETE.replace("\"key\"", "\"missing\"");
    let file = file.replace("postgres://callq@127.0.0.1:1/callq", database.url());
    assert!(file.contains(database.url()), "its URL has no password");
    for arguments in DATABASE_COMMANDS {
        let mut command = folder.command(file.as_bytes(), arguments);
        // Nor does it judge what only a worker reads.
        let ended = end(command
            .env("CALLQ_CONCURRENCY", "0")
            .env("CALLQ_HOST", "mars"))
        .await;
        assert_eq!(ended.code(), 0, "{arguments:?}: {ended}");
    }
}

#[tokio::test]
async fn a_broken_file_or_a_mistyped_name_stops_every_command_that_has_a_configuration() {
    let folder = Folder::new();
    for arguments in DATABASE_COMMANDS {
        let unknown = format!("{COMPLETE}[worker]\nconcurency = 5\n");
        let ended = end(&mut folder.command(unknown.as_bytes(), arguments))
            .await
            .with_code(2);
        let says = "callq: callq.toml:8:1: worker.concurency is no setting: did you mean concurrency?\nhint: `callq config show` prints every value and where it comes from\n";
        assert_eq!(ended.stderr, says, "{arguments:?}");
        let mut mistyped = folder.command(COMPLETE.as_bytes(), arguments);
        let ended = end(mistyped.env("CALLQ_HOTS", "china")).await.with_code(2);
        let says = "callq: CALLQ_HOTS is set, but nothing reads it: did you mean CALLQ_HOST?\nhint: `callq config show` prints every value and where it comes from\n";
        assert_eq!(ended.stderr, says, "{arguments:?}");
    }
}

#[tokio::test]
async fn a_database_that_cannot_be_reached_is_told_with_the_place_of_its_url() {
    let folder = Folder::new();
    let crlf = format!("\u{feff}{}", COMPLETE.replace('\n', "\r\n"));
    let status: &[&str] = &["status"];
    for (file, arguments) in [(crlf.as_str(), status), (&crlf, &["worker"])] {
        let ended = end(&mut folder.command(file.as_bytes(), arguments))
            .await
            .with_code(1);
        let says = "callq: could not connect to the database at 127.0.0.1:1, see callq.toml:1:16: ";
        assert!(ended.stderr.contains(says), "{ended}");
    }
    folder.write("other.toml", "database_url_file = 'url'\n", 0o644);
    for flags in [
        &["--config", "other.toml", "status"],
        &["status", "--config", "other.toml"],
    ] {
        let ended = end(&mut folder.command(b"not read", flags))
            .await
            .with_code(1);
        assert!(ended.stderr.contains("see other.toml:1:21: "), "{ended}");
    }
    let mut by_variable = folder.command(b"not read", &["status"]);
    let other = folder.path().join("other.toml");
    let ended = end(by_variable.env("CALLQ_CONFIG", &other).current_dir("/"))
        .await
        .with_code(1);
    let says = format!("see {}:1:21: ", other.display());
    assert!(
        ended.stderr.contains(&says),
        "the secret is sought beside the file: {ended}"
    );
}

#[tokio::test]
async fn names_of_others_that_begin_with_ours_are_left_alone() {
    let folder = Folder::new();
    let mut command = folder.command(COMPLETE.as_bytes(), &["config", "show"]);
    for name in [
        "CALLQ_PORT",
        "CALLQ_PORT_5432_TCP",
        "CALLQ_PORT_5432_TCP_ADDR",
        "CALLQ_SERVICE_HOST",
        "CALLQ_SERVICE_PORT",
        "CALLQ_WORKER_SERVICE_HOST",
        "CALLQ_VERSION",
        "CALLQ_IMAGE_TAG",
    ] {
        command.env(name, "x");
    }
    end(&mut command).await.with_code(0);
}

#[tokio::test]
async fn what_is_only_for_trying_reads_no_configuration() {
    let folder = Folder::new();
    for arguments in [
        &["demo", "--config", "callq.toml"],
        &["--config", "x", "dev"],
    ] {
        let ended = end(&mut folder.command(b"x", arguments)).await.with_code(2);
        let says = "callq: dev, demo, sandbox, and bench without --beside, read no configuration: leave --config out\n";
        assert_eq!(ended.stderr, says);
    }
    let mut command = folder.command(b"this is not TOML", &["demo"]);
    for name in [
        "CALLQ_CONFIG",
        "CALLQ_CONCURRENCY",
        "CALLQ_HOTS",
        "DATABASE_URL_FILE",
    ] {
        command.env(name, "/nonexistent");
    }
    end(&mut command).await.with_code(0);
}
