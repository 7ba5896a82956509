//! Broken configurations: each message as a whole.

use std::fmt::Write as _;

use super::{COMPLETE, Folder, USER_SIG, end};

/// What is given to `callq worker`, and every line it says.
pub(super) struct Case {
    file: Vec<u8>,
    env: Vec<(&'static str, String)>,
    arguments: Vec<&'static str>,
    says: String,
}

/// A `callq.toml` and what is said of it.
fn file(file: impl AsRef<[u8]>, says: &str) -> Case {
    Case {
        file: file.as_ref().to_vec(),
        env: Vec::new(),
        arguments: Vec::new(),
        says: says.to_owned(),
    }
}

/// A complete file with other words in it, and what is said of it.
pub(super) fn changed(from: &str, to: &str, says: &str) -> Case {
    assert!(COMPLETE.contains(from), "{from}");
    file(COMPLETE.replacen(from, to, 1), says)
}

/// A complete file with more at its end.
pub(super) fn added(more: &str, says: &str) -> Case {
    file(format!("{COMPLETE}{more}"), says)
}

impl Case {
    fn env(mut self, name: &'static str, value: &str) -> Self {
        self.env.push((name, value.to_owned()));
        self
    }

    fn flags(mut self, arguments: &[&'static str]) -> Self {
        self.arguments.extend(arguments);
        self
    }
}

/// A complete file, and an environment or flags that break it.
fn given(says: &str) -> Case {
    file(COMPLETE, says)
}

/// No file.
fn bare(says: &str) -> Case {
    file("", says)
}

pub(super) async fn are_refused(cases: impl IntoIterator<Item = Case>) {
    let folder = Folder::new();
    let mut wrong = String::new();
    for case in cases {
        let mut command = folder.command(&case.file, &["worker"]);
        command
            .args(&case.arguments)
            .envs(case.env.iter().map(|(n, v)| (n, v)));
        let ended = end(&mut command).await.with_code(2);
        let said: Vec<&str> = ended
            .stderr
            .lines()
            .filter_map(|l| l.strip_prefix("callq: "))
            .collect();
        if said.join("\n") != case.says || !ended.stdout.is_empty() {
            let (expected, said) = (&case.says, &ended.stderr);
            writeln!(wrong, "--- expected\n{expected}\n--- said\n{said}")
                .expect("a String takes all");
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_told() {
    are_refused([
        given("--config names missing.toml, which does not exist: must be a file such as callq.toml").flags(&["--config", "missing.toml"]),
        given("CALLQ_CONFIG names missing.toml, which does not exist: must be a file such as callq.toml").env("CALLQ_CONFIG", "missing.toml"),
        given("--config names folder, which is a folder: must be a file such as callq.toml").flags(&["--config", "folder"]),
        given("--config names huge.toml, which is longer than 256 KiB: is it the right file?").flags(&["--config", "huge.toml"]),
        given("--config names key/callq.toml, which cannot be read: Not a directory (os error 20)").flags(&["--config", "key/callq.toml"]),
        file(b"log = \"info\"\nlog = \"\xFF\"\n", "callq.toml:2:8: is not UTF-8: must be saved as UTF-8"),
        file(b"\xFF\xFEl\0o\0g\0", "callq.toml:1:1: is not UTF-8: must be saved as UTF-8"),
    ])
    .await;
}

#[tokio::test]
async fn what_is_not_toml_is_told_by_line_and_column() {
    are_refused([
        file(
            "[worker\nconcurrency = 5\n",
            "callq.toml:1:8: is not TOML: unclosed table, expected `]`",
        ),
        file(
            "log = info\n",
            "callq.toml:1:7: is not TOML: text must stand in quotes",
        ),
        file(
            "log \"info\"\n",
            "callq.toml:1:5: is not TOML: key with no value, expected `=`",
        ),
        file(
            "log = \"info\"\nlog = \"warn\"\n",
            "callq.toml:2:1: is not TOML: duplicate key log",
        ),
        file(
            "[worker]\n[worker]\n",
            "callq.toml:2:2: is not TOML: duplicate key worker",
        ),
        file(
            "log = \"hunter2\n[worker]\nconcurrency = = 1\n",
            "callq.toml:1:15: is not TOML: invalid basic string, expected `\"`\n\
             callq.toml:3:15: is not TOML: extra `=`, expected nothing",
        ),
        file(
            "a\rb = 1\n",
            "callq.toml:1:2: is not TOML: key with no value, expected `=`",
        ),
        file(
            "\u{feff}[worker]\r\nconcurrency =\r\n",
            "callq.toml:2:14: is not TOML: a value is missing",
        ),
    ])
    .await;
}

#[tokio::test]
async fn what_is_unknown_is_told_with_what_was_meant() {
    are_refused([
        added("[worker]\nconcurency = 5\n", "callq.toml:8:1: worker.concurency is no setting: did you mean concurrency?"),
        added("[worker]\npoll-interval-ms = 5\n", "callq.toml:8:1: worker.poll-interval-ms is no setting: did you mean poll_interval_ms?"),
        added("[worker]\ntelephone = 5\n",
            "callq.toml:8:1: worker.telephone is no setting: must be one of concurrency, poll_interval_ms, lease_ms, \
             request_timeout_ms, listen, log_format"),
        added("[wroker]\nconcurrency = 5\n", "callq.toml:7:2: [wroker] is no section: did you mean [worker]?"),
        added("[telephone]\nnumber = 5\n", "callq.toml:7:2: [telephone] is no section: must be [worker], [web] or [apps.NAME]"),
        added("[pharmacy]\nsdk_app_id = 5\n", "callq.toml:7:2: [pharmacy] is no section: did you mean [apps.pharmacy]?"),
        added("region = \"china\"\n",
            "callq.toml:7:1: apps.clinic.region is no setting: must be one of sdk_app_id, admin_account, secret_key_file, \
             user_sig_file, host, calls_per_second, callbacks_secret_file, callbacks_token_file, \
             ring_policy, max_call_seconds, longest_call_s, cam_secret_id, cam_secret_key_file, ingest_host, \
             ingest_region, ingest_room_id_type"),
        added("concurrency = 5\n", "callq.toml:7:1: apps.clinic.concurrency is no setting: it belongs in [worker]"),
        added("log = \"info\"\n", "callq.toml:7:1: apps.clinic.log is no setting: it belongs above all sections"),
        file(format!("sdk_app_id = 5\n{COMPLETE}"), "callq.toml:1:1: sdk_app_id is no setting: it belongs in [apps.NAME]"),
        file(format!("databse_url = \"x\"\n{COMPLETE}"), "callq.toml:1:1: databse_url is no setting: did you mean database_url?"),
        file(
            format!("5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f = 1\n{COMPLETE}"),
                "callq.toml:1:1: (a key that looks like a secret) is no setting: must be one of database_url, database_url_file, \
                 https_proxy, log, worker, web, apps",
        ),
        given("CALLQ_CONCURENCY is set, but nothing reads it: did you mean CALLQ_CONCURRENCY?").env("CALLQ_CONCURENCY", "5"),
        given("CALLQ_LEASE is set, but nothing reads it: did you mean CALLQ_LEASE_MS?").env("CALLQ_LEASE", "5"),
        given("CALLQ_DATABASE_URL is set, but nothing reads it: did you mean DATABASE_URL?").env("CALLQ_DATABASE_URL", "postgres://me:hunter2@db/x"),
    ])
    .await;
}

#[tokio::test]
async fn a_value_of_the_wrong_type_is_told() {
    are_refused([
        added("[worker]\nconcurrency = \"50\"\n", r#"callq.toml:8:15: worker.concurrency is the string "50": must be a whole number from 1 to 2000"#),
        added("[worker]\nconcurrency = 5.5\n", "callq.toml:8:15: worker.concurrency is a float: must be a whole number from 1 to 2000"),
        added("[worker]\nconcurrency = [1, 2]\n", "callq.toml:8:15: worker.concurrency is an array: must be a whole number from 1 to 2000"),
        added("[worker]\nlisten = 9464\n",
            "callq.toml:8:10: worker.listen is an integer: must be a string: an address and a port, as in 127.0.0.1:9464"),
        added("[worker]\nlog_format = true\n", "callq.toml:8:14: worker.log_format is a boolean: must be a string: text or json"),
        added("calls_per_second = \"fast\"\n",
            "callq.toml:7:20: apps.clinic.calls_per_second is the string \"fast\": must be a number above 0, at most 200"),
        file("worker = 5\n", "callq.toml:1:10: worker is an integer: must be a section, [worker]"),
        file("apps = \"clinic\"\n", "callq.toml:1:8: apps is a string: must be a section, [apps.NAME]"),
        file("[[worker]]\nconcurrency = 5\n", "callq.toml:1:1: worker is an array: must be a section, [worker]"),
        file("apps.clinic = 5\n", "callq.toml:1:6: apps.clinic must be a section, [apps.clinic]"),
        file("log = 1979-05-27\n", "callq.toml:1:7: log is a datetime: must be a string: like info or callq=debug,warn"),
    ])
    .await;
}

#[tokio::test]
async fn a_value_out_of_range_is_told_in_the_same_words_whatever_its_source() {
    are_refused([
        added("[worker]\nconcurrency = 0\n", "callq.toml:8:15: worker.concurrency is 0: must be a whole number from 1 to 2000"),
        given("CALLQ_CONCURRENCY is 0: must be a whole number from 1 to 2000").env("CALLQ_CONCURRENCY", "0"),
        given("--concurrency is 0: must be a whole number from 1 to 2000").flags(&["--concurrency", "0"]),
        given(r#"--concurrency is "many": must be a whole number from 1 to 2000"#).flags(&["--concurrency", "many"]),
        given(r#"--concurrency is "": must be a whole number from 1 to 2000"#).flags(&["--concurrency="]),
        added(
            "[worker]\npoll_interval_ms = 0xFFFF_FFFF_FFFF_FFFF_FF\n",
            r#"callq.toml:8:20: worker.poll_interval_ms is "0xFFFFFFFFFFFFFFFFFF": must be a whole number of milliseconds from 10 to 60000"#,
        ),
        added("[worker]\nlease_ms = -1\n", "callq.toml:8:12: worker.lease_ms is -1: must be a whole number of milliseconds from 2100 to 600000"),
        given(r#"CALLQ_LEASE_MS is "30s": must be a whole number of milliseconds from 2100 to 600000"#).env("CALLQ_LEASE_MS", "30s"),
        given("--request-timeout-ms is 60001: must be a whole number of milliseconds from 100 to 60000").flags(&["--request-timeout-ms", "60001"]),
        added("[worker]\nlease_ms = 5000\n",
            "callq.toml:8:12: worker.lease_ms is 5000: must be at least 10000 for a request_timeout_ms of 8000"),
        added("[worker]\nrequest_timeout_ms = 29000\n",
            "callq.toml:8:22: worker.request_timeout_ms is 29000: must be at most 28000 for a lease_ms of 30000"),
        added("[worker]\nrequest_timeout_ms = 3000\n",
            "callq.toml:8:22: worker.request_timeout_ms is 3000: must be at least 3500 for the host of the app clinic"),
        added("[worker]\nlisten = \"localhost\"\n",
            "callq.toml:8:10: worker.listen is \"localhost\": must be an address and a port, as in 127.0.0.1:9464"),
        given(r#"CALLQ_LISTEN is ":9464": must be an address and a port, as in 127.0.0.1:9464"#).env("CALLQ_LISTEN", ":9464"),
        added("[worker]\nlog_format = \"xml\"\n", r#"callq.toml:8:14: worker.log_format is "xml": must be text or json"#),
        given(r#"CALLQ_LOG is "callq=loud": must be like info or callq=debug,warn"#).env("CALLQ_LOG", "callq=loud"),
        file(format!("log = \"callq=\\u001B[31m\"\n{COMPLETE}"),
            "callq.toml:1:7: log is \"callq=\\u{1b}[31m\": must be like info or callq=debug,warn"),
        added("calls_per_second = 0\n", "callq.toml:7:20: apps.clinic.calls_per_second is 0: must be a number above 0, at most 200"),
        added("calls_per_second = nan\n", "callq.toml:7:20: apps.clinic.calls_per_second is nan: must be a number above 0, at most 200"),
        added("calls_per_second = inf\n", "callq.toml:7:20: apps.clinic.calls_per_second is inf: must be a number above 0, at most 200"),
        added("calls_per_second = 200.5\n", "callq.toml:7:20: apps.clinic.calls_per_second is 200.5: must be a number above 0, at most 200"),
        changed("1400000001", "0", "callq.toml:3:14: apps.clinic.sdk_app_id is 0: must be a whole number from 1 to 4294967295"),
        changed("1400000001", "4294967296", "callq.toml:3:14: apps.clinic.sdk_app_id is 4294967296: must be a whole number from 1 to 4294967295"),
        changed(
            "\"administrator\"",
            "\"an account of more than thirty-two bytes\"",
            "callq.toml:4:17: apps.clinic.admin_account is 40 bytes long: must be 1 to 32 bytes",
        ),
        changed("\"singapore\"", "\"mars\"",
            "callq.toml:6:8: apps.clinic.host is neither a preset nor a URL: must be china, singapore, seoul, frankfurt, \
             silicon-valley, jakarta, tokyo or an https URL such as https://adminapi.example.com"),
        changed("\"singapore\"", "\"http://console.tim.qq.com\"",
            "callq.toml:6:8: apps.clinic.host is plain http to another machine: must be https, because the request's URL carries the \
             UserSig and everybody on the way could read it; http is for loopback alone (127.0.0.0/8, ::1, localhost)"),
        changed("\"singapore\"", "\"https://me:hunter2@example.com\"",
            "callq.toml:6:8: apps.clinic.host has a user name or password: must be scheme, host and port alone, as in \
             https://host:443"),
    ])
    .await;
}

#[tokio::test]
async fn a_database_that_cannot_be_is_told_and_not_repeated() {
    are_refused([
        changed(
            "database_url = \"postgres://callq@127.0.0.1:1/callq\"\n",
            "",
            "DATABASE_URL is not set: must be the database's URL, like postgres://user@host/database (or database_url in callq.toml)",
        ),
        changed("postgres://callq@", "postgres://callq:hunter2@",
            "callq.toml:1:16: database_url holds a password, and the file is no place for one: set DATABASE_URL, or name a file that \
             holds it in database_url_file"),
        changed("/callq\"", "/callq?password=hunter2\"",
            "callq.toml:1:16: database_url holds a password, and the file is no place for one: set DATABASE_URL, or name a file that \
             holds it in database_url_file"),
        changed(
            "postgres://callq@127.0.0.1:1",
            "mysql://callq@127.0.0.1",
            "callq.toml:1:16: database_url is a URL, but not of PostgreSQL: must be like postgres://user@host/database",
        ),
        changed("postgres://callq@127.0.0.1:1/callq", "correct-horse",
            "callq.toml:1:16: database_url is not a URL (relative URL without a base): must be like postgres://user@host/database"),
        given(
            "DATABASE_URL is not a URL (relative URL without a base): must be like postgres://user@host/database").env("DATABASE_URL", "correct-horse"),
        given("DATABASE_URL is not a URL (invalid port number): must be like postgres://user@host/database; in a password, / ? # @ : \
             and % are written %2F %3F %23 %40 %3A and %25").env("DATABASE_URL", "postgres://me:hunter/2@db/x"),
        given("DATABASE_URL has a parameter that is almost sslmode, and nothing would read it: must be sslmode")
            .env("DATABASE_URL", "postgres://me@db/x?sslmod=verify-full"),
        given("DATABASE_URL has an sslmode that there is not: must be one of disable, allow, prefer, require, verify-ca, verify-full")
            .env("DATABASE_URL", "postgres://me@db/x?sslmode=verify-fully"),
        given("DATABASE_URL names a file in sslrootcert that cannot be read: must be the name of one that can")
            .env("DATABASE_URL", "postgres://me@db/x?sslmode=verify-full&sslrootcert=missing.pem"),
        given("DATABASE_URL and DATABASE_URL_FILE are both set: must be one of them")
            .env("DATABASE_URL", "postgres://me@db/x")
            .env("DATABASE_URL_FILE", "url"),
        file(format!("database_url_file = \"url\"\n{COMPLETE}"),
            "callq.toml:1:21: database_url_file and database_url are both set: must be one of them"),
        given("DATABASE_URL_FILE names missing, which cannot be read: must be the name of a file that exists").env("DATABASE_URL_FILE", "missing"),
        given(
            "DATABASE_URL_FILE names no-url, whose content is not a URL (relative URL without a base): must be like \
             postgres://user@host/database").env("DATABASE_URL_FILE", "no-url"),
        given(
            "DATABASE_URL_FILE names open-key, which others can read: must be yours alone (chmod 600 open-key)").env("DATABASE_URL_FILE", "open-key"),
        file(
            format!("https_proxy = \"http://me:hunter2@proxy:3128\"\n{COMPLETE}"),
            "callq.toml:1:15: https_proxy holds a password, and the file is no place for one: set CALLQ_HTTPS_PROXY",
        ),
        file(format!("https_proxy = \"proxy:3128\"\n{COMPLETE}"),
            "callq.toml:1:15: https_proxy is not a proxy's URL: must be like http://proxy.example:3128"),
        given("CALLQ_HTTPS_PROXY is not a proxy's URL: must be like http://proxy.example:3128").env("CALLQ_HTTPS_PROXY", "socks5://me:hunter2@proxy"),
    ])
    .await;
}

#[tokio::test]
async fn a_secret_in_the_wrong_place_is_told_and_not_repeated() {
    let key = callq::sandbox::SANDBOX_SECRET_KEY;
    are_refused([
        added(&format!("secret_key = \"{key}\"\n"),
            "callq.toml:7:1: apps.clinic.secret_key is a secret, and the file is no place for one: name a file that holds it in \
             secret_key_file"),
        added(&format!("user_sig = \"{USER_SIG}\"\n"),
            "callq.toml:7:1: apps.clinic.user_sig is a secret, and the file is no place for one: name a file that holds it in \
             user_sig_file"),
        added(&format!("[apps.default]\nsecret_key = \"{key}\"\n"),
            "callq.toml:8:1: apps.default.secret_key is a secret, and the file is no place for one: name a file that holds it in \
             secret_key_file, or set CALLQ_SECRET_KEY"),
        changed("\"key\"", &format!("\"{key}\""),
            "callq.toml:5:19: apps.clinic.secret_key_file seems to hold a secret itself, which is not repeated: must be the name of \
             a file that holds it"),
        changed("\"singapore\"", &format!("\"{key}\""),
            "callq.toml:6:8: apps.clinic.host is neither a preset nor a URL: must be china, singapore, seoul, frankfurt, \
             silicon-valley, jakarta, tokyo or an https URL such as https://adminapi.example.com"),
        changed("1400000001", &format!("\"{key}\""),
            "callq.toml:3:14: apps.clinic.sdk_app_id is something that is not repeated, because it looks like a secret: must be a \
             whole number from 1 to 4294967295"),
        given(
            "CALLQ_LEASE_MS is something that is not repeated, because it looks like a secret: must be a whole number of \
             milliseconds from 2100 to 600000").env("CALLQ_LEASE_MS", key),
        given(
            "CALLQ_SDK_APP_ID is something that is not repeated, because it looks like a secret: must be a whole number from 1 to \
             4294967295\n\
             CALLQ_ADMIN_ACCOUNT is not set: must be the App administrator's account that signs the requests (CALLQ_SDK_APP_ID \
             describes the app default)\n\
             CALLQ_HOST is not set: must be the app's region, such as singapore, or an https URL (CALLQ_SDK_APP_ID describes the app \
             default)\n\
             CALLQ_SECRET_KEY is not set: must be the app's secret key, or CALLQ_SECRET_KEY_FILE the name of a file that holds it, \
             or CALLQ_USER_SIG a fixed UserSig (CALLQ_SDK_APP_ID describes the app default)").env("CALLQ_SDK_APP_ID", USER_SIG),
    ])
    .await;
}

#[tokio::test]
async fn a_secret_file_that_is_unfit_is_told() {
    are_refused([
        changed("\"key\"", "\"missing\"",
            "callq.toml:5:19: apps.clinic.secret_key_file names missing, which cannot be read: must be the name of a file that exists"),
        changed("\"key\"", "\"open-key\"",
            "callq.toml:5:19: apps.clinic.secret_key_file names open-key, which others can read: must be yours alone (chmod 600 \
             open-key)"),
        changed("\"key\"", "\"empty\"", "callq.toml:5:19: apps.clinic.secret_key_file names empty, which is empty: must hold the secret"),
        changed("\"key\"", "\"long\"",
            "callq.toml:5:19: apps.clinic.secret_key_file names long, which is longer than 64 KiB: must hold the secret alone"),
        changed("\"key\"", "\"binary\"", "callq.toml:5:19: apps.clinic.secret_key_file names binary, which cannot be read: must be text, in UTF-8"),
        changed("\"key\"", "\"folder\"", "callq.toml:5:19: apps.clinic.secret_key_file names folder, which is a folder: must be a file"),
        changed("\"key\"", "\"/dev/null\"",
            "callq.toml:5:19: apps.clinic.secret_key_file names /dev/null, which is a pipe or a device: must be a file"),
        changed("\"key\"", "\"two-words\"",
            "callq.toml:5:19: apps.clinic.secret_key_file names two-words, which has white space inside its text: must hold the \
             secret alone"),
        changed("\"key\"", "\"key/key\"",
            "callq.toml:5:19: apps.clinic.secret_key_file names key/key, which cannot be read: Not a directory (os error 20)"),
        changed("secret_key_file = \"key\"", "user_sig_file = \"sig\"",
            "callq.toml:5:17: apps.clinic.user_sig_file names sig, whose content is not a UserSig (its base64 is broken): must be \
             what Tencent's console or tools made, whole"),
        changed(
            "secret_key_file = \"key\"",
            "secret_key_file = \"key\"\nuser_sig_file = \"sig\"",
            "callq.toml:5:19: apps.clinic.secret_key_file and user_sig_file are both set: must be one of them",
        ),
    ])
    .await;
}

#[tokio::test]
async fn an_app_that_lacks_something_is_told_with_who_named_it() {
    are_refused([
        bare(
            "there is no app to serve: set CALLQ_SDK_APP_ID, CALLQ_ADMIN_ACCOUNT, CALLQ_SECRET_KEY_FILE and CALLQ_HOST, or describe \
             apps as [apps.NAME] in callq.toml").env("DATABASE_URL", "postgres://me@db/x"),
        bare(
            "CALLQ_SDK_APP_ID is not set: must be Tencent's SDKAppID, the number that its console shows for the app (CALLQ_HOST \
             describes the app default)\n\
             CALLQ_ADMIN_ACCOUNT is not set: must be the App administrator's account that signs the requests (CALLQ_HOST describes \
             the app default)\n\
             CALLQ_SECRET_KEY is not set: must be the app's secret key, or CALLQ_SECRET_KEY_FILE the name of a file that holds it, \
             or CALLQ_USER_SIG a fixed UserSig (CALLQ_HOST describes the app default)")
            .env("DATABASE_URL", "postgres://me@db/x")
            .env("CALLQ_HOST", "china"),
        changed("host = \"singapore\"\n", "",
            "callq.toml:2:7: [apps.clinic] has no host: must be the app's region, such as singapore, or an https URL"),
        changed("secret_key_file = \"key\"\n", "",
            "callq.toml:2:7: [apps.clinic] has no secret_key_file: must be a file that holds the app's secret key, or user_sig_file \
             one that holds a fixed UserSig"),
        added("[apps.default]\nhost = \"china\"\n",
            "callq.toml:7:7: [apps.default] has no admin_account, and CALLQ_ADMIN_ACCOUNT is not set: must be the App \
             administrator's account that signs the requests\n\
             callq.toml:7:7: [apps.default] has no secret_key_file, and CALLQ_SECRET_KEY is not set: must be a file that holds the \
             app's secret key, or user_sig_file one that holds a fixed UserSig").env("CALLQ_SDK_APP_ID", "1400000000"),
        added("[apps.pharmacy]\n",
            "callq.toml:7:7: [apps.pharmacy] has no sdk_app_id: must be Tencent's SDKAppID, the number that its console shows for \
             the app\n\
             callq.toml:7:7: [apps.pharmacy] has no admin_account: must be the App administrator's account that signs the requests\n\
             callq.toml:7:7: [apps.pharmacy] has no host: must be the app's region, such as singapore, or an https URL\n\
             callq.toml:7:7: [apps.pharmacy] has no secret_key_file: must be a file that holds the app's secret key, or \
             user_sig_file one that holds a fixed UserSig"),
        given(
            "CALLQ_SDK_APP_ID is not set: must be Tencent's SDKAppID, the number that its console shows for the app \
             (CALLQ_CALLS_PER_SECOND describes the app default)\n\
             CALLQ_ADMIN_ACCOUNT is not set: must be the App administrator's account that signs the requests (CALLQ_CALLS_PER_SECOND \
             describes the app default)\n\
             CALLQ_HOST is not set: must be the app's region, such as singapore, or an https URL (CALLQ_CALLS_PER_SECOND describes \
             the app default)\n\
             CALLQ_SECRET_KEY is not set: must be the app's secret key, or CALLQ_SECRET_KEY_FILE the name of a file that holds it, \
             or CALLQ_USER_SIG a fixed UserSig (CALLQ_CALLS_PER_SECOND describes the app default)").env("CALLQ_CALLS_PER_SECOND", "20"),
        given(
            "CALLQ_SDK_APP_ID is not set: must be Tencent's SDKAppID, the number that its console shows for the app \
             (CALLQ_SECRET_KEY describes the app default)\n\
             CALLQ_ADMIN_ACCOUNT is not set: must be the App administrator's account that signs the requests (CALLQ_SECRET_KEY \
             describes the app default)\n\
             CALLQ_HOST is not set: must be the app's region, such as singapore, or an https URL (CALLQ_SECRET_KEY describes the app \
             default)\n\
             CALLQ_SECRET_KEY and CALLQ_USER_SIG_FILE are both set: must be one of them")
            .env("CALLQ_SECRET_KEY", "hunter2")
            .env("CALLQ_USER_SIG_FILE", "sig"),
        bare(
            "DATABASE_URL is not set: must be the database's URL, like postgres://user@host/database (or database_url in callq.toml)\n\
             there is no app to serve: set CALLQ_SDK_APP_ID, CALLQ_ADMIN_ACCOUNT, CALLQ_SECRET_KEY_FILE and CALLQ_HOST, or describe \
             apps as [apps.NAME] in callq.toml"),
    ])
    .await;
}

#[tokio::test]
async fn apps_that_cannot_be_served_beside_each_other_are_told() {
    let twin = COMPLETE
        .split_once('\n')
        .expect("lines")
        .1
        .replace("clinic", "twin");
    are_refused([
        added(&twin,
            "callq.toml:8:14: apps.twin.sdk_app_id is 1400000001, as is that of the app clinic: must be another, because Tencent \
             limits the pace per SDKAppID"),
        added("[apps.\"*\"]\n", r#"callq.toml:7:7: [apps."*"] has a name that stands for all apps: must be 1 to 64 bytes, and not *"#),
        added("[apps.\"\"]\n", r#"callq.toml:7:7: [apps.""] has a name of 0 bytes: must be 1 to 64 bytes, and not *"#),
        added(&format!("[apps.{}]\n", "x".repeat(65)),
            "callq.toml:7:7: [apps.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx] has a name of 65 bytes: must \
             be 1 to 64 bytes, and not *"),
        given("--app is clinci, which is not configured: did you mean clinic?").flags(&["--app", "clinci"]),
        given("--app is pharmacy, which is not configured: must be clinic").flags(&["--app", "clinic", "--app", "pharmacy"]),
        given(
            "callq.toml:3:14: apps.clinic.sdk_app_id is 1400000001, as is that of the app default: must be another, because Tencent \
             limits the pace per SDKAppID")
            .env("CALLQ_SDK_APP_ID", "1400000001")
            .env("CALLQ_ADMIN_ACCOUNT", "administrator")
            .env("CALLQ_SECRET_KEY_FILE", "key")
            .env("CALLQ_HOST", "china"),
    ])
    .await;
}

#[tokio::test]
async fn all_mistakes_are_told_at_once() {
    let known = "database_url, database_url_file, https_proxy, log, worker, web, apps";
    let (mut many, mut twenty_and_more) = (String::new(), String::new());
    for n in 1..=25 {
        writeln!(many, "x{n} = 1").expect("a String takes all");
        if n <= 20 {
            let says = format!("callq.toml:{n}:1: x{n} is no setting: must be one of {known}");
            writeln!(twenty_and_more, "{says}").expect("a String takes all");
        }
    }
    twenty_and_more.push_str("and more mistakes in the configuration");
    are_refused([
        added("[worker]\nconcurrency = 0\nlease_ms = 1\ncolour = 1\n",
            "callq.toml:10:1: worker.colour is no setting: must be one of concurrency, poll_interval_ms, lease_ms, \
             request_timeout_ms, listen, log_format\n\
             callq.toml:8:15: worker.concurrency is 0: must be a whole number from 1 to 2000\n\
             callq.toml:9:12: worker.lease_ms is 1: must be a whole number of milliseconds from 2100 to 600000\n\
             CALLQ_LISTEN is \"here\": must be an address and a port, as in 127.0.0.1:9464")
            .env("CALLQ_LISTEN", "here"),
        added("[worker]\nconcurrency = 0\nlease_ms = 1\n",
            "callq.toml:8:15: worker.concurrency is 0: must be a whole number from 1 to 2000\n\
             callq.toml:9:12: worker.lease_ms is 1: must be a whole number of milliseconds from 2100 to 600000\n\
             DATABASE_URL is not a URL (relative URL without a base): must be like postgres://user@host/database")
            .env("DATABASE_URL", "correct-horse"),
        file(
            many,
            &twenty_and_more,
        ),
    ])
    .await;
}
