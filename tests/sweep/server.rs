//! A server of images on this host, as little of HTTP as that takes.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::OnceLock;
use std::thread;

use super::images;
use crate::host;

/// What it has, by path.
type Files = Vec<(&'static str, Vec<u8>)>;

/// Where it is: one for all tests, as long as they go on.
pub(super) fn address() -> &'static str {
    static ADDRESS: OnceLock<String> = OnceLock::new();
    ADDRESS.get_or_init(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        thread::spawn(move || serve(&listener, &files()));
        address
    })
}

/// Tells whether it has an image that somebody has signed.
pub(super) fn has_signed() -> bool {
    files().len() > 1
}

/// An image that nobody signed, and, where there is one, another that somebody did.
fn files() -> Files {
    let mut files = vec![("/image.aci", images::library())];
    let signature = host::images().join("site/base.asc");
    if let (Some(image), Ok(signature)) = (host::find_image("nosecone-base"), fs::read(signature)) {
        files.push(("/signed.aci", fs::read(image).unwrap()));
        files.push(("/signed.aci.asc", signature));
    }
    files
}

fn serve(listener: &TcpListener, files: &Files) {
    thread::scope(|scope| {
        for stream in listener.incoming().flatten() {
            // Who asks may be killed at any time.
            scope.spawn(|| answer(stream, files));
        }
    });
}

fn answer(mut stream: TcpStream, files: &Files) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let path = request.split(' ').nth(1).unwrap_or_default();
    let (status, body) = match files.iter().find(|(known, _)| *known == path) {
        Some((_, body)) => ("200 OK", body.as_slice()),
        None => ("404 Not Found", &[][..]),
    };
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)
}
