//! A fresh database for each test.
//!
//! With `DATABASE_URL` set, on that server: tests touch only the databases they create there, named
//! `callq_test_...`, and drop them at their end (a killed test run leaves its own behind); the roles
//! that a migration makes stay on that server. Without it, on one private server per test process,
//! which ends with the process.

use std::{env, future::Future, sync::OnceLock, thread};

use callq::dev::postgres::{PostgresServer, StartOptions};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::{runtime, sync::OnceCell};
use url::Url;
use uuid::Uuid;

/// Enough for a few workers in one test; many tests in parallel stay below the server's limit.
const POOL_CONNECTIONS: u32 = 10;

/// The migrated database that every test's own is a copy of.
static TEMPLATE: OnceCell<String> = OnceCell::const_new();

/// A database of one test. Dropped at its end, also when the test fails.
#[derive(Debug)]
pub(crate) struct Database {
    name: String,
    url: String,
    pool: PgPool,
}

impl Database {
    /// A fresh database with the newest schema.
    pub(crate) async fn new() -> Self {
        Self::with(super::migrate).await
    }

    /// A fresh database, copied from the template that `migrate`, given its URL, made once per
    /// process.
    pub(crate) async fn with<F: Future<Output = ()>>(migrate: impl FnOnce(String) -> F) -> Self {
        let template = TEMPLATE.get_or_init(|| make_template(migrate)).await;
        Self::create(Some(template)).await
    }

    /// A fresh database without any schema, for tests of the migrations themselves.
    pub(crate) async fn empty() -> Self {
        Self::create(None).await
    }

    /// Its URL, for sqlx, psql and child processes.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A pool on it, of this test's runtime.
    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }

    async fn create(template: Option<&str>) -> Self {
        let name = fresh_name();
        // template0 never has a connection, which would block the copy.
        let template = template.unwrap_or("template0");
        let is_copy = template != "template0";
        run(format!(r#"CREATE DATABASE "{name}" TEMPLATE "{template}""#)).await;
        let url = server().url(&name);
        if is_copy {
            // A copy could ring what its model rings; workers would wait for `callq recover`.
            let options = url.parse().expect("the server's URL is one");
            let mut connection = connect(&options).await;
            let accepted = sqlx::raw_sql(
                "UPDATE callq.meta SET history_origin = (callq.present_history()).origin",
            )
            .execute(&mut connection);
            accepted.await.expect("the schema is the newest");
            connection.close().await.expect("a connection closes");
        }
        let options = PgPoolOptions::new().max_connections(POOL_CONNECTIONS);
        let pool = options.connect_lazy_with(url.parse().expect("the server's URL is one"));
        Self { name, url, pool }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        drop_database(&self.name);
    }
}

async fn make_template<F: Future<Output = ()>>(migrate: impl FnOnce(String) -> F) -> String {
    let name = fresh_name();
    run(format!(r#"CREATE DATABASE "{name}" TEMPLATE template0"#)).await;
    drop_template_at_exit();
    migrate(server().url(&name)).await;
    name
}

fn fresh_name() -> String {
    format!("callq_test_{}", Uuid::new_v4().simple())
}

async fn run(sql: String) {
    let options: PgConnectOptions = server()
        .url("postgres")
        .parse()
        .expect("the server's URL is one");
    let mut connection = connect(&options).await;
    let done = sqlx::raw_sql(AssertSqlSafe(sql.clone()))
        .execute(&mut connection)
        .await;
    done.unwrap_or_else(|error| panic!("could not run {sql}: {error}"));
    connection.close().await.expect("a connection closes");
}

async fn connect(options: &PgConnectOptions) -> PgConnection {
    let connected = options.clone().disable_statement_logging().connect().await;
    connected.unwrap_or_else(|error| panic!("could not connect to the test server: {error}"))
}

/// Blocks. From a thread and runtime of its own, since `Drop` and the exit hook have none to offer.
fn drop_database(name: &str) {
    let sql = format!(r#"DROP DATABASE IF EXISTS "{name}" WITH (FORCE)"#);
    let dropping = thread::spawn(move || {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime starts").block_on(run(sql));
    });
    // A failure has printed itself; a second panic would abort a test that is already failing.
    let _printed = dropping.join();
}

#[allow(
    unsafe_code,
    reason = "statics are never dropped, and the template must not stay on a user's server"
)]
fn drop_template_at_exit() {
    extern "C" fn hook() {
        if let (Some(name), Server::Given(_)) = (TEMPLATE.get(), server()) {
            drop_database(name);
        }
    }
    // SAFETY: the function lives as long as the program and cannot unwind: what may panic is in a
    // thread of its own.
    let rc = unsafe { libc::atexit(hook) };
    assert_eq!(rc, 0, "the exit hook is accepted");
}

/// The server of this test process.
enum Server {
    Given(Url),
    Private(PostgresServer),
}

impl Server {
    fn url(&self, database: &str) -> String {
        match self {
            Self::Private(server) => server.url(database),
            // The database in DATABASE_URL is the one we may log in to; ours are its neighbours.
            Self::Given(url) if database == "postgres" => url.to_string(),
            Self::Given(url) => {
                let mut url = url.clone();
                url.set_path(database);
                url.to_string()
            }
        }
    }
}

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| match env::var("DATABASE_URL") {
        Ok(url) if !url.is_empty() => Server::Given(url.parse().expect("DATABASE_URL is a URL")),
        _ => Server::Private(
            PostgresServer::start(StartOptions::throwaway())
                .unwrap_or_else(|error| panic!("{error}")),
        ),
    })
}
