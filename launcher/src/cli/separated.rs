//! Splits values whose parts are separated by commas or colons. A backslash
//! before a comma, a colon or a backslash takes it literally, so that every path
//! can be written.

/// Splits a text at each separator that no backslash precedes.
pub(super) fn parts(text: &str, separator: char) -> Vec<String> {
    split(text, separator, usize::MAX)
}

/// Splits a text at the first separator that no backslash precedes. What
/// follows it keeps its backslashes.
pub(super) fn first(text: &str, separator: char) -> (String, Option<String>) {
    let mut parts = split(text, separator, 2).into_iter();
    (parts.next().unwrap_or_default(), parts.next())
}

fn split(text: &str, separator: char, most: usize) -> Vec<String> {
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut rest = text.chars();
    while let Some(letter) = rest.next() {
        let mut ahead = rest.clone();
        match (letter, ahead.next()) {
            ('\\', Some(literal @ (',' | ':' | '\\'))) => {
                part.push(literal);
                rest = ahead;
            }
            (letter, _) if letter == separator => {
                parts.push(std::mem::take(&mut part));
                if parts.len() + 1 == most {
                    part.push_str(rest.as_str());
                    break;
                }
            }
            (letter, _) => part.push(letter),
        }
    }
    parts.push(part);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_can_be_written() {
        for (text, expected) in [
            ("", &[""][..]),
            ("a,b", &["a", "b"]),
            (",", &["", ""]),
            (r"a\,b", &["a,b"]),
            (r"a\:b,c:d", &["a:b", "c:d"]),
            (r"a\\,b", &[r"a\", "b"]),
            (r"a\n\", &[r"a\n\"]),
        ] {
            assert_eq!(parts(text, ','), expected, "{text}");
        }
        let (path, rest) = first(r"/a\:b:size=1\,2:3", ':');
        assert_eq!(path, "/a:b");
        assert_eq!(rest.as_deref(), Some(r"size=1\,2:3"));
        assert_eq!(first("/a", ':'), ("/a".to_owned(), None));
    }
}
