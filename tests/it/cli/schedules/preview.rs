//! `callq schedules preview`

use super::{json_lines, says};
use crate::support::program::{Ended, callq, run};

async fn preview(arguments: &[&str]) -> Ended {
    run(&mut callq([&["schedules", "preview"], arguments].concat())).await
}

#[tokio::test]
async fn a_preview_needs_no_database_and_tells_what_clock_changes_do() {
    let ended = preview(&[
        "30 2 * * *",
        "--tz",
        "America/New_York",
        "--from",
        "2026-03-07",
        "--count",
        "3",
    ])
    .await;
    let ended = ended.with_code(0);
    says(
        &ended,
        &[
            "30 2 * * *: a fixed time of the day (zone data 20",
            "│ Sat 2026-03-07 02:30 -05:00 ┆ 2026-03-07T07:30:00Z ",
            "│ Sun 2026-03-08 03:00 -04:00 ┆ 2026-03-08T07:00:00Z ",
            "Sun 2026-03-08 03:00 -04:00: the clocks go forward from 02:00 to 03:00: 02:30 does not exist; rings once, at 03:00\n",
        ],
    );
    assert_eq!(ended.stderr, "");
    let ended = preview(&[
        "*/30 * * * *",
        "--tz",
        "America/New_York",
        "--from",
        "2026-11-01 00:30",
        "--count",
        "6",
    ])
    .await;
    let ended = ended.with_code(0);
    says(
        &ended,
        &[
            "follows real time",
            "│ Sun 2026-11-01 01:30 -04:00 ┆ 2026-11-01T05:30:00Z ",
            "│ Sun 2026-11-01 01:30 -05:00 ┆ 2026-11-01T06:30:00Z ",
            "Sun 2026-11-01 01:30 -05:00: the clocks go back from 02:00 to 01:00: 01:30 exists twice; this is the second\n",
        ],
    );
    let ended = preview(&[
        "0 9 * * *",
        "--tz",
        "Pacific/Apia",
        "--from",
        "2011-12-29",
        "--count",
        "2",
    ])
    .await;
    says(
        &ended.with_code(0),
        &["2011-12-30 does not exist in Pacific/Apia: nothing rang on that day"],
    );
}

#[tokio::test]
async fn a_change_of_the_clock_over_midnight_is_told_once_and_by_the_firing_that_it_moves() {
    for from in ["2026-03-28", "2026-03-27"] {
        let ended = preview(&[
            "30 23 * * *",
            "--tz",
            "America/Nuuk",
            "--from",
            from,
            "--count",
            "3",
        ])
        .await;
        let ended = ended.with_code(0);
        says(&ended, &["2026-03-28 23:30 does not exist; rings once, at"]);
        assert!(!ended.text().contains("touches none"), "{ended}");
        assert_eq!(ended.text().matches("the clocks go").count(), 1, "{ended}");
    }
}

#[tokio::test]
async fn times_that_a_change_of_the_clock_leaves_out_are_told_though_nothing_rings_near_it() {
    let ended = preview(&[
        "*/30 2 8 3 *",
        "--tz",
        "America/New_York",
        "--from",
        "2026-03-01",
        "--count",
        "2",
    ])
    .await;
    says(
        &ended.with_code(0),
        &[
            "Sun 2026-03-08: the clocks go forward from 02:00 to 03:00: 02:00 to 02:30 do not exist and are left out\n",
            "Sun 2026-11-01: the clocks go back from 02:00 to 01:00: it touches none of these firings\n",
        ],
    );
}

#[tokio::test]
async fn a_time_that_the_clocks_bring_twice_is_told_although_it_is_the_last_one_shown() {
    let ended = preview(&[
        "30 1 * * *",
        "--tz",
        "America/New_York",
        "--from",
        "2026-11-01",
        "--count",
        "1",
    ])
    .await;
    says(
        &ended.with_code(0),
        &["01:30 exists twice; rings once, at the first"],
    );
}

#[tokio::test]
async fn intervals_and_lists_of_times_can_be_previewed() {
    let ended = preview(&[
        "--every",
        "90m",
        "--tz",
        "UTC",
        "--from",
        "2030-01-01",
        "--count",
        "2",
        "--json",
    ])
    .await;
    let lines = json_lines(&ended.with_code(0));
    let at: Vec<&str> = lines
        .iter()
        .map(|line| line["at"].as_str().unwrap())
        .collect();
    assert_eq!(at, ["2030-01-01T00:00:00Z", "2030-01-01T01:30:00Z"]);
    assert_eq!(lines[1]["local"], "2030-01-01T01:30:00");
    let ended = preview(&[
        "--on",
        "2090-12-24 18:00",
        "--on",
        "2090-12-25 18:00",
        "--tz",
        "Asia/Shanghai",
    ])
    .await;
    says(
        &ended.with_code(0),
        &[
            "Sun 2090-12-24 18:00 +08:00",
            "It does not ring after that.",
        ],
    );
    let ended = preview(&["--on", "1999-12-24 18:00", "--tz", "UTC"]).await;
    says(
        &ended.with_code(0),
        &["it does not ring any more after this time"],
    );
}

#[tokio::test]
async fn a_wrong_expression_is_pointed_at_with_a_caret_and_ends_with_2() {
    for (expression, said) in [
        (
            "0 9 * * 8",
            "callq: day-of-week (column 9) is \"8\": 8 is out of range; must be 0-7 ",
        ),
        (
            "0 24 * * *",
            "callq: hour (column 3) is \"24\": 24 is out of range; must be 0-23",
        ),
        (
            "0 9 ? * *",
            "callq: day-of-month (column 5) is \"?\": ? is not Unix cron; must be 1-31",
        ),
        (
            "0 9 30 2 *",
            "callq: day-of-month (column 5) is \"30\": no month of \"2\" has such a day: it never fires",
        ),
    ] {
        let ended = preview(&[expression, "--tz", "UTC"]).await.with_code(2);
        says(&ended, &[said, &format!("\n  {expression}\n")]);
        let column: usize = ended
            .stderr
            .split("column ")
            .nth(1)
            .unwrap()
            .split(')')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        let caret = ended
            .stderr
            .lines()
            .find(|line| line.trim() == "^")
            .unwrap();
        assert_eq!(caret.len(), column + 2, "{ended}");
        assert_eq!(ended.text(), "");
    }
    let ended = preview(&["0 9 ? * *", "--tz", "UTC"]).await;
    says(&ended, &["\nhint: write *\n"]);
    let unquoted = preview(&[
        "0",
        "9",
        "Cargo.toml",
        "src",
        "tests",
        "x",
        "y",
        "--tz",
        "UTC",
    ])
    .await
    .with_code(2);
    says(
        &unquoted,
        &["it has 7 fields", "hint: put the expression in quotes"],
    );
}

#[tokio::test]
async fn what_else_is_wrong_is_named_with_what_is_allowed() {
    for (arguments, said) in [
        (
            &["0 9 * * *", "--tz", "Berlin"][..],
            "callq: tz is \"Berlin\", which is no time zone: did you mean Europe/Berlin?\n",
        ),
        (
            &["0 9 * * *", "--tz", "UTC", "--from", "soon"],
            "callq: --from is \"soon\": must be a date (2026-12-31), ",
        ),
        (
            &["--every", "never", "--tz", "UTC"],
            "callq: --every is \"never\": must be like 90s, 30m, 1h30m or 2d\n",
        ),
        (
            &["--every", "500ms", "--tz", "UTC"],
            "must be whole seconds, from 1 s to 366 days",
        ),
        (
            &["--on", "noon", "--tz", "UTC"],
            "callq: on has \"noon\": must be a local time such as 2026-12-24 09:00\n",
        ),
        (
            &["--tz", "UTC"],
            "callq: the following required arguments were not provided",
        ),
        (&["0 9 * * *"], "--tz <ZONE>"),
        (
            &["0 9 * * *", "--every", "5m", "--tz", "UTC"],
            "cannot be used with",
        ),
        (&["0 9 * * *", "--tz", "UTC", "--count", "0"], "1..=1000"),
    ] {
        let ended = preview(arguments).await.with_code(2);
        says(&ended, &[said]);
    }
}
