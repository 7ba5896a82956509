//! What callq shows and takes over HTTP: whether a worker or a receiver lives, whether it works,
//! what it counts; and Tencent's callbacks.
//!
//! - `health`: the probes and the metrics, of a worker too.
//! - `receiver`: `callq web` as a whole; `door`: its connections, bounded in number and in time.
//! - `admission`: who is let in; `callbacks`: from a request to its answer; `keep`: many callbacks
//!   stored with one statement; `metrics`: what is counted.

mod admission;
mod callbacks;
mod door;
mod health;
mod keep;
mod metrics;
mod receiver;

pub use admission::CallbackApp;
pub use health::{Probes, serve};
pub use receiver::{Receiver, ReceiverConfig, ReceiverError};
