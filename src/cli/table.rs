//! Tables, and what takes their place where a terminal is too narrow for one.

use std::fmt::Write as _;

use comfy_table::Table;

/// Left and right of a cell: two spaces and a line.
const BETWEEN_CELLS: usize = 3;

/// The table as text. On a terminal on which its columns would be narrower than the words above
/// them, a line for each value instead, with an empty line between two rows.
pub(super) fn shown(table: &Table) -> String {
    let names: Vec<String> = table.header().map_or_else(Vec::new, |header| {
        header.cell_iter().map(comfy_table::Cell::content).collect()
    });
    let words = names.iter().map(|name| longest_word(name));
    let least = words.map(|word| word + BETWEEN_CELLS).sum::<usize>() + 1;
    match table.width() {
        Some(width) if usize::from(width) < least => by_lines(table, &names),
        _ => table.to_string(),
    }
}

fn longest_word(text: &str) -> usize {
    let words = text.split(' ').map(|word| word.chars().count());
    words.max().unwrap_or(0)
}

fn by_lines(table: &Table, names: &[String]) -> String {
    let wide = names.iter().map(|name| name.chars().count()).max();
    let wide = wide.unwrap_or(0);
    let rows = table.row_iter().map(|row| {
        let values = row.cell_iter().map(comfy_table::Cell::content);
        let told = names
            .iter()
            .zip(values)
            .filter(|(_, value)| !value.is_empty());
        told.fold(String::new(), |mut text, (name, value)| {
            writeln!(text, "{name:<wide$}  {value}").expect("a String takes all");
            text
        })
    });
    rows.collect::<Vec<_>>().join("\n").trim_end().to_owned()
}
