//! How pods are listed, as golden text.

use super::Life;
use crate::claims;
use crate::host::Ran;

/// Makes the same of every run: UUIDs, numbers, IDs and times go.
fn settled(ran: &Ran, names: &[(&str, &str)]) -> String {
    let mut text = ran.stdout.clone();
    for (uuid, name) in names {
        text = text.replace(uuid, name);
    }
    let mut settled = String::new();
    for line in text.lines() {
        let line = match line.split_once(": ") {
            Some((key, _)) if key.ends_with("_at\"") => format!("{key}: TIME,"),
            Some((key, _)) if key.ends_with("pid\"") => format!("{key}: PID,"),
            Some((key, _)) if key.ends_with("image_id\"") => format!("{key}: ID"),
            _ => match line.split_once('=') {
                Some((key @ ("created" | "started" | "ended"), _)) => format!("{key}=TIME"),
                Some((key, _)) if key == "pid" || key.ends_with(".pid") => format!("{key}=PID"),
                _ => line.to_owned(),
            },
        };
        settled.push_str(&line);
        settled.push('\n');
    }
    settled
}

#[test]
fn lists_tell_the_same_as_tables_and_as_json() {
    require_root!();
    let life = Life::new();
    life.run(&["list"])
        .exits(0)
        .says("UUID  APP  IMAGE NAME  STATE  EXIT  CREATED  STARTED  NETWORK  NAME\n")
        .complains("");
    life.run(&["list", "--format=json"]).exits(0).says("[]\n");
    assert!(!life.dir().exists(), "who lists makes nothing");
    let two = life.detach(&[
        "PROBE",
        "--name",
        "a",
        "--",
        "--exit-code",
        "3",
        "---",
        "PROBE",
        "--name",
        "b",
        "--",
        "--sleep",
        "600",
    ]);
    life.run(&["status", "--wait", &two]).exits(3);
    let web = life.waiting(&["--name", "web"]);
    let ready = life.run(&["prepare", "PROBE"]).exits(0).stdout;
    let ready = ready.trim_end();
    let names = [(two.as_str(), "TWO"), (&web, "WEB"), (ready, "READY")];
    let short = names.map(|(uuid, name)| (&uuid[..8], name));

    let ran = life.run(&["list"]).exits(0).complains("");
    let expected = "\
UUID      APP    IMAGE NAME                  STATE     EXIT        CREATED   STARTED   NETWORK  NAME
TWO  a      nosecone.net/example/probe  exited    3           just now  just now
          b      nosecone.net/example/probe            143 (TERM)
WEB  probe  nosecone.net/example/probe  running               just now  just now           web
READY  probe  nosecone.net/example/probe  prepared              just now
";
    claims::same("the table", &settled(&ran, &short), expected);

    let ran = life.run(&["list", "--full", "--no-legend"]).exits(0);
    let (line, _) = ran.stdout.split_once('\n').unwrap();
    let cells: Vec<_> = line.split_whitespace().collect();
    assert_eq!(cells[0], two);
    assert!(
        cells[3].len() == "sha512-".len() + 128 && cells[6].ends_with('Z'),
        "{line}"
    );

    let ran = life.run(&["list", "--format=json-pretty"]).exits(0);
    let expected = r#"[
  {
    "uuid": "TWO",
    "state": "exited",
    "exit_code": 3,
    "created_at": TIME,
    "started_at": TIME,
    "exited_at": TIME,
    "apps": [
      {
        "name": "a",
        "state": "exited",
        "exit_code": 3,
        "image_name": "nosecone.net/example/probe",
        "image_id": ID
      },
      {
        "name": "b",
        "state": "exited",
        "exit_code": 143,
        "signal": "TERM",
        "image_name": "nosecone.net/example/probe",
        "image_id": ID
      }
    ]
  },
  {
    "uuid": "WEB",
    "name": "web",
    "state": "running",
    "pid": PID,
    "created_at": TIME,
    "started_at": TIME,
    "networks": [
      {
        "name": "lo"
      }
    ],
    "apps": [
      {
        "name": "probe",
        "state": "running",
        "pid": PID,
        "image_name": "nosecone.net/example/probe",
        "image_id": ID
      }
    ]
  },
  {
    "uuid": "READY",
    "state": "prepared",
    "created_at": TIME,
    "apps": [
      {
        "name": "probe",
        "state": "created",
        "image_name": "nosecone.net/example/probe",
        "image_id": ID
      }
    ]
  }
]
"#;
    claims::same("the JSON", &settled(&ran, &names), expected);
    let pretty = ran.stdout;
    let ran = life.run(&["list", "--format=json"]).exits(0);
    let plain = |text: &str| text.replace(char::is_whitespace, "");
    claims::same("the JSON on one line", &plain(&ran.stdout), &plain(&pretty));

    for (pod, expected) in [
        (
            "web",
            "state=running\ncreated=TIME\nstarted=TIME\nname=web\nnetworks=lo\npid=PID\n\
             exited=false\napp-probe.pid=PID\n",
        ),
        (
            &two,
            "state=exited\ncreated=TIME\nstarted=TIME\nended=TIME\nexited=true\nstatus=3\n\
             app-a=3\napp-b=143\napp-b.signal=TERM\n",
        ),
        (ready, "state=prepared\ncreated=TIME\nexited=false\n"),
    ] {
        let ran = life.run(&["status", pod]).exits(0).complains("");
        claims::same(pod, &settled(&ran, &names), expected);
    }
    let ran = life.run(&["status", "--format=json", ready]).exits(0);
    let start = format!(r#"{{"uuid":"{ready}","state":"prepared","created_at":"#);
    assert!(ran.stdout.starts_with(&start), "{}", ran.stdout);
    life.run(&["stop", "web"]).exits(0);
    life.leaves_nothing();
}

/// A pod manifest with what an app can mount, and how much it may use.
const MANIFEST: &str = r#"{"acVersion": "0.8.11", "acKind": "PodManifest", "apps": [
    {"name": "web", "image": {"name": "nosecone.net/example/probe"},
        "app": {"exec": ["/probe", "--kill", "11"], "user": "0", "group": "0",
            "mountPoints": [{"name": "data", "path": "/data", "readOnly": true}],
            "isolators": [
                {"name": "os/linux/cpu-shares", "value": 512},
                {"name": "resource/memory", "value": {"request": "1Mi", "limit": "30Mi"}},
                {"name": "resource/cpu", "value": {"limit": "500m"}}]},
        "mounts": [{"volume": "data", "path": "/data"},
            {"volume": "data", "path": "/again"}, {"volume": "tmp", "path": "/var/tmp"}]},
    {"name": "db", "image": {"name": "nosecone.net/example/probe"},
        "app": {"exec": ["/probe", "--trap-exit", "15", "0"], "user": "0", "group": "0"}}],
    "volumes": [{"name": "data", "kind": "host", "source": "HERE"},
        {"name": "tmp", "kind": "empty"}],
    "isolators": [{"name": "resource/memory", "value": {"limit": "60Mi"}}]}"#;

#[test]
fn what_an_app_mounts_and_may_use_is_told_whether_it_runs_or_not() {
    require_root!();
    let life = Life::new();
    // The image is to be in the store.
    life.run(&["prepare", "PROBE"]).exits(0);
    let here = life.0.join("data\u{1b}").display().to_string();
    std::fs::create_dir(&here).unwrap();
    let source = here.replace('\u{1b}', "\\u001b");
    let manifest = life.0.write("pod.json", MANIFEST.replace("HERE", &source));
    let manifest = manifest.display().to_string();
    let words = ["prepare", "--insecure-options=image", "--name", "all"];
    if !life.limits(&["--memory=30Mi", "--cpu=500m"]) {
        skip!("needs cgroups with the controllers cpu and memory");
    }
    let ran = life.run(&[&words[..], &["--pod-manifest", &manifest]].concat());
    let uuid = ran.exits(0).stdout;
    let uuid = uuid.trim_end();
    let names = [(uuid, "ALL"), (&source, "HERE")];
    let expected = r#"{
  "uuid": "ALL",
  "name": "all",
  "state": "prepared",
  "created_at": TIME,
  "limits": {
    "memory": 62914560
  },
  "apps": [
    {
      "name": "web",
      "state": "created",
      "image_name": "nosecone.net/example/probe",
      "image_id": ID
      "mounts": [
        {
          "name": "data",
          "path": "/data",
          "kind": "host",
          "source": "HERE",
          "read_only": true
        },
        {
          "name": "data",
          "path": "/again",
          "kind": "host",
          "source": "HERE",
          "read_only": false
        },
        {
          "name": "tmp",
          "path": "/var/tmp",
          "kind": "empty",
          "read_only": false
        }
      ],
      "limits": {
        "cpu_millis": 500,
        "cpu_shares": 512,
        "memory": 31457280,
        "memory_request": 1048576
      }
    },
    {
      "name": "db",
      "state": "created",
      "image_name": "nosecone.net/example/probe",
      "image_id": ID
    }
  ]
}
"#;
    let ran = life
        .run(&["status", "--format=json-pretty", "all"])
        .exits(0);
    claims::same("prepared", &settled(&ran, &names), expected);

    life.run(&["run-prepared", "--detach", "all"]).exits(0);
    life.run(&["status", "--wait", "all"]).exits(139);
    let escaped = here.replace('\u{1b}', "\\u{1b}");
    let names = [(uuid, "ALL"), (&escaped, "HERE")];
    let ran = life.run(&["status", "all"]).exits(0);
    let expected = "\
state=exited
created=TIME
started=TIME
ended=TIME
name=all
exited=true
status=139
limit.memory=62914560
app-web=139
app-web.signal=SEGV
app-web.mount=volume=data,target=/data,kind=host,source=HERE,readOnly=true
app-web.mount=volume=data,target=/again,kind=host,source=HERE,readOnly=false
app-web.mount=volume=tmp,target=/var/tmp,kind=empty,readOnly=false
app-web.limit.cpu_millis=500
app-web.limit.cpu_shares=512
app-web.limit.memory=31457280
app-web.limit.memory_request=1048576
app-db=0
";
    // It may be asked to end before it can listen.
    let early = "app-db=143\napp-db.signal=TERM\n";
    let got = settled(&ran, &names).replace(early, "app-db=0\n");
    claims::same("exited", &got, expected);
    life.leaves_nothing();
}

#[test]
fn the_processes_of_apps_are_told_as_the_host_counts() {
    require_root!();
    let life = Life::new();
    let app = |name| ["PROBE", "--name", name, "--", "--trap-exit", "15", "0"];
    let uuid = life.detach(&[&app("a")[..], &["---"], &app("b")].concat());
    let name = |app: &str| {
        let pid = life.status(&uuid, &format!("app-{app}.pid")).unwrap();
        let parent = |pid: &str| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
            let (_, behind) = stat.rsplit_once(") ").unwrap();
            behind.split(' ').nth(1).unwrap().to_owned()
        };
        assert_eq!(parent(&parent(&pid)), life.pid(&uuid).to_string());
        std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap()
    };
    assert_eq!((name("a"), name("b")), ("probe\n".into(), "probe\n".into()));
    let pids = ["app-a.pid", "app-b.pid"].map(|key| life.status(&uuid, key));
    assert_ne!(pids[0], pids[1]);
    life.run(&["stop", &uuid]).exits(0);
    assert_eq!(life.status(&uuid, "app-a.pid"), None);
    life.leaves_nothing();
}

#[test]
fn the_manifest_is_printed_as_it_was_written() {
    require_root!();
    let life = Life::new();
    let uuid = life.run(&["prepare", "PROBE"]).exits(0).stdout;
    let uuid = uuid.trim_end();
    let path = life.dir().join("pods/prepared").join(uuid).join("manifest");
    let written = std::fs::read_to_string(path).unwrap();
    life.run(&["cat-manifest", uuid])
        .exits(0)
        .says(&written)
        .complains("");
    life.0.write("uuid", format!("{uuid}\n"));
    let file = format!("--uuid-file={}", life.0.join("uuid").display());
    life.run(&["cat-manifest", &file]).exits(0).says(&written);
    life.run(&["rm", &file])
        .exits(0)
        .says(&format!("removed {uuid}\n"));
}
