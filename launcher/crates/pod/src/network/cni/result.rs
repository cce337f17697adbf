//! What plugins answer (section 5 of the CNI specification).

use std::net::IpAddr;

use appc::json::{self, Value};
use error::{Error, Kind, Result};

/// What a plugin has made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// The addresses of the pod, in their order.
    pub addresses: Vec<IpAddr>,
    /// How it is to look up names.
    pub dns: Dns,
}

/// How names are looked up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dns {
    /// The servers.
    pub servers: Vec<IpAddr>,
    /// The domains that names are looked up in.
    pub search: Vec<String>,
    /// Options of the resolver.
    pub options: Vec<String>,
}

impl Made {
    /// Reads a result of any version. What it does not say, or not as it should
    /// be, counts as missing.
    pub fn read(result: &Value) -> Self {
        let interfaces = list(result.get("interfaces"));
        let is_of_pod = |ip: &&Value| {
            let at = ip
                .number("interface")
                .and_then(|at| usize::try_from(at).ok());
            // Those of the host have no sandbox.
            let interface = at.and_then(|at| interfaces.get(at));
            interface.is_none_or(|one| one.text("sandbox").is_some_and(|text| !text.is_empty()))
        };
        let ips = list(result.get("ips")).iter().filter(is_of_pod);
        let ips = ips.map(|ip| ip.text("address"));
        // Until version 0.2.0.
        let old = ["ip4", "ip6"].into_iter();
        let old = old.map(|key| result.get(key).and_then(|ip| ip.text("ip")));
        let addresses = ips.chain(old).flatten();
        Self {
            addresses: addresses
                .filter_map(|network| network.split('/').next()?.parse().ok())
                .collect(),
            dns: result.get("dns").map(Dns::read).unwrap_or_default(),
        }
    }
}

impl Dns {
    fn read(dns: &Value) -> Self {
        let texts = |key| {
            let texts = list(dns.get(key)).iter();
            texts.filter_map(|text| match text {
                Value::Text(text) => Some(text.clone()),
                _ => None,
            })
        };
        let word = |text: &String| {
            let fits = |c: char| c.is_ascii_graphic();
            !text.is_empty() && text.chars().all(fits)
        };
        let mut search: Vec<String> = texts("search").filter(word).collect();
        if search.is_empty() {
            search.extend(dns.text("domain").filter(word));
        }
        Self {
            servers: texts("nameservers")
                .filter_map(|text| text.parse().ok())
                .collect(),
            search,
            options: texts("options").filter(word).collect(),
        }
    }

    /// Formats it as `/etc/resolv.conf`; `None` if there is nothing to say.
    pub fn file(&self) -> Option<String> {
        let mut content = String::new();
        for server in &self.servers {
            content.push_str(&format!("nameserver {server}\n"));
        }
        for (word, values) in [("search", &self.search), ("options", &self.options)] {
            if !values.is_empty() {
                content.push_str(&format!("{word} {}\n", values.join(" ")));
            }
        }
        (!content.is_empty()).then_some(content)
    }
}

fn list(value: Option<&Value>) -> &[Value] {
    match value {
        Some(Value::List(items)) => items,
        _ => &[],
    }
}

/// Makes an error of what a plugin said when it failed: its own words, and what
/// it wrote to its standard error.
pub fn failure(plugin: &str, stdout: &[u8], stderr: &[u8]) -> Error {
    let said = json::parse(stdout).ok();
    let text = |key| said.as_ref().and_then(|said: &Value| said.text(key));
    let words = [text("msg"), text("details")].into_iter().flatten();
    let mut words: Vec<String> = words.filter(|words| !words.trim().is_empty()).collect();
    let rest = String::from_utf8_lossy(stderr);
    words.extend(Some(rest.trim().to_owned()).filter(|rest| !rest.is_empty()));
    if words.is_empty() {
        let rest = String::from_utf8_lossy(stdout);
        words.push(match rest.trim() {
            "" => "it does not say why".to_owned(),
            said => said.to_owned(),
        });
    }
    let words = words.join(": ");
    Error::new(Kind::Failed, format!("plugin `{plugin}` failed: {words}"))
}

/// Reads the result that a plugin has printed.
///
/// # Errors
///
/// It is not a result.
pub fn result(plugin: &str, stdout: &[u8]) -> Result<Value> {
    let why = match json::parse(stdout) {
        Ok(result @ Value::Object(_)) => return Ok(result),
        Ok(_) => "it is not an object".to_owned(),
        Err(error) => error.to_string(),
    };
    let what = format!("plugin `{plugin}` has printed no result: {why}");
    Err(Error::invalid(what))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn made(text: &str) -> Made {
        Made::read(&json::parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn addresses_of_the_host_are_not_the_pods() {
        let made = made(
            r#"{"cniVersion":"1.0.0",
                "interfaces":[{"name":"cni0"},{"name":"veth1","sandbox":""},
                              {"name":"eth0","sandbox":"/proc/1/fd/3"}],
                "ips":[{"address":"10.1.0.1/16","interface":0},
                       {"address":"10.1.0.2/16","interface":1},
                       {"address":"10.1.0.3/16","interface":2},
                       {"address":"fd00::4/64"},
                       {"address":"none"}, 7]}"#,
        );
        let expected = ["10.1.0.3", "fd00::4"].map(|text| text.parse::<IpAddr>().unwrap());
        assert_eq!(made.addresses, expected);
        assert_eq!(made.dns.file(), None);
    }

    #[test]
    fn results_of_every_version_are_read() {
        let addresses = |text: &str| {
            let addresses = made(text).addresses;
            addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>()
        };
        for (text, expected) in [
            ("{}", &[][..]),
            (r#"{"ips":7,"interfaces":7,"dns":7}"#, &[]),
            (
                r#"{"cniVersion":"0.2.0","ip4":{"ip":"10.1.0.2/16"},"ip6":{"ip":"fd00::2/64"}}"#,
                &["10.1.0.2", "fd00::2"],
            ),
            (
                r#"{"cniVersion":"0.3.1","ips":[{"version":"4","address":"10.1.0.2/16"}]}"#,
                &["10.1.0.2"],
            ),
        ] {
            assert_eq!(addresses(text), expected, "{text}");
        }
    }

    #[test]
    fn no_server_or_domain_begins_another_line() {
        let dns = |text: &str| made(&format!(r#"{{"dns":{text}}}"#)).dns.file();
        for (text, expected) in [
            ("{}", None),
            (r#"{"nameservers":["a\nb"],"search":["a\nb"," ",""]}"#, None),
            (
                r#"{"nameservers":["192.0.2.1","fd00::1"]}"#,
                Some("nameserver 192.0.2.1\nnameserver fd00::1\n"),
            ),
            (r#"{"domain":"a.example"}"#, Some("search a.example\n")),
            (
                r#"{"domain":"a.example","search":["b.example","c"],"options":["ndots:2"]}"#,
                Some("search b.example c\noptions ndots:2\n"),
            ),
        ] {
            assert_eq!(dns(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_failure_is_told_in_the_plugins_own_words() {
        for (stdout, stderr, expected) in [
            ("", "", "it does not say why"),
            ("no JSON\n", "", "no JSON"),
            ("", "panic: here\n", "panic: here"),
            (r#"{"code":7,"msg":"taken"}"#, "", "taken"),
            (
                r#"{"code":7,"msg":"taken","details":"by a"}"#,
                "also\n",
                "taken: by a: also",
            ),
            (r#"{"code":7,"msg":""}"#, "", r#"{"code":7,"msg":""}"#),
        ] {
            let error = failure("p", stdout.as_bytes(), stderr.as_bytes()).to_string();
            assert_eq!(error, format!("plugin `p` failed: {expected}"));
        }
        for text in ["", "7", "{"] {
            assert!(result("p", text.as_bytes()).is_err(), "{text}");
        }
    }
}
