//! Where administrators keep configurations and plugins.

use std::fs::File;
use std::io::ErrorKind::NotFound;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::network::cni::configuration::Configuration;
use error::quote::quoted;
use error::{Context as _, Error, Kind, Result};

/// Where configurations are: ours, CNI's, and rkt's.
const CONFIGURATIONS: [&str; 3] = ["/etc/nosecone/net.d", "/etc/cni/net.d", "/etc/rkt/net.d"];

/// How their names end.
const ENDINGS: [&str; 3] = ["conf", "json", "conflist"];

/// The variable that says where plugins are.
const VARIABLE: &str = "CNI_PATH";

/// Where they are otherwise: Debian's place, CNI's, and rkt's.
const PLUGINS: [&str; 3] = ["/usr/lib/cni", "/opt/cni/bin", "/usr/lib/rkt/plugins/net"];

/// The most that a configuration can say, in bytes.
const LIMIT: u64 = 1 << 20;

/// A network, and the file that says what it is.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// The file.
    pub(super) file: PathBuf,
    /// What it says.
    pub(super) configuration: Configuration,
}

/// Finds the configuration of a network: the first with its name.
///
/// # Errors
///
/// There is none, or it is not valid, or others than root can write to it.
pub(super) fn find(name: &str) -> Result<Found> {
    find_in(&CONFIGURATIONS.map(Path::new), name)
}

fn find_in(places: &[&Path], name: &str) -> Result<Found> {
    let mut broken = None;
    for place in places {
        for file in files(place)? {
            let what = || format!("cannot use the network configuration `{}`", file.display());
            match read(&file).and_then(|text| Configuration::parse(&text, name)) {
                Ok(None) => {}
                Ok(Some(configuration)) => {
                    check_owner(place).and(check_owner(&file)).context(what)?;
                    return Ok(Found {
                        file,
                        configuration,
                    });
                }
                Err(error) => broken = broken.or(Some(Err(error).context(what))),
            }
        }
    }
    // It may be the one that was meant.
    broken.unwrap_or_else(|| {
        let places = places.iter().map(|place| format!("`{}`", place.display()));
        let places = places.collect::<Vec<_>>().join(", ");
        let what = format!("there is no network {}", quoted(name));
        Err(Error::new(Kind::NotFound, what).hint(format!(
            "use `nat`, `bridge`, `macvlan`, `ipvlan`, `host` or `none`, or put a CNI \
             configuration of that name into one of {places}"
        )))
    })
}

/// Returns the files in a directory that can be configurations, in the order of
/// their names.
fn files(place: &Path) -> Result<Vec<PathBuf>> {
    let what = || format!("cannot read `{}`", place.display());
    let entries = match std::fs::read_dir(place) {
        Err(error) if error.kind() == NotFound => return Ok(Vec::new()),
        entries => entries.context(what)?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.context(what)?.path();
        let ending = path.extension().unwrap_or_default();
        if ENDINGS.iter().any(|one| ending == *one) {
            files.push(path);
        }
    }
    files.sort_by(|one, other| one.as_os_str().as_bytes().cmp(other.as_os_str().as_bytes()));
    Ok(files)
}

fn read(file: &Path) -> Result<Vec<u8>> {
    let what = || "cannot read it";
    let mut text = Vec::new();
    let opened = File::open(file).context(what)?;
    if !opened.metadata().context(what)?.is_file() {
        return Err(Error::invalid("it is no regular file"));
    }
    opened.take(LIMIT).read_to_end(&mut text).context(what)?;
    Ok(text)
}

/// Refuses what somebody else could change: plugins run as root.
fn check_owner(path: &Path) -> Result<()> {
    let status = std::fs::metadata(path).context(|| "cannot read its owner")?;
    let own = [0, rustix::process::geteuid().as_raw()].contains(&status.uid());
    match own && status.mode() & 0o022 == 0 {
        true => Ok(()),
        false => {
            let path = path.display();
            let what = format!("others than root can write to `{path}`");
            Err(Error::invalid(what).hint(format!(
                "`chown root {path} && chmod go-w {path}`, if its content is to be trusted"
            )))
        }
    }
}

/// Returns where plugins are looked for, as `CNI_PATH` has it.
pub(super) fn path() -> String {
    match std::env::var(VARIABLE) {
        Ok(path) if !path.is_empty() => path,
        _ => PLUGINS.join(":"),
    }
}

/// Finds the program of a plugin in one of the directories of a path.
///
/// # Errors
///
/// It is in none of them.
pub(super) fn plugin(path: &str, program: &str) -> Result<PathBuf> {
    let places = path.split(':').filter(|place| place.starts_with('/'));
    let mut programs = places.clone().map(|place| Path::new(place).join(program));
    programs.find(|file| file.is_file()).ok_or_else(|| {
        let places: Vec<_> = places.map(|place| format!("`{place}`")).collect();
        let places = places.join(", ");
        Error::new(
            Kind::NotFound,
            format!("the CNI plugin `{program}` is not there: looked in {places}"),
        )
        .hint("Debian has the usual ones in `containernetworking-plugins`; the variable `CNI_PATH` names other places")
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// Makes directories, writes files, and returns what they say about a network.
    fn found(name: &str, files: &[(&str, &str)], open: &str) -> Result<String> {
        let root = std::env::temp_dir().join(format!("nosecone-net-{}-{name}", std::process::id()));
        for (file, text) in files {
            let file = root.join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, text).unwrap();
            let mode = if *open == *file.file_name().unwrap() {
                0o666
            } else {
                0o644
            };
            std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
        }
        let places = ["one", "other", "none"].map(|place| root.join(place));
        let found = find_in(&places.each_ref().map(PathBuf::as_path), "net");
        std::fs::remove_dir_all(root).unwrap();
        found.map(|found| found.configuration.plugins[0].program.clone())
    }

    #[test]
    fn the_first_configuration_of_a_name_wins() {
        let net = |program| format!(r#"{{"name":"net","type":"{program}"}}"#);
        let (a, b, c) = (&*net("a"), &*net("b"), &*net("c"));
        let list = r#"{"name":"net","plugins":[{"type":"d"}]}"#;
        for (at, (files, expected)) in [
            (&[("one/2.conf", a), ("one/10.conf", b)][..], "b"),
            (&[("one/2.conf", a), ("other/10.conf", b)], "a"),
            (&[("one/1", a), ("one/2.conf~", b), ("one/3.json", c)], "c"),
            (&[("one/1.conflist", list), ("one/2.conf", b)], "d"),
            (&[("one/1.conf", "{"), ("one/2.conf", b)], "b"),
            (
                &[("one/1.conf", r#"{"name":"x"}"#), ("other/2.conf", b)],
                "b",
            ),
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(found(&format!("first-{at}"), files, "").unwrap(), expected);
        }
    }

    #[test]
    fn what_cannot_be_used_is_named_with_its_file() {
        let net = r#"{"name":"net","type":"a"}"#;
        for (at, (files, open, expected)) in [
            (
                &[("one/1.conf", r#"{"name":"x","type":"a"}"#)][..],
                "",
                "no network `net`",
            ),
            (&[("one/1.conf", "{")], "", "one/1.conf`: line 1"),
            (
                &[("one/1.conf", r#"{"name":"net"}"#)],
                "",
                "one/1.conf`: a plugin has no",
            ),
            (
                &[("one/1.conf", net)],
                "1.conf",
                "others than root can write",
            ),
        ]
        .into_iter()
        .enumerate()
        {
            let error = found(&format!("broken-{at}"), files, open)
                .unwrap_err()
                .to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_plugin_that_is_not_there_is_named_with_the_places() {
        let error = plugin("/none:relative:/nor-this", "x")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("`x`") && error.contains("`/none`, `/nor-this`\n"),
            "{error}"
        );
        assert_eq!(plugin("/none:/bin", "sh").unwrap(), Path::new("/bin/sh"));
    }
}
