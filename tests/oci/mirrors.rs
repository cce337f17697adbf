//! Registries as operators say: mirrors, other places, names without a registry.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::path::PathBuf;

use super::Layout;
use super::registry::{Answers, Registry, Scripted, layout, served};
use crate::host::{self, Call};

/// `launcher` with this `registries.conf`, at home in the scratch directory.
fn launch(layout: &Layout, configuration: &str, words: &[&str]) -> Call {
    let file = layout.scratch.write("registries.conf", configuration);
    let call = layout.launch(words).env("CONTAINERS_REGISTRIES_CONF", file);
    call.env("HOME", layout.scratch.join("home"))
}

/// Writes our own file.
fn ours(layout: &Layout, text: &str) {
    let place = layout.scratch.join("home/.config/nosecone");
    fs::create_dir_all(&place).unwrap();
    fs::write(place.join("registries.json"), text).unwrap();
}

/// A `registries.conf` that has mirrors for a registry.
fn mirrored(registry: &str, mirrors: &[&str]) -> String {
    let mut text = format!("[[registry]]\nprefix = \"{registry}\"\n");
    for mirror in mirrors {
        text.push_str(&format!("[[registry.mirror]]\nlocation = \"{mirror}\"\n"));
    }
    text
}

/// A host where nobody listens.
fn nobody() -> String {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    format!("127.0.0.1:{}", port.unwrap().port())
}

/// A registry that has an image, but for what `change` makes of it.
fn changed(layout: &Layout, change: impl Fn(&str, &mut (String, Vec<u8>))) -> Scripted {
    Scripted::new(|_| {
        let mut answers = served(layout);
        for (path, answer) in &mut answers {
            change(path, answer);
        }
        answers
    })
}

/// One that answers each request with this.
fn always(layout: &Layout, status: &'static str) -> Scripted {
    changed(layout, |_, answer| answer.0 = status.to_owned())
}

fn is_stored(layout: &Layout) -> bool {
    let images = host::names(&layout.dir().join("images"));
    !images.is_empty()
}

#[test]
fn what_operators_say_wrongly_is_an_error_and_nobody_is_asked() {
    let layout = layout(&["one"]);
    let registry = changed(&layout, |_, _| {});
    let host = &registry.host;
    let name = registry.reference("app:1");
    for (text, title) in [
        (
            format!("[[registry]]\nprefix = \"{host}\"\nblocked = true"),
            "an image that is blocked",
        ),
        (
            "[[registry]]\nlocation = \"http://a.example\"".to_owned(),
            "a location with a scheme",
        ),
        (
            "[registries.search]\nregistries = [\"a.example\"]".to_owned(),
            "a file of version 1",
        ),
    ] {
        let ran = launch(&layout, &text, &["fetch", &name]).run().exits(1);
        ran.naming("REGISTRY", host)
            .naming("FILE", layout.scratch.join("registries.conf"))
            .complains_as(title);
    }
    ours(
        &layout,
        r#"{"registry": [{"prefix": "a.example", "bloked": true}]}"#,
    );
    let ran = launch(&layout, "", &["fetch", &name]).run().exits(1);
    ran.naming("HOME", layout.scratch.join("home"))
        .naming("REGISTRY", host)
        .complains_as("a field that nobody knows");
    let missing = layout.launch(&["fetch", &name]);
    let missing = missing.env("CONTAINERS_REGISTRIES_CONF", "/nowhere/registries.conf");
    let ran = missing.run().exits(1).naming("REGISTRY", host);
    ran.complains_as("a file that is not there");
    assert!(registry.seen().is_empty(), "{:?}", registry.seen());
}

#[test]
fn where_nobody_has_an_image_all_who_were_asked_are_said() {
    let layout = layout(&["one"]);
    let registry = always(&layout, "404 Not Found");
    let broken = always(&layout, "500 Internal Server Error");
    let nobody = nobody();
    let text = mirrored(&registry.host, &[&nobody, &broken.host]);
    let name = registry.reference("app:1");
    let ran = launch(&layout, &text, &["fetch", &name]).run().exits(1);
    ran.naming("REGISTRY", &registry.host)
        .naming("BROKEN", &broken.host)
        .naming("NOBODY", &nobody)
        .complains_as("an image that neither mirrors nor the registry have");
    assert!(!is_stored(&layout));
}

#[test]
fn mirrors_are_asked_in_order_and_the_registry_at_last() {
    require_root!();
    for (first, then) in [
        (Some("404 Not Found"), "a mirror"),
        (Some("503 Service Unavailable"), "a mirror"),
        (Some("401 Unauthorized"), "a mirror"),
        (Some("404 Not Found"), "the registry"),
        (None, "the registry"),
    ] {
        let layout = layout(&["one"]);
        let bad = always(&layout, first.unwrap_or("404 Not Found"));
        let bad_host = first.map_or_else(nobody, |_| bad.host.clone());
        let good = changed(&layout, |_, _| {});
        let (registry, mirrors) = match then {
            "a mirror" => ("registry.example".to_owned(), vec![&*bad_host, &*good.host]),
            _ => (good.host.clone(), vec![&*bad_host]),
        };
        let text = mirrored(&registry, &mirrors);
        let name = format!("docker://{registry}/app:1");
        let ran = launch(&layout, &text, &["fetch", &name]).run().exits(0);
        let told = ran.told();
        assert!(
            told.contains(&format!("Fetch failed: {bad_host}/app:1: ")),
            "{told}"
        );
        let from = format!("Resolved: {registry}/app:1 -> {}/app:1", good.host);
        assert!(told.contains(&from), "{told}");
        // It is called what it was asked for.
        let run = launch(&layout, &text, &["run", "--net=none", &name]).run();
        run.exits(0).says("one\n");
        assert_eq!(good.seen().len(), 4, "{:?}", good.seen());
    }
}

#[test]
fn other_bytes_of_a_mirror_are_said_and_those_of_the_registry_taken() {
    for (part, times) in [("blobs", 3), ("manifests/sha256", 0)] {
        let layout = layout(&["one"]);
        // The same number of bytes; and a connection that breaks counts as well.
        let mirror = changed(&layout, |path, (_, body)| {
            if path.contains(part) {
                *body.last_mut().unwrap() ^= 1;
            }
        });
        let registry = changed(&layout, |_, _| {});
        let text = mirrored(&registry.host, &[&mirror.host]);
        let name = registry.reference("app:1");
        let ran = launch(&layout, &text, &["fetch", &name]).run().exits(0);
        let told = ran.told();
        assert_eq!(told.matches("its digest is `").count(), times, "{told}");
        let asked = registry.seen();
        assert_eq!(asked.len(), times, "{asked:?}");
        assert!(asked.iter().all(|path| path.contains("blobs")), "{asked:?}");
    }
}

#[test]
fn a_manifest_with_another_digest_is_not_taken_from_a_mirror() {
    let layout = layout(&["one"]);
    let registry = changed(&layout, |_, _| {});
    let mirror = changed(&layout, |_, (_, body)| body.push(b' '));
    let paths = served(&layout).into_keys();
    let mut digest = paths.filter_map(|path| {
        path.split_once("manifests/sha")
            .map(|(_, hex)| hex.to_owned())
    });
    let name = registry.reference(&format!("app@sha{}", digest.next_back().unwrap()));
    let text = mirrored(&registry.host, &[&mirror.host]);
    let ran = launch(&layout, &text, &["fetch", &name]).run().exits(0);
    assert!(ran.told().contains("its digest is `"), "{}", ran.told());
    assert_eq!(mirror.seen().len(), 1);
}

#[test]
fn a_page_that_is_no_image_is_not_taken_from_a_mirror() {
    let layout = layout(&["one"]);
    let registry = changed(&layout, |_, _| {});
    let portal = changed(&layout, |_, (_, body)| *body = b"<html>Log in".to_vec());
    let text = mirrored(&registry.host, &[&portal.host]);
    let ran = launch(&layout, &text, &["fetch", &registry.reference("app:1")]).run();
    let told = ran.exits(0).told();
    assert!(told.contains("is not valid"), "{told}");
}

#[test]
fn a_mirror_for_digests_is_not_asked_what_a_tag_means() {
    let layout = layout(&["one"]);
    let registry = changed(&layout, |_, _| {});
    let mirror = changed(&layout, |_, _| {});
    let text = mirrored(&registry.host, &[&mirror.host]) + "pull-from-mirror = \"digest-only\"\n";
    let name = registry.reference("app:1");
    launch(&layout, &text, &["fetch", &name]).run().exits(0);
    assert!(mirror.seen().is_empty(), "{:?}", mirror.seen());
}

#[test]
fn each_place_gets_its_own_login_and_no_other() {
    let layout = layout(&["one"]);
    let refused = "401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"it\"";
    // Both want a login; the mirror has the image for that which is for it.
    let origins = "Basic bWU6czNjcmV0";
    let own = "Basic eW91OjB0aGVy";
    let wanting = |login: &'static str, layout: &Layout| {
        Scripted::new(|_| {
            let mut answers = Answers::new();
            for (path, answer) in served(layout) {
                answers.insert(format!("{path} {login}"), answer);
                answers.insert(path, (refused.to_owned(), Vec::new()));
            }
            answers
        })
    };
    let (mirror, registry) = (wanting(own, &layout), wanting(origins, &layout));
    let text = mirrored(&registry.host, &[&mirror.host]);
    let name = registry.reference("app:1");
    let fetch = |logins: &[(&str, &str)]| {
        let logins: Vec<String> = logins
            .iter()
            .map(|(host, login)| format!("\"{host}\": {{\"auth\": \"{login}\"}}"))
            .collect();
        let file = format!("{{\"auths\": {{{}}}}}", logins.join(", "));
        let file = layout.scratch.write("auth.json", file);
        let fetch = launch(&layout, &text, &["fetch", "--pull-policy=update", &name]);
        fetch.env("REGISTRY_AUTH_FILE", file).run()
    };
    let told = |place: &Scripted, login: &str| {
        let seen = place.seen();
        seen.iter().filter(|line| line.ends_with(login)).count()
    };
    // The registry's own does not open the mirror.
    fetch(&[(&registry.host, "bWU6czNjcmV0")]).exits(0);
    assert_eq!((told(&mirror, origins), told(&mirror, own)), (0, 0));
    assert!(told(&registry, origins) > 0);
    let before = registry.seen().len();
    fetch(&[
        (&registry.host, "bWU6czNjcmV0"),
        (&mirror.host, "eW91OjB0aGVy"),
    ])
    .exits(0);
    assert!(told(&mirror, own) > 0);
    assert_eq!(told(&mirror, origins), 0);
    assert_eq!(registry.seen().len(), before);
}

#[test]
fn a_registry_that_refuses_is_the_end() {
    let layout = layout(&["one"]);
    let mirror = always(&layout, "404 Not Found");
    let registry = always(&layout, "403 Forbidden");
    let text = mirrored(&registry.host, &[&mirror.host]);
    let name = registry.reference("app:1");
    let ran = launch(&layout, &text, &["fetch", &name]).run().exits(1);
    ran.naming("REGISTRY", &registry.host)
        .naming("MIRROR", &mirror.host)
        .complains_as("an image that the registry refuses");
    assert!(!is_stored(&layout));
}

/// An address of this machine that others can reach; nothing is sent to learn it.
fn address() -> Option<String> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then(|| address.to_string())
}

#[test]
fn plain_http_is_spoken_with_others_only_if_they_are_said_to_be_insecure() {
    let Some(address) = address() else {
        skip!("needs an address that is not of loopback");
    };
    let layout = layout(&["one"]);
    let registry = Scripted::at(&address, |_| served(&layout));
    let name = registry.reference("app:1");
    let text = format!("[[registry]]\nlocation = \"{}\"\n", registry.host);
    let ran = launch(&layout, &text, &["fetch", &name]).run().exits(1);
    assert!(registry.seen().is_empty(), "{}", ran.told());
    let text = format!("{text}insecure = true\n");
    launch(&layout, &text, &["fetch", &name]).run().exits(0);
    // It does not count for another place.
    let text = format!(
        "{text}[[registry]]\nprefix = \"a.example\"\nlocation = \"{0}\"\n",
        registry.host
    );
    let before = registry.seen().len();
    launch(&layout, &text, &["fetch", "docker://a.example/app:1"])
        .run()
        .exits(1);
    assert_eq!(registry.seen().len(), before);
}

#[test]
fn an_image_can_be_elsewhere_than_its_name_says_and_keeps_its_name() {
    require_root!();
    let layout = layout(&["one"]);
    let registry = changed(&layout, |_, _| {});
    ours(
        &layout,
        &format!(
            r#"{{"registry": [{{"prefix": "registry.example/team/one", "location": "{}/app"}}]}}"#,
            registry.host
        ),
    );
    // Ours overrides the other file.
    let text = "[[registry]]\nprefix = \"registry.example/team/one\"\nblocked = true\n";
    let name = "docker://registry.example/team/one:1";
    let ran = launch(&layout, text, &["run", "--net=none", name]).run();
    let told = ran.exits(0).says("one\n").told();
    let from = format!(
        "Resolved: registry.example/team/one:1 -> {}/app:1",
        registry.host
    );
    assert!(told.contains(&from), "{told}");
    let list = launch(&layout, text, &["image", "list", "--no-legend"]).run();
    let listed = list.exits(0).stdout;
    assert!(listed.contains("registry.example/team/one"), "{listed}");
    assert!(
        !listed.contains(&format!("{}/app", registry.host)),
        "{listed}"
    );
}

#[test]
fn a_name_without_a_registry_can_be_refused_or_ambiguous() {
    let layout = layout(&["one"]);
    ours(&layout, r#"{"short-names": "refuse"}"#);
    for words in ["fetch docker://app:1", "fetch app:1", "plan app:1"] {
        let words: Vec<&str> = words.split(' ').collect();
        let ran = launch(&layout, "[aliases]\napp = \"a.example/app\"", &words).run();
        let told = ran.told();
        assert!(
            told.contains("image `app` does not name a registry"),
            "{told}"
        );
    }
    let ran = launch(&layout, "", &["fetch", "app:1"]).run().exits(1);
    ran.naming("HOME", layout.scratch.join("home"))
        .complains_as("a short name, which is refused");
    ours(&layout, "{}");
    let text = "unqualified-search-registries = [\"a.example\", \"b.example\"]\nshort-name-mode = \"enforcing\"\n";
    let ran = launch(&layout, text, &["fetch", "app:1"]).run().exits(1);
    ran.complains_as("a short name of several registries");
}

#[test]
fn a_name_without_a_registry_is_resolved_and_its_whole_name_is_shown() {
    require_root!();
    let registry_of = |layout: &Layout| changed(layout, |_, _| {});
    for form in ["alias", "search", "ours"] {
        let layout = layout(&["one"]);
        let registry = registry_of(&layout);
        let none = always(&layout, "404 Not Found");
        let host = &registry.host;
        let text = match form {
            "alias" => format!("[aliases]\nshort = \"{host}/app\"\n"),
            "search" => format!(
                "unqualified-search-registries = [\"{}\", \"{host}\"]\n",
                none.host
            ),
            _ => {
                ours(&layout, &format!(r#"{{"short-names": "{host}"}}"#));
                String::new()
            }
        };
        let name = if form == "alias" { "short:1" } else { "app:1" };
        let run = || {
            launch(&layout, &text, &["run", "--net=none", name])
                .run()
                .exits(0)
        };
        let ran = run().says("one\n");
        let told = ran.told();
        assert!(told.contains(&format!("Fetching: {host}/app:1")), "{told}");
        let asked = registry.seen().len();
        run().says("one\n");
        assert_eq!(registry.seen().len(), asked);
        let plan = launch(&layout, &text, &["plan", "--net=none", name]).run();
        let planned = plan.exits(0);
        let image = format!("# image {}/app", host.replace(':', "_"));
        assert!(planned.output().contains(&image), "{}", planned.output());
    }
}

/// `docker-registry`, which fetches from another one what it does not have.
#[test]
fn a_mirror_fetches_what_it_does_not_have_and_has_it_from_then_on() {
    let layout = layout(&["one"]);
    let _ = tool!("skopeo");
    let _ = tool!("docker-registry");
    let origin = Registry::new(&layout).unwrap();
    origin.push(&layout, "one", "org/app:1");
    let mut mirror = Registry::mirror_of(&layout, &origin.host).unwrap();
    let name = origin.reference("org/app:1");
    let text = mirrored(&origin.host, &[&mirror.host]);
    let fetch = |dir: &str| {
        let dir: PathBuf = layout.scratch.join(dir);
        let file = layout.scratch.write("registries.conf", &text);
        let call = host::launcher(&dir).args(["fetch", &name]);
        call.env("CONTAINERS_REGISTRIES_CONF", file).run()
    };
    let told = fetch("first").exits(0).told();
    let from = format!("-> {}/org/app:1", mirror.host);
    assert!(told.contains(&from), "{told}");
    let directly = |line: &&str| line.contains("\"GET /v2/org/app/") && line.contains("nosecone");
    let said = origin.said();
    assert_eq!(said.lines().filter(directly).count(), 0, "{said}");
    mirror.until_it_keeps("org/app", 3);
    // With the origin gone, the mirror is enough.
    drop(origin);
    fetch("second").exits(0);
}
