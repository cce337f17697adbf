//! Images that are asked for by their IDs: nobody else has to vouch for them.

use super::transfer::{IMAGE, archive};
use super::*;

impl Site {
    /// The ID of an image, from a store of its own.
    fn id(&self, content: &str) -> String {
        let file = self.scratch.write("own.aci", archive(content));
        let ran = launcher(&self.scratch.join("own")).args(["fetch", "--full"]);
        ran.arg(file).run().exits(0).stdout.trim_end().to_owned()
    }
}

#[test]
fn an_id_stands_for_the_signature_of_what_a_url_or_a_name_leads_to() {
    let site = site!("simple");
    site.put("a");
    let id = site.id("a");
    let pinned = format!("{IMAGE}@{id}");
    let ran = site.launcher(&["fetch", "--full", &pinned]).run().exits(0);
    assert_eq!(ran.stdout.trim_end(), id);
    // From now on no server is needed.
    let plan = launcher(&site.dir()).args(["plan", &pinned]).run();
    plan.exits(0);
    launcher(&site.dir())
        .args(["fetch", &pinned])
        .run()
        .exits(0);
    // Nobody has said that it is what its own name says.
    let record = site.dir().join("images").join(&id).join("record");
    let record = fs::read_to_string(record).unwrap();
    assert!(record.contains("the operator, by ID"), "{record}");
    let named = ["fetch", "--pull-policy=never", "example.com/sample"];
    launcher(&site.dir()).args(named).run().exits(1);
}

#[test]
fn an_id_that_is_not_that_of_the_image_is_not_stored() {
    let site = site!("simple");
    site.put("a");
    let other = site.id("b");
    let ran = site.launcher(&["fetch", &format!("{IMAGE}@{other}")]).run();
    ran.exits(1)
        .naming("IS", &site.id("a")[..39])
        .naming("ASKED", &other[..39])
        .at_last()
        .complains_as("an image with another ID than the asked one");
    site.is_empty();
}

#[test]
fn a_name_with_an_id_is_discovered_without_a_key() {
    let site = site!("simple");
    // The ID, from a host that waives the signature.
    let waived = [
        "fetch",
        "--full",
        "--no-deps",
        "--insecure-options=image",
        TEST,
    ];
    let ran = site.launcher(&waived).run().exits(0);
    let id = ran.stdout.trim_end().to_owned();
    fs::remove_dir_all(site.dir()).unwrap();
    let pinned = format!("{TEST}@{id}");
    let fetch = ["fetch", "--full", "--no-deps", &*pinned];
    let ran = site.launcher(&fetch).run().exits(0);
    assert_eq!(ran.stdout.trim_end(), id);
    // The name is no other one for what has the ID.
    let other = format!("nosecone.net/example/base@{id}");
    site.launcher(&["fetch", "--no-deps", &other])
        .run()
        .exits(1);
    assert_eq!(site.images(), 1);
}
