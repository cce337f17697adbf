//! Platforms: an operating system, a processor architecture, and a variant of
//! it, in the words of Go (image-spec, image-index.md, "platform").

use std::fmt;

use error::quote::quoted;
use error::{Error, Result};

/// Other words for architectures: the kernel's (`uname -m`), Debian's, and what
/// people type. `armv6l` and the like are not among them.
const ALIASES: &[(&str, &str)] = &[
    ("x86_64", "amd64"),
    ("x86-64", "amd64"),
    ("i386", "386"),
    ("i486", "386"),
    ("i586", "386"),
    ("i686", "386"),
    ("x86", "386"),
    ("aarch64", "arm64"),
    ("powerpc64le", "ppc64le"),
    ("ppc64el", "ppc64le"),
    ("powerpc64", "ppc64"),
    ("loongarch64", "loong64"),
    ("mips64el", "mips64le"),
    ("mipsel", "mipsle"),
];

/// The architectures of Go on Linux.
const ARCHITECTURES: &[&str] = &[
    "386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64",
    "ppc64le", "riscv64", "s390x",
];

/// What of `/proc/cpuinfo` a level of x86-64 takes beyond the one below (x86-64
/// psABI, "Micro-Architecture Levels"). The kernel's `abm` has `lzcnt`.
const LEVELS: &[(&str, &[&str])] = &[
    (
        "v2",
        &["cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3"],
    ),
    (
        "v3",
        &[
            "abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe", "xsave",
        ],
    ),
    (
        "v4",
        &["avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl"],
    ),
];

/// What an image is made for, or a host is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Platform {
    /// The operating system.
    pub os: String,
    /// The architecture.
    pub architecture: String,
    /// The variant, if it is not the architecture's first: `v7` of `arm`.
    pub variant: Option<String>,
}

impl Platform {
    /// Reads `OS/ARCHITECTURE[/VARIANT]` or `ARCHITECTURE[/VARIANT]`, where an
    /// architecture can have the kernel's name, too.
    ///
    /// # Errors
    ///
    /// It has another form, or the architecture is not known.
    pub fn parse(text: &str) -> Result<Self> {
        let fault = |why: &str| {
            Error::usage(format!("{} is not a platform: {why}", quoted(text)))
                .hint("write it as `linux/arm64` or `linux/arm/v7`")
        };
        let words: Vec<&str> = text.split('/').collect();
        let sound = |word: &&str| {
            let mut characters = word.bytes();
            characters.all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-' | b'.'))
        };
        if words.iter().any(|word| word.is_empty() || !sound(word)) {
            return Err(fault("it has an empty or a strange part"));
        }
        let known = |word: &str| normal(word, None).filter(|(name, _)| is_known(name));
        let (os, rest) = match &*words {
            [word, ..] if known(word).is_some() => ("linux", &words[..]),
            [os, rest @ ..] => (*os, rest),
            [] => return Err(fault("it is empty")),
        };
        let (architecture, variant) = match rest {
            [architecture] => (*architecture, None),
            [architecture, variant] => (*architecture, Some(*variant)),
            [] => return Err(fault("it has no architecture that is known")),
            _ => return Err(fault("it has too many parts")),
        };
        let Some((architecture, variant)) = normal(architecture, variant) else {
            return Err(fault("it has no architecture"));
        };
        if !is_known(&architecture) {
            let known = ARCHITECTURES.join("`, `");
            let why = format!(
                "architecture {} is not known; known are `{known}`",
                quoted(&architecture)
            );
            return Err(fault(&why));
        }
        Ok(Self {
            os: os.to_ascii_lowercase(),
            architecture,
            variant,
        })
    }

    /// Makes a platform of what a document says, with our words for it.
    ///
    /// `None` if it does not name an architecture.
    pub fn of_document(os: &str, architecture: &str, variant: Option<&str>) -> Option<Self> {
        let (architecture, variant) = normal(architecture, variant)?;
        let os = os.to_ascii_lowercase();
        Some(Self {
            os: if os.is_empty() { "linux".into() } else { os },
            architecture,
            variant,
        })
    }

    /// Returns the host's platform, from `uname -m` and `/proc/cpuinfo`.
    ///
    /// On ARM, `uname` decides: a processor says 7 where the kernel and all
    /// programs are for 6, as on the first Raspberry Pi. A 64-bit kernel runs
    /// 32-bit programs under the name `armv8l`.
    pub fn of_host(machine: &str, cpuinfo: &str) -> Self {
        let (architecture, variant) = normal(machine, None).unwrap_or_default();
        let variant = match &*architecture {
            "amd64" => amd64_level(cpuinfo).map(str::to_owned),
            "arm" if variant.is_none() => arm_version(cpuinfo),
            _ => variant,
        };
        Self {
            os: "linux".into(),
            architecture,
            variant,
        }
    }

    /// Tells how far an image is from what this platform runs best: 0 for its own
    /// variant, more for an older one; `None` if it does not run here. An image
    /// that does not say its variant runs on all.
    pub fn distance(&self, image: &Self) -> Option<u32> {
        if self.os != image.os || self.architecture != image.architecture {
            return None;
        }
        if self.variant == image.variant {
            return Some(0);
        }
        let base = match &*self.architecture {
            "amd64" => Some(1),
            "arm64" => Some(8),
            _ => None,
        };
        let Some(variant) = &image.variant else {
            let own = base.zip(self.level());
            return Some(own.map_or(u32::MAX, |(base, own)| own.saturating_sub(base)));
        };
        self.level()?.checked_sub(level(variant)?)
    }

    /// Returns the variant as a number; if it is not said, the usual one.
    fn level(&self) -> Option<u32> {
        match (&self.variant, &*self.architecture) {
            (Some(variant), _) => level(variant),
            (None, "amd64") => Some(1),
            (None, "arm") => Some(7),
            (None, "arm64") => Some(8),
            (None, _) => None,
        }
    }
}

/// `OS/ARCHITECTURE[/VARIANT]`.
impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

/// Returns the number of a variant such as `v7`. Others have no order.
fn level(variant: &str) -> Option<u32> {
    variant.strip_prefix('v')?.parse().ok()
}

/// Returns Go's words for an architecture and its variant. The first variant of
/// an architecture is never said, since most images do not say it either.
///
/// `None` if there is no architecture.
fn normal(architecture: &str, variant: Option<&str>) -> Option<(String, Option<String>)> {
    let word = architecture.to_ascii_lowercase();
    let alias = ALIASES.iter().find(|(alias, _)| *alias == word);
    let (name, implied) = match (&*word, alias) {
        ("", _) => return None,
        ("armhf", _) => ("arm", Some('7')),
        ("armel", _) => ("arm", Some('5')),
        (_, Some((_, name))) => (*name, None),
        (word, None) => match word
            .strip_prefix("armv")
            .and_then(|rest| rest.chars().next())
        {
            Some(version) => ("arm", Some(version)),
            None => (word, None),
        },
    };
    let variant = variant.unwrap_or_default().to_ascii_lowercase();
    let variant = match variant.chars().next() {
        None => implied.map(|version| format!("v{version}")),
        Some(first) if first.is_ascii_digit() => Some(format!("v{variant}")),
        Some(_) => Some(variant),
    };
    let is_first = matches!(
        (name, variant.as_deref()),
        ("amd64", Some("v1")) | ("arm64", Some("v8"))
    );
    Some((name.to_owned(), variant.filter(|_| !is_first)))
}

fn is_known(architecture: &str) -> bool {
    ARCHITECTURES.contains(&architecture)
}

/// Returns the values of a field of `/proc/cpuinfo`, one a processor.
fn values<'a>(cpuinfo: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    cpuinfo.lines().filter_map(move |line| {
        let (field, value) = line.split_once(':')?;
        (field.trim() == name).then_some(value.trim())
    })
}

/// Returns the highest level of x86-64, if it is not the first.
fn amd64_level(cpuinfo: &str) -> Option<&'static str> {
    let flags: Vec<&str> = values(cpuinfo, "flags")
        .next()?
        .split_whitespace()
        .collect();
    let complete = |needed: &[&str]| needed.iter().all(|flag| flags.contains(flag));
    let reached = LEVELS.iter().take_while(|(_, needed)| complete(needed));
    reached.last().map(|(level, _)| *level)
}

/// Returns the version of ARM's architecture.
fn arm_version(cpuinfo: &str) -> Option<String> {
    let value = values(cpuinfo, "CPU architecture").next()?;
    let version = value.chars().next().filter(char::is_ascii_digit)?;
    Some(format!("v{version}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        Platform::parse(text).unwrap()
    }

    #[test]
    fn what_is_no_platform_is_refused() {
        for text in [
            "",
            "linux",
            "linux/",
            "/amd64",
            "linux/amd64/",
            "linux//v8",
            "linux/arm/v7/x",
            "arm64/v8/x/y",
            "linux/am d64",
            "linux/z80",
            "z80",
            "linux/arm,v7",
        ] {
            assert!(Platform::parse(text).is_err(), "{text}");
        }
        let error = Platform::parse("linux/z80").unwrap_err().to_string();
        assert!(
            error.contains("`z80` is not known; known are `386`, `amd64`"),
            "{error}"
        );
    }

    #[test]
    fn a_platform_is_read_in_any_of_its_spellings() {
        for (text, expected) in [
            ("linux/arm64/v8", "linux/arm64"),
            ("arm64", "linux/arm64"),
            ("aarch64", "linux/arm64"),
            ("Linux/AArch64", "linux/arm64"),
            ("x86_64", "linux/amd64"),
            ("amd64/v1", "linux/amd64"),
            ("linux/amd64/3", "linux/amd64/v3"),
            ("arm/7", "linux/arm/v7"),
            ("armhf", "linux/arm/v7"),
            ("linux/armv6l", "linux/arm/v6"),
            ("armv5tejl", "linux/arm/v5"),
            ("i686", "linux/386"),
            ("riscv64", "linux/riscv64"),
            ("windows/amd64", "windows/amd64"),
        ] {
            assert_eq!(platform(text).to_string(), expected, "{text}");
        }
    }

    #[test]
    fn what_an_older_processor_cannot_run_is_not_chosen() {
        for (host, image) in [
            ("amd64", "amd64/v2"),
            ("amd64/v3", "amd64/v4"),
            ("arm/v6", "arm/v7"),
            ("arm/v7", "arm64"),
            ("arm64", "arm/v7"),
            ("arm64", "arm64/v9"),
            ("amd64", "windows/amd64"),
            ("ppc64le", "ppc64le/power9"),
        ] {
            assert_eq!(
                platform(host).distance(&platform(image)),
                None,
                "{image} on {host}"
            );
        }
    }

    #[test]
    fn the_nearest_variant_comes_first_and_none_last() {
        let order = |host: &str, images: &[&str]| {
            let host = platform(host);
            let distances = images
                .iter()
                .map(|image| host.distance(&platform(image)).unwrap());
            distances.collect::<Vec<_>>()
        };
        assert_eq!(
            order("arm/v7", &["arm/v7", "arm/v6", "arm/v5", "arm"]),
            [0, 1, 2, u32::MAX]
        );
        assert_eq!(
            order("amd64/v4", &["amd64/v4", "amd64/v3", "amd64/v2", "amd64"]),
            [0, 1, 2, 3]
        );
        assert_eq!(order("arm64/v9", &["arm64/v9", "arm64"]), [0, 1]);
        // Who asks for `arm` means what most hosts are.
        assert_eq!(order("arm", &["arm", "arm/v7", "arm/v6"]), [0, 0, 1]);
        assert_eq!(
            order("ppc64le/power9", &["ppc64le/power9", "ppc64le"]),
            [0, u32::MAX]
        );
    }

    /// Of a Raspberry Pi Zero, and of one that was started with a kernel for v6.
    const PI: &str = "processor\t: 0\nmodel name\t: ARMv6-compatible processor rev 7 (v6l)\n\
                      CPU architecture: 7\n";

    #[test]
    fn the_kernel_says_which_arm_it_is() {
        for (machine, expected) in [
            ("armv6l", "linux/arm/v6"),
            ("armv7l", "linux/arm/v7"),
            ("armv8l", "linux/arm/v8"),
            ("aarch64", "linux/arm64"),
            ("arm", "linux/arm/v7"),
            ("riscv64", "linux/riscv64"),
        ] {
            let host = Platform::of_host(machine, PI);
            assert_eq!(host.to_string(), expected, "{machine}");
        }
    }

    #[test]
    fn the_level_of_a_processor_is_the_highest_that_it_has_all_of() {
        let flags = |levels: usize| {
            let flags = LEVELS.iter().take(levels).flat_map(|(_, flags)| *flags);
            flags.copied().collect::<Vec<_>>().join(" ")
        };
        let host = |flags: &str| {
            let cpuinfo = format!("model name\t: x\nflags\t\t: fpu {flags}\nbugs\t:\n");
            Platform::of_host("x86_64", &cpuinfo).to_string()
        };
        assert_eq!(host(""), "linux/amd64");
        assert_eq!(host(&flags(1)), "linux/amd64/v2");
        assert_eq!(host(&flags(2)), "linux/amd64/v3");
        assert_eq!(host(&flags(3)), "linux/amd64/v4");
        // A machine that hides one flag is of the level below.
        assert_eq!(host(&flags(3).replace("bmi2 ", "")), "linux/amd64/v2");
        assert_eq!(Platform::of_host("x86_64", "").to_string(), "linux/amd64");
    }
}
