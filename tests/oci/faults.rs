//! Registries that fail for a while or for good, and those that lie.

use std::io::{self, Write as _};
use std::net::TcpStream;

use super::Layout;
use super::pull::{noise, of_one};
use super::registry::{Scripted, layout};
use super::served::{Asked, Served, Shared};
use crate::host;

/// A registry whose first answers to a kind of path are these.
fn first(layout: &Layout, kind: &'static str, answers: &'static [&'static str]) -> Served {
    Served::new(layout, move |shared, asked, stream| {
        let number = count(shared, kind);
        match answers.get(number - 1) {
            Some(answer) if asked.path.contains(kind) => {
                write!(stream, "HTTP/1.1 {answer}\r\n\r\n")
            }
            _ => shared.send(stream, asked, usize::MAX),
        }
    })
}

/// How often such paths were asked for.
fn count(shared: &Shared, kind: &str) -> usize {
    let log = shared.log.lock().unwrap();
    let asked = |line: &&String| line.starts_with("asked ") && line.contains(kind);
    log.iter().filter(asked).count().max(1)
}

#[test]
fn a_registry_that_fails_for_a_while_is_asked_again() {
    for (kind, answers, told) in [
        ("manifests", &["503 Later\r\nContent-Length: 0"][..], ""),
        (
            "manifests",
            &["429 Slow\r\nRetry-After: 1\r\nContent-Length: 0"],
            "next attempt in 1 second",
        ),
        (
            "blobs",
            &["429 Slow\r\nRetry-After: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 0"],
            "",
        ),
        // One that breaks off, in the header and in the body.
        (
            "manifests",
            &["200 OK\r\nContent-Length: 9000\r\n\r\n{"],
            "",
        ),
        ("blobs", &["200 OK\r\nContent-Length: "], ""),
    ] {
        let layout = layout(&["one"]);
        let server = first(&layout, kind, answers);
        let ran = server.fetch(&layout).run();
        if kind == "manifests" && answers[0].starts_with("200") {
            // It cannot be the same document of another length.
            ran.exits(1);
            continue;
        }
        assert!(ran.exits(0).told().contains(told), "{answers:?}");
    }
}

#[test]
fn a_registry_that_wants_to_be_left_alone_for_long_is() {
    let layout = layout(&["one"]);
    let server = first(
        &layout,
        "manifests",
        &["429 Slow\r\nRetry-After: 7200\r\nContent-Length: 0"],
    );
    let told = server.fetch(&layout).run().exits(1).told();
    assert!(told.contains("the server asks to be left alone"), "{told}");
    assert_eq!(count(&server.shared, "manifests"), 1);
}

/// Sends bytes until nobody takes them.
fn endless(stream: &mut TcpStream, head: &str) -> io::Result<()> {
    write!(stream, "HTTP/1.1 200 OK\r\n{head}\r\n")?;
    loop {
        stream.write_all(&[b' '; 4096])?;
    }
}

#[test]
fn a_body_without_end_is_left() {
    for kind in ["manifests", "blobs"] {
        for length in ["", "Content-Length: 99999999999\r\n"] {
            let layout = layout(&["one"]);
            let server = Served::new(&layout, move |shared, asked, stream| {
                match asked.path.contains(kind) {
                    true => endless(stream, length),
                    false => shared.send(stream, asked, usize::MAX),
                }
            });
            let told = server.fetch(&layout).run().exits(1).told();
            assert!(told.contains("larger than the maximum of"), "{told}");
            assert_eq!(host::names(&layout.dir().join("images")), [""; 0]);
        }
    }
}

/// A server for presigned URLs: it refuses whoever says who they are.
fn storage(layout: &Layout) -> Served {
    Served::new(layout, |shared, asked, stream| match &asked.told {
        Some(_) => stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
        None => shared.send(stream, asked, usize::MAX),
    })
}

#[test]
fn who_a_registry_redirects_to_is_not_told_who_asks() {
    let layout = layout(&["one"]);
    let storage = storage(&layout);
    let place = storage.host.clone();
    let registry = Served::new(&layout, move |shared, asked, stream| {
        match (asked.told.as_deref(), asked.path.contains("blobs")) {
            (Some("Basic bWU6czNjcmV0"), true) => write!(
                stream,
                "HTTP/1.1 307 There\r\nLocation: http://{place}{}\r\nContent-Length: 0\r\n\r\n",
                asked.path
            ),
            (Some("Basic bWU6czNjcmV0"), false) => shared.send(stream, asked, usize::MAX),
            _ => stream.write_all(
                b"HTTP/1.1 401 Who\r\nWWW-Authenticate: Basic realm=\"it\"\r\n\
                  Content-Length: 0\r\n\r\n",
            ),
        }
    });
    let login = format!(
        r#"{{"auths": {{"{}": {{"auth": "bWU6czNjcmV0"}}}}}}"#,
        registry.host
    );
    let file = layout.scratch.write("auth.json", login);
    let fetch = registry.fetch(&layout).env("REGISTRY_AUTH_FILE", file);
    fetch.run().exits(0);
    assert!(count(&storage.shared, "blobs") >= 3);
}

#[test]
fn a_rest_that_is_not_there_is_no_layer() {
    let (layout, layer) = of_one(noise(4 << 20));
    let path = layer.clone();
    let server = Served::new(
        &layout,
        move |shared: &Shared, asked: &Asked, stream: &mut TcpStream| match (
            asked.path == path,
            asked.from,
        ) {
            (true, Some(_)) => {
                stream.write_all(b"HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\n\r\n")
            }
            (true, None) => shared.send(stream, asked, 1 << 20),
            _ => shared.send(stream, asked, usize::MAX),
        },
    );
    server.fetch(&layout).run().exits(1);
    assert_eq!(host::names(&layout.dir().join("images")), [""; 0]);
    assert!(
        server.wanted(&layer).len() <= 2,
        "{:?}",
        server.wanted(&layer)
    );
}

#[test]
fn the_first_request_is_for_the_manifest_in_all_its_types() {
    let layout = layout(&["one"]);
    let registry = Scripted::new(|_| super::registry::served(&layout));
    let name = registry.reference("app:1");
    layout.launch(&["fetch", &name]).run().exits(0);
    let seen = registry.seen();
    assert!(seen[0].starts_with("/v2/app/manifests/1 "), "{seen:?}");
    let ping = seen.iter().filter(|line| line.starts_with("/v2/ "));
    assert_eq!(ping.count(), 0, "{seen:?}");
    let wanted = registry.wanted();
    assert!(
        wanted.iter().all(|(method, _)| method == "GET"),
        "{wanted:?}"
    );
    for media_type in [
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    ] {
        assert!(wanted[0].1.contains(media_type), "{wanted:?}");
    }
}
