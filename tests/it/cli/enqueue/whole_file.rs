//! A file as a whole, and the report as a whole.

use std::fs;
use std::process::Stdio;

use super::Rig;
use crate::support::program::callq;

#[tokio::test]
async fn a_file_that_makes_no_sense_is_refused_as_a_whole() {
    let rig = Rig::new().await;
    let long = [
        &b"robot_account,callees\nbot,ann\nbot,\""[..],
        &vec![b'x'; 1 << 20],
    ]
    .concat();
    let cases: &[(&[u8], &str)] = &[
        (b"", "it is empty: its first line must name the columns"),
        (
            b"robot_account,callee\nbot,ann\n",
            "line 1: there is no column \"callee\"; did you mean callees?",
        ),
        (
            b"robot_account,callees,state\n",
            "line 1: there is no column \"state\"; the columns are robot_account, ",
        ),
        (
            b"callees,callees\n",
            "line 1: it names the column callees twice",
        ),
        (
            b"robot_account;callees\nbot;ann\n",
            "line 1: the columns must be separated by commas",
        ),
        (b"call\xffees\n", "line 1: it is not UTF-8"),
        (
            b"callees\nann\nbob\n",
            "line 1: it names no column robot_account: add it, or give one for all lines with --robot-account",
        ),
        (
            b"robot_account,run_at\nbot,now\n",
            "line 1: it names no column callees: add it, or give one for all lines with --callee",
        ),
        (
            b"{\"callees\": [\"ann\"]}\n",
            "line 1: it is JSON: give the file with --jsonl",
        ),
        (b"\xff\xfec\0a\0", "it is UTF-16: save it as UTF-8"),
        (
            &long,
            "line 3: what begins here is longer than 1048576 bytes; is a quote or a line break missing?",
        ),
    ];
    for (content, said) in cases {
        let ended = rig.csv(content, &[]).await.with_code(2);
        let path = rig.folder.path().join("jobs.csv");
        let says = format!("callq: {}: {said}", path.display());
        assert!(ended.stderr.starts_with(&says), "{said}: {ended}");
        assert!(
            ended.stderr.ends_with("; nothing was inserted\n"),
            "{ended}"
        );
    }
    let ended = rig.enqueue(&["--csv", "/nonexistent"]).await.with_code(2);
    assert!(
        ended
            .stderr
            .starts_with("callq: cannot open /nonexistent: No such file"),
        "{ended}"
    );
    assert_eq!(rig.jobs().await, "0");

    let nothing = "inserted 0 jobs, 0 already there, 0 bad lines left out\n";
    assert_eq!(
        rig.csv("robot_account,callees\n", &[])
            .await
            .with_code(0)
            .text(),
        nothing
    );
    assert_eq!(rig.jsonl("", &[]).await.with_code(0).text(), nothing);
}

#[tokio::test]
async fn a_report_that_cannot_be_written_does_not_hide_that_the_jobs_are_inserted() {
    let rig = Rig::new().await;
    let mut command = callq(["enqueue", "--robot-account", "bot", "--callee", "ann"]);
    let full = fs::File::options()
        .write(true)
        .open("/dev/full")
        .expect("Linux has it");
    let command = command.env("DATABASE_URL", rig.database.url()).stdout(full);
    let child = command.stderr(Stdio::piped()).spawn().expect("it starts");
    let ended = child.wait_with_output().await.expect("it ends");
    assert_eq!(ended.status.code(), Some(1));
    let said = String::from_utf8(ended.stderr).expect("text");
    assert!(
        said.starts_with("callq: the import is done (1 inserted)"),
        "{said}"
    );
    assert_eq!(rig.jobs().await, "1");
}
