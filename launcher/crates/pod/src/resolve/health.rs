//! Decides how to find out whether an app works: as options say, or its image, or
//! as docker does where neither does.

use std::time::Duration;

use crate::resolve::conventions::Conventions;
use crate::spec::health::{HealthCheck, OnUnhealthy};
use crate::spec::process::Sourced;
use appc::json::{self, Value};
use error::quote::quoted;
use error::{Error, Result};
use oci::config::{Healthcheck, Probe};

/// What is requested of the check of an app.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthRequest {
    /// The check, if not the image's.
    pub command: Option<HealthCommand>,
    /// How long to wait from one check to the next.
    pub interval: Option<Duration>,
    /// How long a check may take.
    pub timeout: Option<Duration>,
    /// How many failures in a row count.
    pub retries: Option<u32>,
    /// How long checks may fail after the start.
    pub start_period: Option<Duration>,
    /// How long to wait from one check to the next in that time.
    pub start_interval: Option<Duration>,
}

/// A requested check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealthCommand {
    /// No check.
    None,
    /// A line for the shell.
    Shell(String),
    /// A program with its arguments.
    Program(Vec<String>),
}

/// Docker's defaults.
const INTERVAL: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(30);
const START_INTERVAL: Duration = Duration::from_secs(5);
const RETRIES: u32 = 3;

/// The shortest time between two checks, and for one, as docker has it.
const LEAST: Duration = Duration::from_millis(1);

/// What runs a line, if the image does not say.
const SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// Parses a value of `--health-cmd`, as podman does: `none`, a list in JSON, or a
/// line for the shell.
///
/// # Errors
///
/// It is empty, or no such list.
pub fn command(text: &str) -> Result<HealthCommand> {
    if text == "none" {
        return Ok(HealthCommand::None);
    }
    // `[ -e /file ]` is a line for the shell.
    if !text.starts_with("[\"") {
        return Ok(HealthCommand::Shell(text.to_owned()));
    }
    let word = |value: &Value| match value {
        Value::Text(word) => Some(word.clone()),
        _ => None,
    };
    let words = match json::parse(text.as_bytes()) {
        Ok(Value::List(words)) => words.iter().map(word).collect(),
        _ => None,
    };
    let words = words.filter(|words: &Vec<String>| words.first().is_some_and(|w| !w.is_empty()));
    words.map(HealthCommand::Program).ok_or_else(|| {
        Error::usage(format!("{} is not a list of words", quoted(text))).hint(
            r#"`["program", "argument"]` is one; the shell runs what does not begin with `["`"#,
        )
    })
}

/// Parses a value of `--on-unhealthy`.
///
/// # Errors
///
/// It is none of the words.
pub fn on_unhealthy(text: &str) -> Result<OnUnhealthy> {
    match text {
        "none" => Ok(OnUnhealthy::Nothing),
        "kill" => Ok(OnUnhealthy::Kill),
        "restart" => Ok(OnUnhealthy::Restart),
        other => Err(Error::usage(format!(
            "{} is neither `none`, `kill` nor `restart`",
            quoted(other)
        ))),
    }
}

/// Checks a time for or between checks.
///
/// # Errors
///
/// It is too short.
pub fn time(time: Duration) -> Result<Duration> {
    match time < LEAST {
        true => Err(Error::usage("the shortest time of health checks is `1ms`")),
        false => Ok(time),
    }
}

/// Decides how to find out whether an app works, if at all. `reason` is that of
/// what its image says.
///
/// # Errors
///
/// Something is requested of a check that there is not.
pub(super) fn settle(
    app: &str,
    wanted: &HealthRequest,
    conventions: &Conventions,
    reason: &str,
) -> Result<Option<Sourced<HealthCheck>>> {
    let image = conventions.health.as_ref();
    let shell = |line: &str| {
        let shell = conventions.shell.iter().map(String::as_str);
        let mut words: Vec<_> = shell.map(str::to_owned).collect();
        if words.is_empty() {
            words.extend(SHELL.map(str::to_owned));
        }
        words.push(line.to_owned());
        words
    };
    let by_option = || "option --health-cmd".to_owned();
    let (argv, reason) = match (&wanted.command, image.map(|image| &image.probe)) {
        (Some(HealthCommand::Program(words)), _) => (words.clone(), by_option()),
        (Some(HealthCommand::Shell(line)), _) => (shell(line), by_option()),
        (None, Some(Probe::Command(words))) => (words.clone(), reason.to_owned()),
        (None, Some(Probe::Shell(line))) => (shell(line), reason.to_owned()),
        (Some(HealthCommand::None), _)
        | (None, None | Some(Probe::Inherited | Probe::Disabled)) => {
            return match wanted.surplus() {
                None => Ok(None),
                Some(option) => {
                    let what = format!("`{option}`: app `{app}` has no health check");
                    Err(Error::usage(what).hint("`--health-cmd COMMAND` sets one"))
                }
            };
        }
    };
    let own = Healthcheck::default();
    let image = image.unwrap_or(&own);
    let either = |wanted: Option<Duration>, image: Option<u64>, usual: Duration| {
        let image = image.map(|time| Duration::from_nanos(time).max(LEAST));
        let time = wanted.or(image).unwrap_or(usual);
        u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
    };
    let retries = image.retries;
    let retries = retries.map(|number| u32::try_from(number).unwrap_or(u32::MAX));
    let check = HealthCheck {
        argv,
        interval: either(wanted.interval, image.interval, INTERVAL),
        timeout: either(wanted.timeout, image.timeout, TIMEOUT),
        retries: wanted.retries.or(retries).unwrap_or(RETRIES),
        start_period: either(wanted.start_period, image.start_period, Duration::ZERO),
        start_interval: either(wanted.start_interval, image.start_interval, START_INTERVAL),
    };
    Ok(Some(Sourced::new(check, reason)))
}

impl HealthRequest {
    /// Returns the option of something that only a check has.
    fn surplus(&self) -> Option<&'static str> {
        let all = [
            (self.interval.is_some(), "--health-interval"),
            (self.timeout.is_some(), "--health-timeout"),
            (self.retries.is_some(), "--health-retries"),
            (self.start_period.is_some(), "--health-start-period"),
            (self.start_interval.is_some(), "--health-start-interval"),
        ];
        let given = all.into_iter().find(|(given, _)| *given);
        given.map(|(_, option)| option)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn image(probe: Probe) -> Conventions {
        Conventions {
            health: Some(Healthcheck {
                probe,
                interval: Some(1),
                retries: Some(u64::MAX),
                ..Healthcheck::default()
            }),
            ..Conventions::default()
        }
    }

    #[test]
    fn what_is_asked_of_no_check_is_refused() {
        let wanted = HealthRequest {
            retries: Some(2),
            ..HealthRequest::default()
        };
        for conventions in [Conventions::default(), image(Probe::Disabled)] {
            let settled = settle("a", &wanted, &conventions, "image");
            let message = settled.unwrap_err().to_string();
            assert!(
                message.starts_with("`--health-retries`: app `a`"),
                "{message}"
            );
        }
        for text in ["[\"", "[\"\"]", "[\"a\",null]", "[\"a\"] x"] {
            assert!(command(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_option_counts_more_than_the_image_and_that_more_than_the_default() {
        let line = image(Probe::Shell("true".to_owned()));
        let none = HealthRequest {
            command: Some(HealthCommand::None),
            ..HealthRequest::default()
        };
        assert_eq!(settle("a", &none, &line, "image").unwrap(), None);
        let settled = settle("a", &HealthRequest::default(), &line, "image");
        let settled = settled.unwrap().unwrap();
        assert_eq!(settled.reason, "image");
        let expected = HealthCheck {
            argv: ["/bin/sh", "-c", "true"].map(str::to_owned).to_vec(),
            interval: 1_000_000,
            timeout: 30_000_000_000,
            retries: u32::MAX,
            start_period: 0,
            start_interval: 5_000_000_000,
        };
        assert_eq!(settled.value, expected);
        let wanted = HealthRequest {
            command: Some(command(r#"["a","b"]"#).unwrap()),
            interval: Some(Duration::from_secs(2)),
            ..HealthRequest::default()
        };
        let check = settle("a", &wanted, &line, "image").unwrap().unwrap();
        assert_eq!(check.value.argv, ["a", "b"]);
        assert_eq!(check.value.interval, 2_000_000_000);
    }
}
