//! tmpfs mounts that an operator gives an app.

use super::Pods;
use super::volumes::{app, volume};
use crate::golden::Cases;

#[test]
fn a_tmpfs_is_where_a_volume_would_be() {
    require_root!();
    let pods = Pods::new();
    app(&pods, "");
    // A directory that is there, one that is not, and links.
    for target in ["/dir2", "/none/at/all", "/dir1/relative", "/into"] {
        let tmpfs = format!("--tmpfs={target}:size=64Ki");
        let file = format!("{target}/file");
        let words = ["HERE/app.aci", &tmpfs, "--", "--write-file", &file, "x"];
        let mounts = ["--read-file", "/proc/self/mounts"];
        let ran = pods.run(&[&words[..], &mounts].concat()).run().exits(0);
        let at = match target {
            "/dir1/relative" => "/dir2",
            "/into" => "/data/made",
            target => target,
        };
        let mounted = format!("tmpfs {at} tmpfs rw,nosuid,nodev,relatime,size=64k");
        let ran = ran.complains("").stdout;
        assert!(ran.starts_with(&format!("write {file}: ok\n")), "{ran}");
        assert!(ran.lines().any(|line| line.starts_with(&mounted)), "{ran}");
    }
}

#[test]
fn a_tmpfs_and_a_volume_can_be_mounted_in_one_another() {
    require_root!();
    let pods = Pods::new();
    app(&pods, "");
    pods.make(&[("v/file", "host\n"), ("v/sub/hidden", "")]);
    let volume = volume("");
    let run = |volumes: &[&str], mounts: &[&str], probe: &[&str]| {
        let volumes = volumes.iter().flat_map(|volume| ["--volume", volume]);
        let words: Vec<&str> = volumes.chain(["HERE/app.aci"]).collect();
        let words = [&words[..], mounts, &["--"], probe].concat();
        pods.run(&words).run().exits(0).complains("").stdout
    };
    let data = "--mount=volume=v,target=/data";
    let sub = "--mount=volume=v,target=/data/sub";
    let read = ["--read-file", "/data/sub/file"];
    // A volume in a tmpfs, on a link and read-only as well.
    for (tmpfs, end) in [
        ("--tmpfs=/data", "ok"),
        ("--tmpfs=/data:ro", "EROFS"),
        ("--tmpfs=/dir1/relative", "ok"),
    ] {
        let above = tmpfs["--tmpfs=".len()..].trim_end_matches(":ro");
        let mount = format!("--mount=volume=v,target={above}/sub");
        let (file, own) = (format!("{above}/sub/file"), format!("{above}/own"));
        let said = run(
            &[&volume],
            &[tmpfs, &mount],
            &["--read-file", &file, "--write-file", &own, "x"],
        );
        assert_eq!(said, format!("host\nwrite {own}: {end}\n"));
    }
    // A tmpfs in a volume: of the host, where it has its place, and in an empty one.
    let own = ["--write-file", "/data/sub/own", "x", "--list", "/data/sub"];
    for volume in [&volume, "v,kind=empty"] {
        let said = run(&[volume], &["--tmpfs=/data/sub", data], &own);
        assert!(said.starts_with("write /data/sub/own: ok\n"), "{said}");
        assert!(!said.contains("hidden"), "{said}");
    }
    assert!(!pods.0.join("v/sub/own").exists());
    // A volume in a tmpfs in an empty one; one tmpfs in another.
    let said = run(
        &[&volume, "e,kind=empty"],
        &[
            "--mount=volume=e,target=/data",
            "--tmpfs=/data/sub",
            "--mount=volume=v,target=/data/sub/v",
        ],
        &["--read-file", "/data/sub/v/file"],
    );
    assert_eq!(said, "host\n");
    let said = run(&[], &["--tmpfs=/data/sub", "--tmpfs=/data:ro"], &own[..3]);
    assert_eq!(said, "write /data/sub/own: ok\n");
    // The order of options does not matter.
    for mounts in [["--tmpfs=/data", sub], [sub, "--tmpfs=/data"]] {
        assert_eq!(run(&[&volume], &mounts, &read), "host\n");
    }
}

#[test]
fn a_tmpfs_that_cannot_be_mounted_is_refused_before_anything_runs() {
    require_root!();
    let (pods, mut cases) = (Pods::new(), Cases::default());
    app(&pods, "");
    pods.make(&[("v/sub/dir/", "")]);
    for line in [
        "--tmpfs=/a --tmpfs=/a",
        "--tmpfs=/data --mount=volume=v,target=/data",
        "--tmpfs=/probe",
        "--tmpfs=/data/none --mount=volume=v,target=/data",
        "--tmpfs=/data/sub --tmpfs=/data/sub/dir --mount=volume=v,target=/data",
    ] {
        let volume = volume("");
        let volume = ["--volume", &volume];
        let volume = match line.contains("volume=v") {
            true => &volume[..],
            false => &[],
        };
        let mounts: Vec<&str> = line.split(' ').collect();
        let words = [volume, &["HERE/app.aci"], &mounts].concat();
        let ran = pods.run(&words).run().exits(125).says("");
        cases.add(line, &ran.naming("HERE", pods.0.path()).told());
    }
    cases.as_written("a tmpfs that cannot be mounted");
}
