//! The configuration: files, environment and flags, right and broken, with the real program.

mod broken;
mod example;
mod media;
mod schedules;
mod several_apps;
mod shown;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::TempDir;
use tokio::process::Command;

use crate::support::program::{Ended, callq, run};

/// Secrets that the folder's files hold. None may be in anything that is printed.
const SECRETS: [&str; 4] = [
    callq::sandbox::SANDBOX_SECRET_KEY,
    "hunter2",
    "correct-horse",
    USER_SIG,
];

/// It looks like a `UserSig`, and is none.
const USER_SIG: &str = "eJwtzDEOgkAQheG7bG3IzrKwYGIhhkpsxAMgO8AkuKwzi4nGu4vS-33J-6hrfUmeGNRRmUSrwx-UgT5STxkyT5jI8mw5xj8fY7-q4E1K4-60cgEGOZ0";

/// A file that lacks nothing; a worker with it would only have to reach its database.
const COMPLETE: &str = "\
database_url = \"postgres://callq@127.0.0.1:1/callq\"
[apps.clinic]
sdk_app_id = 1400000001
admin_account = \"administrator\"
secret_key_file = \"key\"
host = \"singapore\"
";

/// A folder with secret files of every kind, in which commands run.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().expect("a test may make folders"));
        let key = callq::sandbox::SANDBOX_SECRET_KEY;
        folder.write("key", key, 0o600);
        folder.write("open-key", key, 0o644);
        folder.write("empty", " \n", 0o600);
        folder.write("long", "x".repeat(70_000), 0o600);
        folder.write("binary", b"\xFF\xFE\x00", 0o600);
        folder.write("two-words", format!("{key} x"), 0o600);
        folder.write("sig", USER_SIG, 0o600);
        folder.write("cam", "hunter2-of-cam", 0o600);
        folder.write("cam-both", "AKIDexample:hunter2-of-cam\n", 0o600);
        folder.write("url", "postgres://me:hunter2@127.0.0.1:1/db\n", 0o600);
        folder.write("no-url", "correct-horse", 0o600);
        folder.write("huge.toml", "# long\n".repeat(60_000), 0o644);
        fs::create_dir(folder.path().join("folder")).expect("a test may make folders");
        folder
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>, mode: u32) {
        let path = self.path().join(name);
        fs::write(&path, content).expect("a test may write");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it is ours");
    }

    /// A command in this folder, with a `callq.toml` of this content, if any.
    fn command(&self, file: &[u8], arguments: &[&str]) -> Command {
        let path = self.path().join("callq.toml");
        if file.is_empty() {
            let _ = fs::remove_file(&path);
        } else {
            fs::write(&path, file).expect("a test may write");
        }
        let mut command = callq(arguments.iter().copied());
        command.current_dir(self.path());
        command
    }
}

/// Fails if anything that was printed holds a secret.
#[track_caller]
fn holds_no_secret(ended: &Ended) {
    for secret in SECRETS {
        let printed = format!("{}{}", ended.text(), ended.stderr);
        assert!(!printed.contains(secret), "{ended}");
    }
}

/// Runs it to its end; no secret may be printed.
async fn end(command: &mut Command) -> Ended {
    let ended = run(command).await;
    holds_no_secret(&ended);
    ended
}
