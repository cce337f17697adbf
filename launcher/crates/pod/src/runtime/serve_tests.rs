//! Malformed requests, and malicious clients.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::net::SocketAddr;
use std::thread;

use super::*;
use crate::runtime::metadata::Metadata;
use appc::types::Uuid;
use image::digest::KEY;

const UUID: &str = "6733c088-a507-4694-aabf-edbe4fc5266f";

fn metadata() -> Metadata {
    Metadata {
        token: "t".to_owned(),
        uuid: Uuid::parse(UUID).unwrap(),
        manifest: vec![b' '; 1 << 20],
        annotations: b"null".to_vec(),
        apps: Vec::new(),
        key: [0; KEY],
    }
}

fn answer(request: Request<'_>) -> Response {
    metadata().answer(request)
}

/// A server that ends soon after the last request.
fn server() -> (SocketAddr, thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let served = thread::spawn(move || {
        serve_for(&listener, &answer, Duration::from_millis(300), &mut || {}).unwrap();
    });
    (address, served)
}

fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

const WHO: &str = "GET /t/acMetadata/v1/pod/uuid HTTP/1.1\r\nHost: x\r\n\r\n";

#[test]
fn malformed_requests_are_refused_and_do_no_harm() {
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(HEAD));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(HEADERS + 1));
    for (request, status) in [
        ("\0\0\0\r\n\r\n", "400"),
        (long.as_str(), "431"),
        (many.as_str(), "400"),
        ("POST / HTTP/1.1\r\nContent-Length: 65537\r\n\r\n", "413"),
        ("POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "400"),
        (
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "411",
        ),
        ("GET /x HTTP/1.1\r\n\r\n", "401"),
    ] {
        let answered = understand(request.as_bytes(), &answer).unwrap();
        let answered = String::from_utf8(answered).unwrap();
        assert!(
            answered.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answered}"
        );
    }
}

#[test]
fn an_incomplete_request_is_waited_for() {
    for request in [
        "",
        "GET /t/acMetadata",
        "POST /t/acMetadata/v1/pod/hmac/sign HTTP/1.1\r\nContent-Length: 9\r\n\r\ncontent=",
    ] {
        assert!(
            understand(request.as_bytes(), &answer).is_none(),
            "{request}"
        );
    }
}

#[test]
fn idle_connections_keep_nobody_waiting() {
    let (address, served) = server();
    let silent: Vec<TcpStream> = (0..3 * CONNECTIONS)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    assert!(ask(address, WHO).ends_with(UUID));
    drop(silent);
    served.join().unwrap();
}

#[test]
fn long_responses_are_complete_and_head_has_no_body() {
    let (address, served) = server();
    let path = "/t/acMetadata/v1/pod/manifest HTTP/1.0\r\n\r\n";
    let answer = ask(address, &format!("GET {path}"));
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(
        head.contains("\r\nContent-Type: application/json\r\n"),
        "{head}"
    );
    assert_eq!(body.len(), 1 << 20);
    let answer = ask(address, &format!("HEAD {path}"));
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    // There are no more requests, so the server ends.
    served.join().unwrap();
}
