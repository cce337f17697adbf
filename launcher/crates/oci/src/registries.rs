//! What operators say about registries: where images of a name are, and what a name
//! without a registry stands for (containers-registries.conf.5, version 2).
//!
//! `registries.conf` says it in TOML; ours has the same fields in JSON, and one more:
//!
//! ```json
//! {
//!     "short-names": "docker.io",
//!     "registry": [
//!         {
//!             "prefix": "docker.io",
//!             "mirror": [{ "location": "mirror.example.com/hub" }]
//!         },
//!         { "prefix": "*.example.org", "blocked": true }
//!     ]
//! }
//! ```
//!
//! `short-names` is a registry, or `refuse`. In our form, a field that nobody knows is
//! a fault, since it may have been meant to forbid something.

mod rule;

use std::collections::BTreeMap;

use appc::json::{Node, Warnings};
use error::quote::quoted;
use error::{Error, Result};

use crate::auth::Keeper;
use crate::document;
use crate::reference::{Asked, Reference, ShortNames};
use crate::registries::rule::Rule;
use crate::toml;

pub use crate::registries::rule::Source;

/// Most bytes of a file.
pub const LIMIT: usize = 1 << 20;

/// The hint for a name that could be of several registries, or of none.
const NAME_IT: &str = "write the registry, for example `docker.io/library/alpine`";

/// What operators say.
#[derive(Clone, Debug, Default)]
pub struct Registries {
    /// Where to look for names without a registry, in order.
    search: Option<Vec<String>>,
    /// What such a name stands for in our form, and who says so.
    short: Option<(ShortNames, String)>,
    /// Whether such a name is refused if it could be of several registries.
    enforcing: Option<bool>,
    /// Where to look for logins, in order.
    keepers: Option<Vec<Option<Keeper>>>,
    /// Whole names for such names; empty ones for those that have none any more.
    aliases: BTreeMap<String, String>,
    rules: Vec<Rule>,
    /// The fields that nobody knows.
    unknown: Vec<String>,
}

impl Registries {
    /// Reads a file like `registries.conf`; `by` is its name.
    ///
    /// # Errors
    ///
    /// It is not valid.
    pub fn read_toml(text: &[u8], by: &str) -> Result<Self> {
        if text.len() > LIMIT {
            return Err(Error::invalid(format!("it is larger than {LIMIT} bytes")));
        }
        let (value, lines) = toml::parse(text)?;
        let warnings = Warnings::with_lines(lines);
        let mut read = Self::read(&Node::root(&value, &warnings), by, false)?;
        read.unknown = warnings.into_vec();
        Ok(read)
    }

    /// Reads a file of ours; `by` is its name.
    ///
    /// # Errors
    ///
    /// It is not valid.
    pub fn read_json(text: &[u8], by: &str) -> Result<Self> {
        document::read(text, LIMIT, |node| Self::read(node, by, true))
    }

    fn read(node: &Node<'_>, by: &str, strict: bool) -> Result<Self> {
        let mut fields = node.fields()?;
        if fields.optional("registries", |_| Ok(()))?.is_some() {
            let what = "it has a table `registries`, as files of version 1 have; \
                        version 2 has tables `[[registry]]`";
            return Err(Error::invalid(what));
        }
        let short = |node: &Node<'_>| {
            Ok(match node.text()? {
                "refuse" => ShortNames::Refuse,
                _ => ShortNames::In(registry(node)?),
            })
        };
        let read = Self {
            search: fields
                .optional("unqualified-search-registries", |node| node.items(registry))?,
            short: fields
                .optional("short-names", short)?
                .map(|short| (short, by.to_owned())),
            enforcing: fields.optional("short-name-mode", enforcing)?.flatten(),
            keepers: fields.optional("credential-helpers", |node| node.items(Keeper::read))?,
            aliases: fields.or_default("aliases", aliases)?,
            rules: fields.or_default("registry", |node| {
                node.items(|node| Rule::read(node, by, strict))
            })?,
            unknown: Vec::new(),
        };
        for (number, rule) in read.rules.iter().enumerate() {
            if read.rules[..number]
                .iter()
                .any(|other| other.prefix == rule.prefix)
            {
                let prefix = quoted(&rule.prefix);
                return Err(Error::invalid(format!("registry {prefix} is there twice")));
            }
        }
        rule::finish(fields, strict)?;
        Ok(read)
    }

    /// Lets another file override this one: setting by setting, name by name, and
    /// registry by registry. What ours says about short names leaves nothing of what
    /// others say about them.
    pub fn add(&mut self, other: Self) {
        if other.short.is_some() {
            self.aliases.clear();
            self.search = None;
            self.short = other.short;
        }
        self.search = other.search.or(self.search.take());
        self.enforcing = other.enforcing.or(self.enforcing);
        self.keepers = other.keepers.or(self.keepers.take());
        self.aliases.extend(other.aliases);
        self.rules
            .retain(|rule| !other.rules.iter().any(|new| new.prefix == rule.prefix));
        self.rules.extend(other.rules);
        self.unknown.extend(other.unknown);
    }

    /// Returns where logins are looked for, in order: in the files with logins if
    /// nobody says anything else.
    pub fn keepers(&self) -> Vec<Keeper> {
        match &self.keepers {
            Some(keepers) => keepers.iter().flatten().cloned().collect(),
            None => vec![Keeper::Files],
        }
    }

    /// Returns what the files say that nobody knows.
    pub fn unknown(&self) -> &[String] {
        &self.unknown
    }

    /// Returns which images a reference can stand for, in the order in which
    /// registries are to be asked for them: one, unless several registries are
    /// searched.
    ///
    /// # Errors
    ///
    /// It has no registry, and that is refused.
    pub fn named(&self, asked: &Asked) -> Result<Vec<Reference>> {
        let Some(short) = asked.short() else {
            return Ok(vec![asked.usual().clone()]);
        };
        let shown = quoted(short);
        if let Some(name) = self.aliases.get(short).filter(|name| !name.is_empty()) {
            return asked.called(name).map(|image| vec![image]);
        }
        let search = self.search.as_deref().unwrap_or_default();
        let several = |registries: &[String]| {
            let called = |registry| asked.called(&format!("{registry}/{short}"));
            registries.iter().map(called).collect()
        };
        match &self.short {
            Some((ShortNames::In(registry), _)) => several(std::slice::from_ref(registry)),
            Some((ShortNames::Refuse, by)) => {
                let why = format!("{} refuses that", quoted(by));
                Err(unnamed(&shown).because(why).hint(NAME_IT))
            }
            None if search.is_empty() => Ok(vec![asked.usual().clone()]),
            None if search.len() > 1 && self.enforcing == Some(true) => {
                let registries: Vec<String> = search.iter().map(|one| quoted(one)).collect();
                let why = format!("it could be in {}", registries.join(" or "));
                Err(unnamed(&shown).because(why).hint(NAME_IT))
            }
            None => several(search),
        }
    }

    /// Returns the places to fetch an image from, in order: mirrors, then the place
    /// where it is by its name, or where that is said to be.
    ///
    /// # Errors
    ///
    /// The image may not be fetched; a place makes no reference.
    pub fn sources(&self, image: &Reference) -> Result<Vec<Source>> {
        let whole = image.to_string();
        match self.rule(&whole) {
            Some(rule) => rule.sources(image, &whole),
            None => Ok(vec![Source::itself(image, false)]),
        }
    }

    /// Returns the place that the name of an image says, for what is sent there.
    ///
    /// # Errors
    ///
    /// The registry may not be used.
    pub fn itself(&self, image: &Reference) -> Result<Source> {
        let whole = image.to_string();
        let Some(rule) = self.rule(&whole) else {
            return Ok(Source::itself(image, false));
        };
        rule.check(&whole)?;
        Ok(Source::itself(image, rule.insecure))
    }

    /// Returns whether a registry as a whole may be asked without encryption and
    /// without checking its certificate.
    pub fn is_insecure(&self, registry: &str) -> bool {
        // As any image there.
        let rule = self.rule(&format!("{registry}/"));
        rule.is_some_and(|rule| rule.insecure)
    }

    /// Returns the rule with the longest prefix of a name.
    fn rule(&self, whole: &str) -> Option<&Rule> {
        let rules = self.rules.iter();
        let fitting = rules.filter(|rule| rule.rest(whole).is_some());
        fitting.max_by_key(|rule| rule.prefix.len())
    }
}

/// Reads a registry of names without one.
fn registry(node: &Node<'_>) -> Result<String> {
    let registry = node.parsed(Reference::parse_registry)?;
    // One without a dot or a port cannot be told from a part of a name.
    match Reference::parse(&format!("{registry}/a"), &ShortNames::Refuse) {
        Ok(_) => Ok(registry),
        Err(_) => Err(node.fault(format!("{} is not a registry", quoted(&registry)))),
    }
}

fn unnamed(shown: &str) -> Error {
    Error::usage(format!("image {shown} does not name a registry"))
}

fn enforcing(node: &Node<'_>) -> Result<Option<bool>> {
    match node.text()? {
        "" => Ok(None),
        "enforcing" => Ok(Some(true)),
        // Nobody is ever asked which one is meant.
        "permissive" | "disabled" => Ok(Some(false)),
        other => Err(node.fault(format!(
            "{} is not `enforcing`, `permissive` or `disabled`",
            quoted(other)
        ))),
    }
}

fn aliases(node: &Node<'_>) -> Result<BTreeMap<String, String>> {
    let mut aliases = BTreeMap::new();
    for (key, node) in node.entries()? {
        let name = node.text()?;
        node.attributed(Asked::parse(key).and_then(|asked| match asked.short() {
            Some(short) if short == key => Ok(()),
            _ => Err(Error::invalid(format!(
                "{} is not a short name",
                quoted(key)
            ))),
        }))?;
        if !name.is_empty() {
            node.attributed(Reference::parse(name, &ShortNames::Refuse))?;
            let last = name.rsplit('/').next().unwrap_or_default();
            if last.contains([':', '@']) {
                let shown = quoted(name);
                return Err(node.fault(format!("{shown} has a tag or a digest")));
            }
        }
        aliases.insert(key.to_owned(), name.to_owned());
    }
    Ok(aliases)
}

#[cfg(test)]
#[path = "registries_tests.rs"]
mod tests;
