//! What tests share.

pub(crate) mod bouncer;
pub(crate) mod child;
pub(crate) mod database;
pub(crate) mod gate;
pub(crate) mod program;
pub(crate) mod proxy;
pub(crate) mod receiver;
pub(crate) mod rig;
pub(crate) mod server;
pub(crate) mod standby;
pub(crate) mod statements;
pub(crate) mod terminal;
pub(crate) mod tls;

pub(crate) use database::Database;

/// Lets everybody else work before somebody looks again for what no event tells of. A look follows
/// the next at once otherwise, and what is waited for comes later for it.
pub(crate) async fn look_again() {
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
}

/// Brings the empty database at `url` to the newest schema. Called once per test process, on the
/// template.
pub(crate) async fn migrate(url: String) {
    callq::worker::migrate(&url)
        .await
        .expect("an empty database can be migrated");
}
