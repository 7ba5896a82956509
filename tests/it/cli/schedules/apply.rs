//! `callq schedules apply`

use callq::store::{Applied, MadeAhead, PlanItem, Store};

use super::{CLASS, Jobs, MEDS, PRIVATE, json_lines, says, sql};
use crate::support::program::{callq, run};
use crate::support::terminal::Terminal;

#[tokio::test]
async fn a_plan_tells_what_is_created_changed_unchanged_and_removed() {
    let jobs = Jobs::new(&[("meds.toml", MEDS), ("class.toml", CLASS)]).await;
    let ended = jobs.apply(&["--dry-run"]).await.with_code(4);
    says(
        &ended,
        &[
            "create  meds (app default)  ",
            "rings: 0 9 * * * Europe/Berlin",
            "create  class (app school)",
            "2 to create.",
        ],
    );
    assert_eq!(jobs.names().await, "", "a dry run changes nothing");
    let ended = jobs.apply(&["--yes"]).await.with_code(0);
    says(&ended, &["2 to create.\n2 applied\n"]);
    assert_eq!(jobs.names().await, "default/meds school/class");
    let ended = jobs.apply(&["--dry-run"]).await.with_code(0);
    assert_eq!(ended.text(), "2 unchanged.\n");
    assert_eq!(
        jobs.apply(&["--yes"]).await.with_code(0).text(),
        "2 unchanged.\n"
    );

    let changed = MEDS
        .replace("0 9", "0 8")
        .replace("30m", "20m")
        .replace("[\"jack\"]", "[\"jack\", \"ann\"]");
    jobs.write("meds.toml", &changed);
    jobs.write("new.toml", &MEDS.replace("\"meds\"", "\"new\""));
    std::fs::remove_file(jobs.path().join("class.toml")).unwrap();
    sql(&jobs.database, "INSERT INTO callq.schedules (name, cron, tz, robot_account, callees) VALUES ('by-sql', '0 1 * * *', 'UTC', 'bot', '{jack}')").await;
    let ended = jobs.apply(&["--dry-run"]).await.with_code(4);
    says(
        &ended,
        &[
            "cron: 0 9 * * * -> 0 8 * * *",
            "ttl: 30m -> 20m",
            "callees: +ann\n",
            "1 to create, 1 to change.",
        ],
    );
    assert!(
        !ended.text().contains("by-sql"),
        "without --prune nothing is removed: {ended}"
    );
    let ended = jobs.apply(&["--prune", "--yes"]).await.with_code(0);
    says(
        &ended,
        &[
            "remove  by-sql (app default)",
            "1 to create, 1 to change, 1 to remove.",
            "3 applied",
        ],
    );
    assert_eq!(
        jobs.names().await,
        "default/meds default/new school/class",
        "no file names the app school any more"
    );
    let stored: (String, Vec<String>) =
        sqlx::query_as("SELECT cron, callees FROM callq.schedules WHERE name = 'meds'")
            .fetch_one(jobs.database.pool())
            .await
            .unwrap();
    assert_eq!(
        stored,
        (
            "0 8 * * *".to_owned(),
            vec!["jack".to_owned(), "ann".to_owned()]
        )
    );
}

#[tokio::test]
async fn what_belongs_to_the_callee_is_shown_only_if_it_is_asked_for() {
    let jobs = Jobs::new(&[("meds.toml", MEDS)]).await;
    jobs.apply(&["--yes"]).await.with_code(0);
    jobs.write("meds.toml", &MEDS.replace(PRIVATE, "other-words"));
    for arguments in [&["--dry-run"][..], &["--dry-run", "--json"]] {
        let ended = jobs.apply(arguments).await.with_code(4);
        says(&ended, &["user_data"]);
        assert!(!ended.text().contains("words"), "{ended}");
    }
    let ended = jobs
        .apply(&["--dry-run", "--show-user-data"])
        .await
        .with_code(4);
    says(&ended, &["user_data: the-callees-own-words -> other-words"]);
    let hidden = jobs.run(&["show", "meds"]).await.with_code(0);
    assert!(!hidden.text().contains(PRIVATE), "{hidden}");
    says(&hidden, &["not shown", "user_data"]);
    let json = jobs.run(&["show", "meds", "--json"]).await.with_code(0);
    assert!(
        !json.text().contains(PRIVATE) && json_lines(&json)[0]["has_user_data"] == true,
        "{json}"
    );
    says(
        &jobs.run(&["show", "meds", "--show-user-data"]).await,
        &[PRIVATE],
    );
}

#[tokio::test]
async fn programs_get_an_object_for_each_schedule() {
    let jobs = Jobs::new(&[("meds.toml", MEDS), ("class.toml", CLASS)]).await;
    let lines = json_lines(&jobs.apply(&["--yes", "--json"]).await.with_code(0));
    assert_eq!(lines.len(), 2);
    assert_eq!(
        (&lines[0]["action"], &lines[0]["name"], &lines[0]["applied"]),
        (&"create".into(), &"meds".into(), &true.into())
    );
    jobs.write("meds.toml", &MEDS.replace("0 9", "0 8"));
    let lines = json_lines(&jobs.apply(&["--dry-run", "--json"]).await.with_code(4));
    let change = serde_json::json!([{ "field": "cron", "old": "0 9 * * *", "new": "0 8 * * *" }]);
    assert_eq!(
        (&lines[0]["changes"], &lines[1]["action"]),
        (&change, &"unchanged".into())
    );
}

#[tokio::test]
async fn without_a_terminal_nothing_is_changed_unasked() {
    let jobs = Jobs::new(&[("meds.toml", MEDS)]).await;
    let ended = jobs.apply(&[]).await.with_code(2);
    assert_eq!(
        ended.stderr,
        "callq: there is no terminal to ask on before schedules are changed\nhint: add --yes, or --dry-run to see what would change\n"
    );
    assert_eq!(jobs.names().await, "");
}

#[tokio::test]
async fn on_a_terminal_it_asks_and_everything_but_a_yes_is_a_no() {
    let jobs = Jobs::new(&[("meds.toml", MEDS)]).await;
    let arguments = ["schedules", "apply", jobs.path().to_str().unwrap()];
    let refusing = Terminal {
        columns: 120,
        typed: "\n",
    };
    let (code, shown) = refusing.run(&jobs.database, &arguments).await;
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("\x1b[32mcreate \x1b[0m meds"), "{shown}");
    assert!(
        shown.contains("apply this plan (1 to create)? [y/N]")
            && shown.contains("nothing was changed"),
        "{shown}"
    );
    assert_eq!(jobs.names().await, "");
    let agreeing = Terminal {
        columns: 120,
        typed: "y\n",
    };
    let (code, shown) = agreeing.run(&jobs.database, &arguments).await;
    assert_eq!((code, shown.contains("1 applied")), (0, true), "{shown}");
    assert_eq!(jobs.names().await, "default/meds");
}

#[tokio::test]
async fn all_mistakes_are_told_without_a_database_and_nothing_is_applied() {
    let jobs = Jobs::new(&[
        ("a.toml", &MEDS.replace("0 9", "0 99")),
        ("b.toml", &CLASS.replace("robot_account", "robot")),
        ("c.toml", MEDS),
    ])
    .await;
    let folder = jobs.path().to_str().unwrap();
    let ended = run(&mut callq(["schedules", "apply", folder, "--yes"]))
        .await
        .with_code(2);
    let lines: Vec<&str> = ended.stderr.lines().collect();
    assert_eq!(lines.len(), 3, "{ended}");
    assert_eq!(
        lines[2],
        "hint: nothing was applied; docs/schedules.md has every key"
    );
    says(
        &ended,
        &[
            &format!(
                "callq: {folder}/a.toml:2:11: cron: hour (column 3) is \"99\": 99 is out of range; must be 0-23"
            ),
            &format!(
                "callq: {folder}/b.toml:6:1: call.robot is no key: did you mean robot_account?\n"
            ),
        ],
    );
    jobs.apply(&["--yes"]).await.with_code(2);
    assert_eq!(jobs.names().await, "");
}

#[tokio::test]
async fn a_plan_that_the_database_refuses_is_applied_not_at_all() {
    let jobs = Jobs::new(&[
        ("a.toml", &MEDS.replace("\"meds\"", "\"a\"")),
        ("b.toml", &MEDS.replace("\"meds\"", "\"b\"")),
    ])
    .await;
    sql(
        &jobs.database,
        "CREATE FUNCTION no_b() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION USING MESSAGE = 'not b', ERRCODE = 'check_violation'; END $$;
         CREATE TRIGGER zz_no_b BEFORE INSERT ON callq.schedules FOR EACH ROW WHEN (NEW.name = 'b') EXECUTE FUNCTION no_b()",
    )
    .await;
    let ended = jobs.apply(&["--yes"]).await.with_code(2);
    says(
        &ended,
        &["callq: nothing was applied: schedule \"b\": not b"],
    );
    assert_eq!(jobs.names().await, "", "neither of the two");
}

#[tokio::test]
async fn a_plan_is_refused_if_a_schedule_was_changed_after_it_was_made() {
    let jobs = Jobs::new(&[("meds.toml", MEDS)]).await;
    jobs.apply(&["--yes"]).await.with_code(0);
    let store = Store::connect(jobs.database.url(), 1).await.unwrap();
    let row = store.schedules(None, None, None).await.unwrap().remove(0);
    let item = PlanItem::Change {
        app: row.app.clone(),
        name: row.name.clone(),
        revision: row.revision,
        definition: Box::new(row.definition.clone()),
    };
    sql(
        &jobs.database,
        "UPDATE callq.schedules SET cron = '0 7 * * *'",
    )
    .await;
    let new = PlanItem::Create {
        app: "default".to_owned(),
        name: "another".to_owned(),
        definition: Box::new(row.definition),
    };
    let applied = store
        .apply_schedules(&[new, item], MadeAhead::Withdraw)
        .await
        .unwrap();
    let Applied::Refused(why) = applied else {
        panic!("{applied:?}")
    };
    assert!(
        why.contains("was changed or removed since the plan was made"),
        "{why}"
    );
    assert_eq!(jobs.names().await, "default/meds", "nothing of the plan");
    // The next plan knows.
    says(
        &jobs.apply(&["--yes"]).await.with_code(0),
        &["cron: 0 7 * * * -> 0 9 * * *", "1 applied"],
    );
    store.close().await;
}

#[tokio::test]
async fn a_pause_outlasts_a_change_and_is_told() {
    let jobs = Jobs::new(&[("meds.toml", MEDS)]).await;
    jobs.apply(&["--yes"]).await.with_code(0);
    jobs.run(&["pause", "meds"]).await.with_code(0);
    jobs.write("meds.toml", &MEDS.replace("0 9", "0 8"));
    says(
        &jobs.apply(&["--yes"]).await.with_code(0),
        &["it is paused, and stays so"],
    );
    assert!(
        jobs.value::<bool>("SELECT paused_at IS NOT NULL FROM callq.schedules")
            .await
    );
}

#[tokio::test]
async fn a_file_by_itself_may_be_applied() {
    let jobs = Jobs::new(&[("meds.toml", MEDS), ("class.toml", CLASS)]).await;
    let file = jobs.path().join("meds.toml");
    let ended = jobs
        .run(&["apply", file.to_str().unwrap(), "--yes"])
        .await
        .with_code(0);
    says(&ended, &["1 applied"]);
    assert_eq!(jobs.names().await, "default/meds");
}

#[tokio::test]
async fn what_was_applied_is_unchanged_whatever_is_in_it() {
    let full = "
        name = 'full'
        every = '90m'
        tz = 'Asia/Kathmandu'
        enabled = false
        ttl = '1500ms'
        jitter = '250ms'
        catch_up = 'all'
        catch_up_window = '366d'
        overlap = 'allow'
        start_at = 2030-01-01T09:00:00+01:00
        end_at = 2030-12-31
        except_dates = ['2030-12-25', '2030-05-01']
        calendars = ['days.txt']
        [call]
        robot_account = 'bot'
        callees = ['zoe', 'ann']
        media_type = 'Video'
        room_id = '2147483647'
        room_id_type = 1
        ring_timeout_ms = 600000
        user_data = ''
        priority = 3
        max_attempts = 100
        on_doubt = 'hold'
        retry_callees = true
        metadata = { a = 0.1, b = 1e2, c = 1e16, d = 1e300, e = -0.0, f = 9223372036854775807, g = 'Grüße \\u1F4DE', h = [[], {}], i = -1e17, j = 1e-9 }
        [call.offline_push]
        Title = 'T'
        Ext = '{\"entity\": {}}'
        Unknown = { deep = [1, 2.50] }";
    let on = MEDS.replace("\"meds\"", "\"on\"").replace(
        "cron = \"0 9 * * *\"",
        "on = [\"2100-02-01 09:00:30\", \"2100-01-01T09:00\", \"2100-02-01 09:00:30\"]",
    );
    let jobs = Jobs::new(&[
        ("full.toml", full),
        ("on.toml", &on),
        ("meds.toml", &MEDS.replace("Europe/Berlin", "europe/berlin")),
    ])
    .await;
    jobs.write("days.txt", "2030-10-03\n2030-01-06 # twice\n2030-10-03\n");
    says(&jobs.apply(&["--yes"]).await.with_code(0), &["3 applied"]);
    assert_eq!(
        jobs.apply(&["--dry-run"]).await.with_code(0).text(),
        "3 unchanged.\n"
    );
    let zone = jobs
        .value::<String>("SELECT tz FROM callq.schedules WHERE name = 'meds'")
        .await;
    assert_eq!(zone, "Europe/Berlin", "as the database of zones spells it");
    jobs.write("days.txt", "2030-10-03\n2030-01-07\n");
    says(
        &jobs.apply(&["--dry-run"]).await.with_code(4),
        &[
            "calendar_dates: +2030-01-07 -2030-01-06\n",
            "1 to change, 2 unchanged.",
        ],
    );
}
