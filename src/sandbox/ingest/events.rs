//! What Tencent tells of streams, by callbacks of their own (62717): where those go, and what they
//! say. They are set up in its console, not by a command.
//!
//! Assumed: that a stream that ends by itself is told of as one that was stopped (702); that a
//! stream that cannot be played is given up after the third try.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::Sha256;

/// So many can wait; what would come beyond is never told.
const EVENTS_MAX: usize = 200_000;
/// When a stream that cannot be played is tried, in milliseconds from its start.
pub(super) const TRIES_MS: [i64; 3] = [0, 1_000, 3_000];

/// Where events of streams go, and with what they are signed.
#[derive(Clone)]
pub struct IngestEvents {
    /// A plain http URL of this machine.
    pub url: String,
    /// The key of the console, up to 32 letters and digits.
    pub key: String,
}

// By hand: somebody may test with a real key, and it must not reach a log.
impl fmt::Debug for IngestEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IngestEvents").finish_non_exhaustive()
    }
}

impl IngestEvents {
    /// The headers of a callback with this body (39558).
    pub(in crate::sandbox) fn headers(&self, app: u64, body: &str) -> String {
        let sign = Hmac::<Sha256>::new_from_slice(self.key.as_bytes()).map_or_else(
            |_| String::new(),
            |mut mac| {
                mac.update(body.as_bytes());
                STANDARD.encode(mac.finalize().into_bytes())
            },
        );
        format!("SdkAppId: {app}\r\nSign: {sign}\r\n")
    }
}

/// Something that is told of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Started,
    Failed,
    Stopped,
    /// By itself, unless it was stopped before.
    Ended,
}

/// One event with everything that its callback says.
pub(in crate::sandbox) struct Told {
    pub(in crate::sandbox) app: u64,
    pub(in crate::sandbox) at_ms: i64,
    /// Another one for each event.
    pub(in crate::sandbox) number: u64,
    pub(in crate::sandbox) body: String,
}

impl Event {
    /// The body of its callback.
    pub(super) fn body(self, task_id: &str, at_ms: i64) -> String {
        let (event_type, status) = match self {
            Self::Started => (701, 0),
            Self::Failed => (701, 1),
            Self::Stopped | Self::Ended => (702, 0),
        };
        json!({
            "EventGroupId": 7,
            "EventType": event_type,
            "CallbackMsTs": at_ms,
            "EventInfo": { "EventMsTs": at_ms, "TaskId": task_id, "Status": status },
        })
        .to_string()
    }
}

/// Events that are to come, each with its time and the index of its stream.
#[derive(Default)]
pub(super) struct Ahead {
    waiting: BTreeMap<(i64, u64), (usize, Event)>,
    seen: u64,
}

impl Ahead {
    pub(super) fn add(&mut self, at_ms: i64, index: usize, event: Event) {
        if self.waiting.len() < EVENTS_MAX {
            self.seen += 1;
            self.waiting.insert((at_ms, self.seen), (index, event));
        }
    }

    pub(super) fn next_ms(&self) -> Option<i64> {
        self.waiting.first_key_value().map(|((at_ms, _), _)| *at_ms)
    }

    /// The next one that has happened by now: its time, its number, its stream, and what it is.
    pub(super) fn take(&mut self, now_ms: i64) -> Option<(i64, u64, usize, Event)> {
        let first = self.waiting.first_entry()?;
        let (at_ms, number) = *first.key();
        if at_ms > now_ms {
            return None;
        }
        let (index, event) = first.remove();
        Some((at_ms, number, index, event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callback_is_signed_over_its_body() {
        let events = IngestEvents {
            url: String::new(),
            key: "123654".to_owned(),
        };
        // Of 39558, recomputed: its body has line ends and tabs.
        let body = "{\n\t\"EventGroupId\":\t2,\n\t\"EventType\":\t204,\n\t\"CallbackTs\":\t\
                    1664209748188,\n\t\"EventInfo\":\t{\n\t\t\"RoomId\":\t8489,\n\t\t\"EventTs\":\t\
                    1664209748,\n\t\t\"EventMsTs\":\t1664209748180,\n\t\t\"UserId\":\t\
                    \"user_85034614\",\n\t\t\"Reason\":\t0\n\t}\n}";
        let expected = "SdkAppId: 7\r\nSign: kkoFeO3Oh2ZHnjtg8tEAQhtXK16/KI05W3BQff8IvGA=\r\n";
        assert_eq!(events.headers(7, body), expected);
        assert!(!format!("{events:?}").contains("123654"));
    }
}
