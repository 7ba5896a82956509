//! Whether a callee who was not reached is rung again, and when: `ring_policy`, and the decision
//! that it leads to, as pure functions.
//!
//! Whoever answered, whose ring was ended from our side, or of whom nothing is known is never rung
//! again, and neither is a callee who was refused by the reply: that is `retry_callees`.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{CalleeOutcome, Outcome, OutcomeSource, Reason};

/// The most rings of one callee.
pub const RINGS_MAX: u32 = 20;

/// The most waits of one list.
const WAITS_MAX: usize = 20;

/// The longest wait: as long as Tencent keeps the record of the call before.
const WAIT_MAX: Duration = Duration::from_hours(7 * 24);

/// The longest `min_gap`.
const GAP_MAX: Duration = Duration::from_hours(24);

/// Who is rung again, and after which wait. A wait is counted from when the outcome is known, some
/// seconds after the end of the ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingPolicy {
    /// How often each callee is rung at most, the first time included; 1: once.
    pub max_rings: u32,
    /// The waits after a ring that nobody answered: the first after the first ring. A list that is
    /// shorter than the rings goes on with its last wait; an empty one is never.
    pub no_answer: Vec<Duration>,
    /// Likewise after the callee was busy.
    pub busy: Vec<Duration>,
    /// Likewise after the phone could not be reached, or the network broke off before an answer.
    pub unreachable: Vec<Duration>,
    /// Likewise after the callee declined.
    pub declined: Vec<Duration>,
    /// No wait is shorter.
    pub min_gap: Duration,
}

impl Default for RingPolicy {
    fn default() -> Self {
        let minutes = |minutes: &[u64]| minutes.iter().map(|m| Duration::from_mins(*m)).collect();
        Self {
            max_rings: 1,
            no_answer: minutes(&[10, 30]),
            busy: minutes(&[3, 6]),
            unreachable: minutes(&[15]),
            declined: Vec::new(),
            min_gap: Duration::from_mins(2),
        }
    }
}

/// What the jobs of an app have that give none of their own, by the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobDefaults {
    /// `ring_policy`, as a JSON object; `None`: each callee is rung once.
    pub ring_policy: Option<String>,
    /// After how many seconds a call is ended; `None`: never.
    pub max_call_seconds: Option<u32>,
    /// How long a call lasts at most, in seconds: until then one whose end is not known is reckoned
    /// with.
    pub longest_call_s: u32,
}

impl Default for JobDefaults {
    fn default() -> Self {
        Self {
            ring_policy: None,
            max_call_seconds: None,
            longest_call_s: 1800,
        }
    }
}

/// What is wrong with a `ring_policy`: the key, the value and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} is {found}: must be {allowed}")]
pub struct RingPolicyFault {
    /// The key, as `no_answer[1]`; empty for the whole.
    pub key: String,
    /// What stands there.
    pub found: String,
    /// What may.
    pub allowed: &'static str,
}

impl RingPolicyFault {
    fn new(key: impl Into<String>, found: &Value, allowed: &'static str) -> Self {
        const SHOWN_CHARS_MAX: usize = 60;
        let found = found.to_string().chars().take(SHOWN_CHARS_MAX).collect();
        Self {
            key: key.into(),
            found,
            allowed,
        }
    }
}

impl RingPolicy {
    /// The same with what `given` says; what it leaves out stays.
    ///
    /// # Errors
    /// With the first key that is unknown or has a value that is not allowed.
    pub fn with(mut self, given: &Map<String, Value>) -> Result<Self, RingPolicyFault> {
        for (key, value) in given {
            match key.as_str() {
                "max_rings" => self.max_rings = max_rings(value)?,
                "no_answer" => self.no_answer = waits(key, value)?,
                "busy" => self.busy = waits(key, value)?,
                "unreachable" => self.unreachable = waits(key, value)?,
                "declined" => self.declined = waits(key, value)?,
                "min_gap" => {
                    let gap = value.as_str().and_then(wait);
                    self.min_gap = gap.filter(|gap| *gap <= GAP_MAX).ok_or_else(|| {
                        RingPolicyFault::new(key, value, "a wait from 0s to 1d, as \"2m\"")
                    })?;
                }
                _ => {
                    let allowed = "one of the keys max_rings, no_answer, busy, unreachable, \
                                   declined and min_gap";
                    return Err(RingPolicyFault {
                        key: "a key".to_owned(),
                        found: format!("{:?}", key.chars().take(60).collect::<String>()),
                        allowed,
                    });
                }
            }
        }
        Ok(self)
    }

    /// The policy of a row: the app's, and over it the job's. What cannot be read, as in rows whose
    /// rules were switched off, counts for nothing.
    #[must_use]
    pub fn of_row(app: Option<&str>, job: Option<&str>) -> Self {
        let given = |text: Option<&str>| text.and_then(|text| serde_json::from_str(text).ok());
        [given(app), given(job)]
            .into_iter()
            .flatten()
            .fold(Self::default(), |policy, given: Map<String, Value>| {
                policy.clone().with(&given).unwrap_or(policy)
            })
    }

    /// How long to wait before the callee is rung again; `None`: never.
    fn wait_after(&self, ring: u32, callee: &CalleeOutcome) -> Option<Duration> {
        let waits = match callee.outcome {
            _ if callee.source == OutcomeSource::Reply || callee.accepted_at_ms.is_some() => None,
            Outcome::NoAnswer => Some(&self.no_answer),
            Outcome::Busy => Some(&self.busy),
            Outcome::Unreachable | Outcome::Interrupted => Some(&self.unreachable),
            Outcome::Declined => Some(&self.declined),
            Outcome::Answered | Outcome::Cancelled | Outcome::Unknown => None,
        }?;
        let nth = usize::try_from(ring.saturating_sub(1)).unwrap_or(usize::MAX);
        let wait = waits.get(nth).or(waits.last())?;
        Some((*wait).max(self.min_gap))
    }
}

fn max_rings(value: &Value) -> Result<u32, RingPolicyFault> {
    let rings = value.as_u64().and_then(|rings| u32::try_from(rings).ok());
    rings
        .filter(|rings| (1..=RINGS_MAX).contains(rings))
        .ok_or_else(|| RingPolicyFault::new("max_rings", value, "a whole number from 1 to 20"))
}

fn waits(key: &str, value: &Value) -> Result<Vec<Duration>, RingPolicyFault> {
    let items = value.as_array().filter(|items| items.len() <= WAITS_MAX);
    let items = items.ok_or_else(|| {
        let allowed = "a list of at most 20 waits such as [\"10m\", \"30m\"]; [] is never";
        RingPolicyFault::new(key, value, allowed)
    })?;
    let read = |(n, item): (usize, &Value)| {
        let read = item.as_str().and_then(wait);
        read.filter(|read| (Duration::from_secs(1)..=WAIT_MAX).contains(read))
            .ok_or_else(|| {
                let allowed = "a wait from 1s to 7d, as \"10m\" or \"1h30m\"";
                RingPolicyFault::new(format!("{key}[{n}]"), item, allowed)
            })
    };
    items.iter().enumerate().map(read).collect()
}

/// `90s`, `10m`, `1h30m`, `2d`: up to four numbers of up to six digits with their units, as
/// `callq.wait_seconds` reads it.
fn wait(text: &str) -> Option<Duration> {
    let (mut total, mut digits, mut parts) = (0_u64, String::new(), 0);
    for letter in text.chars() {
        if letter.is_ascii_digit() && digits.len() < 6 {
            digits.push(letter);
            continue;
        }
        let unit = match letter {
            'd' => 86_400,
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        total += digits.parse::<u64>().ok()? * unit;
        digits.clear();
        parts += 1;
    }
    (digits.is_empty() && (1..=4).contains(&parts)).then(|| Duration::from_secs(total))
}

/// What becomes of those whom a call did not reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redial {
    /// Nothing to say: everybody was reached, or the policy rings once.
    Nothing,
    /// These places of the callees are rung again, together, after this wait: the longest of
    /// theirs, so that nobody is rung sooner than the policy says.
    Again {
        /// From 0, ascending; never empty.
        callees: Vec<usize>,
        /// At least `min_gap`.
        after: Duration,
    },
    /// They were rung as often as the policy allows.
    Total,
    /// The policy never rings again after what became of them.
    Outcome,
}

impl Redial {
    /// What the job's row says of it, if there is something to say.
    #[must_use]
    pub const fn reason(&self) -> Option<Reason> {
        match self {
            Self::Nothing => None,
            Self::Again { .. } => Some(Reason::RingAgain),
            Self::Total => Some(Reason::RingTotal),
            Self::Outcome => Some(Reason::RingOutcome),
        }
    }
}

/// Who is rung again after the call in which these callees were rung for the `ring`th time, from 1.
#[must_use]
pub fn redial(policy: &RingPolicy, ring: u32, callees: &[CalleeOutcome]) -> Redial {
    let missed = |callee: &CalleeOutcome| {
        callee.outcome != Outcome::Answered && callee.source != OutcomeSource::Reply
    };
    if policy.max_rings <= 1 || !callees.iter().any(missed) {
        return Redial::Nothing;
    }
    let again: Vec<(usize, Duration)> = (0..)
        .zip(callees)
        .filter_map(|(place, callee)| Some((place, policy.wait_after(ring, callee)?)))
        .collect();
    match again.iter().map(|(_, wait)| *wait).max() {
        None => Redial::Outcome,
        Some(_) if ring >= policy.max_rings => Redial::Total,
        Some(after) => Redial::Again {
            callees: again.into_iter().map(|(place, _)| place).collect(),
            after,
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;
    use serde_json::json;

    use super::*;

    fn read(given: Value) -> Result<RingPolicy, RingPolicyFault> {
        let Value::Object(given) = given else {
            unreachable!("every case is an object")
        };
        RingPolicy::default().with(&given)
    }

    fn callee(outcome: Outcome, accepted: bool) -> CalleeOutcome {
        CalleeOutcome {
            callee: "jack".to_owned(),
            outcome,
            source: OutcomeSource::Record,
            accepted_at_ms: accepted.then_some(1),
            ended_at_ms: None,
            ring_seconds: None,
            talk_seconds: None,
        }
    }

    const MISSED: [Outcome; 5] = [
        Outcome::NoAnswer,
        Outcome::Busy,
        Outcome::Unreachable,
        Outcome::Interrupted,
        Outcome::Declined,
    ];

    #[test]
    fn without_a_policy_everybody_is_rung_once_and_nothing_is_said_of_it() {
        for outcome in MISSED {
            let told = redial(&RingPolicy::default(), 1, &[callee(outcome, false)]);
            assert_eq!(told, Redial::Nothing);
        }
    }

    #[test]
    fn the_wait_is_that_of_the_outcome_and_of_the_ring_and_the_last_one_goes_on() {
        let policy = read(json!({"max_rings": 5, "busy": ["1s", "3m", "6m"]})).expect("allowed");
        let waits =
            [1, 2, 3, 4].map(
                |ring| match redial(&policy, ring, &[callee(Outcome::Busy, false)]) {
                    Redial::Again { after, .. } => after.as_secs(),
                    other => panic!("{other:?}"),
                },
            );
        // The first one is min_gap.
        assert_eq!(waits, [120, 180, 360, 360]);
        assert_eq!(
            redial(&policy, 5, &[callee(Outcome::Busy, false)]),
            Redial::Total
        );
        let declined = [callee(Outcome::Declined, false)];
        assert_eq!(redial(&policy, 1, &declined), Redial::Outcome);
    }

    #[test]
    fn of_a_group_only_those_are_rung_again_who_were_not_reached_and_together() {
        let policy = read(json!({"max_rings": 2})).expect("allowed");
        let refused = CalleeOutcome {
            source: OutcomeSource::Reply,
            ..callee(Outcome::Unreachable, false)
        };
        let group = [
            callee(Outcome::Answered, true),
            callee(Outcome::Busy, false),
            refused.clone(),
            callee(Outcome::NoAnswer, false),
            callee(Outcome::Interrupted, true),
            callee(Outcome::Unknown, false),
        ];
        let expected = Redial::Again {
            callees: vec![1, 3],
            after: Duration::from_mins(10),
        };
        assert_eq!(redial(&policy, 1, &group), expected);
        let reached = [callee(Outcome::Answered, true), refused];
        assert_eq!(redial(&policy, 1, &reached), Redial::Nothing);
    }

    #[test]
    fn a_fault_names_the_key_the_value_and_what_is_allowed() {
        for (given, said) in [
            (
                json!({"max_rings": 0}),
                "max_rings is 0: must be a whole number from 1 to 20",
            ),
            (
                json!({"busy": ["3m", "soon"]}),
                "busy[1] is \"soon\": must be a wait from 1s to 7d, as \"10m\" or \"1h30m\"",
            ),
            (
                json!({"declined": "10m"}),
                "declined is \"10m\": must be a list of at most 20 waits such as [\"10m\", \
                 \"30m\"]; [] is never",
            ),
            (
                json!({"min_gap": "25h"}),
                "min_gap is \"25h\": must be a wait from 0s to 1d, as \"2m\"",
            ),
            (
                json!({"max_ring": 2}),
                "a key is \"max_ring\": must be one of the keys max_rings, no_answer, busy, \
                 unreachable, declined and min_gap",
            ),
        ] {
            assert_eq!(read(given).expect_err("it is wrong").to_string(), said);
        }
    }

    #[test]
    fn the_jobs_own_keys_win_over_the_apps_and_what_cannot_be_read_counts_for_nothing() {
        let app = Some(r#"{"max_rings": 4, "busy": ["1m"]}"#);
        let policy = RingPolicy::of_row(app, Some(r#"{"max_rings": 2}"#));
        assert_eq!((policy.max_rings, policy.busy.len()), (2, 1));
        for job in [None, Some("7"), Some(r#"{"max_rings": "many"}"#)] {
            assert_eq!(RingPolicy::of_row(app, job).max_rings, 4);
        }
    }

    fn any_callee() -> impl Strategy<Value = CalleeOutcome> {
        let outcomes = [
            Outcome::Answered,
            Outcome::Declined,
            Outcome::Busy,
            Outcome::NoAnswer,
            Outcome::Cancelled,
            Outcome::Interrupted,
            Outcome::Unreachable,
            Outcome::Unknown,
        ];
        let sources = [
            OutcomeSource::Record,
            OutcomeSource::Callback,
            OutcomeSource::Reply,
        ];
        (
            select(outcomes.to_vec()),
            select(sources.to_vec()),
            any::<bool>(),
        )
            .prop_map(|(outcome, source, accepted)| CalleeOutcome {
                source,
                ..callee(outcome, accepted || outcome == Outcome::Answered)
            })
    }

    proptest! {
        #[test]
        fn nobody_is_rung_who_was_reached_or_of_whom_nothing_is_known(
            callees in vec(any_callee(), 1..6), max_rings in 1_u32..=20, ring in 1_u32..30,
            gap_s in 0_u64..2000,
        ) {
            let policy = read(json!({
                "max_rings": max_rings, "declined": ["5m"], "min_gap": format!("{gap_s}s"),
            })).expect("allowed");
            if let Redial::Again { callees: again, after } = redial(&policy, ring, &callees) {
                prop_assert!(ring < max_rings && !again.is_empty());
                prop_assert!(after >= policy.min_gap);
                prop_assert!(again.is_sorted());
                for callee in again.iter().map(|place| &callees[*place]) {
                    prop_assert!(MISSED.contains(&callee.outcome));
                    prop_assert!(callee.accepted_at_ms.is_none());
                    prop_assert!(callee.source != OutcomeSource::Reply);
                }
            }
        }

        #[test]
        fn a_chain_of_rings_that_reach_nobody_ends_after_max_rings(
            outcomes in vec(select(&MISSED[..]), 20), max_rings in 1_u32..=20,
        ) {
            let given = json!({"max_rings": max_rings, "declined": ["1m"]});
            let policy = read(given).expect("allowed");
            let mut rings = 1;
            for outcome in outcomes {
                match redial(&policy, rings, &[callee(outcome, false)]) {
                    Redial::Again { .. } => rings += 1,
                    _ => break,
                }
            }
            prop_assert_eq!(rings, max_rings);
        }

        #[test]
        fn no_text_makes_reading_fail_but_with_a_fault(text in ".{0,12}") {
            if let Some(read) = wait(&text) {
                prop_assert!(read <= Duration::from_hours(4 * 999_999 * 24));
            }
        }
    }
}
