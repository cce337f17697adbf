//! Policies for images: what is refused, and by which signatures images get in.

use std::fs;
use std::path::{Path, PathBuf};

use super::cosign::{
    Keys, SIGNED, attach, bundle, fingerprint, keys, named, ok, payload, refer, tag_of,
};
use super::registry::{Answers, Registry, Scripted, layout, served};
use super::{Layout, MANIFEST};
use crate::host::{self, Call, Ran};

/// Writes a policy that accepts nothing but what these requirements are met by.
pub(super) fn policy(layout: &Layout, host: &str, requirements: &str) -> PathBuf {
    let text = format!(
        r#"{{"default":[{{"type":"reject"}}],"transports":{{"docker":{{"{host}/app":[{requirements}]}}}}}}"#
    );
    layout.scratch.write("policy.json", text)
}

fn sigstore(keys: &Keys, identity: &str) -> String {
    let key = keys.public();
    format!(
        r#"{{"type":"sigstoreSigned","keyPath":"{key}","signedIdentity":{{"type":"{identity}"}}}}"#
    )
}

pub(super) fn under(layout: &Layout, policy: &Path, words: &[&str]) -> Call {
    layout.launch(words).env("NOSECONE_POLICY", policy)
}

pub(super) fn has_nothing(layout: &Layout) {
    for part in ["images", "layers"] {
        assert_eq!(host::names(&layout.dir().join(part)), [""; 0], "{part}");
    }
}

#[test]
fn what_a_policy_rejects_nobody_is_asked_for() {
    let layout = layout(&["one"]);
    let registry = Scripted::new(|_| served(&layout));
    let rejects = policy(
        &layout,
        "other.example",
        r#"{"type":"insecureAcceptAnything"}"#,
    );
    let name = registry.reference("app:1");
    for verb in ["fetch", "run", "plan"] {
        let ran = under(&layout, &rejects, &[verb, &name]).run();
        let ran = ran.at_last().naming("REGISTRY", &registry.host);
        ran.naming("POLICY", &rejects).complains_as(match verb {
            "plan" => "a plan of an image that is not stored",
            _ => "an image that is rejected",
        });
    }
    assert_eq!(registry.seen.lock().unwrap().len(), 0);
    let local = under(&layout, &rejects, &["fetch", &layout.reference("one")]);
    let local = local.run().exits(1).naming("POLICY", &rejects);
    let local = local.naming("DIR", layout.path());
    local.complains_as("an image in a directory that is rejected");
    has_nothing(&layout);
}

#[test]
fn a_policy_with_a_slip_accepts_nothing() {
    let layout = layout(&["one"]);
    let registry = Scripted::new(|_| served(&layout));
    for (title, requirements) in [
        (
            "a requirement that there is not",
            r#"{"type":"insecureAcceptAnyThing"}"#,
        ),
        (
            "a field that there is not",
            r#"{"type":"insecureAcceptAnything","keypath":"/a"}"#,
        ),
        (
            "a key that there is not",
            r#"{"type":"sigstoreSigned","keyPath":"/nowhere/key.pub"}"#,
        ),
    ] {
        let path = policy(&layout, &registry.host, requirements);
        let name = registry.reference("app:1");
        let ran = under(&layout, &path, &["fetch", &name])
            .run()
            .exits(1)
            .at_last();
        ran.naming("REGISTRY", &registry.host)
            .naming("POLICY", &path)
            .complains_as(title);
    }
    let nowhere = layout.scratch.join("nowhere.json");
    let name = registry.reference("app:1");
    let ran = under(&layout, &nowhere, &["fetch", &name])
        .run()
        .exits(1)
        .at_last();
    ran.naming("POLICY", &nowhere)
        .complains_as("a policy that there is not");
    has_nothing(&layout);
}

#[test]
fn a_signature_that_is_not_right_in_every_respect_does_not_count() {
    let (keys, others) = (keys!(), keys!());
    let layout = layout(&["one"]);
    let signed = named(&layout);
    let zero = format!("sha256:{}", "0".repeat(64));
    type Spoil<'a> = &'a dyn Fn(&str, &mut Answers);
    let good = |host: &str| {
        let payload = payload(&format!("{host}/app"), &signed);
        let signature = keys.sign(&payload);
        (payload, signature)
    };
    let cases: &[(&str, Spoil<'_>)] = &[
        ("an image without signatures", &|_, _| {}),
        ("a signature by another key", &|host, answers| {
            let (payload, _) = good(host);
            let signature = others.sign(&payload);
            attach(answers, &signed, &[(payload, signature)]);
        }),
        ("a signature of another image", &|host, answers| {
            let payload = payload(&format!("{host}/app"), &zero);
            let signature = keys.sign(&payload);
            attach(answers, &signed, &[(payload, signature)]);
        }),
        ("a signature of another repository", &|host, answers| {
            let payload = payload(&format!("{host}/other"), &signed);
            let signature = keys.sign(&payload);
            attach(answers, &signed, &[(payload, signature)]);
        }),
        ("a truncated signature", &|host, answers| {
            let (payload, signature) = good(host);
            attach(answers, &signed, &[(payload, signature[..40].to_owned())]);
        }),
        ("a payload that was changed", &|host, answers| {
            let (payload, signature) = good(host);
            let changed = payload.replace("null", "{}");
            attach(answers, &signed, &[(changed, signature)]);
        }),
        (
            "a payload with other bytes than announced",
            &|host, answers| {
                attach(answers, &signed, &[good(host)]);
                let blobs = answers
                    .iter_mut()
                    .filter(|(path, _)| path.contains("/blobs/"));
                for (_, (_, body)) in
                    blobs.filter(|(_, (_, body))| body.starts_with(b"{\"critical"))
                {
                    body[0] = b'[';
                }
            },
        ),
        ("more signatures than are looked at", &|host, answers| {
            attach(answers, &signed, &vec![good(host); 33]);
        }),
        ("a list of signatures that is none", &|host, answers| {
            attach(answers, &signed, &[good(host)]);
            let list = format!("{}.sig", tag_of(&signed));
            answers.insert(list, ok(MANIFEST, "[1"));
        }),
        (
            "several signatures of which none is right",
            &|host, answers| {
                let (payload, signature) = good(host);
                let other = payload.replace("/app", "/other");
                let by_other = (payload.clone(), others.sign(&payload));
                let of_other = (other.clone(), keys.sign(&other));
                attach(
                    answers,
                    &signed,
                    &[by_other, of_other, (payload, signature[4..].to_owned())],
                );
            },
        ),
        ("a statement that is not a signature", &|_, answers| {
            let list = format!("/v2/app/referrers/{signed}");
            refer(
                answers,
                &list,
                &bundle(&keys, &signed, "https://slsa.dev/provenance/v1"),
            );
        }),
        ("a bundle that says no name", &|_, answers| {
            let list = format!("/v2/app/referrers/{signed}");
            refer(answers, &list, &bundle(&keys, &signed, SIGNED));
        }),
        ("a bundle about another image", &|_, answers| {
            let list = format!("/v2/app/referrers/{signed}");
            refer(answers, &list, &bundle(&keys, &zero, SIGNED));
        }),
    ];
    for (title, spoil) in cases {
        let registry = Scripted::new(|host| {
            let mut answers = served(&layout);
            spoil(host, &mut answers);
            answers
        });
        let ran = refused(&layout, &registry, &keys).naming("SIGNED", &signed);
        let ran = ran.naming("FINGERPRINT", fingerprint(&keys));
        match *title {
            // They have the address of the registry in them.
            "a payload with other bytes than announced" => {
                let told = ran.told();
                assert!(told.contains(": a signature: its digest is `"), "{told}");
            }
            title => _ = ran.complains_as(title),
        }
        has_nothing(&layout);
    }
}

/// The refusal of an image of a registry whose signatures by these keys do not count.
fn refused(layout: &Layout, registry: &Scripted, keys: &Keys) -> Ran {
    let wanted = policy(layout, &registry.host, &sigstore(keys, "matchRepository"));
    let name = registry.reference("app:1");
    let ran = under(layout, &wanted, &["fetch", &name]).run().exits(1);
    let ran = ran.at_last().naming("REGISTRY", &registry.host);
    ran.naming("POLICY", &wanted)
}

#[test]
fn a_registry_that_fails_when_it_is_asked_for_signatures_has_none_that_count() {
    let keys = keys!();
    let layout = layout(&["one"]);
    let signed = named(&layout);
    let registry = Scripted::new(|_| {
        let mut answers = served(&layout);
        let failed = "500 Internal Server Error\r\nRetry-After: 0".to_owned();
        answers.insert(format!("{}.sig", tag_of(&signed)), (failed, Vec::new()));
        answers
    });
    let ran = refused(&layout, &registry, &keys);
    let hex = signed.strip_prefix("sha256:").unwrap();
    ran.naming("HEX", hex).complains_as("a registry that fails");
    has_nothing(&layout);
}

#[test]
fn one_signature_by_the_right_key_is_enough() {
    require_root!();
    let (keys, others) = (keys!(), keys!());
    let layout = layout(&["one"]);
    let signed = named(&layout);
    let registry = Scripted::new(|host| {
        let mut answers = served(&layout);
        let payload = payload(&format!("{host}/app"), &signed);
        let both = [others.sign(&payload), keys.sign(&payload)];
        let both = both.map(|signature| (payload.clone(), signature));
        attach(&mut answers, &signed, &both);
        answers
    });
    let wanted = policy(&layout, &registry.host, &sigstore(&keys, "matchRepository"));
    let name = registry.reference("app:1");
    let run = || {
        under(&layout, &wanted, &["run", "--net=none", &name])
            .run()
            .exits(0)
            .says("one\n")
    };
    let ran = run()
        .naming("REGISTRY", &registry.host)
        .naming("POLICY", &wanted);
    let shown = ran.naming("FINGERPRINT", fingerprint(&keys)).told();
    let verified = "Verified: REGISTRY/app:1: key FINGERPRINT; `docker:REGISTRY/app` of POLICY";
    assert!(shown.lines().any(|line| line == verified), "{shown}");
    // What is stored was signed, too, and nobody is asked.
    let before = registry.seen.lock().unwrap().len();
    run().complains("");
    assert_eq!(registry.seen.lock().unwrap().len(), before);
    // All requirements must be met.
    let both = [&keys, &others]
        .map(|keys| sigstore(keys, "matchRepository"))
        .join(",");
    let both = policy(&layout, &registry.host, &both);
    under(&layout, &both, &["fetch", &name]).run().exits(0);
    // What is exported has none, which is said.
    let target = layout.scratch.join("out.tar").display().to_string();
    let export = layout.launch(&[
        "image",
        "export",
        name.strip_prefix("docker://").unwrap(),
        &target,
    ]);
    export
        .run()
        .exits(0)
        .naming("REGISTRY", &registry.host)
        .complains_as("an image that was signed");
    let three = [
        sigstore(&keys, "matchRepository"),
        r#"{"type":"reject"}"#.to_owned(),
    ]
    .join(",");
    let three = policy(&layout, &registry.host, &three);
    under(&layout, &three, &["run", "--net=none", &name])
        .run()
        .exits(125)
        .says("");
}

#[test]
fn signatures_that_were_kept_with_blobs_are_pushed_with_the_image() {
    let _ = (tool!("skopeo"), tool!("docker-registry"));
    let (keys, others) = (keys!(), keys!());
    let layout = layout(&["one"]);
    let signed = named(&layout);
    let from = Scripted::new(|host| {
        let mut answers = served(&layout);
        let payload = payload(&format!("{host}/app"), &signed);
        let signature = keys.sign(&payload);
        attach(&mut answers, &signed, &[(payload, signature)]);
        let list = format!("/v2/app/referrers/{signed}");
        refer(&mut answers, &list, &bundle(&others, &signed, SIGNED));
        answers
    });
    let to = Registry::new(&layout).unwrap();
    let (name, new) = (from.reference("app:1"), to.reference("app:1"));
    layout
        .launch(&["fetch", "--keep-blobs", &name])
        .run()
        .exits(0);
    let bare = name.strip_prefix("docker://").unwrap();
    for _ in 0..2 {
        let pushed = layout.launch(&["image", "push", bare, &new]).run().exits(0);
        pushed.says(&format!("{signed}\n"));
    }
    // That registry has no list of its own, so it gets one, once.
    let list = format!("/v2/app/manifests/{} ", signed.replace(':', "-"));
    assert_eq!(to.sent("PUT", &list), 1);
    layout
        .launch(&["image", "gc", "--grace-period=0"])
        .run()
        .exits(0);
    layout.launch(&["image", "verify"]).run().exits(0);
    // They are of the name that the image had.
    let key = keys.public();
    let old = &from.host;
    let wanted = format!(
        r#"{{"type":"sigstoreSigned","keyPath":"{key}","signedIdentity":{{"type":"exactRepository","dockerRepository":"{old}/app"}}}}"#
    );
    // A bundle says no name.
    for (place, wanted) in [
        ("attached", wanted),
        ("bundle", sigstore(&others, "matchDigest")),
    ] {
        let wanted = policy(&layout, &to.host, &wanted);
        let fetch = host::launcher(&layout.scratch.join(place)).args(["fetch", &new]);
        fetch.env("NOSECONE_POLICY", wanted).run().exits(0);
    }
}

#[test]
fn bundles_are_found_by_what_refers_to_an_image_and_by_its_tag() {
    let keys = keys!();
    for place in ["/v2/app/referrers/DIGEST", "/v2/app/manifests/TAG"] {
        let layout = layout(&["one"]);
        let signed = named(&layout);
        let list = place
            .replace("DIGEST", &signed)
            .replace("TAG", &signed.replace(':', "-"));
        let registry = Scripted::new(|_| {
            let mut answers = served(&layout);
            refer(&mut answers, &list, &bundle(&keys, &signed, SIGNED));
            answers
        });
        let wanted = policy(&layout, &registry.host, &sigstore(&keys, "matchDigest"));
        let name = registry.reference("app:1");
        under(&layout, &wanted, &["fetch", &name]).run().exits(0);
        assert_eq!(
            host::names(&layout.dir().join("images")).len(),
            1,
            "{place}"
        );
    }
}

#[test]
fn the_digest_that_a_tag_names_must_be_signed_and_others_follow_from_it() {
    let keys = keys!();
    let mut layout = Layout::new();
    let shared = layout.layer(super::base());
    let config = layout.config(r#"{"Cmd":["/bin/probe"]}"#, std::slice::from_ref(&shared));
    let manifest = layout.manifest(&config, &[shared]);
    let platform = r#","platform":{"os":"linux","architecture":"amd64"}"#;
    let index = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[{}]}}"#,
        super::INDEX,
        manifest.descriptor(platform)
    );
    let index = layout.blob(super::INDEX, index.as_bytes());
    layout.list(&index, "one");
    for (signed, status) in [(&manifest.digest, 1), (&index.digest, 0)] {
        let registry = Scripted::new(|host| {
            let mut answers = served(&layout);
            let body = fs::read(layout.blob_path(&index.digest)).unwrap();
            for reference in ["1", &index.digest] {
                let path = format!("/v2/app/manifests/{reference}");
                answers.insert(
                    path,
                    (
                        format!("200 OK\r\nContent-Type: {}", super::INDEX),
                        body.clone(),
                    ),
                );
            }
            let payload = payload(&format!("{host}/app"), signed);
            let signature = keys.sign(&payload);
            attach(&mut answers, signed, &[(payload, signature)]);
            answers
        });
        let wanted = policy(&layout, &registry.host, &sigstore(&keys, "matchRepository"));
        let name = registry.reference("app:1");
        under(&layout, &wanted, &["fetch", &name])
            .run()
            .exits(status);
        if status != 0 {
            has_nothing(&layout);
        }
    }
}

#[test]
fn what_was_stored_on_weaker_grounds_does_not_slip_by_a_stricter_policy() {
    require_root!();
    let keys = keys!();
    let layout = layout(&["one"]);
    let signed = named(&layout);
    let registry = Scripted::new(|host| {
        let mut answers = served(&layout);
        let payload = payload(&format!("{host}/app"), &signed);
        let signature = keys.sign(&payload);
        attach(&mut answers, &signed, &[(payload, signature)]);
        answers
    });
    let name = registry.reference("app:1");
    let strict = policy(&layout, &registry.host, &sigstore(&keys, "matchRepository"));
    // What skips the check says so, and lets in nothing for later.
    let skipped = ["fetch", "--insecure-options=image", &name];
    let skipped = under(&layout, &strict, &skipped).run().exits(0);
    let told = skipped.naming("REGISTRY", &registry.host).told();
    let said = "Not verified: REGISTRY/app:1: nobody: --insecure-options=image";
    assert!(told.lines().any(|line| line == said), "{told}");
    let stored = ["--pull-policy=never", "--net=none", &name];
    let refused = under(&layout, &strict, &[&["run"], &stored[..]].concat())
        .run()
        .exits(125);
    let refused = refused
        .naming("REGISTRY", &registry.host)
        .naming("POLICY", &strict);
    refused.complains_as("a stored image that is not signed");
    let id = host::names(&layout.dir().join("images")).remove(0);
    for words in [
        &["run", "--net=none", &id][..],
        &["plan", &id],
        &["plan", &name],
    ] {
        let ran = under(&layout, &strict, words).run();
        assert!(
            !ran.succeeded() && ran.told().contains("is needed now"),
            "{}",
            ran.told()
        );
    }
    let waived = [
        "run",
        "--insecure-options=image",
        "--pull-policy=never",
        "--net=none",
        &name,
    ];
    under(&layout, &strict, &waived)
        .run()
        .exits(0)
        .says("one\n");
    // Whoever may ask the registry gets it verified, without its layers.
    let again = under(&layout, &strict, &["run", "--net=none", &name])
        .run()
        .exits(0);
    assert!(again.says("one\n").told().contains("Verified: "));
    let fetched = registry
        .seen
        .lock()
        .unwrap()
        .iter()
        .filter(|path| path.contains("/blobs/"))
        .count();
    // Two layers and a configuration, then the payload, and the configuration again.
    assert_eq!(fetched, 5);
    under(&layout, &strict, &[&["run"], &stored[..]].concat())
        .run()
        .exits(0)
        .says("one\n");
    under(&layout, &strict, &["run", "--net=none", &id])
        .run()
        .exits(0)
        .says("one\n");
    // And a policy that has become stricter since, refuses it again.
    let stricter = policy(&layout, &registry.host, &sigstore(&keys, "matchExact"));
    let refused = under(&layout, &stricter, &[&["run"], &stored[..]].concat()).run();
    refused.exits(125).says("");
}

#[test]
fn a_name_that_is_locked_stands_for_what_was_seen_and_for_nothing_else() {
    require_root!();
    let layout = layout(&["one", "two"]);
    let (_, _) = (tool!("skopeo"), tool!("docker-registry"));
    let registry = Registry::new(&layout).unwrap();
    let name = format!("{}/app:1", registry.host);
    let launch = |words: &[&str]| layout.launch(words);
    let told = |ran: crate::host::Ran| ran.naming("REGISTRY", &registry.host);
    told(launch(&["policy", "lock", &name]).run().exits(1)).complains_as("a lock without an image");
    told(launch(&["policy", "unlock", &name]).run().exits(1)).complains_as("no lock");
    registry.push(&layout, "one", "app:1");
    launch(&["fetch", &name]).run().exits(0);
    let locked = launch(&["policy", "lock", &name]).run().exits(0).stdout;
    let digest = locked.split_whitespace().nth(2).unwrap().to_owned();
    launch(&["policy", "lock", &name]).run().exits(0);
    let listed = launch(&["policy", "--format=json"]).run().exits(0).stdout;
    assert!(
        listed.contains(&format!(r#""requires":["digest {digest}"]"#)),
        "{listed}"
    );
    launch(&["run", "--net=none", &name])
        .run()
        .exits(0)
        .says("one\n");
    registry.push(&layout, "two", "app:1");
    let update = ["fetch", "--pull-policy=update", &name];
    let refused = told(launch(&update).run().exits(1).at_last()).naming("LOCKED", &digest);
    let found = refused.told();
    let found = found.split("its digest is `").nth(1).unwrap();
    let found = found.split('`').next().unwrap().to_owned();
    refused
        .naming("FOUND", found)
        .complains_as("another image than the locked one");
    let images = || host::names(&layout.dir().join("images")).len();
    assert_eq!(images(), 1);
    launch(&["run", "--net=none", &name])
        .run()
        .exits(0)
        .says("one\n");
    // What skips the check skips this, too, and what it has let in is refused later.
    let waived = [
        "fetch",
        "--insecure-options=image",
        "--pull-policy=update",
        &name,
    ];
    let said = launch(&waived).run().exits(0);
    assert!(said.told().contains("Not verified: "));
    launch(&["run", "--net=none", &name])
        .run()
        .exits(125)
        .says("");
    launch(&["plan", &name]).run().exits(1).says("");
    launch(&["policy", "unlock", &name])
        .run()
        .exits(0)
        .says(&format!("unlocked {name} {digest}\n"));
    launch(&["run", "--net=none", &name])
        .run()
        .exits(0)
        .says("two\n");
}

#[test]
fn why_an_image_is_trusted_is_listed() {
    require_root!();
    let layout = layout(&["one"]);
    let registry = Scripted::new(|_| served(&layout));
    let accepts = policy(
        &layout,
        &registry.host,
        r#"{"type":"insecureAcceptAnything"}"#,
    );
    under(&layout, &accepts, &["fetch", &registry.reference("app:1")])
        .run()
        .exits(0);
    let list = ["image", "list", "--no-legend", "--full", "--fields=trust"];
    let listed = layout.launch(&list).run().exits(0);
    let listed = listed
        .naming("REGISTRY", &registry.host)
        .naming("POLICY", &accepts)
        .output();
    let expected = "registry REGISTRY, over plain HTTP; `docker:REGISTRY/app` of POLICY\n";
    assert_eq!(listed, expected);
    let short = ["image", "list", "--no-legend", "--fields=trust"];
    layout.launch(&short).run().exits(0).says("registry\n");
}
