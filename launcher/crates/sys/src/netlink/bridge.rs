//! Bridges (bridge(8)): links that pass packets on between other links, their
//! ports.

use rustix::io::Errno;

use super::Socket;
use super::message::{self, Attributes, Message, attributes, number};
use super::route::{
    ADDRESS, GET_LINK, INFO, INFO_KIND, MASTER, NAME, NEW_LINK, link_header, number_of,
};

/// The kind of link.
const BRIDGE: &str = "bridge";

/// A bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bridge {
    /// Its number.
    pub number: u32,
    /// Its name.
    pub name: String,
    /// Its hardware address.
    pub mac: [u8; 6],
}

impl Socket {
    /// Adds a bridge, which is down, with a hardware address that it keeps. Returns
    /// its number.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` if the kernel has no `CONFIG_BRIDGE`, `EEXIST` if there is a
    /// link of this name.
    pub fn add_bridge(&mut self, name: &str, mac: [u8; 6]) -> rustix::io::Result<u32> {
        let info = Attributes::new().with_text(INFO_KIND, BRIDGE);
        let link = Attributes::new()
            .with_text(NAME, name)
            .with(ADDRESS, &mac)
            .with_nested(INFO, &info);
        let flags = message::CREATE | message::EXCLUSIVE;
        self.execute(Message::new(NEW_LINK, flags, &link_header(0, 0), link))?;
        self.find_link(name)?.ok_or(Errno::NODEV)
    }

    /// Returns all bridges.
    ///
    /// # Errors
    ///
    /// Those of netlink(7).
    pub fn bridges(&mut self) -> rustix::io::Result<Vec<Bridge>> {
        let info = Attributes::new().with_text(INFO_KIND, BRIDGE);
        let filter = Attributes::new().with_nested(INFO, &info);
        let request = Message::new(GET_LINK, message::DUMP, &link_header(0, 0), filter);
        let listed = self.list(request)?;
        let found = listed.iter().filter(|(kind, _)| *kind == NEW_LINK);
        Ok(found.filter_map(|(_, link)| read(link)).collect())
    }

    /// Makes a link a port of a bridge.
    ///
    /// # Errors
    ///
    /// Those of netlink(7).
    pub fn add_port(&mut self, bridge: u32, link: u32) -> rustix::io::Result<()> {
        let master = Attributes::new().with_u32(MASTER, bridge);
        self.execute(Message::new(NEW_LINK, 0, &link_header(link, 0), master))
    }

    /// Returns whether a bridge has ports.
    ///
    /// # Errors
    ///
    /// Those of netlink(7).
    pub fn has_ports(&mut self, bridge: u32) -> rustix::io::Result<bool> {
        let filter = Attributes::new().with_u32(MASTER, bridge);
        let request = Message::new(GET_LINK, message::DUMP, &link_header(0, 0), filter);
        let listed = self.list(request)?;
        let master = |link: &[u8]| {
            let (_, master) = attributes(link.get(16..)?).find(|(kind, _)| *kind == MASTER)?;
            number(master).map(u32::from_ne_bytes)
        };
        Ok(listed.iter().any(|(_, link)| master(link) == Some(bridge)))
    }
}

/// Reads a `struct ifinfomsg` and its attributes; `None` if it is no bridge: old
/// kernels do not filter.
fn read(link: &[u8]) -> Option<Bridge> {
    let rest = link.get(16..)?;
    let find = |wanted| attributes(rest).find(|(kind, _)| *kind == wanted);
    let (_, info) = find(INFO)?;
    let (_, kind) = attributes(info).find(|(kind, _)| *kind == INFO_KIND)?;
    let text = |bytes: &[u8]| {
        let bytes = bytes.strip_suffix(&[0]).unwrap_or(bytes);
        String::from_utf8_lossy(bytes).into_owned()
    };
    (text(kind) == BRIDGE).then_some(Bridge {
        number: number_of(link)?,
        name: text(find(NAME)?.1),
        mac: number(find(ADDRESS)?.1)?,
    })
}
