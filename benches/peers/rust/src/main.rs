//! graphile_worker (Rust) at its best documented settings: a local queue, completions in batches.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use graphile_worker::{
    IntoTaskHandlerResult, LocalQueueConfig, TaskHandler, WorkerContext, WorkerOptions,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::sync::Notify;

static SHARED: OnceLock<Shared> = OnceLock::new();
static DONE: AtomicU32 = AtomicU32::new(0);
static ALL: Notify = Notify::const_new();

struct Shared {
    results: PgPool,
    http: reqwest::Client,
    url: String,
    jobs: u32,
}

#[derive(Clone, Deserialize, Serialize)]
struct Place {
    n: i64,
}

impl TaskHandler for Place {
    const IDENTIFIER: &'static str = "place";

    async fn run(self, _: WorkerContext) -> impl IntoTaskHandlerResult {
        let shared = SHARED.get().expect("set before the worker runs");
        let n = self.n;
        let body = json!({
            "Robot_Account": "bench", "CalleeList_Account": [format!("callee-{n}")], "Timeout": 45_000,
            "UserData": format!("{{\"n\":{n}}}"),
            "CallInfo": {"MediaType": "Audio", "RoomId": format!("callq_{n}_1_0123456789abcdef"), "RoomIdType": 2},
        });
        let answer = shared.http.post(&shared.url).json(&body).send().await;
        let answer: Value = answer.map_err(said)?.json().await.map_err(said)?;
        let response = &answer["Response"];
        sqlx::query("INSERT INTO bench_results (n, call_id, callee_results) VALUES ($1, $2, $3)")
            .bind(n)
            .bind(response["CallId"].as_str())
            .bind(&response["CallResult"])
            .execute(&shared.results)
            .await
            .map_err(said)?;
        if DONE.fetch_add(1, Ordering::Relaxed) + 1 == shared.jobs {
            ALL.notify_one();
        }
        Ok::<(), String>(())
    }
}

fn said(error: impl ToString) -> String {
    error.to_string()
}

#[tokio::main]
async fn main() {
    let database = std::env::var("DATABASE_URL").expect("DATABASE_URL");
    let answerer = std::env::var("ANSWERER").expect("ANSWERER");
    let jobs: u32 = std::env::var("JOBS").expect("JOBS").parse().expect("a number");
    let pool = |most| PgPoolOptions::new().max_connections(most).connect(&database);
    let results = pool(20).await.expect("the database is there");
    let worker = WorkerOptions::default()
        .concurrency(50)
        .poll_interval(Duration::from_millis(5))
        .pg_pool(pool(20).await.expect("the database is there"))
        .local_queue(LocalQueueConfig::builder().size(200).build())
        .complete_job_batch_delay(Duration::from_millis(5))
        .fail_job_batch_delay(Duration::from_millis(5))
        .listen_os_shutdown_signals(false)
        .define_job::<Place>()
        .init()
        .await
        .expect("the worker starts");
    if std::env::args().nth(1).as_deref() == Some("fill") {
        sqlx::query(
            "SELECT count(*) FROM graphile_worker.add_jobs((SELECT array_agg(('place', json_build_object('n', n), NULL, NULL, NULL, NULL, NULL, NULL)
                ::graphile_worker.job_spec) FROM generate_series(1, $1) AS n))",
        )
        .bind(i32::try_from(jobs).expect("a few"))
        .execute(&results)
        .await
        .expect("jobs are added");
        return;
    }
    let path = "/v4/call_engine_http_srv/start_call_by_robot?sdkappid=1&random=7&contenttype=json";
    let shared = Shared {
        results: results.clone(),
        http: reqwest::Client::builder().tcp_nodelay(true).build().expect("a client"),
        url: format!("http://{answerer}{path}"),
        jobs,
    };
    assert!(SHARED.set(shared).is_ok(), "set once");
    let ended = async {
        ALL.notified().await;
        let left = "SELECT EXISTS (SELECT FROM graphile_worker._private_jobs)";
        while sqlx::query_scalar(left).fetch_one(&results).await.expect("it answers") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        println!("{}", json!({"drained": now.as_millis() as u64}));
        worker.request_shutdown();
    };
    let (ran, ()) = tokio::join!(worker.run(), ended);
    ran.expect("the worker ends well");
}
