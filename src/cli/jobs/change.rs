//! `callq jobs cancel`, `retry`, `reschedule` and `resolve`

use std::time::Duration;

use chrono::TimeDelta;
use clap::Args;

use super::many::{Target, Verb};
use crate::cli::Failure;
use crate::cli::when::{duration, signed, when};
use crate::store::{Move, Store, Verdict, When};

/// What to know of a filter, for each verb.
macro_rules! after {
    ($states:literal, $examples:literal) => {
        concat!(
            "A filter needs at least one flag; without --state it means ",
            $states,
            ".\nMany jobs are counted and asked about first. What one job refuses does not stop \
             the others.\nA refusal ends with 2, a missing job with 3.\n\nExamples:\n",
            $examples
        )
    };
}

const CANCEL: &str = after!(
    "scheduled,dialing,in_doubt",
    "  callq jobs cancel 4711\n  \
       callq jobs cancel --app clinic --since now --until 'in 2h'\n  \
       callq jobs cancel --metadata visit=4711 --yes"
);

/// Keep jobs from ringing.
///
/// Each answers with a word. cancelled: nobody was rung and nobody will be. requested: a request is
/// under way or in doubt, and its reply settles it. ending: the phone may be ringing; the call is
/// ended, and the job's outcome says what became of it. too_late: the call is over. Otherwise the
/// state in which the job had ended already. Follow-ups that ring its callees again are cancelled
/// too.
#[derive(Debug, Args)]
#[command(after_help = CANCEL)]
pub(super) struct Cancel {
    #[command(flatten)]
    target: Target,
}

impl Cancel {
    pub(super) async fn run(self, store: &Store) -> Result<(), Failure> {
        self.target.each(store, &Verb::Cancel).await
    }
}

const RETRY: &str = after!(
    "failed,expired (cancelled jobs only with --state cancelled)",
    "  callq jobs retry 4711\n  \
       callq jobs retry --state expired --reason expired_no_worker --since '1h ago' --ttl 30m"
);

/// Make jobs that rang nobody due now.
///
/// Those are jobs that failed, expired, were cancelled, or wait for their next try. A job that may
/// have rung is refused. One whose run_at is still to come waits for it.
#[derive(Debug, Args)]
#[command(after_help = RETRY)]
pub(super) struct Retry {
    #[command(flatten)]
    target: Target,

    /// Ring for so long from now on; default: what the job had, if its deadline has passed
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    ttl: Option<Duration>,
}

impl Retry {
    pub(super) async fn run(self, store: &Store) -> Result<(), Failure> {
        let verb = Verb::Retry { ttl: self.ttl };
        self.target.each(store, &verb).await
    }
}

const RESCHEDULE: &str = after!(
    "scheduled",
    "  callq jobs reschedule 4711 --run-at 2030-01-01T09:00:00+01:00\n  \
       callq jobs reschedule 4711 --run-at 'in 10m'\n  \
       callq jobs reschedule --app clinic --until 'in 1h' --by 30m"
);

/// Move scheduled jobs to another time.
///
/// Their deadline moves along.
#[derive(Debug, Args)]
#[command(after_help = RESCHEDULE)]
pub(super) struct Reschedule {
    #[command(flatten)]
    target: Target,

    #[command(flatten)]
    to: To,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct To {
    /// Ring at this time: RFC 3339, now or 'in 10m'
    #[arg(long, value_name = "TIME", value_parser = when)]
    run_at: Option<When>,

    /// Ring so much later, or earlier as with --by=-10m
    #[arg(long, value_name = "DURATION", value_parser = signed, allow_hyphen_values = true)]
    by: Option<TimeDelta>,
}

impl Reschedule {
    pub(super) async fn run(self, store: &Store) -> Result<(), Failure> {
        let to = match (self.to.run_at, self.to.by) {
            (Some(when), _) => Move::To(when),
            (None, by) => Move::By(by.unwrap_or_default()),
        };
        self.target.each(store, &Verb::Reschedule(to)).await
    }
}

const RESOLVE: &str = after!(
    "in_doubt (unresolved jobs only with --state unresolved)",
    "  callq jobs resolve 4711 --placed --note 'jack says it rang'\n  \
       callq jobs resolve --app clinic --reason lease_lapsed --failed"
);

/// Settle jobs in doubt by what you know.
///
/// Only who knows what became of the call should say so: after a wrong --retry a phone rings twice.
#[derive(Debug, Args)]
#[command(after_help = RESOLVE)]
pub(super) struct Resolve {
    #[command(flatten)]
    target: Target,

    #[command(flatten)]
    known: Known,

    /// How you know; kept in reason_detail
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,

    /// Tencent's CallId, if you know it; for one job
    #[arg(long, value_name = "CALL_ID")]
    call_id: Option<String>,
}

/// What is known of the call.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Known {
    /// The phone rang: the job is placed
    #[arg(long)]
    placed: bool,

    /// Nobody was rung: ring now
    #[arg(long)]
    retry: bool,

    /// Nobody was rung, and nobody shall be: the job has failed
    #[arg(long)]
    failed: bool,
}

impl Known {
    /// The word that callq.resolve takes.
    const fn word(&self) -> &'static str {
        match (self.placed, self.retry) {
            (true, _) => "placed",
            (_, true) => "retry",
            _ => "failed",
        }
    }
}

impl Resolve {
    pub(super) async fn run(self, store: &Store) -> Result<(), Failure> {
        if self.call_id.is_some() && !self.target.is_one_job() {
            let fault = anyhow::anyhow!("--call-id belongs to one job: give that job's id");
            return Err(Failure::Cannot(fault));
        }
        let verdict = Verdict {
            word: self.known.word().to_owned(),
            note: self.note,
            call_id: self.call_id,
        };
        self.target.each(store, &Verb::Resolve(verdict)).await
    }
}
