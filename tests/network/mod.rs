//! Networks of pods, on a host of the tests' own: two network namespaces with a
//! link in between, so that nothing of this machine's network is touched.
//!
//! ```text
//! pods --- host 192.0.2.1, fd00:1::1 --- remote 192.0.2.2, fd00:1::2
//! ```
//!
//! The remote has no route to pods: what reaches it has the host's address.

/// The site, or leaves the test where there can be none.
macro_rules! site {
    () => {{
        require_root!();
        for tool in ["nsenter", "unshare", "ip", "nft"] {
            if $crate::host::find_tool(tool).is_none() {
                skip!("needs `{tool}`; see `cargo xtask setup`");
            }
        }
        let site = $crate::network::Site::new();
        if !site.has_nftables() {
            skip!("needs a kernel with nftables");
        }
        site
    }};
}

/// Sockets that are open before an app starts.
mod activation;
/// Networks that pods share.
mod bridge;
/// Networks that plugins make.
mod cni;
/// How a pod is connected if the caller does not say.
mod default;
/// What goes with a pod, however it ends.
mod ends;
/// Packet filters of others, on the same host.
mod firewalls;
/// How apps find others by name.
mod names;
/// Ports of the host that lead to a pod.
mod ports;
/// Who reaches whom.
mod reach;
/// What is refused, and leaves nothing.
mod refused;
/// Both sides of a wire.
mod site;
/// Pods on the wire.
mod wire;

pub(crate) use site::Site;
