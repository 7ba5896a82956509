//! What becomes of firings whose time passed while no worker ran.

use std::time::Instant;

use super::{HELD, rig, schedule, texts, until_looked_at};
use crate::support::rig::Rig;

/// Fires every ten minutes, five minutes from now at the nearest.
async fn every_ten_minutes(rig: &Rig) -> String {
    let minute = "SELECT ((extract(minute FROM now())::int + 5) % 10)::text";
    let minute = texts(rig, minute).await.remove(0);
    format!("'{minute}-59/10 * * * *'")
}

/// As if the schedule had been decided up to so long ago, and nobody had looked since.
async fn away(rig: &Rig, ago: &str) {
    rig.sql(&format!(
        "UPDATE callq.schedules SET cursor_at = now() - interval '{ago}', created_at = now() - interval '2 years', check_at = '-infinity'"
    ))
    .await;
}

/// How many jobs of the past were made, the records, and whether jobs and records together are
/// every firing, each once.
async fn account(rig: &Rig, name: &str, minutes: i32) -> (i64, Vec<String>) {
    let jobs = format!(
        "SELECT count(*) FROM callq.jobs AS j JOIN callq.schedules AS s ON s.id = j.schedule_id
         WHERE s.name = '{name}' AND j.nominal_at <= now()"
    );
    let records = format!(
        "SELECT concat_ws(' ', f.reason, f.firings) FROM callq.skipped_firings AS f WHERE f.name = '{name}' ORDER BY f.id"
    );
    let whole = format!(
        "SELECT ((SELECT count(*) FROM callq.jobs AS j WHERE j.schedule_id = s.id AND j.nominal_at <= now())
             + (SELECT coalesce(sum(f.firings), 0) FROM callq.skipped_firings AS f WHERE f.schedule_id = s.id)
             - (extract(epoch FROM max(e.at) - min(e.at)) / 60 / {minutes} + 1))::text
         FROM callq.schedules AS s CROSS JOIN LATERAL (
             SELECT j.nominal_at AS at FROM callq.jobs AS j WHERE j.schedule_id = s.id AND j.nominal_at <= now()
             UNION ALL SELECT f.first_nominal_at FROM callq.skipped_firings AS f WHERE f.schedule_id = s.id
             UNION ALL SELECT f.last_nominal_at FROM callq.skipped_firings AS f WHERE f.schedule_id = s.id) AS e
         WHERE s.name = '{name}' GROUP BY s.id"
    );
    let missing: f64 = texts(rig, &whole).await[0].parse().unwrap();
    assert!(missing.abs() < 1e-9, "{name}: {missing} firings too many");
    (rig.value(&jobs).await, texts(rig, &records).await)
}

#[tokio::test]
async fn after_three_hours_away_the_policy_and_its_window_say_what_is_made() {
    let rig = rig().await;
    rig.sql(HELD).await;
    let cron = every_ten_minutes(&rig).await;
    let expected = [
        ("latest-10m", 1, vec!["missed 17"]),
        ("latest-4h", 1, vec!["missed 17"]),
        ("all-10m", 1, vec!["missed 17"]),
        ("all-4h", 18, vec![]),
        ("none-10m", 0, vec!["missed 18"]),
        ("none-4h", 0, vec!["missed 18"]),
    ];
    for (name, ..) in &expected {
        let (policy, window) = name.split_once('-').unwrap();
        let (policy, window) = (format!("'{policy}'"), format!("'{window}in'"));
        let window = window.replace("hin", " hours").replace("min", " min");
        let columns = [
            ("cron", cron.as_str()),
            ("catch_up", &policy),
            ("catch_up_window", &window),
        ];
        schedule(&rig, name, &columns).await;
    }
    away(&rig, "3 hours").await;
    let worker = rig.worker().await;
    until_looked_at(&rig).await;
    worker.stop().await.unwrap();
    for (name, jobs, records) in expected {
        let (made, told) = account(&rig, name, 10).await;
        assert_eq!(
            (made, told),
            (jobs, records.iter().map(ToString::to_string).collect()),
            "{name}"
        );
    }
    let newest =
        "SELECT count(*) FROM callq.jobs AS j JOIN callq.schedules AS s ON s.id = j.schedule_id
        WHERE s.name LIKE 'latest%' AND j.nominal_at > now() - interval '10 minutes'";
    assert_eq!(rig.value::<i64>(newest).await, 2);
}

#[tokio::test]
async fn of_more_than_a_hundred_missed_firings_the_oldest_hundred_are_made_up_for() {
    let rig = rig().await;
    rig.sql(HELD).await;
    let columns = [
        ("cron", "'* * * * *'"),
        ("catch_up", "'all'"),
        ("catch_up_window", "'4 hours'"),
    ];
    schedule(&rig, "minutely", &columns).await;
    away(&rig, "3 hours").await;
    let worker = rig.worker().await;
    until_looked_at(&rig).await;
    worker.stop().await.unwrap();
    let behind = "SELECT (SELECT max(nominal_at) FROM callq.jobs WHERE nominal_at < now() - interval '1 hour') + interval '1 minute'
        = first_nominal_at FROM callq.skipped_firings";
    assert!(rig.value::<bool>(behind).await, "the oldest are made");
    let made = "SELECT count(*) FROM callq.jobs WHERE nominal_at < now() - interval '1 hour'";
    assert_eq!(rig.value::<i64>(made).await, 100);
    let told: i64 = rig.value("SELECT firings FROM callq.skipped_firings").await;
    assert!((80..=81).contains(&told), "{told}");
}

#[tokio::test]
async fn a_schedule_of_every_minute_that_was_away_for_a_year_has_one_job_and_one_record() {
    let rig = rig().await;
    rig.sql(HELD).await;
    schedule(&rig, "minutely", &[("cron", "'* * * * *'")]).await;
    away(&rig, "365 days").await;
    let worker = rig.worker().await;
    let began = Instant::now();
    until_looked_at(&rig).await;
    println!("a year is made up for within {:?}", began.elapsed());
    worker.stop().await.unwrap();
    let (made, told) = account(&rig, "minutely", 1).await;
    // The one that was missed last, and the minute that began meanwhile if one did.
    assert!((1..=2).contains(&made), "{made}");
    assert_eq!(told.len(), 1);
    let of_the_year = "SELECT firings BETWEEN 365 * 1440 - 1 AND 365 * 1440 AND last_nominal_at - first_nominal_at > interval '364 days'
        FROM callq.skipped_firings";
    assert!(rig.value::<bool>(of_the_year).await, "{told:?}");
}

#[tokio::test]
async fn what_the_database_has_forgotten_is_told_and_not_fired_again() {
    let rig = rig().await;
    rig.sql(HELD).await;
    let cron = every_ten_minutes(&rig).await;
    let columns = [
        ("cron", cron.as_str()),
        ("catch_up", "'all'"),
        ("catch_up_window", "'4 hours'"),
    ];
    schedule(&rig, "restored", &columns).await;
    away(&rig, "3 hours").await;
    // Counting changes nothing, and where nothing was lost, what was missed is made up for.
    for of_no_effect in [
        "SELECT callq.recover(now() - interval '3 hours', dry_run => true)",
        "SELECT callq.recover(NULL)",
    ] {
        rig.sql(of_no_effect).await;
        let barred = "SELECT count(barred_until) FROM callq.schedules";
        assert_eq!(rig.value::<i64>(barred).await, 0, "{of_no_effect}");
    }
    rig.sql("SELECT callq.recover(now() - interval '3 hours')")
        .await;
    let worker = rig.worker().await;
    until_looked_at(&rig).await;
    worker.stop().await.unwrap();
    let (made, told) = account(&rig, "restored", 10).await;
    assert_eq!((made, told), (0, vec!["firing_forgotten 18".to_owned()]));
}
