//! System calls that std does not have, behind safe functions.

use std::io;

/// Returns the process group and the session.
pub(crate) fn group_and_session() -> (i32, i32) {
    // SAFETY: takes no pointer and cannot fail.
    let group = unsafe { libc::getpgrp() };
    // SAFETY: takes no pointer; 0 is the caller.
    let session = unsafe { libc::getsid(0) };
    (group, session)
}

/// Returns the serial number of the session keyring, as keyctl(2) knows it.
pub(crate) fn session_keyring() -> Result<i64, i32> {
    /// `KEYCTL_GET_KEYRING_ID` of linux/keyctl.h.
    const GET_KEYRING_ID: libc::c_long = 0;
    /// `KEY_SPEC_SESSION_KEYRING` of linux/keyctl.h.
    const SESSION: libc::c_long = -3;
    // SAFETY: takes no pointer; the last word asks not to make a keyring.
    let serial = unsafe { libc::syscall(libc::SYS_keyctl, GET_KEYRING_ID, SESSION, 0_i64) };
    if serial < 0 { Err(last()) } else { Ok(serial) }
}

/// Blocks a signal, so that it waits until [`wait_for`] takes it.
pub(crate) fn block(signal: i32) {
    let set = one(signal);
    // SAFETY: `set` is initialised and outlives the call; null asks for no old set.
    unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
}

/// Waits for a signal that is blocked.
pub(crate) fn wait_for(signal: i32) {
    let set = one(signal);
    let mut got = 0;
    // SAFETY: both point to initialised variables that outlive the call.
    unsafe { libc::sigwait(&raw const set, &raw mut got) };
}

/// Sends a signal to this process.
pub(crate) fn kill_self(signal: i32) {
    // std catches SIGSEGV and SIGBUS, to tell overflowing stacks.
    // SAFETY: the default action is no code of this program.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
    // SAFETY: takes no pointer.
    unsafe { libc::raise(signal) };
}

/// Makes a grandchild whose parent is dead, and which then dies as well.
pub(crate) fn spawn_orphan() -> io::Result<()> {
    match fork()? {
        0 => {
            let grandchild = fork();
            if matches!(grandchild, Ok(0)) {
                let parent = std::os::unix::process::parent_id();
                for _ in 0..1000 {
                    if std::os::unix::process::parent_id() != parent {
                        break;
                    }
                    std::thread::yield_now();
                }
            }
            exit_now()
        }
        child => {
            // SAFETY: null asks for no status.
            unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
            Ok(())
        }
    }
}

/// Refuses system calls to this process, and to all that it starts or becomes.
pub(crate) fn refuse(calls: &[u32], errno: u32) -> io::Result<()> {
    /// Where `struct seccomp_data` has the number of the call.
    const NUMBER: u32 = 0;
    let statement = |code: u32, k| (code, 0, 0, k);
    let mut program = vec![statement(
        libc::BPF_LD | libc::BPF_W | libc::BPF_ABS,
        NUMBER,
    )];
    for &call in calls {
        // Unless it is this one, the next instruction is passed over.
        program.push((libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, call));
        program.push(statement(libc::BPF_RET, libc::SECCOMP_RET_ERRNO | errno));
    }
    program.push(statement(libc::BPF_RET, libc::SECCOMP_RET_ALLOW));
    let mut program: Vec<_> = program
        .into_iter()
        .filter_map(|(code, jt, jf, k)| {
            let code = code.try_into().ok()?;
            Some(libc::sock_filter { code, jt, jf, k })
        })
        .collect();
    let program = libc::sock_fprog {
        len: program.len().try_into().unwrap_or(0),
        filter: program.as_mut_ptr(),
    };
    // SAFETY: the program is as long as it says, and both outlive the call.
    let result = unsafe {
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const program,
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Makes a child that does nothing, and ends with this process.
pub(crate) fn spawn_idle() -> io::Result<()> {
    let parent = std::process::id();
    match fork()? {
        0 => {
            // SAFETY: takes numbers only.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            // It may have ended before that was said.
            while std::os::unix::process::parent_id() == parent {
                // SAFETY: takes nothing.
                unsafe { libc::pause() };
            }
            exit_now()
        }
        _ => Ok(()),
    }
}

/// Returns the last error number.
pub(crate) fn last() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

fn fork() -> io::Result<libc::pid_t> {
    // SAFETY: this program has one thread, so the child may go on as usual.
    let pid = unsafe { libc::fork() };
    if pid < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(pid)
    }
}

fn exit_now() -> ! {
    // SAFETY: ends the process at once; nothing buffered is flushed twice.
    unsafe { libc::_exit(0) }
}

fn one(signal: i32) -> libc::sigset_t {
    let mut set = std::mem::MaybeUninit::uninit();
    // SAFETY: sigemptyset(3) initialises what it points to.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: initialised on the line above; a bad signal is refused.
    unsafe { libc::sigaddset(set.as_mut_ptr(), signal) };
    // SAFETY: initialised two lines above.
    unsafe { set.assume_init() }
}
