//! The user that an image runs as (image-spec, config.md, "User"): `user`,
//! `uid`, `user:group`, `uid:gid`, `uid:group` or `user:gid`.
//!
//! Names are those of the image; whoever has its files looks them up.

use std::fmt;

use error::quote::quoted;
use error::{Error, Result};

/// A user, and a group if it is not the user's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The user.
    pub user: Who,
    /// The group. If it is given, the user is in no others.
    pub group: Option<Who>,
}

/// A user or a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// By number.
    Id(u32),
    /// By name.
    Name(String),
}

impl User {
    /// Reads one of the six forms. Empty text is user 0.
    ///
    /// # Errors
    ///
    /// A part is missing, there are too many, or a number is too large.
    pub fn parse(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let fault = |why: &str| {
            Error::invalid(format!("{} is not a user: {why}", quoted(text)))
                .hint("write it as `USER`, or as `USER:GROUP`, in names or numbers")
        };
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        if group.is_some_and(|group| group.contains(':')) {
            return Err(fault("it has two colons"));
        }
        let who = |part: &str| Who::parse(part).map_err(&fault);
        Ok(Self {
            user: who(user)?,
            group: group.map(who).transpose()?,
        })
    }
}

/// The superuser, as which an image runs that does not say.
impl Default for User {
    fn default() -> Self {
        Self {
            user: Who::Id(0),
            group: None,
        }
    }
}

impl Who {
    fn parse(text: &str) -> std::result::Result<Self, &'static str> {
        if text.is_empty() {
            return Err("a part of it is empty");
        }
        if text.contains(|c: char| c.is_control() || c.is_whitespace()) {
            return Err("it contains white space");
        }
        if !text.bytes().all(|digit| digit.is_ascii_digit()) {
            return Ok(Self::Name(text.to_owned()));
        }
        // The kernel takes the last one for none.
        match text.parse() {
            Ok(id) if id < u32::MAX => Ok(Self::Id(id)),
            _ => Err("a number is larger than 4294967294"),
        }
    }
}

/// As it was written.
impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_user_is_refused() {
        for text in [
            ":",
            ":1000",
            "1000:",
            "a:b:c",
            "a b",
            "a\n",
            "4294967295",
            "1:99999999999",
        ] {
            assert!(User::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_user_is_read_in_all_six_forms() {
        let name = |name: &str| Who::Name(name.to_owned());
        for (text, user, group) in [
            ("app", name("app"), None),
            ("1000", Who::Id(1000), None),
            ("app:web", name("app"), Some(name("web"))),
            ("1000:100", Who::Id(1000), Some(Who::Id(100))),
            ("1000:web", Who::Id(1000), Some(name("web"))),
            ("app:100", name("app"), Some(Who::Id(100))),
            ("-1", name("-1"), None),
            ("4294967294", Who::Id(u32::MAX - 1), None),
            ("", Who::Id(0), None),
        ] {
            assert_eq!(User::parse(text).unwrap(), User { user, group }, "{text}");
        }
    }
}
