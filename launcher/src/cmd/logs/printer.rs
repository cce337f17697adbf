//! Prints records: unchanged, or line by line.

use std::collections::{BTreeSet, VecDeque};
use std::io::{self, Write};
use std::ops::ControlFlow;

use crate::cmd::CANNOT_PRINT;
use crate::cmd::logs::options::{Options, Style};
use appc::json::{Object, Value};
use appc::types::spell_time_exactly;
use error::{Context as _, Error, Result};
use pod::state::log::lines::{Line, Lines};
use pod::state::log::record::{Record, Stream};

/// How many bytes to collect before writing.
const BLOCK: usize = 64 * 1024;

/// Prints records.
pub(super) struct Printer<'a> {
    /// The names of the apps.
    apps: Vec<String>,
    options: &'a Options,
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    /// The streams of apps whose incomplete line is older than what was asked
    /// for.
    old: BTreeSet<(usize, Stream)>,
    /// Incomplete lines.
    lines: Lines,
    /// The last lines so far, until the end is reached.
    tail: Option<Tail>,
    /// Pending output, and its destination.
    pending: (Stream, Vec<u8>),
    /// Why output has stopped: the reader has gone, or writing failed.
    stopped: Option<Option<Error>>,
}

impl<'a> Printer<'a> {
    /// Creates a printer.
    pub(super) fn new(
        apps: Vec<String>,
        options: &'a Options,
        out: &'a mut dyn Write,
        err: &'a mut dyn Write,
    ) -> Self {
        Self {
            apps,
            options,
            out,
            err,
            old: BTreeSet::new(),
            lines: Lines::default(),
            tail: options.tail.map(|_| Tail::default()),
            pending: (Stream::Out, Vec::new()),
            stopped: None,
        }
    }

    /// Adds a record of an app. Breaks if output has stopped.
    pub(super) fn add(&mut self, app: usize, record: &Record<'_>) -> ControlFlow<()> {
        let data = self.recent(app, record);
        let record = &Record { data, ..*record };
        if data.is_empty() {
        } else if self.options.style == Style::Bare && self.tail.is_none() {
            self.write(record.stream, record.data);
        } else {
            let mut ended = Vec::new();
            self.lines.add(app, record, &mut |line| ended.push(line));
            for line in ended {
                self.line(line);
            }
        }
        match self.stopped {
            None => ControlFlow::Continue(()),
            Some(_) => ControlFlow::Break(()),
        }
    }

    /// Returns the part of a record that belongs to lines which began recently
    /// enough.
    fn recent<'r>(&mut self, app: usize, record: &Record<'r>) -> &'r [u8] {
        let (line, data) = ((app, record.stream), record.data);
        if record.time < self.options.since {
            match data.last() {
                Some(b'\n') => self.old.remove(&line),
                Some(_) => self.old.insert(line),
                None => false,
            };
            return b"";
        }
        if !self.old.contains(&line) {
            return data;
        }
        match data.iter().position(|&byte| byte == b'\n') {
            Some(end) => {
                self.old.remove(&line);
                &data[end + 1..]
            }
            None => b"",
        }
    }

    /// Writes out the records added so far. Incomplete lines wait if there is
    /// more to come.
    pub(super) fn settle(&mut self, more: bool) {
        // Unchanged output need not end in a complete line.
        let bare = self.options.style == Style::Bare && self.tail.is_some();
        if bare || !more {
            for line in self.lines.rest() {
                self.line(line);
            }
        }
        for line in self.tail.take().into_iter().flat_map(|tail| tail.lines) {
            self.show(&line);
        }
        self.flush();
    }

    /// Returns whether output has stopped.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.is_some()
    }

    /// Returns the result. A reader that has gone is not an error.
    pub(super) fn result(self) -> Result<()> {
        self.stopped.flatten().map_or(Ok(()), Err)
    }

    fn line(&mut self, line: Line) {
        let most = self.options.tail.unwrap_or_default();
        match &mut self.tail {
            Some(tail) => {
                tail.push(line);
                while tail.count > most {
                    tail.drop_first();
                }
            }
            None => self.show(&line),
        }
    }

    fn show(&mut self, line: &Line) {
        let app = self.apps.get(line.app).map_or("", String::as_str);
        let end: &[u8] = if line.ended { b"\n" } else { b"" };
        let (stream, parts) = match self.options.style {
            Style::Bare => (line.stream, [&line.text[..], end].concat()),
            Style::Stamped => {
                let (time, stream) = (spell_time_exactly(line.time), line.stream.name());
                let stamp = format!("{time} {app} {stream} ");
                (line.stream, [stamp.as_bytes(), &line.text, b"\n"].concat())
            }
            Style::Json => (Stream::Out, format!("{}\n", json(app, line)).into_bytes()),
        };
        self.write(stream, &parts);
    }

    fn write(&mut self, stream: Stream, bytes: &[u8]) {
        if self.pending.0 != stream || self.pending.1.len() + bytes.len() > BLOCK {
            self.flush();
        }
        self.pending.0 = stream;
        self.pending.1.extend_from_slice(bytes);
    }

    fn flush(&mut self) {
        let (stream, bytes) = (self.pending.0, std::mem::take(&mut self.pending.1));
        if bytes.is_empty() || self.is_stopped() {
            return;
        }
        let (to, what) = match stream {
            Stream::Out | Stream::Terminal => (&mut self.out, CANNOT_PRINT),
            Stream::Err => (&mut self.err, "cannot write to standard error"),
        };
        let written = to.write_all(&bytes).and_then(|()| to.flush());
        self.stopped = match written {
            Ok(()) => None,
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Some(None),
            Err(error) => Some(Err::<(), _>(error).context(|| what).err()),
        };
    }
}

/// The last lines so far.
#[derive(Default)]
struct Tail {
    /// Lines, and pieces of long ones.
    lines: VecDeque<Line>,
    /// How many lines these are.
    count: usize,
}

impl Tail {
    fn push(&mut self, line: Line) {
        let is_its_line = |known: &Line| is_same_stream(known, &line) && !known.ended;
        // A piece goes with the first one.
        if line.begins || self.lines.iter().any(is_its_line) {
            self.count += usize::from(line.begins);
            self.lines.push_back(line);
        }
    }

    /// Removes the first line, with all its pieces.
    fn drop_first(&mut self) {
        let Some(mut piece) = self.lines.pop_front() else {
            return;
        };
        self.count -= 1;
        while !piece.ended {
            let is_next = |next: &Line| is_same_stream(next, &piece);
            let next = self.lines.iter().position(is_next);
            let next = next.filter(|&at| self.lines.get(at).is_some_and(|next| !next.begins));
            let Some(next) = next.and_then(|at| self.lines.remove(at)) else {
                return;
            };
            piece = next;
        }
    }
}

fn is_same_stream(one: &Line, other: &Line) -> bool {
    (one.app, one.stream) == (other.app, other.stream)
}

fn json(app: &str, line: &Line) -> Value {
    let object = Object::new()
        .with("time", spell_time_exactly(line.time))
        .with("app", app)
        .with("stream", line.stream.name());
    let bytes = || {
        Value::List(
            line.text
                .iter()
                .map(|&byte| u32::from(byte).into())
                .collect(),
        )
    };
    let object = match std::str::from_utf8(&line.text) {
        Ok(text) => object.with("text", text),
        Err(_) => object.with("bytes", bytes()),
    };
    object
        .with_some("partial", (!line.ended).then_some(true))
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::selector::PodSelector;
    use Stream::{Err as E, Out as O, Terminal as T};
    use pod::state::log::lines::LONGEST;

    fn options(style: Style, tail: Option<usize>) -> Options {
        Options {
            selector: PodSelector::default(),
            follow: false,
            app: None,
            since: 2_000_000_000,
            tail,
            style,
            raw: false,
        }
    }

    type Records<'a> = &'a [(usize, Stream, &'a [u8])];

    /// Returns what is printed of records of one second each, and then of more.
    fn shown(
        style: Style,
        tail: Option<usize>,
        first: Records<'_>,
        more: Records<'_>,
    ) -> [String; 2] {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let options = options(style, tail);
        let apps = vec!["web".to_owned(), "db".to_owned()];
        let mut printer = Printer::new(apps, &options, &mut out, &mut err);
        let mut time = 0;
        for (records, follow) in [(first, !more.is_empty()), (more, false)] {
            for &(app, stream, data) in records {
                time += 1_000_000_000;
                let record = Record { time, stream, data };
                assert!(printer.add(app, &record).is_continue());
            }
            printer.settle(follow);
        }
        assert!(printer.result().is_ok());
        [out, err].map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    const ALL: Records<'_> = &[
        (0, O, b"too old\n"),
        (0, O, b"a\nb"),
        (1, E, b"x\n"),
        (1, T, b"y\n"),
        (0, O, b"c\nd"),
    ];

    #[test]
    fn what_is_shown_bare_is_shown_as_it_is() {
        assert_eq!(shown(Style::Bare, None, ALL, &[]), ["a\nby\nc\nd", "x\n"]);
        let more: Records<'_> = &[(0, O, b"\xff\0")];
        assert_eq!(
            shown(Style::Bare, None, ALL, more)[0],
            "a\nby\nc\nd\u{fffd}\0"
        );
    }

    #[test]
    fn the_last_lines_are_those_of_all_apps() {
        let tail = |number, more| shown(Style::Bare, Some(number), ALL, more);
        assert_eq!(tail(0, &[]), ["", ""]);
        assert_eq!(tail(1, &[]), ["d", ""]);
        assert_eq!(tail(3, &[]), ["y\nbc\nd", ""]);
        assert_eq!(tail(4, &[]), ["y\nbc\nd", "x\n"]);
        assert_eq!(tail(9, &[]), ["a\ny\nbc\nd", "x\n"]);
        assert_eq!(tail(1, &[(0, O, b"e\n"), (1, E, b"f")]), ["de\n", "f"]);
    }

    #[test]
    fn a_line_that_began_too_early_is_too_old_to_its_end() {
        let records: Records<'_> = &[
            (0, O, b"old\nbegun "),
            (0, O, b"too early, "),
            (1, O, b"another\n"),
            (0, O, b"and ended\nnew\n"),
        ];
        let expected = "another\nnew\n";
        assert_eq!(shown(Style::Bare, None, records, &[])[0], expected);
        assert_eq!(shown(Style::Bare, Some(9), records, &[])[0], expected);
        let [out, _] = shown(Style::Stamped, None, records, &[]);
        assert_eq!(
            out,
            "1970-01-01T00:00:03.000000000Z db stdout another\n\
             1970-01-01T00:00:04.000000000Z web stdout new\n"
        );
    }

    #[test]
    fn the_last_line_is_whole_however_long_it_is() {
        let long = vec![b'x'; 100_000];
        let records: Records<'_> = &[(0, O, b""), (0, O, b"a\n"), (0, O, &long), (0, O, b"y\n")];
        let expected = format!("{}y", String::from_utf8_lossy(&long));
        for style in [Style::Bare, Style::Stamped, Style::Json] {
            let [out, _] = shown(style, Some(1), records, &[]);
            assert!(out.contains(&expected), "{style:?}");
            assert_eq!(out.lines().count(), 1, "{style:?}");
        }
        let longest = vec![b'x'; LONGEST];
        let records: Records<'_> = &[
            (0, O, b""),
            (0, O, &longest),
            (0, O, b"y\n"),
            (1, O, b"short\n"),
        ];
        assert_eq!(shown(Style::Bare, Some(1), records, &[])[0], "short\n");
        let both = shown(Style::Bare, Some(2), records, &[]);
        assert_eq!(both[0].len(), LONGEST + "y\nshort\n".len());
    }

    #[test]
    fn a_stamp_stands_before_each_whole_line() {
        let [out, err] = shown(Style::Stamped, None, ALL, &[(0, O, b"e\nf")]);
        assert_eq!(
            out,
            "1970-01-01T00:00:02.000000000Z web stdout a\n\
             1970-01-01T00:00:04.000000000Z db tty y\n\
             1970-01-01T00:00:02.000000000Z web stdout bc\n\
             1970-01-01T00:00:05.000000000Z web stdout de\n\
             1970-01-01T00:00:06.000000000Z web stdout f\n"
        );
        assert_eq!(err, "1970-01-01T00:00:03.000000000Z db stderr x\n");
        let [out, _] = shown(Style::Stamped, Some(1), ALL, &[(0, O, b"e\nf")]);
        assert_eq!(
            out,
            "1970-01-01T00:00:02.000000000Z web stdout bc\n\
             1970-01-01T00:00:05.000000000Z web stdout de\n\
             1970-01-01T00:00:06.000000000Z web stdout f\n"
        );
    }

    #[test]
    fn an_object_is_a_line_and_loses_no_byte() {
        let records: Records<'_> = &[
            (0, O, b""),
            (0, O, b"\"a\"\x1b\n"),
            (1, E, b"\xff1\n"),
            (1, E, "ä".as_bytes()),
        ];
        let [out, err] = shown(Style::Json, None, records, &[]);
        assert_eq!(
            out,
            r#"{"time":"1970-01-01T00:00:02.000000000Z","app":"web","stream":"stdout","text":"\"a\"\u001b"}
{"time":"1970-01-01T00:00:03.000000000Z","app":"db","stream":"stderr","bytes":[255,49]}
{"time":"1970-01-01T00:00:04.000000000Z","app":"db","stream":"stderr","text":"ä","partial":true}
"#
        );
        assert_eq!(err, "");
    }

    /// A writer that fails.
    struct Refusing(io::ErrorKind);

    impl Write for Refusing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_went_away_is_no_error_and_a_full_disk_is_one() {
        for (kind, said) in [
            (io::ErrorKind::BrokenPipe, None),
            (
                io::ErrorKind::StorageFull,
                Some("cannot write to standard output: no storage space"),
            ),
        ] {
            let options = options(Style::Bare, None);
            let (mut out, mut err) = (Refusing(kind), io::sink());
            let mut printer = Printer::new(Vec::new(), &options, &mut out, &mut err);
            let record = Record {
                time: u64::MAX,
                stream: O,
                data: b"x",
            };
            assert!(printer.add(0, &record).is_continue());
            printer.settle(true);
            assert!(printer.is_stopped() && printer.add(0, &record).is_break());
            let result = printer.result().err().map(|error| error.to_string());
            assert_eq!(result.as_deref(), said);
        }
    }
}
