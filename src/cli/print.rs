//! What is printed: results on stdout, notes on stderr.
//!
//! Nothing passes that would act on a terminal. Foreign values are made readable where they become
//! part of a text, so that they are short and on one line; here, whatever slipped through is
//! escaped, but for line breaks, which tables have.

use std::fmt::Write as _;
use std::io::{ErrorKind, IsTerminal as _, Write as _, stderr, stdout};

use serde::Serialize;

use super::Failure;
use crate::call::{acts_on_a_terminal, harmless};

/// The exit code when nobody reads any more, as in `callq jobs show 1 | head -1`: what a shell
/// tells of a program that SIGPIPE ended.
pub(super) const NOBODY_READS: u8 = 128 + 13;

/// Prints one line, or a text of several. Where `println!` panics, this ends the command.
pub(super) fn line(text: &str) -> Result<(), Failure> {
    data(&lines(text))
}

/// Prints a value as one line of JSON.
pub(super) fn json(value: &impl Serialize) -> Result<(), Failure> {
    data(&json_text(value)?)
}

/// A value as one line of JSON in which nothing acts on a terminal: the same value to a program.
pub(super) fn json_text(value: &impl Serialize) -> serde_json::Result<String> {
    Ok(harmless_json(serde_json::to_string(value)?))
}

/// JSON with everything that acts on a terminal given by its number, which changes no value: it has
/// such characters in its strings alone, but for the line break behind it.
pub(super) fn harmless_json(json: String) -> String {
    let acts = |c| c != '\n' && acts_on_a_terminal(c);
    if !json.contains(acts) {
        return json;
    }
    json.chars().fold(String::new(), |mut text, c| {
        if acts(c) {
            write!(text, "\\u{:04x}", u32::from(c)).expect("a String takes all");
        } else {
            text.push(c);
        }
        text
    })
}

/// Prints a text as it is: data for programs, which must not be changed.
pub(super) fn data(text: &str) -> Result<(), Failure> {
    let mut out = stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Failure::Exit(NOBODY_READS)),
        Err(error) => Err(anyhow::Error::from(error)
            .context("could not write to stdout")
            .into()),
    }
}

/// Tells a person something, on stderr.
pub(super) fn note(text: &str) {
    tell(&format!("callq: {}\n", lines(text)));
}

/// Tells what to do about the note before it.
pub(super) fn hint(text: &str) {
    tell(&format!("hint: {}\n", lines(text)));
}

/// Writes a text to stderr as it is. Where `eprintln!` panics, as on a full disk, the command goes
/// on: it is about to do what it was asked for, or to end with the code that says why not.
pub(super) fn tell(text: &str) {
    let mut err = stderr().lock();
    let _nobody_to_tell = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}

/// Clears the screen, if stdout is one.
pub(super) fn clear_screen() -> Result<(), Failure> {
    if !stdout().is_terminal() {
        return Ok(());
    }
    // To the upper left corner, and clear what is below.
    print!("\x1b[H\x1b[2J");
    Ok(stdout().flush()?)
}

/// A text of several lines with everything escaped but the line breaks.
pub(super) fn lines(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(harmless).collect();
    lines.join("\n")
}
