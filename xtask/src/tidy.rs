//! Turns the rules of the house into a test. Every finding says how to repair
//! it; all are shown before the task fails.

use std::fs;

use stage1_init::VOCABULARY;

use crate::cmd::{Result, cmd, root, say};
use crate::source::{Source, code, files};
use crate::{calls, imports};

/// The launcher's own crates. Cargo keeps their dependencies one-way.
const OWN: &[&str] = &["appc", "error", "image", "oci", "pod", "sys"];

/// Each foreign crate of the launcher and the modules that know it (`a/b/x` is
/// src/b/x.rs of the crate `a`, and what is in src/b/x/; without a crate, the
/// program's own), so that a crate is replaced by editing one place. `*` is for
/// what stands for the kernel, and for our own contract with the init. Tests may
/// use what they like.
const ADDRESSES: &[(&str, &[&str])] = &[
    (
        "base64",
        &[
            "image/fetch/credentials",
            "oci/base64",
            "pod/runtime/metadata",
        ],
    ),
    ("bzip2", &["image/archive/decompress"]),
    (
        "crc32fast",
        &[
            "image/fetch/resume",
            "image/archive/gzip",
            "image/archive/deflate",
        ],
    ),
    ("hmac", &["image/digest"]),
    ("html5gum", &["image/fetch/meta_tags"]),
    (
        "httparse",
        &["image/fetch/http/message", "pod/runtime/serve"],
    ),
    ("libc", &["sys/signals"]),
    ("lzma_rust2", &["image/archive/decompress"]),
    (
        "miniz_oxide",
        &["image/archive/inflate", "image/archive/deflate"],
    ),
    ("minreq", &["image/fetch/http/plain"]),
    ("p256", &["image/trust/sigstore"]),
    ("pgp", &["image/trust/openpgp"]),
    ("pico_args", &["cli/options"]),
    ("rustix", &["*"]),
    ("rustls", &["image/fetch/http/tls"]),
    ("rustls_native_certs", &["image/fetch/http/tls"]),
    ("ruzstd", &["image/archive/zstd"]),
    ("semver", &["appc/types/version"]),
    ("serde", &["appc/json", "pod/spec", "pod/runtime/status"]),
    (
        "serde_json",
        &["appc/json", "pod/spec", "pod/runtime/status"],
    ),
    ("sha2", &["image/digest"]),
    ("signal_hook", &["sys/signals"]),
    ("stage1_init", &["*"]),
    ("tar", &["image/archive/fixed_header"]),
    ("time", &["appc/types/date", "image/fetch/http/headers"]),
    ("toml_span", &["oci/toml"]),
    ("uuid", &["appc/types/uuid"]),
    ("zlib_rs", &["image/archive/inflate"]),
];

/// Where unsafe code may stand: a file, or a directory of them.
const UNSAFE: &[&str] = &[
    "images/programs/src/bin/probe/sys.rs",
    "images/programs/src/bin/probe/tries.rs",
    "launcher/crates/sys/src/bpf.rs",
    "launcher/crates/sys/src/netns.rs",
    "launcher/crates/sys/src/readonly_file.rs",
    "launcher/crates/sys/src/secure.rs",
    "launcher/crates/sys/src/signal_names.rs",
    "launcher/crates/sys/src/signals.rs",
    "stage1-init/src/arch/",
    "stage1-init/src/entry.rs",
    "stage1-init/src/main.rs",
    "stage1-init/src/mem.rs",
    "stage1-init/src/settle.rs",
    "stage1-init/src/start.rs",
    "stage1-init/src/sys/",
];

/// Where the launcher writes to its own streams. What is written there is
/// escaped, so that no text from outside drives a terminal; all else goes
/// through these.
const WRITERS: &[&str] = &[
    "launcher/src/main.rs",
    "launcher/src/cmd/mod.rs",
    "launcher/crates/sys/src/progress.rs",
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
        unsafe_addresses(file, &code, &mut findings);
        foreign_crates(file, &code, &mut findings);
        streams(file, &code, &mut findings);
    }
    for file in &files {
        leftovers(file, &mut findings);
        lints(file, &mut findings);
    }
    findings.extend(imports::circles(&files));
    dependencies(&files, &mut findings);
    vocabulary(&mut findings);
    calls::check(&mut findings)?;
    let compiler = cmd("rustc").arg("--version").quiet().read()?;
    rust_version(&files, &compiler, &mut findings);
    kernel_options(&files, &mut findings);
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
    if !file.path.starts_with("launcher/src/cmd/") || WRITERS.contains(&&*file.path) {
        return;
    }
    for (number, line) in (1..).zip(code.lines()) {
        if WRITES.iter().any(|write| line.contains(write)) {
            findings.push(format!(
                "{}:{number} writes to a stream as it is; `print` and `say` of cmd/mod.rs \
                 escape what could drive a terminal",
                file.path
            ));
        }
    }
}

/// Returns where a file of the launcher is, as [`ADDRESSES`] says it.
fn module(path: &str) -> Option<String> {
    if let Some(program) = path.strip_prefix("launcher/src/") {
        return Some(program.to_owned());
    }
    let (name, inside) = path.strip_prefix("launcher/crates/")?.split_once("/src/")?;
    Some(format!("{name}/{inside}"))
}

fn foreign_crates(file: &Source, code: &str, findings: &mut Findings) {
    let Some(inside) = module(&file.path) else {
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

/// The launcher's manifests and the table of addresses list the same crates.
fn dependencies(files: &[Source], findings: &mut Findings) {
    let manifests = files
        .iter()
        .filter(|file| file.path.starts_with("launcher/") && file.path.ends_with("/Cargo.toml"));
    let named: Vec<(&str, String)> = manifests
        .flat_map(|file| {
            let names = dependency_names(&file.text).into_iter();
            names.map(|name| (&*file.path, name))
        })
        .filter(|(_, name)| !OWN.contains(&&**name))
        .collect();
    for (path, name) in &named {
        if !ADDRESSES.iter().any(|(known, _)| known == name) {
            findings.push(format!(
                "{path}: `{name}` has no address; add the one module that knows it to \
                 ADDRESSES in xtask/src/tidy.rs"
            ));
        }
    }
    for (known, _) in ADDRESSES {
        if !named.iter().any(|(_, name)| name == known) {
            findings.push(format!(
                "xtask/src/tidy.rs: ADDRESSES has `{known}`, which the launcher does not \
                 depend on; take the row out"
            ));
        }
    }
}

/// Returns the crates under `[dependencies]`, as Rust spells them.
fn dependency_names(manifest: &str) -> Vec<String> {
    manifest
        .lines()
        .skip_while(|line| line.trim() != "[dependencies]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once(['=', '.']))
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

/// The oldest Rust that is promised has been tried, and is the same everywhere.
fn rust_version(files: &[Source], compiler: &str, findings: &mut Findings) {
    let text = |path: &str| {
        let file = files.iter().find(|file| file.path == path);
        file.map_or("", |file| file.text.as_str())
    };
    let manifest = text("Cargo.toml");
    let promised = manifest.split("\nrust-version = \"").nth(1);
    let Some(promised) = promised.and_then(|rest| rest.split('"').next()) else {
        findings.push("Cargo.toml: say with `rust-version` which Rust it takes".to_owned());
        return;
    };
    let tried = words(compiler).filter_map(|word| word.parse().ok());
    let numbers = words(promised).filter_map(|word| word.parse().ok());
    let (tried, numbers): (Vec<u32>, Vec<u32>) = (tried.collect(), numbers.collect());
    if tried < numbers {
        findings.push(format!(
            "Cargo.toml: Rust {promised} is later than what builds here, {}",
            compiler.trim_end()
        ));
    }
    for path in ["README.md", "CONTRIBUTING.md"] {
        if !text(path).contains(&format!("{promised} or later")) {
            findings.push(format!(
                "{path}: say that Rust has to be `{promised} or later`, as in Cargo.toml"
            ));
        }
    }
}

/// The README lists every option of the kernel that the launcher's sources name.
fn kernel_options(files: &[Source], findings: &mut Findings) {
    let readme = files.iter().find(|file| file.path == "README.md");
    let readme = readme.map_or("", |file| file.text.as_str());
    let sources = files
        .iter()
        .filter(|file| file.path.starts_with("launcher/") && file.path.ends_with(".rs"));
    for file in sources {
        for option in words(&file.text).filter_map(|word| word.strip_prefix("CONFIG_")) {
            if !readme.contains(&format!("`{option}`")) {
                findings.push(format!(
                    "README.md: list the kernel's option `{option}`, which {} names",
                    file.path
                ));
            }
        }
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
            ("launcher/crates/pod/src/plan.rs", "use bzip2::Crc;", 1),
            (
                "launcher/crates/pod/src/plan.rs",
                "let x = bzip2::Crc::new();",
                1,
            ),
            ("launcher/crates/pod/src/plan.rs", "use bzip2 as b;", 1),
            (
                "launcher/crates/pod/src/plan.rs",
                "let bzip2 = self.bzip2(start::x);",
                0,
            ),
            (
                "launcher/crates/image/src/archive/decompress.rs",
                "use bzip2::Crc;",
                0,
            ),
            (
                "launcher/crates/image/src/archive/decompress/xz.rs",
                "use bzip2::Crc;",
                0,
            ),
            (
                "launcher/crates/image/src/archive/decompressors.rs",
                "use bzip2::Crc;",
                1,
            ),
            ("launcher/crates/pod/src/plan.rs", "use rustix::fs;", 0),
            (
                "launcher/crates/pod/src/plan.rs",
                "#[cfg(test)]\nuse bzip2::Crc;",
                0,
            ),
        ] {
            assert_eq!(findings(foreign_crates, path, text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_printed_without_an_escape_is_found() {
        for (path, text, expected) in [
            ("launcher/src/cmd/list.rs", "writeln!(out, \"{name}\")?;", 1),
            ("launcher/src/cmd/list.rs", "out.write_all(&bytes)?;", 1),
            (
                "launcher/src/cmd/list.rs",
                "std::io::stderr().write_all(b\"\")",
                1,
            ),
            ("launcher/src/cmd/list.rs", "print(out, &name)?;", 0),
            ("launcher/src/cmd/mod.rs", "out.write_all(&bytes)?;", 0),
            (
                "launcher/crates/image/src/format/pack.rs",
                "out.write_all(&bytes)?;",
                0,
            ),
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
    fn a_rust_that_nobody_tried_is_not_promised() {
        for (manifest, readme, compiler, expected) in [
            (
                "\nrust-version = \"1.90\"",
                "Rust 1.90 or later",
                "rustc 1.90.0 (a 2)",
                0,
            ),
            (
                "\nrust-version = \"1.90\"",
                "Rust 1.90 or later",
                "rustc 1.91.1 (a 2)",
                0,
            ),
            (
                "\nrust-version = \"1.90\"",
                "Rust 1.90 or later",
                "rustc 1.89.0 (a 2)",
                1,
            ),
            (
                "\nrust-version = \"1.90\"",
                "Rust 1.88 or later",
                "rustc 1.90.0 (a 2)",
                2,
            ),
            ("", "", "rustc 1.90.0", 1),
        ] {
            let files = [
                file("Cargo.toml", manifest),
                file("README.md", readme),
                file("CONTRIBUTING.md", readme),
            ];
            let mut found = Vec::new();
            rust_version(&files, compiler, &mut found);
            assert_eq!(
                found.len(),
                expected,
                "{manifest} {readme} {compiler}: {found:?}"
            );
        }
    }

    #[test]
    fn options_of_the_kernel_that_the_readme_lacks_are_found() {
        let readme = "needs `NET_NS`";
        for (source, expected) in [
            ("\"CONFIG_NET_NS\"", 0),
            ("XDG_CONFIG_HOME", 0),
            ("CONFIG_NET_NS and CONFIG_MEMCG", 1),
        ] {
            let files = [file("README.md", readme), file("launcher/src/x.rs", source)];
            let mut found = Vec::new();
            kernel_options(&files, &mut found);
            assert_eq!(found.len(), expected, "{source}: {found:?}");
        }
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
