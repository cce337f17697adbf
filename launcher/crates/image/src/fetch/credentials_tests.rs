//! The contents of credential files, and which host gets what.

use std::os::unix::fs::PermissionsExt;

use super::*;

const BASIC: &str = r#"{"rktKind": "auth", "rktVersion": "v1", "domains": ["Example.com", "example.com:8443"],
    "type": "basic", "credentials": {"user": "me", "password": "geheim"}}"#;

/// A directory that is removed when it is dropped.
struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Directory {
    fn load(&self) -> Result<Credentials> {
        Credentials::load(std::slice::from_ref(&self.0))
    }
}

/// Creates a directory with files of these names, modes and contents.
fn directory(name: &str, files: &[(&str, u32, &str)]) -> Directory {
    let path = std::env::temp_dir().join(format!("auth-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).expect("a directory");
    for (name, mode, text) in files {
        let file = path.join(name);
        std::fs::write(&file, text).expect("a file");
        std::fs::set_permissions(&file, PermissionsExt::from_mode(*mode)).expect("a mode");
    }
    Directory(path)
}

fn oauth(domain: &str, token: &str) -> String {
    format!(
        r#"{{"kind": "auth", "domains": ["{domain}"], "type": "oauth", "credentials": {{"token": "{token}"}}}}"#
    )
}

fn of(credentials: &Credentials, host: &str, port: u16) -> Option<String> {
    let header = credentials.for_host(host, port)?;
    Some(format!("{}: {}", header.name, header.value))
}

#[test]
fn what_everybody_may_read_is_not_used() {
    for mode in [0o604, 0o644, 0o602] {
        let path = directory("open", &[("a.json", mode, BASIC)]);
        let file = path.0.join("a.json");
        let file = file.display();
        let error = path.load().expect_err("refused");
        assert_eq!(
            error.to_string(),
            format!(
                "cannot use credentials in `{file}`: every user on this machine can read or change it\n\
                 hint: run `chmod o-rw {file}`, and change the password"
            )
        );
    }
}

#[test]
fn no_message_shows_a_secret() {
    for (text, message) in [
        (r#"{"password": "geheim""#, "it is not JSON"),
        ("[]", "field `kind` is missing"),
        (
            r#"{"kind": "paths"}"#,
            "field `kind` is `paths`, not `auth`",
        ),
        (
            r#"{"rktKind": "auth", "rktVersion": "v2"}"#,
            "field `rktVersion` is `v2`, not `v1`",
        ),
        (r#"{"kind": "auth"}"#, "field `type` is missing"),
        (
            r#"{"kind": "auth", "type": "aws"}"#,
            "field `type` is `aws`; supported are `basic` and `oauth`",
        ),
        (
            r#"{"kind": "auth", "type": "basic"}"#,
            "field `credentials.user` is missing",
        ),
        (
            r#"{"kind": "auth", "type": "basic", "credentials": {"user": "a:b", "password": "geheim"}}"#,
            "field `credentials.user` contains a `:`",
        ),
        (
            r#"{"kind": "auth", "type": "oauth", "credentials": {"token": "geheim\r\nX: y"}}"#,
            "field `credentials.token` contains a control character",
        ),
        (
            r#"{"kind": "auth", "type": "oauth", "credentials": {"token": 4711}}"#,
            "field `credentials.token` is not text",
        ),
        (
            r#"{"kind": "auth", "type": "oauth", "credentials": {"token": "geheim"}}"#,
            "field `domains` is not a list",
        ),
        (
            &oauth("https://example.com", "geheim"),
            "`https://example.com` is not a valid domain: expected `HOST` or `HOST:PORT`",
        ),
    ] {
        let error = parse(text.as_bytes()).expect_err(text);
        assert_eq!(error.to_string(), message);
    }
    let shown = format!("{:?}", parse(BASIC.as_bytes()).expect("credentials"));
    assert!(
        !shown.contains("geheim") && !shown.contains("bWU6"),
        "{shown}"
    );
}

#[test]
fn a_host_gets_what_is_meant_for_it_alone() {
    let path = directory("hosts", &[("a.json", 0o600, BASIC)]);
    let credentials = path.load().expect("credentials");
    for (host, port) in [
        ("www.example.com", 443),
        ("ample.com", 443),
        ("example.com.", 443),
        ("example.com", 8080),
        ("example.org", 8443),
    ] {
        assert_eq!(of(&credentials, host, port), None, "{host}:{port}");
    }
    let basic = Some("Authorization: Basic bWU6Z2VoZWlt".to_owned());
    for port in [443, 80, 8443] {
        assert_eq!(of(&credentials, "EXAMPLE.com", port), basic, "{port}");
    }
}

#[test]
fn a_domain_stands_once_in_a_directory() {
    let files = [
        ("a.json", 0o600, &*oauth("a", "1")),
        ("b.json", 0o600, &*oauth("A", "2")),
    ];
    let path = directory("twice", &files);
    let file = path.0.join("b.json");
    let error = path.load().expect_err("refused");
    assert_eq!(
        error.to_string(),
        format!(
            "cannot use credentials in `{}`: another file also has credentials for `a`",
            file.display()
        )
    );
}

#[test]
fn the_later_directory_wins_and_other_files_do_not_count() {
    let first = directory(
        "first",
        &[
            ("a.json", 0o600, &*oauth("a", "old")),
            ("b.json", 0o600, &*oauth("b", "kept")),
            ("README", 0o644, "not JSON"),
            ("c.json.bak", 0o644, "not JSON"),
        ],
    );
    std::fs::create_dir(first.0.join("d.json")).expect("a directory");
    let second = directory("second", &[("a.json", 0o640, &*oauth("a", "new"))]);
    let none = PathBuf::from("/nonexistent/auth.d");
    let directories = [first.0.clone(), none, second.0.clone()];
    let credentials = Credentials::load(&directories).expect("credentials");
    let bearer = |token: &str| Some(format!("Authorization: Bearer {token}"));
    assert_eq!(of(&credentials, "a", 443), bearer("new"));
    assert_eq!(of(&credentials, "b", 443), bearer("kept"));
}

#[test]
fn base64_is_padded_as_the_rfc_shows() {
    for (bytes, text) in [
        ("", ""),
        ("f", "Zg=="),
        ("fo", "Zm8="),
        ("foo", "Zm9v"),
        ("foob", "Zm9vYg=="),
        ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
        ("\u{3fb}\u{fff}", "z7vgv78="),
    ] {
        assert_eq!(base64(bytes.as_bytes()), text);
    }
}
