//! What PID 1 holds, and what is bound from the host.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::case;
use crate::aci::{Aci, manifest};
use crate::claims;
use crate::golden::Cases;
use crate::host::{self, Scratch, call, launcher};
use crate::refusal::{self, EPERM, Refusal};

/// All capabilities that Linux has, but for one that root lacks on some hosts.
const ALL: &str = "CAP_AUDIT_CONTROL,CAP_AUDIT_READ,CAP_AUDIT_WRITE,CAP_BLOCK_SUSPEND,CAP_BPF,\
    CAP_CHECKPOINT_RESTORE,CAP_CHOWN,CAP_DAC_OVERRIDE,CAP_DAC_READ_SEARCH,CAP_FOWNER,CAP_FSETID,\
    CAP_IPC_LOCK,CAP_IPC_OWNER,CAP_KILL,CAP_LEASE,CAP_LINUX_IMMUTABLE,CAP_MAC_ADMIN,\
    CAP_MAC_OVERRIDE,CAP_MKNOD,CAP_NET_ADMIN,CAP_NET_BIND_SERVICE,CAP_NET_BROADCAST,CAP_NET_RAW,\
    CAP_PERFMON,CAP_SETFCAP,CAP_SETGID,CAP_SETPCAP,CAP_SETUID,CAP_SYSLOG,CAP_SYS_ADMIN,\
    CAP_SYS_BOOT,CAP_SYS_CHROOT,CAP_SYS_MODULE,CAP_SYS_NICE,CAP_SYS_PACCT,CAP_SYS_PTRACE,\
    CAP_SYS_RAWIO,CAP_SYS_TIME,CAP_SYS_TTY_CONFIG,CAP_WAKE_ALARM";

/// `launcher run BUSYBOX`, with options, and a script for its shell.
fn busybox(dir: &Path, options: &[&str], script: &str) -> host::Call {
    launcher(dir)
        .arg("run")
        .arg(host::image("busybox"))
        .args(options)
        .args(["--", "-c", script])
}

/// Tries to change the mode, owner and times of each `$it`.
const CHANGE: &str = r#"
    chmod 0777 "$it" 2>/dev/null && echo "mode of $it"
    chown 1:1 "$it" 2>/dev/null && echo "owner of $it"
    touch -d 1999-01-01 "$it" 2>/dev/null && echo "times of $it""#;

/// A mask that is a bind of the host's /dev/null gives its inode away: chmod(2)
/// of /proc/keys was one of /dev/null on the host (and CVE-2025-31133 is about
/// the image's own in its place). And procfs has one inode's mode for all of its
/// mounts (`proc_notify_change` in fs/proc/generic.c).
#[test]
fn nothing_below_proc_and_sys_can_be_changed_but_what_is_a_process() {
    require_root!();
    let _ = image!("busybox");
    case(
        "H1a",
        "masks and the kernel's files belong to nobody inside",
        || {
            let scratch = Scratch::new();
            let script = format!(
                r#"find /proc /sys -maxdepth 2 ! -type l ! -path '/proc/[0-9]*' ! -path /proc |
               while read -r it; do {CHANGE}
               done; echo done"#
            );
            for options in [&[][..], &["--readonly-rootfs"], &["--caps-retain", ALL]] {
                let ran = busybox(&scratch.join("dir"), options, &script).run();
                ran.exits(0).says("done\n");
            }
        },
    );
}

/// Where devices cannot be made, those of the host are bound.
#[test]
fn a_device_of_the_host_can_be_used_and_not_changed() {
    require_root!();
    const MKNODAT: u32 = if cfg!(target_arch = "x86_64") {
        259
    } else {
        33
    };
    let _ = image!("busybox");
    case(
        "H1b",
        "a node bound from the host can be used, not changed",
        || {
            let scratch = Scratch::new();
            let no_nodes = Refusal {
                calls: &[MKNODAT],
                errno: EPERM,
            };
            let script = format!(
                r#"for it in /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty; do
               {CHANGE}
               done; echo x > /dev/null && echo written; head -c 3 /dev/zero | wc -c"#
            );
            let run = || busybox(&scratch.join("dir"), &[], &script).run();
            refusal::on_a_host(Some(no_nodes), run)
                .exits(0)
                .says("written\n3\n");
        },
    );
}

/// What an app can do that may trace PID 1: look at its descriptors, its root,
/// its directory and its program through /proc/1, and open them again.
const LOOK: &str = r#"
    grep -E '^(Cap(Inh|Prm|Eff|Bnd|Amb)|NoNewPrivs|Seccomp):' /proc/1/status | tr '\t' ' '
    for it in /proc/1/fd/*; do
        case $(readlink $it) in pipe:*|'') continue;; esac
        echo a descriptor
        [ -d $it/ ] && echo "directory $it"
        true 2>/dev/null > $it && echo "written $it"
        chmod 0777 $it 2>/dev/null && echo "changed $it"
        [ -s $it ] && echo "content in $it"
    done
    true 2>/dev/null > /proc/1/exe && echo 'written exe'
    for it in /proc/1/root /proc/1/cwd; do
        [ $it/ -ef / ] || [ -z "$(ls -A $it/)" ] || echo "$it: $(ls -A $it/ | head -n 3)"
    done
    echo looked"#;

const NOTHING_MORE: &str = "CapInh: 0000000000000000\nCapPrm: 0000000000000020\n\
    CapEff: 0000000000000020\nCapBnd: 0000000000000020\nCapAmb: 0000000000000000\n\
    NoNewPrivs: 1\nSeccomp: 2\n";

/// PID 1 had nearly all capabilities, no filter, and the host's /proc, the
/// launcher and the pod's directory open: an app with CAP_SYS_PTRACE wrote to
/// files of the host through /proc/1/fd (CVE-2016-9962 is of that kind).
#[test]
fn an_app_with_every_capability_gets_nothing_of_the_host_from_pid_1() {
    require_root!();
    let _ = image!("busybox");
    case(
        "H2a",
        "PID 1 has one descriptor, CAP_KILL and the filter",
        || {
            let scratch = Scratch::new();
            let expected = format!("{NOTHING_MORE}a descriptor\nlooked\n");
            let options = ["--caps-retain", ALL];
            busybox(&scratch.join("dir"), &options, LOOK)
                .run()
                .exits(0)
                .says(&expected);
            // With several apps PID 1 is in nobody's root.
            let ran = busybox(&scratch.join("dir"), &options, &format!("{LOOK}; exit 3"))
                .arg("---")
                .arg(host::image("probe"))
                .args(["--", "--trap-exit", "15", "0"])
                .run();
            let said = ran.exits(3).stdout.replace("waiting\n", "");
            claims::same("what there is of PID 1", &said, &expected);
        },
    );
}

/// An image of busybox with handlers, whose filter lacks some calls, run as
/// user 7 and group 8.
fn with_handlers(scratch: &Scratch, lacks: &[&str], pre_start: &str) -> std::path::PathBuf {
    let sh = |script: &str| format!(r#"["/bin/busybox", "sh", "-c", {script:?}]"#);
    let app = format!(
        r#"{{"exec": {}, "user": "7", "group": "8",
            "isolators": [{{"name": "os/linux/seccomp-remove-set",
                "value": {{"errno": "EPERM", "set": {lacks:?}}}}}],
            "eventHandlers": [{{"name": "pre-start", "exec": {}}},
                {{"name": "post-stop", "exec": {}}}]}}"#,
        sh("echo main"),
        sh(pre_start),
        sh("echo after"),
    );
    let busybox = fs::read(host::find_tool("busybox").unwrap()).unwrap();
    let bytes = Aci::new(&manifest(&app))
        .file("rootfs/bin/busybox", 0o755, busybox)
        .bytes();
    scratch.write("app.aci", bytes)
}

/// What comes later (the main program after a pre-start handler, a post-stop
/// handler) would have to be started with the rights that PID 1 gave up.
#[test]
fn what_waits_for_its_turn_has_given_up_everything_before_any_app_runs() {
    require_root!();
    let _ = tool!("busybox");
    case("H2b", "whoever waits has its final rights already", || {
        let scratch = Scratch::new();
        let look = "for it in /proc/[0-9]*; do
            [ $it = /proc/1 ] || [ $it = /proc/$$ ] ||
            echo $(/bin/busybox grep -E '^(Uid|CapPrm|CapEff|Seccomp):' $it/status)
            done";
        let image = with_handlers(&scratch, &["pread64"], look);
        let ran = launcher(&scratch.join("dir")).arg("run").arg(&image).run();
        let waits = "Uid: 7 7 7 7 CapPrm: 0000000000000000 CapEff: 0000000000000000 Seccomp: 2\n";
        ran.exits(0).says(&format!("{waits}{waits}main\nafter\n"));
    });
}

/// It waits behind the app's own filter, which may know next to nothing.
#[test]
fn what_waits_does_so_under_a_filter_that_knows_no_reading() {
    require_root!();
    let _ = tool!("busybox");
    case(
        "H2c",
        "whoever waits does so under the app's own filter",
        || {
            let scratch = Scratch::new();
            let lacks = ["read", "readv", "write", "ppoll", "rt_sigprocmask", "close"];
            let image = with_handlers(&scratch, &lacks, "exit 0");
            let app = "--exec=/bin/busybox";
            let ran = launcher(&scratch.join("dir"))
                .arg("run")
                .arg(&image)
                .args([app, "--", "sh", "-c", "exit 4"])
                .run();
            ran.exits(4).complains("");
        },
    );
}

/// An app that writes without end made the outer half copy without end, for
/// which no limit of the pod counts.
#[test]
fn an_app_that_writes_without_end_takes_no_processor_of_the_hosts() {
    require_root!();
    let _ = image!("busybox");
    case(
        "H9b",
        "copying logs takes a bounded part of a processor",
        || {
            let scratch = Scratch::new();
            let dir = scratch.join("dir");
            let start = launcher(&dir)
                .args(["run", "--detach", "--name", "flood"])
                .arg(host::image("busybox"))
                .args(["--", "-c", "exec yes 'a line that is as long as lines are'"])
                .run();
            let uuid = start.exits(0).stdout.trim().to_owned();
            let outer = outer_half(&uuid);
            let (begun, before) = (Instant::now(), taken(outer));
            // Twenty ticks of a hundred a second: two seconds, if a tenth is taken.
            while taken(outer) < before + 20 {
                assert!(
                    begun.elapsed() < Duration::from_secs(60),
                    "nothing is copied"
                );
                std::thread::sleep(Duration::from_millis(20));
            }
            let spent = Duration::from_millis(10 * (taken(outer) - before));
            let passed = begun.elapsed();
            launcher(&dir)
                .args(["rm", "--force", "flood"])
                .run()
                .exits(0);
            assert!(spent * 4 < passed, "{spent:?} of a processor in {passed:?}");
        },
    );
}

/// The process of a pod that stays outside: its last word but one is the UUID.
fn outer_half(uuid: &str) -> u32 {
    let is_it = |pid: &u32| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).into_owned();
        words.starts_with("stage1-init\0") && words.contains(uuid)
    };
    let pids = fs::read_dir("/proc").unwrap();
    let mut pids = pids.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    pids.find(is_it).expect("the pod runs")
}

/// How many ticks of processors a process has taken.
fn taken(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    fields[11..13]
        .iter()
        .map(|ticks| ticks.parse::<u64>().unwrap())
        .sum()
}

/// Where a filter refuses the calls that waiting needs, the init ran in circles,
/// or for ever.
#[test]
fn an_init_that_could_not_wait_does_not_begin() {
    require_root!();
    if !cfg!(target_arch = "x86_64") {
        skip!("the numbers are those of another machine");
    }
    const CALLS: &[(&str, &[u32])] = &[
        ("rt_sigprocmask", &[14]),
        ("rt_sigtimedwait", &[128]),
        ("wait4", &[61]),
        ("kill", &[62]),
        ("ppoll", &[271]),
        ("clock_gettime", &[228]),
    ];
    case(
        "H11a",
        "without calls to wait with, the init refuses in a sentence",
        || {
            let mut cases = Cases::default();
            for &(name, calls) in CALLS {
                let ran = refusal::on_a_host(
                    Some(Refusal {
                        calls,
                        errno: EPERM,
                    }),
                    || call(&host::stage1()).args(["--", "/bin/true"]).run(),
                );
                cases.add(name, &ran.exits(125).told());
            }
            cases.as_written("calls to wait with that are refused");
        },
    );
}
