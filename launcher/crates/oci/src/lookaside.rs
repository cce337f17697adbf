//! Where signatures of simple signing are: files of `registries.d` that name a server
//! or a directory for registries, repositories and images (containers-registries.d.5).
//!
//! The files are YAML. Of that, what such files consist of is read: maps in maps, by
//! indentation, of plain or quoted texts, and comments. Anything else is refused, so
//! that nothing is misread.

use std::collections::BTreeMap;

use error::quote::quoted;
use error::{Error, Result};

use crate::digest::Digest;
use crate::policy::place::Place;
use crate::reference::Reference;

/// Most bytes of a file.
pub const LIMIT: usize = 256 << 10;

/// The section for what has none of its own.
const DEFAULT: &str = "default-docker";

/// The fields of a section. Those for writing and for other signatures do not matter.
const PLACE: [&str; 2] = ["lookaside", "sigstore"];
const OTHERS: [&str; 3] = [
    "lookaside-staging",
    "sigstore-staging",
    "use-sigstore-attachments",
];

/// Where signatures are, by scope; that of all others is the empty one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lookaside(BTreeMap<String, Option<String>>);

impl Lookaside {
    /// Adds what a file says.
    ///
    /// # Errors
    ///
    /// It is not valid; the error names the line. It has a section that another file
    /// had.
    pub fn add(&mut self, file: &[u8]) -> Result<()> {
        if file.len() > LIMIT {
            return Err(Error::invalid(format!("it is larger than {LIMIT} bytes")));
        }
        let text = str::from_utf8(file).map_err(|_| Error::invalid("it is not UTF-8"))?;
        let mut path: Vec<(usize, String)> = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let fault = |why: &str| Error::invalid(format!("line {number}: {why}"));
            let Some((indent, key, value)) = entry(line).map_err(|why| fault(&why))? else {
                continue;
            };
            while path.last().is_some_and(|(above, _)| *above >= indent) {
                path.pop();
            }
            path.push((indent, key));
            let words: Vec<&str> = path.iter().map(|(_, word)| word.as_str()).collect();
            let (scope, field) = match *words {
                [] | ["docker"] => continue,
                [DEFAULT] => ("", None),
                [DEFAULT, field] => ("", Some(field)),
                ["docker", scope] => (scope, None),
                ["docker", scope, field] => (scope, Some(field)),
                [.., word] => {
                    return Err(fault(&format!("there is no field {} here", quoted(word))));
                }
            };
            match (field, value) {
                (None, None) if self.0.contains_key(scope) => {
                    let section = if scope.is_empty() { DEFAULT } else { scope };
                    return Err(fault(&format!(
                        "there are two sections {}",
                        quoted(section)
                    )));
                }
                (None, None) => {
                    self.0.insert(scope.to_owned(), None);
                }
                (Some(field), Some(value)) if PLACE.contains(&field) => {
                    let place = self.0.entry(scope.to_owned()).or_default();
                    if place.is_some() {
                        return Err(fault("there are two places for signatures"));
                    }
                    *place = Some(value.trim_end_matches('/').to_owned());
                }
                (Some(field), Some(_)) if OTHERS.contains(&field) => {}
                (Some(field), _) => {
                    let why = format!(
                        "there is no field {} here, or not of this kind",
                        quoted(field)
                    );
                    return Err(fault(&why));
                }
                (None, Some(_)) => return Err(fault("a section is expected, not a value")),
            }
        }
        Ok(())
    }

    /// Returns the URL below which the signatures of an image are, numbered from 1 as
    /// `/signature-1`.
    pub fn url(&self, image: &Reference, digest: &Digest, usual: &str) -> String {
        let place = Place::registry(image);
        let mut scopes = place.scopes().chain([""]);
        let base = scopes.find_map(|scope| self.0.get(scope)?.as_deref());
        let (base, repository) = (base.unwrap_or(usual), image.repository());
        let (algorithm, hex) = (digest.algorithm().name(), digest.hex());
        format!("{base}/{repository}@{algorithm}={hex}")
    }
}

/// An entry of a map: how far it is indented, its key, and its value unless a map
/// follows.
type Entry = (usize, String, Option<String>);

/// Reads a line; `None` if it says nothing.
fn entry(line: &str) -> std::result::Result<Option<Entry>, String> {
    let rest = line.trim_start_matches(' ');
    let indent = line.len() - rest.len();
    let rest = rest.trim_end();
    if rest.is_empty() || rest.starts_with('#') || rest == "---" {
        return Ok(None);
    }
    let (key, rest) = match quoted_start(rest)? {
        Some((key, rest)) => (key, rest.strip_prefix(':')),
        None => {
            let colon = rest
                .match_indices(':')
                .find(|(at, _)| matches!(rest.as_bytes().get(at + 1), None | Some(b' ' | b'\t')));
            match colon {
                Some((at, _)) => (plain(&rest[..at])?, Some(&rest[at + 1..])),
                None => (String::new(), None),
            }
        }
    };
    let rest = rest.ok_or_else(|| format!("{} is not `KEY: VALUE`", quoted(rest_of(line))))?;
    let rest = rest.trim();
    let value = match quoted_start(rest)? {
        Some((value, behind)) if is_comment(behind) => Some(value),
        Some(_) => return Err("there is something behind the quotes".to_owned()),
        None => {
            let comment = rest.match_indices('#');
            let mut comment = comment
                .filter(|(at, _)| rest[..*at].is_empty() || rest[..*at].ends_with([' ', '\t']));
            let value = comment.next().map_or(rest, |(at, _)| &rest[..at]).trim();
            match value {
                "" | "{}" => None,
                value => Some(plain(value)?),
            }
        }
    };
    Ok(Some((indent, key, value)))
}

fn rest_of(line: &str) -> &str {
    line.trim()
}

fn is_comment(text: &str) -> bool {
    let text = text.trim_start();
    text.is_empty() || text.starts_with('#')
}

/// Reads a text in quotes, if one begins here, and returns what is behind it.
fn quoted_start(text: &str) -> std::result::Result<Option<(String, &str)>, String> {
    let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
        return Ok(None);
    };
    let (inner, rest) = text[1..]
        .split_once(quote)
        .ok_or_else(|| "a quote does not end".to_owned())?;
    match inner.contains('\\') || rest.starts_with(quote) {
        true => Err("escaped characters are not read here".to_owned()),
        false => Ok(Some((inner.to_owned(), rest))),
    }
}

/// Reads a plain text: one that means nothing else in YAML.
fn plain(text: &str) -> std::result::Result<String, String> {
    let special = |c: char| "-?:,[]{}#&*!|>'\"%@`".contains(c);
    let is_sequence = text.starts_with(special) && !text.starts_with("*.");
    match is_sequence || text.contains('\t') || text.contains(": ") {
        true => Err(format!(
            "{} is more than this program reads of YAML",
            quoted(text)
        )),
        false => Ok(text.trim().to_owned()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::reference::ShortNames;

    const DIGEST: &str = "sha256:0c6d3a2d0c6d3a2d0c6d3a2d0c6d3a2d0c6d3a2d0c6d3a2d0c6d3a2d0c6d3a2d";

    fn url(files: &[&str], image: &str) -> Result<String> {
        let mut all = Lookaside::default();
        for file in files {
            all.add(file.as_bytes())?;
        }
        let image = Reference::parse(image, &ShortNames::default())?;
        let url = all.url(&image, &Digest::parse(DIGEST)?, "file:///usual");
        Ok(url.split('@').next().unwrap_or_default().to_owned())
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_line() {
        for (file, expected) in [
            ("docker:\n\ta: b", "line 2"),
            (
                "docker:\n  a.example:\n    lookaside: [a]",
                "line 3: `[a]` is more than",
            ),
            ("docker:\n  a.example: &x\n", "line 2: `&x` is more than"),
            ("docker:\n  - a", "line 2: "),
            (
                "docker:\n  a.example:\n    lookaside: |\n      x",
                "line 3: ",
            ),
            (
                "docker:\n  a.example:\n    lookasides: x",
                "line 3: there is no field `lookasides` here",
            ),
            (
                "docker:\n  a.example:\n    lookaside: x\n    sigstore: y",
                "line 4: there are two places",
            ),
            ("docker:\n  a.example: x", "line 2: a section is expected"),
            ("other:\n", "line 1: there is no field `other` here"),
            (
                "docker:\n  a:\n  a:\n",
                "line 3: there are two sections `a`",
            ),
            (
                "docker:\n  a:\n    lookaside: 'x\n",
                "line 3: a quote does not end",
            ),
            ("docker:\n  a:\n    lookaside:\n      b: c\n", "line 3: "),
            ("nothing", "line 1: `nothing` is not `KEY: VALUE`"),
        ] {
            let error = url(&[file], "a.example/b").unwrap_err().to_string();
            assert!(error.starts_with(expected), "{file}\n{error}");
        }
        let both = url(&["docker:\n  a:\n", "docker:\n  a:\n"], "a.example/b");
        both.unwrap_err();
    }

    #[test]
    fn the_longest_scope_says_where_signatures_are() {
        let one = "# comment\n---\ndefault-docker:\n  lookaside: file:///all  # yes\n  sigstore-staging: x\n\ndocker:\n  a.example:5000:\n    sigstore: 'https://s.example/x/'\n    use-sigstore-attachments: true\n  \"a.example:5000/b\":\n    lookaside: file:///b\n";
        let other = "docker:\n    *.c.example:\n        lookaside: \"file:///c\" # c\n";
        for (image, expected) in [
            ("a.example:5000/b/c:1", "file:///b/b/c"),
            ("a.example:5000/d", "https://s.example/x/d"),
            ("x.c.example/d", "file:///c/d"),
            ("alpine", "file:///all/library/alpine"),
        ] {
            assert_eq!(url(&[one, other], image).unwrap(), expected);
        }
        assert_eq!(url(&[], "alpine").unwrap(), "file:///usual/library/alpine");
        assert_eq!(
            url(&["docker: {}\n"], "alpine").unwrap(),
            "file:///usual/library/alpine"
        );
    }
}
