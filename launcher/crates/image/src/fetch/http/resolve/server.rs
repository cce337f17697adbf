//! Asks one name server.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use super::message::{Answer, Kind, Question};

/// Largest answer that is understood by UDP, in bytes. One without extensions
/// has 512.
const DATAGRAM: usize = 4096;

/// Why a server is of no use.
#[derive(Debug)]
pub(super) enum Failure {
    /// It does not answer.
    Io(io::Error),
    /// It says that it cannot tell, with this code.
    Code(u8),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) if is_timeout(error) => f.write_str("it does not answer"),
            Self::Io(error) => {
                let text = error.to_string();
                f.write_str(text.split(" (os error ").next().unwrap_or_default())
            }
            Self::Code(2) => f.write_str("it has failed to find out (SERVFAIL)"),
            Self::Code(5) => f.write_str("it refuses to answer (REFUSED)"),
            Self::Code(code) => write!(f, "it answers with error {code}"),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

/// Asks for the addresses of a name, those of IPv6 first. `None` says that there
/// is no such name; a name may have no address.
pub(super) fn ask(
    server: SocketAddr,
    name: &str,
    timeout: Duration,
    tcp: bool,
) -> Result<Option<Vec<IpAddr>>, Failure> {
    let mut ids = [0; 4];
    rustix::rand::getrandom(&mut ids, rustix::rand::GetRandomFlags::empty())
        .map_err(io::Error::from)?;
    let [a, b, c, d] = ids;
    let questions = (
        Question::new(name, Kind::Aaaa, [a, b]),
        Question::new(name, Kind::A, [c, d]),
    );
    let (Some(six), Some(four)) = questions else {
        return Ok(None);
    };
    let questions = [six, four];
    let deadline = Instant::now() + timeout;
    let mut answers = match tcp {
        true => [None, None],
        false => by_udp(server, &questions, deadline)?,
    };
    for (question, answer) in questions.iter().zip(&mut answers) {
        if answer.as_ref().is_none_or(|answer| answer.cut) {
            *answer = Some(by_tcp(server, question, timeout)?);
        }
    }
    let answers = answers.into_iter().flatten();
    let mut found = Vec::new();
    let (mut exists, mut failed) = (false, None);
    for answer in answers {
        match answer.code {
            0 => exists = true,
            3 => {}
            code => failed = Some(code),
        }
        found.extend(answer.addresses);
    }
    match failed {
        // Some servers know nothing of IPv6.
        Some(code) if found.is_empty() => Err(Failure::Code(code)),
        _ => Ok(exists.then_some(found)),
    }
}

/// Sends both questions at once, and waits for both answers.
fn by_udp(
    server: SocketAddr,
    questions: &[Question; 2],
    deadline: Instant,
) -> io::Result<[Option<Answer>; 2]> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    // From then on, nothing comes that others send.
    socket.connect(server)?;
    for question in questions {
        socket.send(&question.bytes)?;
    }
    let mut answers = [None, None];
    let mut buffer = [0; DATAGRAM];
    while answers.iter().any(Option::is_none) {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        socket.set_read_timeout(Some(left))?;
        let length = match socket.recv(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        for (question, answer) in questions.iter().zip(&mut answers) {
            if let Some(read) = question.answer(&buffer[..length]) {
                *answer = Some(read);
            }
        }
    }
    Ok(answers)
}

/// Asks where an answer has not fitted into a datagram (RFC 7766): both have
/// their length before them.
fn by_tcp(server: SocketAddr, question: &Question, timeout: Duration) -> io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&server, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    let length = u16::try_from(question.bytes.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), &question.bytes[..]].concat())?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut message)?;
    let unclear = || io::Error::other("its answer is not valid");
    question.answer(&message).ok_or_else(unclear)
}
