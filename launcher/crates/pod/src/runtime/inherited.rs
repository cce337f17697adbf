//! What a process inherits and the plan does not set: resource limits, OOM
//! score, nice value, and processors. A command that enters a pod copies these
//! from the pod's init, which has them from whoever ran the pod.

use rustix::thread::CpuSet;
use stage1_init::{Limit, Resource};

use error::{Context as _, Error, Kind, Result};
use sys::small_file;

/// Resource limits: for each, the soft and the hard limit.
type Limits = [(Resource, Limit, Limit); 16];

/// What was inherited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inherited {
    limits: Limits,
    score: i32,
    nice: i32,
    processors: Vec<usize>,
}

/// The resources in the order, and by the names, of /proc/PID/limits.
const RESOURCES: [(&str, Resource); 16] = [
    ("Max cpu time", Resource::Cpu),
    ("Max file size", Resource::Fsize),
    ("Max data size", Resource::Data),
    ("Max stack size", Resource::Stack),
    ("Max core file size", Resource::Core),
    ("Max resident set", Resource::Rss),
    ("Max processes", Resource::Nproc),
    ("Max open files", Resource::Nofile),
    ("Max locked memory", Resource::Memlock),
    ("Max address space", Resource::As),
    ("Max file locks", Resource::Locks),
    ("Max pending signals", Resource::Sigpending),
    ("Max msgqueue size", Resource::Msgqueue),
    ("Max nice priority", Resource::Nice),
    ("Max realtime priority", Resource::Rtprio),
    ("Max realtime timeout", Resource::Rttime),
];

impl Inherited {
    /// Reads those of this process.
    pub fn own() -> Result<Self> {
        Self::read(|name| {
            let read = small_file::text(&format!("/proc/self/{name}"));
            read.map(Some).context(|| CANNOT)
        })?
        .ok_or_else(|| Error::new(Kind::Failed, CANNOT))
    }

    /// Reads those of a process; `file` returns the content of one of its files
    /// in procfs. `None` if it has ended.
    ///
    /// # Errors
    ///
    /// Fails if `file` does, or a file cannot be parsed.
    pub fn read(file: impl Fn(&str) -> Result<Option<String>>) -> Result<Option<Self>> {
        let files = ["limits", "oom_score_adj", "stat", "status"].map(file);
        let [Some(limits), Some(score), Some(stat), Some(status)] = all(files)? else {
            return Ok(None);
        };
        let parsed = || {
            Some(Self {
                limits: read_limits(&limits)?,
                score: score.trim().parse().ok()?,
                nice: nice(&stat)?,
                processors: processors(&status)?,
            })
        };
        let parsed = parsed().ok_or_else(|| Error::new(Kind::Failed, CANNOT));
        parsed.map(Some)
    }

    /// Returns the limits that differ from `own`.
    pub fn limits_unlike(&self, own: &Self) -> Vec<(Resource, Limit, Limit)> {
        let pairs = self.limits.iter().zip(&own.limits);
        let others = pairs.filter(|(theirs, ours)| theirs != ours);
        others.map(|(&theirs, _)| theirs).collect()
    }

    /// Returns the OOM score adjustment, if it differs from `own`.
    pub fn score_unlike(&self, own: &Self) -> Option<i32> {
        (self.score != own.score).then_some(self.score)
    }

    /// Applies to this process what no directive can set.
    ///
    /// # Errors
    ///
    /// Fails if the kernel refuses.
    pub fn adopt(&self, own: &Self) -> Result<()> {
        if self.nice != own.nice {
            rustix::process::setpriority_process(None, self.nice)
                .context(|| format!("cannot set the nice value of the pod ({})", self.nice))?;
        }
        // This process is in the pod's cgroups by now, so they allow both the
        // same processors.
        let mut set = CpuSet::new();
        for &processor in &self.processors {
            if processor < CpuSet::MAX_CPU {
                set.set(processor);
            }
        }
        rustix::thread::sched_setaffinity(None, &set)
            .context(|| "cannot set the processor affinity of the pod")
    }
}

const CANNOT: &str = "cannot read the resource limits of a process";

fn all<T, const N: usize>(results: [Result<Option<T>>; N]) -> Result<[Option<T>; N]> {
    let mut values = [const { None }; N];
    for (value, result) in values.iter_mut().zip(results) {
        *value = result?;
    }
    Ok(values)
}

fn read_limits(text: &str) -> Option<Limits> {
    let limit = |word: &str| match word {
        "unlimited" => Some(Limit(None)),
        digits => digits.parse().ok().map(|number| Limit(Some(number))),
    };
    let mut limits = RESOURCES.map(|(_, resource)| (resource, Limit(None), Limit(None)));
    for ((name, _), (_, soft, hard)) in RESOURCES.iter().zip(&mut limits) {
        let mut lines = text.lines();
        let values = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        let mut values = values.split_whitespace();
        *soft = limit(values.next()?)?;
        *hard = limit(values.next()?)?;
    }
    Some(limits)
}

/// Finds field 19 of /proc/PID/stat. Field 2 is the program's name, which may
/// contain anything.
fn nice(stat: &str) -> Option<i32> {
    let (_, behind) = stat.rsplit_once(')')?;
    behind.split_ascii_whitespace().nth(16)?.parse().ok()
}

/// Finds the processors in /proc/PID/status, written as `0-2,7`.
fn processors(status: &str) -> Option<Vec<usize>> {
    let mut lines = status.lines();
    let list = lines.find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    let mut all: Vec<usize> = Vec::new();
    for range in list.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        all.extend(first..=last);
    }
    Some(all)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    const LIMITS: &str = "\
Limit                     Soft Limit           Hard Limit           Units     
Max cpu time              unlimited            unlimited            seconds   
Max file size             unlimited            unlimited            bytes     
Max data size             unlimited            unlimited            bytes     
Max stack size            8388608              unlimited            bytes     
Max core file size        0                    unlimited            bytes     
Max resident set          unlimited            unlimited            bytes     
Max processes             96365                96365                processes 
Max open files            1024                 20000                files     
Max locked memory         8388608              8388608              bytes     
Max address space         unlimited            unlimited            bytes     
Max file locks            unlimited            unlimited            locks     
Max pending signals       96365                96365                signals   
Max msgqueue size         819200               819200               bytes     
Max nice priority         0                    0                    
Max realtime priority     0                    0                    
Max realtime timeout      unlimited            unlimited            us        
";
    const STAT: &str = "7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 -5 1 0 4711 0";
    const STATUS: &str = "Cpus_allowed:\tff\nCpus_allowed_list:\t0-2,7\n";

    fn read(limits: &str, score: &str, stat: &str, status: &str) -> Result<Option<Inherited>> {
        Inherited::read(|name| {
            Ok(Some(
                match name {
                    "limits" => limits,
                    "oom_score_adj" => score,
                    "stat" => stat,
                    _ => status,
                }
                .to_owned(),
            ))
        })
    }

    fn sample() -> Inherited {
        read(LIMITS, "-17\n", STAT, STATUS).unwrap().unwrap()
    }

    #[test]
    fn malformed_files_are_errors() {
        for (limits, score, stat, status) in [
            ("", "0", STAT, STATUS),
            (LIMITS, "", STAT, STATUS),
            (LIMITS, "0", "7 (a) S", STATUS),
            (LIMITS, "0", STAT, "Cpus_allowed_list:\tx"),
            (&LIMITS.replace("1024", "-1"), "0", STAT, STATUS),
            (&LIMITS.replace("Max nice", "Min nice"), "0", STAT, STATUS),
        ] {
            let error = read(limits, score, stat, status).unwrap_err();
            assert_eq!(error.to_string(), CANNOT);
        }
        assert_eq!(Inherited::read(|_| Ok(None)).unwrap(), None);
    }

    #[test]
    fn only_differences_are_set() {
        let (theirs, mut own) = (sample(), sample());
        assert_eq!((theirs.score, theirs.nice), (-17, -5));
        assert_eq!(theirs.processors, [0, 1, 2, 7]);
        assert_eq!(theirs.limits_unlike(&own), []);
        assert_eq!(theirs.score_unlike(&own), None);
        own.score = 0;
        own.limits = read_limits(&LIMITS.replace("8388608   ", "unlimited ")).unwrap();
        let (some, none) = (Limit(Some(8_388_608)), Limit(None));
        assert_eq!(
            theirs.limits_unlike(&own),
            [
                (Resource::Stack, some, none),
                (Resource::Memlock, some, some)
            ]
        );
        assert_eq!(theirs.score_unlike(&own), Some(-17));
    }

    #[test]
    fn the_own_values_can_be_read() {
        let own = Inherited::own().unwrap();
        assert!(!own.processors.is_empty());
        own.adopt(&own).unwrap();
    }
}
