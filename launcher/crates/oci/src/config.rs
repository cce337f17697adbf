//! The configuration of an image: what it is made for, what it runs, and the
//! layers that it consists of (image-spec, config.md).
//!
//! What docker alone reads and nothing here needs (`OnBuild`, `Hostname`, limits)
//! is ignored, as every unknown field is.

use std::collections::{BTreeMap, BTreeSet};

use appc::json::Node;
use error::{Error, Result};

use crate::digest::Digest;
use crate::document::{self, text, text_map, texts};
use crate::platform::Platform;
use crate::port::Port;
use crate::user::User;

/// Most bytes of a configuration. Those of builds with a long history take some
/// hundred kilobytes.
pub const LIMIT: usize = 8 << 20;

/// The configuration of an image. The digest of its bytes identifies the image.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImageConfig {
    /// What it is made for, if it says so.
    pub platform: Option<Platform>,
    /// When it was made, as it was written.
    pub created: Option<String>,
    /// Who made it.
    pub author: Option<String>,
    /// The digests of the uncompressed layers, the lowest first.
    pub diff_ids: Vec<Digest>,
    /// How it was made, step by step. Nothing is to be concluded from it.
    pub history: Vec<Step>,
    /// What it runs.
    pub run: RunConfig,
}

/// A step of how an image was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// When, as it was written.
    pub created: Option<String>,
    /// By which command.
    pub created_by: Option<String>,
    /// By whom.
    pub author: Option<String>,
    /// A remark.
    pub comment: Option<String>,
    /// Whether it made no layer.
    pub empty_layer: bool,
}

/// What an image runs, and how: the object `config` of its configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunConfig {
    /// As whom.
    pub user: User,
    /// The environment, in its order and each name once: of entries with the same
    /// name the last counts, and those without a `=` are left out.
    pub env: Vec<(String, String)>,
    /// The program, and the arguments that are always passed.
    pub entrypoint: Vec<String>,
    /// The arguments if no others are given; without an entrypoint, the program,
    /// too.
    pub cmd: Vec<String>,
    /// The working directory; absolute.
    pub working_dir: String,
    /// The directories that are not to be part of the image; absolute.
    pub volumes: BTreeSet<String>,
    /// The ports that it listens on.
    pub ports: BTreeSet<Port>,
    /// The signal that stops it, as it was written: a name or a number.
    pub stop_signal: Option<String>,
    /// Its metadata.
    pub labels: BTreeMap<String, String>,
    /// How to find out whether it works.
    pub healthcheck: Option<Healthcheck>,
    /// What runs commands that are one line, such as that of a health check.
    pub shell: Vec<String>,
}

/// How to find out whether a running image works. Docker's; times are in
/// nanoseconds, and what is `None` is left to who runs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Healthcheck {
    /// What is run.
    pub probe: Probe,
    /// How long to wait from one probe to the next.
    pub interval: Option<u64>,
    /// How long a probe may take.
    pub timeout: Option<u64>,
    /// How long probes may fail after the start.
    pub start_period: Option<u64>,
    /// How long to wait from one probe to the next in that time.
    pub start_interval: Option<u64>,
    /// How many failures in a row count.
    pub retries: Option<u64>,
}

/// What a health check runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Probe {
    /// It does not say: what the image below has counts.
    #[default]
    Inherited,
    /// Nothing, whatever the image below has.
    Disabled,
    /// A program with its arguments.
    Command(Vec<String>),
    /// A line for the shell.
    Shell(String),
}

impl ImageConfig {
    /// Reads a configuration.
    ///
    /// # Errors
    ///
    /// It is too large, is not JSON, or a field has another form.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        document::read(bytes, LIMIT, |node| {
            let mut fields = node.fields()?;
            let architecture = fields.or_default("architecture", text)?;
            let os = fields.or_default("os", text)?;
            let variant = fields.optional("variant", text)?;
            Ok(Self {
                platform: Platform::of_document(&os, &architecture, variant.as_deref()),
                created: fields.optional("created", text)?,
                author: fields.optional("author", text)?,
                diff_ids: fields.required("rootfs", diff_ids)?,
                history: fields.or_default("history", |node| node.items(Step::read))?,
                run: fields
                    .optional("config", RunConfig::read)?
                    .unwrap_or_else(RunConfig::new),
            })
        })
    }

    /// Checks that there are as many layers in the manifest as here.
    ///
    /// # Errors
    ///
    /// There are more or fewer: one of the two is not of this image.
    pub fn check_layers(&self, in_manifest: usize) -> Result<()> {
        let here = self.diff_ids.len();
        if here == in_manifest {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "the manifest has {in_manifest} layers, but the configuration {here}"
        )))
    }

    /// Returns the ChainID of each layer: what identifies it together with all
    /// below it (config.md, "Layer ChainID"). `sha256` computes the SHA-256.
    pub fn chain_ids(&self, sha256: impl Fn(&[u8]) -> [u8; 32]) -> Vec<Digest> {
        let mut chain: Vec<Digest> = Vec::new();
        for diff_id in &self.diff_ids {
            let id = match chain.last() {
                None => diff_id.clone(),
                Some(below) => Digest::sha256(&sha256(format!("{below} {diff_id}").as_bytes())),
            };
            chain.push(id);
        }
        chain
    }
}

fn diff_ids(node: &Node<'_>) -> Result<Vec<Digest>> {
    let mut fields = node.fields()?;
    let kind = fields.or_default("type", text)?;
    if !matches!(&*kind, "" | "layers") {
        return Err(node.fault("its `type` is not `layers`"));
    }
    let digest = |node: &Node<'_>| node.parsed(Digest::parse);
    fields.or_default("diff_ids", |node| node.items(digest))
}

impl Step {
    fn read(node: &Node<'_>) -> Result<Self> {
        let mut fields = node.fields()?;
        Ok(Self {
            created: fields.optional("created", text)?,
            created_by: fields.optional("created_by", text)?,
            author: fields.optional("author", text)?,
            comment: fields.optional("comment", text)?,
            empty_layer: fields.or_default("empty_layer", Node::bool)?,
        })
    }
}

impl RunConfig {
    /// What an image runs that does not say anything.
    fn new() -> Self {
        Self {
            working_dir: "/".to_owned(),
            ..Self::default()
        }
    }

    fn read(node: &Node<'_>) -> Result<Self> {
        let mut fields = node.fields()?;
        let working_dir = fields.or_default("WorkingDir", text)?;
        Ok(Self {
            user: fields.or_default("User", |node| node.parsed(User::parse))?,
            env: environment(&fields.or_default("Env", texts)?),
            entrypoint: fields.or_default("Entrypoint", texts)?,
            cmd: fields.or_default("Cmd", texts)?,
            working_dir: absolute(&working_dir),
            volumes: fields.or_default("Volumes", volumes)?,
            ports: fields.or_default("ExposedPorts", ports)?,
            stop_signal: fields
                .optional("StopSignal", text)?
                .filter(|signal| !signal.is_empty()),
            labels: fields.or_default("Labels", text_map)?,
            healthcheck: fields.optional("Healthcheck", Healthcheck::read)?,
            shell: fields.or_default("Shell", texts)?,
        })
    }

    /// Returns what is executed, as docker puts it together.
    ///
    /// Arguments replace the image's `Cmd`. Another entrypoint replaces the
    /// image's with its arguments, and `Cmd` with it, which was meant for the
    /// other; an empty one leaves the arguments alone.
    ///
    /// # Errors
    ///
    /// There is nothing to execute.
    pub fn argv(&self, entrypoint: Option<&str>, arguments: &[String]) -> Result<Vec<String>> {
        let replaced = entrypoint
            .filter(|program| !program.is_empty())
            .map(str::to_owned);
        let program = match entrypoint {
            None => self.entrypoint.clone(),
            Some(_) => replaced.into_iter().collect(),
        };
        let rest = match (entrypoint, arguments) {
            (None, []) => &self.cmd,
            (_, arguments) => arguments,
        };
        let argv = [&program, rest].concat();
        if argv.first().is_none_or(String::is_empty) {
            return Err(Error::invalid("the image does not say what to run")
                .hint("give a program after the image"));
        }
        Ok(argv)
    }
}

/// A path that is not absolute starts at the root.
fn absolute(path: &str) -> String {
    format!("/{}", path.trim_start_matches('/'))
}

fn environment(entries: &[String]) -> Vec<(String, String)> {
    let mut environment: Vec<(String, String)> = Vec::new();
    for (name, value) in entries.iter().filter_map(|entry| entry.split_once('=')) {
        match environment.iter_mut().find(|(known, _)| known == name) {
            _ if name.is_empty() => {}
            Some((_, known)) => value.clone_into(known),
            None => environment.push((name.to_owned(), value.to_owned())),
        }
    }
    environment
}

/// Reads an object whose keys are paths, and whose values say nothing.
fn volumes(node: &Node<'_>) -> Result<BTreeSet<String>> {
    let path = |(key, node): (&str, Node<'_>)| match key {
        "" => Err(node.fault("the path is empty")),
        key if key.contains('\0') => Err(node.fault("the path contains a NUL character")),
        key => Ok(absolute(key)),
    };
    node.entries()?.into_iter().map(path).collect()
}

fn ports(node: &Node<'_>) -> Result<BTreeSet<Port>> {
    let port = |(key, node): (&str, Node<'_>)| node.attributed(Port::parse(key));
    node.entries()?.into_iter().map(port).collect()
}

impl Healthcheck {
    fn read(node: &Node<'_>) -> Result<Self> {
        let mut fields = node.fields()?;
        let mut number = |name| {
            let number = fields.optional(name, |node| node.integer(0, u64::MAX))?;
            // Zero is how Go leaves a number out.
            Ok::<_, Error>(number.filter(|&number| number > 0))
        };
        Ok(Self {
            interval: number("Interval")?,
            timeout: number("Timeout")?,
            start_period: number("StartPeriod")?,
            start_interval: number("StartInterval")?,
            retries: number("Retries")?,
            probe: fields.or_default("Test", Probe::read)?,
        })
    }
}

impl Probe {
    fn read(node: &Node<'_>) -> Result<Self> {
        let words = texts(node)?;
        Ok(match words.split_first() {
            None => Self::Inherited,
            Some((kind, [])) if kind == "NONE" => Self::Disabled,
            Some((kind, words)) if kind == "CMD" && !words.is_empty() => {
                Self::Command(words.to_vec())
            }
            Some((kind, [line])) if kind == "CMD-SHELL" => Self::Shell(line.clone()),
            Some(_) => {
                return Err(node.fault(
                    "it is neither `NONE`, nor `CMD` and a program, nor `CMD-SHELL` and a line",
                ));
            }
        })
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
