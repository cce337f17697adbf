//! What others read in such an archive.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use super::{Life, names_in, tar_of};
use crate::host::{self, call};

/// Of everything that archives can say in more than one way.
const MAKES: &str = r#"
set -e
cd /
echo x > file; chmod 6755 file; chown 4000000000:3000000 file
touch -d '1969-01-01 00:00:01' file; ln file same; ln -s file link
chown -h 5:6 link; mkfifo -m 604 fifo; mknod -m 640 null c 1 3; mknod loop b 7 1048575
mkdir -m 3711 dir; touch -d '2345-06-07 08:09:10' dir
name=$(printf '%0200d' 1); mkdir -p $name/$name; echo deep > $name/$name/$name
ln $name/$name/$name dir/$name; ln -s $name/$name/$name to-deep
: > "$(printf 'bytes\377')"; : > "$(printf '%0150d\377\376' 1)"; : > "$(printf 'a\nb')"
dd if=/dev/zero of=sparse bs=1 count=1 seek=3000000 2>/dev/null; echo end >> sparse
dd if=/dev/zero of=holes bs=1 count=1 seek=8000000 2>/dev/null
head -c 1500000 /dev/urandom > large
"#;

#[test]
fn tars_that_others_have_written_list_and_unpack_it_alike() {
    require_root!();
    let _ = image!("busybox");
    let (tar, bsdtar) = (tool!("tar"), tool!("bsdtar"));
    let life = Life::new();
    let (uuid, _) = life.over(&[], &host::image("busybox"), MAKES);
    let file = life.upper(&uuid, "busybox").join("dir");
    rustix::fs::setxattr(&file, "user.a", b"\0b\n", rustix::fs::XattrFlags::empty()).unwrap();
    let export = life.export(&[], &uuid);
    assert!(names_in(&export).len() > 100);
    let mut trees = Vec::new();
    for (name, program, options) in [
        (
            "tar",
            &tar,
            &[
                "--xattrs",
                "--numeric-owner",
                "--warning=no-timestamp",
                "-xpf",
            ][..],
        ),
        ("bsdtar", &bsdtar, &["--numeric-owner", "-xpf"]),
    ] {
        let ran = call(program).arg("tf").arg(&export).run().exits(0);
        assert_eq!(ran.stderr, "", "{name}");
        let target = life.0.join(name);
        fs::create_dir(&target).unwrap();
        call(program)
            .args(options)
            .arg(&export)
            .arg("-C")
            .arg(&target)
            .run()
            .exits(0)
            .says("")
            .complains("");
        assert_eq!(host::names(&target), ["manifest", "rootfs"], "{name}");
        trees.push((name, tree(&target.join("rootfs"))));
    }
    let words = ["fetch", "--full", export.to_str().unwrap()];
    let id = life.run(&words).exits(0).stdout;
    trees.push(("launcher", tree(&life.unpacked(id.trim_end()))));
    let (_, first) = &trees[0];
    assert!(first.len() > 100);
    for (name, tree) in &trees {
        for (path, seen) in first {
            assert_eq!(tree.get(path), Some(seen), "{name}: {path}");
        }
        assert_eq!(tree.len(), first.len(), "{name}");
    }
}

/// All that can be seen of a tree, by path.
fn tree(root: &Path) -> BTreeMap<String, String> {
    let mut seen = BTreeMap::new();
    let mut ahead = vec![root.to_owned()];
    while let Some(path) = ahead.pop() {
        let status = path.symlink_metadata().unwrap();
        let kind = status.file_type();
        let content = match () {
            () if kind.is_dir() => {
                ahead.extend(
                    fs::read_dir(&path)
                        .unwrap()
                        .map(|entry| entry.unwrap().path()),
                );
                let mut value = [0; 100];
                let length = rustix::fs::getxattr(&path, "user.a", value.as_mut_slice());
                format!("{:?}", length.map(|length| value[..length].to_vec()).ok())
            }
            () if kind.is_symlink() => format!("{:?}", fs::read_link(&path).unwrap()),
            () if kind.is_file() => {
                let content = fs::read(&path).unwrap();
                let sum = content
                    .iter()
                    .fold(7_u64, |sum, &byte| sum.rotate_left(5) ^ u64::from(byte));
                format!("{} bytes {sum:x}", content.len())
            }
            () => format!("{:?} {:x}", kind.is_fifo(), status.rdev()),
        };
        let links = if kind.is_dir() { 0 } else { status.nlink() };
        let name = path.strip_prefix(root).unwrap().as_os_str().as_bytes();
        seen.insert(
            name.escape_ascii().to_string(),
            format!(
                "{:o} {} {} {}.{:09} {links} {content}",
                status.mode(),
                status.uid(),
                status.gid(),
                status.mtime(),
                status.mtime_nsec()
            ),
        );
    }
    seen
}

#[test]
fn the_reference_implementation_finds_it_valid() {
    require_root!();
    let _ = image!("busybox");
    let actool = tool!("actool");
    let life = Life::new();
    let (uuid, _) = life.over(&[], &host::image("busybox"), MAKES);
    let export = life.export(&[], &uuid);
    for program in [&actool, &host::program()] {
        let ran = call(program).arg("validate").arg(&export).run().exits(0);
        assert!(!ran.stderr.contains("warning"), "{ran:?}");
    }
    let said = format!("{} OK\n", export.display());
    let ran = call(&host::program()).arg("validate").arg(&export).run();
    ran.exits(0).says(&said).complains("");
}

#[test]
fn zeros_take_no_room_in_it() {
    require_root!();
    let _ = image!("busybox");
    let life = Life::new();
    let script = "dd if=/dev/zero of=/table bs=1 count=1 seek=20000000000 2>/dev/null;
        echo end >> /table; head -c 40000000 /dev/zero > /zeros";
    let (uuid, _) = life.over(&[], &host::image("busybox"), script);
    let (export, id) = life.exported(&[], &uuid);
    assert!(export.metadata().unwrap().len() < 5_000_000);
    assert!(tar_of(&export).len() < 10_000_000);
    let table = life.unpacked(&id).join("table").metadata().unwrap();
    assert_eq!(table.len(), 20_000_000_005);
    assert!(table.blocks() < 10_000, "{}", table.blocks());
    let script = "stat -c %s /table /zeros; tail -c 5 /table; tr -d '\\0' < /zeros | wc -c";
    let said = life.within(&export, script);
    assert_eq!(said, "20000000005\n40000000\n\0end\n0\n");
}

#[test]
fn on_standard_output_it_is_the_same_and_its_id_is_beside_it() {
    require_root!();
    let _ = image!("busybox");
    let life = Life::new();
    let (uuid, _) = life.over(&[], &host::image("busybox"), "echo x > /x");
    let (export, id) = life.exported(&[], &uuid);
    let piped = life.0.join("piped.aci");
    let ran = std::process::Command::new(host::program())
        .arg("--dir")
        .arg(life.dir())
        .args(["export", &uuid, "-"])
        .stdout(fs::File::create(&piped).unwrap())
        .output()
        .unwrap();
    assert!(ran.status.success(), "{ran:?}");
    assert_eq!(String::from_utf8(ran.stderr).unwrap(), format!("{id}\n"));
    assert!(fs::read(piped).unwrap() == fs::read(export).unwrap());
}
