//! Which jobs: the flags that list, export and the verbs share.

use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::cli::when::when;
use crate::store::{JobFilter, When};

/// A job's id.
pub(super) fn id(text: &str) -> Result<i64, String> {
    let id = text.parse().ok().filter(|id| *id >= 0);
    id.ok_or_else(|| "must be a job's id, as `callq jobs list` shows it".to_owned())
}

/// Every state, in the order of a job's life.
const STATES: [&str; 9] = [
    "scheduled",
    "dialing",
    "in_doubt",
    "placed",
    "completed",
    "failed",
    "expired",
    "cancelled",
    "unresolved",
];

/// The flags, for a message.
pub(super) const FLAGS: &str = "--state, --reason, --app, --callee, --metadata, --since or --until";

#[derive(Debug, Args)]
#[command(next_help_heading = "Filter")]
pub(super) struct Filter {
    /// Only jobs in one of these states, as in failed,expired
    #[arg(long, value_delimiter = ',', value_name = "STATE",
        value_parser = PossibleValuesParser::new(STATES))]
    state: Vec<String>,

    /// Only jobs with one of these reasons; callq.reasons lists them
    #[arg(long, value_delimiter = ',', value_name = "REASON")]
    reason: Vec<String>,

    /// Only jobs of this app
    #[arg(long, value_name = "APP")]
    app: Option<String>,

    /// Only jobs that ring this account
    #[arg(long, value_name = "ACCOUNT")]
    callee: Option<String>,

    /// Only jobs whose metadata has this value; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    metadata: Vec<(String, String)>,

    /// Only jobs with run_at from this time on: RFC 3339, 'in 10m' or '2h ago'
    #[arg(long, value_name = "TIME", value_parser = when)]
    since: Option<When>,

    /// Only jobs with run_at before this time
    #[arg(long, value_name = "TIME", value_parser = when)]
    until: Option<When>,
}

impl Filter {
    /// Whether nothing is given, so that every job matches.
    pub(super) fn is_empty(&self) -> bool {
        self.to_store(&[]) == JobFilter::default()
    }

    /// For the store. If no state is given, `states`; none of those either: any.
    pub(super) fn to_store(&self, states: &[&str]) -> JobFilter {
        let some = |given: &[String]| (!given.is_empty()).then(|| given.to_vec());
        let states: Vec<String> = states.iter().map(|&s| s.to_owned()).collect();
        JobFilter {
            states: some(&self.state).or_else(|| some(&states)),
            reasons: some(&self.reason),
            app: self.app.clone(),
            callee: self.callee.clone(),
            since: self.since,
            until: self.until,
            metadata: self.metadata.clone(),
        }
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("must be KEY=VALUE, as in visit=4711".to_owned()),
    }
}
