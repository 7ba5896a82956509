//! `callq enqueue`

mod columns;
mod flags;
mod import;
mod input;
mod lines;
mod report;
mod times;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use self::flags::Columns;
use self::import::{Batch, Stopped, Totals};
use self::input::{Form, Records};
use self::lines::{Each, Lines};
use self::report::Report;
use super::settings::ConfigFile;
use super::{Failure, print, signals};
use crate::call::readable;
use crate::store::{Import, JobLine};

/// Insert jobs: one by flags, or one per line of a CSV or JSON lines file.
///
/// All jobs are inserted at once or none is: a bad line is reported with its number and the reason,
/// and then nothing is inserted, unless --skip-bad is given. The flags of columns are also what
/// lines have that leave a column out.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[allow(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(super) struct Enqueue {
    #[command(flatten)]
    columns: Columns,

    /// A CSV file, or - for stdin; its first line names the columns, as in callees,run_at
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Many jobs",
        conflicts_with = "jsonl"
    )]
    csv: Option<PathBuf>,

    /// A file with a JSON object on each line, or - for stdin; its keys are the columns
    #[arg(long, value_name = "FILE", help_heading = "Many jobs")]
    jsonl: Option<PathBuf>,

    /// One job for each callee, instead of one in which all callees hear each other; an
    /// idempotency key then gets : and the callee at its end
    #[arg(long, help_heading = "Many jobs")]
    each: bool,

    /// Insert the good lines although others are bad
    #[arg(long, help_heading = "Many jobs")]
    skip_bad: bool,

    /// Try everything, report, and insert nothing
    #[arg(long, help_heading = "Trying and reporting")]
    dry_run: bool,

    /// Report as one JSON object on stdout, bad lines included
    #[arg(long, help_heading = "Trying and reporting")]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  callq enqueue --robot-account bot --callee jack --run-at 'in 10m'
  callq enqueue --csv visits.csv --robot-account bot --ttl 15m --dry-run

  visits.csv:  callees,run_at,idempotency_key,user_data
               jack,2030-01-31T09:00:00+01:00,visit-4711,\"Hello, Jack\"
               ann;bob,in 10m,visit-4712,

  The same as JSON lines:
               {\"callees\": [\"ann\", \"bob\"], \"run_at\": \"in 10m\"}

The columns are those of callq.jobs. An empty cell and null mean the default. In a cell, callees are
separated by ; and hear each other. A job whose idempotency_key is there already is not inserted
again and counts as no fault.";

/// A file of jobs.
struct Source {
    form: Form,
    /// For messages.
    name: String,
    input: Box<dyn Read + Send>,
    bytes: Option<u64>,
}

/// A file whose first line, if it has to say something, makes sense.
struct Opened {
    lines: Lines,
    name: String,
    bytes: Option<u64>,
}

impl Source {
    fn open(self, defaults: &JobLine) -> Result<Opened, Failure> {
        let Self {
            form,
            name,
            input,
            bytes,
        } = self;
        let lines = Lines::of(Records::new(input, form), form, defaults);
        let lines = lines.map_err(|error| unreadable(&name, error))?;
        Ok(Opened { lines, name, bytes })
    }
}

impl Enqueue {
    pub(super) async fn run(self, config: &ConfigFile) -> Result<(), Failure> {
        let flags = self.columns.job()?;
        let each = if self.each {
            Each::Apart
        } else {
            Each::Together
        };
        // What is wrong with the file is told without a database.
        let file = self.source()?.map(|file| file.open(&flags)).transpose()?;
        let bytes = file.as_ref().and_then(|file| file.bytes);
        let mut report = Report::new(self.json, self.dry_run, file.is_some(), bytes);
        let url = config.database_url()?;
        let mut import = Import::start(url.expose()).await?;
        let totals = if let Some(file) = file {
            many(&mut import, file, flags, each, &mut report).await?
        } else {
            one(&mut import, flags, each, &mut report).await?
        };
        // From here on no signal is listened to: a COMMIT broken off would leave its end unknown.
        let keep = totals.bad == 0 || self.skip_bad;
        if keep && !self.dry_run {
            import.commit().await?;
        } else {
            import.roll_back().await?;
        }
        if keep {
            let told = report.done(&totals);
            told.inspect_err(|_| {
                // Who took the failure for one of the import would insert it all again.
                if !self.dry_run {
                    let n = totals.inserted;
                    print::note(&format!(
                        "the import is done ({n} inserted); only its report is not"
                    ));
                }
            })
        } else {
            report.refused(&totals)
        }
    }

    fn source(&self) -> Result<Option<Source>, Failure> {
        let (path, form) = match (&self.csv, &self.jsonl) {
            (Some(path), _) => (path, Form::Csv),
            (None, Some(path)) => (path, Form::Jsonl),
            (None, None) => return Ok(None),
        };
        if path.as_os_str() == "-" {
            let input = Box::new(io::stdin());
            let name = "stdin".to_owned();
            return Ok(Some(Source {
                form,
                name,
                input,
                bytes: None,
            }));
        }
        let name = readable(&path.display().to_string());
        let file = File::open(path)
            .with_context(|| format!("cannot open {name}"))
            .map_err(Failure::Cannot)?;
        let bytes = fs::metadata(path)
            .ok()
            .filter(fs::Metadata::is_file)
            .map(|file| file.len());
        Ok(Some(Source {
            form,
            name,
            input: Box::new(file),
            bytes,
        }))
    }
}

/// Inserts the jobs of a file, without committing them.
async fn many(
    import: &mut Import,
    file: Opened,
    flags: JobLine,
    each: Each,
    report: &mut Report,
) -> Result<Totals, Failure> {
    let mut batches = import::read(file.lines, flags, each).context("could not start a thread")?;
    let insert = import::insert(import, &mut batches, |totals, bad| {
        report.batch(totals, bad);
    });
    let inserted = tokio::select! {
        inserted = insert => inserted,
        stopped = signals::first() => {
            stopped.context("could not listen for signals")?;
            let stopped = anyhow::anyhow!("stopped by a signal; nothing was inserted");
            return Err(Failure::CouldNot(stopped));
        }
    };
    inserted.map_err(|stopped| match stopped {
        Stopped::Input(error) => unreadable(&file.name, error),
        Stopped::Store(error) => error.into(),
    })
}

/// Inserts what the flags say, without committing it.
async fn one(
    import: &mut Import,
    flags: JobLine,
    each: Each,
    report: &mut Report,
) -> Result<Totals, Failure> {
    let jobs = each.jobs(flags);
    let jobs = jobs.map_err(|why| Failure::Cannot(anyhow::Error::msg(why)))?;
    let mut totals = Totals::default();
    let bad = import::add(import, Batch::one_job(jobs), &mut totals).await?;
    report.batch(&totals, bad);
    Ok(totals)
}

/// Why a file cannot be read on.
fn unreadable(name: &str, error: io::Error) -> Failure {
    if error.kind() == io::ErrorKind::InvalidData {
        return Failure::Cannot(anyhow::anyhow!("{name}: {error}; nothing was inserted"));
    }
    let error = anyhow::Error::from(error);
    Failure::CouldNot(error.context(format!("could not read {name}; nothing was inserted")))
}
