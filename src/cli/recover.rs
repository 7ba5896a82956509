//! `callq recover`

use clap::Args;

use super::settings::ConfigFile;
use super::when::{time, when};
use super::{Failure, ask, print};
use crate::store::{Loss, Recovered, Recoverer, Recovery, RecoveryRefused, When};

const EXAMPLES: &str = "Examples:\n  \
    callq status                                        # says since when, if workers wait\n  \
    callq recover --since 2030-01-01T09:00:00Z --dry-run\n  \
    callq recover --since 2030-01-01T09:00:00Z --until 2030-01-01T09:20:00Z\n  \
    callq jobs list --reason history_lost               # what is held\n  \
    callq jobs resolve --reason history_lost --placed --note 'the records have it'";

/// After a failover that lost commits, or with a restored backup: hold what may have been rung.
///
/// Such a database says scheduled of jobs whose phones have rung. Workers notice and claim nothing
/// until this has put every job in doubt that was due in the lost span, was under way, or would be
/// rung again by on_doubt = retry. These jobs are held for a person whatever on_doubt says; settle
/// them with callq jobs resolve. Then workers go on by themselves. Jobs that were inserted, moved
/// or cancelled in the lost span are as they were before it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Recover {
    #[command(flatten)]
    lost: Lost,

    /// When the last worker stopped using the lost database; later due jobs are not held [default:
    /// now]
    #[arg(long, value_name = "TIME", value_parser = when, requires = "since")]
    until: Option<When>,

    /// Only count what would be held
    #[arg(long)]
    dry_run: bool,

    /// Do not ask first; needed where there is no terminal to ask on
    #[arg(long)]
    yes: bool,

    /// One JSON object with what was held, for programs
    #[arg(long)]
    json: bool,
}

/// What is known of the loss.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Lost {
    /// What was written after this time may be lost; not later than callq status says
    #[arg(long, value_name = "TIME", value_parser = when)]
    since: Option<When>,

    /// Nothing was lost, as when all workers were stopped before a planned move: hold nothing
    #[arg(long, conflicts_with = "until")]
    nothing_lost: bool,
}

impl Recover {
    pub(super) async fn run(self, config: &ConfigFile) -> Result<(), Failure> {
        let loss = match self.lost.since {
            Some(since) => Loss::Since {
                since,
                until: self.until,
            },
            None => Loss::Nothing,
        };
        let may_ask = ask::is_possible();
        if !(self.dry_run || self.yes || may_ask) {
            let text = "there is no terminal to ask on before the database is accepted";
            return Err(Failure::Cannot(anyhow::anyhow!(text))
                .hint("add --yes. With --dry-run it only counts what would be held"));
        }
        let url = config.database_url()?;
        let mut recoverer = Recoverer::connect(url.expose()).await?;
        let counted = possible(recoverer.recover(loss, Recovery::Counted).await?)?;
        if counted.was == "accepted" {
            print::note("workers go by this database, and none of them misses anything in it");
        }
        if self.dry_run {
            return self.tell(&counted, "would hold");
        }
        if !self.yes && !agreed(&counted)? {
            print::note("nothing was changed");
            return Ok(());
        }
        let done = possible(recoverer.recover(loss, Recovery::Done).await?)?;
        self.tell(&done, "held")
    }

    fn tell(&self, recovered: &Recovered, did: &str) -> Result<(), Failure> {
        if self.json {
            return print::json(recovered);
        }
        print::line(&format!(
            "{did} {}: {} that were due, {} under way, {} in doubt that would have rung again",
            jobs(recovered.held()),
            recovered.due,
            recovered.dialing,
            recovered.in_doubt
        ))?;
        if !self.dry_run {
            print::line("the database is accepted, workers go on")?;
            if recovered.held() > 0 {
                print::hint(
                    "`callq jobs list --reason history_lost` shows what is held, `callq jobs \
                     resolve --reason history_lost` settles it",
                );
            }
        }
        Ok(())
    }
}

fn jobs(number: i64) -> String {
    match number {
        1 => "1 job".to_owned(),
        n => format!("{n} jobs"),
    }
}

fn possible(answer: Result<Recovered, RecoveryRefused>) -> Result<Recovered, Failure> {
    answer.map_err(|refused| {
        let failure = Failure::Cannot(anyhow::anyhow!(refused.said));
        match refused.hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    })
}

fn agreed(counted: &Recovered) -> Result<bool, Failure> {
    ask::agreed(&format!(
        "accept this database, which remembers its workers until {}, and hold {}?",
        time(counted.remembers_until),
        jobs(counted.held())
    ))
}
