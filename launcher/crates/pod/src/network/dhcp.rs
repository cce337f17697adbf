//! A client of DHCP (RFC 2131), which asks for an address before the apps start.
//!
//! It is done when it has one: no process of ours runs as long as the pod does.

mod message;
mod packet;

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

    fn ask(&self, question: Question) -> rustix::io::Result<()> {
        let message = self.client.ask(self.transaction, question);
        self.socket.broadcast(&packet::wrap(&message))
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
