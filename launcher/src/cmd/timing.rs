//! `--timing`: how long each phase of a run took, on standard error.
//!
//! The launcher's own phases are reported before it becomes `stage1-init`; the
//! rest when that has become the launcher again. What happens between the two is
//! in the report of `stage1-init`, up to when it begins to start the app.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::cmd::line;

/// The phases so far; `None` if nobody asks for them. They are a property of the
/// process, like its standard error.
static CLOCK: Mutex<Option<Clock>> = Mutex::new(None);

struct Clock {
    /// When the last phase ended.
    last: Instant,
    phases: Vec<(&'static str, Duration)>,
}

/// Calls a function if somebody asks for phases.
fn with(change: impl FnOnce(&mut Clock)) {
    let mut clock = CLOCK.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(clock) = clock.as_mut() {
        change(clock);
    }
}

/// Begins to measure; the first phase began at `last`.
pub(crate) fn begin(last: Instant) {
    let phases = Vec::new();
    *CLOCK.lock().unwrap_or_else(PoisonError::into_inner) = Some(Clock { last, phases });
}

/// Returns whether somebody asks for phases.
pub(super) fn is_on() -> bool {
    let mut is_on = false;
    with(|_| is_on = true);
    is_on
}

/// Ends a phase; the next one begins.
pub(crate) fn end(phase: &'static str) {
    with(|clock| {
        let now = Instant::now();
        let took = now.duration_since(clock.last);
        clock.phases.push((phase, took));
        clock.last = now;
    });
}

/// Adds a phase that another process has measured.
pub(super) fn add(phase: &'static str, took: Duration) {
    with(|clock| clock.phases.push((phase, took)));
}

/// Reports all phases.
pub(super) fn report() {
    with(|clock| {
        for (phase, took) in clock.phases.drain(..) {
            let milliseconds = took.as_secs_f64() * 1000.0;
            line(&format!("timing: {phase:<10} {milliseconds:9.3} ms"));
        }
    });
}
