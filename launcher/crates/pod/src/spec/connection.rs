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
        matches!(self.kind, Kind::Nat | Kind::Bridge(_))
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
            _ => {
                let what = format!("{} is not an argument of a network", quoted(key));
                Err(Error::usage(what).hint("there are `IP`, `MAC` and `MTU`"))
            }
        }
    }

    /// Checks what arguments mean for this kind.
    fn check(&self) -> Result<()> {
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
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_uppercase())
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
            (other, _) => {
                return Err(Error::usage(format!(
                    "{} is not a network: use `nat`, `bridge`, `host` or `none`",
                    quoted(other)
                )));
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
        }
    }
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Arguments { ip, mac, mtu } = &self.arguments;
        let arguments = [
            ip.map(|ip| format!("IP={ip}")),
            mac.map(|mac| format!("MAC={mac}")),
            mtu.map(|mtu| format!("MTU={mtu}")),
        ];
        self.kind.fmt(f)?;
        for (at, argument) in arguments.iter().flatten().enumerate() {
            write!(f, "{}{argument}", if at == 0 { ':' } else { ',' })?;
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
            ("Nat", "`Nat` is not a network"),
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
