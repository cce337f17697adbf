//! What is known of the health of a pod's apps: a record in its directory, which is
//! replaced after each check.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::runtime::timer;
use crate::spec::health::HealthCheck;
use crate::spec::pod::PodSpec;
use crate::state::directory;

/// The file in the directory of a pod.
const FILE: &str = "health";

/// The health of an app that is checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// How it is.
    pub state: State,
    /// How many checks have failed in a row.
    pub failing: u32,
    /// When it was started, by a clock that counts from the boot, in nanoseconds.
    began: u64,
    /// When it is checked next, by the same clock.
    due: u64,
    /// How the last check has ended.
    pub last: Option<Outcome>,
}

/// How an app is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It works.
    Healthy,
    /// Nobody knows yet.
    Starting,
    /// It does not.
    Unhealthy,
}

impl State {
    /// Returns the word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Starting => "starting",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// How a check has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// When it began, in nanoseconds since 1970.
    pub began: u64,
    /// When it ended.
    pub ended: u64,
    /// Its exit status; `None` if its time was over.
    pub status: Option<u8>,
    /// The beginning of what it has printed.
    pub output: String,
}

/// The health of all apps that are checked, by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record(BTreeMap<String, Health>);

impl Record {
    /// Returns what is known of a pod that begins to run at a time.
    pub(crate) fn begin(spec: &PodSpec, at: Duration) -> Self {
        let checks = spec.apps.iter().filter_map(|app| {
            let check = &app.health.as_ref()?.value;
            Some((app.name.clone(), Health::begin(check, at)))
        });
        Self(checks.collect())
    }

    /// Reads it in the directory of a pod; empty if it has none.
    ///
    /// # Errors
    ///
    /// The disk refuses.
    pub fn read(pod: impl AsFd) -> std::io::Result<Self> {
        let text = directory::read_in(pod, FILE)?.unwrap_or_default();
        Ok(serde_json::from_slice(&text).unwrap_or_default())
    }

    /// Replaces it in the directory of a pod.
    ///
    /// # Errors
    ///
    /// The disk refuses.
    pub fn write(&self, pod: impl AsFd) -> std::io::Result<()> {
        directory::replace(pod, FILE, &serde_json::to_vec(self)?)
    }

    /// Finds an app.
    pub fn of(&mut self, app: &str) -> Option<&mut Health> {
        self.0.get_mut(app)
    }

    /// Returns how long it takes until something has to be checked, if anything is.
    pub fn rest(&self) -> Option<Duration> {
        let next = self.0.values().map(|health| health.due).min();
        let next = next.map(Duration::from_nanos);
        next.map(|next| next.saturating_sub(timer::now()))
    }
}

impl Health {
    fn begin(check: &HealthCheck, now: Duration) -> Self {
        let began = nanoseconds(now);
        let mut health = Self {
            state: State::Starting,
            failing: 0,
            began,
            due: 0,
            last: None,
        };
        health.put_off(check, now);
        health
    }

    /// Returns whether it is time for a check.
    pub fn is_due(&self, now: Duration) -> bool {
        self.due <= nanoseconds(now)
    }

    /// Lets the next check be an interval from now.
    pub fn put_off(&mut self, check: &HealthCheck, now: Duration) {
        let interval = match self.is_starting(check, now) {
            true => check.start_interval.min(check.interval),
            false => check.interval,
        };
        self.due = nanoseconds(now).saturating_add(interval);
    }

    fn is_starting(&self, check: &HealthCheck, now: Duration) -> bool {
        let since = nanoseconds(now).saturating_sub(self.began);
        self.state == State::Starting && since < check.start_period
    }

    /// Learns from a check; returns whether the app has become unhealthy. As with
    /// docker, a failure does not count while the app may still be starting, and
    /// success counts at once.
    pub fn learn(&mut self, check: &HealthCheck, outcome: Outcome, now: Duration) -> bool {
        let before = self.state;
        if outcome.status == Some(0) {
            (self.state, self.failing) = (State::Healthy, 0);
        } else if !self.is_starting(check, now) {
            self.failing = self.failing.saturating_add(1);
            if self.failing >= check.retries {
                self.state = State::Unhealthy;
            }
        }
        self.last = Some(outcome);
        self.put_off(check, now);
        self.state == State::Unhealthy && before != State::Unhealthy
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn check() -> HealthCheck {
        HealthCheck {
            argv: vec!["x".to_owned()],
            interval: 10 * SECOND,
            timeout: SECOND,
            retries: 2,
            start_period: 60 * SECOND,
            start_interval: 2 * SECOND,
        }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(1000 + seconds)
    }

    fn outcome(status: Option<u8>) -> Outcome {
        Outcome {
            began: 1,
            ended: 2,
            status,
            output: String::new(),
        }
    }

    #[test]
    fn failures_count_after_the_start_and_in_a_row() {
        let mut health = Health::begin(&check(), at(0));
        let mut learn = |seconds, status| {
            let turned = health.learn(&check(), outcome(status), at(seconds));
            (health.state.word(), health.failing, turned)
        };
        assert_eq!(learn(2, Some(1)), ("starting", 0, false));
        assert_eq!(learn(59, None), ("starting", 0, false));
        assert_eq!(learn(60, Some(1)), ("starting", 1, false));
        assert_eq!(learn(61, Some(0)), ("healthy", 0, false));
        assert_eq!(learn(62, Some(1)), ("healthy", 1, false));
        assert_eq!(learn(63, None), ("unhealthy", 2, true));
        assert_eq!(learn(64, Some(1)), ("unhealthy", 3, false));
        assert_eq!(learn(65, Some(0)), ("healthy", 0, false));
    }

    #[test]
    fn success_ends_the_start() {
        let mut health = Health::begin(&check(), at(0));
        assert!(!health.is_due(at(1)) && health.is_due(at(2)));
        assert!(!health.learn(&check(), outcome(Some(0)), at(2)));
        assert!(!health.is_due(at(11)) && health.is_due(at(12)));
        assert!(!health.learn(&check(), outcome(Some(1)), at(12)));
        assert!(health.learn(&check(), outcome(Some(1)), at(22)));
    }
}
