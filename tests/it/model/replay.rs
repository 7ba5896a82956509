//! Ways through the model, gone on real parts: PostgreSQL, the statements of `callq::store`, the client of
//! `callq::tencent`, the sandbox, `callq::call::decide`. After every step the rows are what the model says,
//! and the sandbox has rung as often.
//!
//! A tick is [`TICK_S`] seconds, by which the timestamps in the database are moved.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use callq::call::{AppHealth, StartCall, StartCallFields, Transition, decide};
use callq::sandbox::{Fault, FaultKind, SANDBOX_SECRET_KEY};
use callq::store::{
    Answer as Said, AttemptState as Filed, ClaimOrder, Claimed, Lows, Store, Verdict as Word, Walk,
    WriteBack, Written,
};
use callq::tencent::{TencentClient, classify};
use uuid::Uuid;

use super::actions::{Action, Fate, Verdict};
use super::explore::Graph;
use super::mutations::Mutation;
use super::names::{attempt_word, class_word, real_answer, real_policy, word};
use super::setting::{LEASE, LEASE_TO_SEND, OnDoubt, RING, Setting};
use super::state::{Answer, Claim, Job, JobState, NEVER, Stage, State};
use super::{FEW, FEW_RETRY, HOLD, Person, RETRY};
use crate::support::rig::{Rig, client};

/// Far longer than a step takes under any load, so that no real time counts.
const TICK_S: u32 = 100;

/// As many ticks.
fn ticks(n: u8) -> Duration {
    Duration::from_secs(u64::from(TICK_S) * u64::from(n))
}

/// A worker's memory of one claimed job.
struct Memory {
    job: Claimed,
    /// How long ago the claim was sent.
    elapsed: Duration,
    answer: Option<callq::call::Answer>,
    result: Option<WriteBack>,
}

/// The real parts.
struct Real {
    rig: Rig,
    store: Store,
    client: TencentClient,
    /// A client of a host where nobody listens.
    nowhere: TencentClient,
    memories: HashMap<Claim, Memory>,
}

impl Real {
    async fn new() -> Self {
        let rig = Rig::new().await;
        // Timestamps are moved as no user may.
        rig.sql("ALTER TABLE callq.jobs DISABLE TRIGGER USER").await;
        let timeout = Duration::from_secs(30);
        Self {
            store: Store::connect(rig.db.url(), 1).await.unwrap(),
            client: client(&rig.sandbox.url(), SANDBOX_SECRET_KEY, timeout),
            nowhere: client("http://127.0.0.1:1", SANDBOX_SECRET_KEY, timeout),
            rig,
            memories: HashMap::new(),
        }
    }

    /// Goes a way from its beginning, and compares after every step.
    async fn go(&mut self, setting: &Setting, way: &[Action]) {
        self.begin(setting).await;
        let mut state = State::new(setting.jobs, setting.deadline);
        for (number, action) in way.iter().enumerate() {
            let next = setting.step(&state, action);
            let told = || format!("{setting}\nstep {} of {way:#?}", number + 1);
            self.step(setting, action, &state, &next)
                .await
                .unwrap_or_else(|fault| panic!("{fault}\n{}", told()));
            let (real, model) = (row(&self.rig).await, expected(&next.jobs[0]));
            assert_eq!(real, model, "the database, and then the model\n{}", told());
            let rings = self.rig.sandbox.read_ledger(|l| l.calls().len());
            assert!(
                rings.min(3) == usize::from(next.jobs[0].truth.rings),
                "the sandbox rang {rings} times\n{}",
                told()
            );
            state = next;
        }
    }

    async fn begin(&mut self, setting: &Setting) {
        self.memories.clear();
        self.rig.sandbox.reset();
        let policy = if setting.on_doubt == OnDoubt::Retry {
            "retry"
        } else {
            "hold"
        };
        let (expires, ttl) = match setting.deadline {
            NEVER => ("'infinity'".to_owned(), "NULL".to_owned()),
            left => {
                let span = format!("interval '{} s'", ticks(left).as_secs());
                (format!("now() + {span}"), span)
            }
        };
        self.rig
            .sql(&format!(
                "DELETE FROM callq.jobs; DELETE FROM callq.attempts;
                 INSERT INTO callq.jobs (id, robot_account, callees, run_at, due_at, expires_at, ttl, max_attempts, on_doubt, ring_timeout_ms)
                 OVERRIDING SYSTEM VALUE VALUES (1, 'robot', '{{jack}}', now(), now(), {expires}, {ttl}, {}, '{policy}', {})",
                setting.max_attempts,
                ticks(RING).as_millis(),
            ))
            .await;
    }

    async fn step(
        &mut self,
        setting: &Setting,
        action: &Action,
        before: &State,
        after: &State,
    ) -> Result<(), String> {
        match action {
            Action::Claim { worker, .. } => self.claim(*worker, before).await,
            // When it is sent, its bytes are on the wire; Tencent has not read them.
            Action::Answered { .. } | Action::ReadUnlocked(_) | Action::Send(_) => {}
            Action::AnswerLost { token } => self.memories.retain(|claim, _| claim.token != *token),
            Action::GiveBack { token } => drop(self.store.give_back(uuid(*token)).await.unwrap()),
            Action::Check(claim) => self.check(*claim, after)?,
            Action::HoldBack(claim) => self.not_sent(*claim, Transition::give_back("a pause")),
            Action::Unreachable(claim) => {
                let answer = call(&self.nowhere, &self.memories[claim].job).await;
                self.answered(setting, *claim, answer, Answer::Unreachable)?;
            }
            Action::Unsendable(claim) => {
                self.as_the_model_says(setting, *claim, Answer::Unsendable)?;
            }
            Action::Arrive(claim, fate) => self.arrive(*claim, *fate, before).await,
            Action::Read(claim) => {
                let answer = self
                    .memories
                    .get_mut(claim)
                    .and_then(|m| m.answer.take())
                    .ok_or("no answer came")?;
                let wanted = answer_of(after, *claim).ok_or("the model has no answer")?;
                self.answered(setting, *claim, answer, wanted)?;
            }
            Action::Lose(claim) => self.as_the_model_says(setting, *claim, Answer::NoReply)?,
            Action::Record(claim) | Action::RecordUnacknowledged(claim) => {
                self.record(*claim, action, before, after).await?;
            }
            Action::Crash { worker } => self.memories.retain(|claim, _| claim.worker != *worker),
            Action::Lapse { .. } => drop(self.store.lapse().await.unwrap()),
            Action::Settle { .. } => drop(self.store.settle().await.unwrap()),
            Action::Expire { .. } => {
                self.make_due().await;
                drop(self.store.expire(&Walk::default()).await.unwrap());
            }
            Action::Cancel { .. } => self.cancel(after).await?,
            Action::Resolve { verdict, .. } => self.resolve(*verdict, after).await?,
            Action::Retry { .. } => {
                let said = self.store.retry_job(1, None).await.unwrap();
                expect(&said, "scheduled")?;
            }
            Action::Tick => self.pass(ticks(1)).await,
            Action::Days => self.pass(Duration::from_hours(6 * 24) + ticks(1)).await,
        }
        Ok(())
    }

    /// A backoff is over.
    async fn make_due(&self) {
        self.rig.sql("UPDATE callq.jobs SET due_at = now() - interval '1 ms' WHERE state = 'scheduled' AND due_at >= now()").await;
    }

    async fn claim(&mut self, worker: u8, before: &State) {
        self.make_due().await;
        let order = ClaimOrder {
            app: "default".to_owned(),
            granted: 1,
            lows: Lows::default(),
            can_stream: true,
        };
        let name = format!("worker {worker}");
        let claims = self
            .store
            .claim(&[order], uuid(before.claims), &name, ticks(LEASE))
            .await
            .unwrap();
        for job in claims.jobs {
            let attempt = u8::try_from(job.attempt).unwrap();
            let claim = Claim {
                worker,
                job: 0,
                attempt,
                token: before.claims,
            };
            let memory = Memory {
                job,
                elapsed: Duration::ZERO,
                answer: None,
                result: None,
            };
            self.memories.insert(claim, memory);
        }
    }

    /// As `worker::place` looks at deadline and lease.
    fn check(&mut self, claim: Claim, after: &State) -> Result<(), String> {
        let memory = &self.memories[&claim];
        let late = memory
            .job
            .expires_in
            .is_some_and(|left| memory.elapsed >= left);
        let short = ticks(LEASE).saturating_sub(memory.elapsed) < ticks(LEASE_TO_SEND);
        let (wanted, transition) = match (late, short) {
            (true, _) => (Some(Answer::TooLate), Some(Transition::too_late())),
            (_, true) => (
                Some(Answer::HeldBack),
                Some(Transition::give_back("the lease")),
            ),
            _ => (None, None),
        };
        if answer_of(after, claim) != wanted {
            return Err(format!("the check says {wanted:?}"));
        }
        if let Some(transition) = transition {
            self.not_sent(claim, transition);
        }
        Ok(())
    }

    fn not_sent(&mut self, claim: Claim, transition: Transition) {
        let memory = self.memories.get_mut(&claim).expect("the worker lives");
        memory.result = Some(WriteBack::not_sent(
            &memory.job,
            uuid(claim.token),
            callq::call::Family::Safe,
            transition,
        ));
    }

    /// Tencent reads the request: this is when it is really made.
    async fn arrive(&mut self, claim: Claim, fate: Fate, before: &State) {
        let code = |code| Fault::new(FaultKind::ErrorCode(code)).times(1);
        let fault = match fate {
            Fate::Rings => None,
            Fate::RingsInDoubt => Some(code(60008).that_rings()),
            Fate::QuietInDoubt => Some(code(60008)),
            Fate::Throttled => Some(code(60011)),
            Fate::Cannot => Some(code(60002)),
        };
        if let Some(fault) = fault {
            self.rig.sandbox.script(fault).unwrap();
        }
        let waits = before
            .hands
            .iter()
            .any(|hand| hand.claim == claim && hand.stage == Stage::Waiting(None));
        match self.memories.get_mut(&claim) {
            Some(memory) if waits => memory.answer = Some(call(&self.client, &memory.job).await),
            _ => self.arrive_from_the_dead(claim).await,
        }
    }

    /// The bytes of a worker that is gone: the same request, from what its attempt says.
    async fn arrive_from_the_dead(&self, claim: Claim) {
        let of = format!("FROM callq.attempts WHERE attempt = {}", claim.attempt);
        let room: String = self.rig.value(&format!("SELECT room_id {of}")).await;
        let random: i64 = self.rig.value(&format!("SELECT random {of}")).await;
        let random = u32::try_from(random).unwrap();
        drop(request(&self.client, &room, random).await);
    }

    /// What the worker makes of an answer, which must be the model's.
    fn answered(
        &mut self,
        setting: &Setting,
        claim: Claim,
        answer: callq::call::Answer,
        wanted: Answer,
    ) -> Result<(), String> {
        let class = classify(&answer);
        let expected = real_answer(wanted).ok_or("no request was made")?;
        if class != classify(&expected) {
            return Err(format!("{answer:?} is {class:?}, not {wanted:?}"));
        }
        let memory = self.memories.get_mut(&claim).ok_or("the worker lives")?;
        let used = i8::try_from(memory.job.attempts_used).unwrap();
        let tried = callq::call::Tried {
            attempt: 1,
            seed: 7,
            deadline_left: memory
                .job
                .expires_in
                .map(|left| left.saturating_sub(memory.elapsed)),
        };
        let transition = decide(
            &real_policy(setting, used),
            &tried,
            class,
            &answer,
            AppHealth::Unproven,
        );
        let blank = WriteBack::not_sent(&memory.job, uuid(claim.token), class.family(), transition);
        let at = Some(Duration::from_millis(1));
        memory.result = Some(match answer {
            callq::call::Answer::NotSent { .. } => blank,
            callq::call::Answer::Unknown { http_status, .. } => WriteBack {
                attempt_state: Filed::Unknown,
                http_status,
                sent_after: at,
                ..blank
            },
            callq::call::Answer::Reply(reply) => WriteBack {
                attempt_state: Filed::Replied,
                http_status: Some(reply.http_status),
                error_code: Some(reply.error_code),
                call_id: reply.call_id,
                sent_after: at,
                replied_after: at,
                ..blank
            },
        });
        Ok(())
    }

    fn as_the_model_says(
        &mut self,
        setting: &Setting,
        claim: Claim,
        answer: Answer,
    ) -> Result<(), String> {
        let real = real_answer(answer).ok_or("no request was made")?;
        self.answered(setting, claim, real, answer)
    }

    async fn record(
        &mut self,
        claim: Claim,
        action: &Action,
        before: &State,
        after: &State,
    ) -> Result<(), String> {
        let result = self.memories[&claim]
            .result
            .clone()
            .ok_or("it has no result")?;
        let written = self.store.record(&[result]).await.unwrap()[0].written;
        let row = |state: &State| state.jobs[0].attempts[usize::from(claim.attempt) - 1].clone();
        let open = matches!(
            row(before).state,
            super::state::AttemptState::Claimed | super::state::AttemptState::Unknown
        );
        let wanted = match (open, row(after).second_ring) {
            (false, _) => Written::NoAttempt,
            (true, true) => Written::SecondRing,
            (true, false) => Written::Yes,
        };
        if matches!(action, Action::Record(_)) {
            self.memories.remove(&claim);
        }
        if written == wanted {
            Ok(())
        } else {
            Err(format!("it was written as {written:?}, not {wanted:?}"))
        }
    }

    async fn cancel(&self, after: &State) -> Result<(), String> {
        let said = self.store.cancel_job(1).await.unwrap();
        let state = after.jobs[0].state;
        let wanted = if matches!(state, JobState::Dialing | JobState::InDoubt) {
            "requested"
        } else {
            word(state)
        };
        expect(&said, wanted)
    }

    async fn resolve(&self, verdict: Verdict, after: &State) -> Result<(), String> {
        let word_of = match verdict {
            Verdict::Placed => "placed",
            Verdict::Retry => "retry",
            Verdict::Failed => "failed",
        };
        let verdict = Word {
            word: word_of.to_owned(),
            note: None,
            call_id: None,
        };
        let said = self.store.resolve_job(1, &verdict).await.unwrap();
        expect(&said, word(after.jobs[0].state))
    }

    /// Time passes, in the database and in every worker.
    async fn pass(&mut self, time: Duration) {
        let by = format!("interval '{} s'", time.as_secs());
        self.rig
            .sql(&format!(
                "UPDATE callq.jobs SET lease_until = lease_until - {by}, expires_at = expires_at - {by}, due_at = due_at - {by}, run_at = run_at - {by};
                 UPDATE callq.attempts SET claimed_at = claimed_at - {by}"
            ))
            .await;
        self.memories
            .values_mut()
            .for_each(|memory| memory.elapsed += time);
    }
}

/// The row and its attempts, in one line.
pub(super) async fn row(rig: &Rig) -> String {
    rig
        .value(
            "SELECT concat_ws(' ', j.state, coalesce(CASE WHEN j.reason LIKE 'expired%' THEN 'expired' ELSE j.reason END, '-'),
                 'attempt', j.attempt, 'used', j.attempts_used,
                 CASE WHEN j.cancel_requested_at IS NOT NULL THEN 'cancel' END,
                 CASE WHEN j.state IN ('dialing', 'in_doubt') AND j.lease_until < now() THEN 'lapsed' END,
                 CASE WHEN j.expires_at <= now() THEN 'late' END)
             || coalesce((SELECT string_agg(concat_ws(' ', '', a.state, coalesce(a.class, '-'), CASE WHEN a.second_ring THEN 'second_ring' END), ',' ORDER BY attempt)
                 FROM callq.attempts AS a WHERE a.job_id = j.id), '')
             FROM callq.jobs AS j",
        )
        .await
}

/// What a verb answered.
fn expect(said: &Said, wanted: &str) -> Result<(), String> {
    if *said == Said::Word(wanted.to_owned()) {
        Ok(())
    } else {
        Err(format!("it answered {said:?}, not {wanted}"))
    }
}

/// The token of the model's claim of this number.
fn uuid(token: u8) -> Uuid {
    Uuid::from_u128(u128::from(token) + 1)
}

/// The result that a hand of the model holds.
fn answer_of(state: &State, claim: Claim) -> Option<Answer> {
    state
        .hands
        .iter()
        .find(|hand| hand.claim == claim)
        .and_then(|hand| match hand.stage {
            Stage::Result { answer, .. } => Some(answer),
            _ => None,
        })
}

/// The one request of a claimed job.
async fn call(client: &TencentClient, job: &Claimed) -> callq::call::Answer {
    request(client, &job.room_id, job.random).await
}

async fn request(client: &TencentClient, room: &str, random: u32) -> callq::call::Answer {
    let callees = ["jack".to_owned()];
    let call = StartCall::new(StartCallFields {
        robot_account: "robot",
        callees: &callees,
        media_type: "Audio",
        room_id: room,
        room_id_type: 2,
        ring_timeout_ms: 45_000,
        user_data: None,
        offline_push: None,
    });
    let now = chrono::Utc::now().timestamp();
    client
        .start_call_by_robot(&call.unwrap(), random, now)
        .await
}

/// The model's row, as [`row`] tells the real one.
pub(super) fn expected(job: &Job) -> String {
    let mut words = vec![word(job.state).to_owned()];
    words.push(if job.reason.0.is_empty() {
        "-".to_owned()
    } else {
        job.reason.0.to_owned()
    });
    words.push(format!("attempt {} used {}", job.attempt, job.used));
    let mark = |is: bool, word: &str| is.then(|| word.to_owned());
    words.extend(mark(job.cancel, "cancel"));
    words.extend(mark(
        matches!(job.state, JobState::Dialing | JobState::InDoubt) && job.lease == 0,
        "lapsed",
    ));
    words.extend(mark(job.deadline == 0, "late"));
    let attempts = job.attempts.iter().map(|a| {
        let second = if a.second_ring { " second_ring" } else { "" };
        format!(
            " {} {}{second}",
            attempt_word(a.state),
            a.class.map_or("-", class_word)
        )
    });
    words.join(" ") + &attempts.collect::<Vec<_>>().join(",")
}

/// How exactly two meetings of a step with the rows are told apart.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    /// By what any statement asks of the rows.
    Roughly,
    /// By every column.
    Exactly,
}

/// One kind of meeting of a step with the rows.
fn meeting(state: &State, action: &Action, told: Told) -> String {
    let job = &state.jobs[0];
    let (what, hand) = match action {
        Action::Arrive(_, fate) => (format!("{fate:?}"), None),
        Action::Resolve { verdict, .. } => (format!("{verdict:?}"), None),
        Action::Record(claim) | Action::RecordUnacknowledged(claim) => (
            String::new(),
            state.hands.iter().find(|h| h.claim == *claim),
        ),
        _ => (String::new(), None),
    };
    // Only what would be tried again looks at the deadline.
    let again = |answer| {
        matches!(
            answer,
            Some(Answer::Throttled | Answer::Unreachable | Answer::Unsendable)
        )
    };
    let hand = hand.map(|h| {
        (
            h.claim.attempt == job.attempt,
            answer_of(state, h.claim),
            again(answer_of(state, h.claim)) && h.deadline == 0,
        )
    });
    // What a worker does by itself meets no row.
    let by_itself = !matches!(
        action,
        Action::Claim { .. }
            | Action::GiveBack { .. }
            | Action::Record(_)
            | Action::RecordUnacknowledged(_)
            | Action::Lapse { .. }
            | Action::Settle { .. }
            | Action::Expire { .. }
            | Action::Cancel { .. }
            | Action::Resolve { .. }
            | Action::Retry { .. }
    );
    let rows = match told {
        _ if by_itself => String::new(),
        Told::Exactly => expected(job),
        Told::Roughly => {
            let newest = job.attempts.last().map(|a| a.state);
            let earlier = (job.may_have_rung(job.attempt), job.rang_before(job.attempt));
            format!(
                "{:?} {} {} {newest:?} {earlier:?}",
                job.state,
                job.cancel,
                job.deadline == 0
            )
        }
    };
    // To the database they are the same.
    let name = action.name().replace("RecordUnacknowledged", "Record");
    format!("{name} {what} {rows} {hand:?}")
}

/// Ways that together have every step meet every kind of row that it can meet, and some that are drawn.
fn ways(setting: &Setting, told: Told, drawn: usize) -> Vec<Vec<Action>> {
    let graph = Graph::of(setting);
    let mut unmet: BTreeMap<String, (usize, Action)> = BTreeMap::new();
    for (state, action) in &graph.steps {
        unmet
            .entry(meeting(&graph.states[*state], action, told))
            .or_insert_with(|| (*state, action.clone()));
    }
    let meetings = unmet.len();
    let mut ways = Vec::new();
    // The farthest first: it has met most on its way.
    while let Some((state, action)) = unmet.values().max_by_key(|(state, _)| *state).cloned() {
        let mut way = graph.way_to(state);
        way.push(action);
        let mut at = State::new(setting.jobs, setting.deadline);
        for step in &way {
            unmet.remove(&meeting(&at, step, told));
            at = setting.step(&at, step);
        }
        // And on, as long as there is something new next.
        loop {
            let mut steps = Vec::new();
            setting.steps(&at, &mut steps);
            let Some(step) = steps
                .into_iter()
                .find(|step| unmet.remove(&meeting(&at, step, told)).is_some())
            else {
                break;
            };
            at = setting.step(&at, &step);
            way.push(step);
        }
        ways.push(way);
    }
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..drawn {
        let mut at = State::new(setting.jobs, setting.deadline);
        let mut way = Vec::new();
        while way.len() < DRAWN_STEPS {
            let mut steps = Vec::new();
            setting.steps(&at, &mut steps);
            let Some(step) = random.choice(steps) else {
                break;
            };
            at = setting.step(&at, &step);
            way.push(step);
        }
        ways.push(way);
    }
    let steps: usize = ways.iter().map(Vec::len).sum();
    println!(
        "{setting}: {} states, {meetings} meetings in {} ways of {steps} steps",
        graph.states.len(),
        ways.len()
    );
    let names: BTreeSet<String> = ways.iter().flatten().map(Action::name).collect();
    let all = graph
        .steps
        .iter()
        .map(|(_, action)| action.name())
        .collect();
    assert_eq!(names, all, "every action is gone");
    ways
}

/// How long a drawn way is.
const DRAWN_STEPS: usize = 40;

async fn replay(setting: &Setting, told: Told, drawn: usize) {
    let ways = ways(setting, told, drawn);
    let began = std::time::Instant::now();
    let mut real = Real::new().await;
    for way in ways {
        real.go(setting, &way).await;
    }
    println!("{setting}: gone in {:?}", began.elapsed());
}

/// Any number of hands may be one worker's.
const HELD: Setting = Setting { workers: 1, ..FEW };
const AGAIN: Setting = Setting {
    workers: 1,
    ..FEW_RETRY
};
const LATE: Setting = Setting {
    deadline: 2,
    claims: 1,
    max_attempts: 1,
    ..HOLD
};
const LATE_ALONE: Setting = Setting {
    deadline: 2,
    person: Person::Absent,
    workers: 1,
    ..RETRY
};

#[tokio::test]
async fn the_real_statements_go_the_ways_of_a_job_on_hold() {
    replay(&HELD, Told::Roughly, 20).await;
}

#[tokio::test]
async fn the_real_statements_go_the_ways_of_a_job_that_rings_again() {
    replay(&AGAIN, Told::Roughly, 20).await;
}

#[tokio::test]
async fn the_real_statements_go_the_ways_of_a_job_with_a_deadline() {
    replay(&LATE, Told::Roughly, 20).await;
    replay(&LATE_ALONE, Told::Roughly, 20).await;
}

#[tokio::test]
#[should_panic(expected = "the database, and then the model")]
async fn a_model_that_is_wrong_is_found_out() {
    let wrong = Setting {
        mutation: Some(Mutation::RecordForgetsCancel),
        ..HELD
    };
    replay(&wrong, Told::Roughly, 0).await;
}

#[tokio::test]
#[ignore = "thousands of ways: make model"]
async fn the_real_statements_go_every_way() {
    for setting in [HELD, AGAIN, LATE, LATE_ALONE] {
        replay(&setting, Told::Exactly, 200).await;
    }
}
