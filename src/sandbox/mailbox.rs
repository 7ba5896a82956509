//! Where callbacks go, and those on their way: lost, doubled, reordered and late at given rates.
//!
//! Assumed, because the pages of call callbacks say nothing of it: that one which is not answered
//! with HTTP 200 within 2 s (IM 34354) is sent again after 1, 1, 2, 3 and 5 s and then dropped, as
//! those of the old call API are (60130).

use std::collections::{BTreeMap, HashMap};

use fastrand::Rng;
use serde::Serialize;
use url::{Host, Url};

use super::call_record::{self, Spelling};
use super::ingest::{self, IngestEvents};
use super::life::{Act, Moment};
use super::switchboard::{Entry, Told};

/// The waits before each further try, in milliseconds of the sandbox's time.
const RETRY_AFTER_MS: [i64; 5] = [1000, 1000, 2000, 3000, 5000];
/// So many callbacks can be on their way; what would come beyond is dropped.
const ON_THEIR_WAY_MAX: usize = 100_000;
/// A late one comes so much later, in milliseconds of the sandbox's time.
const LATE_MS: std::ops::Range<i64> = 60_000..600_000;
/// One that is reordered comes so much later.
const REORDERED_MS: std::ops::Range<i64> = 1_000..10_000;

/// Everything that Tencent can call back about (68934).
pub(super) const CALLBACK_COMMANDS: [&str; 3] = [
    "Call.CallbackAfterStartCall",
    "Call.CallbackAfterMemberChanged",
    "Call.CallbackAfterEndCall",
];

/// What goes wrong with callbacks: the share of them, 0 to 1 each, drawn from a seed, so that the
/// same calls in the same order meet the same.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CallbackFaults {
    /// Is never sent.
    pub lost: f64,
    /// Is sent twice.
    pub doubled: f64,
    /// Comes 1 to 10 s after its time, and so behind others.
    pub reordered: f64,
    /// Comes 1 to 10 minutes after its time.
    pub late: f64,
    /// The seed.
    pub seed: u64,
}

impl CallbackFaults {
    /// What becomes of the next one.
    fn draw(&self, rng: &mut Rng) -> Fate {
        let mut draw = |rate: f64| rng.f64() < rate;
        Fate {
            is_lost: draw(self.lost),
            is_doubled: draw(self.doubled),
            is_reordered: draw(self.reordered),
            is_late: draw(self.late),
        }
    }

    pub(super) fn is_possible(&self) -> bool {
        let rates = [self.lost, self.doubled, self.reordered, self.late];
        rates.iter().all(|rate| (0.0..=1.0).contains(rate))
    }
}

/// What goes wrong with one callback.
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is drawn by itself, and all of them may meet"
)]
struct Fate {
    is_lost: bool,
    is_doubled: bool,
    is_reordered: bool,
    is_late: bool,
}

/// What became of callbacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CallbackStats {
    /// What there was to tell, where a URL was set for it.
    pub events: u64,
    /// Of these, those that were lost on purpose.
    pub lost: u64,
    /// Sent twice on purpose.
    pub doubled: u64,
    /// Held back a little on purpose.
    pub reordered: u64,
    /// Held back long on purpose.
    pub late: u64,
    /// Requests that were sent, tries counted each.
    pub sent: u64,
    /// Those that were answered with HTTP 200.
    pub acknowledged: u64,
    /// Callbacks that no try got through, or that too many others were on their way before.
    pub given_up: u64,
    /// On their way now.
    pub waiting: u64,
}

/// Where the callbacks of an app go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CallbackTarget {
    pub(super) url: String,
    pub(super) commands: Vec<String>,
}

/// One callback on its way.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    pub(super) url: Url,
    /// Whole lines.
    pub(super) headers: String,
    pub(super) body: String,
    told: Option<Told>,
    tries: usize,
}

#[derive(Default)]
pub(super) struct Mailbox {
    targets: HashMap<u64, CallbackTarget>,
    faults: CallbackFaults,
    waiting: BTreeMap<(i64, u64), Delivery>,
    /// Those that were taken and not yet given back.
    in_hand: u64,
    seen: u64,
    stats: CallbackStats,
}

impl Mailbox {
    /// With every callback of these apps going to `url`, if one is given.
    pub(super) fn new(
        apps: impl Iterator<Item = u64>,
        url: Option<&str>,
        faults: CallbackFaults,
    ) -> Self {
        let target = |url: &str| CallbackTarget {
            url: url.to_owned(),
            commands: CALLBACK_COMMANDS.map(str::to_owned).to_vec(),
        };
        let targets = apps.filter_map(|app| Some((app, target(url?))));
        Self {
            targets: targets.collect(),
            faults,
            ..Self::default()
        }
    }

    pub(super) fn target(&self, app: u64) -> Option<&CallbackTarget> {
        self.targets.get(&app)
    }

    pub(super) fn set_target(&mut self, app: u64, target: CallbackTarget) {
        self.targets.insert(app, target);
    }

    /// False if there was none.
    pub(super) fn delete_target(&mut self, app: u64) -> bool {
        self.targets.remove(&app).is_some()
    }

    pub(super) fn stats(&self) -> CallbackStats {
        CallbackStats {
            waiting: self.waiting.len() as u64 + self.in_hand,
            ..self.stats
        }
    }

    /// Puts what is to be told of a moment on its way.
    pub(super) fn tell(&mut self, entry: &Entry, moment: Moment, at_ms: i64) {
        let app = entry.call.sdk_app_id;
        let command = call_record::command(moment);
        let Some(target) = self.targets.get(&app) else {
            return;
        };
        if !target.commands.iter().any(|wanted| wanted == command) {
            return;
        }
        self.stats.events += 1;
        let Some(url) = deliverable(&target.url, app, command) else {
            self.stats.given_up += 1;
            return;
        };
        let mut rng = Rng::with_seed(self.faults.seed ^ number(entry.call.seq, moment));
        let fate = self.faults.draw(&mut rng);
        let spelling = if rng.f64() < 0.5 {
            Spelling::OfTheSample
        } else {
            Spelling::OfTheTable
        };
        let delivery = Delivery {
            url,
            headers: String::new(),
            body: call_record::callback(entry, moment, at_ms, spelling).to_string(),
            told: told(entry, moment),
            tries: 0,
        };
        self.launch(&fate, &mut rng, &delivery, at_ms);
    }

    /// Puts what is to be told of a stream on its way.
    pub(super) fn tell_of_stream(&mut self, event: &ingest::Told, to: &IngestEvents) {
        self.stats.events += 1;
        let Some(url) = here(&to.url) else {
            self.stats.given_up += 1;
            return;
        };
        let mut rng = Rng::with_seed(self.faults.seed ^ apart(!event.number));
        let fate = self.faults.draw(&mut rng);
        let delivery = Delivery {
            url,
            headers: to.headers(event.app, &event.body),
            body: event.body.clone(),
            told: None,
            tries: 0,
        };
        self.launch(&fate, &mut rng, &delivery, event.at_ms);
    }

    /// Sends one off, or what its fate makes of it.
    fn launch(&mut self, fate: &Fate, rng: &mut Rng, delivery: &Delivery, at_ms: i64) {
        if fate.is_lost {
            self.stats.lost += 1;
            return;
        }
        self.stats.doubled += u64::from(fate.is_doubled);
        let delay_ms = if fate.is_late {
            self.stats.late += 1;
            rng.i64(LATE_MS)
        } else if fate.is_reordered {
            self.stats.reordered += 1;
            rng.i64(REORDERED_MS)
        } else {
            0
        };
        for _ in 0..=usize::from(fate.is_doubled) {
            self.wait(at_ms.saturating_add(delay_ms), delivery.clone());
        }
    }

    /// Takes one whose time has come.
    pub(super) fn take(&mut self, now_ms: i64) -> Option<Delivery> {
        let first = self.waiting.first_entry()?;
        if first.key().0 > now_ms {
            return None;
        }
        self.in_hand += 1;
        Some(first.remove())
    }

    /// When the next one leaves.
    pub(super) fn next_ms(&self) -> Option<i64> {
        self.waiting.first_key_value().map(|((at_ms, _), _)| *at_ms)
    }

    /// One arrived; what is known by it.
    pub(super) fn arrived(&mut self, delivery: &Delivery) -> Option<Told> {
        self.in_hand = self.in_hand.saturating_sub(1);
        self.stats.sent += 1;
        self.stats.acknowledged += 1;
        delivery.told
    }

    /// One did not arrive: it is tried again, if it was not too often.
    pub(super) fn failed(&mut self, mut delivery: Delivery, now_ms: i64) {
        self.in_hand = self.in_hand.saturating_sub(1);
        self.stats.sent += 1;
        let Some(wait_ms) = RETRY_AFTER_MS.get(delivery.tries) else {
            self.stats.given_up += 1;
            return;
        };
        delivery.tries += 1;
        self.wait(now_ms.saturating_add(*wait_ms), delivery);
    }

    fn wait(&mut self, at_ms: i64, delivery: Delivery) {
        if self.waiting.len() >= ON_THEIR_WAY_MAX {
            self.stats.given_up += 1;
            return;
        }
        self.seen += 1;
        self.waiting.insert((at_ms, self.seen), delivery);
    }
}

/// Whether the sandbox sends callbacks to this URL: plain http, to this machine alone.
#[must_use]
pub fn delivers_to(url: &str) -> bool {
    deliverable(url, 0, "").is_some()
}

/// The URL of one callback; none for what is not on this machine: the sandbox speaks to nobody
/// else, whatever it was told.
fn deliverable(url: &str, app: u64, command: &str) -> Option<Url> {
    let mut url = here(url)?;
    url.query_pairs_mut()
        .append_pair("SdkAppid", &app.to_string())
        .append_pair("CallbackCommand", command)
        .append_pair("contenttype", "json")
        .append_pair("ClientIP", "127.0.0.1")
        .append_pair("OptPlatform", "RESTAPI");
    Some(url)
}

/// A plain http URL of this machine.
fn here(url: &str) -> Option<Url> {
    let url = Url::parse(url).ok()?;
    let is_here = match url.host()? {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    (url.scheme() == "http" && is_here).then_some(url)
}

/// What is known of a callee once the callback about a moment has arrived.
fn told(entry: &Entry, moment: Moment) -> Option<Told> {
    let Moment::Changed(callee, act) = moment else {
        return None;
    };
    Some(Told {
        call_id: entry.call.call_id,
        callee,
        // Who hangs up was in the call.
        is_answer: matches!(act, Act::Answer | Act::HangUp),
    })
}

/// Another number for each moment of each call.
fn number(seq: u64, moment: Moment) -> u64 {
    let part = match moment {
        Moment::Started => 0,
        Moment::Ended => 1,
        Moment::Changed(callee, act) => 2 + 8 * callee as u64 + act as u64,
    };
    apart(seq << 16 | part)
}

/// Far apart for neighbours; the constant is that of the golden ratio in 64 bits.
fn apart(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callbacks_go_to_this_machine_alone() {
        for url in [
            "http://127.0.0.1:9/x",
            "http://localhost/x?a=1",
            "http://[::1]/",
        ] {
            assert!(deliverable(url, 7, "c").is_some(), "{url}");
        }
        for url in [
            "https://127.0.0.1/",
            "http://example.com/",
            "http://10.0.0.1/",
            "ftp://127.0.0.1/",
            "nonsense",
        ] {
            assert!(deliverable(url, 7, "c").is_none(), "{url}");
        }
        let url = deliverable("http://127.0.0.1:9/s?a=1", 7, "Call.X");
        let url = url.map(|url| url.to_string()).unwrap_or_default();
        let query = "a=1&SdkAppid=7&CallbackCommand=Call.X&contenttype=json&ClientIP=127.0.0.1\
                     &OptPlatform=RESTAPI";
        assert_eq!(url, format!("http://127.0.0.1:9/s?{query}"));
    }
}
