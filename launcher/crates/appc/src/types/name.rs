//! AC Identifiers and AC Names.
//!
//! ```text
//! identifier = word *( ( "-" / "." / "_" / "~" / "/" ) word )      image, label, annotation, isolator
//! name       = word *( "-" word )                                  app, volume, mount point, port
//! word       = 1*( "a" to "z" / "0" to "9" )
//! ```
//!
//! This is the specification's grammar with two additions. `/~` is accepted,
//! because the specification's own tests name images `example.com/~bob/app`. And
//! so are several separators in a row, because the reference implementation does,
//! and images are named so; manifests get a warning for it. But it accepts
//! `a/../b`, too: here no part of a path is empty or consists of dots, so that a
//! name can safely become one.

use std::fmt;

use error::quote::quoted;
use error::{Error, Result};

/// Declares a type of checked text with its own separators.
macro_rules! word_type {
    ($(#[$doc:meta])* $name:ident, $noun:literal, $separators:literal, $substitute:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Checks that text follows the grammar.
            pub fn parse(text: &str) -> Result<Self> {
                match fault(text, $separators) {
                    None => Ok(Self(text.to_owned())),
                    Some(why) => {
                        let what = format!("{} is not an {}: {why}", quoted(text), $noun);
                        let error = Error::invalid(what);
                        Err(match Self::sanitize(text) {
                            Some(like) => error.hint(format!("`{like}` would be valid")),
                            None => error,
                        })
                    }
                }
            }

            /// Whether it has several separators in a row, which only the
            /// reference implementation allows.
            pub(crate) fn has_doubled_separators(&self) -> bool {
                let pairs = self.0.as_bytes().windows(2);
                pairs.into_iter().any(|pair| {
                    !pair.iter().any(u8::is_ascii_alphanumeric) && pair != b"/~"
                })
            }

            /// Makes the nearest valid text: lower case, separators for
            /// invalid characters, no double or outer separators. `None` if
            /// nothing is left.
            pub fn sanitize(text: &str) -> Option<Self> {
                let text = sanitize(text, $separators, $substitute);
                (!text.is_empty()).then_some(Self(text))
            }

            /// Returns the text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

word_type! {
    /// Names an image, a label, an annotation or an isolator.
    AcIdentifier, "AC Identifier", "-._~/", '_'
}

word_type! {
    /// Names an app in a pod, a volume, a mount point or a port.
    AcName, "AC Name", "-", '-'
}

fn is_word(character: char) -> bool {
    character.is_ascii_lowercase() || character.is_ascii_digit()
}

/// Describes what is wrong, if anything.
fn fault(text: &str, separators: &str) -> Option<String> {
    if text.is_empty() {
        return Some("it is empty".into());
    }
    let foreign = |&character: &char| !is_word(character) && !separators.contains(character);
    if let Some(character) = text.chars().find(foreign) {
        return Some(format!("{} is not allowed", quoted(&character.to_string())));
    }
    let first = text.chars().next().filter(|&first| !is_word(first));
    // A part of a path that is empty, or dots alone.
    let part = text
        .split('/')
        .find(|part| part.bytes().all(|byte| byte == b'.'));
    let part = part.map(|part| part.chars().next().unwrap_or('/'));
    if let Some(separator) = first.or(part) {
        return Some(format!("`{separator}` must be between letters or digits"));
    }
    (!text.ends_with(is_word)).then(|| "it must end with a letter or a digit".into())
}

fn sanitize(text: &str, separators: &str, substitute: char) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut pending = None;
    for character in text.chars() {
        let character = character.to_ascii_lowercase();
        if is_word(character) {
            if let Some(separator) = pending.take().filter(|_| !clean.is_empty()) {
                clean.push(separator);
            }
            clean.push(character);
        } else if pending.is_none() {
            let known = separators.contains(character);
            pending = Some(if known { character } else { substitute });
        }
    }
    clean
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn what_breaks_the_grammar_is_no_identifier() {
        for text in [
            "",
            "BAR",
            "foo#",
            "EXAMPLE.com",
            "foo.com/BAR",
            "example.com/app#1",
            "~example.com/app1",
            "/app",
            "-app",
            ".app",
            "_app",
            "~app",
            "app/",
            "app-",
            "app.",
            "app_",
            "app~",
            "a//b",
            "a/./b",
            "a/../b",
            "a/.../b",
            "a/..",
            "..",
            "a\n",
            "\na",
            "a b",
            "é",
            "a\u{212a}",
            "a\0",
        ] {
            assert!(AcIdentifier::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_follows_the_grammar_is_an_identifier() {
        for text in [
            "asdf",
            "foo-bar-baz",
            "zab_rab_oof",
            "database",
            "my~database",
            "example.com/database",
            "example.com/~bob/database",
            "example.com/ourapp-1.0.0",
            "sub-domain.example.com/org/product/release-1.0.0",
            "sub-domain.example.com/org/product/~alice/release-1.0.0",
            "0",
            "1/2",
        ] {
            assert_eq!(AcIdentifier::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn several_separators_in_a_row_are_accepted_and_told() {
        for text in [
            "a--b", "a..b", "a.-b", "a~/b", "a/~/b", "a~~b", "a/.b/c", "a/b../c",
        ] {
            let identifier = AcIdentifier::parse(text).unwrap();
            assert!(identifier.has_doubled_separators(), "{text}");
        }
        for text in ["a-b.c_d/e", "a/~b/c"] {
            let identifier = AcIdentifier::parse(text).unwrap();
            assert!(!identifier.has_doubled_separators(), "{text}");
        }
        assert!(AcName::parse("a---b").unwrap().has_doubled_separators());
        assert!(!AcName::parse("a-b-c").unwrap().has_doubled_separators());
    }

    #[test]
    fn what_breaks_the_grammar_is_no_name() {
        for text in [
            "",
            "foo#",
            "example.com",
            "EXAMPLE.com",
            "example/database",
            "example/database-1.0.0",
            "foo.com/BAR",
            "example.com/app_1",
            "/app",
            "app/",
            "-app",
            "app-",
            ".app",
            "app.",
            "a_b",
            "a~b",
        ] {
            assert!(AcName::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_follows_the_grammar_is_a_name() {
        for text in ["asdf", "foo-bar-baz", "database", "0-0"] {
            assert_eq!(AcName::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn nothing_is_made_of_separators_alone() {
        for text in ["__", "..", "//", "", ".//-", "###"] {
            assert_eq!(AcIdentifier::sanitize(text), None, "{text}");
            assert_eq!(AcName::sanitize(text), None, "{text}");
        }
    }

    #[test]
    fn the_nearest_identifier_is_found() {
        for (text, expected) in [
            ("foo#", "foo"),
            ("FOO", "foo"),
            ("EXAMPLE.com", "example.com"),
            ("foo.com/BAR", "foo.com/bar"),
            ("-foo", "foo"),
            ("app///", "app"),
            ("-/.app..", "app"),
            ("-/app.name-test/-/", "app.name-test"),
            ("my app", "my_app"),
            ("a/../b", "a/b"),
        ] {
            let found = AcIdentifier::sanitize(text).unwrap();
            assert_eq!(found.as_str(), expected);
            assert_eq!(AcIdentifier::parse(expected).unwrap(), found);
        }
    }

    #[test]
    fn the_nearest_name_is_found() {
        for (text, expected) in [
            ("EXAMPLE.com", "example-com"),
            ("example.com/app_1", "example-com-app-1"),
            ("-/app.name-test/-/", "app-name-test"),
            (
                "sub-domain.example.com/org/product/release-1.0.0",
                "sub-domain-example-com-org-product-release-1-0-0",
            ),
        ] {
            let found = AcName::sanitize(text).unwrap();
            assert_eq!(found.as_str(), expected);
            assert_eq!(AcName::parse(expected).unwrap(), found);
        }
    }

    #[test]
    fn the_message_names_the_character_and_a_way_out() {
        assert_eq!(
            AcIdentifier::parse("Foo").unwrap_err().to_string(),
            "`Foo` is not an AC Identifier: `F` is not allowed\nhint: `foo` would be valid"
        );
        assert_eq!(
            AcName::parse("").unwrap_err().to_string(),
            "`` is not an AC Name: it is empty"
        );
    }
}
