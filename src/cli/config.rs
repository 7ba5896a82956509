//! `callq config`

use clap::{Args, Subcommand};
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Value, json};

use super::settings::{ConfigFile, WorkerFlags};
use super::{Failure, print};
use crate::call::readable;
use crate::config::settings::DEFAULT_FILE;
use crate::config::{Effective, Fault, Origin, Shown, Sources};

const EXAMPLES: &str = "Examples:\n  \
    callq config show\n  \
    callq config show --config /etc/callq/callq.toml --concurrency 200\n  \
    callq config show --json | jq '.settings[] | select(.from == \"environment\")'";

/// Look at the configuration: every value that holds, and where it comes from.
///
/// Settings come from flags, the environment and a file: --config, or CALLQ_CONFIG, or callq.toml
/// in the current folder. callq.example.toml has every key, with its unit and default.
#[derive(Debug, Args)]
pub(super) struct Config {
    #[command(subcommand)]
    command: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Show(Show),
}

impl Config {
    pub(super) fn run(self, file: &ConfigFile) -> Result<(), Failure> {
        match self.command {
            What::Show(show) => show.run(file),
        }
    }
}

/// Every value that holds and where it comes from: flag, environment, file or default.
///
/// A flag wins over the environment, that over the file, that over the default. Takes the flags of
/// `callq worker`, and says what a worker with them would obey. Secrets are not shown. What a
/// worker would refuse is told on stderr, and then the exit code is 2. Connects to nothing.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
struct Show {
    /// One JSON object, for programs
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    flags: WorkerFlags,
}

impl Show {
    fn run(self, file: &ConfigFile) -> Result<(), Failure> {
        let sources = file.sources(&self.flags);
        let effective = sources.effective();
        let refused = sources.config(&[]).err();
        if self.json {
            let faults = refused.as_ref().map_or(&[][..], |error| error.faults());
            print::line(&as_json(&sources, &effective, faults).to_string())?;
        } else {
            print::line(&read_from(&sources))?;
            print::line(&table(&effective).to_string())?;
        }
        refused.map_or(Ok(()), |error| Err(error.into()))
    }
}

fn read_from(sources: &Sources) -> String {
    match sources.file() {
        Some(path) => format!("the file is {}", readable(&path.to_string_lossy())),
        None if sources.shape().is_ok() => {
            format!("no file is read: there is no {DEFAULT_FILE} in the current folder")
        }
        None => "no file is read".to_owned(),
    }
}

fn table(effective: &[Effective]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["setting", "value", "from"]);
    for setting in effective {
        let from = match (&setting.value, &setting.origin) {
            (Shown::Unset(_) | Shown::Missing, _) => String::new(),
            (_, origin) => origin.to_string(),
        };
        table.add_row([setting.name(), value(&setting.value), from]);
    }
    table
}

fn value(shown: &Shown) -> String {
    match shown {
        Shown::Value(value) => value.clone(),
        Shown::Secret => "(set, not shown)".to_owned(),
        Shown::SecretFile(path) => format!("{path} (set, not shown)"),
        Shown::Unset(meaning) => format!("(not set: {meaning})"),
        Shown::Missing => "(missing)".to_owned(),
    }
}

fn as_json(sources: &Sources, effective: &[Effective], faults: &[Fault]) -> Value {
    let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
    json!({
        "file": sources.file().map(|path| path.to_string_lossy()),
        "settings": effective.iter().map(one_as_json).collect::<Vec<_>>(),
        "faults": faults,
    })
}

/// Its name, and app; its value unless it is a secret or missing; where it comes from.
fn one_as_json(setting: &Effective) -> Value {
    let mut object = json!({
        "name": setting.name(),
        "key": setting.setting.key,
        "app": setting.app,
        "secret": matches!(setting.value, Shown::Secret | Shown::SecretFile(_)),
        "value": null,
        "from": null,
    });
    match &setting.value {
        Shown::Value(value) | Shown::SecretFile(value) => object["value"] = json!(value),
        Shown::Secret => {}
        Shown::Unset(_) | Shown::Missing => return object,
    }
    match &setting.origin {
        Origin::Flag(name) => {
            object["from"] = json!("flag");
            object["flag"] = json!(format!("--{name}"));
        }
        Origin::Environment(name) => {
            object["from"] = json!("environment");
            object["variable"] = json!(name);
        }
        Origin::File(place) => {
            object["from"] = json!("file");
            object["file"] = json!(place.file.to_string_lossy());
            object["line"] = json!(place.line);
        }
        Origin::Default => object["from"] = json!("default"),
    }
    object
}
