//! Messages on standard error, reports, and how numbers and errors are written.
//! It does without `core::fmt`, which is larger than all of this.

use core::ffi::CStr;

use rustix::fd::{AsFd, BorrowedFd};
use stage1_init::{Decimal, Directive, Directives, Report};

use crate::sys::{self, Errno};

/// Collects bytes and writes them with one system call, so that the lines of
/// two processes do not mix.
pub(crate) struct Line<'fd> {
    to: BorrowedFd<'fd>,
    bytes: [u8; 512],
    length: usize,
}

impl<'fd> Line<'fd> {
    #[inline(never)]
    pub(crate) fn new(to: BorrowedFd<'fd>) -> Self {
        Self {
            to,
            bytes: [0; 512],
            length: 0,
        }
    }

    /// Appends bytes; writes out what does not fit.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if self.length == self.bytes.len() {
                self.flush();
            }
            if let Some(place) = self.bytes.get_mut(self.length) {
                *place = byte;
                self.length += 1;
            }
        }
    }

    /// Appends a number.
    #[inline(never)]
    pub(crate) fn number(&mut self, number: u32) {
        self.push(Decimal::new(number).as_bytes());
    }

    /// Appends a number that may be negative.
    #[inline(never)]
    pub(crate) fn signed(&mut self, number: i32) {
        if number < 0 {
            self.push(b"-");
        }
        self.number(number.unsigned_abs());
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or(&[])
    }

    /// Writes what was collected. Errors are ignored, since they cannot be
    /// reported anywhere else.
    pub(crate) fn flush(&mut self) {
        let _ = sys::write_all(self.to, self.as_bytes());
        self.length = 0;
    }
}

/// Returns the bytes before the first NUL.
#[inline(never)]
pub(crate) fn c_str(bytes: &[u8]) -> &CStr {
    CStr::from_bytes_until_nul(bytes).unwrap_or_default()
}

/// Prints a line on standard error.
pub(crate) fn line(parts: &[&[u8]]) {
    say(parts, None);
}

/// Prints what failed, and why.
pub(crate) fn failed(what: &[u8], errno: Errno) {
    say(&[what, b": "], Some(errno));
}

#[inline(never)]
fn say(parts: &[&[u8]], reason: Option<Errno>) {
    let mut line = Line::new(sys::STDERR);
    line.push(b"stage1-init: ");
    for part in parts {
        line.push(part);
    }
    if let Some(errno) = reason {
        let number = Decimal::new(errno.number());
        let of = |text: &'static [u8]| text.strip_prefix(number.as_bytes())?.strip_prefix(b" ");
        let text = TEXTS.split(|&byte| byte == b'\n').find_map(of);
        line.push(text.unwrap_or(b"error "));
        if text.is_none() {
            line.push(number.as_bytes());
        }
    }
    line.push(b"\n");
    line.flush();
}

/// Prints which directive failed, with the first of its operands that is a
/// name.
#[inline(never)]
pub(crate) fn directive_failed(index: u32, mut from_there: Directives<'_>, errno: Errno) {
    let word = from_there.word().unwrap_or(c"?");
    let name = from_there
        .next()
        .and_then(|(_, directive)| name_of(&directive));
    let index = Decimal::new(index);
    let parts: &[&[u8]] = &[
        b"directive ",
        index.as_bytes(),
        b" (",
        word.to_bytes(),
        if name.is_some() { b" " } else { b"" },
        name.unwrap_or(c"").to_bytes(),
        b"): ",
    ];
    say(parts, Some(errno));
}

/// Prints which word is invalid, with its place, counted from zero, and why.
#[inline(never)]
pub(crate) fn refused(before: &[u8], place: usize, word: Option<&CStr>, after: &[u8], why: &[u8]) {
    let place = Decimal::new(u32::try_from(place).unwrap_or(u32::MAX));
    let word = word.unwrap_or(c"the end").to_bytes();
    line(&[before, place.as_bytes(), b" (", word, after, why]);
}

/// Writes a line of the report.
pub(crate) fn report(to: BorrowedFd<'_>, report: &Report<'_>) {
    let mut line = Line::new(to.as_fd());
    report.encode(&mut |bytes: &[u8]| line.push(bytes));
    line.flush();
}

#[inline(never)]
fn name_of<'a>(directive: &Directive<'a>) -> Option<&'a CStr> {
    use Directive as D;
    match directive {
        D::Cgroup { path } | D::Root { path } | D::Workdir { path } => Some(path),
        D::Dir { path, .. } | D::Touch { path, .. } | D::File { path, .. } => Some(path),
        D::Symlink { path, .. } | D::Node { path, .. } => Some(path),
        D::Mount { target, .. } | D::Bind { target, .. } | D::Remount { target, .. } => {
            Some(target)
        }
        D::Propagation { target, .. }
        | D::Readonly { target }
        | D::ReadonlyEntries { target }
        | D::Mask { target } => Some(target),
        D::Hostname { name } | D::Domainname { name } => Some(name),
        D::Sysctl { key, .. } => Some(key),
        D::App { name } => Some(name.as_c_str()),
        D::PreStart { argv } | D::Main { argv } | D::PostStop { argv } => argv.0.iter().next(),
        _ => None,
    }
}

/// The more common errors, as in strerror(3). Their numbers are the same on all
/// architectures of `arch`.
const TEXTS: &[u8] = b"\
1 Operation not permitted
2 No such file or directory
5 Input/output error
7 Argument list too long
8 Exec format error
9 Bad file descriptor
11 Resource temporarily unavailable
12 Cannot allocate memory
13 Permission denied
16 Device or resource busy
17 File exists
18 Invalid cross-device link
19 No such device
20 Not a directory
21 Is a directory
22 Invalid argument
25 Inappropriate ioctl for device
28 No space left on device
30 Read-only file system
36 File name too long
38 Function not implemented
40 Too many levels of symbolic links
95 Operation not supported
125 it did not succeed";
