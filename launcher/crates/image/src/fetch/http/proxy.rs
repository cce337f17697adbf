//! Chooses the proxy of a request from environment variables. Pure.
//!
//! The variables are the same as for curl: `https_proxy`, `http_proxy`,
//! `all_proxy` and `no_proxy`, in lower or upper case, of which lower case
//! takes precedence. A name in `no_proxy` includes its subdomains; networks
//! (`10.0.0.0/8`) are not supported.

use std::fmt;
use std::net::IpAddr;

use crate::fetch::http::url::Url;
use appc::address::decoded;
use oci::secret::Secret;

/// The proxies from the environment.
#[derive(Debug, Default)]
pub(crate) struct Proxies {
    secure: Option<Secret>,
    plain: Option<Secret>,
    except: Vec<String>,
}

impl Proxies {
    /// Reads the variables with `variable`.
    pub(crate) fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let either = |name: &str| {
            let filled = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
            filled(name).or_else(|| filled(&name.to_uppercase()))
        };
        // In a CGI program, HTTP_PROXY comes from the request's header `Proxy`
        // (CVE-2016-5385).
        let plain = match variable("REQUEST_METHOD") {
            Some(_) => variable("http_proxy").filter(|value| !value.is_empty()),
            None => either("http_proxy"),
        };
        let all = either("all_proxy");
        let separator = |c: char| c == ',' || c.is_whitespace();
        let except = either("no_proxy").unwrap_or_default();
        let secure = either("https_proxy").or_else(|| all.clone());
        Self {
            secure: secure.map(Secret::new),
            plain: plain.or(all).map(Secret::new),
            except: except
                .split(separator)
                .filter(|entry| !entry.is_empty())
                .map(str::to_ascii_lowercase)
                .collect(),
        }
    }

    /// Returns the proxy for a URL, if any.
    ///
    /// # Errors
    ///
    /// This kind of proxy is not supported.
    pub(crate) fn choose(&self, url: &Url) -> Result<Option<Proxy>, String> {
        let text = match url.secure {
            true => &self.secure,
            false => &self.plain,
        };
        match text {
            Some(text) if !self.except.iter().any(|entry| covers(entry, url)) => {
                Proxy::parse(text.reveal()).map(Some)
            }
            _ => Ok(None),
        }
    }
}

/// Tells whether an entry of `no_proxy` covers the host of a URL.
fn covers(entry: &str, url: &Url) -> bool {
    if entry == "*" {
        return true;
    }
    // The colons of an IPv6 address without brackets are not before a port.
    let (name, port) = match entry
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        Some((name, port)) => (name, port.strip_prefix(':').unwrap_or_default()),
        None if entry.matches(':').count() > 1 => (entry, ""),
        None => entry.split_once(':').unwrap_or((entry, "")),
    };
    if !port.is_empty() && port != url.port.to_string() {
        return false;
    }
    let name = name.trim_start_matches('.').trim_end_matches('.');
    let host = url.host.trim_end_matches('.');
    let address: Result<IpAddr, _> = host.parse();
    if let (Ok(address), Ok(entry)) = (&address, name.parse::<IpAddr>()) {
        return *address == entry;
    }
    match host.strip_suffix(name) {
        Some("") => !name.is_empty(),
        // 4.10.0.0.1 is not below 10.0.0.1.
        Some(before) => !name.is_empty() && before.ends_with('.') && address.is_err(),
        None => false,
    }
}

/// An HTTP proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proxy {
    /// The host name or IP address, without brackets.
    pub(crate) host: String,
    /// The port; 1080 by default, as for curl.
    pub(crate) port: u16,
    /// `USER:PASSWORD`, decoded.
    pub(crate) login: Option<Secret>,
}

/// `HOST:PORT`, without the login.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl Proxy {
    /// Parses `[http://][USER[:PASSWORD]@]HOST[:PORT][/]`. Errors do not
    /// show the text, which may contain a password.
    fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let scheme = scheme.to_ascii_lowercase();
        if scheme != "http" {
            let kind: String = scheme.chars().filter(char::is_ascii_alphanumeric).collect();
            return Err(format!(
                "the environment names a proxy of kind `{kind}`, and only `http` proxies are supported"
            ));
        }
        let rest = rest.trim_end_matches('/');
        let (login, address) = match rest.rsplit_once('@') {
            Some((login, address)) => (Some(decoded(login)), address),
            None => (None, rest),
        };
        let login = login.map(|login| String::from_utf8_lossy(&login).into_owned());
        let wrong = || "the environment names a proxy that is not `http://HOST:PORT`".to_owned();
        // The host and port follow the same rules as in a URL, but for the
        // default port.
        let port = match address
            .rsplit_once(']')
            .unwrap_or(("", address))
            .1
            .contains(':')
        {
            true => "",
            false => ":1080",
        };
        let url = Url::parse(&format!("http://{address}{port}/")).map_err(|_| wrong())?;
        if address.contains('/') || login.as_ref().is_some_and(|login| login.contains('\n')) {
            return Err(wrong());
        }
        Ok(Self {
            host: url.host,
            port: url.port,
            login: login.map(Secret::new),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Proxies {
        Proxies::read(|name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn way(variables: &[(&str, &str)], url: &str) -> String {
        let url = Url::parse(url).expect("a URL");
        match proxies(variables).choose(&url) {
            Ok(Some(proxy)) => proxy.to_string(),
            Ok(None) => "direct".to_owned(),
            Err(error) => error,
        }
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_not_passed_over() {
        let socks = "the environment names a proxy of kind `socks5h`, and only `http` proxies are supported";
        let none = "the environment names a proxy that is not `http://HOST:PORT`";
        for (value, message) in [
            ("socks5h://p:1", socks),
            ("p:x", none),
            ("p:99999", none),
            ("http://[::1", none),
            ("http://p:1/x", none),
            ("http://u:secret%0aX: y@p:1", none),
        ] {
            let shown = way(&[("https_proxy", value)], "https://example.com/");
            assert_eq!(shown, message, "{value}");
        }
    }

    #[test]
    fn no_proxy_covers_whole_names_only() {
        for (except, host, covered) in [
            ("ample.com", "example.com", false),
            ("example.com", "example.com.evil.org", false),
            ("0.0.1", "127.0.0.1", false),
            ("10.0.0.0/8", "10.1.2.3", false),
            (".", "example.com", false),
            ("example.com:8443", "example.com", false),
            ("example.com", "example.com", true),
            ("example.com:443", "example.com", true),
            ("example.com", "www.example.com", true),
            (".Example.com", "EXAMPLE.com", true),
            ("a.b, example.com", "www.example.com", true),
            ("a.b example.com", "example.com", true),
            ("127.0.0.1", "127.0.0.1", true),
            ("*", "example.com", true),
            ("::1", "[::1]", true),
            ("[0::1]", "[::1]", true),
            ("[::1]:443", "[::1]", true),
            ("[::1]:80", "[::1]", false),
            ("::2", "[::1]", false),
        ] {
            let variables = [("https_proxy", "http://p:3128"), ("no_proxy", except)];
            let way = way(&variables, &format!("https://{host}/"));
            let expected = if covered { "direct" } else { "p:3128" };
            assert_eq!(way, expected, "{except} {host}");
        }
    }

    #[test]
    fn the_header_of_a_web_request_is_no_proxy() {
        let variables = [("HTTP_PROXY", "p:1"), ("REQUEST_METHOD", "GET")];
        assert_eq!(way(&variables, "http://example.com/"), "direct");
        assert_eq!(way(&variables[..1], "http://example.com/"), "p:1");
    }

    #[test]
    fn the_proxy_of_the_scheme_comes_before_the_one_for_all() {
        let all = [
            ("ALL_PROXY", "a:1"),
            ("https_proxy", "s:2"),
            ("HTTPS_PROXY", "t:3"),
        ];
        assert_eq!(way(&all, "https://example.com/"), "s:2");
        assert_eq!(way(&all, "http://example.com/"), "a:1");
        assert_eq!(
            way(&[("https_proxy", "")], "https://example.com/"),
            "direct"
        );
        assert_eq!(
            way(&[("https_proxy", "p")], "https://example.com/"),
            "p:1080"
        );
        for (value, proxy) in [
            ("http://[::1]:3128/", "[::1]:3128"),
            ("[::1]", "[::1]:1080"),
        ] {
            let way = way(&[("https_proxy", value)], "https://example.com/");
            assert_eq!(way, proxy);
        }
    }

    #[test]
    fn a_login_is_decoded_and_never_shown() {
        let proxy = Proxy::parse("http://me:p%40ss%zz@p:3128/").expect("a proxy");
        let login = proxy.login.as_ref().map(Secret::reveal);
        assert_eq!(login, Some("me:p@ss%zz"));
        assert_eq!(proxy.to_string(), "p:3128");
        let variables = [("https_proxy", "http://me:p%40ss@p:3128/")];
        for shown in [format!("{proxy:?}"), format!("{:?}", proxies(&variables))] {
            assert!(!shown.contains("ss"), "{shown}");
        }
    }
}
