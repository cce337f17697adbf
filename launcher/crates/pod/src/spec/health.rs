//! How to find out whether an app works, and what to do if it does not.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How to find out whether an app works. Times are in nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    /// A program with its arguments, which the app executes as a command that enters
    /// it does; at least one word. The app works if it succeeds.
    pub argv: Vec<String>,
    /// How long to wait from one check to the next.
    pub interval: u64,
    /// How long a check may take.
    pub timeout: u64,
    /// How many failures in a row count.
    pub retries: u32,
    /// How long checks may fail after the start.
    pub start_period: u64,
    /// How long to wait from one check to the next in that time.
    pub start_interval: u64,
}

impl HealthCheck {
    /// Returns how long a check may take.
    pub const fn time(&self) -> Duration {
        Duration::from_nanos(self.timeout)
    }
}

/// What to do when an app becomes unhealthy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnUnhealthy {
    /// Nothing but to tell.
    #[default]
    Nothing,
    /// Kill the pod.
    Kill,
    /// Kill it, and start it again.
    Restart,
}

impl OnUnhealthy {
    /// Returns whether it is the one if nobody says otherwise.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
