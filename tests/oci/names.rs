//! Images under several names, what is known of them, and which of them stay.

use std::fs;

use super::{Layout, base};
use crate::aci::Aci;
use crate::host::{Ran, names};

/// A layout with images that share a layer and have one of their own each, all of
/// which are stored, in this order.
fn stored(tags: &[&str]) -> (Layout, Vec<String>) {
    let mut layout = Layout::new();
    let shared = layout.layer(base());
    let mut ids = Vec::new();
    for tag in tags {
        let own = Aci::empty().dir("etc").file("etc/name", 0o644, tag);
        let own = layout.layer(own.file(&format!("only-{tag}"), 0o644, vec![b'x'; 100_000]));
        let run = r#"{"Cmd":["/bin/probe","--stdout","x"]}"#;
        ids.push(layout.image(tag, run, &[shared.clone(), own]));
        layout.fetch(tag);
    }
    (layout, ids)
}

impl Layout {
    fn image_verb(&self, words: &[&str]) -> Ran {
        self.launch(&["image"]).args(words).run()
    }

    /// The names that are listed of an image, sorted.
    fn listed(&self) -> Vec<String> {
        let list = self.image_verb(&["list", "--fields=name", "--no-legend"]);
        let list = list.exits(0).stdout;
        let mut lines: Vec<String> = list.lines().map(|line| line.trim().to_owned()).collect();
        lines.sort();
        lines
    }
}

#[test]
fn a_name_is_no_image_of_its_own() {
    let (layout, ids) = stored(&["one", "two"]);
    let upper = layout.image_verb(&["tag", &ids[0], "Upper"]);
    upper.exits(2).complains_as("a name that is none");
    let whole = format!("app@sha256:{}", "0c".repeat(32));
    let ran = layout.image_verb(&["tag", &ids[0], &whole]).exits(1);
    let ran = ran.naming("ID", &ids[0][..39]);
    ran.complains_as("a name with a digest");
    let tag = |id: &str, name: &str| layout.image_verb(&["tag", id, name]).exits(0).says("");
    tag("app:one", "web");
    tag(&ids[0], "localhost:5000/web:1");
    let one = [
        "app:one",
        "docker.io/library/web:latest",
        "localhost:5000/web:1",
    ];
    assert_eq!(layout.listed(), [one[0], "app:two", one[1], one[2]]);
    let inspect = layout.image_verb(&["inspect", "web"]).exits(0).stdout;
    for part in one
        .iter()
        .chain([&&*ids[0], &"\"manifests\"", &"\"accepted_by\""])
    {
        assert!(inspect.contains(part), "{part}: {inspect}");
    }
    // Another image takes a name.
    tag("app:two", "web");
    let rm = |name: &str| layout.image_verb(&["rm", name]).exits(0).stdout;
    assert_eq!(
        rm("localhost:5000/web:1"),
        "untagged localhost:5000/web:1\n"
    );
    assert_eq!(layout.listed(), ["app:one", "app:two", one[1]]);
    // The last name goes with the image.
    assert_eq!(rm("app:one"), format!("removed {}\n", ids[0]));
    assert_eq!(rm("web"), "untagged web\n");
    assert_eq!(layout.listed(), ["app:two"]);
    assert_eq!(names(&layout.dir().join("images")).len(), 1);
    tag(&ids[1], "web");
    assert_eq!(rm(&ids[1]), format!("removed {}\n", ids[1]));
    assert_eq!(layout.listed(), [""; 0]);
}

#[test]
fn an_image_is_run_under_the_name_that_it_was_given() {
    require_root!();
    let (layout, ids) = stored(&["one"]);
    layout.image_verb(&["tag", &ids[0], "web:1"]).exits(0);
    let run = layout.launch(&["run", "--net=none", "--pull-policy=never", "web:1"]);
    run.run().exits(0).says("x\n");
}

#[test]
fn images_differ_in_what_is_added_changed_and_deleted() {
    let (layout, _) = stored(&["one", "two"]);
    let same = layout.image_verb(&["diff", "app:one", "app:one"]);
    same.exits(0).says("");
    let diff = layout.image_verb(&["diff", "app:one", "app:two"]);
    diff.exits(0)
        .says("C /etc/name\nD /only-one\nA /only-two\n");
}

#[test]
fn the_history_of_an_image_is_what_it_says_of_itself() {
    let mut layout = Layout::new();
    let layer = layout.layer(base());
    let run = r#"{"Cmd":["/bin/probe"]},"history":[{"created":"2024-01-02T03:04:05Z","created_by":"COPY \u001b[31m probe"},{"created_by":"CMD","empty_layer":true}]"#;
    layout.image("it", run, &[layer]);
    layout.fetch("it");
    let history = layout.image_verb(&["history", "app:it"]).exits(0).stdout;
    let lines: Vec<&str> = history.lines().collect();
    assert_eq!(lines.len(), 3, "{history}");
    assert!(
        lines[1].contains("-") && lines[1].ends_with("CMD"),
        "{history}"
    );
    assert!(
        lines[2].contains("days ago") && lines[2].contains("iB"),
        "{history}"
    );
    assert!(!history.contains('\u{1b}'), "{history}");
    let json = layout.image_verb(&["history", "--format=json", "app:it"]);
    let json = json.exits(0).stdout;
    assert!(
        json.starts_with(r#"[{"created_by":"CMD","empty_layer":true}"#),
        "{json}"
    );
}

#[test]
fn the_latest_images_of_a_name_stay_and_what_is_used_does() {
    require_root!();
    let (layout, ids) = stored(&["one", "two", "three", "four"]);
    // They are stored within a second, so this says which came first.
    for (number, id) in ids.iter().enumerate() {
        let record = layout.dir().join("images").join(id).join("record");
        let text = fs::read_to_string(&record).unwrap();
        let at = text.find("\"stored\"").unwrap();
        let (before, after) = text.split_at(at);
        let end = after.find(['\n', ',', '}']).unwrap();
        let text = format!("{before}\"stored\": {}{}", 1000 + number, &after[end..]);
        fs::write(&record, text).unwrap();
    }
    layout
        .image_verb(&["prune"])
        .exits(2)
        .complains_as("nothing to prune by");
    let pod = layout.launch(&["prepare", "--net=none", &ids[0]]);
    pod.run().exits(0);
    let dry = layout.image_verb(&["prune", "--keep-last=2", "--dry-run"]);
    dry.exits(0).says(&format!("would remove {}\n", ids[1]));
    let left = || {
        let mut left = names(&layout.dir().join("images"));
        left.sort();
        left
    };
    let sorted = |mut ids: Vec<String>| {
        ids.sort();
        ids
    };
    assert_eq!(left(), sorted(ids.clone()));
    let prune = layout.image_verb(&["prune", "--keep-last=2"]);
    prune.exits(0).says(&format!("removed {}\n", ids[1]));
    assert_eq!(left(), sorted([&ids[..1], &ids[2..]].concat()));
    // The oldest that is not used goes, until the others fit.
    let df = layout.image_verb(&["df", "--format=json"]).exits(0).stdout;
    let sum = df.split("\"images\":").nth(1).unwrap();
    let sum: u64 = sum.split([',', '}']).next().unwrap().parse().unwrap();
    let most = format!("--max-size={}", sum - 1);
    let prune = layout.image_verb(&["prune", &most]);
    prune.exits(0).says(&format!("removed {}\n", ids[2]));
    let prune = layout.image_verb(&["prune", "--max-size=0"]).exits(0);
    assert_eq!(prune.stdout, format!("removed {}\n", ids[3]));
    assert!(prune.stderr.contains("in use"), "{}", prune.stderr);
    assert_eq!(left(), [ids[0].clone()]);
}

#[test]
fn the_room_of_what_images_share_counts_once() {
    let (layout, _) = stored(&["one", "two"]);
    let df = layout.image_verb(&["df"]).exits(0).stdout;
    let lines: Vec<&str> = df.lines().collect();
    for line in &lines[1..3] {
        assert!(line.contains("app:"), "{df}");
    }
    let json = layout.image_verb(&["df", "--format=json"]).exits(0).stdout;
    let number = |name: &str, from: &str| -> u64 {
        let rest = from.split(&format!("\"{name}\":")).nth(1).unwrap();
        rest.split([',', '}']).next().unwrap().parse().unwrap()
    };
    let each: Vec<&str> = json.split("{\"id\":").skip(1).collect();
    let [one, two] = &each[..] else {
        panic!("{json}");
    };
    let shared = number("shared", one);
    assert!(shared > 0, "{json}");
    assert_eq!(shared, number("shared", two));
    let all = number("unique", one) + number("unique", two) + shared;
    assert_eq!(number("images", &json), all, "{json}");
}

#[test]
fn a_layer_that_has_changed_is_fetched_again_and_nothing_else_is() {
    let (layout, _) = stored(&["one"]);
    let layers = layout.dir().join("layers");
    let all = names(&layers);
    let own = all
        .iter()
        .find(|name| layers.join(name).join("rootfs/only-one").exists());
    let own = own.unwrap().clone();
    fs::write(layers.join(&own).join("rootfs/only-one"), "other").unwrap();
    let inode = |name: &str| {
        use std::os::unix::fs::MetadataExt as _;
        layers.join(name).join("record").metadata().unwrap().ino()
    };
    let before: Vec<_> = all.iter().map(|name| inode(name)).collect();
    // While it is open, no other file has its number.
    let _open = fs::File::open(layers.join(&own).join("record")).unwrap();
    layout.image_verb(&["verify"]).exits(1);
    let verify = layout
        .image_verb(&["verify", "--remove-changed"])
        .exits(1)
        .stdout;
    let line = format!("{own} NOT OK: removed, and fetched again with the image\n");
    assert!(verify.ends_with(&line), "{verify}");
    assert_eq!(names(&layers).len(), all.len() - 1);
    // What is stored is not read: it could not be.
    let shared = all.iter().find(|name| **name != own).unwrap();
    fs::remove_file(layout.blob_path(&shared.replace('-', ":"))).unwrap();
    layout.fetch("one");
    layout.image_verb(&["verify"]).exits(0);
    let after: Vec<_> = all.iter().map(|name| inode(name)).collect();
    for (number, name) in all.iter().enumerate() {
        assert_eq!(before[number] == after[number], *name != own, "{name}");
    }
}
