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
/// How much interfaces carry.
mod bandwidth;
/// Networks that pods share.
mod bridge;
/// A site with plugins, or leaves the test where there can be none.
macro_rules! plugins {
    () => {{
        let site = site!();
        let _ = image!("busybox");
        let _ = tool!("iptables");
        if !std::path::Path::new($crate::network::cni::DEBIAN)
            .join("bridge")
            .exists()
        {
            skip!("needs `containernetworking-plugins`; see `cargo xtask setup`");
        }
        $crate::network::cni::Plugins::at(site)
    }};
}

/// Networks that plugins make.
mod cni;
/// How a pod is connected if the caller does not say.
mod default;
/// What goes with a pod, however it ends.
mod ends;
/// Packet filters of others, on the same host.
mod firewalls;
/// Networks that are there already.
mod joined;
/// How apps find others by name.
mod names;
/// Ports of the host that lead to a pod.
mod ports;
/// Who reaches whom.
mod reach;
/// What is refused, and leaves nothing.
mod refused;
/// What rkt's own tests claim.
mod rkt;
/// A service as people have it.
mod service;
/// Both sides of a wire.
mod site;
/// Pods on the wire.
mod wire;

pub(crate) use site::Site;
