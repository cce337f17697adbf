//! Paths that change while they are used.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, RenameFlags};

use super::{case, rounds};
use crate::golden;
use crate::host::{self, Scratch};
use crate::life::Life;
use crate::life::export::{names_in, tar_of};

// Files that are copied out of a container whose directories become links meanwhile
// (CVE-2018-15664, CVE-2019-14271).
/// What only the host has.
const SECRET: &str = "of the host only";

/// Does something again and again while something else is done.
fn beside<T>(again: &(dyn Fn() + Sync), work: impl FnOnce() -> T) -> T {
    /// Also where the work panics.
    struct Over<'a>(&'a AtomicBool);
    impl Drop for Over<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                again();
            }
        });
        let _over = Over(&over);
        work()
    })
}

/// Puts each of two in the place of the other, at once.
fn exchange(one: &Path, other: &Path) {
    rustix::fs::renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).unwrap();
}

/// Puts a link to what is outside in the place of a directory, and the
/// directory back.
fn swap_directory(directory: &Path, outside: &Path) {
    let aside = directory.with_extension("aside");
    fs::rename(directory, &aside).unwrap();
    symlink(outside, directory).unwrap();
    std::thread::yield_now();
    fs::remove_file(directory).unwrap();
    fs::rename(&aside, directory).unwrap();
}

/// How many directories are swapped while they are removed, likewise.
const DIRECTORIES: usize = 50;

/// How many files of a directory are swapped: one of them is the one that is
/// being opened at this moment.
const FILES: usize = 200;

/// Puts links in the places of all files, and the files back.
fn swap_files(directory: &Path) {
    for number in (0..FILES).chain(0..FILES) {
        let [file, link] = ["f", "l"].map(|name| directory.join(format!("{name}{number}")));
        exchange(&file, &link);
    }
}

/// Carries out plans that do something in a volume, in which a directory and a
/// link to what only the host has take each other's place all the time. (The
/// launcher mounts nothing in a volume, but other users of stage1-init may.)
#[track_caller]
fn in_a_volume(few: usize, directives: &str) {
    let scratch = Scratch::new();
    let [root, volume, outside] = ["root", "v", "outside"].map(|name| scratch.join(name));
    for directory in [root.join("data"), volume.join("a/x"), outside.join("x")] {
        fs::create_dir_all(directory).unwrap();
    }
    host::copy_program(&host::probe(), &root.join("probe"));
    fs::write(outside.join("x/secret"), SECRET).unwrap();
    symlink(&outside, volume.join("b")).unwrap();
    let (there, from) = (root.display(), volume.display());
    let plan = format!(
        "plan 1 unshare mnt,pid propagation rprivate / bind {there} {there} rec app a \
         root {there} bind {from} /data rec {directives} pivot process main 6 /probe \
         --read-file /data/a/x/secret --write-file /data/a/x/new x"
    );
    let word = |word: &str| word.replace("''", "");
    let words: Vec<_> = plan.split_whitespace().map(word).collect();
    let mut done = 0;
    let swap = || exchange(&volume.join("a"), &volume.join("b"));
    beside(&swap, || {
        for _ in 0..rounds(few) {
            let ran = host::call(&host::stage1()).args(&words).run();
            assert!(!ran.stdout.contains(SECRET), "{ran:?}");
            assert!(matches!(ran.exited(), Some(0 | 125)), "{ran:?}");
            done += usize::from(ran.succeeded());
        }
    });
    // Some of them come when the directory is there.
    assert!(done > 0, "it never works");
    assert_eq!(host::names(&outside), ["x"]);
    assert_eq!(host::names(&outside.join("x")), ["secret"]);
}

// Two pods share a volume; in one of them a directory and a link take each
// other's place while something is mounted there for the other, whose runner
// mounts it on what the link leads to (CVE-2021-30465).
#[test]
fn a_target_that_becomes_a_link_meanwhile_leads_nowhere_else() {
    require_root!();
    case(
        "R4",
        "a target that becomes a link meanwhile leads nowhere else",
        || {
            in_a_volume(50, "mount tmpfs t /data/a/x '' ''");
        },
    );
}

// The same where directories have to be made first: they must not be made where
// the link leads (CVE-2024-45310).
#[test]
fn no_directory_is_made_where_a_link_leads_meanwhile() {
    require_root!();
    case(
        "R10",
        "no directory is made where a link leads meanwhile",
        || {
            in_a_volume(50, "dir /data/a/x/y 0755 0 0 file /data/a/x/f 0644 0 0 x");
        },
    );
}

// Whoever removes a tree by paths removes what a directory has become a link to
// (CVE-2022-21658, RUSTSEC-2023-0018). Nobody but the owner of the store can do so
// there; but if somebody could:
#[test]
fn a_removal_follows_no_link_that_comes_meanwhile() {
    require_root!();
    case(
        "T14a",
        "a removal follows no link that comes meanwhile",
        || {
            let strace = tool!("strace");
            let life = Life::new();
            let outside = life.0.join("outside");
            fs::create_dir_all(outside.join("sub")).unwrap();
            for name in ["f", "sub/f"] {
                fs::write(outside.join(name), SECRET).unwrap();
            }
            life.run(&["gc"]).exits(0);
            let uuid = "abcdef12-4b5a-4978-8796-000000000001";
            let pod = life.dir().join("pods/exited").join(uuid);
            let rootfs = pod.join("apps/probe/rootfs");
            let links = life.0.join("links");
            for _ in 0..rounds(3) {
                let _ = fs::remove_dir_all(&links);
                fs::create_dir(&links).unwrap();
                let aside = fs::File::open(&links).unwrap();
                for number in 0..DIRECTORIES {
                    let name = number.to_string();
                    let directory = rootfs.join(&name).join("sub");
                    fs::create_dir_all(&directory).unwrap();
                    fs::write(directory.join("f"), "").unwrap();
                    symlink(&outside, links.join(name)).unwrap();
                }
                // By its descriptor, for its path changes; until one of them is gone.
                let here = fs::File::open(&rootfs).unwrap();
                let swap = || {
                    for number in 0..DIRECTORIES {
                        let (name, flags) = (number.to_string(), RenameFlags::EXCHANGE);
                        let _ = rustix::fs::renameat_with(&here, &name, &aside, &name, flags);
                    }
                };
                // Slow enough that it happens between looking and opening.
                let slowly = ["inject=openat2,openat:delay_enter=200"];
                beside(&swap, || {
                    life.call_by(&strace, &slowly, &["rm", uuid]).run()
                });
                life.run(&["gc", "--grace-period=0"]);
                assert_eq!(host::names(&outside), ["f", "sub"]);
                assert_eq!(host::names(&outside.join("sub")), ["f"]);
            }
            life.leaves_nothing();
        },
    );
}

// Directories that their owner may not list or search, which a removal has to
// change first, by whatever the path leads to then.
#[test]
fn what_nobody_may_list_is_removed_and_nothing_else_changed() {
    require_root!();
    case(
        "T14b",
        "what nobody may list is removed, and no link is followed",
        || {
            let life = Life::new();
            let outside = life.0.join("outside");
            fs::create_dir(&outside).unwrap();
            let uuid = life.detach(&["PROBE", "--", "--exit-code", "0"]);
            life.run(&["status", "--wait", &uuid]).exits(0);
            let upper = life.upper(&uuid, "probe");
            for name in ["d", "d/e"] {
                fs::create_dir(upper.join(name)).unwrap();
            }
            symlink(&outside, upper.join("d/l")).unwrap();
            for name in ["d/e", "d"] {
                fs::set_permissions(upper.join(name), fs::Permissions::from_mode(0o000)).unwrap();
            }
            let before = fs::metadata(&outside).unwrap();
            life.run(&["rm", &uuid]).exits(0).complains("");
            let after = fs::metadata(&outside).unwrap();
            assert_eq!(
                (before.mode(), before.ctime()),
                (after.mode(), after.ctime())
            );
            life.leaves_nothing();
        },
    );
}

#[test]
fn whoever_swaps_directories_and_links_meanwhile_gets_no_file_of_the_host() {
    require_root!();
    case(
        "R23",
        "an export follows no link, whenever it is put there",
        || {
            let life = Life::new();
            let words = [
                "run",
                "--keep",
                "--name",
                "pod",
                "PROBE",
                "--",
                "--exit-code",
                "0",
            ];
            life.run(&words).exits(0);
            let [pod] = life.pods().try_into().unwrap();
            let uuid = pod.strip_prefix("exited/").unwrap().to_owned();
            let (upper, outside) = (life.upper(&uuid, "probe"), life.0.join("outside"));
            for (directory, content) in [(upper.join("d"), "inside"), (outside.clone(), SECRET)] {
                fs::create_dir_all(directory.join("sub")).unwrap();
                fs::write(directory.join("sub/f"), content).unwrap();
                fs::write(directory.join("f"), content).unwrap();
            }
            for number in 0..FILES {
                let [file, link] = ["f", "l"].map(|name| upper.join(format!("d/{name}{number}")));
                fs::write(file, "inside").unwrap();
                symlink(outside.join("f"), link).unwrap();
            }
            let target = life.0.join("x.aci");
            let words = ["export", "--overwrite", &uuid, target.to_str().unwrap()];
            let export = || {
                let ran = life.run(&words);
                let archive = ran.succeeded().then(|| tar_of(&target));
                (ran.stderr, archive.unwrap_or_default())
            };
            // Nobody can, for nothing of the pod runs; but if somebody could:
            let swaps: [&(dyn Fn() + Sync); 2] =
                [&|| swap_directory(&upper.join("d"), &outside), &|| {
                    swap_files(&upper.join("d"))
                }];
            let mut all = Vec::new();
            for swap in swaps {
                let exports = || (0..rounds(6)).map(|_| export()).collect::<Vec<_>>();
                all.extend(beside(swap, exports));
            }
            for (complaint, tar) in all {
                let complaint = complaint.replace(&uuid, "UUID");
                if !complaint.is_empty() {
                    let title = "an export of what changes";
                    golden::has_lines_as_written("standard error", title, &complaint);
                }
                assert!(!String::from_utf8_lossy(&tar).contains(SECRET));
            }
            let export = life.export(&[], &uuid);
            assert!(names_in(&export).contains(&"rootfs/d/sub/f".to_owned()));
            life.leaves_nothing();
        },
    );
}
