//! Images of many layers: those that registries take are mounted as they are.

use super::{Layout, base};
use crate::aci::Aci;
use crate::host::{self, names};
use crate::life::until;

/// An image of this many layers, each of which adds a file and takes away the one
/// before.
fn layout(count: usize) -> (Layout, String) {
    let mut layout = Layout::new();
    let mut layers = vec![layout.layer(base())];
    for number in 1..count {
        let aci = Aci::empty()
            .dir("n")
            .file(&format!("n/{number}"), 0o644, "x");
        let aci = match number {
            1 => aci,
            number => aci.file(&format!("n/.wh.{}", number - 1), 0o644, ""),
        };
        layers.push(layout.layer(aci));
    }
    let id = layout.image("many", r#"{"Entrypoint":["/bin/probe"]}"#, &layers);
    (layout, id)
}

const LIST: [&str; 2] = ["--list", "/n"];

#[test]
fn more_layers_than_an_overlay_takes_are_merged_and_that_is_said() {
    let (layout, id) = layout(130);
    layout.fetch("many");
    let run = || layout.run("many", &LIST).run().exits(0).says("129\n");
    let shown = &id[.."sha256-".len() + 32];
    run()
        .naming("ID", shown)
        .complains_as("more layers than an overlay takes");
    // Once.
    run().complains("");
    layout.launch(&["image", "verify"]).run().exits(0);
}

#[test]
fn a_hundred_and_twenty_seven_layers_are_mounted_without_a_copy() {
    require_root!();
    let (layout, _) = layout(127);
    layout.fetch("many");
    let plan = layout.launch(&["plan", &layout.reference("many")]).run();
    let plan = plan.exits(0).complains("").stdout;
    let links = plan.lines().filter(|line| line.starts_with("symlink "));
    let links = links.filter(|line| line.contains("/layers/sha256-"));
    assert_eq!(links.count(), 127, "{plan}");
    layout
        .run("many", &LIST)
        .run()
        .exits(0)
        .says("126\n")
        .complains("");
    assert_eq!(names(&layout.dir().join("layers")).len(), 127);
    assert_eq!(names(&layout.dir().join("scratch")), [""; 0]);
    // The plan is a whole one.
    let file = layout.scratch.write("plan", plan);
    let written = layout.launch(&["run", "--plan"]).arg(file).run();
    written.exits(0);
    // However long the path of the data directory is.
    let far = layout.scratch.join(&"far/".repeat(80));
    let image = layout.reference("many");
    let call = host::launcher(&far).args(["run", &image, "--"]).args(LIST);
    let ran = call.run().exits(0).says("126\n");
    assert!(!ran.stderr.contains("copied"), "{}", ran.stderr);
}

#[test]
fn two_apps_of_many_layers_are_in_one_pod() {
    require_root!();
    let (layout, _) = layout(127);
    let image = layout.reference("many");
    let app = |name| [&[&*image, "--name", name, "--"], &LIST[..]].concat();
    let words = [app("one"), vec!["---"], app("two")].concat();
    let ran = layout.launch(&["run"]).args(words).run().exits(0);
    assert_eq!(ran.stdout.matches("126").count(), 2, "{}", ran.stdout);
}

#[test]
fn a_pod_of_many_layers_is_entered_copied_from_exported_and_compared() {
    require_root!();
    let (layout, _) = layout(127);
    let run = |words: &[&str]| layout.launch(words).run().exits(0);
    let image = layout.reference("many");
    let pod = ["run", "--detach", "--keep", "--name", "it", &*image, "--"];
    let uuid = run(&[&pod[..], &["--trap-exit", "15", "0"]].concat()).stdout;
    until("it waits", || run(&["logs", "it"]).stdout == "waiting\n");
    let entered = run(&["enter", "it", "/bin/probe", "--list", "/n"]);
    entered.says("126\n");
    run(&["enter", "it", "/bin/probe", "--write-file", "/n/own", "x"]);
    let target = layout.scratch.path().to_str().unwrap();
    let look = |copied: &str| {
        run(&["diff", "it"]).says("A /n/own\n");
        run(&["cp", &format!("it:/n/{copied}"), target]);
        assert!(layout.scratch.join(copied).is_file());
    };
    look("126");
    run(&["stop", "it"]);
    run(&["wait", "it"]);
    look("own");
    if let Some(strace) = host::find_tool("strace") {
        let old = "inject=fsconfig:error=EINVAL";
        let call = host::call(&strace).args(["-qq", "-o", "/dev/null", "-e", old]);
        let call = call.arg(host::program()).arg("--dir").arg(layout.dir());
        let ran = call.args(["cp", "it:/n/own", target]).run().exits(1);
        let ran = ran.naming("UUID", uuid.trim_end());
        ran.complains_as("so many layers on an older kernel");
    }
    run(&["cp", &layout.path().display().to_string(), "it:/n/app"]);
    let file = layout.scratch.join("out.aci");
    run(&["export", "it", file.to_str().unwrap()]);
    let list = host::call("tar".as_ref()).arg("-tf").arg(&file).run();
    let list = list.exits(0).stdout;
    let below = list.lines().filter_map(|line| line.split_once("/n/"));
    let mut below: Vec<_> = below.map(|(_, name)| name).collect();
    below.retain(|name| !name.contains("app/"));
    below.sort_unstable();
    assert_eq!(below, ["", "126", "own"]);
    run(&["rm", "it"]);
}
