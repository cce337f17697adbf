//! Changes of a file with logins. Whatever else is in it stays.

use appc::json::{self, Object, Value};
use error::{Error, Result};

use super::{HUB_KEY, Helper, LIMIT, Login, TOKEN_USER};
use crate::base64::encode;
use crate::reference::DOCKER_HUB;
use crate::secret::Secret;

/// Returns the text of a file with the login for a registry; `bytes` are what is in
/// it, nothing if it does not exist.
///
/// # Errors
///
/// It is not valid.
pub fn with(bytes: &[u8], registry: &str, login: &Login) -> Result<Secret> {
    let mut fields = fields(bytes)?;
    let mut auths = auths(&mut fields)?;
    auths.retain(|(key, _)| !keys(registry).contains(&&**key));
    auths.push((registry.to_owned(), entry(login)));
    Ok(text(fields, auths))
}

/// Returns the text of a file without the login for a registry; `None` if there is
/// none.
///
/// # Errors
///
/// It is not valid.
pub fn without(bytes: &[u8], registry: &str) -> Result<Option<Secret>> {
    let mut fields = fields(bytes)?;
    let mut auths = auths(&mut fields)?;
    let before = auths.len();
    auths.retain(|(key, _)| !keys(registry).contains(&&**key));
    Ok((auths.len() < before).then(|| text(fields, auths)))
}

/// Returns what a registry is called in such files.
fn keys(registry: &str) -> Vec<&str> {
    match registry {
        DOCKER_HUB => vec![DOCKER_HUB, HUB_KEY, "index.docker.io"],
        _ => vec![registry],
    }
}

fn fields(bytes: &[u8]) -> Result<Vec<(String, Value)>> {
    if bytes.len() > LIMIT {
        return Err(Error::invalid(format!("it is larger than {LIMIT} bytes")));
    }
    if bytes.trim_ascii().is_empty() {
        return Ok(Vec::new());
    }
    match json::parse(bytes) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(Error::invalid("it is not an object")),
        // The fault may be in a secret.
        Err(_) => Err(Error::invalid("it is not JSON")),
    }
}

/// Takes the logins out of the other fields.
fn auths(fields: &mut Vec<(String, Value)>) -> Result<Vec<(String, Value)>> {
    let at = fields
        .iter()
        .position(|(key, _)| key.eq_ignore_ascii_case("auths"));
    match at.map(|at| fields.remove(at).1) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Object(auths)) => Ok(auths),
        Some(_) => Err(Error::invalid("field `auths`: it is not an object")),
    }
}

fn text(mut fields: Vec<(String, Value)>, auths: Vec<(String, Value)>) -> Secret {
    fields.insert(0, ("auths".to_owned(), Value::Object(auths)));
    Secret::new(format!("{:#}\n", Value::Object(fields)))
}

fn entry(login: &Login) -> Value {
    let (name, value) = match login {
        Login::Password { user, password } => {
            let both = format!("{user}:{}", password.reveal());
            ("auth", encode(both.as_bytes()))
        }
        Login::IdentityToken(token) => ("identitytoken", token.reveal().to_owned()),
        Login::RegistryToken(token) => ("registrytoken", token.reveal().to_owned()),
    };
    Object::new().with(name, value).into()
}

impl Helper {
    /// Returns what `docker-credential-NAME store` reads.
    pub fn stored(&self, login: &Login) -> Secret {
        let (user, secret) = match login {
            Login::Password { user, password } => (user.as_str(), password),
            Login::IdentityToken(token) | Login::RegistryToken(token) => (TOKEN_USER, token),
        };
        let object = Object::new()
            .with("ServerURL", self.server.as_str())
            .with("Username", user)
            .with("Secret", secret.reveal());
        Secret::new(Value::from(object).to_string())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::auth::{AuthFile, Source};
    use crate::reference::{Reference, ShortNames};

    fn login(password: &str) -> Login {
        Login::Password {
            user: "me".to_owned(),
            password: Secret::new(password),
        }
    }

    fn found(text: &str, image: &str) -> Option<Source> {
        let image = Reference::parse(image, &ShortNames::Refuse).unwrap();
        AuthFile::read(text.as_bytes())
            .unwrap()
            .find(&image)
            .unwrap()
    }

    #[test]
    fn a_file_that_is_not_valid_stays_as_it_is() {
        for text in ["{", "[]", "{\"auths\":1}", "{\"auths\":[\"s3cret\"]}"] {
            let error = with(text.as_bytes(), "a.example", &login("x")).unwrap_err();
            assert!(!error.to_string().contains("s3cret"), "{error}");
            assert!(without(text.as_bytes(), "a.example").is_err());
        }
    }

    #[test]
    fn a_login_is_found_until_it_is_removed_and_others_stay() {
        let before = r#"{"credsStore":"","HttpHeaders":{"a":"b"},"auths":{
            "b.example/team":{"auth":"dTpw"},"a.example":{"auth":"b2xkOm9sZA=="}}}"#;
        let kept = with(before.as_bytes(), "a.example", &login("pass:word")).unwrap();
        let kept = kept.reveal();
        let expected = Source::Login(login("pass:word"));
        assert_eq!(found(kept, "a.example/x"), Some(expected));
        assert_eq!(kept.matches("a.example").count(), 1);
        assert!(kept.contains("HttpHeaders"), "{kept}");
        let rest = without(kept.as_bytes(), "a.example").unwrap().unwrap();
        assert_eq!(found(rest.reveal(), "a.example/x"), None);
        assert!(found(rest.reveal(), "b.example/team/x").is_some());
        assert_eq!(
            without(rest.reveal().as_bytes(), "a.example").unwrap(),
            None
        );
        // Part of a registry is none.
        assert_eq!(without(kept.as_bytes(), "b.example").unwrap(), None);
    }

    #[test]
    fn docker_hub_has_one_login_whatever_it_is_called() {
        let before = format!(r#"{{"auths":{{"{HUB_KEY}":{{"auth":"dTpw"}}}}}}"#);
        let kept = with(before.as_bytes(), DOCKER_HUB, &login("x")).unwrap();
        assert!(!kept.reveal().contains(HUB_KEY));
        let rest = without(before.as_bytes(), DOCKER_HUB).unwrap().unwrap();
        assert_eq!(found(rest.reveal(), "docker.io/library/x"), None);
    }
}
