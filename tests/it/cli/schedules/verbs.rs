//! `callq schedules list`, `show`, `pause`, `resume`, `run-now`, `skip-next`, `remove`, `backfill`;
//! and what `callq status` and `callq check` say of schedules.

use super::{CLASS, Jobs, MEDS, json_lines, says, sql};
use crate::cli::callq_on;
use crate::support::terminal::Terminal;

async fn two() -> Jobs {
    let jobs = Jobs::new(&[("meds.toml", MEDS), ("class.toml", CLASS)]).await;
    jobs.apply(&["--yes"]).await.with_code(0);
    jobs
}

#[tokio::test]
async fn schedules_are_listed_with_how_they_stand() {
    let jobs = two().await;
    sql(&jobs.database, "UPDATE callq.schedules SET error = E'bad\\u202ething', error_at = now(), check_at = NULL WHERE name = 'class'").await;
    let ended = jobs.run(&["list"]).await.with_code(0);
    says(
        &ended,
        &[
            "meds",
            "0 9 * * *",
            "Europe/Berlin",
            "not looked at by a worker yet",
            "on 2100-01-01 08:00 and 1 more",
            "bad\\u{202e}thing",
        ],
    );
    let lines = json_lines(
        &jobs
            .run(&["list", "--json", "--app", "school"])
            .await
            .with_code(0),
    );
    assert_eq!(
        (lines.len(), &lines[0]["name"], &lines[0]["on"][1]),
        (1, &"class".into(), &"2100-01-02 08:00".into())
    );
    let cut = jobs.run(&["list", "--limit", "1"]).await.with_code(0);
    says(&cut, &["there are more: raise --limit"]);
    let empty = jobs.run(&["list", "--app", "none"]).await.with_code(0);
    says(&empty, &["there is no schedule"]);
}

#[tokio::test]
async fn the_next_firing_is_the_one_that_rings_next_as_the_database_has_it() {
    let jobs = two().await;
    // As a worker leaves it that has made 08:00 ahead and reckoned the rest; but `class` is held.
    sql(
        &jobs.database,
        "UPDATE callq.schedules SET check_at = 'infinity', zone_data = 'x', last_nominal_at = '2100-01-01 08:00Z',
             next_fire_at = '2100-01-02 08:00Z', upcoming = '{2100-01-02 08:00Z, 2100-01-03 08:00Z}' WHERE name = 'meds';
         UPDATE callq.schedules SET check_at = 'infinity', zone_data = 'x', last_nominal_at = NULL, next_fire_at = '2100-01-02 08:00Z',
             upcoming = '{2100-01-01 08:00Z, 2100-01-02 08:00Z}' WHERE name = 'class';
         INSERT INTO callq.jobs (robot_account, callees, run_at, schedule_id, nominal_at, nominal_local, nominal_fold)
         SELECT 'bot', '{jack}', '2100-01-01 08:00Z', id, '2100-01-01 08:00Z', '2100-01-01 08:00', 0
         FROM callq.schedules WHERE name = 'meds'",
    )
    .await;
    let next = async |name: &str| {
        let lines = json_lines(&jobs.run(&["list", "--json"]).await.with_code(0));
        let row = lines.iter().find(|row| row["name"] == name).unwrap();
        row["next_at"].as_str().unwrap_or("none").to_owned()
    };
    assert_eq!(next("meds").await, "2100-01-01T08:00:00Z", "made ahead");
    assert_eq!(next("class").await, "2100-01-01T08:00:00Z", "held");
    let ended = jobs.run(&["list"]).await.with_code(0);
    says(&ended, &["Fri 2100-01-01 09:00", "2100-01-01T08:00:00Z"]);
    sql(
        &jobs.database,
        "UPDATE callq.schedules SET skip_next = 1 WHERE name = 'class'",
    )
    .await;
    assert_eq!(next("class").await, "2100-01-02T08:00:00Z", "skipped");
    sql(
        &jobs.database,
        "UPDATE callq.jobs SET state = 'cancelled', reason = 'superseded', finished_at = now()",
    )
    .await;
    assert_eq!(next("meds").await, "2100-01-02T08:00:00Z", "cancelled");
    jobs.run(&["pause", "meds"]).await.with_code(0);
    assert_eq!(next("meds").await, "none", "paused");
    sql(
        &jobs.database,
        "UPDATE callq.schedules SET error = 'x', error_at = now(), upcoming = '{}', check_at = NULL WHERE name = 'class'",
    )
    .await;
    assert_eq!(next("class").await, "none", "at fault");
    let ended = jobs.run(&["list"]).await.with_code(0);
    assert!(!ended.text().contains("2100-01-01T08:00:00Z"), "{ended}");
}

#[tokio::test]
async fn a_job_is_shown_with_the_schedule_that_made_it_also_if_that_is_gone() {
    let jobs = two().await;
    let id: i64 = jobs
        .value(
            "INSERT INTO callq.jobs (robot_account, callees, run_at, schedule_id, nominal_at, nominal_local, nominal_fold)
             SELECT 'bot', '{jack}', '2100-01-01 08:00Z', id, '2100-01-01 07:59Z', '2100-01-01 07:59', 0
             FROM callq.schedules WHERE name = 'meds' RETURNING id",
        )
        .await;
    let id = id.to_string();
    for arguments in [vec!["jobs", "show", &id], vec!["jobs", "list"]] {
        let ended = callq_on(&jobs.database, &arguments).await.with_code(0);
        says(
            &ended,
            &["schedule", "meds", "nominal_at", "2100-01-01T07:59:00.000Z"],
        );
    }
    let ended = callq_on(&jobs.database, &["jobs", "export", "--csv"]).await;
    says(
        &ended,
        &[
            ",schedule_id,schedule,nominal_at",
            ",meds,2100-01-01T07:59:00Z",
        ],
    );
    sql(
        &jobs.database,
        "DELETE FROM callq.schedules WHERE name = 'meds'",
    )
    .await;
    let ended = callq_on(&jobs.database, &["jobs", "show", &id])
        .await
        .with_code(0);
    says(&ended, &["removed since"]);
    let ended = callq_on(&jobs.database, &["jobs", "show", &id, "--json"]).await;
    let json = json_lines(&ended).remove(0);
    assert!(
        json["job"]["schedule"].is_null() && json["job"]["schedule_id"].is_i64(),
        "{ended}"
    );
}

#[tokio::test]
async fn a_schedule_is_shown_with_its_next_ten_firings() {
    let jobs = two().await;
    let ended = jobs.run(&["show", "meds"]).await.with_code(0);
    says(
        &ended,
        &[
            "schedule",
            "meds of app default",
            "0 9 * * *",
            "30m",
            "Next firings:",
            "Europe/Berlin",
            "09:00 +0",
        ],
    );
    assert_eq!(ended.text().matches(" 09:00 +0").count(), 10, "{ended}");
    let json = json_lines(
        &jobs
            .run(&["show", "class", "--app", "school", "--json"])
            .await
            .with_code(0),
    )
    .remove(0);
    assert_eq!(json["next"][0]["at"], "2100-01-01T08:00:00Z");
    assert_eq!(json["next"].as_array().unwrap().len(), 2);
    // What SQL gave may be anything.
    sql(
        &jobs.database,
        "UPDATE callq.schedules SET tz = E'No\\u001bwhere' WHERE name = 'meds'",
    )
    .await;
    let ended = jobs.run(&["show", "meds"]).await.with_code(0);
    says(
        &ended,
        &["It cannot ring: tz is \"No\\u{1b}where\", which is no time zone"],
    );
}

#[tokio::test]
async fn firings_that_were_not_made_are_shown_with_their_reason() {
    let jobs = two().await;
    sql(
        &jobs.database,
        "INSERT INTO callq.skipped_firings (schedule_id, app, name, reason, first_nominal_at, last_nominal_at, firings, detail)
         SELECT id, app, name, 'overlap', '2020-01-01 08:00Z', '2020-01-03 08:00Z', 3, E'job 7 \\u001b[2J' FROM callq.schedules WHERE name = 'meds'",
    )
    .await;
    let ended = jobs.run(&["show", "meds"]).await.with_code(0);
    says(
        &ended,
        &[
            "Not fired:",
            "2020-01-01T08:00:00.000Z",
            "2020-01-03T08:00:00.000Z",
            "overlap",
            "job 7 \\u{1b}[2J",
        ],
    );
    let json = json_lines(&jobs.run(&["show", "meds", "--json"]).await).remove(0);
    assert_eq!(
        (
            &json["skipped"][0]["firings"],
            &json["skipped"][0]["reason"]
        ),
        (&3.into(), &"overlap".into())
    );
}

#[tokio::test]
async fn a_name_that_is_not_there_ends_with_3_and_the_one_that_was_meant() {
    let jobs = two().await;
    for verb in ["show", "pause", "resume", "run-now", "skip-next"] {
        let ended = jobs.run(&[verb, "mets"]).await.with_code(3);
        assert_eq!(
            ended.stderr, "callq: there is no schedule mets\nhint: did you mean meds?\n",
            "{verb}"
        );
    }
    let ended = jobs.run(&["remove", "class", "--yes"]).await.with_code(3);
    says(
        &ended,
        &["hint: the app school has one of this name: add --app school\n"],
    );
    let ended = jobs
        .run(&["show", "meds", "--app", "school"])
        .await
        .with_code(3);
    says(&ended, &["there is no schedule meds of the app school"]);
}

#[tokio::test]
async fn each_verb_answers_with_what_it_did() {
    let jobs = two().await;
    says(
        &jobs
            .run(&["pause", "meds", "--reason", "Jack is away"])
            .await
            .with_code(0),
        &["schedule meds: paused\n"],
    );
    says(
        &jobs.run(&["pause", "meds"]).await.with_code(0),
        &["schedule meds: is paused already, and the reason stays\n"],
    );
    says(&jobs.run(&["list"]).await, &["paused: Jack is away"]);
    says(
        &jobs.run(&["skip-next", "meds"]).await.with_code(0),
        &["schedule meds: is paused, and rings nobody: there is nothing to leave out\n"],
    );
    sql(
        &jobs.database,
        "UPDATE callq.schedules SET enabled = NOT enabled WHERE name = 'meds'",
    )
    .await;
    says(
        &jobs.run(&["skip-next", "meds"]).await.with_code(0),
        &["schedule meds: does not ring because enabled is false: there is nothing to leave out\n"],
    );
    sql(
        &jobs.database,
        "UPDATE callq.schedules SET enabled = NOT enabled WHERE name = 'meds'",
    )
    .await;
    let shown = jobs.run(&["show", "meds"]).await;
    says(
        &shown,
        &["It is paused: none of them rings before `callq schedules resume meds`."],
    );
    says(
        &jobs.run(&["resume", "meds"]).await.with_code(0),
        &["schedule meds: resumed\n"],
    );
    says(
        &jobs.run(&["resume", "meds"]).await.with_code(0),
        &["schedule meds: is not paused\n"],
    );
    says(
        &jobs.run(&["skip-next", "meds"]).await.with_code(0),
        &["schedule meds: the next firing is left out\n"],
    );
    says(
        &jobs.run(&["show", "meds"]).await,
        &["skipped, by skip-next"],
    );
    let json = json_lines(&jobs.run(&["show", "meds", "--json"]).await).remove(0);
    assert_eq!(json["next"][0]["note"], "skipped, by skip-next");
    let ended = jobs.run(&["run-now", "meds", "--json"]).await.with_code(0);
    let job = json_lines(&ended)[0]["job_id"].as_i64().unwrap();
    let made = format!(
        "SELECT user_data = 'the-callees-own-words' AND state = 'scheduled' AND ttl = '30 minutes' FROM callq.jobs WHERE id = {job}"
    );
    assert!(jobs.value::<bool>(&made).await);
}

#[tokio::test]
async fn a_schedule_is_removed_only_if_somebody_says_yes() {
    let jobs = two().await;
    says(
        &jobs.run(&["remove", "meds"]).await.with_code(2),
        &["there is no terminal to ask on before a schedule is removed\nhint: add --yes\n"],
    );
    let refusing = Terminal {
        columns: 120,
        typed: "n\n",
    };
    let (code, shown) = refusing
        .run(&jobs.database, &["schedules", "remove", "meds"])
        .await;
    assert!(
        code == 0
            && shown.contains("remove the schedule meds? [y/N]")
            && shown.contains("nothing was changed"),
        "{shown}"
    );
    assert_eq!(jobs.names().await, "default/meds school/class");
    says(
        &jobs.run(&["remove", "meds", "--yes"]).await.with_code(0),
        &["schedule meds: removed"],
    );
    assert_eq!(jobs.names().await, "school/class");
}

#[tokio::test]
async fn a_backfill_shows_what_it_would_make_and_makes_each_firing_once() {
    let jobs = two().await;
    let arguments = [
        "backfill",
        "meds",
        "--from",
        "2020-03-28",
        "--to",
        "2020-03-30",
    ];
    let ended = jobs.run(&arguments).await.with_code(0);
    says(
        &ended,
        &[
            "Sun 2020-03-29 09:00 +02:00",
            "3 would be made, due now. Nothing was changed: --yes makes them.",
        ],
    );
    assert_eq!(
        jobs.value::<i64>("SELECT count(*) FROM callq.jobs").await,
        0
    );
    let real = [&arguments[..], &["--yes"]].concat();
    let ended = jobs.run(&real).await.with_code(0);
    assert_eq!(ended.text().matches("is due now").count(), 3, "{ended}");
    let nominal = jobs
        .value::<String>(
            "SELECT string_agg(nominal_local::text, ' ' ORDER BY nominal_at) FROM callq.jobs",
        )
        .await;
    assert_eq!(
        nominal,
        "2020-03-28 09:00:00 2020-03-29 09:00:00 2020-03-30 09:00:00"
    );
    says(
        &jobs.run(&real).await.with_code(0),
        &[
            "1, scheduled",
            "Every one of them has its job: there is nothing to make.",
        ],
    );
    assert_eq!(
        jobs.value::<i64>("SELECT count(*) FROM callq.jobs").await,
        3
    );
    let wider = [
        "backfill",
        "meds",
        "--from",
        "2020-03-28",
        "--to",
        "2020-04-01",
        "--yes",
        "--json",
    ];
    let made = json_lines(&jobs.run(&wider).await.with_code(0));
    assert_eq!(made.len(), 2, "those that were missing");
    says(
        &jobs.run(&["show", "meds"]).await,
        &["Last firings:", "Wed 2020-04-01 09:00"],
    );
}

#[tokio::test]
async fn a_backfill_is_bounded_and_makes_nothing_of_the_future() {
    let jobs = two().await;
    let ended = jobs
        .run(&[
            "backfill",
            "meds",
            "--from",
            "1980-01-01",
            "--to",
            "2020-01-01",
            "--yes",
        ])
        .await
        .with_code(2);
    says(
        &ended,
        &["firings in that time: must be at most 1000 at once"],
    );
    let ended = jobs
        .run(&[
            "backfill",
            "meds",
            "--from",
            "2099-01-01",
            "--to",
            "2099-02-01",
            "--yes",
        ])
        .await
        .with_code(0);
    says(
        &ended,
        &["no firing lies in that time, as far as it is past"],
    );
    let ended = jobs
        .run(&[
            "backfill",
            "meds",
            "--from",
            "2020-02-01",
            "--to",
            "2020-01-01",
        ])
        .await
        .with_code(2);
    says(&ended, &["--to is before --from"]);
    let ended = jobs
        .run(&["backfill", "meds", "--from", "then", "--to", "2020-01-01"])
        .await
        .with_code(2);
    says(&ended, &["--from is \"then\": must be a date"]);
    assert_eq!(
        jobs.value::<i64>("SELECT count(*) FROM callq.jobs").await,
        0
    );
}

#[tokio::test]
async fn status_and_check_name_schedules_at_fault_and_those_that_nobody_fires() {
    let jobs = two().await;
    let ended = callq_on(&jobs.database, &["status"]).await.with_code(0);
    says(
        &ended,
        &["schedules 2; zone data 20", "Nothing holds the queue."],
    );
    sql(
        &jobs.database,
        "UPDATE callq.schedules SET error = 'tz is no zone', error_at = now(), check_at = NULL WHERE name = 'class';
         UPDATE callq.schedules SET check_at = now() - interval '5 minutes', zone_data = '2099a' WHERE name = 'meds'",
    )
    .await;
    let ended = callq_on(&jobs.database, &["status"]).await.with_code(0);
    says(
        &ended,
        &[
            "schedules 2, 1 at fault; zone data 20",
            "Schedule class of app school is at fault: tz is no zone: callq schedules show class --app school",
            "1 schedules wait for a worker to fire them, the first since ",
            "(5 min ago): start a worker whose time zone data is 2099a or newer",
        ],
    );
    let json = json_lines(&callq_on(&jobs.database, &["status", "--json"]).await).remove(0);
    assert_eq!(
        (
            &json["schedules"]["at_fault"],
            &json["schedules"]["unattended"]
        ),
        (&1.into(), &1.into())
    );
    assert_eq!(json["schedules_at_fault"][0]["error"], "tz is no zone");
    let ended = callq_on(&jobs.database, &["check", "--json"]).await;
    let lines = json_lines(&ended);
    let line = |name: &str| {
        lines
            .iter()
            .find(|line| line["check"] == name)
            .unwrap_or_else(|| panic!("{name}: {ended}"))
    };
    assert_eq!(line("schedules")["level"], "warn");
    assert!(
        line("time zones")["says"]
            .as_str()
            .unwrap()
            .starts_with("data of 20"),
        "{ended}"
    );
}
