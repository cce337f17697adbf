//! Who tells the service manager how a pod is doing (sd_notify(3)).

use serde::{Deserialize, Serialize};

/// Who says that a pod is ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Speaker {
    /// The launcher, when its apps were started.
    #[default]
    Launcher,
    /// Its app, which also says other things.
    App,
    /// Nobody.
    Nobody,
}

impl Speaker {
    /// Returns whether it is the one if nobody says otherwise.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A service manager that has started the launcher.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manager {
    /// Where it listens: a path, or `@` and an abstract name.
    pub address: String,
    /// How often it wants to hear from the service, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watchdog: Option<u64>,
}

/// Where an app finds the socket that it writes to.
pub const SOCKET: &str = "/dev/notify";
