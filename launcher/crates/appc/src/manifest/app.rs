//! The `app` section: what is run, as whom, where, and within which bounds.
//! An image has one, and the app of a pod can have one in its place.

use crate::json::{Node, Object, Value};
use crate::manifest::isolator::{self, Isolator, Scope};
use crate::manifest::shared::{Port, TextMap, name, owned, texts, write_map, write_pair};
use crate::types::{AcName, absolute, clean};
use error::quote::quoted;
use error::{Error, Result};

/// What is run, and how.
#[derive(Clone, Debug)]
pub struct App {
    /// The program and its arguments. An image may leave them to the pod.
    pub exec: Vec<String>,
    /// A name, a number, or a path whose owner it is.
    pub user: String,
    /// A name, a number, or a path whose group it is.
    pub group: String,
    /// The only groups besides.
    pub supplementary_gids: Vec<u32>,
    /// What runs before and after.
    pub event_handlers: Vec<EventHandler>,
    /// Where it starts; the root, if absent.
    pub working_directory: Option<String>,
    /// Environment variables, no name twice.
    pub environment: Vec<Variable>,
    /// Where it wants volumes, no name and no path twice.
    pub mount_points: Vec<MountPoint>,
    /// What it listens on, no name twice.
    pub ports: Vec<Port>,
    /// What bounds it.
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
    /// When the main program has ended.
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

/// An environment variable. Its value is taken literally.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Letters, digits, `_`, `.` and `-`, no digit, `.` or `-` first.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// Where an app wants a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountPoint {
    /// By which the pod refers to it.
    pub name: AcName,
    /// Where, from the root of the image.
    pub path: String,
    /// The app only reads.
    pub read_only: bool,
}

impl App {
    /// Makes the app of an image that has none: nothing to execute yet, as root.
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
        let app = Self {
            exec: fields.or_default("exec", texts)?,
            user: fields.required("user", some_text)?,
            group: fields.required("group", some_text)?,
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
    /// Returns the word that manifests have for it.
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

/// The highest number is no id: setgroups(2) refuses it.
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
            "{} is no event: `pre-start` or `post-stop` is wanted",
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

/// Takes the name of an environment variable.
pub fn variable_name(text: &str) -> Result<String> {
    let first = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    let later = |byte: u8| first(byte) || byte.is_ascii_digit() || b".-".contains(&byte);
    if text.bytes().all(later) && text.bytes().next().is_some_and(first) {
        return Ok(text.to_owned());
    }
    Err(Error::invalid(format!(
        "{} cannot name a variable: letters, digits, `_`, `.` and `-` can, a letter or `_` first",
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

/// Refuses a list in which a key stands twice.
pub(crate) fn unique<T>(node: &Node<'_>, items: &[T], key: impl Fn(&T) -> String) -> Result<()> {
    let mut seen = std::collections::BTreeSet::new();
    for item in items {
        let key = key(item);
        if seen.contains(&key) {
            return Err(node.fault(format!("{} stands twice", quoted(&key))));
        }
        seen.insert(key);
    }
    Ok(())
}
