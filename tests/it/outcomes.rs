//! What the client reads of calls to the sandbox, put together, is what the sandbox knows became of
//! them: whatever happened to the callbacks.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use callq::call::{Answer, StartCall, StartCallFields};
use callq::call::{CalleeResult, Evidence, Outcome, OutcomeSource, outcomes};
use callq::sandbox::{
    CallbackFaults, Clock, SANDBOX_ADMIN_ACCOUNT, SANDBOX_SDK_APP_ID, SANDBOX_SECRET_KEY, Sandbox,
    SandboxConfig,
};
use callq::tencent::{
    Command, Credential, Host, Judgement, RecordWindow, Settings, TencentClient, UserSigs, judge,
    read_callback,
};
use serde_json::Value;

use crate::support::receiver::Receiver;

const NOW: i64 = 1_700_000_000;
const SOON: Duration = Duration::from_mins(1);

/// Longer than a callback may take.
const A_WHILE: Duration = Duration::from_secs(5);

/// Whom calls are to: every way in which a phone can end.
const KINDS: [&str; 9] = [
    "jack",
    "answer-7-",
    "talk-90-",
    "busy-",
    "noanswer-",
    "decline-",
    "interrupt-",
    "offline-",
    "badcode-5-",
];

struct Bench {
    sandbox: Sandbox,
    client: TencentClient,
    receiver: Receiver,
    /// When requests are signed.
    signed_at: i64,
    evidence: HashMap<String, (Vec<String>, Vec<Evidence>)>,
}

impl Bench {
    async fn start(callback_faults: CallbackFaults) -> Self {
        let fixed = SandboxConfig {
            clock: Clock::Fixed(NOW),
            callback_faults,
            ..SandboxConfig::default()
        };
        Self::with(fixed).await
    }

    async fn with(config: SandboxConfig) -> Self {
        let receiver = Receiver::start().await;
        let sandbox = Sandbox::start(SandboxConfig {
            calls_per_second_limit: 0,
            callback_url: Some(receiver.url().to_owned()),
            ..config
        });
        let sandbox = sandbox.await.unwrap();
        let sdk_app_id = u32::try_from(SANDBOX_SDK_APP_ID).unwrap();
        let key = Credential::SecretKey(SANDBOX_SECRET_KEY.into());
        let client = TencentClient::new(Settings {
            host: Host::new(&sandbox.url()).unwrap(),
            user_sigs: UserSigs::new(sdk_app_id, SANDBOX_ADMIN_ACCOUNT, key).unwrap(),
            request_timeout: Duration::from_secs(30),
            https_proxy: None,
        });
        Self {
            sandbox,
            client: client.unwrap(),
            receiver,
            signed_at: NOW,
            evidence: HashMap::new(),
        }
    }

    async fn call(&mut self, callees: Vec<String>) {
        let call = StartCall::new(StartCallFields {
            robot_account: "bot",
            callees: &callees,
            media_type: "Audio",
            room_id: "room",
            room_id_type: 2,
            ring_timeout_ms: 45_000,
            user_data: None,
            offline_push: None,
        });
        let answer = self
            .client
            .start_call_by_robot(&call.unwrap(), fastrand::u32(..), self.signed_at)
            .await;
        let Answer::Reply(reply) = answer else {
            panic!("{answer:?}")
        };
        let results: Vec<CalleeResult> = reply.callees;
        self.evidence.insert(
            reply.call_id.unwrap(),
            (callees, vec![Evidence::Reply(results)]),
        );
    }

    /// Waits until everybody has hung up, and everything was told that will be.
    async fn quiet(&self) {
        self.sandbox.advance(Duration::from_hours(2));
        // What nobody took in time is sent again, by a clock that stands still.
        for _ in 0..30 {
            let quiet = self.sandbox.wait_for_outcomes(A_WHILE, |tally, callbacks| {
                tally.pending == 0 && callbacks.waiting == 0 && callbacks.events > 0
            });
            if quiet.await.is_ok() {
                return;
            }
            self.sandbox.advance(Duration::from_secs(10));
        }
        panic!("it does not become quiet");
    }

    /// Reads every record there is, page by page, with a total that does not change.
    async fn read_records(&mut self) {
        let now = self.sandbox.now_ms() / 1000;
        let (mut page, mut read, mut total) = (1, 0, None);
        loop {
            let window = RecordWindow {
                from_unix: NOW - 60,
                to_unix: now,
                page,
            };
            let answered = self
                .client
                .get_record_by_filter(window, fastrand::u32(..), NOW)
                .await;
            assert_eq!(
                judge(Command::GetRecordByFilter, &answered.answer),
                Judgement::Done
            );
            assert_eq!(
                answered.date_unix,
                Some(now),
                "the sandbox's time is Tencent's clock"
            );
            assert_eq!(
                (*total.get_or_insert(answered.total), answered.unreadable),
                (answered.total, 0)
            );
            if answered.records.is_empty() {
                break;
            }
            read += answered.records.len() as u64;
            for record in answered.records {
                let (_, evidence) = self
                    .evidence
                    .get_mut(&record.call_id)
                    .expect("it is one of ours");
                evidence.push(Evidence::Record(record));
            }
            page += 1;
        }
        assert_eq!(Some(read), total.flatten());
        assert_eq!(read, self.evidence.len() as u64, "every call has a record");
    }

    fn read_callbacks(&mut self) {
        for came in self.receiver.came() {
            let event = read_callback(None, came.body.as_bytes()).unwrap();
            let (_, evidence) = self
                .evidence
                .get_mut(&event.call_id)
                .expect("it is one of ours");
            evidence.push(Evidence::Callback(event));
        }
    }

    /// What the sandbox says of each leg: by call and callee, what happened, what of it can be
    /// known, and the seconds.
    async fn legs(&self) -> HashMap<(String, String), (String, String, u64, u64)> {
        let mut legs = HashMap::new();
        let mut after = 0;
        loop {
            let url = format!("{}/sandbox/legs?after={after}", self.sandbox.url());
            let page: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
            let text = |leg: &Value, name: &str| leg[name].as_str().unwrap().to_owned();
            for leg in page["legs"].as_array().unwrap() {
                let number = |name: &str| leg[name].as_u64().unwrap();
                let told = (
                    text(leg, "outcome"),
                    text(leg, "provable"),
                    number("ring_seconds"),
                    number("talk_seconds"),
                );
                legs.insert((text(leg, "call_id"), text(leg, "callee")), told);
            }
            match page["next_after"].as_u64() {
                Some(next) => after = next,
                None => return legs,
            }
        }
    }
}

/// Each callee has a name of his own, so that legs can be told apart.
fn named(kind: &str, n: usize) -> String {
    format!("{kind}{n}")
}

#[tokio::test]
async fn every_only_callee_ends_as_the_sandbox_knows_with_callbacks_lost_doubled_and_off() {
    let disturbed = CallbackFaults {
        lost: 0.2,
        doubled: 0.2,
        reordered: 0.2,
        late: 0.1,
        seed: 11,
    };
    for (faults, with_callbacks) in [
        (disturbed, true),
        (
            CallbackFaults {
                lost: 1.0,
                ..disturbed
            },
            true,
        ),
        (disturbed, false),
    ] {
        let mut bench = Bench::start(faults).await;
        for n in 0..270 {
            bench.call(vec![named(KINDS[n % KINDS.len()], n)]).await;
        }
        bench.quiet().await;
        bench.read_records().await;
        if with_callbacks {
            bench.read_callbacks();
        }
        let legs = bench.legs().await;
        let mut counted: BTreeMap<&str, u64> = BTreeMap::new();
        for (call_id, (callees, evidence)) in &bench.evidence {
            let told = outcomes(callees, evidence);
            let of = &told.callees[0];
            assert!(told.has_record && of.source == OutcomeSource::Record);
            let (happened, _, ring, talk) = &legs[&(call_id.clone(), of.callee.clone())];
            assert_eq!(of.outcome.as_str(), happened, "{}", of.callee);
            let seconds = (
                of.ring_seconds.map(u64::from),
                of.talk_seconds.map(u64::from),
            );
            assert_eq!(seconds, (Some(*ring), Some(*talk)), "{}", of.callee);
            *counted.entry(of.outcome.as_str()).or_default() += 1;
        }
        assert_eq!(counted, bench.sandbox.tally().outcomes);
    }
}

#[tokio::test]
async fn of_every_group_what_was_told_is_known_and_nobody_is_guessed() {
    let faults = CallbackFaults {
        lost: 0.3,
        doubled: 0.2,
        reordered: 0.2,
        late: 0.1,
        seed: 12,
    };
    let mut bench = Bench::start(faults).await;
    for n in 0..120 {
        let size = 2 + n % 4;
        let kind = |at: usize| match n % 10 {
            // Some calls that nobody answers.
            0 => "noanswer-",
            _ => KINDS[(n * 5 + at * 7) % KINDS.len()],
        };
        bench
            .call((0..size).map(|at| named(kind(at), 10 * n + at)).collect())
            .await;
    }
    bench.quiet().await;
    bench.read_records().await;
    bench.read_callbacks();
    let legs = bench.legs().await;
    let (mut known, mut unknown) = (0, 0);
    for (call_id, (callees, evidence)) in &bench.evidence {
        for of in outcomes(callees, evidence).callees {
            let (happened, provable, ring, talk) = &legs[&(call_id.clone(), of.callee.clone())];
            assert_eq!(of.outcome.as_str(), provable, "{}: {evidence:?}", of.callee);
            if of.outcome == Outcome::Unknown {
                unknown += 1;
                continue;
            }
            known += 1;
            assert_eq!(of.outcome.as_str(), happened, "{}", of.callee);
            // Of what was lost the seconds may be missing, but they are never others.
            assert!(
                of.ring_seconds.is_none_or(|s| u64::from(s) == *ring),
                "{of:?} {ring}"
            );
            let answered_for_all =
                of.source == OutcomeSource::Callback && of.outcome == Outcome::Answered;
            assert!(
                answered_for_all || of.talk_seconds.is_none_or(|s| u64::from(s) == *talk),
                "{of:?} {talk}"
            );
        }
    }
    assert!(
        known > 100 && unknown > 50,
        "{known} known, {unknown} unknown"
    );
    let provable = bench.sandbox.tally().provable;
    assert_eq!(provable["unknown"], unknown);
}

#[tokio::test]
async fn a_fast_sandbox_ends_its_calls_by_itself() {
    let fast = SandboxConfig {
        speed: 600.0,
        ..SandboxConfig::default()
    };
    let mut bench = Bench::with(fast).await;
    bench.signed_at = bench.sandbox.now_ms() / 1000;
    bench.call(vec!["jack".to_owned()]).await;
    bench.call(vec!["noanswer-1".to_owned()]).await;
    let over = bench.sandbox.wait_for_outcomes(SOON, |tally, callbacks| {
        tally.pending == 0 && callbacks.acknowledged == callbacks.events && callbacks.events == 7
    });
    over.await
        .expect("a minute of its time is a tenth of a second");
    bench.read_callbacks();
    let mut told = Vec::new();
    for (callees, evidence) in bench.evidence.values() {
        let of = &outcomes(callees, evidence).callees[0];
        told.push((of.outcome, of.ring_seconds, of.talk_seconds));
    }
    told.sort();
    let expected = [
        (Outcome::Answered, Some(3), Some(20)),
        (Outcome::NoAnswer, Some(45), Some(0)),
    ];
    assert_eq!(told, expected);
}
