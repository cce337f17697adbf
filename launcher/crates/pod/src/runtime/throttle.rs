//! Keeps a process from using more than a small share of a processor, whatever
//! is asked of it.
//!
//! The process works for a pod but is outside of it, so the pod's limits do not
//! apply to it; in the pod's groups it would be frozen with the pod, or be
//! killed when an app has used up the memory.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// How much processor time it may use at once.
const BURST: Duration = Duration::from_millis(50);

/// Beyond that, it may use one part in this many of the elapsed time.
const SHARE: u32 = 20;

/// How much processor time was used and not yet made up for by waiting.
pub(crate) struct Throttle {
    owed: Duration,
    looked: Instant,
    used: Duration,
}

impl Throttle {
    /// Starts now.
    pub(crate) fn begin() -> Self {
        Self {
            owed: Duration::ZERO,
            looked: Instant::now(),
            used: used(),
        }
    }

    /// Waits until the process is within its share again.
    pub(crate) fn keep(&mut self) {
        let rest = self.rest(Instant::now(), used());
        if !rest.is_zero() {
            std::thread::sleep(rest);
        }
    }

    /// Returns how long to wait, given the time and the processor time used so
    /// far.
    fn rest(&mut self, now: Instant, used: Duration) -> Duration {
        let passed = now.saturating_duration_since(self.looked);
        self.owed = self.owed.saturating_sub(passed / SHARE) + used.saturating_sub(self.used);
        self.looked = now;
        self.used = used;
        self.owed.saturating_sub(BURST) * SHARE
    }
}

/// Returns the processor time that this process has used.
fn used() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(used).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn idle_time_earns_one_burst_at_most() {
        let mut pace = Throttle::begin();
        let (begun, before) = (pace.looked, pace.used);
        // A day without work, then all at once.
        let now = begun + Duration::from_secs(86_400);
        assert_eq!(pace.rest(now, before + 50 * MS), Duration::ZERO);
        assert_eq!(pace.rest(now, before + 60 * MS), 200 * MS);
    }

    #[test]
    fn constant_work_gets_a_twentieth() {
        let mut pace = Throttle::begin();
        let (mut now, mut used) = (pace.looked, pace.used);
        let begun = (now, used);
        for _ in 0..1000 {
            now += 3 * MS;
            used += 3 * MS;
            now += pace.rest(now, used);
        }
        let (passed, used) = (now - begun.0, used - begun.1);
        assert!(
            used <= passed / 20 + BURST + 3 * MS,
            "{used:?} of {passed:?}"
        );
        assert!(used >= passed / 20, "{used:?} of {passed:?}");
    }
}
