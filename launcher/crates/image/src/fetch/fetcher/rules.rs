//! OCI images of files, and the policy that all have to pass.

use crate::digest::Digest;
use crate::fetch::fetcher::Fetch;
use crate::fetch::oci;
use crate::reference::Local;
use crate::trust::policy::Policy;
use error::Result;

impl Fetch<'_> {
    /// Returns an image of a file.
    pub(super) fn local(&self, local: &Local) -> Result<Digest> {
        let note = &mut |note: String| self.talk.say(&note);
        let how = (self.options, self.rules()?);
        oci::take(self.store, self.dirs, local, how, note)
    }

    /// Decides whether an image that is stored may be run, whatever it was asked for
    /// by.
    ///
    /// # Errors
    ///
    /// The policy does not accept it, or cannot be read.
    pub fn may_be_run(&self, id: &Digest) -> Result<()> {
        self.store.may_be_run(id, &|| self.rules())
    }

    /// Returns the policy for OCI images.
    pub(super) fn rules(&self) -> Result<&Policy> {
        if let Some(rules) = self.rules.get() {
            return Ok(rules);
        }
        let rules = Policy::open(self.dirs, self.options.insecure.image)?;
        Ok(self.rules.get_or_init(|| rules))
    }
}
