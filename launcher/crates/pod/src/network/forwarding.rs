//! What the host passes on: packets between the links of pods and those through
//! which it reaches others. In IPv4 that is switched on for each of these links,
//! and stays on. In IPv6 it is left as it is: it can only be switched for all
//! links at once, and a host that passes on does not listen to routers.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use crate::network::pool::LINKS;
use error::{Context as _, Result};
use sys::netlink::Socket;
use sys::small_file;

/// What is set for the link on the host that has the gateway's address: it only
/// takes packets from the pods' addresses, and nothing that a pod says changes the
/// host's routes (CVE-2020-10749).
const PARAMETERS: [(&str, &str, &str); 5] = [
    ("ipv4", "rp_filter", "1"),
    ("ipv4", "accept_redirects", "0"),
    ("ipv4", "forwarding", "1"),
    ("ipv6", "accept_ra", "0"),
    ("ipv6", "accept_redirects", "0"),
];

/// What the host reaches in IPv4, without pods.
pub(super) struct Reach {
    /// The networks.
    pub(super) networks: Vec<(Ipv4Addr, u8)>,
    /// The names of the links.
    pub(super) links: Vec<String>,
}

/// Returns what the host reaches.
///
/// # Errors
///
/// The kernel does not say.
pub(super) fn reach(socket: &mut Socket) -> Result<Reach> {
    let what = || "cannot read the routes of the host";
    let mut reach = Reach {
        networks: Vec::new(),
        links: Vec::new(),
    };
    for route in socket.routes().context(what)? {
        // It may just have been removed.
        let Some(link) = socket.name_of(route.link).context(what)? else {
            continue;
        };
        if link.starts_with(LINKS) {
            continue;
        }
        if let (IpAddr::V4(network), prefix) = route.to {
            reach.networks.push((network, prefix));
        }
        if link != "lo" && !reach.links.contains(&link) {
            reach.links.push(link);
        }
    }
    Ok(reach)
}

/// Returns those of these links that IPv4 is not passed on from.
pub(super) fn off(links: &[String]) -> Vec<&str> {
    let links = links.iter().map(String::as_str);
    links
        .filter(|link| !is_on("ipv4", link, "forwarding"))
        .collect()
}

/// Returns whether the host has IPv6 on new links.
pub(super) fn has_ipv6() -> bool {
    let off = |link| !matches!(read("ipv6", link, "disable_ipv6").as_deref(), Ok("0"));
    !off("all") && !off("default")
}

/// Returns whether the host passes on IPv6.
pub(super) fn passes_ipv6() -> bool {
    is_on("ipv6", "all", "forwarding")
}

fn is_on(version: &str, link: &str, parameter: &str) -> bool {
    read(version, link, parameter).is_ok_and(|value| value != "0")
}

fn read(version: &str, link: &str, parameter: &str) -> std::io::Result<String> {
    let path = path(version, link, parameter);
    let text = small_file::text(&path.to_string_lossy())?;
    Ok(text.trim().to_owned())
}

fn path(version: &str, link: &str, parameter: &str) -> PathBuf {
    let place = Path::new("/proc/sys/net").join(version).join("conf");
    place.join(link).join(parameter)
}

/// Sets a parameter of a link of the host.
///
/// # Errors
///
/// The kernel does not have it, or it is mounted read-only.
pub(super) fn set(version: &str, link: &str, parameter: &str, value: &str) -> Result<()> {
    let set = std::fs::write(path(version, link, parameter), value);
    set.context(|| format!("cannot set `net.{version}.conf.{link}.{parameter}`"))
}

/// Sets the kernel's parameters for the link on the host that has the gateway's
/// address.
///
/// # Errors
///
/// `/proc/sys` is mounted read-only.
pub(super) fn restrict(link: &str, ipv6: bool) -> Result<()> {
    for (version, parameter, value) in PARAMETERS {
        if version == "ipv4" || ipv6 {
            set(version, link, parameter, value)?;
        }
    }
    Ok(())
}
