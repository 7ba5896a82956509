//! What is configured, as the check needs it: everything that can be understood, beside everything
//! that is wrong.

use std::time::Duration;

use secrecy::SecretString;

use super::callbacks::Address;
use super::finding::Finding;
use super::report::said_and_fix;
use crate::cli::settings::{ConfigFile, WorkerFlags};
use crate::config::{AppConfig, DatabaseUrl, Fault};
use crate::tencent::REQUEST_TIMEOUT_DEFAULT;

/// The database and the apps, as far as they are understood.
pub(super) struct Configured {
    /// One line if all is well, otherwise one for each fault.
    pub(super) findings: Vec<Finding>,
    pub(super) database_url: Option<DatabaseUrl>,
    pub(super) apps: Vec<(AppConfig, Address)>,
    pub(super) way: Way,
}

/// How requests go to Tencent, whatever the app.
pub(super) struct Way {
    pub(super) request_timeout: Duration,
    pub(super) https_proxy: Option<SecretString>,
}

/// Reads the configuration of this process, for the app `only` or for all.
pub(super) fn configured(config: &ConfigFile, only: Option<&str>) -> Configured {
    let sources = config.sources(&WorkerFlags::default());
    let only: Vec<String> = only.map(str::to_owned).into_iter().collect();
    let findings = match sources.config(&only) {
        Err(error) => error.faults().iter().map(fault).collect(),
        Ok(config) => {
            let names: Vec<&str> = config.apps.iter().map(|app| app.name.as_str()).collect();
            let from = sources.file().map_or_else(
                || "the environment".to_owned(),
                |file| file.display().to_string(),
            );
            let says = format!("read from {from}; apps: {}", names.join(", "));
            vec![Finding::ok(CHECK, says)]
        }
    };
    let wanted = |name: &&str| only.is_empty() || only.iter().any(|only| only == name);
    let names = sources.apps().into_iter().filter(wanted);
    let request_timeout = sources.worker().map(|worker| worker.request_timeout);
    Configured {
        findings,
        database_url: sources.database_url().ok(),
        // Their faults are told above.
        apps: match sources.shape() {
            Ok(()) => names
                .filter_map(|name| Some((sources.app(name).ok()?, sources.callback_address(name))))
                .collect(),
            Err(_) => Vec::new(),
        },
        way: Way {
            request_timeout: request_timeout.unwrap_or(REQUEST_TIMEOUT_DEFAULT),
            https_proxy: sources.https_proxy().ok().flatten(),
        },
    }
}

const CHECK: &str = "configuration";

fn fault(fault: &Fault) -> Finding {
    let (says, fix) = said_and_fix(&fault.to_string());
    Finding::cannot(CHECK, says, &fix)
}
