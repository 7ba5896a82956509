//! Which history of the database a worker goes by, and whether it may claim in it.
//!
//! A standby that is promoted without the last commits, or a backup that is restored, says
//! `scheduled` of jobs whose phones have rung. Every such change breaks all connections, so a new
//! connection is where it is noticed, before its first statement; until the database and this
//! worker agree that nothing was lost, the watch is shut and nothing is claimed. What is decided,
//! and how, is `callq.attest` (`migrations/0008_history.sql`).

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use tokio::sync::Notify;
use uuid::Uuid;

use super::connect::{SESSION, bounded};
use super::{Store, StoreError};

/// Which opening of the watch a claim was made in. One that was made before it was shut places no
/// call afterwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Epoch(u64);

/// Whether a worker may claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The database is known to have everything that this worker wrote.
    Open,
    /// It is not known, or something is missing: nothing is claimed.
    Shut,
}

/// What a worker waits for, in words.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Waiting {
    /// `accepted`: for nothing. Otherwise as `callq.history.state`.
    pub state: String,
    /// The same as a sentence.
    pub says: String,
    /// What to do.
    pub next_step: String,
    /// The newest thing that workers wrote and that is there.
    pub remembers_until: chrono::DateTime<chrono::Utc>,
}

impl Waiting {
    /// Whether workers claim.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.state == "accepted"
    }
}

/// A server's history, up to a promotion or a restored dump.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    origin: String,
    timeline: i32,
}

/// What one look at the database found.
#[derive(Clone, Debug)]
struct Sight {
    place: Place,
    wal_position: i64,
    server_started: i64,
    history_no: i64,
    accepted: bool,
}

/// A claim that was acknowledged: one of its attempts stands for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ClaimMark {
    job_id: i64,
    attempt: i32,
    claim_token: Uuid,
}

/// What a worker knows of the history.
#[derive(Clone, Debug, Default)]
struct Known {
    open: bool,
    epoch: u64,
    /// The number of the history that it works in.
    joined: Option<i64>,
    /// Where that is, and the furthest position of the log that was seen there.
    at: Option<(Place, i64)>,
    /// When the server was started that had everything. After a restart its disk may be another.
    server_started: i64,
    /// The number of the last write that was tried, and of the newest that was acknowledged.
    write: i64,
    wrote: i64,
    /// The newest claim since that one.
    claim: Option<ClaimMark>,
    /// Where the newest connection leads.
    newest: Option<Place>,
    /// Connections that are older lead elsewhere.
    moved_at: Option<Instant>,
    /// Whether idle connections of before are still to be given up.
    purge: bool,
}

impl Known {
    fn shut(&mut self) {
        if self.open {
            self.open = false;
            self.epoch += 1;
        }
    }

    /// A look at the database, by a new connection or an old one.
    fn see(&mut self, sight: Sight) {
        let known = match &mut self.at {
            Some((place, position)) if *place == sight.place => {
                let went_back = sight.wal_position < *position;
                *position = sight.wal_position.max(*position);
                !went_back
            }
            _ => false,
        };
        let same_server = self.server_started == sight.server_started;
        if !(known && same_server && sight.accepted && self.joined == Some(sight.history_no)) {
            self.shut();
        }
    }

    fn connected(&mut self, place: Place) {
        if self.newest.as_ref().is_some_and(|newest| *newest != place) {
            self.moved_at = Some(Instant::now());
            self.purge = true;
        }
        self.newest = Some(place);
    }

    /// The answer to what was said in `asked`.
    fn hear(&mut self, asked: &Self, history_no: i64, place: Place, at: (i64, i64)) {
        let (position, server_started) = at;
        if self.epoch != asked.epoch {
            // Shut since: the answer may be of another server.
            return;
        }
        self.open = true;
        self.joined = Some(history_no);
        self.server_started = server_started;
        self.wrote = asked.write;
        if self.claim == asked.claim {
            self.claim = None;
        }
        let seen = match &self.at {
            Some((at, seen)) if *at == place => *seen,
            _ => position,
        };
        self.at = Some((place, position.max(seen)));
    }
}

/// Watches over the history for all connections of one worker.
#[derive(Debug, Default)]
pub(super) struct Watch {
    known: Mutex<Known>,
    soon: Notify,
}

impl Watch {
    fn known(&self) -> MutexGuard<'_, Known> {
        // Valid after every step.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_open(&self) -> bool {
        self.known().open
    }

    pub(super) fn epoch(&self) -> Epoch {
        Epoch(self.known().epoch)
    }

    /// Sets a new connection up and looks where it leads, in one round trip. A standby is refused:
    /// it may be promoted under an open connection, which would go unseen.
    pub(super) async fn meet(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let sql = format!("{SESSION}; {}", include_str!("history.sql"));
        let row = sqlx::raw_sql(AssertSqlSafe(sql))
            .fetch_one(connection)
            .await?;
        if row.try_get("in_recovery!")? {
            let text = "the server is a standby, or recovers: nothing is written to it";
            return Err(sqlx::Error::Configuration(text.into()));
        }
        let sight = sight(&row)?;
        let mut known = self.known();
        let was_open = known.open;
        known.connected(sight.place.clone());
        known.see(sight);
        if was_open && !known.open {
            self.soon.notify_one();
        }
        Ok(())
    }

    /// Whether a connection of this age leads where the newest one does.
    pub(super) fn is_current(&self, age: Duration) -> bool {
        let moved_at = self.known().moved_at;
        moved_at.is_none_or(|at| age <= at.elapsed())
    }

    /// Whether idle connections are to be given up now; true once for each move.
    pub(super) fn take_purge(&self) -> bool {
        std::mem::take(&mut self.known().purge)
    }

    /// Notes a claim that was acknowledged, if its calls may be placed.
    pub(super) fn note_claim(&self, epoch: Epoch, job: i64, attempt: i32, token: Uuid) -> bool {
        let mut known = self.known();
        let holds = known.open && known.epoch == epoch.0;
        if holds {
            known.claim = Some(ClaimMark {
                job_id: job,
                attempt,
                claim_token: token,
            });
        }
        holds
    }
}

/// Whether the database no longer has what it had: classes 42 and 3F.
fn is_about_the_schema(error: &StoreError) -> bool {
    let code = error.sqlstate();
    code.is_some_and(|code| code.starts_with("42") || code.starts_with("3F"))
}

fn sight(row: &PgRow) -> Result<Sight, sqlx::Error> {
    Ok(Sight {
        place: Place {
            origin: row.try_get("origin!")?,
            timeline: row.try_get("timeline!")?,
        },
        wal_position: row.try_get("wal_position!")?,
        server_started: row.try_get("server_started!")?,
        history_no: row.try_get("history_no!")?,
        accepted: row.try_get("accepted!")?,
    })
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
        let holds = |watch: &Watch| {
            let known = watch.known();
            known.open && known.epoch == epoch.0
        };
        self.watch.as_ref().is_none_or(|watch| holds(watch))
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
            watch.known().see(Sight {
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
            known.clone()
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
