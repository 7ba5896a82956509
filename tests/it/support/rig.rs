//! A database, a sandbox and workers between them: the whole path, on real parts.

use std::time::Duration;

use callq::call::JobDefaults;
use callq::sandbox::{
    SANDBOX_ADMIN_ACCOUNT, SANDBOX_SDK_APP_ID, SANDBOX_SECRET_KEY, Sandbox, SandboxConfig,
};
use callq::tencent::{Credential, Host, Settings, TencentClient, UserSigs};
use callq::worker::{Worker, WorkerApp, WorkerConfig, WorkerError};
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgListener;
use tokio::process::Command;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::program::{Program, callq};
use super::{Database, look_again};

/// What takes longer than this has not happened. Far above what a slow machine needs, and above the
/// minute that a rescue may rest where its last round was slow.
pub(crate) const SURELY: Duration = Duration::from_mins(2);

/// A database and a sandbox.
pub(crate) struct Rig {
    pub(crate) db: Database,
    pub(crate) sandbox: Sandbox,
}

/// What a test looks at in a job.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct Job {
    pub(crate) state: String,
    pub(crate) reason: Option<String>,
    pub(crate) attempt: i32,
    pub(crate) attempts_used: i32,
    pub(crate) call_id: Option<String>,
    pub(crate) error_code: Option<i64>,
    pub(crate) callee_results: Option<serde_json::Value>,
    pub(crate) waits_s: f64,
}

/// A worker that runs in this process.
pub(crate) struct Running {
    stop: CancellationToken,
    working: JoinHandle<Result<(), WorkerError>>,
}

impl Running {
    /// Stops it gracefully.
    pub(crate) async fn stop(self) -> Result<(), WorkerError> {
        self.stop.cancel();
        timeout(SURELY, self.working)
            .await
            .expect("a worker stops in time")
            .expect("no panic")
    }
}

impl Rig {
    pub(crate) async fn new() -> Self {
        // Its own limit is off: what keeps the pace in these tests is callq.
        Self::with_limit(0).await
    }

    /// With a sandbox that answers 60007 above so many calls per second.
    pub(crate) async fn with_limit(calls_per_second_limit: u32) -> Self {
        Self::on(Database::new().await, calls_per_second_limit).await
    }

    /// The same on a database that is there, with the newest schema.
    pub(crate) async fn on(db: Database, calls_per_second_limit: u32) -> Self {
        let config = SandboxConfig {
            calls_per_second_limit,
            ..SandboxConfig::default()
        };
        Self::between(db, config).await
    }

    /// With a sandbox of the test's own kind.
    pub(crate) async fn with_sandbox(config: SandboxConfig) -> Self {
        Self::between(Database::new().await, config).await
    }

    /// Between a database that is there and a sandbox of the test's own kind.
    pub(crate) async fn between(db: Database, config: SandboxConfig) -> Self {
        // Every change of a job is told, so that a test can wait for one.
        sqlx::raw_sql(
            "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS
               $$ BEGIN PERFORM pg_notify('changes', NEW.id::text); RETURN NULL; END $$;
             CREATE TRIGGER tell AFTER UPDATE ON callq.jobs FOR EACH ROW EXECUTE FUNCTION tell()",
        )
        .execute(db.pool())
        .await
        .unwrap();
        Self {
            db,
            sandbox: Sandbox::start(config).await.unwrap(),
        }
    }

    /// A worker's settings: the defaults, with a pace that no test reaches by itself.
    pub(crate) fn config(&self) -> WorkerConfig {
        self.config_for(&self.sandbox.url())
    }

    /// The same for another host.
    pub(crate) fn config_for(&self, host: &str) -> WorkerConfig {
        WorkerConfig {
            database_url: self.db.url().to_owned(),
            database_url_again: None,
            apps: vec![WorkerApp {
                name: "default".to_owned(),
                client: client(host, SANDBOX_SECRET_KEY, Duration::from_secs(8)),
                ingest: None,
                cam_again: None,
                user_sigs_again: None,
                calls_per_second: Some(5000.0),
                defaults: JobDefaults::default(),
            }],
            concurrency: WorkerConfig::CONCURRENCY,
            poll_interval: WorkerConfig::POLL_INTERVAL,
            lease: WorkerConfig::LEASE,
        }
    }

    /// Starts a worker with the usual settings; it claims when this returns.
    pub(crate) async fn worker(&self) -> Running {
        self.worker_with(self.config()).await
    }

    pub(crate) async fn worker_with(&self, config: WorkerConfig) -> Running {
        let worker = Worker::start(config).await.unwrap();
        let health = worker.health();
        let stop = CancellationToken::new();
        let working = tokio::spawn(worker.run(stop.clone()));
        timeout(SURELY, health.ready())
            .await
            .expect("the worker claims");
        Running { stop, working }
    }

    /// Runs SQL that is written in a test.
    pub(crate) async fn sql(&self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .execute(self.db.pool())
            .await
            .unwrap();
    }

    /// One value from SQL that is written in a test.
    pub(crate) async fn value<T>(&self, sql: &str) -> T
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
    {
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
            .fetch_one(self.db.pool())
            .await
            .unwrap()
    }

    /// Inserts a job to one callee, with further columns as `name => value` SQL, and returns its id.
    pub(crate) async fn insert(&self, callee: &str, columns: &[(&str, &str)]) -> i64 {
        let (mut names, mut values) = (String::new(), String::new());
        for (name, value) in columns {
            names = names + ", " + name;
            values = values + ", " + value;
        }
        self.value(&format!(
            "INSERT INTO callq.jobs (robot_account, callees{names})
             VALUES ('robot', '{{{callee}}}'{values}) RETURNING id"
        ))
        .await
    }

    /// The job as it is now.
    pub(crate) async fn job(&self, id: i64) -> Job {
        sqlx::query_as(
            "SELECT state::text, reason, attempt, attempts_used, call_id, error_code, callee_results,
                 coalesce(extract(epoch FROM coalesce(lease_until, CASE WHEN isfinite(due_at) THEN due_at END) - now())::float8, 0) AS waits_s
             FROM callq.jobs WHERE id = $1",
        )
        .bind(id)
        .fetch_one(self.db.pool())
        .await
        .unwrap()
    }

    /// Waits until the job is as `wanted`.
    pub(crate) async fn until(&self, id: i64, wanted: impl Fn(&Job) -> bool) -> Job {
        let mut changes = PgListener::connect(self.db.url()).await.unwrap();
        changes.listen("changes").await.unwrap();
        let waiting = async {
            loop {
                let job = self.job(id).await;
                if wanted(&job) {
                    return job;
                }
                changes.recv().await.unwrap();
            }
        };
        let Ok(job) = timeout(SURELY, waiting).await else {
            panic!("waited in vain; the job is {:?}", self.job(id).await);
        };
        job
    }

    /// Waits until the job is in this state.
    pub(crate) async fn until_state(&self, id: i64, state: &str) -> Job {
        self.until(id, |job| job.state == state).await
    }

    /// Waits until no job is in another state than these: for longer than it takes until a call is
    /// asked about alone whose record no window had, which is five minutes.
    pub(crate) async fn until_all(&self, states: &str) {
        let mut changes = PgListener::connect(self.db.url()).await.unwrap();
        changes.listen("changes").await.unwrap();
        let others = format!("SELECT count(*) FROM callq.jobs WHERE state NOT IN ({states})");
        let waiting = async {
            while self.value::<i64>(&others).await > 0 {
                changes.recv().await.unwrap();
                // One look for all that came together.
                while changes.next_buffered().is_some() {}
            }
        };
        let in_time = timeout(4 * SURELY, waiting).await.is_ok();
        if in_time {
            return;
        }
        let told = format!(
            "SELECT string_agg(concat_ws(' ', j.id, j.state, j.reason, j.robot_account, j.callees, j.attempt, j.due_at - now(), j.lease_until - now(),
                c.look_at - now(), c.looks, c.call_id), '; ')
             FROM callq.jobs AS j LEFT JOIN callq.calls AS c ON c.job_id = j.id AND c.attempt = j.attempt WHERE j.state NOT IN ({states})"
        );
        let left: Option<String> = self.value(&told).await;
        panic!("waited in vain for {}", left.unwrap_or_default());
    }

    /// Waits until what SQL says is as `wanted`: for what no notification tells.
    pub(crate) async fn until_value<T>(&self, sql: &str, wanted: impl Fn(&T) -> bool)
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
    {
        let waiting = async {
            while !wanted(&self.value(sql).await) {
                look_again().await;
            }
        };
        assert!(
            timeout(4 * SURELY, waiting).await.is_ok(),
            "waited in vain for {sql}"
        );
    }

    /// Waits until no call is followed any more.
    pub(crate) async fn until_settled(&self) {
        self.until_value("SELECT count(*) FROM callq.calls", |calls: &i64| {
            *calls == 0
        })
        .await;
    }

    /// Waits until the app is paused. The pause is written beside the flow, and nothing tells of it.
    pub(crate) async fn until_paused(&self) {
        let paused = async {
            while !self
                .value::<bool>("SELECT paused_at IS NOT NULL FROM callq.apps")
                .await
            {
                look_again().await;
            }
        };
        timeout(SURELY, paused).await.expect("the app is paused");
    }

    /// Waits until the app is no longer paused.
    pub(crate) async fn until_resumed(&self) {
        let resumed = async {
            while !self
                .value::<bool>("SELECT paused_at IS NULL FROM callq.apps")
                .await
            {
                look_again().await;
            }
        };
        timeout(SURELY, resumed).await.expect("the app is resumed");
    }

    /// Waits until the sandbox has read so many requests.
    pub(crate) async fn until_requests(&self, requests: usize) {
        self.sandbox
            .wait_for(SURELY, |l| l.requests().len() >= requests)
            .await
            .unwrap();
    }

    /// Holds the ledger against `callq.attempts`: for every attempt at most one request, and for
    /// every request an attempt of the same room and random.
    pub(crate) async fn audit(&self) {
        let ledger = self.sandbox.ledger();
        let repeated: Vec<_> = ledger.repeated().collect();
        assert!(repeated.is_empty(), "requests came twice: {repeated:?}");
        let attempts: Vec<(String, i64)> =
            sqlx::query_as("SELECT room_id, random FROM callq.attempts WHERE state <> 'not_sent'")
                .fetch_all(self.db.pool())
                .await
                .unwrap();
        for request in ledger.requests() {
            let room = request.room_id.clone().unwrap();
            let random = i64::from(request.random.unwrap());
            assert!(
                attempts.contains(&(room.clone(), random)),
                "a request for room {room} left without an attempt"
            );
        }
    }
}

/// A worker in a process of its own, with these arguments, that may be stopped and killed.
pub(crate) fn process(database_url: &str, host: &str, arguments: &[&str]) -> Program {
    let mut command = callq(["worker"]);
    environment(command.args(arguments), database_url, host).env("CALLQ_CALLS_PER_SECOND", "5000");
    Program::start(&mut command)
}

/// Sets where the database and a sandbox are, and the credentials of its default app.
pub(crate) fn environment<'c>(
    command: &'c mut Command,
    database_url: &str,
    host: &str,
) -> &'c mut Command {
    command
        .env("DATABASE_URL", database_url)
        .env("CALLQ_HOST", host)
        .env("CALLQ_SDK_APP_ID", SANDBOX_SDK_APP_ID.to_string())
        .env("CALLQ_ADMIN_ACCOUNT", SANDBOX_ADMIN_ACCOUNT)
        .env("CALLQ_SECRET_KEY", SANDBOX_SECRET_KEY)
}

/// A client of a sandbox's default app.
pub(crate) fn client(host: &str, key: &str, request_timeout: Duration) -> TencentClient {
    let credential = Credential::SecretKey(key.to_owned().into());
    let sdk_app_id = u32::try_from(SANDBOX_SDK_APP_ID).unwrap();
    TencentClient::new(Settings {
        host: Host::new(host).unwrap(),
        user_sigs: UserSigs::new(sdk_app_id, SANDBOX_ADMIN_ACCOUNT, credential).unwrap(),
        request_timeout,
        https_proxy: None,
    })
    .unwrap()
}
