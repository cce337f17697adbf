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
        allow_http: Plain::Nobody,
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
#[cfg(feature = "tls")]
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
    assert_eq!(refused(Plain::Nobody, false), start);
    let given = format!("{start}, although credentials were sent");
    assert_eq!(refused(Plain::Nobody, true), given);
    assert_eq!(refused(Plain::Everybody, true), given);
    let ticket = Some("http://example.com/b?ticket=secret");
    let refusal = redirected(&from, ticket, Plain::Nobody, false).expect_err("refused");
    assert_eq!(refusal.to_string(), start.replace("/b", "/b?..."));
    // What is allowed on this machine is not allowed elsewhere.
    assert_eq!(refused(Plain::Loopback, false), start);
    for (allow, to) in [
        (Plain::Everybody, "http://example.com/b"),
        (Plain::Loopback, "http://127.0.0.1/b"),
    ] {
        let allowed = redirected(&from, Some(to), allow, false);
        assert_eq!(allowed.expect("allowed"), url(to));
    }
}

#[test]
fn a_redirect_has_to_lead_somewhere() {
    let from = url("https://example.com/a");
    let why = |location| {
        let refusal = redirected(&from, location, Plain::Everybody, false);
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
        assert_eq!(fetch(&web, &server.near("/a")), Ok("ok".to_owned()));
    }
    assert_eq!(server.field("Authorization"), ["Bearer t", "Bearer t"]);
    assert_eq!(target.field("Authorization"), ["-", "-"]);
}

#[test]
fn credentials_do_not_leave_this_machine_unencrypted() {
    let domains = ["example.com".to_owned(), "127.0.0.1".to_owned()];
    for host in ["example.com", "127.0.0.1"] {
        let proxy = Server::new(vec![done()]);
        let web = behind(
            &format!("me:secret@127.0.0.1:{}", proxy.port),
            Options {
                credentials: known_at(host, &domains),
                ..options()
            },
        );
        assert_eq!(fetch(&web, &format!("http://{host}/a?b")), Ok("ok".into()));
        let seen = proxy.seen();
        // A proxy is told the whole URL, and who we are to it.
        let start = format!("GET http://{host}/a?b HTTP/1.1\nHost: {host}\n");
        assert!(seen[0].starts_with(&start), "{}", seen[0]);
        assert_eq!(proxy.field("Authorization"), ["-"], "{host}");
        let login = "Basic bWU6c2VjcmV0";
        assert_eq!(proxy.field("Proxy-Authorization"), [login], "{host}");
    }
}

#[test]
#[cfg(feature = "tls")]
fn through_a_proxy_an_encrypted_connection_reaches_the_server_itself() {
    let proxy = Server::new(vec![Act::Tunnel(String::new())]);
    let proxies = Proxies::read(|name| {
        let address = format!("me:secret@127.0.0.1:{}", proxy.port);
        (name == "https_proxy").then_some(address)
    });
    let once = Options {
        attempts: 1,
        ..options()
    };
    let url = "https://[::1]:8443/a";
    // No server is behind this proxy.
    let broke = Err(format!("cannot fetch `{url}`: the connection broke"));
    assert_eq!(fetch(&impatient(once, proxies), url), broke);
    let seen = proxy.seen();
    let start = "CONNECT [::1]:8443 HTTP/1.1\nHost: [::1]:8443\n";
    assert!(seen[0].starts_with(start), "{}", seen[0]);
    assert_eq!(proxy.field("Proxy-Authorization")[0], "Basic bWU6c2VjcmV0");
}

#[test]
fn credentials_stay_with_their_host() {
    let server = Server::new(vec![moved("301 Moved", "b"), done()]);
    let web = hasty(Options {
        credentials: known_at("stay", &[format!("127.0.0.1:{}", server.port)]),
        ..options()
    });
    assert_eq!(fetch(&web, &server.near("/a")), Ok("ok".to_owned()));
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
        assert_eq!(download.redirected(), Some(&*server.url("/b?...")));
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
    let server = Server::new(vec![done(), done()]);
    // The two ways of a request differ in nothing but the name of the server.
    for (url, host) in [
        (server.url("/a?b=c#d"), "0.0.0.0"),
        (server.near("/a?b=c#d"), "127.0.0.1"),
    ] {
        assert_eq!(fetch(&web(), &url), Ok("ok".to_owned()));
        let expected = format!(
            "GET /a?b=c HTTP/1.1\nHost: {host}:{}\nUser-Agent: nosecone/{}\nAccept: */*\nAccept-Encoding: identity\nConnection: close\n",
            server.port,
            env!("CARGO_PKG_VERSION")
        );
        assert_eq!(server.seen().last(), Some(&expected));
    }
}

#[test]
fn a_document_that_is_compressed_all_the_same_is_not_taken_for_itself() {
    let answer = format!("{OK}Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok");
    let server = Server::new(vec![say(&*answer), say(answer)]);
    let why = "the response is encoded with `gzip`, which was not asked for";
    assert_eq!(
        web()
            .document(&server.url("/a"), 10)
            .map_err(|refusal| refusal.to_string()),
        refused(&server, "/a", why)
    );
    // An archive says itself how it is compressed.
    assert_eq!(fetch(&web(), &server.url("/a")), Ok("ok".to_owned()));
}

#[test]
fn a_server_with_an_ipv6_address_is_reached_and_named_in_brackets() {
    // A host may have no such address.
    let Ok(listener) = TcpListener::bind("[::1]:0") else {
        return;
    };
    let port = listener.local_addr().expect("an address").port();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let request = request(&stream);
        let answer = format!("{OK}Content-Length: 2\r\n\r\nok");
        stream.write_all(answer.as_bytes()).expect("written");
        request
    });
    let credentials = known_at("six", &[format!("[::1]:{port}")]);
    let web = hasty(Options {
        credentials,
        ..options()
    });
    let url = format!("HTTP://[0::1]:{port}/a");
    assert_eq!(fetch(&web, &url), Ok("ok".to_owned()));
    let request = server.join().expect("no panic");
    let start = format!("GET /a HTTP/1.1\nHost: [::1]:{port}\n");
    assert!(request.starts_with(&start), "{request}");
    assert!(request.contains("\nAuthorization: Bearer t\n"), "{request}");
}
