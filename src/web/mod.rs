//! What a worker shows over HTTP: whether it lives, whether it works, what it counts.

mod health;

pub use health::{Probes, serve};
