//! The `app` section: what is run, as which user, where, and with which limits.
//! Images have one, and an app of a pod can replace it.

use crate::json::{Node, Object, Value};
use crate::manifest::isolator::{self, Isolator, Scope};
pub use crate::manifest::shared::Port;
use crate::manifest::shared::{TextMap, name, owned, texts, write_map, write_pair};
use crate::types::{AcName, absolute, clean};
use error::quote::quoted;
use error::{Error, Result};

/// A program and how it is run.
#[derive(Clone, Debug)]
pub struct App {
    /// The program and its arguments. An image may leave them out.
    pub exec: Vec<String>,
    /// A name, a number, or a path whose owner is used.
    pub user: String,
    /// A name, a number, or a path whose group is used.
    pub group: String,
    /// The supplementary groups.
    pub supplementary_gids: Vec<u32>,
    /// The event handlers.
    pub event_handlers: Vec<EventHandler>,
    /// The working directory; the root if absent.
    pub working_directory: Option<String>,
    /// Environment variables; no name occurs twice.
    pub environment: Vec<Variable>,
    /// Where volumes can be mounted; no name or path occurs twice.
    pub mount_points: Vec<MountPoint>,
    /// The ports that it listens on; no name occurs twice.
    pub ports: Vec<Port>,
    /// Its limits.
    pub isolators: Vec<Isolator>,
    /// For people and their tools.
    pub user_annotations: TextMap,
    /// For people and their tools.
    pub user_labels: TextMap,
}

/// When an event handler runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandlerName {
    /// Before the main program, which waits for it.
    PreStart,
    /// After the main program has ended.
    PostStop,
}

/// A program that runs at an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventHandler {
    /// The event.
    pub name: HandlerName,
    /// The program and its arguments; never empty.
    pub exec: Vec<String>,
}

/// An environment variable. Its value is used literally.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Letters, digits, `_`, `.` and `-`, not starting with a digit, `.` or
    /// `-`.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// Where an app expects a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountPoint {
    /// The name by which the pod refers to it.
    pub name: AcName,
    /// The path in the image.
    pub path: String,
    /// Whether the app only reads.
    pub read_only: bool,
}

impl App {
    /// Returns the app of an image without one: root, with nothing to
    /// execute yet.
    pub fn root() -> Self {
        Self {
            exec: Vec::new(),
            user: "0".to_owned(),
            group: "0".to_owned(),
            supplementary_gids: Vec::new(),
            event_handlers: Vec::new(),
            working_directory: None,
            environment: Vec::new(),
            mount_points: Vec::new(),
            ports: Vec::new(),
            isolators: Vec::new(),
            user_annotations: TextMap::new(),
            user_labels: TextMap::new(),
        }
    }

    pub(crate) fn read(node: &Node<'_>) -> Result<Self> {
        let mut fields = node.fields()?;
        let exec = fields.or_default("exec", texts)?;
        // What follows a fault in these is read all the same.
        let user = fields.required("user", some_text);
        let group = fields.required("group", some_text);
        let app = Self {
            exec,
            supplementary_gids: fields.or_default("supplementaryGIDs", group_ids)?,
            event_handlers: fields.or_default("eventHandlers", event_handlers)?,
            working_directory: fields
                .optional("workingDirectory", working_directory)?
                .flatten(),
            environment: fields.or_default("environment", environment)?,
            mount_points: fields.or_default("mountPoints", mount_points)?,
            ports: fields.or_default("ports", ports)?,
            isolators: fields.or_default("isolators", |node| isolator::read(node, Scope::App))?,
            user_annotations: fields.or_default("userAnnotations", Node::text_map)?,
            user_labels: fields.or_default("userLabels", Node::text_map)?,
            user: user?,
            group: group?,
        };
        fields.finish();
        Ok(app)
    }

    pub(crate) fn write(&self) -> Value {
        Object::new()
            .with_items("exec", self.exec.iter().map(String::as_str))
            .with_items(
                "eventHandlers",
                self.event_handlers.iter().map(EventHandler::write),
            )
            .with("user", self.user.as_str())
            .with("group", self.group.as_str())
            .with_items("supplementaryGIDs", self.supplementary_gids.iter().copied())
            .with_some("workingDirectory", self.working_directory.as_deref())
            .with_items(
                "environment",
                self.environment
                    .iter()
                    .map(|variable| write_pair(&variable.name, &variable.value)),
            )
            .with_items(
                "mountPoints",
                self.mount_points.iter().map(MountPoint::write),
            )
            .with_items("ports", self.ports.iter().map(Port::write))
            .with_items("isolators", self.isolators.iter().map(Isolator::write))
            .with_some("userAnnotations", write_map(&self.user_annotations))
            .with_some("userLabels", write_map(&self.user_labels))
            .into()
    }
}

impl HandlerName {
    /// Returns the name that manifests use.
    pub fn word(self) -> &'static str {
        match self {
            Self::PreStart => "pre-start",
            Self::PostStop => "post-stop",
        }
    }
}

impl EventHandler {
    fn write(&self) -> Value {
        Object::new()
            .with("name", self.name.word())
            .with_items("exec", self.exec.iter().map(String::as_str))
            .into()
    }
}

impl MountPoint {
    fn write(&self) -> Value {
        Object::new()
            .with("name", self.name.as_str())
            .with("path", self.path.as_str())
            .with_some("readOnly", self.read_only.then_some(true))
            .into()
    }
}

fn some_text(node: &Node<'_>) -> Result<String> {
    node.some_text().map(str::to_owned)
}

/// The highest number is not an ID: setgroups(2) rejects it.
fn group_ids(node: &Node<'_>) -> Result<Vec<u32>> {
    node.items(|node| node.integer(0, u32::MAX - 1))
}

fn working_directory(node: &Node<'_>) -> Result<Option<String>> {
    match node.text()? {
        "" => Ok(None),
        _ => node.parsed(absolute).map(Some),
    }
}

fn event_handlers(node: &Node<'_>) -> Result<Vec<EventHandler>> {
    let handlers = node.items(|node| {
        let mut fields = node.fields()?;
        let handler = EventHandler {
            name: fields.required("name", |node| node.parsed(handler_name))?,
            exec: fields.required("exec", texts)?,
        };
        fields.finish();
        if handler.exec.is_empty() {
            return Err(node.fault("`exec` must not be empty"));
        }
        Ok(handler)
    })?;
    unique(node, &handlers, |handler| handler.name.word().to_owned())?;
    Ok(handlers)
}

fn handler_name(text: &str) -> Result<HandlerName> {
    match text {
        "pre-start" => Ok(HandlerName::PreStart),
        "post-stop" => Ok(HandlerName::PostStop),
        _ => Err(Error::invalid(format!(
            "{} is not a valid event: expected `pre-start` or `post-stop`",
            quoted(text)
        ))),
    }
}

fn environment(node: &Node<'_>) -> Result<Vec<Variable>> {
    let variables = node.items(|node| {
        let mut fields = node.fields()?;
        let variable = Variable {
            name: fields.required("name", |node| node.parsed(variable_name))?,
            value: fields.or_default("value", owned)?,
        };
        fields.finish();
        Ok(variable)
    })?;
    unique(node, &variables, |variable| variable.name.clone())?;
    Ok(variables)
}

/// Checks the name of an environment variable.
pub fn variable_name(text: &str) -> Result<String> {
    let first = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    let later = |byte: u8| first(byte) || byte.is_ascii_digit() || b".-".contains(&byte);
    if text.bytes().all(later) && text.bytes().next().is_some_and(first) {
        return Ok(text.to_owned());
    }
    Err(Error::invalid(format!(
        "{} is not a valid variable name: use letters, digits, `_`, `.` and `-`, starting with a letter or `_`",
        quoted(text)
    )))
}

fn mount_points(node: &Node<'_>) -> Result<Vec<MountPoint>> {
    let points = node.items(|node| {
        let mut fields = node.fields()?;
        let point = MountPoint {
            name: fields.required("name", name)?,
            path: fields.required("path", |node| node.parsed(absolute))?,
            read_only: fields.or_default("readOnly", Node::bool)?,
        };
        fields.finish();
        Ok(point)
    })?;
    unique(node, &points, |point| point.name.to_string())?;
    unique(node, &points, |point| format!("/{}", clean(&point.path)))?;
    Ok(points)
}

fn ports(node: &Node<'_>) -> Result<Vec<Port>> {
    let ports = node.items(Port::read)?;
    unique(node, &ports, |port| port.name.to_string())?;
    Ok(ports)
}

/// Rejects a list in which a key occurs twice.
pub(crate) fn unique<T>(node: &Node<'_>, items: &[T], key: impl Fn(&T) -> String) -> Result<()> {
    let mut seen = std::collections::BTreeSet::new();
    for item in items {
        let key = key(item);
        if seen.contains(&key) {
            return Err(node.fault(format!("{} is given twice", quoted(&key))));
        }
        seen.insert(key);
    }
    Ok(())
}
