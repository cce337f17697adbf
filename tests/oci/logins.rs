//! Logins for registries: tried before they are kept, and kept where others find
//! them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::Layout;
use super::registry::{Answers, Registry, Scripted, USERS, layout, served};
use crate::golden::Cases;
use crate::host::{self, Call};
use crate::seat::Seat;

/// The login of all registries here: `me`, `s3cret`.
const BASIC: &str = "Basic bWU6czNjcmV0";

/// `launcher login` or `logout`, with a file for logins.
fn launch(layout: &Layout, words: &[&str]) -> Call {
    layout.launch(words).env("REGISTRY_AUTH_FILE", file(layout))
}

fn file(layout: &Layout) -> PathBuf {
    layout.scratch.join("kept/auth.json")
}

/// A registry that sends everybody to its server for tokens.
fn with_tokens() -> Scripted {
    Scripted::new(|host| {
        let realm = format!("realm=\"http://{host}/token\",service=\"it\"");
        let refused = format!("401 Unauthorized\r\nWWW-Authenticate: Bearer {realm}");
        let token = br#"{"token": "t0ken"}"#.to_vec();
        let ok = || "200 OK".to_owned();
        Answers::from([
            ("/v2/".to_owned(), (refused, Vec::new())),
            ("/v2/ Bearer t0ken".to_owned(), (ok(), b"{}".to_vec())),
            (
                format!("/token?service=it&account=me {BASIC}"),
                (ok(), token),
            ),
            (
                "/token?service=it&account=me".to_owned(),
                ("401 Unauthorized".to_owned(), Vec::new()),
            ),
        ])
    })
}

#[test]
fn a_login_that_is_refused_or_not_whole_is_not_kept() {
    let layout = layout(&["one"]);
    let registry = with_tokens();
    let mut cases = Cases::default();
    for (words, input) in [
        ("login -u me --password-stdin HOST", "wrong"),
        ("login -u me --password-stdin HOST", ""),
        ("login -u me HOST", "s3cret"),
        ("login HOST", "s3cret"),
        ("login --password-stdin HOST", "s3cret"),
        ("login -u me:x --password-stdin HOST", "s3cret"),
        ("login -u me --password-stdin HOST/app", "s3cret"),
        ("login -u me --password-stdin", "s3cret"),
        ("logout HOST", ""),
        ("logout a b", ""),
    ] {
        let typed = words.replace("HOST", &registry.host);
        let words_of: Vec<&str> = typed.split(' ').collect();
        let ran = launch(&layout, &words_of).input(input).run();
        assert!(!ran.succeeded(), "{words}");
        let told = ran.told().replace(&registry.host, "HOST");
        assert!(!told.contains("s3cret"), "{told}");
        cases.add(words, &told);
        assert!(!file(&layout).exists(), "{words}");
    }
    cases.as_written("a login that is not kept");
}

#[test]
fn a_file_that_is_damaged_stays_as_it_is() {
    let layout = layout(&["one"]);
    let registry = with_tokens();
    fs::create_dir(layout.scratch.join("kept")).unwrap();
    fs::write(file(&layout), "{\"auths\": \"s3cret\"").unwrap();
    for words in [
        &["login", "-u", "me", "--password-stdin", &registry.host][..],
        &["logout", &registry.host],
    ] {
        let ran = launch(&layout, words).input("s3cret").run().exits(1);
        assert!(!ran.told().contains("s3cret"), "{}", ran.told());
        let text = fs::read_to_string(file(&layout)).unwrap();
        assert_eq!(text, "{\"auths\": \"s3cret\"");
    }
}

#[test]
fn a_login_is_kept_for_its_owner_only_until_it_is_removed() {
    let layout = layout(&["one"]);
    let registry = with_tokens();
    fs::create_dir(layout.scratch.join("kept")).unwrap();
    let other = r#"{"auths":{"other.example":{"auth":"dTpw"}},"HttpHeaders":{"a":"b"}}"#;
    fs::write(file(&layout), other).unwrap();
    let words = ["login", "-u", "me", "--password-stdin", &registry.host];
    let ran = launch(&layout, &words).input("s3cret\n").run().exits(0);
    let expected = format!(
        "The login for `{}` is kept in `{}`\n",
        registry.host,
        file(&layout).display()
    );
    ran.complains("").says(&expected);
    let status = fs::metadata(file(&layout)).unwrap();
    assert_eq!(status.permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(file(&layout)).unwrap();
    for part in [
        "other.example",
        "HttpHeaders",
        &registry.host,
        "bWU6czNjcmV0",
    ] {
        assert!(text.contains(part), "{part} {text}");
    }
    launch(&layout, &["logout", &registry.host]).run().exits(0);
    let text = fs::read_to_string(file(&layout)).unwrap();
    assert!(!text.contains("bWU6czNjcmV0"), "{text}");
    assert!(text.contains("other.example"), "{text}");
}

#[test]
fn with_a_login_an_image_is_fetched_that_others_do_not_get() {
    let layout = layout(&["one"]);
    let _ = tool!("skopeo");
    let _ = tool!("docker-registry");
    let registry = Registry::with_users(&layout, USERS).unwrap();
    registry.push(&layout, "one", "app:1");
    let name = registry.reference("app:1");
    launch(&layout, &["fetch", &name]).run().exits(1);
    let words = ["login", "-u", "me", "--password-stdin", &registry.host];
    launch(&layout, &words).input("wrong").run().exits(1);
    launch(&layout, &words).input("s3cret").run().exits(0);
    launch(&layout, &["fetch", &name]).run().exits(0);
    // podman's tools find it as well.
    let skopeo = host::call(&host::find_tool("skopeo").unwrap());
    let inspect = skopeo.args(["inspect", "--tls-verify=false", &name]);
    inspect
        .env("REGISTRY_AUTH_FILE", file(&layout))
        .run()
        .exits(0);
}

/// Makes a helper program, `box`, which notes what it is told; returns where programs
/// are then.
fn helper(layout: &Layout) -> String {
    let bin = layout.scratch.join("bin");
    fs::create_dir(&bin).unwrap();
    let script = "#!/bin/sh\ncat >>$0.$1\n[ $1 != get ] || { [ -e $0.store ] && cat $0.store; }\n";
    let helper = bin.join("docker-credential-box");
    fs::write(&helper, script).unwrap();
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:/usr/bin:/bin", bin.display())
}

#[test]
fn a_helper_program_keeps_the_login_if_the_file_names_one() {
    let layout = layout(&["one"]);
    let registry = with_tokens();
    let path = helper(&layout);
    let bin = layout.scratch.join("bin");
    fs::create_dir(layout.scratch.join("kept")).unwrap();
    fs::write(file(&layout), r#"{"credsStore":"box"}"#).unwrap();
    let words = ["login", "-u", "me", "--password-stdin", &registry.host];
    let ran = launch(&layout, &words).env("PATH", &path).input("s3cret");
    ran.run().exits(0).says(&format!(
        "The login for `{}` is kept with `docker-credential-box`\n",
        registry.host
    ));
    let told = fs::read_to_string(bin.join("docker-credential-box.store")).unwrap();
    assert!(told.contains(r#""Secret":"s3cret""#), "{told}");
    assert!(!fs::read_to_string(file(&layout)).unwrap().contains("auths"));
    let out = launch(&layout, &["logout", &registry.host]).env("PATH", &path);
    out.run().exits(0);
    let told = fs::read_to_string(bin.join("docker-credential-box.erase")).unwrap();
    assert_eq!(told, registry.host);
}

#[test]
fn a_helper_program_keeps_all_logins_if_the_configuration_names_it_first() {
    let layout = layout(&["one"]);
    let registry = with_tokens();
    let path = helper(&layout);
    let bin = layout.scratch.join("bin");
    let words = ["login", "-u", "me", "--password-stdin", &registry.host];
    let configured = |names: &str, words: &[&str]| {
        let text = format!("credential-helpers = [{names}]\n");
        let file = layout.scratch.write("registries.conf", text);
        let call = launch(&layout, words).env("PATH", &path).input("s3cret");
        call.env("CONTAINERS_REGISTRIES_CONF", file).run()
    };
    let told = configured(r#""box/../sh""#, &words).exits(1).told();
    assert!(
        told.contains("is not the name of a credential helper"),
        "{told}"
    );
    let told = configured(r#""none""#, &words).exits(1).told();
    assert!(told.contains("docker-credential-none"), "{told}");
    configured(r#""box", "containers-auth.json""#, &words).exits(0);
    assert!(!file(&layout).exists());
    assert!(bin.join("docker-credential-box.store").exists());
    configured(r#""containers-auth.json", "box""#, &words).exits(0);
    assert!(file(&layout).exists());
    // Both are asked, and both forget.
    let server = served_to(&layout, BASIC);
    let out = ["logout", &registry.host];
    configured(r#""containers-auth.json", "box""#, &out).exits(0);
    let told = fs::read_to_string(bin.join("docker-credential-box.erase")).unwrap();
    assert_eq!(told, registry.host);
    let name = server.reference("app:1");
    configured(r#""containers-auth.json""#, &["fetch", &name]).exits(1);
    configured(r#""containers-auth.json", "box""#, &["fetch", &name]).exits(0);
}

/// A registry that wants a login for what is in a layout.
fn served_to(layout: &Layout, who: &str) -> Scripted {
    let refused = "401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"it\"";
    Scripted::new(|_| {
        let mut answers = Answers::new();
        for (path, answer) in served(layout) {
            answers.insert(format!("{path} {who}"), answer);
            answers.insert(path, (refused.to_owned(), Vec::new()));
        }
        answers
    })
}

#[test]
fn at_a_terminal_the_password_is_asked_for_and_not_shown() {
    let layout = layout(&["one"]);
    let registry = with_tokens();
    let place = format!("REGISTRY_AUTH_FILE={}", file(&layout).display());
    let launcher = host::program();
    let words = [&place, launcher.to_str().unwrap(), "login", &registry.host];
    let mut seat = Seat::take(&host::find_tool("env").unwrap(), &words);
    seat.until("User for ");
    seat.types("me\n");
    seat.until("Password for ");
    seat.types("s3cret\n");
    seat.until("is kept in ");
    let (status, shown) = seat.end();
    assert_eq!(status, Some(0));
    assert!(shown.contains("me") && !shown.contains("s3cret"), "{shown}");
}
