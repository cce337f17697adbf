//! What a registry wants to be told before it answers: the field
//! `WWW-Authenticate` (RFC 9110, section 11; for `Bearer`, RFC 6750, section 3,
//! and distribution's "Token Authentication Specification").
//!
//! Registries are read as they are: a challenge may be one of several in a field,
//! or one of several fields; a value may be quoted or not. What cannot be read is
//! passed over, since another challenge may do.

/// What a registry accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// A token, which another server issues.
    Bearer(Bearer),
    /// A user and a password.
    Basic,
}

/// Where to get a token, and what to ask for. All is as the registry wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bearer {
    /// The URL of the server that issues it.
    pub realm: String,
    /// The registry's name at that server.
    pub service: Option<String>,
    /// What the token is to be good for.
    pub scope: Option<String>,
    /// Why the token that was sent is not good enough, for example
    /// `invalid_token`.
    pub error: Option<String>,
}

/// What is done with a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Something is fetched.
    Pull,
    /// Something is sent.
    Push,
}

impl Bearer {
    /// Returns what to ask for to use a repository: what the registry says, or else
    /// the usual.
    pub fn scope_for(&self, repository: &str, access: Access) -> String {
        let actions = match access {
            Access::Pull => "pull",
            Access::Push => "pull,push",
        };
        let usual = || format!("repository:{repository}:{actions}");
        self.scope.clone().unwrap_or_else(usual)
    }
}

/// Returns the best challenge of the values of all fields `WWW-Authenticate`: a
/// token rather than a password, and the first of each.
pub fn best<'a>(fields: impl IntoIterator<Item = &'a str>) -> Option<Challenge> {
    let mut basic = None;
    for (scheme, parameters) in fields.into_iter().flat_map(challenges) {
        let get = |name: &str| {
            let mut found = parameters.iter().filter(|(known, _)| known == name);
            found
                .next()
                .map(|(_, value)| value.clone())
                .filter(|value| !value.is_empty())
        };
        match (&*scheme, get("realm")) {
            ("bearer", Some(realm)) => {
                return Some(Challenge::Bearer(Bearer {
                    realm,
                    service: get("service"),
                    scope: get("scope"),
                    error: get("error"),
                }));
            }
            ("basic", _) => basic = Some(Challenge::Basic),
            _ => {}
        }
    }
    basic
}

/// A scheme and its parameters, with names in lower case.
type Parts = (String, Vec<(String, String)>);

/// Reads the challenges of a field.
fn challenges(field: &str) -> Vec<Parts> {
    let mut found: Vec<Parts> = Vec::new();
    let mut rest = field;
    loop {
        rest = rest.trim_start_matches([',', ' ', '\t']);
        let word = leading(rest, is_token);
        if word.is_empty() {
            // Not of a challenge: on after the next comma.
            match rest.split_once(',') {
                Some((_, after)) => rest = after,
                None => return found,
            }
            continue;
        }
        let after = &rest[word.len()..];
        let name = word.to_ascii_lowercase();
        match value(after) {
            Some((value, after)) => {
                if let Some((_, parameters)) = found.last_mut() {
                    parameters.push((name, value));
                }
                rest = after;
            }
            // A scheme; or a token of 68 characters, which no scheme here has.
            None => {
                found.push((name, Vec::new()));
                rest = after;
            }
        }
    }
}

/// Reads `=` and the value behind it, and returns the rest, too.
fn value(text: &str) -> Option<(String, &str)> {
    let text = text.trim_start().strip_prefix('=')?.trim_start();
    let Some(quoted) = text.strip_prefix('"') else {
        let value = leading(text, |c| !matches!(c, ',' | ' ' | '\t'));
        return Some((value.to_owned(), &text[value.len()..]));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            plain => value.push(plain),
        }
    }
    // The quotation does not end.
    Some((value, ""))
}

fn leading(text: &str, fits: impl Fn(char) -> bool) -> &str {
    let end = text.find(|c| !fits(c)).unwrap_or(text.len());
    &text[..end]
}

/// RFC 9110, section 5.6.2.
fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn bearer(fields: &[&str]) -> Bearer {
        match best(fields.iter().copied()) {
            Some(Challenge::Bearer(bearer)) => bearer,
            other => unreachable!("{fields:?}: {other:?}"),
        }
    }

    #[test]
    fn what_cannot_be_met_is_no_challenge() {
        for field in [
            "",
            ",, ,",
            "=",
            "\"",
            "Bearer",
            "Bearer realm",
            "Bearer realm=",
            "Bearer realm=\"\"",
            "Bearer service=x",
            "Negotiate YII=, Digest realm=x, qop=\"auth,auth-int\"",
            "realm=\"https://x\"",
            "é Bearer",
        ] {
            assert_eq!(best([field]), None, "{field}");
        }
        assert_eq!(best([]), None);
    }

    #[test]
    fn a_token_is_preferred_to_a_password() {
        for fields in [
            &["Basic realm=\"a\", Bearer realm=\"https://x/t\",service=\"s\""][..],
            &["Bearer realm=\"https://x/t\",service=\"s\", Basic realm=\"a\""],
            &[
                "Basic realm=\"a, b\"",
                "bearer Realm=\"https://x/t\" , SERVICE = s",
            ],
            &[
                "Negotiate",
                "Negotiate abc==, BEARER realm=https://x/t, service=s",
            ],
            &["Bearer service=s", "Bearer realm=\"https://x/t\",service=s"],
            &["é, Bearer realm=\"https://x/t\", service=s, x=é"],
            // Some leave the commas out.
            &["Bearer realm=\"https://x/t\" service=\"s\""],
        ] {
            let found = bearer(fields);
            assert_eq!(found.realm, "https://x/t", "{fields:?}");
            assert_eq!(found.service.as_deref(), Some("s"), "{fields:?}");
        }
        for field in [
            "Basic",
            "basic realm=\"x\"",
            "Digest realm=x, BASIC",
            "Basic realm",
        ] {
            assert_eq!(best([field]), Some(Challenge::Basic), "{field}");
        }
    }

    #[test]
    fn commas_and_escapes_in_quotations_belong_to_the_value() {
        let field = r#"Bearer realm="https://x/\"t\"",scope="repository:a/b:pull,push",error="invalid_token""#;
        let found = bearer(&[field]);
        assert_eq!(found.realm, "https://x/\"t\"");
        assert_eq!(found.scope.as_deref(), Some("repository:a/b:pull,push"));
        assert_eq!(found.error.as_deref(), Some("invalid_token"));
        assert_eq!(bearer(&["Bearer realm=\"https://x"]).realm, "https://x");
        assert_eq!(bearer(&[r#"Bearer realm="x\"#]).realm, "x");
    }

    #[test]
    fn the_registry_says_what_to_ask_for() {
        let odd = bearer(&["Bearer realm=r,scope=\"aws\""]);
        assert_eq!(odd.scope_for("a/b", Access::Push), "aws");
        let usual = bearer(&["Bearer realm=r"]);
        for (access, scope) in [
            (Access::Pull, "repository:a/b:pull"),
            (Access::Push, "repository:a/b:pull,push"),
        ] {
            assert_eq!(usual.scope_for("a/b", access), scope);
        }
    }
}
