//! A server of images on this host, as little of HTTP as that takes.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::thread;

use sha2::{Digest as _, Sha512};

use super::images;
use crate::host;

/// What it has, by path.
type Files = Vec<(String, Vec<u8>)>;

/// The repository of an image with a large layer.
const WHOLE: &str = "app";

/// The same, but that half of the large layer is all that arrives.
const CUT: &str = "cut";

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
    signature().is_some()
}

/// An image that somebody has signed, and the signature.
fn signature() -> Option<(PathBuf, Vec<u8>)> {
    let image = host::find_image("nosecone-base")?;
    let signature = fs::read(host::images().join("site/base.asc")).ok()?;
    Some((image, signature))
}

/// An image that nobody signed, one of a registry, and, where there is one, another that
/// somebody signed.
fn files() -> Files {
    let mut files = vec![("/image.aci".to_owned(), images::library())];
    let mut blobs = images::layered(true);
    let (_, manifest) = blobs.pop().unwrap();
    for name in [WHOLE, CUT] {
        files.push((format!("/v2/{name}/manifests/1"), manifest.clone()));
        let blobs = blobs.iter().cloned();
        files.extend(blobs.map(|(hash, blob)| (format!("/v2/{name}/blobs/sha256:{hash}"), blob)));
    }
    if let Some((image, signature)) = signature() {
        files.push(("/signed.aci".to_owned(), fs::read(image).unwrap()));
        files.push(("/signed.aci.asc".to_owned(), signature));
    }
    files
}

/// Makes a directory in which the beginning of the image is kept that nobody
/// signed, as after a download that was interrupted.
pub(super) fn begin(dir: &Path) {
    let url = format!("http://{}/image.aci", address());
    let image = images::library();
    let (length, begun) = (image.len(), &image[..image.len() / 2]);
    let hash: String = Sha512::digest(&url)[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let head = format!("{{\"url\":\"{url}\",\"etag\":\"\\\"1\\\"\",\"length\":{length}}}\n");
    let mut kept = head.into_bytes();
    for block in begun.chunks_exact(4 << 10) {
        kept.extend(crc32fast::hash(block).to_le_bytes());
        kept.extend_from_slice(block);
    }
    fs::create_dir_all(dir.join("downloads")).unwrap();
    fs::write(dir.join("downloads").join(hash), kept).unwrap();
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
    let mut from = None;
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        let range = line.strip_prefix("Range: bytes=");
        from = from.or(range.and_then(|range| range.trim_end_matches('-').parse().ok()));
    }
    let path = request.split(' ').nth(1).unwrap_or_default();
    let found = files.iter().find(|(known, _)| *known == path);
    // Nobody gets the end of what is large there, and nobody twice the beginning.
    let large = found.filter(|(_, body)| body.len() > 1 << 20);
    let is_cut = path.starts_with(&format!("/v2/{CUT}/")) && large.is_some();
    if is_cut && from.is_some() {
        return Ok(());
    }
    let (status, body) = match (found, from) {
        (Some((_, body)), None) => ("200 OK".to_owned(), body.as_slice()),
        (Some((_, body)), Some(from)) => {
            let (last, length) = (body.len() - 1, body.len());
            let range = format!("Content-Range: bytes {from}-{last}/{length}");
            (format!("206 Partial Content\r\n{range}"), &body[from..])
        }
        (None, _) => ("404 Not Found".to_owned(), &[][..]),
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nETag: \"1\"\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    let sent = if is_cut { length / 2 } else { length };
    stream.write_all(&body[..sent])
}
