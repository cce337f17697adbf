//! Registries with an authority of their own, which want to know who asks.

use std::fs;
use std::path::PathBuf;

use super::Layout;
use super::registry::{Registry, layout};
use crate::host::{self, Call, Scratch, call};

/// An authority, a server that it vouches for, and a client.
pub(super) struct Authority(Scratch);

impl Authority {
    pub(super) fn new() -> Self {
        let scratch = Scratch::new();
        let script = "set -e
            openssl req -x509 -newkey rsa:2048 -noenc -days 2 -subj /CN=ca \\
                -keyout ca.key -out ca.crt
            make() {
                openssl req -newkey rsa:2048 -noenc -subj /CN=$1 -keyout $1.key -out $1.csr
                echo $2 >$1.ext
                openssl x509 -req -in $1.csr -CA ca.crt -CAkey ca.key -CAcreateserial \\
                    -days 2 -extfile $1.ext -out $1.crt
            }
            make server subjectAltName=IP:127.0.0.1
            make client extendedKeyUsage=clientAuth";
        call(&host::find_tool("sh").unwrap())
            .args(["-c", script])
            .dir(scratch.path())
            .run()
            .exits(0);
        Self(scratch)
    }

    pub(super) fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// A registry that talks to those only that the authority vouches for.
    fn registry(&self, layout: &Layout) -> Option<Registry> {
        let [certificate, key, authority] =
            ["server.crt", "server.key", "ca.crt"].map(|name| self.file(name));
        Registry::with_tls(layout, &certificate, &key, &authority)
    }

    /// What `skopeo` takes for that: a directory with all that a client needs.
    fn files(&self) -> PathBuf {
        let directory = self.0.join("files");
        fs::create_dir_all(&directory).unwrap();
        for (from, to) in [
            ("ca.crt", "ca.crt"),
            ("client.crt", "client.cert"),
            ("client.key", "client.key"),
        ] {
            fs::copy(self.0.join(from), directory.join(to)).unwrap();
        }
        directory
    }
}

/// `launcher fetch`, at home here.
fn fetch(layout: &Layout, name: &str) -> Call {
    let fetch = layout.launch(&["fetch", name]);
    fetch.env("HOME", layout.scratch.join("home"))
}

#[test]
fn a_registry_is_believed_and_believes_us_by_the_certificates_for_it() {
    let layout = layout(&["one"]);
    let _ = tool!("openssl");
    let _ = tool!("skopeo");
    let _ = tool!("docker-registry");
    let authority = Authority::new();
    let registry = authority.registry(&layout).unwrap();
    registry.push_with(&layout, "one", "app:1", &authority.files());
    let name = registry.reference("app:1");
    let place = layout.scratch.join("home/.config/containers/certs.d");
    let place = place.join(&registry.host);
    fs::create_dir_all(&place).unwrap();
    // Nobody vouches for the server.
    let ran = fetch(&layout, &name).run().exits(1);
    ran.naming("REGISTRY", &registry.host)
        .complains_as("a registry that nobody vouches for");
    // It is believed, but wants to know who asks.
    let everywhere = fetch(&layout, &name).env("SSL_CERT_FILE", authority.file("ca.crt"));
    let told = everywhere.run().exits(1).told();
    assert!(told.contains("wants a certificate from us"), "{told}");
    fs::copy(authority.0.join("ca.crt"), place.join("ca.crt")).unwrap();
    let told = fetch(&layout, &name).run().exits(1).told();
    assert!(told.contains("wants a certificate from us"), "{told}");
    // Half of what it wants is an error, not an attempt.
    let files = authority.files();
    fs::copy(files.join("client.cert"), place.join("client.cert")).unwrap();
    let ran = fetch(&layout, &name).run().exits(1);
    ran.naming("PLACE", &place)
        .naming("REGISTRY", &registry.host)
        .complains_as("a certificate without a key");
    fs::write(place.join("client.key"), "secret?").unwrap();
    let told = fetch(&layout, &name).run().exits(1).told();
    assert!(
        told.contains("no private key") && !told.contains("secret?"),
        "{told}"
    );
    fs::copy(files.join("client.key"), place.join("client.key")).unwrap();
    fetch(&layout, &name).run().exits(0);
    // So it is for what is pushed.
    let other = registry.reference("other:1");
    let push = |home: &str| {
        let push = layout.launch(&["image", "push", &name["docker://".len()..], &other]);
        push.env("HOME", layout.scratch.join(home)).run()
    };
    let told = push("elsewhere").exits(1).told();
    assert!(told.contains("by a trusted authority"), "{told}");
    push("home").exits(0);
}

#[test]
fn a_mirror_has_an_authority_and_a_login_of_its_own() {
    let layout = layout(&["one"]);
    let _ = (tool!("openssl"), tool!("skopeo"), tool!("docker-registry"));
    let authority = Authority::new();
    let origin = Registry::new(&layout).unwrap();
    origin.push(&layout, "one", "app:1");
    let [certificate, key] = ["server.crt", "server.key"].map(|name| authority.file(name));
    let mirror = Registry::mirror_with_tls(&layout, &origin.host, &certificate, &key).unwrap();
    let text = format!(
        "[[registry]]\nprefix = \"{}\"\n[[registry.mirror]]\nlocation = \"{}\"\n",
        origin.host, mirror.host
    );
    let configuration = layout.scratch.write("registries.conf", text);
    let place = layout.scratch.join("home/.config/containers/certs.d");
    let place = place.join(&mirror.host);
    fs::create_dir_all(&place).unwrap();
    let login = |password: &str| {
        let login = format!(r#"{{"username": "me", "password": "{password}"}}"#);
        let text = format!(r#"{{"auths": {{"{}": {login}}}}}"#, mirror.host);
        layout.scratch.write("auth.json", text)
    };
    let fetch = |logins: &PathBuf| {
        let fetch = fetch(&layout, &origin.reference("app:1")).arg("--pull-policy=update");
        let fetch = fetch.env("CONTAINERS_REGISTRIES_CONF", &configuration);
        fetch
            .env("REGISTRY_AUTH_FILE", logins)
            .run()
            .exits(0)
            .told()
    };
    let failed = format!("Fetch failed: {}/app:1: ", mirror.host);
    // Nobody vouches for the mirror; then it does not know us.
    let told = fetch(&login("s3cret"));
    assert!(
        told.contains(&failed) && told.contains("certificate"),
        "{told}"
    );
    fs::copy(authority.file("ca.crt"), place.join("ca.crt")).unwrap();
    let told = fetch(&login("other"));
    assert!(
        told.contains(&failed) && told.contains("does not let us have"),
        "{told}"
    );
    let told = fetch(&login("s3cret"));
    let from = format!("Resolved: {}/app:1 -> {}/app:1", origin.host, mirror.host);
    assert!(told.contains(&from) && !told.contains("s3cret"), "{told}");
}
