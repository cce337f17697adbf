//! What must not get into an image, whoever wants it to.

use std::fs;
use std::os::fd::AsRawFd as _;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, XattrFlags};

use super::{Life, names_in, tar_of};
use crate::golden::Cases;
use crate::host;

#[test]
fn what_was_mounted_is_not_in_it() {
    require_root!();
    let busybox = image!("busybox");
    let life = Life::new();
    fs::create_dir(life.0.join("shared")).unwrap();
    life.0.write("shared/secret", "of the host\n");
    let host = format!("host,kind=host,source={}", life.0.join("shared").display());
    for (number, more) in [&[][..], &["--no-overlay"]].iter().enumerate() {
        let name = format!("pod-{number}");
        let options = ["run", "--keep", "--name", &name, "--volume", &host];
        let volumes = ["--volume", "empty,kind=empty", "--timezone=host"];
        let tail = [
            busybox.to_str().unwrap(),
            "--mount",
            "volume=host,target=/root",
            "--mount",
            "volume=empty,target=/deep/in/it",
            "--",
            "-c",
            "cat /root/secret; echo x > /deep/in/it/x; echo z > /dev/shm/z;
             echo stays > /deep/stays",
        ];
        life.run(&[&options[..], &volumes, more, &tail].concat())
            .exits(0)
            .says("of the host\n");
        let export = life.export(&[], &name);
        let found = names_in(&export);
        let below = |place: &str| {
            let mut found: Vec<&str> = found.iter().map(String::as_str).collect();
            found.retain(|name| name.strip_prefix("rootfs").unwrap_or("").starts_with(place));
            found.join(" ")
        };
        assert_eq!(below("/root"), "rootfs/root/");
        assert_eq!(
            below("/deep"),
            "rootfs/deep/ rootfs/deep/in/ rootfs/deep/in/it/ rootfs/deep/stays"
        );
        // Where they are mounted are empty directories.
        for place in ["/dev", "/proc", "/sys"] {
            assert_eq!(below(place), format!("rootfs{place}/"), "{more:?}");
        }
        // What was made to mount the time zone on is not there, either.
        assert_eq!(below("/etc/localtime"), "");
    }
    life.leaves_nothing();
}

#[test]
fn files_that_name_the_pod_stay_behind_unless_the_app_made_them_its_own() {
    require_root!();
    let _ = image!("busybox");
    let life = Life::new();
    for options in [&[][..], &["--no-overlay"]] {
        let (uuid, said) = life.over(options, &host::image("busybox"), "cat /etc/hostname");
        assert_eq!(said, format!("{uuid}\n"));
        let export = life.export(&[], &uuid);
        let found = names_in(&export);
        assert!(
            !found.iter().any(|name| name.starts_with("rootfs/etc/host")),
            "{found:?}"
        );
        assert!(!String::from_utf8_lossy(&tar_of(&export)).contains(&uuid));
        let look = "[ $(cat /etc/hostname) = $(hostname) ] && grep -c $(hostname) /etc/hosts";
        assert_eq!(life.within(&export, look), "2\n");
        let script = "echo mine > /etc/hostname; echo 127.1.1.1 me >> /etc/hosts";
        let (uuid, _) = life.over(options, &host::image("busybox"), script);
        let export = life.export(&[], &uuid);
        let look = "cat /etc/hostname; tail -n 1 /etc/hosts";
        assert_eq!(life.within(&export, look), "mine\n127.1.1.1 me\n");
    }
    life.leaves_nothing();
}

#[test]
fn sockets_and_whiteouts_that_are_none_are_left_out_and_said() {
    require_root!();
    let _ = image!("busybox");
    let life = Life::new();
    // In a copy nothing keeps an app from making one; on an overlay the kernel does.
    let script = "mknod /hidden c 0 0 && echo made; ln /hidden /hidden-2; echo x > /behind";
    let (uuid, said) = life.over(&["--no-overlay"], &host::image("busybox"), script);
    assert_eq!(said, "made\n");
    let (export, ran) = life.try_export(&[], &uuid);
    ran.complains_as("devices that could be whiteouts");
    let found = names_in(&export);
    assert!(
        !found.iter().any(|name| name.contains("hidden")),
        "{found:?}"
    );
    assert!(found.contains(&"rootfs/behind".to_owned()), "{found:?}");

    let (uuid, _) = life.over(&[], &host::image("busybox"), "mkdir /run");
    // By a descriptor: the name of a socket has no more than 108 bytes.
    let run = fs::File::open(life.upper(&uuid, "busybox").join("run")).unwrap();
    let socket = format!("/proc/self/fd/{}/a\u{1b}b", run.as_raw_fd());
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let (export, ran) = life.try_export(&[], &uuid);
    ran.complains_as("a socket");
    assert!(names_in(&export).contains(&"rootfs/run/".to_owned()));
    life.leaves_nothing();
}

/// What stands in files of the host.
const SECRET: &str = "of the host only";

fn attribute(path: &Path, name: &str, value: &[u8]) {
    rustix::fs::setxattr(path, name, value, XattrFlags::empty()).unwrap();
}

#[test]
fn attributes_that_mean_something_to_the_host_are_not_in_it() {
    require_root!();
    let _ = image!("busybox");
    let life = Life::new();
    let script = "cd /; echo x > file; mkdir dir; ln -s file link";
    let (uuid, _) = life.over(&[], &host::image("busybox"), script);
    let upper = life.upper(&uuid, "busybox");
    let capability = b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    for name in ["file", "dir"] {
        let path = upper.join(name);
        attribute(&path, "user.kept", b"a\n\0b");
        attribute(&path, "user.empty", b"");
        attribute(&path, "user.overlay.redirect", b"/etc");
        attribute(&path, "trusted.other", b"x");
        attribute(&path, "trusted.overlay.overlay.opaque", b"y");
        attribute(&path, "user.a=b", b"x");
    }
    attribute(&upper.join("file"), "security.capability", capability);
    let (export, ran) = life.try_export(&[], &uuid);
    let ran = ran.complains_as("attributes whose names have an equals sign");
    let id = ran.stdout.trim_end();
    let tar = String::from_utf8_lossy(&tar_of(&export)).into_owned();
    assert!(!tar.contains("overlay") && !tar.contains("trusted"));
    for (name, expected) in [
        (
            "file",
            &["security.capability", "user.empty", "user.kept"][..],
        ),
        ("dir", &["user.empty", "user.kept"]),
    ] {
        let path = life.unpacked(id).join(name);
        let mut list = vec![0; 4096];
        let length = rustix::fs::listxattr(&path, list.as_mut_slice()).unwrap();
        let list = String::from_utf8(list[..length].to_vec()).unwrap();
        let mut found: Vec<_> = list.split_terminator('\0').collect();
        found.sort_unstable();
        assert_eq!(found, expected);
        let mut value = vec![0; 4096];
        let length = rustix::fs::getxattr(&path, "user.kept", value.as_mut_slice()).unwrap();
        assert_eq!(&value[..length], b"a\n\0b");
    }
    life.leaves_nothing();
}

#[test]
fn what_an_overlay_alone_understands_is_no_guess() {
    require_root!();
    let _ = image!("busybox");
    let life = Life::new();
    let (uuid, _) = life.over(
        &[],
        &host::image("busybox"),
        "mkdir /dir; echo x > /dir/file",
    );
    let upper = life.upper(&uuid, "busybox");
    let mut cases = Cases::default();
    for (path, name, value) in [
        ("dir", "redirect", "/root"),
        ("dir", "opaque", "x"),
        ("dir", "future", "y"),
        ("dir/file", "metacopy", ""),
        ("dir/file", "nlink", "L+1"),
        ("dir/file", "whiteout", "y"),
    ] {
        let file = upper.join(path);
        let name = format!("trusted.overlay.{name}");
        attribute(&file, &name, value.as_bytes());
        let target = life.0.join("x.aci");
        let ran = life.run(&["export", &uuid, target.to_str().unwrap()]);
        let ran = ran.exits(1).says("").naming("UUID", &uuid);
        cases.add(format!("{name} of /{path}"), &ran.told());
        assert!(!target.exists());
        rustix::fs::removexattr(&file, &*name).unwrap();
    }
    cases.as_written("what an overlay alone understands");
    life.export(&[], &uuid);
    // Of a copy no overlay ever says anything.
    let options = ["--no-overlay"];
    let (uuid, _) = life.over(&options, &host::image("busybox"), "mkdir /dir");
    let rootfs = life
        .dir()
        .join("pods/exited")
        .join(&uuid)
        .join("apps/busybox/rootfs");
    attribute(&rootfs.join("dir"), "trusted.overlay.redirect", b"/root");
    let export = life.export(&[], &uuid);
    assert!(names_in(&export).contains(&"rootfs/dir/".to_owned()));
    life.leaves_nothing();
}

#[test]
fn whiteouts_hide_and_opaque_directories_cover() {
    require_root!();
    let _ = image!("busybox");
    let life = Life::new();
    let (uuid, _) = life.over(&[], &host::image("busybox"), "mkdir /usr/new");
    let upper = life.upper(&uuid, "busybox");
    // As the kernel would make them, also where nothing is hidden.
    let mode = Mode::from_raw_mode(0o600);
    for name in ["linuxrc", "nothing", "usr/new/nothing"] {
        rustix::fs::mknodat(CWD, upper.join(name), FileType::CharacterDevice, mode, 0).unwrap();
    }
    attribute(&upper.join("usr"), "trusted.overlay.opaque", b"y");
    let export = life.export(&[], &uuid);
    let found = names_in(&export);
    let usr: Vec<_> = found
        .iter()
        .filter(|name| name.starts_with("rootfs/usr"))
        .collect();
    assert_eq!(usr, ["rootfs/usr/", "rootfs/usr/new/"]);
    assert!(!found.contains(&"rootfs/linuxrc".to_owned()));
    assert!(found.contains(&"rootfs/bin/busybox".to_owned()));
    assert!(!found.iter().any(|name| name.contains("nothing")));
    life.leaves_nothing();
}

#[test]
fn links_of_an_app_lead_to_no_file_of_the_host() {
    require_root!();
    let _ = image!("busybox");
    let life = Life::new();
    life.0.write("secret", SECRET);
    let outside = life.0.path().display();
    let script = format!(
        "rm -r /root /usr; ln -s {outside} /root; ln -s ../../../../../../../..{outside} /usr;
         ln -s {outside}/secret /file; ln -s / /all; mkdir /up; ln -s ../.. /up/up"
    );
    for options in [&[][..], &["--no-overlay"]] {
        let (uuid, _) = life.over(options, &host::image("busybox"), &script);
        let export = life.export(&[], &uuid);
        let tar = String::from_utf8_lossy(&tar_of(&export)).into_owned();
        assert!(!tar.contains(SECRET));
        let found = names_in(&export);
        for link in ["root", "usr", "file", "all", "up/up"] {
            assert!(
                found.contains(&format!("rootfs/{link}")),
                "{link}: {found:?}"
            );
        }
    }
    life.leaves_nothing();
}
