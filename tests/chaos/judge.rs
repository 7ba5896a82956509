//! What must hold whatever went wrong. Each check names the promise; a breach is told with the
//! job's whole history.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    time::Duration,
};

use callq::sandbox::Answered;

use crate::evidence::{Attempt, Evidence, Job, key, micros_s};

/// One breach: what, and of which job.
type Breach = (String, Option<i64>);

/// A result is written, and a claimed job's request sent, within this, where nothing is wrong with
/// database and network; far above what a busy machine takes.
const PROMPTLY: Duration = Duration::from_millis(1500);

/// What passes at most between the end of a request's writing and its reading here, in two processes
/// more, each of which has others to run beside.
const READ_WITHIN_US: i64 = 1_000_000;

/// Figures for people.
pub(crate) struct Figures {
    pub(crate) jobs: usize,
    pub(crate) attempts: usize,
    pub(crate) requests: usize,
    /// How many jobs ended in each state, for each reason.
    pub(crate) states: BTreeMap<String, usize>,
    pub(crate) placed: usize,
    pub(crate) kills: usize,
    /// Kills with requests in flight: read, and not answered yet or the answer not written.
    pub(crate) kills_in_flight: usize,
    /// Jobs that the kills put in doubt.
    pub(crate) doubts: usize,
    /// Of these, jobs whose request was never read.
    pub(crate) doubts_unsent: usize,
    /// The most doubts of one kill.
    pub(crate) doubts_max: usize,
    /// Kills after which more jobs were in doubt than the ledger shows unanswered requests.
    pub(crate) kills_above_ledger: usize,
    pub(crate) second_rings: usize,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} jobs, {} attempts, {} requests",
            self.jobs, self.attempts, self.requests
        )?;
        for (state, jobs) in &self.states {
            writeln!(f, "  {jobs:>8} {state}")?;
        }
        writeln!(
            f,
            "{} workers were killed, {} of them with requests in flight; {} jobs in doubt from that, of {} no request \
             had been read; at most {} from one kill; {} kills left more in doubt than requests unanswered",
            self.kills,
            self.kills_in_flight,
            self.doubts,
            self.doubts_unsent,
            self.doubts_max,
            self.kills_above_ledger
        )?;
        write!(
            f,
            "{} second rings where on_doubt = retry had asked for them",
            self.second_rings
        )
    }
}

/// Fails unless every promise was kept.
pub(crate) fn judge(evidence: &Evidence) -> Figures {
    let mut breaches: Vec<Breach> = Vec::new();
    let doubts = both_sides(evidence, &mut breaches);
    inserted(evidence, &mut breaches);
    let of_job = by_job(evidence);
    for job in evidence.jobs.values() {
        let attempts = of_job.get(&job.id).map_or(&[][..], Vec::as_slice);
        explained(evidence, job, attempts, &mut breaches);
        rung(evidence, job, attempts, &mut breaches);
    }
    in_time(evidence, &mut breaches);
    cancelled(evidence, &mut breaches);
    let mut figures = kills(evidence, &doubts, &mut breaches);
    figures.second_rings = evidence.attempts.iter().filter(|a| a.second_ring).count();
    if !breaches.is_empty() {
        for (what, job) in breaches.iter().take(10) {
            println!("\nBROKEN: {what}");
            if let Some(job) = job {
                println!("{}", evidence.history(*job));
            }
        }
        panic!(
            "{} promises were broken, the first: {}",
            breaches.len(),
            breaches[0].0
        );
    }
    figures
}

fn by_job(evidence: &Evidence) -> HashMap<i64, Vec<&Attempt>> {
    let mut of_job: HashMap<i64, Vec<&Attempt>> = HashMap::new();
    for attempt in &evidence.attempts {
        of_job.entry(attempt.job_id).or_default().push(attempt);
    }
    of_job
}

/// For every attempt at most one request; for every request an attempt, written before it; and what
/// was answered is what was written. Returns the attempts that nobody reported back on.
fn both_sides<'a>(evidence: &'a Evidence, breaches: &mut Vec<Breach>) -> Vec<&'a Attempt> {
    for repeated in &evidence.repeated {
        breaches.push((format!("an attempt was rung twice: {repeated}"), None));
    }
    let mut known: HashMap<(&str, i64), &Attempt> = HashMap::new();
    for attempt in &evidence.attempts {
        known.insert((&attempt.room_id, attempt.random), attempt);
    }
    for record in &evidence.records {
        let (room, random) = key(record);
        match known.get(&(room.as_str(), i64::from(random))) {
            None => breaches.push((format!("a request without an attempt: {record:?}"), None)),
            Some(a) if a.state == "not_sent" => {
                breaches.push((
                    "a request was sent that is told as not sent".into(),
                    Some(a.job_id),
                ));
            }
            Some(a) if a.claimed_us > record.received_at_us => {
                breaches.push((
                    "a request was sent before its attempt".into(),
                    Some(a.job_id),
                ));
            }
            Some(_) => {}
        }
    }
    let mut lapsed = Vec::new();
    for attempt in &evidence.attempts {
        let request = evidence.request(attempt);
        let mut breach = |what: &str| breaches.push((what.to_owned(), Some(attempt.job_id)));
        match attempt.state.as_str() {
            "claimed" => breach("an attempt was never settled"),
            "replied" if attempt.was_seen() && request.is_some_and(|r| r.call_id.is_some()) => {}
            "replied" => {
                let answered = request.map(|r| r.answered);
                if answered != attempt.error_code.map(Answered::Code) {
                    breach("another reply was written than was answered");
                }
            }
            _ => {}
        }
        if attempt.lapsed() {
            lapsed.push(attempt);
            if request.is_some() && evidence.life(attempt).ended_well() {
                breach("a worker ended well and had not written what became of a request");
            }
        }
    }
    lapsed
}

fn inserted(evidence: &Evidence, breaches: &mut Vec<Breach>) {
    for id in &evidence.told.inserted {
        if !evidence.jobs.contains_key(id) {
            breaches.push((format!("the inserted job {id} is lost"), None));
        }
    }
}

/// It has ended, or waits for a person, with a reason that is explained.
fn explained(evidence: &Evidence, job: &Job, attempts: &[&Attempt], breaches: &mut Vec<Breach>) {
    let mut breach = |what: String| breaches.push((what, Some(job.id)));
    if matches!(job.state.as_str(), "scheduled" | "dialing") {
        breach(format!("a job is still {}", job.state));
    }
    match &job.reason {
        Some(reason) if evidence.explained.contains(reason) => {}
        reason => breach(format!("a {} job has the reason {reason:?}", job.state)),
    }
    let numbers: Vec<i32> = attempts.iter().map(|a| a.number).collect();
    if numbers != (1..=job.attempt).collect::<Vec<_>>() {
        breach(format!(
            "a job of {} attempts has the rows {numbers:?}",
            job.attempt
        ));
    }
    if job.attempts_used > job.max_attempts {
        breach("more attempts were spent than max_attempts".to_owned());
    }
}

/// Never twice by mistake, and the state does not lie about the ring.
fn rung(evidence: &Evidence, job: &Job, attempts: &[&Attempt], breaches: &mut Vec<Breach>) {
    let mut breach = |what: String| breaches.push((what, Some(job.id)));
    let requests = || attempts.iter().filter_map(|a| evidence.request(a));
    let rings = requests().filter(|r| r.rang).count();
    let doubts = attempts
        .iter()
        .filter(|a| a.class.as_deref() == Some("in_doubt"))
        .count();
    // A late reply turns a doubt to accepted, and tells it where a newer attempt exists.
    let told = attempts.iter().filter(|a| a.second_ring).count();
    if rings > 1 && (job.on_doubt != "retry" || rings > 1 + doubts + told) {
        breach(format!(
            "{rings} rings with on_doubt = {} and {doubts} doubts",
            job.on_doubt
        ));
    }
    if told > 0 && job.on_doubt != "retry" {
        breach("a second ring was told, and nobody had asked to ring again".to_owned());
    }
    let accepted = requests().any(|r| r.answered == Answered::Code(0) && r.rang);
    match job.state.as_str() {
        // A worker may be killed between finding a call and settling what became of it.
        "placed" if !accepted && job.reason.as_deref() != Some("record_found") => {
            breach("a job is placed and no reply said so".to_owned());
        }
        "completed" if !requests().any(|r| r.call_id.is_some()) => {
            breach("a job is completed and there was no call".to_owned());
        }
        "failed" | "expired" | "cancelled" if rings > 0 => {
            breach(format!("a job is {} and a phone rang", job.state));
        }
        _ => {}
    }
}

/// Never too late: no request after the deadline and the connect timeout, but from a process that
/// stood still in between, or on a machine that did.
fn in_time(evidence: &Evidence, breaches: &mut Vec<Breach>) {
    let connect_us = i64::try_from(evidence.terms.connect_timeout().as_micros()).unwrap();
    for attempt in &evidence.attempts {
        let Some(request) = evidence.request(attempt) else {
            continue;
        };
        let Some(job) = evidence.jobs.get(&attempt.job_id) else {
            continue;
        };
        let told = evidence
            .told
            .moved
            .get(&job.id)
            .map_or(&[][..], Vec::as_slice);
        if told.contains(&None) {
            continue;
        }
        let deadline = told
            .iter()
            .flatten()
            .copied()
            .fold(job.expires_us, i64::max);
        let late_us = request.received_at_us - deadline;
        let stood_still = || {
            let life = evidence.life(attempt);
            let (from_us, until_us) = (attempt.claimed_us, request.received_at_us);
            let mut gaps = evidence.gaps_us.iter();
            life.stood_still(from_us, until_us)
                || gaps.any(|(began_us, ended_us)| *began_us <= until_us && *ended_us >= from_us)
        };
        if late_us > connect_us + READ_WITHIN_US && !stood_still() {
            let what = format!(
                "a request came {:.3} s after the deadline",
                micros_s(late_us)
            );
            breaches.push((what, Some(job.id)));
        }
    }
}

/// What was told as cancelled is not rung afterwards.
fn cancelled(evidence: &Evidence, breaches: &mut Vec<Breach>) {
    let mut last: HashMap<i64, i64> = HashMap::new();
    for attempt in &evidence.attempts {
        if let Some(request) = evidence.request(attempt) {
            let at = last.entry(attempt.job_id).or_default();
            *at = (*at).max(request.received_at_us);
        }
    }
    let ended = evidence
        .jobs
        .values()
        .filter(|job| job.state == "cancelled");
    let overtaken: HashSet<i64> = ended.filter_map(|job| job.root_id).collect();
    for (id, word, _asked_us, answered_us) in &evidence.told.cancelled {
        let state = evidence.jobs.get(id).map(|job| job.state.as_str());
        let mut breach = |what: String| breaches.push((what, Some(*id)));
        match word.as_str() {
            "cancelled" if last.get(id).is_some_and(|at| at > answered_us) => {
                breach("a job was rung after it was told to be cancelled".to_owned());
            }
            // Where the call has failed, the word is that of the follow-up that was still to ring.
            "cancelled" if state != Some("cancelled") && !overtaken.contains(id) => {
                breach(format!("a job was told to be cancelled and is {state:?}"));
            }
            "requested" if state == Some("scheduled") => {
                breach("a cancel was requested and the job waits to ring".to_owned());
            }
            _ => {}
        }
    }
}

/// What each kill cost: never more doubts than the worker had under way.
fn kills(evidence: &Evidence, lapsed: &[&Attempt], breaches: &mut Vec<Breach>) -> Figures {
    let mut states: BTreeMap<String, usize> = BTreeMap::new();
    for job in evidence.jobs.values() {
        let reason = job.reason.as_deref().unwrap_or_default();
        *states.entry(format!("{} {reason}", job.state)).or_default() += 1;
    }
    let mut figures = Figures {
        jobs: evidence.jobs.len(),
        attempts: evidence.attempts.len(),
        requests: evidence.records.len(),
        states,
        placed: evidence
            .jobs
            .values()
            .filter(|job| ["placed", "completed"].contains(&&*job.state))
            .count(),
        kills: 0,
        kills_in_flight: 0,
        doubts: 0,
        doubts_unsent: 0,
        doubts_max: 0,
        kills_above_ledger: 0,
        second_rings: 0,
    };
    let mut of_life: HashMap<(u32, i64), Vec<&Attempt>> = HashMap::new();
    for attempt in &evidence.attempts {
        let life = evidence.life(attempt);
        of_life
            .entry((life.pid, life.started_us))
            .or_default()
            .push(attempt);
    }
    let mut lapsed_of: HashMap<(u32, i64), Vec<&Attempt>> = HashMap::new();
    for attempt in lapsed {
        let life = evidence.life(attempt);
        lapsed_of
            .entry((life.pid, life.started_us))
            .or_default()
            .push(attempt);
    }
    for life in &evidence.lives {
        let Some(killed_us) = life.killed_us() else {
            continue;
        };
        let name = (life.pid, life.started_us);
        let doubts = lapsed_of.get(&name).map_or(&[][..], Vec::as_slice);
        let unsent = doubts
            .iter()
            .filter(|a| evidence.request(a).is_none())
            .count();
        let in_flight = of_life.get(&name).map_or(0, |all| {
            let open = |a: &&&Attempt| evidence.open_at(a, killed_us);
            all.iter().filter(open).count()
        });
        figures.kills += 1;
        figures.kills_in_flight += usize::from(in_flight > 0);
        figures.doubts += doubts.len();
        figures.doubts_unsent += unsent;
        figures.doubts_max = figures.doubts_max.max(doubts.len());
        figures.kills_above_ledger += usize::from(doubts.len() > in_flight);
        // Each of them holds a slot until it is answered, and then room until it is written.
        if doubts.len() - unsent.min(doubts.len()) > evidence.terms.concurrency + 1000 {
            let what = format!("{} doubts from one kill of {life:?}", doubts.len());
            breaches.push((what, doubts.first().map(|a| a.job_id)));
        }
        if unsent > evidence.terms.concurrency {
            let what = format!("{unsent} jobs were claimed and unsent when {life:?} was killed");
            breaches.push((what, doubts.first().map(|a| a.job_id)));
        }
    }
    figures
}

impl Evidence {
    /// Whether a request had been read and its answer was still on its way.
    fn open_at(&self, attempt: &Attempt, at_us: i64) -> bool {
        let delay_us = i64::try_from(self.terms.answer_delay.as_micros()).unwrap();
        self.request(attempt).is_some_and(|request| {
            let received = request.received_at_us;
            received <= at_us && at_us < received + delay_us
        })
    }
}

/// For a run in which nothing but the workers was at fault: a job is in doubt only if its worker
/// was killed within moments of claiming it, or of its answer.
pub(crate) fn only_what_was_in_flight_is_in_doubt(evidence: &Evidence) {
    let promptly_us = i64::try_from(PROMPTLY.as_micros()).unwrap();
    let delay_us = i64::try_from(evidence.terms.answer_delay.as_micros()).unwrap();
    for attempt in evidence.attempts.iter().filter(|a| a.lapsed()) {
        let killed_us = evidence.life(attempt).killed_us();
        let killed_us = killed_us.unwrap_or_else(|| {
            panic!(
                "nobody killed its worker:\n{}",
                evidence.history(attempt.job_id)
            );
        });
        let busy_until = match evidence.request(attempt) {
            Some(request) => request.received_at_us + delay_us,
            None => attempt.claimed_us,
        };
        assert!(
            killed_us - busy_until < promptly_us,
            "it waited in its worker's memory:\n{}",
            evidence.history(attempt.job_id)
        );
    }
}
