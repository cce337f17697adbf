//! OCI images: layouts, layers, and what is run of them.

/// Images in archives.
mod archives;
/// Images that are built here.
mod build;
/// Registries and clients that know each other by certificates.
mod certificates;
/// Configurations: what is run, and as whom.
mod config;
/// Signatures as cosign makes them.
mod cosign;
/// Layers that are not in the registry of their image.
mod elsewhere;
/// Images that leave the store.
mod export;
/// Registries that fail, and those that lie.
mod faults;
/// Images that no layout should have, and what is left of them: nothing.
mod hostile;
/// Docker's registry with a server that issues tokens for it.
mod issued;
/// Layers: what they change, as another unpacker sees it.
mod layers;
/// Logins for registries.
mod logins;
/// Pod manifests with OCI images.
mod manifests;
/// Images of many layers.
mod many;
/// Registries as operators say: mirrors and other places.
mod mirrors;
/// Images under several names.
mod names;
/// Images as other programs unpack and build them.
mod peers;
/// Images as podman runs them.
mod podman;
/// Policies: whose images are accepted, and who must have signed them.
mod policy;
/// How layers arrive: side by side, in parts, late or never.
mod pull;
/// Images that leave for registries.
mod push;
/// Images that registries have.
mod registry;
/// A registry that does what a test wants.
mod served;
/// A service, from a registry to its clients.
mod service;
/// Signatures as podman and skopeo make them.
mod simple_signing;
/// What the store has of them.
mod stored;
/// Who we are to registries: tokens of all kinds.
mod tokens;

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::aci::Aci;
use crate::host::{self, Call, Scratch, launcher};

/// The media types of what a layout has.
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// The digest of bytes.
fn digest(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// A blob of a layout: what a descriptor says of it.
#[derive(Clone, Debug)]
struct Blob {
    kind: &'static str,
    digest: String,
    size: usize,
    /// Of a layer: the digest of its tar.
    diff_id: String,
    /// More fields of its descriptor, each after a comma.
    more: String,
}

impl Blob {
    /// The fields of a descriptor, with more behind them.
    fn descriptor(&self, more: &str) -> String {
        let Self {
            kind, digest, size, ..
        } = self;
        let own = &self.more;
        format!(r#"{{"mediaType":"{kind}","digest":"{digest}","size":{size}{own}{more}}}"#)
    }
}

/// An OCI layout in the making, in a scratch directory.
struct Layout {
    scratch: Scratch,
    /// The entries of its index.
    entries: Vec<String>,
}

impl Layout {
    fn new() -> Self {
        let scratch = Scratch::new();
        fs::create_dir_all(scratch.join("app/blobs/sha256")).unwrap();
        scratch.write("app/oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
        let layout = Self {
            scratch,
            entries: Vec::new(),
        };
        layout.write_index();
        layout
    }

    fn write_index(&self) {
        let entries = self.entries.join(",");
        let index = format!(r#"{{"schemaVersion":2,"manifests":[{entries}]}}"#);
        self.scratch.write("app/index.json", index);
    }

    /// The data directory of the launcher.
    fn dir(&self) -> PathBuf {
        self.scratch.join("dir")
    }

    fn path(&self) -> PathBuf {
        self.scratch.join("app")
    }

    fn blob_path(&self, digest: &str) -> PathBuf {
        self.path().join("blobs").join(digest.replace(':', "/"))
    }

    /// Adds a blob.
    fn blob(&self, kind: &'static str, bytes: &[u8]) -> Blob {
        let digest = digest(bytes);
        fs::write(self.blob_path(&digest), bytes).unwrap();
        Blob {
            kind,
            digest: digest.clone(),
            size: bytes.len(),
            diff_id: digest,
            more: String::new(),
        }
    }

    /// Adds a layer.
    fn layer(&self, tar: Aci) -> Blob {
        self.blob(LAYER, &tar.bytes())
    }

    /// Adds a layer that is compressed: `packed` is what `tar` became.
    fn packed(&self, tar: &[u8], packed: &[u8]) -> Blob {
        Blob {
            diff_id: digest(tar),
            ..self.blob(LAYER, packed)
        }
    }

    /// Adds a configuration.
    fn config(&self, run: &str, layers: &[Blob]) -> Blob {
        let ids: Vec<_> = layers
            .iter()
            .map(|layer| format!("\"{}\"", layer.diff_id))
            .collect();
        let config = format!(
            r#"{{"os":"linux","architecture":"amd64","config":{run},"rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
            ids.join(",")
        );
        self.blob(CONFIG, config.as_bytes())
    }

    /// Adds a manifest.
    fn manifest(&self, config: &Blob, layers: &[Blob]) -> Blob {
        let layers: Vec<_> = layers.iter().map(|layer| layer.descriptor("")).collect();
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{},"layers":[{}]}}"#,
            config.descriptor(""),
            layers.join(",")
        );
        self.blob(MANIFEST, manifest.as_bytes())
    }

    /// Lists a manifest or an index under a name.
    fn list(&mut self, blob: &Blob, name: &str) {
        let name = format!(r#","annotations":{{"org.opencontainers.image.ref.name":"{name}"}}"#);
        self.entries.push(blob.descriptor(&name));
        self.write_index();
    }

    /// Adds an image and lists it; returns its ID.
    fn image(&mut self, name: &str, run: &str, layers: &[Blob]) -> String {
        let config = self.config(run, layers);
        let manifest = self.manifest(&config, layers);
        self.list(&manifest, name);
        config.digest.replace(':', "-")
    }

    /// How it is called.
    fn reference(&self, name: &str) -> String {
        format!("oci:{}:{name}", self.path().display())
    }

    fn launch(&self, words: &[&str]) -> Call {
        launcher(&self.dir()).args(words)
    }

    fn run(&self, name: &str, words: &[&str]) -> Call {
        let call = self.launch(&["run", &self.reference(name)]);
        match words {
            [] => call,
            words => call.arg("--").args(words),
        }
    }

    #[track_caller]
    fn fetch(&self, name: &str) {
        self.launch(&["fetch", &self.reference(name)])
            .run()
            .exits(0);
    }

    /// The files of an image that is stored, merged in a directory.
    #[track_caller]
    fn rendered(&self, name: &str) -> PathBuf {
        self.fetch(name);
        let target = self.scratch.join(&format!("rendered-{name}"));
        self.launch(&["image", "render", &format!("app:{name}")])
            .arg(&target)
            .run()
            .exits(0);
        target
    }
}

/// A layer with the probe and what it needs.
fn base() -> Aci {
    let probe = fs::read(host::probe()).unwrap();
    Aci::empty()
        .dir("bin")
        .file("bin/probe", 0o755, probe)
        .dir("etc")
}

/// The names in a directory, and those in the directories in it.
fn tree(root: &Path) -> Vec<String> {
    let mut all = Vec::new();
    let mut ahead = vec![root.to_owned()];
    while let Some(path) = ahead.pop() {
        for name in host::names(&path) {
            let path = path.join(name);
            let shown = path.strip_prefix(root).unwrap().display().to_string();
            let is_directory = path.symlink_metadata().unwrap().is_dir();
            all.push(if is_directory { shown + "/" } else { shown });
            if is_directory {
                ahead.push(path);
            }
        }
    }
    all.sort();
    all
}
