//! Everything that a run is made of, and the log of what was done to it.

use std::{
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use callq::dev::postgres::{DataDir, Durability, Places, PostgresServer, StartOptions};
use callq::sandbox::{Sandbox, SandboxConfig};
use sqlx::{AssertSqlSafe, ConnectOptions as _, PgPool, postgres::PgPoolOptions};

use crate::{
    crew::{Crew, Terms, now_us},
    disk::Disk,
    pulse::Pulse,
    schedule::Down,
};

const DATABASE: &str = "callq_chaos";

/// The parts of a run.
pub(crate) struct Plant {
    pub(crate) disk: Disk,
    pub(crate) sandbox: Sandbox,
    pub(crate) crew: Crew,
    /// Straight to the server, past every proxy.
    pub(crate) pool: PgPool,
    pub(crate) terms: Terms,
    pub(crate) pulse: Pulse,
    server: tokio::sync::Mutex<Option<PostgresServer>>,
    log: Mutex<Vec<(i64, String)>>,
    /// Nothing is to be mended any more.
    closing: AtomicBool,
}

impl Plant {
    pub(crate) async fn build(
        disk: Disk,
        workers: usize,
        terms: Terms,
        logs: &Path,
        rng: &mut fastrand::Rng,
    ) -> Self {
        let server = start(disk.data()).await.unwrap_or_else(|e| panic!("{e}"));
        let admin = pool(&server.url("postgres"));
        for sql in [
            format!("CREATE DATABASE {DATABASE}"),
            // Small, so that the disk may be small.
            "ALTER SYSTEM SET max_wal_size = '128MB'".to_owned(),
            "ALTER SYSTEM SET min_wal_size = '64MB'".to_owned(),
            // Its crashes and recoveries; not every statement that met a fault.
            "ALTER SYSTEM SET log_min_messages = 'log'".to_owned(),
            "SELECT pg_reload_conf()".to_owned(),
        ] {
            sqlx::raw_sql(AssertSqlSafe(sql))
                .execute(&admin)
                .await
                .unwrap();
        }
        let synced: String = sqlx::query_scalar("SHOW fsync")
            .fetch_one(&admin)
            .await
            .unwrap();
        assert_eq!(synced, "on", "what is committed survives");
        let url = server.url(DATABASE);
        callq::worker::migrate(&url).await.expect("it is empty");
        let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
        let crew = Crew::start(workers, &url, &sandbox, terms, logs, rng).await;
        Self {
            disk,
            sandbox,
            crew,
            pool: pool(&url),
            terms,
            pulse: Pulse::start(),
            server: tokio::sync::Mutex::new(Some(server)),
            log: Mutex::default(),
            closing: AtomicBool::new(false),
        }
    }

    /// Keeps a line for the history of a failure.
    pub(crate) fn note(&self, line: impl Into<String>) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.push((now_us(), line.into()));
    }

    pub(crate) fn notes(&self) -> Vec<(i64, String)> {
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Takes PostgreSQL down and brings it up again, however long that takes.
    pub(crate) async fn restart(&self, down: Down) {
        let mut held = self.server.lock().await;
        if let Some(server) = held.take() {
            match down {
                Down::Fast => {}
                Down::Immediate => signal(server.pid(), libc::SIGQUIT),
                Down::Crash => {
                    // One of its processes; the server does the rest itself.
                    let victims = "SELECT pid FROM pg_stat_activity WHERE application_name = 'callq' ORDER BY random() LIMIT 1";
                    let victim: Result<i32, _> =
                        sqlx::query_scalar(victims).fetch_one(&self.pool).await;
                    if let Ok(pid) = victim {
                        signal(u32::try_from(pid).expect("a process id"), libc::SIGKILL);
                    }
                    *held = Some(server);
                    return;
                }
            }
            let stopped = tokio::task::spawn_blocking(move || server.stop()).await;
            stopped.expect("no panic").unwrap_or_else(|e| panic!("{e}"));
        }
        *held = Some(self.start_again().await);
    }

    /// Brings PostgreSQL up where it has ended by itself, until the plant is closed.
    pub(crate) async fn watch(&self) {
        let mut said = String::new();
        while !self.closing.load(Ordering::SeqCst) {
            let mut held = self.server.lock().await;
            if let Some(server) = held.as_ref() {
                let tail = server.log_tail();
                for line in tail.lines().filter(|line| !said.contains(line)) {
                    self.note(format!("PostgreSQL: {line}"));
                }
                said = tail;
            }
            let gone = |s: &PostgresServer| !Path::new(&format!("/proc/{}", s.pid())).exists();
            if let Some(server) = held.take_if(|server| gone(server)) {
                self.note("PostgreSQL had ended by itself");
                drop(server);
                *held = Some(self.start_again().await);
            }
            drop(held);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn start_again(&self) -> PostgresServer {
        loop {
            match start(self.disk.data()).await {
                Ok(server) => return server,
                Err(error) => self.note(format!("PostgreSQL does not start yet: {error}")),
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    /// Stops what is left.
    pub(crate) async fn close(self) {
        self.closing.store(true, Ordering::SeqCst);
        self.pool.close().await;
        if let Some(server) = self.server.lock().await.take() {
            let _stopped = tokio::task::spawn_blocking(move || server.stop()).await;
        }
    }
}

async fn start(data: std::path::PathBuf) -> Result<PostgresServer, String> {
    let options = StartOptions {
        data: DataDir::Kept(data),
        durability: Durability::Durable,
        places: Places::from_env(),
    };
    let started = tokio::task::spawn_blocking(|| PostgresServer::start(options)).await;
    started
        .expect("no panic")
        .map_err(|error| error.to_string())
}

/// Connections that are given up soon: what is asked through them is asked again.
pub(crate) fn pool(url: &str) -> PgPool {
    let options: sqlx::postgres::PgConnectOptions = url.parse().expect("the server's URL is one");
    let options = options
        .application_name("chaos")
        .disable_statement_logging();
    PgPoolOptions::new()
        .max_connections(10)
        .acquire_timeout(Duration::from_secs(3))
        .connect_lazy_with(options.options([("statement_timeout", "5s"), ("lock_timeout", "2s")]))
}

#[allow(unsafe_code, reason = "std can only kill a child")]
fn signal(pid: u32, signal: i32) {
    let pid = libc::pid_t::try_from(pid).expect("a process id");
    assert!(pid > 1, "a signal goes to one process");
    // SAFETY: two integers; the process is our server's or ours to end.
    unsafe { libc::kill(pid, signal) };
}
