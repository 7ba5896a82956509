//! Pages with parts that the tests make, between `<!-- NAME: ... -->` and `<!-- /NAME -->`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Tests run at once and may write the same page.
static WRITING: Mutex<()> = Mutex::new(());

const UPDATE: &str = "UPDATE_DOCS";

/// A document of this repository, by its path there.
#[derive(Clone, Copy)]
pub(crate) struct Page(pub(crate) &'static str);

impl Page {
    fn path(self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(self.0)
    }

    pub(crate) fn text(self) -> String {
        fs::read_to_string(self.path()).unwrap_or_else(|error| panic!("{}: {error}", self.0))
    }

    /// The part of this name.
    pub(crate) fn part(self, name: &str) -> String {
        let text = self.text();
        let (_, begin, end) = bounds(self, &text, name);
        text[begin..end].trim().to_owned()
    }

    /// Fails unless the part says `fresh`, as far as `essence` goes; or writes it.
    pub(crate) fn keep(self, name: &str, fresh: &str, essence: impl Fn(&str) -> String) {
        if env::var_os(UPDATE).is_some() {
            let _alone = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
            let text = self.text();
            let (_, begin, end) = bounds(self, &text, name);
            let written = format!("{}\n{}\n{}", &text[..begin], fresh.trim(), &text[end..]);
            fs::write(self.path(), written).expect("the document can be written");
        }
        self.is_fresh(&essence(&self.part(name)), &essence(fresh.trim()), name);
    }

    /// The same for a page that is made as a whole.
    pub(crate) fn keep_all(self, fresh: &str) {
        if env::var_os(UPDATE).is_some() {
            fs::write(self.path(), fresh).expect("the document can be written");
        }
        self.is_fresh(&self.text(), fresh, "page");
    }

    fn is_fresh(self, old: &str, fresh: &str, name: &str) {
        let first = old.lines().zip(fresh.lines()).find(|(old, new)| old != new);
        assert!(
            old == fresh,
            "{}: the {name} is out of date ({first:?}); {UPDATE}=1 cargo test --test it",
            self.0
        );
    }
}

/// Where the marker, the part and its end begin.
fn bounds(page: Page, text: &str, name: &str) -> (usize, usize, usize) {
    let missing = || panic!("{} has no part {name}", page.0);
    let marker = text.find(&format!("<!-- {name}: ")).unwrap_or_else(missing);
    let begin = text[marker..].find("-->").unwrap_or_else(missing) + marker + "-->".len();
    let end = text
        .find(&format!("<!-- /{name} -->"))
        .unwrap_or_else(missing);
    (marker, begin, end)
}

/// A table in Markdown.
pub(crate) fn table<const N: usize>(
    head: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut text = line(head.iter().map(|cell| (*cell).to_owned()).collect());
    text.push('|');
    text.push_str(&"---|".repeat(N));
    text.push('\n');
    for row in rows {
        text.push_str(&line(
            row.iter().map(|cell| cell.replace('|', "\\|")).collect(),
        ));
    }
    text
}

/// Every file that may hold tests, below `tests/` and `src/`, by its path.
pub(crate) fn sources_of_tests() -> Vec<(String, String)> {
    fn below(folder: &Path, into: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(folder).expect("the tests are there") {
            let path = entry.expect("it can be listed").path();
            if path.is_dir() {
                below(&path, into);
            } else if let Ok(text) = fs::read_to_string(&path) {
                into.push((path.display().to_string(), text));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    below(&root.join("tests"), &mut files);
    below(&root.join("src"), &mut files);
    files
}
