//! Finds files of one crate that import each other, directly or in a circle.
//!
//! It follows `mod` from the root of each crate, so files that only tests reach
//! are left out. It resolves each path to the file that defines the item, through
//! re-exports and renames. A module that declares or re-exports another does not
//! import it; one that uses an item of it does.
//!
//! Methods are not resolved, as their paths are not written. An item that a
//! macro defines is taken to be in the module that its path names.

use std::collections::{BTreeMap, BTreeSet};
use std::slice;

use crate::source::{Source, code};
use crate::tokens::{Token, closing, is_word, tokens, until, without_tests};

/// The names that each file uses of each other file.
type Ties = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// Describes every circle of files in the project's crates, with the imports
/// that make it.
pub(crate) fn circles(files: &[Source]) -> Vec<String> {
    let mut ties = Ties::new();
    for root in files.iter().filter(|file| is_root(&file.path, files)) {
        Crate::read(root, files).tie(&mut ties);
    }
    let reached: BTreeMap<_, _> = ties.keys().map(|file| (file, reach(&ties, file))).collect();
    let mut told = BTreeSet::new();
    let mut found = Vec::new();
    for (file, others) in &reached {
        if !others.contains(*file) || told.contains(*file) {
            continue;
        }
        let circle: BTreeSet<&String> = others
            .iter()
            .copied()
            .filter(|other| reached.get(other).is_some_and(|back| back.contains(*file)))
            .collect();
        found.push(describe(&ties, &circle));
        told.extend(circle);
    }
    found
}

/// Tells whether a file is the root of a crate.
fn is_root(path: &str, files: &[Source]) -> bool {
    let Some((package, inside)) = path.split_once("/src/") else {
        return false;
    };
    let begins = match inside.strip_prefix("bin/") {
        None => matches!(inside, "lib.rs" | "main.rs"),
        Some(name) => match name.split_once('/') {
            None => name.ends_with(".rs"),
            Some((_, file)) => file == "main.rs",
        },
    };
    let manifest = format!("{package}/Cargo.toml");
    begins && files.iter().any(|file| file.path == manifest)
}

/// Returns all files that a file uses, directly or through others.
fn reach<'a>(ties: &'a Ties, from: &'a String) -> BTreeSet<&'a String> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(file) = open.pop() {
        for used in ties.get(file).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(used) {
                open.push(used);
            }
        }
    }
    reached
}

fn describe(ties: &Ties, circle: &BTreeSet<&String>) -> String {
    let mut text = format!(
        "{} files import each other; move down what they share, or pass it in:",
        circle.len()
    );
    for (file, used) in circle.iter().flat_map(|file| ties.get_key_value(*file)) {
        for (other, names) in used.iter().filter(|(other, _)| circle.contains(other)) {
            let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
            text.push_str(&format!("\n  {file} uses {} of {other}", names.join(", ")));
        }
    }
    text
}

/// A path as it is written, or the place of a module in its crate.
type Path = Vec<String>;

/// The file that defines an item, and the item's name.
type Item = (String, String);

/// A name that `use` imports.
struct Import {
    path: Path,
    /// `*` imports all names.
    name: String,
    public: bool,
}

/// A module, as far as one file goes. With `#[path]` there may be several.
#[derive(Default)]
struct Scope {
    file: String,
    defined: BTreeSet<String>,
    imports: Vec<Import>,
    /// Paths outside of `use`.
    paths: BTreeSet<Path>,
    /// All words outside of `use`.
    words: BTreeSet<String>,
}

/// The modules of a crate.
#[derive(Default)]
struct Crate {
    modules: BTreeMap<Path, Vec<Scope>>,
}

impl Crate {
    fn read(root: &Source, files: &[Source]) -> Self {
        let mut read = Self::default();
        read.read_file(root, Vec::new(), files);
        read
    }

    fn read_file(&mut self, file: &Source, module: Path, files: &[Source]) {
        let code = code(&file.text);
        let tokens = without_tests(&tokens(&code));
        for (name, line) in self.read_module(&file.path, &tokens, module.clone()) {
            let candidates = child_files(file, &name, line, module.is_empty());
            let child: Path = [&module[..], &[name]].concat();
            for child_file in files.iter().filter(|file| candidates.contains(&file.path)) {
                self.read_file(child_file, child.clone(), files);
            }
        }
    }

    /// Reads a module, from its file or between its braces. Returns the modules
    /// that it declares in other files, and their lines.
    fn read_module(&mut self, file: &str, tokens: &[Token<'_>], at: Path) -> Vec<(String, usize)> {
        let mut scope = Scope {
            file: file.to_owned(),
            ..Scope::default()
        };
        let mut declared = Vec::new();
        let mut next = 0;
        while let Some(token) = tokens.get(next) {
            let word = |ahead: usize| tokens.get(next + ahead).map_or("", |token| token.text);
            match token.text {
                "mod" if word(2) == ";" => {
                    declared.push((word(1).to_owned(), token.line));
                    next += 3;
                }
                "mod" if word(2) == "{" => {
                    let end = closing(tokens, next + 2);
                    let child = [&at[..], &[word(1).to_owned()]].concat();
                    self.read_module(file, &tokens[next + 3..end], child);
                    next = end + 1;
                }
                "use" if word(1) != "<" => {
                    let end = until(tokens, next, ";");
                    let public = follows(tokens, next, &["pub", ")"]);
                    imports(&tokens[next + 1..end], &mut Vec::new(), public, &mut scope);
                    next = end + 1;
                }
                // The path of `pub(in path)` uses nothing.
                "pub" if word(1) == "(" => next = closing(tokens, next + 1) + 1,
                "fn" | "struct" | "enum" | "trait" | "type" | "const" | "static"
                    if !follows(tokens, next, &["*", "'"]) =>
                {
                    scope.defined.insert(word(1).to_owned());
                    next += 1;
                }
                "macro_rules" => {
                    scope.defined.insert(word(2).to_owned());
                    next += 3;
                }
                text if is_word(text) => {
                    scope.words.insert(text.to_owned());
                    let mut path = vec![text.to_owned()];
                    next += 1;
                    while let [colons, segment, ..] = &tokens[next..]
                        && colons.text == "::"
                        && is_word(segment.text)
                    {
                        path.push(segment.text.to_owned());
                        next += 2;
                    }
                    if path.len() > 1 {
                        scope.paths.insert(path);
                    }
                }
                _ => next += 1,
            }
        }
        self.modules.entry(at).or_default().push(scope);
        declared
    }

    /// Adds the imports of this crate's files.
    fn tie(&self, ties: &mut Ties) {
        for (at, scopes) in &self.modules {
            for scope in scopes {
                let mut used = BTreeSet::new();
                for import in &scope.imports {
                    let takes = !import.public || scope.words.contains(&import.name);
                    if import.name == "*" {
                        used.extend(self.taken_by_glob(at, &import.path, scope));
                    } else if takes {
                        used.extend(self.resolve(at, &import.path, DEPTH));
                    }
                }
                for path in &scope.paths {
                    used.extend(self.resolve(at, path, DEPTH));
                }
                let own = ties.entry(scope.file.clone()).or_default();
                for (file, name) in used.into_iter().filter(|(file, _)| *file != scope.file) {
                    own.entry(file).or_default().insert(name);
                }
            }
        }
    }

    /// Follows a path through modules; returns the last one, and the rest.
    fn descend<'p>(&self, at: &[String], path: &'p [String]) -> Option<(Path, &'p [String])> {
        let (first, mut rest) = path.split_first()?;
        let mut here = match first.as_str() {
            "crate" => Vec::new(),
            "self" => at.to_vec(),
            "super" => at.split_last()?.1.to_vec(),
            _ => {
                let child = [at, slice::from_ref(first)].concat();
                self.modules.contains_key(&child).then_some(child)?
            }
        };
        while let [name, left @ ..] = rest {
            let child = [&here[..], slice::from_ref(name)].concat();
            if name == "super" {
                here.pop()?;
            } else if self.modules.contains_key(&child) {
                here = child;
            } else if name != "self" {
                break;
            }
            rest = left;
        }
        Some((here, rest))
    }

    /// Finds the item that a path names. There may be several, in the files of
    /// one module; a path to a module names none.
    fn resolve(&self, at: &[String], path: &[String], depth: u8) -> Vec<Item> {
        let Some(depth) = depth.checked_sub(1) else {
            return Vec::new();
        };
        if let Some((module, rest)) = self.descend(at, path) {
            let Some(name) = rest.first() else {
                return Vec::new();
            };
            let found = self.find(&module, name, rest, depth);
            if !found.is_empty() {
                return found;
            }
            // A macro may define it.
            let files = self.modules[&module].iter();
            return files
                .map(|scope| (scope.file.clone(), name.clone()))
                .collect();
        }
        match path {
            [first, _, ..] => self.imported(at, first, path, depth),
            _ => Vec::new(),
        }
    }

    /// Finds an item that a module defines or imports.
    fn find(&self, at: &[String], name: &str, path: &[String], depth: u8) -> Vec<Item> {
        let scopes = self.modules[at].iter();
        let here = scopes.filter(|scope| scope.defined.contains(name));
        let here: Vec<_> = here
            .map(|scope| (scope.file.clone(), name.to_owned()))
            .collect();
        if here.is_empty() {
            self.imported(at, name, path, depth)
        } else {
            here
        }
    }

    /// Finds an item that a module imports: by its name, or else with `*`.
    fn imported(&self, at: &[String], name: &str, path: &[String], depth: u8) -> Vec<Item> {
        let Some(depth) = depth.checked_sub(1) else {
            return Vec::new();
        };
        let imports = || self.modules[at].iter().flat_map(|scope| &scope.imports);
        let rest = path.get(1..).unwrap_or_default();
        let named = imports().filter(|import| import.name == name);
        let found: Vec<_> = named
            .flat_map(|import| self.resolve(at, &[&import.path[..], rest].concat(), depth))
            .collect();
        if !found.is_empty() {
            return found;
        }
        let globs = imports().filter(|import| import.name == "*");
        let modules = globs.filter_map(|import| self.descend(at, &import.path));
        modules
            .filter(|(module, rest)| module != at && rest.is_empty())
            .flat_map(|(module, _)| self.find(&module, name, path, depth))
            .collect()
    }

    /// Finds the items that a file uses of those it imports with `*`.
    fn taken_by_glob(&self, at: &[String], path: &[String], scope: &Scope) -> Vec<Item> {
        let Some((module, [])) = self.descend(at, path) else {
            return Vec::new();
        };
        let offered = self.modules[&module].iter().flat_map(|offering| {
            let imported = offering.imports.iter().map(|import| &import.name);
            offering.defined.iter().chain(imported)
        });
        offered
            .filter(|name| scope.words.contains(*name))
            .flat_map(|name| self.find(&module, name, slice::from_ref(name), DEPTH))
            .collect()
    }
}

/// How many imports are followed from one to the next, as they may be circular.
const DEPTH: u8 = 16;

/// Returns the files that `mod name;` may mean.
fn child_files(file: &Source, name: &str, line: usize, is_root: bool) -> Vec<String> {
    let (directory, own) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
    let above: Vec<_> = file.text.lines().take(line).collect();
    let attributes = above.iter().rev().take_while(|line| line.starts_with("#["));
    let named: Vec<_> = attributes
        .filter_map(|line| line.split_once("path = \"")?.1.split('"').next())
        .map(|path| format!("{directory}/{path}"))
        .collect();
    if !named.is_empty() {
        return named;
    }
    let base = match own.strip_suffix(".rs") {
        Some(stem) if !is_root && stem != "mod" => format!("{directory}/{stem}"),
        _ => directory.to_owned(),
    };
    vec![format!("{base}/{name}.rs"), format!("{base}/{name}/mod.rs")]
}

/// Tells whether a token comes after one of these.
fn follows(tokens: &[Token<'_>], at: usize, texts: &[&str]) -> bool {
    let before = at.checked_sub(1).and_then(|before| tokens.get(before));
    before.is_some_and(|token| texts.contains(&token.text))
}

/// Parses what is between `use` and `;`.
fn imports(tokens: &[Token<'_>], prefix: &mut Path, public: bool, scope: &mut Scope) {
    let length = prefix.len();
    let mut rest = tokens;
    while let [token, left @ ..] = rest {
        match token.text {
            "{" => {
                let end = closing(rest, 0);
                let mut inner = &rest[1..end];
                while !inner.is_empty() {
                    let end = until(inner, 0, ",");
                    imports(&inner[..end], prefix, public, scope);
                    inner = inner.get(end + 1..).unwrap_or_default();
                }
                prefix.truncate(length);
                return;
            }
            "::" => {}
            "as" => break,
            text => prefix.push(text.to_owned()),
        }
        rest = left;
    }
    let mut path = prefix.clone();
    prefix.truncate(length);
    if path.last().is_some_and(|last| last == "self") && path.len() > 1 {
        path.pop();
    }
    let Some(last) = path.last().cloned() else {
        return;
    };
    if last == "*" {
        path.pop();
    }
    let name = match rest {
        [_, alias, ..] => alias.text.to_owned(),
        _ => last,
    };
    scope.imports.push(Import { path, name, public });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Finds the circles of a package that has these files in its `src`.
    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let manifest = [("../Cargo.toml", "")];
        let sources = files.iter().chain(&manifest).map(|(path, text)| Source {
            path: format!("x/src/{path}").replace("src/../", ""),
            text: (*text).to_owned(),
        });
        circles(&sources.collect::<Vec<_>>())
    }

    #[test]
    fn files_that_import_each_other_are_found() {
        for (a, b) in [
            ("use crate::b::f;", "use crate::a::g;"),
            ("use crate::{b::{self, f}, c};", "use super::a::g as h;"),
            (
                "use crate::b; fn x() { b::f() }",
                "fn x() { crate::a::g() }",
            ),
            ("use super::b::*; fn x() { f() }", "use crate::a::g;"),
        ] {
            let a = format!("{a} pub fn g() {{}}");
            let b = format!("{b} pub fn f() {{}}");
            for root in ["main.rs", "lib.rs", "bin/main.rs", "bin/y/main.rs"] {
                let directory = root.rsplit_once('/').map_or("", |(directory, _)| directory);
                let place = |name: &str| format!("{directory}/{name}").replace("//", "/");
                let (one, other) = (place("a.rs"), place("b.rs"));
                let (one, other) = (one.trim_start_matches('/'), other.trim_start_matches('/'));
                let files = [(root, "mod a; mod b;"), (one, &a[..]), (other, &b[..])];
                let found = found(&files);
                assert_eq!(found.len(), 1, "{files:?}: {found:?}");
                assert!(found[0].contains(&format!("{one} uses `f` of x/src/{other}")));
                assert!(found[0].contains(&format!("{other} uses `g` of x/src/{one}")));
            }
        }
    }

    #[test]
    fn a_circle_of_three_is_one_finding() {
        let found = found(&[
            ("main.rs", "mod a; mod b; mod c;"),
            ("a.rs", "use crate::b::B; pub struct A;"),
            ("b.rs", "use crate::c::C; pub struct B;"),
            ("c.rs", "use crate::a::A; pub struct C;"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("3 files"), "{found:?}");
    }

    #[test]
    fn a_parent_that_only_re_exports_imports_nothing() {
        let child = ("a/b.rs", "use super::{f, g}; pub fn b() {} pub fn h() {}");
        for (parent, circles) in [
            ("mod b; fn f() { b::b() }", 1),
            ("mod b; use b::b; fn f() { b() }", 1),
            ("mod b; pub use b::b; fn f() { b() }", 1),
            ("mod b; pub use b::b; fn f() {}", 0),
            ("mod b; pub(crate) use b::*; fn f() {}", 0),
        ] {
            let found = found(&[("lib.rs", "mod a;"), ("a.rs", parent), child]);
            assert_eq!(found.len(), circles, "{parent}: {found:?}");
        }
    }

    #[test]
    fn an_item_is_resolved_to_the_file_that_defines_it() {
        let found = found(&[
            ("lib.rs", "mod a; pub use a::A; mod z;"),
            ("z.rs", "use crate::A; pub struct Z;"),
            ("a/mod.rs", "mod b; mod c; pub use b::A; pub use c::C;"),
            ("a/b.rs", "use super::C; pub struct A;"),
            ("a/c.rs", "pub struct C { p: *const Z, q: &'static A }"),
        ]);
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn modules_in_braces_and_at_named_paths_are_followed() {
        let found = found(&[
            (
                "main.rs",
                "#[cfg_attr(x, path = \"y/x.rs\")]\nmod a;\nmod b;",
            ),
            (
                "y/x.rs",
                "mod inner { use super::super::b::f; } pub fn g() {}",
            ),
            ("b.rs", "use crate::a::g; pub fn f() {}"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn tests_and_comments_import_nothing() {
        let b = "use crate::a::g; pub fn f() {}";
        for a in [
            "// use crate::b::f;",
            "#[cfg(test)] mod tests { use crate::b::f; }",
            "#[cfg(test)] use crate::b::f;",
            "#[cfg(all(test, x))] #[allow(y)] fn x() { crate::b::f() }",
            "#[cfg(test)] #[path = \"a_tests.rs\"] mod tests;",
            "pub(in crate::b) struct S;",
        ] {
            let a = format!("{a}\n pub fn g() {{}}");
            let files = [
                ("main.rs", "mod a; mod b;"),
                ("a.rs", &a),
                ("b.rs", b),
                ("a_tests.rs", "use crate::b::f;"),
            ];
            let found = found(&files);
            assert!(found.is_empty(), "{a}: {found:?}");
        }
    }
}
