//! Shows text that others wrote.
//!
//! A manifest, a file name or a server's message can contain anything,
//! including escape sequences for the reader's terminal, and can be a megabyte
//! long. All text for people goes through this module: errors, notes, tables,
//! results. Data for programs is quoted as JSON or as a plan.

use std::ffi::OsStr;
use std::fmt::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;

/// Longest text that is shown in full. A name, a path or a version fits, and
/// the line does not get much longer than a terminal's.
const LONGEST: usize = 100;

/// Text from outside that is shown to a reader. It can only be written escaped.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a>(&'a [u8]);

/// Wraps text or a path, which is shown in full.
pub fn shown(text: &(impl AsRef<OsStr> + ?Sized)) -> Shown<'_> {
    Shown(text.as_ref().as_bytes())
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for character in chunk.valid().chars() {
                if is_harmless(character) {
                    f.write_char(character)?;
                } else {
                    write!(f, "{}", character.escape_default())?;
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// Puts text between backticks: control characters are escaped, and a long tail
/// is left out.
pub fn quoted(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("`{}...`", shown(&text[..end])),
        None => format!("`{}`", shown(text)),
    }
}

/// Escapes everything a terminal would not show as it is. Nothing is left out.
pub fn escaped(text: &str) -> String {
    shown(text).to_string()
}

/// Escapes everything but line breaks and tabs of text that is already laid
/// out: the last line of defence, where results are written.
pub fn escaped_lines(text: &[u8]) -> String {
    let mut shown = String::new();
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        let end = [&b"\r\n"[..], b"\n"]
            .into_iter()
            .find(|end| line.ends_with(end));
        let end = end.unwrap_or_default();
        let line = line.get(..line.len() - end.len()).unwrap_or_default();
        let cells: Vec<String> = line
            .split(|&byte| byte == b'\t')
            .map(|cell| Shown(cell).to_string())
            .collect();
        shown.push_str(&cells.join("\t"));
        shown.extend(end.iter().map(|&byte| char::from(byte)));
    }
    shown
}

/// Tells whether a terminal shows the character as it is: no control
/// characters, nothing invisible, no changes of writing direction, which make a
/// text read as another (CVE-2021-42574).
pub fn is_harmless(character: char) -> bool {
    !character.is_control()
        && !matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_escape_sequence_reaches_the_terminal() {
        assert_eq!(quoted("a\x1b[2Jb\nc\u{202e}"), r"`a\u{1b}[2Jb\nc\u{202e}`");
    }

    #[test]
    fn no_character_drives_a_terminal_or_hides() {
        // ESC, DEL, 8-bit CSI, changes of direction, and characters without
        // width.
        for character in
            "\0\t\r\u{1b}\u{7f}\u{9b}\u{61c}\u{200b}\u{202e}\u{2066}\u{feff}\u{e0041}".chars()
        {
            let text = escaped(&character.to_string());
            assert!(text.starts_with('\\') && text.is_ascii(), "{text}");
        }
        let bytes = OsStr::from_bytes(b"/a\xff\x9b\xc3/\xc3\xa4");
        assert_eq!(shown(bytes).to_string(), r"/a\xff\x9b\xc3/ä");
    }

    #[test]
    fn what_was_escaped_stays_as_it_is() {
        let once = escaped("a\x1b\\n\n");
        assert_eq!(escaped(&once), once);
    }

    #[test]
    fn only_lines_and_columns_are_left_to_what_is_put_together() {
        assert_eq!(
            escaped_lines(b"a\tb\x1b\n\rc\xff\r\n\r\r\nd\r"),
            "a\tb\\u{1b}\n\\rc\\xff\r\n\\r\r\nd\\r"
        );
    }

    #[test]
    fn long_text_is_cut_and_says_so() {
        let cut = quoted(&"é".repeat(5000));
        assert_eq!(cut, format!("`{}...`", "é".repeat(LONGEST)));
        let whole = "é".repeat(LONGEST);
        assert_eq!(quoted(&whole), format!("`{whole}`"));
    }
}
