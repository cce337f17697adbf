//! Comparisons that show both sides whole, between rules: a line break or a
//! blank too many is seen at once.

/// Fails unless both texts are the same.
#[track_caller]
pub(crate) fn same(what: &str, got: &str, expected: &str) {
    assert!(
        got == expected,
        "{what} differs\n--- expected ---\n{expected}\n--- got ---\n{got}\n---",
    );
}

/// A size as messages tell it.
pub(crate) fn size(bytes: usize) -> String {
    let count = bytes as f64;
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..0x10_0000 => format!("{:.1} KiB", count / 1024.0),
        _ => format!("{:.1} MiB", count / 1024.0 / 1024.0),
    }
}

/// Takes out of a text what is secret of a pod, and so differs every time.
pub(crate) fn without_token(text: &str) -> String {
    let mut parts = text.split("http://127.0.0.1:18112/");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |before, part| {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_hexdigit());
        let rest = rest.strip_prefix("TOKEN").unwrap_or(rest);
        format!("{before}http://127.0.0.1:18112/TOKEN{rest}")
    })
}

/// Fails unless the text has this line.
#[track_caller]
pub(crate) fn has_line(text: &str, line: &str) {
    assert!(
        text.lines().any(|each| each == line),
        "a line is missing\n--- expected ---\n{line}\n--- got ---\n{text}\n---",
    );
}
