//! What a request leads to when nothing is scripted: a call, a refusal, or a lost answer.

use std::collections::HashMap;

use uuid::Uuid;

use super::callees::{Manner, PlannedOutcome};
use super::fault::FaultKind;
use super::record::{Call, CalledParty, Seen};
use super::refusal::Refusal;
use super::window::Window;

/// A request that was read and verified, up to where the state of the sandbox matters.
pub(super) struct Received {
    pub(super) seen: Seen,
    /// The verified `SDKAppID`.
    pub(super) caller: Result<u64, Refusal>,
    /// Whether the body keeps the rules.
    pub(super) body: Result<(), Refusal>,
}

/// What the ordinary work led to.
pub(super) struct Worked {
    pub(super) result: Result<Call, Refusal>,
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
    /// Calls per app in the last second.
    calls: HashMap<u64, Window>,
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
    ) -> Worked {
        let sdk_app_id = match &received.caller {
            Ok(sdk_app_id) => *sdk_app_id,
            Err(refusal) => return Worked::refused(refusal.clone()),
        };
        let calls = self.calls.entry(sdk_app_id).or_default();
        if calls_per_second_limit > 0 && !calls.admit(now_us, calls_per_second_limit) {
            return Worked::refused(Refusal::documented(60_007));
        }
        if let Err(refusal) = &received.body {
            return Worked::refused(refusal.clone());
        }
        let seen = &received.seen;
        match self.whole_request(&seen.callees) {
            Some(Whole::Refused(refusal)) => Worked::refused(refusal),
            Some(Whole::Lost(kind)) => Worked {
                result: Ok(start(seen, sdk_app_id, seq)),
                lost: Some(kind),
            },
            None => Worked {
                result: Ok(start(seen, sdk_app_id, seq)),
                lost: None,
            },
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

fn start(seen: &Seen, sdk_app_id: u64, seq: u64) -> Call {
    Call {
        call_id: Uuid::new_v4(),
        seq,
        sdk_app_id,
        robot: seen.robot.clone(),
        callees: seen.callees.iter().map(|callee| called(callee)).collect(),
        room_id: seen.room_id.clone(),
        room_id_type: seen.room_id_type,
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
