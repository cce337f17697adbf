//! Writes the configuration of an image that is made here. Equal configurations
//! give equal bytes.

use appc::json::{Object, Value};

use crate::config::{Healthcheck, ImageConfig, Probe, RunConfig, Step};
use crate::user::User;

impl ImageConfig {
    /// Encodes the configuration.
    pub fn to_json(&self) -> Value {
        let platform = self.platform.as_ref();
        let diff_ids = self.diff_ids.iter().map(ToString::to_string);
        Object::new()
            .with_some("created", self.created.as_deref())
            .with_some("author", self.author.as_deref())
            .with(
                "architecture",
                platform.map_or("", |platform| &platform.architecture),
            )
            .with("os", platform.map_or("linux", |platform| &platform.os))
            .with_some(
                "variant",
                platform.and_then(|platform| platform.variant.as_deref()),
            )
            .with("config", self.run.to_json())
            .with(
                "rootfs",
                Object::new()
                    .with("type", "layers")
                    .with("diff_ids", diff_ids.collect::<Value>()),
            )
            .with_items("history", self.history.iter().map(Step::to_json))
            .into()
    }
}

impl RunConfig {
    fn to_json(&self) -> Object {
        let env = self.env.iter();
        let env = env.map(|(name, value)| format!("{name}={value}"));
        let directory = Some(&*self.working_dir).filter(|path| !path.is_empty());
        Object::new()
            .with_some("User", user(&self.user))
            .with_some("ExposedPorts", set(&self.ports))
            .with_items("Env", env)
            .with_items("Entrypoint", self.entrypoint.iter().cloned())
            .with_items("Cmd", self.cmd.iter().cloned())
            .with_some("Volumes", set(&self.volumes))
            .with_some("WorkingDir", directory)
            .with_some(
                "Labels",
                object(
                    self.labels
                        .iter()
                        .map(|(name, value)| (name.clone(), value.as_str().into())),
                ),
            )
            .with_some("StopSignal", self.stop_signal.as_deref())
            .with_some(
                "Healthcheck",
                self.healthcheck.as_ref().map(Healthcheck::to_json),
            )
            .with_items("Shell", self.shell.iter().cloned())
    }
}

impl Healthcheck {
    fn to_json(&self) -> Object {
        let words: Vec<String> = match &self.probe {
            Probe::Inherited => Vec::new(),
            Probe::Disabled => vec!["NONE".to_owned()],
            Probe::Command(words) => [&["CMD".to_owned()][..], words].concat(),
            Probe::Shell(line) => vec!["CMD-SHELL".to_owned(), line.clone()],
        };
        Object::new()
            .with_items("Test", words)
            .with_some("Interval", self.interval)
            .with_some("Timeout", self.timeout)
            .with_some("StartPeriod", self.start_period)
            .with_some("StartInterval", self.start_interval)
            .with_some("Retries", self.retries)
    }
}

impl Step {
    fn to_json(&self) -> Object {
        Object::new()
            .with_some("created", self.created.as_deref())
            .with_some("created_by", self.created_by.as_deref())
            .with_some("author", self.author.as_deref())
            .with_some("comment", self.comment.as_deref())
            .with_some("empty_layer", self.empty_layer.then_some(true))
    }
}

fn user(user: &User) -> Option<String> {
    match &user.group {
        None if *user == User::default() => None,
        None => Some(user.user.to_string()),
        Some(group) => Some(format!("{}:{group}", user.user)),
    }
}

/// Encodes a set as Go does: an object whose values say nothing.
fn set<'a, T: ToString + 'a>(items: impl IntoIterator<Item = &'a T>) -> Option<Object> {
    let items = items.into_iter();
    object(items.map(|item| (item.to_string(), Object::new().into())))
}

/// Returns an object with these fields, if there are any.
fn object(fields: impl Iterator<Item = (String, Value)>) -> Option<Object> {
    fields.fold(None, |all: Option<Object>, (name, value)| {
        Some(all.unwrap_or_default().with(&name, value))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let digest = format!("sha256:{}", "0c".repeat(32));
        let whole = format!(
            r#"{{"created":"2024-01-02T03:04:05Z","author":"a","architecture":"arm","os":"linux","variant":"v7","config":{{"User":"a:1","ExposedPorts":{{"80/tcp":{{}}}},"Env":["A=b=c"],"Entrypoint":["/a"],"Cmd":["b"],"Volumes":{{"/v":{{}}}},"WorkingDir":"/w","Labels":{{"l":"m"}},"StopSignal":"QUIT","Healthcheck":{{"Test":["CMD-SHELL","x y"],"Interval":1,"Retries":2}},"Shell":["/sh"]}},"rootfs":{{"type":"layers","diff_ids":["{digest}"]}},"history":[{{"created_by":"x","empty_layer":true}}]}}"#
        );
        for text in [
            &*whole,
            r#"{"architecture":"","os":"linux","config":{"WorkingDir":"/"},"rootfs":{"type":"layers","diff_ids":[]}}"#,
        ] {
            let config = ImageConfig::read(text.as_bytes()).unwrap();
            assert_eq!(config.to_json().to_string(), text);
        }
    }
}
