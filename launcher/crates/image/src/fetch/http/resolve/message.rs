//! Questions to name servers, and their answers (RFC 1035, section 4; RFC 3596).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Length of the header, in bytes.
const HEADER: usize = 12;

/// Longest name and longest part of one, in bytes (section 2.3.4).
const NAME: usize = 253;
const LABEL: usize = 63;

/// Bits of the header: an answer; one that was cut; recursion is desired.
const ANSWER: u8 = 0x80;
const CUT: u8 = 0x02;
const RECURSE: u8 = 0x01;

/// The class of the internet, and the type of another name for a name.
const INTERNET: u16 = 1;
const ALIAS: u16 = 5;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum Kind {
    /// IPv4 addresses.
    A = 1,
    /// IPv6 addresses.
    Aaaa = 28,
}

/// A question: a whole message.
pub(super) struct Question {
    kind: Kind,
    /// The message.
    pub(super) bytes: Vec<u8>,
}

/// What a server answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// 0 for an answer, 3 if there is no such name; others are failures.
    pub(super) code: u8,
    /// Whether it did not fit.
    pub(super) cut: bool,
    /// The addresses.
    pub(super) addresses: Vec<IpAddr>,
}

impl Question {
    /// Asks for the addresses of a name. `None` says that it cannot be a name.
    pub(super) fn new(name: &str, kind: Kind, id: [u8; 2]) -> Option<Self> {
        let mut bytes = vec![id[0], id[1], RECURSE, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        if name.len() > NAME {
            return None;
        }
        for label in name.split('.') {
            let length = u8::try_from(label.len()).ok()?;
            if label.is_empty() || label.len() > LABEL {
                return None;
            }
            bytes.push(length);
            bytes.extend(label.as_bytes());
        }
        bytes.push(0);
        bytes.extend((kind as u16).to_be_bytes());
        bytes.extend(INTERNET.to_be_bytes());
        Some(Self { kind, bytes })
    }

    /// Reads an answer; `None` if it is none to this question.
    pub(super) fn answer(&self, message: &[u8]) -> Option<Answer> {
        let header: &[u8; HEADER] = message.first_chunk()?;
        let [id @ .., flags, code, _, _, high, low, _, _, _, _] = header;
        let asked = message.get(HEADER..self.bytes.len())?;
        let ours = id == &self.bytes[..2]
            && flags & ANSWER != 0
            && header[4..6] == [0, 1]
            && asked.eq_ignore_ascii_case(&self.bytes[HEADER..]);
        if !ours {
            return None;
        }
        let mut answer = Answer {
            code: code & 0x0f,
            cut: flags & CUT != 0,
            addresses: Vec::new(),
        };
        // What was cut is not read, and its end may lack.
        if answer.code == 0 && !answer.cut {
            let mut reader = Reader {
                message,
                at: HEADER,
            };
            let mut name = reader.name()?;
            reader.at = self.bytes.len();
            for _ in 0..u16::from_be_bytes([*high, *low]) {
                answer
                    .addresses
                    .extend(reader.record(self.kind, &mut name)?);
            }
        }
        Some(answer)
    }
}

/// Reads a message from somewhere on.
struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.message.get(self.at..)?.get(..count)?;
        self.at += count;
        Some(taken)
    }

    fn number(&mut self) -> Option<u16> {
        let bytes = self.take(2)?.try_into().ok()?;
        Some(u16::from_be_bytes(bytes))
    }

    /// Reads a record, and returns its address if it is one of the name. If it
    /// is another name for it, that one counts from there on.
    fn record(&mut self, kind: Kind, name: &mut Vec<u8>) -> Option<Option<IpAddr>> {
        let owner = self.name()?;
        let (type_, class) = (self.number()?, self.number()?);
        let _time_to_live = self.take(4)?;
        let length = self.number()?;
        let inside = Self { ..*self };
        let data = self.take(length.into())?;
        if owner != *name || class != INTERNET {
            return Some(None);
        }
        if type_ == ALIAS {
            let mut inside = inside;
            *name = inside.name()?;
        }
        if type_ != kind as u16 {
            return Some(None);
        }
        Some(Some(match kind {
            Kind::A => Ipv4Addr::from(<[u8; 4]>::try_from(data).ok()?).into(),
            Kind::Aaaa => Ipv6Addr::from(<[u8; 16]>::try_from(data).ok()?).into(),
        }))
    }

    /// Reads a name, in lower case, with the length before each part. What it
    /// has in common with an earlier one may stand there only (section 4.1.4).
    fn name(&mut self) -> Option<Vec<u8>> {
        let mut name = Vec::new();
        let mut earlier = Self { ..*self };
        let mut reader = &mut *self;
        loop {
            let start = reader.at;
            let length = reader.take(1)?[0];
            match length {
                0 => break,
                0xc0.. => {
                    let low = reader.take(1)?[0];
                    let to = usize::from(u16::from_be_bytes([length & 0x3f, low]));
                    // Only ever backwards, so that there is an end.
                    if to >= start {
                        return None;
                    }
                    reader = &mut earlier;
                    reader.at = to;
                }
                1..=63 => {
                    name.push(length);
                    name.extend(reader.take(length.into())?.to_ascii_lowercase());
                }
                _ => return None,
            }
            if name.len() > NAME + 1 {
                return None;
            }
        }
        Some(name)
    }
}

/// Reads an answer to some question, for the fuzz targets.
///
/// # Panics
///
/// It has more addresses than fit into it.
pub(crate) fn fuzz(bytes: &[u8]) {
    for kind in [Kind::A, Kind::Aaaa] {
        let id = bytes.first_chunk().copied().unwrap_or_default();
        let question = Question::new("a.example", kind, id);
        if let Some(answer) = question.and_then(|question| question.answer(bytes)) {
            assert!(answer.addresses.len() * HEADER <= bytes.len(), "{answer:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question() -> Question {
        Question::new("www.Example.com", Kind::A, *b"id").expect("a name")
    }

    /// An answer with these records.
    fn answer(flags: [u8; 2], count: u8, records: &[&[u8]]) -> Vec<u8> {
        let mut bytes = question().bytes;
        bytes[2..4].copy_from_slice(&flags);
        bytes[7] = count;
        bytes.extend(records.concat());
        bytes
    }

    /// `www.example.com` is another name for `host.example.com`.
    const ALIASED: &[u8] = b"\xc0\x0c\0\x05\0\x01\0\0\0\x09\0\x07\x04HOST\xc0\x10";
    /// An address of `host.example.com`, whose name stands in the record above.
    const ADDRESS: &[u8] = b"\xc0\x2d\0\x01\0\x01\0\0\0\x09\0\x04\xc0\0\x02\x07";
    /// An address of `example.com`.
    const OTHER: &[u8] = b"\xc0\x10\0\x01\0\x01\0\0\0\x09\0\x04\xc0\0\x02\x08";

    #[test]
    fn a_question_is_written_as_the_rfc_says() {
        let expected = b"id\x01\0\0\x01\0\0\0\0\0\0\x03www\x07Example\x03com\0\0\x01\0\x01";
        assert_eq!(question().bytes, expected);
        let long = ["a"; 127].join(".");
        let valid = |name: &str| Question::new(name, Kind::A, [0; 2]).is_some();
        assert!(valid(&long) && valid(&"a".repeat(63)));
        for name in ["", ".", "a..b", &"a".repeat(64), &format!("{long}.b")] {
            assert!(!valid(name), "{name}");
        }
    }

    #[test]
    fn the_addresses_of_a_name_are_those_of_what_it_stands_for() {
        let bytes = answer([0x81, 0x80], 3, &[ALIASED, OTHER, ADDRESS]);
        // The other record lies between, so the name is where it was.
        let read = question().answer(&bytes).expect("an answer");
        assert_eq!(read.addresses, [IpAddr::from([192, 0, 2, 7])]);
        assert_eq!((read.code, read.cut), (0, false));
    }

    #[test]
    fn only_an_answer_to_this_very_question_counts() {
        let good = answer([0x81, 0x80], 2, &[ALIASED, ADDRESS]);
        assert!(question().answer(&good).is_some());
        for (at, byte) in [(0, b'x'), (2, 0x01), (5, 2), (14, b'x'), (30, 28)] {
            let mut bytes = good.clone();
            bytes[at] = byte;
            assert_eq!(question().answer(&bytes), None, "{at}");
        }
        for length in 0..good.len() {
            assert_eq!(question().answer(&good[..length]), None, "{length}");
        }
    }

    #[test]
    fn a_name_that_leads_to_itself_ends() {
        let itself = b"\xc0\x21\0\x01\0\x01\0\0\0\x09\0\x04\xc0\0\x02\x07";
        let bytes = answer([0x81, 0x80], 1, &[itself]);
        assert_eq!(question().answer(&bytes), None);
    }

    #[test]
    fn a_failure_and_a_cut_are_told() {
        let read = |flags| question().answer(&answer(flags, 9, &[]));
        let said = |code, cut| {
            let addresses = Vec::new();
            Some(Answer {
                code,
                cut,
                addresses,
            })
        };
        assert_eq!(read([0x81, 0x83]), said(3, false));
        assert_eq!(read([0x83, 0x80]), said(0, true));
    }
}
