//! Reads as much of an ELF file as tells whether it needs anything to run.

/// Returns the interpreter (the dynamic linker) that a program asks for, or
/// `None` if it asks for none.
///
/// # Errors
///
/// What is not a 32- or 64-bit little-endian ELF file.
pub(crate) fn interpreter(file: &[u8]) -> Result<Option<String>, String> {
    /// `PT_INTERP` of elf(5).
    const INTERP: u64 = 3;
    let wide = match file.get(..6) {
        Some([0x7f, b'E', b'L', b'F', 2, 1]) => true,
        Some([0x7f, b'E', b'L', b'F', 1, 1]) => false,
        _ => return Err("not a little-endian ELF file".to_owned()),
    };
    // Where elf(5) puts the fields of `ElfN_Ehdr` and `ElfN_Phdr`.
    let (table, entry_size, count) = if wide { (32, 54, 56) } else { (28, 42, 44) };
    let (offset, size) = if wide { (8, 32) } else { (4, 16) };
    let word = if wide { 8 } else { 4 };
    let cut = || "the ELF file is cut short".to_owned();
    let number = |at: usize, bytes: usize| number(file, at, bytes).ok_or_else(cut);
    let index = |at: usize, bytes: usize| {
        number(at, bytes).and_then(|number| usize::try_from(number).map_err(|_| cut()))
    };
    let start = index(table, word)?;
    let step = index(entry_size, 2)?;
    for entry in 0..index(count, 2)? {
        let header = start + entry * step;
        if number(header, 4)? == INTERP {
            let from = index(header + offset, word)?;
            let length = index(header + size, word)?;
            let path = file.get(from..from + length).ok_or_else(cut)?;
            let path = String::from_utf8_lossy(path);
            return Ok(Some(path.trim_end_matches('\0').to_owned()));
        }
    }
    Ok(None)
}

fn number(file: &[u8], at: usize, bytes: usize) -> Option<u64> {
    let bytes = file.get(at..at.checked_add(bytes)?)?;
    Some(
        bytes
            .iter()
            .rev()
            .fold(0, |sum, &byte| sum << 8 | u64::from(byte)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A 64-bit file of one program header, at 64, of this type.
    fn sample(kind: u8) -> Vec<u8> {
        let mut file = vec![0; 140];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[32] = 64;
        file[54] = 56;
        file[56] = 1;
        file[64] = kind;
        file[64 + 8] = 120;
        file[64 + 32] = 8;
        file[120..128].copy_from_slice(b"/lib/ld\0");
        file
    }

    #[test]
    fn an_interpreter_is_found() {
        assert_eq!(interpreter(&sample(3)), Ok(Some("/lib/ld".to_owned())));
        assert_eq!(interpreter(&sample(1)), Ok(None));
    }

    #[test]
    fn what_is_no_program_is_refused() {
        assert!(interpreter(b"#!/bin/sh").is_err());
        assert!(interpreter(&sample(3)[..100]).is_err());
    }
}
