//! Images of what apps left: the same tree inside, and nothing else.

/// What others read in such an archive.
mod archive;
/// What breaks while it is written, and what else happens meanwhile.
mod faults;
/// What must not get into an image, whoever wants it to.
mod kept_out;
/// Whatever an app did to its files, the image shows.
mod round_trip;

use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::Life;
use crate::aci::Aci;
use crate::host::{Ran, call, find_tool};

/// Prints all that can be seen of a root: names, kinds, modes, owners, times,
/// where links lead; and the content of files. Left out is what a pod makes anew:
/// what names it, in /etc, and the root of an overlay, which is as old as the pod.
const LIST: &str = r#"
find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /tmp \) -prune \
    -o -exec stat -c '%N %F %a %u %g %t:%T %y' {} + | grep -vE '^/(etc(/host(s|name))?)? ' | sort
find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /tmp \) -prune \
    -o -type f ! -name hosts ! -name hostname -exec md5sum {} + | sort -k 2
"#;

impl Life {
    /// Runs a script in a pod that is kept; gives its UUID, and what it said.
    #[track_caller]
    pub(crate) fn over(&self, options: &[&str], image: &Path, script: &str) -> (String, String) {
        let file = self.0.join("uuid");
        let (file, image) = (file.to_str().unwrap(), image.to_str().unwrap());
        let waived = "--insecure-options=image";
        let words = ["run", waived, "--keep", "--uuid-file-save", file];
        let tail = [image, "--exec", "/bin/sh", "--", "-c", script];
        let ran = self.run(&[&words[..], options, &tail].concat());
        let said = ran.exits(0).complains("").stdout;
        let uuid = std::fs::read_to_string(file).unwrap();
        (uuid.trim_end().to_owned(), said)
    }

    /// `launcher export WORDS UUID FILE`; gives the file, which is new.
    #[track_caller]
    pub(crate) fn export(&self, words: &[&str], uuid: &str) -> PathBuf {
        let (file, _) = self.exported(words, uuid);
        file
    }

    /// The same, and its ID.
    #[track_caller]
    fn exported(&self, words: &[&str], uuid: &str) -> (PathBuf, String) {
        let (file, ran) = self.try_export(words, uuid);
        (file, ran.complains("").stdout.trim_end().to_owned())
    }

    /// The same, whatever it complains of: its ID is on standard output.
    #[track_caller]
    fn try_export(&self, words: &[&str], uuid: &str) -> (PathBuf, Ran) {
        let mut names = (0..).map(|number| self.0.join(&format!("export-{number}.aci")));
        let file = names.find(|file| !file.exists()).unwrap();
        let words = [&["export"], words, &[uuid, file.to_str().unwrap()]].concat();
        let ran = self.run(&words).exits(0);
        // It is what the launcher itself says of the archive.
        self.run(&["fetch", "--full", file.to_str().unwrap()])
            .exits(0)
            .says(&ran.stdout);
        (file, ran)
    }

    /// Runs a script on an image.
    #[track_caller]
    fn within(&self, image: &Path, script: &str) -> String {
        let image = image.to_str().unwrap();
        let words = ["run", image, "--exec", "/bin/sh", "--", "-c", script];
        self.run(&words).exits(0).complains("").stdout
    }

    /// Stores an image for others to depend on.
    #[track_caller]
    fn store(&self, name: &str, image: Aci) {
        let file = self.0.write(name, image.bytes());
        let ran = self.run(&["fetch", file.to_str().unwrap()]);
        ran.exits(0);
    }

    /// The unpacked tree of a stored image.
    fn unpacked(&self, id: &str) -> PathBuf {
        self.dir().join("layers").join(id).join("rootfs")
    }

    /// What an app changed, of a pod that is over and lay under an overlay.
    pub(crate) fn upper(&self, uuid: &str, app: &str) -> PathBuf {
        let pod = self.dir().join("pods/exited").join(uuid);
        pod.join("apps").join(app).join("upper")
    }

    /// Tells whether somebody has the lock of a pod.
    fn is_locked(&self, state: &str, uuid: &str) -> bool {
        let pod = std::fs::File::open(self.dir().join("pods").join(state).join(uuid)).unwrap();
        rustix::fs::flock(&pod, FlockOperation::NonBlockingLockShared).is_err()
    }
}

/// The tar in an archive.
#[track_caller]
pub(crate) fn tar_of(archive: &Path) -> Vec<u8> {
    let gzip = find_tool("gzip").unwrap();
    let child = std::process::Command::new(gzip)
        .args(["-dc"])
        .arg(archive)
        .output()
        .unwrap();
    assert!(child.status.success(), "{child:?}");
    child.stdout
}

/// The names in an archive, as GNU tar lists them, sorted.
#[track_caller]
pub(crate) fn names_in(archive: &Path) -> Vec<String> {
    let tar = find_tool("tar").unwrap();
    let ran: Ran = call(&tar).arg("tf").arg(archive).run().exits(0);
    let mut names: Vec<_> = ran.stdout.lines().map(str::to_owned).collect();
    names.sort();
    names
}
