//! Memory for values and strings, straight from mmap(2): there is no heap.
//!
//! # Safety
//!
//! As in `call`, whose macro is used here.

#![allow(unsafe_code, reason = "memory is handed out here")]

use core::ffi::{CStr, c_char};
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ptr;

use rustix::fd::{AsRawFd, BorrowedFd};

use super::call::nr;
use super::result::{Errno, Result};
use crate::arch;

/// A list of values with a fixed capacity, in memory from mmap(2). Memory is
/// used only as it is filled. The values are not dropped with it.
pub(crate) struct Array<T> {
    first: *mut T,
    length: usize,
    capacity: usize,
}

impl<T> Array<T> {
    /// Creates an empty list.
    pub(crate) fn new(capacity: usize) -> Result<Self> {
        let size = capacity.checked_mul(size_of::<T>()).ok_or(Errno::NOMEM)?;
        Ok(Self {
            first: ptr::with_exposed_provenance_mut(map(size)?),
            length: 0,
            capacity,
        })
    }

    /// Creates an empty list in memory that another has left over, if there is
    /// enough: that takes a page less.
    pub(crate) fn within(room: Option<Room>, capacity: usize) -> Result<Self> {
        let Some(Room { first, end }) = room else {
            return Self::new(capacity);
        };
        let first = first.next_multiple_of(align_of::<T>());
        match capacity.checked_mul(size_of::<T>()) {
            Some(size) if size <= end.saturating_sub(first) => Ok(Self {
                first: ptr::with_exposed_provenance_mut(first),
                length: 0,
                capacity,
            }),
            _ => Self::new(capacity),
        }
    }

    /// Appends a value.
    pub(crate) fn push(&mut self, value: T) -> Result<()> {
        if self.length >= self.capacity {
            return Err(Errno::TOOBIG);
        }
        // SAFETY: the mapping holds `capacity` values, and this is one of them.
        let place = unsafe { self.first.add(self.length) };
        // SAFETY: a mapping begins at a page, and `within` aligns, so this
        // place is aligned for the value.
        unsafe { place.write(value) };
        self.length += 1;
        Ok(())
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [T] {
        // SAFETY: as in `as_slice`; the borrow is exclusive.
        unsafe { core::slice::from_raw_parts_mut(self.first, self.length) }
    }

    pub(crate) fn as_slice(&self) -> &[T] {
        // SAFETY: `length` values were written, and nothing unmaps them.
        unsafe { core::slice::from_raw_parts(self.first, self.length) }
    }
}

impl Array<u64> {
    /// Reads the start of a file, up to its end or the capacity. The file must
    /// hold whole values.
    pub(crate) fn read_start(&mut self, fd: BorrowedFd<'_>) -> Result<()> {
        let size = self.capacity * size_of::<u64>();
        // An offset has one register or two.
        let read = call!(__NR_pread64, fd.as_raw_fd(), self.first, size, 0, 0)? as usize;
        if !read.is_multiple_of(size_of::<u64>()) {
            return Err(Errno::INVAL);
        }
        self.length = read / size_of::<u64>();
        Ok(())
    }
}

impl Array<u8> {
    /// Appends what can be read from a descriptor, up to its end or the
    /// capacity.
    pub(crate) fn read_all(&mut self, fd: BorrowedFd<'_>) -> Result<()> {
        while self.length < self.capacity {
            // SAFETY: `length` is at most `capacity`, so this stays in the mapping.
            let free = unsafe { self.first.add(self.length) };
            match call!(__NR_read, fd.as_raw_fd(), free, self.capacity - self.length) {
                Ok(0) => break,
                Ok(read) => self.length += read as usize,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    /// Returns the bytes for as long as the program runs, and the memory left
    /// over.
    pub(crate) fn leak(self) -> (&'static [u8], Room) {
        let kept = ManuallyDrop::new(self);
        let start = kept.first.expose_provenance();
        let room = Room {
            first: start + kept.length,
            end: start + kept.capacity,
        };
        // SAFETY: as in `as_slice`; the value that could append or unmap is
        // gone.
        let bytes = unsafe { core::slice::from_raw_parts(kept.first, kept.length) };
        (bytes, room)
    }
}

/// The unused rest of a mapping. There is no other `Room` for the same memory.
pub(crate) struct Room {
    first: usize,
    end: usize,
}

impl<T> Drop for Array<T> {
    fn drop(&mut self) {
        // The kernel refuses to unmap an array that is within a room and does
        // not start at a page; nothing needs to be done then.
        unmap(self.first.addr(), self.capacity * size_of::<T>());
    }
}

/// Maps fresh memory.
#[inline(never)]
fn map(size: usize) -> Result<usize> {
    #[cfg(target_arch = "arm")]
    let number = nr::__NR_mmap2;
    #[cfg(not(target_arch = "arm"))]
    let number = nr::__NR_mmap;
    let protection = nr::PROT_READ | nr::PROT_WRITE;
    let flags = nr::MAP_PRIVATE | nr::MAP_ANONYMOUS;
    let arguments = [0, size.max(1), protection as usize, flags as usize, !0, 0];
    // SAFETY: the new mapping does not overlap any other.
    match unsafe { arch::syscall(number, arguments) } {
        -4095..0 => Err(Errno::NOMEM),
        first => Ok(first.cast_unsigned()),
    }
}

#[inline(never)]
fn unmap(first: usize, size: usize) {
    let _ = call!(__NR_munmap, first, size.max(1));
}

/// The argv or environment of a program, under construction. A process that
/// makes one executes the program or exits, so the memory is not freed.
pub(crate) struct Strings<'a> {
    pointers: ManuallyDrop<Array<*const c_char>>,
    strings: PhantomData<&'a CStr>,
}

impl<'a> Strings<'a> {
    /// Creates an empty one for this many strings.
    pub(crate) fn new(capacity: usize) -> Result<Self> {
        let pointers = Array::new(capacity.checked_add(1).ok_or(Errno::NOMEM)?)?;
        Ok(Self {
            pointers: ManuallyDrop::new(pointers),
            strings: PhantomData,
        })
    }

    #[inline(never)]
    pub(crate) fn push(&mut self, string: &'a CStr) -> Result<()> {
        // One place is left free: fresh memory is zero, which is the null
        // pointer at the end.
        if self.pointers.length + 1 >= self.pointers.capacity {
            return Err(Errno::TOOBIG);
        }
        self.pointers.push(string.as_ptr())
    }

    pub(crate) fn as_vector(&self) -> Vector<'_> {
        Vector {
            first: self.pointers.first,
            strings: PhantomData,
        }
    }
}

/// An argv or environment as execve(2) takes it: pointers to strings, and a
/// null pointer.
#[derive(Clone, Copy)]
pub(crate) struct Vector<'a> {
    pub(super) first: *const *const c_char,
    strings: PhantomData<&'a CStr>,
}

impl<'a> Vector<'a> {
    /// # Safety
    ///
    /// `first` must be the first of such pointers, which are valid for `'a`.
    pub(crate) unsafe fn new(first: *const *const c_char) -> Self {
        Self {
            first,
            strings: PhantomData,
        }
    }

    /// Returns an iterator over the strings.
    pub(crate) fn iter(self) -> impl Iterator<Item = &'a CStr> {
        let mut place = self.first;
        core::iter::from_fn(move || {
            // SAFETY: none before this one was null, so this is a pointer or
            // null.
            let pointer = unsafe { place.read() };
            if pointer.is_null() {
                return None;
            }
            // SAFETY: a pointer that is not null is followed by another.
            place = unsafe { place.add(1) };
            // SAFETY: it points to a string, as all of them do.
            Some(unsafe { CStr::from_ptr(pointer) })
        })
    }
}

/// Gives back the memory of the stack below this call.
///
/// The code before a long sleep goes deeper than the code after it, and its
/// pages would stay in memory for as long as the process lives.
#[inline(never)]
pub(crate) fn release_stack() {
    /// If pages are larger, the kernel may refuse, and nothing is lost.
    const PAGE: usize = 4096;
    /// More than this call needs, and may use below its stack pointer.
    const MARGIN: usize = 384;
    /// More than the program ever needs.
    const DEPTH: usize = 64 * PAGE;
    let here = 0_u8;
    let end = ((&raw const here).addr() - MARGIN) & !(PAGE - 1);
    // Beyond the rule of `call`: below that margin, a stack holds nothing.
    let _ = call!(__NR_madvise, end - DEPTH, DEPTH, nr::MADV_DONTNEED);
}
