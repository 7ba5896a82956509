//! What is settled of a call, and what is still followed: a pure function of its row and of the
//! evidence there is.

use std::time::Duration;

use crate::call::{
    CallOutcome, DOUBT_ENDS_AFTER, Evidence, OutcomeSource, Record, Redial, RingPolicy, RoomIdType,
    RoomOwner, Suspect, outcomes, redial,
};
use crate::store::{FollowedJob, OpenCall, Settlement};
use crate::tencent::{RECORDS_KEPT_S, read_callee_results};

/// What is reckoned with beyond the longest ring and the longest call, before it is taken for
/// proven that there was no call.
const PROOF_MARGIN_S: i64 = 60;

/// What is settled of `call`, if anything is: `told` is what callbacks and records say of it,
/// `call_id` its `CallId`, should the row not have it.
pub(super) fn weigh(
    call: &OpenCall,
    told: Vec<Evidence>,
    call_id: Option<String>,
) -> Option<Settlement<'_>> {
    let nothing = || Settlement {
        call,
        outcome: CallOutcome {
            callees: Vec::new(),
            has_record: false,
        },
        closes: true,
        ends: false,
        record: None,
        call_id: None,
        redial: Redial::Nothing,
    };
    let Some(job) = &call.job else {
        return Some(nothing());
    };
    if !matches!(call.class.as_deref(), Some("accepted" | "in_doubt")) {
        // Settled meanwhile: nobody was rung.
        return Some(nothing());
    }
    let mut evidence = told;
    let kept = call.record.as_deref().map(serde_json::from_str::<Record>);
    evidence.extend(kept.into_iter().flatten().map(Evidence::Record));
    let replied = call.callee_results.as_deref().map(read_callee_results);
    evidence.extend(replied.map(Evidence::Reply));
    let outcome = outcomes(&job.callees, &evidence);
    let all_known = outcome.callees.iter().all(|callee| !callee.is_unknown());
    // Whoever was refused at once is not rung, and the call may never have a record.
    let all_refused = outcome
        .callees
        .iter()
        .all(|callee| callee.source == OutcomeSource::Reply);
    let given_up = is_given_up(call);
    let ends = outcome.has_record || given_up;
    let closes = given_up
        || all_refused
        || (outcome.has_record && (all_known || outcome.callees.len() == 1));
    let something = outcome.callees.iter().any(|callee| !callee.is_unknown());
    let names = call.call_id.is_none() && call_id.is_some();
    let record = evidence.iter().find_map(|piece| match piece {
        Evidence::Record(record) if !closes => serde_json::to_string(record).ok(),
        _ => None,
    });
    let redial = if ends {
        let policy = RingPolicy::of_row(job.app_ring_policy.as_deref(), job.ring_policy.as_deref());
        let rings = u32::try_from(job.redials).unwrap_or(0).saturating_add(1);
        redial(&policy, rings, &outcome.callees)
    } else {
        Redial::Nothing
    };
    (ends || closes || something || names).then_some(Settlement {
        call,
        outcome,
        closes,
        ends,
        record,
        call_id,
        redial,
    })
}

/// Whether it is looked for no longer: Tencent keeps records for 7 days.
pub(super) fn is_given_up(call: &OpenCall) -> bool {
    call.open_for >= DOUBT_ENDS_AFTER
}

/// The call of which it is not known whether there is one, as somebody a record may be of.
pub(super) fn suspect<'a>(call: &'a OpenCall, job: &'a FollowedJob) -> Suspect<'a> {
    Suspect {
        room_id: &call.room_id,
        room_id_type: RoomIdType::new(i64::from(call.room_id_type)).ok(),
        room_owner: if job.has_own_room {
            RoomOwner::User
        } else {
            RoomOwner::Attempt
        },
        robot: &job.robot,
        callees: &job.callees,
        began_from: call.began_from,
        began_until: call.began_until,
    }
}

/// The span of Tencent's clock in which the call of a doubt must have a record, if there was one:
/// from a minute before it can have begun until it must be over. `None`: its bounds are not known
/// yet. Without an earlier mark of Tencent's clock it can have begun whenever records are kept of.
pub(super) fn proof_span(call: &OpenCall, tencent_unix: i64) -> Option<(i64, i64)> {
    let job = call.job.as_ref()?;
    let seconds = |d: Duration| i64::try_from(d.as_secs()).unwrap_or(i64::MAX);
    let from = call
        .began_from
        .map_or(tencent_unix - RECORDS_KEPT_S, |from| from - PROOF_MARGIN_S);
    let ring_s = job.ring_timeout_ms.clamp(0, 600_000) / 1000 + 1;
    let until = call.began_until? + ring_s + seconds(job.longest_call) + PROOF_MARGIN_S;
    Some((from, until))
}
