//! Images that leave the store for a registry.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::export::{compressed, manifest_of};
use super::registry::Registry;
use super::{Layout, digest};
use crate::host::{self, call};

/// What docker's registry has of the login `me`, `s3cret`.
const USERS: &str = "me:$2b$04$abcdefghijklmnopqrstuuLZYjhNQAOdpbzt4WxWlUHjv1wsyH5DG\n";

impl Layout {
    /// `launcher image push`, with a file for logins that is not there yet.
    fn push(&self, words: &[&str]) -> host::Call {
        let push = self.launch(&["image", "push"]).args(words);
        push.env("REGISTRY_AUTH_FILE", self.scratch.join("auth.json"))
    }

    fn fetch_keeping(&self, name: &str) {
        let image = self.reference(name);
        let fetch = self.launch(&["fetch", "--keep-blobs", &image]);
        fetch.run().exits(0);
    }
}

#[test]
fn a_destination_that_is_none_is_refused() {
    let (layout, id) = compressed();
    layout.fetch("it");
    let digest = format!("docker://localhost:1/app@sha256:{}", "0c".repeat(32));
    for (place, title) in [
        ("app", "a destination without a scheme"),
        (&*digest, "a destination with a digest"),
    ] {
        let ran = layout.push(&[&id, place]).run();
        let ran = ran.exits(if place == "app" { 2 } else { 1 });
        ran.says("").naming("ID", &id).complains_as(title);
    }
    let ran = layout.push(&[&id]).run().exits(1);
    ran.says("")
        .naming("ID", &id)
        .complains_as("an image whose name is no destination");
}

#[test]
fn a_registry_gets_what_it_does_not_have_and_nothing_twice() {
    let _ = tool!("skopeo");
    let _ = tool!("docker-registry");
    let (layout, id) = compressed();
    layout.fetch("it");
    let registry = Registry::new(&layout).unwrap();
    let name = registry.reference("org/app:1");
    let pushed = layout.push(&[&id, &name]).run().exits(0);
    assert!(pushed.stdout.starts_with("sha256:"), "{}", pushed.stdout);
    // A configuration, and two layers, of which one is there twice.
    let blobs = || registry.sent("PUT", "/v2/org/app/blobs/uploads/");
    assert_eq!(blobs(), 3);
    let again = registry.reference("org/app:2");
    let second = layout.push(&[&id, &again]).run().exits(0);
    assert_eq!(second.stdout, pushed.stdout);
    assert_eq!(blobs(), 3);
    let place = layout.scratch.join("again");
    let fetch = host::launcher(&place).args(["fetch", "--full", &name]);
    fetch.run().exits(0).says(&format!("{id}\n"));
    let skopeo = host::find_tool("skopeo").unwrap();
    let back = layout.scratch.join("back");
    let copy = call(&skopeo).args(["copy", "--quiet", "--src-tls-verify=false", &name]);
    let copy = copy.arg(format!("dir:{}", back.display()));
    copy.run().exits(0);
    let manifest = fs::read(back.join("manifest.json")).unwrap();
    assert_eq!(format!("{}\n", digest(&manifest)), pushed.stdout);
}

#[test]
fn what_was_fetched_with_its_blobs_is_pushed_with_the_same_digest() {
    let _ = tool!("skopeo");
    let _ = tool!("docker-registry");
    let (layout, _) = compressed();
    let registry = Registry::new(&layout).unwrap();
    registry.push(&layout, "it", "app:1");
    let name = registry.reference("app:1");
    layout
        .launch(&["fetch", "--keep-blobs", &name])
        .run()
        .exits(0);
    let bare = name.strip_prefix("docker://").unwrap();
    let expected = format!("{}\n", manifest_of(&layout));
    let other = registry.reference("other:1");
    layout.push(&[bare, &other]).run().exits(0).says(&expected);
    // Without blobs, what the registry has need not be sent.
    let place = layout.scratch.join("again");
    host::launcher(&place)
        .args(["fetch", &other])
        .run()
        .exits(0);
    let bare = other.strip_prefix("docker://").unwrap();
    let push = host::launcher(&place).args(["image", "push", bare]);
    push.run().exits(0).says(&expected);
}

#[test]
fn a_registry_that_wants_a_login_gets_it() {
    let _ = tool!("skopeo");
    let _ = tool!("docker-registry");
    let (layout, id) = compressed();
    layout.fetch_keeping("it");
    let registry = Registry::with_users(&layout, USERS).unwrap();
    let name = registry.reference("app:1");
    let ran = layout.push(&[&id, &name]).run().exits(1);
    ran.says("")
        .naming("ID", &id)
        .naming("REGISTRY", &registry.host)
        .complains_as("a registry that wants a login to push");
    let login = layout.launch(&["login", "-u", "me", "--password-stdin", &registry.host]);
    let login = login.env("REGISTRY_AUTH_FILE", layout.scratch.join("auth.json"));
    login.input("s3cret").run().exits(0);
    let expected = format!("{}\n", manifest_of(&layout));
    layout.push(&[&id, &name]).run().exits(0).says(&expected);
}

/// A request that a server got: its first line, who asked, and its content.
type Asked = (String, Option<String>, Vec<u8>);

/// Answers requests, and keeps them.
fn serve(
    answer: impl Fn(&Asked, usize) -> String + Send + 'static,
) -> (String, Arc<Mutex<Vec<Asked>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let all = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&all);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let Some(asked) = request(&mut stream) else {
                continue;
            };
            let mut log = log.lock().unwrap();
            let before = log.iter().filter(|one: &&Asked| one.0 == asked.0).count();
            let head = answer(&asked, before);
            log.push(asked);
            let _ = write!(stream, "HTTP/1.1 {head}\r\nContent-Length: 0\r\n\r\n");
        }
    });
    (host, all)
}

/// Reads a request; `None` if it is of a client that tries to speak TLS.
fn request(stream: &mut TcpStream) -> Option<Asked> {
    let mut input = BufReader::new(stream);
    let (mut first, mut told, mut length) = (String::new(), None, 0);
    loop {
        let mut line = String::new();
        input.read_line(&mut line).ok()?;
        let line = line.trim_end();
        match line.split_once(": ") {
            _ if line.is_empty() => break,
            Some(("Authorization", value)) => told = Some(value.to_owned()),
            Some(("Content-Length", value)) => length = value.parse().unwrap(),
            _ if first.is_empty() => first = line.to_owned(),
            _ => {}
        }
    }
    let mut content = vec![0; length];
    input.read_exact(&mut content).ok()?;
    (!first.is_empty()).then_some((first, told, content))
}

#[test]
fn another_host_is_not_told_who_we_are_and_what_fails_for_a_while_is_tried_again() {
    let (layout, id) = compressed();
    layout.fetch_keeping("it");
    // Where blobs go: it fails the first time.
    let (other, blobs) = serve(|(first, ..), before| match before {
        0 if first.contains("&digest=") => "503 Later\r\nRetry-After: 0".to_owned(),
        _ => "201 Created".to_owned(),
    });
    let (host, asked) = serve(move |(first, told, _), _| {
        let wanted = "Basic bWU6czNjcmV0";
        match &**first {
            _ if told.as_deref() != Some(wanted) => {
                "401 Unauthorized\r\nWWW-Authenticate: Basic realm=it".to_owned()
            }
            first if first.starts_with("HEAD ") => "404 Not Found".to_owned(),
            first if first.starts_with("POST ") => {
                format!("202 Accepted\r\nLocation: http://{other}/up?x=1")
            }
            _ => "201 Created".to_owned(),
        }
    });
    let auth = format!(r#"{{"auths":{{"{host}":{{"auth":"bWU6czNjcmV0"}}}}}}"#);
    layout.scratch.write("auth.json", auth);
    let push = layout.push(&[&id, &format!("docker://{host}/app:1")]);
    push.run()
        .exits(0)
        .says(&format!("{}\n", manifest_of(&layout)));
    let blobs = blobs.lock().unwrap();
    assert!(blobs.iter().all(|(_, told, _)| told.is_none()), "{blobs:?}");
    let mut sent: Vec<String> = blobs
        .iter()
        .map(|(_, _, content)| digest(content))
        .collect();
    for (first, _, content) in blobs.iter() {
        let expected = format!("PUT /up?x=1&digest={} HTTP/1.1", digest(content));
        assert_eq!(*first, expected);
    }
    sent.sort();
    let count = sent.len();
    sent.dedup();
    // Each came twice. Whoever does not know what it has gets a layer again.
    assert_eq!((count, sent.len()), (7, 3));
    let asked = asked.lock().unwrap();
    let (first, _, manifest) = asked.last().unwrap();
    assert_eq!(first, "PUT /v2/app/manifests/1 HTTP/1.1");
    assert_eq!(digest(manifest), manifest_of(&layout));
}
