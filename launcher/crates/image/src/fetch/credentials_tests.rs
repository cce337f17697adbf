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
    let header = credentials.for_host(host, port).expect("no fault")?;
    Some(format!("{}: {}", header.name, header.value.reveal()))
}

/// The sentence and the hint for a host whose credentials have a fault.
fn fault(credentials: &Credentials, host: &str) -> (String, Option<String>) {
    let fault = credentials.for_host(host, 443).expect_err("a fault");
    (fault.what.clone(), fault.hint.clone())
}

#[test]
fn what_everybody_may_read_is_not_used() {
    for mode in [0o604, 0o644, 0o602] {
        let path = directory("open", &[("a.json", mode, BASIC)]);
        let file = path.0.join("a.json");
        let file = file.display();
        let credentials = path.load().expect("credentials");
        let what = format!(
            "cannot use credentials in `{file}`: every user on this machine can read or change it"
        );
        let hint = format!("run `chmod o-rw {file}`, and change the password");
        assert_eq!(fault(&credentials, "example.com"), (what, Some(hint)));
        assert_eq!(of(&credentials, "example.org", 443), None);
    }
}

#[test]
fn no_message_shows_a_secret() {
    for (text, message) in [
        (r#"{"password": "geheim""#, "it is not JSON"),
        ("[]", "field `kind` is missing"),
        (r#"{"kind": 1}"#, "field `kind` is not text"),
        (r#"{"kind": "auth"}"#, "field `domains` is not a list"),
        (
            r#"{"kind": "auth", "domains": []}"#,
            "field `domains` is empty",
        ),
        (
            &oauth("https://example.com", "geheim"),
            "`https://example.com` is not a valid domain: expected `HOST` or `HOST:PORT`",
        ),
    ] {
        let error = parse(text.as_bytes()).expect_err(text);
        assert_eq!(error.to_string(), message);
    }
    let own = r#"{"kind": "auth", "domains": ["a"], "#;
    for (text, message) in [
        (r#""b": 1}"#, "field `type` is missing"),
        (
            r#""type": "aws"}"#,
            "field `type` is `aws`; supported are `basic` and `oauth`",
        ),
        (r#""type": "basic"}"#, "field `credentials.user` is missing"),
        (
            r#""type": "basic", "credentials": {"user": "a:b", "password": "geheim"}}"#,
            "field `credentials.user` contains a `:`",
        ),
        (
            r#""type": "oauth", "credentials": {"token": "geheim\r\nX: y"}}"#,
            "field `credentials.token` contains a control character",
        ),
        (
            r#""type": "oauth", "credentials": {"token": 4711}}"#,
            "field `credentials.token` is not text",
        ),
    ] {
        let file = parse(format!("{own}{text}").as_bytes()).expect("domains");
        let (domains, header) = file.expect("a file for us");
        assert_eq!(domains, ["a"]);
        assert_eq!(header.expect_err(text).what, message);
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
    let credentials = path.load().expect("credentials");
    let what = format!(
        "cannot use credentials in `{}`: `a` has credentials twice",
        file.display()
    );
    assert_eq!(fault(&credentials, "a"), (what, None));
}

#[test]
fn a_file_that_is_not_for_us_or_for_another_host_is_in_nobodys_way() {
    let docker = r#"{"rktKind": "dockerAuth", "rktVersion": "v1", "registries": ["a"],
        "credentials": {"user": "me", "password": "geheim"}}"#;
    let path = directory(
        "kinds",
        &[
            ("docker.json", 0o644, docker),
            (
                "paths.json",
                0o644,
                r#"{"rktKind": "paths", "rktVersion": "v1"}"#,
            ),
            (
                "later.json",
                0o600,
                r#"{"rktKind": "auth", "rktVersion": "v2"}"#,
            ),
            ("none.json", 0o600, r#"{"rktKind": "auth"}"#),
            ("own.json", 0o600, r#"{"kind": "paths"}"#),
            (
                "broken.json",
                0o600,
                r#"{"kind": "auth", "domains": ["b"]}"#,
            ),
            ("half.json", 0o600, "{"),
            ("z.json", 0o600, &*oauth("a", "1")),
        ],
    );
    let credentials = path.load().expect("credentials");
    let bearer = Some("Authorization: Bearer 1".to_owned());
    assert_eq!(of(&credentials, "a", 443), bearer);
    assert_eq!(of(&credentials, "c", 443), None);
    let file = |name| path.0.join(name).display().to_string();
    let what = format!(
        "cannot use credentials in `{}`: field `type` is missing",
        file("broken.json")
    );
    assert_eq!(fault(&credentials, "b"), (what, None));
    let unclear: Vec<String> = credentials.unclear().iter().map(Error::to_string).collect();
    let half = file("half.json");
    assert_eq!(
        unclear,
        [format!(
            "cannot use credentials in `{half}`: it is not JSON"
        )]
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
