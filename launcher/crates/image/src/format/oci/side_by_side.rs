//! Does jobs side by side, such that each can wait for those before it. If one fails,
//! the others end as soon as they notice.
//!
//! # Invariants
//!
//! 1. Jobs are begun in order, and wait for earlier ones only. So the first that is
//!    not done waits for nobody, and there is always one that goes on.

use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use error::{Error, Kind, Result};

/// How many jobs are done at a time, at most: as many as there are processors, and
/// no more than this. It bounds the memory, and what a server has to serve at once.
const MOST: usize = 4;

/// The jobs, as each of them sees the others.
pub(crate) struct Jobs<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    /// Whether one has failed.
    failed: Arc<AtomicBool>,
}

struct State<T> {
    /// The next that is to be done.
    next: usize,
    /// What those returned that are done.
    done: Vec<Option<T>>,
    /// Why the first failed that did.
    error: Option<Error>,
}

/// Does so many jobs, and returns what they returned, in order. When one fails, `stop`
/// is called once, which wakes those that wait for something else than jobs.
///
/// # Errors
///
/// The first that happened.
pub(crate) fn side_by_side<T: Clone + Send>(
    count: usize,
    stop: &(dyn Fn() + Sync),
    job: &(dyn Fn(usize, &Jobs<T>) -> Result<T> + Sync),
) -> Result<Vec<T>> {
    let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    with(processors.min(MOST), count, stop, job)
}

fn with<T: Clone + Send>(
    workers: usize,
    count: usize,
    stop: &(dyn Fn() + Sync),
    job: &(dyn Fn(usize, &Jobs<T>) -> Result<T> + Sync),
) -> Result<Vec<T>> {
    let jobs = Jobs {
        state: Mutex::new(State {
            next: 0,
            done: vec![None; count],
            error: None,
        }),
        changed: Condvar::new(),
        failed: Arc::default(),
    };
    let work = || {
        while let Some(number) = jobs.take() {
            let failed = jobs.note(number, job(number, &jobs));
            if failed {
                stop();
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..workers.min(count) {
            let worker = thread::Builder::new().name("layer".to_owned());
            // Those that there are do all of it.
            let _ = worker.spawn_scoped(scope, work);
        }
        work();
    });
    let state = jobs.state.into_inner();
    let state = state.unwrap_or_else(PoisonError::into_inner);
    match state.error {
        Some(error) => Err(error),
        None => Ok(state.done.into_iter().flatten().collect()),
    }
}

impl<T: Clone> Jobs<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the next job.
    fn take(&self) -> Option<usize> {
        let mut state = self.state();
        let number = state.next;
        let is_one = state.error.is_none() && number < state.done.len();
        is_one.then(|| {
            state.next += 1;
            number
        })
    }

    /// Notes the end of a job; returns whether it is the first that failed.
    fn note(&self, number: usize, result: Result<T>) -> bool {
        let mut state = self.state();
        let mut is_first = false;
        match result {
            Ok(value) => state.done[number] = Some(value),
            Err(error) => {
                is_first = state.error.is_none();
                state.error.get_or_insert(error);
                self.failed.store(true, Ordering::Relaxed);
            }
        }
        self.changed.notify_all();
        is_first
    }

    /// Waits until so many of the first jobs are done, and returns what they returned.
    ///
    /// # Errors
    ///
    /// A job has failed.
    pub(crate) fn first(&self, count: usize) -> Result<Vec<T>> {
        let mut state = self.state();
        loop {
            if state.error.is_some() {
                return Err(stopped());
            }
            if let Some(done) = state.done[..count].iter().cloned().collect() {
                return Ok(done);
            }
            let changed = self.changed.wait(state);
            state = changed.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Tells whether a job has failed.
    pub(crate) fn have_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Returns a reader that ends with an error when a job has failed.
    pub(crate) fn reader(&self, input: Box<dyn Read + Send>) -> Box<dyn Read + Send> {
        let failed = Arc::clone(&self.failed);
        Box::new(Stoppable { input, failed })
    }
}

/// What is read as long as no job has failed.
struct Stoppable {
    input: Box<dyn Read + Send>,
    failed: Arc<AtomicBool>,
}

impl Read for Stoppable {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.failed.load(Ordering::Relaxed) {
            true => Err(io::Error::other(stopped())),
            false => self.input.read(buffer),
        }
    }
}

/// The error of those that did not fail themselves, which nobody sees.
fn stopped() -> Error {
    Error::new(Kind::Failed, "something else has failed")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::sync::mpsc::channel;

    #[test]
    fn what_waits_for_those_before_it_gets_what_they_returned() {
        for workers in 1..6 {
            let done = with(workers, 5, &|| {}, &|number, jobs: &Jobs<usize>| {
                let before = jobs.first(number)?;
                Ok(before.iter().sum::<usize>() + 1)
            });
            assert_eq!(done.unwrap(), [1, 2, 4, 8, 16], "{workers} workers");
        }
    }

    #[test]
    fn when_one_fails_the_others_are_stopped_and_its_error_is_the_one() {
        let (begun, begins) = channel();
        let begins = Mutex::new(begins);
        let stops = Mutex::new(0);
        let result = with(3, 100, &|| *stops.lock().unwrap() += 1, &|number,
                                                                     jobs: &Jobs<
            (),
        >| match number {
            // One reads without an end, one waits for it.
            0 => {
                begun.send(()).unwrap();
                let mut input = jobs.reader(Box::new(io::repeat(0)));
                io::copy(&mut input, &mut io::sink()).map_err(|_| stopped())?;
                Ok(())
            }
            1 => {
                begun.send(()).unwrap();
                jobs.first(1).map(drop)
            }
            2 => {
                let begins = begins.lock().unwrap();
                begins.iter().take(2).for_each(drop);
                Err(Error::invalid("two"))
            }
            _ => panic!("this should not have begun"),
        });
        assert_eq!(result.unwrap_err().to_string(), "two");
        assert_eq!(*stops.lock().unwrap(), 1);
    }

    #[test]
    fn as_many_are_done_at_a_time_as_there_are_workers() {
        let all = Barrier::new(3);
        let done = with(3, 3, &|| {}, &|number, _: &Jobs<usize>| {
            all.wait();
            Ok(number)
        });
        assert_eq!(done.unwrap(), [0, 1, 2]);
    }
}
