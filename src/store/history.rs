//! Which history of the database workers go by: looking, asking for its word, and telling people.
//!
//! What is decided, and how, is `callq.attest` (`migrations/0008_history.sql`); what a worker makes
//! of it is in `watch.rs`.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::connect::bounded;
use super::watch::{Place, Sight};
use super::{Epoch, Store, StoreError};

/// Whether a worker may claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The database is known to have everything that this worker wrote.
    Open,
    /// It is not known, or something is missing: nothing is claimed.
    Shut,
}

/// What a worker waits for, in words.
#[derive(Clone, Debug, Serialize)]
pub struct Waiting {
    /// `accepted`: for nothing. Otherwise as `callq.history.state`.
    pub state: String,
    /// The same as a sentence.
    pub says: String,
    /// What to do.
    pub next_step: String,
    /// The newest thing that workers wrote and that is there.
    pub remembers_until: DateTime<Utc>,
}

impl Waiting {
    /// Whether workers claim.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.state == "accepted"
    }
}

impl Store {
    /// Whether this worker may claim now. A store that watches nothing always may.
    #[must_use]
    pub fn history_is_open(&self) -> bool {
        self.watch.as_ref().is_none_or(|watch| watch.is_open())
    }

    /// The number of the history that this worker works in; `None`: of none yet.
    #[must_use]
    pub fn history_no(&self) -> Option<i64> {
        self.watch.as_ref()?.known().joined
    }

    /// Whether calls of a claim made in `epoch` may still be placed.
    #[must_use]
    pub fn history_holds(&self, epoch: Epoch) -> bool {
        let watch = self.watch.as_ref();
        watch.is_none_or(|watch| watch.known().holds(epoch))
    }

    /// Asks for the history to be looked at now.
    pub fn look_at_history_soon(&self) {
        if let Some(watch) = &self.watch {
            watch.soon.notify_one();
        }
    }

    /// Waits until the history is to be looked at before its time.
    pub async fn history_wants_a_look(&self) {
        match &self.watch {
            Some(watch) => watch.soon.notified().await,
            None => std::future::pending().await,
        }
    }

    /// Looks whether the history is still the one that this worker goes by; to be done twice a
    /// second.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn look_at_history(&self) -> Result<Standing, StoreError> {
        let seen = bounded!(
            self,
            "tell its history",
            fetch_one,
            sqlx::query_file!("src/store/history.sql")
        );
        if let Some(watch) = &self.watch
            && matches!(&seen, Err(error) if is_about_the_schema(error))
        {
            // It is being restored under this connection.
            watch.known().shut();
        }
        let row = seen?;
        if let Some(watch) = &self.watch {
            watch.known().see(&Sight {
                place: Place {
                    origin: row.origin,
                    timeline: row.timeline,
                },
                wal_position: row.wal_position,
                server_started: row.server_started,
                history_no: row.history_no,
                accepted: row.accepted && !row.in_recovery,
            });
        }
        Ok(self.standing())
    }

    /// Says what this worker, up for so long, knows of the history, and asks whether it may work;
    /// to be repeated every 5 s, and twice a second while it may not.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn attest(&self, worker: &str, up: Duration) -> Result<Standing, StoreError> {
        let Some(watch) = &self.watch else {
            return Ok(Standing::Open);
        };
        let asked = {
            let mut known = watch.known();
            known.write += 1;
            let mut asked = known.clone();
            asked.asked_at = Some(Instant::now());
            asked
        };
        let (place, position) = asked.at.clone().unzip();
        let row = bounded!(
            self,
            "tell whether it has lost anything",
            fetch_one,
            sqlx::query_file!(
                "src/store/attest.sql",
                worker,
                up.as_secs_f64(),
                asked.joined,
                asked.write,
                asked.wrote,
                asked.claim.map(|c| c.job_id),
                asked.claim.map(|c| c.attempt),
                asked.claim.map(|c| c.claim_token),
                asked.filed.map(|f| f.job_id),
                asked.filed.map(|f| f.attempt),
                asked.filed.map(|f| f.claim_token),
                place.as_ref().map(|p| p.origin.clone()),
                place.as_ref().map(|p| p.timeline),
                position,
            )
        )?;
        let mut known = watch.known();
        match (row.may_work, row.history_no, row.timeline, row.wal_position) {
            (true, Some(history_no), Some(timeline), Some(position)) => {
                let place = Place {
                    origin: row.origin,
                    timeline,
                };
                known.hear(&asked, history_no, place, (position, row.server_started));
            }
            _ => known.shut(),
        }
        drop(known);
        Ok(self.standing())
    }

    fn standing(&self) -> Standing {
        if self.history_is_open() {
            Standing::Open
        } else {
            Standing::Shut
        }
    }

    /// Whether workers go by this history of the database, and if not, why and what to do.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn waiting(&self) -> Result<Waiting, StoreError> {
        bounded!(
            self,
            "tell what workers wait for",
            fetch_one,
            sqlx::query_file_as!(Waiting, "src/store/waiting.sql")
        )
    }
}

/// Whether the database no longer has what it had: classes 42 and 3F.
fn is_about_the_schema(error: &StoreError) -> bool {
    let code = error.sqlstate();
    code.is_some_and(|code| code.starts_with("42") || code.starts_with("3F"))
}
