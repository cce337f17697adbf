//! Dependency trees of images with one-letter names.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use error::Kind;
use image::digest::{Algorithm, Hasher};

/// Images: name, dependencies, and whitelist.
struct Sample(Vec<(String, Vec<String>, Vec<&'static str>)>);

/// Parses `A:B,C B:D`; whitelists follow as pairs of name and paths.
fn sample(needs: &str, lists: &[(&str, &[&'static str])]) -> Sample {
    let list = |name: &str| {
        let found = lists.iter().find(|(of, _)| *of == name);
        found.map_or(Vec::new(), |(_, paths)| paths.to_vec())
    };
    let image = |text: &str| {
        let (name, needs) = text.split_once(':').unwrap();
        let needs = needs.split(',').filter(|name| !name.is_empty());
        (
            name.to_owned(),
            needs.map(str::to_owned).collect(),
            list(name),
        )
    };
    Sample(needs.split(' ').map(image).collect())
}

fn id(name: &str) -> Digest {
    let mut hasher = Hasher::new(Algorithm::Sha512);
    hasher.update(name.as_bytes());
    hasher.finish()
}

impl Images for Sample {
    fn resolve(&self, dependency: &Dependency) -> Result<Digest> {
        Ok(id(dependency.image_name.as_str()))
    }

    fn manifest(&self, wanted: &Digest) -> Result<ImageManifest> {
        let Some((name, needs, list)) = self.0.iter().find(|(name, ..)| id(name) == *wanted) else {
            return Err(Error::new(Kind::NotFound, "such image not found"));
        };
        let needs: Vec<String> = needs
            .iter()
            .map(|name| format!(r#"{{"imageName":"{name}"}}"#))
            .collect();
        let text = format!(
            r#"{{"acKind":"ImageManifest","acVersion":"0.8.11","name":"{name}","labels":[{{"name":"version","value":"1"}}],"dependencies":[{}],"pathWhitelist":{list:?}}}"#,
            needs.join(",")
        );
        Ok(ImageManifest::parse(text.as_bytes()).unwrap().value)
    }
}

impl Sample {
    fn name(&self, wanted: &Digest) -> &str {
        let found = self.0.iter().find(|(name, ..)| id(name) == *wanted);
        &found.unwrap().0
    }

    /// The names of the layers of `a`, lowest first.
    fn order(&self) -> String {
        let layers = layers(&id("a"), self).unwrap();
        let names: Vec<&str> = layers.iter().map(|layer| self.name(&layer.image)).collect();
        names.join(" ")
    }

    /// The given paths that the first layer of an image keeps.
    fn files(&self, name: &str, paths: &[&'static str]) -> Vec<&'static str> {
        let layers = layers(&id("a"), self).unwrap();
        let layer = layers.iter().find(|layer| layer.image == id(name)).unwrap();
        let kept = paths.iter().filter(|path| layer.keep.keeps(path, false));
        kept.copied().collect()
    }
}

fn refused(images: &Sample) -> String {
    layers(&id("a"), images).unwrap_err().to_string()
}

#[test]
fn circular_dependencies_are_refused() {
    assert_eq!(
        refused(&sample("a:a", &[])),
        "an image depends on itself: `a` needs `a`"
    );
    assert_eq!(
        refused(&sample("a:b b:d,c c:b d:", &[])),
        "an image depends on itself: `b` needs `c` needs `b`"
    );
}

/// A chain of images, each of which depends on the next this many times.
fn chain(length: usize, times: usize) -> Sample {
    let name = |number: usize| match number {
        0 => "a".to_owned(),
        _ => format!("x{number}"),
    };
    let images = (0..length).map(|number| {
        let last = number + 1 == length;
        let needs = if last {
            Vec::new()
        } else {
            vec![name(number + 1); times]
        };
        (name(number), needs, Vec::new())
    });
    Sample(images.collect())
}

#[test]
fn trees_that_are_too_deep_or_too_wide_are_refused() {
    let whole = layers(&id("a"), &chain(MAX_VISITS, 1)).unwrap();
    assert_eq!(whole.len(), MAX_VISITS);
    assert_eq!(
        refused(&chain(MAX_VISITS + 1, 1)),
        "the image has more than 256 dependencies, including repeated ones"
    );
    // 2^24 visits, if nobody counted.
    assert_eq!(
        refused(&chain(25, 2)),
        "the image has more than 256 dependencies, including repeated ones"
    );
}

#[test]
fn missing_images_are_errors() {
    assert_eq!(refused(&sample("a:b", &[])), "such image not found");
}

/// Resolves every dependency to the image `b`.
struct Deaf(Sample, &'static str);

impl Images for Deaf {
    fn resolve(&self, _: &Dependency) -> Result<Digest> {
        Ok(id("b"))
    }

    fn manifest(&self, wanted: &Digest) -> Result<ImageManifest> {
        let mut manifest = self.0.manifest(wanted)?;
        if *wanted == id("a") {
            let text = manifest.to_json().to_string();
            let text = text.replace(r#"{"imageName":"b"}"#, self.1);
            manifest = ImageManifest::parse(text.as_bytes()).unwrap().value;
        }
        Ok(manifest)
    }
}

#[test]
fn mismatched_images_are_refused() {
    for (asked, why) in [
        (
            r#"{"imageName":"c"}"#,
            "image `a` needs `c`, but image `SHORT` is `b`",
        ),
        (
            r#"{"imageName":"b","labels":[{"name":"version","value":"2"}]}"#,
            "image `a` needs `b` with label `version` `2`, but image `SHORT` has `1`",
        ),
        (
            r#"{"imageName":"b","labels":[{"name":"os","value":"linux"}]}"#,
            "image `a` needs `b` with label `os` `linux`, but image `SHORT` does not have that label",
        ),
    ] {
        let images = Deaf(sample("a:b b:", &[]), asked);
        let error = layers(&id("a"), &images).unwrap_err().to_string();
        assert_eq!(error, why.replace("SHORT", &id("b").short()));
    }
}

#[test]
fn an_id_selects_the_image_and_the_name_is_still_checked() {
    let asked = format!(r#"{{"imageName":"b","imageID":"{}"}}"#, id("c"));
    let images = Deaf(sample("a:b b: c:", &[]), asked.leak());
    let error = layers(&id("a"), &images).unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "image `a` needs `b`, but image `{}` is `c`",
            id("c").short()
        )
    );
}

#[test]
fn dependencies_come_before_what_needs_them() {
    for (needs, expected) in [
        ("a:", "a"),
        ("a:b b:", "b a"),
        ("a:b,c b: c:d d:", "b d c a"),
        ("a:c,b b: c:d d:", "d c b a"),
        // The first d of the diamond `d b d c a` adds nothing.
        ("a:b,c b:d c:d d:", "b d c a"),
        ("a:b,b b:", "b a"),
    ] {
        assert_eq!(sample(needs, &[]).order(), expected);
    }
}

#[test]
fn a_repeated_image_stays_where_a_later_one_has_less() {
    // The d of c keeps only x, so the d of b is not redundant.
    assert_eq!(
        sample("a:b,c b:d c:d d:", &[("c", &["/x"])]).order(),
        "d b d c a"
    );
    // The other way round it is.
    assert_eq!(
        sample("a:b,c b:d c:d d:", &[("b", &["/x"])]).order(),
        "b d c a"
    );
}

#[test]
fn a_list_filters_its_image_and_everything_below() {
    let all = ["x", "y", "z"];
    let images = sample("a:b b:c c:", &[("a", &["/x", "/y/"])]);
    for name in ["a", "b", "c"] {
        assert_eq!(images.files(name, &all), ["x", "y"], "{name}");
    }
    let images = sample("a:b b:c c:", &[("c", &["x"])]);
    assert_eq!(images.files("a", &all), all);
    assert_eq!(images.files("b", &all), all);
    assert_eq!(images.files("c", &all), ["x"]);
}

#[test]
fn only_the_lists_on_the_branch_filter() {
    let all = ["x", "y", "z"];
    let images = sample("a:b b:c c:", &[("a", &["/x", "/y"]), ("b", &["/x", "/z"])]);
    assert_eq!(images.files("b", &all), ["x"]);
    assert_eq!(images.files("c", &all), ["x"]);
    // The list of c does not affect its sibling b.
    let images = sample("a:b,c b: c:d d:", &[("c", &["/x"])]);
    assert_eq!(images.files("b", &all), all);
    assert_eq!(images.files("d", &all), ["x"]);
}

#[test]
fn each_branch_has_its_own_lists() {
    let images = sample("a:b,c b:d c:d d:", &[("b", &["/x"]), ("c", &["/y"])]);
    let layers = layers(&id("a"), &images).unwrap();
    let of_d: Vec<[bool; 2]> = layers
        .iter()
        .filter(|layer| layer.image == id("d"))
        .map(|layer| [layer.keep.keeps("x", false), layer.keep.keeps("y", false)])
        .collect();
    assert_eq!(of_d, [[true, false], [false, true]]);
}

#[test]
fn an_images_own_list_keeps_its_directories() {
    let images = sample("a:b b:", &[("a", &["/d", "/q/../z"])]);
    let layers = layers(&id("a"), &images).unwrap();
    let [b, a] = &layers[..] else {
        panic!("there are two");
    };
    assert!(a.keep.keeps("e", true) && !a.keep.keeps("e", false));
    assert!(b.keep.keeps("d", true) && b.keep.keeps("z", true));
    assert!(!b.keep.keeps("e", true) && !b.keep.keeps("d/below", true));
    // Listing a directory does not keep what is in it.
    assert!(!a.keep.keeps("d/file", false));
    assert!(b.keep.keeps("", true) && a.keep.keeps("", true));
}
