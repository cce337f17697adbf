//! What a store with many images and pods costs: `cargo xtask bench list` lists
//! them, and `bench start --growth` runs another pod beside them.

use std::path::PathBuf;

use super::measure::{Bench, table};
use super::run::{Ground, pack};
use crate::aci::{Node, Tree};
use crate::cmd::{Result, cmd, say, show};

/// How many images, and how many pods.
const MANY: usize = 1000;

/// Lists all pods and all images of a store that has many.
pub(crate) fn list(rounds: usize) -> Result<()> {
    let mut ground = Ground::new(Bench::new("list", rounds)?)?;
    fill(&mut ground, MANY)?;
    let contenders = vec![
        ground.ours("launcher list", &["list"]),
        ground.ours("launcher image list", &["image", "list"]),
        ground.ours("launcher version", &["version"]),
    ];
    let measured = ground.bench.measure(contenders)?;
    let title = format!("{MANY} pods, half of them prepared, and {MANY} images are listed");
    table(&title, &measured, &[]);
    for contender in &measured[..2] {
        if let Some(calls) = contender.calls {
            let each = calls / MANY as u64;
            show(&format!("{}: {each} system calls each\n", contender.name));
        }
    }
    Ok(())
}

/// Runs a pod of a cached image beside no others and, if it is growth that
/// counts, beside many.
pub(crate) fn start(rounds: usize, growth: bool) -> Result<()> {
    let sizes: &[usize] = if growth { &[1, 100, MANY] } else { &[1] };
    let mut ground = Ground::new(Bench::new("start", rounds)?)?;
    let mut contenders = Vec::new();
    for &size in sizes {
        ground.store = ground.bench.dir.join(format!("store-{size}"));
        let id = fill(&mut ground, size)?;
        let image = ground.image.to_string_lossy();
        let ours = |what: &str, words: &[&str]| {
            ground.ours(&format!("{what}, {size} images and pods"), words)
        };
        contenders.push(ours("FILE", &["run", &image]));
        let name = "nosecone.net/example/bench-0";
        contenders.push(ours("NAME", &["run", "--insecure-options=image", name]));
        contenders.push(ours("ID", &["run", &id]));
    }
    let first = contenders.first().map(|first| first.name.clone());
    let measured = ground.bench.measure(contenders)?;
    let title = "An image is run by file, name and ID in stores that hold more and more";
    table(title, &measured, &[&first.unwrap_or_default()]);
    Ok(())
}

/// Stores so many images, and makes so many pods: half of them are prepared,
/// and half have exited. Returns the ID of the first image, which is the
/// ground's from now on.
fn fill(ground: &mut Ground, number: usize) -> Result<String> {
    say(&format!(
        "storing {number} images, and making {number} pods"
    ));
    let launcher = || {
        let launcher = cmd(&ground.launcher).arg("--dir").arg(&ground.store);
        launcher.quiet()
    };
    let exits = std::fs::read(ground.bench.dir.join("true"));
    let exits = exits.map_err(|error| format!("cannot read the program: {error}"))?;
    let mut tree = Tree::default();
    tree.program("bin/exits", exits);
    // Its working directory.
    tree.put("root", Node::Dir { mode: 0o700 });
    let images = (0..number).map(|at| pack(&ground.bench.dir, &format!("bench-{at}"), &tree));
    let images: Vec<PathBuf> = images.collect::<Result<_>>()?;
    let ids = launcher().arg("fetch").args(&images).discard().read()?;
    for at in 0..number {
        let pod = match at % 2 {
            0 => launcher().arg("prepare"),
            _ => launcher().args(["run", "--keep"]),
        };
        pod.arg(&images[at / 2]).read()?;
    }
    if let Some(first) = images.into_iter().next() {
        ground.image = first;
    }
    Ok(ids.lines().next().unwrap_or_default().to_owned())
}
