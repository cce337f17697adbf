//! Files with logins that are refused, and whose login is found.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use crate::reference::ShortNames;

fn file(text: &str) -> AuthFile {
    AuthFile::read(text.as_bytes()).unwrap()
}

fn find(file: &AuthFile, image: &str) -> Result<Option<Source>> {
    file.find(&Reference::parse(image, &ShortNames::default()).unwrap())
}

/// `USER:x` in Base64, for users of one letter.
fn auth(user: char) -> String {
    let encoded = match user {
        'a' => "YTp4",
        'b' => "Yjp4",
        'c' => "Yzp4",
        'd' => "ZDp4",
        other => unreachable!("{other}"),
    };
    format!(r#"{{"auth":"{encoded}"}}"#)
}

/// Returns the user whose login is found.
fn user(file: &AuthFile, image: &str) -> Option<String> {
    match find(file, image).unwrap()? {
        Source::Login(Login::Password { user, password }) => {
            assert_eq!(password.reveal(), "x");
            Some(user)
        }
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn no_message_shows_a_secret() {
    for (text, said) in [
        (r#"{"auths":{"x.io":{"auth":"s3cret""#, "it is not JSON"),
        (r#"["s3cret"]"#, "it is not an object"),
        (
            r#"{"auths":"s3cret"}"#,
            "field `auths`: it is not an object",
        ),
        (
            r#"{"credsStore":5337}"#,
            "field `credsStore`: it is not text",
        ),
        (
            r#"{"credsStore":"../s3cret"}"#,
            "field `credsStore`: it is not the name of a credential helper",
        ),
        (
            r#"{"credHelpers":{"x.io":"a b"}}"#,
            "field `credHelpers.x.io`: it is not the name of a credential helper",
        ),
    ] {
        let error = AuthFile::read(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(error, said, "{text}");
    }
    for login in [
        r#"{"auth":"s3cret!"}"#,
        // Without a colon; and with a line break.
        r#"{"auth":"czNjcmV0"}"#,
        r#"{"auth":"YTpiCmM="}"#,
        r#"{"auth":5337}"#,
        r#"{"identitytoken":"s3cret\n"}"#,
        r#""s3cret""#,
    ] {
        let file = file(&format!(
            r#"{{"auths":{{"x.io":{login},"y.io":{}}}}}"#,
            auth('a')
        ));
        let error = find(&file, "x.io/a").unwrap_err().to_string();
        assert!(
            error.starts_with("the login for `x.io` is not valid: field `auths.x.io"),
            "{error}"
        );
        assert!(
            !error.contains("s3cret") && !error.contains("5337"),
            "{error}"
        );
        // What is wrong with one does not concern the others.
        assert_eq!(user(&file, "y.io/a").as_deref(), Some("a"));
    }
    let shown = format!(
        "{:?}",
        find(
            &file(&format!(r#"{{"auths":{{"x.io":{}}}}}"#, auth('a'))),
            "x.io/a"
        )
    );
    assert!(
        shown.contains("password: ...") && !shown.contains("\"x\""),
        "{shown}"
    );
}

#[test]
fn another_registry_gets_no_login() {
    let text = format!(
        r#"{{"auths":{{"x.io":{},"https://y.io/v1/":{},"z.io/a":{}}}}}"#,
        auth('a'),
        auth('b'),
        auth('c')
    );
    let file = file(&text);
    for image in [
        "alpine",
        "x.io:5000/a",
        "sub.x.io/a",
        "io/a",
        "y.io.example/a",
        "z.io/ab",
        "z.io/b/a",
    ] {
        assert_eq!(find(&file, image).unwrap(), None, "{image}");
    }
    assert_eq!(find(&AuthFile::default(), "x.io/a").unwrap(), None);
    for nothing in ["{}", r#"{"auths":null,"credHelpers":null,"credsStore":""}"#] {
        assert_eq!(find(&self::file(nothing), "x.io/a").unwrap(), None);
    }
}

#[test]
fn the_longest_path_comes_first_then_the_host_then_old_forms() {
    let text = format!(
        r#"{{"auths":{{"x.io/a/b":{},"x.io/a":{},"x.io":{},"https://x.io/v2/":{}}}}}"#,
        auth('a'),
        auth('b'),
        auth('c'),
        auth('d')
    );
    let all = file(&text);
    for (image, expected) in [
        ("x.io/a/b:1", "a"),
        ("x.io/a/b/c", "a"),
        ("x.io/a/bc", "b"),
        ("x.io/a", "b"),
        ("x.io/ab", "c"),
    ] {
        assert_eq!(user(&all, image).as_deref(), Some(expected), "{image}");
    }
    for key in [
        "https://x.io/v1/",
        "http://x.io",
        "https://x.io/any/path",
        "x.io/v2",
        "X.io",
        "x.io/",
    ] {
        let old = file(&format!(r#"{{"auths":{{"{key}":{}}}}}"#, auth('d')));
        assert_eq!(user(&old, "x.io/a").as_deref(), Some("d"), "{key}");
    }
}

#[test]
fn docker_hub_has_several_names() {
    for key in [
        "docker.io",
        "https://index.docker.io/v1/",
        "index.docker.io",
        "docker.io/library",
    ] {
        let file = file(&format!(r#"{{"auths":{{"{key}":{}}}}}"#, auth('a')));
        assert_eq!(user(&file, "alpine").as_deref(), Some("a"), "{key}");
    }
}

#[test]
fn a_login_is_read_in_all_its_forms() {
    let password = |user: &str, password: &str| Login::Password {
        user: user.to_owned(),
        password: Secret::new(password),
    };
    for (text, expected) in [
        (r#"{"auth":"YTpiOmM="}"#, password("a", "b:c")),
        // `a:b` and two NUL characters.
        (r#"{"auth":"YTpiAAA="}"#, password("a", "b")),
        (r#"{"username":"a","password":"b"}"#, password("a", "b")),
        (
            r#"{"auth":"YTo=","identitytoken":"t"}"#,
            Login::IdentityToken(Secret::new("t")),
        ),
        (
            r#"{"auth":"","registrytoken":"t"}"#,
            Login::RegistryToken(Secret::new("t")),
        ),
    ] {
        let file = file(&format!(r#"{{"auths":{{"x.io":{text}}}}}"#));
        assert_eq!(
            find(&file, "x.io/a").unwrap(),
            Some(Source::Login(expected)),
            "{text}"
        );
    }
}

#[test]
fn the_helper_of_a_registry_comes_before_the_file_and_that_of_all_last() {
    let text = format!(
        r#"{{"auths":{{"x.io":{},"y.io":{},"z.io":{{}},"docker.io":null}},
            "credHelpers":{{"x.io":"pass"}},"credsStore":"desktop"}}"#,
        auth('a'),
        auth('b')
    );
    let file = file(&text);
    let helper = |name: &str, server: &str| {
        Some(Source::Helper(Helper {
            name: name.to_owned(),
            server: server.to_owned(),
        }))
    };
    assert_eq!(find(&file, "x.io/a").unwrap(), helper("pass", "x.io"));
    assert_eq!(user(&file, "y.io/a").as_deref(), Some("b"));
    // An entry with nothing in it says that the helper has it.
    assert_eq!(find(&file, "z.io/a").unwrap(), helper("desktop", "z.io"));
    assert_eq!(find(&file, "alpine").unwrap(), helper("desktop", HUB_KEY));
}

#[test]
fn a_helper_answers_with_a_login_or_that_it_has_none() {
    let read = |text: &str| Login::from_helper(text.as_bytes());
    for text in [
        "",
        "s3cret",
        "{}",
        r#"{"Username":"a"}"#,
        r#"{"Username":"a","Secret":""}"#,
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(!error.contains("s3cret"), "{error}");
    }
    let password = Login::Password {
        user: "a".into(),
        password: Secret::new("b"),
    };
    let answer = r#"{"ServerURL":"x.io","Username":"a","Secret":"b"}"#;
    assert_eq!(read(answer).unwrap(), password);
    let answer = r#"{"Username":"<token>","Secret":"t"}"#;
    assert_eq!(
        read(answer).unwrap(),
        Login::IdentityToken(Secret::new("t"))
    );
    assert!(knows_none("credentials not found in native keychain\n"));
    assert!(!knows_none("cannot open the keychain"));
}
