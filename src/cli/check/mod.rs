//! `callq check`

mod app;
mod callbacks;
mod callees;
mod configured;
mod connection;
mod database;
mod finding;
mod media;
mod network;
mod queue;
mod report;
mod server;

use std::path::PathBuf;

use clap::Args;

use self::configured::{Configured, configured};
use self::finding::Finding;
use self::report::Report;
use super::Failure;
use super::settings::ConfigFile;

const EXAMPLES: &str = "Examples:\n  \
    callq check\n  \
    callq check --app default --callees staff.txt\n  \
    callq check --json | jq -r 'select(.level == \"fail\") | .check + \": \" + .fix'\n\n\
    Exit codes: 0 nothing fails (there may be warnings), 1 something could not be reached or is \
    not set up yet, 2 a setting or an account is wrong.";

/// Find out what keeps calls from being placed: configuration, database, network, Tencent.
///
/// One line for each thing that can be wrong, with what to do about it: ok, warn, fail, or skip
/// where something before it fails. Rings nobody and plays nothing: Tencent is asked for a call and
/// for a stream that do not exist.
/// Prints no password, key, UserSig or URL.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Check {
    /// Look at this app alone
    #[arg(long, value_name = "NAME")]
    app: Option<String>,

    /// Ask Tencent which of these callees were imported: one per line, - reads stdin
    #[arg(long, value_name = "FILE")]
    callees: Option<PathBuf>,

    /// One JSON object per line, for programs
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(super) async fn run(self, config: &ConfigFile) -> Result<(), Failure> {
        let callees = self.callees.as_deref().map(callees::read).transpose()?;
        let mut report = Report::new(self.json);
        let Configured {
            findings,
            database_url,
            apps,
            way,
        } = configured(config, self.app.as_deref());
        for finding in findings {
            report.tell(finding)?;
        }
        let known = if let Some(url) = database_url {
            database::look(&url, &mut report).await?
        } else {
            database::skip(&mut report, "there is no database to look at")?;
            database::Known::default()
        };
        report.tell(queue::zones())?;
        for (mut app, address) in apps {
            let name = app.name.clone();
            let (ingest, id) = (app.ingest.take(), app.user_sigs.sdk_app_id());
            let client = app::look(app, &way, &known, &mut report).await?;
            let finding = match &client {
                Some(client) => callbacks::look(client, &address, &known).await,
                None => Finding::skip("callbacks", "the app does not get that far"),
            };
            report.tell(finding.of_app(&name))?;
            let media = media::look(ingest.as_ref(), id, &way, &known).await;
            report.tell(media.of_app(&name))?;
            if let Some(callees) = &callees {
                let finding = match client {
                    Some(client) => callees::look(&client, callees, &known).await,
                    None => Finding::skip("callees", "the app does not get that far"),
                };
                report.tell(finding.of_app(&name))?;
            }
        }
        match report.worst().exit_code() {
            0 => Ok(()),
            code => Err(Failure::Exit(code)),
        }
    }
}
