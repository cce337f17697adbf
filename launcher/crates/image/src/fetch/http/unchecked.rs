//! TLS without verifying who the server is, if the operator allows it
//! (`--insecure-options=tls`). The only file that knows rustls.
//!
//! minreq has a fixed TLS configuration, but it can speak plain HTTP through a
//! proxy. So such a request goes through a proxy inside this process, which
//! speaks TLS to the server:
//!
//! ```text
//! minreq --HTTP--> 127.0.0.1, CONNECT, a secret --TLS--> server
//! ```
//!
//! A [`Relay`] forwards one connection, which must present a secret that only
//! this process knows, and then ends. The worst another user of this machine
//! can do is to delay it.
//!
//! The server must still prove that it has the key of its certificate.
//! Otherwise a passive listener could not be told from a broken server.

use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error as TlsError, SignatureScheme,
    StreamOwned,
};

use crate::fetch::credentials::base64;
use crate::fetch::http::proxy::Proxy;

/// Largest header of a request, in bytes.
const HEADER: u64 = 64 << 10;

/// How long a connection may take to present the secret. We present it at once.
const PATIENCE: Duration = Duration::from_secs(2);

/// A proxy for one connection to one server.
pub(crate) struct Relay(Arc<Mutex<Option<io::Error>>>);

impl Relay {
    /// Starts listening. Also returns the proxy to connect through.
    ///
    /// # Errors
    ///
    /// There is no socket, thread or random number.
    pub(crate) fn start(host: &str, port: u16) -> io::Result<(Self, Proxy)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let proxy = Proxy {
            host: Ipv4Addr::LOCALHOST.to_string(),
            port: listener.local_addr()?.port(),
            login: Some(secret()?),
        };
        let failure = Arc::new(Mutex::new(None));
        let (noted, host, login) = (Arc::clone(&failure), host.to_owned(), proxy.login.clone());
        std::thread::Builder::new()
            .name("relay".to_owned())
            .spawn(move || {
                let near = ours(listener, &login.unwrap_or_default());
                let passed = near.as_ref().map(|near| pass(near, &host, port));
                if let Ok(Err(error)) = passed {
                    *noted.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                }
                // Whoever sees the connection close finds the failure.
                drop(near);
            })?;
        Ok((Self(failure), proxy))
    }

    /// Returns what failed between us and the server, once.
    pub(crate) fn failure(&self) -> Option<io::Error> {
        let mut failure = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failure.take()
    }
}

/// Returns an unguessable text.
fn secret() -> io::Result<String> {
    let mut bytes = [0; 16];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}

/// Waits for the connection that presents the secret, and closes the listener.
fn ours(listener: TcpListener, login: &str) -> io::Result<TcpStream> {
    let field = format!("Proxy-Authorization: Basic {}", base64(login.as_bytes()));
    loop {
        let (near, _) = listener.accept()?;
        near.set_read_timeout(Some(PATIENCE))?;
        // Otherwise the kernel would collect data to fill a packet, which has
        // 64 KiB here.
        near.set_nodelay(true)?;
        if let Ok(header) = header(&near)
            && header.starts_with(b"CONNECT ")
            && header
                .split(|byte| *byte == b'\n')
                .any(|line| line.trim_ascii() == field.as_bytes())
        {
            return Ok(near);
        }
    }
}

/// Forwards the request, and the answer.
fn pass(mut near: &TcpStream, host: &str, port: u16) -> io::Result<()> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let client = ClientConnection::new(Arc::new(config()), name).map_err(io::Error::other)?;
    let mut far = StreamOwned::new(client, TcpStream::connect((host, port))?);
    // The handshake comes first: if it fails, there is no answer from the
    // server.
    while far.conn.is_handshaking() {
        far.conn.complete_io(&mut far.sock)?;
    }
    near.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    far.write_all(&header(near)?)?;
    far.flush()?;
    match io::copy(&mut far, &mut near) {
        // Many servers close without announcing it. The reader of the body
        // checks whether that was too early.
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(error),
        _ => Ok(()),
    }
}

/// Reads up to the empty line after a header, where the sender waits.
fn header(near: &TcpStream) -> io::Result<Vec<u8>> {
    let mut near = BufReader::new(near).take(HEADER);
    let mut header = Vec::new();
    while !header.ends_with(b"\r\n\r\n") {
        if near.read_until(b'\n', &mut header)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(header)
}

/// The usual configuration, except that certificates are not verified.
fn config() -> ClientConfig {
    let builder = ClientConfig::builder();
    let anybody = Anybody(Arc::clone(builder.crypto_provider()));
    builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(anybody))
        .with_no_client_auth()
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
    ) -> Result<ServerCertVerified, TlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends something to a relay; gives what comes back before it hangs up.
    fn sent(port: u16, text: &str) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a connection");
        stream.write_all(text.as_bytes()).expect("written");
        let mut answer = String::new();
        // To hang up is all that there may be.
        let _ = stream.read_to_string(&mut answer);
        answer
    }

    #[test]
    fn a_stranger_is_let_nowhere_and_is_in_nobodys_way() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
        server.set_nonblocking(true).expect("set");
        let port = server.local_addr().expect("an address").port();
        let (relay, proxy) = Relay::start("127.0.0.1", port).expect("a relay");
        let login = proxy.login.expect("a secret");
        let field = |login: &str| {
            let login = base64(login.as_bytes());
            format!("Proxy-Authorization: Basic {login}\r\n\r\n")
        };
        let connect = "CONNECT 127.0.0.1:80 HTTP/1.1\r\n";
        for stranger in [
            "GET / HTTP/1.1\r\n\r\n".to_owned(),
            format!("{connect}\r\n"),
            format!("{connect}{}", field("")),
            format!("{connect}{}", field(&login[1..])),
            format!("{connect}{}", field(&format!("{login}0"))),
            format!("GET / HTTP/1.1\r\n{}", field(&login)),
        ] {
            assert_eq!(sent(proxy.port, &stranger), "", "{stranger}");
            let error = server.accept().expect_err("nobody came");
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        }
        let asked =
            std::thread::spawn(move || sent(proxy.port, &format!("{connect}{}", field(&login))));
        let (mut stream, _) = loop {
            match server.accept() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::yield_now(),
                other => break other.expect("a connection"),
            }
        };
        stream.write_all(b"SSH-2.0-x\r\n").expect("written");
        // Only now is the connection there, and it is the last.
        TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port)).expect_err("refused");
        assert_eq!(asked.join().expect("no panic"), "");
        let failure = relay.failure().expect("a failure").to_string();
        assert!(failure.contains("InvalidContentType"), "{failure}");
    }
}
