//! How a registry gets to know who asks: with nothing, a password, or a token that
//! another server issues for one repository (distribution's "Token Authentication
//! Specification", and OAuth 2.0).
//!
//! # Invariants
//!
//! 1. What the registry is told is told to nobody else: it goes to its scheme,
//!    host and port only.
//! 2. A login goes to the registry, and to the server that the registry names for
//!    tokens, if they speak HTTPS or are on this machine.
//! 3. Without checked certificates, no login is used.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::fetch::credentials::{Header, base64};
use crate::fetch::http::{Client, Form, Headers, HttpError, Session, Url};
use crate::fetch::logins;
use crate::fetch::options::Options;
use error::quote::quoted;
use oci::auth::Login;
use oci::challenge::{self, Access, Bearer, Challenge};
use oci::reference::Reference;
use oci::secret::Secret;
use oci::token::{self, Token as Issued};
use sys::clock;
use sys::progress::Progress;

/// What names us to servers that issue tokens.
const CLIENT: &str = "nosecone";

/// The session with one repository, or one to try a login.
#[derive(Debug)]
pub(crate) struct Token {
    registry: String,
    image: Option<Reference>,
    access: Access,
    server: Url,
    issuer: Client,
    /// Whether nobody knows who would get a login.
    unchecked: bool,
    state: Mutex<State>,
    /// Held by who asks for another token. All requests of one registry learn at the
    /// same time that the token has ended.
    renewing: Mutex<()>,
    talk: Progress,
}

#[derive(Debug, Default)]
struct State {
    /// The value of `Authorization`, and the second since 1970 in which it ends.
    told: Option<(Secret, u64)>,
    /// The login, once it was looked for.
    login: Option<Option<Login>>,
    /// The warnings that were shown.
    warned: Vec<String>,
}

impl Token {
    /// Starts a session. Tokens are got by `issuer`.
    pub(crate) fn new(
        (image, access): (&Reference, Access),
        server: Url,
        issuer: Client,
        options: &Options,
    ) -> Self {
        Self {
            registry: image.registry().to_owned(),
            image: Some(image.clone()),
            access,
            server,
            issuer,
            unchecked: options.insecure.tls,
            state: Mutex::default(),
            renewing: Mutex::default(),
            talk: Progress::new(options.quiet),
        }
    }

    /// Starts a session to try a login, which is about no repository.
    pub(crate) fn to_try(
        login: Login,
        registry: &str,
        server: Url,
        issuer: Client,
        options: &Options,
    ) -> Self {
        Self {
            registry: registry.to_owned(),
            image: None,
            access: Access::Pull,
            server,
            issuer,
            unchecked: options.insecure.tls,
            state: Mutex::new(State {
                // Nobody knows who would get it.
                login: Some((!options.insecure.tls).then_some(login)),
                ..State::default()
            }),
            renewing: Mutex::default(),
            talk: Progress::new(options.quiet),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_server(&self, url: &Url) -> bool {
        let (one, other) = (&self.server, url);
        (one.secure, &one.host, one.port) == (other.secure, &other.host, other.port)
    }

    /// Finds the login, once; `None` if a server may not have it.
    fn login_for(&self, url: &Url) -> std::result::Result<Option<Login>, HttpError> {
        if !url.secure && !url.is_loopback() {
            return Ok(None);
        }
        let known = self.state().login.clone();
        if let Some(login) = known {
            return Ok(login);
        }
        let login = match &self.image {
            Some(image) if !self.unchecked => logins::find(image)
                .map_err(|error| HttpError::new(&*self.registry, error.to_string()))?,
            _ => None,
        };
        self.state().login = Some(login.clone());
        Ok(login)
    }

    /// Gets a token.
    fn token(&self, wanted: &Bearer) -> std::result::Result<Issued, HttpError> {
        let realm = Url::parse(&wanted.realm);
        let realm = realm.map_err(|why| HttpError::plain(&why))?;
        let fault = |why: String| HttpError::new(self.server.to_string(), why);
        if self.server.secure && !realm.secure {
            let shown = quoted(&realm.to_string());
            return Err(fault(format!(
                "the registry sends us for a token to {shown}, which is not encrypted"
            )));
        }
        let repository = self.image.as_ref().map(Reference::repository);
        let scope = match repository {
            Some(repository) => Some(wanted.scope_for(repository, self.access)),
            None => wanted.scope.clone(),
        };
        let mut fields = Vec::new();
        fields.extend(scope.as_deref().map(|scope| ("scope", scope)));
        fields.extend(wanted.service.as_deref().map(|name| ("service", name)));
        let limit = token::LIMIT as u64;
        let answer = match self.login_for(&realm)? {
            Some(Login::IdentityToken(identity)) => {
                fields.extend([
                    ("grant_type", "refresh_token"),
                    ("client_id", CLIENT),
                    ("refresh_token", identity.reveal()),
                ]);
                let form = Form(Secret::new(query(&fields)));
                self.issuer.exchange(&realm, None, Some(form), limit)
            }
            login => {
                let user = match &login {
                    Some(Login::Password { user, .. }) => Some(user.as_str()),
                    _ => None,
                };
                fields.extend(user.map(|user| ("account", user)));
                let glue = if wanted.realm.contains('?') { '&' } else { '?' };
                let url = format!("{}{glue}{}", wanted.realm, query(&fields));
                let url = Url::parse(&url).map_err(|why| HttpError::plain(&why))?;
                let told = login.as_ref().and_then(basic).map(header);
                self.issuer.exchange(&url, told, None, limit)
            }
        };
        let answer = answer.map_err(|error| {
            // What that server does not have says nothing about the image.
            let why = format!("we get no token: {error}");
            match error.status() {
                Some(status @ (401 | 403)) => HttpError::status_is(&self.server, status, why, None),
                _ => fault(why),
            }
        })?;
        Issued::read(&answer).map_err(|error| {
            let shown = quoted(&realm.to_string());
            fault(format!("the token of {shown} is not valid: {error}"))
        })
    }
}

impl Session for Token {
    fn field(&self, url: &Url) -> Option<Header> {
        let state = self.state();
        let (told, end) = state.told.as_ref()?;
        (self.is_server(url) && clock::seconds() < *end).then(|| header(told.clone()))
    }

    fn refused(
        &self,
        url: &Url,
        told: Option<&Header>,
        headers: &Headers,
    ) -> std::result::Result<bool, HttpError> {
        if !self.is_server(url) {
            return Ok(false);
        }
        let renewing = self.renewing.lock();
        let _renewing = renewing.unwrap_or_else(PoisonError::into_inner);
        let before = self.state().told.take();
        if let Some((now, end)) = &before
            && clock::seconds() < *end
            && told.is_none_or(|told| told.value != *now)
        {
            // Somebody else has asked meanwhile.
            self.state().told = before;
            return Ok(true);
        }
        let told = match challenge::best(headers.all("www-authenticate")) {
            Some(Challenge::Bearer(wanted)) => match self.login_for(url)? {
                Some(Login::RegistryToken(token)) => Some((bearer(token.reveal()), u64::MAX)),
                _ => {
                    let issued = self.token(&wanted)?;
                    let end = clock::seconds().saturating_add(issued.lifetime);
                    Some((bearer(issued.token.reveal()), end))
                }
            },
            Some(Challenge::Basic) => self
                .login_for(url)?
                .as_ref()
                .and_then(basic)
                .map(|basic| (basic, u64::MAX)),
            None => None,
        };
        // What was refused once is refused again.
        let is_new = match (&before, &told) {
            (Some((before, _)), Some((told, _))) => before != told,
            (_, told) => told.is_some(),
        };
        self.state().told = told;
        Ok(is_new)
    }

    fn answered(&self, headers: &Headers) {
        let warnings = headers.all("warning").filter_map(text_of);
        let warnings = warnings.map(|text| format!("says: {}", quoted(&text)));
        let scarce = scarce(headers).map(|left| format!("answers {left} more requests for now"));
        for line in warnings.chain(scarce) {
            let mut state = self.state();
            if !state.warned.contains(&line) {
                let registry = &self.registry;
                self.talk.say(&format!("Registry `{registry}` {line}"));
                state.warned.push(line);
            }
        }
    }
}

/// Returns the text of a warning, `299 - "TEXT"` (distribution-spec, "Warnings").
fn text_of(field: &str) -> Option<String> {
    let text = field.strip_prefix("299 - \"")?.strip_suffix('"')?;
    let text: String = text.chars().take(LONGEST_WARNING).collect();
    (!text.is_empty()).then(|| text.replace("\\\"", "\""))
}

/// Longest warning that is shown, in characters.
const LONGEST_WARNING: usize = 4096;

/// Returns how many requests are left, if that is less than a tenth
/// (`RateLimit-Remaining: 7;w=21600`, as Docker Hub has it).
fn scarce(headers: &Headers) -> Option<u64> {
    let number = |name| {
        let value = headers.get(name)?;
        value.split(';').next()?.trim().parse::<u64>().ok()
    };
    let (left, most) = (number("ratelimit-remaining")?, number("ratelimit-limit")?);
    (left < most.div_ceil(10)).then_some(left)
}

fn header(value: Secret) -> Header {
    Header {
        name: "Authorization",
        value,
    }
}

fn bearer(token: &str) -> Secret {
    Secret::new(format!("Bearer {token}"))
}

fn basic(login: &Login) -> Option<Secret> {
    let Login::Password { user, password } = login else {
        return None;
    };
    let login = base64(format!("{user}:{}", password.reveal()).as_bytes());
    Some(Secret::new(format!("Basic {login}")))
}

/// Encodes fields for a form or a query.
fn query(fields: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in fields {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        for byte in value.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    text.push(char::from(byte));
                }
                _ => text.push_str(&format!("%{byte:02X}")),
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_warnings_of_registries_are_shown() {
        for other in ["", "199 - \"x\"", "299 - x", "299 - \"\"", "299 x \"y\""] {
            assert_eq!(text_of(other), None, "{other}");
        }
        let text = text_of("299 - \"this \\\"image\\\" is old\"");
        assert_eq!(text.as_deref(), Some("this \"image\" is old"));
    }

    #[test]
    fn requests_are_scarce_below_a_tenth() {
        let of = |left: &str, most: &str| {
            let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
            scarce(&Headers(vec![
                field("RateLimit-Remaining", left),
                field("RateLimit-Limit", most),
            ]))
        };
        for (left, most) in [
            ("10;w=21600", "100;w=21600"),
            ("x", "100"),
            ("1", ""),
            ("5", "5"),
        ] {
            assert_eq!(of(left, most), None, "{left} {most}");
        }
        assert_eq!(of("9;w=21600", "100;w=21600"), Some(9));
        assert_eq!(of("0", "5"), Some(0));
    }

    #[test]
    fn fields_are_encoded() {
        let fields = [("scope", "repository:a/b:pull"), ("x", "é &=")];
        assert_eq!(
            query(&fields),
            "scope=repository%3Aa%2Fb%3Apull&x=%C3%A9%20%26%3D"
        );
        assert_eq!(query(&[]), "");
    }
}
