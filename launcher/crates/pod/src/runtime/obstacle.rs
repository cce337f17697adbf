//! Says what keeps a program that is in the image from being executed. The
//! kernel names only the program, also where another file is missing: with "No
//! such file or directory" it means the interpreter of a script, or the loader
//! of a dynamic program (execve(2)).

use rustix::io::Errno;

use crate::runtime::interpreter::{HEAD, Interpreter, architecture, interpreter};
use error::quote::{escaped, quoted};
use error::{Error, Result};
use image::store::rootfs::Rootfs;

/// How many interpreters of interpreters the kernel accepts.
const LEVELS: usize = 5;

/// Explains why the kernel refused to execute a program with `cause`. `None` if
/// the program is not in the image, or nothing is wrong with its files there.
/// `search` is the PATH of a program that is not a path.
pub(super) fn obstacle(
    program: &str,
    search: &str,
    cause: Errno,
    rootfs: &dyn Rootfs,
) -> Result<Option<Error>> {
    let found = |path: &String| matches!(rootfs.status(relative(path)), Ok(Some(_)));
    let Some(path) = candidates(program, search).into_iter().find(found) else {
        return Ok(None);
    };
    let mut chain = vec![path];
    for _ in 0..LEVELS {
        let Some(file) = chain.last() else { break };
        let Some(status) = rootfs.status(relative(file))? else {
            break;
        };
        let whose = Whose::of(program, &chain);
        match cause {
            Errno::ACCESS if status.directory => {
                return Ok(Some(Error::invalid(whose.is("a directory"))));
            }
            Errno::ACCESS if status.mode & 0o111 == 0 => {
                let mode = status.mode & 0o7777;
                let error = Error::invalid(whose.is("not executable"));
                return Ok(Some(error.hint(format!("its mode is {mode:04o}"))));
            }
            _ => {}
        }
        let Some(head) = rootfs.read(relative(file), HEAD)? else {
            break;
        };
        if cause == Errno::NOEXEC {
            return Ok(unknown_format(&whose, &head));
        }
        let Some(asked) = interpreter(&head) else {
            break;
        };
        let name = asked.name().to_owned();
        if cause == Errno::NOENT && rootfs.status(relative(&name))?.is_none() {
            return Ok(Some(missing(&whose, &asked)));
        }
        chain.push(name);
    }
    Ok(None)
}

/// A program, or an interpreter that it needs.
struct Whose<'a> {
    program: &'a str,
    /// The interpreter.
    needed: Option<&'a str>,
}

impl<'a> Whose<'a> {
    fn of(program: &'a str, chain: &'a [String]) -> Self {
        let needed = chain.get(1..).and_then(<[_]>::last);
        Self {
            program,
            needed: needed.map(String::as_str),
        }
    }

    fn is(&self, what: &str) -> String {
        self.says(&format!("is {what}"))
    }

    /// A sentence, such as ``cannot execute `/x`: its interpreter `/y` WHAT``.
    fn says(&self, what: &str) -> String {
        let program = escaped(self.program);
        match self.needed {
            None => format!("cannot execute `{program}`: it {what}"),
            Some(needed) => {
                let needed = quoted(needed);
                format!("cannot execute `{program}`: its interpreter {needed} {what}")
            }
        }
    }
}

fn missing(whose: &Whose<'_>, asked: &Interpreter) -> Error {
    let name = quoted(asked.name());
    match asked {
        Interpreter::Script(name) if name.ends_with('\r') => {
            let name = quoted(name);
            let what = format!("asks for the interpreter {name}: its first line ends in CR LF");
            Error::invalid(whose.says(&what))
                .hint("convert the script to Unix line endings, for instance with `dos2unix`")
        }
        Interpreter::Script(_) => {
            let what = format!("asks for the interpreter {name}, which is not in the image");
            Error::invalid(whose.says(&what))
                .hint("add the interpreter to the image, or name another in its first line")
        }
        Interpreter::Loader(_) => {
            let what = format!("needs the dynamic loader {name}, which is not in the image");
            Error::invalid(whose.says(&what)).hint(
                "link the program statically, or add the loader and its libraries to the image",
            )
        }
    }
}

fn unknown_format(whose: &Whose<'_>, head: &[u8]) -> Option<Error> {
    if let Some(built_for) = architecture(head) {
        let here = std::env::consts::ARCH;
        let what = format!("was built for {built_for}, and this machine is {here}");
        return (built_for != here).then(|| Error::invalid(whose.says(&what)));
    }
    let is_text = !head.is_empty() && !head.contains(&0);
    (is_text && !head.starts_with(b"\x7fELF")).then(|| {
        Error::invalid(whose.says("is neither a binary nor a script that names its interpreter"))
            .hint("begin the script with a line such as `#!/bin/sh`")
    })
}

/// Returns where the kernel looks for a program.
fn candidates(program: &str, search: &str) -> Vec<String> {
    match program.contains('/') {
        true => vec![program.to_owned()],
        false => {
            let directories = search.split(':');
            let joined = directories.map(|directory| format!("{directory}/{program}"));
            joined.collect()
        }
    }
}

fn relative(path: &str) -> &str {
    path.trim_start_matches('/')
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use image::store::rootfs::Status;

    /// Paths with their modes and contents.
    struct Files(&'static [(&'static str, u32, &'static [u8])]);

    impl Files {
        fn get(&self, path: &str) -> Option<(u32, &'static [u8])> {
            let mut files = self.0.iter();
            let found = files.find(|(name, ..)| *name == path);
            found.map(|&(_, mode, content)| (mode, content))
        }
    }

    impl Rootfs for Files {
        fn read(&self, path: &str, _: usize) -> Result<Option<Vec<u8>>> {
            Ok(self.get(path).map(|(_, content)| content.to_vec()))
        }

        fn status(&self, path: &str) -> Result<Option<Status>> {
            Ok(self.get(path).map(|(mode, content)| Status {
                directory: content == b"directory",
                uid: 0,
                gid: 0,
                mode,
            }))
        }

        fn has(&self, path: &str) -> Result<bool> {
            Ok(self.get(path).is_some())
        }

        fn is_empty(&self, _: &str) -> Result<bool> {
            Ok(true)
        }
    }

    const FILES: Files = Files(&[
        ("bin/sh", 0o755, b"#!/lib/sh.sh\n"),
        ("app/lost", 0o755, b"#!/bin/bash -e\n"),
        ("app/dos", 0o755, b"#!/bin/sh\r\necho\r\n"),
        ("app/deep", 0o755, b"#! /bin/sh\n"),
        ("app/plain", 0o644, b"#!/bin/cat\n"),
        ("bin/cat", 0o755, b"cat"),
        ("app/text", 0o755, b"echo\n"),
        ("app/empty", 0o755, b""),
        ("app", 0o755, b"directory"),
    ]);

    fn said(program: &str, cause: Errno) -> Option<String> {
        let found = obstacle(program, "/bin:/app", cause, &FILES).unwrap();
        found.map(|error| error.brief().to_string())
    }

    #[test]
    fn the_file_that_is_missing_is_named() {
        for (program, expected) in [
            (
                "/app/lost",
                "cannot execute `/app/lost`: it asks for the interpreter `/bin/bash`, which is not in the image\nhint: add the interpreter to the image, or name another in its first line",
            ),
            (
                "lost",
                "cannot execute `lost`: it asks for the interpreter `/bin/bash`, which is not in the image\nhint: add the interpreter to the image, or name another in its first line",
            ),
            (
                "/app/dos",
                "cannot execute `/app/dos`: it asks for the interpreter `/bin/sh\\r`: its first line ends in CR LF\nhint: convert the script to Unix line endings, for instance with `dos2unix`",
            ),
            (
                "/app/deep",
                "cannot execute `/app/deep`: its interpreter `/bin/sh` asks for the interpreter `/lib/sh.sh`, which is not in the image\nhint: add the interpreter to the image, or name another in its first line",
            ),
        ] {
            assert_eq!(said(program, Errno::NOENT).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said() {
        for (program, cause, expected) in [
            (
                "/app/plain",
                Errno::ACCESS,
                "cannot execute `/app/plain`: it is not executable\nhint: its mode is 0644",
            ),
            (
                "/app",
                Errno::ACCESS,
                "cannot execute `/app`: it is a directory",
            ),
            (
                "/app/text",
                Errno::NOEXEC,
                "cannot execute `/app/text`: it is neither a binary nor a script that names its interpreter\nhint: begin the script with a line such as `#!/bin/sh`",
            ),
        ] {
            assert_eq!(said(program, cause).unwrap(), expected);
        }
    }

    #[test]
    fn a_program_that_is_missing_or_sound_is_not_blamed() {
        for (program, cause) in [
            ("/app/none", Errno::NOENT),
            ("none", Errno::NOENT),
            ("/app/text", Errno::NOENT),
            ("/app/lost", Errno::ACCESS),
            ("/app/empty", Errno::NOEXEC),
            ("/app/plain", Errno::NOENT),
        ] {
            assert_eq!(said(program, cause), None, "{program}");
        }
    }
}
