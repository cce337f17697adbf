//! Merges what an image says about its app with what was requested: an app's
//! options override its image, and an `app` section of a pod manifest replaces
//! the image's as a whole.

use crate::resolve::BY_MANIFEST;
use crate::resolve::conventions::Conventions;
use crate::resolve::grant::Grant;
use crate::resolve::request::{AppRequest, OURS, Request};
use crate::spec::defaults;
use crate::spec::environment::Variable;
use crate::spec::process::Sourced;
use appc::manifest::ImageManifest;
use appc::manifest::app::{self, App};
use error::{Error, Result};

/// What an app runs, and the reason for each part.
pub(super) struct Merged {
    /// The merged `app` section.
    pub app: App,
    /// Where its parts come from.
    pub reasons: Reasons,
    /// All variables that its programs see.
    pub variables: Vec<Sourced<Variable>>,
    /// Whether its user has the groups of its account.
    pub account_groups: bool,
}

/// Where the parts of an app section come from, as the plan shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reasons {
    /// Everything not listed below.
    pub section: String,
    /// The command.
    pub exec: String,
    /// The user.
    pub user: String,
    /// The primary group.
    pub group: String,
    /// The supplementary groups.
    pub groups: String,
    /// The working directory.
    pub directory: String,
}

/// Merges. `name` is the app's name in the pod; `trusted`: its image may have
/// whatever rights it asks for.
///
/// # Errors
///
/// Fails if there is no program to run.
pub(super) fn merge(
    name: &str,
    pod: &Request,
    wanted: &AppRequest,
    image: &ImageManifest,
    conventions: &Conventions,
    trusted: bool,
) -> Result<Merged> {
    let from_image = format!("image {}", image.name);
    let (mut app, section) = match (&wanted.section, &image.app) {
        (Some(section), _) => (section.clone(), BY_MANIFEST.to_owned()),
        (None, Some(section)) => (section.clone(), from_image),
        (None, None) if wanted.exec.is_some() => (App::root(), "default".to_owned()),
        (None, None) => {
            let name = &image.name;
            return Err(Error::invalid(format!("image `{name}` has no app to run"))
                .hint("it is meant to be used as a dependency of other images"));
        }
    };
    let reason = |given: bool, option: &str| match given {
        true => format!("option {option}"),
        false => section.clone(),
    };
    let reasons = Reasons {
        exec: reason(wanted.exec.is_some(), "--exec"),
        user: reason(wanted.user.is_some(), "--user"),
        group: reason(wanted.group.is_some(), "--group"),
        groups: reason(wanted.supplementary_gids.is_some(), "--supplementary-gids"),
        directory: match (&wanted.working_directory, &app.working_directory) {
            (None, None) => "default".to_owned(),
            (given, _) => reason(given.is_some(), "--working-dir"),
        },
        section: section.clone(),
    };
    let is_own = wanted.section.is_none();
    let replaced = conventions
        .fixed
        .filter(|_| is_own && !wanted.arguments.is_empty());
    match (&wanted.exec, replaced) {
        (Some(program), _) => app.exec = vec![program.clone()],
        (None, Some(fixed)) => app.exec.truncate(fixed),
        (None, None) => {}
    }
    if app.exec.is_empty() && replaced.is_none() {
        return Err(
            Error::invalid(format!("the app of image `{}` has no command", image.name))
                .hint("set one with `--exec PROGRAM` after the image"),
        );
    }
    app.exec.extend(wanted.arguments.iter().cloned());
    overwrite(&mut app.user, &wanted.user);
    overwrite(&mut app.group, &wanted.group);
    overwrite(&mut app.supplementary_gids, &wanted.supplementary_gids);
    if wanted.working_directory.is_some() {
        app.working_directory.clone_from(&wanted.working_directory);
    }
    // A section of a pod manifest comes from the operator.
    match trusted || wanted.section.is_some() {
        true => Grant::Everything.lift(&mut app.isolators),
        false => wanted.grant.lift(&mut app.isolators),
    }
    app.user_annotations.extend(wanted.user_annotations.clone());
    app.user_labels.extend(wanted.user_labels.clone());
    let mut variables = variables(&section, &app, pod, wanted);
    // Images of other formats can have names that no manifest has.
    app.environment = variables
        .iter()
        .filter(|one| app::variable_name(&one.value.name).is_ok())
        .map(|one| in_manifest(&one.value))
        .collect();
    for (name, value) in [
        ("AC_APP_NAME", name),
        ("AC_METADATA_URL", pod.metadata.as_str()),
        ("container", defaults::CONTAINER),
    ] {
        if !value.is_empty() {
            set(&mut variables, name, value, "standard environment");
        }
    }
    if !variables.iter().any(|one| one.value.name == "PATH") {
        let path = Variable::new("PATH", defaults::PATH);
        variables.insert(0, Sourced::new(path, "default"));
    }
    Ok(Merged {
        app,
        reasons,
        variables,
        account_groups: conventions.account_groups && is_own,
    })
}

fn overwrite<T: Clone>(place: &mut T, wanted: &Option<T>) {
    if let Some(wanted) = wanted {
        place.clone_from(wanted);
    }
}

/// Returns the variables, in order of increasing precedence: the caller's, the
/// image's, the options of the pod, those of the app. Nobody can override what
/// Nose Cone itself sets.
fn variables(
    section: &str,
    app: &App,
    pod: &Request,
    wanted: &AppRequest,
) -> Vec<Sourced<Variable>> {
    let mut all = Vec::new();
    for one in &pod.inherited {
        set(&mut all, &one.value.name, &one.value.value, &one.reason);
    }
    for one in &app.environment {
        set(&mut all, &one.name, &one.value, section);
    }
    if let Some(rule) = pod.zone.as_ref().and_then(|zone| zone.rule.as_ref()) {
        set(&mut all, "TZ", rule, "option --timezone");
    }
    for one in &pod.variables {
        set(&mut all, &one.value.name, &one.value.value, &one.reason);
    }
    for one in &wanted.environment {
        set(&mut all, &one.name, &one.value, "option --environment");
    }
    all.retain(|one| !OURS.contains(&one.value.name.as_str()));
    all
}

fn set(all: &mut Vec<Sourced<Variable>>, name: &str, value: &str, reason: &str) {
    let one = Sourced::new(Variable::new(name, value), reason);
    match all.iter_mut().find(|known| known.value.name == name) {
        Some(known) => *known = one,
        None => all.push(one),
    }
}

fn in_manifest(variable: &Variable) -> app::Variable {
    app::Variable {
        name: variable.name.clone(),
        value: variable.value.clone(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn image(app: &str) -> ImageManifest {
        let text = format!(
            r#"{{"acKind":"ImageManifest","acVersion":"0.8.11","name":"example.com/a","app":{app}}}"#
        );
        ImageManifest::parse(text.as_bytes()).unwrap().value
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<Variable> {
        list.iter()
            .map(|&(name, value)| Variable::new(name, value))
            .collect()
    }

    fn option(name: &str, value: &str) -> Sourced<Variable> {
        Sourced::new(Variable::new(name, value), value)
    }

    #[test]
    fn an_image_cannot_override_reserved_variables() {
        let image = image(
            r#"{"exec":["/x"],"user":"0","group":"0","environment":[{"name":"container","value":"none"},{"name":"AC_APP_NAME","value":"b"},{"name":"AC_METADATA_URL","value":"http://b"}]}"#,
        );
        let pod = Request {
            inherited: vec![option("AC_APP_NAME", "c")],
            ..Request::default()
        };
        let merged = merge(
            "a",
            &pod,
            &AppRequest::default(),
            &image,
            &Conventions::default(),
            false,
        )
        .unwrap();
        let found: Vec<_> = merged
            .variables
            .iter()
            .map(|one| format!("{}={}", one.value.name, one.value.value))
            .collect();
        assert_eq!(
            found,
            [
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "AC_APP_NAME=a",
                "container=nosecone"
            ]
        );
    }

    #[test]
    fn variables_closer_to_the_app_take_precedence() {
        let section = |names: &str| {
            let list: Vec<_> = names
                .chars()
                .map(|name| format!(r#"{{"name":"{name}","value":"image"}}"#))
                .collect();
            image(&format!(
                r#"{{"exec":["/x"],"user":"0","group":"0","environment":[{}]}}"#,
                list.join(",")
            ))
        };
        let wanted = AppRequest {
            environment: pairs(&[("D", "app")]),
            ..AppRequest::default()
        };
        let pod = Request {
            inherited: ["A", "B", "C", "D"]
                .map(|name| option(name, "caller"))
                .into(),
            variables: vec![
                option("C", "file"),
                option("E", "file"),
                option("D", "set"),
                option("E", "set"),
            ],
            ..Request::default()
        };
        let merged = merge(
            "a",
            &pod,
            &wanted,
            &section("BCDE"),
            &Conventions::default(),
            false,
        )
        .unwrap();
        for (name, value) in [
            ("A", "caller"),
            ("B", "image"),
            ("C", "file"),
            ("D", "app"),
            ("E", "set"),
        ] {
            let found = merged.variables.iter().find(|one| one.value.name == name);
            assert_eq!(found.unwrap().value.value, value, "{name}");
        }
    }
}
