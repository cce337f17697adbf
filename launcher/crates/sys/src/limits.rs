//! The resource limits of this process (setrlimit(2)).
//!
//! The caller's soft limits are meant for its programs, and an app gets them as
//! they are. They must not keep a launcher from storing an image, or from
//! opening what a pod needs.

use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, Signal};

use crate::signals;

/// Those that a launcher may reach.
const RAISED: [Resource; 6] = [
    Resource::As,
    Resource::Cpu,
    Resource::Data,
    Resource::Fsize,
    Resource::Nofile,
    Resource::Nproc,
];

/// The limits before they were raised: those that were not the highest.
static BEFORE: OnceLock<Vec<(Resource, Rlimit)>> = OnceLock::new();

/// Raises the soft limits of this process to the hard ones. A file that would
/// become too large is an error (`EFBIG`) from now on, and not the end of this
/// process.
pub fn raise() {
    BEFORE.get_or_init(|| {
        let limits = RAISED.map(|resource| (resource, rustix::process::getrlimit(resource)));
        let bounds_files = |(resource, limit): &(Resource, Rlimit)| {
            *resource == Resource::Fsize && limit.maximum.is_some()
        };
        if limits.iter().any(bounds_files) {
            // Without it, everything else works.
            let _ = signals::outlive(Signal::XFSZ);
        }
        let low = |(_, limit): &(Resource, Rlimit)| limit.current != limit.maximum;
        let low: Vec<_> = limits.into_iter().filter(low).collect();
        for (resource, limit) in &low {
            let highest = Rlimit {
                current: limit.maximum,
                maximum: limit.maximum,
            };
            set(*resource, highest);
        }
        low
    });
}

/// Sets the soft limits to what they were, for a program that is about to be
/// executed.
pub fn restore() {
    for (resource, limit) in BEFORE.get().into_iter().flatten() {
        set(*resource, *limit);
    }
}

/// Soft limits up to the hard one can always be set.
fn set(resource: Resource, limit: Rlimit) {
    let _ = rustix::process::setrlimit(resource, limit);
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn soft_limits_are_raised_and_are_what_they_were_afterwards() {
        let of_files = || rustix::process::getrlimit(Resource::Nofile);
        let hard = of_files().maximum;
        let low = Rlimit {
            current: Some(64),
            maximum: hard,
        };
        rustix::process::setrlimit(Resource::Nofile, low).unwrap();
        raise();
        assert_eq!(of_files().current, hard);
        restore();
        assert_eq!(of_files().current, Some(64));
        raise();
        let high = Rlimit {
            current: hard,
            maximum: hard,
        };
        rustix::process::setrlimit(Resource::Nofile, high).unwrap();
    }
}
