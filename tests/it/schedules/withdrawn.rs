//! What waits when its schedule is changed, skipped or paused, or breaks: it rings as the schedule is now, or is told.

use std::time::Duration;

use callq::schedule::{Firing, jitter_of};
use chrono::{SubsecRound as _, TimeDelta, Utc};

use super::{HELD, firings, in_seconds, rig, schedule, texts, until, until_looked_at, word};
use crate::support::rig::{Rig, Running};

/// The jitter of [`waiting`].
const JITTER: Duration = Duration::from_mins(50);

/// A schedule with a firing whose time has come and that waits long for its jitter; and the worker
/// that made it.
async fn waiting(rig: &Rig, columns: &[(&str, &str)]) -> (i64, Running) {
    let mut all = vec![("jitter", "'50 min'"), ("overlap", "'allow'")];
    all.push(("on_times", "'{2100-01-01 00:00}'"));
    all.extend(columns);
    let id = schedule(rig, "a", &all).await;
    // Drawn from the id and the time, it may also be a few seconds: then another time is taken.
    let waits_long = |second: &i32| {
        let at = (Utc::now() + TimeDelta::seconds((*second).into())).trunc_subsecs(0);
        let (local, fold) = (at.naive_utc(), 0);
        let firing = Firing { at, local, fold };
        (jitter_of(&id.to_be_bytes(), &firing, JITTER) > JITTER / 5)
            .then(|| at.format("%F %T").to_string())
    };
    let first = (-60..=-5).rev().find_map(|s| waits_long(&s)).unwrap();
    let second = (Utc::now() + TimeDelta::hours(2)).format("%F %T");
    rig.sql(&format!(
        "UPDATE callq.schedules SET on_times = '{{{first}, {second}}}';
         UPDATE callq.schedules SET cursor_at = now() - interval '2 min'"
    ))
    .await;
    let worker = rig.worker().await;
    until(rig, "EXISTS (SELECT FROM callq.jobs)").await;
    let waits = "SELECT nominal_at < now() AND run_at > now() FROM callq.jobs";
    assert!(rig.value::<bool>(waits).await);
    (id, worker)
}

/// Whether the one job is to ring these.
fn rings(callee: &str) -> String {
    format!("(SELECT state = 'scheduled' AND callees = '{{{callee}}}' FROM callq.jobs)")
}

#[tokio::test]
async fn the_next_firing_is_the_one_that_still_waits_for_its_jitter() {
    let rig = rig().await;
    let (id, worker) = waiting(&rig, &[]).await;
    let listed = "SELECT string_agg((job_id IS NOT NULL)::text, ' ' ORDER BY nominal_at) FROM callq.next_firings";
    assert_eq!(rig.value::<String>(listed).await, "true false");
    assert_eq!(word(&rig, "skip_next('a')").await, "skipped");
    assert_eq!(
        firings(&rig, id).await,
        ["cancelled firing_skipped", "skipped firing_skipped 1"]
    );
    let next = "SELECT skip_next FROM callq.schedules";
    assert_eq!(
        rig.value::<i32>(next).await,
        0,
        "the one after it is untouched"
    );
    assert_eq!(word(&rig, "skip_next('a')").await, "skipped");
    assert_eq!(rig.value::<i32>(next).await, 1);
    worker.stop().await.unwrap();
    assert_eq!(firings(&rig, id).await.len(), 2);
}

#[tokio::test]
async fn what_waits_for_its_jitter_rings_as_the_schedule_is_now() {
    let rig = rig().await;
    let (id, worker) = waiting(&rig, &[]).await;
    rig.sql("CREATE TABLE was AS SELECT * FROM callq.jobs")
        .await;
    rig.sql("UPDATE callq.schedules SET callees = '{new}', user_data = 'new'")
        .await;
    until(&rig, &rings("new")).await;
    // More times, and this one too.
    rig.sql("UPDATE callq.schedules SET on_times = on_times || '{2100-01-01 00:00}', callees = '{newer}'")
        .await;
    until(&rig, &rings("newer")).await;
    worker.stop().await.unwrap();
    assert_eq!(firings(&rig, id).await, ["scheduled"]);
    let as_it_was = "SELECT (j.id, j.run_at, j.expires_at, j.nominal_at) = (w.id, w.run_at, w.expires_at, w.nominal_at) AND j.user_data = 'new'
        FROM callq.jobs AS j, was AS w";
    assert!(rig.value::<bool>(as_it_was).await);
    assert_eq!(rig.sandbox.ledger().requests().len(), 0);
}

#[tokio::test]
async fn what_waits_for_its_jitter_is_told_if_the_changed_schedule_does_not_have_it() {
    let rig = rig().await;
    let (id, worker) = waiting(&rig, &[]).await;
    rig.sql("UPDATE callq.schedules SET on_times = on_times[2:2], callees = '{new}'")
        .await;
    until_looked_at(&rig).await;
    worker.stop().await.unwrap();
    assert_eq!(
        firings(&rig, id).await,
        ["cancelled superseded", "skipped superseded 1"]
    );
}

#[tokio::test]
async fn what_is_due_and_waits_for_its_turn_rings_as_the_schedule_is_now() {
    let rig = rig().await;
    rig.sql(HELD).await;
    let id = schedule(
        &rig,
        "a",
        &[("on_times", &in_seconds(&[-5])), ("ttl", "'1 hour'")],
    )
    .await;
    rig.sql("UPDATE callq.schedules SET cursor_at = now() - interval '1 min'")
        .await;
    let worker = rig.worker().await;
    until(&rig, "EXISTS (SELECT FROM callq.jobs)").await;
    rig.sql("UPDATE callq.schedules SET callees = '{new}'")
        .await;
    until(&rig, &rings("new")).await;
    let not_before =
        "SELECT j.run_at >= s.updated_at AND j.expires_at = j.nominal_at + interval '1 hour'
        FROM callq.jobs AS j, callq.schedules AS s";
    assert!(rig.value::<bool>(not_before).await);
    rig.sql("SELECT callq.resume_all()").await;
    until(&rig, "(SELECT state FROM callq.jobs) = 'placed'").await;
    worker.stop().await.unwrap();
    assert_eq!(firings(&rig, id).await, ["placed accepted"]);
    let ledger = rig.sandbox.ledger();
    let [request] = ledger.requests() else {
        panic!("one request")
    };
    assert_eq!(request.callees, ["new"]);
}

#[tokio::test]
async fn a_firing_that_a_person_has_moved_stays_there_and_rings_whom_the_schedule_says() {
    let rig = rig().await;
    let id = schedule(&rig, "a", &[("on_times", &in_seconds(&[55]))]).await;
    let worker = rig.worker().await;
    until(&rig, "EXISTS (SELECT FROM callq.jobs)").await;
    rig.sql("UPDATE callq.jobs SET run_at = now() + interval '3 hours'; CREATE TABLE was AS SELECT * FROM callq.jobs")
        .await;
    rig.sql("UPDATE callq.schedules SET callees = '{new}'")
        .await;
    until_looked_at(&rig).await;
    let moved = format!(
        "{} AND (SELECT j.run_at = w.run_at AND j.expires_at = w.expires_at FROM callq.jobs AS j, was AS w)",
        rings("new")
    );
    until(&rig, &moved).await;
    assert_eq!(word(&rig, "pause_schedule('a')").await, "paused");
    until_looked_at(&rig).await;
    assert_eq!(firings(&rig, id).await, ["cancelled schedule_paused"]);
    assert_eq!(word(&rig, "resume_schedule('a')").await, "resumed");
    until(&rig, &moved).await;
    // Even one of other times, and of another clock that shows the same.
    rig.sql("UPDATE callq.schedules SET tz = 'Africa/Abidjan'")
        .await;
    until_looked_at(&rig).await;
    rig.sql("UPDATE callq.schedules SET on_times = '{2100-01-01 00:00}'")
        .await;
    until_looked_at(&rig).await;
    until(&rig, &moved).await;
    worker.stop().await.unwrap();
    assert_eq!(firings(&rig, id).await, ["scheduled"]);
}

#[tokio::test]
async fn a_pause_or_removal_after_its_time_is_told_of_the_firing_that_waited() {
    for (does, reason) in [
        ("SELECT callq.pause_schedule('a')", "schedule_paused"),
        (
            "UPDATE callq.schedules SET enabled = false",
            "schedule_paused",
        ),
        ("SELECT callq.remove_schedule('a')", "schedule_removed"),
    ] {
        let rig = rig().await;
        let (id, worker) = waiting(&rig, &[]).await;
        rig.sql(does).await;
        until_looked_at(&rig).await;
        let told = [format!("cancelled {reason}"), format!("skipped {reason} 1")];
        assert_eq!(firings(&rig, id).await, told, "{does}");
        rig.sql("SELECT callq.resume_schedule(name) FROM callq.schedules; UPDATE callq.schedules SET enabled = true")
            .await;
        until_looked_at(&rig).await;
        worker.stop().await.unwrap();
        assert_eq!(firings(&rig, id).await, told, "{does}");
    }
}

#[tokio::test]
async fn what_would_have_rung_in_a_pause_is_told_if_the_schedule_is_changed_or_removed_meanwhile() {
    for (does, reason) in [
        (
            "UPDATE callq.schedules SET cron = '0 9 * * *'",
            "schedule_paused 2",
        ),
        ("DELETE FROM callq.schedules", "schedule_paused 2"),
    ] {
        let rig = rig().await;
        let id = schedule(&rig, "a", &[("cron", "'0 * * * *'")]).await;
        let worker = rig.worker().await;
        until_looked_at(&rig).await;
        assert_eq!(word(&rig, "pause_schedule('a')").await, "paused");
        until_looked_at(&rig).await;
        let listed = "SELECT count(*) FROM callq.next_firings";
        assert_eq!(rig.value::<i64>(listed).await, 0);
        rig.sql("UPDATE callq.schedules SET upcoming = ARRAY(SELECT u - interval '2 hours' FROM unnest(upcoming) AS u)")
            .await;
        rig.sql(does).await;
        until_looked_at(&rig).await;
        worker.stop().await.unwrap();
        assert_eq!(
            texts(
                &rig,
                &format!("SELECT concat_ws(' ', reason, firings) FROM callq.skipped_firings WHERE schedule_id = {id}")
            )
            .await,
            [reason],
            "{does}"
        );
    }
}

/// Breaks a schedule, as SQL can.
const BREAK: &str = "UPDATE callq.schedules SET on_times = on_times || '{never}'";
const MEND: &str = "UPDATE callq.schedules SET on_times = on_times[1:cardinality(on_times) - 1], callees = '{new}'";
const AT_FAULT: &str = "(SELECT error IS NOT NULL FROM callq.schedules)";

#[tokio::test]
async fn a_fault_that_is_mended_in_time_costs_no_firing() {
    let rig = rig().await;
    let (id, worker) = waiting(&rig, &[]).await;
    rig.sql(BREAK).await;
    until(&rig, AT_FAULT).await;
    assert_eq!(firings(&rig, id).await, ["cancelled superseded"]);
    rig.sql(MEND).await;
    until(&rig, &rings("new")).await;
    worker.stop().await.unwrap();
    assert_eq!(firings(&rig, id).await, ["scheduled"]);
}

#[tokio::test]
async fn what_a_schedule_at_fault_would_have_rung_is_told_when_it_is_too_late_to_mend_it() {
    // What breaks it, and by how much time passes: the firing that waited and the one that was to come.
    for (breaks, minutes, told) in [
        (
            BREAK,
            30,
            vec!["cancelled superseded", "skipped schedule_at_fault 1"],
        ),
        (
            BREAK,
            150,
            vec!["cancelled superseded", "skipped schedule_at_fault 2"],
        ),
        // Its times are as they were.
        (
            "UPDATE callq.schedules SET jitter = '3 hours'",
            150,
            vec!["cancelled superseded", "skipped schedule_at_fault 2"],
        ),
    ] {
        let rig = rig().await;
        let (id, worker) = waiting(&rig, &[]).await;
        rig.sql(breaks).await;
        until(&rig, AT_FAULT).await;
        rig.sql(&format!(
            "UPDATE callq.schedules SET owed = ARRAY(SELECT o - interval '{minutes} min' FROM unnest(owed) AS o),
                 upcoming = ARRAY(SELECT u - interval '{minutes} min' FROM unnest(upcoming) AS u),
                 error_at = now() - interval '1 day', check_at = now()"
        ))
        .await;
        until(&rig, "EXISTS (SELECT FROM callq.skipped_firings)").await;
        let since = "SELECT error_at < now() - interval '1 hour' AND check_at > now() AND owed || upcoming = ARRAY(
            SELECT k FROM callq.schedules, unnest(owed || upcoming) AS k WHERE k > now()) FROM callq.schedules";
        assert!(rig.value::<bool>(since).await, "it is the same fault");
        worker.stop().await.unwrap();
        assert_eq!(firings(&rig, id).await, told, "{breaks}");
    }
}

#[tokio::test]
async fn a_schedule_at_fault_that_is_removed_tells_what_it_would_have_rung() {
    let rig = rig().await;
    let (id, worker) = waiting(&rig, &[]).await;
    rig.sql(BREAK).await;
    until(&rig, AT_FAULT).await;
    rig.sql("DELETE FROM callq.schedules").await;
    worker.stop().await.unwrap();
    assert_eq!(
        firings(&rig, id).await,
        ["cancelled superseded", "skipped schedule_at_fault 1"]
    );
}

#[tokio::test]
async fn changes_to_and_fro_of_the_zone_leave_one_row() {
    let rig = rig().await;
    rig.sql(HELD).await;
    let id = schedule(&rig, "a", &[("on_times", &in_seconds(&[55]))]).await;
    let worker = rig.worker().await;
    until(&rig, "EXISTS (SELECT FROM callq.jobs)").await;
    for n in 0..6 {
        let tz = ["Africa/Abidjan", "UTC"][n % 2];
        rig.sql(&format!(
            "UPDATE callq.schedules SET tz = '{tz}', callees = '{{c{n}}}'"
        ))
        .await;
        until(&rig, &rings(&format!("c{n}"))).await;
    }
    // Kept, it is not made a second time beside itself.
    rig.sql("BEGIN; SET LOCAL callq.keep_firings = 'on'; UPDATE callq.schedules SET tz = 'Africa/Abidjan'; COMMIT")
        .await;
    until_looked_at(&rig).await;
    worker.stop().await.unwrap();
    assert_eq!(firings(&rig, id).await, ["scheduled"]);
}

#[tokio::test]
async fn a_schedule_that_is_disabled_says_so_to_whoever_skips_a_firing() {
    let rig = rig().await;
    schedule(&rig, "a", &[("cron", "'0 9 * * *'"), ("enabled", "false")]).await;
    assert_eq!(word(&rig, "skip_next('a')").await, "disabled");
    assert_eq!(word(&rig, "pause_schedule('a')").await, "paused");
    assert_eq!(word(&rig, "skip_next('a')").await, "disabled");
    rig.sql("UPDATE callq.schedules SET enabled = true").await;
    assert_eq!(word(&rig, "skip_next('a')").await, "paused");
}

#[tokio::test]
async fn what_was_just_resumed_or_skipped_is_not_called_unattended() {
    let rig = rig().await;
    let store = callq::store::Store::connect(rig.db.url(), 1).await.unwrap();
    schedule(&rig, "a", &[("cron", "'0 9 * * *'")]).await;
    for verb in ["skip_next", "pause_schedule", "resume_schedule"] {
        rig.sql("UPDATE callq.schedules SET cursor_at = now() - interval '1 hour', updated_at = now() - interval '1 hour',
            check_at = now() + interval '1 hour'").await;
        word(&rig, &format!("{verb}('a')")).await;
        let health = store.schedule_health().await.unwrap();
        assert_eq!(health.unattended, 0, "{verb}");
    }
    rig.sql("UPDATE callq.schedules SET check_at = now() - interval '1 minute'")
        .await;
    assert_eq!(store.schedule_health().await.unwrap().unattended, 1);
}

#[tokio::test]
async fn old_records_of_firings_are_deleted_in_steps_and_young_ones_are_not() {
    let rig = rig().await;
    rig.sql("INSERT INTO callq.skipped_firings (schedule_id, app, name, reason, first_nominal_at, last_nominal_at, firings, at)
        SELECT 1, 'default', 'a', 'missed', now(), now(), 1, now() - interval '1 day' * CASE WHEN i <= 1500 THEN 401 ELSE 399 END
        FROM generate_series(1, 1503) AS i").await;
    let store = callq::store::Store::connect(rig.db.url(), 1).await.unwrap();
    assert_eq!(store.prune_skipped_firings().await.unwrap(), 1000);
    rig.sql("CREATE FUNCTION tell_gone() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_notify('changes', ''); RETURN NULL; END $$;
        CREATE TRIGGER tell_gone AFTER DELETE ON callq.skipped_firings FOR EACH STATEMENT EXECUTE FUNCTION tell_gone()").await;
    let worker = rig.worker().await;
    until(&rig, "(SELECT count(*) FROM callq.skipped_firings) = 3").await;
    worker.stop().await.unwrap();
    assert_eq!(store.prune_skipped_firings().await.unwrap(), 0);
}
