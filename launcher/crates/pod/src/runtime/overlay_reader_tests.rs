//! Layers as text: `d/` is a directory, `w!` a whiteout, anything else a file;
//! `.` in front means that the directory is opaque.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;

fn listing(text: &str) -> Listing {
    let mut names = BTreeMap::new();
    for word in text.split_whitespace().filter(|word| *word != ".") {
        let (name, has) = match (word.strip_suffix('/'), word.strip_suffix('!')) {
            (Some(name), _) => (name, Has::Directory),
            (_, Some(name)) => (name, Has::Whiteout),
            _ => (word, Has::Other),
        };
        names.insert(name.into(), has);
    }
    Listing {
        names,
        opaque: text.starts_with('.'),
    }
}

/// What is visible of layers, topmost first: `a=0`, or `d/01` if both
/// directories are merged.
fn merged(layers: &[&str]) -> String {
    let merged = merge(layers.iter().map(|text| listing(text)).collect());
    let words = merged.into_iter().filter_map(|(name, shows)| {
        let name = name.into_string().unwrap();
        Some(match shows {
            Shows::Nothing => return None,
            Shows::Other(at) => format!("{name}={at}"),
            Shows::Directory { of, .. } => {
                let of: String = of.iter().map(usize::to_string).collect();
                format!("{name}/{of}")
            }
        })
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn removed_files_are_hidden() {
    for (layers, shows) in [
        (&["a!", "a b"][..], "b=1"),
        (&["d!", "d/", "d/"], ""),
        (&["a", "a!", "a"], "a=0"),
        (&["", "a!", "a"], ""),
        // Removed in the middle layer, and made again above.
        (&["d/", "d!", "d/"], "d/0"),
        // A whiteout of a name that does not exist.
        (&["a! b", ""], "b=0"),
    ] {
        assert_eq!(merged(layers), shows, "{layers:?}");
    }
}

#[test]
fn an_opaque_directory_hides_those_below() {
    for (layers, shows) in [
        (&[".", "a d/"][..], ""),
        (&[". a", "a b", "c"], "a=0"),
        (&["a d/", ". d/", "a d/ e"], "a=0 d/01"),
        (&["a", "b", "."], "a=0 b=1"),
    ] {
        assert_eq!(merged(layers), shows, "{layers:?}");
    }
}

#[test]
fn directories_merge_unless_something_is_between() {
    for (layers, shows) in [
        (&["d/", "d/", "d/"][..], "d/012"),
        (&["", "d/", "", "d/"], "d/13"),
        (&["d/", "d", "d/"], "d/0"),
        (&["d", "d/", "d/"], "d=0"),
        (&["d/ a", "a/ d/", "a/"], "a=0 d/01"),
        (&[], ""),
    ] {
        assert_eq!(merged(layers), shows, "{layers:?}");
    }
}

#[test]
fn files_are_visited_in_order_and_links_are_not_followed() {
    use std::os::unix::fs::symlink;
    let name = format!("nosecone-union-{}", std::process::id());
    let root = std::env::temp_dir().join(name);
    let (upper, lower) = (root.join("upper"), root.join("lower"));
    std::fs::create_dir_all(upper.join("d/new")).unwrap();
    std::fs::create_dir_all(lower.join("d/old")).unwrap();
    std::fs::create_dir_all(lower.join("replaced")).unwrap();
    for (path, content) in [
        (upper.join("d/both"), "upper"),
        (lower.join("d/both"), "lower"),
        (lower.join("d/old/file"), "lower"),
        (upper.join("ours"), "ours"),
        (upper.join("ours-changed"), "changed"),
        (lower.join("ours"), "below"),
        (lower.join("replaced/file"), "lower"),
        (root.join("outside"), "outside"),
    ] {
        std::fs::write(path, content).unwrap();
    }
    symlink("../../outside", upper.join("replaced")).unwrap();
    symlink("/", upper.join("d/new/root")).unwrap();
    let open = |path: &Path| -> OwnedFd { File::open(path).unwrap().into() };
    let ignored = ["ours", "ours-changed", "d/not-there", "replaced"];
    let ignored = ignored.map(|path| (path.into(), b"ours".to_vec()));
    let union = Union::new(vec![open(&upper), open(&lower)], true, ignored.into());
    let mut seen = Vec::new();
    let walked = union.walk(&mut |found| {
        let path = found.path.display();
        seen.push(match found.kind {
            Kind::Directory => format!("{path}/"),
            Kind::Symlink(target) => format!("{path} -> {}", target.display()),
            Kind::File(file) => format!("{path} {}", io::read_to_string(file).unwrap()),
            Kind::Node(_) => format!("{path}?"),
        });
        Ok(())
    });
    walked.unwrap();
    std::fs::remove_dir_all(root).unwrap();
    assert_eq!(
        seen,
        [
            "/",
            "ours below",
            "ours-changed changed",
            "replaced -> ../../outside",
            "d/",
            "d/both upper",
            "d/new/",
            "d/new/root -> /",
            "d/old/",
            "d/old/file lower",
        ]
    );
}

#[test]
fn a_file_that_was_replaced_is_not_read() {
    use std::os::unix::fs::symlink;
    let name = format!("nosecone-union-changed-{}", std::process::id());
    let root = std::env::temp_dir().join(name);
    std::fs::create_dir_all(root.join("directory")).unwrap();
    symlink("/etc/passwd", root.join("link")).unwrap();
    let parent: OwnedFd = File::open(&root).unwrap().into();
    let mode = Mode::RUSR | Mode::WUSR;
    rustix::fs::mknodat(&parent, "fifo", FileType::Fifo, mode, 0).unwrap();
    let union = Union::new(Vec::new(), true, BTreeMap::new());
    let refused = |name: &str| {
        let found = union.file(parent.as_fd(), OsStr::new(name), name.into());
        found.err().unwrap().to_string()
    };
    let said = ["link", "fifo", "directory", "nothing"].map(refused);
    std::fs::remove_dir_all(root).unwrap();
    assert_eq!(
        said,
        [
            "cannot read `/link`: Too many levels of symbolic links",
            "cannot read `/fifo`: it was changed at the same time",
            "cannot read `/directory`: it was changed at the same time",
            "cannot read `/nothing`: No such file or directory",
        ]
    );
}
