//! How images are fetched.

use std::path::PathBuf;

use crate::ground::{Error, Result};
use crate::words::insecure::Insecure;

/// When an image is asked for again that is stored already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum PullPolicy {
    /// Only what is not stored is fetched.
    #[default]
    New,
    /// Servers are asked whether they have something else.
    Update,
    /// Nothing is fetched.
    Never,
}

impl PullPolicy {
    /// Reads `new`, `update` or `never`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        match text {
            "new" => Ok(Self::New),
            "update" => Ok(Self::Update),
            "never" => Ok(Self::Never),
            other => Err(Error::usage(format!(
                "`{other}` is no pull policy; it is `new`, `update` or `never`"
            ))),
        }
    }
}

/// What was asked for, apart from the images.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// When to ask servers; `None` is the command's own way.
    pub(crate) policy: Option<PullPolicy>,
    /// What is given up of the checks.
    pub(crate) insecure: Insecure,
    /// Directories of archives, before the usual ones.
    pub(crate) directories: Vec<PathBuf>,
    /// Certificates of further authorities.
    pub(crate) ca_file: Option<PathBuf>,
    /// Nothing is said of what goes on.
    pub(crate) quiet: bool,
}
