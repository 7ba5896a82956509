//! Two versions of callq at once: frozen migrations, upgrades from every schema there was, and workers
//! on a schema that comes after theirs.

mod frozen;
mod live;
mod migrate;
mod next;
mod upgrade;

use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

/// The migrations as `callq migrate` applies them.
fn migrations() -> Migrator {
    let mut migrator = sqlx::migrate!("./migrations");
    migrator.dangerous_set_table_name("callq._sqlx_migrations");
    migrator.create_schema("callq");
    migrator
}

/// Brings the database at `url` to the schema as it was after this migration.
async fn migrate_to(url: &str, migration: i64) {
    let mut session = PgConnection::connect(url).await.unwrap();
    let search_path = sqlx::raw_sql("SET search_path = pg_catalog, pg_temp");
    search_path.execute(&mut session).await.unwrap();
    migrations().run_to(migration, &mut session).await.unwrap();
    session.close().await.unwrap();
}

/// The migration that is made up for these tests: the schema after the newest, which lets programs
/// from this version on work.
fn next_schema(oldest: &str) -> String {
    format!(
        "{}\nUPDATE callq.meta SET schema_version = schema_version + 1, min_binary_version = '{oldest}';",
        include_str!("versions/next_schema.sql")
    )
}

/// One text that SQL written in a test gives.
async fn one(url: &str, sql: &str) -> String {
    let mut session = PgConnection::connect(url).await.unwrap();
    let told = sqlx::query_scalar(AssertSqlSafe(sql.to_owned()));
    told.fetch_one(&mut session).await.unwrap()
}
