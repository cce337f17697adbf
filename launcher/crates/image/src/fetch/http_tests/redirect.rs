//! Redirects, credentials, encryption.

use super::*;

fn url(text: &str) -> Url {
    Url::parse(text).expect("a URL")
}

fn moved(status: &str, to: &str) -> Act {
    say(format!(
        "HTTP/1.1 {status}\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n"
    ))
}

fn done() -> Act {
    say(format!("{OK}Content-Length: 2\r\n\r\nok"))
}

#[test]
fn plain_http_is_refused_unless_it_was_allowed() {
    let server = Server::new(vec![]);
    let strict = hasty(Options {
        allow_http: false,
        ..options()
    });
    let refusal = strict.document(&server.url("/a"), 10).expect_err("refused");
    assert_eq!(
        Error::from(refusal).to_string(),
        format!(
            "cannot fetch `{}`: the connection would not be encrypted (plain HTTP)\n\
             hint: `--insecure-options=http` allows that",
            server.url("/a")
        )
    );
    assert!(server.seen().is_empty());
}

#[test]
fn certificates_are_not_left_unchecked_through_a_proxy() {
    let proxy = Server::new(vec![]);
    let proxies = Proxies::read(|name| {
        let address = format!("http://127.0.0.1:{}", proxy.port);
        (name == "https_proxy").then_some(address)
    });
    let unchecked = Options {
        insecure_tls: true,
        ..options()
    };
    let web = impatient(unchecked, proxies);
    let refusal = web.document("https://example.com/a", 10);
    assert_eq!(
        Error::from(refusal.expect_err("refused")).to_string(),
        "cannot fetch `https://example.com/a`: certificate checks cannot be disabled when a proxy is used\n\
         hint: set `no_proxy=example.com` to bypass it"
    );
    assert!(proxy.seen().is_empty());
}

#[test]
fn a_server_that_speaks_no_tls_is_no_server_even_unchecked() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        stream.write_all(b"SSH-2.0-x\r\n").expect("written");
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let web = hasty(Options {
        insecure_tls: true,
        ..options()
    });
    let url = format!("https://127.0.0.1:{port}/a");
    let why = "the server does not speak TLS";
    assert_eq!(
        fetch(&web, &url),
        Err(format!("cannot fetch `{url}`: {why}"))
    );
}

#[test]
fn no_redirect_leads_out_of_encryption() {
    let from = url("https://example.com/a");
    let refused = |allow, carried| {
        let refusal = redirected(&from, Some("http://example.com/b"), allow, carried);
        refusal.expect_err("refused").to_string()
    };
    let start = "cannot fetch `https://example.com/a`: the server redirects to `http://example.com/b`, which is not encrypted";
    assert_eq!(refused(false, false), start);
    let given = format!("{start}, although credentials were sent");
    assert_eq!(refused(false, true), given);
    assert_eq!(refused(true, true), given);
    let ticket = Some("http://example.com/b?ticket=secret");
    let refusal = redirected(&from, ticket, false, false).expect_err("refused");
    assert_eq!(refusal.to_string(), start);
    let allowed = redirected(&from, Some("http://example.com/b"), true, false);
    assert_eq!(allowed.expect("allowed"), url("http://example.com/b"));
}

#[test]
fn a_redirect_has_to_lead_somewhere() {
    let from = url("https://example.com/a");
    let why = |location| {
        let refusal = redirected(&from, location, true, false);
        refusal.expect_err("refused").to_string()
    };
    let start = "cannot fetch `https://example.com/a`: the server redirects";
    assert_eq!(why(None), format!("{start} without a location"));
    assert_eq!(
        why(Some("file:///etc/shadow")),
        format!(
            "{start} to an invalid location: `file:///etc/shadow` is not a URL that can be fetched: it is neither `https` nor `http`"
        )
    );
    assert_eq!(
        why(Some("https://me:secret@example.com/")),
        format!(
            "{start} to an invalid location: `https://...@example.com/` is not a URL that can be fetched: a URL must not contain credentials"
        )
    );
}

#[test]
fn credentials_do_not_go_to_another_host_or_port() {
    let target = Server::new(vec![done(), done()]);
    let port = target.port;
    let server = Server::new(vec![
        moved("302 Found", &format!("http://localhost:{port}/b")),
        moved("302 Found", &format!("http://127.0.0.1:{port}/b")),
    ]);
    let web = hasty(Options {
        credentials: known_at("away", &[format!("127.0.0.1:{}", server.port)]),
        ..options()
    });
    for _ in 0..2 {
        assert_eq!(fetch(&web, &server.url("/a")), Ok("ok".to_owned()));
    }
    assert_eq!(server.field("Authorization"), ["Bearer t", "Bearer t"]);
    assert_eq!(target.field("Authorization"), ["-", "-"]);
}

#[test]
fn credentials_do_not_leave_this_machine_unencrypted() {
    let domains = ["example.com".to_owned(), "127.0.0.1".to_owned()];
    for host in ["example.com", "127.0.0.1"] {
        let answer = format!("{OK}Content-Length: 2\r\n\r\nok");
        let proxy = Server::new(vec![Act::Tunnel(answer)]);
        let web = behind(
            &format!("127.0.0.1:{}", proxy.port),
            Options {
                credentials: known_at(host, &domains),
                ..options()
            },
        );
        assert_eq!(fetch(&web, &format!("http://{host}/a")), Ok("ok".into()));
        let seen = proxy.seen();
        assert!(seen[0].starts_with(&format!("CONNECT {host}:80 HTTP/1.1\n")));
        assert!(seen[1].starts_with("GET /a HTTP/1.1\n"), "{}", seen[1]);
        assert_eq!(proxy.field("Authorization"), ["-", "-"], "{host}");
    }
}

#[test]
fn credentials_stay_with_their_host() {
    let server = Server::new(vec![moved("301 Moved", "b"), done()]);
    let web = hasty(Options {
        credentials: known_at("stay", &[format!("127.0.0.1:{}", server.port)]),
        ..options()
    });
    assert_eq!(fetch(&web, &server.url("/a")), Ok("ok".to_owned()));
    assert_eq!(server.field("Authorization"), ["Bearer t", "Bearer t"]);
}

#[test]
fn who_redirects_for_ever_is_left() {
    let server = Server::new(vec![moved("302 Found", "/a"); 20]);
    let why = "the server redirects more than 10 times";
    assert_eq!(
        fetch(&web(), &server.url("/a")),
        refused(&server, "/a", why)
    );
    assert_eq!(server.seen().len(), 11);
}

#[test]
fn every_kind_of_redirect_is_followed() {
    for status in [
        "301 Moved Permanently",
        "302 Found",
        "303 See Other",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        let server = Server::new(vec![moved(status, "../b?c"), done()]);
        let Ok(Response::Download(download)) =
            web().open(&server.url("/x/a"), None, Conditions::default())
        else {
            panic!("{status} was not followed");
        };
        assert_eq!(download.url(), server.url("/b?c"));
        let lines: Vec<String> = server.seen();
        assert!(lines[1].starts_with("GET /b?c HTTP/1.1\n"), "{}", lines[1]);
    }
}

#[test]
fn other_statuses_of_that_kind_are_not_followed() {
    for status in ["300 Multiple Choices", "304 Not Modified", "305 Use Proxy"] {
        let server = Server::new(vec![moved(status, "/b")]);
        let why = format!("the server responded with `{status}`");
        assert_eq!(
            fetch(&web(), &server.url("/a")),
            refused(&server, "/a", &why)
        );
    }
}

#[test]
fn what_is_asked_for_is_not_compressed() {
    let server = Server::new(vec![done()]);
    assert_eq!(fetch(&web(), &server.url("/a?b=c#d")), Ok("ok".to_owned()));
    let expected = format!(
        "GET /a?b=c HTTP/1.1\nHost: 127.0.0.1:{}\nUser-Agent: nosecone/{}\nAccept: */*\nAccept-Encoding: identity\nConnection: close\n",
        server.port,
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(server.seen(), [expected]);
}
