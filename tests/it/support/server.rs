//! A PostgreSQL of one test's own, which asks every login but its owner for a password.

use std::fs;
use std::path::Path;

use callq::dev::postgres::{PostgresServer, StartOptions};
use sqlx::postgres::PgListener;
use sqlx::{AssertSqlSafe, PgPool};
use tokio::time::timeout;

use super::rig::SURELY;

const DATABASE: &str = "callq";

/// Every change of a job is told, so that a test can wait for one.
const TELL: &str = "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN PERFORM pg_notify('changes', NEW.id::text); RETURN NULL; END $$;
     CREATE TRIGGER tell AFTER UPDATE ON callq.jobs FOR EACH ROW EXECUTE FUNCTION tell()";

/// The server, with a migrated database.
pub(crate) struct Server {
    server: PostgresServer,
    pool: PgPool,
}

impl Server {
    pub(crate) async fn start(options: StartOptions) -> Self {
        let started = tokio::task::spawn_blocking(|| PostgresServer::start(options)).await;
        let server = started.expect("no panic").unwrap_or_else(|e| panic!("{e}"));
        let rules = "local all callq trust\nlocal all all scram-sha-256\n";
        fs::write(server.data_dir().join("pg_hba.conf"), rules).expect("a test may write there");
        let admin = PgPool::connect(&server.url("postgres"))
            .await
            .expect("it is ready");
        sql(&admin, "SELECT pg_reload_conf()").await;
        let there =
            sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)");
        let there: bool = there
            .bind(DATABASE)
            .fetch_one(&admin)
            .await
            .expect("it answers");
        if !there {
            sql(&admin, &format!("CREATE DATABASE {DATABASE}")).await;
            super::migrate(server.url(DATABASE)).await;
        }
        let pool = PgPool::connect(&server.url(DATABASE)).await;
        let pool = pool.expect("it is there");
        if !there {
            sql(&pool, TELL).await;
        }
        Self { server, pool }
    }

    /// As its owner.
    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// The database, as this login.
    pub(crate) fn url(&self, user: &str, password: &str) -> String {
        let folder = self.server.socket_dir().display();
        format!("postgres:///{DATABASE}?host={folder}&user={user}&password={password}")
    }

    /// The folder of its programs.
    pub(crate) fn bin_dir(&self) -> &Path {
        self.server.bin_dir()
    }

    /// Stops it; what is kept can be started again.
    pub(crate) async fn stop(self) {
        self.pool.close().await;
        let stopped = tokio::task::spawn_blocking(move || self.server.stop()).await;
        stopped.expect("no panic").unwrap_or_else(|e| panic!("{e}"));
    }

    /// Waits until this condition holds of the job.
    pub(crate) async fn until(&self, job: i64, condition: &str) {
        let mut changes = PgListener::connect_with(&self.pool).await.unwrap();
        changes.listen("changes").await.unwrap();
        let asked = format!("SELECT ({condition}) IS TRUE FROM callq.jobs WHERE id = {job}");
        let holds = async {
            while !sqlx::query_scalar::<_, bool>(AssertSqlSafe(asked.clone()))
                .fetch_one(&self.pool)
                .await
                .unwrap()
            {
                changes.recv().await.unwrap();
            }
        };
        if timeout(SURELY, holds).await.is_err() {
            let told = format!("SELECT to_jsonb(j)::text FROM callq.jobs AS j WHERE id = {job}");
            let told = sqlx::query_scalar::<_, String>(AssertSqlSafe(told));
            panic!(
                "{condition} in vain: {}",
                told.fetch_one(&self.pool).await.unwrap()
            );
        }
    }

    /// Runs SQL that is written in a test.
    pub(crate) async fn sql(&self, text: &str) {
        sql(&self.pool, text).await;
    }
}

async fn sql(pool: &PgPool, text: &str) {
    let done = sqlx::raw_sql(AssertSqlSafe(text.to_owned()))
        .execute(pool)
        .await;
    done.unwrap_or_else(|error| panic!("{text}: {error}"));
}
