//! Images that leave as an archive: an OCI layout that is what `docker load` reads,
//! too, as `docker save` makes it; or what docker read before there were such
//! layouts.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use crate::archive::fixed_header::BLOCK;
use crate::archive::tar_header::{self, Attributes, Extent};
use crate::archive::walk::EntryKind;
use crate::digest::Digest;
use crate::format::oci::layout::{self, place};
use crate::format::oci::outgoing::{Content, Destination, Form, Outgoing, Parts};
use appc::json::{Object, Value};
use error::{Context as _, Result};
use oci::manifest::Descriptor;
use oci::media_type::Kind;
use oci::reference::{Reference, ShortNames};

/// What the files of an archive are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// As in an OCI layout.
    Layout,
    /// As docker called them.
    Docker,
}

impl Outgoing<'_> {
    /// Writes the image as an archive, in which it has this name. Returns the digest
    /// of its manifest. What the user should know is passed to `note`.
    ///
    /// # Errors
    ///
    /// What is stored is not what its ID says, which may only be known when much is
    /// written; errors of `out`.
    pub fn archive(
        &self,
        out: &mut dyn Write,
        names: Names,
        name: &str,
        note: &mut dyn FnMut(String),
    ) -> Result<Digest> {
        let mut archive = Archive {
            out,
            names,
            name,
            written: Vec::new(),
        };
        self.send(&mut archive, note)
    }
}

/// The archive in the making. Nothing in it depends on when and by whom it is made.
struct Archive<'a> {
    out: &'a mut dyn Write,
    names: Names,
    name: &'a str,
    written: Vec<String>,
}

impl Archive<'_> {
    /// Returns where a blob is.
    fn path(&self, blob: &Descriptor) -> String {
        match (self.names, blob.kind()) {
            (Names::Layout, _) => place(blob).display().to_string(),
            (Names::Docker, Kind::Layer(_)) => format!("{}.tar", blob.digest.hex()),
            (Names::Docker, _) => format!("{}.json", blob.digest.hex()),
        }
    }

    fn add(&mut self, path: &str, content: &[u8]) -> Result<()> {
        self.append(path, content.len() as u64, &mut &*content)
    }

    fn append(&mut self, path: &str, size: u64, content: &mut dyn Read) -> Result<()> {
        let attributes = Attributes {
            uid: 0,
            gid: 0,
            mode: 0o644,
            mtime: (0, 0),
            extended: BTreeMap::new(),
        };
        let extent = Extent {
            stored: size,
            sparse: None,
        };
        let file = &EntryKind::File;
        self.write(&tar_header::headers(
            path.as_bytes(),
            file,
            &attributes,
            extent,
        ))?;
        let copied = std::io::copy(content, self.out).context(cannot_write)?;
        self.write(&[0; BLOCK][..tar_header::padding(copied)])
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).context(cannot_write)
    }

    /// The list of images that `docker load` reads.
    fn list(&self, image: &Parts) -> Vec<u8> {
        // Only a whole name is one there.
        let named = Reference::parse(self.name, &ShortNames::Refuse).ok();
        let named = named.filter(|image| image.digest().is_none());
        let image = Object::new()
            .with("Config", self.path(&image.config))
            .with_items("RepoTags", named.map(|image| image.to_string()))
            .with_items("Layers", image.layers.iter().map(|layer| self.path(layer)));
        let list: Value = std::iter::once(image).collect();
        list.to_string().into_bytes()
    }
}

impl Destination for Archive<'_> {
    fn form(&self) -> Form {
        match self.names {
            Names::Layout => Form::Kept,
            Names::Docker => Form::Plain,
        }
    }

    fn has(&mut self, blob: &Descriptor) -> Result<bool> {
        Ok(self.written.contains(&self.path(blob)))
    }

    fn put(&mut self, blob: &Descriptor, content: Content) -> Result<()> {
        let path = self.path(blob);
        if self.written.contains(&path) {
            return Ok(());
        }
        let mut content = content.read().context(cannot_write)?;
        self.append(&path, blob.size, &mut content)?;
        self.written.push(path);
        Ok(())
    }

    fn finish(&mut self, image: &Parts) -> Result<()> {
        if self.names == Names::Layout {
            self.put(&image.manifest, Content::Bytes(image.bytes.clone()))?;
            self.add(layout::MARKER, layout::VERSION)?;
            let index = layout::with(None, &image.manifest, self.name)?;
            self.add(layout::INDEX, &index)?;
        }
        self.add("manifest.json", &self.list(image))?;
        self.write(&[0; 2 * BLOCK])
    }
}

fn cannot_write() -> &'static str {
    "cannot write the archive"
}
