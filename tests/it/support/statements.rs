//! The statements of `src/store`, as psql would run them: prepared, with parameters as SQL text.

use std::sync::atomic::{AtomicU64, Ordering};

/// One statement and the types of its parameters.
pub(crate) struct Statement {
    sql: String,
    types: &'static str,
}

macro_rules! statements {
    ($($name:ident: $types:literal,)+) => {
        $(pub(crate) fn $name() -> Statement {
            let sql = include_str!(concat!("../../../src/store/", stringify!($name), ".sql"));
            Statement { sql: sql.to_owned(), types: $types }
        })+
    };
}

statements! {
    apps: "bigint, float8, bigint",
    behind: "text[], timestamptz[], bigint[], float8",
    claim: "text[], int[], uuid, text, float8, timestamptz[], bigint[], bool[]",
    expire: "text, int2, timestamptz, bigint, bigint",
    fire: "bigint[], bigint[], timestamptz[], timestamptz[], timestamptz[], timestamptz[], text[], \
        float8[], int[], text[], text, bigint[], timestamptz[], timestamp[], int2[], timestamptz[], \
        timestamptz[], bool[], bigint[], text[], timestamptz[], timestamptz[], timestamp[], bigint[], text[]",
    follow_callbacks: "text, text[], bigint",
    follow_heeded: "bigint[], bigint[], int[], float8[]",
    follow_hints: "text, bigint",
    follow_open: "text, text[], text[], bigint[], int[]",
    follow_settled: "text, text[]",
    give_back: "uuid",
    grant: "text[], int[], text[], timestamptz[], bigint[], float8, text[]",
    lapse: "bigint, float8",
    list: "bigint, bigint, bigint, text[], text[], text, text, timestamptz, timestamptz, text[], text[]",
    outcome: "bigint[], int[], int[], bool[], bool[], text[], text[], text[], bigint[], int[], int[], text[], text[], text[], \
        bigint[], bigint[], int[], int[], text[], float8[], text[], text[]",
    record: "bigint[], int[], uuid[], text[], text[], text[], text[], float8[], bool[], text[], int[], bigint[], text[], text[], text[], text[], float8[], float8[]",
    schedules_due: "bigint, text, text[]",
    schedules_wait: "text, text[]",
    settle: "bigint, float8",
    stream_grant: "text, text[], float8[], float8[], int[]",
    stream_heard: "text, bigint[], int[], bool[], bool[], bool",
    stream_pause: "text, text, float8",
    stream_said: "bigint, int, int, text, text, text, float8",
    stream_take: "text, int, int, int, float8",
    sweep_due: "text, bigint",
    sweep_later: "bigint[], int[], float8[]",
    sweep_lease: "text, text, float8",
}

/// From the beginning of each level.
pub(crate) const LOWS: &str = "'{-infinity, -infinity, -infinity, -infinity}', '{0, 0, 0, 0}'";

/// A claim of at most `slots` jobs of the app `default`.
pub(crate) fn claim_of(slots: u32, token: &str) -> String {
    format!("'{{default}}', '{{{slots}}}', '{token}', 'worker', 30, {LOWS}, '{{true}}'")
}

/// One result: what the attempt `attempt` of job `job_id` under `token` led to.
pub(crate) struct Result<'a> {
    pub(crate) job_id: i64,
    pub(crate) attempt: i32,
    pub(crate) token: &'a str,
    /// The verdict: `placed` or `scheduled`.
    pub(crate) next: &'a str,
}

/// A batch of results.
pub(crate) fn record_of(batch: &[Result<'_>]) -> String {
    let list = |one: &dyn Fn(&Result<'_>) -> String| {
        let all: Vec<String> = batch.iter().map(one).collect();
        format!("'{{{}}}'", all.join(","))
    };
    let by_verdict = |placed: &'static str, other: &'static str| {
        list(&move |r| if r.next == "placed" { placed } else { other }.to_owned())
    };
    [
        list(&|r| r.job_id.to_string()),
        list(&|r| r.attempt.to_string()),
        list(&|r| r.token.to_owned()),
        list(&|_| "replied".to_owned()),
        list(&|r| r.next.to_owned()),
        by_verdict("accepted", "throttled"),
        list(&|_| "NULL".to_owned()),
        by_verdict("NULL", "1"),
        list(&|_| "false".to_owned()),
        by_verdict("accepted", "safe"),
        list(&|_| "200".to_owned()),
        by_verdict("0", "60011"),
        list(&|_| "NULL".to_owned()),
        list(&|r| format!("request-{}-{}", r.job_id, r.attempt)),
        list(&|r| {
            if r.next == "placed" {
                format!("call-{}-{}", r.job_id, r.attempt)
            } else {
                "NULL".to_owned()
            }
        }),
        list(&|_| "NULL".to_owned()),
        list(&|_| "0.01".to_owned()),
        list(&|_| "0.02".to_owned()),
    ]
    .join(", ")
}

impl Statement {
    /// The same with `anchor` replaced, to hold it up at a certain place.
    pub(crate) fn with(mut self, anchor: &str, replacement: &str) -> Self {
        assert_eq!(
            self.sql.matches(anchor).count(),
            1,
            "{anchor} stands there once"
        );
        self.sql = self.sql.replace(anchor, replacement);
        self
    }

    /// The SQL that prepares it, and the name it has then: another one each time.
    pub(crate) fn prepare(&self) -> (String, String) {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("s{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let sql = format!("PREPARE {name}({}) AS {};", self.types, self.sql);
        (sql, name)
    }
}
