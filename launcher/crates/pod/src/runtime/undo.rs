//! What stage1-init undoes by itself when a pod has ended that is not kept: the
//! part `undo` of its plan.
//!
//! Most apps write no file, and most pods leave nothing but what the launcher
//! and the plan have made. Their names are known in advance, so the launcher
//! need not start once more to look for them:
//!
//! 1. The file `UNDO` goes, which only one process can do; from then on nobody
//!    makes anything for the pod.
//! 2. The pod's directory moves to `pods/garbage`, as in `teardown`.
//! 3. Its files are removed by name, and then the directories, if they are
//!    empty.
//!
//! If anything fails, because an app has written something, `launcher finish`
//! removes the rest. It does all of it if an app has failed so that it may have
//! to be explained, and for pods that have more than files.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use stage1_init::{Argv, Directive, WordList};

use crate::plan::compose::Composed;
use crate::plan::descriptors::{DATA, NeededDescriptor, PODS};
use crate::plan::directives::{Plan, Step, operand, path};
use crate::runtime::claim::LAYERS;
use crate::spec::pod::{AppSpec, PodSpec};
use crate::state::directory::{MANIFEST, REPORT, SPEC, UNDO};
use crate::state::lock;
use crate::state::records::{CREATED, PREPARED, STARTED};
use error::Result;
use sys::dirs::{Part, State};

/// The files in the directory of a pod whose groups were not recorded.
const FILES: [&str; 7] = [
    CREATED,
    PREPARED,
    STARTED,
    SPEC,
    MANIFEST,
    REPORT,
    lock::INIT,
];

/// What overlayfs leaves in `work`, most of it only where it is volatile.
const WORK: &str = "work/incompat/volatile/dirty";

/// Adds the part to a plan, if nothing but files is left of the pod: no groups,
/// and nothing in the network of the host.
pub(crate) fn compose(composed: &mut Composed, spec: &PodSpec) -> Result<()> {
    let explained = |app: &AppSpec| {
        let process = &app.process;
        process.pre_start.is_some() || process.post_stop.is_some()
    };
    let copied = |app: &AppSpec| app.root.as_ref().is_some_and(|root| root.copied);
    let more = spec.manager.is_some()
        || spec.restarted_by().is_some()
        || spec.has_checks()
        || !composed.groups.is_empty()
        || !spec.connections.is_empty();
    if more || spec.apps.iter().any(|app| explained(app) || copied(app)) {
        return Ok(());
    }
    let name = spec.id.to_string();
    let [run, garbage] = [State::Run, State::Garbage].map(|state| {
        let path = Part::Pods(state).path();
        path.join(&name)
    });
    let mut left = Left::of(&composed.plan, &spec.directory);
    let scratch = Part::Scratch.path().join(&name);
    let own = match spec.directory.ends_with(&run) {
        true => {
            left.files.extend(FILES.map(PathBuf::from));
            None
        }
        false => {
            left.files.insert(LAYERS.into());
            let files = FILES.map(PathBuf::from);
            Some(Left {
                files: files.into(),
                ..Left::default()
            })
        }
    };
    let plan = &mut composed.plan;
    plan.push(Directive::Undo {}, "unless the pod is kept, or has failed");
    for (from, to, reason) in [
        (
            run.join(UNDO),
            run.join(lock::INIT),
            "unless the pod was paused",
        ),
        (run, garbage.clone(), "out of sight, in one step"),
    ] {
        let (from, to) = (&path(&from)?, &path(&to)?);
        plan.push(Directive::Rename { fd: PODS, from, to }, reason);
    }
    match own {
        None => left.push(plan, PODS, &garbage)?,
        Some(own) => {
            left.push(plan, DATA, &scratch)?;
            own.push(plan, PODS, &garbage)?;
        }
    }
    composed.needed.push(NeededDescriptor::Directories);
    Ok(())
}

/// Leaves the part out of the plan of a pod that is kept: the plan stays in memory
/// as long as the pod runs.
pub(crate) fn leave_out(composed: &mut Composed) {
    composed.plan.end_before(&Directive::Undo {});
    let directories = NeededDescriptor::Directories;
    composed.needed.retain(|needed| *needed != directories);
}

/// Returns whether a plan has the part.
pub(crate) fn is_in(plan: &Plan) -> bool {
    let mut directives = plan.steps().iter().filter_map(Step::directive);
    directives.any(|one| one == Directive::Undo {})
}

/// What a plan leaves below a directory, if no app has written anything.
#[derive(Default)]
struct Left {
    files: BTreeSet<PathBuf>,
    directories: BTreeSet<PathBuf>,
}

impl Left {
    /// Looks what a plan makes in a directory of the host, and in the roots of
    /// apps, whose changes are there.
    fn of(plan: &Plan, top: &Path) -> Self {
        let mut left = Self::default();
        let mut mounted: Vec<PathBuf> = Vec::new();
        let mut root: Option<PathBuf> = None;
        // Returns the path on the host, of what is made in a root where the
        // changes to the root are.
        let place = |root: &Option<PathBuf>, path: &CStr| {
            let path = Path::new(OsStr::from_bytes(path.to_bytes()));
            match root {
                None => path.to_owned(),
                Some(upper) => upper.join(path.strip_prefix("/").unwrap_or(path)),
            }
        };
        for directive in plan.steps().iter().filter_map(Step::directive) {
            match directive {
                Directive::App { .. } | Directive::Init {} => root = None,
                Directive::Root { path } => {
                    let path = place(&None, path);
                    root = path.parent().map(|above| above.join("upper"));
                }
                Directive::Mount {
                    kind, target, data, ..
                } => {
                    let target = place(&root, target);
                    if kind == c"overlay" && !data.is_empty() {
                        let above = target.parent().unwrap_or(top);
                        let work = above.join("work").join(WORK);
                        left.add(top, &mounted, &work, true);
                    } else {
                        mounted.push(target);
                    }
                }
                Directive::Bind { target, .. } => mounted.push(place(&root, target)),
                Directive::Dir { path, .. } => {
                    left.add(top, &mounted, &place(&root, path), false);
                }
                Directive::File { path, .. }
                | Directive::Touch { path, .. }
                | Directive::Symlink { path, .. } => {
                    left.add(top, &mounted, &place(&root, path), true);
                }
                _ => {}
            }
        }
        left
    }

    /// Adds a path with the directories above it, unless it is outside of `top`
    /// or in something that is mounted.
    fn add(&mut self, top: &Path, mounted: &[PathBuf], path: &Path, file: bool) {
        let hidden = |path: &Path| {
            mounted
                .iter()
                .any(|above| path.starts_with(above) && path != above)
        };
        if hidden(path) {
            return;
        }
        let Ok(inside) = path.strip_prefix(top) else {
            return;
        };
        let above = match file {
            true => inside.parent(),
            false => Some(inside),
        };
        let above = above.into_iter().flat_map(Path::ancestors);
        let above = above.filter(|above| !above.as_os_str().is_empty());
        self.directories.extend(above.map(Path::to_owned));
        if file {
            self.files.insert(inside.to_owned());
        }
    }

    /// Appends the directives that remove everything below `top`, and that.
    fn push(self, plan: &mut Plan, fd: u32, top: &Path) -> Result<()> {
        let mut all: BTreeMap<PathBuf, Vec<Vec<u8>>> = BTreeMap::new();
        let mut add = |path: PathBuf, slash: &[u8]| {
            if let (Some(above), Some(name)) = (path.parent(), path.file_name()) {
                let name = [name.as_bytes(), slash].concat();
                all.entry(above.to_owned()).or_default().push(name);
            }
        };
        for path in self.files {
            add(top.join(path), b"");
        }
        for path in self.directories {
            add(top.join(path), b"/");
        }
        add(top.to_owned(), b"/");
        // What is in a directory comes before the directory.
        for (above, names) in all.iter().rev() {
            let mut words = Vec::new();
            for name in names {
                words.extend(operand("a name", name.clone())?.into_bytes_with_nul());
            }
            let names = Argv(WordList::new(&words).unwrap_or_default());
            let above = &operand("a path", above.clone().into_os_string().into_vec())?;
            plan.push(
                Directive::Remove {
                    fd,
                    path: above,
                    names,
                },
                "",
            );
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn left(words: &[&[&str]]) -> Vec<String> {
        let mut plan = Plan::default();
        for words in words {
            let words: String = words.iter().map(|word| format!("{word}\0")).collect();
            plan.push(Directive::decode(words.as_bytes()).unwrap(), "");
        }
        let left = Left::of(&plan, Path::new("/d/scratch/U"));
        let mut removed = Plan::default();
        left.push(&mut removed, DATA, Path::new("scratch/U"))
            .unwrap();
        let text = removed.text();
        text.lines().skip(1).map(str::to_owned).collect()
    }

    #[test]
    fn what_is_made_in_a_mount_or_elsewhere_is_not_removed() {
        let lines = left(&[
            &["dir", "/d/scratch/other", "0700", "0", "0"],
            &["dir", "/d/scratch/U/shm", "0700", "0", "0"],
            &["mount", "tmpfs", "tmpfs", "/d/scratch/U/shm", "", ""],
            &["dir", "/d/scratch/U/shm/below", "0700", "0", "0"],
            &["app", "a"],
            &["dir", "/d/scratch/U/apps/a/rootfs", "0755", "0", "0"],
            &[
                "mount",
                "overlay",
                "overlay",
                "/d/scratch/U/apps/a/rootfs",
                "",
                "upperdir=x",
            ],
            &["root", "/d/scratch/U/apps/a/rootfs"],
            &["dir", "/dev", "0755", "0", "0"],
            &["mount", "tmpfs", "tmpfs", "/dev", "", ""],
            &["symlink", "x", "/dev/fd"],
            &["dir", "/dev/pts", "0755", "0", "0"],
            &["file", "/etc/hosts", "0644", "0", "0", "text"],
        ]);
        let expected = [
            "remove 94 scratch/U/apps/a/work/work/incompat/volatile 1 dirty",
            "remove 94 scratch/U/apps/a/work/work/incompat 1 volatile/",
            "remove 94 scratch/U/apps/a/work/work 1 incompat/",
            "remove 94 scratch/U/apps/a/work 1 work/",
            "remove 94 scratch/U/apps/a/upper/etc 1 hosts",
            "remove 94 scratch/U/apps/a/upper 2 dev/ etc/",
            "remove 94 scratch/U/apps/a 3 rootfs/ upper/ work/",
            "remove 94 scratch/U/apps 1 a/",
            "remove 94 scratch/U 2 apps/ shm/",
            "remove 94 scratch 1 U/",
        ];
        assert_eq!(lines, expected);
    }
}
