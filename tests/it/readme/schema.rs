//! `docs/schema.md`, made from the database's comments.

use std::fmt::Write as _;

use sqlx::{AssertSqlSafe, PgPool, Row as _};

use super::pages::{Page, table};
use crate::support::Database;

const SCHEMA: Page = Page("docs/schema.md");

const HEAD: &str = "# The schema callq

Made from the database's own comments by `tests/it/readme/schema.rs`; `\\d+ callq.*` in psql shows
the same. This is callq's interface: columns and functions named here keep their meaning, and a
change is told in the changelog. `jobs` is yours to insert into and to update while a job is
scheduled; the verbs do the rest. The other tables are for reading.
";

const RELATIONS: &str = "
    SELECT c.relname::text, obj_description(c.oid, 'pg_class')
    FROM pg_class AS c
    WHERE c.relnamespace = 'callq'::regnamespace AND c.relkind = $1::\"char\"
        AND c.relname NOT LIKE '\\_%'
    ORDER BY c.relname <> 'jobs', c.relname <> 'attempts', c.relname";

pub(super) const COLUMNS: &str = "
    SELECT a.attname::text, format_type(a.atttypid, a.atttypmod)
            || CASE WHEN a.attnotnull THEN '' ELSE ', may be NULL' END,
        col_description(a.attrelid, a.attnum)
    FROM pg_attribute AS a
    WHERE a.attrelid = ('callq.' || $1)::regclass AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attnum";

/// Without what only triggers and other functions call.
const FUNCTIONS: &str = "
    SELECT p.proname::text, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid),
        obj_description(p.oid, 'pg_proc'), p.prorettype = 'trigger'::regtype
    FROM pg_proc AS p
    WHERE p.pronamespace = 'callq'::regnamespace
    ORDER BY p.proname";

const TYPES: &str = "
    SELECT t.typname::text, string_agg(e.enumlabel, ', ' ORDER BY e.enumsortorder),
        obj_description(t.oid, 'pg_type')
    FROM pg_type AS t JOIN pg_enum AS e ON e.enumtypid = t.oid
    WHERE t.typnamespace = 'callq'::regnamespace
    GROUP BY t.oid ORDER BY t.typname";

/// The rows of a query, each column as text; a missing comment fails the test.
pub(super) async fn rows<const N: usize>(
    pool: &PgPool,
    sql: &str,
    given: &[&str],
) -> Vec<[String; N]> {
    let mut query = sqlx::query(AssertSqlSafe(sql.to_owned()));
    for value in given {
        query = query.bind((*value).to_owned());
    }
    let rows = query
        .fetch_all(pool)
        .await
        .expect("the catalogue can be read");
    let text = |row: &sqlx::postgres::PgRow, column: usize| -> String {
        let text: Option<String> = row.get(column);
        text.unwrap_or_else(|| panic!("{} has no comment", row.get::<String, _>(0)))
    };
    rows.iter()
        .map(|row| std::array::from_fn(|column| text(row, column)))
        .collect()
}

async fn relations(pool: &PgPool, kind: &str, page: &mut String) {
    for [name, comment] in rows(pool, RELATIONS, &[kind]).await {
        let columns: Vec<[String; 3]> = rows(pool, COLUMNS, &[&name]).await;
        // PostgreSQL does not know which columns of a view may be NULL.
        let columns = columns.into_iter().map(|[column, of_type, what]| {
            let of_type = match kind {
                "v" => of_type.replace(", may be NULL", ""),
                _ => of_type,
            };
            [format!("`{column}`"), of_type, what]
        });
        let columns = table(["column", "type", "what"], columns);
        write!(page, "\n### callq.{name}\n\n{comment}\n\n{columns}").expect("a String takes all");
    }
}

async fn functions(pool: &PgPool) -> String {
    let sql = FUNCTIONS.replace(
        "p.prorettype = 'trigger'::regtype",
        "CASE WHEN p.prorettype = 'trigger'::regtype THEN 'trigger' ELSE '' END",
    );
    let all: Vec<[String; 5]> = rows(pool, &sql, &[]).await;
    let called = all.into_iter().filter(|function| function[4].is_empty());
    let lines = called.map(|[name, arguments, result, comment, _]| {
        [
            format!("`callq.{name}({arguments})`"),
            format!("`{result}`"),
            comment,
        ]
    });
    table(["function", "returns", "what"], lines)
}

#[tokio::test]
async fn the_page_of_the_schema_is_what_the_database_says_of_itself() {
    let database = Database::new().await;
    let pool = database.pool();
    let mut page = HEAD.to_owned();
    page.push_str("\n## Tables\n");
    relations(pool, "r", &mut page).await;
    page.push_str("\n## Views\n");
    relations(pool, "v", &mut page).await;
    page.push_str("\n## Functions\n\n");
    page.push_str(&functions(pool).await);
    page.push_str("\n## Types\n\n");
    let types: Vec<[String; 3]> = rows(pool, TYPES, &[]).await;
    page.push_str(&table(["type", "values", "what"], types.into_iter()));
    page.push_str("\n## Reasons\n\n");
    let reasons = "SELECT '`' || reason || '`', sentence, next_step FROM callq.reasons ORDER BY 1";
    let reasons: Vec<[String; 3]> = rows(pool, reasons, &[]).await;
    page.push_str(&table(
        ["reason", "what it means", "what to do"],
        reasons.into_iter(),
    ));
    SCHEMA.keep_all(&page);
}
