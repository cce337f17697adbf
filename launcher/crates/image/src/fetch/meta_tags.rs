//! Reads the meta tags in which a web page names the locations of images and
//! keys.
//!
//! ```html
//! <meta name="ac-discovery" content="example.com https://example.com/{name}-{version}.{ext}">
//! <meta name="ac-discovery-pubkeys" content="example.com https://example.com/keys.gpg">
//! ```
//!
//! Source: the App Container specification, "App Container Image Discovery".
//! The only file that knows html5gum.

use html5gum::emitters::default::DefaultEmitter;
use html5gum::{Token, Tokenizer};

use appc::address::Address;
use appc::reference::Name;

/// What a page says about names with certain prefixes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    /// Prefixes and image templates.
    endpoints: Vec<(String, String)>,
    /// Prefixes and key URLs.
    keys: Vec<(String, String)>,
}

/// The location of an image and its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// The URL of the image.
    pub image: Address,
    /// The URL of its signature.
    pub signature: Address,
}

impl Page {
    /// Reads a page. Any text is accepted.
    pub(crate) fn read(html: &str) -> Self {
        let mut page = Self::default();
        let mut emitter = DefaultEmitter::<()>::default();
        // Tags inside a script or style do not count.
        emitter.naively_switch_states(true);
        for Ok(token) in Tokenizer::new_with_emitter(html, emitter) {
            let Token::StartTag(tag) = token else {
                continue;
            };
            if tag.name.as_slice() != b"meta" {
                continue;
            }
            let attribute = |name: &[u8]| {
                let value = tag.attributes.get(name)?;
                std::str::from_utf8(value).ok()
            };
            let (Some(name), Some(content)) = (attribute(b"name"), attribute(b"content")) else {
                continue;
            };
            // A single space separates the two; a tab, for instance, does
            // not.
            let Some((prefix, address)) = content.trim().split_once(' ') else {
                continue;
            };
            let pair = (prefix.to_owned(), address.trim().to_owned());
            match name {
                "ac-discovery" => page.endpoints.push(pair),
                "ac-discovery-pubkeys" => page.keys.push(pair),
                _ => {}
            }
        }
        page
    }

    /// Returns the locations of an image, in the order of the page.
    pub(crate) fn endpoints(&self, name: &Name) -> Vec<Endpoint> {
        matching(&self.endpoints, name)
            .filter_map(|template| {
                // Otherwise the signature would have the same URL as
                // the image.
                if !template.contains("{ext}") {
                    return None;
                }
                Some(Endpoint {
                    image: Address::new(render(template, name, "aci")?),
                    signature: Address::new(render(template, name, "aci.asc")?),
                })
            })
            .collect()
    }

    /// Returns the URLs of the keys, in the order of the page.
    pub(crate) fn keys(&self, name: &Name) -> Vec<Address> {
        matching(&self.keys, name).map(Address::new).collect()
    }
}

/// A prefix matches a name if it is the whole name, or all of it up to a slash.
fn matching<'a>(pairs: &'a [(String, String)], name: &'a Name) -> impl Iterator<Item = &'a str> {
    let name = name.name.as_str();
    pairs
        .iter()
        .filter(move |(prefix, _)| {
            let rest = name.strip_prefix(prefix.trim_end_matches('/'));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
        .map(|(_, address)| address.as_str())
}

/// Fills in a template; `None` if it uses a label that the name lacks: that is
/// how a page offers locations for some images only.
pub(crate) fn render(template: &str, name: &Name, extension: &str) -> Option<String> {
    let mut rendered = String::new();
    let mut rest = template;
    while let Some((before, from)) = rest.split_once('{') {
        let (variable, after) = from.split_once('}')?;
        rendered.push_str(before);
        rendered.push_str(match variable {
            "name" => name.name.as_str(),
            "ext" => extension,
            label => name.rendered(label)?,
        });
        rest = after;
    }
    rendered.push_str(rest);
    Some(rendered)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn images(html: &str, text: &str) -> Vec<String> {
        let endpoints = Page::read(html).endpoints(&name(text));
        endpoints
            .into_iter()
            .map(|endpoint| endpoint.image.reveal().to_owned())
            .collect()
    }

    #[test]
    fn what_is_no_tag_for_the_name_says_nothing() {
        let tag = |content: &str| format!("<meta name=ac-discovery content='{content}'>");
        for html in [
            String::new(),
            "<!-- <meta name=ac-discovery content='example.com https://x/{ext}'> -->".to_owned(),
            "<script>'<meta name=ac-discovery content=\"example.com https://x/{ext}\">'</script>"
                .to_owned(),
            "<meta name=AC-DISCOVERY content='example.com https://x/{ext}'>".to_owned(),
            tag("example.com"),
            tag("example.com\thttps://x/{ext}"),
            tag("example.community https://x/{ext}"),
            tag("example.co https://x/{ext}"),
            tag("example.com/other https://x/{ext}"),
            tag("example.com https://x/no-extension"),
            tag("example.com https://x/{unknown}.{ext}"),
            tag("example.com https://x/{ext"),
        ] {
            assert!(images(&html, "example.com/app").is_empty(), "{html}");
        }
    }

    #[test]
    fn tags_are_found_however_they_are_spelled() {
        for html in [
            "<META NAME='ac-discovery' CONTENT='example.com https://x/{name}.{ext}'>",
            "<body><p><meta content=\" example.com  https://x/{name}.{ext} \" name=ac-discovery>",
            "<meta name=ac-discovery content='example.com/app https://x/{name}.{ext}'/>",
            "<meta name=ac-discovery content='example.com https&colon;//x/&lbrace;name}.{ext}'>",
        ] {
            assert_eq!(
                images(html, "example.com/app"),
                ["https://x/example.com/app.aci"],
                "{html}"
            );
        }
    }

    #[test]
    fn templates_are_rendered_in_the_order_of_the_page() {
        let html = "<meta name=ac-discovery content='a.b https://1/{name}-{version}-{channel}.{ext}'>\
                    <meta name=ac-discovery content='a.b https://2/{version}-{os}.{ext}'>\
                    <meta name=ac-discovery content='a.b hdfs://3/{name}.{ext}'>";
        assert_eq!(
            images(html, "a.b/c"),
            ["https://2/latest-linux.aci", "hdfs://3/a.b/c.aci"]
        );
        assert_eq!(
            images(html, "a.b/c:1,channel=x")[0],
            "https://1/a.b/c-1-x.aci"
        );
        let endpoint = &Page::read(html).endpoints(&name("a.b/c:2"))[0];
        assert_eq!(endpoint.signature.reveal(), "https://2/2-linux.aci.asc");
    }

    #[test]
    fn keys_are_found_apart_from_images() {
        let html = "<meta name=ac-discovery-pubkeys content='a.b https://k/1'>\
                    <meta name=ac-discovery-pubkeys content='x.y https://k/2'>";
        let page = Page::read(html);
        assert_eq!(page.keys(&name("a.b/c")), [Address::new("https://k/1")]);
        assert!(page.endpoints(&name("a.b/c")).is_empty());
    }
}
