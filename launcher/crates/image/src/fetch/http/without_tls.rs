//! Replaces TLS in builds without it: `https` is refused before anybody is asked.

use std::convert::Infallible;
use std::net::TcpStream;
use std::path::Path;

use crate::fetch::http::certificates::Certificates;
use crate::fetch::http::fault::Fault;
use crate::fetch::http::url::Url;
use error::{Error, Kind, Result};

const WHAT: &str = "this launcher was built without TLS";
const HINT: &str = "build it with the feature `tls`";

/// Speaks no TLS.
#[derive(Debug)]
pub(crate) struct Tls;

impl Tls {
    /// Believes nobody, as nobody is asked.
    ///
    /// # Errors
    ///
    /// There is a file of authorities, which would be of no use.
    pub(crate) fn checking(file: Option<&Path>, _special: Option<&Certificates>) -> Result<Self> {
        file.map_or(Ok(Self), |file| check_authorities(file).map(|()| Self))
    }

    /// The same.
    pub(crate) fn unchecked() -> Self {
        Self
    }

    /// Always fails.
    pub(crate) fn session(&self, _url: &Url) -> std::result::Result<Session, Fault> {
        Err(Fault::permanent(WHAT).hint(HINT))
    }
}

/// A conversation, which cannot begin.
pub(crate) struct Session(Infallible);

impl Session {
    /// Cannot be called.
    pub(crate) fn begin(self, _stream: TcpStream) -> std::result::Result<TcpStream, Fault> {
        match self.0 {}
    }
}

/// Always fails.
pub(crate) fn check_authorities(file: &Path) -> Result<()> {
    let what = format!(
        "cannot use `{}` as certificate authorities: {WHAT}",
        file.display()
    );
    Err(Error::new(Kind::Failed, what).hint(HINT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::http::connect::connect;
    use crate::fetch::http::proxy::Proxies;

    #[test]
    fn https_is_refused_before_anybody_is_asked() {
        // Nobody would answer either of them.
        let url = Url::parse("https://nobody.invalid/").expect("a URL");
        let proxies = Proxies::read(|name| {
            (name == "https_proxy").then(|| "http://nobody.invalid:1".to_owned())
        });
        let proxy = proxies.choose(&url).expect("a proxy");
        for proxy in [None, proxy.as_ref()] {
            let refused = connect(&url, proxy, &Tls).map(drop);
            assert_eq!(refused, Err(Fault::permanent(WHAT).hint(HINT)));
        }
    }
}
