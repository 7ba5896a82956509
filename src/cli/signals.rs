//! SIGTERM and SIGINT.

use std::io::{Write as _, stderr};
use std::process;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Waits for the first signal.
pub(super) async fn first() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// The exit code after a second signal.
const INTERRUPTED: i32 = 130;

/// A token that the first signal cancels. The second ends the process at once: requests under way
/// are then in doubt.
pub(super) fn stop_on_signal() -> std::io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    let token = stop.clone();
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        next().await;
        token.cancel();
        next().await;
        // Where eprintln! would panic, the process would not end.
        let _ = writeln!(
            stderr(),
            "callq: stopped at once; the jobs of requests under way become in doubt"
        );
        process::exit(INTERRUPTED);
    });
    Ok(stop)
}
