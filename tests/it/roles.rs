//! The roles with real logins: what each may do, what none may, and how they come to be.

mod catalogue;
mod connections;
mod migrate;
mod programs;
mod statements;

use std::future::Future;
use std::panic::resume_unwind;
use std::sync::Arc;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use url::Url;
use uuid::Uuid;

use crate::support::Database;

/// The group roles.
const ROLES: [&str; 4] = ["callq_enqueue", "callq_worker", "callq_report", "callq_web"];

/// A login that is a member of one role at most.
#[derive(Clone)]
struct Login {
    name: String,
    /// The database, as this login.
    url: String,
}

impl Login {
    async fn member_of(role: Option<&str>, database: &Database) -> Self {
        let name = format!("callq_test_{}", Uuid::new_v4().simple());
        let group = role.map_or_else(String::new, |role| format!(" IN ROLE {role}"));
        run(
            database,
            &format!("CREATE ROLE {name} LOGIN PASSWORD '{name}'{group}"),
        )
        .await;
        let url = url_of(database.url(), &name);
        Self { name, url }
    }

    async fn connect(&self) -> PgConnection {
        let connected = PgConnection::connect(&self.url).await;
        connected.expect("the login may connect")
    }
}

/// The same database as another user, whose password is its name.
pub(crate) fn url_of(url: &str, user: &str) -> String {
    let mut url: Url = url.parse().expect("it is a URL");
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let others = pairs
        .iter()
        .filter(|(name, _)| name != "user" && name != "password");
    let others: Vec<_> = others.cloned().collect();
    url.query_pairs_mut()
        .clear()
        .extend_pairs(others)
        .extend_pairs([("user", user), ("password", user)]);
    if !url.username().is_empty() {
        url.set_username(user).expect("it has a host");
        url.set_password(Some(user)).expect("it has a host");
    }
    url.into()
}

/// Runs SQL that is written in a test, as the owner.
async fn run(database: &Database, sql: &str) {
    let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(database.pool());
    done.await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// The SQLSTATE and the message if it is refused.
async fn refused(session: &mut PgConnection, sql: &str) -> Option<(String, String)> {
    let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(session)
        .await;
    match done {
        Ok(_) => None,
        Err(sqlx::Error::Database(error)) => {
            let code = error.code().unwrap_or_default().into_owned();
            Some((code, error.message().to_owned()))
        }
        Err(error) => panic!("{sql}: {error}"),
    }
}

/// Whether it is done or refused for want of a right; anything else fails the test.
async fn may(session: &mut PgConnection, sql: &str) -> bool {
    match refused(session, sql).await {
        None => true,
        Some((code, _)) if code == "42501" => false,
        Some((code, message)) => panic!("{sql}: {code} {message}"),
    }
}

/// Runs `test` with a login for each role and one without any, and drops them whatever happens.
async fn with_logins<F>(test: impl FnOnce(Arc<Database>, [Login; 4], Login) -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    let database = Arc::new(Database::new().await);
    let nobody = Login::member_of(None, &database).await;
    let mut logins = Vec::new();
    for role in ROLES {
        logins.push(Login::member_of(Some(role), &database).await);
    }
    let names: Vec<String> = logins
        .iter()
        .chain([&nobody])
        .map(|l| l.name.clone())
        .collect();
    let Ok(logins) = <[Login; 4]>::try_from(logins) else {
        unreachable!("one for each role");
    };
    let outcome = tokio::spawn(test(Arc::clone(&database), logins, nobody)).await;
    for name in names {
        run(
            &database,
            &format!("DROP OWNED BY {name} CASCADE; DROP ROLE {name}"),
        )
        .await;
    }
    if let Err(panic) = outcome {
        resume_unwind(panic.into_panic());
    }
}

/// One job of each kind that a statement can be about: scheduled, placed and in doubt.
const JOBS: &str = "
    INSERT INTO callq.jobs (robot_account, callees, user_data) SELECT 'bot', '{jack}', 'private' FROM generate_series(1, 3);
    UPDATE callq.jobs SET state = 'placed', reason = 'accepted', placed_at = now(), finished_at = now(), attempt = 1 WHERE id = 2;
    UPDATE callq.jobs SET state = 'in_doubt', reason = 'reply_unknown', attempt = 1, lease_until = now() + interval '1 day' WHERE id = 3;";

#[tokio::test]
async fn what_no_role_may_do() {
    with_logins(|database, logins, nobody| async move {
        run(&database, JOBS).await;
        for login in logins.iter().chain([&nobody]) {
            let mut session = login.connect().await;
            for sql in [
                "DELETE FROM callq.jobs",
                "DELETE FROM callq.attempts",
                "DELETE FROM callq.apps",
                "TRUNCATE callq.jobs",
                "BEGIN; LOCK TABLE callq.jobs IN ACCESS EXCLUSIVE MODE",
                "DROP TABLE callq.jobs",
                "ALTER TABLE callq.jobs ADD COLUMN mine int",
                "ALTER TABLE callq.jobs DISABLE TRIGGER ALL",
                "CREATE TRIGGER mine BEFORE INSERT ON callq.jobs FOR EACH ROW EXECUTE FUNCTION callq.check_job()",
                "CREATE INDEX ON callq.jobs (metadata)",
                "CREATE TABLE callq.mine (id int)",
                "CREATE FUNCTION callq.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
                "CREATE OR REPLACE FUNCTION callq.burst(calls_per_second double precision) RETURNS double precision LANGUAGE sql AS 'SELECT 1e9'",
                "ALTER SCHEMA callq RENAME TO mine",
                "GRANT callq_worker TO callq_report",
                "INSERT INTO callq.jobs (robot_account, callees, state) VALUES ('bot', '{jack}', 'placed')",
                "INSERT INTO callq.jobs (robot_account, callees, inserted_by) VALUES ('bot', '{jack}', 'somebody')",
                "UPDATE callq.jobs SET inserted_by = 'somebody'",
                "UPDATE callq.jobs SET cancel_requested_at = NULL",
                "UPDATE callq.jobs SET id = DEFAULT",
                "UPDATE callq.attempts SET room_id = 'another'",
                "UPDATE callq.attempts SET claim_token = gen_random_uuid()",
                "UPDATE callq.meta SET schema_version = 0",
                "UPDATE callq.settings SET notify = false",
                "UPDATE callq.reasons SET sentence = ''",
                "DELETE FROM callq.error_codes",
                "SELECT * FROM callq._sqlx_migrations",
                "DELETE FROM callq.schedules",
                "UPDATE callq.schedules SET revision = 7",
                "INSERT INTO callq.schedules (name, cron, tz, robot_account, callees, created_by) VALUES ('a', '@daily', 'UTC', 'bot', '{jack}', 'x')",
                "UPDATE callq.skipped_firings SET reason = 'missed'",
                "INSERT INTO callq.jobs (robot_account, callees, idempotency_key, schedule_id) VALUES ('bot', '{jack}', 'a', 1)",
                "SELECT callq.skip_missed_firings('history_lost')",
                "SELECT callq.lock_schedule('a', 'default')",
                "SELECT callq.lock_job(1)",
                "SELECT callq.apply_rights()",
                "SELECT callq.allow_worker('callq_report')",
                "SELECT callq.allow_producer('callq_report')",
                "SELECT callq.allow_report('callq_report')",
                "SELECT callq.allow_receiver('callq_report')",
                "DELETE FROM callq.callbacks",
                "UPDATE callq.callbacks SET body = ''",
            ] {
                let done = refused(&mut session, sql).await;
                refused(&mut session, "ROLLBACK").await;
                assert!(done.as_ref().is_some_and(|(code, _)| code == "42501"), "{sql}: {done:?}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn what_one_role_may_not_do_though_another_does() {
    with_logins(|database, logins, nobody| async move {
        run(&database, JOBS).await;
        // Who may: e callq_enqueue, w callq_worker, r callq_report, c callq_web.
        for (whose, sql) in [
            ("ew", "INSERT INTO callq.jobs (robot_account, callees, user_data) VALUES ('bot', '{jack}', 'private')"),
            ("e", "INSERT INTO callq.jobs (robot_account, callees, idempotency_key) VALUES ('bot', '{jack}', gen_random_uuid()::text)"),
            ("w", "INSERT INTO callq.jobs (robot_account, callees, root_id, follows_id, ring_no) VALUES ('bot', '{jack}', 1, 1, 2) ON CONFLICT DO NOTHING"),
            ("e", "UPDATE callq.jobs SET run_at = now() + interval '1 hour' WHERE id = 1"),
            ("e", "UPDATE callq.jobs SET callees = '{rose}', user_data = 'mine' WHERE id = 1"),
            ("w", "UPDATE callq.jobs SET due_at = due_at WHERE id = 1"),
            ("w", "UPDATE callq.jobs SET state = state, reason = reason WHERE id = 2"),
            ("ew", "SELECT user_data, offline_push FROM callq.jobs"),
            ("ew", "SELECT * FROM callq.attempts"),
            ("ew", "SELECT * FROM callq.apps, callq.pace, callq.settings, callq.meta"),
            ("ewc", "SELECT * FROM callq.meta"),
            ("ewc", "SELECT notify FROM callq.settings"),
            ("c", "INSERT INTO callq.callbacks (app, body, digest, fault, look_at) VALUES ('a', '', sha256(''), 'a test', NULL)"),
            ("w", "SELECT id FROM callq.callbacks"),
            ("w", "UPDATE callq.callbacks SET look_at = NULL, looks = 1, job_id = 1, attempt = 1"),
            ("ew", "SELECT 1 FROM callq.calls, callq.legs, callq.leg_counts, callq.sweeps"),
            ("w", "DELETE FROM callq.calls"),
            ("", "DELETE FROM callq.legs"),
            ("e", "SELECT id FROM callq.events"),
            ("w", "INSERT INTO callq.events (event, app, job_id, attempt) VALUES ('answered', 'a', 1, 1)"),
            ("", "INSERT INTO callq.callbacks (app, body, digest, fault, job_id, attempt) VALUES ('a', '', sha256(''), 'a test', 1, 1)"),
            ("e", "SELECT * FROM callq.reasons, callq.error_codes"),
            ("w", "UPDATE callq.pace SET tokens = tokens"),
            ("w", "UPDATE callq.apps SET served_at = now()"),
            ("e", "SELECT callq.enqueue('bot', '{jack}')"),
            ("e", "SELECT callq.cancel(1)"),
            ("e", "SELECT callq.cancel(1), callq.retry(1)"),
            ("e", "SELECT callq.resolve(3, 'placed')"),
            ("e", "SELECT callq.pause_app('default', 'x'), callq.resume_app('default')"),
            ("e", "SELECT callq.pause_all('x'), callq.resume_all()"),
            ("w", "SELECT callq.why_expired('default', now(), NULL), callq.may_have_rung(1, 1), callq.burst(180)"),
            ("er", "SELECT * FROM callq.job_status"),
            ("er", "SELECT * FROM callq.call_legs"),
            ("er", "SELECT * FROM callq.in_doubt"),
            ("ewr", "SELECT * FROM callq.history"),
            ("e", "SELECT callq.recover(NULL)"),
            ("w", "SELECT callq.attest('w', 1, NULL, 1, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL), callq.depart('w')"),
            ("", "SELECT * FROM callq.witnesses"),
            ("er", "SELECT * FROM callq.next_firings"),
            ("ew", "SELECT user_data, offline_push FROM callq.schedules"),
            ("ew", "SELECT * FROM callq.skipped_firings"),
            ("e", "INSERT INTO callq.schedules (name, cron, tz, robot_account, callees) VALUES ('a', '@daily', 'UTC', 'bot', '{jack}')"),
            ("e", "UPDATE callq.schedules SET cron = '@hourly', callees = '{rose}', enabled = false"),
            ("e", "INSERT INTO callq.schedules (name, cron, tz, robot_account, callees) VALUES ('a', '@daily', 'UTC', 'bot', '{jack}');
                   SELECT callq.pause_schedule('a'), callq.resume_schedule('a'), callq.skip_next('a'), callq.run_schedule_now('a'), callq.remove_schedule('a')"),
            ("e", "SELECT callq.apply_schedules('[]')"),
            ("w", "UPDATE callq.schedules SET turn = turn, cursor_at = cursor_at, check_at = check_at"),
            ("w", "SELECT callq.remake_firing(1, now(), now(), now()), callq.overtake_job(1), callq.withdraw_firings(1, 'superseded')"),
            ("w", "UPDATE callq.schedules SET owed = owed"),
            ("w", "DELETE FROM callq.skipped_firings WHERE id < 0"),
            ("", "UPDATE callq.skipped_firings SET firings = 1"),
            ("", "SELECT callq.take_firings_back(1, 'superseded'), callq.tell_unfired(1, 'a', 'a', 'missed', '{}')"),
            ("", "UPDATE callq.jobs SET moved_at = now()"),
            ("w", "INSERT INTO callq.skipped_firings (schedule_id, app, name, reason, first_nominal_at, last_nominal_at, firings) VALUES (1, 'a', 'a', 'missed', now(), now(), 1)"),
        ] {
            for (letter, login) in ["e", "w", "r", "c", "-"].iter().zip(logins.iter().chain([&nobody])) {
                let mut session = login.connect().await;
                // Taken back, so that each begins with the same rows.
                let sql = format!("BEGIN; {sql}; ROLLBACK");
                assert_eq!(may(&mut session, &sql).await, whose.contains(letter), "{letter}: {sql}");
            }
        }
    })
    .await;
}

/// Without a search path of their own, triggers would call what the one who inserts has put there.
#[tokio::test]
async fn a_producer_cannot_slip_a_function_under_the_rules() {
    with_logins(|database, [producer, ..], _| async move {
        let name = &producer.name;
        run(&database, &format!("CREATE SCHEMA evil AUTHORIZATION {name}")).await;
        let mut session = producer.connect().await;
        let evil = "
            CREATE FUNCTION evil.octet_length(text) RETURNS int LANGUAGE sql AS 'SELECT 1';
            CREATE FUNCTION evil.cardinality(text[]) RETURNS int LANGUAGE sql AS 'SELECT 1';
            CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE sql AS $$ SELECT timestamptz '2000-01-01' $$;
            CREATE FUNCTION evil.isfinite(timestamptz) RETURNS boolean LANGUAGE sql AS 'SELECT true';
            SET search_path = evil, pg_catalog";
        assert_eq!(refused(&mut session, evil).await, None);
        for sql in [
            "INSERT INTO callq.jobs (robot_account, callees) VALUES (repeat('x', 33), '{jack}')",
            "INSERT INTO callq.jobs (robot_account, callees, run_at) VALUES ('bot', '{jack}', 'infinity')",
            "SELECT callq.enqueue(repeat('x', 33), '{jack}')",
            "SELECT callq.pause_app(repeat('x', 65), 'x')",
        ] {
            let (code, message) = refused(&mut session, sql).await.expect(sql);
            assert!(code == "23514" || code == "22023", "{sql}: {message}");
        }
    })
    .await;
}
