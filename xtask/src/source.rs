//! The files of the project, and Rust code without what is not code.

use std::fs;
use std::path::Path;

use crate::cmd::{Result, failed};

/// One text file.
pub(crate) struct Source {
    /// Its path in the project.
    pub(crate) path: String,
    /// All of it.
    pub(crate) text: String,
}

/// Reads every text file of the project, in the order of their paths. What is
/// built, and what version control keeps for itself, is no part of it.
pub(crate) fn files(root: &Path) -> Result<Vec<Source>> {
    let mut found = Vec::new();
    walk(root, "", &mut found)?;
    found.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

fn walk(dir: &Path, prefix: &str, found: &mut Vec<Source>) -> Result<()> {
    for entry in fs::read_dir(dir).map_err(failed("list", dir))? {
        let path = entry.map_err(failed("list", dir))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if matches!(&*name, "target" | ".git") {
            continue;
        }
        let inside = format!("{prefix}{name}");
        let meta = fs::symlink_metadata(&path).map_err(failed("look at", &path))?;
        if meta.is_dir() {
            walk(&path, &format!("{inside}/"), found)?;
        } else if let Ok(text) = fs::read_to_string(&path) {
            found.push(Source { path: inside, text });
        }
    }
    Ok(())
}

/// Blanks out comments and the contents of literals, and keeps every line
/// where it is. Knows as much Rust as that needs: nested comments, raw strings,
/// and that `'` may begin a lifetime.
pub(crate) fn code(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(length) = raw_string(rest, &out) {
            length
        } else if first == '"' {
            quoted(rest, '"')
        } else if first == '\'' && is_character(rest) {
            quoted(rest, '\'')
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        let (blanked, left) = rest.split_at(length);
        out.push(' ');
        out.extend(blanked.chars().filter(|&c| c == '\n'));
        rest = left;
    }
    out
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// The length of a raw string that begins here; `before` is what came before,
/// because the `r` of a longer word begins none.
fn raw_string(text: &str, before: &str) -> Option<usize> {
    if before.ends_with(|c: char| c.is_alphanumeric() || c == '_') && !before.ends_with(['b', 'c'])
    {
        return None;
    }
    let after = text.strip_prefix('r')?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let body = after[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = body.find(&end).map_or(body.len(), |at| at + end.len());
    Some(text.len() - body.len() + length)
}

fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            return at + 1;
        }
    }
    text.len()
}

/// Tells a character from a lifetime: the quote closes after one character.
fn is_character(text: &str) -> bool {
    let mut after = text.chars().skip(1);
    after.next() == Some('\\') || after.next() == Some('\'')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_code_is_blanked() {
        for text in [
            "// unsafe",
            "/* unsafe /* unsafe */ unsafe */",
            "\"un\\\"safe unsafe\"",
            "r#\"unsafe \" unsafe\"#",
            "br\"unsafe\"",
        ] {
            assert!(!code(text).contains("unsafe"), "{text}");
        }
    }

    #[test]
    fn what_is_code_stays() {
        for text in [
            "fn f<'a>(x: &'a str) { unsafe {} }",
            "'\"'; unsafe",
            "'\\''; unsafe",
            "\"\\\\\"; unsafe",
            "for \"x\" unsafe",
        ] {
            assert!(code(text).contains("unsafe"), "{text}");
        }
    }

    #[test]
    fn lines_stay_where_they_are() {
        assert_eq!(code("a /* \n */ b\n\"\n\"c").matches('\n').count(), 3);
    }
}
