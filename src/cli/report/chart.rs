//! Tables with bars, and the heatmap, in plain Unicode without colours; as wide as the terminal.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde_json::{Map, Value};

use super::form::{Chart, Form, Unit, weekday};
use crate::cli::table::shown;

/// The longest bar, in characters.
const BAR: usize = 20;

/// Eighths of a character.
const EIGHTHS: [&str; 8] = [
    "", "\u{258f}", "\u{258e}", "\u{258d}", "\u{258c}", "\u{258b}", "\u{258a}", "\u{2589}",
];

/// How many columns a heatmap with numbers has.
const WIDE_HEATMAP: usize = 4 + 24 * 4;

/// The report for people.
pub(super) fn screen(form: &Form, rows: &[Map<String, Value>]) -> String {
    if matches!(form.chart, Chart::Heatmap) {
        // Only a terminal has a width.
        let width = Table::new().width().map_or(usize::MAX, usize::from);
        return heatmap(rows, width);
    }
    let charted = table(form, rows, &form.chart);
    let Some(width) = charted.width().map(usize::from) else {
        return charted.to_string();
    };
    let mut natural = charted.clone();
    natural.set_content_arrangement(ContentArrangement::Disabled);
    let needs = natural.lines().map(|line| line.chars().count()).max();
    if needs.is_some_and(|needs| needs <= width) {
        charted.to_string()
    } else {
        // The bar is what can be done without.
        shown(&table(form, rows, &Chart::None))
    }
}

fn table(form: &Form, rows: &[Map<String, Value>], chart: &Chart) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    let titles = form.columns.iter().map(|column| column.title);
    let bars = match chart {
        Chart::Bars(of) => bars(rows, of, is_share(form, of)),
        Chart::None | Chart::Heatmap => Vec::new(),
    };
    table.set_header(titles.chain((!bars.is_empty()).then_some("")));
    for (n, row) in rows.iter().enumerate() {
        let cells = form
            .columns
            .iter()
            .map(|column| column.shown(&row[column.name]));
        table.add_row(cells.chain(bars.get(n).cloned()));
    }
    for (column, shown) in form.columns.iter().zip(table.column_iter_mut()) {
        if !matches!(column.unit, Unit::Text | Unit::Time | Unit::Weekday) {
            shown.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// What the longest bar stands for: all, if the column is a share; else the highest value.
fn is_share(form: &Form, of: &str) -> Option<f64> {
    let column = form.columns.iter().find(|column| column.name == of)?;
    match column.unit {
        Unit::Share => Some(1.0),
        Unit::Percent => Some(100.0),
        _ => None,
    }
}

fn bars(rows: &[Map<String, Value>], of: &str, whole: Option<f64>) -> Vec<String> {
    let value = |row: &Map<String, Value>| row[of].as_f64().unwrap_or(0.0);
    let most = rows.iter().map(value).fold(0.0, f64::max);
    let whole = whole.unwrap_or(most);
    rows.iter().map(|row| bar(value(row), whole)).collect()
}

/// A bar of `value`, of which `whole` is the longest.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a number of eighths between 0 and 160"
)]
fn bar(value: f64, whole: f64) -> String {
    let share = if whole > 0.0 {
        (value / whole).clamp(0.0, 1.0)
    } else {
        0.0
    };
    let eighths = (share * (BAR * 8) as f64).round() as usize;
    "\u{2588}".repeat(eighths / 8) + EIGHTHS[eighths % 8]
}

/// Weekdays by hours: shades, and the percent where there is room.
fn heatmap(rows: &[Map<String, Value>], width: usize) -> String {
    let with_numbers = width >= WIDE_HEATMAP;
    let cell = |text: &str| {
        let wide = if with_numbers { 4 } else { 2 };
        format!("{text:>wide$}")
    };
    let hours = (0..24).map(|hour: u64| {
        if with_numbers || hour.is_multiple_of(3) {
            cell(&hour.to_string())
        } else {
            cell("")
        }
    });
    let mut lines = vec![format!("    {}", hours.collect::<String>())];
    for day in 1..=7 {
        let at = |hour: u64| {
            rows.iter().find(|row| {
                row["weekday"].as_u64() == Some(day) && row["hour"].as_u64() == Some(hour)
            })
        };
        let cells = (0..24).map(|hour| {
            let Some(rate) = at(hour).and_then(|row| row["answer_rate"].as_f64()) else {
                return cell("\u{b7}");
            };
            if with_numbers {
                cell(&format!("{}{:.0}", shade(rate), rate * 100.0))
            } else {
                shade(rate).to_string().repeat(2)
            }
        });
        lines.push(format!(
            "{:<4}{}",
            weekday(Some(day)),
            cells.collect::<String>()
        ));
    }
    lines.join("\n")
}

const fn shade(rate: f64) -> char {
    match rate {
        ..0.25 => '\u{2591}',
        0.25..0.5 => '\u{2592}',
        0.5..0.75 => '\u{2593}',
        _ => '\u{2588}',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_share() {
        assert_eq!(bar(0.0, 1.0), "");
        assert_eq!(bar(1.0, 1.0).chars().count(), BAR);
        assert_eq!(bar(5.0, 1.0).chars().count(), BAR, "never longer");
        assert_eq!(bar(0.5, 1.0), "\u{2588}".repeat(10));
        assert_eq!(bar(1.0, 160.0), "\u{258f}");
        assert_eq!(bar(1.0, 0.0), "");
    }

    #[test]
    fn a_heatmap_fits_its_terminal() {
        let row = |weekday: u64, hour: u64, rate: f64| {
            let row = serde_json::json!({"weekday": weekday, "hour": hour, "answer_rate": rate});
            row.as_object().expect("an object").clone()
        };
        let rows = [row(1, 0, 0.1), row(3, 12, 0.5), row(7, 23, 1.0)];
        for (width, wide) in [(200, 100), (99, 52), (60, 52)] {
            let shown = heatmap(&rows, width);
            assert_eq!(shown.lines().count(), 8);
            for line in shown.lines() {
                assert!(line.chars().count() <= wide, "{line}");
            }
        }
        let shown = heatmap(&rows, 200);
        assert!(shown.contains("Mon  \u{2591}10"), "{shown}");
        assert!(shown.contains(" \u{2593}50"), "{shown}");
        assert!(shown.ends_with("\u{2588}100"), "{shown}");
    }
}
