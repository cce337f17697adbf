//! From a name to a running app: discovery, fetching, signatures and
//! dependencies, against a real HTTPS server with an authority and a key of
//! its own. It runs in namespaces in which nosecone.net is this host.

use std::fs;
use std::path::{Path, PathBuf};

use crate::attack::case;
use crate::host::{self, Call, Ran, Scratch, call, launcher};

/// Leaves a test whose site could not be built here.
macro_rules! site {
    ($kind:literal) => {{
        require_root!();
        if !host::images().join("site").exists() {
            skip!("needs the site; `cargo xtask images` says why it is not there");
        }
        Site::new($kind)
    }};
}

mod names;
mod pinned;
mod resume;
mod secrets;
mod servers;
mod transfer;

const TEST: &str = "nosecone.net/example/test";

/// A copy of the site that a test may change, and a store.
pub(crate) struct Site {
    scratch: Scratch,
    kind: &'static str,
}

impl Site {
    pub(crate) fn new(kind: &'static str) -> Self {
        let scratch = Scratch::new();
        let from = fs::canonicalize(host::images().join("site")).unwrap();
        call(Path::new("cp"))
            .arg("-a")
            .arg(&from)
            .arg(scratch.join("site"))
            .run()
            .exits(0);
        let site = Self { scratch, kind };
        let file = site.file(&format!("{kind}.conf"));
        let text = fs::read_to_string(&file).unwrap();
        let there = site.file("");
        let there = there.to_str().unwrap().trim_end_matches('/');
        fs::write(&file, text.replace(from.to_str().unwrap(), there)).unwrap();
        site
    }

    /// A file of the site.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.scratch.join("site").join(name)
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.scratch.join("dir")
    }

    /// Trusts the key of the site for images of this prefix.
    pub(crate) fn trusting(self, prefix: &str) -> Self {
        launcher(&self.dir())
            .args(["trust", "--yes", &format!("--prefix={prefix}")])
            .arg(self.file("key.asc"))
            .run()
            .exits(0);
        self
    }

    /// A program that the server is there for.
    fn beside(&self, program: &Path) -> Call {
        call(Path::new("unshare"))
            .args(["--mount", "--pid", "--fork", "--kill-child", "--net"])
            .args(["--mount-proc", "sh"])
            .arg(host::project().join("images/site/inside.sh"))
            .arg(self.file(""))
            .arg(self.kind)
            .arg(program)
    }

    pub(crate) fn launcher(&self, words: &[&str]) -> Call {
        self.beside(&host::program())
            .arg("--dir")
            .arg(self.dir())
            .arg(words[0])
            .arg("--ca-file")
            .arg(self.file("ca.pem"))
            .args(&words[1..])
    }

    /// The fingerprint of the key that has signed everything.
    pub(crate) fn key(&self) -> String {
        let names = host::names(&self.file("gnupg/openpgp-revocs.d"));
        let (key, _) = names[0].split_once('.').unwrap();
        key.to_lowercase()
    }

    fn images(&self) -> usize {
        fs::read_dir(self.dir().join("images")).map_or(0, Iterator::count)
    }

    /// Nothing is stored, and nothing is left of what was fetched.
    #[track_caller]
    fn is_empty(&self) {
        assert_eq!(self.images(), 0);
        let left = fs::read_dir(self.dir().join("tmp")).map_or(0, Iterator::count);
        assert_eq!(left, 0);
    }

    /// The archive whose file's name begins so.
    fn path(&self, name: &str) -> PathBuf {
        let directory = self.file(self.kind).join("example");
        let found = fs::read_dir(directory).unwrap().find_map(|entry| {
            let path = entry.unwrap().path();
            let file = path.file_name()?.to_str()?.to_owned();
            (file.starts_with(name) && file.ends_with(".aci")).then_some(path)
        });
        found.unwrap()
    }
}

/// Names what other hosts and other builds of the site have otherwise.
fn naming(site: &Site, ran: Ran) -> Ran {
    let arch = std::env::consts::ARCH.replace("x86_64", "amd64");
    ran.naming("linux-ARCH", format!("linux-{arch}"))
        .naming("KEY", site.key())
}

/// What was said, without the line that differs every time.
fn lines(ran: &Ran, with: &str) -> Vec<String> {
    let lines = ran.stderr.lines().filter(|line| line.contains(with));
    lines.map(str::to_owned).collect()
}

// --- what is refused ---

// A signature by whoever had a key.
#[test]
fn an_image_that_no_trusted_key_has_signed_is_not_stored() {
    case(
        "T15c",
        "an image that no trusted key has signed is not stored",
        || {
            let site = site!("simple");
            let ran = site.launcher(&["fetch", TEST]).run().exits(1);
            naming(&site, ran)
                .at_last()
                .complains_as("an image that no trusted key has signed");
            site.is_empty();
        },
    );
}

// A key that is trusted for one prefix, and another name that begins with its text.
#[test]
fn a_key_vouches_for_no_other_prefix_than_its_own() {
    case(
        "T15d",
        "a key vouches for no other prefix than its own",
        || {
            let site = site!("simple").trusting("nosecone.net/exam");
            site.launcher(&["fetch", TEST]).run().exits(1);
            site.is_empty();
        },
    );
}

// A good signature beside other bytes.
#[test]
fn an_image_that_was_changed_after_it_was_signed_is_not_stored() {
    case(
        "T15e",
        "an image that was changed after it was signed is not stored",
        || {
            let site = site!("simple").trusting("nosecone.net");
            fs::copy(site.path("base-latest"), site.path("test-latest")).unwrap();
            let ran = site.launcher(&["fetch", "--no-deps", TEST]).run().exits(1);
            naming(&site, ran)
                .at_last()
                .complains_as("an image that was changed after it was signed");
            site.is_empty();
        },
    );
}

// A good signature, and its image, under the name of another one.
#[test]
fn an_image_that_is_signed_and_is_another_one_is_not_stored() {
    case(
        "T15f",
        "an image that is signed and is another one is not stored",
        || {
            let site = site!("simple").trusting("nosecone.net");
            for end in ["", ".asc"] {
                let [from, to] = ["base-latest", "test-latest"].map(|name| {
                    let path = site.path(name);
                    PathBuf::from(format!("{}{end}", path.display()))
                });
                fs::copy(from, to).unwrap();
            }
            let ran = site.launcher(&["fetch", "--no-deps", TEST]).run().exits(1);
            naming(&site, ran)
                .at_last()
                .complains_as("an image that is signed and is another one");
            site.is_empty();
        },
    );
}

#[test]
fn an_image_without_a_signature_is_not_stored_unless_that_is_waived() {
    let site = site!("simple");
    let signature = format!("{}.asc", site.path("test-latest").display());
    fs::remove_file(signature).unwrap();
    let ran = site.launcher(&["fetch", "--no-deps", TEST]).run().exits(1);
    naming(&site, ran)
        .at_last()
        .complains_as("an image without a signature");
    site.is_empty();
    site.launcher(&["fetch", "--no-deps", "--insecure-options=image", TEST])
        .run()
        .exits(0);
    assert_eq!(site.images(), 1);
}

// A connection that ends early, where nobody checks signatures.
#[test]
fn an_archive_that_was_cut_short_leaves_nothing() {
    case(
        "T15h",
        "an archive that was cut short leaves nothing",
        || {
            let site = site!("simple");
            let path = site.path("test-latest");
            let content = fs::read(&path).unwrap();
            fs::write(&path, &content[..content.len() / 2]).unwrap();
            site.launcher(&["fetch", "--no-deps", "--insecure-options=image", TEST])
                .run()
                .exits(1);
            site.is_empty();
        },
    );
}

// Whoever sits between the launcher and its server.
#[test]
fn a_server_that_nobody_certified_is_not_believed() {
    case(
        "T15g",
        "a server that nobody certified is not believed",
        || {
            let site = site!("simple").trusting("nosecone.net");
            let ran = site
                .beside(&host::program())
                .arg("--dir")
                .arg(site.dir())
                .args(["fetch", TEST])
                .run()
                .exits(1);
            naming(&site, ran)
                .at_last()
                .complains_as("a server that nobody certified");
            site.is_empty();
        },
    );
}

#[test]
fn nothing_is_fetched_where_that_is_forbidden() {
    let site = site!("simple").trusting("nosecone.net");
    let ran = site.launcher(&["run", "--pull-policy=never", TEST]).run();
    ran.exits(125)
        .complains_as("nothing is fetched where that is forbidden");
}

#[test]
fn all_places_are_named_where_an_image_is_nowhere() {
    let site = site!("simple").trusting("nosecone.net");
    let ran = site
        .launcher(&["fetch", "--quiet", "nosecone.net/example/none,arch=amd64"])
        .run();
    ran.exits(1)
        .complains_as("all places are named where an image is nowhere");
}

// --- the session ---

/// What the app prints, as far as it is the same everywhere.
#[track_caller]
fn is_the_session(ran: &Ran) {
    let text = &ran.stdout;
    assert!(text.starts_with("Hello World!\n"), "{text}");
    assert!(text.contains("uid=500 gid=500"), "{text}");
    assert!(text.contains("\nAC_APP_NAME=test\n"), "{text}");
    assert!(text.contains("\nGREETING=Hello World!\n"), "{text}");
    // Of both images.
    assert!(
        text.contains(" bin\n") && text.contains(" proc\n"),
        "{text}"
    );
    let app = text
        .lines()
        .find(|line| line.contains("/bin/nosecone-test"));
    let words: Vec<&str> = app.unwrap().split_whitespace().collect();
    assert_eq!(words[1], "1", "the app is a child of PID 1: {text}");
}

#[test]
fn a_name_is_found_fetched_verified_and_run_by_simple_discovery() {
    let site = site!("simple").trusting("nosecone.net/example");
    let ran = site.launcher(&["run", TEST]).run().exits(0);
    is_the_session(&ran);
    naming(&site, ran).complains_with("what is found by simple discovery");
    assert_eq!(site.images(), 2);
    // From now on no server is needed, and there is nothing to tell.
    let again = launcher(&site.dir()).args(["run", TEST]).run().exits(0);
    is_the_session(&again.complains(""));
}

#[test]
fn a_name_is_found_by_meta_discovery_where_simple_discovery_finds_nothing() {
    let site = site!("meta").trusting("nosecone.net/example");
    let ran = site.launcher(&["run", TEST]).run().exits(0);
    is_the_session(&ran);
    naming(&site, ran).complains_with("what is found by meta discovery");
}

#[test]
fn an_image_that_has_not_changed_is_not_fetched_again() {
    let site = site!("simple").trusting("nosecone.net");
    site.launcher(&["fetch", TEST]).run().exits(0);
    let ran = site.launcher(&["fetch", TEST]).run().exits(0);
    assert_eq!(lines(&ran, "Unchanged: ").len(), 2, "{}", ran.stderr);
    assert!(lines(&ran, "Fetched: ").is_empty(), "{}", ran.stderr);
}

#[test]
fn an_image_of_a_local_directory_needs_neither_network_nor_key() {
    let site = site!("simple");
    let provisioned = site.scratch.join("provisioned/nosecone.net");
    fs::create_dir_all(&provisioned).unwrap();
    call(Path::new("cp"))
        .arg("-a")
        .arg(site.file("simple/example"))
        .arg(&provisioned)
        .run()
        .exits(0);
    let ran = launcher(&site.dir())
        .args(["run", "--pull-policy=never", "--image-dir"])
        .arg(site.scratch.join("provisioned"))
        .arg(TEST)
        .run();
    is_the_session(&ran.exits(0));
}

#[test]
fn a_key_is_found_by_the_page_of_its_prefix_and_trusted_only_if_somebody_says_so() {
    let site = site!("meta");
    let find = |more: &str| {
        site.launcher(&["trust", "--prefix=nosecone.net/example", more])
            .run()
    };
    let ran = find("--quiet").exits(1);
    naming(&site, ran).complains_as("a key that nobody vouches for");
    site.launcher(&["fetch", TEST]).run().exits(1);
    let ran = find("--yes").exits(0);
    naming(&site, ran).says_as("a key that somebody vouches for");
    site.launcher(&["fetch", TEST]).run().exits(0);
}

#[test]
fn a_page_that_names_no_key_is_told_with_all_that_were_asked() {
    let site = site!("simple");
    let ran = site
        .launcher(&["trust", "--prefix=nosecone.net/example", "--yes"])
        .run();
    ran.exits(1)
        .complains_as("a page that names no key is told with all that were asked");
}

#[test]
fn ids_are_printed_one_a_line_and_name_the_images() {
    let site = site!("simple").trusting("nosecone.net");
    let ran = site
        .launcher(&["fetch", "--full", "--quiet", "--no-deps", TEST])
        .run()
        .exits(0);
    let id = ran.stdout.trim_end().to_owned();
    assert_eq!(id.len(), "sha512-".len() + 128, "{id}");
    assert!(site.dir().join("images").join(&id).exists());
    assert_eq!(site.images(), 1);
    let ran = site
        .launcher(&["fetch", "--quiet", TEST])
        .run()
        .exits(0)
        .complains("");
    assert_eq!(ran.stdout, format!("{}\n", &id[..39]));
    assert_eq!(site.images(), 2);
}
