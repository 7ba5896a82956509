//! Which schemas a program works on: its own, and the next one if that schema lets it.
//!
//! So a schema can be brought up to date first and the programs be replaced one by one afterwards,
//! or put back to what they were.

use semver::Version;
use sqlx::PgConnection;
use tokio::time::timeout;

use super::connect::STATEMENT_MAX;
use super::migrate::SCHEMA_VERSION;
use super::{SchemaFault, Store, StoreError};
use crate::call::readable;

/// A program, as a schema sees it.
#[derive(Clone, Debug)]
pub struct Program {
    /// The schema that it was written for.
    schema: i32,
    version: Version,
}

impl Program {
    /// This one.
    ///
    /// # Panics
    /// Never: cargo refuses to build a package without a version.
    #[must_use]
    pub fn this() -> Self {
        let version = Version::parse(env!("CARGO_PKG_VERSION"));
        let version = version.expect("cargo has read the package's version");
        Self {
            schema: SCHEMA_VERSION,
            version,
        }
    }

    /// What this program will be when it is written for the next schema, for tests of two versions
    /// at once.
    #[doc(hidden)]
    #[must_use]
    pub fn next() -> Self {
        let Self { schema, version } = Self::this();
        let next = Version::new(version.major, version.minor + 1, 0);
        Self {
            schema: schema + 1,
            version: next,
        }
    }

    /// Whether it may work on a schema of version `found` whose `min_binary_version` is `oldest`.
    ///
    /// # Errors
    /// With the way out, if it may not.
    pub fn fits(&self, found: i32, oldest: &str) -> Result<Schema, SchemaFault> {
        if found < self.schema {
            return Err(SchemaFault::Older { found });
        }
        if found > self.schema.saturating_add(1) {
            return Err(SchemaFault::Newer { found });
        }
        let Ok(oldest) = Version::parse(oldest.trim()) else {
            let said = readable(oldest);
            return Err(SchemaFault::Unreadable { found, said });
        };
        if self.version.cmp_precedence(&oldest).is_lt() {
            return Err(SchemaFault::Excludes {
                found,
                oldest: readable(&oldest.to_string()),
                ours: self.version.to_string(),
            });
        }
        Ok(if found == self.schema {
            Schema::Own
        } else {
            Schema::Next { found }
        })
    }
}

/// A schema that a program may work on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// The one it was written for.
    Own,
    /// The next one, which lets it.
    Next {
        /// The schema's version.
        found: i32,
    },
    /// Not known: this login may not read the version, and is let through.
    Hidden,
}

impl Store {
    /// Makes sure that this program may work on the schema.
    ///
    /// # Errors
    /// With the way out, if the schema is missing, older, or newer and does not let it.
    pub async fn check_schema(&self) -> Result<Schema, StoreError> {
        self.check_schema_for(&Program::this()).await
    }

    /// The same for any program.
    pub(crate) async fn check_schema_for(&self, program: &Program) -> Result<Schema, StoreError> {
        const VERB: &str = "look for the schema callq";
        let connection = self.connection().await;
        let mut connection = connection.map_err(StoreError::during(VERB))?;
        let checked = timeout(STATEMENT_MAX, check_schema(&mut connection, program)).await;
        checked.unwrap_or_else(|_| {
            drop(connection.detach());
            Err(StoreError::Silent { verb: VERB })
        })
    }
}

/// The same on one connection.
pub(super) async fn check_schema(
    connection: &mut PgConnection,
    program: &Program,
) -> Result<Schema, StoreError> {
    let readable: Option<bool> =
        sqlx::query_scalar("SELECT has_table_privilege(to_regclass('callq.meta')::oid, 'SELECT')")
            .fetch_one(&mut *connection)
            .await
            .map_err(StoreError::during("look for the schema callq"))?;
    match readable {
        Some(true) => {}
        Some(false) => return Ok(Schema::Hidden),
        None => return Err(SchemaFault::Missing.into()),
    }
    let meta = sqlx::query!("SELECT schema_version, min_binary_version FROM callq.meta")
        .fetch_one(connection)
        .await
        .map_err(StoreError::during("read the schema's version"))?;
    Ok(program.fits(meta.schema_version, &meta.min_binary_version)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(version: &str) -> Program {
        Program {
            schema: 5,
            version: version.parse().expect("a version"),
        }
    }

    fn told(version: &str, found: i32, oldest: &str) -> String {
        match program(version).fits(found, oldest) {
            Ok(Schema::Own) => "own".to_owned(),
            Ok(Schema::Next { found }) => format!("next {found}"),
            Ok(Schema::Hidden) => unreachable!("the version is known here"),
            Err(fault) => format!("{fault}; {}", fault.way_out()),
        }
    }

    #[test]
    fn a_program_works_on_its_schema_and_on_the_next_one_that_lets_it() {
        for (version, found, oldest, expected) in [
            ("0.2.0", 5, "0.1.0", "own"),
            ("0.2.0", 5, "0.2.0", "own"),
            ("0.2.0", 6, "0.1.0", "next 6"),
            ("0.2.0", 6, "0.2.0", "next 6"),
            // By numbers, not by letters.
            ("0.10.0", 6, "0.9.0", "next 6"),
            ("1.0.0", 6, "0.99.99", "next 6"),
            // What was built, and white space, order nothing.
            ("0.2.0+abc", 6, "0.2.0", "next 6"),
            ("0.2.0", 6, "0.2.0+abc", "next 6"),
            ("0.2.0", 6, " 0.2.0\n", "next 6"),
            // A pre-release comes before its release.
            ("0.2.0", 6, "0.2.0-rc.1", "next 6"),
            ("0.2.0-rc.2", 6, "0.2.0-rc.1", "next 6"),
            ("0.2.0-rc.10", 6, "0.2.0-rc.9", "next 6"),
            ("0.3.0-rc.1", 6, "0.2.0", "next 6"),
        ] {
            assert_eq!(
                told(version, found, oldest),
                expected,
                "{version} on {found} from {oldest}"
            );
        }
    }

    #[test]
    fn every_other_schema_is_refused_with_the_way_out() {
        for (version, found, oldest, words) in [
            ("0.2.0", 4, "0.1.0", "has version 4, and this program needs"),
            ("0.2.0", 0, "0.1.0", "run `callq migrate`"),
            ("0.2.0", -1, "0.1.0", "run `callq migrate`"),
            ("0.2.0", 7, "0.1.0", "has version 7, and this program knows"),
            ("0.2.0", i32::MAX, "0.1.0", "use a newer callq"),
            (
                "0.2.0",
                6,
                "0.3.0",
                "version 6 and needs callq 0.3.0 or newer, and this is 0.2.0; use a newer callq",
            ),
            ("0.9.0", 6, "0.10.0", "needs callq 0.10.0 or newer"),
            ("0.2.0", 5, "0.2.1", "version 5 and needs callq 0.2.1"),
            ("0.2.0-rc.1", 6, "0.2.0", "and this is 0.2.0-rc.1"),
            ("0.2.0-rc.9", 6, "0.2.0-rc.10", "needs callq 0.2.0-rc.10"),
            ("0.2.0", 6, "", "does not tell"),
            ("0.2.0", 6, "0.2", "does not tell"),
            ("0.2.0", 6, "v0.2.0", "does not tell"),
            ("0.2.0", 6, "0.2.0.1", "does not tell"),
            ("0.2.0", 6, "\u{1b}[2Jnext", "does not tell"),
            ("0.2.0", 5, "99999999999999999999.0.0", "does not tell"),
        ] {
            let told = told(version, found, oldest);
            assert!(told.contains(words), "{version} on {found}: {told}");
            assert!(!told.chars().any(char::is_control), "{told:?}");
        }
    }

    #[test]
    fn the_largest_schema_has_no_next_one() {
        let program = Program {
            schema: i32::MAX,
            ..program("0.2.0")
        };
        assert_eq!(program.fits(i32::MAX, "0.1.0").ok(), Some(Schema::Own));
    }
}
