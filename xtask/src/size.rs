//! Weighs both programs on disk, and all that is in memory of a detached pod
//! while its app sleeps.

use std::fs;
use std::path::Path;

use crate::cmd::{Result, cmd, failed, images_dir, is_root, say, show, target_dir};
use crate::{build, images};

/// Most bytes of the stripped program. A pod on a host with little flash and
/// memory pays for every page of it.
const DISK_BUDGET: u64 = 48 << 10;

/// The same for aarch64, where no instruction is shorter than four bytes.
const AARCH64_BUDGET: u64 = 56 << 10;

/// Most bytes of the launcher with all its features, stripped, with the init.
/// A fifth of it is glibc and what std brings, a third is TLS and OpenPGP.
const LAUNCHER_BUDGET: u64 = 6784 << 10;

/// Most resident bytes of each of the init's processes, two a pod.
const MEMORY_BUDGET: u64 = 64 << 10;

/// Most resident bytes of all that is kept for a pod besides its app.
const POD_BUDGET: u64 = 256 << 10;

/// `cargo xtask size`.
pub(crate) fn task() -> Result<()> {
    let built = build::release()?;
    images::programs(&images_dir())?;
    size(&built)
}

/// Weighs what was built, and fails if a budget is exceeded.
pub(crate) fn size(built: &build::Built) -> Result<()> {
    let mut rows = vec![
        disk(std::env::consts::ARCH, &built.stage1),
        file("launcher", &built.launcher, LAUNCHER_BUDGET),
    ];
    if is_root() {
        let pod = resident(built)?;
        for (number, process) in (1..).zip(&pod) {
            let what = format!("stage1-init resident, {number}");
            rows.push(row(&what, process.resident, MEMORY_BUDGET));
        }
        let all = pod.iter().copied().sum::<Memory>();
        for (what, bytes) in [("resident", all.resident), ("its share", all.share)] {
            rows.push(row(&format!("a detached pod, {what}"), bytes, POD_BUDGET));
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

/// Weighs the file of a stage1-init for a machine.
pub(crate) fn disk(arch: &str, program: &Path) -> Result<()> {
    let budget = match arch {
        "aarch64" => AARCH64_BUDGET,
        _ => DISK_BUDGET,
    };
    file(&format!("stage1-init for {arch}"), program, budget)
}

fn file(what: &str, program: &Path, budget: u64) -> Result<()> {
    let file = fs::metadata(program).map_err(failed("look at", program))?;
    row(what, file.len(), budget)
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

/// What is in memory of a process, in bytes.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Memory {
    /// All pages that it has.
    resident: u64,
    /// The same, where a page that several have counts only in part.
    share: u64,
}

impl std::iter::Sum for Memory {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            resident: sum.resident + one.resident,
            share: sum.share + one.share,
        })
    }
}

/// How many pods are weighed. The kernel puts the stack at another place each
/// time, and so a page or two more or less of it are in memory: the median counts.
const PODS: usize = 9;

/// Runs pods that sleep, and returns what of each of their processes that is
/// not the app is in memory.
fn resident(built: &build::Built) -> Result<Vec<Memory>> {
    let pods = (0..PODS).map(|_| weigh(built));
    let pods: Vec<Vec<Memory>> = pods.collect::<Result<_>>()?;
    let processes = pods.iter().map(Vec::len).min().unwrap_or(0);
    let medians = (0..processes).map(|process| {
        let mut all: Vec<Memory> = pods.iter().map(|pod| pod[process]).collect();
        all.sort_unstable();
        all[PODS / 2]
    });
    Ok(medians.collect())
}

fn weigh(built: &build::Built) -> Result<Vec<Memory>> {
    let launcher = || {
        let dir = target_dir().join("size");
        cmd(&built.launcher).quiet().arg("--dir").arg(dir)
    };
    let uuid = launcher()
        .args(["run", "--detach", "--net=none"])
        .arg(images_dir().join("probe.aci"))
        .args(["--", "--sleep", "60"])
        .read()?;
    let uuid = uuid.trim_end();
    let weighed = launcher().args(["status", uuid]).read().and_then(|status| {
        let pid = status.lines().find_map(|line| line.strip_prefix("pid="));
        let pid = pid.and_then(|pid| pid.parse().ok());
        measure(pid.ok_or("the pod with the probe does not run")?)
    });
    launcher().args(["rm", "--force", uuid]).read()?;
    weighed
}

/// Looks at all processes of a pod but its app. It runs: `run --detach` waits for that.
fn measure(outermost: u32) -> Result<Vec<Memory>> {
    let family = family(outermost).into_iter();
    family.filter(|&pid| !is_app(pid)).map(memory).collect()
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
fn memory(pid: u32) -> Result<Memory> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).map_err(failed("read", Path::new(&path)))?;
    let bytes = |key: &str| {
        text.lines()
            .filter_map(|line| line.strip_prefix(key))
            .find_map(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
            .map(|kilobytes| kilobytes << 10)
            .ok_or_else(|| format!("`{path}` has no line `{key}`"))
    };
    Ok(Memory {
        resident: bytes("Rss:")?,
        share: bytes("Pss:")?,
    })
}
