//! The program `callq`: argv -> cli -> exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    callq::cli::main()
}
