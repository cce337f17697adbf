//! Follows symbolic links as the kernel would, for trees that the kernel cannot
//! follow them in: one without openat2(2), several that lie over one another,
//! one that was only read of.
//!
//! # Invariants
//!
//! 1. No way leads up past the root: not `..`, and not a link, whose target
//!    starts at the root of the tree if it is absolute.
//! 2. `..` returns to the directory we came from, never to what the tree says
//!    is above it, which may be outside by now if somebody has moved a directory.
//! 3. Every way ends: more links than the kernel follows are an error.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

/// Most links in one path, as in the kernel.
const MAX_LINKS: usize = 40;

/// What a component of a path leads to.
pub enum Step<P> {
    /// This place: a directory, or anything if it is the last component.
    To(P),
    /// Where this link leads.
    Link(OsString),
}

/// Follows a path from the root of a tree and returns the place at its end.
///
/// `look` is given the directories from the root to where we are, a name there,
/// and whether it is the last one. It says what has the name; for what is no
/// directory, and not the last one, that is an error. A path that is empty or
/// ends with `..` has the last name `.`.
///
/// # Errors
///
/// What `look` says; `too_many` if there are more than 40 links.
pub fn follow<P, E>(
    path: &OsStr,
    too_many: E,
    mut look: impl FnMut(&[P], &OsStr, bool) -> Result<Step<P>, E>,
) -> Result<P, E> {
    let mut way = Vec::new();
    let mut ahead = components(path);
    let mut links = 0;
    loop {
        let name = ahead.pop().unwrap_or_else(|| OsString::from("."));
        if name == ".." {
            way.pop();
            continue;
        }
        let last = ahead.is_empty();
        match look(&way, &name, last)? {
            Step::To(place) if last => return Ok(place),
            Step::To(place) => way.push(place),
            Step::Link(_) if links == MAX_LINKS => return Err(too_many),
            Step::Link(target) => {
                links += 1;
                if target.as_bytes().starts_with(b"/") {
                    way.clear();
                }
                ahead.extend(components(&target));
            }
        }
    }
}

/// Splits a path into components, last one first.
fn components(path: &OsStr) -> Vec<OsString> {
    path.as_bytes()
        .split(|&byte| byte == b'/')
        .rev()
        .filter(|name| !name.is_empty() && name != b".")
        .map(|name| OsStr::from_bytes(name).to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Follows a path through links; every other name that begins with `d` is a
    /// directory. A place is its path.
    fn to(path: &str, links: &[(&str, &str)]) -> Result<String, &'static str> {
        follow(path.as_ref(), "circle", |way: &[String], name, last| {
            let above = way.last().map_or("", String::as_str);
            let name = name.to_str().expect("names are text");
            let here = format!("{above}/{name}");
            if let Some((_, target)) = links.iter().find(|(link, _)| *link == here) {
                return Ok(Step::Link(target.into()));
            }
            match last || name.starts_with('d') {
                true => Ok(Step::To(here)),
                false => Err("no directory"),
            }
        })
    }

    #[test]
    fn no_way_leads_up_past_the_root() {
        for (path, expected) in [
            ("", "/."),
            ("/", "/."),
            ("..", "/."),
            ("../../d/../f", "/f"),
            ("d/./e/", "/d/e"),
            ("d/d2/..", "/d/."),
            ("far", "/f"),
            ("d/up", "/f"),
            ("d/root/d/f", "/d/f"),
            ("d/root", "/."),
        ] {
            let links = [("/far", "../../../f"), ("/d/up", "../f"), ("/d/root", "/")];
            assert_eq!(to(path, &links).as_deref(), Ok(expected), "{path}");
        }
    }

    #[test]
    fn what_is_no_directory_is_passed_neither_down_nor_up() {
        for path in ["f/g", "f/..", "f/../g", "link/g"] {
            assert_eq!(to(path, &[("/link", "f")]), Err("no directory"), "{path}");
        }
    }

    #[test]
    fn as_many_links_are_followed_as_the_kernel_follows() {
        let names: Vec<String> = (0..=MAX_LINKS).map(|at| format!("/d{at}")).collect();
        let links: Vec<(&str, &str)> = names
            .windows(2)
            .map(|pair| (pair[0].as_str(), pair[1].as_str()))
            .collect();
        assert_eq!(to("d0", &links).as_deref(), Ok("/d40"));
        assert_eq!(to("d1/../d0", &links), Err("circle"));
        assert_eq!(to("l", &[("/l", "l")]), Err("circle"));
    }
}
