//! Where a log is printed: byte for byte, or escaped for a terminal. Otherwise
//! an app could control the terminal, or disguise its output, whenever someone
//! reads its log.

use std::io::{Result, Write};

use error::quote::escaped_lines;

/// A stream that takes the output of apps.
pub(super) struct Output<'a> {
    to: &'a mut dyn Write,
    escapes: bool,
    /// The start of a character or line break whose end is still missing.
    begun: Vec<u8>,
}

impl<'a> Output<'a> {
    /// Creates an output that escapes what it is given, or not.
    pub(super) fn new(to: &'a mut dyn Write, escapes: bool) -> Self {
        Self {
            to,
            escapes,
            begun: Vec::new(),
        }
    }
}

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        if !self.escapes {
            return self.to.write(bytes);
        }
        let mut whole = std::mem::take(&mut self.begun);
        whole.extend_from_slice(bytes);
        self.begun = whole.split_off(whole.len() - unfinished(&whole));
        self.to.write_all(escaped_lines(&whole).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        self.to.flush()
    }
}

impl Drop for Output<'_> {
    fn drop(&mut self) {
        // The end is not coming. An earlier write has already reported any
        // failure.
        let _ = self.to.write_all(escaped_lines(&self.begun).as_bytes());
    }
}

/// Returns how many bytes at the end may change their meaning when more follow.
fn unfinished(bytes: &[u8]) -> usize {
    if bytes.ends_with(b"\r") {
        return 1;
    }
    let last = bytes.utf8_chunks().last();
    let last = last.map(|chunk| chunk.invalid()).unwrap_or_default();
    match std::str::from_utf8(last) {
        Err(error) if error.error_len().is_none() => last.len(),
        _ => 0,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn printed(escapes: bool, pieces: &[&[u8]]) -> Vec<u8> {
        let mut to = Vec::new();
        let mut output = Output::new(&mut to, escapes);
        for piece in pieces {
            output.write_all(piece).unwrap();
            output.flush().unwrap();
        }
        drop(output);
        to
    }

    #[test]
    fn nothing_drives_the_terminal_wherever_it_is_cut() {
        let text = "\x1b[2J\t\u{e4}\u{9b}A\u{202e}\r\nb\rc\x07\u{1f600}\n".as_bytes();
        let text = [text, b"\xff\xf0\x9f"].concat();
        let expected =
            "\\u{1b}[2J\t\u{e4}\\u{9b}A\\u{202e}\r\nb\\rc\\u{7}\u{1f600}\n\\xff\\xf0\\x9f";
        for cut in 0..=text.len() {
            for end in cut..=text.len() {
                let pieces = [&text[..cut], &text[cut..end], &text[end..]];
                let shown = String::from_utf8(printed(true, &pieces)).unwrap();
                assert_eq!(shown, expected, "{cut} {end}");
            }
        }
    }

    #[test]
    fn what_is_not_escaped_stays_byte_for_byte() {
        let text = b"\x1b[2J\r\xff\n\r";
        assert_eq!(printed(false, &[text]), text);
    }
}
