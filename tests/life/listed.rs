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
                Some(("pid", _)) => "pid=PID".to_owned(),
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
        .says("UUID  APP  IMAGE NAME  STATE  CREATED  STARTED  NAME\n")
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
    life.run(&["status", "--wait", &two]).exits(0);
    let web = life.waiting(&["--name", "web"]);
    let ready = life.run(&["prepare", "PROBE"]).exits(0).stdout;
    let ready = ready.trim_end();
    let names = [(two.as_str(), "TWO"), (&web, "WEB"), (ready, "READY")];
    let short = names.map(|(uuid, name)| (&uuid[..8], name));

    let ran = life.run(&["list"]).exits(0).complains("");
    let expected = "\
UUID      APP    IMAGE NAME                  STATE     CREATED   STARTED   NAME
TWO  a      nosecone.net/example/probe  exited    just now  just now
          b      nosecone.net/example/probe
WEB  probe  nosecone.net/example/probe  running   just now  just now  web
READY  probe  nosecone.net/example/probe  prepared  just now
";
    claims::same("the table", &settled(&ran, &short), expected);

    let ran = life.run(&["list", "--full", "--no-legend"]).exits(0);
    let (line, _) = ran.stdout.split_once('\n').unwrap();
    let cells: Vec<_> = line.split_whitespace().collect();
    assert_eq!(cells[0], two);
    assert!(
        cells[3].len() == "sha512-".len() + 128 && cells[5].ends_with('Z'),
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
    "apps": [
      {
        "name": "probe",
        "state": "running",
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
            "state=running\ncreated=TIME\nstarted=TIME\nname=web\npid=PID\nexited=false\n",
        ),
        (
            &two,
            "state=exited\ncreated=TIME\nstarted=TIME\nended=TIME\nexited=true\nstatus=3\n\
             app-a=3\napp-b=143\n",
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

#[test]
fn the_manifest_is_printed_as_it_was_written() {
    require_root!();
    let life = Life::new();
    let uuid = life.run(&["prepare", "PROBE"]).exits(0).stdout;
    let uuid = uuid.trim_end();
    let path = life.dir().join("pods/prepared").join(uuid).join("pod");
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
