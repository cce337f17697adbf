//! A cache of what was fetched from each URL, in small files beside the names.
//!
//! ```text
//! names/url-HASH     JSON: the URL without its secrets, the image ID, and the
//!                    validators and freshness of the server's answer
//! ```
//!
//! The file is also the lock for fetching its URL: whoever wants the same image
//! waits, and then finds it fetched.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};

use rustix::fs::{FlockOperation, Mode, OFlags};

use crate::digest::{self, Digest};
use crate::fetch::http::{Freshness, Validators};
use appc::address::Address;
use appc::json::{self, Object, Value};
use error::{Context as _, Result};
use sys::clock;
use sys::dirs::Dirs;

/// Longest file that is read, in bytes.
const LIMIT: u64 = 64 << 10;

/// The entry of a URL, locked.
pub(crate) struct CacheEntry {
    url: String,
    file: File,
}

/// What is known about a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cached {
    /// The image that was fetched.
    pub(crate) id: Digest,
    /// The validators of the server's answer.
    pub(crate) validators: Validators,
    /// How long the entry is fresh, in seconds since 1970.
    pub(crate) fresh_until: u64,
    /// When the server was asked last, in nanoseconds since 1970.
    pub(crate) asked: u64,
}

impl CacheEntry {
    /// Opens the entry of a URL, and waits until nobody else is fetching
    /// it.
    pub(crate) fn lock(dirs: &Dirs, address: &Address) -> Result<Self> {
        let what = || format!("cannot open the cache entry for `{address}`");
        // What distinguishes addresses but is not shown of them counts in the
        // name of the file only.
        let name = format!("url-{}", digest::file_name(address.reveal()));
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let file = rustix::fs::openat(dirs.names()?, &name, flags, mode).context(what)?;
        rustix::fs::flock(&file, FlockOperation::LockExclusive).context(what)?;
        Ok(Self {
            url: address.to_string(),
            file: File::from(file),
        })
    }

    /// Returns what is known. An entry that a crash has damaged counts as
    /// missing.
    pub(crate) fn read(&mut self) -> Result<Option<Cached>> {
        let mut text = Vec::new();
        self.file
            .rewind()
            .and_then(|()| (&mut self.file).take(LIMIT).read_to_end(&mut text))
            .context(|| format!("cannot read the cache entry for `{}`", self.url))?;
        Ok(parse(&text, &self.url))
    }

    /// Stores what was fetched now.
    pub(crate) fn write(
        &mut self,
        id: &Digest,
        validators: &Validators,
        fresh: Freshness,
    ) -> Result<()> {
        let seconds = match fresh.no_store {
            true => 0,
            false => fresh.max_age.unwrap_or(0),
        };
        let copy = Cached {
            id: *id,
            validators: validators.clone(),
            fresh_until: clock::seconds().saturating_add(seconds),
            asked: clock::nanoseconds(),
        };
        self.file
            .rewind()
            .and_then(|()| self.file.set_len(0))
            .and_then(|()| self.file.write_all(render(&copy, &self.url).as_bytes()))
            .context(|| format!("cannot write the cache entry for `{}`", self.url))
    }
}

fn render(copy: &Cached, url: &str) -> String {
    let value: Value = Object::new()
        .with("url", url)
        .with("id", copy.id.to_string())
        .with_some("etag", copy.validators.etag.as_deref())
        .with_some("lastModified", copy.validators.last_modified.as_deref())
        .with("freshUntil", copy.fresh_until)
        .with("asked", copy.asked)
        .into();
    format!("{value:#}\n")
}

fn parse(text: &[u8], url: &str) -> Option<Cached> {
    let value = json::parse(text).ok()?;
    if value.text("url")? != url {
        return None;
    }
    Some(Cached {
        id: Digest::parse(&value.text("id")?).ok()?,
        validators: Validators {
            etag: value.text("etag"),
            last_modified: value.text("lastModified"),
        },
        fresh_until: value.number("freshUntil")?,
        asked: value.number("asked")?,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn copy() -> Cached {
        Cached {
            id: Digest::sha512([7; 64]),
            validators: Validators {
                etag: Some("\"a\"".to_owned()),
                last_modified: None,
            },
            fresh_until: 12,
            asked: 10,
        }
    }

    #[test]
    fn what_is_known_of_another_address_or_cut_short_is_nothing() {
        let text = render(&copy(), "https://a");
        assert_eq!(parse(text.as_bytes(), "https://b"), None);
        for end in 0..text.len() - 2 {
            assert_eq!(parse(&text.as_bytes()[..end], "https://a"), None);
        }
    }

    #[test]
    fn what_was_remembered_is_read_back() {
        let text = render(&copy(), "https://a");
        assert_eq!(parse(text.as_bytes(), "https://a"), Some(copy()));
    }
}
