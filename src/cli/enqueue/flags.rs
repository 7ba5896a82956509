//! The flags of `callq enqueue` that are columns.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use clap::{ArgAction, Args};

use super::columns;
use crate::call::readable;
use crate::cli::Failure;
use crate::store::JobLine;

/// The largest file that a flag may name.
const FLAG_FILE_BYTES_MAX: u64 = 1 << 20;

/// The columns of callq.jobs, each as text that `columns::set` reads.
#[derive(Debug, Args)]
#[command(next_help_heading = "Columns")]
pub(super) struct Columns {
    /// Who calls; required for a single job
    #[arg(long, value_name = "ACCOUNT", required_unless_present_any = ["csv", "jsonl"])]
    robot_account: Option<String>,

    /// Who is rung; give it again for others who hear each other, or separate them by ;
    #[arg(long, value_name = "ACCOUNT", required_unless_present_any = ["csv", "jsonl"])]
    callee: Vec<String>,

    /// When to ring: as 2030-01-31T09:00:00+01:00, now, or as 'in 10m' [default: now]
    #[arg(long, value_name = "TIME")]
    run_at: Option<String>,

    /// How long after run_at the call may still be placed, as 90s, 15m, 1h30m [default: 1h]
    #[arg(long, value_name = "DURATION", conflicts_with = "expires_at")]
    ttl: Option<String>,

    /// Or until when: a time as for --run-at, or infinity
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,

    /// The app that places the call [default: default]
    #[arg(long, value_name = "NAME")]
    app: Option<String>,

    /// Audio or Video [default: Audio]
    #[arg(long, value_name = "TYPE")]
    media_type: Option<String>,

    /// Your own room [default: a fresh one for each attempt]
    #[arg(long, value_name = "ROOM")]
    room_id: Option<String>,

    /// 1: the room is a number, 2: it is text [default: 2]
    #[arg(long, value_name = "1|2")]
    room_id_type: Option<String>,

    /// How long the phone rings, in milliseconds, 10000 to 600000 [default: 45000]
    #[arg(long, value_name = "MS")]
    ring_timeout_ms: Option<String>,

    /// A text for the callee, at most 1000 bytes
    #[arg(long, value_name = "TEXT")]
    user_data: Option<String>,

    /// OfflinePushInfo, a JSON object, or @ and the name of a file that holds it
    #[arg(long, value_name = "JSON|@FILE")]
    offline_push: Option<String>,

    /// 0 (most urgent) to 3 [default: 1]
    #[arg(long, value_name = "N")]
    priority: Option<String>,

    /// How many requests may be spent on the job, 1 to 100 [default: 5]
    #[arg(long, value_name = "N")]
    max_attempts: Option<String>,

    /// When a request may have been sent and its reply is unknown: hold, reconcile or retry
    /// [default: reconcile]
    #[arg(long, value_name = "POLICY")]
    on_doubt: Option<String>,

    /// Ring callees again whose ResultCode is not 0
    #[arg(long, action = ArgAction::SetTrue)]
    retry_callees: bool,

    /// Of several jobs of an app with the same key only the first is inserted
    #[arg(long, value_name = "KEY", conflicts_with_all = ["csv", "jsonl"])]
    idempotency_key: Option<String>,

    /// Your own notes, a JSON object of at most 8 KiB, or @ and the name of a file; never sent
    #[arg(long, value_name = "JSON|@FILE")]
    metadata: Option<String>,

    /// Who is rung again when nobody was reached, as {"max_rings": 3}, or @ and the name of a file
    /// [default: the app's, else each callee is rung once]
    #[arg(long, value_name = "JSON|@FILE")]
    ring_policy: Option<String>,

    /// End the call when it has been talked for so long, 10 to 86400 [default: the app's, else
    /// never]
    #[arg(long, value_name = "SECONDS")]
    max_call_seconds: Option<String>,

    /// What the robot plays when somebody answers: a file or stream, https://, http:// or rtmp://
    /// [default: silence]
    #[arg(long, value_name = "URL")]
    media_url: Option<String>,

    /// How it is played, as {"repeat": -1, "volume": 80}, or @ and the name of a file
    /// [default: once]
    #[arg(long, value_name = "JSON|@FILE")]
    media_options: Option<String>,
}

impl Columns {
    /// What the flags say.
    ///
    /// # Errors
    /// With exit code 2, for a value of another type than the column's.
    pub(super) fn job(&self) -> Result<JobLine, Failure> {
        let callees = (!self.callee.is_empty()).then(|| self.callee.join(";"));
        let retry = self.retry_callees.then(|| "true".to_owned());
        let given = [
            ("robot_account", &self.robot_account),
            ("callees", &callees),
            ("run_at", &self.run_at),
            ("ttl", &self.ttl),
            ("expires_at", &self.expires_at),
            ("app", &self.app),
            ("media_type", &self.media_type),
            ("room_id", &self.room_id),
            ("room_id_type", &self.room_id_type),
            ("ring_timeout_ms", &self.ring_timeout_ms),
            ("user_data", &self.user_data),
            ("offline_push", &self.offline_push),
            ("priority", &self.priority),
            ("max_attempts", &self.max_attempts),
            ("on_doubt", &self.on_doubt),
            ("retry_callees", &retry),
            ("idempotency_key", &self.idempotency_key),
            ("metadata", &self.metadata),
            ("ring_policy", &self.ring_policy),
            ("max_call_seconds", &self.max_call_seconds),
            ("media_url", &self.media_url),
            ("media_options", &self.media_options),
        ];
        let mut job = JobLine::default();
        for (column, value) in given {
            let Some(value) = value else { continue };
            let objects = ["offline_push", "metadata", "ring_policy", "media_options"];
            let from_file = objects.contains(&column);
            let content = match value.strip_prefix('@') {
                Some(path) if from_file => &flag_file(column, Path::new(path))?,
                _ => value,
            };
            columns::set(&mut job, column, content)
                .map_err(|why| Failure::Cannot(anyhow::Error::msg(why)))?;
        }
        Ok(job)
    }
}

fn flag_file(column: &str, path: &Path) -> Result<String, Failure> {
    let name = readable(&path.display().to_string());
    let cannot = || format!("{column}: cannot read {name}");
    let file = File::open(path)
        .with_context(cannot)
        .map_err(Failure::Cannot)?;
    let mut text = String::new();
    let read = file.take(FLAG_FILE_BYTES_MAX).read_to_string(&mut text);
    read.with_context(cannot).map_err(Failure::Cannot)?;
    Ok(text)
}
