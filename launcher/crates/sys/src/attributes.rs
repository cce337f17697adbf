//! Reads the extended attributes of open files: xattr(7).

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt as _;

use rustix::io::Errno;

/// The most bytes that a value has.
const MOST: usize = 64 << 10;

/// Returns the names of a file's attributes; none if the file system has no
/// attributes.
pub fn names(file: impl AsFd) -> io::Result<Vec<OsString>> {
    let mut names = match rustix::fs::flistxattr_query(&file) {
        Ok(0) | Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        length => vec![0; length?],
    };
    let length = rustix::fs::flistxattr(file, names.as_mut_slice())?;
    let names = names[..length].split(|&byte| byte == 0);
    let names = names.filter(|name| !name.is_empty());
    Ok(names.map(|name| OsStr::from_bytes(name).into()).collect())
}

/// Returns the value of an attribute.
pub fn value(file: impl AsFd, name: &OsStr) -> io::Result<Vec<u8>> {
    let mut value = vec![0; MOST];
    let length = rustix::fs::fgetxattr(file, name, value.as_mut_slice())?;
    value.truncate(length);
    Ok(value)
}
