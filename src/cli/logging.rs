//! Logs: by tracing, to stderr.

use std::io::{IsTerminal as _, stderr};

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

use crate::config;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(super) enum LogFormat {
    /// For people
    #[default]
    Text,
    /// One JSON object per line
    Json,
}

/// Sets logging up. `CALLQ_LOG` wins over `default`.
pub(super) fn init(format: LogFormat, default: &str) -> Result<(), super::Failure> {
    let filter = config::log_filter(&config::Process)?;
    let filter = filter.as_deref().unwrap_or(default);
    let filter = EnvFilter::try_new(filter).map_err(|_| {
        let text = format!("CALLQ_LOG is {filter:?}: must be like info or callq=debug,warn");
        super::Failure::Cannot(anyhow::anyhow!(text))
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr);
    match format {
        LogFormat::Text => {
            let colour = !config::no_color(&config::Process) && stderr().is_terminal();
            builder.with_ansi(colour).with_target(false).init();
        }
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    Ok(())
}
