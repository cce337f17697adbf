//! Assembles the lines of a log from the pieces that were written.
//!
//! Each stream of each app has its own lines, so that two apps that write at
//! the same time do not mix.

use std::collections::BTreeMap;

use crate::state::log::record::{Record, Stream};

/// The longest line: more than a log holds unless its size was set. Longer ones
/// are broken into pieces, so that no app can fill the memory of whoever
/// follows its log.
pub const LONGEST: usize = 4 << 20;

/// A line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When its first byte was read, in nanoseconds since 1970.
    pub time: u64,
    /// The index of the app that wrote it.
    pub app: usize,
    /// The stream it was written to.
    pub stream: Stream,
    /// The text, without the line break.
    pub text: Vec<u8>,
    /// Whether it is a whole line or the first piece of one.
    pub begins: bool,
    /// Whether there was a line break.
    pub ended: bool,
}

/// Lines that are not complete yet.
#[derive(Debug, Default)]
pub struct Lines(BTreeMap<(usize, Stream), Line>);

impl Lines {
    /// Adds what an app wrote, and passes each line that is now complete to
    /// `each`.
    pub fn add(&mut self, app: usize, record: &Record<'_>, each: &mut dyn FnMut(Line)) {
        let Record { time, stream, data } = *record;
        for piece in data.split_inclusive(|&byte| byte == b'\n') {
            let (piece, ended) = match piece.strip_suffix(b"\n") {
                Some(piece) => (piece, true),
                None => (piece, false),
            };
            let mut line = self.0.remove(&(app, stream)).unwrap_or(Line {
                time,
                app,
                stream,
                text: Vec::new(),
                begins: true,
                ended: false,
            });
            line.text.extend_from_slice(piece);
            while line.text.len() > LONGEST {
                let rest = line.text.split_off(LONGEST);
                let rest = Line {
                    text: rest,
                    begins: false,
                    ..line
                };
                each(std::mem::replace(&mut line, rest));
            }
            line.ended = ended;
            match ended {
                true => each(line),
                false => drop(self.0.insert((app, stream), line)),
            }
        }
    }

    /// Returns the incomplete lines, in order of time.
    pub fn rest(&mut self) -> Vec<Line> {
        let mut rest: Vec<Line> = std::mem::take(&mut self.0).into_values().collect();
        rest.sort_by_key(|line| line.time);
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(records: &[(u64, usize, Stream, &str)]) -> Vec<(u64, usize, Stream, String, bool)> {
        let (mut lines, mut all) = (Lines::default(), Vec::new());
        for &(time, app, stream, data) in records {
            let data = data.as_bytes();
            let record = Record { time, stream, data };
            lines.add(app, &record, &mut |line| all.push(line));
        }
        all.extend(lines.rest());
        let parts = |line: Line| {
            let text = String::from_utf8_lossy(&line.text).into_owned();
            (line.time, line.app, line.stream, text, line.ended)
        };
        all.into_iter().map(parts).collect()
    }

    #[test]
    fn two_streams_never_share_a_line() {
        use Stream::{Err, Out};
        let records = [
            (1, 0, Out, "a"),
            (2, 0, Err, "b"),
            (3, 1, Out, "c\n"),
            (4, 0, Out, "d\n\ne"),
            (5, 0, Err, "f"),
        ];
        let text = |text: &str| text.to_owned();
        assert_eq!(
            lines(&records),
            [
                (3, 1, Out, text("c"), true),
                (1, 0, Out, text("ad"), true),
                (4, 0, Out, text(""), true),
                (2, 0, Err, text("bf"), false),
                (4, 0, Out, text("e"), false),
            ]
        );
    }

    #[test]
    fn a_line_without_end_is_broken() {
        let long = "x".repeat(LONGEST);
        let records = [
            (1, 0, Stream::Out, "y"),
            (2, 0, Stream::Out, long.as_str()),
            (3, 0, Stream::Out, "\n"),
        ];
        let lines = lines(&records);
        let lengths: Vec<_> = lines.iter().map(|line| (line.3.len(), line.4)).collect();
        assert_eq!(lengths, [(LONGEST, false), (1, true)]);
    }
}
