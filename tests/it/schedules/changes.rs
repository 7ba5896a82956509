//! What people do to a schedule takes back what was made ahead, and never makes a firing twice.

use super::{HELD, firings, in_seconds, rig, schedule, until, until_looked_at, word};

#[tokio::test]
async fn a_firing_that_is_moved_and_moved_back_before_its_time_rings() {
    let rig = rig().await;
    let worker = rig.worker().await;
    let id = schedule(&rig, "meds", &[("on_times", &in_seconds(&[15]))]).await;
    let made = "EXISTS (SELECT FROM callq.jobs WHERE state = 'scheduled')";
    until(&rig, made).await;
    rig.sql("UPDATE callq.schedules SET callees = '{other}', on_times = '{2100-01-01 00:00}'")
        .await;
    assert_eq!(firings(&rig, id).await, ["cancelled superseded"]);
    until_looked_at(&rig).await;
    // Back to what it was, which the job still knows.
    rig.sql("UPDATE callq.schedules SET on_times = ARRAY[(SELECT to_char(nominal_local, 'YYYY-MM-DD HH24:MI:SS') FROM callq.jobs)]")
        .await;
    until(&rig, "(SELECT state FROM callq.jobs) = 'placed'").await;
    worker.stop().await.unwrap();
    assert_eq!(firings(&rig, id).await, ["placed accepted"]);
    let ledger = rig.sandbox.ledger();
    let rung: Vec<_> = ledger
        .requests()
        .iter()
        .map(|r| r.callees.clone())
        .collect();
    assert_eq!(rung, [vec!["other".to_owned()]], "as the schedule is now");
}

#[tokio::test]
async fn what_rang_before_the_zone_was_changed_is_not_made_up_for() {
    let rig = rig().await;
    let worker = rig.worker().await;
    let id = schedule(&rig, "a", &[("on_times", &in_seconds(&[2]))]).await;
    until(&rig, "(SELECT state FROM callq.jobs) = 'placed'").await;
    rig.sql(
        "UPDATE callq.schedules SET tz = 'Europe/Nowhere'; UPDATE callq.schedules SET tz = 'UTC'",
    )
    .await;
    until_looked_at(&rig).await;
    let filled = "SELECT count(*) FROM (SELECT j.nominal_at AS at, s.revision FROM callq.jobs AS j CROSS JOIN callq.schedules AS s) AS f
        CROSS JOIN LATERAL callq.backfill_schedule('a', ARRAY[f.at], ARRAY[f.at AT TIME ZONE 'UTC'], '{0}', f.revision)";
    assert_eq!(rig.value::<i64>(filled).await, 0);
    worker.stop().await.unwrap();
    assert_eq!(firings(&rig, id).await, ["placed accepted"]);
}

#[tokio::test]
async fn what_rang_after_the_transaction_of_a_change_began_does_not_ring_again() {
    let rig = rig().await;
    let worker = rig.worker().await;
    // Other names of the same zone, so that each firing is another one at the same time.
    for (name, change) in [
        ("zone", "UPDATE callq.schedules SET tz = 'Etc/UCT'"),
        (
            "removed",
            "SELECT callq.apply_schedules(jsonb_build_array(
                jsonb_build_object('action', 'create', 'name', 'aa', 'definition', to_jsonb(s)),
                jsonb_build_object('action', 'remove', 'name', 'removed', 'revision', s.revision)))
             FROM callq.schedules AS s",
        ),
    ] {
        rig.sql("DELETE FROM callq.schedules").await;
        let before = rig.sandbox.ledger().requests().len();
        let times = in_seconds(&[5, 3600]);
        schedule(
            &rig,
            name,
            &[("on_times", &times), ("catch_up_window", "'1 day'")],
        )
        .await;
        let mut early = rig.db.pool().begin().await.unwrap();
        sqlx::raw_sql("SELECT now()")
            .execute(&mut *early)
            .await
            .unwrap();
        rig.until_requests(before + 1).await;
        until(
            &rig,
            "NOT EXISTS (SELECT FROM callq.jobs WHERE state = 'dialing')",
        )
        .await;
        sqlx::raw_sql(change).execute(&mut *early).await.unwrap();
        early.commit().await.unwrap();
        until_looked_at(&rig).await;
        let again = "SELECT count(*) FROM callq.jobs WHERE state = 'scheduled' AND run_at < now() + interval '10 minutes'";
        assert_eq!(rig.value::<i64>(again).await, 0, "{name}");
        assert_eq!(rig.sandbox.ledger().requests().len(), before + 1, "{name}");
    }
    worker.stop().await.unwrap();
    assert_eq!(rig.sandbox.ledger().requests().len(), 2);
}

#[tokio::test]
async fn what_rang_after_the_transaction_of_a_skip_began_is_not_what_is_skipped() {
    let rig = rig().await;
    let worker = rig.worker().await;
    schedule(&rig, "a", &[("on_times", &in_seconds(&[5, 3600]))]).await;
    let mut early = rig.db.pool().begin().await.unwrap();
    sqlx::raw_sql("SELECT now()")
        .execute(&mut *early)
        .await
        .unwrap();
    rig.until_requests(1).await;
    sqlx::raw_sql("SELECT callq.skip_next('a')")
        .execute(&mut *early)
        .await
        .unwrap();
    early.commit().await.unwrap();
    until_looked_at(&rig).await;
    let skipped = "SELECT skipped FROM callq.next_firings";
    assert!(rig.value::<bool>(skipped).await);
    worker.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_paused_or_removed_rings_nobody_though_its_time_has_come() {
    let rig = rig().await;
    rig.sql(HELD).await;
    let mut ids = Vec::new();
    for name in ["pause", "off", "remove"] {
        let id = schedule(&rig, name, &[("on_times", &in_seconds(&[2]))]).await;
        ids.push(id);
    }
    let worker = rig.worker().await;
    until(&rig, "(SELECT count(*) FROM callq.jobs) = 3").await;
    rig.sql("UPDATE callq.jobs SET run_at = run_at - interval '10 s', nominal_at = nominal_at - interval '10 s'")
        .await;
    // One was refused before, and certainly rang nobody.
    rig.sql("UPDATE callq.jobs SET attempt = 1 WHERE id = (SELECT min(id) FROM callq.jobs)")
        .await;
    word(&rig, "pause_schedule('pause')").await;
    rig.sql("UPDATE callq.schedules SET enabled = false WHERE name = 'off'")
        .await;
    word(&rig, "remove_schedule('remove')").await;
    rig.sql("SELECT callq.resume_all()").await;
    for (id, why) in ids.into_iter().zip(["paused", "paused", "removed"]) {
        assert_eq!(
            firings(&rig, id).await,
            [
                format!("cancelled schedule_{why}"),
                format!("skipped schedule_{why} 1")
            ]
        );
    }
    worker.stop().await.unwrap();
    assert_eq!(rig.sandbox.ledger().requests().len(), 0);
}

#[tokio::test]
async fn what_is_paused_skipped_or_removed_takes_back_what_was_made_ahead() {
    let rig = rig().await;
    rig.sql(HELD).await;
    let worker = rig.worker().await;
    let columns = [
        ("on_times", in_seconds(&[40, 50])),
        ("overlap", "'allow'".to_owned()),
    ];
    let columns = columns
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let id = schedule(&rig, "a", &columns).await;
    let made = "(SELECT count(*) FROM callq.jobs WHERE state = 'scheduled') = 2";
    until(&rig, made).await;

    assert_eq!(word(&rig, "pause_schedule('a', 'holiday')").await, "paused");
    let paused = ["cancelled schedule_paused"; 2];
    assert_eq!(firings(&rig, id).await, paused);
    assert_eq!(word(&rig, "pause_schedule('a')").await, "already_paused");
    assert_eq!(word(&rig, "skip_next('a')").await, "paused");
    until_looked_at(&rig).await;
    assert_eq!(word(&rig, "resume_schedule('a')").await, "resumed");
    until(&rig, made).await;
    assert_eq!(
        firings(&rig, id).await,
        ["scheduled"; 2],
        "those of the pause only are lost"
    );

    assert_eq!(word(&rig, "skip_next('a')").await, "skipped");
    assert_eq!(
        firings(&rig, id).await,
        ["cancelled firing_skipped", "cancelled superseded"]
    );
    until_looked_at(&rig).await;
    let next = "SELECT string_agg(skipped::text, ' ' ORDER BY nominal_at) FROM callq.next_firings";
    assert_eq!(rig.value::<String>(next).await, "true false");

    let by_hand = word(&rig, "run_schedule_now('a')").await;
    assert_eq!(word(&rig, "remove_schedule('a')").await, "removed");
    let rest = format!(
        "SELECT string_agg(state::text, ' ' ORDER BY id) FROM callq.jobs WHERE id = {by_hand}"
    );
    assert_eq!(
        rig.value::<String>(&rest).await,
        "scheduled",
        "other jobs stay"
    );
    worker.stop().await.unwrap();
}

#[tokio::test]
async fn the_same_local_time_in_another_zone_is_another_firing() {
    let rig = rig().await;
    let worker = rig.worker().await;
    let id = schedule(&rig, "meds", &[("on_times", &in_seconds(&[2]))]).await;
    until(&rig, "(SELECT state FROM callq.jobs) = 'placed'").await;
    // It has rung; now the clock that shows the same time two hours later counts.
    rig.sql("UPDATE callq.schedules SET tz = 'Etc/GMT+2'").await;
    until_looked_at(&rig).await;
    let next = "SELECT next_fire_at - (SELECT nominal_at FROM callq.jobs) = interval '2 hours' FROM callq.schedules";
    assert!(rig.value::<bool>(next).await, "it is still to come");
    let keyed = "SELECT count(nominal_local) FROM callq.jobs";
    assert_eq!(
        rig.value::<i64>(keyed).await,
        0,
        "what has rung does not stand in its way"
    );
    worker.stop().await.unwrap();
    assert_eq!(firings(&rig, id).await, ["placed accepted"]);
}

#[tokio::test]
async fn a_firing_that_a_person_skips_is_told_and_the_next_one_rings() {
    let rig = rig().await;
    let worker = rig.worker().await;
    let id = schedule(&rig, "a", &[("on_times", &in_seconds(&[10, 12]))]).await;
    until(&rig, "EXISTS (SELECT FROM callq.jobs)").await;
    assert_eq!(word(&rig, "skip_next('a')").await, "skipped");
    until(
        &rig,
        "EXISTS (SELECT FROM callq.jobs WHERE state = 'placed')",
    )
    .await;
    worker.stop().await.unwrap();
    let expected = [
        "cancelled firing_skipped",
        "placed accepted",
        "skipped firing_skipped 1",
    ];
    assert_eq!(firings(&rig, id).await, expected);
    assert_eq!(rig.sandbox.ledger().requests().len(), 1);
    assert_eq!(word(&rig, "skip_next('a')").await, "nothing_to_skip");
}

#[tokio::test]
async fn what_would_have_rung_in_a_pause_is_told_and_not_made_up_for() {
    let rig = rig().await;
    rig.sql(HELD).await;
    let columns = [
        ("cron", "'* * * * *'"),
        ("catch_up", "'all'"),
        ("catch_up_window", "'1 day'"),
    ];
    let id = schedule(&rig, "a", &columns).await;
    rig.sql("SELECT callq.pause_schedule('a'); UPDATE callq.schedules SET stopped_at = now() - interval '2 hours',
        cursor_at = now() - interval '3 hours'")
        .await;
    let worker = rig.worker().await;
    until_looked_at(&rig).await;
    let before = firings(&rig, id).await;
    assert!(
        before == ["skipped missed 60"],
        "nothing fires while it is paused: {before:?}"
    );
    assert_eq!(word(&rig, "resume_schedule('a')").await, "resumed");
    until(
        &rig,
        "EXISTS (SELECT FROM callq.jobs WHERE state = 'scheduled')",
    )
    .await;
    worker.stop().await.unwrap();
    let after = firings(&rig, id).await;
    let told = after.last().unwrap();
    assert!(
        ["skipped schedule_paused 120", "skipped schedule_paused 121"].contains(&told.as_str()),
        "{after:?}"
    );
    let past = "SELECT count(*) FROM callq.jobs WHERE nominal_at < now() - interval '1 minute'";
    assert_eq!(rig.value::<i64>(past).await, 0);
}

#[tokio::test]
async fn a_plan_is_applied_as_a_whole_or_refused_with_the_schedule_that_is_to_blame() {
    use callq::store::{Applied, MadeAhead, PlanItem, ScheduleDefinition, Store};
    let rig = rig().await;
    let store = Store::connect(rig.db.url(), 2).await.unwrap();
    let mut definition = ScheduleDefinition::with_defaults();
    definition.cron = Some("0 9 * * *".to_owned());
    definition.tz = "Europe/Berlin".to_owned();
    definition.robot_account = "robot".to_owned();
    definition.callees = vec!["jack".to_owned()];
    definition.except_dates = vec!["2026-12-25".parse().unwrap()];
    definition.offline_push = Some(serde_json::json!({"Title": "Pills"}));
    definition.ttl = Some(std::time::Duration::from_millis(1_234_567));
    let of = |name: &str, definition: &ScheduleDefinition| PlanItem::Create {
        app: "default".to_owned(),
        name: name.to_owned(),
        definition: Box::new(definition.clone()),
    };
    let apply = async |plan: &[PlanItem]| {
        store
            .apply_schedules(plan, MadeAhead::Withdraw)
            .await
            .unwrap()
    };
    let mut bad = definition.clone();
    bad.callees = Vec::new();
    let Applied::Refused(said) = apply(&[of("a", &definition), of("b", &bad)]).await else {
        panic!("it is refused")
    };
    assert!(
        said.starts_with("schedule \"b\": callees has 0 accounts"),
        "{said}"
    );
    let none = store.schedules(None, None, None).await.unwrap();
    assert!(none.is_empty(), "all or nothing");

    let done = apply(&[of("b", &definition), of("a", &definition)]).await;
    let created = |name: &str| ("default".to_owned(), name.to_owned(), "created".to_owned());
    assert_eq!(done, Applied::All(vec![created("a"), created("b")]));
    let rows = store.schedules(None, None, None).await.unwrap();
    assert!(
        rows[0].definition == definition,
        "what is read is what was given"
    );
    assert!(
        matches!(apply(&[of("a", &definition)]).await, Applied::Refused(_)),
        "it is there"
    );

    let mut other = definition.clone();
    other.callees.push("jill".to_owned());
    let change = PlanItem::Change {
        app: "default".to_owned(),
        name: "a".to_owned(),
        revision: rows[0].revision,
        definition: Box::new(other),
    };
    assert!(matches!(
        apply(std::slice::from_ref(&change)).await,
        Applied::All(_)
    ));
    let Applied::Refused(said) = apply(&[change]).await else {
        panic!("its revision is gone")
    };
    assert!(
        said.contains("was changed or removed since the plan was made"),
        "{said}"
    );
    let next = store
        .schedules(None, None, Some(("default", "a")))
        .await
        .unwrap();
    assert_eq!(
        next.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(),
        ["b"]
    );
}

#[tokio::test]
async fn firings_of_the_past_can_be_made_now_each_once() {
    use callq::store::{Backfill, Store};
    let rig = rig().await;
    rig.sql(HELD).await;
    let id = schedule(&rig, "a", &[("cron", "'* * * * *'")]).await;
    let store = Store::connect(rig.db.url(), 2).await.unwrap();
    let at = |minute: i64| {
        let at = chrono::DateTime::from_timestamp(1_700_000_040 + minute * 60, 0).unwrap();
        Backfill {
            nominal_at: at,
            nominal_local: at.naive_utc(),
            nominal_fold: 0,
        }
    };
    let made = store
        .backfill_schedule("default", "a", 1, &[at(0), at(1)])
        .await
        .unwrap();
    assert_eq!(made.unwrap().len(), 2);
    let made = store
        .backfill_schedule("default", "a", 1, &[at(1), at(2)])
        .await
        .unwrap();
    assert_eq!(made.unwrap().len(), 1, "one is there");
    let jobs = store.jobs_of_firings(id, &[at(2), at(3)]).await.unwrap();
    assert_eq!(
        jobs[0].as_ref().map(|job| job.1.as_str()),
        Some("scheduled")
    );
    assert_eq!(jobs[1], None);
    let refused = store
        .backfill_schedule("default", "a", 7, &[at(4)])
        .await
        .unwrap();
    assert!(refused.is_err(), "the schedule was changed");
    let missing = store
        .backfill_schedule("default", "b", 1, &[at(4)])
        .await
        .unwrap();
    assert_eq!(missing, Err(callq::store::ScheduleAnswer::NoSuchSchedule));
}
