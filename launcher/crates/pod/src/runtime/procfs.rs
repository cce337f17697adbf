//! Parses files of procfs that are about a process, without I/O. Malformed
//! content is treated as missing.

/// The fields of /proc/PID/stat that are used here (proc_pid_stat(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Its state, as a letter.
    pub state: u8,
    /// The number of its parent.
    pub parent: u32,
    /// The kernel's flags.
    flags: u64,
    /// The processor time used, including children that were waited for, in
    /// hundredths of a second: USER_HZ is 100 on all our targets.
    pub used: u64,
    /// The number of threads.
    pub threads: u64,
    /// When it started after boot, in the same unit.
    pub began: u64,
}

impl Stat {
    /// Parses it. Field 2 is the program's name, which may contain anything.
    pub fn read(text: &str) -> Option<Self> {
        let (_, behind) = text.rsplit_once(')')?;
        let fields: Vec<&str> = behind.split_ascii_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
        let mut used = 0_u64;
        for at in 11..15 {
            used = used.saturating_add(number(at)?);
        }
        Some(Self {
            state: *fields.first()?.as_bytes().first()?,
            parent: u32::try_from(number(1)?).ok()?,
            flags: number(6)?,
            used,
            threads: number(17)?,
            began: number(19)?,
        })
    }

    /// Returns whether it is exiting, even if it still waits for others to
    /// exit.
    pub const fn is_ending(&self) -> bool {
        /// `PF_EXITING` of the kernel's linux/sched.h.
        const EXITING: u64 = 4;
        self.flags & EXITING != 0
    }

    /// Returns whether any of its threads is alive. The first can end before
    /// the others.
    pub(crate) const fn is_alive(&self) -> bool {
        self.threads > 1 || !matches!(self.state, b'Z' | b'X' | b'x')
    }
}

/// Returns whether /proc/PID/status says that SIGKILL, the ninth signal, is
/// pending.
pub(crate) fn is_being_killed(status: &str) -> bool {
    let pending = ["SigPnd", "ShdPnd"].map(|key| field(status, key));
    pending.into_iter().flatten().any(|mask| {
        let mask = u64::from_str_radix(mask, 16);
        mask.is_ok_and(|mask| mask & (1 << 8) != 0)
    })
}

/// Parses a size in lines such as `Pss:   345 kB`, in bytes.
pub(crate) fn size(text: &str, key: &str) -> Option<u64> {
    let kibibytes = field(text, key)?.strip_suffix("kB")?;
    kibibytes.trim_end().parse::<u64>().ok()?.checked_mul(1024)
}

/// Parses a number in lines such as `read_bytes: 345`.
pub(crate) fn number(text: &str, key: &str) -> Option<u64> {
    field(text, key)?.parse().ok()
}

fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name == key).then(|| value.trim())
    })
}

/// Parses the names of the network interfaces in /proc/PID/net/dev.
pub(crate) fn interfaces(text: &str) -> Vec<String> {
    // The first two lines are headings.
    let lines = text.lines().skip(2);
    let names = lines.filter_map(|line| Some(line.rsplit_once(": ")?.0.trim().to_owned()));
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: &str = "S 7 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 2 18 4711 20";

    #[test]
    fn a_program_name_cannot_shift_the_fields() {
        for name in ["init", "a b", "x) R 1 (y", "", ") Z"] {
            let expected = Stat {
                state: b'S',
                parent: 7,
                flags: 6,
                used: 11 + 12 + 13 + 14,
                threads: 2,
                began: 4711,
            };
            let read = Stat::read(&format!("9 ({name}) {REST}\n"));
            assert_eq!(read, Some(expected), "{name}");
        }
    }

    #[test]
    fn truncated_or_malformed_values_are_missing() {
        let whole = format!("9 (init) {REST}");
        let enough = whole.rfind("1 20").unwrap_or_default();
        for length in 0..enough - 3 {
            assert_eq!(Stat::read(&whole[..length]), None, "{length}");
        }
        for (from, to) in [(" 7 ", " -7 "), (" 4711 ", " x "), (" 11 ", " 1e9 ")] {
            assert_eq!(Stat::read(&whole.replacen(from, to, 1)), None, "{to}");
        }
        assert!(!is_being_killed("SigPnd:\t\nShdPnd:\tx00\n"));
        for text in [
            "",
            "Pss: 3",
            "Pss: kB",
            "Pss: -1 kB",
            "Pss:18014398509481984 kB",
        ] {
            assert_eq!(size(text, "Pss"), None, "{text}");
        }
        for text in [
            "",
            "read_bytes",
            "read_bytes: ",
            "read_bytes: -1",
            "xread_bytes: 1",
        ] {
            assert_eq!(number(text, "read_bytes"), None, "{text}");
        }
        for text in ["", "Inter-|\n", "a\nb\nlo\n"] {
            assert_eq!(interfaces(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn a_process_is_alive_while_any_thread_is() {
        let stat = |state, threads| Stat {
            state,
            parent: 1,
            flags: 0,
            used: 0,
            threads,
            began: 0,
        };
        for (state, threads, expected) in [
            (b'Z', 1, false),
            (b'X', 0, false),
            (b'Z', 2, true),
            (b'S', 1, true),
            (b'D', 1, true),
            (b'T', 1, true),
        ] {
            assert_eq!(stat(state, threads).is_alive(), expected, "{state}");
        }
    }

    #[test]
    fn an_exiting_process_has_a_flag() {
        let stat = |flags| Stat::read(&format!("1 (init) S 7 2 3 4 5 {flags}{}", &REST[15..]));
        let ends = |flags| stat(flags).map(|stat| stat.is_ending());
        assert_eq!(ends(4_194_560), Some(false));
        assert_eq!(ends(4_194_564), Some(true));
    }

    #[test]
    fn the_kernels_format_is_parsed() {
        let status = "Name:\tx\nSigPnd:\t0000000000000000\nShdPnd:\t0000000000000100\n";
        assert!(is_being_killed(status));
        assert!(!is_being_killed(&status.replace("100\n", "200\n")));
        let rollup = "5591a9859000-7ffe25a1e000 ---p 0 00:00 0   [rollup]\nRss:  1692 kB\nPss:   345 kB\nPss_Dirty: 1 kB\n";
        assert_eq!(size(rollup, "Pss"), Some(345 * 1024));
        let io = "rchar: 6976\nread_bytes: 4096\nwrite_bytes: 0\ncancelled_write_bytes: 1\n";
        assert_eq!(number(io, "read_bytes"), Some(4096));
        assert_eq!(number(io, "write_bytes"), Some(0));
        let dev = "Inter-|   Receive  |  Transmit\n face |bytes    packets|bytes\n    lo:       0       0\neth0:1: 12 1\n";
        assert_eq!(interfaces(dev), ["lo", "eth0:1"]);
    }
}
