//! Recurring calls: each firing is one job, or is told as skipped with its reason.
//!
//! Time passes by shifting rows in the database; where a firing's own time has to come, it is a few
//! seconds away.

mod catching_up;
mod changes;
mod faults;
mod firing;
mod meddling;
mod overlaps;
mod speed;
mod sql_rows;
mod withdrawn;
mod zones;

use sqlx::AssertSqlSafe;
use sqlx::postgres::PgListener;
use tokio::time::timeout;

use crate::support::rig::{Rig, SURELY};

/// Every job that is made and every schedule that is moved on is told as well.
const TELL: &str = "
    CREATE TRIGGER tell_made AFTER INSERT ON callq.jobs FOR EACH ROW EXECUTE FUNCTION tell();
    CREATE TRIGGER tell_moved AFTER UPDATE ON callq.schedules FOR EACH ROW EXECUTE FUNCTION tell();";

/// No job is claimed, so that what is made can be looked at.
const HELD: &str = "SELECT callq.pause_all('a test looks at the jobs')";

/// A rig that tells of schedules.
async fn rig() -> Rig {
    let rig = Rig::new().await;
    rig.sql(TELL).await;
    rig
}

/// Inserts a schedule to the callee of the same name, and returns its id.
async fn schedule(rig: &Rig, name: &str, columns: &[(&str, &str)]) -> i64 {
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let values: Vec<&str> = columns.iter().map(|(_, value)| *value).collect();
    rig.value(&format!(
        "INSERT INTO callq.schedules (name, tz, robot_account, callees, {})
         VALUES ('{name}', 'UTC', 'robot', '{{{name}}}', {}) RETURNING id",
        names.join(", "),
        values.join(", ")
    ))
    .await
}

/// `on_times` so many seconds from now, to the second.
fn in_seconds(seconds: &[i32]) -> String {
    let each = seconds.iter().map(|s| {
        format!("to_char(now() AT TIME ZONE 'UTC' + interval '{s} s', 'YYYY-MM-DD HH24:MI:SS')")
    });
    format!("ARRAY[{}]", each.collect::<Vec<_>>().join(", "))
}

/// Waits until the condition holds: it is asked again with every change.
async fn until(rig: &Rig, condition: &str) {
    let mut changes = PgListener::connect(rig.db.url()).await.unwrap();
    changes.listen("changes").await.unwrap();
    let asked = format!("SELECT ({condition}) IS TRUE");
    let holds = async {
        while !rig.value::<bool>(&asked).await {
            changes.recv().await.unwrap();
        }
    };
    if timeout(SURELY, holds).await.is_err() {
        let told = "SELECT (SELECT jsonb_agg(to_jsonb(s)) FROM callq.schedules AS s)::text
            || (SELECT jsonb_agg(to_jsonb(j)) FROM callq.jobs AS j)::text";
        panic!("{condition} in vain: {}", texts(rig, told).await.join("\n"));
    }
}

/// Waits until a worker has looked at every schedule since it was changed.
async fn until_looked_at(rig: &Rig) {
    until(
        rig,
        "NOT EXISTS (SELECT FROM callq.schedules WHERE check_at <= now())",
    )
    .await;
}

/// A column of texts.
async fn texts(rig: &Rig, sql: &str) -> Vec<String> {
    let texts = sqlx::query_scalar::<_, Option<String>>(AssertSqlSafe(sql.to_owned()));
    let texts = texts.fetch_all(rig.db.pool()).await;
    let texts = texts.unwrap_or_else(|error| panic!("{sql}: {error}"));
    texts.into_iter().map(Option::unwrap_or_default).collect()
}

/// What a verb answers.
async fn word(rig: &Rig, verb: &str) -> String {
    texts(rig, &format!("SELECT callq.{verb}::text"))
        .await
        .remove(0)
}

/// What became of the firings of a schedule: `state reason` of each job in order, then `reason
/// count` of each record.
async fn firings(rig: &Rig, id: i64) -> Vec<String> {
    let jobs = format!(
        "SELECT concat_ws(' ', state, reason) FROM callq.jobs WHERE schedule_id = {id} ORDER BY coalesce(nominal_at, run_at), id"
    );
    let records = format!(
        "SELECT 'skipped ' || reason || ' ' || firings FROM callq.skipped_firings WHERE schedule_id = {id} ORDER BY id"
    );
    let mut all = texts(rig, &jobs).await;
    all.extend(texts(rig, &records).await);
    all
}
