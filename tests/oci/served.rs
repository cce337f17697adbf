//! A registry that does with each request what a test wants, while it serves others.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use super::Layout;
use super::registry::{Answers, served};
use crate::host::Call;

/// What a client asks for.
pub(super) struct Asked {
    pub(super) path: String,
    pub(super) told: Option<String>,
    /// From where it wants it.
    pub(super) from: Option<usize>,
}

/// A registry that has what is in a layout as `app:1`, and does with each request what
/// its script says, while it serves others.
pub(super) struct Served {
    pub(super) host: String,
    pub(super) shared: Arc<Shared>,
}

/// What all of its connections know.
pub(super) struct Shared {
    pub(super) answers: Answers,
    /// What happened: `asked PATH FROM`, `sent PATH`.
    pub(super) log: Mutex<Vec<String>>,
    changed: Condvar,
}

impl Shared {
    pub(super) fn note(&self, line: String) {
        self.log.lock().unwrap().push(line);
        self.changed.notify_all();
    }

    /// Waits until something has happened.
    pub(super) fn wait(&self, line: &str) {
        let is_there = |log: &mut Vec<String>| !log.iter().any(|each| each.starts_with(line));
        let log = self.log.lock().unwrap();
        drop(self.changed.wait_while(log, is_there).unwrap());
    }

    /// Answers a request as a registry does: with so much of the body, at most.
    pub(super) fn send(&self, to: &mut TcpStream, asked: &Asked, most: usize) -> io::Result<()> {
        let Some((status, body)) = self.answers.get(&asked.path) else {
            return to.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        };
        self.send_body(to, asked, (status, body), most)
    }

    pub(super) fn send_body(
        &self,
        to: &mut TcpStream,
        asked: &Asked,
        (status, body): (&str, &[u8]),
        most: usize,
    ) -> io::Result<()> {
        let (whole, from) = (body.len(), asked.from.unwrap_or(0));
        let status = match asked.from {
            Some(from) => {
                let last = whole - 1;
                format!("206 Partial Content\r\nContent-Range: bytes {from}-{last}/{whole}")
            }
            None => status.to_owned(),
        };
        let body = &body[from..];
        let length = body.len();
        write!(to, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n")?;
        to.write_all(&body[..most.min(length)])?;
        self.note(format!("sent {}", asked.path));
        Ok(())
    }
}

/// Says of each request what to do with it.
pub(super) type Script = dyn Fn(&Shared, &Asked, &mut TcpStream) -> io::Result<()> + Send + Sync;

impl Served {
    pub(super) fn new(
        layout: &Layout,
        script: impl Fn(&Shared, &Asked, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared {
            answers: served(layout),
            log: Mutex::default(),
            changed: Condvar::new(),
        });
        let script: Arc<Script> = Arc::new(script);
        let server = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (shared, script) = (Arc::clone(&server), Arc::clone(&script));
                // Who asks may be gone at any time.
                thread::spawn(move || answer(stream, &shared, &*script));
            }
        });
        Self { host, shared }
    }

    pub(super) fn fetch(&self, layout: &Layout) -> Call {
        let name = format!("docker://{}/app:1", self.host);
        layout.launch(&["fetch", &name]).within(SOON)
    }

    /// From where a path was wanted, each time.
    pub(super) fn wanted(&self, path: &str) -> Vec<usize> {
        let asked = format!("asked {path} ");
        let log = self.shared.log.lock().unwrap();
        let from = log.iter().filter_map(|line| line.strip_prefix(&asked));
        from.map(|from| from.parse().unwrap()).collect()
    }
}

/// Shorter than any client waits for a server.
pub(super) const SOON: Duration = Duration::from_secs(20);

pub(super) fn answer(mut stream: TcpStream, shared: &Shared, script: &Script) -> io::Result<()> {
    let lines = BufReader::new(stream.try_clone()?).lines();
    let lines = lines.map_while(Result::ok);
    let request: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let field = |name: &str| request.iter().find_map(|line| line.strip_prefix(name));
    // Else it is a client that tries to speak TLS.
    let Some(path) = request.first().and_then(|line| line.split(' ').nth(1)) else {
        return Ok(());
    };
    let from = field("Range: bytes=").and_then(|range| range.trim_end_matches('-').parse().ok());
    let asked = Asked {
        path: path.to_owned(),
        told: field("Authorization: ").map(str::to_owned),
        from,
    };
    shared.note(format!("asked {path} {}", from.unwrap_or(0)));
    script(shared, &asked, &mut stream)
}

/// Waits until the client is gone.
pub(super) fn hang(stream: &mut TcpStream) -> io::Result<()> {
    io::copy(&mut stream.take(u64::MAX), &mut io::sink()).map(drop)
}
