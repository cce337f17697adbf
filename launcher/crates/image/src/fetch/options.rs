//! How images are fetched.

use std::path::PathBuf;

use crate::fetch::http::rate::Rate;
use crate::fetch::insecure::Insecure;
use error::{Error, Result};
use oci::platform::Platform;

/// Whether a stored image is fetched again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PullPolicy {
    /// Images are fetched only if they are not stored.
    #[default]
    New,
    /// Servers are asked whether there is a newer version.
    Update,
    /// Nothing is fetched.
    Never,
}

impl PullPolicy {
    /// Parses `new`, `update` or `never`.
    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "new" => Ok(Self::New),
            "update" => Ok(Self::Update),
            "never" => Ok(Self::Never),
            other => Err(Error::usage(format!(
                "`{other}` is not a valid pull policy: expected `new`, `update` or `never`"
            ))),
        }
    }
}

/// Options for fetching images.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// When to ask servers; `None` is the command's default.
    pub policy: Option<PullPolicy>,
    /// The checks that are skipped.
    pub insecure: Insecure,
    /// Directories with archives, searched before the default ones.
    pub directories: Vec<PathBuf>,
    /// A file with certificates of additional authorities.
    pub ca_file: Option<PathBuf>,
    /// What images must run on, if not on this host.
    pub platform: Option<Platform>,
    /// Whether the layers of OCI images are kept as they are compressed, too.
    pub keep_blobs: bool,
    /// The largest archive, or all compressed layers of an image, in bytes.
    pub max_size: Option<u64>,
    /// How fast downloads may be, all together.
    pub rate: Option<Rate>,
    /// Whether progress is not reported.
    pub quiet: bool,
}
