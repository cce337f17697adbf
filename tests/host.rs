//! The host that the tests run on: where the programs and images are, scratch
//! directories, children that cannot hang, and skips that cannot be overlooked.
//!
//! `cargo xtask test` says by LAUNCHER, STAGE1_INIT and IMAGES what to drive.
//! Without them it is what cargo built for this very test.

use std::cell::Cell;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use crate::{kernel, refusal};

/// What became of a child, and what is expected of it.
mod ran;

pub(crate) use ran::Ran;

/// How long a child may take before it counts as hanging. No test waits for it
/// to pass.
const DEADLINE: Duration = Duration::from_secs(120);

/// Leaves a test that this host cannot run, and says why.
macro_rules! skip {
    ($($reason:tt)*) => {{
        $crate::host::skipped(&format!($($reason)*));
        return;
    }};
}

/// Leaves a test that only root can run.
macro_rules! require_root {
    () => {
        if !rustix::process::geteuid().is_root() {
            skip!("needs root");
        }
    };
}

/// The path of an image, or leaves the test if it could not be built here.
macro_rules! image {
    ($name:literal) => {
        match $crate::host::find_image($name) {
            Some(path) => path,
            None => skip!(
                "needs {}.aci; `cargo xtask images` says why it is not there",
                $name
            ),
        }
    };
}

/// The path of a tool in PATH, or leaves the test if it is not installed.
macro_rules! tool {
    ($name:literal) => {
        match $crate::host::find_tool($name) {
            Some(path) => path,
            None => skip!("needs `{}`; see `cargo xtask setup`", $name),
        }
    };
}

thread_local! {
    /// Why this test was skipped, wholly or in part.
    static SKIPPED: Cell<Option<String>> = const { Cell::new(None) };
}

/// Why this test has been skipped since this was last asked, if it has.
pub(crate) fn why_skipped() -> Option<String> {
    SKIPPED.take()
}

/// Says that a test is skipped, past the test runner, which keeps the output of
/// tests that pass to itself. Fails if NO_SKIP is `all` or has a word of the reason.
#[track_caller]
pub(crate) fn skipped(reason: &str) {
    let forbidden = env::var("NO_SKIP").unwrap_or_default();
    let mut words = forbidden.split(',').filter(|word| !word.is_empty());
    assert!(
        !words.any(|word| word == "all" || reason.contains(word)),
        "NO_SKIP={forbidden} forbids to skip this: {reason}"
    );
    let test = thread::current().name().unwrap_or("a test").to_owned();
    let line = format!("skipped: {test}: {reason}\n");
    SKIPPED.set(Some(reason.to_owned()));
    // Where not even that can be said there is nobody to hear it.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// The launcher to drive, on its own; most tests want [`launcher`].
pub(crate) fn program() -> PathBuf {
    env::var_os("LAUNCHER").map_or_else(|| env!("CARGO_BIN_EXE_launcher").into(), PathBuf::from)
}

/// The stage1-init to drive.
pub(crate) fn stage1() -> PathBuf {
    env::var_os("STAGE1_INIT").map_or_else(|| env!("STAGE1_INIT").into(), PathBuf::from)
}

/// The launcher, keeping its images and pods in `dir`.
pub(crate) fn launcher(dir: &Path) -> Call {
    let mut call = call(&program()).arg("--dir").arg(dir);
    // Hints repeat it.
    let typed = format!("--dir {}", dir.display());
    call.names.push((typed, "--dir DIR".to_owned()));
    call
}

/// `launcher run IMAGE -- WORDS`.
pub(crate) fn pod(dir: &Path, image: &Path, words: &[&str]) -> Call {
    launcher(dir).arg("run").arg(image).arg("--").args(words)
}

/// Runs the probe in a pod and returns what it said; it must not fail.
#[track_caller]
pub(crate) fn probed(words: &[&str]) -> String {
    let scratch = Scratch::new();
    let ran = pod(&scratch.join("dir"), &image("probe"), words).run();
    ran.exits(0).complains("").stdout
}

/// The path of an image that every host can build.
#[track_caller]
pub(crate) fn image(name: &str) -> PathBuf {
    find_image(name).unwrap_or_else(|| panic!("{name}.aci is not in {}", images().display()))
}

/// The path of an image, if it was built.
pub(crate) fn find_image(name: &str) -> Option<PathBuf> {
    let path = images().join(format!("{name}.aci"));
    path.exists().then_some(path)
}

/// The probe outside any image, for comparing what a pod sees with what the
/// host sees.
pub(crate) fn probe() -> PathBuf {
    images().join("bin/probe")
}

/// The directory of the project.
pub(crate) fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Where the images are. They are built, once, if nobody built them.
pub(crate) fn images() -> PathBuf {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    let build = || {
        let dir = project().join("target/images");
        if !dir.join("probe.aci").exists() {
            let words = ["xtask", "images", "--programs"];
            call(Path::new(env!("CARGO")))
                .whole_environment()
                .args(words)
                .run()
                .exits(0);
        }
        dir
    };
    DIR.get_or_init(|| env::var_os("IMAGES").map_or_else(build, PathBuf::from))
        .clone()
}

/// Finds a program in PATH, or where Debian keeps the administrator's.
pub(crate) fn find_tool(name: &str) -> Option<PathBuf> {
    let mut path = env::var_os("PATH")?;
    path.push(":/usr/sbin:/sbin");
    env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|path| path.is_file())
}

/// How often a race is run: a few times, or as often as ROUNDS says.
pub(crate) fn rounds(few: usize) -> usize {
    let rounds = env::var("ROUNDS").ok();
    rounds.map_or(few, |rounds| rounds.parse().expect("ROUNDS is a number"))
}

/// The names in a directory, sorted; none if it is not there.
pub(crate) fn names(dir: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// How the names of places begin that belong to one test.
pub(crate) const PLACE: &str = "nosecone-test-";

/// A directory of one test's own, removed when it goes out of scope. Everybody
/// may look into it.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Makes an empty one.
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        // None is the beginning of another: processes are found by it.
        let name = format!("{PLACE}{}-{number:04}", std::process::id());
        let path = env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self(path)
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The path of something in it, which need not exist.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file into it, and returns its path.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(name);
        fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Scratch {
    /// What the test has started and left running, pods included, is killed; of
    /// a test that has not failed already, it is a failure.
    fn drop(&mut self) {
        let begun = Instant::now();
        let left = loop {
            let left = kernel::processes(&self.0);
            let patience = Duration::from_secs(if thread::panicking() { 0 } else { 2 });
            if left.is_empty() || begun.elapsed() >= patience {
                break left;
            }
            thread::sleep(Duration::from_millis(2));
        };
        for (pid, _) in &left {
            let _ = rustix::process::kill_process(*pid, Signal::KILL);
        }
        // Never into what a failing test may have left mounted.
        let _ = Command::new("rm")
            .args(["-rf", "--one-file-system"])
            .arg(&self.0)
            .status();
        assert!(
            left.is_empty() || thread::panicking(),
            "left running: {left:?}"
        );
    }
}

/// Copies a file to where everybody can read and execute it.
pub(crate) fn public_copy(scratch: &Scratch, from: &Path, name: &str) -> PathBuf {
    let path = scratch.join(name);
    copy_program(from, &path);
    path
}

/// Copies a program to where it is to be executed, so that everybody can. Another
/// process does it: what was open here to be written to, a child of another test
/// might still have open, and then it cannot be executed (ETXTBSY).
pub(crate) fn copy_program(from: &Path, to: &Path) {
    let mut install = Command::new("install");
    let status = install.args(["-m", "755"]).arg(from).arg(to).status();
    assert!(
        status.unwrap().success(),
        "{} was not copied",
        from.display()
    );
}

/// A command line to be run, with an environment of nothing but PATH, and without
/// a network unless it asks for one: so tests leave the network of the machine alone.
pub(crate) struct Call {
    command: Command,
    user: Option<u32>,
    input: Vec<u8>,
    deadline: Duration,
    /// Values, and the words that stand for them in messages.
    names: Vec<(String, String)>,
}

/// Starts a command line.
pub(crate) fn call(program: &Path) -> Call {
    let mut command = Command::new(program);
    command.env("PATH", env::var_os("PATH").unwrap_or_default());
    command.env("NOSECONE_NET", "none");
    Call {
        command,
        user: None,
        input: Vec::new(),
        deadline: DEADLINE,
        names: Vec::new(),
    }
}

impl Call {
    /// Adds a word.
    pub(crate) fn arg(mut self, word: impl AsRef<OsStr>) -> Self {
        self.command.arg(word);
        self
    }

    /// Adds words.
    pub(crate) fn args<W: AsRef<OsStr>>(mut self, words: impl IntoIterator<Item = W>) -> Self {
        self.command.args(words);
        self
    }

    /// The command line, for another one that runs it.
    pub(crate) fn words(&self) -> Vec<std::ffi::OsString> {
        let program = std::iter::once(self.command.get_program());
        let all = program.chain(self.command.get_args());
        all.map(OsStr::to_owned).collect()
    }

    /// Sets a variable of the environment.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Passes on all of the test's environment.
    pub(crate) fn whole_environment(mut self) -> Self {
        self.command.envs(env::vars_os());
        self
    }

    /// Runs in this directory.
    pub(crate) fn dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Runs as an ordinary user.
    pub(crate) fn user(mut self, id: u32) -> Self {
        self.user = Some(id);
        self
    }

    /// Gives this on standard input.
    pub(crate) fn input(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.input = text.into();
        self
    }

    /// Lets it take longer than what else would count as hanging.
    pub(crate) fn within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Runs to the end.
    #[track_caller]
    pub(crate) fn run(self) -> Ran {
        self.start().end()
    }

    /// Starts, and lets it run.
    #[track_caller]
    pub(crate) fn start(self) -> Running {
        let shown = format!("{:?}", self.command);
        let mut child = refusal::command(&self.command, self.user)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {shown}: {error}"));
        let mut stdin = child.stdin.take().unwrap();
        let writer = thread::spawn(move || {
            // Nobody has to read it.
            let _ = stdin.write_all(&self.input);
        });
        let stdout = Stream::read(child.stdout.take().unwrap());
        let stderr = Stream::read(child.stderr.take().unwrap());
        Running {
            child: Leash(child),
            shown,
            writer,
            stdout,
            stderr,
            end: Instant::now() + self.deadline,
            names: self.names,
        }
    }
}

/// What is read from a pipe, while it is read.
struct Stream {
    content: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Stream {
    fn read(mut pipe: impl Read + Send + 'static) -> Self {
        let content = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&content);
        let reader = thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = pipe.read(&mut buffer) {
                shared.lock().unwrap().extend_from_slice(&buffer[..length]);
            }
        });
        Self { content, reader }
    }

    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.content.lock().unwrap()).into_owned()
    }

    fn whole(self) -> String {
        self.reader.join().unwrap();
        let content = self.content.lock().unwrap();
        String::from_utf8_lossy(&content).into_owned()
    }
}

/// A child that is killed if nobody waits for its end.
pub(crate) struct Leash(pub(crate) Child);

impl Drop for Leash {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A child that runs.
pub(crate) struct Running {
    child: Leash,
    shown: String,
    writer: JoinHandle<()>,
    stdout: Stream,
    stderr: Stream,
    end: Instant,
    names: Vec<(String, String)>,
}

impl Running {
    /// The process id of the child.
    pub(crate) fn pid(&self) -> u32 {
        self.child.0.id()
    }

    /// Waits until the child has written this line to standard output.
    #[track_caller]
    pub(crate) fn until_it_says(&mut self, line: &str) {
        self.until(&format!("says `{line}`"), |running| {
            running.stdout.so_far().lines().any(|each| each == line)
        });
    }

    /// What the child has written to standard output so far.
    pub(crate) fn said(&self) -> String {
        self.stdout.so_far()
    }

    /// Waits until something is so.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, so: impl Fn(&Self) -> bool) {
        while !so(self) {
            let ended = self.child.0.try_wait().unwrap();
            // Once more: it may have become so just before the end.
            let late = ended.is_some() || Instant::now() > self.end;
            if late && !so(self) {
                let _ = self.child.0.kill();
                panic!(
                    "{}\nnever {what}; it ended: {ended:?}\n--- stdout ---\n{}\n--- stderr ---\n{}\n---",
                    self.shown,
                    self.stdout.so_far(),
                    self.stderr.so_far()
                );
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Tells whether the child has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.0.try_wait().unwrap().is_some()
    }

    /// Sends a signal to the child.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for the end of the child.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ran {
        let status = loop {
            if let Some(status) = self.child.0.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > self.end {
                let _ = self.child.0.kill();
                panic!(
                    "{}\ndoes not end\n--- stdout ---\n{}\n--- stderr ---\n{}\n---",
                    self.shown,
                    self.stdout.so_far(),
                    self.stderr.so_far()
                );
            }
            thread::sleep(Duration::from_millis(1));
        };
        self.writer.join().unwrap();
        Ran {
            shown: self.shown,
            status,
            stdout: self.stdout.whole(),
            stderr: self.stderr.whole(),
            names: self.names,
        }
    }
}
