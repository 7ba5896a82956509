//! The reports say what the rows say, what the sandbox knows, and go on saying it when rows are deleted.

mod cli;
mod prune;
mod recount;

use callq::sandbox::{Fault, FaultKind, SandboxConfig};
use sqlx::{Connection as _, PgConnection};

use self::recount::{all_reports, views_are_what_the_rows_say};
use crate::support::look_again;
use crate::support::rig::Rig;

/// A sandbox in which calls are over soon.
fn fast() -> SandboxConfig {
    SandboxConfig {
        calls_per_second_limit: 0,
        speed: 3000.0,
        ..SandboxConfig::default()
    }
}

/// Calls of every kind, to one and to several, throttled ones, doubts, refusals, and jobs that are never called;
/// everything that can be settled is.
async fn worked() -> Rig {
    let rig = Rig::with_sandbox(fast()).await;
    let script = |fault: Fault| rig.sandbox.script(fault).unwrap();
    script(
        Fault::new(FaultKind::ErrorCode(60011))
            .for_robot("slow")
            .times(5),
    );
    script(Fault::new(FaultKind::ErrorCode(60002)).for_robot("bad"));
    script(
        Fault::new(FaultKind::CloseAfterReading)
            .for_robot("lost")
            .for_command("start_call_by_robot")
            .times(4)
            .that_rings(),
    );
    rig.sql(
        "INSERT INTO callq.schedules (name, every, tz, robot_account, callees, enabled) VALUES ('s', '1 hour', 'UTC', 'robot', '{jack}', false)",
    )
    .await;
    let worker = rig.worker().await;
    rig.sql(
        "INSERT INTO callq.jobs (robot_account, callees, on_doubt, max_attempts)
         SELECT (ARRAY['robot', 'slow', 'lost', 'robot'])[1 + n / 12 % 4], ARRAY[k || n], 'reconcile', 5
         FROM generate_series(1, 48) AS n, unnest('{answer-7-,talk-90-,busy-,noanswer-,decline-,interrupt-,offline-}'::text[]) AS k
         WHERE n % 7 = length(k) % 7;
         INSERT INTO callq.jobs (robot_account, callees) SELECT 'robot', ARRAY['answer-2-' || n, 'busy-' || n] FROM generate_series(1, 5) AS n;
         INSERT INTO callq.jobs (robot_account, callees, max_attempts) SELECT 'bad', '{jack}', 2 FROM generate_series(1, 6);
         INSERT INTO callq.jobs (robot_account, callees, run_at) SELECT 'robot', '{jack}', now() - interval '2 days' FROM generate_series(1, 4);
         INSERT INTO callq.jobs (robot_account, callees, run_at) SELECT 'robot', '{jack}', now() + interval '2 days' FROM generate_series(1, 4);
         SELECT callq.cancel(id) FROM callq.jobs WHERE run_at > now() + interval '1 day'",
    )
    .await;
    // At this speed a record can be read before its call is written down, for which windows overlap
    // by 90 s of real time. Such calls are asked about alone after five minutes, in which the
    // sandbox has forgotten them: here it is done after some seconds.
    let ask_alone = async {
        loop {
            for _ in 0..1000 {
                look_again().await;
            }
            rig.sql("UPDATE callq.calls SET look_at = now() WHERE look_at > now() + interval '1 minute' AND opened_at < now() - interval '5 s'")
                .await;
        }
    };
    tokio::select! {
        () = rig.until_all("'completed', 'failed', 'expired', 'cancelled', 'unresolved'") => {}
        () = ask_alone => {}
    }
    worker.stop().await.unwrap();
    rig
}

#[tokio::test(flavor = "multi_thread")]
async fn every_view_says_what_the_rows_say_whatever_changes_later() {
    let rig = worked().await;
    let zone = "Asia/Kathmandu";
    rig.sql(&format!(
        "UPDATE callq.settings SET report_time_zone = '{zone}'"
    ))
    .await;
    views_are_what_the_rows_say(&rig.db, zone).await;
    let kinds: i64 = rig
        .value("SELECT count(DISTINCT state) FROM callq.not_called")
        .await;
    assert_eq!(kinds, 3, "failed, expired and cancelled");
    // Every later change of a verdict that people and late news can make.
    for change in [
        "SELECT callq.retry(id) FROM callq.jobs WHERE state = 'expired'",
        "UPDATE callq.attempts SET class = 'safe' WHERE class = 'cannot'",
        // All of them, beyond the hours that there are: a maximum that was counted is not taken back.
        "UPDATE callq.attempts SET sent_at = sent_at + interval '2 hours', replied_at = replied_at + interval '2 hours 10 minutes'",
        "UPDATE callq.jobs SET state = 'unresolved', reason = 'unresolved' WHERE state = 'failed'",
        "SELECT callq.resolve(id, 'placed') FROM callq.jobs WHERE state = 'unresolved' ORDER BY id LIMIT 2",
        "SELECT callq.resolve(id, 'failed') FROM callq.jobs WHERE state = 'unresolved' ORDER BY id LIMIT 2",
        "SELECT callq.fold_counts(7)",
        "UPDATE callq.jobs SET schedule_id = (SELECT min(id) FROM callq.schedules) WHERE state = 'cancelled'",
        "SELECT callq.fold_counts(10000)",
        "SELECT callq.retry(id) FROM callq.jobs WHERE state = 'cancelled'",
    ] {
        rig.sql(change).await;
        // What is counted of a leg is counted by the statement that settles it, by the time of then.
        if change.contains("sent_at") {
            rig.sql("DELETE FROM callq.leg_counts; INSERT INTO callq.leg_counts
                SELECT date_bin('15 minutes', coalesce(a.sent_at, a.claimed_at), 'epoch'), j.app, coalesce(j.schedule_id, 0), j.robot_account,
                    j.media_type, j.ring_no, l.outcome, count(*), sum(coalesce(l.ring_seconds, 0)), sum(coalesce(l.talk_seconds, 0)), coalesce(max(l.talk_seconds), 0)
                FROM callq.legs AS l JOIN callq.attempts AS a USING (job_id, attempt) JOIN callq.jobs AS j ON j.id = l.job_id
                GROUP BY 1, 2, 3, 4, 5, 6, 7").await;
        }
        views_are_what_the_rows_say(&rig.db, zone).await;
    }
    let left: i64 = rig
        .value("SELECT count(*) FROM callq.count_changes WHERE state <> 'cancelled'")
        .await;
    assert_eq!(left, 0, "all were folded but the last");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daily_report_is_the_tally_of_the_sandbox_for_each_outcome() {
    let rig = worked().await;
    let tally = rig.sandbox.tally();
    let columns = [
        "answered",
        "declined",
        "busy",
        "no_answer",
        "cancelled",
        "interrupted",
        "unreachable",
        "unknown",
    ];
    for outcome in columns {
        let told: i64 = rig
            .value(&format!(
                "SELECT coalesce(sum({outcome}), 0)::bigint FROM callq.outcomes_daily"
            ))
            .await;
        let unsettled: i64 = rig
            .value("SELECT coalesce(sum(pending), 0)::bigint FROM callq.outcomes_daily")
            .await;
        let known = i64::try_from(tally.provable.get(outcome).copied().unwrap_or(0)).unwrap();
        // Callees of groups without callbacks are waited for until the end of the window.
        let of_groups = if outcome == "unknown" { unsettled } else { 0 };
        assert_eq!(told + of_groups, known, "{outcome}");
    }
    let legs: i64 = rig
        .value("SELECT sum(legs)::bigint FROM callq.outcomes_daily")
        .await;
    assert_eq!(legs, i64::try_from(tally.legs).unwrap());
    // Minutes are rounded to hundredths, of which each robot's may be off by half.
    let off: f64 = rig
        .value(
            "SELECT greatest(abs(sum(ring_minutes) * 60 - (SELECT sum(ring_seconds) FROM callq.legs)),
                 abs(sum(talk_minutes) * 60 - (SELECT sum(talk_seconds) FROM callq.legs)))::float8 FROM callq.talk_minutes",
        )
        .await;
    assert!(off <= 2.0, "{off} s");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_pending_until_it_is_settled_and_so_is_a_doubt() {
    let rig = Rig::with_sandbox(SandboxConfig {
        calls_per_second_limit: 0,
        ..SandboxConfig::default()
    })
    .await;
    let lost = Fault::new(FaultKind::CloseAfterReading).for_command("start_call_by_robot");
    rig.sandbox
        .script(lost.for_robot("lost").that_rings_nobody())
        .unwrap();
    let worker = rig.worker().await;
    rig.sql("INSERT INTO callq.jobs (robot_account, callees) VALUES ('robot', '{jack,answer-7-a}'), ('lost', '{jack}')").await;
    rig.until_all("'placed', 'in_doubt'").await;
    let told: String = rig.value("SELECT concat_ws(' ', sum(legs), sum(pending), max(answer_rate)) FROM callq.outcomes_daily").await;
    assert_eq!(told, "3 3");
    views_are_what_the_rows_say(&rig.db, "UTC").await;
    let looked: String = rig
        .value("SELECT evidence_looked_for FROM callq.in_doubt")
        .await;
    assert_eq!(
        looked,
        "a late reply, Tencent's record of the call, the proof that there is none, or a person"
    );
    // Once a person has said that nobody was rung it is a leg no longer.
    rig.sql("SELECT callq.resolve(id, 'failed') FROM callq.jobs WHERE state = 'in_doubt'")
        .await;
    let told: String = rig
        .value("SELECT concat_ws(' ', sum(legs), sum(pending)) FROM callq.outcomes_daily")
        .await;
    assert_eq!(told, "2 2");
    worker.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn folding_changes_no_report() {
    let rig = worked().await;
    let before = all_reports(&rig.db).await;
    while rig.value::<i32>("SELECT callq.fold_counts(3)").await > 0 {
        assert_eq!(all_reports(&rig.db).await, before);
    }
    let left: i64 = rig.value("SELECT count(*) FROM callq.count_changes").await;
    assert_eq!(left, 0);
    assert!(
        before.contains("60002") && before.contains("expired_"),
        "{before}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_a_person_who_has_cancelled_and_leaves_the_transaction_open() {
    let rig = Rig::with_sandbox(fast()).await;
    let first = rig
        .insert("jack", &[("run_at", "now() + interval '1 hour'")])
        .await;
    let second = rig
        .insert("jack", &[("run_at", "now() + interval '1 hour'")])
        .await;
    let mut person = PgConnection::connect(rig.db.url()).await.unwrap();
    let begun = format!("BEGIN; SELECT callq.cancel({first})");
    sqlx::raw_sql(sqlx::AssertSqlSafe(begun))
        .execute(&mut person)
        .await
        .unwrap();
    rig.sql(&format!(
        "SET lock_timeout = '5s'; SELECT callq.cancel({second}); SELECT callq.fold_counts(100)"
    ))
    .await;
    let jobs = "SELECT coalesce(sum(jobs), 0)::bigint FROM callq.not_called";
    assert_eq!(
        rig.value::<i64>(jobs).await,
        1,
        "not committed, not counted"
    );
    sqlx::raw_sql("COMMIT").execute(&mut person).await.unwrap();
    assert_eq!(rig.value::<i64>(jobs).await, 2);
}

#[tokio::test]
async fn a_session_reads_the_reports_in_a_zone_of_its_own() {
    let rig = Rig::new().await;
    rig.sql(
        "INSERT INTO callq.leg_counts SELECT timestamptz '2030-01-01 17:45+00', 'default', 0, 'robot', 'Audio', 1, 'answered', 5, 10, 20, 9",
    )
    .await;
    let mut session = PgConnection::connect(rig.db.url()).await.unwrap();
    for (zone, told) in [
        ("UTC", "2030-01-01 2 17"),
        ("Asia/Kathmandu", "2030-01-01 2 23"),
        ("Asia/Shanghai", "2030-01-02 3 1"),
        // Nothing: that of the settings.
        ("", "2030-01-01 2 17"),
    ] {
        let rows: String = sqlx::query_scalar(
            "SELECT concat_ws(' ', day, weekday, hour) FROM callq.answer_heatmap, (SELECT set_config('callq.report_time_zone', $1, false)) AS set",
        )
        .bind(zone)
        .fetch_one(&mut session)
        .await
        .map(|_: String| String::new())
        .unwrap();
        assert_eq!(rows, "");
        let rows: String = sqlx::query_scalar(
            "SELECT concat_ws(' ', day, weekday, hour) FROM callq.answer_heatmap",
        )
        .fetch_one(&mut session)
        .await
        .unwrap();
        assert_eq!(rows, told, "{zone}");
    }
}

#[tokio::test]
async fn a_schedule_is_told_with_its_misses_and_with_how_long_nobody_has_answered() {
    let rig = Rig::new().await;
    rig.sql(
        "INSERT INTO callq.schedules (name, every, tz, robot_account, callees) VALUES ('s', '1 hour', 'UTC', 'robot', '{jack}'), ('none', '1 hour', 'UTC', 'robot', '{jack}');
         ALTER TABLE callq.jobs DISABLE TRIGGER USER;
         INSERT INTO callq.jobs (robot_account, callees, run_at, due_at, expires_at, state, reason, outcome, placed_at, finished_at, schedule_id, nominal_at, nominal_local, nominal_fold)
         SELECT 'robot', '{jack}', t, t, t + interval '1 hour', CASE WHEN o = 'expired' THEN 'expired' ELSE 'completed' END::callq.job_state, 'accepted',
             nullif(o, 'expired'), t, t, (SELECT id FROM callq.schedules WHERE name = 's'), t, t AT TIME ZONE 'UTC', 0
         FROM unnest('{answered,no_answer,answered,busy,expired,no_answer}'::text[]) WITH ORDINALITY AS o(o, n),
             LATERAL (SELECT timestamptz '2030-01-01 00:00+00' + n * interval '1 hour' AS t) AS at;
         INSERT INTO callq.skipped_firings (schedule_id, app, name, reason, first_nominal_at, last_nominal_at, firings, at)
         SELECT id, app, name, r, now(), now(), f, now() - days * interval '1 day'
         FROM callq.schedules, (VALUES ('missed', 3, 1), ('missed', 4, 8), ('overlap', 2, 6)) AS k(r, f, days) WHERE name = 's'",
    )
    .await;
    let told: Vec<String> = sqlx::query_scalar(
        "SELECT concat_ws(' ', schedule, last_state, last_outcome, missed_7d, skipped_7d, unanswered_streak) FROM callq.schedule_health ORDER BY schedule",
    )
    .fetch_all(rig.db.pool())
    .await
    .unwrap();
    assert_eq!(told, ["none 0 0 0", "s completed no_answer 3 2 3"]);
    // A follow-up that was answered ends the streak.
    rig.sql(
        "INSERT INTO callq.jobs (robot_account, callees, run_at, due_at, expires_at, state, reason, outcome, placed_at, finished_at, root_id, follows_id, ring_no)
         SELECT 'robot', '{jack}', run_at, run_at, expires_at, 'completed', 'accepted', 'answered', run_at, run_at, id, id, 2
         FROM callq.jobs ORDER BY id DESC LIMIT 1",
    )
    .await;
    let streak: i64 = rig
        .value("SELECT unanswered_streak FROM callq.schedule_health WHERE schedule = 's'")
        .await;
    assert_eq!(streak, 0);
}
