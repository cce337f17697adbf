//! Executes plugins (section 2 of the CNI specification).

use std::fs::File;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::MemfdFlags;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};

use crate::network::cni::{find, result};
use appc::json::Value;
use appc::types::Uuid;
use error::{Context as _, Error, Kind, Result};

/// What a plugin is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// Connect a pod.
    Add,
    /// Remove what connects it.
    Delete,
}

impl Operation {
    fn word(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Delete => "DEL",
        }
    }
}

/// The parameters of calls for one pod.
pub(super) struct Call<'a> {
    /// The pod.
    pub(super) pod: Uuid,
    /// The path of its network namespace.
    pub(super) namespace: &'a str,
    /// The name of its link.
    pub(super) interface: &'a str,
    /// Arguments: `KEY=VALUE;…`.
    pub(super) arguments: &'a str,
    /// Where plugins are.
    pub(super) path: &'a str,
    /// Inherited by plugins: a lock that is held until they have all ended.
    pub(super) lock: BorrowedFd<'a>,
}

/// How long a plugin may take: one that asks for an address by DHCP takes a
/// minute if nobody answers.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where plugins find programs of the host, such as iptables(8).
const PROGRAMS: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The most that is read of what a plugin prints, in bytes.
const LIMIT: u64 = 1 << 20;

impl Call<'_> {
    /// Executes a plugin, and returns what it has printed, into this file.
    ///
    /// # Errors
    ///
    /// The plugin is not there, fails, or takes too long.
    pub(super) fn execute(
        &self,
        operation: Operation,
        plugin: &str,
        request: &Value,
        output: &File,
    ) -> Result<Vec<u8>> {
        let program = find::plugin(self.path, plugin)?;
        self.run(operation, &program, request, output, PATIENCE)
    }

    fn run(
        &self,
        operation: Operation,
        program: &Path,
        request: &Value,
        output: &File,
        patience: Duration,
    ) -> Result<Vec<u8>> {
        let what = || format!("cannot execute the CNI plugin `{}`", program.display());
        // Files, not pipes: no plugin and none of its children can block.
        let (input, errors) = (memory().context(what)?, memory().context(what)?);
        input
            .write_all_at(request.to_string().as_bytes(), 0)
            .context(what)?;
        let copy = |file: &File| file.try_clone().context(what);
        // Not close-on-exec.
        let lock: OwnedFd = rustix::io::dup(self.lock).context(what)?;
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", PROGRAMS)
            .env("CNI_COMMAND", operation.word())
            .env("CNI_CONTAINERID", self.pod.to_string())
            .env("CNI_NETNS", self.namespace)
            .env("CNI_IFNAME", self.interface)
            .env("CNI_ARGS", self.arguments)
            .env("CNI_PATH", self.path)
            .current_dir("/")
            // Its own, so that it can be killed with its children.
            .process_group(0)
            .stdin(input)
            .stdout(copy(output)?)
            .stderr(copy(&errors)?);
        let mut child = command.spawn().context(what)?;
        drop(lock);
        let ended = wait(&mut child, patience).context(what)?;
        let (output, errors) = (
            content(output).context(what)?,
            content(&errors).context(what)?,
        );
        let plugin = program.file_name().unwrap_or_default().to_string_lossy();
        match ended {
            Some(status) if status.success() => Ok(output),
            Some(_) => Err(result::failure(&plugin, &output, &errors)),
            None => {
                let what = format!("plugin `{plugin}` has not ended within {patience:?}");
                Err(Error::new(Kind::Failed, what))
            }
        }
    }
}

/// Makes a file in memory.
pub(super) fn memory() -> rustix::io::Result<File> {
    rustix::fs::memfd_create("cni", MemfdFlags::CLOEXEC).map(File::from)
}

fn content(file: &File) -> std::io::Result<Vec<u8>> {
    let length = file.metadata()?.len().min(LIMIT);
    let mut content = vec![0; usize::try_from(length).unwrap_or(0)];
    file.read_exact_at(&mut content, 0)?;
    Ok(content)
}

/// Waits for a process; one that takes too long is killed with its children, and
/// has no status.
fn wait(child: &mut Child, patience: Duration) -> std::io::Result<Option<ExitStatus>> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or(Errno::SRCH)?;
    match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
        // Older kernels: without a limit.
        Err(Errno::NOSYS) => {}
        process => {
            let process = process?;
            let limit = Timespec::try_from(patience).ok();
            let mut ready = [PollFd::new(&process, PollFlags::IN)];
            while let Err(errno) = poll(&mut ready, limit.as_ref()) {
                if errno != Errno::INTR {
                    return Err(errno.into());
                }
            }
            if ready[0].revents().is_empty() {
                let _ = rustix::process::kill_process_group(pid, Signal::KILL);
                child.wait()?;
                return Ok(None);
            }
        }
    }
    child.wait().map(Some)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::os::fd::{AsFd as _, AsRawFd as _};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// Executes a script as a plugin; returns its output, and the lock.
    fn run(name: &str, script: &str, patience: Duration) -> (Result<String>, File) {
        let directory =
            std::env::temp_dir().join(format!("nosecone-{name}-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        let program = directory.join(name);
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        let lock = memory().unwrap();
        let again = File::open(format!("/proc/self/fd/{}", lock.as_raw_fd())).unwrap();
        lock.lock().unwrap();
        let call = Call {
            pod: Uuid::parse("6733c088-a507-4694-0001-edbe4fc5266f").unwrap(),
            namespace: "/proc/1/ns/net",
            interface: "eth0",
            arguments: "A=1",
            path: "/none",
            lock: lock.as_fd(),
        };
        let request = Value::from("asked");
        let ran = call.run(
            Operation::Add,
            &program,
            &request,
            &memory().unwrap(),
            patience,
        );
        std::fs::remove_dir_all(directory).unwrap();
        (ran.map(|said| String::from_utf8(said).unwrap()), again)
    }

    #[test]
    fn a_plugin_that_takes_too_long_is_killed_with_its_children() {
        let (ran, lock) = run("slow", "sleep 600 & wait", Duration::from_millis(200));
        let error = ran.unwrap_err().to_string();
        assert_eq!(error, "plugin `slow` has not ended within 200ms");
        // They have had it, too.
        lock.lock().unwrap();
    }

    #[test]
    fn what_a_plugin_leaves_running_holds_the_lock_and_nobody_up() {
        let (ran, lock) = run("leaves", "sleep 600 & echo $!", LONG);
        let child = ran.unwrap();
        assert!(lock.try_lock().is_err());
        let pid = Pid::from_raw(child.trim().parse().unwrap()).unwrap();
        rustix::process::kill_process(pid, Signal::KILL).unwrap();
        lock.lock().unwrap();
    }

    #[test]
    fn a_plugin_that_fails_is_quoted() {
        let script = r#"echo '{"msg":"taken"}'; echo also >&2; exit 1"#;
        let error = run("fails", script, LONG).0.unwrap_err().to_string();
        assert_eq!(error, "plugin `fails` failed: taken: also");
        let error = run("dies", "kill -9 $$", LONG).0.unwrap_err().to_string();
        assert_eq!(error, "plugin `dies` failed: it does not say why");
    }

    #[test]
    fn a_plugin_sees_nothing_but_what_is_specified() {
        let script = "cat; echo; pwd; tr '\\0' '\\n' </proc/$$/environ | sort";
        let said = run("sees", script, LONG).0.unwrap();
        let path = format!("PATH={PROGRAMS}");
        let expected = [
            "\"asked\"",
            "/",
            "CNI_ARGS=A=1",
            "CNI_COMMAND=ADD",
            "CNI_CONTAINERID=6733c088-a507-4694-0001-edbe4fc5266f",
            "CNI_IFNAME=eth0",
            "CNI_NETNS=/proc/1/ns/net",
            "CNI_PATH=/none",
            &path,
        ];
        assert_eq!(said.lines().collect::<Vec<_>>(), expected);
    }
}
