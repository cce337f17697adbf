//! How a pod is connected to others, in the words of `--net`: what it is
//! connected to, and arguments: `nat`, `bridge:web:IP=10.229.0.9,MTU=1400`,
//! `macvlan:eth0:IP=192.0.2.9/24,GATEWAY=192.0.2.1`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::spec::sharing::{InterfaceName, Mode, Sharing};
use error::quote::quoted;
use error::{Error, Result};

/// A connection to others, beside the loopback interface that every pod has.
/// Specs store it as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Connection {
    /// What the pod is connected to.
    pub kind: Kind,
    /// What else was said of it.
    pub arguments: Arguments,
}

/// What a pod can be connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Whatever the host reaches, by the host's address, on a link of the pod's
    /// own.
    Nat,
    /// The same, and the other pods of a bridge, directly.
    Bridge(BridgeName),
    /// Whatever an interface of the host reaches, by an address of the pod's own.
    Shared(Sharing, InterfaceName),
    /// What plugins of CNI make.
    Plugins(NetworkName),
}

impl Kind {
    /// Returns the bridge.
    pub fn bridge(&self) -> Option<&BridgeName> {
        match self {
            Self::Bridge(name) => Some(name),
            _ => None,
        }
    }
}

/// The arguments of a connection; none says that the launcher decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arguments {
    /// `IP=`: the address of the pod.
    pub ip: Option<IpAddr>,
    /// `IP=ADDRESS/PREFIX`: how many bits of it are those of its network.
    pub prefix: Option<u8>,
    /// `GATEWAY=`: the next hop to everybody else.
    pub gateway: Option<IpAddr>,
    /// `MAC=`: the hardware address of its interface.
    pub mac: Option<Mac>,
    /// `MTU=`: the largest packet, in bytes.
    pub mtu: Option<u32>,
    /// `MODE=`: how an interface is shared.
    pub mode: Option<Mode>,
    /// Others, for plugins.
    pub others: Vec<(String, String)>,
}

impl Arguments {
    /// Returns all of them, with their keys.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, String)> {
        let Self {
            ip,
            prefix,
            gateway,
            mac,
            mtu,
            mode,
            others,
        } = self;
        let prefix = prefix.map_or(String::new(), |prefix| format!("/{prefix}"));
        let known = [
            ip.map(|ip| ("IP", format!("{ip}{prefix}"))),
            gateway.map(|gateway| ("GATEWAY", gateway.to_string())),
            mac.map(|mac| ("MAC", mac.to_string())),
            mtu.map(|mtu| ("MTU", mtu.to_string())),
            mode.map(|mode| ("MODE", mode.name().to_owned())),
        ];
        let others = others.iter().map(|(key, value)| (&**key, value.clone()));
        known.into_iter().flatten().chain(others)
    }
}

/// The name of a network that plugins make (section 1 of the CNI specification).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkName(String);

impl NetworkName {
    /// Parses a name: letters and digits and, after the first, also `_`, `.` and `-`.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        let starts = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        (starts && text.chars().all(fits)).then(|| Self(text.to_owned()))
    }

    /// Returns it as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of a bridge; see [`BridgeName::link`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BridgeName(String);

impl BridgeName {
    /// That of the bridge that is meant if none is named.
    const USUAL: &str = "bridge";

    /// How the names of links begin that are ours.
    const PREFIX: &str = "nsc-";

    /// The length of a name, in bytes: IFNAMSIZ (netdevice(7)) without the prefix
    /// and a NUL byte.
    const LONGEST: usize = 11;

    /// The length of the names of links to pods, which are addresses.
    const ADDRESS: usize = 8;

    /// Returns the name of its link on the host.
    pub fn link(&self) -> String {
        format!("{}{}", Self::PREFIX, self.0)
    }
}

impl FromStr for BridgeName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_address =
            text.len() == Self::ADDRESS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let fits = (1..=Self::LONGEST).contains(&text.len()) && text.bytes().all(plain);
        match fits && !is_address {
            true => Ok(Self(text.to_owned())),
            false => Err(Error::usage(format!(
                "{} is not the name of a bridge: use up to {} of `a` to `z`, `0` to `9` and `-`, \
                 but no {} hexadecimal digits",
                quoted(text),
                Self::LONGEST,
                Self::ADDRESS,
            ))),
        }
    }
}

/// A hardware address of Ethernet, of a single interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for Mac {
    type Err = ();

    fn from_str(text: &str) -> std::result::Result<Self, ()> {
        /// The bit of addresses of groups (IEEE 802).
        const GROUP: u8 = 1;
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts.next().filter(|part| part.len() == 2).ok_or(())?;
            *byte = u8::from_str_radix(part, 16).map_err(drop)?;
        }
        let single = bytes[0] & GROUP == 0 && bytes != [0; 6];
        match single && parts.next().is_none() {
            true => Ok(Self(bytes)),
            false => Err(()),
        }
    }
}

impl Connection {
    /// Returns a connection without arguments.
    pub fn plain(kind: Kind) -> Self {
        let arguments = Arguments::default();
        Self { kind, arguments }
    }

    /// Returns whether ports of the host can lead there.
    pub fn has_ports(&self) -> bool {
        matches!(self.kind, Kind::Nat | Kind::Bridge(_) | Kind::Plugins(_))
    }

    /// Returns whether what it is connected to may name servers for names.
    pub fn names_servers(&self) -> bool {
        match self.kind {
            Kind::Nat | Kind::Bridge(_) => false,
            Kind::Shared(..) => self.arguments.ip.is_none(),
            Kind::Plugins(_) => true,
        }
    }

    /// Sets an argument.
    fn set(&mut self, argument: &str) -> Result<()> {
        let pair = argument.split_once('=').filter(|(key, _)| is_key(key));
        let (key, value) = pair.ok_or_else(|| {
            let what = format!("{} is not an argument of a network", quoted(argument));
            Error::usage(what).hint("for instance `IP=172.16.28.9`")
        })?;
        let taken = || Error::usage(format!("argument `{key}` is given twice"));
        let bad = |what: &str| {
            let value = quoted(value);
            Error::usage(format!("argument `{key}`: {value} is not {what}"))
        };
        let plugins = matches!(self.kind, Kind::Plugins(_));
        let arguments = &mut self.arguments;
        match key {
            "IP" => {
                let (address, prefix) = match value.split_once('/') {
                    Some((address, prefix)) => (address, Some(prefix)),
                    None => (value, None),
                };
                let address: IpAddr = address.parse().map_err(|_| bad("an address"))?;
                let bits = if address.is_ipv4() { 32 } else { 128 };
                let prefix = prefix.map(|prefix| prefix.parse().ok().filter(|&one| one <= bits));
                let prefix = prefix.map(|prefix| prefix.ok_or_else(|| bad("an address")));
                set(&mut arguments.ip, address).ok_or_else(taken)?;
                arguments.prefix = prefix.transpose()?;
                Ok(())
            }
            "GATEWAY" if !plugins => {
                let address = value.parse().map_err(|_| bad("an address"))?;
                set(&mut arguments.gateway, address).ok_or_else(taken)
            }
            "MODE" if !plugins => {
                let modes = match self.kind {
                    Kind::Shared(sharing, _) => sharing.modes(),
                    _ => &[],
                };
                let mode = modes.iter().find(|mode| mode.name() == value);
                let mode = mode.ok_or_else(|| {
                    let names: Vec<_> = modes.iter().map(|mode| quoted(mode.name())).collect();
                    match &names[..] {
                        [] => not_for("MODE", &self.kind),
                        names => bad("a mode").hint(format!("there are {}", names.join(", "))),
                    }
                })?;
                set(&mut arguments.mode, *mode).ok_or_else(taken)
            }
            "MAC" => {
                let what = "the hardware address of an interface, such as `02:00:00:00:00:01`";
                let mac = value.parse().map_err(|()| bad(what))?;
                set(&mut arguments.mac, mac).ok_or_else(taken)
            }
            "MTU" => {
                // What IPv4 needs (RFC 791), and what a length can be.
                let mtu = value.parse().ok().filter(|mtu| (68..=65535).contains(mtu));
                let what = "a number of bytes from 68 to 65535";
                set(&mut arguments.mtu, mtu.ok_or_else(|| bad(what))?).ok_or_else(taken)
            }
            _ if plugins => {
                // As they are told to plugins, `;` would start another.
                let plain = |c: char| c.is_ascii_graphic() && c != ';';
                if !value.chars().all(plain) {
                    return Err(bad("a word without `;`"));
                }
                if arguments.others.iter().any(|(other, _)| other == key) {
                    return Err(taken());
                }
                arguments.others.push((key.to_owned(), value.to_owned()));
                Ok(())
            }
            _ => {
                let what = format!("{} is not an argument of a network", quoted(key));
                Err(Error::usage(what).hint("there are `IP`, `GATEWAY`, `MAC`, `MTU` and `MODE`"))
            }
        }
    }

    /// Checks what arguments mean for this kind.
    fn check(&self) -> Result<()> {
        let given = &self.arguments;
        let usage = |what: &str| Err(Error::usage(what));
        let Kind::Shared(sharing, name) = &self.kind else {
            let plugins = matches!(self.kind, Kind::Plugins(_));
            return match (given.ip, given.prefix, given.gateway) {
                _ if plugins && given.mtu.is_some() => {
                    let what = "argument `MTU` has no meaning for plugins of CNI";
                    let hint = "it is a matter of the network's configuration";
                    Err(Error::usage(what).hint(hint))
                }
                (Some(IpAddr::V6(_)), _, _) if !plugins => usage(
                    "argument `IP` has to be an address of IPv4: that of IPv6 follows from it",
                ),
                (_, Some(_), _) => {
                    usage("argument `IP` has to be an address alone: its network is there already")
                }
                (_, _, Some(_)) => Err(not_for("GATEWAY", &self.kind)),
                _ => Ok(()),
            };
        };
        if *sharing == Sharing::Ipvlan && given.mac.is_some() {
            let name = name.as_str();
            return usage(&format!(
                "argument `MAC` is not for `ipvlan`, whose links have that of `{name}`"
            ));
        }
        match (given.ip, given.prefix, given.gateway) {
            (None, _, Some(_)) => usage("argument `GATEWAY` needs `IP`"),
            (None, _, None) if given.mode == Some(Mode::L3) => {
                usage("mode `l3` needs `IP`: DHCP needs broadcasts, which it has not")
            }
            (Some(address), None, _) => Err(Error::usage(format!(
                "argument `IP`: the length of the prefix of `{address}` is missing"
            ))
            .hint(format!("for instance `IP={address}/24`"))),
            (Some(address), Some(prefix), Some(gateway))
                if gateway == address || !is_within(gateway, address, prefix) =>
            {
                usage(&format!(
                    "argument `GATEWAY`: `{gateway}` is not another address of the network of \
                     `{address}/{prefix}`"
                ))
            }
            _ => Ok(()),
        }
    }
}

/// Returns whether both addresses have the same first bits.
pub fn is_within(one: IpAddr, other: IpAddr, prefix: u8) -> bool {
    let prefix = u32::from(prefix);
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => {
            let differ = one.to_bits() ^ other.to_bits();
            differ.leading_zeros() >= prefix
        }
        (IpAddr::V6(one), IpAddr::V6(other)) => {
            let differ = one.to_bits() ^ other.to_bits();
            differ.leading_zeros() >= prefix
        }
        _ => false,
    }
}

/// Refuses an argument that has no meaning for a kind.
fn not_for(argument: &str, kind: &Kind) -> Error {
    Error::usage(format!("argument `{argument}` is not for `{kind}`"))
}

/// Sets what is not set yet; `None` if it is.
fn set<T>(place: &mut Option<T>, value: T) -> Option<()> {
    match place {
        Some(_) => None,
        None => {
            *place = Some(value);
            Some(())
        }
    }
}

/// Returns whether a word can be the key of an argument.
fn is_key(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    text.starts_with(|c: char| c.is_ascii_uppercase()) && text.bytes().all(fits)
}

/// Returns whether a part between two commas is an argument of what stands before.
pub fn is_argument(text: &str) -> bool {
    text.split_once('=').is_some_and(|(key, _)| is_key(key))
}

/// `KIND[:NAME][:KEY=VALUE[,KEY=VALUE]...]`
impl FromStr for Connection {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (kind, rest) = match text.split_once(':') {
            Some((kind, rest)) => (kind, Some(rest)),
            None => (text, None),
        };
        let (name, arguments) = match rest {
            Some(rest) if is_argument(rest) => (None, Some(rest)),
            Some(rest) => match rest.split_once(':') {
                Some((name, arguments)) => (Some(name), Some(arguments)),
                None => (Some(rest), None),
            },
            None => (None, None),
        };
        let kind = match (kind, name) {
            ("nat", None) => Kind::Nat,
            ("nat", Some(name)) => {
                let what = format!("{} is not an argument of a network", quoted(name));
                return Err(Error::usage(what).hint("for instance `nat:IP=172.16.28.9`"));
            }
            ("bridge", name) => Kind::Bridge(name.unwrap_or(BridgeName::USUAL).parse()?),
            ("macvlan" | "ipvlan", None) => {
                let what = format!("`{kind}` needs the name of an interface of the host");
                return Err(Error::usage(what).hint(format!("for instance `{kind}:eth0`")));
            }
            ("macvlan", Some(name)) => Kind::Shared(Sharing::Macvlan, name.parse()?),
            ("ipvlan", Some(name)) => Kind::Shared(Sharing::Ipvlan, name.parse()?),
            (alone @ ("none" | "host"), _) => {
                return Err(Error::usage(format!("`{alone}` takes no arguments")));
            }
            (other, name) => {
                let network = NetworkName::parse(other).ok_or_else(|| {
                    Error::usage(format!(
                        "{} is not a network: use `nat`, `bridge`, `macvlan`, `ipvlan`, `host` or \
                         `none`, or the name of a CNI network",
                        quoted(other)
                    ))
                })?;
                if let Some(name) = name {
                    let what = format!("{} is not an argument of a network", quoted(name));
                    return Err(
                        Error::usage(what).hint(format!("for instance `{other}:IP=10.1.0.9`"))
                    );
                }
                Kind::Plugins(network)
            }
        };
        let mut connection = Self::plain(kind);
        for argument in arguments.into_iter().flat_map(|all| all.split(',')) {
            connection.set(argument)?;
        }
        connection.check()?;
        Ok(connection)
    }
}

/// Formats what it is connected to, without arguments.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nat => f.write_str("nat"),
            Self::Bridge(BridgeName(name)) if name == BridgeName::USUAL => f.write_str("bridge"),
            Self::Bridge(BridgeName(name)) => write!(f, "bridge:{name}"),
            Self::Shared(sharing, name) => write!(f, "{}:{}", sharing.name(), name.as_str()),
            Self::Plugins(NetworkName(name)) => f.write_str(name),
        }
    }
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)?;
        for (at, (key, value)) in self.arguments.pairs().enumerate() {
            write!(f, "{}{key}={value}", if at == 0 { ':' } else { ',' })?;
        }
        Ok(())
    }
}

impl From<Connection> for String {
    fn from(connection: Connection) -> Self {
        connection.to_string()
    }
}

impl TryFrom<String> for Connection {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
