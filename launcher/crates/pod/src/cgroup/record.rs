//! A pod's groups as a file in its directory: what to make before the plan
//! runs, and what to remove afterwards.
//!
//! ```text
//! make PATH
//! enable PATH CONTROLLER...
//! write PATH CONTROLLER FILE VALUE    or `try`, if the file may be missing
//! devices PATH RULE...
//! ```
//!
//! Words are separated by tabs, so a hierarchy with a tab in its path is not
//! used.

use std::path::{Path, PathBuf};

use crate::cgroup::settings::{Controller, Setting, Version};
use crate::cgroup::{Groups, Step, top};
use crate::spec::limits::Rule;
use appc::types::Uuid;
use error::{Error, Result};

/// The name of the file.
pub(crate) const FILE: &str = "groups";

/// Formats the file.
pub(crate) fn write(groups: &Groups) -> String {
    let mut text = String::new();
    let mut line = |words: &[&str]| {
        text.push_str(&words.join("\t"));
        text.push('\n');
    };
    for step in &groups.steps {
        match step {
            Step::Make(path) => line(&["make", &path.to_string_lossy()]),
            Step::Enable(path, controllers) => {
                let path = path.to_string_lossy();
                let mut words = vec!["enable", &path];
                words.extend(controllers.iter().map(|one| one.word(Version::Two)));
                line(&words);
            }
            Step::Write(path, setting) => line(&[
                if setting.optional { "try" } else { "write" },
                &path.to_string_lossy(),
                setting.controller.word(Version::Two),
                &setting.file,
                &setting.value,
            ]),
            Step::Devices(path, rules) => {
                let rules: Vec<String> = rules.iter().map(Rule::to_string).collect();
                let path = path.to_string_lossy();
                let mut words = vec!["devices", &path];
                words.extend(rules.iter().map(String::as_str));
                line(&words);
            }
        }
    }
    text
}

/// Parses the file, which belongs to the pod with this UUID.
///
/// # Errors
///
/// Fails on a line that [`write()`] would not have written.
pub(crate) fn read(text: &str, uuid: Uuid) -> Result<Groups> {
    let mut groups = Groups::default();
    for (number, line) in (1..).zip(text.lines()) {
        let words: Vec<&str> = line.split('\t').collect();
        let step = one(&words).ok_or_else(|| {
            Error::invalid(format!(
                "line {number} of the pod's cgroup record is damaged"
            ))
        })?;
        groups.steps.push(step);
    }
    for step in &groups.steps {
        if let Step::Make(path) = step
            && top(path, uuid) == Some(path)
        {
            groups.tops.push(path.clone());
        }
    }
    Ok(groups)
}

fn one(words: &[&str]) -> Option<Step> {
    let path = |text: &str| Path::new(text).is_absolute().then(|| PathBuf::from(text));
    Some(match words {
        ["make", group] => Step::Make(path(group)?),
        ["enable", group, controllers @ ..] => Step::Enable(
            path(group)?,
            controllers
                .iter()
                .map(|word| controller(word))
                .collect::<Option<_>>()?,
        ),
        [verb @ ("write" | "try"), group, word, file, value] => Step::Write(
            path(group)?,
            Setting {
                controller: controller(word)?,
                file: (!file.contains('/')).then(|| (*file).to_owned().into())?,
                value: (*value).to_owned(),
                optional: *verb == "try",
            },
        ),
        ["devices", group, rules @ ..] => Step::Devices(
            path(group)?,
            rules
                .iter()
                .map(|rule| Rule::parse(rule))
                .collect::<Option<_>>()?,
        ),
        _ => return None,
    })
}

fn controller(word: &str) -> Option<Controller> {
    let mut all = Controller::ALL.into_iter();
    all.find(|controller| controller.word(Version::Two) == word)
}
