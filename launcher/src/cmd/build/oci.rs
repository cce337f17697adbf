//! `launcher image build` of OCI images: a layer of a directory or a tar, alone or
//! upon the layers of an image that is stored.

use std::io::{self, Write};
use std::path::Path;

use crate::cmd::build::source::{Opened, Source};
use crate::cmd::image::{Place, deliver};
use crate::cmd::{print, say};
use appc::types::spell_time;
use error::{Context as _, Error, Result};
use image::digest::Digest;
use image::fetch::options::Options;
use image::format::oci::outgoing::Outgoing;
use image::format::pack::Pack;
use image::format::repack;
use image::store::images::Store;
use oci::config::{Healthcheck, ImageConfig, RunConfig, Step};
use oci::platform::Platform;
use oci::port::Port;
use oci::user::User;
use pod::runtime::export;
use sys::dirs::Dirs;

/// What an OCI image is to be.
#[derive(Debug, Default)]
pub(crate) struct OciImage {
    /// What it is called.
    pub(crate) name: String,
    /// The image that it is made from.
    pub(crate) from: Option<String>,
    /// Where it goes; without a place, it is stored.
    pub(crate) place: Option<Place>,
    /// The program.
    pub(crate) entrypoint: Option<String>,
    /// The arguments, or the program with them.
    pub(crate) cmd: Vec<String>,
    /// As whom it is run.
    pub(crate) user: Option<User>,
    /// Where it is run.
    pub(crate) working_dir: Option<String>,
    /// Variables.
    pub(crate) env: Vec<(String, String)>,
    /// Directories that are not part of the image.
    pub(crate) volumes: Vec<String>,
    /// Ports that it listens on.
    pub(crate) ports: Vec<Port>,
    /// Its metadata.
    pub(crate) labels: Vec<(String, String)>,
    /// What stops it.
    pub(crate) stop_signal: Option<String>,
    /// How to find out whether it works.
    pub(crate) healthcheck: Option<Healthcheck>,
}

/// Builds the image, and prints its ID.
pub(super) fn run(
    dir: &Path,
    source: &Source,
    overwrite: bool,
    wanted: &OciImage,
    out: &mut dyn Write,
) -> Result<()> {
    let dirs = match wanted.place {
        None => Dirs::open(dir)?,
        Some(_) => Dirs::look(dir)?,
    };
    let store = Store::open(&dirs)?;
    store.allow(source.growth);
    let (name, from) = (&wanted.name, source.path.display());
    let what = || format!("cannot build image `{name}` from `{from}`");
    let note = &mut |note: String| say(&[note]);
    let mut config = ImageConfig {
        platform: Some(Platform::of_host(
            host().machine().to_string_lossy().as_ref(),
            "",
        )),
        ..ImageConfig::default()
    };
    let mut base = None;
    if let Some(from) = &wanted.from {
        let id = store.named(from)?;
        store.hold(&id)?;
        let found = store.oci(&id)?;
        config = found
            .ok_or_else(|| Error::invalid(format!("image `{from}` is not an OCI image")))?
            .config;
        base = Some(Outgoing::stored(&store, &id).context(what)?);
    }
    let instead = source.instead()?;
    let layer = layer(source, &store, base.is_some()).context(what)?;
    let created = instead.latest.and_then(|time| u64::try_from(time).ok());
    let created = created.map(spell_time);
    config.history.push(Step {
        created: created.clone(),
        created_by: Some("launcher image build".to_owned()),
        ..Step::default()
    });
    config.created = created;
    change(&mut config.run, wanted);
    let image = Outgoing::made(&store, name.clone(), base, layer, config).context(what)?;
    let id = match &wanted.place {
        None => image.store(source.path.display().to_string(), note)?,
        Some(place) => {
            deliver(&image, place, overwrite, &Options::default())?;
            image.id()
        }
    };
    print(out, &format!("{id}\n"))
}

fn host() -> rustix::system::Uname {
    rustix::system::uname()
}

/// Packs the layer. Upon others, it leaves the root as they have it.
fn layer(source: &Source, store: &Store<'_>, is_upon: bool) -> Result<(std::fs::File, Digest)> {
    let tar = store.temporary()?;
    let mut out = io::BufWriter::with_capacity(256 << 10, &tar);
    let mut pack = Pack::layer(&mut out, "cannot write a temporary file", source.instead()?);
    if is_upon {
        pack = pack.without_root();
    }
    let note = &mut |note: String| say(&[note]);
    match source.open()? {
        Opened::Directory(root) => {
            export::pack(&root, &mut pack, note)?;
        }
        Opened::Tar(input) => repack::tar(input, source.growth, &mut pack, note)?,
    }
    let digest = pack.finish()?;
    drop(out);
    Ok((tar, digest))
}

/// Changes what the image below runs.
fn change(run: &mut RunConfig, wanted: &OciImage) {
    if let Some(program) = &wanted.entrypoint {
        run.entrypoint = vec![program.clone()];
        // They were meant for another program.
        run.cmd.clear();
    }
    if !wanted.cmd.is_empty() {
        run.cmd.clone_from(&wanted.cmd);
    }
    if let Some(user) = &wanted.user {
        run.user = user.clone();
    }
    if let Some(directory) = &wanted.working_dir {
        run.working_dir.clone_from(directory);
    }
    for (name, value) in &wanted.env {
        run.env.retain(|(known, _)| known != name);
        run.env.push((name.clone(), value.clone()));
    }
    run.volumes.extend(wanted.volumes.iter().cloned());
    run.ports.extend(wanted.ports.iter().cloned());
    run.labels.extend(wanted.labels.iter().cloned());
    if let Some(signal) = &wanted.stop_signal {
        run.stop_signal = Some(signal.clone());
    }
    if let Some(check) = &wanted.healthcheck {
        run.healthcheck = Some(check.clone());
    }
}
