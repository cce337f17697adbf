//! How layers arrive from a registry: side by side, in parts, late or never.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tar::EntryType;

use super::served::{Asked, SOON, Served, hang};
use super::{Blob, Layout, base};
use crate::aci::{Aci, manifest};
use crate::claims;
use crate::host;
use crate::seat::Seat;

/// Where a registry has a blob.
pub(super) fn path(blob: &Blob) -> String {
    format!("/v2/app/blobs/{}", blob.digest)
}

/// Layers that are fetched side by side take two processors.
macro_rules! require_processors {
    () => {
        if thread::available_parallelism().unwrap().get() < 2 {
            skip!("needs two processors");
        }
    };
}

#[test]
fn layers_are_fetched_side_by_side() {
    require_processors!();
    let mut layout = Layout::new();
    let layers = ["one", "two"].map(|name| layout.layer(Aci::empty().file(name, 0o644, name)));
    layout.image("1", "{}", &layers);
    let [one, two] = layers.each_ref().map(path);
    let server = Served::new(&layout, move |shared, asked, stream| {
        if asked.path == one {
            shared.wait(&format!("asked {two}"));
        }
        shared.send(stream, asked, usize::MAX)
    });
    server.fetch(&layout).run().exits(0);
    assert_eq!(host::names(&layout.dir().join("layers")).len(), 2);
}

#[test]
fn a_layer_that_needs_those_below_waits_for_them() {
    require_root!();
    require_processors!();
    let mut layout = Layout::new();
    let below = Aci::empty()
        .dir("etc")
        .file("etc/gone", 0o644, "gone")
        .entry(EntryType::Directory, "private", 0o700, "", b"")
        .file("private/file", 0o600, "of the lower layer");
    let above = Aci::empty()
        .file("etc/.wh..wh..opq", 0o644, "")
        .file("private/other", 0o644, "")
        .entry(EntryType::Link, "private/link", 0o644, "private/file", b"");
    let layers = [
        layout.layer(base()),
        layout.layer(below),
        layout.layer(above),
    ];
    layout.image("1", "{}", &layers);
    let [_, below, above] = layers.each_ref().map(path);
    let server = Served::new(&layout, move |shared, asked, stream| {
        if asked.path == below {
            shared.wait(&format!("sent {above}"));
        }
        shared.send(stream, asked, usize::MAX)
    });
    server.fetch(&layout).run().exits(0);
    layout.launch(&["image", "verify"]).run().exits(0);
    // The same as where each is there before the next.
    let one_by_one = Layout::new();
    let alone = one_by_one.launch(&["fetch", &layout.reference("1")]).run();
    alone.exits(0);
    let layers = |layout: &Layout| host::names(&layout.dir().join("layers"));
    assert_eq!(layers(&layout), layers(&one_by_one));
}

#[test]
fn when_a_layer_is_refused_nobody_waits_for_the_others() {
    require_processors!();
    let mut layout = Layout::new();
    let good = layout.layer(Aci::empty().file("a", 0o644, vec![1; 1 << 20]));
    let bad = layout.layer(Aci::empty().file("b", 0o644, "content"));
    layout.image("1", "{}", &[good.clone(), bad.clone()]);
    let spoiled = layout.blob_path(&bad.digest);
    let mut bytes = std::fs::read(&spoiled).unwrap();
    bytes[700] ^= 1;
    std::fs::write(&spoiled, bytes).unwrap();
    let (good, refused) = (path(&good), path(&bad));
    let server = Served::new(&layout, move |shared, asked, stream| {
        if asked.path == good {
            shared.send(stream, asked, 1 << 16)?;
            return hang(stream);
        }
        if asked.path == refused {
            shared.wait(&format!("sent {good}"));
        }
        shared.send(stream, asked, usize::MAX)
    });
    let ran = server.fetch(&layout).run().exits(1);
    let told = ran.told();
    let said = format!("layer 2 (`{}`): its digest is", bad.digest);
    assert!(told.contains(&said), "{told}");
    for name in ["images", "layers", "tmp"] {
        assert_eq!(host::names(&layout.dir().join(name)), [""; 0], "{name}");
    }
}

#[test]
fn one_token_is_got_for_all_layers_when_the_first_has_ended() {
    let mut layout = Layout::new();
    let layers =
        ["one", "two", "three"].map(|name| layout.layer(Aci::empty().file(name, 0o644, name)));
    layout.image("1", "{}", &layers);
    let layers = layers.each_ref().map(path);
    let server = Served::new(&layout, move |shared, asked, stream| {
        if asked.path.starts_with("/token") {
            let log = shared.log.lock().unwrap();
            let got = log.iter().filter(|line| line.starts_with("asked /token"));
            let token = format!(r#"{{"token": "{}"}}"#, got.count());
            drop(log);
            let length = token.len();
            return write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{token}"
            );
        }
        let wanted = match layers.contains(&asked.path) {
            true => "Bearer 2",
            false => "Bearer 1",
        };
        if asked.told.as_deref() == Some(wanted) || asked.told.as_deref() == Some("Bearer 2") {
            return shared.send(stream, asked, usize::MAX);
        }
        let host = stream.local_addr()?;
        write!(
            stream,
            "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer \
             realm=\"http://{host}/token\"\r\nContent-Length: 0\r\n\r\n"
        )
    });
    server.fetch(&layout).run().exits(0);
    let log = server.shared.log.lock().unwrap().join("\n");
    assert_eq!(log.matches("asked /token").count(), 2, "{log}");
}

/// A layer with a file that no compression makes smaller.
pub(super) fn noise(length: usize) -> Aci {
    let mut state = 1_u32;
    let noise = (0..length / 4).flat_map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_le_bytes()
    });
    Aci::empty().file("noise", 0o644, noise.collect::<Vec<u8>>())
}

/// More than what is kept of a layer that is not complete.
const LARGE: usize = 40 << 20;

/// An image of one layer, and where a registry has that.
pub(super) fn of_one(layer: Aci) -> (Layout, String) {
    let mut layout = Layout::new();
    let layer = layout.layer(layer);
    layout.image("1", "{}", std::slice::from_ref(&layer));
    (layout, path(&layer))
}

/// Fetches an image until this much of a layer was sent, and kills that.
fn killed(server: &Served, layout: &Layout, layer: &str, kept: u64) {
    let mut running = server.fetch(layout).start();
    running.until("it was sent", |_| {
        let log = server.shared.log.lock().unwrap();
        log.contains(&format!("sent {layer}"))
    });
    running.until("it is kept", |_| length_kept(layout) >= kept);
    running.signal(rustix::process::Signal::KILL);
    running.end();
}

/// The size of what is kept of layers.
fn length_kept(layout: &Layout) -> u64 {
    let directory = layout.dir().join("downloads");
    let files = host::names(&directory).into_iter();
    let lengths = files.map(|name| directory.join(name).metadata().map_or(0, |it| it.len()));
    lengths.sum()
}

/// A server that sends so much of a layer when it is first asked for it, and all after
/// that; a byte of what it sends first may be `spoiled`.
fn first(layout: &Layout, layer: &str, most: usize, spoiled: Option<u8>) -> Served {
    let (layer, again) = (layer.to_owned(), AtomicBool::new(false));
    Served::new(layout, move |shared, asked, stream| {
        if asked.path != layer || again.swap(true, Ordering::Relaxed) {
            return shared.send(stream, asked, usize::MAX);
        }
        let (status, body) = &shared.answers[&layer];
        let mut body = body.clone();
        if let Some(byte) = spoiled {
            body[1 << 20] = byte;
        }
        shared.send_body(stream, asked, (status, &body), most)?;
        hang(stream)
    })
}

#[test]
fn a_small_layer_that_was_killed_begins_again() {
    let (layout, layer) = of_one(noise(4 << 20));
    let server = first(&layout, &layer, 3 << 20, None);
    killed(&server, &layout, &layer, 0);
    server.fetch(&layout).run().exits(0);
    assert_eq!(server.wanted(&layer), [0, 0]);
    assert!(!layout.dir().join("downloads").exists());
}

#[test]
fn a_large_layer_that_was_killed_goes_on_where_it_was() {
    let (layout, layer) = of_one(noise(LARGE));
    let server = first(&layout, &layer, 8 << 20, None);
    killed(&server, &layout, &layer, 7 << 20);
    let ran = server.fetch(&layout).run().exits(0);
    let [0, from] = server.wanted(&layer)[..] else {
        panic!("{:?}", server.wanted(&layer));
    };
    assert!(((6 << 20)..=(8 << 20)).contains(&from), "{from}");
    let name = layer.rsplit('/').next().unwrap();
    ran.naming("LAYER", name)
        .naming("FROM", claims::size(from))
        .complains_with("a layer that goes on");
    assert_eq!(length_kept(&layout), 0);
    layout.launch(&["image", "verify"]).run().exits(0);
}

#[test]
fn what_was_kept_of_a_layer_and_is_not_sound_is_fetched_again() {
    let (layout, layer) = of_one(noise(LARGE));
    let server = first(&layout, &layer, 8 << 20, Some(1));
    killed(&server, &layout, &layer, 7 << 20);
    let ran = server.fetch(&layout).run().exits(1);
    let hint = "hint: the part that was kept is removed; the next call fetches all of it\n";
    assert!(ran.stderr.ends_with(hint), "{}", ran.stderr);
    assert_eq!(length_kept(&layout), 0);
    server.fetch(&layout).run().exits(0);
    assert_eq!(server.wanted(&layer).last(), Some(&0));
}

#[test]
fn a_large_layer_is_kept_when_its_server_breaks_or_another_layer_is_refused() {
    require_processors!();
    let mut layout = Layout::new();
    let good = layout.layer(noise(LARGE));
    let bad = layout.layer(Aci::empty().file("a", 0o644, "content"));
    layout.image("1", "{}", &[good.clone(), bad.clone()]);
    let (good, refused) = (path(&good), path(&bad));
    let phase = Arc::new(AtomicUsize::new(0));
    let now = Arc::clone(&phase);
    let server = Served::new(&layout, move |shared, asked, stream| {
        match (now.load(Ordering::Relaxed), &asked.path) {
            // Some of it, and nobody from then on.
            (0, path) if *path == good => {
                now.store(1, Ordering::Relaxed);
                shared.send(stream, asked, 8 << 20)
            }
            (1, path) if *path == good => Ok(()),
            (0 | 1, path) if *path == refused => hang(stream),
            (2, path) if *path == good => {
                shared.send(stream, asked, 8 << 20)?;
                hang(stream)
            }
            (2, path) if *path == refused => {
                shared.wait(&format!("sent {good}"));
                shared.send_body(stream, asked, ("200 OK", b"something"), usize::MAX)
            }
            _ => shared.send(stream, asked, usize::MAX),
        }
    });
    let ran = server.fetch(&layout).run().exits(1);
    let hint = "the part that arrived is kept for a day, and the next call resumes from there\n";
    assert!(ran.stderr.ends_with(hint), "{}", ran.stderr);
    let kept = length_kept(&layout);
    assert!(kept > 7 << 20, "{kept}");
    phase.store(2, Ordering::Relaxed);
    server.shared.log.lock().unwrap().clear();
    server.fetch(&layout).run().exits(1);
    let more = length_kept(&layout);
    assert!(more > kept, "{more}");
    phase.store(3, Ordering::Relaxed);
    server.fetch(&layout).run().exits(0);
    assert_eq!(length_kept(&layout), 0);
}

/// How a server answers to who wants the rest.
#[derive(Clone, Copy)]
enum Rest {
    AsWanted,
    FromItsBeginning,
    FromElsewhere,
}

#[test]
fn a_body_that_breaks_goes_on_at_the_registry_that_redirects_it() {
    for how in [Rest::AsWanted, Rest::FromItsBeginning, Rest::FromElsewhere] {
        let (layout, layer) = of_one(noise(4 << 20));
        let registry = layer.clone();
        let server = Served::new(&layout, move |shared, asked, stream| {
            let presigned = asked.path.strip_prefix("/presigned/");
            let Some((number, _)) = presigned.and_then(|rest| rest.split_once('/')) else {
                if asked.path != registry {
                    return shared.send(stream, asked, usize::MAX);
                }
                // Each time to another place, which is good for once.
                let log = shared.log.lock().unwrap();
                let asked = format!("asked {registry} ");
                let count = log.iter().filter(|line| line.starts_with(&asked)).count();
                drop(log);
                return write!(
                    stream,
                    "HTTP/1.1 307 Temporary Redirect\r\nLocation: /presigned/{count}/blob\r\n\
                     Content-Length: 0\r\n\r\n"
                );
            };
            let mut asked = Asked {
                path: registry.clone(),
                told: None,
                from: asked.from,
            };
            match (how, asked.from) {
                (Rest::FromItsBeginning, _) => asked.from = None,
                (Rest::FromElsewhere, Some(from)) => asked.from = Some(from + 512),
                _ => {}
            }
            let is_last = number.parse::<usize>().unwrap() > 4;
            let most = if is_last { usize::MAX } else { 1 << 20 };
            shared.send(stream, &asked, most)
        });
        server.fetch(&layout).within(SOON * 2).run().exits(0);
        let wanted = server.wanted(&layer);
        let is_right = match how {
            Rest::AsWanted => wanted == [0, 1 << 20, 2 << 20, 3 << 20, 4 << 20],
            _ => wanted.len() == 5 && wanted[1] == 1 << 20,
        };
        assert!(is_right, "{wanted:?}");
    }
}

#[test]
fn what_is_larger_than_allowed_is_refused_before_it_is_fetched() {
    let (layout, layer) = of_one(noise(4096));
    let archive = Aci::new(&manifest(r#"{"exec": ["/a"], "user": "0", "group": "0"}"#)).bytes();
    let length = archive.len();
    let server = Served::new(&layout, move |shared, asked, stream| {
        match asked.path == "/a.aci" {
            true => shared.send_body(stream, asked, ("200 OK", &archive), usize::MAX),
            false => shared.send(stream, asked, usize::MAX),
        }
    });
    let size = layout
        .path()
        .join("blobs")
        .join(layer.rsplit('/').next().unwrap().replace(':', "/"));
    let size = size.metadata().unwrap().len();
    let ran = server
        .fetch(&layout)
        .arg(format!("--max-size={}", size - 1))
        .run();
    ran.exits(1)
        .naming("HOST", &server.host)
        .complains_as("an image that is too large");
    assert_eq!(server.wanted(&layer), [0; 0]);
    let url = format!("http://{}/a.aci", server.host);
    let archive = |most: usize| {
        let call = layout.launch(&["fetch", "--insecure-options=image,http", &url]);
        call.arg(format!("--max-size={most}")).run()
    };
    archive(length - 1)
        .exits(1)
        .naming("HOST", &server.host)
        .complains_as("an archive that is too large");
    assert_eq!(host::names(&layout.dir().join("images")), [""; 0]);
    server
        .fetch(&layout)
        .arg(format!("--max-size={size}"))
        .run()
        .exits(0);
    archive(length).exits(0);
}

#[test]
fn all_layers_together_are_no_faster_than_allowed() {
    let mut layout = Layout::new();
    let names = ["one", "two", "three"];
    let layers = names.map(|name| layout.layer(noise(200_000).file(name, 0o644, "")));
    layout.image("1", "{}", &layers);
    let server = Served::new(&layout, |shared, asked, stream| {
        shared.send(stream, asked, usize::MAX)
    });
    let begun = Instant::now();
    server
        .fetch(&layout)
        .arg("--limit-rate=300k")
        .run()
        .exits(0);
    // But for what comes at once.
    let least = Duration::from_millis(600 * 1000 / 300 - 200);
    assert!(begun.elapsed() > least, "{:?}", begun.elapsed());
}

/// How a bar names a layer that it has little room for.
fn tail(layer: &Blob) -> &str {
    &layer.digest[layer.digest.len() - 8..]
}

/// Fetches two layers at a terminal of this kind; returns what was on it when half of
/// each was there, and in the end.
fn at_a_terminal(kind: &str) -> (String, [String; 2]) {
    let mut layout = Layout::new();
    let layers = ["one", "two"].map(|name| layout.layer(noise(300_000).file(name, 0o644, "")));
    layout.image("1", "{}", &layers);
    let paths = layers.each_ref().map(path);
    let server = Served::new(&layout, move |shared, asked, stream| {
        if !paths.contains(&asked.path) {
            return shared.send(stream, asked, usize::MAX);
        }
        let (_, body) = &shared.answers[&asked.path];
        let half = body.len() / 2;
        shared.send(stream, asked, half)?;
        shared.wait("go on");
        stream.write_all(&body[half..])
    });
    let (launcher, dir) = (host::program(), layout.dir());
    let (kind, name) = (
        format!("TERM={kind}"),
        format!("docker://{}/app:1", server.host),
    );
    let words = [
        &kind,
        launcher.to_str().unwrap(),
        "--dir",
        dir.to_str().unwrap(),
        "fetch",
        &name,
    ];
    let seat = Seat::take(&host::find_tool("env").unwrap(), &words);
    if kind != "TERM=dumb" {
        for layer in &layers {
            seat.until(&format!("{}  [", tail(layer)));
        }
    }
    server.shared.note("go on".to_owned());
    let (status, shown) = seat.end();
    assert_eq!(status, Some(0), "{shown}");
    (shown, layers.map(|layer| layer.digest))
}

#[test]
fn at_a_terminal_each_layer_has_a_bar_and_a_line_in_the_end() {
    require_root!();
    require_processors!();
    let (shown, layers) = at_a_terminal("xterm");
    for layer in layers {
        assert_eq!(
            shown.matches(&format!("Fetched: {layer} (")).count(),
            1,
            "{shown}"
        );
    }
}

#[test]
fn at_a_terminal_that_has_no_cursor_each_layer_has_a_line_in_the_end() {
    require_root!();
    let (shown, layers) = at_a_terminal("dumb");
    assert!(!shown.contains('\x1b') && shown.is_ascii(), "{shown}");
    for layer in layers {
        assert_eq!(shown.matches(&*layer).count(), 1, "{shown}");
        assert!(shown.contains(&format!("Fetched: {layer} (")), "{shown}");
    }
}
