//! Who tells the service manager that a pod is ready.

use crate::resolve::report::Entry;
use crate::spec::notify::{Manager, Speaker};
use crate::spec::pod::PodSpec;
use appc::types::{Annotations, NOTIFY};
use error::quote::quoted;
use error::{Error, Result};

/// Parses a value of `--sdnotify`.
///
/// # Errors
///
/// It is none of the words.
pub fn parse(text: &str) -> Result<Speaker> {
    match text {
        "app" => Ok(Speaker::App),
        "launcher" => Ok(Speaker::Launcher),
        "ignore" => Ok(Speaker::Nobody),
        other => {
            let what = format!(
                "{} is neither `app`, `launcher` nor `ignore`",
                quoted(other)
            );
            Err(Error::usage(what))
        }
    }
}

/// Returns whether an image says that its app notifies a service manager.
pub(crate) fn notifies(annotations: &Annotations) -> bool {
    let mut all = annotations.iter();
    all.any(|one| one.name.as_str() == NOTIFY && one.value == "true")
}

/// Decides who tells it: whom an option names, or the app, if it says that it does
/// and is the only one. Returns an entry if it does and is not asked.
///
/// # Errors
///
/// It is to be one of several apps.
pub(crate) fn settle(
    spec: &mut PodSpec,
    wanted: Option<Speaker>,
    manager: Option<&Manager>,
    notifying: &[bool],
) -> Result<Option<Entry>> {
    if wanted == Some(Speaker::App) && spec.apps.len() > 1 {
        let what = "`--sdnotify=app` requires a pod with a single app";
        return Err(Error::usage(what).hint("the launcher tells when all apps were started"));
    }
    let by_image = match notifying {
        [true] => Speaker::App,
        _ => Speaker::Launcher,
    };
    spec.speaker = wanted.unwrap_or(by_image);
    spec.manager = manager.filter(|_| spec.speaker != Speaker::Nobody).cloned();
    if wanted.is_some() || spec.manager_of_app().is_some() {
        return Ok(None);
    }
    let ignored = spec
        .apps
        .iter()
        .zip(notifying)
        .find(|(_, notifies)| **notifies);
    Ok(ignored.map(|(app, _)| {
        let what = format!("annotation `{NOTIFY}`");
        let reason = "nobody waits for the app to say that it is ready";
        Entry::unsupported(what, &format!("app `{}`", app.name), reason)
    }))
}
