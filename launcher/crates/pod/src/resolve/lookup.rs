//! How the apps of a pod find others by name: `/etc/resolv.conf` and
//! `/etc/hosts`.
//!
//! A file that the image brings stays, unless an option asks for another one.
//! A volume on its path covers either.

use std::net::IpAddr;

use crate::resolve::network::Network;
use crate::spec::defaults;
use crate::spec::lookup::NameFile;
use crate::spec::pod::{AppSpec, PodSpec};
use crate::spec::process::Sourced;
use appc::types::Uuid;
use error::quote::quoted;
use error::{Error, Result};

/// What was asked for with `--dns` and its like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dns {
    /// Where the file comes from.
    pub from: Servers,
    /// The domains that names are looked up in.
    pub search: Vec<String>,
    /// Options of the resolver.
    pub options: Vec<String>,
}

/// Which servers are asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Servers {
    /// Those of the host, as far as the pod can reach them.
    #[default]
    Usual,
    /// The host's file, as it is.
    Host,
    /// No file.
    None,
    /// These.
    Given(Vec<IpAddr>),
}

/// An entry of `--hosts-entry`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostsEntry {
    /// The host's file, as it is.
    Host,
    /// A name for an address.
    Named(IpAddr, String),
}

/// What the host has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostNames {
    /// Its `/etc/resolv.conf`.
    pub resolver: String,
    /// The file of systemd-resolved with the servers that it asks itself.
    pub resolved: String,
    /// Its `/etc/hosts`.
    pub hosts: String,
}

impl Dns {
    /// Adds values of `--dns`.
    ///
    /// # Errors
    ///
    /// One is no address, or `host` or `none` among others.
    pub fn servers(values: &[String]) -> Result<Servers> {
        match values {
            [] => return Ok(Servers::Usual),
            [one] if one == "host" => return Ok(Servers::Host),
            [one] if one == "none" => return Ok(Servers::None),
            _ => {}
        }
        if let Some(word) = values
            .iter()
            .find(|value| *value == "host" || *value == "none")
        {
            let what = format!("`--dns={word}` and other servers cannot be used together");
            return Err(Error::usage(what));
        }
        let addresses = values.iter().map(|value| {
            value.parse().map_err(|_| {
                let what = format!("{} is not the address of a server", quoted(value));
                Error::usage(what).hint("use an address of IPv4 or IPv6, `host` or `none`")
            })
        });
        addresses.collect::<Result<_>>().map(Servers::Given)
    }

    /// Returns whether [`Self::file`] needs to know the host's servers.
    pub(crate) fn asks_host(&self, network: &Network) -> bool {
        match self.from {
            Servers::Usual => *network != Network::None,
            Servers::Host => true,
            Servers::None | Servers::Given(_) => false,
        }
    }

    /// Returns `/etc/resolv.conf` of a pod in this network; `None` if none is
    /// made.
    ///
    /// # Errors
    ///
    /// Domains or options were given for a file that is the host's, or none.
    pub fn file(&self, network: &Network, host: &HostNames) -> Result<Option<NameFile>> {
        let more = !self.search.is_empty() || !self.options.is_empty();
        match &self.from {
            Servers::Host | Servers::None if more => {
                let word = match self.from {
                    Servers::Host => "host",
                    _ => "none",
                };
                let what =
                    format!("`--dns={word}` cannot be used with `--dns-search` or `--dns-opt`");
                Err(Error::usage(what))
            }
            Servers::None => Ok(None),
            Servers::Host => Ok(Some(NameFile {
                content: host.resolver.clone(),
                reason: "option --dns=host".to_owned(),
                replaces: true,
                by_network: false,
            })),
            Servers::Given(servers) => Ok(Some(NameFile {
                content: self.spelled(servers),
                reason: "option --dns".to_owned(),
                replaces: true,
                by_network: false,
            })),
            Servers::Usual if *network == Network::None && !more => Ok(None),
            Servers::Usual => Ok(self.usual(network, host, more)),
        }
    }

    /// Returns a note if apps get no servers because the pod reaches none of the
    /// host's.
    pub(crate) fn note(
        &self,
        network: &Network,
        pod: &PodSpec,
        host: &HostNames,
    ) -> Option<String> {
        let asks = |app: &AppSpec| app.lacks.iter().any(|path| path == defaults::RESOLVER);
        let has = |text: &str| text.lines().any(|line| line.starts_with("nameserver"));
        let given = pod.resolver.as_ref();
        let none = self.asks_host(network)
            && !given.is_some_and(|file| file.by_network)
            && has(&host.resolver)
            && !given.is_some_and(|file| has(&file.content))
            && pod.apps.iter().any(asks);
        none.then(|| {
            "the pod cannot look up names: the servers in the host's `/etc/resolv.conf` are on its \
             loopback interface; name another one with `--dns`"
                .to_owned()
        })
    }

    /// Returns the host's file, with servers that the pod can reach.
    fn usual(&self, network: &Network, host: &HostNames, more: bool) -> Option<NameFile> {
        let source = match is_stub(&host.resolver) && !host.resolved.is_empty() {
            true => &host.resolved,
            false => &host.resolver,
        };
        let unreachable = |server: IpAddr| match network {
            Network::Host => false,
            Network::Connected(_) | Network::Joined(_) => is_of_link(server),
            Network::None => true,
        };
        let mut content = String::new();
        for line in source.lines().filter(|line| !is_comment(line)) {
            let mut words = line.split_whitespace();
            let kept = match words.next() {
                None => false,
                Some("nameserver") => {
                    let server = words.next().and_then(address);
                    server.is_some_and(|server| !unreachable(server))
                }
                Some("search" | "domain") => self.search.is_empty(),
                Some("options") => self.options.is_empty(),
                Some(_) => true,
            };
            if kept {
                content.push_str(line);
                content.push('\n');
            }
        }
        content.push_str(&self.spelled(&[]));
        let reason = match more {
            true => "option --dns-search or --dns-opt",
            false if network.names_servers() => {
                "the host's servers that the pod can reach, unless its networks name others"
            }
            false => "the host's servers that the pod can reach",
        };
        let by_network = !more && network.names_servers();
        (by_network || !content.is_empty()).then(|| NameFile {
            content,
            reason: reason.to_owned(),
            replaces: more,
            by_network,
        })
    }

    fn spelled(&self, servers: &[IpAddr]) -> String {
        let mut content = String::new();
        for server in servers {
            content.push_str(&format!("nameserver {server}\n"));
        }
        for (word, values) in [("search", &self.search), ("options", &self.options)] {
            if !values.is_empty() {
                content.push_str(&format!("{word} {}\n", values.join(" ")));
            }
        }
        content
    }
}

/// Returns whether the only server is the one of systemd-resolved on the host,
/// which no other network reaches (systemd-resolved.service(8)).
fn is_stub(resolver: &str) -> bool {
    let servers = resolver
        .lines()
        .filter_map(|line| line.strip_prefix("nameserver"));
    let mut servers = servers.map(str::trim).peekable();
    servers.peek().is_some() && servers.all(|server| server == "127.0.0.53")
}

/// Returns whether an address means something else, or nothing, on another host.
fn is_of_link(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_link_local(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unicast_link_local(),
    }
}

fn is_comment(line: &str) -> bool {
    line.starts_with(['#', ';'])
}

/// Reads an address, which can name a link after `%`.
fn address(text: &str) -> Option<IpAddr> {
    text.split('%').next()?.parse().ok()
}

/// Parses a domain of `--dns-search` or an option of `--dns-opt`: a word.
///
/// # Errors
///
/// It is not a word, or would begin another line.
pub fn word(text: &str) -> Result<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => Ok(text.to_owned()),
        false => Err(Error::usage(format!(
            "{} is not a word of letters, digits, `-`, `_`, `.` and `:`",
            quoted(text)
        ))),
    }
}

/// Parses a value of `--hosts-entry`.
///
/// # Errors
///
/// It is neither `host` nor an address and a name.
pub fn hosts_entry(text: &str) -> Result<HostsEntry> {
    if text == "host" {
        return Ok(HostsEntry::Host);
    }
    let parts = text.split_once('=');
    let entry = parts.and_then(|(address, name)| {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let valid = !name.is_empty() && name.chars().all(fits);
        Some(HostsEntry::Named(
            address.parse().ok().filter(|_| valid)?,
            name.to_owned(),
        ))
    });
    entry.ok_or_else(|| {
        let what = format!("{} is not `ADDRESS=NAME` or `host`", quoted(text));
        Error::usage(what).hint("for instance `192.0.2.7=database`")
    })
}

/// Returns `/etc/hosts` as `--hosts-entry` asks for it; `None` if it does not.
/// `own` is what a pod has without.
pub fn hosts(entries: &[HostsEntry], own: &str, host: &HostNames) -> Option<NameFile> {
    if entries.is_empty() {
        return None;
    }
    let whole = entries.contains(&HostsEntry::Host);
    let mut content = match whole {
        true => host.hosts.clone(),
        false => own.to_owned(),
    };
    for entry in entries {
        if let HostsEntry::Named(address, name) = entry {
            if !content.is_empty() && !content.ends_with('\n') {
                content.push('\n');
            }
            content.push_str(&format!("{address}\t{name}\n"));
        }
    }
    Some(NameFile {
        content,
        reason: "option --hosts-entry".to_owned(),
        replaces: true,
        by_network: false,
    })
}

/// The longest host name that sethostname(2) accepts, in bytes.
const MAX_HOSTNAME: usize = 64;

/// Returns the host name of a pod.
///
/// # Errors
///
/// The one that was asked for is none.
pub(crate) fn hostname(uuid: Uuid, asked: Option<&str>) -> Result<Sourced<String>> {
    let Some(name) = asked else {
        return Ok(Sourced::new(uuid.to_string(), "default: the pod's UUID"));
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    if name.is_empty() || name.len() > MAX_HOSTNAME || !name.chars().all(fits) {
        return Err(Error::usage(format!("`{name}` is not a valid host name"))
            .hint("use letters, digits, `-` and `.`, at most 64 characters"));
    }
    Ok(Sourced::new(name.to_owned(), "option --hostname"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn dns(servers: &[&str], search: &[&str], options: &[&str]) -> Result<Dns> {
        let owned = |words: &[&str]| {
            words
                .iter()
                .map(|&word| word.to_owned())
                .collect::<Vec<_>>()
        };
        Ok(Dns {
            from: Dns::servers(&owned(servers))?,
            search: owned(search),
            options: owned(options),
        })
    }

    fn host(resolver: &str) -> HostNames {
        HostNames {
            resolver: resolver.to_owned(),
            resolved: "# real\nnameserver 192.0.2.53\n".to_owned(),
            hosts: "127.0.0.1 localhost\n".to_owned(),
        }
    }

    const NAT: fn() -> Network = Network::usual;

    #[test]
    fn what_is_no_server_or_contradicts_itself_is_refused() {
        for servers in [
            &["example.com"][..],
            &["192.0.2.1/24"],
            &["192.0.2.1:53"],
            &["host", "192.0.2.1"],
            &["none", "none"],
            &[""],
        ] {
            assert!(dns(servers, &[], &[]).is_err(), "{servers:?}");
        }
        for word in ["host", "none"] {
            let asked = dns(&[word], &["example.com"], &[]).unwrap();
            assert!(asked.file(&NAT(), &host("")).is_err());
        }
        for text in ["", "a b", "a\nnameserver 192.0.2.1", "\u{e4}"] {
            assert!(word(text).is_err(), "{text}");
        }
        for text in [
            "",
            "a=b",
            "192.0.2.1",
            "192.0.2.1=",
            "192.0.2.1=a b",
            "192.0.2.1=a\n",
        ] {
            assert!(hosts_entry(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_pod_asks_no_server_that_it_does_not_reach() {
        let whole = "# comment\nnameserver 127.0.0.1\nnameserver 192.0.2.9\nnameserver ::1\n\
                     nameserver fe80::1%eth0\nsearch example.com\n\noptions rotate\n";
        for (resolver, network, expected) in [
            (whole, Network::None, None),
            (
                whole,
                NAT(),
                Some("nameserver 192.0.2.9\nsearch example.com\noptions rotate\n"),
            ),
            (
                "nameserver 127.0.0.53\noptions edns0\n",
                NAT(),
                Some("nameserver 192.0.2.53\n"),
            ),
            (
                "nameserver 127.0.0.53\noptions edns0\n",
                Network::Host,
                Some("nameserver 192.0.2.53\n"),
            ),
            ("nameserver 127.0.0.1\n", NAT(), None),
            (
                "nameserver 127.0.0.1\n",
                Network::Host,
                Some("nameserver 127.0.0.1\n"),
            ),
            ("", NAT(), None),
        ] {
            let file = Dns::default().file(&network, &host(resolver)).unwrap();
            assert!(file.as_ref().is_none_or(|file| !file.replaces));
            let content = file.map(|file| file.content);
            assert_eq!(content.as_deref(), expected, "{resolver} {network:?}");
        }
    }

    #[test]
    fn what_is_asked_for_is_what_the_file_says() {
        let own = host("nameserver 192.0.2.9\nsearch example.com\noptions rotate\n");
        for (servers, search, options, expected) in [
            (
                &["192.0.2.1", "fd00::1"][..],
                &[][..],
                &[][..],
                "nameserver 192.0.2.1\nnameserver fd00::1\n",
            ),
            (
                &["192.0.2.1"],
                &["foo.com", "bar.com"],
                &["debug", "ndots:2"],
                "nameserver 192.0.2.1\nsearch foo.com bar.com\noptions debug ndots:2\n",
            ),
            (
                &[],
                &["foo.com"],
                &[],
                "nameserver 192.0.2.9\noptions rotate\nsearch foo.com\n",
            ),
            (
                &[],
                &[],
                &["debug"],
                "nameserver 192.0.2.9\nsearch example.com\noptions debug\n",
            ),
            (&["host"], &[], &[], &own.resolver),
        ] {
            let file = dns(servers, search, options)
                .unwrap()
                .file(&NAT(), &own)
                .unwrap()
                .unwrap();
            assert!(file.replaces);
            assert_eq!(file.content, expected);
        }
        assert_eq!(
            dns(&["none"], &[], &[])
                .unwrap()
                .file(&NAT(), &own)
                .unwrap(),
            None
        );
    }

    #[test]
    fn entries_are_added_to_the_pods_hosts_or_the_hosts() {
        let own = "127.0.0.1\tlocalhost web\n";
        let named = hosts_entry("128.66.0.99=host1").unwrap();
        let file = |entries: &[HostsEntry]| hosts(entries, own, &host("")).map(|file| file.content);
        assert_eq!(file(&[]), None);
        assert_eq!(
            file(std::slice::from_ref(&named)).unwrap(),
            format!("{own}128.66.0.99\thost1\n")
        );
        let whole = "127.0.0.1 localhost\n";
        assert_eq!(file(&[HostsEntry::Host, HostsEntry::Host]).unwrap(), whole);
        assert_eq!(
            file(&[HostsEntry::Host, named]).unwrap(),
            format!("{whole}128.66.0.99\thost1\n")
        );
    }
}
