//! The promises under faults: real worker processes, a PostgreSQL that syncs, a network of our own
//! between them, and faults drawn from a seed. When everything is mended and the queue has drained,
//! the sandbox's ledger of requests is held against `callq.attempts`.
//!
//! A binary of its own, because it measures time and takes the whole machine: cargo runs it after
//! the other tests, not beside them. `make chaos` and `make kills` run it for longer.
//!
//! | variable | meaning |
//! |---|---|
//! | `CALLQ_CHAOS_SECONDS` | how long faults are inflicted; 75 by default |
//! | `CALLQ_CHAOS_SEED` | a printed seed: repeats the schedule of faults |
//! | `CALLQ_CHAOS_KILLS` | how many workers `kills` kills; 1000 by default |
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(
    clippy::print_stdout,
    reason = "the seed, the figures and a failure's history are to be read"
)]

mod crew;
mod disk;
mod evidence;
mod judge;
mod kills;
mod plant;
mod producers;
mod pulse;
mod schedule;
mod skew;
mod soak;

#[allow(
    dead_code,
    reason = "shared with the other tests, which use more of it"
)]
#[path = "../it/support/gate.rs"]
mod gate;
#[allow(
    dead_code,
    reason = "shared with the other tests, which use more of it"
)]
#[path = "../it/support/port.rs"]
mod port;
#[allow(
    dead_code,
    reason = "shared with the other tests, which use more of it"
)]
#[path = "../it/support/program.rs"]
mod program;
#[allow(
    dead_code,
    reason = "shared with the other tests, which use more of it"
)]
#[path = "../it/support/proxy.rs"]
mod proxy;

use std::{env, fs, path::PathBuf, str::FromStr};

/// A number from the environment.
fn given<T: FromStr>(name: &str) -> Option<T> {
    let text = env::var(name).ok().filter(|text| !text.is_empty())?;
    let number = text.parse().ok();
    Some(number.unwrap_or_else(|| panic!("{name} is {text:?}: must be a number")))
}

/// A fault that cannot be injected on this machine. `.ci/run` sets CI: there it must be.
fn left_out(what: &str) {
    assert!(env::var_os("CI").is_none(), "left out: {what}");
    println!("left out: {what}");
}

/// Where the logs of a run are left, for whoever looks into a failure.
fn log_folder(run: &str, seed: u64) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("chaos-{run}-{seed}"));
    let _not_there = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a test may make folders");
    folder
}
