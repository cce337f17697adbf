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

/// Fails unless the text has this line.
#[track_caller]
pub(crate) fn has_line(text: &str, line: &str) {
    assert!(
        text.lines().any(|each| each == line),
        "a line is missing\n--- expected ---\n{line}\n--- got ---\n{text}\n---",
    );
}
