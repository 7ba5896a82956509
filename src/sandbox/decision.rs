//! What a request is answered, put together from what is scripted and what the work led to, and how
//! that is entered in the ledger.

use std::sync::Arc;
use std::time::Duration;

use super::envelope::Envelope;
use super::fault::{Fault, FaultKind};
use super::ingest::Replied;
use super::life::Life;
use super::record::{Answered, Call, Query, Record, Seen};
use super::refusal::Refusal;
use super::time::Time;
use super::work::{Done, Worked};

/// What the client gets; `E` is the usual answer.
pub(super) struct Reply<E> {
    pub(super) delay: Duration,
    pub(super) form: Form<E>,
}

/// The form of an answer, on the wire.
pub(super) enum Form<E> {
    Envelope(E),
    Truncated(E),
    Html(u16),
    Garbage,
    Close,
    Stall,
    Redirect,
}

/// What was decided about a request: the answer, and the call that it started.
pub(super) struct Decided {
    pub(super) form: Form<Envelope>,
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
        answered: decided.answered(),
        rang: call.is_some_and(|call| call.rang()),
        call_id: call.map(|call| call.call_id),
    })
}

/// The entry of one that rings nobody.
pub(super) fn query(seen: Seen, answered: Answered) -> Query {
    Query {
        received_at_us: Time::received_at_us(),
        command: seen.command,
        sdk_app_id: seen.sdk_app_id,
        accounts: seen.callees,
        answered,
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
    let refused = |kind| {
        let code = match kind {
            FaultKind::ErrorCode(code) => code,
            _ => 60_007,
        };
        Envelope::refused(Refusal::documented(code), seq)
    };
    let form = Form::of(kind.or(worked.lost), envelope, refused);
    Decided { form, call }
}

impl Decided {
    /// How the ledger keeps it.
    pub(super) fn answered(&self) -> Answered {
        self.form
            .answered(|envelope| Answered::Code(envelope.error_code))
    }
}

/// What a request about a stream is answered; `replied` is what the work led to, if it was done.
pub(super) fn decide_ingest(fault: Option<&Fault>, replied: Option<Replied>) -> Form<Replied> {
    let usual = replied.unwrap_or_else(Replied::unworked);
    let refused = |kind| match kind {
        FaultKind::IngestError(code) => Replied::refused(code),
        _ => Replied::throttled(),
    };
    Form::of(fault.map(|fault| fault.kind), usual, refused)
}

impl<E> Form<E> {
    /// What a fault makes of the usual answer; `refused` is the answer of one that refuses.
    fn of(fault: Option<FaultKind>, usual: E, refused: impl FnOnce(FaultKind) -> E) -> Self {
        match fault {
            None | Some(FaultKind::Delay) => Self::Envelope(usual),
            Some(
                kind @ (FaultKind::ErrorCode(_)
                | FaultKind::IngestError(_)
                | FaultKind::ThrottleAbove(_)),
            ) => Self::Envelope(refused(kind)),
            Some(FaultKind::HttpStatus(status)) => Self::Html(status),
            Some(FaultKind::CloseBeforeReading | FaultKind::CloseAfterReading) => Self::Close,
            Some(FaultKind::Garbage) => Self::Garbage,
            Some(FaultKind::Stall) => Self::Stall,
            Some(FaultKind::TruncatedBody) => Self::Truncated(usual),
            Some(FaultKind::Redirect) => Self::Redirect,
        }
    }

    /// How the lists of requests keep it, with `usual` for an answer that is whole.
    pub(super) fn answered(&self, usual: impl FnOnce(&E) -> Answered) -> Answered {
        match self {
            Self::Envelope(envelope) => usual(envelope),
            Self::Truncated(_) => Answered::Truncated,
            Self::Html(status) => Answered::HttpStatus(*status),
            Self::Garbage => Answered::Garbage,
            Self::Close => Answered::Closed,
            Self::Stall => Answered::Stalled,
            Self::Redirect => Answered::Redirected,
        }
    }
}
