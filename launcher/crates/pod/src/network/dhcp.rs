//! A client of DHCP (RFC 2131), which asks for an address before the apps start.
//!
//! It is done when it has one, and is started again when half of the time is over
//! for which that was lent.

mod message;
mod packet;

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use rustix::rand::{GetRandomFlags, getrandom};

pub(super) use message::Lease;

use appc::types::Uuid;
use message::{Answer, Client, Question};
use sys::netlink::upper::Mac;
use sys::netns::PacketSocket;

/// How long to wait for an answer before asking again. Some servers first look
/// for up to three seconds whether somebody has the address.
const PATIENCE: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

/// The longest packet that is looked at.
const LONGEST: usize = 2048;

/// A client at a link.
pub(super) struct Asking {
    socket: PacketSocket,
    client: Client,
    /// By what answers are known.
    transaction: [u8; 4],
}

impl Asking {
    /// Makes the client of a pod, which says this name.
    ///
    /// # Errors
    ///
    /// The kernel has no random numbers yet.
    pub(super) fn new(
        socket: PacketSocket,
        mac: Mac,
        pod: Uuid,
        name: &str,
    ) -> rustix::io::Result<Self> {
        let mut transaction = [0; 4];
        getrandom(&mut transaction[..], GetRandomFlags::empty())?;
        let client = Client {
            mac,
            uuid: pod.bytes(),
            name: name.to_owned(),
        };
        Ok(Self {
            socket,
            client,
            transaction,
        })
    }

    /// Asks for an address; returns what was granted, or `None` if no server has
    /// answered for a while.
    ///
    /// # Errors
    ///
    /// Those of packet(7).
    pub(super) fn address(&self) -> rustix::io::Result<Option<Lease>> {
        let mut offered: Option<Lease> = None;
        for patience in PATIENCE {
            let until = Instant::now() + patience;
            self.ask(match &offered {
                None => Question::Discover,
                Some(lease) => take(lease),
            })?;
            while let Some(answer) = self.answer(until)? {
                match (&offered, answer) {
                    (None, Answer::Offer(lease)) => {
                        self.ask(take(&lease))?;
                        offered = Some(lease);
                    }
                    (Some(offer), Answer::Granted(lease)) if lease.server == offer.server => {
                        return Ok(Some(lease));
                    }
                    // From the start.
                    (Some(_), Answer::Refused) => offered = None,
                    _ => {}
                }
            }
        }
        Ok(None)
    }

    /// Asks to have an address for longer, as RFC 2131 (4.4.5) has it when another
    /// server may answer; returns what was granted, or `None` if nothing was.
    ///
    /// # Errors
    ///
    /// Those of packet(7).
    pub(super) fn longer(&self, address: Ipv4Addr) -> rustix::io::Result<Option<Lease>> {
        for patience in &PATIENCE[..3] {
            let until = Instant::now() + *patience;
            self.ask(Question::Keep(address))?;
            while let Some(answer) = self.answer(until)? {
                match answer {
                    Answer::Granted(lease) if lease.address.0 == address => {
                        return Ok(Some(lease));
                    }
                    Answer::Refused => return Ok(None),
                    _ => {}
                }
            }
        }
        Ok(None)
    }

    fn ask(&self, question: Question) -> rustix::io::Result<()> {
        let message = self.client.ask(self.transaction, question);
        let source = match question {
            Question::Keep(address) => address,
            Question::Discover | Question::Take { .. } => Ipv4Addr::UNSPECIFIED,
        };
        self.socket.broadcast(&packet::wrap(source, &message))
    }

    /// Waits for an answer; `None` if there is none in time.
    fn answer(&self, until: Instant) -> rustix::io::Result<Option<Answer>> {
        let mut buffer = [0; LONGEST];
        while let Some(length) = self.socket.receive(&mut buffer, until)? {
            let answer = packet::unwrap(&buffer[..length])
                .and_then(|message| message::read(message, self.transaction, self.client.mac));
            if answer.is_some() {
                return Ok(answer);
            }
        }
        Ok(None)
    }
}

fn take(lease: &Lease) -> Question {
    Question::Take {
        address: lease.address.0,
        server: lease.server,
    }
}
