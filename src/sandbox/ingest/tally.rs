//! What became of every stream, for tests: whether each was stopped, and none began too early.

use serde::Serialize;
use uuid::Uuid;

/// One stream; times are milliseconds of the sandbox's time since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IngestTask {
    /// What was answered to the start.
    pub task_id: String,
    /// The app.
    pub sdk_app_id: u64,
    /// The call into which it plays.
    pub call_id: Uuid,
    /// The call's room.
    pub room_id: String,
    /// The robot.
    pub user_id: String,
    /// What is played; in no answer of the control endpoint, since it may carry a token.
    #[serde(skip)]
    pub stream_url: String,
    /// `RepeatNum`.
    pub repeat: i64,
    /// `MaxDuration`, in minutes.
    pub max_minutes: Option<i64>,
    /// `Volume`.
    pub volume: i64,
    /// When somebody first answered the call.
    pub answered_at_ms: i64,
    /// When it began to play.
    pub started_at_ms: i64,
    /// When it was stopped.
    pub stopped_at_ms: Option<i64>,
    /// When it ended by itself.
    pub ended_at_ms: Option<i64>,
    /// When its call was over.
    pub call_ended_at_ms: Option<i64>,
}

impl IngestTask {
    /// Whether it plays, and so is billed.
    #[must_use]
    pub const fn is_playing(&self) -> bool {
        self.stopped_at_ms.is_none() && self.ended_at_ms.is_none()
    }

    /// Whether it plays though its call is over: to nobody, and billed until it is stopped.
    #[must_use]
    pub const fn is_left_running(&self) -> bool {
        self.is_playing() && self.call_ended_at_ms.is_some()
    }
}

/// What became of all streams by now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct IngestTally {
    /// Streams that began to play, whatever was answered.
    pub started: u64,
    /// Those of them that were stopped.
    pub stopped: u64,
    /// Those that ended by themselves.
    pub ended: u64,
    /// Those that play; with `stopped` and `ended` they sum to `started`.
    pub playing: u64,
    /// Those that play though their call is over: to nobody, and billed.
    pub left_running: u64,
    /// Starts that were refused because nobody had answered the call of that room yet.
    pub before_answer: u64,
    /// Starts that were refused because the call of that room was over.
    pub after_end: u64,
    /// Starts that were refused because no call has that room, or its type is another.
    pub without_room: u64,
    /// Starts that were refused because the robot played there already.
    pub doubled: u64,
    /// The longest time from an answer to the beginning of its stream, in milliseconds.
    pub latest_start_ms: u64,
}

impl IngestTally {
    /// Counts a stream that stands so: when it ended by itself, and when its call did.
    pub(super) fn count(&mut self, task: &IngestTask, ended: Option<i64>, call: Option<i64>) {
        let is_playing = task.stopped_at_ms.is_none() && ended.is_none();
        self.started += 1;
        self.stopped += u64::from(task.stopped_at_ms.is_some());
        self.ended += u64::from(ended.is_some());
        self.playing += u64::from(is_playing);
        self.left_running += u64::from(is_playing && call.is_some());
        let wait_ms = task.started_at_ms.saturating_sub(task.answered_at_ms);
        let wait_ms = u64::try_from(wait_ms).unwrap_or(0);
        self.latest_start_ms = self.latest_start_ms.max(wait_ms);
    }
}
