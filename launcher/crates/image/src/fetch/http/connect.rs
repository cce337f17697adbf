//! Connections to servers: directly or through a proxy, with TLS for `https`.

use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::fetch::credentials::base64;
use crate::fetch::http::fault::Fault;
use crate::fetch::http::message;
use crate::fetch::http::proxy::Proxy;
use crate::fetch::http::resolve::resolve;
use crate::fetch::http::tls::Tls;
use crate::fetch::http::url::Url;
use oci::secret::Secret;

/// How long one of several addresses may take. A host whose IPv6 address leads
/// nowhere is reached by the other one.
const ADDRESS: Duration = Duration::from_secs(10);

/// A connection that is read and written.
pub(crate) trait Connection: Read + Write {}

impl<T: Read + Write> Connection for T {}

/// Connects to the server of a URL. For `http` through a proxy, this is the
/// proxy itself, which is told the whole URL.
///
/// # Errors
///
/// There is no connection, or the server is not believed.
pub(crate) fn connect(
    url: &Url,
    proxy: Option<&Proxy>,
    tls: &Tls,
) -> Result<Box<dyn Connection>, Fault> {
    let session = match url.secure {
        true => Some(tls.session(url)?),
        false => None,
    };
    let stream = match proxy {
        None => dial(&url.host, url.port)?,
        Some(proxy) => {
            let near = dial(&proxy.host, proxy.port).map_err(|fault| Fault {
                what: format!("cannot connect to proxy `{proxy}`: {}", fault.what),
                ..fault
            })?;
            if session.is_some() {
                tunnel(&near, url, proxy)?;
            }
            near
        }
    };
    Ok(match session {
        Some(session) => Box::new(session.begin(stream)?),
        None => Box::new(stream),
    })
}

/// Connects to one of the addresses of a host.
fn dial(host: &str, port: u16) -> Result<TcpStream, Fault> {
    let addresses = resolve(host)?;
    let mut last = Fault::permanent("the host has no address");
    for &address in &addresses {
        let address = SocketAddr::new(address, port);
        let stream = match addresses.len() {
            1 => TcpStream::connect(address),
            _ => TcpStream::connect_timeout(&address, ADDRESS),
        };
        match stream {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error.into(),
        }
    }
    Err(last)
}

/// Asks a proxy for a connection to the server (RFC 9110, section 9.3.6).
fn tunnel(mut near: &TcpStream, url: &Url, proxy: &Proxy) -> Result<(), Fault> {
    let target = format!("{}:{}", url.bracketed(), url.port);
    let login = authorization(proxy);
    let login = login.as_ref().map(|login| (AUTHORIZATION, login.reveal()));
    let fields = std::iter::once(("Host", target.as_str())).chain(login);
    near.write_all(&message::request("CONNECT", &target, fields))?;
    // What follows the header is the server's, and it waits for us.
    let head = message::read_head(&mut BufReader::with_capacity(1, near));
    let head = head.map_err(|fault| Fault {
        what: format!("proxy `{proxy}` does not answer as one: {}", fault.what),
        ..fault
    })?;
    match head.status {
        200..300 => Ok(()),
        status => Err(refusal(proxy, status)),
    }
}

/// The field that tells a proxy who we are.
pub(crate) const AUTHORIZATION: &str = "Proxy-Authorization";

/// Returns the value of [`AUTHORIZATION`].
pub(crate) fn authorization(proxy: &Proxy) -> Option<Secret> {
    let login = base64(proxy.login.as_ref()?.reveal().as_bytes());
    Some(Secret::new(format!("Basic {login}")))
}

/// Explains the status with which a proxy refuses.
pub(crate) fn refusal(proxy: &Proxy, status: u16) -> Fault {
    match (status, &proxy.login) {
        (407, None) => Fault::permanent(format!("proxy `{proxy}` asks for a user and password"))
            .hint("write them into the proxy's URL: `http://USER:PASSWORD@HOST:PORT`"),
        (407, Some(_)) => Fault::permanent(format!("proxy `{proxy}` rejected the credentials")),
        (502..=504, _) => Fault::transient(format!(
            "proxy `{proxy}` cannot reach the server (status {status})"
        )),
        _ => Fault::permanent(format!(
            "proxy `{proxy}` refused the connection (status {status})"
        )),
    }
}
