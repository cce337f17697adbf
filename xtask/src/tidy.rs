//! Turns the rules of the house into a test. Every finding says how to repair
//! it; all are shown before the task fails.

use std::fs;

use stage1_init::VOCABULARY;

use crate::cmd::{Result, root, say};
use crate::source::{Source, code, files};

/// The rooms of the launcher, in the order of dependency: each may use itself
/// and those before it.
const LAYERS: &[&str] = &[
    "ground", "words", "image", "pod", "run", "command", "cli", "main",
];

/// Each foreign crate of the launcher and the modules of launcher/src that
/// know it (`x` is x.rs and what is in x/), so that a crate is replaced by
/// editing one place. `*` is for what stands for the kernel, and for our own
/// contract with the init. Tests may use what they like.
const ADDRESSES: &[(&str, &[&str])] = &[
    ("base64", &["pod/metadata"]),
    ("bzip2", &["image/decompress"]),
    (
        "crc32fast",
        &["image/pieces", "image/gzip", "image/deflate"],
    ),
    ("hmac", &["words/digest"]),
    ("html5gum", &["image/meta"]),
    ("httparse", &["run/serve"]),
    ("lzma_rust2", &["image/decompress"]),
    ("miniz_oxide", &["image/inflate", "image/deflate"]),
    ("minreq", &["image/http/wire"]),
    ("pgp", &["image/openpgp"]),
    ("pico_args", &["cli/line"]),
    ("rustix", &["*"]),
    ("rustls", &["image/http/unchecked"]),
    ("serde", &["words/json"]),
    ("serde_json", &["words/json"]),
    ("sha2", &["words/digest"]),
    ("signal_hook", &["ground/signals"]),
    ("stage1_init", &["*"]),
    ("tar", &["image/members"]),
    ("zlib_rs", &["image/inflate"]),
];

/// Where unsafe code may stand: a file, or a directory of them.
const UNSAFE: &[&str] = &[
    "images/programs/src/bin/probe/sys.rs",
    "images/programs/src/bin/probe/tries.rs",
    "launcher/src/ground/bpf.rs",
    "launcher/src/ground/netns.rs",
    "launcher/src/ground/readonly.rs",
    "launcher/src/ground/secure.rs",
    "stage1-init/src/arch/",
    "stage1-init/src/mem.rs",
    "stage1-init/src/start.rs",
    "stage1-init/src/sys.rs",
    "stage1-init/src/sys/",
];

/// Where the launcher writes to its own streams. What is written there is
/// escaped, so that no text from outside drives a terminal; all else goes
/// through these.
const WRITERS: &[&str] = &[
    "launcher/src/main.rs",
    "launcher/src/command/mod.rs",
    "launcher/src/ground/talk.rs",
];

/// How somebody else would write there.
const WRITES: &[&str] = &[
    "out.write",
    "write!(out",
    "writeln!(out",
    "write!(err",
    "writeln!(err",
    "stdout().write",
    "stderr().write",
];

/// Most lines of one file of Rust.
const LINES: usize = 600;

/// `cargo xtask tidy`.
pub(crate) fn tidy() -> Result<()> {
    let files = files(&root())?;
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with(".rs")) {
        let code = code(&file.text);
        length(file, &mut findings);
        module_documentation(file, &mut findings);
        layers(file, &code, &mut findings);
        unsafe_addresses(file, &code, &mut findings);
        foreign_crates(file, &code, &mut findings);
        streams(file, &code, &mut findings);
    }
    for file in &files {
        leftovers(file, &mut findings);
        lints(file, &mut findings);
    }
    dependencies(&mut findings)?;
    vocabulary(&mut findings);
    for finding in &findings {
        say(finding);
    }
    match findings.len() {
        0 => Ok(()),
        1 => Err("tidy has a finding".to_owned()),
        number => Err(format!("tidy has {number} findings")),
    }
}

type Findings = Vec<String>;

fn length(file: &Source, findings: &mut Findings) {
    let lines = file.text.lines().count();
    if lines > LINES {
        findings.push(format!(
            "{}: {lines} lines; split it by duty, {LINES} is the most",
            file.path
        ));
    }
}

fn module_documentation(file: &Source, findings: &mut Findings) {
    if !file.text.starts_with("//!") {
        findings.push(format!(
            "{}: begin with `//!` and what the file is for",
            file.path
        ));
    }
}

/// Finds a file that names a later layer.
fn layers(file: &Source, code: &str, findings: &mut Findings) {
    let Some(inside) = file.path.strip_prefix("launcher/src/") else {
        return;
    };
    let Some(own) = layer(inside.split(['/', '.']).next().unwrap_or_default()) else {
        findings.push(format!(
            "{}: in no layer; move it into one, or add it to LAYERS in xtask/src/tidy.rs",
            file.path
        ));
        return;
    };
    for (number, name) in uses(code) {
        if let Some(used) = layer(&name)
            && used > own
        {
            findings.push(format!(
                "{}:{number} uses `{name}` (layer {}), which comes after `{}` (layer {}): \
                 pass the value in, or move the function up",
                file.path,
                used + 1,
                LAYERS[own],
                own + 1
            ));
        }
    }
}

fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| *layer == name)
}

/// Returns every first word after `crate::`, with the number of its line; also
/// those of `crate::{one::..., other::...}`.
fn uses(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, key) in code.match_indices("crate::") {
        let rest = &code[at + key.len()..];
        let line = 1 + code[..at].matches('\n').count();
        let mut depth = 0_usize;
        let mut fresh = true;
        let mut name = String::new();
        for c in rest.chars() {
            match c {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                ',' if depth == 1 => fresh = true,
                c if depth <= 1 && fresh && (c.is_alphanumeric() || c == '_') => {
                    name.push(c);
                    continue;
                }
                _ => {}
            }
            if !name.is_empty() {
                found.push((line, std::mem::take(&mut name)));
                fresh = c == ',';
            }
            if depth == 0 {
                break;
            }
        }
    }
    found
}

fn unsafe_addresses(file: &Source, code: &str, findings: &mut Findings) {
    if UNSAFE.iter().any(|place| file.path.starts_with(place)) {
        return;
    }
    for (number, line) in (1..).zip(code.lines()) {
        // In an attribute (`unsafe_code`, `unsafe(naked)`) it is part of a word
        // or marks code that stands in an admitted file anyway.
        if words(line).any(|word| word == "unsafe") {
            findings.push(format!(
                "{}:{number} is unsafe; move it into one of the files that UNSAFE in \
                 xtask/src/tidy.rs names, behind a safe function",
                file.path
            ));
        }
    }
}

/// Finds what is printed past the functions that escape it. Archives and the
/// bytes of apps have writers of their own.
fn streams(file: &Source, code: &str, findings: &mut Findings) {
    if !file.path.starts_with("launcher/src/command/") || WRITERS.contains(&&*file.path) {
        return;
    }
    for (number, line) in (1..).zip(code.lines()) {
        if WRITES.iter().any(|write| line.contains(write)) {
            findings.push(format!(
                "{}:{number} writes to a stream as it is; `print` and `say` of command/mod.rs \
                 escape what could drive a terminal",
                file.path
            ));
        }
    }
}

fn foreign_crates(file: &Source, code: &str, findings: &mut Findings) {
    let Some(inside) = file.path.strip_prefix("launcher/src/") else {
        return;
    };
    let code = code.split("#[cfg(test)]").next().unwrap_or(code);
    for (name, addresses) in ADDRESSES {
        let lives_here = addresses.iter().any(|address| {
            let rest = inside.strip_prefix(address).unwrap_or_default();
            *address == "*" || rest.starts_with(['.', '/'])
        });
        for (number, line) in (1..).zip(code.lines()) {
            if !lives_here && names_crate(line, name) {
                findings.push(format!(
                    "{}:{number} knows `{name}`; only {} may: use what that module offers",
                    file.path,
                    addresses.join(" and ")
                ));
            }
        }
    }
}

/// Tells whether a line names a crate: `use name`, or a path that begins so.
fn names_crate(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let before = &line[..at];
        let after = &line[at + name.len()..];
        let begins = !before.ends_with(|c: char| c.is_alphanumeric() || "_:.".contains(c));
        let used = before.trim_end().ends_with("use");
        begins && (after.starts_with("::") || used && after.starts_with([';', ' ']))
    })
}

/// The launcher's manifest and the table of addresses list the same crates.
fn dependencies(findings: &mut Findings) -> Result<()> {
    let path = root().join("launcher/Cargo.toml");
    let text = fs::read_to_string(&path).map_err(crate::cmd::failed("read", &path))?;
    let named: Vec<_> = dependency_names(&text);
    for name in &named {
        if !ADDRESSES.iter().any(|(known, _)| known == name) {
            findings.push(format!(
                "launcher/Cargo.toml: `{name}` has no address; add the one module that knows it \
                 to ADDRESSES in xtask/src/tidy.rs"
            ));
        }
    }
    for (known, _) in ADDRESSES {
        if !named.iter().any(|name| name == known) {
            findings.push(format!(
                "xtask/src/tidy.rs: ADDRESSES has `{known}`, which the launcher does not \
                 depend on; take the row out"
            ));
        }
    }
    Ok(())
}

/// Returns the crates under `[dependencies]`, as Rust spells them.
fn dependency_names(manifest: &str) -> Vec<String> {
    manifest
        .lines()
        .skip_while(|line| line.trim() != "[dependencies]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name.trim().replace('-', "_"))
        .filter(|name| !name.starts_with('#'))
        .collect()
}

/// Finds what belongs to one person's desk: open ends, and paths that only
/// exist on one machine.
fn leftovers(file: &Source, findings: &mut Findings) {
    let here = root().display().to_string();
    // Written so that this file does not find itself.
    let markers = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
    ];
    for (number, line) in (1..).zip(file.text.lines()) {
        if let Some(marker) = markers
            .iter()
            .find(|marker| words(line).any(|word| word == **marker))
        {
            findings.push(format!(
                "{}:{number} says {marker}; do it, or say in plain words what is not done",
                file.path
            ));
        }
        if line.contains(&here) {
            findings.push(format!(
                "{}:{number} names this checkout (`{here}`); derive it, or take it as an argument",
                file.path
            ));
        }
    }
}

fn lints(file: &Source, findings: &mut Findings) {
    if file.path.ends_with("/Cargo.toml") && !file.text.contains("[lints]\nworkspace = true") {
        findings.push(format!(
            "{}: add `[lints]` with `workspace = true`",
            file.path
        ));
    }
}

/// Every directive is documented for people who write plans by hand.
fn vocabulary(findings: &mut Findings) {
    let path = "stage1-init/README.md";
    let text = fs::read_to_string(root().join(path)).unwrap_or_default();
    for (word, operands, _) in VOCABULARY {
        let usage = format!("`{}`", format!("{word} {operands}").trim_end());
        if !text.contains(&usage) {
            findings.push(format!(
                "{path}: the directive `{word}` is not documented; add its usage, {usage}"
            ));
        }
    }
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !(c.is_alphanumeric() || c == '_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> Source {
        Source {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    fn findings(check: impl Fn(&Source, &str, &mut Findings), path: &str, text: &str) -> usize {
        let mut findings = Vec::new();
        check(&file(path, text), &code(text), &mut findings);
        findings.len()
    }

    #[test]
    fn an_arrow_that_points_up_is_found() {
        for (path, text, expected) in [
            ("launcher/src/image/store.rs", "use crate::pod::Pod;", 1),
            (
                "launcher/src/image/store.rs",
                "use crate::{\n    ground::Error,\n    run::Stage1,\n};",
                1,
            ),
            (
                "launcher/src/image/store.rs",
                "let x = crate::command::run(1);",
                1,
            ),
            (
                "launcher/src/image/store.rs",
                "use crate::{ground::{Error, run}, words};",
                0,
            ),
            ("launcher/src/image/store.rs", "// crate::pod", 0),
            (
                "launcher/src/pod/plan.rs",
                "use crate::image::rootfs::Rootfs;",
                0,
            ),
            ("launcher/src/attic.rs", "", 1),
            ("xtask/src/main.rs", "use crate::command::X;", 0),
        ] {
            assert_eq!(findings(layers, path, text), expected, "{path}: {text}");
        }
    }

    #[test]
    fn unsafe_code_away_from_its_address_is_found() {
        for (path, text, expected) in [
            ("launcher/src/main.rs", "unsafe { x() }", 1),
            (
                "launcher/src/main.rs",
                "#![forbid(unsafe_code)] // unsafe",
                0,
            ),
            ("stage1-init/src/arch/x86_64.rs", "unsafe fn x() {}", 0),
        ] {
            assert_eq!(findings(unsafe_addresses, path, text), expected, "{text}");
        }
    }

    #[test]
    fn a_second_file_that_knows_a_crate_is_found() {
        for (path, text, expected) in [
            ("launcher/src/pod/plan.rs", "use tar::Header;", 1),
            ("launcher/src/pod/plan.rs", "let x = tar::Header::new();", 1),
            ("launcher/src/pod/plan.rs", "use tar as t;", 1),
            (
                "launcher/src/pod/plan.rs",
                "let tar = self.tar(start::x);",
                0,
            ),
            ("launcher/src/image/members.rs", "use tar::Header;", 0),
            ("launcher/src/image/members/pax.rs", "use tar::Header;", 0),
            ("launcher/src/image/memberships.rs", "use tar::Header;", 1),
            ("launcher/src/pod/plan.rs", "use rustix::fs;", 0),
            (
                "launcher/src/pod/plan.rs",
                "#[cfg(test)]\nuse tar::Header;",
                0,
            ),
        ] {
            assert_eq!(findings(foreign_crates, path, text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_printed_without_an_escape_is_found() {
        for (path, text, expected) in [
            (
                "launcher/src/command/list.rs",
                "writeln!(out, \"{name}\")?;",
                1,
            ),
            ("launcher/src/command/list.rs", "out.write_all(&bytes)?;", 1),
            (
                "launcher/src/command/list.rs",
                "std::io::stderr().write_all(b\"\")",
                1,
            ),
            ("launcher/src/command/list.rs", "print(out, &name)?;", 0),
            ("launcher/src/command/mod.rs", "out.write_all(&bytes)?;", 0),
            ("launcher/src/image/pack.rs", "out.write_all(&bytes)?;", 0),
        ] {
            assert_eq!(findings(streams, path, text), expected, "{text}");
        }
    }

    #[test]
    fn dependencies_are_read_from_a_manifest() {
        let manifest =
            "[package]\nname = \"x\"\n[dependencies]\na-b = \"1\"\n# c = \"1\"\n\n[lints]\nd = 1\n";
        assert_eq!(dependency_names(manifest), ["a_b"]);
    }

    #[test]
    fn what_was_left_lying_about_is_found() {
        let mut found = Vec::new();
        leftovers(&file("x", concat!("// TO", "DO: all")), &mut found);
        let here = format!("cd {}/target", root().display());
        leftovers(&file("x", &here), &mut found);
        leftovers(&file("x", "a TODOS list in /usr"), &mut found);
        assert_eq!(found.len(), 2, "{found:?}");
    }
}
