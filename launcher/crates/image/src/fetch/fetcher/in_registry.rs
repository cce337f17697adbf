//! Images of registries, and names that can be those of one.

use crate::digest::Digest;
use crate::fetch::discovery::{Attempts, Why};
use crate::fetch::fetcher::Fetch;
use crate::fetch::options::PullPolicy;
use crate::fetch::web::in_vain;
use crate::fetch::{local, oci, registries};
use ::oci::policy::place::Place;
use ::oci::reference::Asked;
use appc::reference::{Name, Reference};
use error::{Error, Kind, Result};

impl Fetch<'_> {
    /// Returns what a name means that both kinds of image can have.
    pub(super) fn short(&self, name: &Name, asked: &Asked) -> Result<Digest> {
        let is_appc = match self.stored(name)? {
            Some(_) => true,
            None => local::find(&self.directories(), name)?.is_some(),
        };
        match is_appc {
            true => self.appc(&Reference::Name(name.clone())),
            false => self.registry(asked),
        }
    }

    /// Returns an image of a registry: the first that there is, if the name does not
    /// say the registry, and several are searched.
    pub(super) fn registry(&self, asked: &Asked) -> Result<Digest> {
        let images = registries::named(asked)?;
        if self.policy != PullPolicy::Update {
            for image in &images {
                let Some(id) = self.store.of_registry(image)? else {
                    continue;
                };
                match self
                    .store
                    .may_run(&id, &Place::registry(image), self.rules()?)
                {
                    // It may be accepted if it is fetched anew.
                    Err(_) if self.policy != PullPolicy::Never => break,
                    allowed => return allowed.map(|()| id),
                }
            }
        }
        if self.policy == PullPolicy::Never {
            let names: Vec<String> = images.iter().map(|image| format!("`{image}`")).collect();
            let names = names.join(" or ");
            let what = format!("image {names} was not found in the store");
            let error = Error::new(Kind::NotFound, what);
            return Err(error.hint("use `--pull-policy=new` to ask the registry as well"));
        }
        let mut attempts = Attempts::default();
        for (number, image) in (1..).zip(&images) {
            self.talk.say(&format!("Fetching: {image}"));
            let note = &mut |note: String| self.talk.say(&note);
            match oci::pull(self.store, image, (self.options, self.rules()?), note) {
                // Only one that says so does not have it.
                Err(error) if error.kind() == Kind::NotFound && images.len() > 1 => {
                    let why = Why::from(&error);
                    if number < images.len() {
                        self.talk
                            .say(&format!("Fetch failed: {image}: {}", why.text));
                    }
                    attempts.add(image.to_string(), why);
                }
                pulled => {
                    let id = pulled?;
                    self.fetched.set(true);
                    return Ok(id);
                }
            }
        }
        Err(in_vain(format!("image `{asked}` was not found"), &attempts))
    }
}
