//! Foreign text made fit to be read: bounded, and without characters that act on a terminal.

/// The most characters [`readable`] lets through, its escapes and the final `…` included.
pub const READABLE_CHARS_MAX: usize = 500;

/// `text`, cut to [`READABLE_CHARS_MAX`] characters and with control characters escaped.
///
/// For whatever comes from Tencent or from a row on its way to a row, a log or a terminal. Besides
/// control characters (`\n`, `\u{1b}`, and `\0`, which Postgres refuses in a text) the line
/// separators and the marks that turn the writing direction are escaped, since either can make a
/// line read as something it is not. Text that needs nothing is returned unchanged; text that was
/// cut ends in `…`, never in half an escape.
#[must_use]
pub fn readable(text: &str) -> String {
    let mut shown = String::new();
    let mut shown_chars = 0;
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        let piece: String = if acts_on_a_terminal(next) {
            next.escape_default().collect()
        } else {
            next.into()
        };
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

fn acts_on_a_terminal(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}')
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
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
        }
    }
}
