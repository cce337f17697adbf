//! The messages of DHCP (RFC 2131) and their options (RFC 2132): what a client
//! says, and what servers answer.

use std::net::Ipv4Addr;
use std::time::Duration;

use sys::netlink::upper::Mac;

/// Marks the start of the options.
const COOKIE: [u8; 4] = [99, 130, 83, 99];

/// The lengths of the fixed fields, and where those are that we use.
const FIXED: usize = 236;
const TRANSACTION: usize = 4;
const FLAGS: usize = 10;
const CLIENT: usize = 12;
const YOURS: usize = 16;
const HARDWARE: usize = 28;
const SERVER_NAME: std::ops::Range<usize> = 44..108;
const BOOT_FILE: std::ops::Range<usize> = 108..236;

/// The shortest message that every relay passes on (RFC 1542, 2.1).
const LEAST: usize = 300;

/// `op`: who speaks.
const QUESTION: u8 = 1;
const ANSWER: u8 = 2;

/// `htype`
const ETHERNET: u8 = 1;

/// A lifetime that has no end.
const FOR_GOOD: u32 = u32::MAX;

/// Options.
mod option {
    pub(super) const PAD: u8 = 0;
    pub(super) const MASK: u8 = 1;
    pub(super) const ROUTERS: u8 = 3;
    pub(super) const SERVERS: u8 = 6;
    pub(super) const HOST_NAME: u8 = 12;
    pub(super) const DOMAIN: u8 = 15;
    pub(super) const MTU: u8 = 26;
    pub(super) const WANTED: u8 = 50;
    pub(super) const LIFETIME: u8 = 51;
    pub(super) const OVERLOAD: u8 = 52;
    pub(super) const KIND: u8 = 53;
    pub(super) const SERVER: u8 = 54;
    pub(super) const PARAMETERS: u8 = 55;
    pub(super) const CLIENT: u8 = 61;
    pub(super) const SEARCH: u8 = 119;
    pub(super) const ROUTES: u8 = 121;
    pub(super) const END: u8 = 255;
}

/// What a client says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// Who has an address?
    Discover,
    /// I have this address, and want it for longer.
    Keep(Ipv4Addr),
    /// I take this address of this server.
    Take { address: Ipv4Addr, server: Ipv4Addr },
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Client {
    /// The address of its link.
    pub(super) mac: Mac,
    /// Whom the server is to remember (RFC 4361): a UUID (RFC 6355).
    pub(super) uuid: [u8; 16],
    /// What it is called.
    pub(super) name: String,
}

impl Client {
    /// Formats a message.
    pub(super) fn ask(&self, transaction: [u8; 4], question: Question) -> Vec<u8> {
        let mut message = vec![0; FIXED];
        message[..3].copy_from_slice(&[QUESTION, ETHERNET, 6]);
        message[TRANSACTION..TRANSACTION + 4].copy_from_slice(&transaction);
        message[HARDWARE..HARDWARE + 6].copy_from_slice(&self.mac);
        message.extend(COOKIE);
        let mut add = |code: u8, value: &[u8]| {
            message.push(code);
            message.push(u8::try_from(value.len()).unwrap_or(0));
            message.extend(value);
        };
        match question {
            Question::Discover => {
                add(option::KIND, &[1]);
                add(option::LIFETIME, &FOR_GOOD.to_be_bytes());
            }
            Question::Keep(_) => {
                add(option::KIND, &[3]);
                add(option::LIFETIME, &FOR_GOOD.to_be_bytes());
            }
            Question::Take { address, server } => {
                add(option::KIND, &[3]);
                add(option::LIFETIME, &FOR_GOOD.to_be_bytes());
                add(option::WANTED, &address.octets());
                add(option::SERVER, &server.octets());
            }
        }
        // The number of a link, of which there is one, and the kind of the name.
        let client = [&[255, 0, 0, 0, 1, 0, 4], &self.uuid[..]].concat();
        add(option::CLIENT, &client);
        if (1..=255).contains(&self.name.len()) {
            add(option::HOST_NAME, self.name.as_bytes());
        }
        add(
            option::PARAMETERS,
            &[
                option::MASK,
                // Before the routers (RFC 3442).
                option::ROUTES,
                option::ROUTERS,
                option::SERVERS,
                option::DOMAIN,
                option::SEARCH,
                option::MTU,
            ],
        );
        message.push(option::END);
        message.resize(message.len().max(LEAST), option::PAD);
        // By a broadcast: links that share a hardware address do not get what is
        // meant for an address that they do not have yet.
        message[FLAGS] = 0x80;
        if let Question::Keep(address) = question {
            message[CLIENT..CLIENT + 4].copy_from_slice(&address.octets());
        }
        message
    }
}

/// What a server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// These can be had.
    Offer(Lease),
    /// These are yours.
    Granted(Lease),
    /// What was asked for cannot be had.
    Refused,
}

/// What a server lends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    /// The address, and how many bits of that are the prefix of its network.
    pub address: (Ipv4Addr, u8),
    /// The server.
    pub server: Ipv4Addr,
    /// How long it may be used; for ever if `None`.
    pub lifetime: Option<Duration>,
    /// Networks that are reached through others: their addresses and prefixes,
    /// and the next hops; `None` for what is on the link itself.
    pub routes: Vec<(Ipv4Addr, u8, Option<Ipv4Addr>)>,
    /// Servers that know names.
    pub servers: Vec<Ipv4Addr>,
    /// Domains that short names are looked up in.
    pub search: Vec<String>,
    /// The longest packet, in bytes.
    pub mtu: Option<u32>,
}

/// The most that is taken of a list.
const MOST: usize = 16;

/// Parses an answer to this client in this transaction; `None` if it is
/// something else.
pub(super) fn read(message: &[u8], transaction: [u8; 4], mac: Mac) -> Option<Answer> {
    let options = message.get(FIXED..)?.strip_prefix(&COOKIE)?;
    let ours = message[0] == ANSWER
        && message[TRANSACTION..TRANSACTION + 4] == transaction
        && message[HARDWARE..HARDWARE + 6] == mac;
    if !ours {
        return None;
    }
    let options = Options::read(message, options);
    match options.bytes::<1>(option::KIND)? {
        [2] => Lease::read(message, &options).map(Answer::Offer),
        [5] => Lease::read(message, &options).map(Answer::Granted),
        [6] => Some(Answer::Refused),
        _ => None,
    }
}

/// Options, with all parts of one that comes in several (RFC 3396).
struct Options(Vec<(u8, Vec<u8>)>);

impl Options {
    /// Reads those at the end of a message, and those for which there was no room
    /// there.
    fn read(message: &[u8], last: &[u8]) -> Self {
        let mut options = Self(Vec::new());
        options.add(last);
        let more = options.bytes(option::OVERLOAD).map_or(0, |[more]| more);
        for (bit, field) in [(1, BOOT_FILE), (2, SERVER_NAME)] {
            if more & bit != 0 {
                options.add(&message[field]);
            }
        }
        options
    }

    fn add(&mut self, mut bytes: &[u8]) {
        while let Some((&code, rest)) = bytes.split_first() {
            bytes = match code {
                option::PAD => rest,
                option::END => return,
                code => {
                    let length = rest.first().map_or(0, |&length| usize::from(length));
                    let Some(value) = rest.get(1..1 + length) else {
                        return;
                    };
                    match self.0.iter_mut().find(|(known, _)| *known == code) {
                        Some((_, known)) => known.extend(value),
                        None => self.0.push((code, value.to_vec())),
                    }
                    &rest[1 + length..]
                }
            };
        }
    }

    fn get(&self, code: u8) -> Option<&[u8]> {
        let mut options = self.0.iter();
        options
            .find(|(known, _)| *known == code)
            .map(|(_, value)| &**value)
    }

    fn bytes<const N: usize>(&self, code: u8) -> Option<[u8; N]> {
        self.get(code)?.try_into().ok()
    }

    fn address(&self, code: u8) -> Option<Ipv4Addr> {
        self.addresses(code).into_iter().next()
    }

    fn addresses(&self, code: u8) -> Vec<Ipv4Addr> {
        let (addresses, _) = self.get(code).unwrap_or_default().as_chunks::<4>();
        let addresses = addresses.iter().map(|&bytes| Ipv4Addr::from(bytes));
        addresses.filter(|&one| is_host(one)).take(MOST).collect()
    }

    /// A number of seconds; `None` if there is no end.
    fn seconds(&self, code: u8) -> Option<Duration> {
        let seconds = u32::from_be_bytes(self.bytes(code)?);
        (seconds != FOR_GOOD).then(|| Duration::from_secs(seconds.into()))
    }
}

impl Lease {
    fn read(message: &[u8], options: &Options) -> Option<Self> {
        let yours: [u8; 4] = message[YOURS..YOURS + 4].try_into().ok()?;
        let address = Ipv4Addr::from(yours);
        let server = options.address(option::SERVER)?;
        let prefix = match options.bytes(option::MASK) {
            Some(mask) => {
                let mask = u32::from_be_bytes(mask);
                let prefix = mask.leading_ones();
                u8::try_from(prefix)
                    .ok()
                    .filter(|_| mask.count_ones() == prefix)?
            }
            None => 32,
        };
        Some(Self {
            address: is_host(address).then_some((address, prefix))?,
            server,
            lifetime: options.seconds(option::LIFETIME),
            routes: match options.get(option::ROUTES) {
                Some(routes) => routes_of(routes),
                None => {
                    let router = options.address(option::ROUTERS);
                    let route = |router| (Ipv4Addr::UNSPECIFIED, 0, Some(router));
                    router.map(route).into_iter().collect()
                }
            },
            servers: options.addresses(option::SERVERS),
            search: match options.get(option::SEARCH) {
                Some(names) => names_of(names),
                None => {
                    let domain = options.get(option::DOMAIN).unwrap_or_default();
                    domain_of(domain).into_iter().collect()
                }
            },
            mtu: options
                .bytes(option::MTU)
                .map(|mtu| u16::from_be_bytes(mtu).into())
                .filter(|&mtu| mtu >= LEAST_MTU),
        })
    }
}

/// The shortest packet that every host takes (RFC 791).
const LEAST_MTU: u32 = 576;

/// Returns whether an address can be that of a host on a network.
fn is_host(address: Ipv4Addr) -> bool {
    !(address.is_unspecified()
        || address.is_loopback()
        || address.is_multicast()
        || address.is_broadcast())
}

/// Parses routes (RFC 3442): each with the length of its prefix, as many bytes of
/// the network as that has, and the next hop.
fn routes_of(mut bytes: &[u8]) -> Vec<(Ipv4Addr, u8, Option<Ipv4Addr>)> {
    let mut routes = Vec::new();
    while let Some((&prefix, rest)) = bytes.split_first()
        && routes.len() < MOST
    {
        let significant = usize::from(prefix.div_ceil(8));
        let (Some(network), Some(hop), 0..=32) = (
            rest.get(..significant),
            rest.get(significant..significant + 4),
            prefix,
        ) else {
            break;
        };
        let mut whole = [0; 4];
        whole[..significant].copy_from_slice(network);
        let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
        let network = Ipv4Addr::from_bits(u32::from_be_bytes(whole) & mask);
        let hop = hop.first_chunk::<4>().map(|&hop| Ipv4Addr::from(hop));
        let hop = hop.filter(|hop| !hop.is_unspecified());
        routes.push((network, prefix, hop));
        bytes = &rest[significant + 4..];
    }
    routes
}

/// Parses domains in the format of DNS (RFC 3397): labels, each after its length,
/// and references to what has been before.
fn names_of(bytes: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    let mut at = 0;
    while at < bytes.len() && names.len() < MOST {
        let Some((name, next)) = name_of(bytes, at) else {
            break;
        };
        names.extend(domain_of(name.as_bytes()));
        at = next;
    }
    names
}

/// Parses the name at this place; returns the place after it, too.
fn name_of(bytes: &[u8], start: usize) -> Option<(String, usize)> {
    let mut labels: Vec<&str> = Vec::new();
    let (mut at, mut after, mut limit) = (start, None, start);
    loop {
        let length = usize::from(*bytes.get(at)?);
        match length {
            0 => return Some((labels.join("."), after.unwrap_or(at + 1))),
            1..64 => {
                labels.push(std::str::from_utf8(bytes.get(at + 1..=at + length)?).ok()?);
                at += 1 + length;
            }
            192.. => {
                after = after.or(Some(at + 2));
                let to = (length & 63) << 8 | usize::from(*bytes.get(at + 1)?);
                // Always before what has been read, so there is an end.
                limit = Some(to).filter(|&to| to < limit)?;
                at = to;
            }
            _ => return None,
        }
    }
}

/// Returns a domain, if it is one: it gets into a file in which a line more would
/// mean something.
fn domain_of(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    let text = text.trim_end_matches(['\0', '.']);
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let valid = (1..=253).contains(&text.len()) && text.chars().all(fits);
    valid.then(|| text.to_owned())
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
