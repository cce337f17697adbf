//! Messages as RFC 2131 and others have them.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;

const MAC: Mac = [2, 0, 0, 0, 0, 7];
const TRANSACTION: [u8; 4] = [9, 8, 7, 6];

fn client() -> Client {
    Client {
        mac: MAC,
        uuid: [0x55; 16],
        name: "web".to_owned(),
    }
}

/// An answer with these options.
fn answer(options: &[&[u8]]) -> Vec<u8> {
    let mut message = vec![0; FIXED];
    message[..3].copy_from_slice(&[ANSWER, ETHERNET, 6]);
    message[4..8].copy_from_slice(&TRANSACTION);
    message[16..20].copy_from_slice(&[192, 0, 2, 77]);
    message[28..34].copy_from_slice(&MAC);
    message.extend(COOKIE);
    message.extend(options.concat());
    message
}

const OFFER: &[u8] = &[53, 1, 2];
const SERVER: &[u8] = &[54, 4, 192, 0, 2, 2];
const MASK: &[u8] = &[1, 4, 255, 255, 255, 0];

fn lease(options: &[&[u8]]) -> Option<Lease> {
    let options = [&[OFFER, SERVER, MASK], options].concat();
    match read(&answer(&options), TRANSACTION, MAC) {
        Some(Answer::Offer(lease)) => Some(lease),
        _ => None,
    }
}

#[test]
fn what_is_no_answer_to_this_client_is_none() {
    let whole = answer(&[OFFER, SERVER, MASK, &[51, 4, 0, 0, 14, 16], &[255]]);
    assert!(read(&whole, TRANSACTION, MAC).is_some());
    assert_eq!(read(&whole, [0; 4], MAC), None);
    assert_eq!(read(&whole, TRANSACTION, [2; 6]), None);
    for end in 0..whole.len() - 16 {
        assert_eq!(read(&whole[..end], TRANSACTION, MAC), None, "{end}");
    }
    let with = |at: usize, byte: u8| {
        let mut message = whole.clone();
        message[at] = byte;
        read(&message, TRANSACTION, MAC)
    };
    for (at, byte) in [
        (0, QUESTION),
        (16, 127),
        (16, 224),
        (FIXED, 0),
        (FIXED + 6, 1),
        (FIXED + 6, 9),
        // A mask with holes.
        (FIXED + 15, 0),
    ] {
        assert_eq!(with(at, byte), None, "{at} {byte}");
    }
    assert_eq!(read(&answer(&[SERVER, MASK]), TRANSACTION, MAC), None);
    assert_eq!(read(&answer(&[OFFER, MASK]), TRANSACTION, MAC), None);
    let refusal = answer(&[&[53, 1, 6]]);
    assert_eq!(read(&refusal, TRANSACTION, MAC), Some(Answer::Refused));
}

#[test]
fn nothing_that_a_server_says_gets_into_a_file_as_a_line_or_makes_the_reader_hang() {
    for domain in [&b"a\nb"[..], b"a b", b"", b"\0\0", b"a;b", b"\xff"] {
        assert_eq!(domain_of(domain), None, "{domain:?}");
    }
    for names in [
        // To itself, forward, and in a circle.
        &[0xc0, 0][..],
        &[0xc0, 2, 0],
        &[1, b'a', 0xc0, 0],
        &[1, b'a', 0xc0, 9],
        &[64, b'a', 0],
        &[5, b'a', 0],
        &[1],
        &[1, b'\n', 0],
    ] {
        assert_eq!(names_of(names), Vec::<String>::new(), "{names:?}");
    }
    assert_eq!(routes_of(&[33, 0, 0, 0, 0, 0, 1, 2, 3, 4]), []);
    assert_eq!(routes_of(&[24, 10, 0, 0, 1, 2, 3]), []);
    let many = [0, 192, 0, 2, 1].repeat(100);
    assert_eq!(routes_of(&many).len(), MOST);
}

#[test]
fn what_a_server_lends_is_read() {
    let expected = Lease {
        address: (Ipv4Addr::new(192, 0, 2, 77), 24),
        server: Ipv4Addr::new(192, 0, 2, 2),
        lifetime: None,
        routes: Vec::new(),
        servers: Vec::new(),
        search: Vec::new(),
        mtu: None,
    };
    assert_eq!(lease(&[&[255]]), Some(expected.clone()));
    let hour = Duration::from_secs(3600);
    let router = Ipv4Addr::new(192, 0, 2, 1);
    let got = lease(&[
        &[51, 4, 0, 0, 14, 16],
        &[3, 8, 192, 0, 2, 1, 192, 0, 2, 3],
        &[6, 4, 192, 0, 2, 2],
        // In two parts.
        &[0, 6, 4, 192, 0, 2, 4],
        &[15, 4, b'a', b'.', b'b', 0],
        &[26, 2, 5, 120],
        &[255, 3, 4, 9, 9, 9, 9],
    ]);
    let more = Lease {
        lifetime: Some(hour),
        routes: vec![(Ipv4Addr::UNSPECIFIED, 0, Some(router))],
        servers: vec![Ipv4Addr::new(192, 0, 2, 2), Ipv4Addr::new(192, 0, 2, 4)],
        search: vec!["a.b".to_owned()],
        mtu: Some(1400),
        ..expected.clone()
    };
    assert_eq!(got, Some(more));
    // What leaves no doubt goes before what is older.
    let got = lease(&[
        &[51, 4, 255, 255, 255, 255],
        &[3, 4, 192, 0, 2, 1],
        &[121, 13, 17, 10, 1, 0xff, 192, 0, 2, 9, 0, 192, 0, 2, 8],
        &[15, 1, b'x'],
        &[119, 11, 1, b'a', 1, b'b', 0, 1, b'c', 0xc0, 2, 1, b'd'],
        &[26, 2, 0, 68],
    ])
    .unwrap();
    let routes = [
        (
            Ipv4Addr::new(10, 1, 128, 0),
            17,
            Some(Ipv4Addr::new(192, 0, 2, 9)),
        ),
        (Ipv4Addr::UNSPECIFIED, 0, Some(Ipv4Addr::new(192, 0, 2, 8))),
    ];
    assert_eq!(got.routes, routes);
    assert_eq!(got.search, ["a.b", "c.b"]);
    assert_eq!((got.lifetime, got.mtu), (None, None));
}

#[test]
fn options_can_be_in_fields_that_have_another_meaning() {
    let mut message = answer(&[OFFER, SERVER, MASK, &[52, 1, 3], &[255]]);
    message[BOOT_FILE.start..BOOT_FILE.start + 6].copy_from_slice(&[3, 4, 192, 0, 2, 1]);
    message[SERVER_NAME.start..SERVER_NAME.start + 4].copy_from_slice(&[26, 2, 5, 220]);
    let Some(Answer::Offer(lease)) = read(&message, TRANSACTION, MAC) else {
        panic!("no offer");
    };
    assert_eq!((lease.routes.len(), lease.mtu), (1, Some(1500)));
}

#[test]
fn a_question_says_who_asks_and_how_to_answer() {
    let address = Ipv4Addr::new(192, 0, 2, 77);
    let server = Ipv4Addr::new(192, 0, 2, 2);
    for (question, kind) in [
        (Question::Discover, 1),
        (Question::Keep(address), 3),
        (Question::Take { address, server }, 3),
    ] {
        let message = client().ask(TRANSACTION, question);
        assert!(message.len() >= LEAST);
        assert_eq!(message[..4], [QUESTION, ETHERNET, 6, 0]);
        assert_eq!((&message[4..8], message[10]), (&TRANSACTION[..], 0x80));
        assert_eq!(message[28..34], MAC);
        let own = match question {
            Question::Keep(address) => address.octets(),
            _ => [0; 4],
        };
        assert_eq!(message[12..16], own);
        let options = Options::read(&message, &message[FIXED + 4..]);
        assert_eq!(options.bytes(option::KIND), Some([kind]));
        assert_eq!(options.get(option::HOST_NAME), Some(&b"web"[..]));
        assert_eq!(options.get(option::CLIENT).unwrap().len(), 23);
        let taken = matches!(question, Question::Take { .. });
        assert_eq!(options.address(option::WANTED), taken.then_some(address));
        assert_eq!(options.address(option::SERVER), taken.then_some(server));
    }
}
