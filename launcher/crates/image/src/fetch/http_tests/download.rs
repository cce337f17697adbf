//! Lengths, limits, and resuming after a connection broke.

use super::*;

/// A header of an answer with ten bytes and a strong tag.
const TEN: &str = "HTTP/1.1 200 OK\r\nETag: \"a\"\r\nContent-Length: 10\r\n\r\n";

/// An answer with a part of ten bytes.
fn part(etag: &str, range: &str, body: &str) -> Act {
    let length = body.len();
    say(format!(
        "HTTP/1.1 206 Partial Content\r\nETag: {etag}\r\nContent-Range: bytes {range}\r\nContent-Length: {length}\r\n\r\n{body}"
    ))
}

#[test]
fn a_body_that_ends_early_is_an_error() {
    let chunked = "Transfer-Encoding: chunked\r\n\r\na\r\n01234";
    for (answer, of) in [
        (format!("{OK}Content-Length: 10\r\n\r\n01234"), " of 10 B"),
        (format!("{OK}{chunked}"), ""),
    ] {
        let server = Server::new(vec![say(&*answer); 3]);
        let why = format!("the connection broke after 5 B{of}");
        assert_eq!(
            fetch(&web(), &server.url("/a")),
            refused(&server, "/a", &why)
        );
        assert_eq!(server.seen().len(), 3);
        let server = Server::new(vec![say(&*answer); 3]);
        assert_eq!(
            web()
                .document(&server.url("/a"), 100)
                .map_err(|refusal| refusal.to_string()),
            refused(&server, "/a", &why)
        );
    }
}

#[test]
fn an_answer_cut_in_its_header_is_no_empty_document() {
    let server = Server::new(vec![say("HTTP/1.1 200 OK\r\nServer: x\r\nConte"); 3]);
    let why = "the connection broke before an answer";
    assert_eq!(
        fetch(&web(), &server.url("/a")),
        refused(&server, "/a", why)
    );
}

#[test]
fn what_cannot_be_asked_for_in_part_comes_once_more() {
    let chunks = |body: &str| {
        let length = body.len();
        format!("Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n")
    };
    let whole = format!("{OK}{}0\r\n\r\n", chunks("0123456789"));
    let of_ten = format!("{OK}Content-Length: 10\r\n\r\n");
    let weak = format!("{OK}ETag: W/\"a\"\r\nContent-Length: 10\r\n\r\n");
    for script in [
        // Without a validator; with a weak one; cut twice.
        vec![format!("{of_ten}01234"), format!("{of_ten}0123456789")],
        vec![format!("{OK}{}", chunks("01234")), whole.clone()],
        vec![format!("{weak}0"), format!("{weak}0123456789")],
        vec![
            format!("{of_ten}012345"),
            format!("{of_ten}012"),
            format!("{of_ten}0123456789"),
        ],
        // A server without ranges.
        vec![format!("{TEN}01234"), format!("{TEN}0123456789")],
    ] {
        let count = script.len();
        let server = Server::new(script.into_iter().map(say).collect());
        assert_eq!(
            fetch(&web(), &server.url("/a")),
            Ok("0123456789".to_owned())
        );
        assert_eq!(server.seen().len(), count);
    }
}

#[test]
fn what_comes_once_more_is_not_glued_to_what_it_is_not() {
    let of_ten = format!("{OK}Content-Length: 10\r\n\r\n");
    let server = Server::new(vec![
        say(format!("{of_ten}01234")),
        say(format!("{of_ten}x123456789")),
    ]);
    let why =
        "the connection broke after 5 B of 10 B, and the file has changed on the server since";
    assert_eq!(
        fetch(&web(), &server.url("/a")),
        refused(&server, "/a", why)
    );
}

#[test]
fn a_document_beyond_the_limit_is_refused_before_it_is_read() {
    let server = Server::new(vec![Act::Endless(format!(
        "{OK}Content-Length: 11\r\n\r\n"
    ))]);
    let refusal = web().document(&server.url("/a"), 10).expect_err("refused");
    assert_eq!(
        Err(refusal.to_string()),
        refused::<()>(&server, "/a", "it is larger than the maximum of 10 B")
    );
}

#[test]
fn a_body_without_end_stops_at_the_limit() {
    let why = "it is larger than the maximum of 976.6 KiB";
    let server = Server::new(vec![Act::Endless(format!("{OK}\r\n"))]);
    let refusal = web().document(&server.url("/a"), 1_000_000);
    assert_eq!(
        Err(refusal.expect_err("refused").to_string()),
        refused::<()>(&server, "/a", why)
    );
}

#[test]
fn a_body_as_long_as_the_limit_is_accepted() {
    let server = Server::new(vec![say(format!("{TEN}0123456789"))]);
    let whole = web().document(&server.url("/a"), 10);
    assert_eq!(whole.expect("whole"), b"0123456789");
}

#[test]
fn a_file_that_changed_is_not_glued_together() {
    let why =
        "the connection broke after 5 B of 10 B, and the file has changed on the server since";
    let full = |etag: &str, length: usize| {
        let body = "x".repeat(length);
        say(format!(
            "{OK}ETag: {etag}\r\nContent-Length: {length}\r\n\r\n{body}"
        ))
    };
    for second in [
        full("\"b\"", 10),
        part("\"b\"", "5-9/10", "56789"),
        part("\"a\"", "5-10/11", "56789a"),
        say("HTTP/1.1 416 Range Not Satisfiable\r\n\r\n"),
        say("HTTP/1.1 412 Precondition Failed\r\n\r\n"),
    ] {
        let server = Server::new(vec![say(format!("{TEN}01234")), second]);
        assert_eq!(
            fetch(&web(), &server.url("/a")),
            refused(&server, "/a", why)
        );
    }
}

#[test]
fn a_part_that_begins_earlier_is_passed_over_so_far() {
    for second in [
        part("\"a\"", "4-9/10", "456789"),
        part("\"a\"", "0-9/10", "0123456789"),
    ] {
        let server = Server::new(vec![say(format!("{TEN}01234")), second]);
        assert_eq!(
            fetch(&web(), &server.url("/a")),
            Ok("0123456789".to_owned())
        );
    }
}

#[test]
fn after_another_part_than_the_asked_one_the_whole_is_asked_for() {
    for second in [
        part("\"a\"", "6-9/10", "6789"),
        part("\"a\"", "5-9/10", "5678"),
        part("\"a\"", "9-5/10", "56789"),
        part("\"a\"", "0-4/10", "01234"),
        say("HTTP/1.1 206 Partial Content\r\nContent-Length: 5\r\n\r\n56789"),
    ] {
        let whole = say(format!("{TEN}0123456789"));
        let server = Server::new(vec![say(format!("{TEN}01234")), second, whole]);
        assert_eq!(
            fetch(&web(), &server.url("/a")),
            Ok("0123456789".to_owned())
        );
        assert_eq!(server.field("Range"), ["-", "bytes=5-", "-"]);
    }
}

#[test]
fn a_server_that_gives_nothing_more_is_left() {
    let why = "the connection broke after 5 B of 10 B";
    let nothing = say(
        "HTTP/1.1 206 Partial Content\r\nETag: \"a\"\r\nContent-Range: bytes 5-9/10\r\nContent-Length: 5\r\n\r\n",
    );
    let mut script = vec![say(format!("{TEN}01234"))];
    script.extend(vec![nothing; 9]);
    let server = Server::new(script);
    assert_eq!(
        fetch(&web(), &server.url("/a")),
        refused(&server, "/a", why)
    );
    assert_eq!(server.seen().len(), 3);
}

#[test]
fn a_server_that_falls_silent_is_asked_again() {
    let silent = Act::Hang(format!("{TEN}012"));
    let server = Server::new(vec![silent, part("\"a\"", "3-9/10", "3456789")]);
    assert_eq!(
        fetch(&web(), &server.url("/a")),
        Ok("0123456789".to_owned())
    );
    assert_eq!(server.field("Range"), ["-", "bytes=3-"]);
    assert_eq!(server.field("If-Range"), ["-", "\"a\""]);
}

#[test]
fn a_server_that_falls_silent_for_good_is_left() {
    let silent = Act::Hang(format!("{TEN}012"));
    let server = Server::new(vec![silent.clone(), silent.clone(), silent]);
    let why = "the transfer stalled for 0.5 seconds after 3 B of 10 B";
    assert_eq!(
        fetch(&web(), &server.url("/a")),
        refused(&server, "/a", why)
    );
}

#[test]
fn what_could_not_be_resumed_says_why_it_had_to_be() {
    let server = Server::new(vec![say(format!("{TEN}012")), say(""), say("")]);
    let why = "the connection broke after 3 B of 10 B, and could not be resumed: \
               the connection broke before an answer";
    assert_eq!(
        fetch(&web(), &server.url("/a")),
        refused(&server, "/a", why)
    );
}

#[test]
fn a_slow_server_is_waited_for() {
    // Each byte arrives in time, but the whole takes longer than any
    // timeout.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        request(&stream);
        stream.write_all(TEN.as_bytes()).expect("written");
        for byte in b"0123456789" {
            std::thread::sleep(Duration::from_millis(100));
            stream.write_all(&[*byte]).expect("written");
        }
    });
    let url = format!("http://127.0.0.1:{port}/a");
    let once = hasty(Options {
        attempts: 1,
        ..options()
    });
    assert_eq!(fetch(&once, &url), Ok("0123456789".to_owned()));
}

#[test]
fn a_download_goes_on_where_it_broke() {
    let server = Server::new(vec![
        say(format!("{TEN}012")),
        say("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"),
        part("\"a\"", "3-9/10", "3456789"),
    ]);
    assert_eq!(
        fetch(&web(), &server.url("/a")),
        Ok("0123456789".to_owned())
    );
    assert_eq!(server.field("Range"), ["-", "bytes=3-", "bytes=3-"]);
}

/// Opens a download whose first three bytes are there.
fn rest(server: &Server) -> std::result::Result<(u64, String), String> {
    let part = Partial {
        validators: Validators {
            etag: Some("\"a\"".to_owned()),
            last_modified: None,
        },
        length: 10,
        at: 3,
    };
    let have = Conditions {
        partial: Some(&part),
        ..Conditions::default()
    };
    let mut download = match web().open(&server.url("/a"), Some(10), have) {
        Ok(Response::Download(download)) => download,
        Ok(Response::NotModified(_)) => return Err("unchanged".to_owned()),
        Err(refusal) => return Err(refusal.to_string()),
    };
    let (at, mut text) = (download.at(), String::new());
    match download.read_to_string(&mut text) {
        Ok(_) => Ok((at, text)),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn a_part_of_another_version_is_not_gone_on_with() {
    let other = format!("{OK}ETag: \"b\"\r\nContent-Length: 5\r\n\r\nother");
    let unwilling = [
        say("HTTP/1.1 416 Too Far\r\nContent-Length: 0\r\n\r\n"),
        part("\"b\"", "3-9/10", "3456789"),
        part("\"a\"", "4-9/10", "456789"),
        part("\"a\"", "3-9/11", "3456789"),
    ];
    // What it repeats is passed over.
    let server = Server::new(vec![part("\"a\"", "2-9/10", "23456789")]);
    assert_eq!(rest(&server), Ok((3, "3456789".to_owned())));
    // As the protocol has it, it comes at once.
    let server = Server::new(vec![say(&*other)]);
    assert_eq!(rest(&server), Ok((0, "other".to_owned())));
    for answer in unwilling {
        let server = Server::new(vec![answer, say(&*other)]);
        assert_eq!(rest(&server), Ok((0, "other".to_owned())));
        assert_eq!(server.field("Range"), ["bytes=3-", "-"]);
    }
}

#[test]
fn a_part_is_gone_on_with_as_often_as_it_takes() {
    let server = Server::new(vec![
        say("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"),
        part("\"a\"", "3-4/10", "34"),
        part("\"a\"", "5-9/10", "56789"),
    ]);
    assert_eq!(rest(&server), Ok((3, "3456789".to_owned())));
    assert_eq!(server.field("Range"), ["bytes=3-", "bytes=3-", "bytes=5-"]);
    assert_eq!(server.field("If-Range"), ["\"a\"", "\"a\"", "\"a\""]);
}

#[test]
fn a_part_that_is_smaller_than_asked_for_is_followed_by_another() {
    let dated = "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    let first = format!("{OK}{dated}Content-Length: 10\r\n\r\n0123");
    let second = format!(
        "HTTP/1.1 206 Partial Content\r\n{dated}Content-Range: bytes 4-6/10\r\nContent-Length: 3\r\n\r\n456"
    );
    let third = format!(
        "HTTP/1.1 206 Partial Content\r\n{dated}Content-Range: bytes 7-9/10\r\nContent-Length: 3\r\n\r\n789"
    );
    let server = Server::new(vec![say(first), say(second), say(third)]);
    let patient = hasty(Options {
        attempts: 4,
        ..options()
    });
    assert_eq!(
        fetch(&patient, &server.url("/a")),
        Ok("0123456789".to_owned())
    );
    assert_eq!(server.field("Range"), ["-", "bytes=4-", "bytes=7-"]);
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    assert_eq!(server.field("If-Range"), ["-", date, date]);
}

#[test]
fn chunks_are_put_together() {
    let chunked =
        format!("{OK}Transfer-Encoding: chunked\r\n\r\n3\r\n012\r\n7\r\n3456789\r\n0\r\n\r\n");
    let server = Server::new(vec![say(chunked)]);
    assert_eq!(
        fetch(&web(), &server.url("/a")),
        Ok("0123456789".to_owned())
    );
}

#[test]
fn what_is_read_in_two_ways_is_not_read() {
    let two = format!("{OK}Content-Length: 3\r\nContent-Length: 4\r\n\r\n0123");
    let server = Server::new(vec![say(two)]);
    let why = "the response has two different lengths";
    assert_eq!(
        fetch(&web(), &server.url("/a")),
        refused(&server, "/a", why)
    );
}

#[test]
fn a_download_tells_what_it_is() {
    let head = "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nCache-Control: max-age=60\r\n";
    let server = Server::new(vec![say(format!(
        "{OK}{head}ETag: W/\"a\"\r\nContent-Length: 2\r\n\r\nok"
    ))]);
    let Ok(Response::Download(download)) =
        web().open(&server.url("/a"), Some(2), Conditions::default())
    else {
        panic!("no download");
    };
    assert_eq!(download.length(), Some(2));
    assert_eq!(download.freshness().max_age, Some(60));
    let expected = Validators {
        etag: Some("W/\"a\"".to_owned()),
        last_modified: Some("Sun, 06 Nov 1994 08:49:37 GMT".to_owned()),
    };
    assert_eq!(*download.validators(), expected);
}

#[test]
fn a_download_can_move_to_another_thread() {
    fn movable<T: Send + 'static>() {}
    movable::<Download>();
}
