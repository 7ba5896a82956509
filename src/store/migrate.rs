//! The schema: bringing it up to date, and refusing one that this program does not know.

use std::cmp::Ordering;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{Connection as _, PgConnection};

use super::connect::{SEARCH_PATH, connect_plainly, options};
use super::roles::{self, Roles};
use super::{Store, StoreError, refuse_transaction_pooler};

/// The version of the schema that this program was written for (`callq.meta.schema_version`).
pub const SCHEMA_VERSION: i32 = 5;

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
    /// The schema is newer than the program.
    #[error("the schema callq has version {found}, and this program knows only {SCHEMA_VERSION}")]
    Newer {
        /// The schema's version.
        found: i32,
    },
    /// A file of `migrations/` was changed after it had been applied.
    #[error("migration {version} was applied to this database in another form than this program's")]
    OtherForm {
        /// The migration's number.
        version: i64,
    },
    /// A later program has migrated the database.
    #[error("the schema callq has migration {version}, which this program does not know")]
    Unknown {
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
            Self::Newer { .. } | Self::Unknown { .. } => "use a newer callq",
            Self::OtherForm { .. } => "use the program that made the schema, or a newer one",
            Self::Other(_) => "see the database's own log",
        }
    }
}

/// The SQL in `migrations/`, compiled in. sqlx keeps its list of what was applied in the schema
/// `callq` too, so that dropping that schema leaves nothing behind.
fn migrator() -> Migrator {
    let mut migrator = sqlx::migrate!("./migrations");
    migrator.dangerous_set_table_name("callq._sqlx_migrations");
    migrator.create_schema("callq");
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
/// wait for each other. Each file of `migrations/` is applied in a transaction of its own; then the
/// roles are made, if the login may, and the rights of everything that is there now are applied.
///
/// # Errors
/// If the database cannot be reached, the user may not create the schema, or a file that was
/// applied before has been changed since.
pub async fn migrate(url: &str) -> Result<Migrated, StoreError> {
    refuse_transaction_pooler(url).await?;
    let mut connection = connect_plainly(&options(url)?).await?;
    let migrator = migrator();
    let total = migrator.iter().count();
    let before = applied(&mut connection).await?;
    for setting in [SEARCH_PATH, "SET client_min_messages = warning"] {
        sqlx::raw_sql(setting)
            .execute(&mut connection)
            .await
            .map_err(StoreError::during("prepare the migration"))?;
    }
    migrator
        .run(&mut connection)
        .await
        .map_err(|error| match error {
            MigrateError::VersionMismatch(version) => SchemaFault::OtherForm { version }.into(),
            MigrateError::VersionMissing(version) => SchemaFault::Unknown { version }.into(),
            MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) => {
                StoreError::during("migrate the schema callq")(source)
            }
            other => SchemaFault::Other(other).into(),
        })?;
    let roles = roles::apply(&mut connection).await?;
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

impl Store {
    /// Makes sure that the schema is the one this program was written for.
    ///
    /// # Errors
    /// With the way out, if it is missing, older or newer.
    pub async fn check_schema(&self) -> Result<(), StoreError> {
        let connection = self.pool.acquire().await;
        let mut connection = connection.map_err(StoreError::during("look for the schema callq"))?;
        check_schema(&mut connection).await
    }
}

/// The same on one connection. A role that may not read the version, such as a producer, is let
/// through.
pub(super) async fn check_schema(connection: &mut PgConnection) -> Result<(), StoreError> {
    let readable: Option<bool> =
        sqlx::query_scalar("SELECT has_table_privilege(to_regclass('callq.meta')::oid, 'SELECT')")
            .fetch_one(&mut *connection)
            .await
            .map_err(StoreError::during("look for the schema callq"))?;
    match readable {
        Some(true) => {}
        Some(false) => return Ok(()),
        None => return Err(SchemaFault::Missing.into()),
    }
    let meta = sqlx::query!("SELECT schema_version FROM callq.meta")
        .fetch_one(connection)
        .await
        .map_err(StoreError::during("read the schema's version"))?;
    let found = meta.schema_version;
    match found.cmp(&SCHEMA_VERSION) {
        Ordering::Less => Err(SchemaFault::Older { found }.into()),
        Ordering::Equal => Ok(()),
        Ordering::Greater => Err(SchemaFault::Newer { found }.into()),
    }
}
