//! What all manifests have in common: their first fields, and the error for
//! those that are too old.

use crate::json::{Fields, Node, Value, Warnings};
use crate::types::Version;
use error::quote::quoted;
use error::{Error, Result};

/// The version of the specification that Nose Cone follows.
pub const SPECIFICATION: &str = "0.8.11";

/// The same version, as numbers.
const NUMBERS: [u64; 3] = [0, 8, 11];

/// Before this version, `environment`, isolators and dependencies had other
/// forms.
const MODERN: [u64; 3] = [0, 5, 0];

/// A valid value, with warnings about it.
#[derive(Clone, Debug)]
pub struct Checked<T> {
    /// The value.
    pub value: T,
    /// The warnings, in the order of the document.
    pub warnings: Vec<String>,
}

/// The kinds of manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcKind {
    /// `ImageManifest`
    Image,
    /// `PodManifest`
    Pod,
}

impl AcKind {
    /// Returns the value of `acKind`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Image => "ImageManifest",
            Self::Pod => "PodManifest",
        }
    }

    fn parse(text: &str) -> Result<Self> {
        match text {
            "ImageManifest" => Ok(Self::Image),
            "PodManifest" => Ok(Self::Pod),
            _ => Err(Error::invalid(format!(
                "{} is not a valid kind of manifest: expected `ImageManifest` or `PodManifest`",
                quoted(text)
            ))),
        }
    }
}

pub(crate) fn kind(document: &Value) -> Result<AcKind> {
    let ignored = Warnings::default();
    let kind = Node::root(document, &ignored)
        .fields()
        .and_then(|mut fields| fields.required("acKind", |kind| kind.parsed(AcKind::parse)));
    kind.map_err(|error| explain_age(document, error))
}

/// Reads a whole document with `read`, which may add warnings.
///
/// # Errors
///
/// All faults, at least one, in the order of the fields.
pub(crate) fn read_document<T>(
    document: &Value,
    read: impl FnOnce(&Node<'_>) -> Result<T>,
) -> std::result::Result<Checked<T>, Vec<Error>> {
    let notes = Warnings::and_faults();
    let read = read(&Node::root(document, &notes));
    let (warnings, mut faults) = notes.into_parts();
    match read {
        Ok(value) if faults.is_empty() => return Ok(Checked { value, warnings }),
        Err(error) if faults.is_empty() => faults.push(error),
        _ => {}
    }
    if sign_of_age(document).is_some() {
        // It explains them all.
        faults.truncate(1);
    }
    let faults = faults.into_iter();
    Err(faults.map(|fault| explain_age(document, fault)).collect())
}

/// Returns the first of several faults.
pub(crate) fn first(faults: Vec<Error>) -> Error {
    let mut faults = faults.into_iter();
    faults
        .next()
        .unwrap_or_else(|| Error::invalid("it is not valid"))
}

/// Reads the two fields that every manifest has.
pub(crate) fn header(fields: &mut Fields<'_, '_>, wanted: AcKind) -> Result<Version> {
    let kind = fields.required("acKind", |node| {
        let kind = node.parsed(AcKind::parse)?;
        if kind == wanted {
            return Ok(kind);
        }
        let (found, wanted) = (kind.word(), wanted.word());
        Err(node.fault(format!("expected `{wanted}`, found `{found}`")))
    });
    kind?;
    fields.required("acVersion", ac_version)
}

fn ac_version(node: &Node<'_>) -> Result<Version> {
    let version = node.parsed(Version::parse)?;
    if version.is_zero() {
        return Err(node.fault("must not be zero"));
    }
    if version.major() != NUMBERS[0] {
        return Err(node.fault(format!(
            "version {version} of the specification is not compatible with {SPECIFICATION}, which Nose Cone follows"
        )));
    }
    if version.is_after(NUMBERS) {
        node.warn(format!(
            "version {version} of the specification is newer than {SPECIFICATION}, which Nose Cone follows"
        ));
    }
    Ok(version)
}

/// Explains an error in a manifest of an old form: the reader must know that
/// there is more to change than one field.
fn explain_age(document: &Value, error: Error) -> Error {
    let Some(sign) = sign_of_age(document) else {
        return error;
    };
    let age = format!("this manifest is in the format of version 0.2 ({sign})");
    error
        .at(age)
        .hint("the format has changed since: rebuild the image with a current tool")
}

/// Returns what shows that a manifest is old.
fn sign_of_age(document: &Value) -> Option<String> {
    let app = document.get("app");
    let in_app = |name| app.and_then(|app| app.get(name));
    let has = |items: Option<&Value>, test: fn(&Value) -> bool| match items {
        Some(Value::List(items)) => items.iter().any(test),
        _ => false,
    };
    if let Some(Value::Text(kind)) = document.get("acKind")
        && [
            "AppManifest",
            "ApplicationManifest",
            "ContainerRuntimeManifest",
        ]
        .contains(&&**kind)
    {
        return Some(format!("its `acKind` is `{kind}`"));
    }
    if let Some(Value::Text(text)) = document.get("acVersion")
        && let Ok(version) = Version::parse(text)
        && version.is_before(MODERN)
    {
        return Some(format!("its `acVersion` is `{version}`"));
    }
    if let Some(Value::Object(_)) = in_app("environment") {
        return Some("its `environment` is an object".into());
    }
    if has(document.get("dependencies"), |item| {
        item.get("app").is_some() && item.get("imageName").is_none()
    }) {
        return Some("its `dependencies` have `app` for `imageName`".into());
    }
    None
}
