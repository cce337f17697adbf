//! The door of the fuzz targets (`tests/fuzz`) to what reads the answers of
//! servers, and the promises that they check. Nothing else comes in here.

use crate::fetch::http::headers::Headers;
use crate::fetch::http::message::{self, BodyReader};
use crate::fetch::http::resolve;
use crate::fetch::http::url::Url;
use crate::fetch::meta_tags::Page;

/// Reads all that we want of header fields, one a line.
///
/// # Panics
///
/// A validator could end the line of a request, or a range has no bytes.
pub fn headers(text: &str) {
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let headers = Headers(fields.map(own).collect());
    let _ = (headers.length(), headers.is_framed());
    let _ = (headers.freshness(), headers.retry_after(0));
    let validators = headers.validators();
    let sent = [&validators.etag, &validators.last_modified];
    for text in sent.into_iter().flatten() {
        assert!(!text.chars().any(char::is_control), "{text:?}");
    }
    if let Some(range) = headers.range() {
        assert!(range.first <= range.last, "{range:?}");
        assert!(
            range.total.is_none_or(|total| range.last < total),
            "{range:?}"
        );
    }
}

/// Reads an answer of a name server.
///
/// # Panics
///
/// It has more addresses than fit into it.
pub fn names(bytes: &[u8]) {
    resolve::fuzz(bytes);
}

/// Reads a URL, and the location to which it redirects.
///
/// # Panics
///
/// A URL could end the line of a request, or is another one when it is read again.
pub fn url(base: &str, location: &str) {
    let Ok(base) = Url::parse(base) else {
        return;
    };
    for url in [base.join(location), Ok(base)].into_iter().flatten() {
        let text = url.reveal();
        assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{text:?}");
        assert_eq!(Url::parse(&text), Ok(url));
    }
}

/// Reads an answer to its end.
pub fn answer(bytes: &[u8]) {
    let mut input = bytes;
    let Ok(head) = message::read_head(&mut input) else {
        return;
    };
    let Ok(mut body) = BodyReader::new(input, &head) else {
        return;
    };
    let mut piece = [0; 4096];
    while body.read(&mut piece).is_ok_and(|count| count > 0) {}
}

/// Reads the meta tags of a web page.
pub fn page(html: &str) {
    Page::read(html);
}
