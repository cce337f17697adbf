//! The host's clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Returns the seconds since 1970.
pub fn seconds() -> u64 {
    since_1970().as_secs()
}

/// Returns the nanoseconds since 1970: two processes seldom share one.
pub fn nanoseconds() -> u64 {
    u64::try_from(since_1970().as_nanos()).unwrap_or(u64::MAX)
}

/// A clock that is set to a time before 1970 counts as 1970.
fn since_1970() -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default()
}
