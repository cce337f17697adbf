//! How images are fetched.

use std::path::PathBuf;

use crate::fetch::insecure::Insecure;
use error::{Error, Result};

/// When an image is asked for again that is stored already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PullPolicy {
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
    pub fn parse(text: &str) -> Result<Self> {
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
pub struct Options {
    /// When to ask servers; `None` is the command's own way.
    pub policy: Option<PullPolicy>,
    /// What is given up of the checks.
    pub insecure: Insecure,
    /// Directories of archives, before the usual ones.
    pub directories: Vec<PathBuf>,
    /// Certificates of further authorities.
    pub ca_file: Option<PathBuf>,
    /// Nothing is said of what goes on.
    pub quiet: bool,
}
