//! The header fields of an answer. Pure.

use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

/// The validators of a version of a document (RFC 9110, section 8.8).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Validators {
    /// `ETag`
    pub etag: Option<String>,
    /// `Last-Modified`
    pub last_modified: Option<String>,
}

/// How long a copy can be used without asking the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Freshness {
    /// The number of seconds from now, if the server says so.
    pub max_age: Option<u64>,
    /// Whether the copy must not be stored.
    pub no_store: bool,
}

/// Header fields; names in lower case.
#[derive(Debug, Default)]
pub(crate) struct Headers(pub(crate) Vec<(String, String)>);

impl Headers {
    /// Returns the first field of this name.
    pub(crate) fn get<'a>(&'a self, name: &str) -> Option<&'a str> {
        self.all(name).next()
    }

    /// Returns all fields of this name.
    pub(crate) fn all<'a, 'n>(
        &'a self,
        name: &'n str,
    ) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        let same = move |(key, _): &&(String, String)| key.trim().eq_ignore_ascii_case(name);
        self.0.iter().filter(same).map(|(_, value)| value.trim())
    }

    /// Returns the length of the body, if it is given and the body is not
    /// chunked.
    ///
    /// # Errors
    ///
    /// The length is ambiguous (RFC 9112, section 6.3), or the coding is
    /// not supported.
    pub(crate) fn length(&self) -> Result<Option<u64>, String> {
        let codings: Vec<&str> = self.all("transfer-encoding").collect();
        match codings.as_slice() {
            [] => {}
            [coding] if coding.eq_ignore_ascii_case("chunked") => return Ok(None),
            [coding, ..] => return Err(format!("transfer coding `{coding}` is not supported")),
        }
        let mut lengths = self.all("content-length");
        let Some(first) = lengths.next() else {
            return Ok(None);
        };
        if lengths.any(|other| other != first) {
            return Err("the response has two different lengths".to_owned());
        }
        match number(first) {
            Some(length) => Ok(Some(length)),
            None => Err("the length of the response is not a number".to_owned()),
        }
    }

    /// Tells whether the end of the body is marked, by a length or by the
    /// last chunk.
    pub(crate) fn is_framed(&self) -> bool {
        self.get("transfer-encoding").is_some() || self.get("content-length").is_some()
    }

    /// Returns the validators.
    pub(crate) fn validators(&self) -> Validators {
        // They will be sent back, so they must be valid in a request, and as
        // they came.
        let odd = |c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER;
        let sound = |text: &&str| !text.is_empty() && !text.contains(odd);
        Validators {
            etag: self.get("etag").filter(sound).map(str::to_owned),
            last_modified: self.get("last-modified").filter(sound).map(str::to_owned),
        }
    }

    /// Returns how long the copy is good for (RFC 9111, section 5.2.2).
    pub(crate) fn freshness(&self) -> Freshness {
        let mut freshness = Freshness::default();
        let mut asks_always = false;
        for directive in self.all("cache-control").flat_map(|value| value.split(',')) {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            match name.trim().to_ascii_lowercase().as_str() {
                "no-store" => freshness.no_store = true,
                // `no-cache="field"` is about one field, but
                // revalidating is never wrong.
                "no-cache" => asks_always = true,
                // The shorter of two counts; an invalid one means
                // stale.
                "max-age" => {
                    let age = number(value.trim().trim_matches('"')).unwrap_or(0);
                    freshness.max_age = Some(freshness.max_age.map_or(age, |old| old.min(age)));
                }
                _ => {}
            }
        }
        // The time in caches on the way counts.
        let spent = self.get("age").and_then(number).unwrap_or(0);
        freshness.max_age = match freshness.max_age {
            _ if asks_always => Some(0),
            age => age.map(|age| age.saturating_sub(spent)),
        };
        freshness
    }

    /// Returns how long the server asks to wait, if it is `now`, in seconds
    /// since 1970.
    pub(crate) fn retry_after(&self, now: u64) -> Option<Duration> {
        let value = self.get("retry-after")?;
        let seconds = number(value).or_else(|| Some(date(value)?.saturating_sub(now)))?;
        Some(Duration::from_secs(seconds))
    }

    /// Returns which part of the document a `206` answer contains.
    pub(crate) fn range(&self) -> Option<Range> {
        Range::parse(self.get("content-range")?)
    }
}

/// `Content-Range: bytes FIRST-LAST/TOTAL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    /// The offset of the first byte.
    pub(crate) first: u64,
    /// The offset of the last byte.
    pub(crate) last: u64,
    /// The length of the whole document, if known.
    pub(crate) total: Option<u64>,
}

impl Range {
    fn parse(text: &str) -> Option<Self> {
        let (unit, rest) = text.split_once(' ')?;
        let (range, total) = rest.trim().split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let (first, last) = (number(first)?, number(last)?);
        let total = match total {
            "*" => None,
            total => Some(number(total)?),
        };
        let sound = unit.eq_ignore_ascii_case("bytes")
            && first <= last
            && total.is_none_or(|total| last < total);
        sound.then_some(Self { first, last, total })
    }
}

impl Validators {
    /// Returns the value for `If-Range`: only a strong validator identifies
    /// every byte (RFC 9110, section 13.1.5).
    pub(crate) fn strong(&self) -> Option<&str> {
        match &self.etag {
            Some(etag) if etag.starts_with('"') => Some(etag),
            Some(_) => None,
            None => self.last_modified.as_deref(),
        }
    }
}

/// Digits only, as `parse` alone accepts `+1`.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// Reads a date (RFC 9110, section 5.6.7), as seconds since 1970.
fn date(text: &str) -> Option<u64> {
    let time = OffsetDateTime::parse(text, &Rfc2822).ok()?;
    u64::try_from(time.unix_timestamp()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&str, &str)]) -> Headers {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Headers(fields.iter().map(own).collect())
    }

    #[test]
    fn a_body_whose_end_is_in_doubt_is_refused() {
        let two = headers(&[("content-length", "5"), ("content-length", "6")]);
        assert_eq!(
            two.length(),
            Err("the response has two different lengths".to_owned())
        );
        for wrong in ["+5", "-5", "5, 5", "", "0x5", "99999999999999999999"] {
            let answer = headers(&[("content-length", wrong)]);
            assert_eq!(
                answer.length(),
                Err("the length of the response is not a number".to_owned()),
                "{wrong}"
            );
        }
        let packed = headers(&[("transfer-encoding", "gzip, chunked")]);
        assert_eq!(
            packed.length(),
            Err("transfer coding `gzip, chunked` is not supported".to_owned())
        );
    }

    #[test]
    fn chunks_count_and_the_length_beside_them_does_not() {
        let both = headers(&[("content-length", "5"), ("transfer-encoding", "Chunked")]);
        assert_eq!(both.length(), Ok(None));
        assert_eq!(headers(&[("content-length", "5")]).length(), Ok(Some(5)));
        assert_eq!(headers(&[]).length(), Ok(None));
    }

    #[test]
    fn a_range_that_is_none_is_not_taken() {
        for wrong in [
            "bytes 5-4/10",
            "bytes 5-10/10",
            "bytes */10",
            "bytes 5-9",
            "bytes=5-9/10",
            "items 5-9/10",
            "bytes 5-9/x",
            "bytes +5-9/10",
            "",
        ] {
            assert_eq!(Range::parse(wrong), None, "{wrong}");
        }
        let range = |first, last, total| Some(Range { first, last, total });
        assert_eq!(Range::parse("bytes 5-9/10"), range(5, 9, Some(10)));
        assert_eq!(Range::parse("Bytes 0-0/*"), range(0, 0, None));
    }

    #[test]
    fn a_weak_tag_does_not_vouch_for_bytes() {
        let of = |fields: &[(&str, &str)]| headers(fields).validators();
        let modified = ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(of(&[("etag", "W/\"a\""), modified]).strong(), None);
        assert_eq!(of(&[("etag", "\"a\""), modified]).strong(), Some("\"a\""));
        assert_eq!(of(&[modified]).strong(), Some(modified.1));
        assert_eq!(of(&[("etag", "\"a\r\nX: y\"")]).etag, None);
        assert_eq!(of(&[]).strong(), None);
    }

    #[test]
    fn what_must_not_be_kept_is_never_fresh() {
        for (fields, max_age, no_store) in [
            (&[][..], None, false),
            (&[("cache-control", "max-age=60")], Some(60), false),
            (
                &[("cache-control", "public, Max-Age=\"60\"")],
                Some(60),
                false,
            ),
            (&[("cache-control", "max-age=60, no-cache")], Some(0), false),
            (&[("cache-control", "no-cache")], Some(0), false),
            (&[("cache-control", "no-store")], None, true),
            (&[("cache-control", "max-age=soon")], Some(0), false),
            (&[("cache-control", "max-age=60,max-age=5")], Some(5), false),
            (
                &[("cache-control", "max-age=60"), ("age", "50")],
                Some(10),
                false,
            ),
            (
                &[("cache-control", "max-age=60"), ("age", "70")],
                Some(0),
                false,
            ),
        ] {
            let expected = Freshness { max_age, no_store };
            assert_eq!(headers(fields).freshness(), expected, "{fields:?}");
        }
    }

    #[test]
    fn a_pause_is_given_in_seconds_or_as_a_date() {
        let at = |value, now| headers(&[("retry-after", value)]).retry_after(now);
        for wrong in [
            "soon",
            "-1",
            "Sun, 06 Nov 1994",
            "Sun, 06 Foo 1994 08:49:37 GMT",
        ] {
            assert_eq!(at(wrong, 0), None, "{wrong}");
        }
        assert_eq!(at("7", 0), Some(Duration::from_secs(7)));
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(at(date, 784_111_770), Some(Duration::from_secs(7)));
        assert_eq!(at(date, 784_111_780), Some(Duration::ZERO));
    }
}
