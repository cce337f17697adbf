//! Wraps text to the width of a terminal.

/// The width of the narrowest common terminal.
const WIDTH: usize = 80;

/// Appends text in a column that is indented by `indent`. Its first line begins
/// at `at`.
pub(super) fn wrap(out: &mut String, text: &str, indent: usize, at: usize) {
    let mut column = at;
    let mut first = true;
    for word in text.split_whitespace() {
        let width = word.chars().count();
        if !first && column + 1 + width >= WIDTH {
            newline(out, indent);
            column = indent;
            first = true;
        }
        if !first {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += width;
        first = false;
    }
    out.push('\n');
}

/// Appends two columns, the second indented by `indent`.
pub(super) fn columns(out: &mut String, left: &str, right: &str, indent: usize) {
    out.push_str(left);
    let width = left.chars().count();
    match width + 2 > indent {
        true => newline(out, indent),
        false => out.push_str(&" ".repeat(indent - width)),
    }
    wrap(out, right, indent, indent);
}

fn newline(out: &mut String, indent: usize) {
    out.push('\n');
    out.push_str(&" ".repeat(indent));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_wrapped_into_its_column() {
        let mut out = String::new();
        columns(&mut out, "  -a", &"word ".repeat(20), 10);
        let words = ["word"; 14].join(" ");
        let rest = ["word"; 6].join(" ");
        assert_eq!(out, format!("  -a      {words}\n          {rest}\n"));
        out.clear();
        columns(&mut out, "  --a-long-name", "text", 10);
        assert_eq!(out, "  --a-long-name\n          text\n");
    }
}
