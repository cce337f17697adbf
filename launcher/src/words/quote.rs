//! Shows text that strangers wrote.
//!
//! A manifest can hold anything, escape sequences for the reader's terminal
//! among them, and a value can be a megabyte long. What enters a message goes
//! through here.

/// Longest text shown in full. A name, a path or a version fits; a line of a
/// terminal is not exceeded by much.
const LONGEST: usize = 100;

/// Puts text between backticks: control characters escaped, a long tail left out.
pub(crate) fn quoted(text: &str) -> String {
    let mut shown = String::from("`");
    for (count, character) in text.chars().enumerate() {
        if count == LONGEST {
            shown.push_str("...");
            break;
        }
        if is_harmless(character) {
            shown.push(character);
        } else {
            shown.extend(character.escape_default());
        }
    }
    shown.push('`');
    shown
}

/// Escapes what does not just stand where it is shown, and leaves nothing out.
pub(crate) fn escaped(text: &str) -> String {
    let mut shown = String::new();
    for character in text.chars() {
        if is_harmless(character) {
            shown.push(character);
        } else {
            shown.extend(character.escape_default());
        }
    }
    shown
}

/// Tells whether a terminal shows the character where it stands, and nothing
/// else: no control characters, no switches of writing direction, which make
/// a text read as another (CVE-2021-42574).
fn is_harmless(character: char) -> bool {
    !character.is_control()
        && !matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_escape_sequence_reaches_the_terminal() {
        assert_eq!(quoted("a\x1b[2Jb\nc\u{202e}"), r"`a\u{1b}[2Jb\nc\u{202e}`");
    }

    #[test]
    fn long_text_is_cut_and_says_so() {
        let shown = quoted(&"é".repeat(5000));
        assert_eq!(shown, format!("`{}...`", "é".repeat(LONGEST)));
    }
}
