//! Explains in the user's terms why a plan could not be executed.
//!
//! `stage1-init` knows the number of the directive and the kernel's error; the
//! launcher, which composed the plan, knows what the directive was for.

use std::io;

use rustix::io::Errno;
use stage1_init::{Directive, Limit, Namespaces, Resource};

use crate::plan::directives::{Plan, Step};
use crate::runtime::obstacle::obstacle;
use error::quote::escaped;
use error::{Error, Kind};
use image::store::rootfs::Rootfs;
use sys::host::lacks;
use sys::size;

/// Why a plan could not be executed.
pub struct Explanation {
    /// The reason.
    pub error: Error,
    /// Whether a program that the kernel did not find is there, and what it
    /// needs is not.
    pub is_there: bool,
}

/// What is known of the app whose plan failed.
pub struct Image<'a> {
    /// The files of its image, if they are still accessible.
    pub files: &'a dyn Rootfs,
    /// Its PATH.
    pub path: &'a str,
}

/// Explains why the directive of a plan with this index failed with this
/// errno(3). There may be none: then it is not known which it was.
pub fn explain(plan: &Plan, index: u32, errno: u32, image: Option<Image<'_>>) -> Explanation {
    let step = plan.step(index);
    let other = |error| Explanation {
        error,
        is_there: false,
    };
    let cause = Errno::from_raw_os_error(i32::try_from(errno).unwrap_or(0));
    let Some((directive, reason)) = step.and_then(|step| Some((step.directive()?, step.reason())))
    else {
        let error = Error::new(Kind::Failed, "the pod could not be started");
        return other(error.because(io::Error::from(cause)));
    };
    if let Some((resource, limit)) = bound(plan, index, cause) {
        let (noun, limit) = match resource {
            Resource::As => ("address space", size::spell(limit)),
            Resource::Data => ("data", size::spell(limit)),
            Resource::Fsize => ("file size", size::spell(limit)),
            Resource::Stack => ("stack size", size::spell(limit)),
            Resource::Nofile => ("open files", limit.to_string()),
            _ => ("processes", limit.to_string()),
        };
        let what = format!("cannot start the app under its limit of {noun}");
        let hint = format!(
            "the limit was {limit}; `--ulimit={}=...` sets another",
            resource.word()
        );
        return other(
            Error::new(Kind::Failed, what)
                .because(io::Error::from(cause))
                .hint(hint),
        );
    }
    match directive {
        Directive::PreStart { argv } if cause == Errno::CANCELED => {
            let program = escaped(&program(argv.0));
            return other(Error::new(
                Kind::Failed,
                format!("the pre-start handler `{program}` failed, so its app was not started"),
            ));
        }
        Directive::Main { argv } | Directive::PreStart { argv } | Directive::PostStop { argv } => {
            if let Some(Image { files, path }) = image
                && let Ok(Some(error)) = obstacle(&program(argv.0), path, cause, files)
            {
                return Explanation {
                    error,
                    is_there: true,
                };
            }
        }
        _ => {}
    }
    let error = Error::new(Kind::Failed, sentence(&directive, reason));
    let denied = || matches!(cause, Errno::PERM | Errno::ACCESS);
    let lacking = || lacks().filter(|_| denied());
    let error = match hint(&directive, cause).or_else(lacking) {
        Some(hint) => error.hint(hint),
        None => error,
    };
    other(error.because(io::Error::from(cause)))
}

/// Returns the limit that a process had given itself when it failed so, if there
/// is one that can have been the reason: what prepares an app is bound by its
/// limits, too.
fn bound(plan: &Plan, index: u32, cause: Errno) -> Option<(Resource, u64)> {
    let resources: &[Resource] = match cause {
        Errno::NOMEM => &[Resource::As, Resource::Data],
        Errno::TOOBIG => &[Resource::Stack],
        Errno::FBIG => &[Resource::Fsize],
        Errno::MFILE => &[Resource::Nofile],
        Errno::AGAIN => &[Resource::Nproc],
        _ => return None,
    };
    let before = plan.steps().get(..usize::try_from(index).ok()?)?;
    let before = before.iter().rev().filter_map(Step::directive);
    let own = before.take_while(|directive| *directive != Directive::Process {});
    let limits = own.filter_map(|directive| match directive {
        Directive::Rlimit {
            resource,
            soft: Limit(Some(soft)),
            ..
        } if resources.contains(&resource) => Some((resource, soft)),
        _ => None,
    });
    limits.min_by_key(|(_, soft)| *soft)
}

/// Returns what could not be done, without the cause.
fn sentence(directive: &Directive<'_>, reason: &str) -> String {
    // Much of it comes from an image.
    let text = |word: &std::ffi::CStr| escaped(&word.to_string_lossy());
    match directive {
        Directive::Unshare { namespaces } => {
            format!(
                "cannot create the pod's namespaces ({})",
                names(*namespaces)
            )
        }
        Directive::Cgroup { path } => format!("cannot join the cgroup `{}`", text(path)),
        Directive::JoinCgroup { .. } => "cannot move an app into its cgroup".to_owned(),
        Directive::Attribute { text: label, .. } => {
            let label = text(label);
            let label = label.strip_prefix("exec ").unwrap_or(&label);
            format!("cannot give the app the label `{label}`")
        }
        Directive::Sysctl { key, .. } => format!("cannot set the kernel parameter `{}`", text(key)),
        Directive::Seccomp { .. } => "cannot install the system call filter".to_owned(),
        Directive::OomScoreAdj { score } => {
            format!("cannot set the OOM score adjustment to {score}")
        }
        Directive::Rlimit {
            resource,
            soft,
            hard,
        } => {
            let amount = |limit: Limit| {
                let number = limit.0.map(|number| number.to_string());
                number.unwrap_or_else(|| "unlimited".to_owned())
            };
            let (soft, hard) = (amount(*soft), amount(*hard));
            let name = resource.word();
            format!("cannot set the resource limit `{name}` to {soft} (soft) and {hard} (hard)")
        }
        Directive::Join { namespaces, .. } => {
            format!("cannot join the pod's namespaces ({})", names(*namespaces))
        }
        Directive::Hostname { name } => format!("cannot set the host name `{}`", text(name)),
        Directive::Loopback {} => "cannot bring the loopback interface up".to_owned(),
        Directive::Root { path } => format!("cannot use `{}` as a root", text(path)),
        Directive::Mount { kind, target, .. } if kind.to_bytes() == b"overlay" => {
            format!(
                "cannot mount the image's files on `{}` as an overlay",
                text(target)
            )
        }
        Directive::Mount { kind, target, .. } => {
            format!("cannot mount {} on `{}`", text(kind), text(target))
        }
        Directive::Bind { source, target, .. } => {
            let (source, target) = (text(source), text(target));
            format!("cannot mount `{source}` on `{target}` ({reason})")
        }
        Directive::Mask { target } => format!("cannot hide `{}`", text(target)),
        Directive::Readonly { target } => format!("cannot make `{}` read-only", text(target)),
        Directive::Dir { path, .. } => format!("cannot create the directory `{}`", text(path)),
        Directive::Node { path, .. } => format!("cannot create the device `{}`", text(path)),
        Directive::Pivot {} | Directive::MoveRoot {} => {
            "cannot make the app's root file system its `/`".to_owned()
        }
        Directive::Workdir { path } => {
            format!("cannot use `{}` as the working directory", text(path))
        }
        Directive::Uid { uid } => format!("cannot run as user {uid}"),
        Directive::Gid { gid } => format!("cannot run as group {gid}"),
        Directive::Capabilities { .. } => "cannot give the app its capabilities".to_owned(),
        Directive::Ambient { .. } => "cannot let the user keep its capabilities".to_owned(),
        Directive::Groups { .. } => "cannot set the supplementary groups".to_owned(),
        Directive::Foreground {} => "cannot take over the terminal".to_owned(),
        Directive::PreStart { argv } => command("the pre-start handler", argv.0),
        Directive::Main { argv } => command("", argv.0),
        Directive::PostStop { argv } => command("the post-stop handler", argv.0),
        _ => {
            let mut plan = Plan::default();
            plan.push(*directive, "");
            let line = plan.text();
            let line = line.lines().nth(1).unwrap_or_default();
            match reason {
                "" => format!("cannot carry out `{line}`"),
                reason => format!("cannot carry out `{line}` ({reason})"),
            }
        }
    }
}

fn program(words: stage1_init::WordList<'_>) -> String {
    let program = words.iter().next().unwrap_or(c"");
    program.to_string_lossy().into_owned()
}

fn command(noun: &str, words: stage1_init::WordList<'_>) -> String {
    let program = escaped(&program(words));
    match noun {
        "" => format!("cannot execute `{program}`"),
        noun => format!("cannot execute {noun} `{program}`"),
    }
}

fn names(namespaces: Namespaces) -> String {
    let words = Namespaces::WORDS.iter();
    let names: Vec<&str> = words
        .filter(|&&(_, member)| namespaces.contains(member))
        .map(|&(name, _)| name)
        .collect();
    names.join(", ")
}

/// Returns what the user can do about it, if that is known.
fn hint(directive: &Directive<'_>, cause: Errno) -> Option<String> {
    match (directive, cause) {
        (Directive::Unshare { .. }, Errno::INVAL) => Some(
            "the kernel needs CONFIG_NAMESPACES, CONFIG_PID_NS, CONFIG_IPC_NS, CONFIG_UTS_NS, CONFIG_NET_NS and CONFIG_CGROUPS"
                .to_owned(),
        ),
        (Directive::Unshare { .. }, Errno::NOSPC) => {
            Some("a limit in `/proc/sys/user/max_*_namespaces` has been reached".to_owned())
        }
        (Directive::Unshare { .. }, Errno::PERM) => {
            Some("the caller needs CAP_SYS_ADMIN in its user namespace".to_owned())
        }
        (Directive::Attribute { .. }, Errno::NOENT | Errno::INVAL) => {
            Some("the host's security module does not know it".to_owned())
        }
        (Directive::Seccomp { .. }, Errno::BADF) => {
            Some("the plan names a descriptor that is not open".to_owned())
        }
        (Directive::Seccomp { .. }, Errno::NOSYS | Errno::INVAL) => {
            Some("the kernel needs CONFIG_SECCOMP_FILTER".to_owned())
        }
        (Directive::OomScoreAdj { .. }, Errno::ACCESS | Errno::PERM) => {
            Some("lowering the OOM score requires CAP_SYS_RESOURCE".to_owned())
        }
        (
            Directive::Rlimit {
                resource: Resource::Nofile,
                hard: Limit(None),
                ..
            },
            Errno::PERM,
        ) => Some("`nofile` is at most what the host's `fs.nr_open` says".to_owned()),
        (Directive::Sysctl { .. }, Errno::NOENT | Errno::ACCESS) => Some(
            "the kernel does not have it, or does not have one for each pod".to_owned(),
        ),
        (Directive::Rlimit { .. }, Errno::PERM) => {
            Some("raising a limit requires CAP_SYS_RESOURCE".to_owned())
        }
        (Directive::Cgroup { .. }, Errno::NOENT) => {
            Some("`launcher run` only creates cgroups for plans that it composes".to_owned())
        }
        (Directive::Mount { kind, .. }, Errno::NODEV) => {
            let option = match kind.to_bytes() {
                b"overlay" => "CONFIG_OVERLAY_FS",
                b"devpts" => "CONFIG_UNIX98_PTYS",
                b"mqueue" => "CONFIG_POSIX_MQUEUE",
                b"tmpfs" => "CONFIG_TMPFS",
                b"sysfs" => "CONFIG_SYSFS",
                _ => return None,
            };
            Some(format!("the kernel needs {option}"))
        }
        (Directive::Mount { kind, .. }, Errno::INVAL) if kind.to_bytes() == b"overlay" => Some(
            "overlays may not work on the data directory's file system; \
             `--no-overlay` copies the image's files instead"
                .to_owned(),
        ),
        (Directive::Mount { kind, .. }, Errno::PERM | Errno::ACCESS)
            if kind.to_bytes() == b"overlay" && lacks().is_none() =>
        {
            Some(
                "the host allows no overlays; `--no-overlay` copies the image's files instead"
                    .to_owned(),
            )
        }
        (Directive::Mount { .. } | Directive::Dir { .. }, Errno::LOOP) => {
            Some("the image has a symbolic link there".to_owned())
        }
        (Directive::Bind { .. }, Errno::LOOP) => {
            Some("the path of the source has changed and now contains a symbolic link".to_owned())
        }
        _ => None,
    }
}
