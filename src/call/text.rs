//! Foreign text made fit to be read: bounded, and without characters that act on a terminal.

/// The most characters [`readable`] lets through, its escapes and the final `…` included.
pub const READABLE_CHARS_MAX: usize = 500;

/// `text`, cut to [`READABLE_CHARS_MAX`] characters and with what acts on a terminal escaped.
///
/// For whatever comes from Tencent or from a row on its way to a row, a log or a terminal. Text
/// that needs nothing is returned unchanged; text that was cut ends in `…`, never in half an
/// escape.
#[must_use]
pub fn readable(text: &str) -> String {
    let mut shown = String::new();
    let mut shown_chars = 0;
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        let piece = escaped(next);
        let piece_chars = piece.chars().count();
        // One place is kept for the mark of a cut, unless this piece is the last and just fits.
        let room = usize::from(!rest.as_str().is_empty());
        if shown_chars + piece_chars + room > READABLE_CHARS_MAX {
            shown.push('…');
            break;
        }
        shown.push_str(&piece);
        shown_chars += piece_chars;
    }
    shown
}

/// The same in full length: for texts whose length somebody else bounds.
#[must_use]
pub fn harmless(text: &str) -> String {
    text.chars().map(escaped).collect()
}

fn escaped(c: char) -> String {
    if acts_on_a_terminal(c) {
        c.escape_default().collect()
    } else {
        c.into()
    }
}

/// Whether a character does something to a terminal or to a line, rather than being seen in it.
///
/// Control characters (C0, DEL and C1: `\n`, `\u{1b}`, and `\0`, which Postgres refuses in a text),
/// the line separators, the marks that turn the writing direction, and spaces and joiners that
/// nobody sees: with each of them a line can read as something it is not. The joiners that Persian
/// and emoji are written with (U+200C, U+200D) are let through.
#[must_use]
pub fn acts_on_a_terminal(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{feff}'
        )
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fff9}'..='\u{fffb}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_text_is_unchanged() {
        for text in ["", "user not exist", "Ungültig: 参数错误 \\ \"x\"", "👩‍🚒"] {
            assert_eq!(readable(text), text);
        }
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(readable("a\n\t\0\u{1b}[2Jb"), "a\\n\\t\\u{0}\\u{1b}[2Jb");
        assert_eq!(readable("pay \u{202e}evil"), "pay \\u{202e}evil");
        for acts in [
            "\u{7f}", "\u{9b}", "\u{85}", "\u{2028}", "\u{2066}", "\u{2069}", "\u{200b}",
            "\u{feff}",
        ] {
            assert_eq!(readable(acts), harmless(acts));
            assert!(readable(acts).starts_with("\\u{"), "{acts:?}");
        }
    }

    #[test]
    fn text_of_just_the_limit_is_whole_and_longer_text_is_marked_as_cut() {
        let whole = "é".repeat(READABLE_CHARS_MAX);
        assert_eq!(readable(&whole), whole);
        let cut = readable(&"é".repeat(READABLE_CHARS_MAX + 1));
        assert_eq!(cut, "é".repeat(READABLE_CHARS_MAX - 1) + "…");
        assert_eq!(readable(&"\n".repeat(300)), "\\n".repeat(249) + "…");
    }

    proptest! {
        #[test]
        fn whatever_comes_the_result_is_short_and_harmless(text in "\\PC{0,600}|(?s).{0,600}") {
            let shown = readable(&text);
            prop_assert!(shown.chars().count() <= READABLE_CHARS_MAX);
            prop_assert!(!shown.chars().any(acts_on_a_terminal));
            prop_assert!(!harmless(&text).chars().any(acts_on_a_terminal));
        }
    }
}
