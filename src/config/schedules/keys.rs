//! The one list of all keys of a schedule's file.

/// Where in the file a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// Above all sections.
    Top,
    /// In `[call]`: a column of `callq.jobs`.
    Call,
}

/// One key.
#[derive(Debug, PartialEq, Eq)]
pub struct Key {
    /// Where it stands.
    pub section: Section,
    /// Its name there, and the column's.
    pub name: &'static str,
    /// What a value may be, as a phrase that follows "must be".
    pub allowed: &'static str,
    /// What holds without it.
    pub absent: &'static str,
    /// What it is.
    pub meaning: &'static str,
}

impl Key {
    /// Its name with its section, as in `call.callees`.
    #[must_use]
    pub fn path(&self) -> String {
        match self.section {
            Section::Top => self.name.to_owned(),
            Section::Call => format!("call.{}", self.name),
        }
    }
}

/// What the ends of a schedule's time may be, as `crate::schedule` says it too.
const EDGE: &str = "a date (2026-12-31), a local time (2026-12-31 18:00) or an instant \
    (2026-12-31T18:00:00+01:00)";

/// A constant for each key, and the list of them all.
macro_rules! keys {
    ($($id:ident $section:ident $name:literal:
        $allowed:expr, $absent:literal, $meaning:literal;)*) => {
        $(pub(super) const $id: &Key = &Key {
            section: Section::$section,
            name: $name,
            allowed: $allowed,
            absent: $absent,
            meaning: $meaning,
        };)*

        /// Every key, in the order in which files should have them.
        pub const ALL: &[&Key] = &[$($id),*];
    };
}

keys! {
    NAME Top "name": "1 to 64 letters a-z, digits and . _ -", "required",
        "What the schedule is called; unique in its app.";
    CRON Top "cron": "a cron expression such as \"0 9 * * MON-FRI\"",
        "one of cron, every and on is required",
        "When it rings, as Unix cron reads it, on the clock of `tz`.";
    EVERY Top "every": "whole seconds from 1s to 366d, as \"30m\"",
        "one of cron, every and on is required",
        "Instead: every so often in real time, counted from `start_at`.";
    ON Top "on": "a list of 1 to 10000 local times such as \"2026-12-24 09:00\"",
        "one of cron, every and on is required",
        "Instead: once at each of these local times.";
    TZ Top "tz": "an IANA name such as Europe/Berlin or UTC", "required",
        "The time zone of all times and dates in the file.";
    APP Top "app": "1 to 64 bytes", "`default`", "The app that places the calls.";
    ENABLED Top "enabled": "true or false", "`true`",
        "Whether it rings at all. `callq schedules pause` is the switch for the meantime.";
    TTL Top "ttl": "a duration above zero, at most 100 years, as \"15m\"",
        "an hour, or the period if that is shorter",
        "How long after its time a call may still be placed.";
    JITTER Top "jitter": "a duration shorter than ttl and than the period, as \"30s\"", "`0s`",
        "Each call is placed up to so much later; how much is fixed for each firing.";
    CATCH_UP Top "catch_up": "latest, all or none", "`latest`",
        "What becomes of firings that were missed because no worker ran.";
    CATCH_UP_WINDOW Top "catch_up_window": "a duration of at most 366 days, as \"10m\"", "`10m`",
        "How old a missed firing may be to be made up for.";
    OVERLAP Top "overlap": "skip, allow or cancel_previous", "`skip`",
        "What to do when the call before is not finished yet.";
    START_AT Top "start_at":
        EDGE,
        "from now on; `every` counts from when it is applied first",
        "Nothing rings before. A date means its beginning.";
    END_AT Top "end_at":
        EDGE,
        "for ever", "Nothing rings after. A date means its end.";
    EXCEPT_DATES Top "except_dates": "a list of at most 10000 dates such as \"2026-12-25\"", "none",
        "Local dates on which nothing rings.";
    CALENDARS Top "calendars":
        "a list of at most 20 names of files with a date such as 2026-12-25 on each line", "none",
        "Files of such dates, relative to this file's folder. Read when the file is applied.";
    RING_POLICY Top "ring_policy":
        "a table such as { max_rings = 3, busy = [\"3m\"], min_gap = \"2m\" }",
        "as the app's configuration has it, else each callee is rung once",
        "Who is rung again when a call reached nobody; may be the section `[ring_policy]`.";
    ROBOT_ACCOUNT Call "robot_account": "1 to 32 bytes", "required", "Who calls.";
    CALLEES Call "callees": "a list of 1 to 100 different accounts of 1 to 32 bytes", "required",
        "Who is rung; they share one room and see each other.";
    MEDIA_TYPE Call "media_type": "Audio or Video", "`Audio`", "Sound alone, or with picture.";
    ROOM_ID Call "room_id": "1 to 64 bytes, or digits if room_id_type is 1",
        "a fresh room for each attempt", "A room of your own.";
    ROOM_ID_TYPE Call "room_id_type": "1 (room_id is a number) or 2 (it is text)", "`2`",
        "What kind of room it is.";
    RING_TIMEOUT_MS Call "ring_timeout_ms": "a whole number from 10000 to 600000", "`45000`",
        "How long the phone rings, in milliseconds.";
    USER_DATA Call "user_data": "a string of at most 1000 bytes", "none",
        "Handed to the callee with the call. Never shown without `--show-user-data`.";
    OFFLINE_PUSH Call "offline_push": "a table, with OfflinePushInfo's keys", "none",
        "The push for a callee who is offline. Never shown without `--show-user-data`.";
    PRIORITY Call "priority": "a whole number from 0 (most urgent) to 3", "`1`",
        "A due urgent call goes before a due ordinary one.";
    MAX_ATTEMPTS Call "max_attempts": "a whole number from 1 to 100", "`5`",
        "How many requests may be spent on one call.";
    ON_DOUBT Call "on_doubt": "hold, reconcile or retry", "`reconcile`",
        "What to do when a request may have been sent and its reply is unknown.";
    RETRY_CALLEES Call "retry_callees": "true or false", "`false`",
        "Whether callees with a `ResultCode` other than 0 are rung again.";
    METADATA Call "metadata": "a table of at most 8192 bytes as JSON", "`{}`",
        "Your own, on each job, for reports; never sent.";
    MAX_CALL_SECONDS Call "max_call_seconds": "a whole number from 10 to 86400",
        "as the app's configuration has it, else never",
        "After how many seconds of talk a call is ended.";
    MEDIA_URL Call "media_url":
        "1 to 1024 bytes that begin with https://, http:// or rtmp://",
        "silence, unless your application supplies sound",
        "What the robot plays when somebody answers. Never shown without `--show-user-data`.";
    MEDIA_OPTIONS Call "media_options":
        "a table such as { repeat = -1, volume = 80, max_minutes = 10 }", "played once",
        "How `media_url` is played.";
}

/// The section of the call.
pub const CALL: &str = "call";

/// Columns of `callq.jobs` that a schedule's calls cannot be given, with what takes their place.
pub(super) const NOT_IN_CALL: [(&str, &str); 5] = [
    (
        "run_at",
        "cron, every or on above [call] says when it rings",
    ),
    (
        "expires_at",
        "ttl above [call] says how long a call may be placed",
    ),
    ("idempotency_key", "a firing is one job by itself"),
    ("schedule_id", "callq writes it"),
    ("nominal_at", "callq writes it"),
];

/// The keys of a section.
pub fn of(section: Section) -> impl Iterator<Item = &'static Key> {
    let all = ALL.iter().copied();
    all.filter(move |key| key.section == section)
}
