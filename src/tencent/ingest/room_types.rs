//! Which number says what kind of room it is. Tencent's pages contradict each other.

use crate::call::RoomIdType;

/// How stream ingest numbers the types of rooms. The same room is 1 (digits) or 2 (text) to the
/// call API whichever holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IngestRoomTypes {
    /// 1 for digits and 0 for a text: the API reference (57835) and every SDK. The default.
    #[default]
    Reference,
    /// 0 for digits and 1 for a text: the walkthrough of server-initiated calls (71845).
    SourcePage,
}

impl IngestRoomTypes {
    /// `RoomIdType` of a room of this type.
    #[must_use]
    pub const fn number(self, of: RoomIdType) -> u8 {
        match (self, of) {
            (Self::Reference, RoomIdType::Digits) | (Self::SourcePage, RoomIdType::Text) => 1,
            (Self::Reference, RoomIdType::Text) | (Self::SourcePage, RoomIdType::Digits) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_has_the_number_of_the_page_that_is_believed() {
        for (types, digits, text) in [
            (IngestRoomTypes::default(), 1, 0),
            (IngestRoomTypes::SourcePage, 0, 1),
        ] {
            assert_eq!(types.number(RoomIdType::Digits), digits);
            assert_eq!(types.number(RoomIdType::Text), text);
        }
    }
}
