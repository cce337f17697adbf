//! What a registry is told, and who else is told nothing.

use super::*;
use crate::fetch::options::Options as FetchOptions;
use crate::fetch::registry::session::Token;
use oci::challenge::Access;
use oci::reference::{Reference, ShortNames};

/// A challenge for a token that the same server issues.
fn challenge(port: u16) -> Act {
    say(format!(
        "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nWWW-Authenticate: Bearer \
         realm=\"http://127.0.0.1:{port}/token?a=b\",service=\"the registry\"\r\n\r\n"
    ))
}

fn token(token: &str) -> Act {
    let body = format!(r#"{{"token": "{token}"}}"#);
    say(format!("{OK}Content-Length: {}\r\n\r\n{body}", body.len()))
}

fn document() -> Act {
    say(format!("{OK}Content-Length: 2\r\n\r\nok"))
}

/// A client for a repository of the server.
fn client(server: &Server) -> Client {
    let text = format!("127.0.0.1:{}/a/b", server.port);
    let image = Reference::parse(&text, &ShortNames::Refuse).expect("a reference");
    let base = Url::parse(&server.near("/")).expect("a URL");
    let session = Token::new(
        (&image, Access::Pull),
        base,
        hasty(options()),
        &FetchOptions::default(),
    );
    hasty(Options {
        session: Some(Arc::new(session)),
        ..options()
    })
}

#[test]
fn a_token_goes_to_the_registry_and_to_nobody_that_it_redirects_to() {
    let server = Server::own(|port| {
        let to = format!("Location: http://0.0.0.0:{port}/there\r\nContent-Length: 0\r\n\r\n");
        vec![
            challenge(port),
            token("t"),
            say(format!("HTTP/1.1 307 Go\r\n{to}")),
            document(),
            document(),
        ]
    });
    let web = client(&server);
    for _ in 0..2 {
        assert_eq!(fetch(&web, &server.near("/v2/a/b")), Ok("ok".to_owned()));
    }
    let told = ["-", "-", "Bearer t", "-", "Bearer t"];
    assert_eq!(server.field("Authorization"), told);
    let seen = server.seen();
    let asked = "GET /token?a=b&scope=repository%3Aa%2Fb%3Apull&service=the%20registry ";
    assert!(seen[1].starts_with(asked), "{}", seen[1]);
}

#[test]
fn a_proxy_is_not_told_what_is_meant_for_a_server_on_this_machine() {
    let server = Server::own(|port| vec![challenge(port), token("t"), document()]);
    let text = format!("127.0.0.1:{}/a/b", server.port);
    let image = Reference::parse(&text, &ShortNames::Refuse).expect("a reference");
    let base = Url::parse(&server.near("/")).expect("a URL");
    let session = Token::new(
        (&image, Access::Pull),
        base,
        hasty(options()),
        &FetchOptions::default(),
    );
    let options = Options {
        session: Some(Arc::new(session)),
        ..options()
    };
    let web = behind(&server.near(""), options);
    let refused = fetch(&web, &server.near("/v2/a/b")).expect_err("refused");
    assert!(
        refused.contains("a proxy would be told who we are"),
        "{refused}"
    );
    assert_eq!(server.field("Authorization"), ["-", "-"]);
}

#[test]
fn what_was_refused_is_not_tried_forever() {
    let denied = "the server responded with `401 Unauthorized`";
    for again in [
        token("t"),
        say("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"),
    ] {
        let server = Server::own(|port| vec![challenge(port), again, challenge(port)]);
        let refused = fetch(&client(&server), &server.near("/v2/a/b")).expect_err("refused");
        let is_of = |what: &str| refused.contains(what);
        assert!(is_of(denied) || is_of("403 No"), "{refused}");
        assert!(server.seen().len() <= 3, "{:?}", server.seen());
    }
}

#[test]
fn a_token_that_has_ended_is_replaced_in_the_middle() {
    let server = Server::own(|port| {
        vec![
            challenge(port),
            token("one"),
            say(format!("{OK}Content-Length: 4\r\nETag: \"e\"\r\n\r\nab")),
            challenge(port),
            token("two"),
            say(
                "HTTP/1.1 206 Part\r\nContent-Range: bytes 2-3/4\r\nContent-Length: 2\r\n\
                 ETag: \"e\"\r\n\r\ncd",
            ),
        ]
    });
    let got = fetch(&client(&server), &server.near("/v2/a/b"));
    assert_eq!(got, Ok("abcd".to_owned()));
    let told = ["-", "-", "Bearer one", "Bearer one", "-", "Bearer two"];
    assert_eq!(server.field("Authorization"), told);
}

#[test]
fn a_password_that_nobody_has_is_no_reason_to_ask_again() {
    let server = Server::new(vec![say(
        "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nWWW-Authenticate: Basic realm=x\r\n\r\n",
    )]);
    assert!(fetch(&client(&server), &server.near("/v2/a/b")).is_err());
    assert_eq!(server.seen().len(), 1);
}
