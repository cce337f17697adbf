//! Tests [`resolve`](super::resolve()) with name servers of our own.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, UdpSocket};

use super::*;

/// What a server knows: names, and the addresses that they have.
type Zone = &'static [(&'static str, &'static [[u8; 4]])];

const ZONE: Zone = &[
    ("web.example", &[[192, 0, 2, 1], [192, 0, 2, 2]]),
    ("db.lan.example", &[[192, 0, 2, 3]]),
    ("empty.example", &[]),
];

/// How a server answers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Well,
    /// It says that it has failed.
    Fails,
    /// By UDP, it says that the answer does not fit.
    Cuts,
    /// It first says what nobody has asked.
    Guesses,
}

/// Starts a server, which ends with the tests.
fn server(how: How) -> SocketAddr {
    let (udp, tcp) = loop {
        let udp = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        // The port may be taken.
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().expect("an address")) {
            break (udp, tcp);
        }
    };
    let address = udp.local_addr().expect("an address");
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = udp.recv_from(&mut buffer) {
            let question = &buffer[..length];
            if how == How::Guesses {
                let mut other = answer(question, How::Well);
                other[0] ^= 1;
                udp.send_to(&other, from).expect("sent");
            }
            udp.send_to(&answer(question, how), from).expect("sent");
        }
    });
    std::thread::spawn(move || {
        for stream in tcp.incoming() {
            let mut stream = stream.expect("a connection");
            let mut length = [0; 2];
            stream.read_exact(&mut length).expect("a length");
            let mut question = vec![0; u16::from_be_bytes(length).into()];
            stream.read_exact(&mut question).expect("a question");
            let answer = answer(&question, How::Well);
            let length = u16::try_from(answer.len()).expect("a short answer");
            let whole = [&length.to_be_bytes(), &answer[..]].concat();
            stream.write_all(&whole).expect("sent");
        }
    });
    address
}

fn answer(question: &[u8], how: How) -> Vec<u8> {
    let mut labels = question[12..].split(|byte| *byte < b' ');
    let labels: Vec<&[u8]> = labels
        .by_ref()
        .skip(1)
        .take_while(|l| !l.is_empty())
        .collect();
    let name = String::from_utf8(labels.join(&b'.')).expect("a name");
    let known = ZONE.iter().find(|(known, _)| *known == name);
    let is_a = question[question.len() - 3] == 1;
    let mut answer = question.to_vec();
    answer[2..4].copy_from_slice(match (how, known) {
        (How::Fails, _) => &[0x81, 0x82],
        (How::Cuts, _) => &[0x83, 0x80],
        (_, None) => &[0x81, 0x83],
        (_, Some(_)) => &[0x81, 0x80],
    });
    let addresses = known.filter(|_| is_a && matches!(how, How::Well | How::Guesses));
    for address in addresses.map_or(&[][..], |(_, addresses)| addresses) {
        answer[7] += 1;
        answer.extend(b"\xc0\x0c\0\x01\0\x01\0\0\0\x09\0\x04");
        answer.extend(address);
    }
    answer
}

fn asking(servers: &[SocketAddr], text: &str) -> Conf {
    let mut conf = Conf::parse(text);
    conf.servers = servers.to_vec();
    conf
}

fn addresses(last: &[u8]) -> Result<Vec<IpAddr>, Fault> {
    Ok(last.iter().map(|last| [192, 0, 2, *last].into()).collect())
}

fn fails(why: &str) -> Result<Vec<IpAddr>, Fault> {
    Err(Fault::permanent(format!(
        "cannot resolve the host name: {why}"
    )))
}

#[test]
fn the_file_of_hosts_is_heard_first() {
    let hosts = "127.0.0.1 localhost\n# 192.0.2.9 web\n192.0.2.1 web.example WEB # web2\n\
                 fe80::1%eth0 web\n2001:db8::1 other web\n";
    let address = |text: &str| text.parse::<IpAddr>().expect("an address");
    let found = ["192.0.2.1", "2001:db8::1"].map(address);
    assert_eq!(known(hosts, "Web"), found);
    assert_eq!(known(hosts, "web."), found);
    assert_eq!(known(hosts, "web2"), [] as [IpAddr; 0]);
    assert_eq!(known(hosts, "localhost"), [IpAddr::from([127, 0, 0, 1])]);
    assert_eq!(known("", "localhost").len(), 2);
}

#[test]
fn a_server_knows_addresses_and_which_names_there_are() {
    for how in [How::Well, How::Guesses, How::Cuts] {
        let conf = asking(&[server(how)], "search lan.example");
        assert_eq!(conf.ask("web.example"), addresses(&[1, 2]));
        assert_eq!(conf.ask("db"), addresses(&[3]));
        assert_eq!(conf.ask("no.example"), fails("no host has this name"));
        assert_eq!(conf.ask("empty.example"), fails("the host has no address"));
        assert_eq!(conf.ask("a..b"), fails("no host has this name"));
    }
}

#[test]
fn where_one_server_fails_the_next_is_asked() {
    let gone = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    let gone = gone.expect("an address");
    let failing = server(How::Fails);
    let conf = asking(&[gone, failing, server(How::Well)], "");
    assert_eq!(conf.ask("web.example"), addresses(&[1, 2]));
    for (servers, why) in [
        ([failing, gone], "Connection refused"),
        ([gone, failing], "it has failed to find out (SERVFAIL)"),
    ] {
        let why = format!("cannot resolve the host name: name server 127.0.0.1: {why}");
        let refused = asking(&servers, "").ask("web.example");
        assert_eq!(refused, Err(Fault::transient(why)));
    }
}

#[test]
fn servers_may_be_asked_by_tcp_alone() {
    let conf = asking(&[server(How::Fails)], "options use-vc");
    assert_eq!(conf.ask("web.example"), addresses(&[1, 2]));
}
