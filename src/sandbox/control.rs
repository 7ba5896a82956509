//! The control endpoint under `/sandbox/`: the ledger and what became of calls as JSON pages, the
//! scripts, and the clock.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, delete, get, post};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::behaviour::CalleeScript;
use super::desk::Desk;
use super::fault::Fault;
use super::mailbox::CallbackStats;
use super::script::FaultId;
use super::tally::Tally;

/// Entries of a page unless `limit` asks for fewer or more.
const DEFAULT_PAGE: usize = 1000;
/// The most entries of a page.
const MAX_PAGE: usize = 10_000;

/// The routes; the paths are also in the module's documentation.
pub(super) fn routes() -> Router<Arc<Desk>> {
    Router::new()
        .route("/sandbox/requests", get(requests))
        .route("/sandbox/rooms", get(rooms))
        .route("/sandbox/duplicates", get(duplicates))
        .route("/sandbox/calls", get(calls))
        .route("/sandbox/queries", get(queries))
        .route("/sandbox/stats", get(stats))
        .route(
            "/sandbox/faults",
            get(faults).post(add_fault).delete(clear_faults),
        )
        .route("/sandbox/faults/{id}", delete(remove_fault))
        .route(
            "/sandbox/callees",
            get(callees).post(add_callee).delete(clear_callees),
        )
        .route("/sandbox/outcomes", get(outcomes))
        .route("/sandbox/legs", get(legs))
        .route("/sandbox/ingest", get(ingest))
        .route("/sandbox/tasks", get(tasks))
        .route("/sandbox/clock", get(clock).post(advance))
        .route("/sandbox/reset", post(reset))
        .route("/sandbox", any(not_found))
        .route("/sandbox/", any(not_found))
        .route("/sandbox/{*rest}", any(not_found))
}

/// `?after=N&limit=N`: what comes after the N-th entry.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    #[serde(default)]
    after: usize,
    #[serde(default = "default_page")]
    limit: usize,
}

fn default_page() -> usize {
    DEFAULT_PAGE
}

type AskedPage = Result<Query<Page>, QueryRejection>;

impl Page {
    /// Copies one page of `entries` and says where the next one begins, if there is one.
    fn of<T>(&self, mut entries: impl Iterator<Item = T>) -> (Vec<T>, Option<usize>) {
        let page: Vec<T> = entries
            .by_ref()
            .take(self.limit.clamp(1, MAX_PAGE))
            .collect();
        let next = entries.next().map(|_| self.after + page.len());
        (page, next)
    }
}

fn page(asked: AskedPage) -> Result<Page, Error> {
    match asked {
        Ok(Query(page)) => Ok(page),
        Err(rejection) => Err(error(rejection.status(), &rejection.body_text())),
    }
}

async fn requests(State(desk): State<Arc<Desk>>, asked: AskedPage) -> Result<Response, Error> {
    let page = page(asked)?;
    let (records, next) =
        desk.read(|ledger| page.of(ledger.requests().iter().skip(page.after).cloned()));
    Ok(listed(
        "requests",
        records.iter().map(|record| &**record).collect::<Vec<_>>(),
        next,
    ))
}

async fn calls(State(desk): State<Arc<Desk>>, asked: AskedPage) -> Result<Response, Error> {
    let page = page(asked)?;
    let (calls, next) =
        desk.read(|ledger| page.of(ledger.calls().iter().skip(page.after).cloned()));
    Ok(listed(
        "calls",
        calls.iter().map(|call| &**call).collect::<Vec<_>>(),
        next,
    ))
}

async fn queries(State(desk): State<Arc<Desk>>, asked: AskedPage) -> Result<Response, Error> {
    let page = page(asked)?;
    let (queries, next) =
        desk.read(|ledger| page.of(ledger.queries().iter().skip(page.after).cloned()));
    Ok(listed(
        "queries",
        queries.iter().map(|query| &**query).collect::<Vec<_>>(),
        next,
    ))
}

async fn rooms(State(desk): State<Arc<Desk>>, asked: AskedPage) -> Result<Response, Error> {
    let page = page(asked)?;
    let (rooms, next) = desk.read(|ledger| {
        let rooms = ledger.rooms().skip(page.after);
        page.of(rooms.map(|(room, count)| (room.to_owned(), count)))
    });
    Ok(listed(
        "rooms",
        rooms.into_iter().collect::<HashMap<_, _>>(),
        next,
    ))
}

async fn duplicates(State(desk): State<Arc<Desk>>, asked: AskedPage) -> Result<Response, Error> {
    let page = page(asked)?;
    let (repeated, next) = desk.read(|ledger| page.of(ledger.repeated().skip(page.after)));
    Ok(listed("duplicates", repeated, next))
}

async fn stats(State(desk): State<Arc<Desk>>) -> Response {
    Json(desk.read(super::Ledger::stats)).into_response()
}

async fn faults(State(desk): State<Arc<Desk>>) -> Response {
    Json(json!({ "faults": desk.scripted() })).into_response()
}

async fn add_fault(
    State(desk): State<Arc<Desk>>,
    fault: Result<Json<Fault>, JsonRejection>,
) -> Response {
    let fault = match fault {
        Ok(Json(fault)) => fault,
        Err(rejection) => return error(rejection.status(), &rejection.body_text()).into_response(),
    };
    match desk.script(fault) {
        Ok(id) => (StatusCode::CREATED, Json(json!({ "id": id }))).into_response(),
        Err(refusal) => error(StatusCode::BAD_REQUEST, &refusal.to_string()).into_response(),
    }
}

async fn clear_faults(State(desk): State<Arc<Desk>>) -> StatusCode {
    desk.clear_faults();
    StatusCode::NO_CONTENT
}

async fn remove_fault(State(desk): State<Arc<Desk>>, Path(id): Path<FaultId>) -> Response {
    if desk.remove_fault(id) {
        StatusCode::NO_CONTENT.into_response()
    } else {
        error(StatusCode::NOT_FOUND, "no such fault is waiting").into_response()
    }
}

async fn callees(State(desk): State<Arc<Desk>>) -> Response {
    Json(json!({ "callees": desk.callee_scripts() })).into_response()
}

async fn add_callee(
    State(desk): State<Arc<Desk>>,
    script: Result<Json<CalleeScript>, JsonRejection>,
) -> Result<StatusCode, Error> {
    let Json(script) = script.map_err(|r| error(r.status(), &r.body_text()))?;
    let added = desk.script_callee(script);
    added.map_err(|refusal| error(StatusCode::BAD_REQUEST, &refusal.to_string()))?;
    Ok(StatusCode::CREATED)
}

async fn clear_callees(State(desk): State<Arc<Desk>>) -> StatusCode {
    desk.clear_callee_scripts();
    StatusCode::NO_CONTENT
}

/// What a report is held against.
#[derive(Serialize)]
struct Outcomes {
    #[serde(flatten)]
    tally: Tally,
    callbacks: CallbackStats,
}

async fn outcomes(State(desk): State<Arc<Desk>>) -> Response {
    let outcomes = Outcomes {
        tally: desk.tally(),
        callbacks: desk.callback_stats(),
    };
    Json(outcomes).into_response()
}

async fn legs(State(desk): State<Arc<Desk>>, asked: AskedPage) -> Result<Response, Error> {
    let page = page(asked)?;
    let (legs, next) = desk.legs(|legs| page.of(legs.skip(page.after)));
    Ok(listed("legs", legs, next))
}

async fn ingest(State(desk): State<Arc<Desk>>) -> Response {
    Json(desk.ingest_tally()).into_response()
}

async fn tasks(State(desk): State<Arc<Desk>>, asked: AskedPage) -> Result<Response, Error> {
    let page = page(asked)?;
    let (tasks, next) = desk.ingest_tasks(|tasks| page.of(tasks.skip(page.after)));
    Ok(listed("tasks", tasks, next))
}

async fn clock(State(desk): State<Arc<Desk>>) -> Response {
    Json(json!({ "now_ms": desk.time.now_ms() })).into_response()
}

/// By how much to move the sandbox's time forward.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance_ms: u64,
}

async fn advance(
    State(desk): State<Arc<Desk>>,
    by: Result<Json<Advance>, JsonRejection>,
) -> Result<Response, Error> {
    let Json(by) = by.map_err(|r| error(r.status(), &r.body_text()))?;
    desk.advance(Duration::from_millis(by.advance_ms));
    Ok(clock(State(desk)).await)
}

async fn reset(State(desk): State<Arc<Desk>>) -> StatusCode {
    desk.reset();
    StatusCode::NO_CONTENT
}

async fn not_found() -> Error {
    error(StatusCode::NOT_FOUND, "the sandbox has no such page")
}

/// `{NAME: entries, "next_after": N or null}`.
fn listed(name: &str, entries: impl Serialize, next: Option<usize>) -> Response {
    Json(json!({ name: entries, "next_after": next })).into_response()
}

/// A status and a sentence.
type Error = (StatusCode, Json<Value>);

fn error(status: StatusCode, sentence: &str) -> Error {
    (status, Json(json!({ "error": sentence })))
}
