//! Tables for people: aligned columns and ages.

use error::quote::escaped;

/// Formats lines of cells as aligned columns. Cells cannot add lines.
pub(super) fn columns(lines: &[Vec<String>]) -> String {
    let lines = lines
        .iter()
        .map(|line| line.iter().map(|cell| escaped(cell)).collect());
    let lines: Vec<Vec<String>> = lines.collect();
    let mut widths = vec![0; lines.iter().map(Vec::len).max().unwrap_or(0)];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for line in &lines {
        let padded: Vec<String> = line
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        text.push_str(padded.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// Formats for people how long ago a time was, in seconds since 1970.
pub(super) fn age(then: u64) -> String {
    let seconds = sys::clock::seconds().saturating_sub(then);
    for (unit, length) in [("day", 86_400), ("hour", 3600), ("minute", 60)] {
        let count = seconds / length;
        if count > 0 {
            let plural = if count == 1 { "" } else { "s" };
            return format!("{count} {unit}{plural} ago");
        }
    }
    "just now".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_spelled_for_people() {
        assert_eq!(age(u64::MAX), "just now");
        assert!(age(0).ends_with(" days ago"));
    }

    #[test]
    fn no_cell_makes_a_line_or_drives_a_terminal() {
        let line = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let text = columns(&[line(["a\nb", "c\x1b[2J"]), line(["d", "e"])]);
        assert_eq!(text, "a\\nb  c\\u{1b}[2J\nd     e\n");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let lines = [["A", "B", "C"], ["längst", "", ""], ["", "b", "c"]];
        let lines = lines.map(|line| line.map(str::to_owned).to_vec());
        assert_eq!(columns(&lines), "A       B  C\nlängst\n        b  c\n");
        assert_eq!(columns(&[]), "");
    }
}
