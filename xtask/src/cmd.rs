//! Runs other programs: echoes each command line before it runs, and names it
//! when it fails. Also knows where the project and its products are, and is
//! the one place of xtask that prints.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A task ends well or with a sentence.
pub(crate) type Result<T> = std::result::Result<T, String>;

/// A command line to be run.
pub(crate) struct Cmd {
    command: Command,
    shown: String,
    echo: bool,
}

/// Starts a command line with a program.
pub(crate) fn cmd(program: impl AsRef<OsStr>) -> Cmd {
    let program = program.as_ref();
    let mut command = Command::new(program);
    command.current_dir(root());
    Cmd {
        shown: quoted(program),
        command,
        echo: true,
    }
}

/// Starts a command line with the cargo that runs xtask.
pub(crate) fn cargo() -> Cmd {
    let mut cargo = cmd(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.shown = "cargo".to_owned();
    // What cargo says of this package. Build scripts that ask for it would run
    // again each time, here or in a build without us.
    for (name, _) in env::vars_os() {
        let is_ours = |prefix: &str| name.as_encoded_bytes().starts_with(prefix.as_bytes());
        if is_ours("CARGO_PKG_") || is_ours("CARGO_MANIFEST_") {
            cargo.command.env_remove(name);
        }
    }
    cargo
}

impl Cmd {
    /// Adds one word.
    pub(crate) fn arg(mut self, word: impl AsRef<OsStr>) -> Self {
        self.shown.push(' ');
        self.shown.push_str(&quoted(word.as_ref()));
        self.command.arg(word);
        self
    }

    /// Adds words.
    pub(crate) fn args<W: AsRef<OsStr>>(self, words: impl IntoIterator<Item = W>) -> Self {
        words.into_iter().fold(self, Self::arg)
    }

    /// Sets a variable of the environment; it is echoed in front.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.shown = format!("{name}={} {}", quoted(value.as_ref()), self.shown);
        self.command.env(name, value);
        self
    }

    /// Runs in this directory instead of the project's.
    pub(crate) fn dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Throws away what it says of its progress.
    pub(crate) fn discard(mut self) -> Self {
        self.command.stderr(Stdio::null());
        self
    }

    /// Does not echo the command line.
    pub(crate) fn quiet(mut self) -> Self {
        self.echo = false;
        self
    }

    /// Runs to the end, which must be a success.
    pub(crate) fn run(mut self) -> Result<()> {
        self.announce();
        let status = self
            .command
            .status()
            .map_err(|error| format!("cannot run `{}`: {error}", self.shown))?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("`{}` failed: {status}", self.shown))
        }
    }

    /// Runs to the end, which must be a success, and returns what was written
    /// to standard output.
    pub(crate) fn read(mut self) -> Result<String> {
        self.announce();
        let output = self
            .command
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| format!("cannot run `{}`: {error}", self.shown))?;
        if !output.status.success() {
            return Err(format!("`{}` failed: {}", self.shown, output.status));
        }
        String::from_utf8(output.stdout)
            .map_err(|_| format!("`{}` prints what is not text", self.shown))
    }

    /// Hands over what was composed, for callers that wait for it themselves.
    pub(crate) fn into_command(self) -> Command {
        self.announce();
        self.command
    }

    fn announce(&self) {
        if self.echo {
            say(&format!("$ {}", self.shown));
        }
    }
}

/// Says something to the person at the terminal.
#[allow(clippy::print_stderr, reason = "the one place that talks")]
pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}

/// Prints a result.
#[allow(clippy::print_stdout, reason = "the one place that prints results")]
pub(crate) fn show(text: &str) {
    print!("{text}");
}

/// The directory of the project.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Where cargo builds.
pub(crate) fn target_dir() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// Where the built images are.
pub(crate) fn images_dir() -> PathBuf {
    target_dir().join("images")
}

/// Finds a program in PATH, or at a path.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    // Where Debian keeps the tools of the administrator, whoever asks.
    let mut path = env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin");
    env::split_paths(&path)
        .map(|dir| dir.join(program))
        .find(|candidate| candidate.is_file())
}

/// Tells whether this process is root's.
pub(crate) fn is_root() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| {
        status
            .lines()
            .filter_map(|line| line.strip_prefix("Uid:"))
            .any(|ids| ids.split_whitespace().nth(1) == Some("0"))
    })
}

/// Adds what was being done to a failure of a file system call.
pub(crate) fn failed<'a>(doing: &'a str, path: &'a Path) -> impl Fn(std::io::Error) -> String + 'a {
    move |error| format!("cannot {doing} `{}`: {error}", path.display())
}

fn quoted(word: &OsStr) -> String {
    let word = OsString::from(word).to_string_lossy().into_owned();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word
    } else {
        format!("'{word}'")
    }
}

/// Returns the target that the compiler builds for by itself.
pub(crate) fn host_target() -> Result<String> {
    let version = cmd("rustc").arg("-vV").quiet().read()?;
    version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .ok_or_else(|| "`rustc -vV` does not name its host".to_owned())
}
