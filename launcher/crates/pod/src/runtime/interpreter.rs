//! Finds the other file that a program needs in order to run: the `#!` line of
//! a script, or the dynamic linker of an ELF file. If that is missing, the
//! kernel says "No such file or directory" about a program that exists.

/// The other file that a program names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Interpreter {
    /// That of a script.
    Script(String),
    /// The loader of a dynamic program.
    Loader(String),
}

impl Interpreter {
    /// Returns its path.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Script(name) | Self::Loader(name) => name,
        }
    }
}

/// Returns the interpreter that a program names, given its first bytes.
///
/// Sources: execve(2) "Interpreter scripts", elf(5) `PT_INTERP`. To the kernel,
/// a carriage return is part of the name: only blanks and tabs end it.
pub(crate) fn interpreter(head: &[u8]) -> Option<Interpreter> {
    let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    match head.strip_prefix(b"#!") {
        Some(script) => {
            let line = script.split(|&byte| byte == b'\n').next()?;
            let mut words = line.split(|byte| b" \t".contains(byte));
            let name = words.find(|word| !word.is_empty())?;
            Some(Interpreter::Script(text(name)))
        }
        None => {
            let name = elf_interpreter(head).filter(|name| !name.is_empty())?;
            Some(Interpreter::Loader(text(name)))
        }
    }
}

/// Returns the architecture that an ELF file was built for, as Rust names it;
/// `None` if it is another kind of file, or the architecture is not known here.
///
/// Source: elf(5) `e_machine`.
pub(crate) fn architecture(head: &[u8]) -> Option<&'static str> {
    let machine = head.get(18..20).filter(|_| head.starts_with(b"\x7fELF"))?;
    let machine = <[u8; 2]>::try_from(machine).ok()?;
    let machine = match head.get(5)? {
        1 => u16::from_le_bytes(machine),
        _ => u16::from_be_bytes(machine),
    };
    Some(match machine {
        3 => "x86",
        20 => "powerpc",
        21 => "powerpc64",
        22 => "s390x",
        40 => "arm",
        62 => "x86_64",
        183 => "aarch64",
        243 => "riscv64",
        258 => "loongarch64",
        _ => return None,
    })
}

/// How many bytes [`interpreter`] needs: linkers put the program headers and
/// the interpreter's name into the first page.
pub(crate) const HEAD: usize = 4096;

/// Little-endian files only: no target of ours is big-endian.
fn elf_interpreter(head: &[u8]) -> Option<&[u8]> {
    const PT_INTERP: u64 = 3;
    let wide = match head.get(..6)? {
        [0x7f, b'E', b'L', b'F', class @ (1 | 2), 1] => *class == 2,
        _ => return None,
    };
    let number = |at: usize, size: usize| -> Option<u64> {
        let bytes = head.get(at..at.checked_add(size)?)?;
        Some(
            bytes
                .iter()
                .rev()
                .fold(0, |number, &byte| number << 8 | u64::from(byte)),
        )
    };
    // Offsets of e_phoff, e_phentsize and e_phnum, then of p_offset and p_filesz.
    let (word, table, entry, count, offset, length) = match wide {
        true => (8, 32, 54, 56, 8, 32),
        false => (4, 28, 42, 44, 4, 16),
    };
    let table = usize::try_from(number(table, word)?).ok()?;
    let entry = usize::try_from(number(entry, 2)?).ok()?;
    let count = usize::try_from(number(count, 2)?).ok()?;
    for index in 0..count {
        let header = table.checked_add(index.checked_mul(entry)?)?;
        if number(header, 4)? == PT_INTERP {
            let start = usize::try_from(number(header.checked_add(offset)?, word)?).ok()?;
            let length = usize::try_from(number(header.checked_add(length)?, word)?).ok()?;
            let name = head.get(start..start.checked_add(length)?)?;
            return name.split(|&byte| byte == 0).next();
        }
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    /// A 64-bit ELF file with one program header that names an interpreter.
    fn elf() -> Vec<u8> {
        let mut file = vec![0_u8; 64 + 56];
        file[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1]);
        file[32] = 64;
        file[54] = 56;
        file[56] = 1;
        file[64] = 3;
        file[64 + 8] = 120;
        file[64 + 32] = 7;
        file.extend_from_slice(b"/lib/x\0");
        file
    }

    #[test]
    fn programs_without_an_interpreter_give_none() {
        let whole = elf();
        for length in 0..whole.len() {
            assert_eq!(interpreter(&whole[..length]), None, "{length} bytes");
        }
        let mut far = elf();
        far[32..40].fill(0xff);
        assert_eq!(interpreter(&far), None);
        for head in [&b""[..], b"#!", b"#!  \n/x", b"#! \t", b"plain text"] {
            assert_eq!(interpreter(head), None, "{head:?}");
        }
    }

    #[test]
    fn scripts_and_dynamic_programs_name_their_interpreter() {
        let script = |name: &str| Some(Interpreter::Script(name.to_owned()));
        assert_eq!(interpreter(b"#! /bin/sh -e\nexit\n"), script("/bin/sh"));
        assert_eq!(interpreter(b"#!/usr/bin/env"), script("/usr/bin/env"));
        assert_eq!(interpreter(b"#!/bin/sh\r\n"), script("/bin/sh\r"));
        let loader = Interpreter::Loader("/lib/x".to_owned());
        assert_eq!(interpreter(&elf()), Some(loader));
    }

    #[test]
    fn this_test_names_its_dynamic_linker() {
        let program = std::fs::read("/proc/self/exe").unwrap();
        let found = interpreter(&program[..HEAD]);
        // A static build has none; that of a dynamic one exists.
        if let Some(loader) = found {
            assert!(std::path::Path::new(loader.name()).exists(), "{loader:?}");
        }
        assert_eq!(architecture(&program), Some(std::env::consts::ARCH));
    }
}
