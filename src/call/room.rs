//! Rooms: where a call takes place, and by which an attempt is recognised later.

use super::{InvalidField, readable};

/// The largest digital room (client documentation, 51015).
pub const DIGITAL_ROOM_MAX: u32 = 2_147_483_647;

/// The most bytes of a string room (client documentation, 51015).
pub const STRING_ROOM_BYTES_MAX: usize = 64;

/// The characters of a string room besides ASCII letters and digits (51015).
const STRING_ROOM_MARKS: &str = " !#$%&()+-:;<=.>?@[]^_{}|~,";

/// `CallInfo.RoomIdType`. Digital room 123 and string room "123" are different rooms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum RoomIdType {
    /// 1: a number, sent as digits.
    Digits,
    /// 2: a text.
    Text,
}

impl RoomIdType {
    /// The type Tencent's number stands for.
    ///
    /// # Errors
    /// An [`InvalidField`] named `room_id_type` if `number` is neither 1 nor 2.
    pub fn new(number: i64) -> Result<Self, InvalidField> {
        match number {
            1 => Ok(Self::Digits),
            2 => Ok(Self::Text),
            other => Err(InvalidField::new(
                "room_id_type",
                format!("is {other}"),
                "1 (a room of digits) or 2 (a room named by a text)",
            )),
        }
    }

    /// Tencent's number: 1 or 2.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Digits => 1,
            Self::Text => 2,
        }
    }
}

/// A room: its type, and an id that this type allows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Room {
    id: String,
    id_type: RoomIdType,
}

impl Room {
    /// Takes `id` as a room of `id_type`.
    ///
    /// [`RoomIdType::Digits`]: 1 to [`DIGITAL_ROOM_MAX`] in digits, without sign or leading zero:
    /// Tencent gives the number back, and `007` would not be recognised in `7`.
    /// [`RoomIdType::Text`]: 1 to [`STRING_ROOM_BYTES_MAX`] of the documented characters.
    ///
    /// # Errors
    /// An [`InvalidField`] named `room_id` if `id` is not such a room.
    pub fn new(id: &str, id_type: RoomIdType) -> Result<Self, InvalidField> {
        let checked = match id_type {
            RoomIdType::Digits => check_digits(id),
            RoomIdType::Text => check_text(id),
        };
        checked.map(|()| Self {
            id: id.to_owned(),
            id_type,
        })
    }

    /// The id; of a digital room, its digits.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The type.
    #[must_use]
    pub const fn id_type(&self) -> RoomIdType {
        self.id_type
    }
}

fn check_digits(id: &str) -> Result<(), InvalidField> {
    let plain = id.bytes().all(|b| b.is_ascii_digit()) && !id.starts_with('0');
    let number = if plain { id.parse::<u32>().ok() } else { None };
    match number {
        Some(1..=DIGITAL_ROOM_MAX) => Ok(()),
        _ => Err(InvalidField::new(
            "room_id",
            format!("is \"{}\" with room_id_type 1", readable(id)),
            "1 to 2147483647 in digits, without sign or leading zero",
        )),
    }
}

fn check_text(id: &str) -> Result<(), InvalidField> {
    let fault = match id.len() {
        0 => "is empty".to_owned(),
        1..=STRING_ROOM_BYTES_MAX => match id.chars().find(|c| !is_room_character(*c)) {
            None => return Ok(()),
            Some(c) => format!("has the character {}", c.escape_debug()),
        },
        bytes => format!("is {bytes} bytes long"),
    };
    let allowed = format!(
        "1 to 64 bytes of a-z A-Z 0-9 space {}",
        STRING_ROOM_MARKS.trim_start()
    );
    Err(InvalidField::new("room_id", fault, allowed))
}

fn is_room_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || STRING_ROOM_MARKS.contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digital_room_is_a_positive_32_bit_number() {
        for id in ["1", "42", "2147483647"] {
            assert!(Room::new(id, RoomIdType::Digits).is_ok(), "{id}");
        }
        for id in [
            "",
            "0",
            "007",
            "+7",
            "-7",
            "2147483648",
            "99999999999",
            "room",
            "١",
            "1 ",
        ] {
            let refused = Room::new(id, RoomIdType::Digits).expect_err(id).to_string();
            assert!(refused.starts_with("room_id is \"") && refused.contains("2147483647"));
        }
    }

    #[test]
    fn a_string_room_has_64_bytes_of_the_documented_characters() {
        assert!(Room::new(&"a".repeat(64), RoomIdType::Text).is_ok());
        assert!(Room::new(STRING_ROOM_MARKS, RoomIdType::Text).is_ok());
        assert_eq!(
            Room::new(&"a".repeat(65), RoomIdType::Text).map_err(|e| e.to_string()),
            Err(
                "room_id is 65 bytes long: must be 1 to 64 bytes of a-z A-Z 0-9 space \
                 !#$%&()+-:;<=.>?@[]^_{}|~,"
                    .to_owned()
            )
        );
        for id in [
            "", "a\"b", "a'b", "a/b", "a\\b", "a*b", "a`b", "raum-ä", "a\nb",
        ] {
            assert!(Room::new(id, RoomIdType::Text).is_err(), "{id}");
        }
    }

    #[test]
    fn the_two_types_are_1_and_2() {
        assert_eq!(RoomIdType::new(1).map(RoomIdType::number), Ok(1));
        assert_eq!(RoomIdType::new(2).map(RoomIdType::number), Ok(2));
        for number in [-1, 0, 3] {
            assert!(RoomIdType::new(number).is_err(), "{number}");
        }
    }
}
