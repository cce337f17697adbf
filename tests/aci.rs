//! Builds images of any shape, also of shapes that no image may have.

use tar::{Builder, EntryType, Header};

/// An image in the making: a tar archive, not compressed, which is as good.
pub(crate) struct Aci(Builder<Vec<u8>>);

impl Aci {
    /// An archive with nothing in it.
    pub(crate) fn empty() -> Self {
        Self(Builder::new(Vec::new()))
    }

    /// An archive with a manifest and an empty rootfs.
    pub(crate) fn new(manifest: &str) -> Self {
        Self::empty()
            .file("manifest", 0o644, manifest)
            .dir("rootfs")
    }

    /// Adds a directory.
    pub(crate) fn dir(self, path: &str) -> Self {
        self.entry(EntryType::Directory, &format!("{path}/"), 0o755, "", b"")
    }

    /// Adds a file.
    pub(crate) fn file(self, path: &str, mode: u32, content: impl AsRef<[u8]>) -> Self {
        self.entry(EntryType::Regular, path, mode, "", content.as_ref())
    }

    /// Adds a symbolic link.
    pub(crate) fn link(self, path: &str, target: &str) -> Self {
        self.entry(EntryType::Symlink, path, 0o777, target, b"")
    }

    /// Adds an entry of any kind, its name as it is: also names that lead out.
    pub(crate) fn entry(
        self,
        kind: EntryType,
        path: &str,
        mode: u32,
        target: &str,
        content: &[u8],
    ) -> Self {
        self.odd(kind, path, content, |header| {
            header.set_mode(mode);
            header.as_gnu_mut().unwrap().linkname[..target.len()]
                .copy_from_slice(target.as_bytes());
        })
    }

    /// Adds an entry whose header is changed at will before it gets its checksum.
    pub(crate) fn odd(
        mut self,
        kind: EntryType,
        path: &str,
        content: &[u8],
        change: impl FnOnce(&mut Header),
    ) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(content.len() as u64);
        let fields = header.as_gnu_mut().unwrap();
        fields.name[..path.len()].copy_from_slice(path.as_bytes());
        change(&mut header);
        header.set_cksum();
        self.0.append(&header, content).unwrap();
        self
    }

    /// Adds a PAX header of these records to what comes next.
    pub(crate) fn pax<'r>(
        mut self,
        records: impl IntoIterator<Item = (&'r str, &'r [u8])>,
    ) -> Self {
        self.0.append_pax_extensions(records).unwrap();
        self
    }

    /// The bytes of the archive.
    pub(crate) fn bytes(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

/// A manifest of an image whose app is this piece of JSON.
pub(crate) fn manifest(app: &str) -> String {
    format!(
        r#"{{
  "acKind": "ImageManifest",
  "acVersion": "0.8.11",
  "name": "example.com/sample",
  "app": {app}
}}
"#
    )
}

/// A manifest of an image that runs these words as root.
pub(crate) fn running(words: &[&str]) -> String {
    manifest(&format!(
        r#"{{"exec": {words:?}, "user": "0", "group": "0"}}"#
    ))
}

/// An image of an app in Perl with an argument, for what busybox cannot do. It finds
/// Perl in the host's /usr, which is to be mounted. `more` is the rest of its section.
pub(crate) fn in_perl(more: &str, script: &str, word: &str) -> Aci {
    let script = script.replace('\\', "\\\\").replace('"', "\\\"");
    let script = script.replace('\n', " ");
    let text = manifest(&format!(
        r#"{{"exec": ["/usr/bin/perl", "-e", "{script}", "{word}"], "user": "0", "group": "0",
             {more}}}"#
    ));
    let image = Aci::new(&text).dir("rootfs/usr");
    ["bin", "lib", "lib64"].iter().fold(image, |image, name| {
        image.link(&format!("rootfs/{name}"), &format!("usr/{name}"))
    })
}
