//! Two network namespaces with a link in between.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::net::Shutdown;
use rustix::thread::LinkNameSpaceType;

use crate::host::{self, Call, Leash, Scratch, call};

/// The addresses of the host and of the remote.
pub(super) const HOST: [&str; 2] = ["192.0.2.1", "fd00:1::1"];
pub(super) const REMOTE: [&str; 2] = ["192.0.2.2", "fd00:1::2"];

/// A port on which nobody listens but the tests.
pub(super) const PORT: u16 = 7;

/// A network namespace, held by a process that sleeps.
pub(crate) struct Namespace(Leash);

impl Namespace {
    fn new() -> Self {
        let mut sleep = Command::new(host::find_tool("unshare").unwrap());
        let sleep = sleep.args(["--net", "sleep", "infinity"]);
        let namespace = Self(Leash(sleep.stdin(Stdio::null()).spawn().unwrap()));
        let ours = fs::read_link("/proc/self/ns/net").unwrap();
        while fs::read_link(namespace.path()).unwrap() == ours {
            thread::sleep(Duration::from_millis(1));
        }
        namespace.ip("link set lo up");
        namespace
    }

    /// Its file.
    pub(super) fn path(&self) -> PathBuf {
        format!("/proc/{}/ns/net", self.0.0.id()).into()
    }

    /// Starts a command line in it.
    pub(crate) fn call(&self, program: &Path) -> Call {
        let nsenter = call(&host::find_tool("nsenter").unwrap());
        let net = format!("--net={}", self.path().display());
        nsenter.arg(net).arg("--").arg(program)
    }

    /// Runs ip(8), and returns what it says.
    #[track_caller]
    pub(super) fn ip(&self, words: &str) -> String {
        self.tool("ip", words)
    }

    /// Runs nft(8), and returns what it says.
    #[track_caller]
    pub(super) fn nft(&self, words: &str) -> String {
        self.tool("nft", words)
    }

    #[track_caller]
    fn tool(&self, name: &str, words: &str) -> String {
        let tool = self.call(&host::find_tool(name).unwrap());
        tool.args(words.split(' ')).run().exits(0).stdout
    }

    /// Does something in the namespace, on a thread.
    pub(super) fn within<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        within(self.path(), work)
    }

    /// Listens on a port, and tells everybody their address.
    pub(super) fn serve(&self, port: u16) -> Server {
        let listener = self.within(move || TcpListener::bind(("::", port)).unwrap());
        let listener = listener.join().unwrap();
        let own = listener.try_clone().unwrap();
        let server = thread::spawn(move || {
            while let Ok((mut stream, peer)) = own.accept() {
                let peer = peer.ip().to_canonical();
                let _ = stream.write_all(format!("{peer}\n").as_bytes());
            }
        });
        Server(listener, Some(server))
    }

    /// A parameter of the kernel in it.
    pub(super) fn parameter(&self, name: &str) -> String {
        let path = PathBuf::from("/proc/sys").join(name);
        let read = self.within(move || fs::read_to_string(path).unwrap());
        read.join().unwrap().trim().to_owned()
    }

    /// Sets a parameter of the kernel in it.
    pub(super) fn set(&self, name: &str, value: &str) {
        let (path, value) = (PathBuf::from("/proc/sys").join(name), value.to_owned());
        let set = self.within(move || fs::write(path, value).unwrap());
        set.join().unwrap();
    }
}

/// Does something in the network namespace of this file, on a thread.
pub(super) fn within<T: Send + 'static>(
    namespace: PathBuf,
    work: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    let namespace = fs::File::open(namespace).unwrap();
    thread::spawn(move || {
        let kind = Some(LinkNameSpaceType::Network);
        rustix::thread::move_into_link_name_space(std::os::fd::AsFd::as_fd(&namespace), kind)
            .unwrap();
        work()
    })
}

/// Who listens; until this goes out of scope.
pub(super) struct Server(TcpListener, Option<JoinHandle<()>>);

impl Drop for Server {
    fn drop(&mut self) {
        // This wakes up whoever waits in accept(2).
        let _ = rustix::net::shutdown(&self.0, Shutdown::Both);
        let _ = self.1.take().unwrap().join();
    }
}

/// A host, a remote one, and a place for images and pods.
pub(crate) struct Site {
    pub(crate) host: Namespace,
    pub(super) remote: Namespace,
    scratch: Scratch,
}

impl Site {
    pub(crate) fn new() -> Self {
        let (host, remote) = (Namespace::new(), Namespace::new());
        let remote_pid = remote.0.0.id();
        host.ip(&format!(
            "link add eth0 type veth peer name eth0 netns {remote_pid}"
        ));
        for (namespace, [four, six]) in [(&host, HOST), (&remote, REMOTE)] {
            namespace.ip(&format!("address add {four}/24 dev eth0"));
            namespace.ip(&format!("address add {six}/64 dev eth0 nodad"));
            namespace.ip("link set eth0 up");
        }
        // The kernel notices a moment later that both ends are up.
        while host.ip("-4 route").contains("linkdown") {
            thread::sleep(Duration::from_millis(1));
        }
        Self {
            host,
            remote,
            scratch: Scratch::new(),
        }
    }

    /// Tells whether the kernel has what `nat` needs.
    pub(super) fn has_nftables(&self) -> bool {
        let nft = self.host.call(&host::find_tool("nft").unwrap());
        nft.args(["list", "ruleset"]).run().succeeded()
    }

    /// The launcher, on the host.
    pub(super) fn launcher(&self) -> Call {
        let program = host::program();
        self.host.call(&program).arg("--dir").arg(self.directory())
    }

    /// A pod in which a shell runs a script.
    pub(super) fn pod(&self, options: &[&str], script: &str) -> Call {
        let run = self.launcher().arg("run").args(options);
        let run = run.arg(host::image("busybox"));
        run.args(["--exec", "/bin/sh", "--", "-c", script])
    }

    /// Writes a file.
    pub(super) fn file(&self, name: &str, text: &str) -> PathBuf {
        self.scratch.write(name, text)
    }

    /// Where images and pods are.
    pub(super) fn directory(&self) -> PathBuf {
        self.scratch.join("dir")
    }

    /// Where the leases of the host are.
    pub(super) fn leases(&self) -> PathBuf {
        let status = fs::metadata(self.host.path()).unwrap();
        let name = format!("{:x}-{:x}", status.dev(), status.ino());
        Path::new("/run/nosecone/net").join(name)
    }

    /// All that a pod could leave on the host.
    pub(crate) fn traces(&self) -> String {
        let leases = match self.leases().exists() {
            true => format!("leases: {:?}\n", host::names(&self.leases())),
            false => String::new(),
        };
        let links = self.host.ip("-o link");
        let links = links.lines().filter_map(|line| line.split(": ").nth(1));
        format!(
            "{leases}links: {:?}\n{}{}{}",
            links.collect::<Vec<_>>(),
            self.host.ip("-4 route"),
            self.host.ip("-6 route"),
            self.host.nft("list ruleset")
        )
    }
}

impl Drop for Site {
    /// Pods that a test has killed leave leases, which are of no use to anybody
    /// when the host is gone.
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.leases());
    }
}
