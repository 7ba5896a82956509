//! `callq sandbox`

use std::net::SocketAddr;

use anyhow::Context as _;
use clap::Args;
use tokio::sync::broadcast::error::RecvError;

use super::{Failure, print, signals};
use crate::sandbox::{
    self, CALLEE_NAMES, SANDBOX_ADMIN_ACCOUNT, SANDBOX_SDK_APP_ID, SANDBOX_SECRET_KEY,
    SandboxConfig,
};

/// Stand in for Tencent's endpoint on this machine, to develop and test against.
///
/// It checks requests as Tencent documents it and rings nobody. One line per request for a call.
/// What it is to do wrong is scripted under /sandbox/ (see docs/sandbox.md).
#[derive(Debug, Args)]
#[command(after_long_help = CALLEE_NAMES)]
pub(super) struct Sandbox {
    /// Where to listen; loopback only
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7080", value_parser = loopback)]
    listen: SocketAddr,

    /// Answer 60007 above so many calls per second; 0: never
    #[arg(long, value_name = "N", default_value_t = sandbox::DOCUMENTED_CALLS_PER_SECOND)]
    calls_per_second_limit: u32,
}

impl Sandbox {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let stop = signals::stop_on_signal()?;
        let sandbox = sandbox::Sandbox::start(SandboxConfig {
            listen: self.listen,
            calls_per_second_limit: self.calls_per_second_limit,
            ..SandboxConfig::default()
        })
        .await
        .with_context(|| format!("could not start the sandbox on {}", self.listen))?;
        eprintln!(
            "callq: the sandbox is at {}; a worker reaches it with",
            sandbox.url()
        );
        eprintln!(
            "  export CALLQ_HOST={} CALLQ_SDK_APP_ID={SANDBOX_SDK_APP_ID} \\",
            sandbox.url()
        );
        eprintln!("    CALLQ_ADMIN_ACCOUNT={SANDBOX_ADMIN_ACCOUNT} \\");
        eprintln!("    CALLQ_SECRET_KEY={SANDBOX_SECRET_KEY}");
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
