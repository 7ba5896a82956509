//! What a request leads to when nothing is scripted: a call, an account of one or of accounts, a
//! refusal, or a lost answer.

use std::collections::HashMap;

use uuid::Uuid;

use super::callees::{Manner, PlannedOutcome};
use super::command::{Asked, Command};
use super::fault::FaultKind;
use super::ledger::Ledger;
use super::record::{Call, CalledParty, Seen};
use super::refusal::Refusal;
use super::window::Window;

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
        matches!(
            self.command,
            Some(Command::GetCallInfo | Command::AccountCheck)
        )
    }
}

/// What was done.
pub(super) enum Done {
    /// A call was started.
    Started(Call),
    /// A call was found, and goes on.
    Found(Call),
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
    /// Requests per app and command in the last second.
    requests: HashMap<(u64, Command), Window>,
    /// How often a `throttle-N-*` callee was asked for.
    asked: HashMap<String, u32>,
}

impl Workbench {
    /// Works on one request: caller, throttle, body, names of the callees.
    ///
    /// That Tencent throttles after it knows the app and before it looks at the body is an
    /// assumption, and so is that refused requests do not count towards the limit.
    pub(super) fn work(
        &mut self,
        received: &Received,
        seq: u64,
        now_us: u64,
        calls_per_second_limit: u32,
        ledger: &Ledger,
    ) -> Worked {
        let sdk_app_id = match &received.caller {
            Ok(sdk_app_id) => *sdk_app_id,
            Err(refusal) => return Worked::refused(refusal.clone()),
        };
        let command = received.command.unwrap_or(Command::StartCall);
        let limit = command.limit(calls_per_second_limit);
        let requests = self.requests.entry((sdk_app_id, command)).or_default();
        if limit > 0 && !requests.admit(now_us, limit) {
            return Worked::refused(Refusal::documented(60_007));
        }
        let done = match &received.asked {
            Err(refusal) => Err(refusal.clone()),
            Ok(Asked::Call) => return self.call(&received.seen, sdk_app_id, seq, now_us),
            Ok(Asked::CallInfo(call_id)) => find(ledger, call_id, sdk_app_id, now_us),
            Ok(Asked::Accounts(user_ids)) => Ok(Done::Looked(user_ids.clone())),
        };
        Worked {
            result: done,
            lost: None,
        }
    }

    /// Starts a call, unless a callee's name is against it.
    fn call(&mut self, seen: &Seen, sdk_app_id: u64, seq: u64, now_us: u64) -> Worked {
        let lost = match self.whole_request(&seen.callees) {
            Some(Whole::Refused(refusal)) => return Worked::refused(refusal),
            Some(Whole::Lost(kind)) => Some(kind),
            None => None,
        };
        Worked {
            result: Ok(Done::Started(start(seen, sdk_app_id, seq, now_us))),
            lost,
        }
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

/// A call of this app that is not over. Assumption: that a call ends with its `Timeout`, whoever
/// picks up.
fn find(ledger: &Ledger, call_id: &str, sdk_app_id: u64, now_us: u64) -> Result<Done, Refusal> {
    let call = call_id.parse().ok().and_then(|id| ledger.call(id));
    let call = call.filter(|call| call.sdk_app_id == sdk_app_id && now_us < call.known_until_us);
    call.map(|call| Done::Found(call.clone()))
        .ok_or_else(|| Refusal::documented(101_004))
}

fn start(seen: &Seen, sdk_app_id: u64, seq: u64, now_us: u64) -> Call {
    Call {
        call_id: Uuid::new_v4(),
        seq,
        sdk_app_id,
        robot: seen.robot.clone(),
        callees: seen.callees.iter().map(|callee| called(callee)).collect(),
        room_id: seen.room_id.clone(),
        room_id_type: seen.room_id_type,
        media_type: seen.media_type.clone().unwrap_or_default(),
        known_until_us: now_us + seen.ring_timeout_ms.unwrap_or(0).saturating_mul(1000),
    }
}

fn called(callee: &str) -> CalledParty {
    let (result_code, planned_outcome) = match Manner::of(callee) {
        Manner::BadCode(code) => (code, None),
        Manner::Rings(outcome) => (0, Some(outcome)),
        // The rest decides over the request, not over this callee: who is rung picks up.
        _ => (0, Some(PlannedOutcome::Answered)),
    };
    CalledParty {
        callee: callee.to_owned(),
        result_code,
        planned_outcome,
    }
}
