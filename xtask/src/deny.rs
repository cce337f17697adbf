//! Checks the crates that we depend on: where they come from, what their
//! licences are, which are there twice, which have a known fault, and that none
//! has C in it but for TLS.
//!
//! All of it works without a network. So RustSec's database cannot be asked:
//! `xtask/advisories.txt` has what it says of our crates, as of the date there.
//! Whoever has a network learns what came later from `cargo audit`, or
//! `cargo deny check advisories`, and adds it.

use std::collections::{BTreeMap, BTreeSet};

use crate::cmd::{Result, cargo, failed, root, say};

/// The licences that any crate may have.
const LICENCES: &[&str] = &[
    "Apache-2.0",
    "BSD-3-Clause",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Zlib",
];

/// Crates that need another licence, and why they may.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    (
        "libbz2-rs-sys",
        "bzip2-1.0.6",
        "that of bzip2 itself, which asks for no more than BSD-3-Clause",
    ),
    (
        "libfuzzer-sys",
        "NCSA",
        "that of LLVM, as free as MIT; only fuzz targets have it in them",
    ),
];

/// Crates that are there in two versions, and why.
const TWICE: &[(&str, &str)] = &[
    ("block-buffer", OLDER_HASHES),
    ("const-oid", OLDER_HASHES),
    ("cpufeatures", OLDER_HASHES),
    ("crypto-common", OLDER_HASHES),
    ("digest", OLDER_HASHES),
    ("hmac", OLDER_HASHES),
    (
        "serdect",
        "two elliptic curves of pgp are a generation apart",
    ),
    ("sha2", OLDER_HASHES),
    (
        "syn",
        "macros are a generation apart; they run when we build",
    ),
];

const OLDER_HASHES: &str = "pgp has the generation of hashes before ours";

/// Advisories that do not concern us, and why.
const UNCONCERNED: &[(&str, &str)] = &[(
    "RUSTSEC-2023-0071",
    "private keys leak in time; we have none, and only verify",
)];

/// What crates that have C in them build it with.
const C: &[&str] = &["bindgen", "cc", "cmake", "pkg-config"];

/// All that the launcher can be built with, without C.
const WITHOUT_C: &str = "openpgp,zlib-rs";

/// The one place that crates come from.
const SOURCE: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// `cargo xtask deny`.
pub(crate) fn deny() -> Result<()> {
    let read = |name: &str| {
        let path = root().join(name);
        std::fs::read_to_string(&path).map_err(failed("read", &path))
    };
    let text = tree(&["--workspace", "--all-features"])?;
    let tree_of_all: BTreeSet<Package<'_>> = text.lines().filter_map(Package::parse).collect();
    let lock = read("Cargo.lock")?;
    let mut findings = Vec::new();
    sources(&lock, &mut findings);
    licences(&tree_of_all, &mut findings);
    duplicates(&tree_of_all, &mut findings);
    advisories(&lock, &read("xtask/advisories.txt")?, &mut findings);
    let features = ["--no-default-features", "--features", WITHOUT_C];
    let without_c = tree(
        &[
            &["--package", "launcher", "--edges", "no-dev"][..],
            &features,
        ]
        .concat(),
    )?;
    c(&without_c, &mut findings);
    for finding in &findings {
        say(finding);
    }
    match findings.len() {
        0 => Ok(()),
        number => Err(format!("deny has {number} findings")),
    }
}

/// Asks cargo for packages and their dependencies. Unlike the lock file, this
/// has only what is built for Linux.
fn tree(of: &[&str]) -> Result<String> {
    cargo()
        .args(["tree", "--quiet", "--locked"])
        .args(of)
        .args(["--prefix", "none", "--format", "{p}|{l}"])
        .quiet()
        .read()
}

/// A package, as `cargo tree` shows it: `NAME vVERSION [(PATH)]|LICENCE [(*)]`.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Package<'a> {
    name: &'a str,
    version: &'a str,
    licence: &'a str,
}

impl<'a> Package<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (package, licence) = line.split_once('|')?;
        let mut words = package.split(' ');
        Some(Self {
            name: words.next()?,
            version: words.next()?.strip_prefix('v')?,
            licence: licence.trim_end_matches(" (*)"),
        })
    }
}

fn sources(lock: &str, findings: &mut Vec<String>) {
    let sources = lock
        .lines()
        .filter_map(|line| line.strip_prefix("source = "));
    let sources: BTreeSet<&str> = sources.map(|source| source.trim_matches('"')).collect();
    for source in sources.into_iter().filter(|source| *source != SOURCE) {
        findings.push(format!(
            "Cargo.lock: something comes from `{source}`; crates come from crates.io, or \
             are in this repository"
        ));
    }
}

fn licences(tree: &BTreeSet<Package<'_>>, findings: &mut Vec<String>) {
    for package in tree {
        let excepted = EXCEPTIONS.iter().filter(|(name, ..)| *name == package.name);
        let excepted: Vec<&str> = excepted.map(|(_, licence, _)| *licence).collect();
        let allowed = |licence: &str| LICENCES.contains(&licence) || excepted.contains(&licence);
        if !permits(package.licence, &allowed) {
            findings.push(format!(
                "{} has the licence `{}`; do without it, or allow that in xtask/src/deny.rs, \
                 and say why",
                package.name, package.licence
            ));
        }
        for licence in &excepted {
            if permits(package.licence, &|name| name != *licence && allowed(name)) {
                findings.push(format!(
                    "xtask/src/deny.rs: {} does not need its exception for `{licence}`",
                    package.name
                ));
            }
        }
    }
}

/// Tells whether an expression of SPDX is true if these licences are allowed.
/// Older manifests have `/` for `OR`.
fn permits(expression: &str, allowed: &dyn Fn(&str) -> bool) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ");
    let spaced = spaced.replace('/', " OR ").replace(" WITH ", "-WITH-");
    // `AND` binds closer. Of each parenthesis that is open: whether an
    // alternative before was true, and whether this one is.
    let mut open = vec![(false, true)];
    for word in spaced.split_whitespace() {
        let value = match word {
            "(" => {
                open.push((false, true));
                continue;
            }
            ")" => match open.pop() {
                Some((before, this)) => before || this,
                None => return false,
            },
            "AND" => continue,
            "OR" => {
                if let Some(last) = open.last_mut() {
                    *last = (last.0 || last.1, true);
                }
                continue;
            }
            licence => allowed(licence),
        };
        match open.last_mut() {
            Some((_, this)) => *this &= value,
            None => return false,
        }
    }
    matches!(open.as_slice(), [(before, this)] if !expression.is_empty() && (*before || *this))
}

fn duplicates(tree: &BTreeSet<Package<'_>>, findings: &mut Vec<String>) {
    let mut versions = BTreeMap::<&str, BTreeSet<&str>>::new();
    for package in tree {
        versions
            .entry(package.name)
            .or_default()
            .insert(package.version);
    }
    versions.retain(|_, versions| versions.len() > 1);
    for (name, versions) in &versions {
        if !TWICE.iter().any(|(known, _)| known == name) {
            let versions: Vec<_> = versions.iter().copied().collect();
            findings.push(format!(
                "{name} is there as {}; `cargo tree --invert {name}@{}` shows for whom. If it \
                 must be, say why in xtask/src/deny.rs",
                versions.join(" and "),
                versions[0]
            ));
        }
    }
    for (name, _) in TWICE {
        if !versions.contains_key(name) {
            findings.push(format!(
                "xtask/src/deny.rs: {name} is there once; take it out of TWICE"
            ));
        }
    }
}

/// Looks for compilers of C in the tree of what is to be without.
fn c(tree: &str, findings: &mut Vec<String>) {
    let packages: BTreeSet<Package<'_>> = tree.lines().filter_map(Package::parse).collect();
    for package in packages.iter().filter(|package| C.contains(&package.name)) {
        findings.push(format!(
            "a launcher without TLS is built with {}, so it has C in it; `cargo tree --package \
             launcher --no-default-features --features {WITHOUT_C} --invert {}` shows for whom",
            package.name, package.name
        ));
    }
}

fn advisories(lock: &str, list: &str, findings: &mut Vec<String>) {
    let lines = list.lines().filter(|line| !line.starts_with('#'));
    for line in lines {
        let mut words = line.split_whitespace();
        let (Some(id), Some(name), Some(fixed)) = (words.next(), words.next(), words.next()) else {
            findings.push(format!("xtask/advisories.txt: `{line}` is not an advisory"));
            continue;
        };
        if UNCONCERNED.iter().any(|(known, _)| *known == id) {
            continue;
        }
        for version in locked(lock, name) {
            if fixed == "never" || numbers(version) < numbers(fixed) {
                findings.push(format!(
                    "{name} {version} has a known fault, {id}; `cargo update {name}` to \
                     {fixed} or later, or say in xtask/src/deny.rs why it does not concern us"
                ));
            }
        }
    }
}

/// Returns the versions of a crate in the lock file.
fn locked<'a>(lock: &'a str, name: &str) -> Vec<&'a str> {
    let begin = format!("name = \"{name}\"\nversion = \"");
    let found = lock.match_indices(&begin);
    found
        .filter_map(|(at, _)| lock[at + begin.len()..].split('"').next())
        .collect()
}

/// Returns the numbers of a version, for comparison.
fn numbers(version: &str) -> Vec<u64> {
    let numbers = version.split(['-', '+']).next().unwrap_or_default();
    let numbers = numbers.split('.');
    numbers.map(|number| number.parse().unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_licence_is_allowed_if_one_alternative_is_altogether() {
        let allowed = |licence: &str| matches!(licence, "MIT" | "ISC");
        for (expression, expected) in [
            ("MIT", true),
            ("GPL-3.0", false),
            ("GPL-3.0 OR MIT", true),
            ("GPL-3.0/MIT", true),
            ("MIT AND GPL-3.0", false),
            ("GPL-3.0 OR MIT AND ISC", true),
            ("MIT OR ISC AND GPL-3.0", true),
            ("(MIT OR GPL-3.0) AND ISC", true),
            ("(MIT OR GPL-3.0) AND GPL-3.0", false),
            ("MIT WITH strings", false),
            ("(MIT", false),
            ("MIT)", false),
            ("", false),
        ] {
            assert_eq!(permits(expression, &allowed), expected, "{expression}");
        }
    }

    #[test]
    fn another_source_is_found() {
        let mut findings = Vec::new();
        let lock = format!("source = \"{SOURCE}\"\nsource = \"git+https://example.com/x\"\n");
        sources(&lock, &mut findings);
        assert_eq!(findings.len(), 1, "{findings:?}");
    }

    #[test]
    fn a_compiler_of_c_is_found() {
        let mut findings = Vec::new();
        c(
            "launcher v0.1.0 (/l)|MIT\ncc v1.0.0|MIT\ncc v1.0.0|MIT (*)\n",
            &mut findings,
        );
        assert_eq!(findings.len(), 1, "{findings:?}");
    }

    #[test]
    fn a_version_with_a_known_fault_is_found() {
        let lock = "name = \"a\"\nversion = \"1.9.0\"\n\nname = \"a\"\nversion = \"1.10.0-x\"\n";
        for (list, expected) in [
            ("# comment\nID a 1.9.0", 0),
            ("ID a 1.9.1", 1),
            ("ID a 2.0.0", 2),
            ("ID a never", 2),
            ("ID b never", 0),
            ("RUSTSEC-2023-0071 a never", 0),
            ("ID a", 1),
        ] {
            let mut findings = Vec::new();
            advisories(lock, list, &mut findings);
            assert_eq!(findings.len(), expected, "{list}: {findings:?}");
        }
    }

    #[test]
    fn a_second_version_is_found_and_so_is_a_reason_without_one() {
        let lines = ["a v1.0.0|MIT", "a v2.0.0|MIT (*)", "b v1.0.0 (/b)|MIT"];
        let tree = lines.into_iter().filter_map(Package::parse).collect();
        let mut findings = Vec::new();
        duplicates(&tree, &mut findings);
        assert_eq!(findings.len(), 1 + TWICE.len(), "{findings:?}");
    }
}
