//! OCI images that are built here.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;

use super::{Layout, base};
use crate::aci::Aci;
use crate::golden::Cases;
use crate::host::{self, Call, call, names};

impl Layout {
    /// `launcher image build`, of files whose times do not count.
    fn build(&self, words: &[&str]) -> Call {
        let build = self.launch(&["image", "build"]).args(words);
        build
            .env("SOURCE_DATE_EPOCH", "1700000000")
            .dir(self.scratch.path())
    }

    /// A directory with the probe and a file.
    fn root(&self) -> PathBuf {
        let root = self.scratch.join("root");
        fs::create_dir_all(root.join("bin")).unwrap();
        fs::create_dir_all(root.join("etc")).unwrap();
        fs::copy(host::probe(), root.join("bin/probe")).unwrap();
        fs::write(root.join("etc/name"), "new").unwrap();
        // What a layer has of it does not count.
        fs::set_permissions(&root, fs::Permissions::from_mode(0o700)).unwrap();
        root
    }
}

#[test]
fn of_what_makes_no_oci_image_nothing_is_left() {
    let layout = Layout::new();
    layout.root();
    let mut cases = Cases::default();
    for words in [
        "--name=a --label=a=b root -- /x",
        "--name=a --format=aci --from=b root -- /x",
        "--name=a --format=zip root -- /x",
        "--name=a --format=aci --output=oci:out:1 root -- /x",
        "--format=oci --manifest=m root",
        "--format=oci root -- /x",
        "--format=oci --name=A root -- /x",
        "--format=oci --name=a --health-interval=5s root -- /x",
        "--format=oci --name=a --port=80/icmp root -- /x",
        "--format=oci --name=a --user=/etc/passwd root -- /x",
        "--format=oci --name=a --stop-signal=NONE root -- /x",
        "--format=oci --name=a nothing -- /x",
        "--from=missing --name=a root -- /x",
    ] {
        let words: Vec<&str> = words.split(' ').collect();
        let ran = layout.build(&words).run();
        assert_ne!(ran.exited(), Some(0), "{words:?}");
        cases.add(words.join(" "), &ran.says("").told());
    }
    cases.as_written("what makes no OCI image");
    assert!(!layout.scratch.join("out").exists());
    let images = layout.dir().join("images");
    assert!(!images.exists() || names(&images).is_empty());
}

#[test]
fn an_image_of_a_directory_says_what_the_options_say() {
    require_root!();
    let layout = Layout::new();
    layout.root();
    let words = [
        "--format=oci",
        "--name=web:1",
        "--entrypoint=/bin/probe",
        "--user=0:7",
        "--working-dir=/etc",
        "--environment=A=b c",
        "--volume=/data",
        "--port=80/tcp",
        "--label=l=m",
        "--stop-signal=SIGQUIT",
        "--health-cmd=probe x",
        "--health-interval=5s",
        "--health-retries=2",
        "root",
        "--",
        "--stdout",
        "x",
    ];
    let id = layout.build(&words).run().exits(0).complains("").stdout;
    let config = layout.launch(&["image", "cat-manifest", id.trim()]).run();
    let config = config.exits(0).stdout;
    let run = r#""config":{"User":"0:7","ExposedPorts":{"80/tcp":{}},"Env":["A=b c"],"Entrypoint":["/bin/probe"],"Cmd":["--stdout","x"],"Volumes":{"/data":{}},"WorkingDir":"/etc","Labels":{"l":"m"},"StopSignal":"SIGQUIT","Healthcheck":{"Test":["CMD-SHELL","probe x"],"Interval":5000000000,"Retries":2}}"#;
    for part in [
        run,
        r#""created":"2023-11-14T22:13:20Z""#,
        r#""os":"linux""#,
    ] {
        assert!(config.contains(part), "{part}: {config}");
    }
    let run = layout.launch(&["run", "--net=none", "--pull-policy=never", "web:1"]);
    run.run().exits(0).says("x\n");
    layout.launch(&["image", "verify"]).run().exits(0);
}

#[test]
fn the_same_files_make_the_same_image_wherever_it_goes() {
    let layout = Layout::new();
    layout.root();
    let build = |output: &str| {
        let output = format!("--output={output}");
        let words = [
            "--name=example.com/web:1",
            &output,
            "root",
            "--",
            "/bin/probe",
        ];
        let ran = layout.build(&words).run().exits(0).complains("");
        ran.stdout.trim().to_owned()
    };
    let ids = [
        "oci-archive:one.tar",
        "oci-archive:two.tar",
        "oci:out:1",
        "docker-archive:old.tar",
    ];
    let ids = ids.map(build);
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let read = |name: &str| fs::read(layout.scratch.join(name)).unwrap();
    assert!(read("one.tar") == read("two.tar"));
    // Nothing was stored for it.
    assert!(
        !layout.dir().join("images").exists() || names(&layout.dir().join("images")).is_empty()
    );
    for image in ["oci-archive:one.tar", "oci:out:1", "docker-archive:old.tar"] {
        let place = layout.scratch.join(&image.replace([':', '/'], "-"));
        let fetch = host::launcher(&place).args(["fetch", "--full", image]);
        let fetch = fetch.dir(layout.scratch.path()).run();
        fetch.exits(0).says(&format!("{}\n", ids[0]));
    }
    let umoci = tool!("umoci");
    let image = format!("{}:1", layout.scratch.join("out").display());
    let bundle = layout.scratch.join("bundle");
    let unpack = call(&umoci)
        .args(["unpack", "--image", &image])
        .arg(&bundle);
    unpack.run().exits(0);
    assert_eq!(fs::read(bundle.join("rootfs/etc/name")).unwrap(), b"new");
}

#[test]
fn an_image_upon_another_one_shares_its_layers_and_says_what_it_says() {
    require_root!();
    let mut layout = Layout::new();
    let root = Aci::empty().dir(".");
    let lower = layout.layer(root);
    let upper = layout.layer(
        base()
            .file("etc/name", 0o644, "old")
            .file("etc/kept", 0o644, ""),
    );
    let run = r#"{"Entrypoint":["/bin/probe"],"Cmd":["--stdout","old"],"Env":["A=1","B=2"],"Labels":{"l":"m"}}"#;
    layout.image("it", run, &[lower, upper]);
    layout.fetch("it");
    let root = layout.root();
    fs::remove_dir_all(root.join("bin")).unwrap();
    let words = [
        "--from=app:it",
        "--name=web",
        "--environment=A=3",
        "root",
        "--",
        "--stdout",
        "new",
    ];
    let id = layout.build(&words).run().exits(0).complains("").stdout;
    assert_eq!(names(&layout.dir().join("layers")).len(), 3);
    let run = |name: &str| {
        let run = layout.launch(&["run", "--net=none", "--pull-policy=never", name]);
        run.run().exits(0).stdout
    };
    assert_eq!(run("web"), "new\n");
    let config = layout.launch(&["image", "cat-manifest", id.trim()]).run();
    let config = config.exits(0).stdout;
    for part in [r#""Env":["B=2","A=3"]"#, r#""Labels":{"l":"m"}"#] {
        assert!(config.contains(part), "{part}: {config}");
    }
    let tree = layout.scratch.join("tree");
    let render = layout.launch(&["image", "render", id.trim()]).arg(&tree);
    render.run().exits(0);
    assert_eq!(fs::read(tree.join("etc/name")).unwrap(), b"new");
    assert!(tree.join("etc/kept").exists());
    assert_eq!(tree.metadata().unwrap().mode() & 0o777, 0o755);
    let diff = layout.launch(&["image", "diff", "app:it", "web"]).run();
    diff.exits(0).says("C /etc/name\n");
    // Another program does not get the arguments that were meant for the first.
    let words = [
        "--from=app:it",
        "--name=other",
        "--entrypoint=/bin/probe",
        "root",
    ];
    let id = layout.build(&words).run().exits(0).stdout;
    let config = layout.launch(&["image", "cat-manifest", id.trim()]).run();
    assert!(!config.exits(0).stdout.contains("\"Cmd\""));
}
