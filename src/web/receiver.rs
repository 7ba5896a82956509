//! `callq web` as a whole.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::admission::{Admission, CallbackApp};
use super::callbacks::{self, Desk};
use super::door::Door;
use super::health::{self, Probes};
use super::keep::{Keeping, STORE_WITHIN, Standing, keeper};
use super::metrics::Metrics;
use crate::store::{Store, StoreError};

/// One stores, one looks whether the database is there.
const CONNECTIONS: u32 = 2;

/// How often the database is looked at: two rows.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A look that takes longer finds the database away.
const LOOK_WITHIN: Duration = Duration::from_secs(2);

/// How long requests that came before the end are waited for.
const LAST_ANSWERS: Duration = Duration::from_secs(10);

/// What a receiver needs.
#[derive(Debug)]
pub struct ReceiverConfig {
    /// Its database.
    pub database_url: String,
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Whose callbacks it takes.
    pub apps: Vec<CallbackApp>,
}

/// Why a receiver does not start, or does not go on.
#[derive(Debug, thiserror::Error)]
pub enum ReceiverError {
    /// The database, or its schema.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The address is not to be had.
    #[error("could not listen on {address}: {source}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The listener broke.
    #[error("could not go on listening: {0}")]
    Serve(#[from] io::Error),
    /// A part ended by a panic.
    #[error("a part of the receiver ended by itself: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// Takes Tencent's callbacks and stores them.
#[derive(Debug)]
pub struct Receiver {
    listener: TcpListener,
    address: SocketAddr,
    store: Store,
    apps: Vec<CallbackApp>,
}

impl Receiver {
    /// Connects and listens. Connections are taken from now on, and answered by [`Receiver::run`].
    ///
    /// # Errors
    /// If the database cannot be reached, its schema does not fit, its login may not store
    /// callbacks, or the address is taken.
    pub async fn start(config: ReceiverConfig) -> Result<Self, ReceiverError> {
        let store = Store::connect(&config.database_url, CONNECTIONS).await?;
        store.check_schema().await?;
        // None at all: whether this login may.
        store.receive(&[], STORE_WITHIN).await?;
        let failed = |source| ReceiverError::Listen {
            address: config.listen,
            source,
        };
        let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self {
            listener,
            address,
            store,
            apps: config.apps,
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Works until `stop` is cancelled; what was read by then is stored and answered.
    ///
    /// # Errors
    /// If the schema lets this program work no more, or the listener breaks.
    pub async fn run(self, stop: CancellationToken) -> Result<(), ReceiverError> {
        let metrics = Arc::new(Metrics::default());
        let standing = Arc::new(Standing::default());
        let (keeper, keeping) = keeper(
            self.store.clone(),
            Arc::clone(&standing),
            Arc::clone(&metrics),
        );
        let desk = Desk {
            admission: Admission::of(self.apps),
            keeper,
            metrics: Arc::clone(&metrics),
            told_at: Mutex::default(),
        };
        let routes = callbacks::routes(Arc::new(desk))
            .merge(health::routes(probes(Arc::clone(&standing), metrics)));
        let ending = stop.child_token();
        let asked = ending.clone().cancelled_owned();
        let serving = axum::serve(Door::new(self.listener), routes).with_graceful_shutdown(asked);
        let mut serving = tokio::spawn(serving.into_future());
        let last = CancellationToken::new();
        let storing = tokio::spawn(Keeping::run(keeping, last.clone()));
        let ended = tokio::select! {
            served = &mut serving => return Ok(served??),
            () = stop.cancelled() => Ok(()),
            error = lost(&self.store, &standing) => Err(error.into()),
        };
        ending.cancel();
        let served = timeout(LAST_ANSWERS, serving).await;
        last.cancel();
        storing.await?;
        self.store.close().await;
        if let Ok(served) = served {
            served??;
        }
        ended
    }
}

fn probes(standing: Arc<Standing>, metrics: Arc<Metrics>) -> Probes {
    let seen = Arc::clone(&standing);
    Probes {
        ready: Box::new(move || seen.is_ready()),
        metrics: Box::new(move || {
            let text = metrics.render(standing.is_ready());
            Box::pin(std::future::ready(text))
        }),
    }
}

/// Looks at the database again and again; returns why the receiver must not go on, once that is so.
/// One that gives no answer is no reason: callbacks are refused until it does.
async fn lost(store: &Store, standing: &Standing) -> StoreError {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let look = store.check_schema();
        tokio::pin!(look);
        let looked = tokio::select! {
            looked = &mut look => looked,
            () = sleep(LOOK_WITHIN) => {
                let verb = "tell which schema it has";
                standing.failed(&StoreError::Silent { verb });
                look.await
            }
        };
        match looked {
            Ok(_) => standing.looks_well(),
            Err(error @ (StoreError::Schema(_) | StoreError::Pooler)) => return error,
            Err(error) => standing.failed(&error),
        }
    }
}
