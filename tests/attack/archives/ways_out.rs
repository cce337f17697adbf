//! Paths and links that lead out.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use tar::EntryType;

use super::{Target, names, new, refused};
use crate::aci::{Aci, running};
use crate::attack::case;
use crate::golden::Cases;

// Names with `..` or a leading slash, which a reader appends to its directory
// (RUSTSEC-2021-0080, and zip-slip before it).
#[test]
fn paths_that_lead_out_are_refused() {
    require_root!();
    case("T2a", "no path of an entry leads out of the image", || {
        let mut cases = Cases::default();
        for path in [
            "rootfs/../x",
            "rootfs/a/../../../x",
            "/etc/x",
            "//rootfs/x",
            "..",
            "rootfs/..",
            "rootfs/a/..",
        ] {
            for (kind, image) in [
                ("file", new().file(path, 0o644, "x")),
                ("link", new().link(path, "/")),
                (
                    "directory",
                    new().entry(EntryType::Directory, path, 0o777, "", b""),
                ),
            ] {
                cases.add(format!("{path}, a {kind}"), &refused(image).told());
            }
        }
        cases.as_written("paths that lead out");
    });
}

// First a link to a file outside, then a file of the same name, which a careless
// reader opens and so writes to the link's target (RUSTSEC-2018-0002, CVE-2025-4330).
#[test]
fn nothing_takes_the_place_of_a_link() {
    require_root!();
    case(
        "T1",
        "no entry is written through a link that stood there before",
        || {
            let target = Target::new();
            let outside = target.outside();
            let victim = format!("{outside}/victim");
            // The same name twice: what came first would be written through.
            for second in [EntryType::Regular, EntryType::Directory, EntryType::Fifo] {
                let image = new()
                    .link("rootfs/x", &victim)
                    .entry(second, "rootfs/x", 0o777, "", b"");
                let ran = target.refuses(&image.bytes());
                ran.complains_as("a name that appears twice");
            }
            // The same file under two names.
            let image = new()
                .dir("rootfs/d")
                .file("rootfs/d/x", 0o644, "first")
                .link("rootfs/s", "d")
                .file("rootfs/s/x", 0o644, "second");
            let ran = target.refuses(&image.bytes());
            ran.complains_as("a file under two names");
        },
    );
}

// The same with a directory, whose mode is then set on the link's target
// (CVE-2026-33056, RUSTSEC-2026-0113).
#[test]
fn no_directory_sets_the_mode_of_what_a_link_leads_to() {
    require_root!();
    case(
        "T3",
        "no directory takes the place of a link, or gives its target a mode",
        || {
            let target = Target::new();
            let outside = target.outside();
            let mode = || fs::metadata(&outside).unwrap().mode();
            let before = mode();
            let mut cases = Cases::default();
            for path in ["rootfs/d", "rootfs/d/"] {
                let link = new().link("rootfs/d", &outside);
                let image = link.entry(EntryType::Directory, path, 0o777, "", b"");
                cases.add(path, &target.refuses(&image.bytes()).told());
                assert_eq!(mode(), before);
            }
            cases.as_written("a directory that takes the place of a link");
        },
    );
}

// A link to a directory outside, then an entry below the link
// (RUSTSEC-2021-0080, CVE-2018-20990).
#[test]
fn a_link_on_the_way_leads_to_what_is_inside() {
    require_root!();
    case(
        "T2b",
        "a link on the way to an entry leads to nothing outside",
        || {
            let target = Target::new();
            let outside = target.outside();
            let image = new()
                .dir("rootfs/real")
                .link("rootfs/up", "../../../../..")
                .link("rootfs/top", "/real")
                .file("rootfs/up/a", 0o644, "a")
                .file("rootfs/top/b", 0o644, "b")
                .dir("rootfs/up/exploit")
                .file("rootfs/up/exploit/c/d/e", 0o644, "e");
            let rootfs = target.keeps(&image.bytes());
            assert_eq!(names(&rootfs), ["a", "exploit", "real", "top", "up"]);
            assert_eq!(names(&rootfs.join("real")), ["b"]);
            assert!(rootfs.join("exploit/c/d/e").is_file());
            // A way that exists outside only is none.
            for link in [outside.as_str(), "/proc/self/cwd", "../../../outside"] {
                let image = new().link("rootfs/s", link).file("rootfs/s/x", 0o644, "");
                refused(image).complains_as("a way that exists outside only");
            }
        },
    );
}

// Resolvers that give up at some length and go on with the path as text
// (CVE-2025-4517).
#[test]
fn long_chains_of_links_lead_nowhere() {
    require_root!();
    case(
        "T7a",
        "a chain of links too long to follow is not followed",
        || {
            let mut image = new().link("rootfs/l0", "/");
            for number in 1..=60 {
                let (name, before) = (format!("rootfs/l{number}"), number - 1);
                image = image.link(&name, &format!("l{before}/."));
            }
            let image = image.file("rootfs/l60/x", 0o644, "");
            refused(image).complains_as("a chain of links too long to follow");
        },
    );
}

// Hard links to files outside, which later entries then change
// (CVE-2021-32760 did so with modes).
#[test]
fn hard_links_lead_to_files_of_the_image_only() {
    require_root!();
    case(
        "T4a",
        "a hard link leads to a file of the image or nowhere",
        || {
            let target = Target::new();
            let victim = format!("{}/victim", target.outside());
            let link = |to: &str| new().entry(EntryType::Link, "rootfs/h", 0o777, to, b"");
            for to in [
                victim.as_str(),
                "../outside/victim",
                "rootfs/../../x",
                "manifest",
                "rootfs",
                "rootfs/",
                "/x",
                "//rootfs/../x",
            ] {
                let ran = target.refuses(&link(to).bytes());
                ran.complains_as("a hard link that leads out");
            }
            let ran = target.refuses(&link("").bytes());
            ran.complains_as("a hard link that leads nowhere");
            let mut cases = Cases::default();
            for to in ["rootfs/none", "rootfs/h", "rootfs/none/x"] {
                cases.add(to, &refused(link(to)).told());
            }
            cases.as_written("a hard link to what is not there");
            let image =
                new()
                    .dir("rootfs/d")
                    .entry(EntryType::Link, "rootfs/h", 0o777, "rootfs/d", b"");
            let ran = target.refuses(&image.bytes());
            ran.complains_as("a hard link to a directory");
        },
    );
}

// A mode that is set by following the link (CVE-2021-32760, CVE-2021-21334).
#[test]
fn a_hard_link_to_a_link_is_that_link_and_changes_nothing() {
    require_root!();
    case(
        "T4b",
        "a hard link to a link is not followed, and changes no mode",
        || {
            let target = Target::new();
            let victim = format!("{}/victim", target.outside());
            let image = new()
                .link("rootfs/s", &victim)
                .entry(EntryType::Link, "rootfs/h", 0o6777, "rootfs/s", b"")
                .file("rootfs/f", 0o600, "f")
                .entry(EntryType::Link, "rootfs/g", 0o6777, "rootfs/f", b"");
            let rootfs = target.keeps(&image.bytes());
            assert_eq!(fs::read_link(rootfs.join("h")).unwrap(), Path::new(&victim));
            let status = rootfs.join("g").metadata().unwrap();
            assert_eq!((status.mode() & 0o7777, status.nlink()), (0o600, 2));
        },
    );
}

// An entry without a name that is a link: whatever is unpacked next goes through
// it (CVE-2021-29136).
#[test]
fn the_root_is_a_directory() {
    require_root!();
    case("T5", "no entry takes the place of the root", || {
        let mut cases = Cases::default();
        for path in [".", "./", ""] {
            for kind in [EntryType::Symlink, EntryType::Fifo] {
                let image = new().entry(kind, path, 0o777, "/", b"");
                cases.add(format!("`{path}`, a {kind:?}"), &refused(image).told());
            }
        }
        cases.as_written("an entry without a name");
        let manifest = running(&["/no/such"]);
        for kind in [EntryType::Regular, EntryType::Symlink] {
            let image = Aci::empty()
                .file("manifest", 0o644, &manifest)
                .entry(kind, "rootfs", 0o777, "/tmp", b"");
            refused(image).complains_as("a root that is no directory");
        }
    });
}

#[test]
fn a_file_is_no_directory() {
    require_root!();
    let image = new()
        .file("rootfs/f", 0o644, "")
        .file("rootfs/f/x", 0o644, "");
    refused(image).complains_as("a file on the way");
}

// Nodes in an image, which any user of the host could open where the store is not
// closed; and the node by which an overlay hides a name.
#[test]
fn devices_are_kept_out_of_reach_and_whiteouts_are_refused() {
    require_root!();
    case(
        "T9a",
        "devices are in nobody's reach, and whiteouts are refused",
        || {
            let device = |kind, path: &str, major, minor| {
                new().odd(kind, path, b"", |header| {
                    header.set_device_major(major).unwrap();
                    header.set_device_minor(minor).unwrap();
                })
            };
            let whiteout = device(EntryType::Char, "rootfs/w", 0, 0);
            refused(whiteout).complains_as("a whiteout");
            let target = Target::new();
            let rootfs = target.keeps(&device(EntryType::Block, "rootfs/disk", 8, 1).bytes());
            let status = rootfs.join("disk").metadata().unwrap();
            assert!(status.file_type().is_block_device());
            assert_eq!(status.rdev(), (8 << 8) | 1);
            // Nobody but the owner of the store comes near it.
            for above in rootfs.ancestors().skip(1).take(3) {
                assert_eq!(above.metadata().unwrap().mode() & 0o077, 0, "{above:?}");
            }
        },
    );
}

// `.wh.` before a name removes it in layers of OCI, and `.wh...` once removed the
// parent.
#[test]
fn whiteouts_of_other_formats_are_plain_names() {
    require_root!();
    case(
        "T8a",
        "names that are whiteouts elsewhere remove nothing",
        || {
            let image = new()
                .file("rootfs/kept", 0o644, "")
                .file("rootfs/.wh.kept", 0o644, "")
                .file("rootfs/.wh..wh..opq", 0o644, "")
                .file("rootfs/.wh.", 0o644, "")
                .file("rootfs/.wh...", 0o644, "");
            let target = Target::new();
            let rootfs = target.keeps(&image.bytes());
            let expected = [".wh.", ".wh...", ".wh..wh..opq", ".wh.kept", "kept"];
            assert_eq!(names(&rootfs), expected);
        },
    );
}
