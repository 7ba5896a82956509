//! Both sides of the story when all is over: the rows of the database and the sandbox's ledger; and
//! the whole history of one job.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write as _,
    fs,
    path::PathBuf,
    sync::Arc,
};

use callq::sandbox::Record;

use crate::{
    crew::{Life, Terms},
    plant::Plant,
    producers::{Facts, Told},
};

/// A job as it is at the end. Times are in microseconds since 1970.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct Job {
    pub(crate) id: i64,
    /// The job whose callees it rings again.
    pub(crate) root_id: Option<i64>,
    pub(crate) state: String,
    pub(crate) reason: Option<String>,
    pub(crate) attempt: i32,
    pub(crate) attempts_used: i32,
    pub(crate) max_attempts: i32,
    pub(crate) on_doubt: String,
    pub(crate) expires_us: i64,
}

#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct Attempt {
    pub(crate) job_id: i64,
    pub(crate) number: i32,
    pub(crate) state: String,
    pub(crate) class: Option<String>,
    pub(crate) worker: String,
    pub(crate) room_id: String,
    pub(crate) random: i64,
    pub(crate) claimed_us: i64,
    pub(crate) error_code: Option<i64>,
    pub(crate) detail: Option<String>,
    pub(crate) second_ring: bool,
}

impl Attempt {
    /// Its reply was lost, and a record showed the call.
    pub(crate) fn was_seen(&self) -> bool {
        self.class.as_deref() == Some("accepted") && self.error_code.is_none()
    }

    /// Nobody reported back on it.
    pub(crate) fn lapsed(&self) -> bool {
        let detail = self.detail.as_deref().unwrap_or_default();
        self.state == "unknown" && detail.starts_with("the lease lapsed")
    }

    fn pid(&self) -> u32 {
        let pid = self
            .worker
            .rsplit('-')
            .nth(1)
            .and_then(|pid| pid.parse().ok());
        pid.expect("a worker's name holds its process id")
    }
}

/// A room and a `random`: the key that both sides keep.
pub(crate) type Key = (String, u32);

pub(crate) struct Evidence {
    pub(crate) terms: Terms,
    pub(crate) jobs: HashMap<i64, Job>,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) records: Vec<Arc<Record>>,
    pub(crate) of_attempt: HashMap<Key, Arc<Record>>,
    pub(crate) repeated: Vec<String>,
    pub(crate) explained: HashSet<String>,
    pub(crate) lives: Vec<Life>,
    pub(crate) told: Facts,
    pub(crate) notes: Vec<(i64, String)>,
    /// When this machine did not get on with its work.
    pub(crate) gaps_us: Vec<(i64, i64)>,
    logs: PathBuf,
}

impl Evidence {
    /// Reads both sides; what the workers logged stays in the folder `logs`.
    pub(crate) async fn of(plant: &Plant, told: &Told, logs: PathBuf) -> Self {
        let jobs: Vec<Job> = sqlx::query_as(
            "SELECT id, root_id, state::text, reason, attempt, attempts_used, max_attempts, on_doubt,
                 (extract(epoch FROM expires_at) * 1000000)::bigint AS expires_us
             FROM callq.jobs",
        )
        .fetch_all(&plant.pool)
        .await
        .unwrap();
        let attempts: Vec<Attempt> = sqlx::query_as(
            "SELECT job_id, attempt AS number, state::text, class, worker, room_id, random,
                 (extract(epoch FROM claimed_at) * 1000000)::bigint AS claimed_us, error_code, detail, second_ring
             FROM callq.attempts ORDER BY job_id, attempt",
        )
        .fetch_all(&plant.pool)
        .await
        .unwrap();
        let explained: Vec<String> = sqlx::query_scalar("SELECT reason FROM callq.reasons")
            .fetch_all(&plant.pool)
            .await
            .unwrap();
        let ledger = plant.sandbox.ledger();
        let records = ledger.requests().to_vec();
        let of_attempt = records
            .iter()
            .map(|record| (key(record), Arc::clone(record)))
            .collect();
        Self {
            terms: plant.terms,
            jobs: jobs.into_iter().map(|job| (job.id, job)).collect(),
            attempts,
            of_attempt,
            repeated: ledger.repeated().map(|r| format!("{r:?}")).collect(),
            records,
            explained: explained.into_iter().collect(),
            lives: plant.crew.lives(),
            told: told.facts(),
            notes: plant.notes(),
            gaps_us: plant.pulse.gaps_us(),
            logs,
        }
    }

    /// The request of an attempt, if one was read.
    pub(crate) fn request(&self, attempt: &Attempt) -> Option<&Arc<Record>> {
        let random = u32::try_from(attempt.random).expect("the column's check");
        self.of_attempt.get(&(attempt.room_id.clone(), random))
    }

    /// The process that made an attempt. Process ids are used again in a long run.
    pub(crate) fn life(&self, attempt: &Attempt) -> &Life {
        let pid = attempt.pid();
        let lives = self.lives.iter().filter(|life| life.pid == pid);
        let begun = lives.filter(|life| life.started_us <= attempt.claimed_us);
        begun
            .max_by_key(|life| life.started_us)
            .expect("one of ours made it")
    }

    /// All that is known of a job, and what went wrong around it.
    pub(crate) fn history(&self, id: i64) -> String {
        let mut text = format!("job {id}: {:?}\n", self.jobs.get(&id));
        let (mut from, mut until) = (i64::MAX, i64::MIN);
        for attempt in self.attempts.iter().filter(|a| a.job_id == id) {
            let _ = writeln!(text, "  {attempt:?}");
            let life = self.life(attempt);
            let _ = writeln!(text, "    made by {life:?}");
            from = from.min(attempt.claimed_us);
            until = until.max(attempt.claimed_us);
            if let Some(request) = self.request(attempt) {
                let _ = writeln!(text, "    {request:?}");
                until = until.max(request.received_at_us);
            }
        }
        for cancel in self.told.cancelled.iter().filter(|c| c.0 == id) {
            let _ = writeln!(text, "  cancel: {cancel:?}");
        }
        if let Some(moved) = self.told.moved.get(&id) {
            let _ = writeln!(text, "  moved: {moved:?}");
        }
        for line in self.logged(id) {
            let _ = writeln!(text, "  {line}");
        }
        let around = |at: i64| at > from.saturating_sub(5_000_000) && at < until + 10_000_000;
        for (at, note) in self.notes.iter().filter(|(at, _)| around(*at)) {
            let _ = writeln!(text, "  {:+8.3} s  {note}", micros_s(at - from));
        }
        text
    }
}

impl Evidence {
    /// What the workers said of a job.
    fn logged(&self, id: i64) -> Vec<String> {
        let words = format!("job.id={id} ");
        let files = fs::read_dir(&self.logs).expect("the folder is there");
        let texts = files.filter_map(|file| fs::read_to_string(file.ok()?.path()).ok());
        let lines = texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>());
        lines.filter(|line| line.contains(&words)).collect()
    }
}

pub(crate) fn key(record: &Record) -> Key {
    let room = record.room_id.clone().expect("a request names a room");
    (room, record.random.expect("a request has a random"))
}

#[allow(clippy::cast_precision_loss, reason = "a span of hours, for people")]
pub(crate) fn micros_s(us: i64) -> f64 {
    us as f64 / 1e6
}
