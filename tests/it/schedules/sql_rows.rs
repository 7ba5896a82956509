//! Schedules that are inserted by plain SQL: checked by the row's rules and by a worker.

use sqlx::AssertSqlSafe;

use super::{HELD, firings, in_seconds, rig, schedule, texts, until, until_looked_at};

#[tokio::test]
async fn an_invalid_schedule_is_marked_and_stops_no_other() {
    let rig = rig().await;
    rig.sql(HELD).await;
    let worker = rig.worker().await;
    rig.sql("INSERT INTO callq.schedules (name, cron, tz, jitter, robot_account, callees) VALUES
        ('cron', '0 9 * * 8', 'UTC', '0', 'robot', '{jack}'), ('zone', '0 9 * * *', 'Europe/Berlim', '0', 'robot', '{jack}'),
        ('jitter', '*/5 * * * *', 'UTC', '1 hour', 'robot', '{jack}')")
        .await;
    let good = schedule(&rig, "good", &[("on_times", &in_seconds(&[50]))]).await;
    until_looked_at(&rig).await;
    assert_eq!(firings(&rig, good).await, ["scheduled"]);
    let errors = "SELECT name || ': ' || error FROM callq.schedules WHERE error_at IS NOT NULL ORDER BY name";
    let errors = texts(&rig, errors).await;
    assert!(errors[0].contains("day-of-week"), "{errors:?}");
    assert!(
        errors[1].contains("jitter is 3600s: it must be shorter"),
        "{errors:?}"
    );
    assert!(
        errors[2].contains("did you mean Europe/Berlin?"),
        "{errors:?}"
    );
    let store = callq::store::Store::connect(rig.db.url(), 1).await.unwrap();
    assert_eq!(store.schedules_at_fault().await.unwrap(), 3);
    rig.sql("UPDATE callq.schedules SET tz = 'Europe/Berlin' WHERE name = 'zone'")
        .await;
    until(&rig, "(SELECT error IS NULL AND next_fire_at IS NOT NULL FROM callq.schedules WHERE name = 'zone')").await;
    worker.stop().await.unwrap();
}

#[tokio::test]
async fn a_firing_whose_job_cannot_be_inserted_is_told_and_stops_no_other() {
    let rig = rig().await;
    rig.sql(HELD).await;
    rig.sql(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF NEW.callees = '{bad}' THEN RAISE EXCEPTION 'not him'; END IF; RETURN NEW; END $$;
        CREATE TRIGGER refuse BEFORE INSERT ON callq.jobs FOR EACH ROW EXECUTE FUNCTION refuse()",
    )
    .await;
    let bad = schedule(&rig, "bad", &[("on_times", &in_seconds(&[50, 3000]))]).await;
    let mut good = Vec::new();
    for n in 0..5 {
        good.push(
            schedule(
                &rig,
                &format!("good{n}"),
                &[("on_times", &in_seconds(&[50]))],
            )
            .await,
        );
    }
    let worker = rig.worker().await;
    until_looked_at(&rig).await;
    worker.stop().await.unwrap();
    assert_eq!(firings(&rig, bad).await, ["skipped insert_failed 1"]);
    for id in good {
        assert_eq!(firings(&rig, id).await, ["scheduled"]);
    }
    let said = "SELECT error || (SELECT detail FROM callq.skipped_firings) FROM callq.schedules WHERE error IS NOT NULL";
    let said = texts(&rig, said).await.remove(0);
    assert_eq!(said.matches("not him").count(), 2, "{said}");
    let goes_on = "SELECT next_fire_at > now() + interval '40 minutes' FROM callq.schedules WHERE error IS NOT NULL";
    assert!(rig.value::<bool>(goes_on).await, "its next firing is tried");
}

#[tokio::test]
async fn a_row_that_breaks_a_rule_is_refused_with_the_column_the_fault_and_what_is_allowed() {
    let rig = rig().await;
    let refused = async |columns: &str, values: &str| {
        let insert = format!(
            "INSERT INTO callq.schedules (name, tz, robot_account, callees, {columns}) VALUES ('a', 'UTC', 'robot', '{{jack}}', {values})"
        );
        let done = sqlx::raw_sql(AssertSqlSafe(insert))
            .execute(rig.db.pool())
            .await;
        done.expect_err(values)
            .as_database_error()
            .unwrap()
            .message()
            .to_owned()
    };
    for (columns, values, said) in [
        (
            "cron, every",
            "'* * * * *', '1 s'",
            "cron is not the only one of cron, every and on_times: give one of the three",
        ),
        (
            "enabled",
            "true",
            "cron is NULL, and so are every and on_times: give one of the three",
        ),
        (
            "cron, overlap",
            "'* * * * *', 'Skip'",
            "overlap is \"Skip\": it must be skip, allow or cancel_previous",
        ),
        (
            "cron, ttl, jitter",
            "'* * * * *', '1 min', '1 min'",
            "jitter is 00:01:00 with a ttl of 00:01:00: it must be shorter than ttl",
        ),
        (
            "cron, media_type",
            "'* * * * *', 'audio'",
            "media_type is \"audio\": it must be Audio or Video, spelled so",
        ),
        (
            "every",
            "'1 month'",
            "every is 1 mon: it must be whole seconds, from 1 s to 366 days, without months and years, which are not always equally long",
        ),
        (
            "every",
            "'1 year -360 days'",
            "every is 1 year -360 days: it must be whole seconds, from 1 s to 366 days, without months and years, which are not always equally long",
        ),
        (
            "cron, metadata",
            "'* * * * *', '{\"a\": 1e400}'",
            "metadata has a number that is too large: each must be within the range of a double, from -1.7976931348623157e308 to 1.7976931348623157e308",
        ),
        (
            "cron, cursor_at",
            "'* * * * *', '2020-01-01'",
            "cursor_at is given: leave it out, callq writes it itself",
        ),
    ] {
        assert_eq!(refused(columns, values).await, said);
    }
}

#[tokio::test]
async fn a_month_that_stands_in_every_already_may_stay_and_may_not_be_given() {
    let rig = rig().await;
    rig.sql("BEGIN; SET LOCAL session_replication_role = replica;
        INSERT INTO callq.schedules (name, every, tz, robot_account, callees) VALUES ('old', '1 month', 'UTC', 'robot', '{jack}'); COMMIT")
        .await;
    rig.sql("UPDATE callq.schedules SET callees = '{jill}', every = every; UPDATE callq.schedules SET every = '30 days'")
        .await;
    let again = sqlx::query("UPDATE callq.schedules SET every = '1 month'")
        .execute(rig.db.pool())
        .await;
    assert!(again.is_err(), "though 30 days are equal to it");
}
