//! A service as people have it: nginx of Debian's packages, in an image of three
//! layers that a registry has.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rustix::process::Pid;

use super::Layout;
use super::registry::Registry;
use crate::aci::Aci;
use crate::host::{self, Call, call};
use crate::life::{kill, until};
use crate::network::Site;

/// Adds programs to a layer with the libraries that they need, but for what is in
/// layers below.
fn programs(mut layer: Aci, names: &[&str], below: &mut Vec<String>) -> Aci {
    for name in names {
        let path = host::find_tool(name).unwrap();
        let needed = call(Path::new("ldd")).arg(&path).run().stdout;
        let words = needed.split_whitespace();
        let libraries = words
            .filter(|word| word.starts_with('/'))
            .map(str::to_owned);
        let all = libraries.chain([path.display().to_string()]);
        for path in all.collect::<Vec<_>>() {
            if !below.contains(&path) {
                let content = fs::read(&path).unwrap();
                layer = layer.file(path.trim_start_matches('/'), 0o755, content);
                below.push(path);
            }
        }
    }
    layer
}

/// A layout with the image and its successor, which has another page.
fn layout() -> Layout {
    let files = host::project().join("images/nginx/rootfs/etc");
    let read = |name: &str| fs::read(files.join(name)).unwrap();
    let mut below = Vec::new();
    let base = Aci::empty()
        .dir("tmp")
        .dir("run")
        .file("etc/passwd", 0o644, read("passwd"))
        .file("etc/group", 0o644, read("group"));
    let base = programs(base, &["busybox"], &mut below);
    let nginx = Aci::empty()
        .dir("var/lib/nginx")
        .file("etc/nginx.conf", 0o644, read("nginx.conf"));
    let nginx = programs(nginx, &["nginx"], &mut below);
    let mut layout = Layout::new();
    let shared = [layout.layer(base), layout.layer(nginx)];
    let (busybox, nginx) = (host::find_tool("busybox"), host::find_tool("nginx"));
    let (busybox, nginx) = (busybox.unwrap(), nginx.unwrap());
    let run = format!(
        r#"{{"Entrypoint":["{}","-e","stderr","-c","/etc/nginx.conf"],"ExposedPorts":{{"80/tcp":{{}}}},
            "StopSignal":"SIGQUIT","Healthcheck":{{"Test":["CMD","{}","wget","-q","-O","/dev/null",
            "http://127.0.0.1/"],"Interval":200000000,"StartPeriod":60000000000,"StartInterval":200000000}}}}"#,
        nginx.display(),
        busybox.display()
    );
    for page in ["one", "two"] {
        let site = layout.layer(Aci::empty().file("www/index.html", 0o644, format!("{page}\n")));
        let layers = [&shared[..], &[site]].concat();
        layout.image(page, &run, &layers);
    }
    layout
}

/// What was fetched of an image, and how often.
fn fetched(registry: &Registry) -> BTreeMap<String, usize> {
    let said = registry.said();
    let blobs = said.split("\"GET /v2/web/blobs/").skip(1);
    let mut all = BTreeMap::new();
    for blob in blobs {
        let digest = blob.split(' ').next().unwrap_or_default().to_owned();
        *all.entry(digest).or_default() += 1;
    }
    all
}

#[test]
fn a_web_server_of_a_registry_is_checked_started_again_and_updated() {
    require_root!();
    let _ = tool!("nginx");
    let _ = tool!("busybox");
    let _ = tool!("skopeo");
    let _ = tool!("docker-registry");
    let _ = tool!("ldd");
    let _ = tool!("nsenter");
    let _ = tool!("unshare");
    let _ = tool!("ip");
    let _ = tool!("nft");
    let layout = layout();
    let registry = Registry::new(&layout).unwrap();
    registry.push(&layout, "one", "web:1");
    registry.push(&layout, "two", "web:2");
    let site = Site::new();
    let here = |words: &[&str]| -> Call {
        let launcher = site.host.call(&host::program()).arg("--dir");
        launcher.arg(layout.dir()).args(words)
    };
    let page = || {
        let busybox = host::find_tool("busybox").unwrap();
        let get = site.host.call(&busybox).args(["wget", "-q", "-O", "-"]);
        get.arg("http://127.0.0.1:8080/").run().stdout
    };
    let status = |uuid: &str, key: &str| {
        let said = here(&["status", uuid]).run().exits(0).stdout;
        let mut lines = said.lines().filter_map(|line| line.split_once('='));
        let found = lines.find(|(known, _)| *known == key);
        found.map_or(String::new(), |(_, value)| value.to_owned())
    };
    let start = |tag: &str| {
        let reference = registry.reference(&format!("web:{tag}"));
        layout.launch(&["fetch", &reference]).run().exits(0);
        let words = ["run", "-d", "--net=nat", "-p", "8080:80"];
        let run = here(&words).args(["--restart=on-failure", &reference]);
        let uuid = run.run().exits(0).stdout.trim().to_owned();
        here(&["status", "--wait-healthy=1m", &uuid]).run().exits(0);
        uuid
    };
    let uuid = start("1");
    assert_eq!(page(), "one\n");
    // A configuration, and three layers.
    assert_eq!(fetched(&registry).len(), 4);
    let app = status(&uuid, "app-web.pid").parse().unwrap();
    kill(Pid::from_raw(app).unwrap());
    until("it runs again", || status(&uuid, "restarts") == "1");
    here(&["status", "--wait-healthy=1m", &uuid]).run().exits(0);
    assert_eq!(page(), "one\n");
    here(&["stop", &uuid]).run().exits(0);
    here(&["wait", &uuid]).run().exits(0);
    assert_eq!(page(), "");
    let before = fetched(&registry);
    let uuid = start("2");
    assert_eq!(page(), "two\n");
    // Another configuration, and the layer with the page.
    let after = fetched(&registry);
    assert_eq!(after.len(), 6, "{after:?}");
    assert!(before.iter().all(|(blob, times)| after[blob] == *times));
    here(&["stop", &uuid]).run().exits(0);
    here(&["gc", "--grace-period=0"]).run().exits(0);
}
