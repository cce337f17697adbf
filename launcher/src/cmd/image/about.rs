//! `launcher image inspect` and `launcher image history`: what is known of an image.

use std::io::Write;

use crate::cmd::print;
use crate::cmd::results::{Format, Results};
use crate::cmd::table::{age, columns};
use appc::json::{self, Object, Value};
use appc::types::{read_time, spell_time};
use error::{Error, Result};
use image::digest::Digest;
use image::store::images::Store;
use oci::config::Step;
use sys::size;

/// Shows all that is known of an image.
pub(super) fn inspect(store: &Store<'_>, id: &Digest, results: &mut Results<'_>) -> Result<()> {
    let record = store.record(id)?;
    let oci = store.oci(id)?;
    let names = match &oci {
        Some(_) => store.names()?.remove(id).unwrap_or_default(),
        None => store.aci(id)?.map_or_else(Vec::new, |image| {
            vec![image.manifest().name.as_str().to_owned()]
        }),
    };
    let mut manifests = Vec::new();
    for known in store.manifests(id)? {
        let mut kept = true;
        for layer in &known.manifest.layers {
            kept = kept && store.keeps(&Digest::from(&layer.digest))?;
        }
        manifests.push(
            Object::new()
                .with("digest", known.descriptor.digest.to_string())
                .with("media_type", known.descriptor.media_type.as_str())
                .with_some("index", known.index)
                .with("blobs_kept", kept),
        );
    }
    let layers = store.layers(id)?.into_iter().rev();
    let object = Object::new()
        .with("id", id.to_string())
        .with("format", if oci.is_some() { "oci" } else { "aci" })
        .with("names", names.into_iter().collect::<Value>())
        .with("from", record.from)
        .with("accepted_by", record.by)
        .with("size", record.size)
        .with("import_time", spell_time(record.stored))
        .with_items("manifests", manifests)
        .with_items("layers", layers.map(|layer| layer.to_string()))
        .with("manifest", json::parse(&store.manifest(id)?)?);
    let value: Value = object.into();
    results.add_value(&format!("{value:#}"), value)
}

/// Shows how an image was made, the last step first.
pub(super) fn history(
    store: &Store<'_>,
    id: &Digest,
    format: Format,
    out: &mut dyn Write,
) -> Result<()> {
    let Some(image) = store.oci(id)? else {
        let what = format!("image `{}` has no history", id.short());
        return Err(Error::invalid(what).hint("only OCI images say how they were made"));
    };
    let steps = &image.config.history;
    let count = steps.iter().filter(|step| !step.empty_layer).count();
    // What does not fit says nothing.
    let mut layers = match count == image.layers.len() {
        true => image.layers.iter(),
        false => [].iter(),
    };
    let mut rows: Vec<(&Step, Option<u64>)> = Vec::new();
    for step in steps {
        let layer = match step.empty_layer {
            true => None,
            false => layers.next(),
        };
        let size = layer.map(|layer| store.layer_usage(layer)).transpose()?;
        rows.push((step, size));
    }
    rows.reverse();
    let json = || {
        rows.iter()
            .map(|(step, size)| object(step, *size))
            .collect()
    };
    print(out, &format.spell(|| table(&rows), json))
}

fn object(step: &Step, size: Option<u64>) -> Object {
    Object::new()
        .with_some("created", step.created.as_deref())
        .with_some("created_by", step.created_by.as_deref())
        .with_some("author", step.author.as_deref())
        .with_some("comment", step.comment.as_deref())
        .with("empty_layer", step.empty_layer)
        .with_some("size", size)
}

fn table(rows: &[(&Step, Option<u64>)]) -> String {
    let titles = ["CREATED", "SIZE", "CREATED BY", "COMMENT"];
    let mut lines = vec![titles.map(str::to_owned).to_vec()];
    for (step, size) in rows {
        let created = step.created.as_deref();
        let created = created.and_then(|time| read_time(time).ok());
        // Times of reading are in nanoseconds.
        let created = created.map_or_else(String::new, |time| age(time / 1_000_000_000));
        let size = size.map_or_else(|| "-".to_owned(), size::spell);
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        lines.push(vec![
            created,
            size,
            text(&step.created_by),
            text(&step.comment),
        ]);
    }
    columns(&lines)
}
