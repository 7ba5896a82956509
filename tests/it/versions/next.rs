//! Programs of this version on the schema after theirs, which lets them or does not.

use tokio::process::Command;

use super::next_schema;
use crate::support::program::{callq, run};
use crate::support::rig::{Rig, process};

/// What shuts every version of this program out.
const LATER: &str = "99.0.0";

/// Every command that looks at the schema.
const COMMANDS: [&[&str]; 6] = [
    &["status"],
    &["jobs", "list"],
    &["jobs", "show", "1"],
    &["apps", "list"],
    &["jobs", "cancel", "1"],
    &[
        "enqueue",
        "--robot-account",
        "bot",
        "--callee",
        "rose",
        "--run-at",
        "in 1d",
    ],
];

fn on(rig: &Rig, arguments: &[&str]) -> Command {
    let mut command = callq(arguments.iter().copied());
    command.env("DATABASE_URL", rig.db.url());
    command
}

/// The line of `callq check` about the schema.
async fn checked(rig: &Rig) -> String {
    let ended = run(&mut on(rig, &["check"])).await;
    let text = ended.text();
    let line = text.lines().find(|line| line.contains("  schema "));
    line.unwrap_or_else(|| panic!("{ended}")).to_owned()
}

#[tokio::test]
async fn every_command_works_on_the_next_schema_that_lets_it() {
    let rig = Rig::new().await;
    rig.insert("jack", &[("run_at", "now() + interval '1 day'")])
        .await;
    rig.sql(&next_schema(env!("CARGO_PKG_VERSION"))).await;
    for arguments in COMMANDS {
        run(&mut on(&rig, arguments)).await.with_code(0);
    }
    let line = checked(&rig).await;
    assert!(line.starts_with("ok"), "{line}");
    assert!(
        line.ends_with("is newer, and allows this version"),
        "{line}"
    );
    let mut worker = process(rig.db.url(), &rig.sandbox.url(), &[]);
    worker
        .says("the schema callq is newer than this program, and lets it work")
        .await;
    let due = rig.insert("lucy", &[]).await;
    rig.until_state(due, "placed").await;
    worker.signal(libc::SIGTERM);
    worker.end().await.with_code(0);
    rig.audit().await;
}

#[tokio::test]
async fn every_command_refuses_a_schema_that_does_not_let_it() {
    let rig = Rig::new().await;
    rig.insert("jack", &[]).await;
    rig.sql(&next_schema(LATER)).await;
    let ours = env!("CARGO_PKG_VERSION");
    for (change, words, fix) in [
        (
            "only_row = true",
            format!(" and needs callq {LATER} or newer, and this is {ours}"),
            "use a newer callq",
        ),
        (
            "min_binary_version = 'any'",
            " and does not tell which callq it lets: callq.meta.min_binary_version is \"any\""
                .to_owned(),
            "use a newer callq, or set that column to the oldest version that may work, as in 0.1.0",
        ),
        (
            "min_binary_version = '0.1.0', schema_version = schema_version + 1",
            " and works with the next at most".to_owned(),
            "use a newer callq",
        ),
    ] {
        rig.sql(&format!("UPDATE callq.meta SET {change}")).await;
        for arguments in COMMANDS {
            let ended = run(&mut on(&rig, arguments)).await.with_code(1);
            let says = format!("{words}\nhint: {fix}\n");
            assert!(ended.stderr.ends_with(&says), "{arguments:?}: {ended}");
            assert_eq!(ended.stderr.lines().count(), 2, "{ended}");
        }
        let line = checked(&rig).await;
        assert!(
            line.starts_with("fail") && line.contains(&words) && line.ends_with(fix),
            "{line}"
        );
        let worker = process(rig.db.url(), &rig.sandbox.url(), &[])
            .end()
            .await
            .with_code(1);
        assert!(
            worker.stderr.contains(&words) && worker.stderr.ends_with(&format!("hint: {fix}\n")),
            "{worker}"
        );
    }
    assert_eq!(
        rig.value::<i64>("SELECT count(*) FROM callq.jobs WHERE state = 'scheduled'")
            .await,
        1
    );
    assert_eq!(
        rig.value::<i64>("SELECT count(*) FROM callq.apps").await,
        0,
        "no worker has touched anything"
    );
}
