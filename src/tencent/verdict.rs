//! What each of Tencent's codes means for a call: one table, one row for each code.
//!
//! A code that is not here is in doubt, because a guess might ring a phone twice. The sources are
//! page numbers: `74505` and `68926` are trtc.io/document pages, `IM 34348` is the error table of
//! Chat, `SDK` is that table as Tencent's client repeats it in `V2TIMErrorCode.h`. Codes of 2xxxx
//! and 9xxxx belong to message commands and are not expected here; they are classed all the same.

use crate::call::{Answer, Class, Reply};

/// What a code means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What it means for the job and the app.
    pub class: Class,
    /// What it says, in our words, for people.
    pub meaning: &'static str,
    /// The page it is from; empty for a code that no page lists.
    pub source: &'static str,
}

/// What `code` means; [`Class::InDoubt`] for a code that is not in the table.
#[must_use]
pub fn verdict(code: i64) -> Verdict {
    match TABLE.binary_search_by_key(&code, |(code, _)| *code) {
        Ok(row) => TABLE[row].1,
        Err(_) => Verdict {
            class: Class::InDoubt,
            meaning: "a code that no page lists",
            source: "",
        },
    }
}

/// Every code of the table, in ascending order.
pub fn verdicts() -> impl Iterator<Item = (i64, Verdict)> {
    TABLE.iter().copied()
}

/// The class of an answer, as far as it can be told from the answer alone.
///
/// A well-formed envelope decides, whatever the HTTP status. That some or all callees of an
/// accepted call were refused is not told here: their codes have no documented meaning.
#[must_use]
pub fn classify(answer: &Answer) -> Class {
    match answer {
        Answer::NotSent { .. } => Class::Safe,
        Answer::Unknown { .. } => Class::InDoubt,
        // 0 with FAIL is a contradiction, and one half of it says that phones ring.
        Answer::Reply(reply) if reply.error_code == 0 && reply.says_fail => Class::InDoubt,
        // So is a refusal that names a call, or somebody who was called.
        Answer::Reply(reply) if reply.error_code != 0 && names_a_call(reply) => Class::InDoubt,
        Answer::Reply(reply) => verdict(reply.error_code).class,
    }
}

/// Whether the reply carries what only a call that was started has.
fn names_a_call(reply: &Reply) -> bool {
    reply.call_id.is_some() || reply.callees.iter().any(|c| c.result_code == Some(0))
}

// In braces, so that the formatter leaves one line for each code.
macro_rules! table {
    ($($code:literal $class:ident $source:literal $meaning:literal;)*) => {
        &[$(($code, Verdict { class: Class::$class, meaning: $meaning, source: $source })),*]
    };
}

/// Sorted by code.
///
/// Where it is stricter or other than the list it is made from, a comment says why. Codes with two
/// readings take the one that may not ring a phone twice, and among those the one that spares
/// other jobs of the app.
#[rustfmt::skip]
const TABLE: &[(i64, Verdict)] = table! {
    // The access layer answers these before a command is dispatched.
    -10114  Throttled   "IM 34348" "the access layer is overloaded";
    -10113  Throttled   "IM 34348" "too many requests for the access layer";
    -10110  App         "IM 34348" "the app is on a block list";
    -10108  App         "IM 34348" "the app is in arrears";
    0       Accepted    "74505"    "accepted";
    20002   App         "IM 34348" "internal authentication failed or the UserSig expired";
    20003   Cannot      "IM 34348" "an account is invalid or was not imported";
    20004   InDoubt     "IM 34348" "a network fault inside Tencent";
    20005   InDoubt     "IM 34348" "an internal error of Tencent";
    20007   Cannot      "IM 34348" "the callee has blocked the caller";
    22001   App         "IM 34348" "no push certificate was uploaded for the app";
    // The old call API's "no Group Call package" would be the app's, Chat's "account not found" is
    // the job's; the second spares the other jobs, and neither rang anybody.
    50001   Cannot      "60130"    "account not found (in the old call API: package missing)";
    60002   Cannot      "IM 34348" "the request's HTTP form or URL cannot be read";
    60003   Cannot      "IM 34348" "the request's JSON cannot be read";
    60004   AppOrJob    "IM 34348" "account or signature is wrong, or could not be checked";
    60005   AppOrJob    "IM 34348" "account or signature is wrong, or could not be checked";
    60006   App         "IM 34348" "the SDKAppID is invalid";
    60007   Throttled   "IM 34348" "too many REST requests";
    // Often read as a fault of form; Tencent's staff say that it is a timeout (TIMSDK#308).
    60008   InDoubt     "IM 34348" "a service of Tencent's timed out";
    60009   App         "IM 34348" "no such resource: host or path is wrong";
    60010   App         "IM 34348" "the account is not an administrator of the app";
    60011   Throttled   "IM 34348" "too many requests for this SDKAppID";
    60012   App         "IM 34348" "the SDKAppID is missing";
    60013   InDoubt     "IM 34348" "an inner reply cannot be read: the request may have acted";
    // Probably before the call began, but no page says so.
    60014   InDoubt     "IM 34348" "the exchange of accounts timed out";
    60015   Cannot      "IM 34348" "an account is not a string";
    60016   App         "IM 34348" "the SDKAppID is disabled";
    60017   App         "IM 34348" "this request is disabled for the app";
    60018   Throttled   "IM 34348" "requests come too often";
    60019   Throttled   "IM 34348" "requests come too often";
    60020   App         "IM 34348" "no package: not bought, expired, in arrears or not yet active";
    60021   App         "IM 34348" "this machine's address is not on the app's allow list";
    60025   App         "IM 34348" "a parameter of the URL is wrong";
    60026   App         "IM 34348" "the host is not that of the SDKAppID's site";
    60027   App         "IM 34348" "the app's product does not include this request";
    60028   QuotaUsed   "IM 34348" "the trial's REST quota of 24 hours is used up";
    70001   AppFreshSig "IM 34348" "the UserSig has expired";
    70002   App         "SDK"      "the UserSig is empty";
    70003   App         "IM 34348" "the UserSig is illegal: cut or garbled";
    70005   App         "IM 34348" "the UserSig is illegal: cut or garbled";
    70009   App         "IM 34348" "the UserSig was signed with another app's key";
    70013   App         "IM 34348" "the UserSig was made for another account";
    70014   App         "IM 34348" "the UserSig was made for another SDKAppID";
    70016   App         "IM 34348" "Tencent has no key for the app, or the host is another site's";
    70020   App         "IM 34348" "no such SDKAppID at this site";
    70050   AppBackOff  "IM 34348" "the UserSig failed too often: wait for at least a minute";
    // The app's if it is the administrator, the job's if it is the callee; which is not told, and
    // the second spares the other jobs.
    70051   Cannot      "IM 34348" "an account is on a block list";
    70052   AppFreshSig "SDK"      "the UserSig was revoked";
    70107   Cannot      "IM 34348" "an account was not imported";
    70114   App         "SDK"      "restricted for reasons of security";
    70169   InDoubt     "IM 34348" "an internal timeout of Tencent";
    70206   Cannot      "SDK"      "the number of accounts in the request is invalid";
    70398   App         "IM 34348" "the app holds as many accounts as it may (a trial: 100)";
    70399   InDoubt     "IM 34348" "a listed code whose meaning is not confirmed";
    70402   Cannot      "IM 34348" "a parameter is illegal or a required field is missing";
    70403   App         "IM 34348" "only an administrator may do this";
    70500   InDoubt     "IM 34348" "an internal error of Tencent";
    71000   App         "IM 34348" "the feature is not enabled for the app";
    72000   App         "IM 34348" "the app's quota of active users is used up";
    72001   App         "IM 34348" "the feature is not enabled for the app";
    72002   App         "IM 34348" "the app's quota of active users is used up";
    72010   Throttled   "IM 34348" "requests come too often";
    72011   App         "IM 34348" "the feature is not available to the app";
    72012   App         "IM 34348" "the feature is not available to the app";
    80001   Cannot      "IM 34348" "the content was refused by moderation";
    80002   Cannot      "IM 34348" "the body is longer than 12 KB";
    80005   App         "IM 34348" "the moderation service is deactivated";
    90001   Cannot      "IM 34348" "a parameter of a message is wrong";
    90002   Cannot      "IM 34348" "a parameter of a message is wrong";
    90003   Cannot      "IM 34348" "a parameter of a message is wrong";
    90005   Cannot      "IM 34348" "a parameter of a message is wrong";
    90006   Cannot      "IM 34348" "a parameter of a message is wrong";
    90007   Cannot      "IM 34348" "a parameter of a message is wrong";
    90008   Cannot      "IM 34348" "a parameter of a message is wrong";
    90009   App         "IM 34348" "only an administrator may do this";
    90010   Cannot      "IM 34348" "a parameter of a message is wrong";
    90011   Cannot      "IM 34348" "a parameter of a message is wrong";
    90012   Cannot      "IM 34348" "a parameter of a message is wrong";
    90026   Cannot      "IM 34348" "a parameter of a message is wrong";
    90031   Cannot      "IM 34348" "a parameter of a message is wrong";
    90043   Cannot      "IM 34348" "a field of the offline push is wrong";
    90044   Cannot      "IM 34348" "a parameter of a message is wrong";
    90047   Cannot      "IM 34348" "a parameter of a message is wrong";
    90048   Cannot      "IM 34348" "an account does not exist";
    90055   Cannot      "IM 34348" "a parameter of a message is wrong";
    90057   Throttled   "IM 34348" "requests come too often";
    90992   InDoubt     "IM 34348" "an internal error of Tencent";
    90994   InDoubt     "IM 34348" "an internal error of Tencent";
    90995   InDoubt     "IM 34348" "an internal error of Tencent";
    91000   InDoubt     "IM 34348" "an internal error of Tencent";
    93000   Cannot      "IM 34348" "the message is too long";
    // The codes of call_config: not expected of start_call_by_robot, so nothing is proved by them
    // but by the one that names a bad parameter.
    100_001 InDoubt     "68938"    "an internal error of Tencent (call_config)";
    100_002 Cannot      "68938"    "a parameter is invalid (call_config)";
    100_301 InDoubt     "68938"    "no callback is configured (call_config)";
    // "Retry", says the page, but not that nothing was started.
    101_001 InDoubt     "74505"    "an internal error of the call service";
    101_002 Cannot      "74505"    "a parameter is invalid";
    // Success for end_call and "over" for get_call_info. As an answer to starting a call it would
    // mean that one existed, so it is in doubt; likewise 101050, which belongs to records alone.
    101_004 InDoubt     "74505"    "the call does not exist or has ended";
    101_050 InDoubt     "68930"    "no record of the call";
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::CalleeResult;
    use Class::{
        Accepted, App, AppBackOff, AppFreshSig, AppOrJob, Cannot, InDoubt, QuotaUsed, Safe,
        Throttled,
    };

    fn reply(error_code: i64, says_fail: bool, http_status: u16) -> Answer {
        Answer::Reply(Reply {
            http_status,
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
    fn a_refusal_that_names_a_call_is_a_contradiction_and_so_a_doubt() {
        let callee = |result_code| CalleeResult {
            callee: "ann".to_owned(),
            result_code,
        };
        for code in [60007, 60020, 70001, 70107, 101_002, 60028] {
            for (call_id, callees, doubt) in [
                (Some("c-1".to_owned()), vec![], true),
                (None, vec![callee(Some(6)), callee(Some(0))], true),
                (None, vec![callee(Some(6)), callee(None)], false),
            ] {
                let Answer::Reply(plain) = reply(code, true, 200) else {
                    unreachable!("it is a reply")
                };
                let class = classify(&Answer::Reply(Reply {
                    call_id,
                    callees,
                    ..plain
                }));
                assert_eq!(class == InDoubt, doubt, "{code}");
            }
        }
    }

    /// Typed from the list of codes, not from the table.
    const LISTED: &[(Class, &[i64])] = &[
        (Accepted, &[0]),
        (
            Throttled,
            &[60007, 60011, 60018, 60019, 72010, 90057, -10113, -10114],
        ),
        (QuotaUsed, &[60028]),
        (AppFreshSig, &[70001, 70052]),
        (AppOrJob, &[60004, 60005]),
        (AppBackOff, &[70050]),
        (
            App,
            &[
                60006, 60009, 60010, 60012, 60016, 60017, 60020, 60021, 60025, 60026, 60027, 70002,
                70003, 70005, 70009, 70013, 70014, 70016, 70020, 70114, 70398, 70403, 71000, 72000,
                72001, 72002, 72011, 72012, 80005, 90009, 20002, 22001, -10108, -10110,
            ],
        ),
        (
            Cannot,
            &[
                60002, 60003, 60015, 70051, 70107, 70206, 70402, 80001, 80002, 90001, 90002, 90003,
                90005, 90006, 90007, 90008, 90010, 90011, 90012, 90026, 90031, 90043, 90044, 90047,
                90055, 90048, 93000, 20003, 20007, 50001, 100_002, 101_002,
            ],
        ),
        (
            InDoubt,
            &[
                60008, 60013, 60014, 70169, 70399, 70500, 90992, 90994, 90995, 91000, 20004, 20005,
                100_001, 100_301, 101_001, 101_004, 101_050,
            ],
        ),
    ];

    #[test]
    fn every_listed_code_has_its_class() {
        for (class, codes) in LISTED {
            for code in *codes {
                assert_eq!(verdict(*code).class, *class, "{code}");
                assert!(
                    !verdict(*code).source.is_empty(),
                    "{code} is not in the table"
                );
            }
        }
    }

    #[test]
    fn the_table_holds_no_code_that_is_not_listed() {
        let listed: usize = LISTED.iter().map(|(_, codes)| codes.len()).sum();
        assert_eq!(TABLE.len(), listed);
    }

    #[test]
    fn the_table_is_sorted_and_every_row_says_something() {
        assert!(TABLE.is_sorted_by(|(one, _), (next, _)| one < next));
        for (code, verdict) in TABLE {
            assert!(
                !verdict.meaning.is_empty() && !verdict.source.is_empty(),
                "{code}"
            );
        }
    }

    #[test]
    fn an_unknown_code_is_in_doubt() {
        for code in [
            1,
            -1,
            60001,
            60022,
            69999,
            70004,
            101_003,
            130_000,
            i64::MAX,
            i64::MIN,
        ] {
            assert_eq!(verdict(code).class, InDoubt, "{code}");
        }
    }

    #[test]
    fn an_envelope_decides_whatever_the_http_status() {
        for http_status in [200, 307, 404, 502] {
            assert_eq!(classify(&reply(0, false, http_status)), Accepted);
            assert_eq!(classify(&reply(60007, true, http_status)), Throttled);
        }
    }

    #[test]
    fn fail_with_code_0_is_in_doubt() {
        assert_eq!(classify(&reply(0, true, 200)), InDoubt);
    }

    #[test]
    fn not_sent_is_safe_and_unknown_is_in_doubt() {
        let not_sent = |unreachable| Answer::NotSent {
            detail: String::new(),
            unreachable,
        };
        assert_eq!(classify(&not_sent(true)), Safe);
        assert_eq!(classify(&not_sent(false)), Safe);
        let unknown = |http_status| Answer::Unknown {
            detail: String::new(),
            http_status,
        };
        assert_eq!(classify(&unknown(None)), InDoubt);
        assert_eq!(classify(&unknown(Some(413))), InDoubt);
    }
}
