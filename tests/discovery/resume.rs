//! Downloads that are interrupted, and the next call that goes on with them.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use super::*;
use crate::aci::{Aci, manifest};
use crate::claims;
use crate::golden;
use crate::host::Running;

/// Enough for a slow download to take long.
const LENGTH: usize = 24 << 20;

/// How much a server sends before something happens.
const FIRST: usize = 3 << 20;

/// How a server answers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// As fast as it can.
    Fast,
    /// [`FIRST`] as fast as it can, and no more.
    FastAndHangs,
    /// [`FIRST`] slowly, and no more.
    Hangs,
    /// [`FIRST`] slowly, and from then on nobody.
    Breaks,
    /// All of it slowly.
    Slow,
    /// With nothing.
    Gone,
}

/// What a server has, and what it was asked.
struct State {
    manner: Manner,
    tag: &'static str,
    file: Vec<u8>,
    /// The `Range` of each request.
    ranges: Vec<Option<usize>>,
}

/// A server on this host, and a store.
struct Far {
    scratch: Scratch,
    url: String,
    state: Arc<Mutex<State>>,
}

impl Far {
    fn new(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/a.aci", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State {
            manner,
            tag: "\"1\"",
            file: image(1, LENGTH),
            ranges: Vec::new(),
        }));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                // Who asks may be killed at any time.
                thread::spawn(move || answer(stream, &shared));
            }
        });
        let scratch = Scratch::new();
        Self {
            scratch,
            url,
            state,
        }
    }

    fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
    }

    /// From where the last request wanted the file.
    fn last_range(&self) -> Option<usize> {
        *self.state.lock().unwrap().ranges.last().unwrap()
    }

    fn dir(&self) -> PathBuf {
        self.scratch.join("dir")
    }

    fn fetch(&self) -> Call {
        launcher(&self.dir())
            .args(["fetch", "--insecure-options=image,http"])
            .arg(&self.url)
            .within(Duration::from_secs(60))
    }

    /// The file in which a download is kept.
    fn kept(&self) -> Option<PathBuf> {
        let directory = self.dir().join("downloads");
        let mut entries = fs::read_dir(directory).ok()?;
        Some(entries.next()?.unwrap().path())
    }

    /// Nothing of a download is kept, and no directory is left unfinished.
    #[track_caller]
    fn keeps_nothing(&self) {
        assert_eq!(self.kept(), None);
        let left = fs::read_dir(self.dir().join("tmp")).map_or(0, Iterator::count);
        assert_eq!(left, 0);
    }

    /// Kills a download of which two MiB are kept.
    #[track_caller]
    fn interrupted() -> Self {
        let far = Self::new(Manner::Hangs);
        let mut running = far.fetch().start();
        let kept = || {
            far.kept()
                .map_or(0, |file| fs::metadata(file).unwrap().len())
        };
        running.until("some is kept", |_| kept() > 2 << 20);
        kill(running);
        far.set(|state| state.manner = Manner::Fast);
        far
    }

    /// The image that is stored, by all that it is.
    #[track_caller]
    fn stores(&self, number: u32) {
        let expected = Scratch::new();
        let file = expected.write("a.aci", image(number, LENGTH));
        let ran = launcher(&expected.join("dir")).arg("fetch").arg(file).run();
        let id = ran.exits(0).stdout;
        let [stored] = host::names(&self.dir().join("images")).try_into().unwrap();
        assert!(stored.starts_with(id.trim_end()), "{stored}");
    }
}

/// An image that no network makes smaller.
fn image(number: u32, length: usize) -> Vec<u8> {
    let mut state = number;
    let noise = (0..length / 4).flat_map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_le_bytes()
    });
    let noise: Vec<u8> = noise.collect();
    let manifest = manifest(r#"{"exec": ["/a"], "user": "0", "group": "0"}"#);
    Aci::new(&manifest).file("rootfs/a", 0o755, noise).bytes()
}

fn kill(running: Running) {
    running.signal(Signal::KILL);
    running.end();
}

fn answer(mut stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let mut fields = Vec::new();
    while let Some(line) = lines.next().transpose()?
        && !line.is_empty()
    {
        fields.push(line);
    }
    let field = |name: &str| {
        let mut values = fields.iter().filter_map(|field| field.strip_prefix(name));
        values.next()
    };
    let (manner, head, body) = {
        let mut state = state.lock().unwrap();
        let range =
            field("Range: bytes=").and_then(|range| range.trim_end_matches('-').parse().ok());
        state.ranges.push(range);
        let (tag, whole) = (state.tag, state.file.len());
        let from = range.filter(|_| field("If-Range: ") == Some(tag));
        let status = match from {
            Some(from) => format!(
                "206 Partial Content\r\nContent-Range: bytes {from}-{}/{whole}",
                whole - 1
            ),
            None => "200 OK".to_owned(),
        };
        let body = state.file[from.unwrap_or(0)..].to_vec();
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\nETag: {tag}\r\nContent-Length: {length}\r\n\r\n");
        let manner = state.manner;
        if manner == Manner::Breaks {
            state.manner = Manner::Gone;
        }
        (manner, head, body)
    };
    if manner == Manner::Gone {
        return Ok(());
    }
    stream.write_all(head.as_bytes())?;
    let (first, rest) = body.split_at(FIRST.min(body.len()));
    match manner {
        Manner::Fast => stream.write_all(&body),
        Manner::FastAndHangs => {
            stream.write_all(first)?;
            thread::sleep(Duration::from_secs(600));
            Ok(())
        }
        _ => {
            slowly(&mut stream, first)?;
            match manner {
                Manner::Slow => slowly(&mut stream, rest)?,
                Manner::Hangs => thread::sleep(Duration::from_secs(600)),
                _ => {}
            }
            Ok(())
        }
    }
}

/// At most three MiB a second.
fn slowly(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    for piece in bytes.chunks(64 << 10) {
        stream.write_all(piece)?;
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

#[test]
fn another_version_is_fetched_from_its_beginning() {
    require_root!();
    let far = Far::interrupted();
    far.set(|state| (state.tag, state.file) = ("\"2\"", image(2, LENGTH)));
    let ran = far.fetch().run().exits(0);
    let resuming = golden::lines_written("what begins what goes on");
    assert!(!ran.stderr.contains(&resuming[0]), "{}", ran.stderr);
    far.stores(2);
    far.keeps_nothing();
}

#[test]
fn what_was_damaged_where_it_was_kept_is_fetched_again() {
    require_root!();
    let far = Far::interrupted();
    let file = far.kept().unwrap();
    let mut kept = fs::read(&file).unwrap();
    kept[1 << 20] ^= 1;
    fs::write(&file, kept).unwrap();
    far.fetch().run().exits(0);
    let from = far.last_range().unwrap();
    assert!(from < 1 << 20, "{from}");
    far.stores(1);
    far.keeps_nothing();
}

#[test]
fn of_what_fails_its_checks_nothing_is_kept() {
    require_root!();
    let far = Far::new(Manner::Slow);
    // A header of no file, behind more than is looked at to decide.
    far.set(|state| {
        let manifest = manifest(r#"{"exec": ["/a"], "user": "0", "group": "0"}"#);
        let mut file = Aci::new(&manifest)
            .file("rootfs/a", 0o755, vec![1; 2 << 20])
            .bytes();
        file.truncate(file.len() - 1024);
        file.resize(LENGTH, 1);
        state.file = file;
    });
    let mut running = far.fetch().start();
    running.until("some is kept", |_| far.kept().is_some());
    running.end().exits(1);
    far.keeps_nothing();
    assert_eq!(host::names(&far.dir().join("images")), [""; 0]);
}

#[test]
fn what_fails_its_checks_once_resumed_is_fetched_from_its_beginning_next() {
    require_root!();
    let far = Far::interrupted();
    let sound = image(1, LENGTH);
    far.set(|state| {
        let end = state.file.len() - 1024;
        state.file[end..].fill(1);
    });
    let ran = far.fetch().run().exits(1);
    assert!(far.last_range().is_some());
    let hint = "hint: the part that was kept is removed; the next call fetches all of it\n";
    assert!(ran.stderr.ends_with(hint), "{}", ran.stderr);
    far.keeps_nothing();
    far.set(|state| state.file = sound);
    far.fetch().run().exits(0);
    assert_eq!(far.last_range(), None);
    far.stores(1);
}

#[test]
fn what_comes_fast_is_not_kept() {
    require_root!();
    let far = Far::new(Manner::FastAndHangs);
    // Little, for hosts that are slow themselves.
    far.set(|state| state.file = image(1, FIRST + (1 << 20)));
    let running = far.fetch().start();
    thread::sleep(Duration::from_secs(2));
    assert_eq!(far.kept(), None);
    kill(running);
    far.set(|state| state.manner = Manner::Fast);
    far.fetch().run().exits(0);
    assert_eq!(far.last_range(), None);
    assert!(!far.dir().join("downloads").exists());
}

#[test]
fn what_would_fill_the_disk_is_not_kept() {
    require_root!();
    let far = Far::new(Manner::Slow);
    fs::create_dir(far.dir()).unwrap();
    let script = "mount -t tmpfs -o size=160m,mode=700 none \"$1\" && \
                  \"$2\" --dir \"$1\" fetch --insecure-options=image,http \"$3\" && ls \"$1\"";
    let ran = call(Path::new("unshare"))
        .args(["--mount", "sh", "-c", script, "sh"])
        .arg(far.dir())
        .arg(host::program())
        .arg(&far.url)
        .within(Duration::from_secs(60))
        .run()
        .exits(0);
    let (_, listed) = ran.stdout.split_once('\n').unwrap();
    assert_eq!(
        listed,
        "blobs\nimages\nlayers\nnames\npods\nscratch\ntmp\ntrustedkeys\nversion\n"
    );
}

#[test]
fn what_nobody_goes_on_with_is_removed_in_the_end() {
    require_root!();
    let far = Far::interrupted();
    let gc = || launcher(&far.dir()).args(["image", "gc"]).run().exits(0);
    gc();
    assert!(far.kept().is_some());
    call(Path::new("touch"))
        .args(["-d", "25 hours ago"])
        .arg(far.kept().unwrap())
        .run()
        .exits(0);
    gc();
    far.keeps_nothing();
}

#[test]
fn a_download_that_was_killed_goes_on_where_it_was() {
    require_root!();
    let far = Far::interrupted();
    let ran = far.fetch().run().exits(0);
    let from = far.last_range().unwrap();
    // But for what a piece that was not full had.
    assert!(from > (2 << 20) - (128 << 10), "{from}");
    ran.naming("URL", &far.url)
        .naming("FROM", claims::size(from))
        .complains_with("a download that goes on");
    far.stores(1);
    far.keeps_nothing();
}

#[test]
fn a_download_that_broke_goes_on_with_the_next_call_and_the_one_after_that() {
    require_root!();
    let far = Far::new(Manner::Breaks);
    let mut from = 0;
    for _ in 0..2 {
        far.set(|state| state.manner = Manner::Breaks);
        let at = from + FIRST;
        let ran = far.fetch().run().exits(1);
        ran.at_last()
            .naming("URL", &far.url)
            .naming("AT", claims::size(at))
            .complains_as("a connection that broke");
        assert!(far.kept().is_some());
        from = at;
    }
    far.set(|state| state.manner = Manner::Fast);
    far.fetch().run().exits(0);
    assert_eq!(far.last_range(), Some(from));
    far.stores(1);
    far.keeps_nothing();
}
