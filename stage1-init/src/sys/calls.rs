//! System calls that need nothing but their arguments in registers, and return
//! nothing but success.
//!
//! # Safety
//!
//! As in `call`, whose macro is used here: a number means nothing to Rust, and
//! a string comes from a reference.

#![allow(unsafe_code, reason = "raw system calls are this file's purpose")]

use core::ffi::CStr;
use core::ptr;

use rustix::fd::{AsRawFd, BorrowedFd};

use super::process::Pid;
use super::result::Result;

/// How an argument is passed in its register.
trait Argument {
    fn register(self) -> usize;
}

impl Argument for BorrowedFd<'_> {
    fn register(self) -> usize {
        self.as_raw_fd() as usize
    }
}

impl Argument for &CStr {
    fn register(self) -> usize {
        self.as_ptr() as usize
    }
}

/// None is a null pointer.
impl Argument for Option<&CStr> {
    fn register(self) -> usize {
        self.map_or(ptr::null(), CStr::as_ptr) as usize
    }
}

impl Argument for u32 {
    fn register(self) -> usize {
        self as usize
    }
}

impl Argument for Pid {
    fn register(self) -> usize {
        self as usize
    }
}

macro_rules! calls {
    ($($name:ident = $number:ident($($argument:ident: $kind:ty),*);)*) => {
        $(pub(crate) fn $name($($argument: $kind),*) -> Result<()> {
            done!($number $(, $argument.register())*)
        })*
    };
}

calls! {
    // Processes.
    unshare = __NR_unshare(namespaces: u32);
    setns = __NR_setns(fd: BorrowedFd<'_>, namespaces: u32);
    // A negative number is a process group.
    kill = __NR_kill(pid: Pid, signal: u32);
    setpgid = __NR_setpgid(pid: Pid, group: Pid);
    setsid = __NR_setsid();
    setresuid = __NR_setresuid(real: u32, effective: u32, saved: u32);
    setresgid = __NR_setresgid(real: u32, effective: u32, saved: u32);
    // Files.
    chdir = __NR_chdir(path: &CStr);
    fchdir = __NR_fchdir(fd: BorrowedFd<'_>);
    fchmod = __NR_fchmod(fd: BorrowedFd<'_>, mode: u32);
    fchownat = __NR_fchownat(at: BorrowedFd<'_>, path: &CStr, uid: u32, gid: u32, flags: u32);
    mkdirat = __NR_mkdirat(at: BorrowedFd<'_>, path: &CStr, mode: u32);
    mknodat = __NR_mknodat(at: BorrowedFd<'_>, path: &CStr, mode: u32, device: u32);
    symlinkat = __NR_symlinkat(target: &CStr, at: BorrowedFd<'_>, path: &CStr);
    renameat = __NR_renameat2(at: BorrowedFd<'_>, from: &CStr, to_at: BorrowedFd<'_>, to: &CStr, flags: u32);
    unlinkat = __NR_unlinkat(at: BorrowedFd<'_>, path: &CStr, flags: u32);
    // Mounts.
    mount = __NR_mount(source: &CStr, target: &CStr, kind: &CStr, flags: u32, data: Option<&CStr>);
    umount = __NR_umount2(target: &CStr, flags: u32);
    pivot_root = __NR_pivot_root(new: &CStr, old: &CStr);
    chroot = __NR_chroot(path: &CStr);
}
