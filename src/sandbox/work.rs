//! What a request leads to when nothing is scripted: a call, an answer about calls, records,
//! callbacks or accounts, a refusal, or a lost answer.

use std::collections::HashMap;

use serde_json::{Value, json};
use uuid::Uuid;

use super::behaviour::{Behaviour, CalleeScripts};
use super::call_record;
use super::callees::Manner;
use super::command::{Asked, Command};
use super::fault::FaultKind;
use super::life::{Leg, Life};
use super::mailbox::Mailbox;
use super::record::{Call, CalledParty, Seen};
use super::record_rules::{Filter, RecordSpan};
use super::refusal::Refusal;
use super::switchboard::{Entry, Switchboard};
use super::window::Window;

/// Records are listed as far back (68931).
const LISTED_S: i64 = 7 * 86_400;

/// A request that was read and verified, up to where the state of the sandbox matters.
pub(super) struct Received {
    pub(super) seen: Seen,
    /// The command, if the path names one.
    pub(super) command: Option<Command>,
    /// The verified `SDKAppID`.
    pub(super) caller: Result<u64, Refusal>,
    /// What the body asks for, if it keeps the rules.
    pub(super) asked: Result<Asked, Refusal>,
}

impl Received {
    /// Whether it rings nobody, so that it is no entry in the ledger of calls.
    pub(super) fn is_query(&self) -> bool {
        self.command
            .is_some_and(|command| command != Command::StartCall)
    }
}

/// When a request is worked on.
#[derive(Clone, Copy)]
pub(super) struct Now {
    /// Real microseconds since the sandbox began, for the limits.
    pub(super) monotonic_us: u64,
    /// The sandbox's time, in milliseconds since the Unix epoch.
    pub(super) ms: i64,
}

/// What was done.
pub(super) enum Done {
    /// A call was started, and will live so.
    Started(Box<(Call, Life)>),
    /// It was carried out, and this is the `Response`, if there is one.
    Told(Option<Value>),
    /// These accounts were looked up.
    Looked(Vec<String>),
}

/// What the ordinary work led to.
pub(super) struct Worked {
    pub(super) result: Result<Done, Refusal>,
    /// How a callee's name wants the answer to be lost.
    pub(super) lost: Option<FaultKind>,
}

impl Worked {
    fn refused(refusal: Refusal) -> Self {
        Self {
            result: Err(refusal),
            lost: None,
        }
    }
}

/// What the sandbox must remember between requests to work on the next one.
#[derive(Default)]
pub(super) struct Workbench {
    pub(super) switchboard: Switchboard,
    pub(super) mailbox: Mailbox,
    pub(super) scripts: CalleeScripts,
    pub(super) record_span: RecordSpan,
    /// Requests per app and command in the last second.
    requests: HashMap<(u64, Command), Window>,
    /// How often a `throttle-N-*` callee was asked for.
    asked: HashMap<String, u32>,
}

impl Workbench {
    pub(super) fn new(mailbox: Mailbox, record_span: RecordSpan) -> Self {
        Self {
            mailbox,
            record_span,
            ..Self::default()
        }
    }

    /// Works on one request: caller, throttle, body, names of the callees.
    ///
    /// That Tencent throttles after it knows the app and before it looks at the body is an
    /// assumption, and so is that refused requests do not count towards the limit.
    pub(super) fn work(
        &mut self,
        received: &Received,
        seq: u64,
        now: Now,
        calls_per_second_limit: u32,
    ) -> Worked {
        let app = match &received.caller {
            Ok(sdk_app_id) => *sdk_app_id,
            Err(refusal) => return Worked::refused(refusal.clone()),
        };
        let command = received.command.unwrap_or(Command::StartCall);
        let limit = command.limit(calls_per_second_limit);
        let requests = self.requests.entry((app, command)).or_default();
        if limit > 0 && !requests.admit(now.monotonic_us, limit) {
            return Worked::refused(Refusal::documented(60_007));
        }
        let done = match &received.asked {
            Err(refusal) => Err(refusal.clone()),
            Ok(Asked::Call) => return self.call(&received.seen, app, seq, now.ms),
            Ok(asked) => self.carry_out(asked, app, now.ms),
        };
        Worked {
            result: done,
            lost: None,
        }
    }

    /// Does what rings nobody.
    fn carry_out(&mut self, asked: &Asked, app: u64, now_ms: i64) -> Result<Done, Refusal> {
        let told = |response| Ok(Done::Told(Some(response)));
        match asked {
            // It is carried out elsewhere; here it would ring nobody.
            Asked::Call => Err(Refusal::documented(101_001)),
            Asked::CallInfo(call_id) => {
                let live = id(call_id).and_then(|id| self.switchboard.live(id, app, now_ms));
                let live = live.ok_or_else(|| Refusal::documented(101_004))?;
                told(call_info(live, now_ms))
            }
            Asked::EndCall(call_id) => {
                let has_cut = id(call_id).is_some_and(|id| self.switchboard.cut(id, app, now_ms));
                done_if(has_cut, 101_004)
            }
            Asked::Record(call_id) => {
                let entry = id(call_id).and_then(|id| self.switchboard.record(id, app, now_ms));
                let entry = entry.ok_or_else(|| Refusal::documented(101_050))?;
                told(json!({ "CallRecord": call_record::record(entry) }))
            }
            Asked::Records(filter) => told(self.records(filter, app, now_ms)),
            Asked::Callback => {
                let target = self.mailbox.target(app);
                let target = target.ok_or_else(|| Refusal::documented(100_301))?;
                told(json!({ "Url": target.url, "CallbackCommandList": target.commands }))
            }
            Asked::SetCallback(target) => {
                self.mailbox.set_target(app, target.clone());
                Ok(Done::Told(None))
            }
            Asked::DeleteCallback => done_if(self.mailbox.delete_target(app), 100_301),
            Asked::Accounts(user_ids) => Ok(Done::Looked(user_ids.clone())),
        }
    }

    /// One page of records, the latest end first: a record that comes meanwhile moves the others.
    fn records(&self, filter: &Filter, app: u64, now_ms: i64) -> Value {
        let until_s = now_ms.div_euclid(1000);
        let oldest_s = until_s - LISTED_S;
        let first_s = filter.from_s.unwrap_or(oldest_s).max(oldest_s);
        let last_s = filter.to_s.unwrap_or(until_s);
        let span = first_s.saturating_mul(1000)..=last_s.saturating_mul(1000).saturating_add(999);
        let ended = match self.record_span {
            RecordSpan::OfEnd | RecordSpan::OfBoth => span.clone(),
            RecordSpan::OfStart => *span.start()..=i64::MAX,
        };
        let began = |entry: &&Entry| {
            self.record_span == RecordSpan::OfEnd || span.contains(&entry.life.started_ms)
        };
        let is = |wanted: &Option<String>, word: &str| wanted.as_ref().is_none_or(|w| w == word);
        let fitting: Vec<&Entry> = self
            .switchboard
            .records(app, ended, now_ms)
            .filter(began)
            .filter(|entry| is(&filter.result, call_record::result(entry)))
            .filter(|entry| is(&filter.call_type, call_record::call_type(entry)))
            .collect();
        let before = filter.per_page.saturating_mul(filter.page - 1);
        let page = fitting.iter().skip(before).take(filter.per_page);
        let page: Vec<Value> = page
            .map(|entry| call_record::listed_record(entry))
            .collect();
        json!({ "TotalNum": fitting.len(), "Page": filter.page, "CallRecordList": page })
    }

    /// Starts a call, unless a callee's name is against it.
    fn call(&mut self, seen: &Seen, sdk_app_id: u64, seq: u64, now_ms: i64) -> Worked {
        let lost = match self.whole_request(&seen.callees) {
            Some(Whole::Refused(refusal)) => return Worked::refused(refusal),
            Some(Whole::Lost(kind)) => Some(kind),
            None => None,
        };
        let timeout_ms = i64::try_from(seen.ring_timeout_ms.unwrap_or(0)).unwrap_or(i64::MAX);
        let leg = |callee: &String| {
            let (result_code, behaviour) = self.called(callee);
            Leg::new(callee.clone(), result_code, behaviour, now_ms, timeout_ms)
        };
        let life = Life::new(now_ms, seen.callees.iter().map(leg).collect());
        let call = start(seen, sdk_app_id, seq, &life);
        Worked {
            result: Ok(Done::Started(Box::new((call, life)))),
            lost,
        }
    }

    /// The `ResultCode` of a callee, and what he does if his phone rings.
    fn called(&self, callee: &str) -> (i64, Behaviour) {
        let manner = Manner::of(callee);
        let result_code = match manner {
            Manner::BadCode(code) => code,
            _ => 0,
        };
        let scripted = self.scripts.of(callee);
        (result_code, scripted.unwrap_or_else(|| manner.behaviour()))
    }

    /// The first callee whose name is about the whole request decides.
    fn whole_request(&mut self, callees: &[String]) -> Option<Whole> {
        let mut first = None;
        for callee in callees {
            let whole = match Manner::of(callee) {
                Manner::Rings(_) | Manner::BadCode(_) => None,
                Manner::Missing => Some(Whole::Refused(Refusal::because(70_107, callee))),
                Manner::Code(code) => Some(Whole::Refused(Refusal::documented(code))),
                Manner::ThrottledFirst(limit) => self.throttled_callee(callee, limit),
                Manner::Stalls => Some(Whole::Lost(FaultKind::Stall)),
                Manner::Closes => Some(Whole::Lost(FaultKind::CloseAfterReading)),
                Manner::Garbage => Some(Whole::Lost(FaultKind::Garbage)),
            };
            first = first.or(whole);
        }
        first
    }

    fn throttled_callee(&mut self, callee: &str, limit: u32) -> Option<Whole> {
        let asked = self.asked.entry(callee.to_owned()).or_default();
        *asked = asked.saturating_add(1);
        (*asked <= limit).then(|| Whole::Refused(Refusal::documented(60_007)))
    }
}

/// What a callee's name means for the whole request.
enum Whole {
    Refused(Refusal),
    Lost(FaultKind),
}

/// Done without anything to tell, or refused with this code.
fn done_if(is_done: bool, otherwise: i64) -> Result<Done, Refusal> {
    let done = is_done.then_some(Done::Told(None));
    done.ok_or_else(|| Refusal::documented(otherwise))
}

fn id(call_id: &str) -> Option<Uuid> {
    call_id.parse().ok()
}

/// `Response` of `get_call_info` (68932): everybody who rings or talks.
fn call_info(entry: &Entry, now_ms: i64) -> Value {
    let call = &entry.call;
    let user = |leg: &Leg| {
        let status = call_record::status(leg.rings(now_ms), leg.talks(now_ms))?;
        Some(json!({ "User_Account": leg.callee, "Status": status }))
    };
    let users: Vec<Value> = entry.life.legs.iter().filter_map(user).collect();
    json!({
        "CallInfo": {
            "CallId": call.call_id,
            "MediaType": call.media_type,
            "ChatGroupId": "",
            "RoomId": call.room_id.clone().unwrap_or_default(),
            "RoomIdType": call.room_id_type.unwrap_or(0),
        },
        "UserList": users,
    })
}

fn start(seen: &Seen, sdk_app_id: u64, seq: u64, life: &Life) -> Call {
    let called = |leg: &Leg| CalledParty {
        callee: leg.callee.clone(),
        result_code: leg.result_code,
        planned_outcome: (leg.result_code == 0).then_some(leg.outcome),
    };
    Call {
        call_id: Uuid::new_v4(),
        seq,
        sdk_app_id,
        robot: seen.robot.clone(),
        callees: life.legs.iter().map(called).collect(),
        room_id: seen.room_id.clone(),
        room_id_type: seen.room_id_type,
        media_type: seen.media_type.clone().unwrap_or_default(),
    }
}
