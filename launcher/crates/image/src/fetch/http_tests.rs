//! Tests [`Client`] with a scripted server.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::*;
use crate::fetch::credentials::Credentials;
use crate::fetch::http::proxy::Proxies;
use crate::fetch::http::transport::{pause, redirected};
use crate::fetch::http::url::Url;
use crate::fetch::http::wire::Timeouts;
use error::{Error, Kind};
use sys::progress::Progress;

const OK: &str = "HTTP/1.1 200 OK\r\n";

/// What the server does with a connection.
#[derive(Clone)]
enum Act {
    /// Send this and close.
    Say(String),
    /// Send this, then nothing more, and keep the connection open.
    Hang(String),
    /// Be a proxy that connects to the server itself; send this and close.
    #[cfg(feature = "tls")]
    Tunnel(String),
    /// Send this, then zeros until the client disconnects.
    Endless(String),
}

fn say(text: impl Into<String>) -> Act {
    Act::Say(text.into())
}

/// A server, and the requests that it has received.
struct Server {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Answers one connection after another as scripted, then refuses.
    fn new(script: Vec<Act>) -> Self {
        Self::own(|_| script)
    }

    /// The same, for a script that needs the port.
    fn own(script: impl FnOnce(u16) -> Vec<Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
        let port = listener.local_addr().expect("an address").port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (script, log) = (script(port), Arc::clone(&seen));
        std::thread::spawn(move || {
            let mut kept = Vec::new();
            for act in script {
                let (mut stream, _) = listener.accept().expect("a connection");
                log.lock().expect("no panic").push(request(&stream));
                // The client may have disconnected.
                match act {
                    Act::Say(text) => {
                        let _ = stream.write_all(text.as_bytes());
                    }
                    #[cfg(feature = "tls")]
                    Act::Tunnel(text) => {
                        let _ = stream.write_all(b"HTTP/1.1 200 Go\r\n\r\n");
                        log.lock().expect("no panic").push(request(&stream));
                        let _ = stream.write_all(text.as_bytes());
                    }
                    Act::Hang(text) => {
                        let _ = stream.write_all(text.as_bytes());
                        kept.push(stream);
                    }
                    Act::Endless(text) => {
                        let _ = stream.write_all(text.as_bytes());
                        while stream.write_all(&[0; 4096]).is_ok() {}
                    }
                }
            }
            // Keeps hanging connections open, and refuses new ones.
            drop(listener);
            std::thread::sleep(Duration::from_secs(20));
        });
        Self { port, seen }
    }

    /// A URL of this server. Its address is one of this machine that looks like
    /// another, so that requests go the usual way.
    fn url(&self, path: &str) -> String {
        format!("http://0.0.0.0:{}{path}", self.port)
    }

    /// A URL that shows that the server is on this machine.
    fn near(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Returns the requests so far.
    fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("no panic").clone()
    }

    /// Returns the values of a field, one for each request; `-` if it is
    /// missing.
    fn field(&self, name: &str) -> Vec<String> {
        let value = |request: &String| {
            let field = request.lines().find_map(|line| {
                let (key, value) = line.split_once(": ")?;
                (key == name).then(|| value.to_owned())
            });
            field.unwrap_or_else(|| "-".to_owned())
        };
        self.seen().iter().map(value).collect()
    }
}

fn request(stream: &TcpStream) -> String {
    let mut text = String::new();
    for line in BufReader::new(stream).lines().map_while(|line| line.ok()) {
        if line.is_empty() {
            break;
        }
        text.push_str(&line);
        text.push('\n');
    }
    text
}

fn options() -> Options {
    Options {
        rate: None,
        ca_file: None,
        certificates: None,
        insecure_tls: false,
        allow_http: Plain::Everybody,
        credentials: Credentials::default(),
        attempts: 3,
        talk: Progress::new(true),
        session: None,
    }
}

/// A [`Client`] with short timeouts.
fn impatient(options: Options, proxies: Proxies) -> Client {
    let timeouts = Timeouts {
        head: Duration::from_millis(600),
        idle: Duration::from_millis(500),
    };
    Client::with(options, proxies, timeouts, Duration::from_millis(1)).expect("a client")
}

fn hasty(options: Options) -> Client {
    impatient(options, Proxies::default())
}

fn web() -> Client {
    hasty(options())
}

/// The same behind a proxy.
fn behind(proxy: &str, options: Options) -> Client {
    let proxies = Proxies::read(|name| (name == "http_proxy").then(|| proxy.to_owned()));
    impatient(options, proxies)
}

/// Credentials for both names of this machine, at these ports.
fn known_at(name: &str, domains: &[String]) -> Credentials {
    use std::os::unix::fs::PermissionsExt;
    let directory = std::env::temp_dir().join(format!("auth-http-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let file = directory.join("a.json");
    let domains = domains.join("\", \"");
    let text = format!(
        r#"{{"kind": "auth", "domains": ["{domains}"], "type": "oauth", "credentials": {{"token": "t"}}}}"#
    );
    std::fs::write(&file, text).expect("a file");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).expect("a mode");
    let credentials = Credentials::load(&[PathBuf::from(&directory)]).expect("credentials");
    std::fs::remove_dir_all(&directory).expect("removed");
    credentials
}

/// Reads a whole download; returns the text or the message.
fn fetch(web: &Client, url: &str) -> std::result::Result<String, String> {
    let mut download = match web.open(url, None, Conditions::default()) {
        Ok(Response::Download(download)) => download,
        Ok(Response::NotModified(_)) => return Ok("unchanged".to_owned()),
        Err(refusal) => return Err(refusal.to_string()),
    };
    let mut text = String::new();
    match download.read_to_string(&mut text) {
        Ok(_) => Ok(text),
        Err(error) => Err(error.to_string()),
    }
}

/// The message that `fetch` returns.
fn refused<T>(server: &Server, path: &str, why: &str) -> std::result::Result<T, String> {
    Err(format!("cannot fetch `{}`: {why}", server.url(path)))
}

#[path = "http_tests/download.rs"]
mod download;
#[path = "http_tests/redirect.rs"]
mod redirect;
#[path = "http_tests/retry.rs"]
mod retry;
#[path = "http_tests/session.rs"]
mod session;
