//! Rows in aligned columns, for terminals of any width.

use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};

/// How far what goes below a row is set in.
const BELOW: usize = 4;

/// The lines of `rows`, at most `width` columns wide where that is given: then the last column of rows that are too
/// wide goes below the others, and what is still too wide is wrapped between words.
pub(crate) fn lines(rows: Vec<Vec<String>>, width: Option<usize>) -> Vec<String> {
    let whole = aligned(rows.clone(), None);
    let Some(width) = width.filter(|width| {
        whole
            .iter()
            .any(|line| console::measure_text_width(line) > *width)
    }) else {
        return whole;
    };
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    if columns < 3 {
        return aligned(rows, Some(width));
    }
    let (upper, below): (Vec<_>, Vec<_>) = rows.into_iter().map(|row| split(row, columns)).unzip();
    let widths = widths(&upper, columns - 1, width);
    let mut out = Vec::new();
    for (row, below) in upper.into_iter().zip(below) {
        out.extend(constrained(vec![row], &widths));
        if let Some(text) = below {
            let wrapped = constrained(vec![vec![text]], &[width.saturating_sub(BELOW)]);
            out.extend(wrapped.into_iter().map(|line| format!("{:BELOW$}{line}", "")));
        }
    }
    out
}

/// A row without its last column, and that column where it holds something.
fn split(mut row: Vec<String>, columns: usize) -> (Vec<String>, Option<String>) {
    let last = if row.len() == columns { row.pop() } else { None };
    (row, last.filter(|text| !text.is_empty()))
}

/// The widths of the columns: as wide as what they hold, and the last of them as wide as there is room.
fn widths(rows: &[Vec<String>], columns: usize, width: usize) -> Vec<usize> {
    let needed = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells
            .map(|cell| console::measure_text_width(cell) + 2)
            .max()
            .unwrap_or_default()
    };
    let mut widths: Vec<usize> = (0..columns).map(needed).collect();
    let before: usize = widths.iter().rev().skip(1).sum();
    if let Some(last) = widths.last_mut() {
        *last = (*last).min(width.saturating_sub(before).max(10));
    }
    widths
}

fn constrained(rows: Vec<Vec<String>>, widths: &[usize]) -> Vec<String> {
    let mut table = table(rows);
    for (column, width) in table.column_iter_mut().zip(widths) {
        let width = u16::try_from(*width).unwrap_or(u16::MAX);
        column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(width)));
    }
    written(&table)
}

fn aligned(rows: Vec<Vec<String>>, width: Option<usize>) -> Vec<String> {
    let mut table = table(rows);
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
        if let Some(first) = table.column_mut(0) {
            first.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    written(&table)
}

fn table(rows: Vec<Vec<String>>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

fn written(table: &Table) -> Vec<String> {
    table.lines().map(|line| line.trim_end().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Vec<String>> {
        [
            ["step", "", "before -> after", "why"],
            [
                "route",
                "changed",
                "- -> local 2001:db8::/64 dev lo proto 196",
                "every address of the prefix is this host's",
            ],
            ["nofile", "unchanged", "soft 65536", ""],
        ]
        .map(|row| row.map(str::to_owned).to_vec())
        .to_vec()
    }

    #[test]
    fn where_there_is_room_a_row_is_a_line() {
        for width in [None, Some(200)] {
            assert_eq!(lines(rows(), width).len(), 3);
        }
    }

    #[test]
    fn a_narrow_terminal_gets_the_last_column_below_and_nothing_too_wide() {
        for width in [40, 60, 80] {
            let lines = lines(rows(), Some(width));
            assert!(
                lines.iter().all(|line| line.len() <= width),
                "{width}: {lines:#?}"
            );
            let joined = lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
            for word in [
                "every address of the prefix is this host's",
                "unchanged",
                "soft 65536",
            ] {
                assert!(joined.contains(word), "{width}: {word}: {lines:#?}");
            }
        }
        let two = vec![vec!["failures".to_owned(), "a word and another ".repeat(9)]];
        assert!(lines(two, Some(50)).iter().all(|line| line.len() <= 50));
    }
}
