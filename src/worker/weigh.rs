//! What is settled of a call, and what is still followed: a pure function of its row and of the
//! evidence there is.

use std::time::Duration;

use super::sweep::LAG_S;
use crate::call::{
    CallOutcome, DOUBT_ENDS_AFTER, Evidence, Happened, MemberAction, OutcomeSource, Record, Redial,
    RingPolicy, RoomIdType, RoomOwner, Suspect, outcomes, redial,
};
use crate::store::{FollowedJob, OpenCall, Settlement, StreamNews};
use crate::tencent::{HostKind, RECORDS_KEPT_S, read_callee_results};

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

/// What the evidence says of a call's media: whether somebody is there to listen, and whether it is
/// over. `None`: nothing.
pub(super) fn stream_news(call: &OpenCall, told: &[Evidence]) -> Option<StreamNews> {
    let callees = &call.job.as_ref()?.callees;
    let accepted = |record: &Record| record.accepted_at_s.is_some_and(|at| at > 0);
    let (mut answered, mut over) = (false, is_given_up(call));
    for piece in told {
        match piece {
            Evidence::Reply(_) => {}
            Evidence::Record(record) => {
                over = true;
                answered |= accepted(record);
            }
            Evidence::Callback(event) => match &event.happened {
                Happened::Started { .. } => {}
                Happened::Ended(record) => {
                    over = true;
                    answered |= accepted(record);
                }
                Happened::MemberChanged { changes, .. } => {
                    answered |= changes.iter().any(|change| {
                        change.action == MemberAction::Answer && callees.contains(&change.account)
                    });
                }
            },
        }
    }
    (answered || over).then_some(StreamNews {
        job_id: call.job_id,
        attempt: call.attempt,
        answered,
        over,
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

/// The clocks that a proof goes by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clocks {
    /// Tencent's, in seconds since the Unix epoch, as its answers have it.
    pub(super) tencent_unix: i64,
    /// The database's, likewise.
    pub(super) database_unix: i64,
    /// Whose time it is: that of a sandbox may run faster.
    pub(super) kind: HostKind,
}

/// What has to be read to prove that a doubt led to no call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Proof {
    /// The span in which the call must have a record, if there was one: from a minute before it can
    /// have begun until it must be over.
    pub(super) from_unix: i64,
    pub(super) to_unix: i64,
    /// In how many seconds it must have that record; below zero: it must have it now.
    pub(super) left_s: i64,
}

/// The proof for the call of a doubt. `None`: its bounds are not known yet. Without an earlier mark
/// of Tencent's clock it can have begun whenever records are kept of.
///
/// What records say of time need not be what the `Date` of an answer says, as where a machine on
/// the way writes local time, or one machine of many is wrong. So the span is that of Tencent's
/// clock and that of the database's, and both must be over.
pub(super) fn proof(call: &OpenCall, now: Clocks) -> Option<Proof> {
    let job = call.job.as_ref()?;
    let seconds = |d: Duration| i64::try_from(d.as_secs()).unwrap_or(i64::MAX);
    let ring_s = job.ring_timeout_ms.clamp(0, 600_000) / 1000 + 1;
    let lasts_s = ring_s + seconds(job.longest_call) + PROOF_MARGIN_S;
    let from = call
        .began_from
        .map_or(now.tencent_unix - RECORDS_KEPT_S, |from| {
            from - PROOF_MARGIN_S
        });
    let claimed = now.database_unix.saturating_sub(seconds(call.claimed_ago)) - 1;
    let opened = now.database_unix.saturating_sub(seconds(call.open_for)) + 1;
    let by_tencent = call.began_until? + lasts_s;
    let by_database = opened + lasts_s;
    let left_s = by_tencent + LAG_S - now.tencent_unix;
    Some(Proof {
        from_unix: from.min(claimed - PROOF_MARGIN_S),
        to_unix: by_tencent.max(by_database),
        left_s: match now.kind {
            HostKind::Sandbox => left_s,
            HostKind::Live => left_s.max(by_database + LAG_S - now.database_unix),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;
    const HOUR: i64 = 3600;

    /// A call that was claimed so many seconds ago and in doubt 10 s later, with marks shortly
    /// before and after of a clock of Tencent's that is off by so much.
    fn call(claimed_ago: i64, marks_off: i64) -> OpenCall {
        let ago = |s: i64| Duration::from_secs(u64::try_from(s).expect("not before now"));
        OpenCall {
            job_id: 1,
            attempt: 1,
            turn: 1,
            call_id: None,
            room_id: "r-1".to_owned(),
            room_id_type: 2,
            looks: 0,
            record: None,
            open_for: ago(claimed_ago - 10),
            claimed_ago: ago(claimed_ago),
            sent_after: None,
            claim_token: uuid::Uuid::nil(),
            class: Some("in_doubt".to_owned()),
            callee_results: None,
            began_from: Some(NOW - claimed_ago - 5 + marks_off),
            began_until: Some(NOW - claimed_ago + 15 + marks_off),
            job: Some(FollowedJob {
                callees: vec!["jack".to_owned()],
                robot: "robot".to_owned(),
                has_own_room: false,
                ring_timeout_ms: 45_000,
                state: "in_doubt".to_owned(),
                reason: None,
                newest: 1,
                on_doubt: "reconcile".to_owned(),
                attempts_used: 1,
                max_attempts: 5,
                deadline_left: None,
                redials: 0,
                ring_policy: None,
                app_ring_policy: None,
                longest_call: Duration::from_mins(30),
                has_media: false,
            }),
        }
    }

    fn proof_at(call: &OpenCall, clock_off: i64, kind: HostKind) -> Proof {
        let clocks = Clocks {
            tencent_unix: NOW + clock_off,
            database_unix: NOW,
            kind,
        };
        proof(call, clocks).expect("its bounds are known")
    }

    #[test]
    fn a_proof_reads_the_span_of_both_clocks() {
        for off in [-8 * HOUR, -90, 0, 90, 8 * HOUR] {
            let proof = proof_at(&call(HOUR, off), off, HostKind::Live);
            let begin = NOW - HOUR;
            assert!(proof.from_unix <= begin - PROOF_MARGIN_S, "{off}");
            assert!(proof.from_unix <= begin + off - PROOF_MARGIN_S, "{off}");
            assert!(proof.to_unix >= begin + 10 + 45 + 1800, "{off}");
            assert!(proof.to_unix >= begin + 10 + off + 45 + 1800, "{off}");
            assert!(proof.left_s < 0, "{off}");
        }
    }

    #[test]
    fn a_clock_of_tencents_that_jumps_ahead_proves_nothing_sooner() {
        for (claimed_ago, jump) in [(60, HOUR), (60, 25 * HOUR), (1800, HOUR)] {
            let call = call(claimed_ago, 0);
            assert!(proof_at(&call, jump, HostKind::Live).left_s > 0);
            // Its hours may be our seconds.
            assert!(proof_at(&call, jump, HostKind::Sandbox).left_s < 0);
        }
        assert!(proof_at(&call(1800, 0), 0, HostKind::Live).left_s > 0);
        assert!(proof_at(&call(2000, 0), 0, HostKind::Live).left_s < 0);
    }
}
