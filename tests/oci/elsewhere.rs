//! Layers that are not in the registry of their image: at URLs, or in its manifest.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use super::certificates::Authority;
use super::registry::{Scripted, served};
use super::{Blob, Layout, base};
use crate::aci::Aci;
use crate::host::{self, Running, call};

/// An image whose upper layer has more in its descriptor, and that layer's digest.
fn layout(more: impl FnOnce(&Blob) -> String) -> (Layout, Blob) {
    let mut layout = Layout::new();
    let mut layer = layout.layer(Aci::empty().file("name", 0o644, "one"));
    layer.more = more(&layer);
    let layers = [layout.layer(base()), layer.clone()];
    let run = r#"{"Cmd":["/bin/probe","--read-file","/name"]}"#;
    layout.image("one", run, &layers);
    (layout, layer)
}

/// A registry that has all of it but one blob.
fn without(layout: &Layout, layer: &Blob) -> Scripted {
    let answers = served(layout).into_iter();
    let digest = layer.digest.clone();
    Scripted::new(|_| {
        answers
            .filter(|(path, _)| !path.ends_with(&digest))
            .collect()
    })
}

#[test]
fn a_url_without_encryption_is_not_asked_and_no_other_bytes_are_taken() {
    let open = Scripted::new(|_| [].into());
    let url = format!("http://{}/layer", open.host);
    let (layout, layer) = layout(|_| format!(r#","urls":["{url}"]"#));
    let registry = without(&layout, &layer);
    let name = registry.reference("app:1");
    let told = layout.launch(&["fetch", &name]).run().exits(1).told();
    assert!(told.contains("would not be encrypted"), "{told}");
    assert!(open.seen().is_empty(), "{:?}", open.seen());
    assert_eq!(host::names(&layout.dir().join("images")), [""; 0]);
}

#[test]
fn a_url_of_a_layer_that_the_registry_has_is_not_asked() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/layer", nobody.local_addr().unwrap());
    let (layout, _) = layout(|_| format!(r#","urls":["{url}"]"#));
    let registry = Scripted::new(|_| served(&layout));
    let name = registry.reference("app:1");
    layout.launch(&["fetch", &name]).run().exits(0);
    nobody.set_nonblocking(true).unwrap();
    assert!(nobody.accept().is_err());
}

/// Serves a directory by HTTPS, and says who asks.
const SERVER: &str = r#"
import http.server, os, ssl, sys
class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        print("asked", self.path, self.headers.get("Authorization"), flush=True)
        super().do_GET()
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2], sys.argv[3])
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"#;

fn serve(directory: &Path, host: &str, authority: &Authority) -> Running {
    let port = host.rsplit(':').next().unwrap();
    let python = host::find_tool("python3").unwrap();
    let server = call(&python).args(["-c", SERVER, port]);
    let files = ["server.crt", "server.key"].map(|name| authority.file(name));
    let mut server = server.args(files).dir(directory).start();
    server.until("it listens", |_| TcpStream::connect(host).is_ok());
    server
}

#[test]
fn a_layer_that_no_registry_has_is_fetched_from_its_url_by_nobody_in_particular() {
    require_root!();
    let _ = (tool!("python3"), tool!("openssl"));
    let authority = Authority::new();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let host = format!("127.0.0.1:{}", port.unwrap().port());
    let places = |layer: &Blob| {
        let name = layer.digest.replace(':', "-");
        format!(r#","urls":["https://{host}/missing","https://{host}/{name}"]"#)
    };
    let (layout, layer) = layout(places);
    let registry = without(&layout, &layer);
    let files = layout.scratch.join("files");
    fs::create_dir(&files).unwrap();
    let file = files.join(layer.digest.replace(':', "-"));
    let bytes = fs::read(layout.blob_path(&layer.digest)).unwrap();
    let server = serve(&files, &host, &authority);
    // There is a login for the server, in all places.
    let login = format!(r#"{{"auths": {{"{host}": {{"auth": "bWU6czNjcmV0"}}}}}}"#);
    let logins = layout.scratch.write("auth.json", login);
    let own = layout.scratch.join("home/.config/nosecone/auth.d");
    fs::create_dir_all(&own).unwrap();
    let login = format!(
        r#"{{"kind":"auth","domains":["{host}"],"type":"basic","credentials":{{"user":"me","password":"s3cret"}}}}"#
    );
    fs::write(own.join("a.json"), login).unwrap();
    let ca = format!("--ca-file={}", authority.file("ca.crt"));
    let name = registry.reference("app:1");
    let launch = |verb: &str| {
        let call = layout.launch(&[verb, &ca, &name]);
        let call = call.env("REGISTRY_AUTH_FILE", &logins);
        call.env("HOME", layout.scratch.join("home")).run()
    };
    // Other bytes are not taken.
    fs::write(&file, vec![b'x'; bytes.len()]).unwrap();
    launch("fetch").exits(1);
    assert_eq!(host::names(&layout.dir().join("images")), [""; 0]);
    fs::write(&file, &bytes).unwrap();
    let told = launch("fetch").exits(0).told();
    for line in [
        format!("Fetch failed: https://{host}/missing: "),
        format!("-> https://{host}/{}", layer.digest.replace(':', "-")),
    ] {
        assert!(told.contains(&line), "{told}");
    }
    let said = server.said();
    let asked: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("asked "))
        .collect();
    assert_eq!(asked.len(), 4, "{said}");
    assert!(asked.iter().all(|line| line.ends_with(" None")), "{said}");
    let run = layout.launch(&["run", "--net=none", &name]).run();
    run.exits(0).says("one");
}

/// Encodes bytes (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for part in bytes.chunks(3) {
        let group = [0, 1, 2].map(|at| u32::from(part.get(at).copied().unwrap_or(0)));
        let group = group[0] << 16 | group[1] << 8 | group[2];
        for digit in 0..4 {
            let value = usize::try_from(group >> (18 - 6 * digit) & 63).unwrap();
            text.push(match digit <= part.len() {
                true => char::from(DIGITS[value]),
                false => '=',
            });
        }
    }
    text
}

/// What is in the manifest itself is used, if it is what was announced.
#[test]
fn a_layer_in_the_manifest_is_checked_and_not_asked_for() {
    for is_right in [false, true] {
        let tar = Aci::empty().file("name", 0o644, "one").bytes();
        let mut data = tar.clone();
        if !is_right {
            data[600] ^= 1;
        }
        let (layout, layer) = layout(|_| format!(r#","data":"{}""#, base64(&data)));
        let registry = without(&layout, &layer);
        let name = registry.reference("app:1");
        let ran = layout.launch(&["fetch", &name]).run();
        match is_right {
            true => drop(ran.exits(0)),
            false => {
                let told = ran.exits(1).told();
                assert!(told.contains("its digest is `"), "{told}");
            }
        }
        let asked = registry.seen();
        assert!(
            !asked.iter().any(|path| path.contains(&layer.digest)),
            "{asked:?}"
        );
    }
}

#[test]
fn a_layer_without_anything_in_it_is_fine() {
    require_root!();
    let mut layout = Layout::new();
    let gzip = [
        0x1f, 0x8b, 8, 0, 0, 9, 0x6e, 0x88, 0, 0xff, 0x62, 0x18, 5, 0xa3, 0x60, 0x14, 0x8c, 0x58,
        0, 8, 0, 0, 0xff, 0xff, 0x2e, 0xaf, 0xb5, 0xef, 0, 4, 0, 0,
    ];
    let layers = [
        layout.layer(base()),
        // What docker writes for an instruction that changes no file.
        layout.packed(&[0; 1024], &gzip),
        layout.blob(super::LAYER, &[0; 1024]),
        layout.blob(super::LAYER, &[]),
    ];
    let run = r#"{"Cmd":["/bin/probe","--stdout","one"]}"#;
    layout.image("one", run, &layers);
    layout.run("one", &[]).run().exits(0).says("one\n");
    let registry = Scripted::new(|_| served(&layout));
    let other = Layout::new();
    let name = registry.reference("app:1");
    let run = other.launch(&["run", "--net=none", &name]).run();
    run.exits(0).says("one\n");
}
