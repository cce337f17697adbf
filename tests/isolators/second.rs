//! Programs of 32 bits on a 64-bit kernel.

use std::path::PathBuf;

use crate::aci::{Aci, manifest};
use crate::host::{Ran, Scratch, launcher};

/// A program of x86 that makes one call with this number and first argument,
/// and exits with its error, or 0.
fn program(number: u32, first: u32) -> Vec<u8> {
    const AT: u32 = 0x0804_8000;
    const HEADERS: u32 = 52 + 32;
    let mut code = vec![0xb8]; // mov eax, number
    code.extend(number.to_le_bytes());
    code.push(0xbb); // mov ebx, first
    code.extend(first.to_le_bytes());
    code.extend([
        0x31, 0xc9, 0x31, 0xd2, // xor ecx, ecx; xor edx, edx
        0xcd, 0x80, // int 0x80
        0x85, 0xc0, 0x79, 0x06, // test eax, eax; jns +6
        0xf7, 0xd8, 0x89, 0xc3, 0xeb, 0x02, // neg eax; mov ebx, eax; jmp +2
        0x31, 0xdb, // xor ebx, ebx
        0xb8, 1, 0, 0, 0, 0xcd, 0x80, // mov eax, exit; int 0x80
    ]);
    let size = HEADERS + u32::try_from(code.len()).unwrap();
    let mut file = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    // An executable for the 386.
    file.extend([2_u16, 3].into_iter().flat_map(u16::to_le_bytes));
    let header = [1, AT + HEADERS, 52, 0, 0];
    file.extend(header.into_iter().flat_map(u32::to_le_bytes));
    let sizes = [52_u16, 32, 1, 0, 0, 0];
    file.extend(sizes.into_iter().flat_map(u16::to_le_bytes));
    // One segment, to be loaded, read and executed: the whole file.
    let segment = [1, 0, AT, AT, size, size, 5, 0x1000];
    file.extend(segment.into_iter().flat_map(u32::to_le_bytes));
    file.extend(code);
    file
}

fn image(scratch: &Scratch, number: u32, first: u32) -> PathBuf {
    let app = r#"{"exec": ["/program"], "user": "0", "group": "0"}"#;
    let image = Aci::new(&manifest(app)).file("rootfs/program", 0o755, program(number, first));
    scratch.write("of-32-bits.aci", image.bytes())
}

fn call(options: &[&str], number: u32, first: u32) -> Ran {
    let scratch = Scratch::new();
    let image = image(&scratch, number, first);
    let run = launcher(&scratch.join("dir")).arg("run").arg(image);
    run.args(options).run()
}

const GETPID: u32 = 20;
const CHROOT: u32 = 61;
const SOCKETCALL: u32 = 102;
const CHOWN32: u32 = 212;
const KEYCTL: u32 = 288;
const SOCKET: u32 = 359;

#[test]
fn a_32_bit_program_runs_under_the_default_filter() {
    require_root!();
    for (number, first, expected) in [
        (GETPID, 0, 0),
        // EPERM: keys have no namespaces.
        (KEYCTL, 0, 1),
        // ESOCKTNOSUPPORT: AF_UNIX is to be had, but not without a kind.
        (SOCKET, 1, 94),
        // EAFNOSUPPORT: AF_ALG is not to be had.
        (SOCKET, 38, 97),
        // ENOSYS: of this call nobody sees which family it asks for.
        (SOCKETCALL, 1, 38),
    ] {
        call(&[], number, first).exits(expected).complains("");
    }
}

#[test]
fn sets_of_calls_hold_for_a_32_bit_program() {
    require_root!();
    // SIGSYS is 31.
    const KILLED: i32 = 128 + 31;
    for (set, number, expected) in [
        ("mode=remove,errno=EROFS,chroot", CHROOT, 30),
        ("mode=remove,errno=EROFS,chroot", GETPID, 0),
        ("mode=remove,errno=EROFS,chown", CHOWN32, 30),
        ("mode=retain,getpid", GETPID, 0),
        ("mode=retain,getpid", CHOWN32, KILLED),
        ("mode=retain,errno=EROFS,getpid", SOCKETCALL, 30),
    ] {
        call(&["--seccomp", set], number, 0)
            .exits(expected)
            .complains("");
    }
}
