//! Inserting jobs, with the same rules as any INSERT: one, or many in one transaction.

use std::collections::HashSet;
use std::sync::LazyLock;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sqlx::{Connection as _, PgConnection};

use super::connect::{SESSION, bounded, options};
use super::pooler::connect_to_session;
use super::schema::{Program, check_schema};
use super::{Store, StoreError};

/// A job to insert. What is not here has the column's default.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// `robot_account`.
    pub robot_account: String,
    /// `callees`.
    pub callees: Vec<String>,
    /// How long from now `run_at` is.
    pub due_in: Duration,
}

impl Store {
    /// Inserts one job and returns its id.
    ///
    /// # Errors
    /// If a rule is broken (the database's message names column, fault and what is allowed), or the
    /// database cannot answer.
    pub async fn enqueue(&self, job: &NewJob) -> Result<i64, StoreError> {
        bounded!(
            self,
            "insert a job",
            fetch_one,
            sqlx::query_scalar!(
                r#"INSERT INTO callq.jobs (robot_account, callees, run_at)
               VALUES ($1, $2, now() + $3::float8 * interval '1 second') RETURNING id"#,
                job.robot_account,
                &job.callees,
                job.due_in.as_secs_f64(),
            )
        )
    }
}

/// A job of an [`Import`]; a column that is `None` has its default. Only types are certain here,
/// the rules are the database's.
///
/// No `Debug`: it holds personal data.
#[derive(Clone, Default, Serialize)]
#[allow(missing_docs, reason = "each field is the column of callq.jobs")]
pub struct JobLine {
    /// The line of the input that gave it. Several jobs of one line are refused together.
    #[serde(skip)]
    pub line: u64,
    pub app: Option<String>,
    pub robot_account: Option<String>,
    pub callees: Option<Vec<String>>,
    pub media_type: Option<String>,
    pub room_id: Option<String>,
    pub room_id_type: Option<i32>,
    pub ring_timeout_ms: Option<i64>,
    pub user_data: Option<String>,
    pub offline_push: Option<Box<RawValue>>,
    /// A point in time, as text that PostgreSQL reads.
    pub run_at: Option<String>,
    /// Or how long after the beginning of the import, as an interval.
    pub run_in: Option<String>,
    pub ttl: Option<String>,
    /// As `run_at`, or `infinity`.
    pub expires_at: Option<String>,
    /// As `run_in`.
    pub expires_in: Option<String>,
    pub priority: Option<i32>,
    pub max_attempts: Option<i32>,
    pub on_doubt: Option<String>,
    pub retry_callees: Option<bool>,
    pub idempotency_key: Option<String>,
    pub metadata: Option<Box<RawValue>>,
    pub ring_policy: Option<Box<RawValue>>,
    pub max_call_seconds: Option<i32>,
    pub media_url: Option<String>,
    pub media_options: Option<Box<RawValue>>,
}

/// Many inserts in one transaction, on a connection of its own: all of them are there at once, or
/// none is. Dropping it inserts nothing.
#[derive(Debug)]
pub struct Import {
    connection: PgConnection,
}

/// What became of a batch.
#[derive(Debug, Default)]
pub struct Added {
    /// The new jobs, in the order given.
    pub ids: Vec<i64>,
    /// How many have an idempotency key that was there already.
    pub already_there: usize,
    /// The lines that the database refuses, each once, in the order given; none of their jobs is
    /// inserted.
    pub refused: Vec<Refused>,
}

/// A line that is not inserted.
#[derive(Clone, Debug, Serialize)]
pub struct Refused {
    /// Its number in the input; 0 for what has no lines.
    pub line: u64,
    /// The database's words: the column, the fault and what is allowed.
    pub reason: String,
}

/// What `enqueue_faults.sql` answers with.
#[derive(Deserialize)]
struct Fault {
    nth: usize,
    reason: String,
}

/// How long the transaction may wait for its next jobs, which may come through a slow pipe.
const WAIT_FOR_JOBS: &str = "SET idle_in_transaction_session_timeout = '10min'";

static FIND_FAULTS: LazyLock<String> = LazyLock::new(|| {
    let insert = include_str!("enqueue.sql").replace("$1::text[]", "v_jobs[v_n : v_n]");
    let (_comment, code) = include_str!("enqueue_faults.sql")
        .split_once("DO $do$")
        .expect("the statement follows its comment");
    format!("DO $do${}", code.replace("INSERT_THEM", insert.trim_end()))
});

impl Import {
    /// Opens the transaction, on a connection to `url`.
    ///
    /// # Errors
    /// If the database cannot be reached or has another schema than this program knows.
    pub async fn start(url: &str) -> Result<Self, StoreError> {
        let connection = connect_to_session(&options(url)?).await?;
        let mut import = Self { connection };
        import.say(SESSION).await?;
        check_schema(&mut import.connection, &Program::this()).await?;
        import.say(WAIT_FOR_JOBS).await?;
        import.say("BEGIN").await?;
        Ok(import)
    }

    /// Inserts jobs, but for those of lines that the database refuses.
    ///
    /// The good case is one statement. If it is refused, each job is tried by itself to learn which
    /// lines are to blame, all of that is taken back, and the others are inserted.
    ///
    /// # Errors
    /// If the database cannot answer; the transaction is then lost.
    pub async fn add(&mut self, jobs: &[JobLine]) -> Result<Added, StoreError> {
        let texts: Vec<String> = jobs.iter().map(text).collect();
        self.say("SAVEPOINT batch").await?;
        let added = match self.insert(&texts).await {
            Ok(ids) => Added {
                already_there: texts.len() - ids.len(),
                ids,
                refused: Vec::new(),
            },
            Err(error) if error.is_about_the_data() => {
                self.say("ROLLBACK TO SAVEPOINT batch").await?;
                let refused = self.refused(jobs, &texts).await?;
                let lines: HashSet<u64> = refused.iter().map(|refused| refused.line).collect();
                let good = jobs.iter().zip(texts);
                let good = good.filter(|(job, _)| !lines.contains(&job.line));
                let good: Vec<String> = good.map(|(_, text)| text).collect();
                let ids = self.insert(&good).await?;
                Added {
                    already_there: good.len() - ids.len(),
                    ids,
                    refused,
                }
            }
            Err(error) => return Err(error),
        };
        self.say("RELEASE SAVEPOINT batch").await?;
        Ok(added)
    }

    /// Makes all jobs that were added visible to the workers, at once.
    ///
    /// # Errors
    /// If the database cannot answer: then it is not known whether they are there.
    pub async fn commit(mut self) -> Result<(), StoreError> {
        self.say("COMMIT").await?;
        // What is committed stays so, however the goodbye goes.
        drop(self.connection.close().await);
        Ok(())
    }

    /// Takes everything back.
    ///
    /// # Errors
    /// If the database cannot answer; nothing is inserted then either.
    pub async fn roll_back(mut self) -> Result<(), StoreError> {
        self.say("ROLLBACK").await
    }

    async fn insert(&mut self, texts: &[String]) -> Result<Vec<i64>, StoreError> {
        sqlx::query_file_scalar!("src/store/enqueue.sql", texts)
            .fetch_all(&mut self.connection)
            .await
            .map_err(StoreError::during("insert jobs"))
    }

    /// The lines whose jobs the database refuses, in the order given; leaves nothing inserted.
    async fn refused(
        &mut self,
        jobs: &[JobLine],
        texts: &[String],
    ) -> Result<Vec<Refused>, StoreError> {
        let looking = StoreError::during("look for the jobs it refuses");
        let texts = serde_json::to_string(texts).expect("a list of texts has no other form");
        sqlx::query_scalar::<_, String>("SELECT set_config('callq.lines', $1, true)")
            .bind(texts)
            .fetch_one(&mut self.connection)
            .await
            .map_err(&looking)?;
        self.say(FIND_FAULTS.as_str()).await?;
        let faults: String = sqlx::query_scalar("SELECT current_setting('callq.faults')")
            .fetch_one(&mut self.connection)
            .await
            .map_err(&looking)?;
        // The settings go back with the inserts.
        self.say("ROLLBACK TO SAVEPOINT batch").await?;
        let faults: Vec<Fault> = serde_json::from_str(&faults).expect("the statement makes them");
        let mut refused: Vec<Refused> = Vec::with_capacity(faults.len());
        for Fault { nth, reason } in faults {
            let line = jobs[nth].line;
            if refused.last().is_none_or(|last| last.line != line) {
                refused.push(Refused { line, reason });
            }
        }
        Ok(refused)
    }

    /// Runs a statement that has no result. Not through sqlx's transactions: dropping one in the
    /// middle is what this module avoids, and this connection ends with its import anyway.
    async fn say(&mut self, sql: &'static str) -> Result<(), StoreError> {
        sqlx::raw_sql(sql)
            .execute(&mut self.connection)
            .await
            .map_err(StoreError::during("insert jobs"))?;
        Ok(())
    }
}

fn text(job: &JobLine) -> String {
    serde_json::to_string(job).expect("every field has a JSON form")
}
