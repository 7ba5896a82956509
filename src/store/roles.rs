//! The database roles: making them, and giving them their rights after every migration.
//!
//! The rights themselves are functions of the schema (`migrations/0005_roles.sql`), so that they
//! can be given to any other role too. Making the roles is not in a migration: they belong to the
//! server, not to the database, and a login that may not make roles must still be able to migrate.

use sqlx::PgConnection;

use super::StoreError;

/// The group roles, as `roles.sql` makes them.
pub const ROLES: [&str; 4] = ["callq_enqueue", "callq_worker", "callq_report", "callq_web"];

/// What says who `roles_sql` is for and what comes after it.
const HEAD: &str = "\
-- The roles of callq: callq_enqueue for producers and people, callq_worker for workers,
-- callq_report for reports, callq_web for what takes Tencent's callbacks. Run this in the database
-- that callq is in, as a superuser, or as the owner of the schema callq with CREATEROLE. It is safe
-- to repeat, and does what `callq migrate` does where its login may.
--
-- Nobody can log in as one of them. Give them to your logins:
--
--   GRANT callq_enqueue TO web_app;
--   GRANT callq_worker TO worker_1, worker_2;
--   GRANT callq_report TO analyst;
--   GRANT callq_web TO receiver;
--
-- To be rid of them: DROP OWNED BY callq_enqueue, callq_worker, callq_report, callq_web in every
-- database that has callq, then DROP ROLE.
";

/// What a migration did about the roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Roles {
    /// They are there and have their rights.
    Ready,
    /// At least one is not there, and this login may not make it.
    Missing,
}

/// How often a grant is tried that met another one on the same object.
const TRIES: u32 = 10;

/// The SQL that makes the roles and gives them their rights, for psql.
#[must_use]
pub fn roles_sql() -> String {
    let (roles, rights) = (include_str!("roles.sql"), include_str!("rights.sql"));
    format!("{HEAD}\n{roles}\n{rights}")
}

/// Makes the roles if this login may, and applies the rights of the schema as it is now: to objects
/// that the latest migrations added too.
pub(super) async fn apply(connection: &mut PgConnection) -> Result<Roles, StoreError> {
    let made = sqlx::raw_sql(include_str!("roles.sql"))
        .execute(&mut *connection)
        .await
        .map_err(StoreError::during("make the roles of callq"));
    let roles = match made {
        Ok(_) => Roles::Ready,
        Err(StoreError::Denied { .. }) => Roles::Missing,
        Err(error) => return Err(error),
    };
    for tried in 1.. {
        let applied = sqlx::raw_sql("SELECT callq.apply_rights()")
            .execute(&mut *connection)
            .await;
        match applied {
            // Somebody's own GRANT on the same object; those of other migrations wait for ours.
            Err(error) if tried < TRIES && is_concurrent_update(&error) => {}
            applied => {
                applied.map_err(StoreError::during("apply the rights on the schema callq"))?;
                break;
            }
        }
    }
    Ok(roles)
}

/// "tuple concurrently updated", which has no code of its own.
fn is_concurrent_update(error: &sqlx::Error) -> bool {
    let database = error.as_database_error();
    database.is_some_and(|e| e.code().as_deref() == Some("XX000") && e.message().contains("tuple"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sql_names_every_role() {
        for role in ROLES {
            assert!(include_str!("roles.sql").contains(&format!("'{role}'")));
            assert!(HEAD.contains(&format!("GRANT {role} TO ")));
        }
    }
}
