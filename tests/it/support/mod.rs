//! What tests share.

pub(crate) mod bouncer;
pub(crate) mod child;
pub(crate) mod database;
pub(crate) mod gate;
pub(crate) mod port;
pub(crate) mod program;
pub(crate) mod proxy;
pub(crate) mod receiver;
pub(crate) mod rig;
pub(crate) mod server;
pub(crate) mod standby;
pub(crate) mod statements;
pub(crate) mod terminal;
pub(crate) mod tls;

use std::time::{Duration, Instant};

pub(crate) use database::Database;

/// Longer than any test looks for all that it waits for, on the slowest machine.
const LOOKED_IN_VAIN: Duration = Duration::from_mins(15);

/// Lets everybody else work before somebody looks again for what no event tells of. A look follows
/// the next at once otherwise, and what is waited for comes later for it.
///
/// # Panics
///
/// If the test began to look a quarter of an hour ago: what it waits for will never be, and a test
/// that never ends says nothing.
#[track_caller]
pub(crate) fn look_again() -> tokio::time::Sleep {
    thread_local! {
        // Each test has a thread of its own.
        static BEGAN: Instant = Instant::now();
    }
    let waited = BEGAN.with(Instant::elapsed);
    assert!(waited < LOOKED_IN_VAIN, "looked in vain for {waited:?}");
    tokio::time::sleep(Duration::from_millis(5))
}

/// Brings the empty database at `url` to the newest schema. Called once per test process, on the
/// template.
pub(crate) async fn migrate(url: String) {
    callq::worker::migrate(&url)
        .await
        .expect("an empty database can be migrated");
}
