//! What a request is answered, put together from what is scripted and what the work led to, and how
//! that is entered in the ledger.

use std::sync::Arc;
use std::time::Duration;

use super::envelope::Envelope;
use super::fault::{Fault, FaultKind};
use super::life::Life;
use super::record::{Answered, Call, Query, Record, Seen};
use super::refusal::Refusal;
use super::time::Time;
use super::work::{Done, Worked};

/// What the client gets.
pub(super) struct Reply {
    pub(super) delay: Duration,
    pub(super) form: Form,
}

/// The form of an answer, on the wire.
pub(super) enum Form {
    Envelope(Envelope),
    Truncated(Envelope),
    Html(u16),
    Garbage,
    Close,
    Stall,
    Redirect,
}

/// What was decided about a request: the answer, and the call that it started.
pub(super) struct Decided {
    pub(super) form: Form,
    pub(super) call: Option<(Arc<Call>, Life)>,
}

/// The entry of a request for a call.
pub(super) fn entry(seen: Seen, seq: u64, monotonic_us: u64, decided: &Decided) -> Arc<Record> {
    let call = decided.call.as_ref().map(|(call, _)| call);
    Arc::new(Record {
        seq,
        received_at_us: Time::received_at_us(),
        monotonic_us,
        command: seen.command,
        sdk_app_id: seen.sdk_app_id,
        random: seen.random,
        robot: seen.robot,
        callees: seen.callees,
        room_id: seen.room_id,
        room_id_type: seen.room_id_type,
        answered: decided.form.answered(),
        rang: call.is_some_and(|call| call.rang()),
        call_id: call.map(|call| call.call_id),
    })
}

/// The entry of one that rings nobody.
pub(super) fn query(seen: Seen, form: &Form) -> Query {
    Query {
        received_at_us: Time::received_at_us(),
        command: seen.command,
        sdk_app_id: seen.sdk_app_id,
        accounts: seen.callees,
        answered: form.answered(),
    }
}

/// Puts together what is scripted and what the work led to.
pub(super) fn decide(fault: Option<&Fault>, worked: Option<Worked>, seq: u64) -> Decided {
    let worked = worked.unwrap_or(Worked {
        result: Err(Refusal::documented(101_001)),
        lost: None,
    });
    let (envelope, call) = match worked.result {
        Ok(Done::Started(started)) => {
            let (call, life) = *started;
            (Envelope::started(&call), Some((Arc::new(call), life)))
        }
        Ok(Done::Told(response)) => (Envelope::told(response, seq), None),
        Ok(Done::Looked(user_ids)) => (Envelope::accounts(&user_ids, seq), None),
        Err(refusal) => (Envelope::refused(refusal, seq), None),
    };
    let kind = fault
        .map(|fault| fault.kind)
        .filter(|kind| *kind != FaultKind::Delay);
    let form = match kind.or(worked.lost) {
        None | Some(FaultKind::Delay) => Form::Envelope(envelope),
        Some(FaultKind::ErrorCode(code)) => {
            Form::Envelope(Envelope::refused(Refusal::documented(code), seq))
        }
        Some(FaultKind::ThrottleAbove(_)) => {
            Form::Envelope(Envelope::refused(Refusal::documented(60_007), seq))
        }
        Some(FaultKind::HttpStatus(status)) => Form::Html(status),
        Some(FaultKind::CloseBeforeReading | FaultKind::CloseAfterReading) => Form::Close,
        Some(FaultKind::Garbage) => Form::Garbage,
        Some(FaultKind::Stall) => Form::Stall,
        Some(FaultKind::TruncatedBody) => Form::Truncated(envelope),
        Some(FaultKind::Redirect) => Form::Redirect,
    };
    Decided { form, call }
}

impl Form {
    fn answered(&self) -> Answered {
        match self {
            Self::Envelope(envelope) => Answered::Code(envelope.error_code),
            Self::Truncated(_) => Answered::Truncated,
            Self::Html(status) => Answered::HttpStatus(*status),
            Self::Garbage => Answered::Garbage,
            Self::Close => Answered::Closed,
            Self::Stall => Answered::Stalled,
            Self::Redirect => Answered::Redirected,
        }
    }
}
