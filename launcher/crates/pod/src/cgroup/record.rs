//! The groups of a pod as a file of its directory: what has to be made before
//! its plan can be carried out, and removed afterwards.
//!
//! ```text
//! make PATH
//! enable PATH CONTROLLER...
//! write PATH CONTROLLER FILE VALUE    `try` in its place: there may be no such file
//! devices PATH RULE...
//! ```
//!
//! Between the words are tabs; a machine whose cgroups are mounted where there
//! are tabs in the path has none for us.

use std::path::{Path, PathBuf};

use crate::cgroup::settings::{Controller, Setting, Version};
use crate::cgroup::{Groups, Step, top};
use crate::spec::limits::Rule;
use appc::types::Uuid;
use error::{Error, Result};

/// The file.
pub(crate) const FILE: &str = "groups";

/// Writes it.
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

/// Reads it: the groups of the pod with this UUID.
///
/// # Errors
///
/// A line that [`write()`] does not write.
pub(crate) fn read(text: &str, uuid: Uuid) -> Result<Groups> {
    let mut groups = Groups::default();
    for (number, line) in (1..).zip(text.lines()) {
        let words: Vec<&str> = line.split('\t').collect();
        let step = one(&words).ok_or_else(|| {
            Error::invalid(format!("line {number} of the pod's groups is damaged"))
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
