//! Ends what waits for servers, from another thread.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What those who wait are told with. Clones tell the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<(Mutex<bool>, Condvar)>);

impl Stop {
    fn stopped(&self) -> MutexGuard<'_, bool> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all waiting, now and later.
    pub(crate) fn stop(&self) {
        *self.stopped() = true;
        self.0.1.notify_all();
    }

    /// Tells whether nobody is to wait any more.
    pub(crate) fn is_stopped(&self) -> bool {
        *self.stopped()
    }

    /// Waits for a time, or less.
    pub(crate) fn pause(&self, time: Duration) {
        let waited = self
            .0
            .1
            .wait_timeout_while(self.stopped(), time, |stopped| !*stopped);
        drop(waited);
    }
}
