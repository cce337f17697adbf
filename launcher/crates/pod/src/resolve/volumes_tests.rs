//! Volumes of an app whose image has a few files and directories.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use crate::spec::mounts::Size;
use error::Kind;
use image::store::rootfs::Status;

/// An image with the directories `full` and `bare`, and a file.
struct Sample;

impl Rootfs for Sample {
    fn read(&self, _: &str, _: usize) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }

    fn status(&self, path: &str) -> Result<Option<Status>> {
        let known = ["full", "bare", "file"].contains(&path);
        Ok(known.then_some(Status {
            directory: path != "file",
            uid: 0,
            gid: 0,
            mode: 0o755,
        }))
    }

    fn has(&self, path: &str) -> Result<bool> {
        Ok(self.status(path)?.is_some())
    }

    fn is_empty(&self, path: &str) -> Result<bool> {
        Ok(path != "full")
    }
}

/// A host with a directory, a file, and a link.
fn look(path: &Path, follow_links: bool) -> Result<Option<Source>> {
    match path.to_str().unwrap() {
        "/dir" | "/file" => Ok(Some(Source {
            path: path.to_owned(),
            directory: path == Path::new("/dir"),
        })),
        "/link" if !follow_links => Ok(None),
        "/link" => look(Path::new("/dir"), false),
        _ => Err(Error::new(Kind::NotFound, "it is not there")),
    }
}

fn name(text: &str) -> AcName {
    AcName::parse(text).unwrap()
}

/// Requested volumes: names and, for host volumes, sources.
fn requested(list: &[(&str, &str)]) -> Vec<Requested> {
    let one = |&(text, source): &(&str, &str)| Requested {
        volume: Volume {
            name: name(text),
            kind: match source {
                "" => VolumeKind::Empty {
                    mode: 0o700,
                    uid: 1,
                    gid: 2,
                },
                source => VolumeKind::Host {
                    source: source.to_owned(),
                    recursive: None,
                },
            },
            read_only: None,
        },
        follow_links: false,
        reason: "option --volume",
    };
    list.iter().map(one).collect()
}

fn mounts(list: &[(&str, &str)]) -> Vec<Sourced<Mount>> {
    let one = |&(volume, path): &(&str, &str)| {
        let mount = Mount {
            volume: name(volume),
            path: path.to_owned(),
            app_volume: None,
        };
        Sourced::new(mount, "option --mount")
    };
    list.iter().map(one).collect()
}

fn points(list: &[(&str, &str)]) -> Vec<MountPoint> {
    let one = |&(text, path): &(&str, &str)| MountPoint {
        name: name(text),
        path: path.to_owned(),
        read_only: path.ends_with("/ro"),
    };
    list.iter().map(one).collect()
}

type List<'a> = &'a [(&'a str, &'a str)];

/// What app `a` mounts of these volumes.
fn mounted(
    volumes: &[Requested],
    wanted: List<'_>,
    wants: List<'_>,
) -> Result<(Vec<Mounted>, ResolvedVolumes)> {
    let mut volumes = Volumes::new(volumes, Path::new("/pod"), &look)?;
    let (mounted, _) = volumes.of(&Mounting {
        app: "a",
        mounts: &mounts(wanted),
        points: &points(wants),
        tmpfs: &[],
        rootfs: &Sample,
    })?;
    Ok((mounted, volumes.finish()?))
}

#[test]
fn errors_name_volume_app_and_path() {
    let two: List<'_> = &[("v", ""), ("w", "")];
    for (volumes, wanted, wants, message) in [
        (
            &[("v", ""), ("v", "/dir")][..],
            &[][..],
            &[][..],
            "duplicate volume `v`",
        ),
        (
            &[],
            &[("v", "/x")],
            &[],
            "app `a` mounts volume `v`, which is not defined\nhint: `--volume v,kind=empty` adds an empty one",
        ),
        (
            &[("v", "")],
            &[],
            &[("w", "/x")],
            "no app mounts volume `v`\nhint: mount it with `--mount volume=v,target=PATH` after an image",
        ),
        (
            &[("v", "/none")],
            &[("v", "/x")],
            &[],
            "volume `v`: it is not there",
        ),
        (
            &[("v", "/link")],
            &[("v", "/x")],
            &[],
            "volume `v`: the path `/link` contains a symbolic link\nhint: a link can be redirected; `followSymlinks=true` follows it anyway",
        ),
        (
            &[("v", "/file")],
            &[("v", "/bare")],
            &[],
            "cannot mount volume `v` on `/bare` of app `a`: the volume is a file, but the image has a directory there",
        ),
        (
            &[("v", "")],
            &[("v", "/file")],
            &[],
            "cannot mount volume `v` on `/file` of app `a`: the volume is a directory, but the image has a file there",
        ),
        (
            two,
            &[("v", "/x"), ("w", "/x/./z/..")],
            &[],
            "volumes `v` and `w` of app `a` are both mounted on `/x`",
        ),
        (
            &[("v", "/dir"), ("w", "")],
            &[("v", "/x")],
            &[("w", "/x/y")],
            "cannot mount volume `w` on `/x/y` of app `a`, in volume `v`: it is not there\nhint: make it first: no mount points are made in directories of the host",
        ),
        (
            two,
            &[],
            &[("v", "/x"), ("w", "/x/")],
            "volumes `v` and `w` of app `a` are both mounted on `/x`",
        ),
    ] {
        let error = mounted(&requested(volumes), wanted, wants).err().unwrap();
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn the_kernels_file_systems_and_the_root_cannot_be_targets() {
    for path in [
        "/",
        "/..",
        "/proc",
        "/proc/self/attr",
        "/x/../proc",
        "/sys/",
        "//dev",
    ] {
        let error = mounted(&requested(&[("v", "")]), &[("v", path)], &[])
            .err()
            .unwrap();
        assert_eq!(
            error.to_string(),
            format!("cannot mount volume `v` on `{path}` of app `a`: the path is reserved")
        );
    }
    assert!(mounted(&requested(&[("v", "")]), &[("v", "/process")], &[]).is_ok());
}

#[test]
fn a_volume_is_read_only_if_the_volume_or_the_mount_point_says_so() {
    for (volume, path, expected) in [
        (None, "/rw", false),
        (None, "/ro", true),
        (Some(false), "/rw", false),
        (Some(false), "/ro", true),
        (Some(true), "/rw", true),
        (Some(true), "/ro", true),
    ] {
        let mut volumes = requested(&[("v", "/dir")]);
        volumes[0].volume.read_only = volume;
        for wanted in [&[][..], &[("v", path)]] {
            let (found, _) = mounted(&volumes, wanted, &[("v", path)]).unwrap();
            assert_eq!(found[0].read_only, expected, "{volume:?} {path}");
        }
    }
}

#[test]
fn read_only_comes_from_the_volume_or_the_mount_point() {
    let mut wanted = mounts(&[("data", "/a/"), ("data", "/b"), ("own", "/c")]);
    let mut own = requested(&[("own", "")]).remove(0).volume;
    own.read_only = Some(true);
    wanted[2].value.app_volume = Some(own);
    let mut wants = points(&[("a", "/a"), ("b", "/b")]);
    wants[0].read_only = true;
    let mut volumes =
        Volumes::new(&requested(&[("data", "/dir")]), Path::new("/pod"), &look).unwrap();
    let (found, _) = volumes
        .of(&Mounting {
            app: "web",
            mounts: &wanted,
            points: &wants,
            tmpfs: &[],
            rootfs: &Sample,
        })
        .unwrap();
    let shown = found.iter().map(|one| {
        let source = match one.ours {
            true => "empty".into(),
            false => one.source.display().to_string(),
        };
        let mode = if one.read_only { "ro" } else { "rw" };
        format!("{} {} {source} {mode}", one.name, one.target)
    });
    assert_eq!(
        shown.collect::<Vec<_>>(),
        ["data /a /dir ro", "data /b /dir rw", "own /c empty ro"]
    );
}

#[test]
fn a_mount_point_gets_its_mount_then_its_namesake_then_an_empty_volume() {
    let volumes = requested(&[("v", "/dir"), ("w", "/file"), ("a-z", "/dir")]);
    let wanted: List<'_> = &[("w", "/p"), ("a-z", "/q")];
    let wants: List<'_> = &[("v", "/p/"), ("v2", "/r"), ("z", "/s")];
    let volumes_and = |more: List<'_>| [volumes.clone(), requested(more)].concat();
    let (found, all) = mounted(&volumes_and(&[("v2", "/dir")])[1..], wanted, wants).unwrap();
    let shown: Vec<_> = found
        .iter()
        .map(|one| format!("{} {} {}", one.source.display(), one.target, one.reason))
        .collect();
    assert_eq!(
        shown,
        [
            "/file /p volume w: option --mount",
            "/dir /q volume a-z: option --mount",
            "/dir /r volume v2: app a",
            "/pod/volumes/a-z-2 /s volume a-z-2: app a",
        ]
    );
    assert_eq!(
        all.notes,
        [
            "app `a` has no volume for its mount point `z` on `/s`: using an empty one, which is removed with the pod"
        ]
    );
    assert_eq!(all.empty[0].mode, 0o755);
    assert_eq!(all.volumes.len(), 4);
}

#[test]
fn hiding_files_of_the_image_is_noted() {
    let (_, all) = mounted(
        &requested(&[("v", ""), ("w", "")]),
        &[("v", "/full"), ("w", "/bare")],
        &[],
    )
    .unwrap();
    assert_eq!(
        all.notes,
        ["volume `v` hides files of app `a`'s image in `/full`"]
    );
}

#[test]
fn a_volume_of_a_manifest_that_nobody_mounts_is_only_noted() {
    let volume = requested(&[("v", "")]).remove(0).volume;
    let (_, all) = mounted(&[Requested::by_manifest(volume)], &[], &[]).unwrap();
    assert_eq!(all.notes, ["no app mounts volume `v`"]);
}

#[test]
fn links_are_followed_only_once() {
    let mut volumes = requested(&[("v", "/link")]);
    volumes[0].follow_links = true;
    let (found, all) = mounted(&volumes, &[("v", "/x")], &[]).unwrap();
    assert_eq!(*found[0].source, *Path::new("/dir"));
    let VolumeKind::Host { source, .. } = &all.volumes[0].kind else {
        panic!("it is the host's");
    };
    assert_eq!(source, "/dir");
}

#[test]
fn an_apps_own_volume_is_not_shared() {
    let mut volumes = Volumes::new(&requested(&[("v", "")]), Path::new("/pod"), &look).unwrap();
    let mut own = mounts(&[("v", "/x")]);
    own[0].value.app_volume = Some(requested(&[("v", "")]).remove(0).volume);
    for (app, wanted) in [("a", own), ("b", mounts(&[("v", "/x")]))] {
        let mounting = Mounting {
            app,
            mounts: &wanted,
            points: &[],
            tmpfs: &[],
            rootfs: &Sample,
        };
        let (found, _) = volumes.of(&mounting).unwrap();
        let expected = if app == "a" {
            "/pod/volumes/a.0"
        } else {
            "/pod/volumes/v"
        };
        assert_eq!(*found[0].source, *Path::new(expected));
    }
    assert_eq!(volumes.finish().unwrap().empty.len(), 2);
}

#[test]
fn a_tmpfs_is_mounted_where_nothing_else_is() {
    let memory = |paths: &[&str]| -> Vec<Tmpfs> {
        let one = |path: &&str| crate::resolve::tmpfs::tmpfs(path, Size::default(), None);
        paths.iter().map(|path| one(path).unwrap()).collect()
    };
    let check = |wanted: &[(&str, &str)], paths: &[&str]| {
        let requested = requested(&[("dir", "/dir"), ("empty", "")]);
        let mut volumes = Volumes::new(&requested, Path::new("/pod"), &look).unwrap();
        let found = volumes.of(&Mounting {
            app: "a",
            mounts: &mounts(wanted),
            points: &[],
            tmpfs: &memory(paths),
            rootfs: &Sample,
        });
        found.map(|_| ()).map_err(|error| error.to_string())
    };
    for (wanted, paths) in [
        (&[][..], &["/a", "/a/b", "/ab"][..]),
        (&[("dir", "/a/b"), ("empty", "/abc")], &["/a"]),
        (&[("empty", "/a")], &["/a/b", "/a/b/c"]),
    ] {
        assert_eq!(check(wanted, paths), Ok(()));
    }
    for (wanted, paths, why) in [
        (
            &[][..],
            &["/a", "/a"][..],
            "cannot mount a tmpfs on `/a` of app `a`: a tmpfs is mounted there",
        ),
        (
            &[("dir", "/a")],
            &["/a"],
            "cannot mount a tmpfs on `/a` of app `a`: volume `dir` is mounted there",
        ),
        (
            &[],
            &["/file"],
            "cannot mount a tmpfs on `/file` of app `a`: the tmpfs is a directory, \
             but the image has a file there",
        ),
        (
            &[("dir", "/a")],
            &["/a/b"],
            "cannot mount a tmpfs on `/a/b` of app `a`, in volume `dir`: it is not there\n\
             hint: make it first: no mount points are made in directories of the host",
        ),
    ] {
        assert_eq!(check(wanted, paths), Err(why.to_owned()));
    }
}
