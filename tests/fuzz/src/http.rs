//! What web servers answer: whole answers, header fields, URLs, and pages of
//! discovery; and what name servers answer.

use image::fetch::http::fuzz;

/// Reads the bytes as an answer, as header fields, as URLs one a line, as a web
/// page, and as what a name server answers.
///
/// # Panics
///
/// As [`fuzz`] says.
pub fn http(bytes: &[u8]) {
    fuzz::answer(bytes);
    fuzz::names(bytes);
    let text = String::from_utf8_lossy(bytes);
    fuzz::headers(&text);
    for base in text.lines().take(1).chain(["https://example.com/a/b?c"]) {
        for location in text.lines().skip(1) {
            fuzz::url(base, location);
        }
    }
    fuzz::page(&text);
}
