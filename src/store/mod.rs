//! LEAF: everything that is said to PostgreSQL, one verb a file, its SQL beside it.
//!
//! Each verb is one statement, committed by itself. No transaction is ever begun on the pool's
//! connections, so none can be left open across a request, and dropping a future in the middle
//! cannot hand a half-open transaction to the next borrower (sqlx 0.9 would). Only [`Import`] has a
//! transaction, on a connection of its own that ends with it.

mod app;
mod apps;
mod change;
mod claim;
mod codes;
mod connect;
mod end;
mod enqueue;
mod fire;
mod follow;
mod gauge;
mod grant;
mod history;
mod inspect;
mod list;
mod listen;
mod low;
mod migrate;
mod outcome;
mod pooler;
mod prune;
mod reach;
mod receive;
mod record;
mod recover;
mod report;
mod rescue;
mod roles;
mod schedule_change;
mod schedule_look;
mod schedules;
mod schema;
mod settings;
mod show;
mod streams;
mod sweep;
mod trial;
mod watch;
mod when;
mod worker;

pub use app::{PauseState, Paused, ServeRefused, Served};
pub use apps::{AppRow, Overall};
pub use change::{Answer, Verdict};
pub use claim::{Behind, ClaimOrder, Claimed, Claims};
pub use codes::CodeRow;
pub use connect::{Store, StoreError};
pub use end::{EndAsked, EndDue, Ended};
pub use enqueue::{Added, Import, JobLine, NewJob, Refused};
pub use fire::{Decision, DueSchedule, Fired, Make, Marked, NextLook, Tell, Timeliness};
pub use follow::{Followed, FollowedJob, Heeded, Hint, OpenCall};
pub use gauge::Gauge;
pub use grant::{Ask, Grant};
pub use history::{Standing, Waiting};
pub use inspect::{Encryption, Inspector, Server};
pub use list::{JobFilter, JobWalk, ListedJob};
pub use listen::{Heard, Listener};
pub use low::{LEVELS, Low, Lows};
pub use migrate::{Migrated, SCHEMA_VERSION, SchemaFault, migrate};
pub use outcome::{SettledCall, Settlement};
pub use pooler::Pooling;
pub use prune::{PruneStep, PrunedPage, Pruning};
pub use reach::ConnectFault;
pub use receive::{BODY_BYTES_MAX, ReceivedCallback};
pub use record::{AttemptState, Recorded, WriteBack, Written};
pub use recover::{Loss, Recovered, Recoverer, Recovery, RecoveryRefused};
pub use report::{Report, ReportSpan, Reports};
pub use rescue::{Lapsed, Settled, Walk};
pub use roles::{ROLES, Roles, roles_sql};
pub use schedule_change::{Applied, Backfill, MadeAhead, PlanItem, ScheduleAnswer};
pub use schedule_look::{FiringRow, ScheduleFault, ScheduleHealth};
pub use schedules::{ScheduleDefinition, ScheduleRow, SkippedRow};
pub use schema::{Program, Schema};
pub use settings::DatabaseSettings;
pub use show::{AttemptRow, JobRow};
pub use streams::{
    Look, MediaPause, StreamAnswer, StreamDue, StreamDuty, StreamEnded, StreamGrant, StreamNews,
    StreamNow, StreamPace, StreamSaid, StreamsTaken,
};
pub use sweep::{DueCall, RecordsRow, Sweep, SweepLease};
pub use trial::{Counters, Fill, Tally, Trial, app_name};
pub use watch::Epoch;
pub use when::{Move, When};
pub use worker::{Beat, CircuitRow, OpenCircuit, WorkerRow};
