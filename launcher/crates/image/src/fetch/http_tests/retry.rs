//! Statuses, retries, pauses.

use super::*;

fn status(line: &str) -> Act {
    say(format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n"))
}

fn done() -> Act {
    say(format!("{OK}Content-Length: 2\r\n\r\nok"))
}

#[test]
fn what_will_not_pass_is_not_tried_again() {
    for line in ["400 Bad Request", "403 Forbidden", "410 Gone", "501 No"] {
        let server = Server::new(vec![status(line), done()]);
        let why = format!("the server responded with `{line}`");
        assert_eq!(
            fetch(&web(), &server.url("/a")),
            refused(&server, "/a", &why)
        );
        assert_eq!(server.seen().len(), 1, "{line}");
    }
}

#[test]
fn trying_again_has_an_end() {
    let server = Server::new(vec![status("503 Busy"); 5]);
    let refusal = web().open(&server.url("/a"), None, Conditions::default());
    let refusal = refusal.expect_err("refused");
    assert_eq!(refusal.status(), Some(503));
    assert_eq!(server.seen().len(), 3);
}

#[test]
fn what_may_pass_is_tried_again() {
    for line in [
        "408 T", "425 E", "429 M", "500 I", "502 B", "503 S", "504 G",
    ] {
        let server = Server::new(vec![status(line), say(""), done()]);
        assert_eq!(fetch(&web(), &server.url("/a")), Ok("ok".to_owned()));
        assert_eq!(server.seen().len(), 3, "{line}");
    }
}

#[test]
fn the_server_says_how_long_to_wait() {
    let busy = say("HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n");
    let server = Server::new(vec![busy, done()]);
    let start = Instant::now();
    assert_eq!(fetch(&web(), &server.url("/a")), Ok("ok".to_owned()));
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[test]
fn no_pause_is_longer_than_its_bound() {
    let second = Duration::from_secs(1);
    let hour = Some(Duration::from_secs(3600));
    assert_eq!(pause(second, 1, hour, 0), Duration::from_secs(60));
    for failures in [6, 40, u32::MAX] {
        assert!(pause(second, failures, None, 255) <= Duration::from_secs(30));
        assert!(pause(second, failures, None, 0) >= Duration::from_secs(15));
    }
    assert_eq!(pause(second, 1, None, 0), second / 2);
    assert_eq!(pause(second, 3, None, 0), second * 2);
    assert!(pause(second, 3, None, 0) < pause(second, 3, None, 200));
}

#[test]
fn a_port_where_nobody_listens_is_an_error() {
    let server = Server::new(vec![]);
    let why = "Connection refused";
    // The script is empty, so the listener is closed at once.
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(
        fetch(&web(), &server.url("/a")),
        refused(&server, "/a", why)
    );
}

#[test]
fn what_is_not_http_is_no_answer() {
    let server = Server::new(vec![say("SSH-2.0-x\r\n"); 3]);
    let why = "the server does not speak HTTP";
    assert_eq!(
        fetch(&web(), &server.url("/a")),
        refused(&server, "/a", why)
    );
    assert_eq!(server.seen().len(), 1);
    let server = Server::new(vec![say(""); 3]);
    let why = "the connection broke before an answer";
    assert_eq!(
        fetch(&web(), &server.url("/a")),
        refused(&server, "/a", why)
    );
    assert_eq!(server.seen().len(), 3);
}

#[test]
fn a_server_that_never_answers_is_left() {
    let server = Server::new(vec![Act::Hang(String::new()); 3]);
    let why = "the server did not respond within 0.6 seconds";
    assert_eq!(
        fetch(&web(), &server.url("/a")),
        refused(&server, "/a", why)
    );
}

#[test]
fn what_a_server_calls_its_failure_cannot_drive_a_terminal() {
    let server = Server::new(vec![status("404 \u{1b}[2J")]);
    let why = "the response is not valid HTTP";
    assert_eq!(
        fetch(&web(), &server.url("/a")),
        refused(&server, "/a", why)
    );
}

#[test]
fn a_ticket_in_a_query_is_not_shown() {
    let server = Server::new(vec![status("404 Not Found")]);
    let refusal = web().document(&server.url("/a?ticket=secret"), 10);
    let error = Error::from(refusal.expect_err("refused"));
    let shown = format!(
        "cannot fetch `{}`: the server responded with `404 Not Found`",
        server.url("/a?...")
    );
    assert_eq!(error.to_string(), shown);
    assert_eq!(error.kind(), Kind::NotFound);
}

#[test]
fn who_is_not_known_learns_where_credentials_go() {
    let server = Server::new(vec![status("401 Unauthorized"); 2]);
    let message = |credentials| {
        let web = hasty(Options {
            credentials,
            ..options()
        });
        let refusal = web.document(&server.near("/a"), 10).expect_err("refused");
        let text = Error::from(refusal).to_string();
        text.split_once("hint: ").expect("a hint").1.to_owned()
    };
    assert_eq!(
        message(Credentials::default()),
        "credentials for a host are read from `/etc/nosecone/auth.d/*.json`, and sent over HTTPS"
    );
    let domain = format!("127.0.0.1:{}", server.port);
    assert_eq!(
        message(known_at("refused", &[domain])),
        "the credentials in `auth.d` were sent to `127.0.0.1`"
    );
}

#[test]
fn a_copy_that_is_still_good_is_not_sent_again() {
    let unchanged = "HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=7\r\n\r\n";
    let server = Server::new(vec![say(unchanged)]);
    let known = Validators {
        etag: Some("\"a\"".to_owned()),
        last_modified: Some("Sun, 06 Nov 1994 08:49:37 GMT".to_owned()),
    };
    let have = Conditions {
        cached: Some(&known),
        ..Conditions::default()
    };
    match web().open(&server.url("/a"), None, have) {
        Ok(Response::NotModified(freshness)) => assert_eq!(freshness.max_age, Some(7)),
        other => panic!("{other:?}"),
    }
    assert_eq!(server.field("If-None-Match"), ["\"a\""]);
    assert_eq!(
        server.field("If-Modified-Since"),
        ["Sun, 06 Nov 1994 08:49:37 GMT"]
    );
}

#[test]
#[cfg(feature = "tls")]
fn a_proxy_that_refuses_is_named_without_its_password() {
    let forwarded = "http://example.com/a";
    for (url, answer, why) in [
        (
            "https://example.com/a",
            "403 Forbidden",
            "refused the connection (status 403)",
        ),
        (
            "https://example.com/a",
            "407 Who",
            "rejected the credentials",
        ),
        (forwarded, "407 Who", "rejected the credentials"),
    ] {
        let proxy = Server::new(vec![status(answer)]);
        let address = format!("http://me:secret@127.0.0.1:{}", proxy.port);
        let proxies = Proxies::read(|name| name.ends_with("_proxy").then(|| address.clone()));
        let proxies = impatient(options(), proxies);
        assert_eq!(
            fetch(&proxies, url),
            Err(format!(
                "cannot fetch `{url}`: proxy `127.0.0.1:{}` {why}",
                proxy.port
            ))
        );
        let start = match url == forwarded {
            true => "GET http://example.com/a HTTP/1.1\n",
            false => "CONNECT example.com:443 HTTP/1.1\n",
        };
        assert!(proxy.seen()[0].starts_with(start), "{}", proxy.seen()[0]);
    }
}

#[test]
fn who_asks_for_more_patience_than_there_is_is_left_at_once() {
    let busy = say("HTTP/1.1 429 Slow\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n");
    let server = Server::new(vec![busy, done()]);
    let refusal = web().document(&server.url("/a"), 10).expect_err("refused");
    assert_eq!(
        Error::from(refusal).to_string(),
        format!(
            "cannot fetch `{}`: the server responded with `429 Slow`\n\
             hint: the server asks to be left alone for 60 minutes",
            server.url("/a")
        )
    );
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn an_answer_that_the_short_way_does_not_convey_is_asked_for_again() {
    let chunked = format!("{OK}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n");
    let early = "HTTP/1.1 103 Early Hints\r\n\r\n";
    let odd = format!("{OK}X: a\r\nContent-Length: 2\r\n\r\nok");
    for (answer, whole) in [
        (format!("{chunked}0\r\n\r\n"), true),
        (chunked, false),
        (format!("{early}{odd}"), true),
        (format!("{OK}\r\nok"), true),
    ] {
        let server = Server::new(vec![say(&*answer); 6]);
        let got = fetch(&web(), &server.near("/a"));
        assert_eq!(got.is_ok(), whole, "{answer}: {got:?}");
        assert_eq!(got.unwrap_or_else(|_| "ok".to_owned()), "ok");
        if whole {
            assert_eq!(server.seen().len(), 2, "{answer}");
        }
    }
}

#[test]
fn the_short_way_does_not_take_a_part_for_the_whole() {
    let half = format!("{OK}Content-Length: 4\r\n\r\n01");
    let whole = format!("{OK}Content-Length: 4\r\n\r\n0123");
    let server = Server::new(vec![say(half), say(whole)]);
    assert_eq!(fetch(&web(), &server.near("/a")), Ok("0123".to_owned()));
}
