//! Slow clients, half-closed connections, and servers that are not there.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;

use std::net::Ipv4Addr;
use std::thread::{self, JoinHandle};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// What a test waits for at most.
const PATIENCE: Duration = Duration::from_secs(20);

/// Relays to a port, until nothing has happened for a moment.
fn relay(protocol: Protocol, addresses: Vec<IpAddr>, number: u16) -> (SocketAddr, Over) {
    let (socket, address): (OwnedFd, _) = match protocol {
        Protocol::Tcp => {
            let listener = TcpListener::bind((HERE, 0)).unwrap();
            listener.set_nonblocking(true).unwrap();
            let address = listener.local_addr().unwrap();
            (listener.into(), address)
        }
        Protocol::Udp => {
            let socket = UdpSocket::bind((HERE, 0)).unwrap();
            socket.set_nonblocking(true).unwrap();
            let address = socket.local_addr().unwrap();
            (socket.into(), address)
        }
    };
    let port = Port {
        protocol,
        socket,
        addresses,
        number,
    };
    let idle = Duration::from_millis(300);
    (address, thread::spawn(move || run_for(&[port], idle, idle)))
}

type Over = JoinHandle<Result<()>>;

fn client(address: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client
}

#[test]
fn a_client_without_a_server_is_sent_away() {
    let closed = TcpListener::bind((HERE, 0)).unwrap();
    let number = closed.local_addr().unwrap().port();
    drop(closed);
    let (address, over) = relay(Protocol::Tcp, vec![HERE], number);
    let mut client = client(address);
    assert!(matches!(client.read(&mut [0]), Ok(0) | Err(_)));
    over.join().unwrap().unwrap();
}

#[test]
fn what_is_sent_arrives_whole_both_ways_however_slow_the_other_is() {
    let server = TcpListener::bind((HERE, 0)).unwrap();
    let number = server.local_addr().unwrap().port();
    // Nobody answers at the first address.
    let nobody = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
    let (address, over) = relay(Protocol::Tcp, vec![nobody, HERE], number);
    let sent: Vec<u8> = (0..5_000_011_u32).map(|at| (at % 251) as u8).collect();
    let expected = sent.clone();
    let served = thread::spawn(move || {
        let (mut stream, _) = server.accept().unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        // The client has ended its half only: it still hears this.
        stream.write_all(&all).unwrap();
        all == expected
    });
    let mut client = client(address);
    client.write_all(&sent).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut back = Vec::new();
    client.read_to_end(&mut back).unwrap();
    assert!(back == sent && served.join().unwrap());
    drop(client);
    over.join().unwrap().unwrap();
}

#[test]
fn clients_that_say_nothing_keep_nobody_waiting() {
    let server = TcpListener::bind((HERE, 0)).unwrap();
    let number = server.local_addr().unwrap().port();
    let (address, over) = relay(Protocol::Tcp, vec![HERE], number);
    let silent: Vec<TcpStream> = (0..50).map(|_| client(address)).collect();
    let taken: Vec<TcpStream> = (0..50).map(|_| server.accept().unwrap().0).collect();
    let mut asking = client(address);
    asking.write_all(b"?").unwrap();
    let (mut stream, _) = server.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.read_exact(&mut [0]).unwrap();
    stream.write_all(b"!").unwrap();
    asking.read_exact(&mut [0]).unwrap();
    drop((silent, taken, asking, stream));
    over.join().unwrap().unwrap();
}

#[test]
fn answers_to_datagrams_go_to_whoever_asked() {
    let server = UdpSocket::bind((HERE, 0)).unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let (address, over) = relay(
        Protocol::Udp,
        vec![HERE],
        server.local_addr().unwrap().port(),
    );
    let clients: Vec<UdpSocket> = (0..3)
        .map(|_| UdpSocket::bind((HERE, 0)).unwrap())
        .collect();
    for round in 0..2_u8 {
        for (number, client) in (0..).zip(&clients) {
            client.set_read_timeout(Some(PATIENCE)).unwrap();
            client.send_to(&[round, number], address).unwrap();
        }
        let mut asked = Vec::new();
        for _ in &clients {
            let mut buffer = [0; 9];
            let (length, from) = server.recv_from(&mut buffer).unwrap();
            asked.push((buffer[..length].to_vec(), from));
        }
        for (text, from) in asked {
            server.send_to(&text, from).unwrap();
        }
        for (number, client) in (0..).zip(&clients) {
            let mut buffer = [0; 9];
            let (length, from) = client.recv_from(&mut buffer).unwrap();
            assert_eq!((&buffer[..length], from), (&[round, number][..], address));
        }
    }
    over.join().unwrap().unwrap();
}
