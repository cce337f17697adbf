//! Names and members that images may not have, and what nobody may change in
//! the store.

use std::fs;

use tar::EntryType;

use super::{Target, names, new, refused};
use crate::aci::{Aci, running};
use crate::attack::case;
use crate::host::launcher;

// Names that are not text, that are one and the same, or that end in the middle:
// what a scanner calls one file is another to the reader.
#[test]
fn odd_names_are_kept_as_they_are_or_refused() {
    require_root!();
    case("T12", "odd names are kept as they are, or refused", || {
        let twice = |second: &str| new().file("rootfs/x", 0o644, "1").file(second, 0o644, "2");
        for second in ["rootfs/x", "rootfs//x", "./rootfs/./x", "rootfs/x/"] {
            Target::new().fails_somehow(&twice(second).bytes());
        }
        let inside = new().dir("rootfs/a").file("rootfs/a/../x", 0o644, "");
        refused(inside).complains_as("a path with two dots");
        let kind = new().file("rootfs/x", 0o644, "").dir("rootfs/x");
        refused(kind).complains_as("a directory named like a file");
        let kind = new().dir("rootfs/x").link("rootfs/x", "/etc");
        refused(kind).complains_as("a link named like a directory");
        let image = new()
            .pax([("path", &b"rootfs/\xff\xfe"[..])])
            .file("rootfs/x", 0o644, "1")
            .file("rootfs/X", 0o644, "2")
            .file("rootfs/x ", 0o644, "3")
            .file("rootfs/line\nbreak", 0o644, "4");
        let target = Target::new();
        let rootfs = target.keeps(&image.bytes());
        assert_eq!(fs::read_dir(rootfs).unwrap().count(), 4);
    });
}

// Archives that are no images, or two: without a root, with two manifests, with
// one that is a link, or one that stands behind what it describes.
#[test]
fn what_is_no_image_is_not_stored() {
    require_root!();
    case("T15a", "what is no image is not stored", || {
        let sound = running(&["/no/such"]);
        let named = |name: &str| Aci::new(&sound.replace("example.com/sample", name));
        for image in [
            Aci::empty().file("manifest", 0o644, &sound),
            Aci::empty().dir("rootfs"),
            new().file("manifest", 0o644, &sound),
            Aci::empty().link("manifest", "/etc/passwd").dir("rootfs"),
            Aci::empty().dir("manifest").dir("rootfs"),
            Aci::empty()
                .entry(EntryType::Fifo, "manifest", 0o644, "", b"")
                .dir("rootfs"),
            new().file("README", 0o644, "beside them"),
            Aci::new("{"),
            Aci::new(&format!("{sound}{sound}")),
            named("../../etc"),
            named("Example.com/sample"),
            named("example.com/../sample"),
            named(""),
        ] {
            Target::new().fails_somehow(&image.bytes());
        }
    });
}

// What was checked when it was fetched is changed in the store: it must not be
// called whole any more.
#[test]
fn what_was_changed_in_the_store_is_noticed() {
    require_root!();
    case("T11b", "what was changed in the store is noticed", || {
        let target = Target::new();
        let image = new()
            .file("rootfs/f", 0o644, "as it was")
            .link("rootfs/l", "f");
        let rootfs = target.keeps(&image.bytes());
        let id = names(&target.dir().join("images")).remove(0);
        let verify = |works: bool| {
            let ran = launcher(&target.dir()).args(["image", "verify"]).run();
            assert_eq!(ran.succeeded(), works, "{ran:?}");
            assert_eq!(ran.stdout == format!("{id} OK\n"), works, "{ran:?}");
        };
        let file = rootfs.join("f");
        verify(true);
        fs::write(&file, "as it WAS").unwrap();
        verify(false);
        fs::write(&file, "as it was").unwrap();
        verify(false);
        let opened = fs::File::open(&file).unwrap();
        opened.set_modified(std::time::UNIX_EPOCH).unwrap();
        verify(true);
        fs::remove_file(&file).unwrap();
        verify(false);
        std::os::unix::fs::symlink("/etc/passwd", &file).unwrap();
        verify(false);
    });
}
