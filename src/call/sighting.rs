//! To which attempt a call belongs whose reply was lost: found by its room in a record or a
//! callback.

use std::collections::BTreeSet;

use super::{CallbackEvent, Happened, Record, RoomIdType};

/// How far Tencent's times may be off from the marks of its own clock, in seconds.
const TOLERANCE_S: i64 = 60;

/// A call that was seen to take place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Its `CallId`.
    pub call_id: String,
    /// Its room.
    pub room_id: String,
    /// Its room's type, if that was told.
    pub room_id_type: Option<RoomIdType>,
    /// Everybody on it: robot and callees.
    pub people: BTreeSet<String>,
    /// When it began, in seconds of Tencent's clock.
    pub began_s: Option<i64>,
}

impl Sighting {
    /// What a record shows; `None` if it names no room.
    #[must_use]
    pub fn of_record(record: &Record) -> Option<Self> {
        let caller = record.caller.iter();
        Some(Self {
            call_id: record.call_id.clone(),
            room_id: record.room_id.clone()?,
            room_id_type: record.room_id_type,
            people: record.callees.iter().chain(caller).cloned().collect(),
            began_s: record.started_at_s,
        })
    }

    /// What a callback shows; `None` if it names no room.
    #[must_use]
    pub fn of_callback(event: &CallbackEvent) -> Option<Self> {
        match &event.happened {
            Happened::Ended(record) => Self::of_record(record),
            Happened::Started {
                room_id,
                room_id_type,
                users,
            } => Some(Self {
                call_id: event.call_id.clone(),
                room_id: room_id.clone()?,
                room_id_type: *room_id_type,
                people: users.iter().map(|user| user.account.clone()).collect(),
                began_s: event.event_at_ms.map(|ms| ms / 1000),
            }),
            Happened::MemberChanged { .. } => None,
        }
    }
}

/// Whose room it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomOwner {
    /// callq's, made for this attempt and no other.
    Attempt,
    /// The user's, in which other calls can take place.
    User,
}

/// An attempt that may have led to a call.
#[derive(Clone, Debug)]
pub struct Suspect<'a> {
    /// Its room.
    pub room_id: &'a str,
    /// Its room's type.
    pub room_id_type: Option<RoomIdType>,
    /// Whose room that is.
    pub room_owner: RoomOwner,
    /// The robot.
    pub robot: &'a str,
    /// The callees.
    pub callees: &'a [String],
    /// When its call can have begun at the earliest, in seconds of Tencent's clock.
    pub began_from: Option<i64>,
    /// When its call can have begun at the latest, likewise.
    pub began_until: Option<i64>,
}

/// Which of the suspects the call belongs to, if it can be no other's.
///
/// A room that callq made decides by itself. In a room of the user's, robot, callees and time must
/// fit too, and must fit one suspect only.
#[must_use]
pub fn culprit(sighting: &Sighting, suspects: &[Suspect<'_>]) -> Option<usize> {
    let mut fitting = suspects
        .iter()
        .enumerate()
        .filter(|(_, suspect)| fits(sighting, suspect));
    let (place, _) = fitting.next()?;
    fitting.next().is_none().then_some(place)
}

fn fits(sighting: &Sighting, suspect: &Suspect<'_>) -> bool {
    let types = (sighting.room_id_type, suspect.room_id_type);
    let same_type = !matches!(types, (Some(one), Some(other)) if one != other);
    if sighting.room_id != suspect.room_id || !same_type {
        return false;
    }
    match suspect.room_owner {
        RoomOwner::Attempt => true,
        RoomOwner::User => {
            let robot = std::iter::once(suspect.robot);
            let asked: BTreeSet<&str> = suspect
                .callees
                .iter()
                .map(String::as_str)
                .chain(robot)
                .collect();
            let seen: BTreeSet<&str> = sighting.people.iter().map(String::as_str).collect();
            let in_time = match (sighting.began_s, suspect.began_from, suspect.began_until) {
                (Some(at), Some(from), Some(until)) => {
                    (from - TOLERANCE_S..=until + TOLERANCE_S).contains(&at)
                }
                _ => false,
            };
            asked == seen && in_time
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sighting(room_id: &str, began_s: i64) -> Sighting {
        Sighting {
            call_id: "c".to_owned(),
            room_id: room_id.to_owned(),
            room_id_type: Some(RoomIdType::Text),
            people: ["bot", "ann"].map(str::to_owned).into(),
            began_s: Some(began_s),
        }
    }

    fn suspect<'a>(room_id: &'a str, callees: &'a [String], owner: RoomOwner) -> Suspect<'a> {
        Suspect {
            room_id,
            room_id_type: Some(RoomIdType::Text),
            room_owner: owner,
            robot: "bot",
            callees,
            began_from: Some(1000),
            began_until: Some(1030),
        }
    }

    #[test]
    fn a_room_that_was_made_for_an_attempt_is_enough() {
        let ann = ["ann".to_owned()];
        let other = suspect("other", &ann, RoomOwner::Attempt);
        let own = suspect("room", &ann, RoomOwner::Attempt);
        let seen = sighting("room", 5_000_000);
        assert_eq!(culprit(&seen, &[other.clone(), own]), Some(1));
        assert_eq!(culprit(&seen, &[other]), None);
    }

    #[test]
    fn in_a_room_of_the_users_people_and_time_must_fit_one_attempt_alone() {
        let (ann, bob) = (["ann".to_owned()], ["bob".to_owned()]);
        let own = suspect("room", &ann, RoomOwner::User);
        let other = suspect("room", &bob, RoomOwner::User);
        let at = |began_s| sighting("room", began_s);
        assert_eq!(culprit(&at(1001), &[other.clone(), own.clone()]), Some(1));
        assert_eq!(culprit(&at(939), std::slice::from_ref(&own)), None);
        assert_eq!(culprit(&at(1091), std::slice::from_ref(&own)), None);
        assert_eq!(culprit(&at(1090), std::slice::from_ref(&own)), Some(0));
        assert_eq!(culprit(&at(1001), &[own.clone(), own.clone()]), None);
        let unmarked = Suspect {
            began_until: None,
            ..own
        };
        assert_eq!(culprit(&at(1001), &[unmarked]), None);
    }

    #[test]
    fn room_7_of_digits_is_not_room_7_of_text() {
        let ann = ["ann".to_owned()];
        let digits = Suspect {
            room_id_type: Some(RoomIdType::Digits),
            ..suspect("7", &ann, RoomOwner::Attempt)
        };
        assert_eq!(culprit(&sighting("7", 1001), &[digits]), None);
    }
}
