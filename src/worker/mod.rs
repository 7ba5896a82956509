//! TIES store and tencent: claims due jobs, places their calls, records what came of them.
//!
//! One file per duty:
//!
//! - `claim`: permits first, then the claim; sleeps on timers, not on polls.
//! - `place`: one claimed job becomes one request, or none.
//! - `record`: results are written back in batches and never dropped.
//! - `rescue`: lapsed leases, doubts whose time has come, deadlines that passed.
//! - `listen`: hints from the database, and whether they still arrive.
//! - `pauses`: what is paused now, known within a second.
//! - `probe`: asks whether a paused app is worth a job again, by a command that rings nobody.
//! - `serve`: tells the database which apps are served.
//! - `history`: watches whether the database still has everything that was written into it.
//! - `beat`: tells the database how this worker stands, for people to see.
//! - `ground`: whether the schema still lets this version work, and the sessions are still its own.
//! - `fire`: schedules become jobs; `reckon`, a pure function of their rows, decides which, and
//!   `timetables` keeps what it needs for that.
//! - `sweep`: reads call records, one worker for each app; `pages` turns them, and `prove` says
//!   which doubts led to no call.
//! - `follow`: what callbacks and records tell of calls is settled; `weigh`, a pure function, says
//!   what of it.
//! - `end`: ends calls that were cancelled or last too long.
//! - `media`: media is started when somebody answers and stopped when the call is over; `stream` is
//!   one request of it.
//! - `prune`: deletes what is old, and folds the counts of the reports.
//! - `rotate`: takes over secrets that were changed while the worker runs.
//! - `tell`: what an answer means for the app, beyond its job.
//! - `tokens`: what an app's bucket is owed after a claim.
//!
//! Any number of workers may share a queue; they know nothing of each other.

mod app;
mod beat;
mod behind;
mod circuit;
mod claim;
mod config;
mod context;
mod end;
mod fire;
mod follow;
mod ground;
mod health;
mod history;
mod listen;
mod media;
mod media_metrics;
mod metrics;
mod migrate;
mod owed;
mod pages;
mod pauses;
mod place;
mod probe;
mod prove;
mod prune;
mod reckon;
mod record;
mod rescue;
mod rotate;
mod run;
mod serve;
mod straggle;
mod stream;
mod sweep;
mod tell;
mod timetables;
mod tokens;
mod weigh;

pub use config::{ReadAgain, WorkerApp, WorkerConfig, WorkerError};
pub use health::Health;
pub use metrics::Metrics;
pub use migrate::migrate;
pub use run::Worker;
