//! `launcher image list`: all images, as a table or as JSON.

use std::collections::BTreeMap;
use std::io::Write;

use crate::cmd::results::Format;
use crate::cmd::table::{age, columns};
use crate::cmd::{complain, print};
use appc::json::Object;
use appc::types::spell_time;
use error::{Error, Result};
use image::digest::{Algorithm, Digest};
use image::store::images::Store;
use image::store::listing::Listed;
use sys::size;

/// The options.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Listing {
    /// The columns of a table.
    pub(crate) fields: Vec<Field>,
    /// The column to sort by.
    pub(crate) sort: Field,
    /// Sort in descending order.
    pub(crate) descending: bool,
    /// Show full IDs, exact sizes and times.
    pub(crate) full: bool,
    /// Print the column titles.
    pub(crate) legend: bool,
}

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// Its ID.
    Id,
    /// Its name, a colon and its version.
    Name,
    /// The size of its archive.
    Size,
    /// When it was stored.
    ImportTime,
    /// When it was last used.
    LastUsed,
    /// Why it was accepted or, in full, who vouched for it.
    Trust,
}

impl Field {
    /// All columns, in order.
    pub(crate) const ALL: [Self; 6] = [
        Self::Id,
        Self::Name,
        Self::Size,
        Self::ImportTime,
        Self::LastUsed,
        Self::Trust,
    ];

    /// Parses the name of a column.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let is_it = |field: &&Self| field.name() == text;
        Self::ALL.iter().find(is_it).copied().ok_or_else(|| {
            Error::usage(format!(
                "`{text}` is not a field: use `id`, `name`, `size`, `importtime`, `lastused` or `trust`"
            ))
        })
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Name => "name",
            Self::Size => "size",
            Self::ImportTime => "importtime",
            Self::LastUsed => "lastused",
            Self::Trust => "trust",
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Id => "ID",
            Self::Name => "NAME",
            Self::Size => "SIZE",
            Self::ImportTime => "IMPORT TIME",
            Self::LastUsed => "LAST USED",
            Self::Trust => "TRUST",
        }
    }
}

/// Prints the list.
pub(super) fn run(
    store: &Store<'_>,
    listing: &Listing,
    format: Format,
    out: &mut dyn Write,
) -> Result<()> {
    let (mut rows, bad) = rows(store)?;
    rows.sort_by(|a, b| match listing.sort {
        Field::Id => a.id.cmp(&b.id),
        Field::Name => a.shown_name().cmp(&b.shown_name()),
        Field::Size => a.image.size.cmp(&b.image.size),
        Field::ImportTime => a.image.stored.cmp(&b.image.stored),
        Field::LastUsed => a.image.used.cmp(&b.image.used),
        Field::Trust => a.image.grounds.cmp(&b.image.grounds),
    });
    if listing.descending {
        rows.reverse();
    }
    let json = || rows.iter().map(Row::json).collect();
    print(out, &format.spell(|| table(&rows, listing), json))?;
    match bad {
        0 => Ok(()),
        1 => Err(Error::invalid("one image cannot be listed")),
        many => Err(Error::invalid(format!("{many} images cannot be listed"))),
    }
}

/// A row: an image under one of its names.
#[derive(Clone)]
pub(super) struct Row {
    /// Its ID.
    pub(super) id: Digest,
    /// Its name, without the version.
    pub(super) name: String,
    /// The version or tag.
    version: Option<String>,
    /// Whether it has this name now.
    pub(super) is_named: bool,
    /// What else is listed of it.
    pub(super) image: Listed,
}

/// Reads all images. Reports damaged ones, continues with the others, and
/// returns how many are damaged.
pub(super) fn rows(store: &Store<'_>) -> Result<(Vec<Row>, u32)> {
    let mut rows = Vec::new();
    let mut bad = 0;
    let links = store.links()?;
    let ids = store.ids()?;
    // Only these have names that are not in them.
    let names = match ids.iter().any(|id| id.algorithm() == Algorithm::Sha256) {
        true => store.names()?,
        false => BTreeMap::new(),
    };
    for id in ids {
        let listed = match links.read(&id) {
            Some(listed) => Ok(Some(listed)),
            None => examine(store, &id),
        };
        match listed {
            Ok(Some(image)) => rows.extend(Row::all(id, image, names.get(&id))),
            // It was removed after it was listed.
            Ok(None) => {}
            Err(error) => {
                complain(&error);
                bad += 1;
            }
        }
    }
    Ok((rows, bad))
}

/// Reads the files of an image, and checks them.
fn examine(store: &Store<'_>, id: &Digest) -> Result<Option<Listed>> {
    if let Some(image) = store.oci(id)? {
        let record = store.record(id)?;
        let (name, version) = record.name_and_version().unwrap_or((&image.name, None));
        return Ok(Some(Listed {
            name: name.to_owned(),
            version: version.map(str::to_owned),
            size: record.size,
            stored: record.stored,
            grounds: record.grounds,
            by: record.by,
            used: store.last_used(id)?,
        }));
    }
    let Some(image) = store.aci(id)? else {
        return match store.contains(id)? {
            true => Err(Error::invalid(format!(
                "image `{}` has no manifest",
                id.short()
            ))),
            false => Ok(None),
        };
    };
    let record = store.record(id)?;
    Ok(Some(Listed {
        name: image.manifest().name.as_str().to_owned(),
        version: image.manifest().labels.get("version").map(str::to_owned),
        size: record.size,
        stored: record.stored,
        grounds: record.grounds,
        by: record.by,
        used: store.last_used(id)?,
    }))
}

impl Row {
    /// Returns a row for each name of an image, and one for an image that has lost
    /// its name.
    fn all(id: Digest, image: Listed, names: Option<&Vec<String>>) -> Vec<Self> {
        let row = |name: &str, version: Option<&str>, is_named| Self {
            id,
            name: name.to_owned(),
            version: version.map(str::to_owned),
            is_named,
            image: image.clone(),
        };
        if id.algorithm() != Algorithm::Sha256 {
            return vec![row(&image.name, image.version.as_deref(), true)];
        }
        let Some(names) = names else {
            return vec![row("<none>", None, false)];
        };
        let names = names.iter().map(|name| match name.rsplit_once(':') {
            Some((before, tag)) if !tag.contains('/') => row(before, Some(tag), true),
            _ => row(name, None, true),
        });
        names.collect()
    }

    /// Returns its name, a colon and its version.
    pub(super) fn shown_name(&self) -> String {
        match &self.version {
            Some(version) => format!("{}:{version}", self.name),
            None => self.name.clone(),
        }
    }

    /// Sizes are in bytes, times are text as in RFC 3339.
    fn json(&self) -> Object {
        Object::new()
            .with("id", self.id.to_string())
            .with("name", self.name.as_str())
            .with_some("version", self.version.as_deref())
            .with("import_time", spell_time(self.image.stored))
            .with("last_used_time", spell_time(self.image.used))
            .with("size", self.image.size)
            .with("trust", self.image.grounds.word())
            .with("trusted_by", self.image.by.as_str())
    }

    fn cell(&self, field: Field, full: bool) -> String {
        match (field, full) {
            (Field::Id, true) => self.id.to_string(),
            (Field::Id, false) => {
                let id = self.id.to_string();
                id.chars().take("sha512-".len() + 12).collect()
            }
            (Field::Name, _) => self.shown_name(),
            (Field::Size, true) => self.image.size.to_string(),
            (Field::Size, false) => size::spell(self.image.size),
            (Field::ImportTime, true) => spell_time(self.image.stored),
            (Field::ImportTime, false) => age(self.image.stored),
            (Field::LastUsed, true) => spell_time(self.image.used),
            (Field::LastUsed, false) => age(self.image.used),
            (Field::Trust, true) => self.image.by.clone(),
            (Field::Trust, false) => self.image.grounds.word().to_owned(),
        }
    }
}

/// Formats rows as a table.
fn table(rows: &[Row], listing: &Listing) -> String {
    let mut lines: Vec<Vec<String>> = Vec::new();
    if listing.legend {
        let titles = listing.fields.iter().map(|field| field.title().to_owned());
        lines.push(titles.collect());
    }
    for row in rows {
        let cells = listing.fields.iter();
        lines.push(cells.map(|field| row.cell(*field, listing.full)).collect());
    }
    columns(&lines)
}
