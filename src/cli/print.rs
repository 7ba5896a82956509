//! What is printed on stdout.

use std::io::{ErrorKind, Write as _, stdout};

use super::Failure;

/// The exit code when nobody reads any more, as in `callq jobs show 1 | head -1`: what a shell
/// tells of a program that SIGPIPE ended.
pub(super) const NOBODY_READS: u8 = 128 + 13;

/// Prints one line. Where `println!` panics, this ends the command.
pub(super) fn line(text: &str) -> Result<(), Failure> {
    let mut out = stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Failure::Exit(NOBODY_READS)),
        Err(error) => Err(anyhow::Error::from(error)
            .context("could not write to stdout")
            .into()),
    }
}
