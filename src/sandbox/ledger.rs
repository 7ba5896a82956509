//! What arrived and what was started, in order, with the counts that tests ask for.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;

use super::record::{Answered, Call, Query, Record};
use super::window::Window;

/// So many queries are kept; beyond, the older half is forgotten, and counted for good.
const QUERIES_MAX: usize = 100_000;

/// Everything a sandbox received since it started or was reset.
///
/// A clone is a snapshot: cheap per entry, because the entries are shared.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    requests: Vec<Arc<Record>>,
    calls: Vec<Arc<Call>>,
    /// `CallId` to its index in `calls`.
    call_indexes: HashMap<Uuid, usize>,
    queries: Vec<Arc<Query>>,
    queries_seen: u64,
    rooms: Vec<RoomCount>,
    /// Room to its index in `rooms`.
    room_indexes: HashMap<Arc<str>, usize>,
    /// (Index of the room, `random`) to how often it came.
    pairs: HashMap<(usize, u32), u64>,
    /// The pairs that came twice, in the order of their second coming.
    repeated: Vec<(usize, u32)>,
    per_answer: BTreeMap<Answered, u64>,
    rang: u64,
    duplicates: u64,
    closed_unread: u64,
    last_second: Window,
    busiest_second: usize,
}

#[derive(Clone, Debug)]
struct RoomCount {
    room: Arc<str>,
    requests: u64,
}

/// A room and a `random` that came more than once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Repeated {
    /// `CallInfo.RoomId` as text.
    pub room_id: String,
    /// The `random` of the URL.
    pub random: u32,
    /// How many requests had both.
    pub count: u64,
}

/// The ledger in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Requests read.
    pub requests: u64,
    /// Requests after which a phone rang.
    pub rang: u64,
    /// Requests per answer: an `ErrorCode`, `http_502`, `closed`, `garbage`, `stalled`,
    /// `truncated` or `redirected`.
    pub per_answer: BTreeMap<String, u64>,
    /// The most requests that were read within any one second.
    pub busiest_second: u64,
    /// Requests whose room and `random` had both come before, together.
    pub duplicates: u64,
    /// Connections closed with a request on them that nobody read.
    pub closed_unread: u64,
    /// Requests that asked for something and rang nobody; not among `requests`.
    pub queries: u64,
}

impl Ledger {
    /// The requests in the order in which they were read; the first has `seq` 1.
    #[must_use]
    pub fn requests(&self) -> &[Arc<Record>] {
        &self.requests
    }

    /// The calls in the order in which they were started.
    #[must_use]
    pub fn calls(&self) -> &[Arc<Call>] {
        &self.calls
    }

    /// The call of this id.
    #[must_use]
    pub fn call(&self, call_id: Uuid) -> Option<&Call> {
        self.call_indexes
            .get(&call_id)
            .map(|index| &*self.calls[*index])
    }

    /// The requests that asked for something and rang nobody, in the order in which they were read:
    /// the last 50,000 at least.
    #[must_use]
    pub fn queries(&self) -> &[Arc<Query>] {
        &self.queries
    }

    /// How many requests named each room, in the order in which the rooms first came.
    pub fn rooms(&self) -> impl Iterator<Item = (&str, u64)> {
        self.rooms
            .iter()
            .map(|count| (&*count.room, count.requests))
    }

    /// How many requests named this room.
    #[must_use]
    pub fn room_requests(&self, room_id: &str) -> u64 {
        self.room_indexes
            .get(room_id)
            .map_or(0, |index| self.rooms[*index].requests)
    }

    /// How many requests named this room with this `random`.
    #[must_use]
    pub fn pair_requests(&self, room_id: &str, random: u32) -> u64 {
        let index = self.room_indexes.get(room_id);
        index
            .and_then(|index| self.pairs.get(&(*index, random)))
            .copied()
            .unwrap_or(0)
    }

    /// The pairs of room and `random` that came more than once.
    pub fn repeated(&self) -> impl Iterator<Item = Repeated> {
        self.repeated.iter().map(|pair| Repeated {
            room_id: self.rooms[pair.0].room.to_string(),
            random: pair.1,
            count: self.pairs[pair],
        })
    }

    /// The counts.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            requests: self.requests.len() as u64,
            rang: self.rang,
            per_answer: self
                .per_answer
                .iter()
                .map(|(key, n)| (key.to_string(), *n))
                .collect(),
            busiest_second: self.busiest_second as u64,
            duplicates: self.duplicates,
            closed_unread: self.closed_unread,
            queries: self.queries_seen,
        }
    }

    /// The sequence number of the next request.
    pub(super) fn next_seq(&self) -> u64 {
        self.requests.len() as u64 + 1
    }

    /// Enters a request and the call it started.
    pub(super) fn enter(&mut self, record: Arc<Record>, call: Option<Arc<Call>>) {
        if let Some(room) = &record.room_id {
            self.count_room(room, record.random);
        }
        *self.per_answer.entry(record.answered).or_default() += 1;
        self.rang += u64::from(record.rang);
        self.busiest_second = self
            .busiest_second
            .max(self.last_second.count(record.monotonic_us));
        if let Some(call) = call {
            self.call_indexes.insert(call.call_id, self.calls.len());
            self.calls.push(call);
        }
        self.requests.push(record);
    }

    /// Enters a request that rang nobody.
    pub(super) fn enter_query(&mut self, query: Query) {
        if self.queries.len() == QUERIES_MAX {
            self.queries.drain(..QUERIES_MAX / 2);
        }
        self.queries_seen += 1;
        self.queries.push(Arc::new(query));
    }

    /// Counts a connection that was closed with an unread request on it.
    pub(super) fn count_closed_unread(&mut self) {
        self.closed_unread += 1;
    }

    fn count_room(&mut self, room: &str, random: Option<u32>) {
        let index = self.room_indexes.get(room).copied().unwrap_or_else(|| {
            let room: Arc<str> = Arc::from(room);
            self.rooms.push(RoomCount {
                room: Arc::clone(&room),
                requests: 0,
            });
            self.room_indexes.insert(room, self.rooms.len() - 1);
            self.rooms.len() - 1
        });
        self.rooms[index].requests += 1;
        let Some(random) = random else { return };
        let count = self.pairs.entry((index, random)).or_default();
        *count += 1;
        if *count == 2 {
            self.repeated.push((index, random));
        }
        self.duplicates += u64::from(*count > 1);
    }
}
