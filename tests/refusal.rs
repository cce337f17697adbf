//! Hosts that lack system calls: older kernels, and containers whose filter does
//! not know what is newer than itself.

use std::cell::Cell;
use std::fmt;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::host;

/// Numbers of system calls, the same on all machines.
pub(crate) const CLONE3: u32 = 435;
pub(crate) const CLOSE_RANGE: u32 = 436;
pub(crate) const OPENAT2: u32 = 437;
pub(crate) const MOUNT_SETATTR: u32 = 442;

/// What a kernel says that does not have a call.
pub(crate) const ENOSYS: u32 = 38;
/// What an old filter says of calls that it does not know.
pub(crate) const EPERM: u32 = 1;

/// System calls that are refused, and how.
#[derive(Clone, Copy)]
pub(crate) struct Refusal {
    pub(crate) calls: &'static [u32],
    pub(crate) errno: u32,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "calls {:?} refused with {}", self.calls, self.errno)
    }
}

thread_local! {
    static REFUSED: Cell<Option<Refusal>> = const { Cell::new(None) };
}

/// Does something on such a host: what this thread starts meanwhile is refused
/// these calls, and all that comes of it.
pub(crate) fn on_a_host<T>(refusal: Option<Refusal>, work: impl FnOnce() -> T) -> T {
    /// Also where the work panics.
    struct Undo;
    impl Drop for Undo {
        fn drop(&mut self) {
            REFUSED.set(None);
        }
    }
    REFUSED.set(refusal);
    let _undo = Undo;
    work()
}

/// A command, on the host that there is now, as this user: no more of its
/// environment than it was given.
pub(crate) fn command(plain: &Command, user: Option<u32>) -> Command {
    let mut command = match REFUSED.get() {
        None => Command::new(plain.get_program()),
        Some(refusal) => through_the_probe(refusal, plain, user),
    };
    if let (None, Some(id)) = (REFUSED.get(), user) {
        command.uid(id).gid(id);
    }
    let set = plain.get_envs();
    let set = set.filter_map(|(name, value)| Some((name, value?)));
    command.env_clear().envs(set).args(plain.get_args());
    if let Some(dir) = plain.get_current_dir() {
        command.current_dir(dir);
    }
    command
}

/// The probe, which refuses and then becomes the program. Only root may refuse
/// without giving up privileges of files, so it becomes the user, too.
fn through_the_probe(refusal: Refusal, plain: &Command, user: Option<u32>) -> Command {
    let mut command = Command::new(host::probe());
    let calls: Vec<_> = refusal.calls.iter().map(u32::to_string).collect();
    let errno = refusal.errno.to_string();
    command.args(["--refuse", &calls.join(","), &errno]);
    match user {
        Some(id) => command.args(["--execute-as", &id.to_string()]),
        None => command.arg("--execute"),
    };
    command.arg(plain.get_program());
    command
}

#[test]
fn what_is_refused_is_refused_to_all_that_comes_of_it() {
    require_root!();
    let python = tool!("python3");
    let script = "import ctypes; c = ctypes.CDLL(None, use_errno=True)
for n in 435, 436, 437, 442: print(c.syscall(n, 0, 0, 0, 0, 0), ctypes.get_errno())";
    let calls = &[CLONE3, CLOSE_RANGE, OPENAT2, MOUNT_SETATTR];
    let python = || {
        let sh = host::call("sh".as_ref()).args(["-c", "\"$@\"", "sh"]);
        sh.arg(&python).args(["-c", script])
    };
    let ids = "grep Seccomp: /proc/self/status; id -u";
    for errno in [ENOSYS, EPERM] {
        on_a_host(Some(Refusal { calls, errno }), || {
            let said = format!("-1 {errno}\n").repeat(4);
            python().run().exits(0).says(&said);
            let user = host::call("sh".as_ref()).args(["-c", ids]).user(1000);
            user.run().exits(0).says("Seccomp:\t2\n1000\n");
        });
        let free = python().run().exits(0).stdout;
        assert!(!free.contains(&format!("-1 {ENOSYS}\n")), "{free}");
    }
}
