//! The command line itself, as people meet it: help, suggestions, what shells
//! complete, and man pages.

use std::fs;
use std::path::{Path, PathBuf};

use crate::host::{Call, Scratch, call, image, launcher, program, project};

// --- help and suggestions ---

#[test]
fn help_of_run_has_sections_and_examples() {
    let scratch = Scratch::new();
    let help = said(&scratch, &["help", "run"]);
    for section in [
        "Pod",
        "Lifetime",
        "Storage",
        "Network",
        "Images",
        "App security",
        "Volumes",
    ] {
        let at = help.lines().any(|line| {
            line.strip_suffix(':')
                .is_some_and(|line| line == section || line.starts_with(&format!("{section} ")))
        });
        assert!(at, "{section} is missing in {help}");
    }
    assert_eq!(help.matches("\n  launcher run ").count(), 3, "{help}");
    assert!(
        help.lines()
            .all(|line| line.chars().count() <= 80 || line.starts_with("  launcher"))
    );
}

#[test]
fn help_of_a_command_below_another_is_there() {
    let scratch = Scratch::new();
    let help = said(&scratch, &["help", "image", "list"]);
    assert!(help.starts_with("Usage: launcher image list "), "{help}");
    for words in [
        &["image", "list", "--help"][..],
        &["images", "-h"],
        &["help", "images"],
        &["--help", "image", "list"],
    ] {
        assert_eq!(said(&scratch, words), help, "{words:?}");
    }
}

#[test]
fn the_commands_and_options_of_the_readme_are_there() {
    let readme = fs::read_to_string(project().join("README.md")).unwrap();
    let scratch = Scratch::new();
    let is_word = |c: char| c.is_ascii_lowercase() || c == '-';
    let word = |text: &str| text.split(|c| !is_word(c)).next().unwrap().to_owned();
    let typed = ["`launcher ", "# launcher ", "$ launcher ", "\nlauncher "];
    let typed = typed.iter().flat_map(|typed| readme.split(typed).skip(1));
    // In the table of commands, those that belong together share a cell.
    let rows = readme
        .lines()
        .filter(|line| line.starts_with("| `launcher "));
    let cells = rows.flat_map(|row| row.split('|').nth(1));
    let listed = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let commands = typed.chain(listed.filter(|name| !name.starts_with("launcher")));
    let mut commands: Vec<String> = commands.map(word).filter(|word| !word.is_empty()).collect();
    commands.sort();
    commands.dedup();
    for command in ["run", "stats", "kill", "gc", "validate"] {
        assert!(
            commands.iter().any(|known| known == command),
            "{commands:?}"
        );
    }
    let mut helps = said(&scratch, &["help"]);
    helps.push_str(&said(&scratch, &["help", "image", "build"]));
    for command in &commands {
        helps.push_str(&said(&scratch, &["help", command]));
    }
    // Those of cargo are not ours, nor are arrows.
    let lines = readme
        .lines()
        .filter(|line| !line.contains("cargo") && !line.contains("-->"));
    for line in lines {
        for option in line.split("--").skip(1).map(word) {
            let named = helps.contains(&format!("--{option}"));
            assert!(
                named || option.is_empty() || option.starts_with('-'),
                "--{option}"
            );
        }
    }
}

#[test]
fn a_hint_can_be_typed_as_it_is() {
    let scratch = Scratch::new();
    let dir = scratch.join("dir");
    let complaint = launcher(&dir)
        .args(["run", "--detatch", "a.aci"])
        .run()
        .exits(125)
        .stderr;
    let expected = format!(
        "launcher: there is no option `--detatch`\n\
         hint: did you mean `--detach`? `launcher --dir {} help run` lists all options\n",
        dir.display()
    );
    assert_eq!(complaint, expected);
    launcher(&dir)
        .arg("rum")
        .run()
        .exits(2)
        .says("")
        .complains(&format!(
            "launcher: there is no command `rum`\n\
         hint: did you mean `run`? `launcher --dir {} help` lists all commands\n",
            dir.display()
        ));
}

// --- pods ---

#[test]
fn the_words_of_podman_run_a_pod() {
    require_root!();
    let scratch = Scratch::new();
    let dir = scratch.join("dir");
    let source = scratch.join("source");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("file"), "here\n").unwrap();
    let volume = format!("{}:/data:ro", source.display());
    let busybox = image!("busybox");
    let script = "cat /data/file; echo $A; id -u; id -g; pwd; echo no >/data/file || echo refused";
    launcher(&dir)
        .args(["run", "-q", "-e", "A=1", "-v", &volume])
        .arg(&busybox)
        .args([
            "-u",
            "7:8",
            "-w",
            "/tmp",
            "--read-only",
            "--entrypoint",
            "/bin/sh",
        ])
        .args(["--", "-c", script])
        .run()
        .exits(0)
        .says("here\n1\n7\n8\n/tmp\nrefused\n");
    assert_eq!(fs::read_to_string(source.join("file")).unwrap(), "here\n");
}

/// It would start itself without end if it took the option for given again.
#[test]
fn pipes_are_made_once_however_the_option_is_spelt() {
    require_root!();
    let scratch = Scratch::new();
    for spelling in ["--pipe-output", "--pipe-output=true", "--pipe-output=1"] {
        launcher(&scratch.join("dir"))
            .args(["run", spelling])
            .arg(image("hello"))
            .run()
            .exits(0);
    }
}

// --- completion ---

/// What each shell must offer for a line that ends so.
const OFFERED: &[(&str, &[&str])] = &[
    ("launcher ru", &["run", "run-prepared"]),
    ("launcher run --log ", &["disk", "memory", "none"]),
    ("launcher run --hostn", &["--hostname"]),
    ("launcher image l", &["list"]),
    ("launcher --dir /x image l", &["list"]),
    ("launcher images --fi", &["--fields"]),
    ("launcher ps --no", &["--no-legend"]),
    ("launcher completion ", &["bash", "fish", "zsh"]),
    ("launcher frob ", &[]),
];

#[test]
fn bash_completes_commands_options_and_values() {
    let bash = tool!("bash");
    let scratch = Scratch::new();
    let script = script(&scratch, "bash");
    for (line, offered) in OFFERED {
        let words: Vec<&str> = line.split(' ').collect();
        let ask = "source \"$0\" && complete -p launcher >&2 &&
            COMP_WORDS=(\"$@\") COMP_CWORD=$(($# - 1)) && _launcher && printf '%s\\n' \"${COMPREPLY[@]}\"";
        let ran = shell(&scratch, &bash)
            .args(["--norc", "--noprofile", "-c", ask])
            .arg(&script)
            .args(&words)
            .run()
            .exits(0)
            .complains("complete -F _launcher launcher\n");
        assert_eq!(sorted(&ran.stdout), *offered, "{line}");
    }
}

#[test]
fn bash_completes_pods_by_uuid_and_name() {
    require_root!();
    let bash = tool!("bash");
    let scratch = Scratch::new();
    let script = script(&scratch, "bash");
    let dir = scratch.join("dir");
    let prepared = launcher(&dir)
        .args(["prepare", "--name", "web"])
        .arg(image("hello"))
        .run()
        .exits(0);
    let ask = "source \"$0\" && COMP_WORDS=(launcher --dir \"$1\" status '') COMP_CWORD=4 &&
        _launcher && printf '%s\\n' \"${COMPREPLY[@]}\"";
    let ran = shell(&scratch, &bash)
        .args(["--norc", "--noprofile", "-c", ask])
        .arg(&script)
        .arg(&dir)
        .run()
        .exits(0)
        .complains("");
    assert_eq!(sorted(&ran.stdout), [&prepared.stdout[..8], "web"]);
}

#[test]
fn fish_completes_commands_options_and_values() {
    let fish = tool!("fish");
    let scratch = Scratch::new();
    let script = script(&scratch, "fish");
    for (line, offered) in OFFERED {
        let ask = "source $argv[1]; complete -C $argv[2]";
        let ran = shell(&scratch, &fish)
            .args(["--no-config", "-c", ask])
            .arg(&script)
            .arg(line)
            .run()
            .exits(0)
            .complains("");
        // A description stands behind a tab.
        let words: Vec<_> = ran
            .stdout
            .lines()
            .map(|line| line.split('\t').next().unwrap())
            .collect();
        assert_eq!(sorted(&words.join("\n")), *offered, "{line}");
    }
}

/// In zsh only what stands at a terminal completes; so its own parts are put in
/// the place of what would show the words.
#[test]
fn zsh_completes_commands_options_and_values() {
    let zsh = tool!("zsh");
    let scratch = Scratch::new();
    let script = script(&scratch, "zsh");
    for (line, offered) in OFFERED {
        let ask = r#"
            autoload -Uz compinit && compinit -D -u && source "$1" || exit 1
            [[ $_comps[launcher] == _launcher ]] || exit 2
            _describe() { print -rl -- "${(@P)@[-1]%%:*}" }
            _files() { }
            words=("${(@s: :)2}") CURRENT=$#words
            _launcher"#;
        let ran = shell(&scratch, &zsh)
            .args(["-f", "-c", ask, "zsh"])
            .arg(&script)
            .arg(line)
            .run()
            .exits(0)
            .complains("");
        let last = line.rsplit(' ').next().unwrap();
        let words = ran.stdout.lines().filter(|word| word.starts_with(last));
        let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
        assert_eq!(sorted(&words.join("\n")), *offered, "{line}");
    }
}

#[test]
fn there_is_no_script_for_a_shell_that_is_not_known() {
    let scratch = Scratch::new();
    launcher(&scratch.join("dir"))
        .args(["completion", "csh"])
        .run()
        .exits(2)
        .says("")
        .complains(
            "launcher: there is no completion script for `csh`\n\
             hint: there are scripts for `bash`, `zsh` and `fish`\n",
        );
}

// --- man pages ---

#[test]
fn man_pages_are_rendered_without_a_warning() {
    let groff = tool!("groff");
    let scratch = Scratch::new();
    let names = said(&scratch, &["man"]);
    assert!(
        names.lines().any(|name| name == "launcher-image-list"),
        "{names}"
    );
    for name in names.lines() {
        let page = said(&scratch, &["man", name]);
        let ran = call(&groff)
            .args(["-man", "-Tutf8", "-ww", "-P-c"])
            .input(page)
            .run();
        let ran = ran.exits(0).complains("");
        assert!(ran.stdout.contains("User Commands"), "{name}");
        if name == "launcher-run" {
            // Bold letters are struck twice.
            let page: Vec<char> = ran.stdout.chars().collect();
            let struck = |at: usize| page.get(at + 1) == Some(&'\u{8}');
            let plain = (0..page.len()).filter(|&at| page[at] != '\u{8}' && !struck(at));
            let plain: String = plain.map(|at| page[at]).collect();
            assert!(plain.contains("-v, --volume VOLUME"), "{plain}");
            assert!(plain.contains("EXIT STATUS"), "{plain}");
        }
    }
}

// --- what these tests are made of ---

fn said(scratch: &Scratch, words: &[&str]) -> String {
    let ran = call(&program()).args(words).dir(scratch.path()).run();
    ran.exits(0).complains("").stdout
}

/// Writes the script of a shell to a file.
fn script(scratch: &Scratch, shell: &str) -> PathBuf {
    scratch.write(
        &format!("launcher.{shell}"),
        said(scratch, &["completion", shell]),
    )
}

/// A shell without settings, which finds the launcher.
fn shell(scratch: &Scratch, shell: &Path) -> Call {
    let program = program();
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", program.parent().unwrap().display());
    call(shell)
        .env("PATH", path)
        .env("HOME", scratch.path())
        .env("TERM", "dumb")
        .dir(scratch.path())
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<_> = text.lines().filter(|line| !line.is_empty()).collect();
    lines.sort_unstable();
    lines
}
