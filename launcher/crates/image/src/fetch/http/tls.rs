//! TLS, and which servers are believed. The only file that knows rustls and
//! rustls-native-certs.
//!
//! Trusted are the authorities of the system, or those that `SSL_CERT_FILE` and
//! `SSL_CERT_DIR` name instead, and those in files that the operator gives, for all
//! servers or for one. A certificate in such a file may also be the server's own: then
//! it is the one that the server must have.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct,
    Error as TlsError, InvalidMessage, RootCertStore, SignatureScheme, StreamOwned,
};

use crate::fetch::http::certificates::Certificates;
use crate::fetch::http::fault::Fault;
use crate::fetch::http::url::Url;
use appc::types::spell_day;
use error::quote::quoted;
use error::{Context as _, Error, Result};

/// A connection with TLS.
pub(crate) struct TlsStream(StreamOwned<ClientConnection, TcpStream>);

impl Read for TlsStream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.read(bytes).map_err(plainly)
    }
}

impl Write for TlsStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(plainly)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(plainly)
    }
}

/// Says what has gone wrong as for the beginning: a server may tell us only then that
/// it wants to know who we are.
fn plainly(error: io::Error) -> io::Error {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(error) => io::Error::other(explain(error).what),
        None => error,
    }
}

/// Speaks TLS to servers.
pub(crate) struct Tls {
    usual: Belief,
    /// What counts for one server instead.
    special: Option<(Certificates, Belief)>,
    /// Whether certificates are verified.
    checked: bool,
}

/// Which servers are believed, and who we are to them.
#[derive(Default)]
struct Belief {
    /// Certificates that are trusted besides the system's.
    added: Vec<CertificateDer<'static>>,
    /// Our own certificate, with those that vouch for it, and its key.
    own: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    /// Reading the system's takes a while.
    config: OnceLock<std::result::Result<Arc<ClientConfig>, Fault>>,
}

/// A conversation that has not begun.
pub(crate) struct Session<'a> {
    belief: &'a Belief,
    checked: bool,
    name: ServerName<'static>,
}

impl Session<'_> {
    /// Speaks TLS over a connection to the host.
    ///
    /// # Errors
    ///
    /// The server is not believed, or does not speak TLS.
    pub(crate) fn begin(self, stream: TcpStream) -> std::result::Result<TlsStream, Fault> {
        let Self {
            belief,
            checked,
            name,
        } = self;
        let config = belief.config.get_or_init(|| belief.configure(checked));
        let config = config.clone()?;
        let client = ClientConnection::new(config, name).map_err(|error| explain(&error))?;
        let mut stream = StreamOwned::new(client, stream);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).map_err(fault)?;
        }
        Ok(TlsStream(stream))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("checked", &self.checked)
            .finish_non_exhaustive()
    }
}

impl Tls {
    /// Believes servers whose certificates are good, by the authorities of the
    /// system, of `file` and, for one server, of `special`.
    ///
    /// # Errors
    ///
    /// A file cannot be used.
    pub(crate) fn checking(file: Option<&Path>, special: Option<&Certificates>) -> Result<Self> {
        let added = file.map(certificates).transpose()?.unwrap_or_default();
        let of_one = |special: &Certificates| -> Result<_> {
            let mut added = added.clone();
            for file in &special.authorities {
                added.extend(certificates(file)?);
            }
            let own = special.own.as_ref();
            let own = own.map(|(certificate, key)| pair(certificate, key));
            let belief = Belief {
                added,
                own: own.transpose()?,
                config: OnceLock::new(),
            };
            Ok((special.clone(), belief))
        };
        Ok(Self {
            special: special.map(of_one).transpose()?,
            usual: Belief {
                added,
                ..Belief::default()
            },
            checked: true,
        })
    }

    /// Believes every server. It must still prove that it has the key of its
    /// certificate; otherwise, a passive listener could not be told from a
    /// broken server.
    pub(crate) fn unchecked() -> Self {
        Self {
            usual: Belief::default(),
            special: None,
            checked: false,
        }
    }

    /// Prepares to speak TLS with the server of a URL, whose host is a name or an
    /// address without brackets.
    ///
    /// # Errors
    ///
    /// The host name is not valid.
    pub(crate) fn session(&self, url: &Url) -> std::result::Result<Session<'_>, Fault> {
        let name = ServerName::try_from(url.host.clone())
            .map_err(|_| Fault::permanent("the host name is not valid"))?;
        let special = self.special.as_ref().filter(|(one, _)| one.are_for(url));
        Ok(Session {
            belief: special.map_or(&self.usual, |(_, belief)| belief),
            checked: self.checked,
            name,
        })
    }
}

impl Belief {
    fn configure(&self, checked: bool) -> std::result::Result<Arc<ClientConfig>, Fault> {
        let builder = ClientConfig::builder();
        let provider = Arc::clone(builder.crypto_provider());
        let verifier: Arc<dyn ServerCertVerifier> = match checked {
            true => Arc::new(Authorities::new(&self.added, provider)?),
            false => Arc::new(Anybody(provider)),
        };
        let builder = builder
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let config = match &self.own {
            None => builder.with_no_client_auth(),
            Some((certificates, key)) => builder
                .with_client_auth_cert(certificates.clone(), key.clone_key())
                .map_err(|error| {
                    Fault::permanent(format!("our own certificate cannot be used: {error}"))
                })?,
        };
        Ok(Arc::new(config))
    }
}

/// Checks that a file of authorities can be used.
///
/// # Errors
///
/// It cannot be read, or has no certificate or one that is not valid.
pub(crate) fn check_authorities(file: &Path) -> Result<()> {
    certificates(file).map(drop)
}

/// Reads a file of certificates.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let what = || format!("cannot use `{}` as certificate authorities", path.display());
    let text = std::fs::read(path).context(what)?;
    let invalid = |why: &str| Error::invalid(what()).because(why.to_owned());
    let read: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let certificates = read.map_err(|_| invalid("it has a certificate that is not valid PEM"))?;
    if certificates.is_empty() {
        return Err(invalid("it contains no certificate in PEM format"));
    }
    let mut roots = RootCertStore::empty();
    for certificate in &certificates {
        roots
            .add(certificate.clone())
            .map_err(|_| invalid("it has a certificate that is not valid"))?;
    }
    Ok(certificates)
}

/// Reads our own certificate and its key.
fn pair(
    certificate: &Path,
    key: &Path,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let what = |file: &Path| format!("cannot use `{}` to say who we are", file.display());
    let text = std::fs::read(certificate).context(|| what(certificate))?;
    let read: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let chain = read.ok().filter(|chain| !chain.is_empty());
    let chain = chain.ok_or_else(|| {
        Error::invalid(what(certificate)).because("it contains no certificate in PEM format")
    })?;
    let text = std::fs::read(key).context(|| what(key))?;
    // What is wrong with it is not said: it is secret.
    let key = PrivateKeyDer::from_pem_slice(&text).map_err(|_| {
        Error::invalid(what(key)).because("it contains no private key in PEM format")
    })?;
    Ok((chain, key))
}

/// Explains the failure of a connection with TLS.
pub(crate) fn fault(error: io::Error) -> Fault {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(error) => explain(error),
        None => error.into(),
    }
}

fn explain(error: &TlsError) -> Fault {
    let fault = match error {
        TlsError::InvalidCertificate(fault) => explain_certificate(fault),
        TlsError::InvalidMessage(InvalidMessage::InvalidContentType) => {
            return Fault::permanent("the server does not speak TLS");
        }
        TlsError::AlertReceived(AlertDescription::ProtocolVersion)
        | TlsError::PeerIncompatible(_) => Fault::permanent(
            "the server speaks only versions or ciphers of TLS that are too old to be secure",
        ),
        TlsError::AlertReceived(AlertDescription::UnrecognisedName) => {
            Fault::permanent("the server knows no host of this name")
        }
        TlsError::AlertReceived(
            AlertDescription::BadCertificate
            | AlertDescription::CertificateRequired
            | AlertDescription::UnknownCA,
        ) => Fault::permanent("the server wants a certificate from us, or another one"),
        TlsError::AlertReceived(alert) => {
            Fault::permanent(format!("the server refused the TLS connection ({alert:?})"))
        }
        other => return Fault::permanent(format!("the TLS connection failed: {other}")),
    };
    Fault {
        in_tls: true,
        ..fault
    }
}

/// Says what is wrong with a certificate, with days that people can read.
fn explain_certificate(error: &CertificateError) -> Fault {
    let is = |why: &str| Fault::permanent(format!("the server's certificate {why}"));
    let clock = "is the clock of this host right?";
    match error {
        CertificateError::UnknownIssuer => is("was not signed by a trusted authority")
            .hint("use `--ca-file FILE` to trust the authority that signed it"),
        CertificateError::ExpiredContext { not_after, .. } => {
            is(&format!("expired on {}", spell_day(not_after.as_secs()))).hint(clock)
        }
        CertificateError::Expired => is("has expired").hint(clock),
        CertificateError::NotValidYetContext { not_before, .. } => {
            let day = spell_day(not_before.as_secs());
            is(&format!("is not valid before {day}")).hint(clock)
        }
        CertificateError::NotValidYet => is("is not valid yet").hint(clock),
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => {
            let names = presented.iter().map(|name| quoted(&bare(name)));
            let names: Vec<String> = names.collect();
            let asked = quoted(&expected.to_str());
            match names.is_empty() {
                true => is(&format!("names no host, so it is not for {asked}")),
                false => is(&format!("is for {}, not for {asked}", names.join(", "))),
            }
        }
        CertificateError::NotValidForName => is("is for another host"),
        CertificateError::Revoked => is("was revoked"),
        CertificateError::BadSignature => is("has a signature that is not valid"),
        CertificateError::BadEncoding => is("is damaged"),
        other if is_authority(other) => is("is that of an authority")
            .hint("use `--ca-file FILE` to trust this very certificate"),
        other => is(&format!("is not valid: {other}")),
    }
}

/// Removes the kind that webpki writes around a name: `DnsName("a.b")`.
fn bare(name: &str) -> String {
    let mut parts = name.split('"');
    let inner = parts.nth(1);
    inner.unwrap_or(name).to_owned()
}

/// Tells whether the only fault of a server's certificate is that it could sign
/// others, as one that somebody has made for himself usually can. That is
/// looked at after the dates.
fn is_authority(error: &CertificateError) -> bool {
    // The type is another crate's.
    format!("{error:?}").contains("CaUsedAsEndEntity")
}

/// Accepts certificates by trusted authorities, and those that are trusted
/// themselves.
#[derive(Debug)]
struct Authorities {
    usual: Arc<WebPkiServerVerifier>,
    added: Vec<CertificateDer<'static>>,
}

impl Authorities {
    fn new(
        added: &[CertificateDer<'static>],
        provider: Arc<CryptoProvider>,
    ) -> std::result::Result<Self, Fault> {
        let mut roots = RootCertStore::empty();
        // A file of the system that cannot be read is not the only one.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        roots.add_parsable_certificates(added.iter().cloned());
        if roots.is_empty() {
            return Err(Fault::permanent("no certificate authorities are installed")
                .hint("install them (`ca-certificates`), or use `--ca-file FILE`"));
        }
        let usual = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        let usual = usual.map_err(|error| Fault::permanent(error.to_string()))?;
        Ok(Self {
            usual,
            added: added.to_vec(),
        })
    }
}

impl ServerCertVerifier for Authorities {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        status: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, TlsError> {
        match self
            .usual
            .verify_server_cert(own, between, name, status, now)
        {
            Err(TlsError::InvalidCertificate(error))
                if is_authority(&error) && self.added.contains(own) =>
            {
                verify_server_name(&ParsedCertificate::try_from(own)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, TlsError> {
        self.usual
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, TlsError> {
        self.usual
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}

/// Accepts every certificate.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> std::result::Result<ServerCertVerified, TlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, TlsError> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, TlsError> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_file_without_certificates_is_no_authority() {
        let directory = std::env::temp_dir().join(format!("ca-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let file = directory.join("key.pem");
        let refused = |text: Option<&str>, why: &str| {
            if let Some(text) = text {
                std::fs::write(&file, text).expect("a file");
            }
            let message = certificates(&file).expect_err("refused").to_string();
            let file = file.display();
            let expected = format!("cannot use `{file}` as certificate authorities: {why}");
            assert_eq!(message, expected);
        };
        refused(None, "No such file or directory");
        let none = "it contains no certificate in PEM format";
        refused(Some(""), none);
        refused(
            Some("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
            none,
        );
        let begin = "-----BEGIN CERTIFICATE-----";
        refused(
            Some(&format!("{begin}\nAAAA\n")),
            "it has a certificate that is not valid PEM",
        );
        refused(
            Some(&format!("{begin}\nAAAA\n-----END CERTIFICATE-----\n")),
            "it has a certificate that is not valid",
        );
        std::fs::remove_dir_all(&directory).expect("removed");
    }

    #[test]
    fn what_is_wrong_with_a_certificate_is_said_in_days_and_names() {
        let day = |days: u64| UnixTime::since_unix_epoch(Duration::from_secs(days * 86_400));
        let name = ServerName::try_from("example.com").expect("a name");
        for (error, what, hinted) in [
            (
                CertificateError::UnknownIssuer,
                "was not signed by a trusted authority",
                true,
            ),
            (
                CertificateError::ExpiredContext {
                    time: day(20_000),
                    not_after: day(19_000),
                },
                "expired on 2022-01-08",
                true,
            ),
            (
                CertificateError::NotValidYetContext {
                    time: day(0),
                    not_before: day(19_000),
                },
                "is not valid before 2022-01-08",
                true,
            ),
            (
                CertificateError::NotValidForNameContext {
                    expected: name.clone(),
                    presented: vec!["DnsName(\"a.example\")".into(), "b\x1b".into()],
                },
                "is for `a.example`, `b\\u{1b}`, not for `example.com`",
                false,
            ),
            (
                CertificateError::NotValidForNameContext {
                    expected: name,
                    presented: vec![],
                },
                "names no host, so it is not for `example.com`",
                false,
            ),
        ] {
            let error = io::Error::new(
                io::ErrorKind::InvalidData,
                TlsError::InvalidCertificate(error),
            );
            let fault = fault(error);
            assert_eq!(fault.what, format!("the server's certificate {what}"));
            assert!(!fault.transient, "{what}");
            assert_eq!(fault.hint.is_some(), hinted, "{what}");
        }
    }
}
