//! What the statements allow without HTTP, what HTTP allows without statements, and the share of
//! both together that the worker reaches: 1 / (1/SQL + 1/HTTP).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use uuid::Uuid;

use super::figure::Sheet;
use super::ground::{Ground, Reading};
use super::percentile::number;
use super::reply;
use super::throughput::one;
use super::{BenchError, Figure, Part, Plan};
use crate::call::{
    Answer, AppHealth, Class, OnDoubt, Policy, RefusedCallees, StartCall, StartCallFields, Tried,
    decide,
};
use crate::store::{AttemptState, ClaimOrder, Claimed, Fill, Lows, Store, Trial, WriteBack};
use crate::tencent::{
    Credential, Host, REQUEST_TIMEOUT_DEFAULT, Settings, TencentClient, UserSigs, read_reply,
};

/// The most results that the worker records at once.
const RECORDED_AT_ONCE: usize = 200;

/// The worker, then its statements alone, then HTTP alone; one after the other in the same minute.
pub(super) async fn limit(ground: &Ground, plan: &Plan) -> Result<Vec<Figure>, BenchError> {
    let trial = ground.trial().await?;
    let drained = one(plan).run(ground, &trial).await?;
    trial.end().await?;

    let trial = ground.trial().await?;
    let sql = statements_alone(&trial, plan.jobs, plan.concurrency).await?;
    trial.end().await?;
    let http_per_s = http_alone(ground, plan.jobs, plan.concurrency).await?;

    let mut sheet = Sheet::new(Part::Limit.name(), "");
    let together = 1.0 / (1.0 / sql.per_s + 1.0 / http_per_s);
    sheet.note("statements alone", sql.per_s, "calls/s");
    sheet.note_if(
        "database CPU per call, statements alone",
        sql.server_us,
        "us",
    );
    sheet.note("one claim", sql.claim_ms, "ms");
    sheet.note("one record", sql.record_ms, "ms");
    sheet.note("HTTP alone", http_per_s, "calls/s");
    sheet.note("one after the other", together, "calls/s");
    sheet.note("the worker", drained.calls_per_s, "calls/s");
    sheet.note("its share", drained.calls_per_s / together, "");
    ground.tell(&sheet.figures);
    Ok(sheet.figures)
}

/// What the bare loop of claims and records did.
pub(super) struct Statements {
    pub(super) per_s: f64,
    pub(super) server_us: Option<f64>,
    /// A claim of as many jobs as there may be requests at once, in the mean.
    pub(super) claim_ms: f64,
    /// A record of [`RECORDED_AT_ONCE`] results.
    pub(super) record_ms: f64,
}

/// Claims and records `jobs` jobs as the worker does, in a plain loop on one connection.
pub(super) async fn statements_alone(
    trial: &Trial,
    jobs: usize,
    concurrency: usize,
) -> Result<Statements, BenchError> {
    let fill = Fill {
        jobs: i64::try_from(jobs).unwrap_or(i64::MAX),
        first_s: -1.0,
        every_s: 0.0,
        apps: 1,
    };
    trial.fill(fill).await?;
    trial.settle().await?;
    let before = Reading::of(trial).await?;
    let store = Store::connect(&trial.url_as_workers(), 1).await?;
    let mut lows = Lows::default();
    let mut results = Vec::with_capacity(RECORDED_AT_ONCE);
    let (mut claiming, mut recording) = (Mean::default(), Mean::default());
    let mut done = 0;
    let began = Instant::now();
    while done < jobs {
        let token = Uuid::new_v4();
        let order = ClaimOrder {
            app: "default".to_owned(),
            granted: concurrency,
            lows,
            can_stream: true,
        };
        let lease = Duration::from_secs(30);
        let asked = Instant::now();
        let claims = store.claim(&[order], token, "bench", lease).await?;
        claiming.add(asked.elapsed());
        if claims.jobs.is_empty() {
            return Err(BenchError::Broken);
        }
        done += claims.jobs.len();
        for job in &claims.jobs {
            lows.raise(job.place());
            results.push(accepted(job, token));
        }
        while results.len() >= RECORDED_AT_ONCE || (done >= jobs && !results.is_empty()) {
            let rest = results.split_off(results.len().min(RECORDED_AT_ONCE));
            let asked = Instant::now();
            store.record(&results).await?;
            recording.add(asked.elapsed());
            results = rest;
        }
    }
    let per_s = number(jobs) / began.elapsed().as_secs_f64();
    store.close().await;
    let used = before.used_since(trial).await?;
    Ok(Statements {
        per_s,
        server_us: used.server_cpu_s.map(|cpu| cpu / number(jobs) * 1e6),
        claim_ms: claiming.ms(),
        record_ms: recording.ms(),
    })
}

/// How long something took, each time.
#[derive(Default)]
struct Mean {
    times: usize,
    all: Duration,
}

impl Mean {
    fn add(&mut self, took: Duration) {
        self.times += 1;
        self.all += took;
    }

    fn ms(&self) -> f64 {
        self.all.as_secs_f64() * 1e3 / number(self.times.max(1))
    }
}

/// The result of a job that Tencent accepted.
fn accepted(job: &Claimed, token: Uuid) -> WriteBack {
    let reply = reply::accepted(0, "callee-1");
    let reply = read_reply(200, reply.as_bytes()).expect("it is an envelope");
    let policy = Policy {
        attempts_used: 0,
        max_attempts: 5,
        on_doubt: OnDoubt::Reconcile,
        ring_timeout: Duration::from_secs(45),
        refused_callees: RefusedCallees::LeaveAlone,
    };
    let tried = Tried {
        attempt: 1,
        seed: 0,
        deadline_left: job.expires_in,
    };
    let answer = Answer::Reply(reply);
    let class = Class::Accepted;
    let transition = decide(&policy, &tried, class, &answer, AppHealth::Unproven);
    let blank = WriteBack::not_sent(job, token, class.family(), transition);
    let Answer::Reply(reply) = answer else {
        return blank;
    };
    WriteBack {
        attempt_state: AttemptState::Replied,
        http_status: Some(200),
        error_code: Some(0),
        error_info: Some(reply.error_info),
        request_id: reply.request_id,
        call_id: reply.call_id,
        callee_results: reply.callee_results.map(|raw| raw.get().to_owned()),
        sent_after: Some(Duration::from_millis(1)),
        replied_after: Some(Duration::from_millis(2)),
        ..blank
    }
}

/// Sends `jobs` requests with the worker's client, so many at once.
async fn http_alone(ground: &Ground, jobs: usize, concurrency: usize) -> Result<f64, BenchError> {
    ground.answerer.begin(Duration::ZERO);
    let client = Arc::new(client(&ground.answerer.url())?);
    let next = Arc::new(AtomicUsize::new(0));
    let mut senders = JoinSet::new();
    let began = Instant::now();
    for _ in 0..concurrency {
        let (client, next) = (Arc::clone(&client), Arc::clone(&next));
        senders.spawn(async move {
            while next.fetch_add(1, Ordering::Relaxed) < jobs {
                let callees = ["callee-1".to_owned()];
                let fields = StartCallFields {
                    robot_account: "bench",
                    callees: &callees,
                    media_type: "Audio",
                    room_id: "callq_1_1_0123456789abcdef",
                    room_id_type: 2,
                    ring_timeout_ms: 45_000,
                    user_data: Some("{\"n\":1}"),
                    offline_push: None,
                };
                let call = StartCall::new(fields).expect("it is a call");
                let now = chrono::Utc::now().timestamp();
                let answer = client.start_call_by_robot(&call, 7, now).await;
                if !matches!(answer, Answer::Reply(_)) {
                    return false;
                }
            }
            true
        });
    }
    let well = senders.join_all().await;
    if well.contains(&false) {
        return Err(BenchError::Broken);
    }
    Ok(number(jobs) / began.elapsed().as_secs_f64())
}

fn client(url: &str) -> Result<TencentClient, BenchError> {
    let told = |error: &dyn std::error::Error| BenchError::Client(error.to_string());
    let key = Credential::SecretKey("of-a-measurement".into());
    let settings = Settings {
        host: Host::new(url).map_err(|error| told(&error))?,
        user_sigs: UserSigs::new(1, "bench", key).map_err(|error| told(&error))?,
        request_timeout: REQUEST_TIMEOUT_DEFAULT,
        https_proxy: None,
    };
    TencentClient::new(settings).map_err(|error| told(&error))
}
