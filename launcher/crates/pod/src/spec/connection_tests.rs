//! What is and what is no connection.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

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
        ("nat:GATEWAY=10.0.0.1", "`GATEWAY` is not for `nat`"),
        ("nat:NAME=x", "`NAME` is not an argument"),
        ("nat:MODE=bridge", "`MODE` is not for `nat`"),
        ("nat:IP=10.0.0.1/8", "an address alone"),
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
        ("macvlan", "needs the name of an interface"),
        ("ipvlan:IP=192.0.2.9/24", "needs the name of an interface"),
        ("macvlan:", "`` is not the name of an interface"),
        ("macvlan:a/b", "`a/b` is not the name of an interface"),
        ("macvlan:..", "`..` is not the name of an interface"),
        (
            "macvlan:0123456789abcdef",
            "is not the name of an interface",
        ),
        ("macvlan:a:IP=192.0.2.9", "prefix of `192.0.2.9` is missing"),
        ("macvlan:a:IP=192.0.2.9/33", "is not an address"),
        ("macvlan:a:IP=192.0.2.9/-1", "is not an address"),
        ("macvlan:a:GATEWAY=192.0.2.1", "`GATEWAY` needs `IP`"),
        (
            "macvlan:a:IP=192.0.2.9/24,GATEWAY=192.0.3.1",
            "`192.0.3.1` is not another address",
        ),
        (
            "macvlan:a:IP=192.0.2.9/24,GATEWAY=192.0.2.9",
            "`192.0.2.9` is not another address",
        ),
        (
            "macvlan:a:IP=192.0.2.9/24,GATEWAY=fd00::1",
            "`fd00::1` is not another address",
        ),
        ("macvlan:a:MODE=l2", "`l2` is not a mode"),
        ("ipvlan:a:MODE=bridge", "`bridge` is not a mode"),
        ("ipvlan:a:MODE=l3", "mode `l3` needs `IP`"),
        (
            "ipvlan:a:MAC=02:00:00:00:00:0a",
            "`MAC` is not for `ipvlan`",
        ),
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
        "macvlan:eth0.7",
        "macvlan:a=b:IP=192.0.2.9/24,GATEWAY=192.0.2.1,MTU=1400,MODE=private",
        "macvlan:eth0:IP=2001:db8::9/64,GATEWAY=2001:db8::1",
        "ipvlan:eth0:IP=0.0.0.9/0,MODE=l3",
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
