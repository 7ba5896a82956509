//! `callq bench`: the shipped worker measured on real PostgreSQL, against a server that answers at
//! once.
//!
//! Every part works in a database that it makes and that is dropped afterwards, and every request
//! goes to a server of its own on 127.0.0.1: no row that was there before is read, no phone rings.

mod answerer;
mod burst;
mod drain;
mod figure;
mod ground;
mod hand;
mod latency;
mod limit;
mod percentile;
mod plan;
mod reply;
mod request;
mod scale;
mod throughput;
mod usage;

use std::time::Duration;

pub use answerer::{Answerer, Arrival};
pub use figure::{Figure, Machine};
pub use ground::{Ground, Where};
pub use hand::{Orders, WorkerCommand};
pub use plan::{Part, Plan};

use crate::dev::postgres::DevError;
use crate::store::StoreError;

/// Is told every figure as soon as it is known.
pub type Tell = Box<dyn Fn(&Figure) + Send + Sync>;

/// Why there is no figure.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The private server.
    #[error(transparent)]
    Postgres(#[from] DevError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no port.
    #[error("could not listen on 127.0.0.1: {0}")]
    Listen(std::io::Error),
    /// There is no folder for a worker's configuration.
    #[error("could not make a folder: {0}")]
    Folder(std::io::Error),
    /// The worker could not be started or watched.
    #[error("could not run a worker: {0}")]
    Worker(std::io::Error),
    /// A worker ended in the middle, with what it said last.
    #[error("a worker ended in the middle of a measurement; it said:\n{0}")]
    WorkerEnded(String),
    /// Something never came.
    #[error("the measurement did not come to its end within {0:?}")]
    TooSlow(Duration),
    /// A client of the answering server cannot be made.
    #[error("cannot make a client of the answering server: {0}")]
    Client(String),
    /// A part ended by itself.
    #[error("a fault in callq: a part of the measurement ended by itself")]
    Broken,
}
