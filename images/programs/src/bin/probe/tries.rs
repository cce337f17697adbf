//! Things that an app in a pod must not be able to do, each tried for real.
//!
//! Every attempt is harmless where it is allowed: it sets what already is, or
//! asks with operands that the kernel refuses only after it has looked at the
//! caller's rights.

use std::ffi::CStr;
use std::ptr::null;

use libc::{c_int, c_long};

use crate::{errno, sys};

/// What an attempt gave: nothing, or the number of the error.
type Outcome = Result<(), i32>;

/// An attempt and its name.
type Try = (&'static str, fn() -> Outcome);

/// Tries one and prints what happened.
pub(crate) fn one(name: &str) -> Result<(), String> {
    let (name, attempt) = TRIES
        .iter()
        .find(|(known, _)| *known == name)
        .ok_or_else(|| format!("do not know how to try `{name}`"))?;
    print(name, attempt());
    Ok(())
}

/// Tries all, in the order of their names.
pub(crate) fn all() {
    for (name, attempt) in TRIES {
        print(name, attempt());
    }
}

fn print(name: &str, outcome: Outcome) {
    println!(
        "try {name}: {}",
        outcome.map_or_else(errno::name, |()| "ok".to_owned())
    );
}

/// Sorted, so that a report of all can be compared as a text.
const TRIES: &[Try] = &[
    ("af-alg", || socket(libc::AF_ALG, libc::SOCK_SEQPACKET)),
    ("af-packet", || socket(libc::AF_PACKET, libc::SOCK_RAW)),
    ("af-vsock", || socket(libc::AF_VSOCK, libc::SOCK_STREAM)),
    ("bpf", || {
        call(libc::SYS_bpf, [0, address(&ZEROS), 128, 0, 0])
    }),
    ("chroot", || {
        call(libc::SYS_chroot, [text(c"/"), 0, 0, 0, 0])
    }),
    ("clock", || call(libc::SYS_settimeofday, [0, 0, 0, 0, 0])),
    ("disk", disk),
    ("handle", handle),
    ("init-module", || {
        call(libc::SYS_init_module, [0, 0, text(c""), 0, 0])
    }),
    ("io-uring", || {
        call(libc::SYS_io_uring_setup, [1, 0, 0, 0, 0])
    }),
    ("kexec", || {
        call(libc::SYS_kexec_load, [0, 0, 0, 1 << 15, 0])
    }),
    ("keyctl", || sys::session_keyring().map(|_| ())),
    ("mknod", || mknod(libc::S_IFCHR, 1, 3)),
    ("mount", || mount(c"tmpfs", c"/", 0)),
    ("mount-proc", || mount(c"proc", c"/proc", 0)),
    ("perf", || {
        call(libc::SYS_perf_event_open, [address(&ZEROS), 0, -1, -1, 0])
    }),
    ("pivot-root", || {
        call(libc::SYS_pivot_root, [text(c"/"), text(c"/"), 0, 0, 0])
    }),
    ("ptrace", || {
        call(libc::SYS_ptrace, [libc::PTRACE_SEIZE.into(), 1, 0, 0, 0])
    }),
    ("reboot", reboot),
    ("remount-proc-sys", || {
        mount(c"", c"/proc/sys", libc::MS_REMOUNT | libc::MS_BIND)
    }),
    ("remount-sys", || {
        mount(c"", c"/sys", libc::MS_REMOUNT | libc::MS_BIND)
    }),
    ("sethostname", || {
        call(libc::SYS_sethostname, [text(c"probed"), 6, 0, 0, 0])
    }),
    ("setns", setns),
    ("swapon", || {
        call(libc::SYS_swapon, [text(c"/probe-no-such-file"), 0, 0, 0, 0])
    }),
    ("sysctl", || {
        open(c"/proc/sys/kernel/core_pattern", libc::O_WRONLY)
    }),
    ("sysrq", || open(c"/proc/sysrq-trigger", libc::O_WRONLY)),
    ("tioclinux", || {
        call(libc::SYS_ioctl, [0, TIOCLINUX, text(c"\x02"), 0, 0])
    }),
    ("tiocsti", || {
        call(libc::SYS_ioctl, [0, TIOCSTI, text(c"x"), 0, 0])
    }),
    // The kernel looks at the lower half only (CVE-2019-10063).
    ("tiocsti-wide", || {
        call(
            libc::SYS_ioctl,
            [0, 1 << (c_long::BITS - 1) | TIOCSTI, text(c"x"), 0, 0],
        )
    }),
    ("umount", || {
        call(
            libc::SYS_umount2,
            [text(c"/proc"), libc::MNT_DETACH.into(), 0, 0, 0],
        )
    }),
    ("unshare-mnt", || unshare(libc::CLONE_NEWNS)),
    ("unshare-user", || unshare(libc::CLONE_NEWUSER)),
    ("userfaultfd", || {
        call(libc::SYS_userfaultfd, [0, 0, 0, 0, 0])
    }),
];

/// Large enough for every structure that is passed empty.
static ZEROS: [u64; 32] = [0; 32];

/// Of asm-generic/ioctls.h: pushes a character into a terminal's input.
const TIOCSTI: c_long = 0x5412;

/// Of asm-generic/ioctls.h: among others, pastes what is selected on a console.
const TIOCLINUX: c_long = 0x541c;

/// Makes a system call and closes the descriptor, if that is what it returns.
fn call(number: c_long, [a, b, c, d, e]: [c_long; 5]) -> Outcome {
    // SAFETY: each operand is a number, null, or the address of a constant of
    // this program, which the kernel only reads: none of the calls above
    // writes through an operand that it is given here. Calls that would change
    // this process in a way Rust relies on (memory, threads) are not among them.
    let result = unsafe { libc::syscall(number, a, b, c, d, e) };
    if result < 0 { Err(sys::last()) } else { Ok(()) }
}

fn text(text: &'static CStr) -> c_long {
    address(text.to_bytes_with_nul())
}

fn address<T>(of: &'static [T]) -> c_long {
    of.as_ptr().expose_provenance().cast_signed() as c_long
}

fn socket(family: c_int, kind: c_int) -> Outcome {
    call(libc::SYS_socket, [family.into(), kind.into(), 0, 0, 0])
}

fn unshare(flags: c_int) -> Outcome {
    call(libc::SYS_unshare, [flags.into(), 0, 0, 0, 0])
}

fn open(path: &'static CStr, flags: c_int) -> Outcome {
    call(
        libc::SYS_openat,
        [libc::AT_FDCWD.into(), text(path), flags.into(), 0, 0],
    )
}

fn mount(kind: &'static CStr, target: &'static CStr, flags: libc::c_ulong) -> Outcome {
    // SAFETY: three terminated strings and no data.
    let result =
        unsafe { libc::mount(kind.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, null()) };
    if result < 0 { Err(sys::last()) } else { Ok(()) }
}

/// Turns Ctrl-Alt-Del off, as it is on every machine with an init; outside the
/// first PID namespace the kernel refuses even that.
fn reboot() -> Outcome {
    // SAFETY: takes no pointer; what it asks for takes effect on no data.
    let result = unsafe { libc::reboot(libc::LINUX_REBOOT_CMD_CAD_OFF) };
    if result < 0 { Err(sys::last()) } else { Ok(()) }
}

/// Joins the mount namespace of PID 1.
fn setns() -> Outcome {
    let file =
        std::fs::File::open("/proc/1/ns/mnt").map_err(|error| error.raw_os_error().unwrap_or(0))?;
    let fd = std::os::fd::AsRawFd::as_raw_fd(&file);
    call(
        libc::SYS_setns,
        [fd.into(), libc::CLONE_NEWNS.into(), 0, 0, 0],
    )
}

/// Opens a file by its handle, which leads out of any root (CVE-2014-3519).
fn handle() -> Outcome {
    /// `struct file_handle`: 8 bytes of handle, of type 1, all zero.
    static HANDLE: [u32; 4] = [8, 1, 0, 0];
    call(
        libc::SYS_open_by_handle_at,
        [libc::AT_FDCWD.into(), address(&HANDLE), 0, 0, 0],
    )
}

/// Makes a node of the first disk and reads it.
fn disk() -> Outcome {
    let partitions = std::fs::read_to_string("/proc/partitions").unwrap_or_default();
    let mut numbers = partitions.lines().filter_map(|line| {
        let mut fields = line.split_whitespace();
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    });
    let (major, minor) = numbers.next().ok_or(libc::ENODEV)?;
    node(libc::S_IFBLK, major, minor, |path| {
        open(path, libc::O_RDONLY)
    })
}

fn mknod(kind: libc::mode_t, major: u32, minor: u32) -> Outcome {
    node(kind, major, minor, |_| Ok(()))
}

/// The second is for those who may not write to the root.
const NODES: [&CStr; 2] = [c"/probe-node", c"/tmp/probe-node"];

/// Makes a device node, does something with it, and removes it.
fn node(
    kind: libc::mode_t,
    major: u32,
    minor: u32,
    then: impl Fn(&'static CStr) -> Outcome,
) -> Outcome {
    let device = libc::makedev(major, minor);
    let mut outcome = Err(libc::EACCES);
    for path in NODES {
        // SAFETY: a terminated string and numbers.
        outcome = match unsafe { libc::mknod(path.as_ptr(), kind | 0o600, device) } {
            0 => then(path),
            _ => Err(sys::last()),
        };
        // SAFETY: a terminated string.
        unsafe { libc::unlink(path.as_ptr()) };
        if outcome != Err(libc::EACCES) {
            break;
        }
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_unique() {
        assert!(TRIES.is_sorted_by(|one, next| one.0 < next.0));
    }

    #[test]
    fn what_is_not_known_is_not_tried() {
        assert!(one("nothing").is_err());
    }
}
