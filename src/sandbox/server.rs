//! Starts, watches and stops a sandbox.

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::behaviour::{CalleeScript, CalleeScriptError};
use super::config::{SPEED_MAX, SandboxConfig};
use super::connection::{Door, HangUp};
use super::desk::Desk;
use super::fault::{Fault, FaultError};
use super::ingest::{IngestTally, IngestTask};
use super::ledger::{Ledger, Stats};
use super::mailbox::{self, CallbackStats};
use super::record::Record;
use super::script::FaultId;
use super::tally::Tally;
use super::{api, control, courier};

/// A running sandbox. Its state is its own; dropping it stops it.
pub struct Sandbox {
    address: SocketAddr,
    desk: Arc<Desk>,
    serving: JoinHandle<io::Result<()>>,
    closing: DropGuard,
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// What [`Sandbox::wait_for`] waited for did not come about in time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what was waited for did not come about within {within:?}; the ledger holds {stats:?}")]
pub struct WaitedTooLong {
    /// How long was waited.
    pub within: Duration,
    /// What the ledger held at the end.
    pub stats: Stats,
}

impl Sandbox {
    /// Listens and answers from now on, on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for an address that is not loopback (this is no server for a network: its key
    /// is public), for no app at all or one that is given twice, for a speed or a rate that is out
    /// of range or callbacks to another machine; otherwise the error of `bind`.
    pub async fn start(config: SandboxConfig) -> io::Result<Self> {
        check(&config)?;
        let listener = TcpListener::bind(config.listen).await?;
        let address = listener.local_addr()?;
        let desk = Arc::new(Desk::new(config));
        let closing = CancellationToken::new();
        let door = Door {
            listener,
            desk: Arc::clone(&desk),
            closing: closing.clone(),
        };
        let routes = control::routes()
            .merge(Router::new().fallback(api::answer))
            .with_state(Arc::clone(&desk))
            .into_make_service_with_connect_info::<HangUp>();
        let server = axum::serve(door, routes)
            .with_graceful_shutdown(closing.clone().cancelled_owned())
            .into_future();
        let serving = tokio::spawn(server);
        tokio::spawn(courier::carry(Arc::clone(&desk), closing.clone()));
        Ok(Self {
            address,
            desk,
            serving,
            closing: closing.drop_guard(),
        })
    }

    /// Where it listens, without a trailing slash: `http://127.0.0.1:41234`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A snapshot of the ledger.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        self.desk.read(Clone::clone)
    }

    /// Looks at the ledger without copying it. Requests wait meanwhile, and so would a call of this
    /// sandbox's own methods from inside `look`: for ever.
    pub fn read_ledger<T>(&self, look: impl FnOnce(&Ledger) -> T) -> T {
        self.desk.read(look)
    }

    /// Returns as soon as `met` holds; it is asked now and after every change of the ledger. It may
    /// look at nothing but the ledger it is given, as with [`Sandbox::read_ledger`].
    ///
    /// # Errors
    ///
    /// [`WaitedTooLong`] if it did not hold `within` that time.
    pub async fn wait_for(
        &self,
        within: Duration,
        mut met: impl FnMut(&Ledger) -> bool,
    ) -> Result<(), WaitedTooLong> {
        self.wait(within, || self.desk.read(&mut met)).await
    }

    async fn wait(
        &self,
        within: Duration,
        mut met: impl FnMut() -> bool,
    ) -> Result<(), WaitedTooLong> {
        let mut changes = self.desk.changes();
        let waiting = changes.wait_for(|_| met());
        match tokio::time::timeout(within, waiting).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(WaitedTooLong {
                within,
                stats: self.desk.read(Ledger::stats),
            }),
        }
    }

    /// One record for every request from now on, in the ledger's order. A subscriber that falls
    /// more than 4096 records behind loses the oldest and is told so.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Record>> {
        self.desk.events()
    }

    /// Scripts a fault behind those that still wait; the first that matches a request is taken.
    ///
    /// # Errors
    ///
    /// [`FaultError`] says which part of the fault makes no sense.
    pub fn script(&self, fault: Fault) -> Result<FaultId, FaultError> {
        self.desk.script(fault)
    }

    /// Takes back all scripted faults.
    pub fn clear_faults(&self) {
        self.desk.clear_faults();
    }

    /// Scripts what callees do, behind what is scripted already; the first that fits one counts.
    ///
    /// # Errors
    ///
    /// [`CalleeScriptError`] says which part of it makes no sense.
    pub fn script_callee(&self, script: CalleeScript) -> Result<(), CalleeScriptError> {
        self.desk.script_callee(script)
    }

    /// Moves the sandbox's time forward: calls ring on, end, and have records by so much sooner.
    pub fn advance(&self, by: Duration) {
        self.desk.advance(by);
    }

    /// The sandbox's time, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.desk.time.now_ms()
    }

    /// What became of everybody who was called, by now.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.desk.tally()
    }

    /// What became of the callbacks.
    #[must_use]
    pub fn callback_stats(&self) -> CallbackStats {
        self.desk.callback_stats()
    }

    /// Returns as soon as `met` holds; it is asked now, and after every request and every callback.
    /// What time alone changes is asked about when the next thing happens: where callbacks matter,
    /// that is as soon as nothing `waiting` is left of [`CallbackStats`].
    ///
    /// # Errors
    ///
    /// [`WaitedTooLong`] if it did not hold `within` that time.
    pub async fn wait_for_outcomes(
        &self,
        within: Duration,
        mut met: impl FnMut(&Tally, CallbackStats) -> bool,
    ) -> Result<(), WaitedTooLong> {
        self.wait(within, || met(&self.tally(), self.callback_stats()))
            .await
    }

    /// Has an app accept only what is signed with this key from now on, as when its key is replaced
    /// in Tencent's console; false if there is no such app.
    #[must_use]
    pub fn set_secret_key(&self, sdk_app_id: u64, secret_key: &str) -> bool {
        self.desk.set_secret_key(sdk_app_id, secret_key)
    }

    /// Has an app's account accept only what is signed with this CAM key from now on; false if
    /// there is no such app.
    #[must_use]
    pub fn set_cam_key(&self, sdk_app_id: u64, secret_id: &str, secret_key: &str) -> bool {
        self.desk.set_cam_key(sdk_app_id, secret_id, secret_key)
    }

    /// What became of streams, by now.
    #[must_use]
    pub fn ingest_tally(&self) -> IngestTally {
        self.desk.ingest_tally()
    }

    /// Every stream that began to play, in that order, as it stands now.
    #[must_use]
    pub fn ingest_tasks(&self) -> Vec<IngestTask> {
        self.desk.ingest_tasks(|tasks| tasks.collect())
    }

    /// Returns as soon as `met` holds; it is asked now and after every request, as in
    /// [`Sandbox::wait_for_outcomes`].
    ///
    /// # Errors
    ///
    /// [`WaitedTooLong`] if it did not hold `within` that time.
    pub async fn wait_for_ingest(
        &self,
        within: Duration,
        mut met: impl FnMut(IngestTally) -> bool,
    ) -> Result<(), WaitedTooLong> {
        self.wait(within, || met(self.ingest_tally())).await
    }

    /// Forgets ledger, calls, records, callbacks on their way and where commands sent them, what is
    /// scripted and what was counted for the throttles. Its time goes on.
    pub fn reset(&self) {
        self.desk.reset();
    }

    /// Closes every connection, answered or not, and returns when the port is free.
    ///
    /// # Errors
    ///
    /// What the server ended with, if it ended by itself.
    pub async fn shutdown(self) -> io::Result<()> {
        drop(self.closing);
        self.serving.await.map_err(io::Error::other)?
    }
}

fn check(config: &SandboxConfig) -> io::Result<()> {
    let invalid = |sentence: String| Err(io::Error::new(io::ErrorKind::InvalidInput, sentence));
    if !config.listen.ip().is_loopback() {
        return invalid(format!(
            "the sandbox listens on loopback only, not on {}",
            config.listen
        ));
    }
    if config.apps.is_empty() {
        return invalid("the sandbox needs at least one app".to_owned());
    }
    if !(config.speed > 0.0 && config.speed <= SPEED_MAX) {
        return invalid(format!(
            "the speed is {}: must be more than 0, at most {SPEED_MAX}",
            config.speed
        ));
    }
    let events = config.ingest_events.as_ref();
    let events_url = events.map(|events| events.url.as_str());
    let mut callback_urls = config.callback_url.as_deref().into_iter().chain(events_url);
    if callback_urls.any(|url| !mailbox::delivers_to(url)) {
        return invalid("callbacks go to http URLs of this machine alone".to_owned());
    }
    if !config.callback_faults.is_possible() {
        return invalid("the rates of faults of callbacks must be from 0 to 1".to_owned());
    }
    let mut known = HashSet::new();
    for app in &config.apps {
        if !known.insert(app.sdk_app_id) {
            return invalid(format!("the app {} is given twice", app.sdk_app_id));
        }
    }
    Ok(())
}
