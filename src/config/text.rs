//! A text of TOML: taken apart with the place of each value, or what is wrong with it by line.

use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::fault::{Fault, Faults};
use super::given::{Place, app_name};
use super::kind::looks_like_a_secret;

pub(super) type Key<'a> = Spanned<DeString<'a>>;
pub(super) type Value<'a> = Spanned<DeValue<'a>>;

/// The values of a text, and where its lines are.
pub(super) struct Text<'a> {
    pub(super) lines: Lines<'a>,
    pub(super) table: Spanned<DeTable<'a>>,
}

/// Takes the content of a file apart; `None` if it is not TOML, which is told.
pub(super) fn read<'a>(path: &Arc<Path>, bytes: &'a [u8], faults: &mut Faults) -> Option<Text<'a>> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let sound = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            let place = Lines::of(path, &sound).place(sound.len());
            let what = "is not UTF-8: must be saved as UTF-8";
            faults.add(Fault::new(format_args!("{place}:"), what));
            return None;
        }
    };
    let lines = Lines::of(path, text);
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Some(Text { lines, table });
    }
    let mut errors: Vec<_> = errors
        .iter()
        .map(|error| (error.span().unwrap_or_default(), error.message()))
        .collect();
    errors.sort_by_key(|(span, _)| span.start);
    // What follows a mistake in a line is often its echo.
    let mut last_line = 0;
    for (span, message) in errors {
        let line = lines.line(span.start);
        if line != last_line {
            last_line = line;
            let place = lines.place(span.start);
            // Never the error's own text: it quotes the line, which may hold a secret.
            let what = syntax_fault(
                message,
                text.get(span.start..).unwrap_or_default(),
                span.len(),
            );
            let what = format!("is not TOML: {what}");
            faults.add(Fault::new(format_args!("{place}:"), what));
        }
    }
    None
}

/// What the parser says, with the key that it means, and without its guess of what a text without
/// quotes was to be (the host `tokyo` begins like `true`). `rest` begins with the mistake.
fn syntax_fault(message: &str, rest: &str, length: usize) -> String {
    let is_missing = rest.trim_start_matches(' ').starts_with(['\r', '\n', '#']) || rest.is_empty();
    let is_word = rest.starts_with(|c: char| c.is_ascii_alphabetic());
    if message == "duplicate key" {
        format!(
            "{message} {}",
            key_shown(rest.get(..length).unwrap_or_default())
        )
    } else if message.starts_with("string values must be quoted") && is_missing {
        "a value is missing".to_owned()
    } else if message.starts_with("string values must be quoted")
        || (is_word
            && ["invalid boolean", "invalid float"]
                .iter()
                .any(|m| message.starts_with(m)))
    {
        "text must stand in quotes".to_owned()
    } else {
        message.to_owned()
    }
}

/// Where the lines of a text begin, so that a place is found without reading it all again: a file
/// may have a mistake in each of 100,000 lines.
pub(super) struct Lines<'a> {
    file: Arc<Path>,
    text: &'a str,
    /// The offset at which each line but the first begins.
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of(file: &Arc<Path>, text: &'a str) -> Self {
        Self {
            file: Arc::clone(file),
            text,
            starts: text.match_indices('\n').map(|(at, _)| at + 1).collect(),
        }
    }

    pub(super) fn file(&self) -> &Arc<Path> {
        &self.file
    }

    /// The text from `start` to `end`, in bytes.
    pub(super) fn piece(&self, start: usize, end: usize) -> &str {
        self.text.get(start..end).unwrap_or_default()
    }

    /// The line of the byte at `offset`, from 1.
    fn line(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset) + 1
    }

    pub(super) fn place(&self, offset: usize) -> Place {
        let line = self.line(offset);
        let start = line.checked_sub(2).map_or(0, |before| self.starts[before]);
        let before = self.text.get(start..offset).unwrap_or_default();
        Place {
            file: Arc::clone(&self.file),
            line,
            column: before.chars().count() + 1,
        }
    }
}

/// The entries as they stand in the file, which is not the order of the table.
pub(super) fn in_order<'a, 'b>(table: &'a DeTable<'b>) -> Vec<(&'a Key<'b>, &'a Value<'b>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

/// An unknown key as it may be shown.
pub(super) fn key_shown(key: &str) -> String {
    if looks_like_a_secret(key) {
        "(a key that looks like a secret)".to_owned()
    } else {
        app_name(key)
    }
}

/// The name of a type, as in `an array`.
pub(super) fn article(what: &str) -> String {
    let vowel = what.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {what}", if vowel { "an" } else { "a" })
}
