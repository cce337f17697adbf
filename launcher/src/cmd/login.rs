//! `launcher login` and `logout`: logins for registries.

use std::io::{BufRead as _, BufReader, IsTerminal as _, Read as _};

use crate::cmd::print;
use crate::cmd::results::Results;
use appc::json::Object;
use error::{Context as _, Error, Kind, Result};
use image::fetch::options::Options;
use image::fetch::{logins, registry};
use oci::auth;
use oci::secret::Secret;
use sys::pty;
use sys::standard::{Input, Output};

/// What was asked for.
#[derive(Debug)]
pub(crate) struct Login {
    /// The user; `None` to ask for it.
    pub(crate) user: Option<String>,
    /// Whether the password is on standard input.
    pub(crate) stdin: bool,
    /// How to talk to the registry.
    pub(crate) fetch: Options,
    /// The registry.
    pub(crate) registry: String,
}

/// Longest password, in bytes. Some are tokens with much in them.
const LONGEST: u64 = 64 << 10;

/// Tries a login, and keeps it.
///
/// # Errors
///
/// There is nobody to ask, the registry refuses, or there is no place for it.
pub(crate) fn login(login: &Login, results: &mut Results<'_>) -> Result<()> {
    let name = &login.registry;
    let known = auth::Login::Password {
        user: user(login)?,
        password: password(login)?,
    };
    registry::try_login(name, &known, &login.fetch)?;
    let place = logins::keep(name, &known)?;
    let line = format!("The login for `{name}` is kept {place}");
    let object = Object::new().with("registry", name.as_str());
    results.add(&line, object.with("kept", place))
}

/// Removes a login.
///
/// # Errors
///
/// There is none; a place for logins is damaged.
pub(crate) fn logout(registry: &str, results: &mut Results<'_>) -> Result<()> {
    let places = logins::forget(registry)?;
    if places.is_empty() {
        let what = format!("there is no login for `{registry}`");
        return Err(Error::new(Kind::NotFound, what));
    }
    for place in places {
        let line = format!("Removed the login for `{registry}` that was kept {place}");
        let object = Object::new().with("registry", registry);
        results.add(&line, object.with("removed", place))?;
    }
    Ok(())
}

fn user(login: &Login) -> Result<String> {
    if let Some(user) = &login.user {
        return Ok(user.clone());
    }
    ask(&login.registry, "User")?;
    let mut line = String::new();
    let read = BufReader::new(Input).read_line(&mut line);
    read.context(|| "cannot read the user")?;
    match line.trim() {
        "" => Err(Error::invalid("no user was given")),
        user if user.contains(':') => Err(Error::invalid("a user has no `:` in its name")),
        user => Ok(user.to_owned()),
    }
}

fn password(login: &Login) -> Result<Secret> {
    let what = || "cannot read the password";
    let mut text = String::new();
    if login.stdin {
        let read = Input.take(LONGEST).read_to_string(&mut text);
        read.context(what)?;
    } else {
        // First, so that whoever answers a question at once is not seen either.
        let hidden = pty::Hidden::begin();
        ask(&login.registry, "Password")?;
        let hidden = hidden.context(what)?;
        let read = BufReader::new(Input).read_line(&mut text);
        drop(hidden);
        // The line break was not shown either.
        print(&mut Output::stderr(), "\n")?;
        read.context(what)?;
    }
    let password = text.strip_suffix('\n').unwrap_or(&text);
    let password = password.strip_suffix('\r').unwrap_or(password);
    match password.is_empty() {
        true => Err(Error::invalid("the password is empty")),
        false => Ok(Secret::new(password)),
    }
}

/// Asks at the terminal.
fn ask(registry: &str, what: &str) -> Result<()> {
    if !std::io::stdin().is_terminal() {
        let error = "cannot ask for a login: standard input is not a terminal";
        return Err(Error::new(Kind::Failed, error)
            .hint("use `--username=USER --password-stdin`, and write the password there"));
    }
    print(&mut Output::stderr(), &format!("{what} for {registry}: "))
        .context(|| "cannot ask for a login")
}
