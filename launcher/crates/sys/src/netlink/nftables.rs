//! Changes of the packet filter, which happen all at once or not at all
//! (linux/netfilter/nf_tables.h).

use rustix::io::Errno;
use rustix::net::RecvFlags;

use super::expression::{Expression, data_of};
use super::message::{self, Attributes, Message, attributes, number, received};
use super::{BUFFER, Socket};

/// `NFNL_SUBSYS_NFTABLES`
const SUBSYSTEM: u8 = 10;

/// Requests of that subsystem (`NFT_MSG_...`).
const NEW_TABLE: u16 = 0;
const DELETE_TABLE: u16 = 2;
const NEW_CHAIN: u16 = 3;
const GET_CHAIN: u16 = 4;
const NEW_RULE: u16 = 6;
const GET_RULE: u16 = 7;
const DELETE_RULE: u16 = 8;
const NEW_SET: u16 = 9;
const NEW_ELEMENT: u16 = 12;
const DELETE_ELEMENT: u16 = 14;
const GET_GENERATION: u16 = 16;

/// `NFNL_MSG_BATCH_BEGIN` and `NFNL_MSG_BATCH_END`
const BEGIN: u16 = 0x10;
const END: u16 = 0x11;

/// `NFPROTO_UNSPEC`: all families.
const ALL: u8 = 0;
/// `NFPROTO_INET`: IPv4 and IPv6.
const INET: u8 = 1;
/// `NFPROTO_IPV4`
const IPV4: u8 = 2;

/// An entry of a list (`NFTA_LIST_ELEM`).
const ENTRY: u16 = 1;

/// Where packets come by, as a chain sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Those that are passed on to another link, to be dropped or not.
    Forward,
    /// Those that leave, to be given another source.
    SourceNat,
    /// Those that come in, to be given another destination.
    DestinationNat,
    /// Those that come in, before anything else, to be dropped or not.
    Incoming,
}

/// What the elements of a set are, or a part of them (the types of nft(8)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// IPv4 addresses.
    Ipv4,
    /// IPv6 addresses.
    Ipv6,
    /// Protocols above IP.
    Protocol,
    /// Ports.
    Port,
}

/// Returns the number by which nft(8) knows the type of these parts together,
/// and their length. Each part fills registers of four bytes.
fn kind_of(parts: &[Kind]) -> (u32, u32) {
    parts.iter().fold((0, 0), |(whole, length), part| {
        let (kind, bytes) = match part {
            Kind::Ipv4 => (7, 4),
            Kind::Ipv6 => (8, 16),
            Kind::Protocol => (12, 4),
            Kind::Port => (13, 4),
        };
        (whole << 6 | kind, length + bytes)
    })
}

/// Changes that happen together, of one table.
pub struct Batch<'a> {
    table: &'a str,
    requests: Vec<(Message, &'static str)>,
    generation: Option<u32>,
}

/// Why a batch was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The error.
    pub errno: Errno,
    /// The kernel's option that what was refused needs.
    pub option: &'static str,
}

impl<'a> Batch<'a> {
    /// Starts changes of this table, of the family `inet`.
    pub fn of(table: &'a str) -> Self {
        Self {
            table,
            requests: Vec::new(),
            generation: None,
        }
    }

    /// Refuses the changes (`ERESTART`) if there have been others since
    /// [`Socket::generation`] returned this.
    pub fn only_in(mut self, generation: u32) -> Self {
        self.generation = Some(generation);
        self
    }

    fn add(&mut self, kind: u16, flags: u16, attributes: Attributes, option: &'static str) {
        let request = request(kind, flags, attributes);
        self.requests.push((request, option));
    }

    /// Adds the table, if it is not there.
    pub fn table(&mut self) {
        let named = Attributes::new().with_text(1, self.table);
        self.add(NEW_TABLE, message::CREATE, named, "CONFIG_NF_TABLES_INET");
    }

    /// Removes the table with all that is in it.
    pub fn delete_table(&mut self) {
        let named = Attributes::new().with_text(1, self.table);
        self.add(DELETE_TABLE, 0, named, "CONFIG_NF_TABLES_INET");
    }

    /// Adds a chain, if it is not there, and removes all of its rules.
    pub fn empty_chain(&mut self, name: &str, hook: Hook) {
        // The number of the hook, its priority (nft(8)), and the type.
        let (number, priority, kind, option) = match hook {
            Hook::Forward => (2, 0, "filter", "CONFIG_NF_TABLES_INET"),
            Hook::SourceNat => (4, 100, "nat", "CONFIG_NFT_NAT"),
            Hook::DestinationNat => (0, (-100_i32).cast_unsigned(), "nat", "CONFIG_NFT_NAT"),
            Hook::Incoming => (
                0,
                (-300_i32).cast_unsigned(),
                "filter",
                "CONFIG_NF_TABLES_INET",
            ),
        };
        let hook = Attributes::new()
            .with_be32(1, number)
            .with_be32(2, priority);
        let chain = Attributes::new()
            .with_text(1, self.table)
            .with_text(3, name)
            .with_nested(4, &hook)
            .with_text(7, kind);
        self.add(NEW_CHAIN, message::CREATE, chain, option);
        let rules = Attributes::new()
            .with_text(1, self.table)
            .with_text(2, name);
        self.add(DELETE_RULE, 0, rules, "CONFIG_NF_TABLES");
    }

    /// Appends a rule to a chain.
    pub fn rule(&mut self, chain: &str, expressions: &[Expression]) {
        let mut list = Attributes::new();
        for expression in expressions {
            list = list.with_nested(ENTRY, &expression.attributes());
        }
        let rule = Attributes::new()
            .with_text(1, self.table)
            .with_text(2, chain)
            .with_nested(4, &list);
        let mut options = expressions.iter().map(Expression::option);
        let option = options.find(|option| *option != "CONFIG_NF_TABLES");
        let flags = message::CREATE | message::APPEND;
        self.add(NEW_RULE, flags, rule, option.unwrap_or("CONFIG_NF_TABLES"));
    }

    /// Adds a set, if it is not there.
    pub fn set(&mut self, name: &str, keys: &[Kind]) {
        self.set_of(name, keys, &[]);
    }

    /// Adds a map, if it is not there.
    pub fn map(&mut self, name: &str, keys: &[Kind], values: &[Kind]) {
        self.set_of(name, keys, values);
    }

    fn set_of(&mut self, name: &str, keys: &[Kind], values: &[Kind]) {
        const MAP: u32 = 8;
        let (key, length) = kind_of(keys);
        // Within a batch, sets are told apart by a number.
        let id = u32::try_from(self.requests.len()).unwrap_or(u32::MAX);
        let mut set = Attributes::new()
            .with_text(1, self.table)
            .with_text(2, name)
            .with_be32(3, if values.is_empty() { 0 } else { MAP })
            .with_be32(4, key)
            .with_be32(5, length)
            .with_be32(10, id);
        if !values.is_empty() {
            let (value, length) = kind_of(values);
            set = set.with_be32(6, value).with_be32(7, length);
        }
        self.add(NEW_SET, message::CREATE, set, "CONFIG_NF_TABLES");
    }

    /// Adds an element to a set, if it is not there, with a comment for people.
    pub fn element(&mut self, set: &str, key: &[u8], comment: &str) {
        let element = self.element_of(set, key, None, Some(comment));
        self.add(NEW_ELEMENT, message::CREATE, element, "CONFIG_NF_TABLES");
    }

    /// Adds a key with a value to a map, with a comment for people. It must not
    /// have another value.
    pub fn value(&mut self, map: &str, key: &[u8], value: &[u8], comment: &str) {
        let element = self.element_of(map, key, Some(value), Some(comment));
        self.add(NEW_ELEMENT, message::CREATE, element, "CONFIG_NF_TABLES");
    }

    /// Removes an element from a set or map; it must be there.
    pub fn delete_element(&mut self, set: &str, key: &[u8]) {
        let element = self.element_of(set, key, None, None);
        self.add(DELETE_ELEMENT, 0, element, "CONFIG_NF_TABLES");
    }

    fn element_of(
        &self,
        set: &str,
        key: &[u8],
        value: Option<&[u8]>,
        comment: Option<&str>,
    ) -> Attributes {
        let mut element = Attributes::new().with_nested(1, &data_of(key));
        if let Some(value) = value {
            element = element.with_nested(2, &data_of(value));
        }
        if let Some(comment) = comment {
            // As nft(8) writes a comment: type 0, the length, a text.
            let length = u8::try_from(comment.len() + 1).unwrap_or(u8::MAX);
            let told = [&[0, length], comment.as_bytes(), &[0]].concat();
            element = element.with(6, &told);
        }
        let list = Attributes::new().with_nested(ENTRY, &element);
        Attributes::new()
            .with_text(1, self.table)
            .with_text(2, set)
            .with_nested(3, &list)
    }

    fn messages(&self) -> Vec<Message> {
        let bound = |kind, attributes| {
            // `res_id` names the subsystem.
            Message::new(kind, 0, &[0, 0, 0, SUBSYSTEM], attributes)
        };
        let mut begin = Attributes::new();
        if let Some(generation) = self.generation {
            begin = begin.with_be32(1, generation);
        }
        let mut messages = vec![bound(BEGIN, begin)];
        messages.extend(self.requests.iter().map(|(request, _)| request.clone()));
        // The kernel acknowledges what it executed only if asked to.
        if let Some(last) = messages.pop() {
            messages.push(last.with_flags(message::ACK));
        }
        messages.push(bound(END, Attributes::new()));
        messages
    }
}

fn request(kind: u16, flags: u16, attributes: Attributes) -> Message {
    of_family(INET, kind, flags, attributes)
}

fn of_family(family: u8, kind: u16, flags: u16, attributes: Attributes) -> Message {
    let kind = u16::from(SUBSYSTEM) << 8 | kind;
    Message::new(kind, flags, &[family, 0, 0, 0], attributes)
}

/// A chain of some table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The number of the table's family.
    family: u8,
    /// The table.
    pub table: String,
    /// The name of the chain.
    pub name: String,
    /// Whether packets that are passed on come by.
    pub forwards: bool,
    /// Whether it drops those that no rule decides about.
    pub drops: bool,
}

impl Chain {
    /// Returns whether it sees packets of IPv4.
    pub fn sees_ipv4(&self) -> bool {
        [INET, IPV4].contains(&self.family)
    }

    /// Returns the family of the table, as nft(8) calls it.
    pub fn family(&self) -> &'static str {
        match self.family {
            INET => "inet",
            IPV4 => "ip",
            _ => "other",
        }
    }

    /// Reads a `struct nfgenmsg` and its attributes.
    fn read(message: &[u8]) -> Option<Self> {
        const FORWARD: u32 = 2;
        const DROP: u32 = 0;
        let (family, rest) = (*message.first()?, message.get(4..)?);
        let find = |wanted| attributes(rest).find(|(kind, _)| *kind == wanted);
        let text = |wanted| {
            let (_, text) = find(wanted)?;
            let text = text.split(|&byte| byte == 0).next()?;
            Some(String::from_utf8_lossy(text).into_owned())
        };
        let number = |bytes| number(bytes).map(u32::from_be_bytes);
        let hook = find(4).and_then(|(_, hook)| attributes(hook).find(|(kind, _)| *kind == 1));
        Some(Self {
            family,
            table: text(1)?,
            name: text(3)?,
            forwards: hook.and_then(|(_, hook)| number(hook)) == Some(FORWARD),
            drops: find(5).and_then(|(_, policy)| number(policy)) == Some(DROP),
        })
    }
}

impl Socket {
    /// Makes the changes. One that fails is an error of all.
    ///
    /// # Errors
    ///
    /// The first error.
    pub fn commit(&mut self, batch: &Batch<'_>) -> Result<(), Refused> {
        let whole = |errno| Refused {
            errno,
            option: "CONFIG_NF_TABLES",
        };
        let first = self.sequence.wrapping_add(1);
        self.send(&batch.messages()).map_err(whole)?;
        let mut buffer = vec![0; BUFFER];
        let mut refused = None;
        // All answers are there by now.
        while let Ok(length) = self.receive(&mut buffer, RecvFlags::DONTWAIT) {
            for one in received(&buffer[..length]) {
                let Some(errno @ 1..) = one.end() else {
                    continue;
                };
                // The first message begins the batch.
                let at = one.sequence.wrapping_sub(first).checked_sub(1);
                let request = at.and_then(|at| batch.requests.get(usize::try_from(at).ok()?));
                refused.get_or_insert(Refused {
                    errno: Errno::from_raw_os_error(errno),
                    option: request.map_or("CONFIG_NF_TABLES", |(_, option)| option),
                });
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// Returns the chains of all tables.
    ///
    /// # Errors
    ///
    /// Those of netlink(7).
    pub fn chains(&mut self) -> rustix::io::Result<Vec<Chain>> {
        let get = of_family(ALL, GET_CHAIN, message::DUMP, Attributes::new());
        let listed = self.list(get)?;
        let chains = listed.iter();
        Ok(chains.filter_map(|(_, chain)| Chain::read(chain)).collect())
    }

    /// Returns whether a rule in the table of this chain has one of these values
    /// in it.
    ///
    /// # Errors
    ///
    /// Those of netlink(7).
    pub fn mentions(&mut self, chain: &Chain, values: &[&[u8]]) -> rustix::io::Result<bool> {
        let table = Attributes::new().with_text(1, &chain.table);
        let get = of_family(chain.family, GET_RULE, message::DUMP, table);
        let rules = self.list(get)?;
        let has = |rule: &[u8], value: &[u8]| rule.windows(value.len()).any(|part| part == value);
        Ok(rules
            .iter()
            .any(|(_, rule)| values.iter().any(|value| has(rule, value))))
    }

    /// Returns the number of the last change of the packet filter.
    ///
    /// # Errors
    ///
    /// Those of netlink(7).
    pub fn generation(&mut self) -> rustix::io::Result<u32> {
        let get = request(GET_GENERATION, message::ACK, Attributes::new());
        let listed = self.list(get)?;
        let told = listed.first().and_then(|(_, told)| told.get(4..));
        let number = told.and_then(|told| {
            let (_, value) = attributes(told).find(|(kind, _)| *kind == 1)?;
            number(value).map(u32::from_be_bytes)
        });
        number.ok_or(Errno::PROTO)
    }
}
