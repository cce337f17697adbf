//! Discovers where an image may be: simple discovery, then meta discovery.
//!
//! Source: the App Container specification, "App Container Image Discovery".
//! Version 0.8.0 has removed simple discovery, but static file servers still
//! support it, and it costs one request.
//!
//! Pages are downloaded by a function `get`, so this module works without a
//! network.

use crate::fetch::meta_tags::{self, Endpoint, Page};
use appc::address::{Address, DISCOVERY};
use appc::reference::Name;
use error::Error;

/// Template of simple discovery.
const SIMPLE: &str = "https://{name}-{version}-{os}-{arch}.{ext}";

/// Places that were tried, and why each failed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Attempts(Vec<(String, Why)>);

/// Why an attempt failed, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Why {
    /// The reason, in a few words.
    pub text: String,
    /// What to do.
    pub hint: Option<String>,
}

impl From<&str> for Why {
    fn from(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            hint: None,
        }
    }
}

/// The sentence and the hint of an error.
impl From<&Error> for Why {
    fn from(error: &Error) -> Self {
        let shown = error.brief().to_string();
        let (text, hint) = match shown.split_once("\nhint: ") {
            Some((text, hint)) => (text, Some(hint.to_owned())),
            None => (&*shown, None),
        };
        let text = text.to_owned();
        Self { text, hint }
    }
}

impl Attempts {
    /// Adds an attempt.
    pub(crate) fn add(&mut self, place: impl Into<String>, why: impl Into<Why>) {
        self.0.push((place.into(), why.into()));
    }

    /// Returns one line for each attempt.
    pub(crate) fn lines(&self) -> Vec<String> {
        let lines = self.0.iter();
        lines
            .map(|(place, why)| format!("{place}: {}", why.text))
            .collect()
    }

    /// Returns the first hint.
    pub(crate) fn hint(&self) -> Option<&str> {
        self.0.iter().find_map(|(_, why)| why.hint.as_deref())
    }
}

/// Returns the location by simple discovery; `None` if the specification has no
/// name for the host's processor.
pub(crate) fn simple(name: &Name) -> Option<Endpoint> {
    Some(Endpoint {
        image: Address::new(meta_tags::render(SIMPLE, name, "aci")?),
        signature: Address::new(meta_tags::render(SIMPLE, name, "aci.asc")?),
    })
}

/// Returns the locations of an image that web pages name.
pub(crate) fn endpoints(
    name: &Name,
    schemes: &[&str],
    get: Get<'_>,
    attempts: &mut Attempts,
) -> Vec<Endpoint> {
    walk(name, schemes, get, &|page| page.endpoints(name), attempts)
}

/// Returns the locations of the keys that web pages name for the images of a
/// name. Being named does not make a key trusted.
pub(crate) fn keys(
    name: &Name,
    schemes: &[&str],
    get: Get<'_>,
    attempts: &mut Attempts,
) -> Vec<Address> {
    walk(name, schemes, get, &|page| page.keys(name), attempts)
}

/// Downloads a page, or returns why that failed.
pub(crate) type Get<'a> = &'a dyn Fn(&str) -> std::result::Result<Vec<u8>, Why>;

/// Fetches the page of the name, then of each parent, until one has an answer.
/// Endpoints and keys are looked up separately, because they may be on
/// different pages.
fn walk<T>(
    name: &Name,
    schemes: &[&str],
    get: Get<'_>,
    select: &dyn Fn(&Page) -> Vec<T>,
    attempts: &mut Attempts,
) -> Vec<T> {
    let mut part = name.name.as_str();
    loop {
        for scheme in schemes {
            let address = format!("{scheme}://{part}?{DISCOVERY}");
            let why = match get(&address) {
                Ok(html) => {
                    let found = select(&Page::read(&String::from_utf8_lossy(&html)));
                    if !found.is_empty() {
                        return found;
                    }
                    "the page does not mention it".into()
                }
                Err(why) => why,
            };
            attempts.add(address, why);
        }
        match part.rsplit_once('/') {
            Some((parent, _)) => part = parent,
            None => return Vec::new(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    const ENDPOINT: &str =
        "<meta name=ac-discovery content='a.b https://here/{name}-{version}.{ext}'>";
    const KEYS: &str = "<meta name=ac-discovery-pubkeys content='a.b https://keys'>";

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    /// Looks for both with these pages, and returns what was asked, too.
    fn look(pages: &[(&str, &str)], text: &str) -> (Vec<String>, Vec<String>, String) {
        let get = |address: &str| {
            let found = pages.iter().find(|(page, _)| *page == address);
            found
                .map(|(_, html)| html.as_bytes().to_vec())
                .ok_or_else(|| "404 Not Found".into())
        };
        let name = name(text);
        let mut attempts = Attempts::default();
        let endpoints = endpoints(&name, &["https"], &get, &mut attempts);
        let text = |address: Address| address.reveal().to_owned();
        let images = endpoints.into_iter().map(|endpoint| text(endpoint.image));
        let keys = keys(&name, &["https"], &get, &mut Attempts::default());
        let keys = keys.into_iter().map(text);
        (
            images.collect(),
            keys.collect(),
            attempts.lines().join("\n"),
        )
    }

    #[test]
    fn where_no_page_says_anything_all_places_are_remembered() {
        let (images, keys, lines) = look(&[("https://a.b/c?ac-discovery=1", "<p>")], "a.b/c/d");
        assert_eq!((images.len(), keys.len()), (0, 0));
        assert_eq!(
            lines,
            "https://a.b/c/d?ac-discovery=1: 404 Not Found\
             \nhttps://a.b/c?ac-discovery=1: the page does not mention it\
             \nhttps://a.b?ac-discovery=1: 404 Not Found"
        );
    }

    #[test]
    fn the_nearest_page_that_says_something_hides_those_above() {
        let above = ENDPOINT.replace("here", "above");
        let pages = [
            ("https://a.b/c?ac-discovery=1", ENDPOINT),
            ("https://a.b?ac-discovery=1", above.as_str()),
        ];
        let (images, ..) = look(&pages, "a.b/c/d");
        assert_eq!(images, ["https://here/a.b/c/d-latest.aci"]);
    }

    #[test]
    fn endpoints_and_keys_may_stand_on_different_pages() {
        let pages = [
            ("https://a.b/c?ac-discovery=1", ENDPOINT),
            ("https://a.b?ac-discovery=1", KEYS),
        ];
        let (images, keys, _) = look(&pages, "a.b/c");
        assert_eq!(images, ["https://here/a.b/c-latest.aci"]);
        assert_eq!(keys, ["https://keys"]);
    }

    #[test]
    fn plain_http_is_asked_only_after_https_and_only_where_it_is_allowed() {
        let get = |_: &str| Err("connection refused".into());
        let mut attempts = Attempts::default();
        endpoints(&name("a.b"), &["https", "http"], &get, &mut attempts);
        assert_eq!(
            attempts.lines(),
            [
                "https://a.b?ac-discovery=1: connection refused",
                "http://a.b?ac-discovery=1: connection refused"
            ]
        );
    }

    #[test]
    fn simple_discovery_asks_for_the_latest_version_for_this_host() {
        let endpoint = simple(&name("a.b/c,os=linux,arch=amd64")).unwrap();
        let image = "https://a.b/c-latest-linux-amd64.aci";
        assert_eq!(endpoint.image.reveal(), image);
        assert_eq!(endpoint.signature.reveal(), format!("{image}.asc"));
    }
}
