//! Secrets that are changed under a running worker: no restart, no call lost, none twice.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::time::Duration;

use callq::dev::postgres::StartOptions;
use callq::sandbox::{
    Fault, FaultKind, SANDBOX_ADMIN_ACCOUNT, SANDBOX_CAM_SECRET_ID, SANDBOX_CAM_SECRET_KEY,
    SANDBOX_SDK_APP_ID, SANDBOX_SECRET_KEY, Sandbox, SandboxConfig,
};
use callq::tencent::generate_user_sig;
use secrecy::ExposeSecret as _;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

use crate::support::look_again;
use crate::support::program::{Program, callq};
use crate::support::rig::{Rig, SURELY};
use crate::support::server::Server;

const NEW_KEY: &str = "9f1c0d5e7b3a4826915d0c7be8f2a64139d8507e6c1b2fa3e4d5968778695a4b";

/// Said when a new secret is in force.
const TAKEN: &str = "was changed: the new one is in force";
/// Said when there is none that can be used.
const KEPT: &str = "could not be read again: the old one stays";

const PLACED: &str = "state = 'placed'";

/// A volume as Kubernetes mounts one: names are links into `..data`, which is a link to a folder and
/// is replaced as a whole.
struct Volume {
    folder: TempDir,
    versions: usize,
}

impl Volume {
    fn new(name: &str, content: &str) -> Self {
        let folder = TempDir::new().unwrap();
        symlink(format!("..data/{name}"), folder.path().join(name)).unwrap();
        let mut volume = Self {
            folder,
            versions: 0,
        };
        volume.swap(name, content, 0o440);
        volume
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn swap(&mut self, name: &str, content: &str, mode: u32) {
        self.versions += 1;
        let version = format!("..version-{}", self.versions);
        let file = self.path(&version).join(name);
        fs::create_dir(self.path(&version)).unwrap();
        fs::write(&file, content).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        symlink(version, self.path("..next")).unwrap();
        fs::rename(self.path("..next"), self.path("..data")).unwrap();
    }
}

/// A worker whose app signs with what `variable` names.
fn worker(
    database_url: &str,
    sandbox: &Sandbox,
    variable: &str,
    volume: &Volume,
    name: &str,
) -> Program {
    Program::start(&mut command(database_url, sandbox, variable, volume, name))
}

fn command(
    database_url: &str,
    sandbox: &Sandbox,
    variable: &str,
    volume: &Volume,
    name: &str,
) -> Command {
    let mut command = callq(["worker"]);
    command
        .env("DATABASE_URL", database_url)
        .env("CALLQ_HOST", sandbox.url())
        .env("CALLQ_SDK_APP_ID", SANDBOX_SDK_APP_ID.to_string())
        .env("CALLQ_ADMIN_ACCOUNT", SANDBOX_ADMIN_ACCOUNT)
        .env(variable, volume.path(name));
    command
}

/// Ends it; nothing that it printed holds a secret.
async fn end(program: Program, secrets: &[&str]) -> String {
    program.signal(libc::SIGTERM);
    let ended = program.end().await.with_code(0);
    for secret in secrets {
        let printed = format!("{}{}", ended.text(), ended.stderr);
        assert!(!printed.contains(secret), "{ended}");
    }
    ended.stderr
}

#[tokio::test]
async fn a_key_that_is_replaced_needs_no_restart() {
    let rig = Rig::new().await;
    let mut volume = Volume::new("key", SANDBOX_SECRET_KEY);
    let mut program = worker(
        rig.db.url(),
        &rig.sandbox,
        "CALLQ_SECRET_KEY_FILE",
        &volume,
        "key",
    );
    let before = rig.insert("jack", &[]).await;
    rig.until_state(before, "placed").await;

    // Tencent first: what is due meanwhile pauses the app, for the old key alone.
    assert!(rig.sandbox.set_secret_key(SANDBOX_SDK_APP_ID, NEW_KEY));
    let between = rig.insert("jill", &[]).await;
    rig.until_paused().await;
    volume.swap("key", &format!("{NEW_KEY}\n"), 0o440);
    let placed = rig.until_state(between, "placed").await;
    assert_eq!(
        placed.attempts_used, 0,
        "a refused credential costs no attempt"
    );
    rig.until_resumed().await;
    program.says(TAKEN).await;

    let log = end(program, &[SANDBOX_SECRET_KEY, NEW_KEY]).await;
    assert!(!log.contains(KEPT), "{log}");
    assert_eq!(rig.sandbox.ledger().calls().len(), 2);
    rig.audit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cam_key_that_is_replaced_needs_no_restart() {
    const NEW_ID: &str = "AKIDthesecondkeyofthesandbox0000000";
    let config = SandboxConfig {
        calls_per_second_limit: 0,
        speed: 5.0,
        ..SandboxConfig::default()
    };
    let rig = Rig::with_sandbox(config).await;
    let id = SANDBOX_CAM_SECRET_ID;
    let mut volume = Volume::new("cam", &format!("{id}:{SANDBOX_CAM_SECRET_KEY}"));
    let variable = "CALLQ_CAM_SECRET_KEY_FILE";
    let mut command = command(rig.db.url(), &rig.sandbox, variable, &volume, "cam");
    command
        .env("CALLQ_SECRET_KEY", SANDBOX_SECRET_KEY)
        .env("CALLQ_INGEST_HOST", rig.sandbox.url());
    let mut program = Program::start(&mut command);
    let media = [("media_url", "'https://media.example/a.mp3'")];
    let play = async |callee: &str, calls: i64| {
        rig.insert(callee, &media).await;
        let plays = "SELECT count(*) FROM callq.streams WHERE state = 'playing'";
        rig.until_value(plays, |plays: &i64| *plays == calls).await;
    };
    play("talk-40000-jack", 1).await;

    assert!(rig.sandbox.set_cam_key(SANDBOX_SDK_APP_ID, NEW_ID, NEW_KEY));
    // SecretId and SecretKey are one secret: no request is signed with a half of each.
    volume.swap("cam", &format!("{NEW_ID}:{NEW_KEY}\n"), 0o440);
    program.says(TAKEN).await;
    rig.sql("UPDATE callq.apps SET media_retry_at = now() WHERE media_retry_at IS NOT NULL")
        .await;
    play("talk-40000-jill", 2).await;
    rig.sql("SELECT callq.cancel(id) FROM callq.jobs").await;
    let ended = "SELECT count(*) FROM callq.streams WHERE reason = 'media_stopped'";
    rig.until_value(ended, |ended: &i64| *ended == 2).await;

    end(program, &[SANDBOX_CAM_SECRET_KEY, NEW_KEY]).await;
    let tally = rig.sandbox.ingest_tally();
    assert_eq!(
        (tally.started, tally.stopped, tally.playing),
        (2, 2, 0),
        "{tally:?}"
    );
}

#[tokio::test]
async fn a_fixed_user_sig_that_is_replaced_needs_no_restart() {
    let rig = Rig::new().await;
    let sign = |key: &str| {
        let id = u32::try_from(SANDBOX_SDK_APP_ID).unwrap();
        let now = chrono::Utc::now().timestamp();
        let made = generate_user_sig(&key.into(), id, SANDBOX_ADMIN_ACCOUNT, now, 600, None);
        made.expose_secret().to_owned()
    };
    let (old, new) = (sign(SANDBOX_SECRET_KEY), sign(NEW_KEY));
    let mut volume = Volume::new("sig", &old);
    let mut program = worker(
        rig.db.url(),
        &rig.sandbox,
        "CALLQ_USER_SIG_FILE",
        &volume,
        "sig",
    );
    let before = rig.insert("jack", &[]).await;
    rig.until_state(before, "placed").await;
    // Half of one is no UserSig.
    volume.swap("sig", &new[..new.len() / 2], 0o440);
    program.says(KEPT).await;
    assert!(rig.sandbox.set_secret_key(SANDBOX_SDK_APP_ID, NEW_KEY));
    volume.swap("sig", &new, 0o440);
    program.says(TAKEN).await;
    let after = rig.insert("jill", &[]).await;
    rig.until_state(after, "placed").await;
    end(program, &[&old, &new, &new[..new.len() / 2]]).await;
    rig.audit().await;
}

#[tokio::test]
async fn a_secret_file_that_cannot_be_used_leaves_the_old_secret_in_force() {
    let rig = Rig::new().await;
    let mut volume = Volume::new("key", SANDBOX_SECRET_KEY);
    let mut program = worker(
        rig.db.url(),
        &rig.sandbox,
        "CALLQ_SECRET_KEY_FILE",
        &volume,
        "key",
    );
    program.says("the worker is started").await;
    let faults = [
        ("", 0o440, "is empty"),
        (NEW_KEY, 0o444, "others can read"),
        ("\n \n", 0o440, "is empty"),
    ];
    for (n, (content, mode, fault)) in faults.into_iter().enumerate() {
        volume.swap("key", content, mode);
        program.says_times(KEPT, n + 1).await;
        program.says_times(fault, 1).await;
        let job = rig.insert("jack", &[]).await;
        rig.until_state(job, "placed").await;
    }
    fs::remove_file(volume.path("..data")).unwrap();
    program.says("must be the name of a file that exists").await;
    let job = rig.insert("jack", &[]).await;
    rig.until_state(job, "placed").await;
    volume.swap("key", NEW_KEY, 0o440);
    program.says(TAKEN).await;
    let log = end(program, &[SANDBOX_SECRET_KEY, NEW_KEY]).await;
    assert_eq!(log.matches(KEPT).count(), faults.len() + 1, "{log}");
    rig.audit().await;
}

async fn insert(server: &Server, callee: &str) -> i64 {
    let inserted = sqlx::query_scalar(
        "INSERT INTO callq.jobs (robot_account, callees) VALUES ('robot', ARRAY[$1]) RETURNING id",
    );
    inserted
        .bind(callee)
        .fetch_one(server.pool())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_password_of_the_database_that_is_replaced_needs_no_restart() {
    let server = Server::start(StartOptions::throwaway()).await;
    server
        .sql("CREATE ROLE caller LOGIN PASSWORD 'first-pw' IN ROLE callq_worker")
        .await;
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let url = |password: &str| server.url("caller", password);
    let mut volume = Volume::new("url", &url("first-pw"));
    let mut command = callq(["worker"]);
    command
        .env("DATABASE_URL_FILE", volume.path("url"))
        .env("CALLQ_HOST", sandbox.url())
        .env("CALLQ_SDK_APP_ID", SANDBOX_SDK_APP_ID.to_string())
        .env("CALLQ_ADMIN_ACCOUNT", SANDBOX_ADMIN_ACCOUNT)
        .env("CALLQ_SECRET_KEY", SANDBOX_SECRET_KEY);
    let mut program = Program::start(&mut command);
    server.until(insert(&server, "jack").await, PLACED).await;

    // Another database is not a rotation.
    volume.swap(
        "url",
        &url("first-pw").replace("/callq?", "/postgres?"),
        0o440,
    );
    program.says("names another database").await;
    // The file first: the database does not let it in yet.
    volume.swap("url", &url("second-pw"), 0o440);
    program.says_times(KEPT, 2).await;
    server.sql("ALTER ROLE caller PASSWORD 'second-pw'").await;
    let refused = "password authentication failed";
    let refusals = program.says(TAKEN).await.matches(refused).count();

    // The database first, with a call under way whose result needs a new connection.
    let delay = Duration::from_secs(2);
    let delay = u64::try_from(delay.as_millis()).unwrap();
    sandbox
        .script(
            Fault::new(FaultKind::Delay)
                .delayed_ms(delay)
                .for_callee("slow")
                .times(1),
        )
        .unwrap();
    let slow = insert(&server, "slow").await;
    sandbox
        .wait_for(SURELY, |ledger| ledger.requests().len() >= 2)
        .await
        .unwrap();
    server
        .sql(
            "ALTER ROLE caller PASSWORD 'third-pw';
             SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'caller'",
        )
        .await;
    program.says_times(refused, refusals + 1).await;
    volume.swap("url", &url("third-pw"), 0o440);
    program.says_times(TAKEN, 2).await;
    server.until(slow, PLACED).await;
    server.until(insert(&server, "jill").await, PLACED).await;
    until_it_hears(&server).await;

    end(
        program,
        &["first-pw", "second-pw", "third-pw", SANDBOX_SECRET_KEY],
    )
    .await;
    let ledger = sandbox.ledger();
    assert_eq!(ledger.repeated().count(), 0);
    assert_eq!((ledger.requests().len(), ledger.calls().len()), (3, 3));
}

/// Waits until the worker listens again: it does so on a connection of its own.
async fn until_it_hears(server: &Server) {
    let listens = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE usename = 'caller' AND query LIKE 'LISTEN%')";
    let listening = async {
        while !sqlx::query_scalar::<_, bool>(listens)
            .fetch_one(server.pool())
            .await
            .unwrap()
        {
            look_again().await;
        }
    };
    timeout(SURELY, listening).await.expect("it listens");
}
