//! Links on another link, which they share with its owner (macvlan, ipvlan): to
//! other hosts they are neighbours of it.

use std::os::fd::{AsRawFd as _, BorrowedFd};

use rustix::io::Errno;

use super::Socket;
use super::message::{self, Attributes, Message, attributes, number};
use super::route::{
    ADDRESS, GET_LINK, INFO, INFO_DATA, INFO_KIND, MTU, NAME, NAMESPACE_FD, NEW_LINK, link_header,
    number_of,
};

/// An address of Ethernet.
pub type Mac = [u8; 6];

/// What the kernel says about a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its number.
    pub number: u32,
    /// What it is made of (`ARPHRD_...`, linux/if_arp.h).
    hardware: u16,
    /// `IFF_...` (netdevice(7))
    flags: u32,
    /// The longest packet, in bytes.
    pub mtu: u32,
    /// Its address, if it has one of Ethernet.
    pub mac: Option<Mac>,
}

impl Link {
    /// Returns whether it leads to this host itself.
    pub fn is_loopback(&self) -> bool {
        const LOOPBACK: u32 = 0x8;
        self.flags & LOOPBACK != 0
    }

    /// Returns whether it is set up.
    pub fn is_up(&self) -> bool {
        const UP: u32 = 0x1;
        self.flags & UP != 0
    }

    /// Returns whether it is one of Ethernet, on which a packet can be meant for
    /// all.
    pub fn has_broadcast(&self) -> bool {
        const BROADCAST: u32 = 0x2;
        const ETHERNET: u16 = 1;
        self.hardware == ETHERNET && self.flags & BROADCAST != 0
    }
}

/// How links share another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// Each with a hardware address of its own (`CONFIG_MACVLAN`).
    Macvlan(MacvlanMode),
    /// All with the one of the shared link (`CONFIG_IPVLAN`).
    Ipvlan(IpvlanMode),
}

/// Who reaches whom among links of macvlan (linux/if_link.h,
/// `enum macvlan_mode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MacvlanMode {
    /// Each other.
    #[default]
    Bridge,
    /// Nobody on the same link.
    Private,
    /// Whomever the switch sends packets back to.
    Vepa,
    /// There is only one, which has the shared link to itself.
    Passthru,
}

/// How packets are sent by links of ipvlan (`enum ipvlan_mode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IpvlanMode {
    /// Like those of the shared link, with broadcasts.
    #[default]
    L2,
    /// Routed by the owner of the shared link, without broadcasts.
    L3,
}

/// A link on another one.
pub struct Upper<'a> {
    /// Its name.
    pub name: &'a str,
    /// The number of the link that it shares.
    pub lower: u32,
    /// How it does that.
    pub sharing: Sharing,
    /// The namespace that it is made in.
    pub namespace: BorrowedFd<'a>,
    /// Its address, if not any.
    pub mac: Option<Mac>,
    /// The longest packet, if not that of the shared link.
    pub mtu: Option<u32>,
}

impl Socket {
    /// Looks at a link; `None` if there is none of this name.
    ///
    /// # Errors
    ///
    /// Those of netlink(7).
    pub fn look_at_link(&mut self, name: &str) -> rustix::io::Result<Option<Link>> {
        let named = Attributes::new().with_text(NAME, name);
        let request = Message::new(GET_LINK, message::ACK, &link_header(0, 0), named);
        match self.list(request) {
            Ok(found) => Ok(found.first().and_then(|(_, link)| read_link(link))),
            Err(Errno::NODEV) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// Adds a link on another one of this namespace to another namespace, to
    /// which the socket `there` belongs; returns its number. It is down. If its
    /// name is not free it stays there under another one.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` if the kernel has no `CONFIG_MACVLAN` or `CONFIG_IPVLAN`,
    /// `EBUSY` if the other link is used in another way, `EINVAL` if it cannot
    /// be shared like this, `EEXIST` if there is a link of this name.
    pub fn add_upper(&mut self, there: &mut Self, upper: &Upper<'_>) -> rustix::io::Result<u32> {
        const LOWER: u16 = 5;
        const MODE: u16 = 1;
        let (kind, data) = match upper.sharing {
            Sharing::Macvlan(mode) => {
                let mode: u32 = match mode {
                    MacvlanMode::Private => 1,
                    MacvlanMode::Vepa => 2,
                    MacvlanMode::Bridge => 4,
                    MacvlanMode::Passthru => 8,
                };
                ("macvlan", mode.to_ne_bytes().to_vec())
            }
            Sharing::Ipvlan(mode) => {
                let mode: u16 = match mode {
                    IpvlanMode::L2 => 0,
                    IpvlanMode::L3 => 1,
                };
                ("ipvlan", mode.to_ne_bytes().to_vec())
            }
        };
        let info = Attributes::new()
            .with_text(INFO_KIND, kind)
            .with_nested(INFO_DATA, &Attributes::new().with(MODE, &data));
        // The kernel refuses a name that a link of this namespace has, though the
        // new one is not to be here. So it gets one that it can never have here.
        let mut link = Attributes::new()
            .with_text(NAME, "new%d")
            .with_u32(LOWER, upper.lower)
            .with_u32(NAMESPACE_FD, upper.namespace.as_raw_fd().unsigned_abs());
        if let Some(mac) = upper.mac {
            link = link.with(ADDRESS, &mac);
        }
        if let Some(mtu) = upper.mtu {
            link = link.with_u32(MTU, mtu);
        }
        let link = link.with_nested(INFO, &info);
        let flags = message::CREATE | message::EXCLUSIVE;
        self.execute(Message::new(NEW_LINK, flags, &link_header(0, 0), link))?;
        let made = there.find_link("new0")?.ok_or(Errno::NODEV)?;
        let named = Attributes::new().with_text(NAME, upper.name);
        there.execute(Message::new(NEW_LINK, 0, &link_header(made, 0), named))?;
        Ok(made)
    }

    /// Sets the largest packet of a link, in bytes.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the link cannot have it.
    pub fn set_mtu(&mut self, link: u32, mtu: u32) -> rustix::io::Result<()> {
        let sized = Attributes::new().with_u32(MTU, mtu);
        self.execute(Message::new(NEW_LINK, 0, &link_header(link, 0), sized))
    }
}

/// Reads a `struct ifinfomsg` and its attributes.
fn read_link(message: &[u8]) -> Option<Link> {
    let find = |wanted| {
        let mut all = attributes(message.get(16..)?);
        all.find(|(kind, _)| *kind == wanted)
            .map(|(_, value)| value)
    };
    Some(Link {
        hardware: u16::from_ne_bytes(number(message.get(2..)?)?),
        number: number_of(message)?,
        flags: u32::from_ne_bytes(number(message.get(8..)?)?),
        mtu: u32::from_ne_bytes(number(find(MTU)?)?),
        mac: find(ADDRESS).and_then(|mac| mac.try_into().ok()),
    })
}
