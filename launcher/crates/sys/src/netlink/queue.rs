//! How fast packets leave a link: a queue that lets through so many bytes a
//! second (tc-tbf(8)).

use super::Socket;
use super::message::{self, Attributes, Message};

/// `RTM_NEWQDISC`
const NEW_QUEUE: u16 = 36;

/// `TC_H_ROOT`: all that leaves the link.
const ROOT: u32 = u32::MAX;

/// How many bytes may leave at once, however slow the link: the longest packet
/// with the header of Ethernet, as one that is longer could never leave.
const LEAST_BURST: u64 = 0xffff + 14;

/// The inverse of the time in seconds that a burst lasts; at least as long as
/// the kernel's timers need.
const BURSTS: u64 = 100;

/// The inverse of the time in seconds that a packet waits at most.
const WAITS: u64 = 20;

impl Socket {
    /// Lets so many bytes a second leave a link, and drops what would have to
    /// wait for too long.
    ///
    /// # Errors
    ///
    /// `ENOENT` if the kernel has no `CONFIG_NET_SCH_TBF`, `ENODEV` if there is no
    /// link of this number.
    pub fn limit_rate(&mut self, link: u32, rate: u64) -> rustix::io::Result<()> {
        // linux/pkt_sched.h
        const KIND: u16 = 1;
        const OPTIONS: u16 = 2;
        const PARAMETERS: u16 = 1;
        const RATE64: u16 = 4;
        const BURST: u16 = 6;
        const ETHERNET: u8 = 1;
        let saturated = |bytes: u64| u32::try_from(bytes).unwrap_or(u32::MAX);
        let burst = saturated((rate / BURSTS).max(LEAST_BURST));
        let limit = saturated(u64::from(burst).saturating_add(rate / WAITS));
        // `struct tc_tbf_qopt`: two `struct tc_ratespec`, of which the second is
        // a peak, which there is none of; and three numbers.
        let mut parameters = [0; 36];
        parameters[1] = ETHERNET;
        parameters[8..12].copy_from_slice(&saturated(rate).to_ne_bytes());
        parameters[24..28].copy_from_slice(&limit.to_ne_bytes());
        let mut options = Attributes::new()
            .with(PARAMETERS, &parameters)
            .with_u32(BURST, burst);
        if rate >= u64::from(u32::MAX) {
            options = options.with(RATE64, &rate.to_ne_bytes());
        }
        let queue = Attributes::new()
            .with_text(KIND, "tbf")
            .with_nested(OPTIONS, &options);
        // `struct tcmsg`
        let mut header = [0; 20];
        header[4..8].copy_from_slice(&link.to_ne_bytes());
        header[12..16].copy_from_slice(&ROOT.to_ne_bytes());
        let flags = message::CREATE | message::REPLACE;
        self.execute(Message::new(NEW_QUEUE, flags, &header, queue))
    }
}
