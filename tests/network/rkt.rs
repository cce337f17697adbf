//! What rkt's own tests of networks claim, row by row. More about each stands in
//! the files beside this one: `cni` about what plugins are called with and when,
//! `ports` about who may connect, `names` about where servers come from.

use std::net::TcpStream;

use super::cni::{ADDRESSES, BRIDGE, Plugins};
use super::names::{OWN, shown};
use super::reach::{SERVE, addresses};
use super::site::{HOST, Namespace, PORT, REMOTE};

/// A network whose pods nobody but the host reaches, and which reach nobody else.
const RESTRICTED: &str = r#"{"name":"restricted","type":"ptp",ADDRESSES}"#;

/// Configures networks of every kind.
fn configure(own: &Plugins) {
    let long = "a-network-with-a-name-that-no-link-could-have";
    for (file, text) in [
        ("bridge.conflist", BRIDGE.to_owned()),
        ("restricted.conf", RESTRICTED.to_owned()),
        (
            "ptp.conf",
            r#"{"name":"ptp","type":"ptp","ipMasq":true,ADDRESSES}"#.to_owned(),
        ),
        (
            "ptp-ports.conflist",
            r#"{"cniVersion":"0.3.1","name":"ptp-ports","plugins":[
                {"type":"ptp","ipMasq":true,ADDRESSES},
                {"type":"portmap","capabilities":{"portMappings":true}}]}"#
                .to_owned(),
        ),
        (
            "wire.conf",
            r#"{"name":"wire","type":"macvlan","master":"eth0","ipam":{"type":"host-local",
                "dataDir":"DIR/leases","subnet":"192.0.2.0/24","rangeStart":"192.0.2.77",
                "rangeEnd":"192.0.2.77"}}"#
                .to_owned(),
        ),
        (
            "default.conf",
            r#"{"name":"default","type":"ptp","ipMasq":true,"dns":{"nameservers":["192.0.2.53"],
                "search":["a.example"]},ADDRESSES}"#
                .to_owned(),
        ),
        (
            "long.conf",
            format!(r#"{{"name":"{long}","type":"ptp","ipMasq":true,{ADDRESSES}}}"#),
        ),
    ] {
        own.network(file, &text);
    }
}

#[test]
fn what_apps_see_of_their_networks() {
    let own = plugins!();
    configure(&own);
    let _servers = [own.site.remote.serve(PORT), own.site.host.serve(PORT)];
    let namespace = std::fs::read_link(own.site.host.path()).unwrap();
    let namespace = format!("{}\n", namespace.display());
    let by_host = format!("{}\n", HOST[0]);
    let remote = format!("nc {} {PORT}", REMOTE[0]);
    let of_host = format!("nc {} {PORT} >/dev/null && echo reached", HOST[0]);
    let no_further = format!("{of_host}; nc -w 1 {} {PORT} || echo no further", REMOTE[0]);
    let links = "cd /sys/class/net; echo *";
    let address = "ip -4 -o address show eth0 | sed 's/.* inet \\([^/]*\\).*/\\1/'";
    let servers = "cat /etc/resolv.conf || echo none";
    let long = "--net=a-network-with-a-name-that-no-link-could-have";
    for (claim, options, script, expected) in [
        (
            "host: the host's namespace",
            "--net=host",
            "readlink /proc/self/ns/net",
            &*namespace,
        ),
        ("host: others", "--net=host", &remote, &by_host),
        ("none: loopback only", "--net=none", links, "lo\n"),
        ("nat: the host", "--net=nat", &of_host, "reached\n"),
        ("nat: others", "--net=nat", &remote, &by_host),
        (
            "nat: an address",
            "--net=nat:IP=172.16.28.99",
            address,
            "172.16.28.99\n",
        ),
        (
            "restricted: the host only",
            "--net=restricted",
            &no_further,
            "reached\nno further\n",
        ),
        ("ptp: the host", "--net=ptp", &of_host, "reached\n"),
        ("ptp: others", "--net=ptp", &remote, &by_host),
        ("bridge: the host", "--net=net", &of_host, "reached\n"),
        ("bridge: others", "--net=net", &remote, &by_host),
        ("macvlan: others", "--net=wire", &remote, "192.0.2.77\n"),
        ("two: links", "--net=ptp,net", links, "eth0 eth1 lo\n"),
        ("two: others", "--net=ptp --net=nat", &remote, &by_host),
        ("default: configured", "--net=default", &remote, &by_host),
        (
            "default: an address",
            "--net=default:IP=10.77.0.99",
            address,
            "10.77.0.99\n",
        ),
        (
            "a name: an address",
            "--net=ptp:IP=10.77.0.98",
            address,
            "10.77.0.98\n",
        ),
        ("a long name", long, &remote, &by_host),
        (
            "names: of the network",
            "--net=default",
            servers,
            "nameserver 192.0.2.53\nsearch a.example\n",
        ),
        (
            "names: by an option",
            "--net=default --dns=192.0.2.9",
            servers,
            "nameserver 192.0.2.9\n",
        ),
        ("names: none", "--net=default --dns=none", servers, "none\n"),
    ] {
        let options: Vec<&str> = options.split(' ').collect();
        let said = own.pod(&options, script).run().exits(0).stdout;
        assert_eq!(said, expected, "{claim}");
    }
    own.has_nothing_left();
}

#[test]
fn who_gets_to_an_app_by_a_port_of_the_host() {
    let own = plugins!();
    configure(&own);
    let reaches = |from: &Namespace, to: &str| {
        let to = to.to_owned();
        let reached = from.within(move || TcpStream::connect(to).is_ok());
        reached.join().unwrap()
    };
    let (host, remote) = (&own.site.host, &own.site.remote);
    for network in ["nat", "bridge", "ptp-ports", "net"] {
        for (claim, port, from, to, expected) in [
            ("the same port", "80:80", remote, "192.0.2.1:80", true),
            ("another port", "8080:80", remote, "192.0.2.1:8080", true),
            (
                "not what is not published",
                "8080:80",
                remote,
                "192.0.2.1:80",
                false,
            ),
            ("over loopback", "8080:80", host, "127.0.0.1:8080", true),
            (
                "an address",
                "192.0.2.1:8080:80",
                remote,
                "192.0.2.1:8080",
                true,
            ),
            (
                "not by another",
                "127.0.0.1:8080:80",
                remote,
                "192.0.2.1:8080",
                false,
            ),
            (
                "loopback only",
                "127.0.0.1:8080:80",
                host,
                "127.0.0.1:8080",
                true,
            ),
        ] {
            let net = format!("--net={network}");
            let script = format!("{SERVE}echo up; sleep 600");
            let mut pod = own.pod(&[&net, "-p", port], &script).start();
            pod.until_it_says("up");
            assert_eq!(reaches(from, to), expected, "{network}: {claim}");
            pod.signal(rustix::process::Signal::TERM);
            pod.end();
        }
    }
    own.has_nothing_left();
}

#[test]
fn pods_of_one_network_and_the_host_reach_each_other() {
    let own = plugins!();
    configure(&own);
    for network in ["nat", "bridge", "ptp", "net"] {
        let net = format!("--net={network}");
        let script = format!("{SERVE}{}echo up; sleep 600", super::reach::SAY);
        let mut pod = own.pod(&[&net], &script).start();
        let to = format!("{}:80", addresses(&mut pod)[0]);
        let (address, _) = to.split_once(':').unwrap();
        let fetch = format!("wget -q -O - http://{address}/cgi-bin/who >/dev/null && echo reached");
        let ran = own.pod(&[&net], &fetch).run().exits(0);
        assert_eq!(ran.stdout, "reached\n", "{network}");
        let connect = own.site.host.within(move || TcpStream::connect(to).is_ok());
        assert!(connect.join().unwrap(), "{network}");
        pod.signal(rustix::process::Signal::TERM);
        pod.end();
    }
    own.has_nothing_left();
}

#[test]
fn the_files_of_names_that_apps_have() {
    let site = site!();
    let _ = image!("busybox");
    let own = site.file("own", "# mine\n");
    let own = own.display();
    let (resolver, hosts) = ("/etc/resolv.conf", "/etc/hosts");
    let usual = "127.0.0.1\tlocalhost web\n::1\tlocalhost web\n";
    let more = "128.66.0.99\thost1\n";
    for (claim, options, file, expected) in [
        (
            "a server",
            "--dns=192.0.2.1".to_owned(),
            resolver,
            "nameserver 192.0.2.1\n".to_owned(),
        ),
        (
            "domains",
            "--dns=192.0.2.1 --dns-search=foo.com --dns-search=bar.com".to_owned(),
            resolver,
            "nameserver 192.0.2.1\nsearch foo.com bar.com\n".to_owned(),
        ),
        (
            "options",
            "--dns=192.0.2.1 --dns-opt=debug --dns-opt=use-vc --dns-opt=rotate".to_owned(),
            resolver,
            "nameserver 192.0.2.1\noptions debug use-vc rotate\n".to_owned(),
        ),
        (
            "nothing",
            "--net=none".to_owned(),
            resolver,
            "none\n".to_owned(),
        ),
        (
            "none",
            "--net=nat --dns=none".to_owned(),
            resolver,
            "none\n".to_owned(),
        ),
        (
            "the host's",
            "--net=nat --dns=host".to_owned(),
            resolver,
            "nameserver 192.0.2.9\nsearch example.com\noptions rotate\n".to_owned(),
        ),
        (
            "a volume",
            format!("--volume={own}:{resolver}:ro"),
            resolver,
            "# mine\n".to_owned(),
        ),
        (
            "hosts: usual",
            "--net=none".to_owned(),
            hosts,
            usual.to_owned(),
        ),
        (
            "hosts: a volume",
            format!("--volume={own}:{hosts}:ro"),
            hosts,
            "# mine\n".to_owned(),
        ),
        (
            "hosts: an entry",
            "--hosts-entry=128.66.0.99=host1".to_owned(),
            hosts,
            format!("{usual}{more}"),
        ),
        (
            "hosts: the host's, twice",
            "--hosts-entry=host --hosts-entry=host".to_owned(),
            hosts,
            "192.0.2.7 db\n".to_owned(),
        ),
        (
            "hosts: both",
            "--hosts-entry=host --hosts-entry=128.66.0.99=host1".to_owned(),
            hosts,
            format!("192.0.2.7 db\n{more}"),
        ),
        (
            "hostname",
            "--net=none".to_owned(),
            "/etc/hostname",
            "web\n".to_owned(),
        ),
        (
            "hostname: the kernel's",
            "--net=none".to_owned(),
            "/proc/sys/kernel/hostname",
            "web\n".to_owned(),
        ),
    ] {
        let options = format!("--hostname=web {options}");
        let words: Vec<&str> = options.split(' ').collect();
        assert_eq!(shown(&site, OWN, &words, file), expected, "{claim}");
    }
}
