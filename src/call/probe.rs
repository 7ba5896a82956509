//! What the answer to a question that rings nobody says of a paused app, as a pure function.

use super::{Answer, Class};

/// What was found out about a paused app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probed {
    /// It is not refused any more: one job may find out whether calls are accepted.
    WorthAJob,
    /// It is refused as before.
    Refused,
    /// Nothing readable came: a job that was sent now would most likely end in doubt.
    NoAnswer,
}

/// What `answer`, judged to be of `class`, says of the app.
///
/// Every readable answer that does not refuse the app counts for it, unknown codes as well: a pause
/// that no code of Tencent's can end would be worse than a job that is refused once more.
#[must_use]
pub const fn probed(class: Class, answer: &Answer) -> Probed {
    match (answer, class) {
        (Answer::NotSent { .. } | Answer::Unknown { .. }, _) => Probed::NoAnswer,
        (
            Answer::Reply(_),
            Class::App
            | Class::AppFreshSig
            | Class::AppOrJob
            | Class::AppBackOff
            | Class::QuotaUsed,
        ) => Probed::Refused,
        (
            Answer::Reply(_),
            Class::Accepted | Class::Safe | Class::Throttled | Class::InDoubt | Class::Cannot,
        ) => Probed::WorthAJob,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Reply;

    #[test]
    fn only_a_reply_that_does_not_refuse_the_app_is_worth_a_job() {
        let reply = Answer::Reply(Reply {
            http_status: 200,
            error_code: 1,
            error_info: String::new(),
            says_fail: true,
            request_id: None,
            call_id: None,
            callee_results: None,
            callees: Vec::new(),
        });
        for (class, expected) in [
            (Class::Accepted, Probed::WorthAJob),
            (Class::InDoubt, Probed::WorthAJob),
            (Class::Throttled, Probed::WorthAJob),
            (Class::Cannot, Probed::WorthAJob),
            (Class::App, Probed::Refused),
            (Class::AppFreshSig, Probed::Refused),
            (Class::AppOrJob, Probed::Refused),
            (Class::AppBackOff, Probed::Refused),
            (Class::QuotaUsed, Probed::Refused),
        ] {
            assert_eq!(probed(class, &reply), expected, "{class:?}");
        }
        let unreachable = Answer::NotSent {
            detail: String::new(),
            unreachable: true,
        };
        let lost = Answer::Unknown {
            detail: String::new(),
            http_status: Some(502),
        };
        for answer in [unreachable, lost] {
            assert_eq!(probed(Class::InDoubt, &answer), Probed::NoAnswer);
        }
    }
}
