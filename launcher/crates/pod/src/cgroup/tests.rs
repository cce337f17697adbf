//! Which groups a pod gets; and, where cgroups are writable, that the kernel
//! accepts what is written into them.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::print_stderr, reason = "a skip must be seen")]

use super::*;

const UUID: &str = "6f0c1d52-8f4e-4a55-9c0f-2f6f2a6f7a10";

fn uuid() -> Uuid {
    Uuid::parse(UUID).unwrap()
}

fn memory(bytes: u64) -> Limits {
    Limits {
        memory: Some(bytes),
        ..Limits::default()
    }
}

fn cpu(millis: u64) -> Limits {
    Limits {
        cpu: Some(millis),
        ..Limits::default()
    }
}

fn hierarchy(version: Version, controllers: &[&str], base: &str) -> Hierarchy {
    Hierarchy {
        version,
        controllers: controllers.iter().map(|&word| word.to_owned()).collect(),
        base: PathBuf::from(base),
        read_only: false,
    }
}

fn first() -> Vec<Hierarchy> {
    vec![
        hierarchy(Version::One, &["cpu"], "/cg/cpu"),
        hierarchy(Version::One, &["memory"], "/cg/memory"),
    ]
}

fn second() -> Vec<Hierarchy> {
    vec![hierarchy(Version::Two, &["cpu", "io", "memory"], "/cg")]
}

/// A host with these hierarchies and no disks.
fn only(hierarchies: Vec<Hierarchy>) -> Cgroups {
    Cgroups {
        hierarchies: hierarchies.into(),
        disks: Vec::new().into(),
    }
}

/// The steps as shell commands.
fn shown(groups: &Groups) -> Vec<String> {
    let short = |path: &Path| path.display().to_string().replace(UUID, "UUID");
    groups
        .steps
        .iter()
        .map(|step| match step {
            Step::Make(path) => format!("mkdir {}", short(path)),
            Step::Enable(path, controllers) => {
                let words: Vec<_> = controllers
                    .iter()
                    .map(|one| one.word(Version::Two))
                    .collect();
                format!("enable {} in {}", words.join(" "), short(path))
            }
            Step::Write(path, setting) => {
                format!("{}/{}={}", short(path), setting.file, setting.value)
            }
            Step::Devices(path, rules) => format!("{} rules in {}", rules.len(), short(path)),
        })
        .collect()
}

#[test]
fn without_limits_there_are_no_groups_and_no_errors() {
    let none = Limits::default();
    for hierarchies in [vec![], first(), second()] {
        let apps = [("a", &none), ("b", &none)];
        let groups = arrange(&only(hierarchies), uuid(), &none, &apps).unwrap();
        assert_eq!(shown(&groups), [""; 0]);
        assert!(groups.pod.is_empty());
        groups.make().unwrap();
    }
}

#[test]
fn a_limit_that_cannot_be_set_names_what_is_missing() {
    let refused = |hierarchies, limits: &Limits| {
        let error = arrange(&only(hierarchies), uuid(), limits, &[]).unwrap_err();
        error.to_string()
    };
    assert_eq!(
        refused(vec![], &memory(1)),
        "cannot limit memory: no mounted cgroup hierarchy has the controller `memory`\n\
         hint: mount one, or use a kernel with CONFIG_MEMCG"
    );
    let disks = Limits {
        block_operations: Some(1),
        ..Limits::default()
    };
    assert_eq!(
        refused(first(), &disks),
        "cannot limit block devices: no mounted cgroup hierarchy has the controller `io` \
         (`blkio` in version 1)\n\
         hint: mount one, or use a kernel with CONFIG_BLK_CGROUP and CONFIG_BLK_DEV_THROTTLING"
    );
    let mut read_only = second();
    read_only[0].read_only = true;
    assert_eq!(
        refused(read_only, &cpu(1)),
        "cannot limit processor time: `/cg` is mounted read-only"
    );
}

#[test]
fn the_only_app_of_a_pod_is_limited_by_the_pods_groups() {
    let groups = arrange(&only(first()), uuid(), &cpu(500), &[("web", &memory(4096))]).unwrap();
    assert_eq!(
        shown(&groups),
        [
            "mkdir /cg/cpu/nosecone-UUID",
            "/cg/cpu/nosecone-UUID/cpu.cfs_period_us=100000",
            "/cg/cpu/nosecone-UUID/cpu.cfs_quota_us=50000",
            "mkdir /cg/memory/nosecone-UUID",
            "/cg/memory/nosecone-UUID/memory.use_hierarchy=1",
            "/cg/memory/nosecone-UUID/memory.limit_in_bytes=4096",
            "/cg/memory/nosecone-UUID/memory.memsw.limit_in_bytes=4096",
        ]
    );
    assert_eq!(groups.pod.len(), 2);
    assert_eq!(groups.apps, [[] as [PathBuf; 0]]);
}

#[test]
fn apps_have_groups_below_the_pods_in_version_1() {
    let (one, two, none) = (memory(1), memory(2), Limits::default());
    let apps = [("a", &one), ("b", &none), ("c", &two)];
    let groups = arrange(&only(first()), uuid(), &memory(9), &apps).unwrap();
    assert_eq!(
        shown(&groups),
        [
            "mkdir /cg/memory/nosecone-UUID",
            "/cg/memory/nosecone-UUID/memory.use_hierarchy=1",
            "/cg/memory/nosecone-UUID/memory.limit_in_bytes=9",
            "/cg/memory/nosecone-UUID/memory.memsw.limit_in_bytes=9",
            "mkdir /cg/memory/nosecone-UUID/a",
            "/cg/memory/nosecone-UUID/a/memory.limit_in_bytes=1",
            "/cg/memory/nosecone-UUID/a/memory.memsw.limit_in_bytes=1",
            "mkdir /cg/memory/nosecone-UUID/c",
            "/cg/memory/nosecone-UUID/c/memory.limit_in_bytes=2",
            "/cg/memory/nosecone-UUID/c/memory.memsw.limit_in_bytes=2",
        ]
    );
    let top = PathBuf::from(format!("/cg/memory/nosecone-{UUID}"));
    assert_eq!(groups.pod, std::slice::from_ref(&top));
    assert_eq!(
        groups.apps,
        [vec![top.join("a")], vec![], vec![top.join("c")]]
    );
}

#[test]
fn in_version_2_no_group_has_both_processes_and_controlled_children() {
    let (one, none) = (memory(1), Limits::default());
    let apps = [("a", &one), ("b", &none)];
    let groups = arrange(&only(second()), uuid(), &cpu(2000), &apps).unwrap();
    assert_eq!(
        shown(&groups),
        [
            "enable memory cpu in /cg",
            "mkdir /cg/nosecone-UUID",
            "/cg/nosecone-UUID/cpu.max=200000 100000",
            "enable memory cpu in /cg/nosecone-UUID",
            "mkdir /cg/nosecone-UUID/init.",
            "mkdir /cg/nosecone-UUID/a",
            "/cg/nosecone-UUID/a/memory.max=1",
            "/cg/nosecone-UUID/a/memory.swap.max=0",
        ]
    );
    let top = PathBuf::from(format!("/cg/nosecone-{UUID}"));
    assert_eq!(groups.pod, [top.join("init.")]);
    assert_eq!(groups.apps, [vec![top.join("a")], vec![]]);
}

fn devices() -> Limits {
    let rules = ["c *:* m", "c 1:3 rwm", "c 1:5 r"];
    let rules = rules.iter().map(|line| Rule::parse(line).unwrap());
    Limits {
        devices: Some(rules.collect()),
        ..Limits::default()
    }
}

#[test]
fn devices_are_restricted_by_files_or_by_a_program() {
    let mut both = vec![hierarchy(Version::One, &["devices"], "/cg/devices")];
    both.extend(second());
    let groups = arrange(&only(both), uuid(), &devices(), &[]).unwrap();
    assert_eq!(
        shown(&groups)[1..],
        [
            "/cg/devices/nosecone-UUID/devices.deny=a",
            "/cg/devices/nosecone-UUID/devices.allow=c *:* m",
            "/cg/devices/nosecone-UUID/devices.allow=c 1:3 rwm",
            "/cg/devices/nosecone-UUID/devices.allow=c 1:5 r",
        ]
    );
    let groups = arrange(&only(second()), uuid(), &devices(), &[]).unwrap();
    assert_eq!(
        shown(&groups),
        ["mkdir /cg/nosecone-UUID", "3 rules in /cg/nosecone-UUID",]
    );
}

#[test]
fn the_kernel_accepts_and_enforces_the_program() {
    let unified = discover()
        .into_iter()
        .filter(|one| one.version == Version::Two);
    let unified: Vec<_> = unified.collect();
    let uuid = Uuid::from_random(*b"devices-by-a-bpf");
    let groups = match arrange(&only(unified), uuid, &devices(), &[]) {
        Ok(groups) if rustix::process::geteuid().is_root() => groups,
        _ => {
            eprintln!("skipped: needs root, and cgroups of version 2");
            return;
        }
    };
    let _residue = Residue(groups.tops.clone());
    let _made = groups.make().unwrap();
    let script = "echo 0 > \"$1/cgroup.procs\" || exit 9
        : > /dev/null && head -c 1 /dev/zero > /dev/null || exit 8
        (: > /dev/zero) 2> /dev/null && exit 7
        (: < /dev/full) 2> /dev/null && exit 6
        exit 0";
    let status = std::process::Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(&groups.tops[0])
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn only_our_groups_are_found() {
    let top_of = |path: &str| {
        let path = path.replace("UUID", UUID);
        let found = top(Path::new(&path), uuid()).map(|path| path.display().to_string());
        found.map(|path| path.replace(UUID, "UUID"))
    };
    let ours = Some("/cg/nosecone-UUID".to_owned());
    assert_eq!(top_of("/cg/nosecone-UUID"), ours);
    assert_eq!(top_of("/cg/nosecone-UUID/init."), ours);
    assert_eq!(top_of("/cg/UUID"), None);
    assert_eq!(top_of("/cg/nosecone"), None);
    assert_eq!(top_of("/cg/nosecone/x/UUID"), None);
}

#[test]
fn the_record_of_groups_survives_its_text() {
    let (one, two) = (memory(1), cpu(5));
    for hierarchies in [first(), second()] {
        let apps = [("a", &one), ("b", &two)];
        let mut groups = arrange(&only(hierarchies), uuid(), &memory(9), &apps).unwrap();
        let rules = devices().devices.unwrap();
        groups
            .steps
            .push(Step::Devices(PathBuf::from("/cg/x"), rules));
        let text = record::write(&groups);
        let read = record::read(&text, uuid()).unwrap();
        assert_eq!(read.steps, groups.steps);
        assert_eq!(read.tops, groups.tops);
    }
}

#[test]
fn a_malformed_record_is_refused() {
    for line in [
        "make",
        "make\trelative",
        "make\t/a\t/b",
        "enable\t/a\tponies",
        "write\t/a\tmemory\t../x\t1",
        "write\t/a\tmemory\tx",
        "devices\t/a\tx",
        "enter\t101\t/a",
        "",
    ] {
        let error = record::read(&format!("make\t/a\n{line}\n"), uuid()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 2 of the pod's cgroup record is damaged",
            "{line}"
        );
    }
}

/// Removes whatever is left when the test ends, even if it fails.
struct Residue(Vec<PathBuf>);

impl Drop for Residue {
    fn drop(&mut self) {
        for top in &self.0 {
            let _ = remove(top);
        }
    }
}

#[test]
fn processes_are_counted_unasked_only_if_nothing_has_to_change() {
    let scratch = std::env::temp_dir().join(format!("nosecone-pids-{}", std::process::id()));
    std::fs::create_dir(&scratch).unwrap();
    let counts = |version, read_only, unasked| {
        let one = Hierarchy {
            version,
            controllers: vec!["pids".to_owned()],
            base: scratch.clone(),
            read_only,
        };
        only(vec![one]).count_processes(unasked)
    };
    assert!(!only(vec![]).count_processes(false));
    for unasked in [false, true] {
        assert!(!counts(Version::One, true, unasked));
        assert!(counts(Version::One, false, unasked));
    }
    let control = scratch.join("cgroup.subtree_control");
    for (text, handed_down) in [("cpu memory\n", false), ("cpu pids\n", true)] {
        std::fs::write(&control, text).unwrap();
        assert_eq!(counts(Version::Two, false, true), handed_down);
        assert!(counts(Version::Two, false, false));
    }
    std::fs::remove_dir_all(&scratch).unwrap();
}

#[test]
fn the_kernel_accepts_the_settings_and_groups_are_removed() {
    let pod = Limits {
        cpu: Some(1500),
        cpu_shares: Some(2048),
        memory: Some(64 << 20),
        memory_request: Some(32 << 20),
        block_bandwidth: Some(1_000_000),
        block_operations: Some(500),
        network_bandwidth: None,
        processes: Some(500),
        devices: None,
    };
    let app = Limits {
        memory: Some(16 << 20),
        ..cpu(250)
    };
    let uuid = Uuid::from_random(*b"isolators-cgroup");
    let apps = [("a", &app), ("b", &app)];
    let groups = match arrange(&Cgroups::default(), uuid, &pod, &apps) {
        Ok(groups) if rustix::process::geteuid().is_root() => groups,
        _ => {
            eprintln!("skipped: needs root, and cgroups with controllers");
            return;
        }
    };
    let _residue = Residue(groups.tops.clone());
    let made = groups.make().unwrap();
    for step in &groups.steps {
        let Step::Write(path, setting) = step else {
            continue;
        };
        let read = std::fs::read_to_string(path.join(&*setting.file));
        match read {
            // The device file has a line for each rule.
            Ok(read) => assert!(
                read.lines().any(|line| line == setting.value),
                "{path:?} {setting:?}: {read}"
            ),
            Err(error) => assert!(setting.optional, "{path:?} {setting:?}: {error}"),
        }
    }
    for group in groups.pod.iter().chain(groups.apps.iter().flatten()) {
        open_procs(group).unwrap();
    }
    drop(made);
    for top in &groups.tops {
        assert!(!top.exists(), "{top:?}");
        // Removing a group that does not exist is not an error.
        remove(top).unwrap();
    }
}

#[test]
fn groups_are_taken_over_only_from_dead_pods() {
    let Ok(groups) = arrange(
        &Cgroups::default(),
        Uuid::from_random(*b"running-elsewhr."),
        &memory(64 << 20),
        &[],
    ) else {
        eprintln!("skipped: needs cgroups with the controller memory");
        return;
    };
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: needs root");
        return;
    }
    let _residue = Residue(groups.tops.clone());
    let made = groups.make().unwrap();
    let script = "echo 0 > \"$1/cgroup.procs\"; echo in; read -r line";
    let mut inside = std::process::Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(&groups.tops[0])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = [0; 3];
    io::Read::read_exact(inside.stdout.as_mut().unwrap(), &mut said).unwrap();
    let error = groups.make().err().unwrap().to_string();
    assert_eq!(
        error,
        format!(
            "cannot create the cgroup `{}`: another pod with this UUID is running",
            groups.tops[0].display()
        )
    );
    assert!(inside.try_wait().unwrap().is_none(), "it was killed");
    drop(inside.stdin.take());
    inside.wait().unwrap();
    // As if the launcher had been killed: nobody removes the groups.
    std::mem::forget(made);
    let again = groups.make().unwrap();
    drop(again);
    assert!(!groups.tops[0].exists());
}
