//! A real `PgBouncer` in front of a private server, where it is installed.

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
    _program: Program,
}

/// Where Debian puts it, and wherever else programs are.
fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders
        .map(|folder| folder.join("pgbouncer"))
        .find(|file| file.is_file())
}

impl Bouncer {
    /// Starts one in this mode, or says on the test's output why it cannot.
    pub(crate) async fn start(server: &PostgresServer, mode: &str) -> Option<Self> {
        let Some(program) = program() else {
            println!("skipped: PgBouncer is not installed (Debian: apt-get install pgbouncer)");
            return None;
        };
        let folder = open_folder();
        let config = folder.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host={} port=5432 user=callq\n[pgbouncer]\nlisten_addr =\nlisten_port = 6432\n\
             unix_socket_dir = {}\nauth_type = any\npool_mode = {mode}\n",
            server.socket_dir().display(),
            folder.path().display(),
        );
        fs::write(&config, text).expect("a test may write files");
        let mut command = Command::new(program);
        command.arg(&config).kill_on_drop(true).current_dir("/");
        // It refuses to run as root, and only the server's user reaches the server's socket.
        let owner = fs::metadata(server.data_dir()).expect("it is there");
        let ours = fs::metadata(folder.path()).expect("it is there").uid();
        if owner.uid() != ours {
            for path in [folder.path(), &*config] {
                chown(path, Some(owner.uid()), Some(owner.gid())).expect("root may");
            }
            command.uid(owner.uid()).gid(owner.gid());
        }
        let mut running = Program::start(&mut command);
        running.says("process up").await;
        Some(Self {
            folder,
            _program: running,
        })
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
