//! A reader gets each record once, in order, even while the log is written.

use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::state::subdirectory;

/// A directory in which a log is written as `stage1-init` does.
struct Writer {
    path: PathBuf,
    size: u64,
    written: u64,
}

impl Writer {
    fn new(size: u64) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("nosecone-source-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        let written = 0;
        Self {
            path,
            size,
            written,
        }
    }

    fn source(&self) -> Source {
        let parent = subdirectory::open(rustix::fs::CWD, self.path.to_str().unwrap());
        Source::new("app".to_owned(), parent.unwrap().unwrap())
    }

    /// Writes a record of this length: its data is its number, repeated.
    fn write(&mut self, length: usize) -> String {
        self.written += 1;
        let data = format!("{} ", self.written).repeat(length);
        let data = data[..length].to_owned();
        let record = format!(
            "17640864{:02}.000000000 out {length}\n{data}",
            self.written % 100
        );
        let log = self.path.join("log");
        let is = std::fs::metadata(&log).map_or(0, |metadata| metadata.len());
        if is > 0 && is + record.len() as u64 > self.size {
            std::fs::rename(&log, self.path.join("log.1")).unwrap();
        }
        self.append(record.as_bytes());
        data
    }

    fn append(&self, bytes: &[u8]) {
        let mut file = open_log(&self.path);
        file.write_all(bytes).unwrap();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

fn open_log(directory: &Path) -> File {
    let mut options = File::options();
    let log = options.create(true).append(true);
    log.open(directory.join("log")).unwrap()
}

/// Looks, and returns the data of all records that exist now.
fn read(source: &mut Source, over: bool) -> Vec<String> {
    let mut all = Vec::new();
    source.look().unwrap();
    let each = &mut |_, record: &Record<'_>| {
        all.push(String::from_utf8(record.data.to_vec()).unwrap());
        ControlFlow::Continue(())
    };
    merge(std::slice::from_mut(source), over, each).unwrap();
    all
}

#[test]
fn nothing_is_missed_or_repeated() {
    // Between two looks at most one more file is filled.
    for (size, length, count) in [
        (100, 10, 2),
        (100, 60, 1),
        (5000, 40, 70),
        (300_000, 9000, 30),
    ] {
        let mut writer = Writer::new(size);
        let (mut written, mut found) = (Vec::new(), Vec::new());
        let mut source = writer.source();
        for round in 0..40 {
            for number in 0..(round * 7) % (count + 1) {
                written.push(writer.write(length + number % 9));
            }
            found.extend(read(&mut source, false));
            assert_eq!(found, written, "{size} {round}");
        }
        assert_eq!(read(&mut source, true), [""; 0]);
        let both = read(&mut writer.source(), false);
        assert!(written.ends_with(&both) && !both.is_empty());
    }
}

#[test]
fn renamed_and_removed_files_are_read_to_their_end() {
    let mut writer = Writer::new(100);
    let mut source = writer.source();
    assert_eq!(read(&mut source, false), [""; 0]);
    let first = writer.write(50);
    assert_eq!(read(&mut source, false), [first]);
    // The file being read is renamed, then replaced; two more exist.
    let more: Vec<String> = (0..3).map(|_| writer.write(50)).collect();
    assert_eq!(read(&mut source, false), more[1..]);
    let mut source = writer.source();
    source.look().unwrap();
    std::fs::remove_file(writer.path.join("log")).unwrap();
    std::fs::remove_file(writer.path.join("log.1")).unwrap();
    let mut all = Vec::new();
    while source.time(true).unwrap().is_some() {
        let record = source.take().unwrap();
        all.push(String::from_utf8(record.data.to_vec()).unwrap());
    }
    assert_eq!(all, more[1..]);
    assert_eq!(read(&mut source, true), [""; 0]);
}

#[test]
fn a_partial_record_that_is_truncated_is_forgotten() {
    let mut writer = Writer::new(10_000);
    let mut source = writer.source();
    let (first, mut found) = (writer.write(20), Vec::new());
    let whole = std::fs::metadata(writer.path.join("log")).unwrap().len();
    for part in [
        "1",
        "1764086400.000000000 out 9",
        "1764086400.000000000 out 900\npart",
    ] {
        writer.append(part.as_bytes());
        found.extend(read(&mut source, false));
        let mut file = open_log(&writer.path);
        file.set_len(whole).unwrap();
        file.rewind().unwrap();
        found.extend(read(&mut source, false));
        assert_eq!(found, std::slice::from_ref(&first));
    }
    let last = writer.write(30);
    assert_eq!(read(&mut source, false), std::slice::from_ref(&last));
    assert_eq!(read(&mut writer.source(), true), [first, last]);
}

#[test]
fn a_truncated_record_at_the_end_is_read() {
    let writer = Writer::new(10_000);
    let mut source = writer.source();
    writer.append(b"1764086400.000000000 out 9\nhalf");
    assert_eq!(read(&mut source, false), [""; 0]);
    assert_eq!(read(&mut source, true), ["half"]);
    assert_eq!(read(&mut source, true), [""; 0]);
}

#[test]
fn logs_are_merged_by_time_and_keep_their_order() {
    let (one, two) = (Writer::new(10_000), Writer::new(10_000));
    let record = |seconds: u32, data: &str| format!("{seconds}.000000000 err 1\n{data}");
    for (seconds, data) in [(1, "a"), (5, "d"), (2, "e")] {
        one.append(record(seconds, data).as_bytes());
    }
    for (seconds, data) in [(3, "b"), (4, "c"), (6, "f")] {
        two.append(record(seconds, data).as_bytes());
    }
    let mut sources = [one.source(), two.source()];
    for source in &mut sources {
        source.look().unwrap();
    }
    let mut all = Vec::new();
    let each = &mut |app, record: &Record<'_>| {
        all.push((app, char::from(record.data[0])));
        match record.data {
            b"f" => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    };
    merge(&mut sources, true, each).unwrap();
    let expected = [(0, 'a'), (1, 'b'), (1, 'c'), (0, 'd'), (0, 'e'), (1, 'f')];
    assert_eq!(all, expected);
}

#[test]
fn who_is_slower_than_both_files_are_filled_knows_it() {
    let mut writer = Writer::new(100);
    let mut source = writer.source();
    source.watch().unwrap();
    // Before anything was found, two files are there to be found.
    let mut kept = vec![writer.write(60), writer.write(60)];
    assert!(!source.look().unwrap());
    assert_eq!(read(&mut source, false), kept);
    // The file that is open, and the two that are left.
    kept = vec![writer.write(60), writer.write(60)];
    assert!(!source.look().unwrap());
    assert_eq!(read(&mut source, false), kept);
    writer.write(60);
    kept = vec![writer.write(60), writer.write(60)];
    assert!(source.look().unwrap());
    assert_eq!(read(&mut source, false), kept);
    assert!(!source.look().unwrap());
}
