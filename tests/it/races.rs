//! Two sessions at one row: what a statement does that sees the table as it was a moment ago.
//!
//! Each test holds a statement of the worker up after it has taken its snapshot and before it locks
//! its rows, changes the row in another session, and lets it go on.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool};

use crate::support::statements::{self, Result, Statement, claim_of, record_of};
use crate::support::{Database, look_again};

const ONE: &str = "00000000-0000-0000-0000-000000000001";
const TWO: &str = "00000000-0000-0000-0000-000000000002";

/// Waits for the test's lock: once, after the snapshot.
const GATE: &str = "(SELECT pg_advisory_xact_lock_shared(7)) IS NOT NULL";

/// The longest time a doubt is kept open, as the worker gives it.
const DOUBT_S: &str = "518400";

async fn run(pool: &PgPool, sql: &str) {
    let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(pool);
    done.await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// Runs one statement of the worker.
async fn work(pool: &PgPool, statement: &Statement, arguments: &str) {
    let (prepare, name) = statement.prepare();
    run(pool, &format!("{prepare} EXECUTE {name}({arguments})")).await;
}

async fn value(pool: &PgPool, sql: &str) -> String {
    let value = sqlx::query_scalar::<_, Option<String>>(AssertSqlSafe(sql.to_owned()));
    value.fetch_one(pool).await.unwrap().unwrap_or_default()
}

/// Runs `statement` so that `meanwhile` is committed after its snapshot and before its locks.
async fn race<F: Future<Output = ()>>(
    database: &Database,
    statement: Statement,
    arguments: String,
    meanwhile: F,
) {
    let pool = database.pool();
    let mut gate = PgConnection::connect(database.url()).await.unwrap();
    let shut = sqlx::raw_sql("SELECT pg_advisory_lock(7)");
    shut.execute(&mut gate).await.unwrap();
    let other = pool.clone();
    let late = tokio::spawn(async move { work(&other, &statement, &arguments).await });
    let waiting = "SELECT count(*)::text FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    while value(pool, waiting).await == "0" {
        assert!(!late.is_finished(), "it ended before it came to the gate");
        look_again().await;
    }
    meanwhile.await;
    let open = sqlx::raw_sql("SELECT pg_advisory_unlock(7)");
    open.execute(&mut gate).await.unwrap();
    late.await.unwrap();
}

fn gated_claim() -> Statement {
    const GRANTED: &str = "AS granted(app, slots, streams, nth)\n";
    let gated = format!("{GRANTED}    JOIN (SELECT 1 AS one) AS gate ON {GATE}\n");
    statements::claim().with(GRANTED, &gated)
}

fn gated_record() -> Statement {
    statements::record().with(
        "    WHERE j.id = ANY ($1::bigint[])\n    ORDER BY j.id",
        &format!("    WHERE j.id = ANY ($1::bigint[]) AND {GATE}\n    ORDER BY j.id"),
    )
}

fn gated_lapse() -> Statement {
    statements::lapse().with(
        "AND j.lease_until < now()",
        &format!("AND j.lease_until < now() AND {GATE}"),
    )
}

fn gated_settle() -> Statement {
    statements::settle().with(
        "AND j.lease_until < now()",
        &format!("AND j.lease_until < now() AND {GATE}"),
    )
}

fn gated_expire() -> Statement {
    statements::expire().with(
        "    WHERE j.ctid = ANY (ARRAY(SELECT at FROM walked WHERE expired))\n",
        &format!(
            "    WHERE j.ctid = ANY (ARRAY(SELECT at FROM walked WHERE expired AND {GATE}))\n"
        ),
    )
}

/// Forgets all jobs, for the next case.
async fn clear(pool: &PgPool) {
    run(pool, "TRUNCATE callq.jobs, callq.attempts RESTART IDENTITY").await;
}

/// A job that is due.
async fn due(pool: &PgPool) {
    run(pool, "INSERT INTO callq.jobs (robot_account, callees, on_doubt) VALUES ('bot', '{jack}', 'retry')").await;
}

/// A job that is dialing under the token `ONE`.
async fn dialing(pool: &PgPool) {
    due(pool).await;
    work(pool, &statements::claim(), &claim_of(1, ONE)).await;
}

/// Makes the lease of job 1 end, and everything that follows from it.
async fn lapse(pool: &PgPool) {
    run(
        pool,
        "UPDATE callq.jobs SET lease_until = now() - interval '1 second'",
    )
    .await;
    work(pool, &statements::lapse(), &format!("500, {DOUBT_S}")).await;
}

async fn settle(pool: &PgPool) {
    run(
        pool,
        "UPDATE callq.jobs SET lease_until = now() - interval '1 second'",
    )
    .await;
    work(pool, &statements::settle(), &format!("500, {DOUBT_S}")).await;
}

fn result(attempt: i32, token: &'static str, next: &'static str) -> String {
    record_of(&[Result {
        job_id: 1,
        attempt,
        token,
        next,
    }])
}

async fn record(pool: &PgPool, attempt: i32, token: &'static str, next: &'static str) {
    work(pool, &statements::record(), &result(attempt, token, next)).await;
}

/// State, reason and number of the job, then state and mark of each attempt.
async fn outcome(pool: &PgPool) -> String {
    value(
        pool,
        "SELECT concat_ws(' ', j.state, j.reason, j.attempt, j.attempts_used, j.call_id)
            || coalesce((SELECT string_agg(concat_ws(' ', '', a.state, CASE WHEN a.second_ring THEN 'second_ring' END), ',' ORDER BY attempt)
                FROM callq.attempts AS a WHERE a.job_id = j.id), '')
         FROM callq.jobs AS j WHERE j.id = 1",
    )
    .await
}

#[tokio::test]
async fn a_claim_passes_over_a_job_that_was_cancelled_claimed_or_moved_meanwhile() {
    let database = Database::new().await;
    let pool = database.pool();
    for (meanwhile, then) in [
        ("SELECT callq.cancel(1)", "cancelled cancelled_by_user 0 0"),
        (
            "UPDATE callq.jobs SET run_at = run_at + interval '1 day'",
            "scheduled 0 0",
        ),
        (
            "UPDATE callq.jobs SET state = 'dialing', attempt = 1, claim_token = gen_random_uuid(), lease_until = now()",
            "dialing 1 0",
        ),
        (
            "UPDATE callq.jobs SET expires_at = run_at + interval '1 microsecond'",
            "scheduled 0 0",
        ),
        ("UPDATE callq.jobs SET callees = '{ann}'", "scheduled 0 0"),
    ] {
        clear(pool).await;
        due(pool).await;
        race(
            &database,
            gated_claim(),
            claim_of(9, ONE),
            run(pool, meanwhile),
        )
        .await;
        assert_eq!(outcome(pool).await, then, "{meanwhile}");
        let held = "SELECT count(*)::text FROM callq.jobs WHERE claim_token = '00000000-0000-0000-0000-000000000001'";
        assert_eq!(value(pool, held).await, "0", "{meanwhile}");
    }
}

#[tokio::test]
async fn a_job_that_was_claimed_meanwhile_does_not_expire() {
    let database = Database::new().await;
    let pool = database.pool();
    due(pool).await;
    run(
        pool,
        "UPDATE callq.jobs SET run_at = now() - interval '2 hours'",
    )
    .await;
    let from_the_start = "'', 0, '-infinity', -9223372036854775808, 500";
    let claimed = "UPDATE callq.jobs SET state = 'dialing', attempt = 1, claim_token = gen_random_uuid(), lease_until = now()";
    race(
        &database,
        gated_expire(),
        from_the_start.to_owned(),
        run(pool, claimed),
    )
    .await;
    assert_eq!(outcome(pool).await, "dialing 1 0");
}

#[tokio::test]
async fn a_job_whose_deadline_was_moved_meanwhile_does_not_expire() {
    let database = Database::new().await;
    let pool = database.pool();
    due(pool).await;
    run(
        pool,
        "UPDATE callq.jobs SET run_at = now() - interval '2 hours'",
    )
    .await;
    let from_the_start = "'', 0, '-infinity', -9223372036854775808, 500";
    let moved = "UPDATE callq.jobs SET expires_at = 'infinity'";
    race(
        &database,
        gated_expire(),
        from_the_start.to_owned(),
        run(pool, moved),
    )
    .await;
    assert_eq!(outcome(pool).await, "scheduled 0 0");
    // Without the race it would have.
    run(pool, "UPDATE callq.jobs SET expires_at = now()").await;
    work(pool, &statements::expire(), from_the_start).await;
    assert_eq!(outcome(pool).await, "expired expired_no_worker 0 0");
}

#[tokio::test]
async fn a_job_whose_reply_was_recorded_meanwhile_does_not_lapse() {
    let database = Database::new().await;
    let pool = database.pool();
    for (next, then) in [
        ("placed", "placed accepted 1 0 call-1-1 replied"),
        ("scheduled", "scheduled throttled 1 0 replied"),
    ] {
        clear(pool).await;
        dialing(pool).await;
        run(
            pool,
            "UPDATE callq.jobs SET lease_until = now() - interval '1 second'",
        )
        .await;
        race(
            &database,
            gated_lapse(),
            format!("500, {DOUBT_S}"),
            record(pool, 1, ONE, next),
        )
        .await;
        assert_eq!(outcome(pool).await, then);
    }
}

#[tokio::test]
async fn a_lapsed_job_that_was_given_back_and_claimed_again_meanwhile_keeps_its_new_lease() {
    let database = Database::new().await;
    let pool = database.pool();
    dialing(pool).await;
    run(
        pool,
        "UPDATE callq.jobs SET lease_until = now() - interval '1 second'",
    )
    .await;
    let again = async {
        work(pool, &statements::give_back(), &format!("'{ONE}'")).await;
        work(pool, &statements::claim(), &claim_of(1, TWO)).await;
    };
    race(&database, gated_lapse(), format!("500, {DOUBT_S}"), again).await;
    assert_eq!(outcome(pool).await, "dialing 2 0 not_sent, claimed");
}

#[tokio::test]
async fn a_doubt_that_a_late_reply_settled_meanwhile_is_not_rung_again() {
    let database = Database::new().await;
    let pool = database.pool();
    dialing(pool).await;
    lapse(pool).await;
    assert_eq!(outcome(pool).await, "in_doubt lease_lapsed 1 1 unknown");
    run(
        pool,
        "UPDATE callq.jobs SET lease_until = now() - interval '1 second'",
    )
    .await;
    race(
        &database,
        gated_settle(),
        format!("500, {DOUBT_S}"),
        record(pool, 1, ONE, "placed"),
    )
    .await;
    assert_eq!(outcome(pool).await, "placed accepted 1 0 call-1-1 replied");
}

#[tokio::test]
async fn a_reply_finds_its_job_though_the_job_changed_since_the_snapshot() {
    // What happens meanwhile, the reply, and what it leads to.
    let rang = "placed accepted 1 0 call-1-1 replied";
    let database = Database::new().await;
    let pool = database.pool();
    for (meanwhile, next, then) in [
        ("lapse", "placed", rang),
        ("lapse", "scheduled", "scheduled throttled 1 0 replied"),
        ("settle", "placed", "placed late_reply 1 1 call-1-1 replied"),
        (
            "settle",
            "scheduled",
            "scheduled retried_in_doubt 1 1 replied",
        ),
        (
            "claim again",
            "placed",
            "dialing 2 1 replied second_ring, claimed",
        ),
        (
            "cancel",
            "scheduled",
            "cancelled cancelled_by_user 1 0 replied",
        ),
        (
            "cancel",
            "placed",
            "placed cancel_ends_call 1 0 call-1-1 replied",
        ),
        ("delete", "placed", ""),
    ] {
        clear(pool).await;
        dialing(pool).await;
        let change = async {
            match meanwhile {
                "cancel" => run(pool, "SELECT callq.cancel(1)").await,
                "delete" => run(pool, "DELETE FROM callq.jobs").await,
                _ => lapse(pool).await,
            }
            if meanwhile == "settle" || meanwhile == "claim again" {
                settle(pool).await;
            }
            if meanwhile == "claim again" {
                work(pool, &statements::claim(), &claim_of(1, TWO)).await;
            }
        };
        race(&database, gated_record(), result(1, ONE, next), change).await;
        // A job that went away at that moment is reported as locked; it is tried again and then taken.
        if meanwhile == "delete" {
            record(pool, 1, ONE, next).await;
            let attempt = value(
                pool,
                "SELECT concat_ws(' ', state, call_id) FROM callq.attempts",
            )
            .await;
            assert_eq!(attempt, "replied call-1-1");
            continue;
        }
        assert_eq!(outcome(pool).await, then, "{meanwhile}, then {next}");
    }
}

#[tokio::test]
async fn what_rang_late_is_not_rung_again_when_the_newer_attempt_rang_nobody() {
    let database = Database::new().await;
    let pool = database.pool();
    dialing(pool).await;
    lapse(pool).await;
    settle(pool).await;
    work(pool, &statements::claim(), &claim_of(1, TWO)).await;
    record(pool, 1, ONE, "placed").await;
    assert_eq!(
        outcome(pool).await,
        "dialing 2 1 replied second_ring, claimed"
    );
    record(pool, 2, TWO, "scheduled").await;
    assert_eq!(
        outcome(pool).await,
        "placed late_reply 2 1 call-1-1 replied second_ring, replied"
    );
}

#[tokio::test]
async fn a_late_reply_of_an_older_attempt_stops_a_job_that_waits_for_its_next_try() {
    let database = Database::new().await;
    let pool = database.pool();
    dialing(pool).await;
    lapse(pool).await;
    settle(pool).await;
    work(pool, &statements::claim(), &claim_of(1, TWO)).await;
    record(pool, 2, TWO, "scheduled").await;
    record(pool, 1, ONE, "placed").await;
    assert_eq!(
        outcome(pool).await,
        "placed late_reply 2 1 call-1-1 replied second_ring, replied"
    );
}

#[tokio::test]
async fn a_doubt_is_not_rung_again_once_an_older_attempt_is_known_to_have_rung() {
    let database = Database::new().await;
    let pool = database.pool();
    dialing(pool).await;
    lapse(pool).await;
    settle(pool).await;
    work(pool, &statements::claim(), &claim_of(1, TWO)).await;
    lapse(pool).await;
    record(pool, 1, ONE, "placed").await;
    settle(pool).await;
    assert_eq!(
        outcome(pool).await,
        "in_doubt lease_lapsed 2 2 replied second_ring, unknown"
    );
}

#[tokio::test]
async fn a_doubt_whose_attempt_was_deleted_ends_unresolved_and_blocks_no_other() {
    let database = Database::new().await;
    let pool = database.pool();
    dialing(pool).await;
    lapse(pool).await;
    run(pool, "DELETE FROM callq.attempts").await;
    run(
        pool,
        "ALTER TABLE callq.jobs DISABLE TRIGGER USER; UPDATE callq.jobs SET on_doubt = 'hold'",
    )
    .await;
    settle(pool).await;
    assert_eq!(outcome(pool).await, "unresolved unresolved 1 1");
}

#[tokio::test]
async fn giving_back_neither_rings_nor_cancels_what_an_earlier_attempt_may_have_rung() {
    let database = Database::new().await;
    let pool = database.pool();
    for (meanwhile, then) in [
        (
            "late reply",
            "placed late_reply 2 1 call-1-1 replied second_ring, not_sent",
        ),
        (
            "cancel",
            "unresolved earlier_in_doubt 2 1 unknown, not_sent",
        ),
        ("nothing", "scheduled given_back 2 1 unknown, not_sent"),
    ] {
        clear(pool).await;
        dialing(pool).await;
        lapse(pool).await;
        settle(pool).await;
        work(pool, &statements::claim(), &claim_of(1, TWO)).await;
        match meanwhile {
            "late reply" => record(pool, 1, ONE, "placed").await,
            "cancel" => run(pool, "SELECT callq.cancel(1)").await,
            _ => {}
        }
        work(pool, &statements::give_back(), &format!("'{TWO}'")).await;
        assert_eq!(outcome(pool).await, then, "{meanwhile}");
    }
}

#[tokio::test]
async fn what_a_person_has_settled_is_not_put_in_doubt_again_by_a_late_result() {
    let database = Database::new().await;
    let pool = database.pool();
    dialing(pool).await;
    lapse(pool).await;
    run(pool, "SELECT callq.resolve(1, 'failed', 'asked them')").await;
    let unknown = result(1, ONE, "scheduled")
        .replace("'{replied}'", "'{unknown}'")
        .replace("'{safe}'", "'{in_doubt}'");
    work(pool, &statements::record(), &unknown).await;
    let class = "SELECT concat_ws(' ', class, split_part(detail, ' ', 1)) FROM callq.attempts";
    assert_eq!(value(pool, class).await, "safe settled");
    assert_eq!(
        outcome(pool).await,
        "failed resolved_failed 1 1 unknown",
        "and its job stays as it is"
    );
}

#[tokio::test]
async fn giving_back_heeds_a_cancel_and_leaves_a_doubt() {
    let database = Database::new().await;
    let pool = database.pool();
    for (meanwhile, then) in [
        ("cancel", "cancelled cancelled_by_user 1 0 not_sent"),
        ("lapse", "in_doubt lease_lapsed 1 1 unknown"),
    ] {
        clear(pool).await;
        dialing(pool).await;
        let change = async {
            match meanwhile {
                "cancel" => run(pool, "SELECT callq.cancel(1)").await,
                _ => lapse(pool).await,
            }
        };
        let gated = statements::give_back().with(
            "    ORDER BY j.id\n",
            &format!("      AND {GATE}\n    ORDER BY j.id\n"),
        );
        race(&database, gated, format!("'{ONE}'"), change).await;
        assert_eq!(outcome(pool).await, then, "{meanwhile}");
    }
}

#[tokio::test]
async fn one_locked_job_does_not_keep_the_others_from_being_recorded() {
    let database = Database::new().await;
    let pool = database.pool();
    due(pool).await;
    due(pool).await;
    work(pool, &statements::claim(), &claim_of(2, ONE)).await;
    let mut psql = PgConnection::connect(database.url()).await.unwrap();
    let open = sqlx::raw_sql("BEGIN; SELECT FROM callq.jobs WHERE id = 1 FOR UPDATE");
    open.execute(&mut psql).await.unwrap();
    let batch = [1, 2].map(|job_id| Result {
        job_id,
        attempt: 1,
        token: ONE,
        next: "placed",
    });
    work(pool, &statements::record(), &record_of(&batch)).await;
    let states = "SELECT string_agg(state::text, ' ' ORDER BY id) FROM callq.jobs";
    assert_eq!(value(pool, states).await, "dialing placed");
    sqlx::raw_sql("ROLLBACK").execute(&mut psql).await.unwrap();
    work(pool, &statements::record(), &record_of(&batch)).await;
    assert_eq!(value(pool, states).await, "placed placed");
}

#[tokio::test]
async fn of_two_workers_that_probe_a_paused_app_at_once_one_is_granted_a_call() {
    let database = Database::new().await;
    let pool = database.pool();
    due(pool).await;
    due(pool).await;
    run(
        pool,
        "INSERT INTO callq.apps (app, kind, calls_per_second, paused_at, pause_reason, pause_fingerprint, probe_at)
         VALUES ('default', 'sandbox', 0.001, now(), 'app_fault', 'f', now());
         INSERT INTO callq.pace (app, tokens, granted, asked, refilled_at) VALUES ('default', 20, 0, 0, now())",
    )
    .await;
    let arguments = format!(
        "'{{default}}', '{{5}}', '{{f}}', {}, 60, '{{sandbox}}'",
        statements::LOWS
    );
    let gated = statements::grant().with(
        "    WHERE NOT q.paused\n",
        &format!("    WHERE NOT q.paused AND {GATE}\n"),
    );
    let first = async { work(pool, &statements::grant(), &arguments).await };
    race(&database, gated, arguments.clone(), first).await;
    let spent = "SELECT concat_ws(' ', 20 - floor(tokens), (SELECT probes FROM callq.apps)) FROM callq.pace";
    assert_eq!(value(pool, spent).await, "1 1");
}

#[tokio::test]
async fn of_two_grants_after_an_outage_one_begins_the_ramp() {
    let database = Database::new().await;
    let pool = database.pool();
    run(
        pool,
        "INSERT INTO callq.apps (app, kind, calls_per_second, served_at) VALUES ('default', 'sandbox', 0.1, now());
         INSERT INTO callq.app_holds VALUES ('default', 'no_worker', now() - interval '1 hour', now() - interval '1 s');
         INSERT INTO callq.pace (app, tokens, granted, asked, refilled_at) VALUES ('default', 1, 0, 0, now() - interval '1 hour');
         INSERT INTO callq.jobs (robot_account, callees, run_at)
         SELECT 'bot', '{jack}', now() - interval '10 min' FROM generate_series(1, 7)",
    )
    .await;
    let arguments = format!(
        "'{{default}}', '{{5}}', '{{f}}', {}, 60, '{{sandbox}}'",
        statements::LOWS
    );
    let gated = statements::grant().with(
        "    WHERE NOT q.paused\n",
        &format!("    WHERE NOT q.paused AND {GATE}\n"),
    );
    let first = async {
        work(pool, &statements::grant(), &arguments).await;
        let factor = "SELECT factor::text FROM callq.pace";
        assert_eq!(value(pool, factor).await, "0.1", "it begins");
        // So that a second beginning would show.
        run(pool, "UPDATE callq.pace SET factor = 0.9").await;
    };
    race(&database, gated, arguments.clone(), first).await;
    assert_eq!(
        value(pool, "SELECT factor::text FROM callq.pace").await,
        "0.9"
    );
}
