//! `callq enqueue`

mod whole_file;

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;

use crate::support::program::{Ended, Program, callq, run};
use crate::support::{Database, look_again};

/// Stands in `user_data` and in the push; must never be printed.
const PRIVATE: &str = "the-callees-own-words";

/// A database and a folder for files to insert from.
struct Rig {
    database: Database,
    folder: TempDir,
}

impl Rig {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a test may make folders");
        Self {
            database: Database::new().await,
            folder,
        }
    }

    /// The path of a new file with this content.
    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, content).expect("a test may write files");
        path.display().to_string()
    }

    async fn enqueue(&self, arguments: &[&str]) -> Ended {
        let mut command = callq(["enqueue"]);
        let command = command
            .args(arguments)
            .env("DATABASE_URL", self.database.url());
        let ended = run(command).await;
        let said = ended.to_string();
        assert!(
            !said.contains(PRIVATE),
            "{arguments:?} shows personal data: {said}"
        );
        ended
    }

    /// The same with a CSV file.
    async fn csv(&self, content: impl AsRef<[u8]>, arguments: &[&str]) -> Ended {
        let path = self.file("jobs.csv", content);
        self.enqueue(&[&["--csv", &path], arguments].concat()).await
    }

    /// The same with a file of JSON lines.
    async fn jsonl(&self, content: impl AsRef<[u8]>, arguments: &[&str]) -> Ended {
        let path = self.file("jobs.jsonl", content);
        self.enqueue(&[&["--jsonl", &path], arguments].concat())
            .await
    }

    /// What a query of one text answers with.
    async fn value(&self, sql: &str) -> String {
        let value = sqlx::query_scalar::<_, Option<String>>(AssertSqlSafe(sql.to_owned()));
        let value = value.fetch_one(self.database.pool()).await;
        let value = value.unwrap_or_else(|error| panic!("{sql}: {error}"));
        value.unwrap_or_else(|| "NULL".to_owned())
    }

    async fn jobs(&self) -> String {
        self.value("SELECT count(*)::text FROM callq.jobs").await
    }

    /// One column of all jobs, in the order of their ids.
    async fn column(&self, column: &str) -> String {
        let sql = format!("SELECT string_agg(({column})::text, ' | ' ORDER BY id) FROM callq.jobs");
        self.value(&sql).await
    }
}

fn report(ended: &Ended) -> Value {
    serde_json::from_slice(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended}"))
}

/// The numbers of the lines that stderr or the report names.
fn numbers(ended: &Ended) -> Vec<usize> {
    let lines = ended
        .stderr
        .lines()
        .filter_map(|line| line.strip_prefix("line "));
    let numbers = lines.filter_map(|line| line.split(':').next()?.parse().ok());
    numbers.collect()
}

#[tokio::test]
async fn one_job_by_flags_has_every_column_that_was_given() {
    let rig = Rig::new().await;
    let push = rig.file("push.json", format!(r#"{{"Title": "{PRIVATE}"}}"#));
    let policy = rig.file("policy.json", r#"{"max_rings": 3, "busy": ["3m"]}"#);
    let ended = rig
        .enqueue(&[
            "--robot-account",
            "reminder-bot",
            "--callee",
            "ann",
            "--callee",
            "bob;cid",
            "--run-at",
            "2030-01-31T09:00:00+01:00",
            "--ttl",
            "1h30m",
            "--app",
            "clinic",
            "--media-type",
            "Video",
            "--room-id",
            "4711",
            "--room-id-type",
            "1",
            "--ring-timeout-ms",
            "20000",
            "--user-data",
            PRIVATE,
            "--offline-push",
            &format!("@{push}"),
            "--priority",
            "0",
            "--max-attempts",
            "3",
            "--on-doubt",
            "hold",
            "--retry-callees",
            "--idempotency-key",
            "visit-1",
            "--metadata",
            r#"{"visit": 1.50}"#,
            "--ring-policy",
            &format!("@{policy}"),
            "--max-call-seconds",
            "600",
        ])
        .await
        .with_code(0);
    assert_eq!(ended.text(), "inserted 1 job (id 1), 0 already there\n");
    assert_eq!(ended.stderr, "");
    let row = "to_jsonb(j) - '{id,created_at,inserted_by,due_at,state,attempt,attempts_used,ring_no}'::text[]";
    let row = rig
        .value(&format!(
            "SELECT jsonb_strip_nulls({row})::text FROM callq.jobs AS j"
        ))
        .await;
    let row: Value = serde_json::from_str(&row).expect("the database makes JSON");
    let expected = json!({
        "robot_account": "reminder-bot", "callees": ["ann", "bob", "cid"], "app": "clinic",
        "run_at": "2030-01-31T08:00:00+00:00", "expires_at": "2030-01-31T09:30:00+00:00",
        "ttl": "01:30:00", "media_type": "Video", "room_id": "4711", "room_id_type": 1,
        "ring_timeout_ms": 20000, "user_data": PRIVATE, "offline_push": {"Title": PRIVATE},
        "priority": 0, "max_attempts": 3, "on_doubt": "hold", "retry_callees": true,
        "idempotency_key": "visit-1", "metadata": {"visit": 1.50},
        "ring_policy": {"max_rings": 3, "busy": ["3m"]}, "max_call_seconds": 600,
    });
    for (column, value) in expected.as_object().expect("an object") {
        let same = match column.as_str() {
            "run_at" | "expires_at" => {
                rig.column(&format!("{column} = '{}'", value.as_str().expect("a time")))
                    .await
                    == "true"
            }
            _ => row[column] == *value,
        };
        assert!(same, "{column}: {row}");
    }
}

#[tokio::test]
async fn a_job_by_two_flags_has_the_defaults_of_the_table() {
    let rig = Rig::new().await;
    rig.enqueue(&["--robot-account", "bot", "--callee", "jack"])
        .await
        .with_code(0);
    sqlx::raw_sql("INSERT INTO callq.jobs (robot_account, callees) VALUES ('bot', '{jack}')")
        .execute(rig.database.pool())
        .await
        .expect("a good row is taken");
    let rest = "(to_jsonb(j) - '{id,created_at,run_at,due_at,expires_at}'::text[])::text || (run_at - created_at)::text || (expires_at - run_at)::text";
    let different = rig
        .value(&format!(
            "SELECT count(DISTINCT {rest})::text FROM callq.jobs AS j"
        ))
        .await;
    assert_eq!(different, "1", "{}", rig.column("jobs").await);
}

#[tokio::test]
async fn a_wrong_flag_ends_with_2_and_one_sentence() {
    let rig = Rig::new().await;
    let cases: &[(&[&str], &str)] = &[
        (
            &["--priority", "9"],
            "priority is 9: it must be from 0 (most urgent) to 3",
        ),
        (
            &["--priority", "high"],
            "priority is \"high\": it must be a whole number",
        ),
        (
            &["--ttl", "soon"],
            "ttl is \"soon\": it must be a duration as 90s, 15m, 2h, 1d or 1h30m",
        ),
        (
            &["--run-at", "2030-01-31 09:00"],
            "run_at is \"2030-01-31 09:00\" without a time zone: it must be a time as 2030-01-31T09:00:00+01:00, now, or as \"in 10m\"",
        ),
        (
            &["--callee", "ann", "--callee", "ann"],
            "callees has the account \"ann\" more than once: each must appear once",
        ),
        (
            &["--each", "--room-id", "r1"],
            "room_id is \"r1\": with --each it must be left out, or the callees would share it",
        ),
        (
            &["--metadata", "[]"],
            "metadata is an array: it must be a JSON object of at most 8192 bytes",
        ),
        (
            &["--offline-push", &format!(r#"{{"Desc": "{PRIVATE}"#)],
            "offline_push is not JSON: EOF while parsing a string at line 1 column 31",
        ),
        (
            &["--offline-push", "@/nonexistent"],
            "offline_push: cannot read /nonexistent: No such file or directory (os error 2)",
        ),
    ];
    for (arguments, said) in cases {
        let always = [
            "--robot-account",
            "bot",
            "--callee",
            "jack",
            "--user-data",
            PRIVATE,
        ];
        let ended = rig
            .enqueue(&[&always, *arguments].concat())
            .await
            .with_code(2);
        assert_eq!(ended.stderr, format!("callq: {said}\n"), "{arguments:?}");
    }
    assert_eq!(rig.jobs().await, "0");
    for incomplete in [&["--callee", "jack"][..], &["--robot-account", "bot"], &[]] {
        rig.enqueue(incomplete).await.with_code(2);
    }
}

/// Pseudo-random numbers that are the same in every run (`SplitMix64`).
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// A value that breaks a rule, by number, and the beginning of what is said of it.
const BAD: [(&str, &str); 6] = [
    ("bot,,in 10m,1,,", "callees is NULL: "),
    (
        "bot,ann;ann,in 10m,1,,",
        "callees has the account \"ann\" more than once: ",
    ),
    ("bot,ann,tomorrow,1,,", "run_at is \"tomorrow\": "),
    ("bot,ann,in 10m,7,,", "priority is 7: "),
    (
        "bot,ann,in 10m,1,",
        "it has 5 values and line 1 names 6 columns",
    ),
    (
        "a-robot-account-of-more-than-32-bytes,ann,in 10m,1,,",
        "robot_account is 37 bytes long: ",
    ),
];

/// 100,000 jobs with 17 bad ones, in CSV as a spreadsheet writes it: byte order mark, CR LF, quotes,
/// UTF-8, empty lines, values over several lines. Returns the numbers of the bad lines and what is
/// said of each.
fn large_file(seed: u64) -> (String, Vec<(usize, &'static str)>) {
    const JOBS: u64 = 100_000;
    let mut seeded = Seeded(seed);
    let mut bad: Vec<u64> = Vec::new();
    while bad.len() < 17 {
        let job = seeded.below(JOBS);
        if !bad.contains(&job) {
            bad.push(job);
        }
    }
    let mut text =
        "\u{feff}robot_account,callees,run_at,priority,idempotency_key,user_data\r\n".to_owned();
    let mut line = 2;
    let mut expected = Vec::new();
    for job in 0..JOBS {
        if bad.contains(&job) {
            let (row, said) = BAD[expected.len() % BAD.len()];
            write!(text, "{row}\r\n").expect("a String takes all");
            expected.push((line, said));
            line += 1;
            continue;
        }
        let (data, breaks) = match seeded.below(50) {
            0 => (format!("\"{PRIVATE}\r\nsecond line, of job {job}\""), 1),
            1 => ("\"„Grüß Gott“, \"\"Ünal\"\" 您好\"".to_owned(), 0),
            2 => ("5\" disk".to_owned(), 0),
            _ => (PRIVATE.to_owned(), 0),
        };
        write!(
            text,
            "bot,user_{job},2030-01-31T09:00:00Z,{},visit-{job},{data}\r\n",
            job % 4
        )
        .expect("a String takes all");
        line += 1 + breaks;
        if seeded.below(1000) == 0 {
            text.push_str("\r\n");
            line += 1;
        }
    }
    (text, expected)
}

#[tokio::test]
async fn of_100_000_lines_the_17_bad_ones_are_told_and_nothing_or_the_rest_is_inserted() {
    let rig = Rig::new().await;
    let (text, expected) = large_file(20_301_131);

    let began = Instant::now();
    let ended = rig.csv(&text, &[]).await.with_code(2);
    println!(
        "100,000 lines with 17 bad ones were refused in {:.1?}",
        began.elapsed()
    );
    let told: Vec<&str> = ended.stderr.lines().collect();
    assert_eq!(told.len(), 19, "{ended}");
    for ((line, said), told) in expected.iter().zip(&told) {
        assert!(
            told.starts_with(&format!("line {line}: {said}")),
            "{told}, not line {line}: {said}"
        );
    }
    let last = "callq: 17 of 100000 lines are bad; nothing was inserted";
    assert_eq!(told[17], last);
    assert_eq!(ended.text(), "");
    assert_eq!(rig.jobs().await, "0");

    let began = Instant::now();
    let ended = rig.csv(&text, &["--skip-bad", "--json"]).await.with_code(0);
    println!(
        "the 99,983 good ones were inserted in {:.1?}",
        began.elapsed()
    );
    let report = report(&ended);
    assert_eq!(report["inserted"], 99_983);
    assert_eq!(report["bad"], 17);
    let lines: Vec<&Value> = report["bad_lines"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|bad| &bad["line"])
        .collect();
    assert_eq!(
        lines,
        expected.iter().map(|(line, _)| line).collect::<Vec<_>>()
    );
    assert_eq!(rig.jobs().await, "99983");
    let umlauts = "SELECT (count(*) > 1000)::text FROM callq.jobs WHERE user_data = '„Grüß Gott“, \"Ünal\" 您好'";
    assert_eq!(rig.value(umlauts).await, "true");
    let broken = "SELECT (count(*) > 1000)::text FROM callq.jobs WHERE user_data LIKE E'%\\r\\nsecond line, of job ' || substr(callees[1], 6)";
    assert_eq!(rig.value(broken).await, "true");

    let ended = rig.csv(&text, &["--skip-bad"]).await.with_code(0);
    assert_eq!(
        ended.text(),
        "inserted 0 jobs, 99983 already there, 17 bad lines left out\n"
    );
}

#[tokio::test]
async fn line_numbers_stay_right_after_values_of_several_lines() {
    let rig = Rig::new().await;
    let text = "robot_account,callees,user_data\nbot,ann,\"one\n\ntwo\"\n\nbot,,x\nbot,\"b\nob\",x\nbot,cid\n";
    let ended = rig.csv(text, &[]).await.with_code(2);
    assert_eq!(numbers(&ended), [6, 9], "{ended}");
    let ended = rig
        .csv("callees\nann\n\"bob\ncid\n", &["--robot-account", "bot"])
        .await
        .with_code(2);
    assert_eq!(numbers(&ended), [3], "{ended}");
    assert!(
        ended
            .stderr
            .contains("line 3: a quoted value begins here and never ends"),
        "{ended}"
    );
}

#[tokio::test]
async fn a_quote_too_many_joins_no_two_lines_and_loses_none_unsaid() {
    let rig = Rig::new().await;
    let head = "robot_account,callees,user_data\n";
    let joined = format!("{head}bot,jack,\"Hello Jack\nbot,ann,\"Hello Ann\"\nbot,bob,hi\n");
    let ended = rig.csv(&joined, &[]).await.with_code(2);
    let says = "line 2: a value goes on behind its closing quote";
    assert!(ended.stderr.starts_with(says), "{ended}");
    assert!(
        ended.stderr.contains("what begins here ends in line 3"),
        "{ended}"
    );
    assert_eq!(rig.jobs().await, "0");
    let ended = rig.csv(&joined, &["--skip-bad"]).await.with_code(0);
    let said = ended.text();
    assert!(
        said.starts_with("inserted 1 job (") && said.ends_with("1 bad line left out\n"),
        "{said}"
    );
    let open = format!("{head}bot,cid,\"Hello\nbot,dan,hi\n");
    let ended = rig.csv(&open, &["--skip-bad"]).await.with_code(0);
    let says = "line 2: a quoted value begins here and never ends; what begins here ends in line 3";
    assert!(ended.stderr.starts_with(says), "{ended}");
}

#[tokio::test]
async fn flags_are_the_defaults_of_lines() {
    let rig = Rig::new().await;
    let flags = ["--robot-account", "bot", "--ttl", "15m", "--priority", "2"];
    let text = "callees,priority,expires_at,ttl\nann,,,\nbob,0,2040-01-01T00:00:00Z,\ncid,3,infinity,\ndora,,,2h\n";
    rig.csv(text, &flags).await.with_code(0);
    assert_eq!(rig.column("priority").await, "2 | 0 | 3 | 2");
    assert_eq!(rig.column("robot_account").await, "bot | bot | bot | bot");
    let deadlines = rig.column("CASE WHEN isfinite(expires_at) AND expires_at < '2039-01-01' THEN (expires_at - run_at)::text ELSE left(expires_at::text, 4) END").await;
    assert_eq!(deadlines, "00:15:00 | 2040 | infi | 02:00:00");
    let ended = rig
        .csv(
            "callees,expires_at,ttl\nann,2040-01-01T00:00:00Z,2h\n",
            &flags,
        )
        .await
        .with_code(2);
    assert!(
        ended
            .stderr
            .contains("line 2: expires_at is given together with another ttl"),
        "{ended}"
    );
}

#[tokio::test]
async fn json_lines_are_what_csv_is() {
    let rig = Rig::new().await;
    let text = format!(
        "{}\n\n{}\r\n{}",
        json!({"robot_account": "bot", "callees": ["ann", "b;ob"], "run_at": "in 10m", "ttl": null}),
        json!({"robot_account": "bot", "callees": ["cid"], "user_data": PRIVATE, "room_id": 7, "room_id_type": 1,
            "metadata": {"big": 12_345_678_901_234_567_890_u64}, "retry_callees": true, "offline_push": {"Title": PRIVATE}}),
        r#"{"robot_account": "bot", "callees": ["d\u00fcra"], "priority": "3"}"#,
    );
    let ended = rig.jsonl(&text, &[]).await.with_code(0);
    assert_eq!(
        ended.text(),
        "inserted 3 jobs (ids 1 to 3), 0 already there, 0 bad lines left out\n"
    );
    assert_eq!(rig.column("callees").await, "{ann,b;ob} | {cid} | {düra}");
    assert_eq!(rig.column("priority").await, "1 | 1 | 3");
    assert_eq!(
        rig.column("metadata").await,
        "{} | {\"big\": 12345678901234567890} | {}"
    );
    assert_eq!(
        rig.column("run_at - created_at").await,
        "00:10:00 | 00:00:00 | 00:00:00"
    );
}

#[tokio::test]
async fn a_bad_json_line_is_told_without_its_text() {
    let rig = Rig::new().await;
    let cases = [
        (format!("\"{PRIVATE}\""), "it is no JSON object"),
        (
            format!("{{\"user_data\": \"{PRIVATE}\" x}}"),
            "it is not JSON: expected `,` or `}` at character 39",
        ),
        (
            "{\"callee\": [\"ann\"]}".to_owned(),
            "there is no column \"callee\"; did you mean callees?",
        ),
        (
            "{\"callees\": [\"ann\"], \"callees\": [\"bob\"]}".to_owned(),
            "it has callees twice",
        ),
        (
            "{\"callees\": \"ann\"}".to_owned(),
            "callees is no list: it must be an array of strings",
        ),
        (
            "{\"callees\": [\"ann\"], \"user_data\": \"\\u0000\"}".to_owned(),
            "user_data holds a zero byte",
        ),
        (
            "{\"callees\": [\"ann\"], \"metadata\": {\"a\": \"\\u0000\"}}".to_owned(),
            "metadata holds \\u0000",
        ),
        (
            "{\"callees\": [\"ann\"], \"run_at\": {}}".to_owned(),
            "run_at is an object: it must be one value",
        ),
        (
            "{\"callees\": [\"ann\"], \"room_id_type\": 9999999999}".to_owned(),
            "room_id_type is \"9999999999\": the number is too large",
        ),
        (
            format!("{{\"callees\": [\"ann\"], \"offline_push\": {{\"Title\": [\"{PRIVATE}\"]}}}}"),
            "offline_push.Title is an array: it must be a string",
        ),
        (
            format!(
                "{{\"callees\": [\"ann\"], \"user_data\": \"{}\"}}",
                PRIVATE.repeat(50)
            ),
            "user_data is 1050 bytes long",
        ),
    ];
    let mut text = String::new();
    for (line, _) in &cases {
        writeln!(text, "{line}").expect("a String takes all");
    }
    let ended = rig
        .jsonl(text, &["--robot-account", "bot"])
        .await
        .with_code(2);
    let told: Vec<&str> = ended.stderr.lines().collect();
    assert_eq!(told.len(), cases.len() + 2, "{ended}");
    for (n, ((_, said), told)) in cases.iter().zip(told).enumerate() {
        assert!(
            told.starts_with(&format!("line {}: {said}", n + 1)),
            "{told}, not {said}"
        );
    }
}

#[tokio::test]
async fn each_makes_one_job_per_callee() {
    let rig = Rig::new().await;
    let text = "callees,idempotency_key\nann;bob,k1\ncid,\n";
    let flags = ["--robot-account", "bot", "--each"];
    let ended = rig.csv(text, &flags).await.with_code(0);
    assert_eq!(
        ended.text(),
        "inserted 3 jobs (ids 1 to 3), 0 already there, 0 bad lines left out\n"
    );
    assert_eq!(rig.column("callees").await, "{ann} | {bob} | {cid}");
    assert_eq!(
        rig.column("coalesce(idempotency_key, '')").await,
        "k1:ann | k1:bob | "
    );
    let ended = rig
        .enqueue(&[&flags[..], &["--callee", "x", "--callee", "y", "--json"]].concat())
        .await
        .with_code(0);
    let report = report(&ended);
    assert_eq!([&report["inserted"], &report["first_id"]], [2, 4]);

    // A line is bad as a whole.
    let long = "z".repeat(33);
    let text = format!("callees\nfay;{long};gus\nhal\n,\nina;ina\n");
    let ended = rig
        .csv(
            text.replace("\n,\n", "\n\"\"\n"),
            &[&flags[..], &["--skip-bad"]].concat(),
        )
        .await
        .with_code(0);
    assert_eq!(numbers(&ended), [2, 4, 5], "{ended}");
    assert_eq!(
        rig.column("callees").await,
        "{ann} | {bob} | {cid} | {x} | {y} | {hal}"
    );
}

#[tokio::test]
async fn a_dry_run_tells_the_same_and_inserts_nothing() {
    let rig = Rig::new().await;
    let text = "robot_account,callees,idempotency_key\nbot,ann,k1\nbot,bob,k2\n";
    let ended = rig.csv(text, &["--dry-run"]).await.with_code(0);
    assert_eq!(
        ended.text(),
        "would insert 2 jobs, 0 already there, 0 bad lines left out\n"
    );
    assert_eq!(rig.jobs().await, "0");
    let ended = rig
        .csv(format!("{text}bot,,k3\n"), &["--dry-run"])
        .await
        .with_code(2);
    assert_eq!(numbers(&ended), [4]);
    rig.csv(text, &[]).await.with_code(0);
    let ended = rig
        .csv(format!("{text}bot,cid,k3\n"), &["--dry-run", "--json"])
        .await
        .with_code(0);
    let expected = json!({"dry_run": true, "lines": 3, "inserted": 1, "already_there": 2, "bad": 0,
        "first_id": null, "last_id": null, "bad_lines": []});
    assert_eq!(report(&ended), expected);
    assert_eq!(rig.jobs().await, "2");
}

#[tokio::test]
async fn a_key_that_is_there_already_is_no_fault() {
    let rig = Rig::new().await;
    let text = "robot_account,callees,idempotency_key,app\nbot,ann,k1,\nbot,bob,k1,\nbot,cid,k1,other\nbot,dora,,\n";
    let ended = rig.csv(text, &[]).await.with_code(0);
    assert_eq!(
        ended.text(),
        "inserted 3 jobs (ids 1 to 4), 1 already there, 0 bad lines left out\n"
    );
    let one = [
        "--robot-account",
        "bot",
        "--callee",
        "eve",
        "--idempotency-key",
        "k1",
    ];
    let ended = rig.enqueue(&one).await.with_code(0);
    assert_eq!(ended.text(), "inserted 0 jobs, 1 already there\n");
    assert_eq!(rig.column("callees").await, "{ann} | {cid} | {dora}");
    let both = [&one[..], &["--csv", "-"]].concat();
    rig.enqueue(&both).await.with_code(2);
}

#[tokio::test]
async fn invalid_utf_8_makes_a_line_bad() {
    let rig = Rig::new().await;
    let ended = rig
        .csv(
            b"robot_account,callees,user_data\nbot,ann,caf\xe9\nbot,bob,x\n",
            &[],
        )
        .await
        .with_code(2);
    assert!(
        ended.stderr.starts_with("line 2: user_data is not UTF-8\n"),
        "{ended}"
    );
    let ended = rig
        .jsonl(b"{\"callees\": [\"caf\xe9\"]}\n", &[])
        .await
        .with_code(2);
    assert!(
        ended.stderr.starts_with("line 1: it is not UTF-8\n"),
        "{ended}"
    );
}

#[tokio::test]
async fn stdin_is_read_and_a_signal_leaves_nothing_behind() {
    let rig = Rig::new().await;
    let start = || {
        let mut command = callq(["enqueue", "--jsonl", "-", "--robot-account", "bot"]);
        command
            .env("DATABASE_URL", rig.database.url())
            .stdin(Stdio::piped());
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts")
    };
    let mut child = start();
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin
        .write_all(b"{\"callees\": [\"ann\"]}\n{\"callees\": [\"bob\"]}")
        .await
        .expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().await.expect("it ends");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        said,
        "inserted 2 jobs (ids 1 to 2), 0 already there, 0 bad lines left out\n"
    );

    // A named pipe keeps it waiting in the middle, with more than a batch inserted.
    let pipe = rig.folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo")
        .arg(&pipe)
        .status()
        .expect("mkfifo is there");
    assert!(made.success());
    let path = pipe.display().to_string();
    let mut command = callq(["enqueue", "--robot-account", "bot", "--jsonl", &path]);
    let program = Program::start(command.env("DATABASE_URL", rig.database.url()));
    let writing = tokio::task::spawn_blocking(move || {
        let mut pipe = fs::OpenOptions::new()
            .write(true)
            .open(pipe)
            .expect("it is read");
        for _ in 0..2500 {
            pipe.write_all(b"{\"callees\": [\"cid\"]}\n")
                .expect("it is read");
        }
        pipe
    });
    let open = writing.await.expect("the writer ends");
    let under_way = "SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database()
        AND application_name = 'callq' AND backend_xid IS NOT NULL";
    let inserting = async {
        while rig.value(under_way).await == "0" {
            look_again().await;
        }
    };
    let patience = Duration::from_mins(1);
    let began = tokio::time::timeout(patience, inserting).await;
    began.expect("it inserts before it has read everything");
    program.signal(libc::SIGINT);
    let ended = program.end().await.with_code(1);
    assert_eq!(
        ended.stderr,
        "callq: stopped by a signal; nothing was inserted\n"
    );
    drop(open);
    assert_eq!(rig.jobs().await, "2");
}

#[tokio::test]
async fn a_producer_may_use_it() {
    let rig = Rig::new().await;
    // Roles belong to the server, so this one gets a name of its own.
    let role = format!("producer_{}", std::process::id());
    let sql = format!("CREATE ROLE {role} LOGIN; SELECT callq.allow_producer('{role}')");
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(rig.database.pool())
        .await
        .expect("we may make roles");
    let mut url: url::Url = rig.database.url().parse().expect("it is a URL");
    let query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    if query.iter().any(|(name, _)| name == "user") {
        let others = query.iter().filter(|(name, _)| name != "user");
        url.query_pairs_mut()
            .clear()
            .extend_pairs(others)
            .append_pair("user", &role);
    } else {
        url.set_username(&role).expect("it has a host");
    }
    let path = rig.file("jobs.csv", "robot_account,callees\nbot,ann\nbot,\n");
    let mut command = callq(["enqueue", "--csv", &path, "--skip-bad"]);
    let ended = run(command.env("DATABASE_URL", url.as_str()))
        .await
        .with_code(0);
    assert!(ended.text().starts_with("inserted 1 job "), "{ended}");
    let drop = format!("DROP OWNED BY {role}; DROP ROLE {role}");
    sqlx::raw_sql(AssertSqlSafe(drop))
        .execute(rig.database.pool())
        .await
        .expect("it owns nothing else");
}
