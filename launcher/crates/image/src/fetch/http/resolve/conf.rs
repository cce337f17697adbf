//! What `/etc/resolv.conf` says (resolv.conf(5)).

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::time::Duration;

/// The port of name servers.
const PORT: u16 = 53;

/// Most servers that are asked, and the most that each option can be, as in
/// other resolvers.
const SERVERS: usize = 3;
const NDOTS: usize = 15;
const TIMEOUT: u64 = 30;
const ATTEMPTS: u32 = 5;

/// Whom to ask, for what, and how long.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Conf {
    /// The name servers; at least one.
    pub(super) servers: Vec<SocketAddr>,
    /// The domains in which a short name is looked for.
    search: Vec<String>,
    /// How many dots make a name a long one.
    ndots: usize,
    /// How long a server has to answer.
    pub(super) timeout: Duration,
    /// How often each server is asked.
    pub(super) attempts: u32,
    /// Whether servers are asked by TCP alone.
    pub(super) tcp: bool,
}

impl Conf {
    /// Reads the text. What is not understood is passed over.
    pub(super) fn parse(text: &str) -> Self {
        let mut conf = Self {
            servers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
            tcp: false,
        };
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => conf.servers.extend(words.next().and_then(server)),
                Some("domain") => conf.search = words.take(1).map(str::to_owned).collect(),
                Some("search") => conf.search = words.map(str::to_owned).collect(),
                Some("options") => words.for_each(|word| conf.option(word)),
                _ => {}
            }
        }
        conf.servers.truncate(SERVERS);
        if conf.servers.is_empty() {
            conf.servers.push((Ipv4Addr::LOCALHOST, PORT).into());
        }
        conf
    }

    fn option(&mut self, word: &str) {
        match word.split_once(':') {
            Some(("ndots", n)) => self.ndots = n.parse().unwrap_or(self.ndots).min(NDOTS),
            Some(("attempts", n)) => {
                self.attempts = n.parse().unwrap_or(self.attempts).clamp(1, ATTEMPTS);
            }
            Some(("timeout", n)) => {
                let seconds = n
                    .parse()
                    .map(|n: u64| Duration::from_secs(n.clamp(1, TIMEOUT)));
                self.timeout = seconds.unwrap_or(self.timeout);
            }
            None if word == "use-vc" => self.tcp = true,
            _ => {}
        }
    }

    /// Returns the names that a host may have, in the order in which they are
    /// asked for.
    pub(super) fn names(&self, host: &str) -> Vec<String> {
        if let Some(whole) = host.strip_suffix('.') {
            return vec![whole.to_owned()];
        }
        let domains = self.search.iter().map(|domain| domain.trim_matches('.'));
        let domains = domains.filter(|domain| !domain.is_empty());
        let mut names: Vec<String> = domains.map(|domain| format!("{host}.{domain}")).collect();
        let dots = host.matches('.').count();
        let at = if dots >= self.ndots { 0 } else { names.len() };
        names.insert(at, host.to_owned());
        names
    }
}

/// Reads the address of a server; that of an interface's own network has the
/// interface behind it, `fe80::1%eth0`.
fn server(word: &str) -> Option<SocketAddr> {
    let Some((address, zone)) = word.split_once('%') else {
        return Some(SocketAddr::new(word.parse::<IpAddr>().ok()?, PORT));
    };
    let zone = zone.parse().ok().or_else(|| interface(zone))?;
    Some(SocketAddrV6::new(address.parse().ok()?, PORT, 0, zone).into())
}

fn interface(name: &str) -> Option<u32> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    rustix::net::netdevice::name_to_index(socket, name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conf(text: &str) -> Conf {
        Conf::parse(text)
    }

    #[test]
    fn a_file_says_whom_to_ask_and_how() {
        let text = "# from DHCP\nnameserver 192.0.2.1\nnameserver 2001:db8::1 \nnameserver nobody\n\
                    nameserver fe80::1%lo\ndomain example.org\nsearch a.example b.example.\n\
                    options ndots:2 timeout:1 attempts:9 edns0 use-vc\nnameserver 192.0.2.2\n";
        let expected = Conf {
            servers: vec![
                "192.0.2.1:53".parse().expect("an address"),
                "[2001:db8::1]:53".parse().expect("an address"),
                "[fe80::1%1]:53".parse().expect("an address"),
            ],
            search: vec!["a.example".into(), "b.example.".into()],
            ndots: 2,
            timeout: Duration::from_secs(1),
            attempts: 5,
            tcp: true,
        };
        assert_eq!(conf(text), expected);
    }

    #[test]
    fn without_a_file_this_machine_is_asked() {
        let here: SocketAddr = "127.0.0.1:53".parse().expect("an address");
        assert_eq!(conf("").servers, [here]);
        assert_eq!(conf("").names("web"), ["web"]);
    }

    #[test]
    fn a_short_name_is_looked_for_in_the_domains_first() {
        let conf = conf("search a.example b.example.\noptions ndots:2");
        assert_eq!(conf.names("web"), ["web.a.example", "web.b.example", "web"]);
        let long = ["a.b.c", "a.b.c.a.example", "a.b.c.b.example"];
        assert_eq!(conf.names("a.b.c"), long);
        assert_eq!(conf.names("web."), ["web"]);
    }
}
