//! What an answer means to a command that rings nobody: one table, one row for each code that is
//! special to a command, and one rule for the codes that are general.
//!
//! All of these commands may be sent again whatever came of them, so a timeout of Tencent's, which
//! makes a call a doubt, is no more here than a reason to try again.

use super::verdict::verdict;
use crate::call::{Answer, Class};

/// A command that rings nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// Looks at a call (68932).
    GetCallInfo,
    /// Ends a call (74506).
    EndCall,
    /// Reads one record (68930).
    GetRecordByCallId,
    /// Lists records (68931).
    GetRecordByFilter,
    /// Asks where callbacks go (68937).
    GetCallback,
    /// Says where callbacks go (68938).
    SetCallback,
    /// Has no callbacks sent any more (68939).
    DeleteCallback,
}

impl Command {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::GetCallInfo,
        Self::EndCall,
        Self::GetRecordByCallId,
        Self::GetRecordByFilter,
        Self::GetCallback,
        Self::SetCallback,
        Self::DeleteCallback,
    ];

    /// Its path.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::GetCallInfo => "/v4/call_engine_http_srv/get_call_info",
            Self::EndCall => "/v4/call_engine_http_srv/end_call",
            Self::GetRecordByCallId => "/v4/call_record_http_srv/get_record_by_callid",
            Self::GetRecordByFilter => "/v4/call_record_http_srv/get_record_by_filter",
            Self::GetCallback => "/v4/call_config/get_callback",
            Self::SetCallback => "/v4/call_config/set_callback",
            Self::DeleteCallback => "/v4/call_config/delete_callback",
        }
    }
}

/// What an answer means to a command that rings nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Judgement {
    /// It is done, or there was nothing to do: what was asked for is answered.
    Done,
    /// Not now: the same command may well succeed later.
    TryAgain,
    /// Never: the same command will be refused again.
    Refused,
    /// Credentials, package or host of the app are wrong: no command of the app will succeed.
    AppFault,
    /// No page lists the code, or the answer contradicts itself.
    Unknown,
}

/// What a code means to a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    /// What follows from it.
    pub judgement: Judgement,
    /// What it says, in our words, for people.
    pub meaning: &'static str,
    /// The page it is from; empty for a code that no page lists.
    pub source: &'static str,
}

/// What `code` means to `command`.
#[must_use]
pub fn judged(command: Command, code: i64) -> Judged {
    let special = TABLE
        .iter()
        .find(|(of, special, _)| *of == command && *special == code);
    special.map_or_else(|| general(code), |(_, _, judged)| *judged)
}

/// The rows of the codes that are special to a command.
pub fn command_rows() -> impl Iterator<Item = (Command, i64, Judged)> {
    TABLE.iter().copied()
}

/// What `answer` means to `command`.
#[must_use]
pub fn judge(command: Command, answer: &Answer) -> Judgement {
    match answer {
        Answer::NotSent { .. } | Answer::Unknown { .. } => Judgement::TryAgain,
        Answer::Reply(reply) if reply.error_code == 0 && reply.says_fail => Judgement::Unknown,
        Answer::Reply(reply) => judged(command, reply.error_code).judgement,
    }
}

/// By the table of calls: its codes of 6xxxx and 7xxxx belong to every command.
fn general(code: i64) -> Judged {
    let row = verdict(code);
    let judgement = match row.class {
        Class::InDoubt if row.source.is_empty() => Judgement::Unknown,
        Class::Accepted => Judgement::Done,
        Class::Safe | Class::Throttled | Class::QuotaUsed | Class::InDoubt => Judgement::TryAgain,
        Class::App | Class::AppFreshSig | Class::AppOrJob | Class::AppBackOff => {
            Judgement::AppFault
        }
        Class::Cannot => Judgement::Refused,
    };
    Judged {
        judgement,
        meaning: row.meaning,
        source: row.source,
    }
}

// In braces, so that the formatter leaves one line for each code.
macro_rules! table {
    ($($command:ident $code:literal $judgement:ident $source:literal $meaning:literal;)*) => {
        &[$((
            Command::$command,
            $code,
            Judged {
                judgement: Judgement::$judgement,
                meaning: $meaning,
                source: $source,
            },
        )),*]
    };
}

/// The codes that a page lists for a command, but for 0, and those that belong to the others of its
/// family and were a surprise from it.
#[rustfmt::skip]
const TABLE: &[(Command, i64, Judged)] = table! {
    GetCallInfo       101_001 TryAgain "68932" "an internal error of the call service";
    GetCallInfo       101_002 Refused  "68932" "a parameter is invalid";
    // The answer to the question: it is over, or never was.
    GetCallInfo       101_004 Done     "68932" "the call does not exist or has ended";
    GetCallInfo       101_050 Unknown  "68930" "no record of the call (a code of records)";
    EndCall           101_001 TryAgain "74506" "an internal error of the call service";
    EndCall           101_002 Refused  "74506" "a parameter is invalid";
    // What was wanted.
    EndCall           101_004 Done     "74506" "the call does not exist or has ended";
    EndCall           101_050 Unknown  "68930" "no record of the call (a code of records)";
    GetRecordByCallId 101_001 TryAgain "68930" "an internal error of the record service";
    // For records no page lists it, but it is what its family says of a bad field.
    GetRecordByCallId 101_002 Refused  "74505" "a parameter is invalid";
    GetRecordByCallId 101_004 Unknown  "74506" "the call does not exist or has ended";
    // It goes on, has just ended, or ended more than 7 days ago: who asks knows which it can be.
    GetRecordByCallId 101_050 Done     "68930" "no record of the call, which may still go on";
    GetRecordByFilter 101_001 TryAgain "68931" "an internal error of the record service";
    GetRecordByFilter 101_002 Refused  "74505" "a parameter is invalid";
    GetRecordByFilter 101_004 Unknown  "74506" "the call does not exist or has ended";
    // An empty list is what a span without records gets; this would be another way to say so.
    GetRecordByFilter 101_050 Unknown  "68930" "no record of the call";
    GetCallback       100_001 TryAgain "68937" "an internal error of Tencent";
    GetCallback       100_002 Refused  "68937" "a parameter is invalid";
    GetCallback       100_301 Done     "68937" "no callback is configured";
    SetCallback       100_001 TryAgain "68938" "an internal error of Tencent";
    SetCallback       100_002 Refused  "68938" "a parameter is invalid";
    SetCallback       100_301 Unknown  "68938" "no callback is configured";
    DeleteCallback    100_001 TryAgain "68939" "an internal error of Tencent";
    DeleteCallback    100_002 Refused  "68939" "a parameter is invalid";
    DeleteCallback    100_301 Done     "68939" "no callback is configured";
};

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::call::{Family, Reply};
    use crate::tencent::verdicts;

    fn reply(error_code: i64, says_fail: bool) -> Answer {
        Answer::Reply(Reply {
            http_status: 200,
            error_code,
            error_info: String::new(),
            says_fail,
            request_id: None,
            call_id: None,
            callee_results: None,
            callees: Vec::new(),
        })
    }

    #[test]
    fn the_codes_of_a_command_mean_what_its_page_says() {
        use Command::{
            DeleteCallback, EndCall, GetCallInfo, GetCallback, GetRecordByCallId,
            GetRecordByFilter, SetCallback,
        };
        use Judgement::{AppFault, Done, Refused, TryAgain, Unknown};
        for (commands, code, judgement) in [
            (&Command::ALL[..], 0, Done),
            (&Command::ALL, 60_007, TryAgain),
            (&Command::ALL, 60_008, TryAgain),
            (&Command::ALL, 60_028, TryAgain),
            (&Command::ALL, 60_026, AppFault),
            (&Command::ALL, 70_001, AppFault),
            (&Command::ALL, 60_004, AppFault),
            (&Command::ALL, 60_003, Refused),
            (&Command::ALL, 130_000, Unknown),
            (&[EndCall, GetCallInfo], 101_004, Done),
            (&[GetRecordByCallId, GetRecordByFilter], 101_004, Unknown),
            (&[GetRecordByCallId], 101_050, Done),
            (&[EndCall, GetCallInfo], 101_050, Unknown),
            (
                &[EndCall, GetCallInfo, GetRecordByCallId, GetRecordByFilter],
                101_001,
                TryAgain,
            ),
            (&[GetCallback, DeleteCallback], 100_301, Done),
            (&[SetCallback], 100_301, Unknown),
            (
                &[GetCallback, SetCallback, DeleteCallback],
                100_002,
                Refused,
            ),
        ] {
            for command in commands {
                let told = judge(*command, &reply(code, code != 0));
                assert_eq!(told, judgement, "{command:?} {code}");
            }
        }
    }

    #[test]
    fn a_row_is_given_once_and_says_something() {
        let mut rows = HashSet::new();
        for (command, code, judged) in command_rows() {
            assert!(rows.insert((command, code)), "{command:?} {code}");
            assert!(!judged.source.is_empty() && !judged.meaning.is_empty());
        }
    }

    #[test]
    fn a_code_that_refuses_the_app_refuses_it_to_every_command() {
        let of_apps = verdicts().filter(|(_, verdict)| verdict.class.family() == Family::App);
        for (code, _) in of_apps {
            for command in Command::ALL {
                let judgement = judged(command, code).judgement;
                assert_eq!(judgement, Judgement::AppFault, "{command:?} {code}");
            }
        }
    }

    #[test]
    fn no_answer_is_worth_another_try_and_a_contradiction_is_unknown() {
        let lost = Answer::Unknown {
            detail: String::new(),
            http_status: Some(502),
        };
        let unsent = Answer::NotSent {
            detail: String::new(),
            unreachable: true,
        };
        for command in Command::ALL {
            assert_eq!(judge(command, &lost), Judgement::TryAgain);
            assert_eq!(judge(command, &unsent), Judgement::TryAgain);
            assert_eq!(judge(command, &reply(0, true)), Judgement::Unknown);
        }
    }
}
