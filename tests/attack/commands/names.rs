//! What images are taken for.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::case;
use crate::aci::{self, Aci};
use crate::discovery::Site;
use crate::golden::{Cases, line};
use crate::host::{self, Scratch, launcher, names};

/// An archive that says it is an image of somebody else's name.
fn pretender(scratch: &Scratch) -> PathBuf {
    let manifest = aci::running(&["/bin/x"]).replace("example.com/sample", NAME);
    scratch.write("evil.aci", Aci::new(&manifest).bytes())
}

const NAME: &str = "nosecone.net/example/test";

/// Anything can stand in a manifest. Who has run an archive from somewhere once
/// has not thereby said that it is what its manifest calls it (CWE-345).
#[test]
fn an_archive_does_not_answer_to_a_name_that_only_it_claims() {
    require_root!();
    case(
        "H12d",
        "an archive does not answer to a name that only it claims",
        || {
            let scratch = Scratch::new();
            let dir = scratch.join("dir");
            let evil = pretender(&scratch);
            let run = |words: &[&str]| launcher(&dir).args(words).run();
            let evil = evil.to_str().unwrap();
            let id = run(&["fetch", "--full", evil]).exits(0).stdout;
            let id = id.trim_end();
            let top = aci::running(&["/bin/x"]).replace(
                "\"app\"",
                &format!("\"dependencies\": [{{\"imageName\": \"{NAME}\"}}], \"app\""),
            );
            let top = scratch.write("top.aci", Aci::new(&top).bytes());
            let pod = format!(
                r#"{{"acKind":"PodManifest","acVersion":"0.8.11","apps":[
                {{"name":"x","image":{{"name":"{NAME}"}}}}]}}"#
            );
            let pod = scratch.write("pod.json", pod);
            let (top, pod) = (top.to_str().unwrap(), pod.to_str().unwrap());
            let mut cases = Cases::default();
            for words in [
                &["fetch", "--pull-policy=never", NAME][..],
                &["run", "--pull-policy=never", NAME],
                &["prepare", "--pull-policy=never", NAME],
                &["plan", NAME],
                &["run", "--pull-policy=never", top],
                &["fetch", "--pull-policy=never", top],
                &["prepare", "--pod-manifest", pod],
                &["plan", "--pod-manifest", pod],
            ] {
                let ran = run(words);
                assert!(matches!(ran.exited(), Some(1 | 125)), "{words:?}: {ran:?}");
                let told = ran
                    .naming("EVIL", evil)
                    .naming("ID", id)
                    .naming("SHORT-ID", &id[.."sha512-".len() + 32])
                    .naming("TOP", top)
                    .naming("POD", pod)
                    .told();
                let line = line(words).replace(top, "TOP").replace(pod, "POD");
                cases.add(line, &told);
            }
            cases.as_written("a name that nobody vouches for");
            // The operator may say so: of this very image, of all, or once and for all.
            run(&["plan", id]).exits(0);
            run(&["plan", "--insecure-options=image", NAME]).exits(0);
            run(&["plan", "--insecure-options=image", "--pod-manifest", pod]).exits(0);
            run(&[
                "fetch",
                "--pull-policy=never",
                "--insecure-options=image",
                NAME,
            ])
            .exits(0);
            run(&[
                "fetch",
                "--pull-policy=never",
                "--insecure-options=image",
                top,
            ])
            .exits(0);
            run(&["plan", NAME]).exits(1);
            let provided = scratch.join("provided/nosecone.net/example");
            fs::create_dir_all(&provided).unwrap();
            let arch = std::env::consts::ARCH.replace("x86_64", "amd64");
            fs::copy(evil, provided.join(format!("test-1.0.0-linux-{arch}.aci"))).unwrap();
            let provided = format!("--image-dir={}", scratch.join("provided").display());
            run(&["fetch", "--pull-policy=never", &provided, NAME]).exits(0);
            run(&["plan", NAME]).exits(0);
        },
    );
}

/// An image ID is of what is in an image, an image name what its maker says: an
/// image can be called like the beginning of an ID.
#[test]
fn an_image_that_is_called_like_an_id_is_not_taken_for_the_one_with_that_id() {
    require_root!();
    case("H12e", "no name is taken for an ID", || {
        let scratch = Scratch::new();
        let dir = scratch.join("dir");
        let name = format!("sha512-{}", "0".repeat(32));
        let manifest = aci::running(&["/bin/x"]).replace("example.com/sample", &name);
        let evil = scratch.write("evil.aci", Aci::new(&manifest).bytes());
        launcher(&dir).arg("fetch").arg(evil).run().exits(0);
        for verb in ["fetch", "plan", "run", "prepare"] {
            let ran = launcher(&dir).args([verb, &name]).run();
            ran.complains_as("an image that is called like an ID");
        }
    });
}

/// What was taken without a check once is not what a later command finds that
/// wants it checked: who gives an option for one command gives it for no other.
#[test]
fn an_image_that_was_fetched_unchecked_satisfies_no_command_that_checks() {
    require_root!();
    if !host::images().join("site").exists() {
        skip!("needs the site; `cargo xtask images` says why it is not there");
    }
    case("H12b", "a waived check is waived for one command", || {
        let site = Site::new("simple");
        let waived = "--insecure-options=image";
        site.launcher(&["fetch", "--no-deps", waived, NAME])
            .run()
            .exits(0);
        let refuses = |site: &Site, words: &[&str], title: &str| {
            let ran = site.launcher(words).run();
            assert!(matches!(ran.exited(), Some(1 | 125)), "{words:?}: {ran:?}");
            let id = names(&site.dir().join("images"));
            let ran = ran.at_last().naming("KEY", site.key());
            let ran = ran.naming("URL", recorded(&site.dir()));
            ran.naming("ID", &id[0][..39]).complains_as(title);
        };
        let url = launcher(&site.dir()).args(["image", "list", "--format=json"]);
        assert!(url.run().exits(0).stdout.contains(NAME));
        let url = recorded(&site.dir());
        let bad = "a signature by a key that is not trusted";
        refuses(&site, &["fetch", "--no-deps", NAME], bad);
        refuses(
            &site,
            &["fetch", "--no-deps", "--pull-policy=new", NAME],
            bad,
        );
        refuses(&site, &["run", NAME], bad);
        refuses(
            &site,
            &["fetch", "--no-deps", "--pull-policy=new", &url],
            bad,
        );
        let doubt = "a name that nobody vouches for here";
        refuses(&site, &["run", "--pull-policy=never", NAME], doubt);
        let never = ["fetch", "--no-deps", "--pull-policy=never"];
        refuses(
            &site,
            &[&never[..], &[&url]].concat(),
            "an address that nobody vouches for",
        );
        site.launcher(&[&never[..], &[waived, NAME]].concat())
            .run()
            .exits(0);
        site.launcher(&[&never[..], &[waived, &url]].concat())
            .run()
            .exits(0);
        // When it is checked, its record says so, and it is checked no more.
        let site = site.trusting("nosecone.net");
        refuses(&site, &["run", "--pull-policy=never", NAME], doubt);
        site.launcher(&["fetch", "--no-deps", NAME]).run().exits(0);
        site.launcher(&[&never[..], &[NAME]].concat())
            .run()
            .exits(0);
        site.launcher(&[&never[..], &[&url]].concat())
            .run()
            .exits(0);
    });
}

/// Where the only image came from.
fn recorded(dir: &Path) -> String {
    let images = dir.join("images");
    let record = images.join(&names(&images)[0]).join("record");
    let text = fs::read_to_string(record).unwrap();
    let (_, from) = text.split_once("\"from\": \"").unwrap();
    from.split('"').next().unwrap().to_owned()
}
