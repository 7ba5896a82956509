//! A PostgreSQL with copies of itself: streaming standbys that can be promoted, and backups that can be
//! started. `pg_basebackup` comes with the server's programs; without it these tests fail.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, chown};
use std::path::{Path, PathBuf};

use callq::dev::postgres::{DataDir, Durability, Places, PostgresServer, StartOptions};
use sqlx::{AssertSqlSafe, PgPool};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

use super::child::open_folder;
use super::program::run;
use super::proxy::Upstream;
use super::rig::SURELY;

const DATABASE: &str = "postgres";

/// A server whose data outlive it, as the owner of its database.
pub(crate) struct Node {
    server: Option<PostgresServer>,
    pool: PgPool,
    home: Home,
}

/// The folder of a server, which may not be running.
pub(crate) struct Home {
    folder: TempDir,
}

/// How a copy comes up.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ComesUp {
    /// As it is: a snapshot of the disk.
    AsItIs,
    /// Recovered from an archive, in a timeline of its own.
    Recovered,
    /// As a standby of what listens at this port.
    Following(u16),
}

impl Home {
    fn base(&self) -> PathBuf {
        self.folder.path().join("pg")
    }

    fn data(&self) -> PathBuf {
        self.base().join("data")
    }

    fn set(&self, file: &str, text: &str) {
        let path = self.data().join(file);
        let old = fs::read_to_string(&path).unwrap_or_default();
        fs::write(&path, old + text).expect("a test may write there");
        let owner = fs::metadata(self.data()).expect("it is there");
        chown(&path, Some(owner.uid()), Some(owner.gid())).expect("it is ours, or we are root");
    }

    /// Starts what is there.
    pub(crate) async fn start(self) -> Node {
        let options = StartOptions {
            data: DataDir::Kept(self.base()),
            durability: Durability::Throwaway,
            places: Places::from_env(),
        };
        let started = tokio::task::spawn_blocking(|| PostgresServer::start(options)).await;
        let server = started.expect("no panic").unwrap_or_else(|e| panic!("{e}"));
        let pool = PgPool::connect_lazy(&server.url(DATABASE)).expect("it is a URL");
        Node {
            server: Some(server),
            pool,
            home: self,
        }
    }

    /// Starts the copy.
    pub(crate) async fn come_up(self, how: ComesUp) -> Node {
        match how {
            ComesUp::AsItIs => {}
            ComesUp::Recovered => {
                self.set("postgresql.auto.conf", "\nrestore_command = 'false'\n");
                self.set("recovery.signal", "");
            }
            ComesUp::Following(port) => {
                let primary = format!(
                    "\nprimary_conninfo = 'host=127.0.0.1 port={port} user=callq sslmode=disable'\nwal_retrieve_retry_interval = '100ms'\n"
                );
                self.set("postgresql.auto.conf", &primary);
                self.set("standby.signal", "");
            }
        }
        let node = self.start().await;
        if matches!(how, ComesUp::Recovered) {
            node.until("NOT pg_is_in_recovery()").await;
        }
        node
    }
}

impl Node {
    /// A new server with a migrated database.
    pub(crate) async fn new() -> Self {
        let node = Home {
            folder: open_folder(),
        }
        .start()
        .await;
        super::migrate(node.url()).await;
        node
    }

    fn server(&self) -> &PostgresServer {
        self.server.as_ref().expect("it runs")
    }

    pub(crate) fn url(&self) -> String {
        self.server().url(DATABASE)
    }

    pub(crate) fn upstream(&self) -> Upstream {
        Upstream::Unix(self.server().socket_dir().join(".s.PGSQL.5432"))
    }

    pub(crate) fn bin_dir(&self) -> &Path {
        self.server().bin_dir()
    }

    /// A copy of its data as they are now, which does not run yet.
    pub(crate) async fn copy(&self) -> Home {
        let home = Home {
            folder: open_folder(),
        };
        let owner = fs::metadata(self.server().data_dir()).expect("it is there");
        let base = home.base();
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&base)
            .expect("a test may make folders");
        chown(&base, Some(owner.uid()), Some(owner.gid())).expect("it is ours, or we are root");
        let program = self.bin_dir().join("pg_basebackup");
        let mut command = Command::new(program);
        command.args([
            "-X",
            "stream",
            "-c",
            "fast",
            "--no-sync",
            "-U",
            "callq",
            "-h",
        ]);
        command
            .arg(self.server().socket_dir())
            .arg("-D")
            .arg(home.data())
            .current_dir("/");
        if owner.uid() != fs::metadata(home.folder.path()).expect("it is there").uid() {
            command.uid(owner.uid()).gid(owner.gid());
        }
        run(&mut command).await.with_code(0);
        home
    }

    /// Stops in good order: whoever follows has everything.
    pub(crate) async fn stop(mut self) -> Home {
        self.pool.close().await;
        let server = self.server.take().expect("it runs");
        let stopped = tokio::task::spawn_blocking(move || server.stop()).await;
        stopped.expect("no panic").unwrap_or_else(|e| panic!("{e}"));
        self.home
    }

    /// Ends as if its machine had lost power: no goodbye to whoever follows.
    #[allow(unsafe_code, reason = "std can only kill a child of its own")]
    pub(crate) async fn crash(self) -> Home {
        let pid = libc::pid_t::try_from(self.server().pid()).expect("a process id");
        // SAFETY: two integers; the server is not reaped before it is stopped below.
        let sent = unsafe { libc::kill(pid, libc::SIGQUIT) };
        assert_eq!(sent, 0, "{}", std::io::Error::last_os_error());
        self.stop().await
    }

    /// Makes a standby a primary.
    pub(crate) async fn promote(&self) {
        let done: bool = self.value("SELECT pg_promote()").await;
        assert!(done, "it is promoted within a minute");
    }

    /// From now on commits wait for a standby.
    pub(crate) async fn wait_for_standbys(&self) {
        self.until("EXISTS (SELECT FROM pg_stat_replication WHERE state = 'streaming')")
            .await;
        self.sql("ALTER SYSTEM SET synchronous_standby_names = '*'")
            .await;
        self.sql("SELECT pg_reload_conf()").await;
        self.until("EXISTS (SELECT FROM pg_stat_replication WHERE sync_state = 'sync')")
            .await;
    }

    /// Runs SQL that is written in a test.
    pub(crate) async fn sql(&self, text: &str) {
        let done = sqlx::raw_sql(AssertSqlSafe(text.to_owned())).execute(&self.pool);
        done.await.unwrap_or_else(|error| panic!("{text}: {error}"));
    }

    /// One value from SQL that is written in a test.
    pub(crate) async fn value<T>(&self, sql: &str) -> T
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
    {
        let value = sqlx::query_scalar(AssertSqlSafe(sql.to_owned()));
        let value = value.fetch_one(&self.pool).await;
        value.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Waits until this holds. Nothing tells of most of what is asked here.
    pub(crate) async fn until(&self, condition: &str) {
        let asked = format!("SELECT ({condition}) IS TRUE");
        let holds = async {
            while !self.value::<bool>(&asked).await {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        assert!(timeout(SURELY, holds).await.is_ok(), "in vain: {condition}");
    }

    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }
}
