//! `callq man`

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use clap_mangen::Man as Page;

use super::{Failure, definition, print};

/// Print callq's manual page, or write one for each command into a folder.
///
/// Pages of the same names are replaced. Needs no configuration and no database.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Man {
    /// Write callq.1, callq-worker.1 and so on into this folder, which exists
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

const EXAMPLES: &str = "Examples:
  callq man | man -l -
  callq man --dir /usr/local/share/man/man1";

impl Man {
    pub(super) fn run(self) -> Result<(), Failure> {
        let Some(dir) = &self.dir else {
            let mut page = Vec::new();
            Page::new(definition()).render(&mut page)?;
            return print::data(String::from_utf8_lossy(&page).trim_end());
        };
        let pages = write_all(dir)?;
        print::line(&format!("wrote {pages} pages into {}", dir.display()))
    }
}

fn write_all(dir: &Path) -> anyhow::Result<usize> {
    let could_not = || format!("could not write manual pages into {}", dir.display());
    clap_mangen::generate_to(definition(), dir).with_context(could_not)?;
    let pages = dir.read_dir().with_context(could_not)?;
    let is_ours = |name: &str| name.starts_with("callq") && name.ends_with(".1");
    Ok(pages
        .filter_map(|page| page.ok()?.file_name().into_string().ok())
        .filter(|name| is_ours(name))
        .count())
}
