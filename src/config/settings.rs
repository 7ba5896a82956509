//! The one list of all settings: where each is named, what it means, what it may be, what holds
//! without it. Reading, help texts, the README's table, `callq.example.toml` and
//! `callq config show` are made from it.

mod callbacks;
mod ingest;

pub use callbacks::{
    CALLBACKS_SECRET, CALLBACKS_SECRET_FILE, CALLBACKS_SECRETS, CALLBACKS_TOKEN,
    CALLBACKS_TOKEN_FILE, CALLBACKS_TOKENS,
};
pub use ingest::{
    CAM_SECRET_ID, CAM_SECRET_KEY, CAM_SECRET_KEY_FILE, CAM_SECRET_KEYS, INGEST_HOST,
    INGEST_REGION, INGEST_ROOM_ID_TYPE,
};

use super::kind::Kind;

/// Where in the file a setting stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// Above all sections.
    Top,
    /// In `[worker]`. Each of these is a flag of `callq worker` too.
    Worker,
    /// In `[web]`, for `callq web` and for what asks where it is.
    Web,
    /// In `[apps.NAME]`. The environment describes the app `default`.
    App,
}

/// What holds if a setting is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// It must be given.
    Required,
    /// What that means, in words.
    Means(&'static str),
    /// This value, as it would be written.
    Is(&'static str),
}

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// Where in the file it stands.
    pub section: Section,
    /// Its key there.
    pub key: &'static str,
    /// Its name in the environment.
    pub environment: &'static str,
    /// Its flag of `callq worker`, or of `callq web` if it stands in that section, without the
    /// dashes.
    pub flag: Option<&'static str>,
    /// What its value may be.
    pub kind: Kind,
    /// What holds without it.
    pub absent: Absent,
    /// What it is, as a phrase that follows "is": no capital, no full stop.
    pub meaning: &'static str,
    /// A value, as it is written in the file.
    pub example: &'static str,
}

impl Setting {
    /// Whether it is a secret itself, and so never stands in the file.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        self.kind == Kind::Secret
    }
}

/// The name of the app that the environment describes.
pub const DEFAULT_APP: &str = "default";

/// The file that is read if no other is named, in the current folder.
pub const DEFAULT_FILE: &str = "callq.toml";

/// Names the file to read.
pub const CONFIG_VARIABLE: &str = "CALLQ_CONFIG";

/// The names of the environment that are no settings of the file, with their meaning.
pub const OUTSIDE: [(&str, &str); 3] = [
    (
        CONFIG_VARIABLE,
        "the configuration file, as `--config` names it; without both, `callq.toml` in the \
         current folder if it is there",
    ),
    (
        "CALLQ_PG_BIN",
        "for `dev` and `demo`: the folder of `initdb` and `postgres`",
    ),
    ("NO_COLOR", "set to anything: no colours in logs"),
];

/// The database.
pub static DATABASE_URL: Setting = Setting {
    section: Section::Top,
    key: "database_url",
    environment: "DATABASE_URL",
    flag: None,
    kind: Kind::DatabaseUrl,
    absent: Absent::Means("this or a file of it is required"),
    meaning: "the database's URL; in the file without a password",
    example: "\"postgres://callq@db.example/callq\"",
};

/// The database, in a file of its own.
pub static DATABASE_URL_FILE: Setting = Setting {
    section: Section::Top,
    key: "database_url_file",
    environment: "DATABASE_URL_FILE",
    flag: None,
    kind: Kind::SecretFile,
    absent: Absent::Means("this or the URL itself is required"),
    meaning: "a file that holds the database's URL, password included",
    example: "\"database-url\"",
};

/// A proxy on the way to Tencent.
pub static HTTPS_PROXY: Setting = Setting {
    section: Section::Top,
    key: "https_proxy",
    environment: "CALLQ_HTTPS_PROXY",
    flag: None,
    kind: Kind::ProxyUrl,
    absent: Absent::Means("none is used, whatever HTTPS_PROXY says"),
    meaning: "the proxy that requests to Tencent go through; in the file without a password",
    example: "\"http://proxy.example:3128\"",
};

/// What is logged.
pub static LOG: Setting = Setting {
    section: Section::Top,
    key: "log",
    environment: "CALLQ_LOG",
    flag: None,
    kind: Kind::LogFilter,
    absent: Absent::Is("info,sqlx=error"),
    meaning: "what is logged",
    example: "\"callq=debug,warn\"",
};

/// How many requests at once.
pub static CONCURRENCY: Setting = Setting {
    section: Section::Worker,
    key: "concurrency",
    environment: "CALLQ_CONCURRENCY",
    flag: Some("concurrency"),
    kind: Kind::Whole {
        least: 1,
        most: 2000,
        unit: None,
    },
    absent: Absent::Is("50"),
    meaning: "how many requests are under way at once",
    example: "50",
};

/// How long to sleep at most.
pub static POLL_INTERVAL_MS: Setting = Setting {
    section: Section::Worker,
    key: "poll_interval_ms",
    environment: "CALLQ_POLL_INTERVAL_MS",
    flag: Some("poll-interval-ms"),
    kind: Kind::Whole {
        least: 10,
        most: 60_000,
        unit: Some("milliseconds"),
    },
    absent: Absent::Is("1000"),
    meaning: "how long to sleep at most when no notification comes",
    example: "1000",
};

/// How much longer than a request a lease must be, in milliseconds: a second is kept free before
/// the request, another is for the claim itself.
pub const LEASE_MARGIN_MS: u64 = 2000;

/// The shortest request timeout, in milliseconds.
const SHORTEST_REQUEST_MS: u64 = 100;

/// How long a claim lasts.
pub static LEASE_MS: Setting = Setting {
    section: Section::Worker,
    key: "lease_ms",
    environment: "CALLQ_LEASE_MS",
    flag: Some("lease-ms"),
    kind: Kind::Whole {
        least: SHORTEST_REQUEST_MS + LEASE_MARGIN_MS,
        most: 600_000,
        unit: Some("milliseconds"),
    },
    absent: Absent::Is("30000"),
    meaning: "how long a claimed job may take until it is in doubt",
    example: "30000",
};

/// How long a request may take.
pub static REQUEST_TIMEOUT_MS: Setting = Setting {
    section: Section::Worker,
    key: "request_timeout_ms",
    environment: "CALLQ_REQUEST_TIMEOUT_MS",
    flag: Some("request-timeout-ms"),
    kind: Kind::Whole {
        least: SHORTEST_REQUEST_MS,
        most: 60_000,
        unit: Some("milliseconds"),
    },
    absent: Absent::Is("8000"),
    meaning: "how long to wait for Tencent's reply, that of a live host at least 3500",
    example: "8000",
};

/// Where probes and metrics are served.
pub static LISTEN: Setting = Setting {
    section: Section::Worker,
    key: "listen",
    environment: "CALLQ_LISTEN",
    flag: Some("listen"),
    kind: Kind::Address,
    absent: Absent::Means("nothing is served"),
    meaning: "where to serve /livez, /readyz and /metrics",
    example: "\"127.0.0.1:9464\"",
};

/// How log lines look.
pub static LOG_FORMAT: Setting = Setting {
    section: Section::Worker,
    key: "log_format",
    environment: "CALLQ_LOG_FORMAT",
    flag: Some("log-format"),
    kind: Kind::Word(&["text", "json"]),
    absent: Absent::Is("text"),
    meaning: "how log lines look, text for people or a JSON object per line",
    example: "\"text\"",
};

/// Where callbacks are taken.
pub static WEB_LISTEN: Setting = Setting {
    section: Section::Web,
    key: "listen",
    environment: "CALLQ_WEB_LISTEN",
    flag: Some("listen"),
    kind: Kind::Address,
    absent: Absent::Is("127.0.0.1:9465"),
    meaning: "where `callq web` takes callbacks, and serves /livez, /readyz and /metrics",
    example: "\"127.0.0.1:9465\"",
};

/// Where Tencent reaches that.
pub static CALLBACKS_BASE_URL: Setting = Setting {
    section: Section::Web,
    key: "callbacks_base_url",
    environment: "CALLQ_CALLBACKS_BASE_URL",
    flag: None,
    kind: Kind::HttpUrl,
    absent: Absent::Means("callq callbacks set needs a whole URL"),
    meaning: "where Tencent reaches `callq web`, without /callbacks/APP/SECRET",
    example: "\"https://calls.example.com\"",
};

/// The app's number.
pub static SDK_APP_ID: Setting = Setting {
    section: Section::App,
    key: "sdk_app_id",
    environment: "CALLQ_SDK_APP_ID",
    flag: None,
    kind: Kind::Whole {
        least: 1,
        most: u32::MAX as u64,
        unit: None,
    },
    absent: Absent::Required,
    meaning: "Tencent's SDKAppID, the number that its console shows for the app",
    example: "1400000000",
};

/// Who signs.
pub static ADMIN_ACCOUNT: Setting = Setting {
    section: Section::App,
    key: "admin_account",
    environment: "CALLQ_ADMIN_ACCOUNT",
    flag: None,
    kind: Kind::Account,
    absent: Absent::Required,
    meaning: "the App administrator's account that signs the requests",
    example: "\"administrator\"",
};

/// The key itself.
pub static SECRET_KEY: Setting = Setting {
    section: Section::App,
    key: "secret_key",
    environment: "CALLQ_SECRET_KEY",
    flag: None,
    kind: Kind::Secret,
    absent: Absent::Means("this or one of the next three is required"),
    meaning: "the app's secret key, which makes each UserSig",
    example: "",
};

/// The key in a file.
pub static SECRET_KEY_FILE: Setting = Setting {
    section: Section::App,
    key: "secret_key_file",
    environment: "CALLQ_SECRET_KEY_FILE",
    flag: None,
    kind: Kind::SecretFile,
    absent: Absent::Means("this or user_sig_file is required"),
    meaning: "a file that holds the app's secret key",
    example: "\"secret-key\"",
};

/// A fixed `UserSig` itself.
pub static USER_SIG: Setting = Setting {
    section: Section::App,
    key: "user_sig",
    environment: "CALLQ_USER_SIG",
    flag: None,
    kind: Kind::Secret,
    absent: Absent::Means("a secret key is required"),
    meaning: "instead of a key, a fixed UserSig",
    example: "",
};

/// A fixed `UserSig` in a file.
pub static USER_SIG_FILE: Setting = Setting {
    section: Section::App,
    key: "user_sig_file",
    environment: "CALLQ_USER_SIG_FILE",
    flag: None,
    kind: Kind::SecretFile,
    absent: Absent::Means("secret_key_file is required"),
    meaning: "instead of a key, a file that holds a fixed UserSig",
    example: "\"user-sig\"",
};

/// Where the app's requests go.
pub static HOST: Setting = Setting {
    section: Section::App,
    key: "host",
    environment: "CALLQ_HOST",
    flag: None,
    kind: Kind::Host,
    absent: Absent::Required,
    meaning: "the app's region, such as singapore, or an https URL",
    example: "\"singapore\"",
};

/// The app's pace.
pub static CALLS_PER_SECOND: Setting = Setting {
    section: Section::App,
    key: "calls_per_second",
    environment: "CALLQ_CALLS_PER_SECOND",
    flag: None,
    kind: Kind::Pace,
    absent: Absent::Means("what the database has, 180 at first"),
    meaning: "the app's pace, that of all workers together",
    example: "180",
};

/// Who is rung again.
pub static RING_POLICY: Setting = Setting {
    section: Section::App,
    key: "ring_policy",
    environment: "CALLQ_RING_POLICY",
    flag: None,
    kind: Kind::RingPolicy,
    absent: Absent::Means("each callee is rung once"),
    meaning: "who is rung again when a call reached nobody, where a job says nothing of it",
    example: "{ max_rings = 3, busy = [\"3m\", \"6m\"] }",
};

/// When calls are ended.
pub static MAX_CALL_SECONDS: Setting = Setting {
    section: Section::App,
    key: "max_call_seconds",
    environment: "CALLQ_MAX_CALL_SECONDS",
    flag: None,
    kind: Kind::Whole {
        least: 10,
        most: 86_400,
        unit: Some("seconds"),
    },
    absent: Absent::Means("calls are not ended"),
    meaning: "how long is talked until the call is ended, for jobs that say nothing of it",
    example: "3600",
};

/// How long a call can last.
pub static LONGEST_CALL_S: Setting = Setting {
    section: Section::App,
    key: "longest_call_s",
    environment: "CALLQ_LONGEST_CALL_S",
    flag: None,
    kind: Kind::Whole {
        least: 60,
        most: 86_400,
        unit: Some("seconds"),
    },
    absent: Absent::Is("1800"),
    meaning: "how long a call can last: until then one whose end is unknown is reckoned with",
    example: "1800",
};

/// All of them, in the order in which they are shown.
pub static ALL: [&Setting; 33] = [
    &DATABASE_URL,
    &DATABASE_URL_FILE,
    &HTTPS_PROXY,
    &LOG,
    &CONCURRENCY,
    &POLL_INTERVAL_MS,
    &LEASE_MS,
    &REQUEST_TIMEOUT_MS,
    &LISTEN,
    &LOG_FORMAT,
    &WEB_LISTEN,
    &CALLBACKS_BASE_URL,
    &SDK_APP_ID,
    &ADMIN_ACCOUNT,
    &SECRET_KEY,
    &SECRET_KEY_FILE,
    &USER_SIG,
    &USER_SIG_FILE,
    &HOST,
    &CALLS_PER_SECOND,
    &CALLBACKS_SECRET,
    &CALLBACKS_SECRET_FILE,
    &CALLBACKS_TOKEN,
    &CALLBACKS_TOKEN_FILE,
    &RING_POLICY,
    &MAX_CALL_SECONDS,
    &LONGEST_CALL_S,
    &CAM_SECRET_ID,
    &CAM_SECRET_KEY,
    &CAM_SECRET_KEY_FILE,
    &INGEST_HOST,
    &INGEST_REGION,
    &INGEST_ROOM_ID_TYPE,
];

/// Where the database is said to be, one way or the other.
pub static DATABASE: [&Setting; 2] = [&DATABASE_URL, &DATABASE_URL_FILE];

/// What an app may sign with, of which it has one.
pub static CREDENTIALS: [&Setting; 4] = [&SECRET_KEY, &SECRET_KEY_FILE, &USER_SIG, &USER_SIG_FILE];

/// Those of one section.
pub fn of(section: Section) -> impl Iterator<Item = &'static Setting> {
    ALL.into_iter().filter(move |s| s.section == section)
}
