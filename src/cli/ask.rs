//! A question to the person at the terminal.

use std::io::{BufRead as _, IsTerminal as _, stderr, stdin};

use super::{Failure, print};

/// Whether there is somebody to ask.
pub(super) fn is_possible() -> bool {
    stdin().is_terminal() && stderr().is_terminal()
}

/// Asks; everything but a yes is a no.
pub(super) fn agreed(question: &str) -> Result<bool, Failure> {
    print::tell(&format!("callq: {} [y/N] ", print::lines(question)));
    let mut answer = String::new();
    stdin().lock().read_line(&mut answer)?;
    let answer = answer.trim().to_ascii_lowercase();
    Ok(matches!(answer.as_str(), "y" | "yes"))
}
