//! `callq sandbox`

use std::net::SocketAddr;

use anyhow::Context as _;
use clap::Args;
use tokio::sync::broadcast::error::RecvError;

use super::{Failure, print, signals};
use crate::sandbox::{
    self, CALLEE_NAMES, CallbackFaults, SANDBOX_ADMIN_ACCOUNT, SANDBOX_CAM_SECRET_ID,
    SANDBOX_CAM_SECRET_KEY, SANDBOX_SDK_APP_ID, SANDBOX_SECRET_KEY, SPEED_MAX, SandboxConfig,
};

/// Stand in for Tencent's endpoint on this machine, to develop and test against.
///
/// It checks requests as Tencent documents it and rings nobody. Its calls ring, are answered and
/// end all the same, and have records and callbacks. One line per request for a call. What it is to
/// do wrong is scripted under /sandbox/ (see docs/sandbox.md).
#[derive(Debug, Args)]
#[command(after_long_help = CALLEE_NAMES)]
pub(super) struct Sandbox {
    /// Where to listen; loopback only
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7080", value_parser = loopback)]
    listen: SocketAddr,

    /// Answer 60007 above so many calls per second; 0: never
    #[arg(long, value_name = "N", default_value_t = sandbox::DOCUMENTED_CALLS_PER_SECOND)]
    calls_per_second_limit: u32,

    /// Run so many times as fast: calls ring and end, records and callbacks come by its time
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = speed)]
    speed: f64,

    /// Send every callback here until a command says otherwise; an http URL of this machine
    #[arg(long, value_name = "URL", value_parser = of_this_machine, help_heading = "Callbacks")]
    callback_url: Option<String>,

    /// The share of callbacks that never come, 0 to 1
    #[arg(long, value_name = "RATE", default_value_t = 0.0, value_parser = rate)]
    #[arg(help_heading = "Callbacks")]
    callbacks_lost: f64,

    /// The share that come twice
    #[arg(long, value_name = "RATE", default_value_t = 0.0, value_parser = rate)]
    #[arg(help_heading = "Callbacks")]
    callbacks_doubled: f64,

    /// The share that come 1 to 10 s after their time, behind others
    #[arg(long, value_name = "RATE", default_value_t = 0.0, value_parser = rate)]
    #[arg(help_heading = "Callbacks")]
    callbacks_reordered: f64,

    /// The share that come 1 to 10 minutes after their time
    #[arg(long, value_name = "RATE", default_value_t = 0.0, value_parser = rate)]
    #[arg(help_heading = "Callbacks")]
    callbacks_late: f64,

    /// Draw these shares from this seed: the same calls in the same order meet the same
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        help_heading = "Callbacks"
    )]
    seed: u64,
}

impl Sandbox {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let stop = signals::stop_on_signal()?;
        let sandbox = sandbox::Sandbox::start(SandboxConfig {
            listen: self.listen,
            calls_per_second_limit: self.calls_per_second_limit,
            speed: self.speed,
            callback_url: self.callback_url,
            callback_faults: CallbackFaults {
                lost: self.callbacks_lost,
                doubled: self.callbacks_doubled,
                reordered: self.callbacks_reordered,
                late: self.callbacks_late,
                seed: self.seed,
            },
            ..SandboxConfig::default()
        })
        .await
        .with_context(|| format!("could not start the sandbox on {}", self.listen))?;
        let url = sandbox.url();
        print::note(&format!(
            "the sandbox is at {url}; a worker reaches it with\n  \
             export CALLQ_HOST={url} CALLQ_SDK_APP_ID={SANDBOX_SDK_APP_ID} \\\n    \
             CALLQ_ADMIN_ACCOUNT={SANDBOX_ADMIN_ACCOUNT} \\\n    \
             CALLQ_SECRET_KEY={SANDBOX_SECRET_KEY} \\\n    \
             CALLQ_CAM_SECRET_ID={SANDBOX_CAM_SECRET_ID} \\\n    \
             CALLQ_CAM_SECRET_KEY={SANDBOX_CAM_SECRET_KEY}"
        ));
        let mut requests = sandbox.subscribe();
        let shown = loop {
            let request = tokio::select! {
                () = stop.cancelled() => break Ok(()),
                request = requests.recv() => request,
            };
            let printed = match request {
                Ok(record) => print::line(&sandbox::line(&record)),
                Err(RecvError::Lagged(n)) => print::line(&format!("({n} requests were not shown)")),
                Err(RecvError::Closed) => break Ok(()),
            };
            if printed.is_err() {
                break printed;
            }
        };
        sandbox.shutdown().await?;
        shown
    }
}

/// An address of this machine alone: the sandbox takes its key from everybody.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text
        .parse()
        .map_err(|_| "must be an address and a port, as in 127.0.0.1:7080".to_owned())?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err("must be an address of this machine alone, as in 127.0.0.1:7080".to_owned())
    }
}

/// A factor that time can run by.
fn speed(text: &str) -> Result<f64, String> {
    let factor = text.parse().ok();
    let factor = factor.filter(|factor| *factor > 0.0 && *factor <= SPEED_MAX);
    factor.ok_or_else(|| format!("must be a number of more than 0, at most {SPEED_MAX}"))
}

/// A share of a whole.
fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok();
    let rate = rate.filter(|rate| (0.0..=1.0).contains(rate));
    rate.ok_or_else(|| "must be a number from 0 to 1".to_owned())
}

/// A URL that the sandbox sends callbacks to.
fn of_this_machine(text: &str) -> Result<String, String> {
    if sandbox::delivers_to(text) {
        Ok(text.to_owned())
    } else {
        Err("must be an http URL of this machine, as in http://127.0.0.1:7090/calls".to_owned())
    }
}
