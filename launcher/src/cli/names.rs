//! Parses the values of options that consist of names from a fixed set:
//! capabilities, system calls, errors, resources. A misspelt name could leave an
//! app what was to be taken from it, so it is an error.

use crate::cli::nearest::nearest;
use crate::cli::values::Parts;
use error::quote::quoted;
use error::{Error, Result};
use pod::resolve::capabilities;
use pod::resolve::settings::Setting;
use pod::seccomp;
use pod::spec::process::{Calls, ResourceLimit};
use stage1_init::Resource;

/// The error for a name that is none of a set: with the one that was probably
/// meant, or else with what lists them all.
fn unknown(text: &str, noun: &str, meant: Option<String>, lists: &str) -> Error {
    let hint = match meant {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => lists.to_owned(),
    };
    Error::usage(format!("{} is not {noun}", quoted(text))).hint(hint)
}

/// Splits a list at its commas.
fn list(text: &str) -> Result<Vec<&str>> {
    let names: Vec<_> = text.split(',').filter(|one| !one.is_empty()).collect();
    match names.is_empty() {
        true => Err(Error::usage("the list is empty")),
        false => Ok(names),
    }
}

fn capability(text: &str) -> Result<String> {
    capabilities::name(text).ok_or_else(|| {
        let word = text.to_ascii_lowercase();
        let word = word.strip_prefix("cap_").unwrap_or(&word);
        let meant = nearest(word, capabilities::words());
        let meant = meant.map(|word| format!("CAP_{}", word.to_ascii_uppercase()));
        unknown(text, "a capability", meant, "capabilities(7) lists them")
    })
}

/// Parses capabilities, with or without `CAP_`, in any case. Returns their
/// names as manifests have them.
pub(super) fn capabilities(text: &str) -> Result<Vec<String>> {
    list(text)?.into_iter().map(capability).collect()
}

/// Capabilities to add or to drop: their names, and whether `all` is among
/// them.
pub(super) fn some_or_all(texts: &[String]) -> Result<(Vec<String>, bool)> {
    let (mut names, mut all) = (Vec::new(), false);
    for text in texts {
        for name in list(text)? {
            match name.eq_ignore_ascii_case("all") {
                true => all = true,
                false => names.push(capability(name)?),
            }
        }
    }
    Ok((names, all))
}

/// Parses a set of system calls: `mode=retain|remove[,errno=NAME],CALL,...`.
pub(super) fn calls(text: &str) -> Result<Setting> {
    let (keys, names): (Vec<_>, Vec<_>) = text.split(',').partition(|part| part.contains('='));
    let keys = keys.into_iter().map(str::to_owned);
    let mut keys = Parts::read(keys, &["mode", "errno"])?;
    let make = match &*keys.required("mode")? {
        "retain" => Setting::RetainCalls,
        "remove" => Setting::RemoveCalls,
        other => {
            return Err(Error::usage(format!(
                "{} is not a mode: use `retain` or `remove`",
                quoted(other)
            )));
        }
    };
    let errno = keys.take("errno").filter(|name| !name.is_empty());
    let errno = errno.as_deref().map(errno_name).transpose()?;
    let names = names.join(",");
    let set = list(&names)?.into_iter().map(call);
    Ok(make(Calls {
        set: set.collect::<Result<_>>()?,
        errno,
    }))
}

/// A call that only other architectures have is valid: it cannot be made.
fn call(text: &str) -> Result<String> {
    match seccomp::names().any(|known| known == text) {
        true => Ok(text.to_owned()),
        false => {
            let meant = nearest(&text.to_ascii_lowercase(), seccomp::names());
            let noun = match text.starts_with('@') {
                true => "a group of system calls",
                false => "a system call",
            };
            let lists = "syscalls(2) lists them; `@appc.io/all` and `@nosecone/default` are groups";
            Err(unknown(text, noun, meant.map(str::to_owned), lists))
        }
    }
}

fn errno_name(text: &str) -> Result<String> {
    let name = text.to_ascii_uppercase();
    match seccomp::errors().any(|known| known == name) {
        true => Ok(name),
        false => {
            let meant = nearest(&name, seccomp::errors()).map(str::to_owned);
            Err(unknown(text, "an error", meant, "errno(3) lists them"))
        }
    }
}

/// Parses a resource limit: `NAME=SOFT[:HARD]`.
pub(super) fn resource_limit(text: &str) -> Result<ResourceLimit> {
    let (name, limits) = text.split_once('=').ok_or_else(|| {
        Error::usage(format!("{} is not `NAME=SOFT[:HARD]`", quoted(text)))
            .hint("for instance `nofile=1024:4096`")
    })?;
    let word = name.to_ascii_lowercase();
    let known = || Resource::WORDS.iter();
    let found = known().find(|(known, _)| *known == word);
    let Some(&(_, resource)) = found else {
        let meant = nearest(&word, known().map(|(word, _)| *word)).map(str::to_owned);
        let all: Vec<_> = known().map(|(word, _)| format!("`{word}`")).collect();
        let lists = format!("the resources are {}", all.join(", "));
        return Err(unknown(name, "a resource", meant, &lists));
    };
    let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
    let (soft, hard) = (amount(soft)?, amount(hard)?);
    if soft.unwrap_or(u64::MAX) > hard.unwrap_or(u64::MAX) {
        return Err(Error::usage(format!(
            "the soft limit of `{word}` is above its hard limit: {}",
            quoted(limits)
        )));
    }
    Ok(ResourceLimit {
        resource,
        soft,
        hard,
    })
}

/// Reads a limit; the highest number means that there is none (prlimit(2)).
fn amount(text: &str) -> Result<Option<u64>> {
    if matches!(text, "unlimited" | "-1") {
        return Ok(None);
    }
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| digits);
    match number {
        Some(u64::MAX) => Ok(None),
        Some(number) => Ok(Some(number)),
        None => Err(Error::usage(format!("{} is not a limit", quoted(text)))
            .hint("use a whole number, or `unlimited`")),
    }
}
