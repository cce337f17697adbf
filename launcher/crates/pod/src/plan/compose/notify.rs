//! The socket by which an app notifies the service manager that has started the
//! launcher (sd_notify(3)).

use stage1_init::{Directive, Mode, MountFlags};

use crate::plan::compose::process::AppInputs;
use crate::plan::compose::sockets::main_processes;
use crate::plan::descriptors::{NOTIFICATION, NeededDescriptor};
use crate::plan::directives::{Plan, operand};
use crate::spec::environment::Variable;
use crate::spec::notify::SOCKET;
use crate::spec::pod::PodSpec;
use crate::spec::process::Sourced;
use error::Result;

const REASON: &str = "to notify the service manager";

/// Tells the app where the socket is.
pub(super) fn give(pod: &PodSpec, given: &mut [AppInputs], needed: &mut Vec<NeededDescriptor>) {
    let Some(manager) = pod.manager_of_app() else {
        return;
    };
    needed.push(NeededDescriptor::Notification);
    for (given, process) in given.iter_mut().zip(main_processes(pod)) {
        let mut add = |name: &str, value: String| {
            let variable = Variable::new(name, value);
            given.variables.push(Sourced::new(variable, REASON));
        };
        add("NOTIFY_SOCKET", SOCKET.to_owned());
        if let Some(time) = manager.watchdog {
            add("WATCHDOG_USEC", time.to_string());
            add("WATCHDOG_PID", process.to_string());
        }
    }
}

/// Puts the socket into the `/dev` of an app, which every app has. Nothing of it can
/// be changed from there.
pub(super) fn place(plan: &mut Plan, pod: &PodSpec) -> Result<()> {
    if pod.manager_of_app().is_none() {
        return Ok(());
    }
    let path = &operand("a path", SOCKET)?;
    plan.push(
        Directive::Touch {
            path,
            mode: Mode(0),
            uid: 0,
            gid: 0,
        },
        REASON,
    );
    plan.push(
        Directive::Bind {
            source: &operand("a descriptor", format!("fd:{NOTIFICATION}"))?,
            target: path,
            flags: MountFlags::NOFOLLOW
                .with(MountFlags::RO)
                .with(MountFlags::NOSUID)
                .with(MountFlags::NODEV)
                .with(MountFlags::NOEXEC),
        },
        REASON,
    );
    Ok(())
}
