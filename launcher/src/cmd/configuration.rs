//! The file `/etc/nosecone/config`, in which the administrator of a host sets
//! defaults: lines of `KEY = VALUE`, and comments after `#`.

use std::path::Path;

use error::quote::quoted;
use error::{Context as _, Error, Result};
use pod::resolve::network::{self, Network};

/// The file.
const FILE: &str = "/etc/nosecone/config";

/// The variable that takes precedence over it.
const NETWORK: &str = "NOSECONE_NET";

/// What the file says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Configuration {
    network: Option<Network>,
}

/// Returns how pods are connected by default, and who says so; `None` if nobody
/// does.
///
/// # Errors
///
/// The variable or the file is not valid.
pub(super) fn network() -> Result<Option<(Network, String)>> {
    let variable = std::env::var_os(NETWORK).unwrap_or_default();
    if !variable.is_empty() {
        let network = network::parse(&[variable.to_string_lossy()]);
        let network = network.context(|| format!("variable `{NETWORK}`"))?;
        return Ok(Some((network, format!("variable {NETWORK}"))));
    }
    let what = || format!("cannot use `{FILE}`");
    let text = match std::fs::read_to_string(Path::new(FILE)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        text => text.context(what)?,
    };
    let configuration = parse(&text).context(what)?;
    let network = configuration.network;
    Ok(network.map(|network| (network, FILE.to_owned())))
}

/// Parses the file.
///
/// # Errors
///
/// A line is not valid; a key is unknown, or there twice.
fn parse(text: &str) -> Result<Configuration> {
    let mut configuration = Configuration::default();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let bad = |what: String| Error::invalid(format!("line {number}: {what}"));
        let pair = line.split_once('=');
        match pair.map(|(key, value)| (key.trim(), value.trim())) {
            Some(("network", _)) if configuration.network.is_some() => {
                return Err(bad("`network` is set twice".to_owned()));
            }
            Some(("network", value)) => {
                let network = network::parse(&[value]).map_err(|error| bad(error.to_string()));
                configuration.network = Some(network?);
            }
            Some((key, _)) => return Err(bad(format!("there is no setting {}", quoted(key)))),
            None => return Err(bad(format!("{} is not `KEY = VALUE`", quoted(line)))),
        }
    }
    Ok(configuration)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_setting_is_refused_with_its_line() {
        for (text, expected) in [
            ("network", "line 1: `network` is not `KEY = VALUE`"),
            ("# x\nnet = nat", "line 2: there is no setting `net`"),
            (
                "network = nat\nnetwork = none\n",
                "line 2: `network` is set twice",
            ),
            ("network =", "line 1: "),
            ("network = -bridge", "line 1: `-bridge` is not a network"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn settings_are_read() {
        let read = |text| parse(text).unwrap().network;
        assert_eq!(read(""), None);
        assert_eq!(read("\n # nothing\n"), None);
        assert_eq!(read("network=none"), Some(Network::None));
        assert_eq!(read(" network = nat # or host\n"), Some(Network::usual()));
    }
}
