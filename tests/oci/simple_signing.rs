//! Signatures that skopeo makes with GnuPG, in a directory beside a registry.

use std::fs;
use std::path::PathBuf;

use super::policy::{has_nothing, policy, under};
use super::registry::{Answers, Registry, Scripted, layout};
use crate::host::{self, Scratch, call};

/// GnuPG with a key, and what skopeo needs to sign with it.
struct Signer {
    home: Scratch,
}

impl Signer {
    fn new() -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let home = Scratch::new();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let signer = Self { home };
        signer.gpg(&[
            "--quick-gen-key",
            "me@example.com",
            "rsa2048",
            "sign",
            "never",
        ]);
        let file = signer.home.join("key.gpg").display().to_string();
        signer.gpg(&["--output", &file, "--export", "me@example.com"]);
        signer
    }

    fn gpg(&self, words: &[&str]) {
        let quiet = [
            "--quiet",
            "--batch",
            "--no-tty",
            "--passphrase",
            "",
            "--pinentry-mode",
            "loopback",
        ];
        let gpg = host::find_tool("gpg").unwrap();
        let gpg = call(&gpg).env("GNUPGHOME", self.home.path());
        gpg.args(quiet).args(words).run().exits(0);
    }

    /// Says where signatures of a registry are.
    fn configure(&self, registry: &str, url: &str) -> PathBuf {
        let directory = self.home.join(".config/containers/registries.d");
        fs::create_dir_all(&directory).unwrap();
        let text = format!("# where signatures are\ndocker:\n  {registry}:\n    sigstore: {url}\n");
        fs::write(directory.join("it.yaml"), text).unwrap();
        directory
    }

    fn requirement(&self, identity: &str) -> String {
        let key = self.home.join("key.gpg");
        let key = key.display();
        format!(
            r#"{{"type":"signedBy","keyType":"GPGKeys","keyPath":"{key}","signedIdentity":{{"type":"{identity}"}}}}"#
        )
    }
}

impl Drop for Signer {
    fn drop(&mut self) {
        if let Some(gpgconf) = host::find_tool("gpgconf") {
            let gpgconf = call(&gpgconf).env("GNUPGHOME", self.home.path());
            gpgconf.args(["--kill", "all"]).run();
        }
    }
}

#[test]
fn what_skopeo_signs_with_gnupg_is_verified_and_nothing_else_is() {
    require_root!();
    let (skopeo, _, _) = (tool!("skopeo"), tool!("docker-registry"), tool!("gpg"));
    let layout = layout(&["one", "two"]);
    let registry = Registry::new(&layout).unwrap();
    let (signer, other) = (Signer::new(), Signer::new());
    let place = layout.scratch.join("lookaside");
    let sign = |signer: &Signer, name: &str, to: &str| {
        let url = format!("file://{}", place.display());
        let directory = signer.configure(&registry.host, &url);
        call(&skopeo)
            .env("GNUPGHOME", signer.home.path())
            .arg("--registries.d")
            .arg(directory)
            .args([
                "copy",
                "--quiet",
                "--dest-tls-verify=false",
                "--sign-by",
                "me@example.com",
            ])
            .arg(layout.reference(name))
            .arg(format!("docker://{}/{to}", registry.host))
            .run()
            .exits(0);
    };
    sign(&signer, "one", "app:1");
    let directory = host::names(&place).remove(0);
    sign(&other, "two", "app:3");
    let name = |tag: &str| registry.reference(&format!("app:{tag}"));
    let wanted = policy(
        &layout,
        &registry.host,
        &signer.requirement("matchRepoDigestOrExact"),
    );
    let launch = |words: &[&str]| under(&layout, &wanted, words).env("HOME", signer.home.path());
    registry.push(&layout, "one", "app:4");
    for (tag, title) in [
        ("3", "an image that another one has signed"),
        ("4", "an image that is signed under another tag"),
    ] {
        let ran = launch(&["fetch", &name(tag)]).run().exits(1).at_last();
        let told = ran
            .naming("REGISTRY", &registry.host)
            .naming("POLICY", &wanted)
            .told();
        let expected = match tag {
            "3" => "which is not trusted",
            _ => {
                "a signature is for the name `REGISTRY/app:1`, with which `matchRepoDigestOrExact` is not met"
            }
        };
        assert!(told.contains(expected), "{title}: {told}");
    }
    has_nothing(&layout);
    launch(&["run", "--net=none", &name("1")])
        .run()
        .exits(0)
        .says("one\n");
    // It is there, and any byte of it counts.
    let file = place.join(&directory).join("signature-1");
    let good = fs::read(&file).unwrap();
    let update = ["fetch", "--pull-policy=update", &name("1")];
    for bad in [
        good[..good.len() / 2].to_vec(),
        Vec::new(),
        vec![b'x'; 1 << 20],
        good.iter().map(|byte| byte ^ 0x55).collect(),
    ] {
        fs::write(&file, bad).unwrap();
        launch(&update).run().exits(1);
    }
    // A second signature that is right counts, whatever the first one is.
    fs::write(file.with_file_name("signature-2"), &good).unwrap();
    launch(&update).run().exits(0);
    fs::remove_file(file.with_file_name("signature-2")).unwrap();
    fs::write(&file, &good).unwrap();
    launch(&update).run().exits(0);
    // A server may have them as well.
    fs::remove_dir_all(&place).unwrap();
    launch(&update).run().exits(1);
    let server = Scripted::new(|_| {
        let signature = format!("/{directory}/signature-1");
        Answers::from([(signature, ("200 OK".to_owned(), good))])
    });
    signer.configure(&registry.host, &format!("http://{}", server.host));
    let told = launch(&update).run().exits(1).told();
    assert!(told.contains("--insecure-options=http"), "{told}");
    let update = [&["--insecure-options=http"], &update[1..]].concat();
    launch(&[&["fetch"][..], &update].concat()).run().exits(0);
    let asked = format!("/{directory}/signature-1");
    let seen = server.seen();
    assert!(seen.iter().any(|line| line.starts_with(&asked)), "{seen:?}");
}
