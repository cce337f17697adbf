//! Passes on what comes to the ports of a pod on its host, and was not redirected
//! by the packet filter: what the host itself and other pods send.
//!
//! Each end is read from only if the other takes what was read, so a slow one
//! keeps nobody waiting and costs no memory. The number of connections is bounded:
//! a new one replaces the oldest.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _, Result, Write as _};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use crate::spec::ports::Protocol;

/// A port of the host, and what it leads to.
pub struct Port {
    /// The protocol.
    pub protocol: Protocol,
    /// The socket that listens on the port; reading from it does not block.
    pub socket: OwnedFd,
    /// The addresses of the pod, of which the first that answers counts.
    pub addresses: Vec<IpAddr>,
    /// The port in the pod.
    pub number: u16,
}

/// The most connections at a time, and as many exchanges of datagrams.
pub const CONNECTIONS: usize = 1024;

/// How long the relay keeps running without anything to pass on.
const IDLE: Duration = Duration::from_secs(10);

/// How long an exchange of datagrams lasts without any.
const SILENCE: Duration = Duration::from_secs(60);

/// How much is read at once, in bytes: no datagram is longer.
const BUFFER: usize = 64 << 10;

/// How often to read from one socket before others have their turn.
const TURNS: usize = 16;

/// How many events are taken at once.
const EVENTS: usize = 256;

/// Passes on until there has been nothing to pass on for a while.
///
/// # Errors
///
/// The kernel has no memory.
pub fn run(ports: &[Port]) -> Result<()> {
    run_for(ports, IDLE, SILENCE)
}

fn run_for(ports: &[Port], idle: Duration, silence: Duration) -> Result<()> {
    let mut relay = Relay {
        events: epoll::create(CreateFlags::CLOEXEC)?,
        doors: Vec::new(),
        pairs: BTreeMap::new(),
        exchanges: BTreeMap::new(),
        next: 0,
        silence,
        buffer: vec![0; BUFFER],
    };
    for port in ports {
        let number = relay.number();
        relay.watch(&port.socket, number, EventFlags::IN)?;
        relay.doors.push(Door::new(port)?);
    }
    let mut events: Vec<Event> = Vec::with_capacity(EVENTS);
    let mut ready: Vec<u64> = Vec::new();
    loop {
        let patience = match ready.is_empty() {
            true => idle,
            false => Duration::ZERO,
        };
        let patience = Timespec::try_from(patience).unwrap_or_default();
        match epoll::wait(&relay.events, spare_capacity(&mut events), Some(&patience)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        if events.is_empty() && ready.is_empty() {
            let now = Instant::now();
            relay.exchanges.retain(|_, one| one.until > now);
            if relay.pairs.is_empty() && relay.exchanges.is_empty() {
                return Ok(());
            }
        }
        let more = ready.drain(..);
        let mut turns: Vec<u64> = events.drain(..).map(|event| event.data.u64()).collect();
        turns.extend(more);
        turns.sort_unstable();
        turns.dedup();
        for number in turns {
            if relay.take_turn(number) {
                ready.push(number);
            }
        }
    }
}

/// What comes in by a port.
enum Door {
    Connections(TcpListener, Vec<SocketAddr>),
    Datagrams(UdpSocket, Vec<SocketAddr>),
}

impl Door {
    fn new(port: &Port) -> Result<Self> {
        let addresses = port.addresses.iter();
        let targets = addresses.map(|&address| SocketAddr::new(address, port.number));
        let targets = targets.collect();
        let socket = port.socket.try_clone()?;
        Ok(match port.protocol {
            Protocol::Tcp => Self::Connections(socket.into(), targets),
            Protocol::Udp => Self::Datagrams(socket.into(), targets),
        })
    }
}

struct Relay {
    events: OwnedFd,
    /// Their numbers are their places.
    doors: Vec<Door>,
    /// The connections, oldest first.
    pairs: BTreeMap<u64, Pair>,
    exchanges: BTreeMap<u64, Exchange>,
    /// The next number by which the kernel is to name a socket.
    next: u64,
    silence: Duration,
    buffer: Vec<u8>,
}

impl Relay {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    fn watch(&self, socket: impl std::os::fd::AsFd, number: u64, what: EventFlags) -> Result<()> {
        Ok(epoll::add(
            &self.events,
            socket,
            EventData::new_u64(number),
            what,
        )?)
    }

    /// Does what can be done without blocking for what this number names; returns
    /// whether there is more to do.
    fn take_turn(&mut self, number: u64) -> bool {
        let place = usize::try_from(number).unwrap_or(usize::MAX);
        if place < self.doors.len() {
            // The kernel says again that there is more.
            self.enter(place);
            return false;
        }
        if let Some(mut pair) = self.pairs.remove(&number) {
            return match pair.go_on(&mut self.buffer) {
                Ok(Progress::Unknown) => self.knock(number, pair),
                Ok(Progress::Over) | Err(_) => false,
                Ok(progress) => {
                    self.pairs.insert(number, pair);
                    progress == Progress::More
                }
            };
        }
        if let Some(exchange) = self.exchanges.get_mut(&number)
            && let Some(Door::Datagrams(door, _)) = self.doors.get(exchange.door)
        {
            exchange.until = Instant::now() + self.silence;
            // Errors are about one datagram.
            while let Ok(length) = exchange.socket.recv(&mut self.buffer) {
                let _ = door.send_to(&self.buffer[..length], exchange.client);
            }
        }
        false
    }

    /// Takes in what has come by a port.
    fn enter(&mut self, place: usize) {
        for _ in 0..TURNS {
            match &self.doors[place] {
                Door::Connections(listener, targets) => {
                    let Ok((client, _)) = listener.accept() else {
                        return;
                    };
                    let pair = Pair::new(client, targets.iter().rev().copied().collect());
                    if self.pairs.len() >= CONNECTIONS {
                        self.pairs.pop_first();
                    }
                    let number = self.number();
                    self.knock(number, pair);
                }
                Door::Datagrams(socket, _) => {
                    let Ok((length, client)) = socket.recv_from(&mut self.buffer) else {
                        return;
                    };
                    let Ok(number) = self.exchange(place, client) else {
                        continue;
                    };
                    if let Some(exchange) = self.exchanges.get_mut(&number) {
                        exchange.until = Instant::now() + self.silence;
                        let _ = exchange.socket.send(&self.buffer[..length]);
                    }
                }
            }
        }
    }

    /// Connects a client to the next address of the pod; if there is none, the
    /// client is sent away. Returns whether there is more to do.
    fn knock(&mut self, number: u64, mut pair: Pair) -> bool {
        let both = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
        while let Some(target) = pair.left.pop() {
            let Ok(pod) = connect(target) else {
                continue;
            };
            let new = pair.pod.is_none();
            let watched = self.watch(&pod, number, both);
            if watched.is_ok() && (!new || self.watch(&pair.client, number, both).is_ok()) {
                pair.pod = Some(pod);
                self.pairs.insert(number, pair);
                return true;
            }
        }
        false
    }

    /// Finds or begins the exchange with a client.
    fn exchange(&mut self, door: usize, client: SocketAddr) -> Result<u64> {
        let mut all = self.exchanges.iter();
        let same = |one: &Exchange| one.door == door && one.client == client;
        if let Some((&number, _)) = all.find(|(_, one)| same(one)) {
            return Ok(number);
        }
        let Door::Datagrams(_, targets) = &self.doors[door] else {
            return Err(ErrorKind::InvalidInput.into());
        };
        // Nobody says that there is nobody: the first address counts.
        let target = targets.first().ok_or(ErrorKind::AddrNotAvailable)?;
        let any: SocketAddr = match target {
            SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
            SocketAddr::V6(_) => ([0; 16], 0).into(),
        };
        let socket = UdpSocket::bind(any)?;
        socket.set_nonblocking(true)?;
        socket.connect(target)?;
        if self.exchanges.len() >= CONNECTIONS {
            self.exchanges.pop_first();
        }
        let number = self.number();
        self.watch(&socket, number, EventFlags::IN)?;
        let until = Instant::now() + self.silence;
        self.exchanges.insert(
            number,
            Exchange {
                socket,
                client,
                door,
                until,
            },
        );
        Ok(number)
    }
}

/// Begins to connect.
fn connect(target: SocketAddr) -> rustix::io::Result<TcpStream> {
    let family = match target {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    match rustix::net::connect(&socket, &target) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket.into()),
        Err(errno) => Err(errno),
    }
}

/// A client that sends datagrams, and who answers it.
struct Exchange {
    socket: UdpSocket,
    client: SocketAddr,
    door: usize,
    until: Instant,
}

/// A connection of a client, and that of the pod.
struct Pair {
    client: TcpStream,
    pod: Option<TcpStream>,
    /// Whether the pod has answered.
    connected: bool,
    /// The addresses of the pod that were not tried, the next one last.
    left: Vec<SocketAddr>,
    to_pod: Way,
    to_client: Way,
}

/// What has become of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// The kernel says when there is more to do.
    Waits,
    /// There is more to do.
    More,
    /// Nobody is there at the address of the pod.
    Unknown,
    /// Both have said all.
    Over,
}

impl Pair {
    fn new(client: TcpStream, left: Vec<SocketAddr>) -> Self {
        let _ = client.set_nonblocking(true);
        Self {
            client,
            pod: None,
            connected: false,
            left,
            to_pod: Way::default(),
            to_client: Way::default(),
        }
    }

    fn go_on(&mut self, buffer: &mut [u8]) -> Result<Progress> {
        let Some(pod) = &self.pod else {
            return Ok(Progress::Over);
        };
        if !self.connected {
            if pod.take_error()?.is_some() {
                return Ok(Progress::Unknown);
            }
            self.connected = pod.peer_addr().is_ok();
            if !self.connected {
                return Ok(Progress::Waits);
            }
            // As the two ends would have it.
            let _ = pod.set_nodelay(true);
            let _ = self.client.set_nodelay(true);
        }
        let more = self.to_pod.pass_on(&self.client, pod, buffer)?
            | self.to_client.pass_on(pod, &self.client, buffer)?;
        Ok(match (self.to_pod.over && self.to_client.over, more) {
            (true, _) => Progress::Over,
            (false, true) => Progress::More,
            (false, false) => Progress::Waits,
        })
    }
}

/// One direction of a connection.
#[derive(Default)]
struct Way {
    /// What was read and not written.
    held: Vec<u8>,
    /// Whether there is nothing more to read.
    ended: bool,
    /// Whether the other end knows that.
    over: bool,
}

impl Way {
    /// Passes on what can be without blocking; returns whether there is more.
    fn pass_on(
        &mut self,
        mut from: &TcpStream,
        mut to: &TcpStream,
        buffer: &mut [u8],
    ) -> Result<bool> {
        for _ in 0..TURNS {
            if self.held.is_empty() {
                if self.over {
                    return Ok(false);
                }
                if self.ended {
                    to.shutdown(Shutdown::Write)?;
                    self.over = true;
                    return Ok(false);
                }
                let read = match from.read(buffer) {
                    Ok(0) => {
                        self.ended = true;
                        continue;
                    }
                    Ok(length) => &buffer[..length],
                    Err(error) => return patience(error),
                };
                match to.write(read) {
                    Ok(length) => self.held.extend(&read[length..]),
                    Err(error) => {
                        self.held.extend(read);
                        return patience(error);
                    }
                }
            } else {
                match to.write(&self.held) {
                    Ok(length) => drop(self.held.drain(..length)),
                    Err(error) => return patience(error),
                }
            }
        }
        Ok(true)
    }
}

/// Returns whether an error means only that there is no more now.
fn patience(error: std::io::Error) -> Result<bool> {
    match error.kind() {
        ErrorKind::WouldBlock => Ok(false),
        ErrorKind::Interrupted => Ok(true),
        _ => Err(error),
    }
}

#[cfg(test)]
#[path = "port_relay_tests.rs"]
mod tests;
