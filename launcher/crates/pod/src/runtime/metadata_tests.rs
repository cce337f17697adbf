//! What the metadata service answers, and what it refuses.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;

const ONE: &str = "6733c088-a507-4694-aabf-edbe4fc5266f";
const OTHER: &str = "11111111-a507-4694-aabf-edbe4fc5266f";

fn pod(uuid: &str) -> Metadata {
    Metadata {
        token: "secret".to_owned(),
        uuid: Uuid::parse(uuid).unwrap(),
        manifest: b"{\"acKind\":\"PodManifest\"}".to_vec(),
        annotations: b"null".to_vec(),
        apps: vec![AppMetadata {
            name: "web".to_owned(),
            annotations: b"[]".to_vec(),
            image_manifest: b"{ }".to_vec(),
            image_id: "sha512-00".to_owned(),
        }],
        key: [7; KEY],
    }
}

fn ask(method: &str, path: &str, body: &str) -> (u16, &'static str, String) {
    let response = pod(ONE).answer(Request {
        method,
        path: &format!("/secret/acMetadata/v1{path}"),
        body: body.as_bytes(),
    });
    let body = String::from_utf8(response.body).unwrap();
    (response.status, response.media, body)
}

#[test]
fn without_the_token_nothing_is_revealed() {
    for path in [
        "/",
        "",
        "/secre/acMetadata/v1/pod/uuid",
        "/secrets/acMetadata/v1/pod/uuid",
        "//acMetadata/v1/pod/uuid",
        "/acMetadata/v1/pod/uuid",
    ] {
        let response = pod(ONE).answer(Request {
            method: "GET",
            path,
            body: b"",
        });
        assert_eq!(response.status, 401, "{path}");
    }
}

#[test]
fn unknown_paths_and_wrong_methods_are_refused() {
    for (method, path, status) in [
        ("GET", "/pod", 404),
        ("GET", "/pod/uuid/", 404),
        ("GET", "/apps/db/image/id", 404),
        ("GET", "/apps/web/image", 404),
        ("GET", "/apps/../pod/uuid", 404),
        ("POST", "/pod/uuid", 405),
        ("GET", "/pod/hmac/sign", 405),
        ("POST", "/pod/hmac/sign", 400),
    ] {
        assert_eq!(ask(method, path, "").0, status, "{method} {path}");
    }
}

#[test]
fn every_answer_has_the_media_type_of_the_specification() {
    for (path, media, body) in [
        ("/pod/annotations", JSON, "null"),
        ("/pod/manifest", JSON, "{\"acKind\":\"PodManifest\"}"),
        ("/pod/uuid", TEXT, ONE),
        ("/apps/web/annotations", JSON, "[]"),
        ("/apps/web/image/manifest", JSON, "{ }"),
        ("/apps/web/image/id", TEXT, "sha512-00"),
    ] {
        assert_eq!(
            ask("GET", path, ""),
            (200, media, body.to_owned()),
            "{path}"
        );
    }
}

fn verify(by: &Metadata, form: &str) -> u16 {
    let response = by.answer(Request {
        method: "POST",
        path: "/secret/acMetadata/v1/pod/hmac/verify",
        body: form.as_bytes(),
    });
    response.status
}

#[test]
fn a_signature_is_valid_for_its_pod_and_content_only() {
    let (status, media, signature) = ask("POST", "/pod/hmac/sign", "content=a+b%26c");
    assert_eq!((status, media), (200, TEXT));
    let signature = signature.replace('+', "%2B").replace('/', "%2F");
    let form =
        |content: &str, uuid: &str| format!("content={content}&uuid={uuid}&signature={signature}");
    // Another pod on the same host can verify it.
    let other = pod(OTHER);
    assert_eq!(verify(&other, &form("a b%26c", ONE)), 200);
    assert_eq!(verify(&other, &form("a b", ONE)), 403);
    assert_eq!(verify(&other, &form("a b%26c", OTHER)), 403);
    // A pod on another host cannot.
    let mut elsewhere = pod(ONE);
    elsewhere.key = [8; KEY];
    assert_eq!(verify(&elsewhere, &form("a b%26c", ONE)), 403);
}

#[test]
fn malformed_signature_requests_are_refused() {
    for form in [
        "",
        "content=a",
        "content=&uuid=6733c088-a507-4694-aabf-edbe4fc5266f&signature=AAAA",
        "content=a&uuid=6733c088&signature=AAAA",
        "content=a&uuid=6733c088-a507-4694-aabf-edbe4fc5266f&signature=%",
        "content=a&uuid=6733c088-a507-4694-aabf-edbe4fc5266f&signature=A",
        "content=%zz&uuid=6733c088-a507-4694-aabf-edbe4fc5266f&signature=AAAA",
    ] {
        assert_eq!(verify(&pod(ONE), form), 400, "{form}");
    }
}
