//! The expressions that a rule of nftables consists of
//! (linux/netfilter/nf_tables.h): each reads from registers or a packet, and
//! writes to a register, decides, or ends the rule.
//!
//! Small values are kept in `FIRST`: a name of a link or an IPv6 address fills
//! it. What is looked up as a whole stands one after another, in the registers
//! of four bytes that follow it.

use super::message::Attributes;

/// `NFT_REG_1`
const FIRST: u32 = 1;

/// Returns the register of what stands this many bytes after the beginning of
/// the first: `NFT_REG32_00` is that beginning, too.
fn register(at: u32) -> u32 {
    if at == 0 { FIRST } else { 8 + at / 4 }
}

/// One step of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    name: &'static str,
    data: Attributes,
}

/// What a packet belongs to (`NFT_META_...`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meta {
    /// The name of the link that it came in by.
    InLink,
    /// The name of the link that it goes out by.
    OutLink,
    /// The version of IP: see [`IPV4`] and [`IPV6`].
    Version,
    /// The protocol above IP, such as TCP.
    Protocol,
}

/// What [`Meta::Version`] is for IPv4 (`NFPROTO_IPV4`).
pub const IPV4: u8 = 2;
/// What [`Meta::Version`] is for IPv6 (`NFPROTO_IPV6`).
pub const IPV6: u8 = 10;

/// What is known of a packet's connection (`NFT_CT_...`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// One bit for each state: see [`KNOWN`].
    State,
    /// One bit for each property: see [`REDIRECTED`].
    Status,
}

/// Bits of [`Connection::State`]: it is an answer, or belongs to a connection
/// that there is.
pub const KNOWN: u32 = 2 | 4;

/// A bit of [`Connection::Status`]: its destination was changed
/// (`IPS_DST_NAT`).
pub const REDIRECTED: u32 = 1 << 5;

/// A part of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Where it comes from, in IPv4.
    Source4,
    /// Where it comes from, in IPv6.
    Source6,
    /// Where it goes, in IPv4.
    Destination4,
    /// Where it goes, in IPv6.
    Destination6,
    /// The port that it goes to.
    Port,
}

impl Expression {
    fn new(name: &'static str, data: Attributes) -> Self {
        Self { name, data }
    }

    /// Reads what a packet belongs to.
    pub fn meta(key: Meta) -> Self {
        Self::meta_after(0, key)
    }

    /// Reads what a packet belongs to, as part of what is looked up as a whole:
    /// it stands this many bytes after the beginning.
    pub fn meta_after(at: u32, key: Meta) -> Self {
        let key = match key {
            Meta::InLink => 6,
            Meta::OutLink => 7,
            Meta::Version => 15,
            Meta::Protocol => 16,
        };
        let data = Attributes::new()
            .with_be32(1, register(at))
            .with_be32(2, key);
        Self::new("meta", data)
    }

    /// Reads a part of the packet.
    pub fn field(field: Field) -> Self {
        Self::field_after(0, field)
    }

    /// Reads a part of the packet, as part of what is looked up as a whole.
    pub fn field_after(at: u32, field: Field) -> Self {
        const NETWORK: u32 = 1;
        const TRANSPORT: u32 = 2;
        let (header, offset, length) = match field {
            Field::Source4 => (NETWORK, 12, 4),
            Field::Source6 => (NETWORK, 8, 16),
            Field::Destination4 => (NETWORK, 16, 4),
            Field::Destination6 => (NETWORK, 24, 16),
            Field::Port => (TRANSPORT, 2, 2),
        };
        let data = Attributes::new()
            .with_be32(1, register(at))
            .with_be32(2, header)
            .with_be32(3, offset)
            .with_be32(4, length);
        Self::new("payload", data)
    }

    /// Goes on if the packet goes to an address of this host.
    pub fn is_for_host() -> [Self; 2] {
        const ADDRESS_TYPE: u32 = 3;
        const OF_DESTINATION: u32 = 2;
        const LOCAL: u32 = 2;
        let data = Attributes::new()
            .with_be32(1, FIRST)
            .with_be32(2, ADDRESS_TYPE)
            .with_be32(3, OF_DESTINATION);
        [Self::new("fib", data), Self::is(&LOCAL.to_ne_bytes())]
    }

    /// Reads what is known of the connection.
    pub fn connection(key: Connection) -> Self {
        let key = match key {
            Connection::State => 0,
            Connection::Status => 2,
        };
        let data = Attributes::new().with_be32(1, FIRST).with_be32(2, key);
        Self::new("ct", data)
    }

    /// Goes on if what was read begins like this.
    pub fn is(value: &[u8]) -> Self {
        Self::compared(0, value)
    }

    /// Goes on if what was read does not begin like this.
    pub fn is_not(value: &[u8]) -> Self {
        Self::compared(1, value)
    }

    fn compared(operation: u32, value: &[u8]) -> Self {
        let data = Attributes::new()
            .with_be32(1, FIRST)
            .with_be32(2, operation)
            .with_nested(3, &data_of(value));
        Self::new("cmp", data)
    }

    /// Keeps these bits of what was read.
    pub fn masked(mask: u32) -> Self {
        let data = Attributes::new()
            .with_be32(1, FIRST)
            .with_be32(2, FIRST)
            .with_be32(3, 4)
            .with_nested(4, &data_of(&mask.to_ne_bytes()))
            .with_nested(5, &data_of(&[0; 4]));
        Self::new("bitwise", data)
    }

    /// Goes on if what was read is in a set.
    pub fn is_in(set: &str) -> Self {
        let data = Attributes::new().with_text(1, set).with_be32(2, FIRST);
        Self::new("lookup", data)
    }

    /// Goes on if what was read is not in a set.
    pub fn is_not_in(set: &str) -> Self {
        const INVERTED: u32 = 1;
        let data = Attributes::new()
            .with_text(1, set)
            .with_be32(2, FIRST)
            .with_be32(5, INVERTED);
        Self::new("lookup", data)
    }

    /// Goes on if what was read is a key of a map, with the value instead.
    pub fn value_in(map: &str) -> Self {
        let data = Attributes::new()
            .with_text(1, map)
            .with_be32(2, FIRST)
            .with_be32(3, FIRST);
        Self::new("lookup", data)
    }

    /// Gives the connection, which is of this version of IP, the destination
    /// that was read: an address, and then a port.
    pub fn redirect(version: u8) -> Self {
        const DESTINATION: u32 = 1;
        let length = if version == IPV4 { 4 } else { 16 };
        let data = Attributes::new()
            .with_be32(1, DESTINATION)
            .with_be32(2, version.into())
            .with_be32(3, FIRST)
            .with_be32(5, register(length));
        Self::new("nat", data)
    }

    /// Goes on with what is more than so many bytes a second; so many may come at
    /// once.
    pub fn exceeds(rate: u64, burst: u32) -> Self {
        const SECOND: u64 = 1;
        const BYTES: u32 = 1;
        const OVER: u32 = 1;
        let data = Attributes::new()
            .with(1, &rate.to_be_bytes())
            .with(2, &SECOND.to_be_bytes())
            .with_be32(3, burst)
            .with_be32(4, BYTES)
            .with_be32(5, OVER);
        Self::new("limit", data)
    }

    /// Drops the packet.
    pub fn drop() -> Self {
        const DROP: u32 = 0;
        const VERDICT_REGISTER: u32 = 0;
        let code = Attributes::new().with_be32(1, DROP);
        let verdict = Attributes::new().with_nested(2, &code);
        let data = Attributes::new()
            .with_be32(1, VERDICT_REGISTER)
            .with_nested(2, &verdict);
        Self::new("immediate", data)
    }

    /// Gives the connection the address of the link that it goes out by.
    pub fn masquerade() -> Self {
        Self::new("masq", Attributes::new())
    }

    /// Returns the kernel's option that it needs.
    pub(super) fn option(&self) -> &'static str {
        match self.name {
            "ct" => "CONFIG_NFT_CT",
            "limit" => "CONFIG_NFT_LIMIT",
            "fib" => "CONFIG_NFT_FIB_INET",
            "nat" => "CONFIG_NFT_NAT",
            "masq" => "CONFIG_NFT_MASQ",
            // These are part of nf_tables itself.
            _ => "CONFIG_NF_TABLES",
        }
    }

    pub(super) fn attributes(&self) -> Attributes {
        Attributes::new()
            .with_text(1, self.name)
            .with_nested(2, &self.data)
    }
}

/// A value (`NFTA_DATA_VALUE`).
pub(super) fn data_of(value: &[u8]) -> Attributes {
    Attributes::new().with(1, value)
}
