//! `launcher policy`: shows which images are accepted, and locks names to digests.

use std::io::Write;
use std::path::Path;

use crate::cmd::print;
use crate::cmd::results::Format;
use crate::cmd::table::columns;
use appc::json::Object;
use error::{Error, Kind, Result};
use image::fetch::registries;
use image::store::images::Store;
use image::trust::locks::Locks;
use image::trust::policy::Policy;
use oci::digest::Digest;
use oci::policy::place::Place;
use oci::policy::{Keys, Requirement};
use oci::reference::{Asked, Reference};
use sys::dirs::Dirs;

/// What was asked for.
#[derive(Debug)]
pub(crate) enum Verb {
    /// Show the policy.
    Show,
    /// Lock a name.
    Lock(Asked),
    /// Unlock a name.
    Unlock(Asked),
}

/// Executes the command.
pub(crate) fn run(dir: &Path, verb: &Verb, format: Format, out: &mut dyn Write) -> Result<()> {
    let (image, digest, state) = match verb {
        Verb::Show => return print(out, &show(&Dirs::look(dir)?, format)?),
        Verb::Lock(asked) => {
            let dirs = Dirs::open(dir)?;
            let image = registries::one(asked)?;
            let digest = match image.digest() {
                Some(digest) => digest.clone(),
                None => seen(&dirs, &image)?,
            };
            let image = image.by_tag().ok_or_else(|| {
                let what = format!("image `{image}` has no tag");
                Error::usage(what).hint("a digest stands for one image anyway")
            })?;
            Locks::add(&dirs, &image, &digest)?;
            (image, digest.to_string(), "locked")
        }
        Verb::Unlock(asked) => {
            let image = registries::one(asked)?;
            let digest = Locks::remove(&Dirs::open(dir)?, &image)?;
            (image, digest, "unlocked")
        }
    };
    let object = Object::new()
        .with("image", image.to_string())
        .with("digest", digest.as_str())
        .with("state", state);
    let text = || format!("{state} {image} {digest}\n");
    print(out, &format.spell(text, || object.into()))
}

/// Returns the digest that the stored image of a name had in its registry.
fn seen(dirs: &Dirs, image: &Reference) -> Result<Digest> {
    let store = Store::open(dirs)?;
    let place = Place::registry(image).to_string();
    let found = store.of_registry(image)?;
    let record = found.map(|id| store.record(&id)).transpose()?;
    let mut admitted = record.into_iter().flat_map(|record| record.admitted);
    let digest = admitted.find(|known| known.place == place);
    match digest.and_then(|known| known.digest) {
        Some(digest) => Digest::parse(&digest),
        None => {
            let what = format!("image `{image}` was not fetched, so nobody knows its digest");
            let error = Error::new(Kind::NotFound, what);
            Err(error.hint(format!("`launcher fetch {image}` fetches it")))
        }
    }
}

/// A line of the list.
struct Line {
    /// What it is about.
    scope: String,
    /// What is required.
    requires: Vec<String>,
    /// Who says so.
    from: String,
}

fn show(dirs: &Dirs, format: Format) -> Result<String> {
    let locks = Locks::read(dirs)?;
    let locked = locks.iter().map(|(name, digest)| Line {
        scope: format!("docker:{name}"),
        requires: vec![format!("digest {digest}")],
        from: "launcher policy lock".to_owned(),
    });
    let mut lines: Vec<Line> = locked.collect();
    let policy = Policy::open(dirs, false)?;
    match policy.file() {
        Some((path, policy)) => lines.extend(policy.all().map(|(which, requirements)| Line {
            scope: which.to_string(),
            requires: requirements.iter().map(describe).collect(),
            from: path.display().to_string(),
        })),
        None => lines.push(Line {
            scope: "default".to_owned(),
            requires: vec!["nothing".to_owned()],
            from: "there is no policy".to_owned(),
        }),
    }
    let table = || {
        let titles = ["SCOPE", "REQUIRES", "FROM"].map(str::to_owned).to_vec();
        let rows = lines.iter().map(|line| {
            let requires = line.requires.join(" and ");
            vec![line.scope.clone(), requires, line.from.clone()]
        });
        columns(&std::iter::once(titles).chain(rows).collect::<Vec<_>>())
    };
    let json = || {
        let objects = lines.iter().map(|line| {
            Object::new()
                .with("scope", line.scope.as_str())
                .with_items("requires", line.requires.iter().map(String::as_str))
                .with("from", line.from.as_str())
        });
        objects.collect()
    };
    Ok(format.spell(table, json))
}

/// Describes a requirement.
fn describe(requirement: &Requirement) -> String {
    match requirement {
        Requirement::Accept => "nothing".to_owned(),
        Requirement::Reject => "what no image has".to_owned(),
        Requirement::Signed(signed) => {
            let (scheme, identity) = (signed.scheme.word(), signed.identity.word());
            let keys = match &signed.keys {
                Keys::Files(files) => files.join(" or "),
                Keys::Data(_) => "keys in it".to_owned(),
            };
            format!("{scheme} by {keys} with {identity}")
        }
    }
}
