//! How much pods use, as golden text in which only figures that are of one run
//! are settled.

use super::Life;
use crate::claims;
use crate::host::{self, Ran};

/// Makes the same of every run: UUIDs go, and all numbers but the limits.
fn settled(ran: &Ran, names: &[(&str, &str)]) -> String {
    let mut text = ran.stdout.clone();
    for (uuid, name) in names {
        text = text.replace(uuid, name);
    }
    let mut settled = String::new();
    for line in text.lines() {
        let line = match line.split_once(": ") {
            Some((key, value)) if !key.contains("limit") && !key.contains("processes") => {
                let comma = if value.ends_with(',') { "," } else { "" };
                match value.trim_end_matches(',').parse::<u64>() {
                    Ok(_) => format!("{key}: NUMBER{comma}"),
                    Err(_) => line.to_owned(),
                }
            }
            _ => line.to_owned(),
        };
        settled.push_str(&line);
        settled.push('\n');
    }
    settled
}

#[test]
fn without_pods_there_is_nothing_to_tell() {
    let life = Life::new();
    let legend = "UUID  APP  CPU  MEMORY  LIMIT  PEAK  PROCESSES  READ  WRITTEN\n";
    life.run(&["stats"]).exits(0).says(legend).complains("");
    life.run(&["stats", "--no-legend"]).exits(0).says("");
    life.run(&["stats", "--format=json"]).exits(0).says("[]\n");
    assert!(!life.dir().exists(), "who looks makes nothing");
    life.run(&["stats", "web"])
        .exits(1)
        .says("")
        .complains_as("without pods there is nothing to tell");
}

/// Whether this kernel counts what a process reads and writes.
fn counts_bytes() -> bool {
    std::fs::exists("/proc/self/io").unwrap()
}

#[test]
fn of_pods_without_groups_the_processes_are_added_up() {
    require_root!();
    if !counts_bytes() {
        skip!("needs a kernel with CONFIG_TASK_IO_ACCOUNTING");
    }
    let life = Life::new();
    let app = |name| ["PROBE", "--name", name, "--", "--trap-exit", "15", "0"];
    let two = life.detach(&[&app("a")[..], &["---"], &app("b")].concat());
    let web = life.waiting(&["--name", "web"]);
    // What is prepared or over uses nothing.
    life.run(&["prepare", "PROBE"]).exits(0);
    let names = [(two.as_str(), "TWO"), (&web, "WEB")];
    let app = |name: &str, indent: &str| {
        format!(
            r#"{indent}"name": "{name}",
{indent}"cpu_time": NUMBER,
{indent}"memory": NUMBER,
{indent}"processes": 1,
{indent}"read_bytes": NUMBER,
{indent}"written_bytes": NUMBER
"#
        )
    };
    let whole = r#"    "cpu_time": NUMBER,
    "memory": NUMBER,
    "processes": 3,
    "read_bytes": NUMBER,
    "written_bytes": NUMBER,
    "apps": [
      {
"#;
    let expected = [
        "[\n  {\n    \"uuid\": \"TWO\",\n",
        whole,
        &app("a", "        "),
        "      },\n      {\n",
        &app("b", "        "),
        "      }\n    ]\n  },\n  {\n    \"uuid\": \"WEB\",\n    \"name\": \"web\",\n",
        &whole.replace('3', "2"),
        &app("probe", "        ").replace('1', "2"),
        "      }\n    ]\n  }\n]\n",
    ]
    .concat();
    let ran = life.run(&["stats", "--format=json-pretty"]);
    let ran = ran.exits(0).complains("");
    claims::same("all", &settled(&ran, &names), &expected);
    // One that is named twice is there once.
    let ran = life
        .run(&["stats", "--no-legend", "web", &web[..8]])
        .exits(0);
    let cells: Vec<_> = ran.stdout.trim_end().split("  ").collect();
    let cells: Vec<_> = cells
        .into_iter()
        .map(str::trim)
        .filter(|cell| !cell.is_empty())
        .collect();
    assert_eq!(cells.len(), 9, "{}", ran.stdout);
    assert_eq!(cells[..2], [&web[..8], "probe"]);
    // Neither a limit nor a peak is known of processes.
    assert_eq!(cells[4..7], ["-", "-", "2"]);
    for uuid in [&two, &web] {
        life.run(&["stop", uuid]).exits(0);
    }
    life.leaves_nothing();
}

#[test]
fn of_pods_with_groups_these_tell() {
    require_root!();
    let life = Life::new();
    let probe = host::image("probe").display().to_string();
    let app = |name| [&probe, "--name", name, "--memory", "30Mi"].map(str::to_owned);
    let last = ["--", "--trap-exit", "15", "0"].map(str::to_owned);
    let words = [&app("a")[..], &last, &["---".to_owned()], &app("b"), &last].concat();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if !life.limits(&["--memory=30Mi"]) {
        skip!("needs cgroups with the controller memory");
    }
    let ran = life.run(&[&["run", "--detach"], &words[..]].concat());
    let uuid = ran.exits(0).stdout;
    let uuid = uuid.trim_end();
    let only = life.run(&[
        "run",
        "--detach",
        "PROBE",
        "--memory",
        "40Mi",
        "--",
        "--trap-exit",
        "15",
        "0",
    ]);
    let only = only.exits(0).stdout;
    let told = |uuid: &str| {
        let ran = life.run(&["stats", "--format=json-pretty", uuid]);
        let ran = ran.exits(0).complains("");
        let known = ran.stdout.lines().filter(|line| line.contains("memory"));
        known
            .map(|line| line.trim().trim_end_matches(',').to_owned())
            .collect::<Vec<_>>()
    };
    let limits = |lines: &[String]| -> Vec<String> {
        let limits = lines.iter().filter(|line| line.contains("limit"));
        limits.cloned().collect()
    };
    let lines = told(uuid);
    // All of it has none; each app has its own.
    assert_eq!(limits(&lines), ["\"memory_limit\": 31457280"; 2]);
    assert!(
        lines.iter().filter(|line| line.contains("peak")).count() >= 2,
        "{lines:?}"
    );
    assert_eq!(
        limits(&told(only.trim_end())),
        ["\"memory_limit\": 41943040"; 2]
    );
    // A group that was made later has not seen all of it: it does not count.
    life.run(&["pause", uuid]).exits(0);
    let kinds = |lines: &[String]| -> Vec<String> {
        let key = |line: &String| line.split(':').next().unwrap().to_owned();
        lines.iter().map(key).collect()
    };
    assert_eq!(kinds(&told(uuid)), kinds(&lines));
    for uuid in [uuid, only.trim_end()] {
        life.run(&["rm", "--force", uuid]).exits(0);
    }
    life.leaves_nothing();
}
