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
    let before: usize = widths.iter().sum();
    for (row, below) in upper.into_iter().zip(below) {
        let mut row = constrained(vec![row], &widths);
        if let (Some(text), [line]) = (&below, row.as_mut_slice())
            && before + console::measure_text_width(text) <= width
        {
            let gap = before.saturating_sub(console::measure_text_width(line));
            line.push_str(&format!("{:gap$}{text}", ""));
            out.extend(row);
            continue;
        }
        out.extend(row);
        if let Some(text) = below {
            let wrapped = constrained(vec![vec![text]], &[width.saturating_sub(BELOW)]);
            out.extend(wrapped.into_iter().map(|line| format!("{:BELOW$}{line}", "")));
        }
    }
    out
}

/// The lines of a text that is at most `width` columns wide, broken between words and never inside a command, which may
/// be pasted: such a one stays whole, however long it is.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for line in text.split('\n') {
        if console::measure_text_width(line) <= width {
            lines.push(line.to_owned());
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let mut current = " ".repeat(indent);
        let mut is_empty = true;
        for unit in units(line.trim_start()) {
            let wide = console::measure_text_width(&current) + 1 + console::measure_text_width(&unit);
            if !is_empty && wide > width {
                lines.push(std::mem::replace(&mut current, " ".repeat(indent + BELOW)));
                is_empty = true;
            }
            if !is_empty {
                current.push(' ');
            }
            current.push_str(&unit);
            is_empty = false;
        }
        lines.push(current);
    }
    lines
}

/// What stays on one line: a word, a command in backticks with what stands right before and behind it, and a command
/// without backticks up to the end of its sentence.
fn units(text: &str) -> Vec<String> {
    const BEGINS: [&str; 3] = ["sudo", "doas", "v6kit"];
    let mut units: Vec<String> = Vec::new();
    let (mut is_quoted, mut is_command) = (false, false);
    for word in text.split(' ') {
        let is_continued = is_quoted || is_command;
        match units.last_mut() {
            Some(unit) if is_continued => {
                unit.push(' ');
                unit.push_str(word);
            }
            _ => units.push(word.to_owned()),
        }
        is_quoted ^= word.matches('`').count() % 2 == 1;
        is_command = !is_quoted
            && (is_command || BEGINS.contains(&word) || word.ends_with("/v6kit"))
            && !word.ends_with(['.', ',', ';', ')']);
    }
    units
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
    fn a_text_is_broken_between_words_and_never_inside_a_command() {
        let text = "3 changed: 2001:db8::/64 is set up. Next: v6kit verify. Undo: sudo v6kit teardown";
        assert_eq!(
            wrapped(text, 72),
            [
                "3 changed: 2001:db8::/64 is set up. Next: v6kit verify. Undo:",
                "    sudo v6kit teardown"
            ]
        );
        let command = "`sudo v6kit setup --prefix 2001:db8::/64 --dev eth0 --conntrack notrack`";
        let text = format!("  where nothing else helps: {command} (more: `v6kit explain x`)");
        for width in [30, 40, 60] {
            let lines = wrapped(&text, width);
            assert!(lines.iter().any(|line| line.trim() == command), "{lines:#?}");
            assert!(
                lines
                    .iter()
                    .all(|line| line.len() <= width || line.trim() == command),
                "{lines:#?}"
            );
            let joined: Vec<&str> = lines.iter().map(|line| line.trim()).collect();
            assert_eq!(joined.join(" "), text.trim());
        }
        assert_eq!(wrapped("short\n\nand short", 20), ["short", "", "and short"]);
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
        // Where a row has room for it, it stays where it is.
        let short = [["a", "ok", "short"], ["b", "ok", &"long ".repeat(20)]];
        let rows: Vec<Vec<String>> = short.map(|row| row.map(str::to_owned).to_vec()).to_vec();
        assert_eq!(lines(rows, Some(40))[..2], ["a  ok  short", "b  ok"]);
        let two = vec![vec!["failures".to_owned(), "a word and another ".repeat(9)]];
        assert!(lines(two, Some(50)).iter().all(|line| line.len() <= 50));
    }
}
