//! Network configurations as administrators write them (section 1 of the CNI
//! specification): one plugin (`.conf`, `.json`) or a chain of them
//! (`.conflist`).

use crate::spec::connection::NetworkName;
use appc::json::{self, Value};
use error::quote::quoted;
use error::{Error, Result};

/// The versions of the specification that we speak, oldest first.
const VERSIONS: [&str; 7] = [
    "0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0",
];

/// A network: plugins that are executed one after another.
#[derive(Clone, Debug, PartialEq)]
pub struct Configuration {
    /// Its name.
    pub name: String,
    /// The plugins, in their order.
    pub plugins: Vec<Plugin>,
    /// The place of its version in [`VERSIONS`].
    version: usize,
}

/// A plugin of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Plugin {
    /// The file name of its program.
    pub program: String,
    /// What it is configured with.
    fields: Vec<(String, Value)>,
}

/// What a plugin is told about one pod.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// Values of capabilities, by their names.
    pub capabilities: &'a [(String, Value)],
    /// The result of an earlier plugin.
    pub previous: Option<&'a Value>,
}

impl Configuration {
    /// Parses a file; `None` if it is the configuration of a network of another
    /// name.
    ///
    /// # Errors
    ///
    /// It is not JSON, or has no name; it is of this name, and not valid.
    pub fn parse(text: &[u8], name: &str) -> Result<Option<Self>> {
        let value = json::parse(text)?;
        if value.text("name").as_deref() != Some(name) {
            return Ok(None);
        }
        Self::read(&value).map(Some)
    }

    /// Reads a configuration.
    ///
    /// # Errors
    ///
    /// It is not valid.
    pub fn read(value: &Value) -> Result<Self> {
        let Value::Object(fields) = value else {
            return Err(Error::invalid("the configuration is not an object"));
        };
        let name = value
            .text("name")
            .ok_or_else(|| Error::invalid("the configuration has no `name`"))?;
        if NetworkName::parse(&name).is_none() {
            let what = format!("the name of the network is not valid: {}", quoted(&name));
            return Err(Error::invalid(what).hint("use letters, digits, `_`, `.` and `-`"));
        }
        let plugins = match value.get("plugins") {
            None => vec![Plugin::read(value)?],
            Some(Value::List(plugins)) if !plugins.is_empty() => {
                plugins.iter().map(Plugin::read).collect::<Result<_>>()?
            }
            Some(_) => return Err(Error::invalid("`plugins` is not a list of plugins")),
        };
        Ok(Self {
            name,
            plugins,
            version: version(fields)?,
        })
    }

    /// Formats it, as [`Self::read`] understands it.
    pub fn to_json(&self) -> Value {
        let plugins = self.plugins.iter();
        let plugins = plugins.map(|plugin| Value::Object(plugin.fields.clone()));
        Value::Object(vec![
            ("cniVersion".to_owned(), self.version().into()),
            ("name".to_owned(), self.name.as_str().into()),
            ("plugins".to_owned(), Value::List(plugins.collect())),
        ])
    }

    /// Returns the version of the specification that its plugins are to follow.
    pub fn version(&self) -> &'static str {
        VERSIONS.get(self.version).copied().unwrap_or(VERSIONS[0])
    }

    /// Returns whether plugins are told the result of adding a pod when they are
    /// to remove it: since version 0.4.0.
    pub fn has_result_at_end(&self) -> bool {
        self.version >= 4
    }

    /// Returns whether a plugin takes this capability.
    pub fn can(&self, capability: &str) -> bool {
        self.plugins.iter().any(|plugin| plugin.can(capability))
    }

    /// Returns what is passed to a plugin on its standard input.
    pub fn request(&self, plugin: &Plugin, told: Told<'_>) -> Value {
        const OURS: [&str; 5] = [
            "cniVersion",
            "name",
            "capabilities",
            "runtimeConfig",
            "prevResult",
        ];
        let mut fields = vec![
            ("cniVersion".to_owned(), self.version().into()),
            ("name".to_owned(), self.name.as_str().into()),
        ];
        let kept = plugin.fields.iter();
        let kept = kept.filter(|(key, _)| !OURS.contains(&key.as_str()) && key != "cniVersions");
        fields.extend(kept.cloned());
        let known = told.capabilities.iter();
        let known: Vec<_> = known.filter(|(key, _)| plugin.can(key)).cloned().collect();
        if !known.is_empty() {
            fields.push(("runtimeConfig".to_owned(), Value::Object(known)));
        }
        if let Some(previous) = told.previous {
            fields.push(("prevResult".to_owned(), previous.clone()));
        }
        Value::Object(fields)
    }
}

impl Plugin {
    fn read(value: &Value) -> Result<Self> {
        let Value::Object(fields) = value else {
            return Err(Error::invalid("a plugin is not an object"));
        };
        let program = match value.get("type") {
            Some(Value::Text(program)) => program.clone(),
            _ => return Err(Error::invalid("a plugin has no `type`")),
        };
        let plain = !program.contains(['/', '\\']) && !program.contains(char::is_control);
        if !plain || ["", ".", ".."].contains(&program.as_str()) {
            let what = format!(
                "the `type` of a plugin is no file name: {}",
                quoted(&program)
            );
            return Err(Error::invalid(what));
        }
        Ok(Self {
            program,
            fields: fields.clone(),
        })
    }

    fn can(&self, capability: &str) -> bool {
        let capabilities = self.fields.iter().rfind(|(key, _)| key == "capabilities");
        let value = capabilities.and_then(|(_, capabilities)| capabilities.get(capability));
        value == Some(&Value::Bool(true))
    }
}

/// Returns the newest version that a configuration names and we speak.
fn version(fields: &[(String, Value)]) -> Result<usize> {
    let find = |name| fields.iter().rfind(|(key, _)| key == name);
    let mut named: Vec<&Value> = find("cniVersion").map(|(_, one)| one).into_iter().collect();
    match find("cniVersions").map(|(_, several)| several) {
        Some(Value::List(several)) => named.extend(several),
        Some(_) => return Err(Error::invalid("`cniVersions` is not a list")),
        None => {}
    }
    let number = |value: &Value| {
        let Value::Text(text) = value else {
            return None;
        };
        VERSIONS.iter().position(|version| version == text)
    };
    match named.as_slice() {
        // As of old.
        [] => Ok(0),
        [first, ..] => named
            .iter()
            .filter_map(|one| number(one))
            .max()
            .ok_or_else(|| {
                let known = VERSIONS.map(|version| format!("`{version}`")).join(", ");
                Error::invalid(format!("`cniVersion` is `{first}`, and not one of {known}"))
            }),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Configuration> {
        Configuration::read(&json::parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn what_is_no_configuration_is_refused_with_the_reason() {
        for (text, expected) in [
            ("[]", "not an object"),
            ("{}", "no `name`"),
            (r#"{"name":7}"#, "no `name`"),
            (r#"{"name":"","type":"a"}"#, "is not valid: ``"),
            (r#"{"name":"../a","type":"a"}"#, "is not valid: `../a`"),
            (r#"{"name":"-a","type":"a"}"#, "is not valid: `-a`"),
            (r#"{"name":"a b","type":"a"}"#, "is not valid: `a b`"),
            (r#"{"name":"a"}"#, "no `type`"),
            (r#"{"name":"a","type":7}"#, "no `type`"),
            (r#"{"name":"a","type":""}"#, "no file name: ``"),
            (r#"{"name":"a","type":".."}"#, "no file name: `..`"),
            (
                r#"{"name":"a","type":"/bin/sh"}"#,
                "no file name: `/bin/sh`",
            ),
            (r#"{"name":"a","type":"..\\sh"}"#, "no file name: "),
            (r#"{"name":"a","plugins":[]}"#, "`plugins` is not"),
            (r#"{"name":"a","plugins":{}}"#, "`plugins` is not"),
            (r#"{"name":"a","plugins":[7]}"#, "a plugin is not"),
            (r#"{"name":"a","plugins":[{"type":"b"},{}]}"#, "no `type`"),
            (
                r#"{"name":"a","type":"b","cniVersion":"2.0.0"}"#,
                "`\"2.0.0\"`",
            ),
            (r#"{"name":"a","type":"b","cniVersion":1}"#, "is `1`"),
            (
                r#"{"name":"a","type":"b","cniVersions":"1.0.0"}"#,
                "not a list",
            ),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn a_configuration_of_another_name_may_be_anything() {
        let other = br#"{"name":"other","cniVersion":7}"#;
        assert_eq!(Configuration::parse(other, "net").unwrap(), None);
        assert!(Configuration::parse(other, "other").is_err());
        assert!(Configuration::parse(b"{", "net").is_err());
    }

    #[test]
    fn the_newest_version_that_both_speak_is_used() {
        for (text, expected) in [
            ("", "0.1.0"),
            (r#","cniVersion":"0.3.1""#, "0.3.1"),
            (r#","cniVersion":"1.0.0""#, "1.0.0"),
            (r#","cniVersions":["1.0.0","9.0.0","0.4.0"]"#, "1.0.0"),
            (r#","cniVersion":"1.1.0","cniVersions":["0.4.0"]"#, "1.1.0"),
        ] {
            let read = read(&format!(r#"{{"name":"a","type":"b"{text}}}"#)).unwrap();
            assert_eq!(read.version(), expected);
            assert_eq!(read.has_result_at_end(), expected >= "0.4.0", "{expected}");
        }
    }

    #[test]
    fn a_plugin_is_passed_its_fields_and_what_it_can_use() {
        let chain = read(
            r#"{"cniVersion":"1.0.0","name":"a","plugins":[
                {"type":"bridge","ipam":{"type":"host-local"},"prevResult":1},
                {"type":"portmap","snat":true,"runtimeConfig":1,
                 "capabilities":{"portMappings":true,"mac":false}}]}"#,
        )
        .unwrap();
        let capabilities =
            ["portMappings", "mac", "ips"].map(|name| (name.to_owned(), true.into()));
        let previous = Value::from("before");
        let request = |plugin: usize, previous| {
            let told = Told {
                capabilities: &capabilities,
                previous,
            };
            chain.request(&chain.plugins[plugin], told).to_string()
        };
        assert_eq!(
            request(0, None),
            r#"{"cniVersion":"1.0.0","name":"a","type":"bridge","ipam":{"type":"host-local"}}"#
        );
        assert_eq!(
            request(1, Some(&previous)),
            r#"{"cniVersion":"1.0.0","name":"a","type":"portmap","snat":true,"runtimeConfig":{"portMappings":true},"prevResult":"before"}"#
        );
        assert!(chain.can("portMappings") && !chain.can("mac") && !chain.can("ips"));
        assert_eq!(Configuration::read(&chain.to_json()).unwrap(), chain);
    }
}
