//! Weighs stage1-init: on disk, and in memory while an app sleeps.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::cmd::{Result, cmd, failed, images_dir, is_root, say, show, target_dir};
use crate::{build, images};

/// Most bytes of the stripped program. A pod on a host with little flash and
/// memory pays for every page of it.
const DISK_BUDGET: u64 = 48 << 10;

/// Most resident bytes of each of its processes, two a pod.
const MEMORY_BUDGET: u64 = 64 << 10;

/// How long a pod may take to come up before something is wrong with it.
const PATIENCE: Duration = Duration::from_secs(20);

/// `cargo xtask size`.
pub(crate) fn task() -> Result<()> {
    let built = build::release()?;
    images::programs(&images_dir())?;
    size(&built)
}

/// Weighs what was built, and fails if a budget is exceeded.
pub(crate) fn size(built: &build::Built) -> Result<()> {
    let mut rows = vec![disk("stage1-init on disk", &built.stage1)];
    if is_root() {
        for (number, bytes) in (1..).zip(resident(built)?) {
            let what = format!("stage1-init resident, {number}");
            rows.push(row(&what, bytes, MEMORY_BUDGET));
        }
    } else {
        say("skipped: resident memory (running a pod needs root)");
    }
    let over: Vec<_> = rows.into_iter().filter_map(Result::err).collect();
    if over.is_empty() {
        Ok(())
    } else {
        Err(over.join("; "))
    }
}

/// Weighs the file of a stage1-init.
pub(crate) fn disk(what: &str, program: &Path) -> Result<()> {
    let file = fs::metadata(program).map_err(failed("look at", program))?;
    row(what, file.len(), DISK_BUDGET)
}

fn row(what: &str, bytes: u64, budget: u64) -> Result<()> {
    show(&format!("{what:<28} {bytes:>7} of {budget:>6} bytes\n"));
    if bytes > budget {
        return Err(format!(
            "{what} is {} bytes over its budget",
            bytes - budget
        ));
    }
    Ok(())
}

/// How many pods are weighed. The kernel puts the stack at another place each
/// time, and so a page or two more or less of it are in memory: the median counts.
const PODS: usize = 9;

/// Runs pods that sleep, and returns how much of each of their processes that
/// is not the app is in memory.
fn resident(built: &build::Built) -> Result<Vec<u64>> {
    let pods = (0..PODS).map(|_| weigh(built));
    let pods: Vec<Vec<u64>> = pods.collect::<Result<_>>()?;
    let processes = pods.iter().map(Vec::len).min().unwrap_or(0);
    let medians = (0..processes).map(|process| {
        let mut all: Vec<u64> = pods.iter().map(|pod| pod[process]).collect();
        all.sort_unstable();
        all[PODS / 2]
    });
    Ok(medians.collect())
}

fn weigh(built: &build::Built) -> Result<Vec<u64>> {
    let mut pod = cmd(&built.launcher)
        .quiet()
        .arg("--dir")
        .arg(target_dir().join("size"))
        .arg("run")
        .arg(images_dir().join("probe.aci"))
        .args(["--", "--sleep", "60"])
        .into_command()
        .spawn()
        .map_err(|error| format!("cannot run the launcher: {error}"))?;
    let result = measure(pod.id());
    // A request, so that the pod is taken down as it would be by its user.
    cmd("kill").arg(pod.id().to_string()).quiet().run()?;
    pod.wait()
        .map_err(|error| format!("cannot wait for the launcher: {error}"))?;
    result
}

fn measure(launcher: u32) -> Result<Vec<u64>> {
    let started = Instant::now();
    loop {
        let family = family(launcher);
        if family.iter().any(|&pid| is_app(pid)) {
            return family
                .into_iter()
                .filter(|&pid| !is_app(pid))
                .map(rss)
                .collect();
        }
        if started.elapsed() > PATIENCE {
            return Err("the pod with the probe does not come up".to_owned());
        }
        sleep(Duration::from_millis(20));
    }
}

/// The app is the one that runs the image's program.
fn is_app(pid: u32) -> bool {
    fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe.ends_with("probe"))
}

fn family(pid: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let mut all = vec![pid];
    for child in children.unwrap_or_default().split_whitespace() {
        all.extend(child.parse().map(family).unwrap_or_default());
    }
    all
}

/// Reads `smaps_rollup`, which counts pages; the figure in `status` is an
/// estimate that is off by more than an init of this size weighs.
fn rss(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).map_err(failed("read", Path::new(&path)))?;
    let kilobytes = text
        .lines()
        .filter_map(|line| line.strip_prefix("Rss:"))
        .find_map(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
        .ok_or_else(|| format!("`{path}` has no line `Rss`"))?;
    Ok(kilobytes << 10)
}
