//! The cases of the reference implementation's rendering tests, with real
//! files. Runs as any user: owners are left alone.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use crate::resolve::dependencies::{Images, layers};
use appc::manifest::ImageManifest;
use appc::manifest::image::Dependency;
use error::{Error, Kind};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::sync::atomic::{AtomicU32, Ordering};
use sys::dirs::Dirs;

/// An image: its name, its dependencies, its whitelist, and its entries: `PATH/
/// MODE`, `PATH -> TARGET`, or `PATH CONTENT`.
type Image = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
    &'static [&'static str],
);

struct Sample {
    images: Vec<Image>,
    dirs: Dirs,
    root: PathBuf,
}

fn id(name: &str) -> Digest {
    let mut hasher = Hasher::new(Algorithm::Sha512);
    hasher.update(name.as_bytes());
    hasher.finish()
}

impl Sample {
    fn new(images: &[Image]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let root =
            std::env::temp_dir().join(format!("nosecone-render-{}-{number}", std::process::id()));
        let sample = Self {
            images: images.to_vec(),
            dirs: Dirs::open(&root).unwrap(),
            root,
        };
        for (name, _, _, entries) in images {
            let tree = sample.root.join("sources").join(name);
            fs::create_dir_all(&tree).unwrap();
            entries.iter().for_each(|entry| unpack(&tree, entry));
        }
        sample
    }

    fn image(&self, wanted: &Digest) -> Result<&Image> {
        let found = self.images.iter().find(|(name, ..)| id(name) == *wanted);
        found.ok_or_else(|| Error::new(Kind::NotFound, "such image not found"))
    }

    fn source(&self, wanted: &Digest) -> Result<Source> {
        let (name, _, _, entries) = self.image(wanted)?;
        let rootfs = self.root.join("sources").join(name);
        let listed = |path: &Path| entries.iter().any(|entry| path_of(entry) == path);
        let parents = entries
            .iter()
            .flat_map(|entry| path_of(entry).ancestors().skip(1));
        let implicit = parents.filter(|path| !path.as_os_str().is_empty() && !listed(path));
        Ok(Source {
            rootfs,
            implicit: implicit.map(Path::to_owned).collect(),
        })
    }

    fn base(&self) -> Base {
        let layers = layers(&id("a"), self).unwrap();
        decide(layers, &|id| Ok(!self.source(id)?.implicit.is_empty())).unwrap()
    }

    /// What rendering the image `a` produces, sorted; overlays are rendered,
    /// too.
    fn rendered(&self) -> Vec<String> {
        let rendering = Rendering {
            layers: layers(&id("a"), self).unwrap(),
        };
        let store = Store::open(&self.dirs).unwrap();
        let path = rendering.ensure(&store, &|id| self.source(id)).unwrap();
        let mut lines = Vec::new();
        list(&path, "", &mut lines);
        lines.sort();
        lines
    }
}

impl Drop for Sample {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

impl Images for Sample {
    fn resolve(&self, dependency: &Dependency) -> Result<Digest> {
        Ok(id(dependency.image_name.as_str()))
    }

    fn manifest(&self, wanted: &Digest) -> Result<ImageManifest> {
        let (name, needs, whitelist, _) = self.image(wanted)?;
        let needs: Vec<String> = needs
            .iter()
            .map(|name| format!(r#"{{"imageName":"{name}"}}"#))
            .collect();
        let text = format!(
            r#"{{"acKind":"ImageManifest","acVersion":"0.8.11","name":"{name}","dependencies":[{}],"pathWhitelist":{whitelist:?}}}"#,
            needs.join(",")
        );
        Ok(ImageManifest::parse(text.as_bytes())?.value)
    }
}

fn path_of(entry: &str) -> &Path {
    Path::new(entry.split_once(' ').unwrap().0.trim_end_matches('/'))
}

fn unpack(tree: &Path, entry: &str) {
    let (name, rest) = entry.split_once(' ').unwrap();
    let path = tree.join(path_of(entry));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    if name.ends_with('/') {
        fs::create_dir_all(&path).unwrap();
        let mode = u32::from_str_radix(rest, 8).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    } else if let Some(target) = rest.strip_prefix("-> ") {
        symlink(target, path).unwrap();
    } else {
        fs::write(path, rest).unwrap();
    }
}

fn list(directory: &Path, above: &str, lines: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{above}{}", path.file_name().unwrap().display());
        let status = path.symlink_metadata().unwrap();
        if status.is_dir() {
            lines.push(format!("{name}/ {:o}", status.mode() & 0o7777));
            list(&path, &format!("{name}/"), lines);
        } else if status.is_symlink() {
            lines.push(format!(
                "{name} -> {}",
                fs::read_link(&path).unwrap().display()
            ));
        } else {
            lines.push(format!("{name} {}", fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn later_layers_override_earlier_ones() {
    for (parent, image, expected) in [
        (&["a/ 755"][..], &["b 1"][..], &["a/ 755", "b 1"][..]),
        (&["a/ 755"], &["a/ 700"], &["a/ 700"]),
        (&["a 5"], &["b 10"], &["a 5", "b 10"]),
        (&["a 5"], &["a 10"], &["a 10"]),
        (
            &["a/ 755", "a/b/ 755", "a/b/c/ 755", "a/b/c/file01 5"],
            &["a/ 755", "a/b 10"],
            &["a/ 755", "a/b 10"],
        ),
        // There is no entry for the link's path, so it becomes a directory.
        (
            &["l -> d", "d/ 700"],
            &["l/file 1"],
            &["d/ 700", "l/ 755", "l/file 1"],
        ),
        // An implied directory keeps the attributes of the one below.
        (
            &["d/ 700", "d/a 1"],
            &["d/b 2"],
            &["d/ 700", "d/a 1", "d/b 2"],
        ),
    ] {
        let sample = Sample::new(&[("b", &[], &[], parent), ("a", &["b"], &[], image)]);
        assert_eq!(sample.rendered(), expected, "{image:?} over {parent:?}");
    }
}

const PARENT: &[&str] = &[
    "a/ 755",
    "a/file01.txt 5",
    "a/file02.txt 5",
    "a/file03.txt 5",
    "b/ 755",
    "b/link01.txt -> file01.txt",
    "c/ 700",
    "c/file01.txt 5",
    "d/ 700",
    "d/file01.txt 5",
    "e/ 755",
    "e/file01.txt 5",
];

#[test]
fn a_parents_list_filters_the_parent_only() {
    let list = &[
        "/a/file01.txt",
        "/a/file02.txt",
        "/b/link01.txt",
        "/c/",
        "/d/",
    ];
    let image = &["b/file01.txt 10", "c/file02.txt 5"];
    let sample = Sample::new(&[("b", &[], list, PARENT), ("a", &["b"], &[], image)]);
    assert_eq!(
        sample.rendered(),
        [
            "a/ 755",
            "a/file01.txt 5",
            "a/file02.txt 5",
            "b/ 755",
            "b/file01.txt 10",
            "b/link01.txt -> file01.txt",
            "c/ 700",
            "c/file02.txt 5",
            "d/ 700",
            // An image's own list does not filter its directories.
            "e/ 755",
        ]
    );
}

#[test]
fn an_images_list_filters_its_parent_too() {
    let list = &[
        "/a/file01.txt",
        "/a/file02.txt",
        "/b/link01.txt",
        "/b/file01.txt",
        "/c/file02.txt",
        "/d/",
    ];
    let image = &["a/file01.txt 10", "c/file02.txt 5"];
    let sample = Sample::new(&[("b", &[], &[], PARENT), ("a", &["b"], list, image)]);
    assert_eq!(
        sample.rendered(),
        [
            "a/ 755",
            "a/file01.txt 10",
            "a/file02.txt 5",
            "b/ 755",
            "b/link01.txt -> file01.txt",
            // Not listed: made for the file in it, with default attributes.
            "c/ 755",
            "c/file02.txt 5",
            "d/ 700",
        ]
    );
}

#[test]
fn three_dependencies_come_in_their_order() {
    let list: &[&str] = &[
        "/a/file01.txt",
        "/a/file02.txt",
        "/a/file03.txt",
        "/b/link01.txt",
        "/b/file01.txt",
        "/b/file02.txt",
        "/c/file01.txt",
    ];
    let sample = Sample::new(&[
        (
            "b",
            &[],
            &[
                "/a/file01.txt",
                "/a/file02.txt",
                "/a/file03.txt",
                "/a/file04.txt",
                "/b/link01.txt",
            ],
            &[
                "a/file01.txt 5",
                "a/file02.txt 5",
                "a/file03.txt 5",
                "a/file04.txt 5",
                "b/link01.txt -> file01.txt",
            ],
        ),
        (
            "c",
            &["d"],
            &[],
            &["a/file01.txt 10", "a/file02.txt 10", "b/file01.txt 5"],
        ),
        ("d", &[], &[], &["a/file02.txt 7", "d/ 700"]),
        (
            "a",
            &["b", "c"],
            list,
            &["a/file01.txt 15", "b/file02.txt 5", "c/file01.txt 5"],
        ),
    ]);
    assert_eq!(
        sample.rendered(),
        [
            "a/ 755",
            "a/file01.txt 15",
            "a/file02.txt 10",
            "a/file03.txt 5",
            "b/ 755",
            "b/file01.txt 5",
            "b/file02.txt 5",
            "b/link01.txt -> file01.txt",
            "c/ 755",
            "c/file01.txt 5",
        ]
    );
}

#[test]
fn a_diamond_ends_with_its_later_branch() {
    let sample = Sample::new(&[
        ("d", &[], &[], &["f of-d"]),
        ("b", &["d"], &[], &["f of-b"]),
        ("c", &["d"], &[], &["g of-c"]),
        ("a", &["b", "c"], &[], &["h of-a"]),
    ]);
    assert_eq!(sample.rendered(), ["f of-d", "g of-c", "h of-a"]);
    let expected = ["b", "d", "c", "a"].map(id).to_vec();
    assert_eq!(sample.base(), Base::Overlay(expected));
}

#[test]
fn a_list_without_matches_leaves_the_root() {
    let sample = Sample::new(&[("a", &[], &["foo"], &["x 1"])]);
    assert_eq!(sample.rendered(), Vec::<String>::new());
}

#[test]
fn only_whole_layers_whose_directories_all_have_entries_are_stacked() {
    let whole: &[&str] = &["d/ 700", "d/a 1"];
    let implied: &[&str] = &["d/b 1"];
    for (parent, image, stacks) in [
        (
            ("b", &[][..], &[][..], whole),
            ("a", &["b"][..], &[][..], whole),
            true,
        ),
        // What only the lowest layer implies hides nothing.
        (("b", &[], &[], implied), ("a", &["b"], &[], whole), true),
        (("b", &[], &[], whole), ("a", &["b"], &[], implied), false),
        (
            ("b", &[], &["/d/a"], whole),
            ("a", &["b"], &[], whole),
            false,
        ),
        (
            ("b", &[], &[], whole),
            ("a", &["b"], &["/d/a"], whole),
            false,
        ),
        (("b", &[], &[], whole), ("a", &[], &[], implied), true),
        (("b", &[], &[], whole), ("a", &[], &["/d/a"], whole), false),
    ] {
        let sample = Sample::new(&[parent, image]);
        assert_eq!(
            matches!(sample.base(), Base::Overlay(_)),
            stacks,
            "{image:?} over {parent:?}"
        );
    }
}

#[test]
fn whatever_determines_the_tree_determines_its_digest() {
    let ids: BTreeSet<Digest> = [
        &[("a", &[][..], &["/x"][..], &[][..])][..],
        &[("a", &[], &["/x", "/y"], &[])],
        &[("a", &[], &["/xy"], &[])],
        &[("b", &[], &[], &[]), ("a", &["b"], &["/x"], &[])],
        &[("b", &[], &["/x"], &[]), ("a", &["b"], &[], &[])],
    ]
    .into_iter()
    .map(|images| {
        let sample = Sample::new(images);
        let id = |sample: &Sample| match sample.base() {
            Base::Rendered(rendering) => rendering.id(),
            Base::Overlay(_) => panic!("a list cuts"),
        };
        assert_eq!(id(&sample), id(&Sample::new(images)));
        id(&sample)
    })
    .collect();
    assert_eq!(ids.len(), 5);
}

#[test]
fn a_layer_is_rendered_once_and_leaves_no_garbage() {
    let sample = Sample::new(&[("a", &[], &["/x"], &["x 1", "y 1"])]);
    assert_eq!(sample.rendered(), ["x 1"]);
    fs::remove_dir_all(sample.root.join("sources")).unwrap();
    assert_eq!(sample.rendered(), ["x 1"]);
    assert_eq!(fs::read_dir(sample.root.join("tmp")).unwrap().count(), 0);
    let layers: Vec<_> = fs::read_dir(sample.root.join("layers")).unwrap().collect();
    let record = layers[0].as_ref().unwrap().path().join("record");
    let record = fs::read_to_string(record).unwrap();
    assert!(record.contains(&id("a").to_string()), "{record}");
}
