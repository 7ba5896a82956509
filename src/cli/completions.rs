//! `callq completions`

use clap::Args;
use clap_complete::Shell;

use super::{Failure, definition, print};

/// Print a script with which a shell completes callq's commands and flags.
///
/// It goes to stdout; put it where your shell looks for such scripts, and start a new shell. Needs
/// no configuration and no database.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Completions {
    /// For which shell
    shell: Shell,
}

const EXAMPLES: &str = "Examples:
  callq completions bash > /etc/bash_completion.d/callq
  callq completions zsh > ~/.zfunc/_callq             # a folder in $fpath, before compinit
  callq completions fish > ~/.config/fish/completions/callq.fish";

impl Completions {
    pub(super) fn run(self) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut definition(), "callq", &mut script);
        print::data(String::from_utf8_lossy(&script).trim_end())
    }
}
