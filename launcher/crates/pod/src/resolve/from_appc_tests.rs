//! Pods are resolved from images, requests and what the host has.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::cell::LazyCell;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use stage1_init::{Capabilities, NodeKind};

use super::*;
use crate::resolve::tmpfs;
use crate::resolve::volumes::Requested;
use crate::spec::limits::Access;
use crate::spec::mounts::Size;
use crate::spec::process::{CapabilityBound, SeccompPolicy};
use appc::json;
use appc::manifest::isolator::Isolator;
use appc::manifest::pod::{Volume, VolumeKind};
use appc::types::Quantity;
use sys::timezone::Zone;

#[test]
fn an_app_is_named_after_the_last_part_of_its_image() {
    for (image, app) in [
        ("example.com/web", "web"),
        ("example.com/My_App~1.2", "my-app-1-2"),
        ("busybox", "busybox"),
        ("example.com/__", "app"),
    ] {
        assert_eq!(derived(image).unwrap().as_str(), app);
    }
}

/// An image that consists of a root directory only.
struct Bare;

impl Rootfs for Bare {
    fn read(&self, _: &str, _: usize) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }

    fn status(&self, path: &str) -> Result<Option<Status>> {
        Ok(path.is_empty().then_some(Status {
            directory: true,
            uid: 1,
            gid: 2,
            mode: 0o751,
        }))
    }

    fn has(&self, path: &str) -> Result<bool> {
        Ok(path.is_empty())
    }

    fn is_empty(&self, _: &str) -> Result<bool> {
        Ok(true)
    }
}

const IMAGE: &str = r#"{"acKind": "ImageManifest", "acVersion": "0.8.11",
    "name": "example.com/web", "app": {"exec": ["/x", "-y"], "user": "5", "group": "6",
    "supplementaryGIDs": [7, 8], "workingDirectory": "/srv",
    "environment": [{"name": "A", "value": "b=c"}],
    "eventHandlers": [{"name": "pre-start", "exec": ["/before"]},
        {"name": "post-stop", "exec": ["/after", "it"]}],
    "mountPoints": [{"name": "data", "path": "/data", "readOnly": true},
        {"name": "own", "path": "/own"}],
    "isolators": [
        {"name": "resource/cpu", "value": {"limit": "500m"}},
        {"name": "resource/memory", "value": {"request": "1M", "limit": "2M"}},
        {"name": "os/linux/capabilities-retain-set", "value": {"set": ["CAP_KILL"]}},
        {"name": "os/linux/seccomp-retain-set", "value":
            {"set": ["read"], "errno": "EPERM"}},
        {"name": "os/linux/no-new-privileges", "value": true},
        {"name": "os/linux/oom-score-adj", "value": 500}]}}"#;

/// Resolves an image whose parts are in these directories of the host.
fn resolved(pod: &OsStr, layer: &OsStr, volume: &OsStr, request: &Request) -> PodSpec {
    let host = Host {
        capabilities: rustix::thread::CapabilitySet::all(),
        kernel: (6, 1),
        overlay: true,
        mqueue: true,
        apparmor: LazyCell::new(|| true),
        selinux: LazyCell::new(|| true),
        oom_score: LazyCell::new(|| 0),
        root: sys::host::Root::Mount,
        throttles: Vec::new(),
        unprivileged: Vec::new(),
    };
    let source = Source {
        id: Digest::parse(&format!("sha512-{}", "0".repeat(128))).unwrap(),
        manifest: &ImageManifest::parse(IMAGE.as_bytes()).unwrap().value,
        conventions: &Conventions::default(),
        trusted: false,
        rootfs: &Bare,
        layers: vec![layer.into(), "/images/below".into()],
    };
    let id = Uuid::parse("6f0c1d52-8f4e-4a55-9c0f-2f6f2a6f7a10").unwrap();
    let look = |_: &Path, _| {
        Ok(Some(sys::host_path::Source {
            path: volume.into(),
            directory: true,
        }))
    };
    resolve(id, pod.into(), &host, request, &[source], &look)
        .unwrap()
        .spec
}

fn request() -> Request {
    let data = Volume {
        name: AcName::parse("data").unwrap(),
        kind: VolumeKind::Host {
            source: "/srv".to_owned(),
            recursive: None,
        },
        read_only: None,
    };
    let sysctl = json::parse(br#"{"net.core.somaxconn": "512"}"#).unwrap();
    let profile = json::parse(br#"{"profile": "outer"}"#).unwrap();
    Request {
        apps: vec![AppRequest::default()],
        volumes: vec![Requested::by_manifest(data)],
        isolators: vec![
            Isolator::new("os/unix/sysctl", sysctl).unwrap(),
            Isolator::new("os/linux/apparmor-profile", profile).unwrap(),
        ],
        settings: vec![Setting::Memory(Quantity::parse("1Gi").unwrap())],
        ..Request::default()
    }
}

#[test]
fn a_spec_survives_its_file() {
    let mut request = request();
    request.apps[0].read_only = Some("option --readonly-rootfs");
    let paths = ["/pod", "/images/top", "/srv"].map(OsStr::new);
    let mut spec = resolved(paths[0], paths[1], paths[2], &request);
    let app = &spec.apps[0];
    // It has at least one of everything.
    assert_eq!((app.mounts.len(), spec.volumes.len()), (2, 1));
    assert!(app.process.pre_start.is_some() && app.process.post_stop.is_some());
    assert!(app.process.rights.apparmor.is_some());
    assert_eq!((spec.parameters.len(), app.lacks.len()), (1, 5));
    assert_eq!(PodSpec::read(&spec.text().unwrap()).unwrap(), spec);
    let app = &mut spec.apps[0];
    app.devices = vec![Device {
        path: "/dev/kvm".to_owned(),
        kind: NodeKind::Block,
        major: 10,
        minor: 232,
        mode: 0o660,
        uid: 0,
        gid: 36,
        access: Access::parse("r").unwrap(),
    }];
    app.limits.devices = devices::rules(&app.devices);
    app.tmpfs = vec![
        tmpfs::tmpfs("/a", Size::Bytes(8192), Some(0o700)).unwrap(),
        tmpfs::tmpfs("/b", Size::Percent(5), None).unwrap(),
    ];
    app.process.beyond = Some("rlimit core 0 0".to_owned());
    for (policy, capabilities, stdio) in [
        (
            SeccompPolicy::Default,
            CapabilityBound::All,
            Stdio::Terminal,
        ),
        (
            SeccompPolicy::AsBuilt,
            CapabilityBound::Only(Capabilities::EMPTY),
            Stdio::Planned,
        ),
        (
            SeccompPolicy::Descriptor(7),
            CapabilityBound::Only(Capabilities::KILL.with(Capabilities::CHOWN)),
            Stdio::Inherited,
        ),
        (
            SeccompPolicy::Unconfined,
            CapabilityBound::All,
            Stdio::Inherited,
        ),
    ] {
        let process = &mut spec.apps[0].process;
        process.rights.seccomp.value = policy;
        process.rights.capabilities.value = capabilities;
        process.stdio = stdio;
        assert_eq!(PodSpec::read(&spec.text().unwrap()).unwrap(), spec);
    }
}

#[test]
fn paths_that_are_not_utf8_survive_the_file() {
    let paths = [&b"/pod-\xff"[..], b"/images/\xc3", b"/srv\n\xfe/\xe2\x82"];
    let [pod, layer, volume] = paths.map(OsStr::from_bytes);
    let mut request = request();
    request.zone = Some(Zone {
        file: Some(volume.into()),
        rule: None,
    });
    let spec = resolved(pod, layer, volume, &request);
    let read = PodSpec::read(&spec.text().unwrap()).unwrap();
    assert_eq!(read, spec);
    let app = &read.apps[0];
    assert_eq!(read.directory.as_os_str(), pod);
    assert_eq!(app.root.as_ref().unwrap().layers[0].as_os_str(), layer);
    let mounts = app.mounts.iter().map(|mount| mount.source.as_os_str());
    let own = read.directory.join("volumes/web-own");
    assert_eq!(mounts.collect::<Vec<_>>(), [volume, own.as_os_str()]);
    assert_eq!(read.volumes[0].path.as_os_str(), own.as_os_str());
    assert_eq!(app.zone.as_ref().unwrap().as_os_str(), volume);
}
