//! Who we are to registries: identity tokens, registry tokens, and what servers that
//! issue tokens answer.

use std::path::PathBuf;

use super::Layout;
use super::registry::{Answers, Scripted, layout, served};
use crate::host::Ran;

/// A registry that wants this token, and a server that issues it to whoever asks so.
fn registry(layout: &Layout, wanted: &str, asked: &str, issued: &str) -> Scripted {
    Scripted::new(|host| {
        let realm = format!("realm=\"http://{host}/token\",service=\"it\"");
        let refused = format!("401 Unauthorized\r\nWWW-Authenticate: Bearer {realm}");
        let mut answers = Answers::new();
        for (path, answer) in served(layout) {
            answers.insert(format!("{path} {wanted}"), answer);
            answers.insert(path, (refused.clone(), Vec::new()));
        }
        let issued = issued.as_bytes().to_vec();
        answers.insert(asked.to_owned(), ("200 OK".to_owned(), issued));
        answers.insert(
            "/token".to_owned(),
            ("401 Unauthorized".to_owned(), Vec::new()),
        );
        answers
    })
}

fn fetch(layout: &Layout, registry: &Scripted, login: &str) -> Ran {
    let text = format!(r#"{{"auths": {{"{}": {login}}}}}"#, registry.host);
    let file: PathBuf = layout.scratch.write("auth.json", text);
    let fetch = layout.launch(&["fetch", &registry.reference("app:1")]);
    fetch.env("REGISTRY_AUTH_FILE", file).run()
}

/// How an identity token is exchanged (RFC 6749, section 6).
const FORM: &str = "scope=repository%3Aapp%3Apull&service=it&grant_type=refresh_token\
                    &client_id=nosecone&refresh_token=1d%2Ft0ken%3D";

#[test]
fn an_identity_token_goes_to_the_server_for_tokens_in_a_form_and_nowhere_else() {
    let layout = layout(&["one"]);
    let asked = format!("/token - {FORM}");
    let registry = registry(&layout, "Bearer n3w", &asked, r#"{"access_token": "n3w"}"#);
    // One that is not known is not taken for nobody.
    let ran = fetch(&layout, &registry, r#"{"identitytoken": "0ther"}"#).exits(1);
    assert!(ran.told().contains("we get no token"), "{}", ran.told());
    let ran = fetch(&layout, &registry, r#"{"identitytoken": "1d/t0ken="}"#).exits(0);
    for secret in ["1d/t0ken", "1d%2Ft0ken", "n3w"] {
        assert!(!ran.output().contains(secret), "{}", ran.output());
    }
    let seen = registry.seen();
    let outside = seen.iter().filter(|line| line.contains("refresh_token=1d"));
    assert!(outside.clone().all(|line| **line == asked), "{seen:?}");
    // One token does for all blobs.
    assert_eq!(outside.count(), 1, "{seen:?}");
}

#[test]
fn a_registry_token_is_sent_as_it_is() {
    let layout = layout(&["one"]);
    let registry = registry(&layout, "Bearer g1ven", "/nothing", "{}");
    let ran = fetch(&layout, &registry, r#"{"registrytoken": "0ther"}"#).exits(1);
    assert!(
        ran.told().contains("does not let us have"),
        "{}",
        ran.told()
    );
    fetch(&layout, &registry, r#"{"registrytoken": "g1ven"}"#).exits(0);
    let seen = registry.seen();
    assert!(
        !seen.iter().any(|line| line.starts_with("/token")),
        "{seen:?}"
    );
}

#[test]
fn to_push_a_token_is_got_that_allows_it() {
    let layout = layout(&["one"]);
    layout.fetch("one");
    let asked = "/token?scope=repository%3Aapp%3Apull%2Cpush&service=it";
    let registry = registry(&layout, "Bearer n3w", asked, r#"{"token": "n3w"}"#);
    let to = registry.reference("app:1");
    let push = layout.launch(&["image", "push", "app:one", &to]);
    // It takes no manifest from anybody.
    push.run().exits(1);
    let seen = registry.seen();
    let asked = seen.iter().filter(|line| line.starts_with(asked));
    assert_eq!(asked.count(), 1, "{seen:?}");
    let manifest = "/v2/app/manifests/1 Bearer n3w";
    assert!(
        seen.iter().any(|line| line.starts_with(manifest)),
        "{seen:?}"
    );
}

#[test]
fn what_issues_no_token_is_said_and_its_answer_is_not_shown() {
    let layout = layout(&["one"]);
    let big = format!(r#"{{"token": "{}"}}"#, "s3cret".repeat(20_000));
    let asked = "/token?scope=repository%3Aapp%3Apull&service=it";
    for issued in ["s3cret", r#"{"token": 5, "s3cret": 1}"#, "{}", &big] {
        let registry = registry(&layout, "Bearer x", asked, issued);
        let told = fetch(&layout, &registry, "null").exits(1).told();
        assert!(told.contains("token") && !told.contains("s3cret"), "{told}");
    }
}

#[test]
fn what_a_registry_warns_of_cannot_drive_a_terminal() {
    let layout = layout(&["one"]);
    let registry = Scripted::new(|_| {
        let mut answers = served(&layout);
        for (status, _) in answers.values_mut() {
            status.push_str("\r\nWarning: 299 - \"old \u{1b}[31mred\u{9b}2J\"");
        }
        answers
    });
    let ran = layout
        .launch(&["fetch", &registry.reference("app:1")])
        .run();
    let output = ran.exits(0).told();
    let drives = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    assert!(!output.contains(drives), "{output:?}");
    assert!(output.contains("old "), "{output}");
}
