//! The files of `jobs/`: one recurring call each, in TOML. [`keys`] is the list of every key; the
//! table of `docs/schedules.md` is made from it.
//!
//! - `keys`: what there is, what a value may be, what holds without it.
//! - `files`: which files, read within bounds; `calendar` reads the dates that they name.
//! - `reader`, `json`: a value of the right type, or what is wrong with it, by file, line, column.
//! - `schedule`, `rings`, `dates`, `call`: what it means; every mistake of every file is told at
//!   once.

mod calendar;
mod call;
mod dates;
mod files;
pub(super) mod json;
pub mod keys;
mod reader;
mod rings;
mod schedule;

pub use call::CallTemplate;
pub use files::read_schedules;
pub use rings::Rings;
pub use schedule::ScheduleFile;

use super::fault::{Fault, Faults};
use super::given::{Place, app_name};
use super::kind::{looks_like_a_secret, shown};
use super::{near, text};
