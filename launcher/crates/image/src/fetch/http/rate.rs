//! How fast downloads may be, all of them together.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What may arrive at once after a pause, as the time that it would take.
const BURST: Duration = Duration::from_millis(100);

/// A number of bytes a second, which all clones share: a bucket that fills with time.
#[derive(Clone, Debug)]
pub struct Rate {
    per_second: u64,
    /// When what has arrived was due.
    due: Arc<Mutex<Option<Instant>>>,
}

impl Rate {
    /// Allows so many bytes a second, but not none.
    pub fn new(per_second: u64) -> Self {
        Self {
            per_second: per_second.max(1),
            due: Arc::default(),
        }
    }

    /// Counts bytes that have arrived now; returns how long to wait for the next.
    pub(crate) fn count(&self, bytes: usize, now: Instant) -> Duration {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let nanoseconds = bytes as u128 * 1_000_000_000 / u128::from(self.per_second);
        let time = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
        let earliest = now.checked_sub(BURST).unwrap_or(now);
        let last = due.map_or(earliest, |due| due.max(earliest));
        let next = last.checked_add(time).unwrap_or(last);
        *due = Some(next);
        next.saturating_duration_since(now)
    }
}

impl PartialEq for Rate {
    fn eq(&self, other: &Self) -> bool {
        self.per_second == other.per_second
    }
}

impl Eq for Rate {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_share_a_rate_wait_for_what_each_of_them_gets() {
        let (one, now) = (Rate::new(1000), Instant::now());
        let other = one.clone();
        let second = Duration::from_secs(1);
        assert_eq!(one.count(1000, now), second - BURST);
        assert_eq!(other.count(1000, now), 2 * second - BURST);
        // Who has waited has paid.
        assert_eq!(one.count(500, now + 2 * second), second / 2 - BURST);
    }

    #[test]
    fn time_that_nobody_used_is_not_saved_up() {
        let (rate, now) = (Rate::new(1000), Instant::now());
        rate.count(10, now);
        let later = now + Duration::from_secs(3600);
        assert_eq!(rate.count(1000, later), Duration::from_secs(1) - BURST);
    }

    #[test]
    fn no_number_is_too_large_or_too_small() {
        let now = Instant::now();
        assert_eq!(
            Rate::new(u64::MAX).count(usize::MAX, now),
            Duration::from_secs(1) - BURST
        );
        assert!(Rate::new(0).count(usize::MAX, now) > Duration::from_secs(1 << 30));
    }
}
