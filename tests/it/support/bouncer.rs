//! A real `PgBouncer` in front of a private server.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};

use callq::dev::postgres::PostgresServer;
use tempfile::TempDir;
use tokio::process::Command;

use super::child::open_folder;
use super::program::Program;

/// A running `PgBouncer`; dropping it stops it.
pub(crate) struct Bouncer {
    folder: TempDir,
    program: Program,
    /// Who it runs as, where that is not us.
    owner: Option<(u32, u32)>,
    /// Its settings but for the mode.
    settings: String,
}

/// Where Debian puts it, and wherever else programs are. A test without it fails: a promise that is
/// not looked at is none.
fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let found = folders
        .map(|folder| folder.join("pgbouncer"))
        .find(|file| file.is_file());
    found.expect(
        "PgBouncer is not installed, and this test needs it: run ./test, which installs it, or apt-get install pgbouncer",
    )
}

impl Bouncer {
    /// Starts one in this mode, which further settings may follow, each on a line.
    pub(crate) async fn start(server: &PostgresServer, mode: &str) -> Self {
        let folder = open_folder();
        let settings = format!(
            "[databases]\n* = host={} port=5432 user=callq\n[pgbouncer]\nlisten_addr =\nlisten_port = 6432\n\
             unix_socket_dir = {}\nauth_type = any\npool_mode = ",
            server.socket_dir().display(),
            folder.path().display(),
        );
        // It refuses to run as root, and only the server's user reaches the server's socket.
        let owner = fs::metadata(server.data_dir()).expect("it is there");
        let ours = fs::metadata(folder.path()).expect("it is there").uid();
        let owner = (owner.uid() != ours).then(|| (owner.uid(), owner.gid()));
        let config = write(&folder, &settings, mode);
        if let Some((uid, gid)) = owner {
            for path in [folder.path(), &*config] {
                chown(path, Some(uid), Some(gid)).expect("root may");
            }
        }
        let program = launch(&config, owner).await;
        Self {
            folder,
            program,
            owner,
            settings,
        }
    }

    /// Tells it another mode while it runs.
    pub(crate) async fn reload(&mut self, mode: &str) {
        write(&self.folder, &self.settings, mode);
        self.program.signal(libc::SIGHUP);
        self.program.says("re-reading config").await;
    }

    /// Stops it at once, which ends every connection through it, and starts it again.
    pub(crate) async fn restart(self) -> Self {
        let Self {
            folder,
            program,
            owner,
            settings,
        } = self;
        program.signal(libc::SIGTERM);
        program.end().await;
        let program = launch(&folder.path().join("pgbouncer.ini"), owner).await;
        Self {
            folder,
            program,
            owner,
            settings,
        }
    }

    /// The URL of a database of the server, through it.
    pub(crate) fn url(&self, database: &str) -> String {
        let folder: &Path = self.folder.path();
        format!(
            "postgres:///{database}?host={}&port=6432&user=callq",
            folder.display()
        )
    }
}

fn write(folder: &TempDir, settings: &str, mode: &str) -> PathBuf {
    let config = folder.path().join("pgbouncer.ini");
    fs::write(&config, format!("{settings}{mode}\n")).expect("a test may write files");
    config
}

async fn launch(config: &Path, owner: Option<(u32, u32)>) -> Program {
    let mut command = Command::new(program());
    command.arg(config).kill_on_drop(true).current_dir("/");
    if let Some((uid, gid)) = owner {
        command.uid(uid).gid(gid);
    }
    let mut running = Program::start(&mut command);
    running.says("process up").await;
    running
}
