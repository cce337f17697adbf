//! Timers that are descriptors, and that every process has which inherits them
//! (timerfd_create(2)). Their clock is one that nobody can set.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};

/// What to say if there is none.
pub(crate) const CANNOT: &str = "cannot create a timer";

/// Makes one that runs for a while.
///
/// # Errors
///
/// The kernel refuses.
pub(crate) fn running(time: Duration) -> std::io::Result<OwnedFd> {
    let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC)?;
    set(&timer, time)?;
    Ok(timer)
}

/// Makes one that has expired, or is about to.
///
/// # Errors
///
/// The kernel refuses.
pub(crate) fn elapsed() -> std::io::Result<OwnedFd> {
    running(Duration::ZERO)
}

/// Lets it begin anew: nothing can be read from it before that time is over.
///
/// # Errors
///
/// It is none.
pub fn set(timer: impl AsFd, time: Duration) -> std::io::Result<()> {
    let once = Itimerspec {
        it_interval: Timespec::default(),
        // Nothing at all would stop it.
        it_value: Timespec::try_from(time.max(Duration::from_nanos(1))).unwrap_or(Timespec {
            tv_sec: i64::MAX,
            tv_nsec: 0,
        }),
    };
    timerfd_settime(timer, TimerfdTimerFlags::empty(), &once)?;
    Ok(())
}

/// Returns the time of that clock.
pub fn now() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap_or_default()
}
