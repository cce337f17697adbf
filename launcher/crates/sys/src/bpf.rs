//! The BPF program that decides which devices a cgroup may use: version 2 of
//! cgroups has no files for that (`BPF_PROG_TYPE_CGROUP_DEVICE`, Linux 4.15).
#![allow(
    unsafe_code,
    reason = "neither std nor rustix has bpf(2), and there is no other way to bound devices"
)]

use std::ffi::{c_int, c_long};
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

/// One instruction of eBPF: `struct bpf_insn` of linux/bpf.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    /// The operation.
    pub code: u8,
    /// The destination register, and the source register in the upper half.
    pub registers: u8,
    /// The offset of a jump or in memory.
    pub offset: i16,
    /// The immediate operand.
    pub number: i32,
}

unsafe extern "C" {
    /// syscall(2): std links the C library that has it.
    fn syscall(number: c_long, ...) -> c_long;
}

/// `__NR_bpf`
const BPF: c_long = match () {
    _ if cfg!(target_arch = "x86_64") => 321,
    _ if cfg!(target_arch = "arm") => 386,
    // asm-generic/unistd.h
    _ => 280,
};

/// Commands, types and flags from linux/bpf.h.
const LOAD: c_int = 5;
const ATTACH: c_int = 8;
const CGROUP_DEVICE_PROGRAM: u32 = 15;
const CGROUP_DEVICE: u32 = 6;
const ALLOW_MULTI: u32 = 2;

/// Attaches a program that decides which devices the processes of a cgroup may
/// use. It lasts as long as the group.
///
/// # Errors
///
/// The kernel does not support such programs, or rejects this one.
pub fn bound_devices(group: BorrowedFd<'_>, program: &[Instruction]) -> io::Result<()> {
    #[repr(C)]
    struct Attach {
        group: c_int,
        program: c_int,
        kind: u32,
        flags: u32,
    }
    let program = load(program)?;
    let attributes = Attach {
        group: group.as_raw_fd(),
        program: program.as_raw_fd(),
        kind: CGROUP_DEVICE,
        flags: ALLOW_MULTI,
    };
    // SAFETY: the command reads as many bytes as it is told there are, all of a
    // structure that lives until it returns and has no padding, and writes
    // none. Both descriptors are open meanwhile.
    let result = unsafe { syscall(BPF, ATTACH, &raw const attributes, size_of::<Attach>()) };
    match result {
        0.. => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn load(program: &[Instruction]) -> io::Result<OwnedFd> {
    /// The beginning of `union bpf_attr`; the kernel takes the rest as zero.
    #[repr(C)]
    struct Load {
        kind: u32,
        count: u32,
        instructions: u64,
        license: u64,
        log_level: u32,
        log_size: u32,
        log: u64,
    }
    let address = |place: usize| u64::try_from(place).map_err(io::Error::other);
    let attributes = Load {
        kind: CGROUP_DEVICE_PROGRAM,
        count: u32::try_from(program.len()).map_err(io::Error::other)?,
        instructions: address(program.as_ptr().expose_provenance())?,
        license: address(c"".as_ptr().expose_provenance())?,
        log_level: 0,
        log_size: 0,
        log: 0,
    };
    // SAFETY: the command reads as many bytes as it is told there are, all of a
    // structure without padding; `count` instructions, which are laid out as
    // the kernel's are; and a terminated string. All of them live until it
    // returns. There is no log that it could write.
    let result = unsafe { syscall(BPF, LOAD, &raw const attributes, size_of::<Load>()) };
    match c_int::try_from(result) {
        // SAFETY: the kernel has just opened this descriptor for us, closed on
        // execve(2), and nobody else knows of it.
        Ok(fd @ 0..) => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}
