//! What the kernel of this host may not have: tests that want cgroups of
//! version 2 with all controllers, AppArmor, or SELinux, are run in virtual
//! machines that have it.
//!
//! `cargo xtask images` leaves their kernel in IMAGES/guest. Their disk is made
//! here: these very tests are on it, the messages that they expect, the programs
//! that they drive, busybox, and little else of the host.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::golden;
use crate::host::{self, Call, Scratch, call, find_tool};

/// A machine that is emulated, on a host that has much else to do.
const PATIENCE: Duration = Duration::from_secs(1200);

/// PID 1 of a guest.
const INIT: &str = include_str!("guest/init.sh");

/// PID 1 of a guest without a disk.
const INITRAMFS: &str = include_str!("guest/initramfs.sh");

/// A policy of SELinux.
const POLICY: &str = include_str!("guest/policy.conf");

#[test]
fn limits_and_profiles_hold_where_the_kernel_has_both() {
    let parser = tool!("apparmor_parser");
    let scratch = Scratch::new();
    let tools = match Tools::find() {
        Ok(tools) => tools,
        Err(lacking) => skip!("{lacking}"),
    };
    let disk = Disk::new(&scratch, &tools).program("usr/bin/apparmor_parser", &parser);
    disk.boot(
        "security=apparmor",
        &[
            "acceptance::isolation::limits_",
            "isolators::apparmor::",
            "isolators::limits::",
            "life::enter::same::a_command_is_within_the_limits_",
            "life::listed::what_an_app_mounts_and_may_use_",
            "life::paused::a_pod_with_limits_",
            "life::stats::of_pods_with_groups_",
        ],
        "needs root,needs cgroups with,needs cgroups that,needs a disk,needs /dev/kmsg,with AppArmor",
    );
}

#[test]
fn contexts_hold_where_the_kernel_has_a_policy() {
    let compiler = tool!("checkpolicy");
    let scratch = Scratch::new();
    let tools = match Tools::find() {
        Ok(tools) => tools,
        Err(lacking) => skip!("{lacking}"),
    };
    let disk = Disk::new(&scratch, &tools);
    // The format of Linux 5.8, with levels; what is not spoken of is allowed.
    call(&compiler)
        .args(["-M", "-U", "allow", "-c", "33", "-o"])
        .arg(disk.path("policy"))
        .arg(scratch.write("policy.conf", POLICY))
        .run()
        .exits(0);
    disk.boot(
        "security=selinux selinux=1 enforcing=1",
        &["isolators::selinux::"],
        "needs root,with SELinux",
    );
}

#[test]
fn pods_run_on_the_kernels_first_file_system() {
    let cpio = tool!("cpio");
    let scratch = Scratch::new();
    let tools = match Tools::find() {
        Ok(tools) => tools,
        Err(lacking) => skip!("{lacking}"),
    };
    let disk = Disk::new(&scratch, &tools).text("init", INITRAMFS);
    fs::remove_file(disk.root.join("tests")).unwrap();
    let said = disk.boot_in_memory(&cpio);
    let inside = "inside\nls: /images: No such file or directory\n\
                  ls: /launcher: No such file or directory\nexit: 1\n";
    let reason = "the host's root is an initramfs, which cannot be detached";
    assert!(said.contains(inside), "{said}");
    assert!(said.contains("both\nexit: 0\n"), "{said}");
    assert!(said.contains("\nmove-root "), "{said}");
    assert!(said.contains(reason) && !said.contains("\npivot"), "{said}");
    let entered = "entered\nls: /images: No such file or directory\n";
    assert!(said.contains(entered), "{said}");
}

/// What is used on the host, and of the host inside.
struct Tools {
    qemu: PathBuf,
    mke2fs: PathBuf,
    strip: PathBuf,
    ldd: PathBuf,
    busybox: PathBuf,
    rm: PathBuf,
    unshare: PathBuf,
    image: PathBuf,
    guest: PathBuf,
}

impl Tools {
    /// Finds them, or says what lacks.
    fn find() -> Result<Self, String> {
        let tool = |name| find_tool(name).ok_or(format!("needs `{name}`; see `cargo xtask setup`"));
        let image = host::find_image("busybox");
        let guest = host::images().join("guest");
        let built = guest.join("initramfs").exists().then_some(guest);
        let lacking = |what| format!("needs {what}; `cargo xtask images` says why it is not there");
        Ok(Self {
            qemu: tool("qemu-system-x86_64")?,
            mke2fs: tool("mke2fs")?,
            strip: tool("strip")?,
            ldd: tool("ldd")?,
            busybox: tool("busybox")?,
            rm: tool("rm")?,
            unshare: tool("unshare")?,
            image: image.ok_or_else(|| lacking("busybox.aci"))?,
            guest: built.ok_or_else(|| lacking("the kernel of a guest"))?,
        })
    }
}

impl Tools {
    /// A machine that unpacks this file system, and says what counts on its
    /// second serial line.
    fn machine(&self, initramfs: &Path, console: &Path, parameters: &str) -> Call {
        call(&self.qemu)
            .args(["-accel", "tcg", "-smp", "2", "-m", "512", "-no-reboot"])
            .args(["-nodefaults", "-no-user-config", "-display", "none"])
            .arg("-kernel")
            .arg(self.guest.join("kernel"))
            .arg("-initrd")
            .arg(initramfs)
            .arg("-append")
            .arg(format!("console=ttyS0 quiet panic=-1 {parameters}"))
            .args(["-serial", &format!("file:{}", console.display())])
            .args(["-serial", "stdio"])
            .within(PATIENCE)
    }
}

/// The disk of a guest, while it is made.
struct Disk<'a> {
    scratch: &'a Scratch,
    tools: &'a Tools,
    root: PathBuf,
}

impl<'a> Disk<'a> {
    /// With all that every guest has.
    fn new(scratch: &'a Scratch, tools: &'a Tools) -> Self {
        let root = scratch.join("root");
        for name in ["dev", "proc", "sys", "tmp"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        let disk = Self {
            scratch,
            tools,
            root,
        };
        disk.file("bin/busybox", &tools.busybox)
            .file("images/busybox.aci", &tools.image)
            .file("images/probe.aci", &host::image("probe"))
            .file("images/bin/probe", &host::probe())
            .file("stage1-init", &host::stage1())
            .program("launcher", &host::program())
            .program("tests", &env::current_exe().unwrap())
            .program("usr/bin/rm", &tools.rm)
            .program("usr/bin/unshare", &tools.unshare)
            .directory(&golden::directory())
            .text("etc/passwd", "root:x:0:0:root:/:/bin/sh\n")
            .text("init", INIT)
    }

    /// The place of a file, in directories that are there.
    fn path(&self, name: &str) -> PathBuf {
        let path = self.root.join(name.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    fn file(self, name: &str, from: &Path) -> Self {
        fs::copy(from, self.path(name)).unwrap();
        self
    }

    /// A directory with all that is in it, at the same place.
    fn directory(self, path: &Path) -> Self {
        let copy = self.path(&path.display().to_string());
        call(Path::new("cp"))
            .arg("-r")
            .args([path, &copy])
            .run()
            .exits(0);
        self
    }

    fn text(self, name: &str, text: &str) -> Self {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    /// A program, without what only a debugger reads, and what it is linked to.
    fn program(self, name: &str, from: &Path) -> Self {
        let strip = call(&self.tools.strip).arg("-o").arg(self.path(name));
        strip.arg(from).run().exits(0);
        // If that is nothing, no path is told.
        let linked = call(&self.tools.ldd).arg(from).run().stdout;
        let words = linked.split_whitespace();
        words
            .filter(|word| word.starts_with('/'))
            .fold(self, |disk, path| disk.file(path, Path::new(path)))
    }

    /// Boots with all files in memory; returns what is said. The kernel unpacks
    /// both archives, one after the other.
    #[track_caller]
    fn boot_in_memory(self, cpio: &Path) -> String {
        let archive = self.scratch.join("archive");
        let script = "find . | \"$0\" --quiet -R 0:0 -o -H newc > \"$1\"";
        call(Path::new("sh"))
            .args(["-c", script])
            .args([cpio, &archive])
            .dir(&self.root)
            .run()
            .exits(0);
        let mut both = fs::read(self.tools.guest.join("initramfs")).unwrap();
        both.extend(fs::read(archive).unwrap());
        let both = self.scratch.write("both", both);
        let console = self.scratch.join("console");
        let said = self
            .tools
            .machine(&both, &console, "")
            .run()
            .exits(0)
            .stdout;
        show(&said);
        let kernel = fs::read_to_string(console).unwrap();
        let done = said.ends_with("\nthe guest is done: 0\n");
        assert!(done, "{said}\n--- the kernel ---\n{kernel}");
        said
    }

    /// Runs the tests whose names begin so, on a kernel that gets these
    /// parameters; none of them may be skipped for reasons with these words.
    #[track_caller]
    fn boot(self, parameters: &str, names: &[&str], no_skip: &str) {
        let disk = self.scratch.join("disk");
        let console = self.scratch.join("console");
        let tools = self.tools;
        let root = self
            .text("names", &names.join("\n"))
            .text("no-skip", no_skip)
            .root;
        call(&tools.mke2fs)
            .args(["-q", "-t", "ext4", "-d"])
            .args([&root, &disk])
            .arg("256M")
            .run()
            .exits(0);
        let said = tools
            .machine(&tools.guest.join("initramfs"), &console, parameters)
            .arg("-drive")
            .arg(format!("if=virtio,format=raw,file={}", disk.display()))
            .run()
            .exits(0)
            .stdout;
        let kernel = fs::read_to_string(console).unwrap();
        show(&said);
        let all = || format!("{said}\n--- the kernel ---\n{kernel}");
        assert!(said.ends_with("\nthe guest is done: 0\n"), "{}", all());
        for name in names {
            let name = format!("test {name}");
            let mut lines = said.lines().filter(|line| line.starts_with(&name));
            let passed = lines.any(|line| line.ends_with(" ok"));
            assert!(passed, "no {name}: {}", all());
        }
    }
}

/// For whoever asks the test runner to see it.
#[allow(clippy::print_stdout, reason = "the test runner keeps it to itself")]
fn show(said: &str) {
    println!("{said}");
}
