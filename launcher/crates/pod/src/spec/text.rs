//! Values that a spec stores as text.

use std::ffi::OsString;
use std::fmt::Display;
use std::ops::Deref;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use appc::types::Uuid;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use stage1_init::{Capabilities, NodeKind, Resource};

/// A path of the host: text, or if it is not UTF-8, a list of texts and of the bytes
/// between them, so that image digests in it stay readable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPath(pub PathBuf);

impl Deref for HostPath {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl From<PathBuf> for HostPath {
    fn from(path: PathBuf) -> Self {
        Self(path)
    }
}

impl From<&str> for HostPath {
    fn from(path: &str) -> Self {
        Self(path.into())
    }
}

impl Serialize for HostPath {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0.to_str() {
            Some(text) => to.serialize_str(text),
            None => {
                let chunks = self.0.as_os_str().as_bytes().utf8_chunks();
                to.collect_seq(chunks.flat_map(|chunk| {
                    let bytes = chunk.invalid().iter().copied().map(Piece::Byte);
                    std::iter::once(Piece::Text(chunk.valid().into())).chain(bytes)
                }))
            }
        }
    }
}

impl<'d> Deserialize<'d> for HostPath {
    fn deserialize<D: Deserializer<'d>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Text(PathBuf),
            Pieces(Vec<Piece>),
        }
        Ok(Self(match Form::deserialize(from)? {
            Form::Text(path) => path,
            Form::Pieces(pieces) => {
                let bytes = pieces.into_iter().flat_map(|piece| match piece {
                    Piece::Text(text) => text.into_bytes(),
                    Piece::Byte(byte) => vec![byte],
                });
                OsString::from_vec(bytes.collect()).into()
            }
        }))
    }
}

/// A part of a path.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Piece {
    Text(String),
    Byte(u8),
}

/// A UUID as people write it.
pub(super) mod uuid {
    use super::*;

    pub(in crate::spec) fn serialize<S: Serializer>(uuid: &Uuid, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(uuid)
    }

    pub(in crate::spec) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Uuid, D::Error> {
        read(from, |text| Uuid::parse(text).ok(), "a UUID")
    }
}

/// Names of capabilities, as in the plan: `chown,kill`.
pub(super) mod capabilities {
    use super::*;

    pub(in crate::spec) fn serialize<S: Serializer>(
        set: &Capabilities,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let words = Capabilities::WORDS.iter();
        let members = words.filter(|(_, member)| set.contains(*member));
        let names: Vec<_> = members.map(|&(name, _)| name).collect();
        to.serialize_str(&names.join(","))
    }

    pub(in crate::spec) fn deserialize<'d, D: Deserializer<'d>>(
        from: D,
    ) -> Result<Capabilities, D::Error> {
        let set = |text: &str| {
            let names = text.split(',').filter(|name| !name.is_empty());
            names
                .map(|name| Capabilities::member(name.as_bytes()))
                .try_fold(Capabilities::EMPTY, |set, member| Some(set.with(member?)))
        };
        read(from, set, "capabilities")
    }
}

/// `c` or `b`.
pub(super) mod node_kind {
    use super::*;

    pub(in crate::spec) fn serialize<S: Serializer>(
        kind: &NodeKind,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_str(kind.word())
    }

    pub(in crate::spec) fn deserialize<'d, D: Deserializer<'d>>(
        from: D,
    ) -> Result<NodeKind, D::Error> {
        let kind = |text: &str| {
            let mut kinds = NodeKind::WORDS.iter();
            kinds.find(|(word, _)| *word == text).map(|&(_, kind)| kind)
        };
        read(from, kind, "a kind of device")
    }
}

/// The name of a resource, as in the plan: `nofile`.
pub(super) mod resource {
    use super::*;

    pub(in crate::spec) fn serialize<S: Serializer>(
        resource: &Resource,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_str(resource.word())
    }

    pub(in crate::spec) fn deserialize<'d, D: Deserializer<'d>>(
        from: D,
    ) -> Result<Resource, D::Error> {
        let resource = |text: &str| {
            let mut known = Resource::WORDS.iter();
            let found = known.find(|(word, _)| *word == text);
            found.map(|&(_, resource)| resource)
        };
        read(from, resource, "a resource")
    }
}

fn read<'d, D: Deserializer<'d>, T>(
    from: D,
    parse: impl Fn(&str) -> Option<T>,
    what: impl Display,
) -> Result<T, D::Error> {
    let text = String::deserialize(from)?;
    parse(&text).ok_or_else(|| D::Error::custom(format!("not {what}")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn of_a_path_that_is_no_text_all_that_is_text_can_be_read() {
        for (path, written) in [
            (&b"/a \xc3\xa4"[..], "\"/a \u{e4}\""),
            (b"", "\"\""),
            (b"/a\xff\xfe/b", r#"["/a",255,"",254,"/b"]"#),
            (b"\xff", r#"["",255]"#),
            (b"/\xe2\x82/c", r#"["/",226,130,"/c"]"#),
        ] {
            let path = HostPath(OsString::from_vec(path.to_vec()).into());
            assert_eq!(serde_json::to_string(&path).unwrap(), written);
            assert_eq!(serde_json::from_str::<HostPath>(written).unwrap(), path);
        }
    }
}
