//! Labels, which tell images of one name apart.

use crate::types::AcIdentifier;
use error::quote::quoted;
use error::{Error, Result};

/// The operating systems and processors that the specification knows.
const PLATFORMS: &[(&str, &[&str])] = &[
    (
        "linux",
        &[
            "amd64",
            "i386",
            "aarch64",
            "aarch64_be",
            "armv6l",
            "armv7l",
            "armv7b",
            "ppc64",
            "ppc64le",
            "s390x",
        ],
    ),
    ("freebsd", &["amd64", "i386", "arm"]),
    ("darwin", &["x86_64", "i386"]),
];

/// The value of label `os` on this program's host.
pub const HOST_OS: &str = "linux";

/// The value of label `arch` on this program's host, if the specification has
/// one.
pub const HOST_ARCH: Option<&str> = if cfg!(target_arch = "x86_64") {
    Some("amd64")
} else if cfg!(target_arch = "x86") {
    Some("i386")
} else if cfg!(all(target_arch = "aarch64", target_endian = "little")) {
    Some("aarch64")
} else if cfg!(target_arch = "aarch64") {
    Some("aarch64_be")
} else if cfg!(all(target_arch = "arm", target_endian = "big")) {
    Some("armv7b")
} else if cfg!(all(target_arch = "arm", target_feature = "v7")) {
    Some("armv7l")
} else if cfg!(target_arch = "arm") {
    Some("armv6l")
} else if cfg!(all(target_arch = "powerpc64", target_endian = "little")) {
    Some("ppc64le")
} else if cfg!(target_arch = "powerpc64") {
    Some("ppc64")
} else if cfg!(target_arch = "s390x") {
    Some("s390x")
} else {
    None
};

/// One label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: AcIdentifier,
    /// Its value, any text.
    pub value: String,
}

/// Labels in order. No name occurs twice, and none is `name`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels(Vec<Label>);

impl Labels {
    /// Checks that names are unique. Values are not checked: see
    /// `check_platform`.
    pub fn new(list: Vec<Label>) -> Result<Self> {
        for (index, label) in list.iter().enumerate() {
            let name = &label.name;
            if name.as_str() == "name" {
                return Err(Error::invalid(
                    "a label cannot be called `name`: the image itself has a name",
                ));
            }
            if list[..index].iter().any(|earlier| earlier.name == *name) {
                return Err(Error::invalid(format!("label `{name}` is given twice")));
            }
        }
        Ok(Self(list))
    }

    /// Rejects unknown operating systems, and processors they do not run
    /// on. Without `os`, `arch` means nothing.
    pub(crate) fn check_platform(&self) -> Result<()> {
        let Some(os) = self.get("os") else {
            return Ok(());
        };
        let Some((_, arches)) = PLATFORMS.iter().find(|(known, _)| *known == os) else {
            let known: Vec<&str> = PLATFORMS.iter().map(|(known, _)| *known).collect();
            return Err(unknown("os", os, &known));
        };
        match self.get("arch") {
            Some(arch) if !arches.contains(&arch) => Err(unknown("arch", arch, arches)),
            _ => Ok(()),
        }
    }

    /// Returns the value of a label.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut found = self.0.iter().filter(|label| label.name.as_str() == name);
        found.next().map(|label| label.value.as_str())
    }

    /// Returns the first of the labels `asked` for that is missing here or has
    /// another value. Additional labels are fine.
    pub fn lacks<'a>(&self, asked: &'a Self) -> Option<&'a Label> {
        let here = |label: &&Label| self.get(label.name.as_str()) != Some(&label.value);
        asked.0.iter().find(here)
    }

    /// Iterates over the labels.
    pub fn iter(&self) -> impl Iterator<Item = &Label> {
        self.0.iter()
    }
}

fn unknown(label: &str, value: &str, known: &[&str]) -> Error {
    let error = Error::invalid(format!(
        "label `{label}` is {}, which is not one of {}",
        quoted(value),
        known.join(", ")
    ));
    match go_name(value) {
        Some(name) if known.contains(&name) => {
            error.hint(format!("the specification's word for it is `{name}`"))
        }
        _ => error,
    }
}

/// What other tools call the processors.
fn go_name(arch: &str) -> Option<&'static str> {
    match arch {
        "arm64" => Some("aarch64"),
        "arm64_be" => Some("aarch64_be"),
        "386" => Some("i386"),
        "x86_64" => Some("amd64"),
        "amd64" => Some("x86_64"),
        "arm" => Some("armv7l"),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn labels(list: &[(&str, &str)]) -> Result<Labels> {
        let one = |&(name, value): &(&str, &str)| Label {
            name: AcIdentifier::parse(name).unwrap(),
            value: value.to_owned(),
        };
        Labels::new(list.iter().map(one).collect())
    }

    #[test]
    fn names_stand_once_and_are_never_name() {
        for list in [
            &[("name", "example.com/app")][..],
            &[("os", "linux"), ("os", "linux")],
            &[("arch", "amd64"), ("os", "linux"), ("arch", "i386")],
        ] {
            assert!(labels(list).is_err(), "{list:?}");
        }
    }

    #[test]
    fn platforms_that_do_not_exist_are_refused() {
        for (os, arch) in [
            ("linux", "arm64"),
            ("linux", "arm64_be"),
            ("linux", "arm"),
            ("linux", "ppc64l"),
            ("linux", "ppc64b"),
            ("linux", "ppc64be"),
            ("linux", "S390x"),
            ("linux", "386"),
            ("linux", "x86_64"),
            ("linux", ""),
            ("linux", "AMD64"),
            ("OS/360", "S/360"),
            ("", "amd64"),
            ("Linux", "amd64"),
            ("freebsd", "armv7b"),
            ("darwin", "amd64"),
        ] {
            let labels = labels(&[("os", os), ("arch", arch)]).unwrap();
            assert!(labels.check_platform().is_err(), "{os} {arch}");
        }
    }

    #[test]
    fn platforms_of_the_specification_are_accepted() {
        for (os, arches) in PLATFORMS {
            for arch in *arches {
                let labels = labels(&[("arch", arch), ("os", os)]).unwrap();
                labels.check_platform().unwrap();
            }
        }
        for list in [
            &[][..],
            &[("arch", "vax")],
            &[("arch", "")],
            &[("os", "linux")],
            &[("x", "")],
        ] {
            labels(list).unwrap().check_platform().unwrap();
        }
    }

    #[test]
    fn the_hosts_words_are_the_specifications() {
        let arch = HOST_ARCH.unwrap_or("amd64");
        let labels = labels(&[("os", HOST_OS), ("arch", arch)]).unwrap();
        labels.check_platform().unwrap();
    }

    #[test]
    fn more_labels_than_asked_for_are_fine_and_fewer_are_not() {
        let image = labels(&[("version", "1"), ("os", "linux")]).unwrap();
        for (asked, lacking) in [
            (&[][..], None),
            (&[("version", "1")], None),
            (&[("os", "linux"), ("version", "1")], None),
            (&[("version", "2")], Some("version")),
            (&[("version", "1"), ("arch", "amd64")], Some("arch")),
        ] {
            let asked = labels(asked).unwrap();
            let found = image.lacks(&asked).map(|label| label.name.as_str());
            assert_eq!(found, lacking);
        }
    }

    #[test]
    fn other_tools_words_get_a_hint() {
        let labels = labels(&[("os", "linux"), ("arch", "arm64")]).unwrap();
        let error = labels.check_platform().unwrap_err().to_string();
        assert!(error.starts_with("label `arch` is `arm64`, which is not one of amd64, i386"));
        assert!(error.ends_with("\nhint: the specification's word for it is `aarch64`"));
    }
}
