//! Listening sockets that apps find when they start (sd_listen_fds(3)).
//!
//! An app finds them as descriptors from 3 on, and variables that say so. If the
//! launcher has opened one, nothing else happens before somebody connects:
//!
//! ```text
//! await 102
//! ...
//! process
//! pass 101 3
//! env LISTEN_FDS=1
//! env LISTEN_FDNAMES=http
//! env LISTEN_PID=2
//! ```

use stage1_init::Directive;

use crate::plan::compose::process::AppInputs;
use crate::plan::descriptors::{Labels, NeededDescriptor};
use crate::plan::directives::Plan;
use crate::spec::environment::Variable;
use crate::spec::pod::PodSpec;
use crate::spec::process::Sourced;
use crate::spec::sockets::{FIRST, Origin};

/// Gives the apps their sockets, and waits for somebody to connect if one of them
/// is the launcher's. A `detached` pod reports when it begins to wait.
pub(super) fn wait(
    plan: &mut Plan,
    pod: &PodSpec,
    given: &mut [AppInputs],
    detached: bool,
    labels: &mut Labels,
    needed: &mut Vec<NeededDescriptor>,
) {
    let mut awaited = Vec::new();
    let mains = main_processes(pod);
    for ((app, given), main) in pod.apps.iter().zip(given).zip(mains) {
        let mut names = Vec::new();
        for (number, Sourced { value, reason }) in
            (FIRST..).zip(app.sockets.iter().filter(|one| one.value.is_there()))
        {
            let fd = match value.origin {
                Origin::Missing => continue,
                Origin::Caller(descriptor) => descriptor,
                Origin::Launcher(port) => {
                    let label = labels.next();
                    needed.push(NeededDescriptor::Socket(label, port));
                    awaited.push(label);
                    label
                }
            };
            names.push(value.name.as_str());
            let reason = format!("{reason}: socket `{}`", value.name);
            given.sockets.push((fd, number, reason));
        }
        if !names.is_empty() {
            let variable = |(name, value): (&str, String)| {
                Sourced::new(Variable::new(name, value), "for its sockets")
            };
            let all = [
                ("LISTEN_FDS", names.len().to_string()),
                ("LISTEN_FDNAMES", names.join(":")),
                ("LISTEN_PID", main.to_string()),
            ];
            given.variables.extend(all.into_iter().map(variable));
        }
    }
    if !awaited.is_empty() {
        let fd = labels.next();
        needed.push(NeededDescriptor::Awaited(fd, awaited));
        if detached {
            plan.push(Directive::Time {}, "tells the launcher that the pod waits");
        }
        plan.push(
            Directive::Await { fd },
            "nothing runs before somebody connects",
        );
    }
}

/// Returns the process that each app becomes, in a pod with process numbers of its
/// own. PID 1 makes the processes of all programs in their order before the first
/// begins, and is alone until then.
pub(super) fn main_processes(pod: &PodSpec) -> Vec<u32> {
    let mut next = 2;
    let mains = pod.apps.iter().map(|app| {
        let main = next + u32::from(app.process.pre_start.is_some());
        next = main + 1 + u32::from(app.process.post_stop.is_some());
        main
    });
    mains.collect()
}
