//! The model stands for something: what its steps name is there, and they decide as `callq::call::decide`
//! does.

use std::fs;
use std::path::Path;
use std::time::Duration;

use callq::call::{
    self, Answer as Real, AppHealth, OnDoubt as RealPolicy, Policy, RefusedCallees, Reply, Tried,
};
use callq::tencent;

use super::rows::decide;
use super::setting::{OnDoubt, Setting};
use super::state::{Answer, AttemptState, Class, JobState};

/// The names in backquotes above each step, by step.
fn named() -> Vec<(String, Vec<String>)> {
    let text = include_str!("actions.rs");
    let start = text.find("pub(crate) enum Action {").expect("it is there");
    let body = &text[start..start + text[start..].find("\n}").expect("it ends")];
    let mut steps = Vec::new();
    let mut doc = String::new();
    for line in body.lines().skip(1).map(str::trim) {
        if let Some(words) = line.strip_prefix("///") {
            doc += words;
        } else {
            let names = doc
                .split('`')
                .skip(1)
                .step_by(2)
                .map(str::to_owned)
                .collect();
            let step: String = line.chars().take_while(|c| c.is_alphanumeric()).collect();
            steps.push((step, names));
            doc.clear();
        }
    }
    steps
}

/// Whether a name in a step's doc is there: a file, `file: item`, `Store::verb`, or a function of the
/// database.
fn is_there(name: &str) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let all = |folder: &str| {
        let files = fs::read_dir(root.join(folder)).expect("it can be listed");
        let texts =
            files.filter_map(|file| fs::read_to_string(file.expect("it is there").path()).ok());
        texts.collect::<Vec<_>>().join("\n")
    };
    if let Some((file, item)) = name.split_once(": ") {
        let text = fs::read_to_string(root.join(file)).unwrap_or_default();
        let kinds = ["fn ", "struct ", "const "];
        kinds
            .iter()
            .any(|kind| text.contains(&format!("{kind}{item}")))
    } else if let Some(verb) = name.strip_prefix("Store::") {
        let text = all("src/store");
        ["(", "<"]
            .iter()
            .any(|next| text.contains(&format!("pub async fn {verb}{next}")))
    } else if let Some(verb) = name.strip_prefix("callq.") {
        all("migrations").contains(&format!("FUNCTION callq.{verb}("))
    } else if name == "now()" {
        true
    } else {
        root.join(name).is_file()
    }
}

#[test]
fn every_step_of_the_model_names_what_it_stands_for() {
    let steps = named();
    assert!(steps.len() > 20, "only {} steps were read", steps.len());
    for (step, names) in steps {
        let mutation = step == "ReadUnlocked";
        assert!(mutation || !names.is_empty(), "{step} names nothing");
        for name in names {
            assert!(
                is_there(&name),
                "{step} stands for {name}, which is not there"
            );
        }
    }
}

/// What the real client would return.
pub(crate) fn real_answer(answer: Answer) -> Option<Real> {
    let reply = |error_code| {
        Real::Reply(Reply {
            http_status: 200,
            error_code,
            error_info: String::new(),
            says_fail: false,
            request_id: None,
            call_id: None,
            callee_results: None,
            callees: Vec::new(),
        })
    };
    let detail = || "as the model says".to_owned();
    Some(match answer {
        Answer::Accepted => reply(0),
        Answer::Throttled => reply(60011),
        Answer::Cannot => reply(60002),
        Answer::DoubtfulCode => reply(60008),
        Answer::NoReply => Real::Unknown {
            detail: detail(),
            http_status: None,
        },
        Answer::Unreachable => Real::NotSent {
            detail: detail(),
            unreachable: true,
        },
        Answer::Unsendable => Real::NotSent {
            detail: detail(),
            unreachable: false,
        },
        Answer::HeldBack | Answer::TooLate => return None,
    })
}

#[test]
fn the_models_verdicts_are_those_of_the_worker() {
    for answer in [
        Answer::Accepted,
        Answer::Throttled,
        Answer::Unsendable,
        Answer::Cannot,
        Answer::DoubtfulCode,
        Answer::NoReply,
        Answer::Unreachable,
    ] {
        let real = real_answer(answer).expect("a request came to it");
        let class = tencent::classify(&real);
        for (max_attempts, used, deadline, policy) in cases() {
            let setting = Setting {
                max_attempts,
                on_doubt: policy,
                ..Setting::SMALL
            };
            let model = decide(&setting, answer, used, deadline);
            let verdict = call::decide(
                &real_policy(&setting, used),
                &tried(deadline),
                class,
                &real,
                AppHealth::Unproven,
            );
            let of = format!("{answer:?} with {used} of {max_attempts}, {deadline} left");
            assert_eq!(verdict.next.as_str(), word(model.next), "{of}");
            assert_eq!(verdict.counts(), model.counts, "{of}");
            assert!(
                verdict.reason.as_str().starts_with(model.reason),
                "{of}: {:?}",
                verdict.reason
            );
            assert_eq!(class.family().as_str(), class_word(model.class), "{of}");
        }
    }
}

fn cases() -> impl Iterator<Item = (i8, i8, u8, OnDoubt)> {
    let policies = [OnDoubt::Hold, OnDoubt::Retry];
    (1..4).flat_map(move |max| {
        (0..4).flat_map(move |used| {
            [0, 1]
                .into_iter()
                .flat_map(move |left| policies.map(|policy| (max, used, left, policy)))
        })
    })
}

/// The policy of the model's job as the worker reads it from its row.
pub(crate) fn real_policy(setting: &Setting, used: i8) -> Policy {
    let number = |n: i8| u32::try_from(n).expect("it is not negative");
    Policy {
        attempts_used: number(used),
        max_attempts: number(setting.max_attempts),
        on_doubt: match setting.on_doubt {
            OnDoubt::Hold => RealPolicy::Hold,
            OnDoubt::Retry => RealPolicy::Retry,
        },
        ring_timeout: Duration::from_secs(45),
        refused_callees: RefusedCallees::LeaveAlone,
    }
}

/// An attempt whose deadline has passed, or is far.
pub(crate) fn tried(deadline: u8) -> Tried {
    Tried {
        attempt: 1,
        seed: 7,
        deadline_left: Some(if deadline == 0 {
            Duration::ZERO
        } else {
            Duration::from_hours(1)
        }),
    }
}

/// The word of `callq.job_state`.
pub(crate) fn word(state: JobState) -> &'static str {
    match state {
        JobState::Scheduled => "scheduled",
        JobState::Dialing => "dialing",
        JobState::InDoubt => "in_doubt",
        JobState::Placed => "placed",
        JobState::Failed => "failed",
        JobState::Expired => "expired",
        JobState::Cancelled => "cancelled",
        JobState::Unresolved => "unresolved",
    }
}

/// The word of `callq.attempts.class`.
pub(crate) fn class_word(class: Class) -> &'static str {
    match class {
        Class::Accepted => "accepted",
        Class::Safe => "safe",
        Class::InDoubt => "in_doubt",
        Class::Cannot => "cannot",
    }
}

/// The word of `callq.attempt_state`.
pub(crate) fn attempt_word(state: AttemptState) -> &'static str {
    match state {
        AttemptState::Claimed => "claimed",
        AttemptState::NotSent => "not_sent",
        AttemptState::Replied => "replied",
        AttemptState::Unknown => "unknown",
    }
}
