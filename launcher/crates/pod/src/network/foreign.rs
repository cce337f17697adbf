//! What packet filters of others do to what pods send. A table of ours cannot let
//! through what another one drops; and what others have set up is left alone. So
//! all that can be done is to say so.
//!
//! Seen are the tables of nftables, and so those of iptables-nft(8), docker, ufw
//! and firewalld. Of iptables-legacy(8), the kernel does not tell the policy.

use crate::network::pool::{self, LINKS};
use error::{Error, Kind};
use sys::netlink::Socket;
use sys::netlink::nftables::Chain;

/// Explains, and says what to do, if another table drops packets that the host
/// passes on, and none of its rules is about pods.
pub(super) fn obstacle() -> Option<Error> {
    // Whoever cannot look has nothing to say.
    let mut socket = Socket::netfilter().ok()?;
    let chains = socket.chains().ok()?;
    let networks = pool::networks().map(|network| network.octets());
    let mut about_pods: Vec<&[u8]> = networks.iter().map(|octets| &octets[..]).collect();
    about_pods.push(LINKS.as_bytes());
    let obstacle = chains.iter().find(|chain| {
        let stops = chain.forwards && chain.sees_ipv4() && (chain.drops || is_firewalld(chain));
        stops && !matches!(socket.mentions(chain, &about_pods), Ok(true))
    })?;
    let Chain { table, name, .. } = obstacle;
    let family = obstacle.family();
    let what = match obstacle.drops {
        true => {
            format!("chain `{name}` of the host's table `{family} {table}` has the policy `drop`")
        }
        false => "the host's `firewalld` knows no zone of pods".to_owned(),
    };
    let what = format!("what the pod sends to others may be dropped: {what}");
    Some(Error::new(Kind::Failed, what).hint(hint(obstacle, &chains)))
}

/// firewalld(1) rejects in a rule what belongs to none of its zones.
fn is_firewalld(chain: &Chain) -> bool {
    chain.table == "firewalld"
}

/// Returns the commands that let packets of pods through.
fn hint(obstacle: &Chain, chains: &[Chain]) -> String {
    let Chain { table, name, .. } = obstacle;
    if is_firewalld(obstacle) {
        return format!("`firewall-cmd --zone=trusted --add-interface={LINKS}+` lets it through");
    }
    // iptables-nft(8) takes no rules of nft(8) in its tables.
    if (obstacle.family(), &**table, &**name) == ("ip", "filter", "FORWARD") {
        // docker looks here first, and leaves it to others.
        let is_users = |chain: &&Chain| chain.table == *table && chain.name == "DOCKER-USER";
        let chain = chains
            .iter()
            .find(is_users)
            .map_or("FORWARD", |chain| &*chain.name);
        return format!(
            "`iptables -I {chain} -i {LINKS}+ -j ACCEPT` and `iptables -I {chain} -o {LINKS}+ -j ACCEPT` let it through"
        );
    }
    let insert = format!("nft insert rule {} {table} {name}", obstacle.family());
    format!(
        "`{insert} iifname '{LINKS}*' accept` and `{insert} oifname '{LINKS}*' accept` let it through"
    )
}
