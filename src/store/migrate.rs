//! The schema: bringing it up to date, and refusing one that this program does not know.

use std::time::Duration;

use sqlx::migrate::{Migrate as _, MigrateError, Migrator};
use sqlx::{Connection as _, PgConnection};
use tokio::time::sleep;

use super::StoreError;
use super::connect::{SEARCH_PATH, options};
use super::pooler::connect_to_session;
use super::roles::{self, Roles};
use crate::call::readable;

/// The version of the schema that this program was written for (`callq.meta.schema_version`).
pub const SCHEMA_VERSION: i32 = 15;

/// What is wrong with the schema of a database. What to do about it is
/// [`SchemaFault::way_out`].
#[derive(Debug, thiserror::Error)]
pub enum SchemaFault {
    /// Nobody has migrated this database.
    #[error("this database has no schema callq")]
    Missing,
    /// The program is newer than the schema.
    #[error("the schema callq has version {found}, and this program needs {SCHEMA_VERSION}")]
    Older {
        /// The schema's version.
        found: i32,
    },
    /// The schema is newer than the next one.
    #[error(
        "the schema callq has version {found}, and this program knows {SCHEMA_VERSION} and works \
         with the next at most"
    )]
    Newer {
        /// The schema's version.
        found: i32,
    },
    /// The schema does not let so old a program work on it.
    #[error(
        "the schema callq has version {found} and needs callq {oldest} or newer, and this is {ours}"
    )]
    Excludes {
        /// The schema's version.
        found: i32,
        /// The oldest version that it lets.
        oldest: String,
        /// The program's version.
        ours: String,
    },
    /// The schema names no version as the oldest that it lets.
    #[error(
        "the schema callq has version {found} and does not tell which callq it lets: \
         callq.meta.min_binary_version is \"{said}\""
    )]
    Unreadable {
        /// The schema's version.
        found: i32,
        /// What stands there, fit to be read.
        said: String,
    },
    /// A later program has migrated the database further than this one can.
    #[error(
        "the schema callq has version {found}, and this program migrates to {SCHEMA_VERSION}; \
         nothing is changed"
    )]
    Ahead {
        /// The schema's version.
        found: i32,
    },
    /// A file of `migrations/` was changed after it had been applied.
    #[error(
        "migration {version} was applied to this database in another form than this program's; \
         nothing is changed"
    )]
    OtherForm {
        /// The migration's number.
        version: i64,
    },
    /// A later program has migrated the database.
    #[error(
        "the schema callq has migration {version}, which this program does not know; nothing is \
         changed"
    )]
    Unknown {
        /// The migration's number.
        version: i64,
    },
    /// A migration was refused, and taken back as a whole.
    #[error("migration {version} could not be applied, and nothing of it is left: {said}")]
    Refused {
        /// The migration's number.
        version: i64,
        /// What the database said, fit to be read.
        said: String,
    },
    /// The list of migrations says that one was begun and not finished, which none of callq's can
    /// be: each is one transaction.
    #[error(
        "callq._sqlx_migrations says that migration {version} was applied in part, which callq \
         never does: somebody else has written there; nothing is changed"
    )]
    Partly {
        /// The migration's number.
        version: i64,
    },
    /// Anything else that the migrator says.
    #[error("could not migrate the schema callq: {0}")]
    Other(MigrateError),
}

impl SchemaFault {
    /// What to do about it.
    #[must_use]
    pub const fn way_out(&self) -> &'static str {
        match self {
            Self::Missing | Self::Older { .. } => "run `callq migrate`",
            Self::Newer { .. }
            | Self::Excludes { .. }
            | Self::Ahead { .. }
            | Self::Unknown { .. } => "use a newer callq",
            Self::Unreadable { .. } => {
                "use a newer callq, or set that column to the oldest version that may work, as in \
                 0.1.0"
            }
            Self::Refused { .. } => "mend what the database names, then run `callq migrate` again",
            Self::Partly { .. } => {
                "find out who did, or restore a backup; set success there to true only where \
                 everything that the migration makes is in the schema"
            }
            Self::OtherForm { .. } => "use the program that made the schema, or a newer one",
            Self::Other(_) => "see the database's own log",
        }
    }
}

/// How often a migration is tried that waits for a lock, and what is waited between two tries. All
/// who want that table wait behind it meanwhile, the workers among them, so that each try is short.
const TRIES: u32 = 60;
const BETWEEN_TRIES: Duration = Duration::from_secs(1);

/// What a migration's session is set to.
///
/// - `lock_timeout`: a third of what the workers' statements wait, see `TRIES`.
/// - `statement_timeout`: a login's own limit would end a migration of a large table.
const SETTINGS: &str = "SET client_min_messages = warning; SET lock_timeout = '1s'; \
    SET statement_timeout = 0";

/// The SQL in `migrations/`, compiled in. sqlx keeps its list of what was applied in the schema
/// `callq` too, so that dropping that schema leaves nothing behind.
fn migrator() -> Migrator {
    let mut migrator = sqlx::migrate!("./migrations");
    migrator.dangerous_set_table_name("callq._sqlx_migrations");
    migrator.create_schema("callq");
    // Ours is held until the rights are applied too, and is waited for without a limit.
    migrator.set_locking(false);
    migrator
}

/// What a migration did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// How many migrations were applied now.
    pub applied: usize,
    /// How many the schema has in all.
    pub total: usize,
    /// Whether the roles are there.
    pub roles: Roles,
}

/// Brings the schema `callq` of the database at `url` up to date. Several may run at once; they
/// wait for each other. Each file of `migrations/` is applied in a transaction of its own, which
/// waits for a lock in short steps, so that nobody waits for long behind it; then the roles are
/// made, if the login may, and the rights of everything that is there now are applied.
///
/// # Errors
/// If the database cannot be reached, the user may not create the schema, a lock is not to be had
/// for two minutes, the schema is of a newer program, or a file that was applied before has been
/// changed since.
pub async fn migrate(url: &str) -> Result<Migrated, StoreError> {
    let mut connection = connect_to_session(&options(url)?).await?;
    let migrator = migrator();
    let total = migrator.iter().count();
    set(&mut connection, SEARCH_PATH).await?;
    connection.lock().await.map_err(fault)?;
    set(&mut connection, SETTINGS).await?;
    refuse_newer(&mut connection).await?;
    let before = applied(&mut connection).await?;
    run(&migrator, &mut connection).await?;
    set(&mut connection, "SET lock_timeout = 0").await?;
    let roles = roles::apply(&mut connection).await?;
    // The lock ends with it.
    connection
        .close()
        .await
        .map_err(StoreError::during("close the connection"))?;
    Ok(Migrated {
        applied: total.saturating_sub(before),
        total,
        roles,
    })
}

async fn set(connection: &mut PgConnection, settings: &'static str) -> Result<(), StoreError> {
    let done = sqlx::raw_sql(settings).execute(connection).await;
    done.map(drop)
        .map_err(StoreError::during("prepare the migration"))
}

/// Applies what is missing; tries again where a lock was not to be had.
async fn run(migrator: &Migrator, connection: &mut PgConnection) -> Result<(), StoreError> {
    let mut tried = 1;
    loop {
        match migrator.run(&mut *connection).await {
            Err(error) if tried < TRIES && is_locked_out(&error) => {
                if tried == 1 {
                    tracing::warn!(
                        "somebody holds a lock that the migration needs; it is tried again"
                    );
                }
                tried += 1;
                sleep(BETWEEN_TRIES).await;
            }
            ran => return ran.map_err(fault),
        }
    }
}

/// `lock_not_available` (SQLSTATE 55P03), or `deadlock_detected` (40P01): a statement of a worker
/// may lock two tables in the other order.
fn is_locked_out(error: &MigrateError) -> bool {
    let (MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _)) = error else {
        return false;
    };
    let database = source.as_database_error();
    database.is_some_and(|error| matches!(error.code().as_deref(), Some("55P03" | "40P01")))
}

/// What the migrator says, as a person must act on it.
fn fault(error: MigrateError) -> StoreError {
    let locked_out = is_locked_out(&error);
    match error {
        MigrateError::VersionMismatch(version) => SchemaFault::OtherForm { version }.into(),
        MigrateError::VersionMissing(version) => SchemaFault::Unknown { version }.into(),
        MigrateError::Dirty(version) => SchemaFault::Partly { version }.into(),
        MigrateError::ExecuteMigration(sqlx::Error::Database(source), version)
            if !locked_out && source.code().as_deref() != Some("42501") =>
        {
            let said = readable(source.message());
            SchemaFault::Refused { version, said }.into()
        }
        MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) => {
            StoreError::during("migrate the schema callq")(source)
        }
        other => SchemaFault::Other(other).into(),
    }
}

/// A schema whose version is above ours is left alone, whatever the list of migrations says.
async fn refuse_newer(connection: &mut PgConnection) -> Result<(), StoreError> {
    const VERB: &str = "read the schema's version";
    let exists: bool = sqlx::query_scalar("SELECT to_regclass('callq.meta') IS NOT NULL")
        .fetch_one(&mut *connection)
        .await
        .map_err(StoreError::during(VERB))?;
    if !exists {
        return Ok(());
    }
    let found: Option<i32> = sqlx::query_scalar("SELECT schema_version FROM callq.meta")
        .fetch_optional(connection)
        .await
        .map_err(StoreError::during(VERB))?;
    match found {
        Some(found) if found > SCHEMA_VERSION => Err(SchemaFault::Ahead { found }.into()),
        _ => Ok(()),
    }
}

/// How many migrations the database has.
async fn applied(connection: &mut PgConnection) -> Result<usize, StoreError> {
    let exists: bool =
        sqlx::query_scalar("SELECT to_regclass('callq._sqlx_migrations') IS NOT NULL")
            .fetch_one(&mut *connection)
            .await
            .map_err(StoreError::during("look for the schema callq"))?;
    if !exists {
        return Ok(0);
    }
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM callq._sqlx_migrations")
        .fetch_one(connection)
        .await
        .map_err(StoreError::during("count the migrations"))?;
    Ok(usize::try_from(count).unwrap_or(0))
}
