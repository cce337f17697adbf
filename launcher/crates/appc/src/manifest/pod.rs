//! The pod manifest: which apps run together, and their images and volumes.

use std::net::IpAddr;

use crate::digest::ImageId;
use crate::json::{self, Fields, Node, Object, Value};
use crate::manifest::app::{App, unique};
use crate::manifest::document::{AcKind, Checked, first, header, read_document};
use crate::manifest::isolator::{self, Isolator, Scope};
use crate::manifest::shared::{
    Port, TextMap, annotations, either_image_id, identifier, labels, name, write_annotations,
    write_labels, write_map,
};
use crate::types::{AcIdentifier, AcName, Annotations, Labels, Version, absolute, clean};
use error::quote::quoted;
use error::{Error, Result};

/// A valid pod manifest.
#[derive(Clone, Debug)]
pub struct PodManifest {
    /// The version of the specification that it follows.
    pub ac_version: Version,
    /// Its apps; no name occurs twice.
    pub apps: Vec<PodApp>,
    /// Its volumes; no name occurs twice.
    pub volumes: Vec<Volume>,
    /// Limits for the whole pod.
    pub isolators: Vec<Isolator>,
    /// Its metadata.
    pub annotations: Annotations,
    /// The ports that are reachable from outside.
    pub ports: Vec<ExposedPort>,
    /// For people and their tools.
    pub user_annotations: TextMap,
    /// For people and their tools.
    pub user_labels: TextMap,
}

/// An app in a pod.
#[derive(Clone, Debug)]
pub struct PodApp {
    /// Its name in the pod.
    pub name: AcName,
    /// The image it runs from.
    pub image: PodImage,
    /// Replaces the image's own `app` completely.
    pub app: Option<App>,
    /// Whether its root is read-only.
    pub read_only_rootfs: bool,
    /// Its mounts; no path occurs twice.
    pub mounts: Vec<Mount>,
    /// Override the annotations of its image.
    pub annotations: Annotations,
}

/// The image of an app. Only the ID identifies it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodImage {
    /// Its name.
    pub name: Option<AcIdentifier>,
    /// Its ID.
    pub id: ImageId,
    /// The labels that it was requested with.
    pub labels: Labels,
}

/// Where an app mounts a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The volume's name.
    pub volume: AcName,
    /// The path in the app's root.
    pub path: String,
    /// The volume itself, if it is not one of the pod's.
    pub app_volume: Option<Volume>,
}

/// A volume that apps can mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Its name.
    pub name: AcName,
    /// Where it comes from.
    pub kind: VolumeKind,
    /// Whether it is read-only; if absent, the mount point decides.
    pub read_only: Option<bool>,
}

/// Where a volume comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VolumeKind {
    /// A file or directory of the host.
    Host {
        /// Its absolute path.
        source: String,
        /// Whether mounts below it are included; if absent, they are.
        recursive: Option<bool>,
    },
    /// A new directory that exists as long as the pod.
    Empty {
        /// Its mode.
        mode: u32,
        /// Its owner.
        uid: u32,
        /// Its group.
        gid: u32,
    },
}

/// The default mode of an empty volume.
pub const EMPTY_MODE: u32 = 0o755;

/// A port of the host that is forwarded to a port of an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExposedPort {
    /// The name of the app's port.
    pub name: AcName,
    /// The port on the host.
    pub host_port: u16,
    /// The address on the host; all addresses if absent.
    pub host_ip: Option<IpAddr>,
    /// The port in the pod, if no app declares it.
    pub pod_port: Option<Port>,
}

impl PodManifest {
    /// Reads a manifest.
    pub fn parse(text: &[u8]) -> Result<Checked<Self>> {
        read_document(&json::parse(text)?, Self::read).map_err(first)
    }

    /// Finds a volume of the pod by name.
    pub fn volume(&self, name: &AcName) -> Option<&Volume> {
        self.volumes.iter().find(|volume| volume.name == *name)
    }

    pub(crate) fn read(node: &Node<'_>) -> Result<Self> {
        let mut fields = node.fields()?;
        // What follows a fault in these is read all the same.
        let version = header(&mut fields, AcKind::Pod);
        let apps = fields.required("apps", apps);
        let manifest = Self {
            volumes: fields.or_default("volumes", volumes)?,
            isolators: fields.or_default("isolators", |node| isolator::read(node, Scope::Pod))?,
            annotations: fields.or_default("annotations", annotations)?,
            ports: fields.or_default("ports", |node| node.items(ExposedPort::read))?,
            user_annotations: fields.or_default("userAnnotations", Node::text_map)?,
            user_labels: fields.or_default("userLabels", Node::text_map)?,
            ac_version: version?,
            apps: apps?,
        };
        fields.finish();
        manifest.check_ports(node)?;
        manifest.note_missing_volumes(node);
        Ok(manifest)
    }

    /// Ports of a pod are identified by name, whichever app declares them.
    fn check_ports(&self, node: &Node<'_>) -> Result<()> {
        let apps = self.apps.iter().filter_map(|app| app.app.as_ref());
        let names: Vec<&AcName> = apps
            .flat_map(|app| &app.ports)
            .map(|port| &port.name)
            .collect();
        for (index, name) in names.iter().enumerate() {
            if names[..index].contains(name) {
                return Err(node.fault(format!("two apps of the pod have a port `{name}`")));
            }
        }
        Ok(())
    }

    /// Volumes can still be given on the command line, so missing ones are
    /// a warning here and an error when the pod is run.
    fn note_missing_volumes(&self, node: &Node<'_>) {
        for app in &self.apps {
            for mount in app.mounts.iter().filter(|mount| mount.app_volume.is_none()) {
                if self.volume(&mount.volume).is_none() {
                    let (app, volume) = (&app.name, &mount.volume);
                    node.warn(format!(
                        "app `{app}` mounts volume `{volume}`, which the pod does not have"
                    ));
                }
            }
        }
    }

    /// Writes the manifest. Equal manifests give equal bytes.
    pub fn to_json(&self) -> Value {
        Object::new()
            .with("acVersion", self.ac_version.to_string())
            .with("acKind", AcKind::Pod.word())
            .with(
                "apps",
                self.apps.iter().map(PodApp::write).collect::<Value>(),
            )
            .with_items("volumes", self.volumes.iter().map(Volume::write))
            .with_items("isolators", self.isolators.iter().map(Isolator::write))
            .with_items("annotations", write_annotations(&self.annotations))
            .with_items("ports", self.ports.iter().map(ExposedPort::write))
            .with_some("userAnnotations", write_map(&self.user_annotations))
            .with_some("userLabels", write_map(&self.user_labels))
            .into()
    }
}

fn apps(node: &Node<'_>) -> Result<Vec<PodApp>> {
    let apps = node.items(PodApp::read)?;
    unique(node, &apps, |app| app.name.to_string())?;
    if apps.is_empty() {
        node.warn_that_it("is empty, so there is nothing to run");
    }
    Ok(apps)
}

fn volumes(node: &Node<'_>) -> Result<Vec<Volume>> {
    let volumes = node.items(Volume::read)?;
    unique(node, &volumes, |volume| volume.name.to_string())?;
    Ok(volumes)
}

impl PodApp {
    fn read(node: &Node<'_>) -> Result<Self> {
        let mut fields = node.fields()?;
        let app = Self {
            name: fields.required("name", name)?,
            image: fields.required("image", PodImage::read)?,
            app: fields.optional("app", App::read)?,
            read_only_rootfs: fields.or_default("readOnlyRootFS", Node::bool)?,
            mounts: fields.or_default("mounts", mounts)?,
            annotations: fields.or_default("annotations", annotations)?,
        };
        fields.finish();
        Ok(app)
    }

    fn write(&self) -> Value {
        Object::new()
            .with("name", self.name.as_str())
            .with("image", self.image.write())
            .with_some("app", self.app.as_ref().map(App::write))
            .with_some("readOnlyRootFS", self.read_only_rootfs.then_some(true))
            .with_items("mounts", self.mounts.iter().map(Mount::write))
            .with_items("annotations", write_annotations(&self.annotations))
            .into()
    }
}

impl PodImage {
    fn read(node: &Node<'_>) -> Result<Self> {
        let mut fields = node.fields()?;
        let image = Self {
            name: fields.optional("name", identifier)?,
            id: fields.required("id", either_image_id)?,
            labels: fields.or_default("labels", labels)?,
        };
        fields.finish();
        Ok(image)
    }

    fn write(&self) -> Value {
        Object::new()
            .with_some("name", self.name.as_ref().map(AcIdentifier::as_str))
            .with("id", self.id.to_string())
            .with_items("labels", write_labels(&self.labels))
            .into()
    }
}

fn mounts(node: &Node<'_>) -> Result<Vec<Mount>> {
    let mounts = node.items(Mount::read)?;
    unique(node, &mounts, |mount| format!("/{}", clean(&mount.path)))?;
    Ok(mounts)
}

impl Mount {
    fn read(node: &Node<'_>) -> Result<Self> {
        let mut fields = node.fields()?;
        let mount = Self {
            volume: fields.required("volume", name)?,
            path: fields.required("path", |node| node.parsed(absolute))?,
            app_volume: fields.optional("appVolume", Volume::read)?,
        };
        fields.finish();
        Ok(mount)
    }

    fn write(&self) -> Value {
        Object::new()
            .with("volume", self.volume.as_str())
            .with("path", self.path.as_str())
            .with_some("appVolume", self.app_volume.as_ref().map(Volume::write))
            .into()
    }
}

impl Volume {
    fn read(node: &Node<'_>) -> Result<Self> {
        let mut fields = node.fields()?;
        let volume = Self {
            name: fields.required("name", name)?,
            kind: VolumeKind::read(node, &mut fields)?,
            read_only: fields.optional("readOnly", Node::bool)?,
        };
        fields.finish();
        Ok(volume)
    }

    fn write(&self) -> Value {
        let volume = Object::new().with("name", self.name.as_str());
        let volume = match &self.kind {
            VolumeKind::Host { source, recursive } => volume
                .with("kind", "host")
                .with("source", source.as_str())
                .with_some("recursive", *recursive),
            VolumeKind::Empty { mode, uid, gid } => volume
                .with("kind", "empty")
                .with("mode", format!("{mode:04o}"))
                .with("uid", *uid)
                .with("gid", *gid),
        };
        volume.with_some("readOnly", self.read_only).into()
    }
}

impl VolumeKind {
    /// Reads the kind and its fields. Fields of the other kind are
    /// rejected.
    fn read(node: &Node<'_>, fields: &mut Fields<'_, '_>) -> Result<Self> {
        let kind = fields.required("kind", |node| node.some_text().map(str::to_owned))?;
        // The highest number is not an ID: for chown(2) it means "unchanged".
        let id = |node: &Node<'_>| node.integer(0, u32::MAX - 1);
        let source = fields.optional("source", |node| node.parsed(absolute))?;
        let recursive = fields.optional("recursive", Node::bool)?;
        let mode = fields.optional("mode", |node| node.parsed(mode))?;
        let uid = fields.optional("uid", id)?;
        let gid = fields.optional("gid", id)?;
        let foreign = |present: bool, field: &str| match present {
            true => Err(node.fault(format!("a volume of kind `{kind}` cannot have `{field}`"))),
            false => Ok(()),
        };
        match kind.as_str() {
            "host" => {
                foreign(mode.is_some(), "mode")?;
                foreign(uid.is_some(), "uid")?;
                foreign(gid.is_some(), "gid")?;
                let source =
                    source.ok_or_else(|| node.fault("a volume of kind `host` needs a `source`"))?;
                Ok(Self::Host { source, recursive })
            }
            "empty" => {
                foreign(source.is_some(), "source")?;
                foreign(recursive.is_some(), "recursive")?;
                Ok(Self::Empty {
                    mode: mode.unwrap_or(EMPTY_MODE),
                    uid: uid.unwrap_or(0),
                    gid: gid.unwrap_or(0),
                })
            }
            _ => Err(node.fault(format!(
                "{} is not a valid kind of volume: expected `host` or `empty`",
                quoted(&kind)
            ))),
        }
    }
}

/// Parses a mode, which manifests write as octal digits in a string.
pub fn mode(text: &str) -> Result<u32> {
    let octal = !text.is_empty() && text.bytes().all(|digit| matches!(digit, b'0'..=b'7'));
    let mode = u32::from_str_radix(text, 8).ok();
    mode.filter(|&mode| octal && mode <= 0o7777).ok_or_else(|| {
        Error::invalid(format!(
            "{} is not a valid mode: expected octal digits up to `7777`",
            quoted(text)
        ))
    })
}

impl ExposedPort {
    fn read(node: &Node<'_>) -> Result<Self> {
        let mut fields = node.fields()?;
        let port = Self {
            name: fields.required("name", name)?,
            host_port: fields.required("hostPort", |node| node.integer(1, u16::MAX))?,
            host_ip: fields.optional("hostIP", host_ip)?,
            pod_port: fields.optional("podPort", Port::read)?,
        };
        fields.finish();
        Ok(port)
    }

    fn write(&self) -> Value {
        Object::new()
            .with("name", self.name.as_str())
            .with("hostPort", self.host_port)
            .with_some("hostIP", self.host_ip.map(|address| address.to_string()))
            .with_some("podPort", self.pod_port.as_ref().map(Port::write))
            .into()
    }
}

/// The specification allows only dotted quads, but other implementations write
/// IPv6 addresses, too. Ignoring one would expose the port on every address.
fn host_ip(node: &Node<'_>) -> Result<IpAddr> {
    let text = node.text()?;
    let address: IpAddr = text
        .parse()
        .map_err(|_| node.fault(format!("{} is not an IPv4 address", quoted(text))))?;
    if address.is_ipv6() {
        node.warn(format!(
            "`{address}` is an IPv6 address; the specification requires an IPv4 address"
        ));
    }
    Ok(address)
}

#[cfg(test)]
#[path = "pod_tests.rs"]
mod tests;
