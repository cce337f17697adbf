//! Interfaces of the host that pods share, and how they do that.

use std::str::FromStr;

use error::quote::quoted;
use error::{Error, Result};

/// How a pod shares an interface of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// With a hardware address of its own.
    Macvlan,
    /// With the hardware address of the interface.
    Ipvlan,
}

impl Sharing {
    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Macvlan => "macvlan",
            Self::Ipvlan => "ipvlan",
        }
    }

    /// Returns its modes.
    pub(super) fn modes(self) -> &'static [Mode] {
        match self {
            Self::Macvlan => &[Mode::Bridge, Mode::Private, Mode::Vepa, Mode::Passthru],
            Self::Ipvlan => &[Mode::L2, Mode::L3],
        }
    }
}

/// A mode of macvlan or ipvlan, as ip-link(8) calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The links of an interface reach each other.
    Bridge,
    /// They do not.
    Private,
    /// They do if the switch sends packets back.
    Vepa,
    /// There is only one.
    Passthru,
    /// Packets are sent as they are.
    L2,
    /// Packets are routed by the host; there are no broadcasts.
    L3,
}

impl Mode {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Private => "private",
            Self::Vepa => "vepa",
            Self::Passthru => "passthru",
            Self::L2 => "l2",
            Self::L3 => "l3",
        }
    }
}

/// The name of an interface of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceName(String);

impl InterfaceName {
    /// Returns it as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for InterfaceName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        // What the kernel accepts (dev_valid_name), in ASCII.
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"/:,".contains(&byte);
        let fits = (1..16).contains(&text.len()) && text.bytes().all(plain);
        match fits && text != "." && text != ".." {
            true => Ok(Self(text.to_owned())),
            false => {
                let what = format!("{} is not the name of an interface", quoted(text));
                Err(Error::usage(what).hint("`ip link` lists the interfaces of the host"))
            }
        }
    }
}
