//! What the catalogue says of rights: nothing is open to everybody, and nothing can be slipped under.

use sqlx::AssertSqlSafe;

use super::{ROLES, run};
use crate::support::Database;

async fn names(database: &Database, sql: &str) -> Vec<String> {
    let names = sqlx::query_scalar(AssertSqlSafe(sql.to_owned()));
    let names = names.fetch_all(database.pool()).await;
    names.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

const NOTHING: Vec<String> = Vec::new();

/// Functions that everybody may call.
const OPEN_FUNCTIONS: &str = "
    SELECT p.proname::text FROM pg_proc AS p
    CROSS JOIN LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
    WHERE p.pronamespace = 'callq'::regnamespace AND a.grantee = 0";

/// Tables, views, sequences and columns that everybody may use.
const OPEN_RELATIONS: &str = "
    SELECT c.relname::text FROM pg_class AS c CROSS JOIN LATERAL aclexplode(c.relacl) AS a
    WHERE c.relnamespace = 'callq'::regnamespace AND a.grantee = 0
    UNION ALL
    SELECT format('%s.%s', c.relname, t.attname) FROM pg_class AS c
    JOIN pg_attribute AS t ON t.attrelid = c.oid CROSS JOIN LATERAL aclexplode(t.attacl) AS a
    WHERE c.relnamespace = 'callq'::regnamespace AND a.grantee = 0";

#[tokio::test]
async fn nothing_is_open_to_everybody() {
    let database = Database::new().await;
    assert_eq!(names(&database, OPEN_FUNCTIONS).await, NOTHING);
    assert_eq!(names(&database, OPEN_RELATIONS).await, NOTHING);
    let schema = "SELECT a.privilege_type || ' ' || a.grantee::regrole FROM pg_namespace AS n CROSS JOIN LATERAL aclexplode(n.nspacl) AS a
        WHERE n.nspname = 'callq' AND a.grantee <> n.nspowner ORDER BY 1";
    let usage = [
        "USAGE callq_enqueue",
        "USAGE callq_report",
        "USAGE callq_web",
        "USAGE callq_worker",
    ];
    assert_eq!(
        names(&database, schema).await,
        usage,
        "and CREATE is nobody's"
    );
    // The questions find what they look for.
    run(&database, "CREATE FUNCTION callq.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'; GRANT SELECT (id) ON callq.jobs TO PUBLIC").await;
    assert_eq!(names(&database, OPEN_FUNCTIONS).await, ["mine"]);
    assert_eq!(names(&database, OPEN_RELATIONS).await, ["jobs.id"]);
}

#[tokio::test]
async fn nobody_may_pass_rights_on_or_delete_but_a_worker_what_it_keeps_for_itself() {
    let database = Database::new().await;
    let too_much = "
        SELECT format('%s on %s for %s', a.privilege_type, c.oid::regclass, a.grantee::regrole)
        FROM pg_class AS c CROSS JOIN LATERAL aclexplode(c.relacl) AS a
        WHERE c.relnamespace = 'callq'::regnamespace AND a.grantee <> c.relowner
          AND (a.is_grantable OR a.privilege_type NOT IN ('SELECT', 'INSERT', 'UPDATE'))
          AND (a.privilege_type, c.relname, a.grantee::regrole::text) NOT IN (
              ('DELETE', 'workers', 'callq_worker'), ('DELETE', 'skipped_firings', 'callq_worker'),
              ('DELETE', 'calls', 'callq_worker'), ('DELETE', 'clock_marks', 'callq_worker'))";
    assert_eq!(names(&database, too_much).await, NOTHING);
}

#[tokio::test]
async fn functions_that_run_with_other_rights_or_for_others_have_a_fixed_search_path() {
    let database = Database::new().await;
    // As another user, or as a trigger of whoever inserts.
    let loose = "
        SELECT p.proname::text FROM pg_proc AS p
        WHERE p.pronamespace = 'callq'::regnamespace AND (p.prosecdef OR p.prorettype = 'trigger'::regtype)
          AND NOT 'search_path=pg_catalog, pg_temp' = ANY (coalesce(p.proconfig, '{}'))";
    assert_eq!(names(&database, loose).await, NOTHING);
    let all = "SELECT p.proname::text FROM pg_proc AS p WHERE p.pronamespace = 'callq'::regnamespace AND p.prosecdef";
    assert!(
        names(&database, all).await.len() >= 9,
        "the question finds the verbs"
    );
}

#[tokio::test]
async fn the_roles_are_groups_without_any_power_of_their_own() {
    let database = Database::new().await;
    for role in ROLES {
        let plain = format!(
            "SELECT rolname::text FROM pg_roles WHERE rolname = '{role}' AND rolinherit AND NOT (rolcanlogin OR rolsuper
                 OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls)"
        );
        assert_eq!(names(&database, &plain).await, [role]);
    }
}

#[tokio::test]
async fn a_migration_applies_the_rights_to_what_was_added_since() {
    let database = Database::new().await;
    let added = "
        CREATE VIEW callq.added AS SELECT 1 AS one;
        CREATE FUNCTION callq.added() RETURNS int LANGUAGE sql AS 'SELECT 1';
        GRANT SELECT ON callq.jobs TO PUBLIC";
    run(&database, added).await;
    callq::worker::migrate(database.url())
        .await
        .expect("it can be repeated");
    assert_eq!(names(&database, OPEN_FUNCTIONS).await, NOTHING);
    assert_eq!(names(&database, OPEN_RELATIONS).await, NOTHING);
    let reads = "SELECT 'yes' WHERE has_table_privilege('callq_report', 'callq.added', 'SELECT')";
    assert_eq!(names(&database, reads).await, ["yes"]);
}
