//! Keeps a process from taking more than a small share of a processor, whatever
//! others want of it.
//!
//! The process is outside of the pod that it works for, and so of its limits;
//! in the pod's groups it would be frozen with it, or be killed for what an app
//! has taken of the memory.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// How much it may take at once.
const BURST: Duration = Duration::from_millis(50);

/// Beyond that, one part of so many of the time that passes.
const SHARE: u32 = 20;

/// How much it has taken, and not yet made up for by waiting.
pub(crate) struct Pace {
    owed: Duration,
    looked: Instant,
    used: Duration,
}

impl Pace {
    /// Begins now.
    pub(crate) fn begin() -> Self {
        Self {
            owed: Duration::ZERO,
            looked: Instant::now(),
            used: used(),
        }
    }

    /// Waits as long as the process has taken too much.
    pub(crate) fn keep(&mut self) {
        let rest = self.rest(Instant::now(), used());
        if !rest.is_zero() {
            std::thread::sleep(rest);
        }
    }

    /// Returns how long to wait, at a time at which so much has been used.
    fn rest(&mut self, now: Instant, used: Duration) -> Duration {
        let passed = now.saturating_duration_since(self.looked);
        self.owed = self.owed.saturating_sub(passed / SHARE) + used.saturating_sub(self.used);
        self.looked = now;
        self.used = used;
        self.owed.saturating_sub(BURST) * SHARE
    }
}

/// The time of all processors that this process has used.
fn used() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(used).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn no_time_without_work_gives_more_than_one_burst() {
        let mut pace = Pace::begin();
        let (begun, before) = (pace.looked, pace.used);
        // A day without work, and then all at once.
        let now = begun + Duration::from_secs(86_400);
        assert_eq!(pace.rest(now, before + 50 * MS), Duration::ZERO);
        assert_eq!(pace.rest(now, before + 60 * MS), 200 * MS);
    }

    #[test]
    fn who_works_all_the_time_gets_a_twentieth() {
        let mut pace = Pace::begin();
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
