//! Commands on the host: removal, a full disk, files that others made.

use std::ffi::CString;
use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags};

use super::case;
use crate::host::{Scratch, call, image, launcher, program};

/// A full disk, and one that is read-only.
mod disk;
/// Files that are written for the caller; signals.
mod files;
/// What images are taken for.
mod names;
/// Pods whose apps are in the way of their removal.
mod removal;

/// What a program that its file lends rights to complains of.
const LENT: &str = "a program with rights that its caller does not have";

/// An ordinary user.
const USER: u32 = 1234;

/// Command lines of many kinds; DIR is the directory of images and pods, FILE
/// one that only root may write.
const VERBS: [&str; 10] = [
    "--dir DIR list",
    "--dir DIR image list",
    "--dir DIR gc",
    "--dir DIR kill web",
    "--dir DIR run --uuid-file-save FILE IMAGE",
    "--dir DIR plan IMAGE",
    "validate IMAGE",
    "--version",
    "help",
    "--no-such-option",
];

/// Runs all verbs as an ordinary user; none may do anything.
fn refuses_all(copy: &Path) {
    let scratch = Scratch::new();
    let (dir, file) = (scratch.join("dir"), scratch.join("file"));
    for verb in VERBS {
        let words = verb.split(' ').map(|word| match word {
            "DIR" => dir.clone(),
            "FILE" => file.clone(),
            "IMAGE" => image("probe"),
            word => PathBuf::from(word),
        });
        let ran = call(copy).args(words).user(USER).run();
        ran.exits(125).says("").complains_as(LENT);
    }
    // An empty command line, and an environment that says where everything is.
    let ran = call(copy).env("NOSECONE_DIR", &dir).user(USER).run();
    ran.exits(125).says("").complains_as(LENT);
    assert!(!dir.exists() && !file.exists());
}

/// A copy of the launcher that everybody can execute, with this mode. Another
/// program makes it: a file that this one has open for writing cannot be
/// executed (ETXTBSY), and its other tests fork.
fn copy(scratch: &Scratch, mode: u32) -> PathBuf {
    let copy = scratch.join("launcher");
    let cp = Path::new("/bin/cp");
    call(cp).arg(program()).arg(&copy).run().exits(0);
    fs::set_permissions(&copy, Permissions::from_mode(mode)).unwrap();
    copy
}

/// execve(2) gives a process the owner of a set-user-ID file, and says so by
/// AT_SECURE in its auxiliary vector (getauxval(3)). Everything that root's
/// files and processes are for would be for everybody.
#[test]
fn a_launcher_that_is_setuid_does_nothing() {
    require_root!();
    case("H4a", "a set-user-ID launcher does nothing", || {
        let scratch = Scratch::new();
        refuses_all(&copy(&scratch, 0o4755));
    });
}

/// The same for the group, of which the user id tells nothing.
#[test]
fn a_launcher_that_is_setgid_does_nothing() {
    require_root!();
    case("H4b", "a set-group-ID launcher does nothing", || {
        let scratch = Scratch::new();
        refuses_all(&copy(&scratch, 0o2755));
    });
}

/// Capabilities of the file change neither the user nor the group
/// (capabilities(7)), and AT_SECURE says it all the same.
#[test]
fn a_launcher_whose_file_has_capabilities_does_nothing() {
    require_root!();
    case(
        "H4c",
        "a launcher whose file has capabilities does nothing",
        || {
            let scratch = Scratch::new();
            let copy = copy(&scratch, 0o755);
            // struct vfs_cap_data, revision 2: CAP_DAC_OVERRIDE, permitted and effective.
            let mut data = [0; 20];
            data[..4].copy_from_slice(&0x0200_0001_u32.to_le_bytes());
            data[4] = 1 << 1;
            let flags = rustix::fs::XattrFlags::empty();
            rustix::fs::setxattr(&copy, "security.capability", &data, flags).unwrap();
            refuses_all(&copy);
        },
    );
}

/// Who has the rights himself gets none by executing it.
#[test]
fn a_launcher_that_root_executes_works_whoever_it_belongs_to() {
    require_root!();
    let scratch = Scratch::new();
    call(&copy(&scratch, 0o6755))
        .arg("--version")
        .run()
        .exits(0);
}

/// A pod that is over and kept: its UUID, and what its app has written to.
fn kept(dir: &Path) -> (String, PathBuf) {
    let words = ["run", "--keep", "--no-overlay", "--uuid-file-save"];
    let scratch = Scratch::new();
    let file = scratch.join("uuid");
    let ran = launcher(dir).args(words).arg(&file).arg(image("probe"));
    ran.args(["--", "--exit-code", "0"]).run().exits(0);
    let uuid = fs::read_to_string(file).unwrap().trim().to_owned();
    let rootfs = dir
        .join("pods/exited")
        .join(&uuid)
        .join("apps/probe/rootfs");
    assert!(rootfs.is_dir());
    (uuid, rootfs)
}

/// A file system in memory, until it goes out of scope.
struct Memory(Scratch);

impl Memory {
    /// Mounts it with these options; it is the directory of images and pods.
    fn new(options: &str) -> Self {
        let scratch = Scratch::new();
        let options = CString::new(options).unwrap();
        let nothing = MountFlags::empty();
        rustix::mount::mount(
            "tmpfs",
            scratch.path(),
            "tmpfs",
            nothing,
            options.as_c_str(),
        )
        .unwrap();
        Self(scratch)
    }

    fn dir(&self) -> PathBuf {
        self.0.join("dir")
    }

    /// Makes it read-only.
    fn freeze(&self) {
        let flags = MountFlags::RDONLY;
        rustix::mount::mount_remount(self.0.path(), flags, c"").unwrap();
    }

    /// Takes all room: not a byte and not a file more.
    fn fill(&self) {
        let full = |result: std::io::Result<()>| match result {
            Ok(()) => false,
            Err(error) if error.kind() == ErrorKind::StorageFull => true,
            Err(error) => panic!("{error}"),
        };
        let mut filler = File::create(self.0.join("filler")).unwrap();
        while !full(filler.write_all(&[1; 4096])) {}
        let number = fs::read_dir(self.0.path()).unwrap().count();
        for number in number.. {
            let made = File::create(self.0.join(&format!("file{number}")));
            if full(made.map(drop)) {
                break;
            }
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        rustix::mount::unmount(self.0.path(), UnmountFlags::DETACH).unwrap();
    }
}
