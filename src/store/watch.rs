//! What one worker knows of the database's history, and whether that lets it claim.
//!
//! A standby that is promoted without the last commits, or a backup that is restored, says
//! `scheduled` of jobs whose phones have rung. Every such change breaks all connections, so a new
//! connection is where it is noticed, before its first statement. Then the watch is shut, and only
//! the database's word opens it again: `callq.attest` (`migrations/0008_history.sql`), for which
//! the worker says what it wrote.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use tokio::sync::Notify;
use uuid::Uuid;

use super::connect::{SESSION, WORKERS};

/// Without a word of the database for so long, nothing is claimed. Workers that were silent for
/// 20 s before a failover are not asked afterwards, because what they claimed is older than what
/// others have found; so none may claim for that long without telling that it is there.
const WORD_HOLDS: Duration = Duration::from_secs(15);

/// Which opening of the watch a claim was made in. One that was made before it was shut places no
/// call afterwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Epoch(u64);

/// A server's history, up to a promotion or a restored dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) origin: String,
    pub(super) timeline: i32,
}

/// What one look at the database found.
#[derive(Clone, Debug)]
pub(super) struct Sight {
    pub(super) place: Place,
    pub(super) wal_position: i64,
    pub(super) server_started: i64,
    pub(super) history_no: i64,
    pub(super) accepted: bool,
}

/// A claim, or a batch of results, that was acknowledged: one of its attempts stands for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) job_id: i64,
    pub(super) attempt: i32,
    pub(super) claim_token: Uuid,
}

/// What a worker knows of the history.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    open: bool,
    /// When the database was asked for the word that opened it, or keeps it open.
    pub(super) asked_at: Option<Instant>,
    epoch: u64,
    /// The number of the history that it works in.
    pub(super) joined: Option<i64>,
    /// Where that is, and the furthest position of the log that was seen there.
    pub(super) at: Option<(Place, i64)>,
    /// When the server was started that had everything. After a restart its disk may be another.
    server_started: i64,
    /// The number of the last write that was tried, and of the newest that was acknowledged.
    pub(super) write: i64,
    pub(super) wrote: i64,
    /// The newest claim since that one.
    pub(super) claim: Option<Mark>,
    /// The newest result that was written since. Claims and results go different ways, each in
    /// order: neither says that the other is there.
    pub(super) filed: Option<Mark>,
    /// Where the newest connection leads.
    newest: Option<Place>,
    /// Connections that are older lead elsewhere.
    moved_at: Option<Instant>,
    /// Whether idle connections of before are still to be given up.
    purge: bool,
}

impl Known {
    fn is_open(&self) -> bool {
        self.open && self.asked_at.is_some_and(|at| at.elapsed() < WORD_HOLDS)
    }

    pub(super) fn holds(&self, epoch: Epoch) -> bool {
        self.is_open() && self.epoch == epoch.0
    }

    pub(super) fn shut(&mut self) {
        if self.open {
            self.open = false;
            self.epoch += 1;
        }
    }

    /// A look at the database, by a new connection or an old one.
    pub(super) fn see(&mut self, sight: &Sight) {
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
    pub(super) fn hear(&mut self, asked: &Self, history_no: i64, place: Place, at: (i64, i64)) {
        let (position, server_started) = at;
        if self.epoch != asked.epoch {
            // Shut since: the answer may be of another server.
            return;
        }
        // Of a history that was recovered nothing is missed that the one before it had.
        let same_history = self.joined == Some(history_no);
        self.open = true;
        self.asked_at = asked.asked_at;
        self.joined = Some(history_no);
        self.server_started = server_started;
        self.wrote = asked.write;
        if self.claim == asked.claim {
            self.claim = None;
        }
        if self.filed == asked.filed {
            self.filed = None;
        }
        let seen = match &self.at {
            Some((at, seen)) if same_history && *at == place => *seen,
            _ => position,
        };
        self.at = Some((place, position.max(seen)));
    }
}

/// Watches over the history for all connections of one worker.
#[derive(Debug, Default)]
pub(super) struct Watch {
    known: Mutex<Known>,
    pub(super) soon: Notify,
}

impl Watch {
    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        // Valid after every step.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_open(&self) -> bool {
        self.known().is_open()
    }

    pub(super) fn epoch(&self) -> Epoch {
        Epoch(self.known().epoch)
    }

    /// Sets a new connection up and looks where it leads, in one round trip. A standby is refused:
    /// it may be promoted under an open connection, which would go unseen.
    pub(super) async fn meet(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let sql = format!("{SESSION}; {WORKERS}; {}", include_str!("history.sql"));
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
        known.see(&sight);
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
        let holds = known.holds(epoch);
        if holds {
            known.claim = Some(Mark {
                job_id: job,
                attempt,
                claim_token: token,
            });
        }
        holds
    }

    /// Notes results that were acknowledged while this was the database that the worker goes by:
    /// elsewhere they say nothing of it.
    pub(super) fn note_result(&self, epoch: Epoch, job: i64, attempt: i32, token: Uuid) {
        let mut known = self.known();
        if known.open && known.epoch == epoch.0 {
            known.filed = Some(Mark {
                job_id: job,
                attempt,
                claim_token: token,
            });
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn place(timeline: i32) -> Place {
        Place {
            origin: "1.2.3".to_owned(),
            timeline,
        }
    }

    fn sight(timeline: i32, wal_position: i64) -> Sight {
        Sight {
            place: place(timeline),
            wal_position,
            server_started: 1,
            history_no: 1,
            accepted: true,
        }
    }

    /// One that works in the first history, and has seen 100 bytes of its log.
    fn working() -> Known {
        let mut known = Known::default();
        say(&mut known);
        known
    }

    fn say(known: &mut Known) {
        known.write += 1;
        let mut asked = known.clone();
        asked.asked_at = Some(Instant::now());
        known.hear(&asked, 1, place(1), (100, 1));
    }

    #[test]
    fn nothing_is_open_before_the_database_gave_its_word() {
        let mut known = Known::default();
        known.see(&sight(1, 100));
        assert!(!known.is_open());
        say(&mut known);
        assert!(known.is_open());
    }

    #[test]
    fn whatever_is_not_as_it_was_shuts_the_watch_for_good_and_a_longer_log_does_not() {
        type Change = fn(&mut Sight);
        let mut known = working();
        known.see(&sight(1, 200));
        assert!(known.holds(Epoch(0)));
        let others: [(&str, Change); 6] = [
            ("a shorter log", |s| s.wal_position = 199),
            ("a timeline", |s| s.place.timeline = 2),
            ("an origin", |s| s.place.origin = "1.2.4".to_owned()),
            ("a restart", |s| s.server_started = 2),
            ("a number", |s| s.history_no = 2),
            ("a word", |s| s.accepted = false),
        ];
        for (what, change) in others {
            let mut known = known.clone();
            let mut other = sight(1, 200);
            change(&mut other);
            known.see(&other);
            assert!(!known.is_open(), "{what}");
            known.see(&sight(1, 200));
            assert!(
                !known.is_open(),
                "{what}: only the database's word opens it"
            );
            say(&mut known);
            assert!(known.holds(Epoch(1)) && !known.holds(Epoch(0)), "{what}");
        }
    }

    #[test]
    fn a_log_that_a_person_let_go_is_no_longer_missed() {
        let mut known = working();
        known.see(&sight(1, 1_000_000));
        known.see(&sight(1, 200));
        assert!(!known.is_open(), "the log went back");
        let asked = known.clone();
        known.hear(&asked, 1, place(1), (300, 1));
        assert_eq!(known.at, Some((place(1), 1_000_000)), "the same history");
        known.hear(&asked, 2, place(1), (300, 1));
        assert_eq!(known.at, Some((place(1), 300)), "it was recovered");
    }

    #[test]
    fn a_word_that_was_asked_for_before_the_watch_was_shut_opens_nothing() {
        let mut known = working();
        let asked = known.clone();
        known.shut();
        known.hear(&asked, 1, place(1), (100, 1));
        assert!(!known.is_open());
    }

    #[test]
    fn a_word_holds_for_a_while() {
        let mut known = working();
        known.asked_at = Instant::now().checked_sub(WORD_HOLDS);
        assert!(!known.is_open());
    }

    #[test]
    fn a_claim_counts_until_a_later_write_is_acknowledged() {
        let watch = Watch {
            known: Mutex::new(working()),
            soon: Notify::new(),
        };
        let token = Uuid::from_u128(1);
        assert!(watch.note_claim(watch.epoch(), 7, 1, token));
        let asked = watch.known().clone();
        assert!(watch.note_claim(watch.epoch(), 8, 1, token));
        watch.known().hear(&asked, 1, place(1), (100, 1));
        assert_eq!(watch.known().claim.map(|c| c.job_id), Some(8));
        say(&mut watch.known());
        assert!(watch.known().claim.is_none());
        watch.known().shut();
        assert!(!watch.note_claim(Epoch(0), 9, 1, token));
    }

    #[test]
    fn connections_of_before_a_move_are_given_up() {
        let watch = Watch::default();
        watch.known().connected(place(1));
        assert!(watch.is_current(Duration::from_hours(1)) && !watch.take_purge());
        watch.known().connected(place(2));
        assert!(!watch.is_current(Duration::from_hours(1)) && watch.is_current(Duration::ZERO));
        assert!(watch.take_purge() && !watch.take_purge());
    }
}
