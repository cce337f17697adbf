//! What OCI and docker images, registries and files with logins say.

mod trust;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use oci::auth::{AuthFile, Login};
use oci::challenge;
use oci::choose::choose;
use oci::config::ImageConfig;
use oci::digest::Digest;
use oci::docker_archive::Archive;
use oci::layout::{self, Layout};
use oci::manifest::{Document, Index};
use oci::platform::Platform;
use oci::reference::{Asked, Reference, ShortNames};
use oci::registries::Registries;
use oci::token::Token;
use oci::whiteout::{self, Mark};

/// Reads the bytes as each document that there is; and as references, platforms,
/// challenges and paths, one a line.
///
/// # Panics
///
/// What was read and written is something else when it is read again, an image
/// is chosen or selected that is not there, or a whiteout reaches out of its
/// directory.
pub fn oci(bytes: &[u8]) {
    documents(bytes);
    trust::documents(bytes);
    let lines = bytes.split(|&byte| byte == b'\n');
    for line in lines.filter_map(|line| std::str::from_utf8(line).ok()) {
        names(line);
    }
    for line in bytes.split(|&byte| byte == b'\n') {
        path(Path::new(OsStr::from_bytes(line)));
    }
    let text = String::from_utf8_lossy(bytes);
    if let Some(challenge::Challenge::Bearer(bearer)) = challenge::best(text.lines()) {
        assert!(!bearer.realm.is_empty(), "a token is issued nowhere");
    }
}

/// Asks for an image, short and in full.
fn registries(said: &Registries) {
    for text in ["alpine", "a.example/b:1"] {
        let Ok(asked) = Asked::parse(text) else {
            continue;
        };
        for image in said.named(&asked).unwrap_or_default() {
            if let Ok(places) = said.sources(&image) {
                let last = places.last().expect("an image is nowhere");
                assert!(!last.is_mirror, "the registry itself is not asked");
            }
        }
    }
}

fn documents(bytes: &[u8]) {
    for said in [
        Registries::read_toml(bytes, "a.conf"),
        Registries::read_json(bytes, "a.json"),
    ] {
        said.iter().for_each(registries);
    }
    let host = Platform::of_host("x86_64", "");
    for claimed in [None, Some("application/vnd.oci.image.index.v1+json")] {
        if let Ok(Document::Index(index)) = Document::read(bytes, claimed) {
            chosen(&index, &host);
        }
    }
    if let Ok(config) = ImageConfig::read(bytes) {
        let chain = config.chain_ids(|_| [0; 32]);
        assert_eq!(chain.len(), config.diff_ids.len());
        if let Ok(argv) = config.run.argv(None, &[]) {
            assert!(!argv[0].is_empty(), "there is nothing to execute");
        }
        assert!(
            config.run.working_dir.starts_with('/'),
            "a relative directory"
        );
    }
    if let Ok(layout) = Layout::read(bytes)
        && let Ok(index) = layout.select(None)
    {
        assert!(!index.manifests.is_empty(), "nothing is selected");
        chosen(&index, &host);
    }
    if let Ok(archive) = Archive::read(bytes)
        && let Ok(image) = archive.select(None)
    {
        let mut files = image.layers.iter().chain([&image.config]);
        let inside = |file: &String| !file.split('/').any(|part| matches!(part, "" | ".."));
        assert!(files.all(inside), "a file outside of the archive");
    }
    // Whether they are valid does not matter.
    let _ = (Token::read(bytes), Login::from_helper(bytes));
    let _ = layout::check_version(bytes);
    if let (Ok(file), Ok(image)) = (AuthFile::read(bytes), parse("example.com/a/b")) {
        let _ = file.find(&image);
    }
}

fn chosen(index: &Index, platform: &Platform) {
    if let Ok(image) = choose(index, platform) {
        assert!(index.manifests.contains(image), "it is not there");
    }
}

fn parse(text: &str) -> error::Result<Reference> {
    Reference::parse(text, &ShortNames::default())
}

fn names(line: &str) {
    if let Ok(reference) = parse(line) {
        for text in [reference.to_string(), reference.familiar()] {
            assert_eq!(parse(&text).ok().as_ref(), Some(&reference), "{text}");
        }
    }
    if let Ok(platform) = Platform::parse(line) {
        let again = Platform::parse(&platform.to_string()).ok();
        assert_eq!(again.as_ref(), Some(&platform));
        assert_eq!(platform.distance(&platform), Some(0), "{line}");
    }
    if let Ok(digest) = Digest::parse(line) {
        assert_eq!(digest.to_string(), line);
    }
}

fn path(path: &Path) {
    if let Ok(Mark::Remove(removed)) = whiteout::mark(path) {
        assert_eq!(removed.parent(), path.parent(), "{}", path.display());
        assert_ne!(removed.file_name(), None, "{}", path.display());
    }
}
