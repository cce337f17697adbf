//! How a pod is connected to others, in the words of `--net`: what it is
//! connected to, and arguments: `nat`, `bridge:web:IP=10.229.0.9,MTU=1400`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

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
    /// `MAC=`: the hardware address of its interface.
    pub mac: Option<Mac>,
    /// `MTU=`: the largest packet, in bytes.
    pub mtu: Option<u32>,
    /// Others, for plugins.
    pub others: Vec<(String, String)>,
}

impl Arguments {
    /// Returns all of them, with their keys.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, String)> {
        let Self {
            ip,
            mac,
            mtu,
            others,
        } = self;
        let known = [
            ip.map(|ip| ("IP", ip.to_string())),
            mac.map(|mac| ("MAC", mac.to_string())),
            mtu.map(|mtu| ("MTU", mtu.to_string())),
        ];
        let others = others.iter().map(|(key, value)| (&**key, value.clone()));
        known.into_iter().flatten().chain(others)
    }
}

/// The name of a network that plugins make (section 1 of the CNI specification).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkName(String);

impl NetworkName {
    /// Parses a name: it starts with a letter or digit, and goes on with those, `_`,
    /// `.` and `-`.
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
        let arguments = &mut self.arguments;
        match key {
            "IP" => {
                let address = value.parse().map_err(|_| bad("an address"))?;
                set(&mut arguments.ip, address).ok_or_else(taken)
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
            _ if matches!(self.kind, Kind::Plugins(_)) => {
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
                Err(Error::usage(what).hint("there are `IP`, `MAC` and `MTU`"))
            }
        }
    }

    /// Checks what arguments mean for this kind.
    fn check(&self) -> Result<()> {
        if matches!(self.kind, Kind::Plugins(_)) && self.arguments.mtu.is_some() {
            let what = "argument `MTU` has no meaning for plugins of CNI";
            return Err(Error::usage(what).hint("it is a matter of the network's configuration"));
        }
        match (&self.kind, self.arguments.ip) {
            (Kind::Nat | Kind::Bridge(_), Some(IpAddr::V6(_))) => Err(Error::usage(
                "argument `IP` has to be an address of IPv4: that of IPv6 follows from it",
            )),
            _ => Ok(()),
        }
    }
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
            (alone @ ("none" | "host"), _) => {
                return Err(Error::usage(format!("`{alone}` takes no arguments")));
            }
            (other, name) => {
                let network = NetworkName::parse(other).ok_or_else(|| {
                    Error::usage(format!(
                        "{} is not a network: use `nat`, `bridge`, `host` or `none`, or the name \
                         of a CNI network",
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
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_connection_is_told() {
        for (text, expected) in [
            ("", "`` is not a network"),
            ("-nat", "`-nat` is not a network"),
            ("../net", "`../net` is not a network"),
            ("net:x", "`x` is not an argument"),
            ("net:A=1,A=2", "`A` is given twice"),
            ("net:A=1;B=2", "`1;B=2` is not a word"),
            ("net:MTU=1400", "`MTU` has no meaning"),
            ("net:1A=1", "`1A=1` is not an argument"),
            ("nat:", "`` is not an argument"),
            ("nat:x", "`x` is not an argument"),
            ("nat:ip=10.0.0.1", "`ip=10.0.0.1` is not an argument"),
            ("nat:GATEWAY=10.0.0.1", "`GATEWAY` is not an argument"),
            ("nat:IP=", "`` is not an address"),
            ("nat:IP=fd00::1", "has to be an address of IPv4"),
            ("nat:IP=10.0.0.1,IP=10.0.0.2", "`IP` is given twice"),
            ("nat:IP=10.0.0.1,", "`` is not an argument"),
            ("nat:MAC=01:00:00:00:00:00", "is not the hardware address"),
            ("nat:MAC=00:00:00:00:00:00", "is not the hardware address"),
            ("nat:MAC=2:0:0:0:0:1", "is not the hardware address"),
            (
                "nat:MAC=02:00:00:00:00:00:01",
                "is not the hardware address",
            ),
            ("nat:MTU=67", "from 68 to 65535"),
            ("nat:MTU=65536", "from 68 to 65535"),
            ("bridge:", "`` is not the name of a bridge"),
            ("bridge:ac101c02", "is not the name of a bridge"),
            ("bridge:a/b", "is not the name of a bridge"),
            ("bridge:123456789abc", "is not the name of a bridge"),
        ] {
            let error = text.parse::<Connection>().unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_formatted_is_parsed_again() {
        for text in [
            "nat",
            "nat:IP=172.16.28.9",
            "nat:IP=172.16.28.9,MAC=02:00:00:00:00:0a,MTU=1400",
            "bridge",
            "bridge:MTU=9000",
            "bridge:web",
            "bridge:web:MAC=02:00:00:00:00:0a",
            "a-network.of_the-host:IP=fd00::9,MAC=02:00:00:00:00:0a,FOO_1=bar",
        ] {
            let connection: Connection = text.parse().unwrap();
            assert_eq!(connection.to_string(), text);
            let stored = serde_json::to_string(&connection).unwrap();
            assert_eq!(stored, format!("\"{text}\""));
            assert_eq!(
                serde_json::from_str::<Connection>(&stored).unwrap(),
                connection
            );
        }
        assert_eq!(
            "bridge:bridge".parse::<Connection>().unwrap().to_string(),
            "bridge"
        );
    }
}
