//! A service as people have it, from its package to its clients.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use rustix::process::Signal;

use super::site::{HOST, Namespace};
use crate::host;

/// Fetches the page of a server; what there is of the answer.
fn fetch(from: &Namespace, to: &str) -> String {
    let to = to.to_owned();
    let fetched = from.within(move || {
        let mut answer = String::new();
        if let Ok(mut stream) = TcpStream::connect(&to) {
            stream
                .set_read_timeout(Some(Duration::from_secs(30)))
                .unwrap();
            let _ = write!(stream, "GET / HTTP/1.0\r\n\r\n");
            let _ = stream.read_to_string(&mut answer);
        }
        answer
    });
    fetched.join().unwrap()
}

#[test]
fn a_web_server_is_reached_on_a_port_of_the_host_by_all_ways() {
    let site = site!();
    let image = image!("nginx");
    let before = site.traces();
    let page = host::project().join("images/nginx/rootfs/www/index.html");
    let page = std::fs::read_to_string(page).unwrap();
    let mut pod = site
        .launcher()
        .args(["run", "--net=nat", "--port=http:8080"])
        .arg(image)
        .start();
    let loopback = "127.0.0.1:8080";
    pod.until("serves", |_| !fetch(&site.host, loopback).is_empty());
    let outside = format!("{}:8080", HOST[0]);
    let sixth = format!("[{}]:8080", HOST[1]);
    for (from, to) in [
        (&site.host, loopback),
        (&site.host, "[::1]:8080"),
        (&site.host, &outside),
        (&site.remote, &outside),
        (&site.remote, &sixth),
    ] {
        let answer = fetch(from, to);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{to}: {answer}");
        assert!(
            answer.ends_with(&format!("\r\n\r\n{page}")),
            "{to}: {answer}"
        );
    }
    pod.signal(Signal::TERM);
    pod.end().exits(0);
    assert_eq!(site.traces(), before);
}
