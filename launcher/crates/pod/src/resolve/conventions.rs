//! Where the formats of images differ in how an app is run. What they have in
//! common is in the terms of App Container.

use oci::config::Healthcheck;

/// How the images of a format are run. The default is that of App Container
/// images.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conventions {
    /// The words of its command that the caller's arguments do not replace. If it
    /// is `None`, they are appended to the whole command.
    pub fixed: Option<usize>,
    /// Whether its user is in the groups of its account, since the image names
    /// none.
    pub account_groups: bool,
    /// Whether a mount point without a volume is part of the image's files.
    pub part_of_root: bool,
    /// Whether its app finds the name of its host in `HOSTNAME`.
    pub names_host: bool,
    /// Whether the image cannot say which ports of its app are to be open when
    /// it starts.
    pub never_activates: bool,
    /// The signal that asks the app to end.
    pub stop_signal: Option<String>,
    /// How to find out whether the app works, if the image says so.
    pub health: Option<Healthcheck>,
    /// What runs a check that is a line, if the image says so.
    pub shell: Vec<String>,
    /// Directories that the app finds, even if the image lacks them.
    pub directories: Vec<String>,
}
