//! Certificates for one server only.

use std::path::PathBuf;

use crate::fetch::http::url::Url;

/// Whom to believe to be a server, and what proves to it who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Certificates {
    /// The server, by any URL of it.
    pub(crate) server: Url,
    /// Files of authorities that are trusted for it besides the usual ones.
    pub(crate) authorities: Vec<PathBuf>,
    /// The files of our own certificate, and of its key.
    pub(crate) own: Option<(PathBuf, PathBuf)>,
}

impl Certificates {
    /// Returns whether they count for the server of a URL. Nobody that it sends us
    /// to gets to know who we are.
    #[cfg(any(test, feature = "tls"))]
    pub(crate) fn are_for(&self, url: &Url) -> bool {
        let place = |url: &Url| (url.secure, url.host.clone(), url.port);
        place(&self.server) == place(url)
    }
}
