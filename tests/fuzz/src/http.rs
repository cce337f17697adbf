//! What web servers answer: whole answers, header fields, URLs, and pages of
//! discovery.

use image::fetch::http::fuzz;

/// Reads the bytes as an answer, as header fields, as URLs one a line, and as a
/// web page.
///
/// # Panics
///
/// As [`fuzz`] says.
pub fn http(bytes: &[u8]) {
    fuzz::answer(bytes);
    let text = String::from_utf8_lossy(bytes);
    fuzz::headers(&text);
    for base in text.lines().take(1).chain(["https://example.com/a/b?c"]) {
        for location in text.lines().skip(1) {
            fuzz::url(base, location);
        }
    }
    fuzz::page(&text);
}
