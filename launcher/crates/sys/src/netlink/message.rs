//! The format of netlink messages (linux/netlink.h): a header, a fixed part of
//! the family, and attributes. Everything is aligned to four bytes, and in the
//! byte order of the machine unless it says otherwise.

/// A message that lists something consists of several.
const DONE: u16 = 3;
/// An error; zero is an acknowledgement.
const ERROR: u16 = 2;

/// Flags of a request (`NLM_F_...`).
const REQUEST: u16 = 0x1;
/// The kernel is to acknowledge it.
pub(super) const ACK: u16 = 0x4;
/// List all (`NLM_F_DUMP`).
pub(super) const DUMP: u16 = 0x300;
/// Take the place of what is there already.
pub(super) const REPLACE: u16 = 0x100;
/// Fail if it is there already.
pub(super) const EXCLUSIVE: u16 = 0x200;
/// Make it if it is not there.
pub(super) const CREATE: u16 = 0x400;
/// Add it at the end.
pub(super) const APPEND: u16 = 0x800;

/// Marks an attribute as a list of others (`NLA_F_NESTED`).
const NESTED: u16 = 1 << 15;

/// The bits of an attribute's type that are not its number.
const FLAGS: u16 = 0b11 << 14;

/// The length of `struct nlmsghdr`.
const HEADER: usize = 16;

/// The length of `struct nlattr`.
const ATTRIBUTE: usize = 4;

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Message {
    kind: u16,
    flags: u16,
    fixed: Vec<u8>,
    attributes: Attributes,
}

impl Message {
    /// Makes a request of this type, with the fixed part of its family.
    pub(super) fn new(kind: u16, flags: u16, fixed: &[u8], attributes: Attributes) -> Self {
        Self {
            kind,
            flags: flags | REQUEST,
            fixed: fixed.to_vec(),
            attributes,
        }
    }

    pub(super) fn with_flags(mut self, flags: u16) -> Self {
        self.flags |= flags;
        self
    }

    /// Appends the message to a datagram.
    pub(super) fn encode(&self, sequence: u32, datagram: &mut Vec<u8>) {
        let start = datagram.len();
        datagram.extend([0; 4]);
        datagram.extend(self.kind.to_ne_bytes());
        datagram.extend(self.flags.to_ne_bytes());
        datagram.extend(sequence.to_ne_bytes());
        // The kernel fills in who sent it.
        datagram.extend([0; 4]);
        datagram.extend(&self.fixed);
        align(datagram);
        datagram.extend(&self.attributes.0);
        let length = u32::try_from(datagram.len() - start).unwrap_or(u32::MAX);
        datagram[start..start + 4].copy_from_slice(&length.to_ne_bytes());
    }
}

/// Attributes in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Attributes(Vec<u8>);

impl Attributes {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    pub(super) fn with(mut self, kind: u16, value: &[u8]) -> Self {
        // None that we make comes near the limit of 64 kilobytes.
        let length = u16::try_from(ATTRIBUTE + value.len()).unwrap_or(u16::MAX);
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        align(&mut self.0);
        self
    }

    /// Adds a number in the byte order of the machine.
    pub(super) fn with_u32(self, kind: u16, value: u32) -> Self {
        self.with(kind, &value.to_ne_bytes())
    }

    /// Adds a number in the byte order of the network.
    pub(super) fn with_be32(self, kind: u16, value: u32) -> Self {
        self.with(kind, &value.to_be_bytes())
    }

    /// Adds a text, which ends with a NUL byte.
    pub(super) fn with_text(self, kind: u16, text: &str) -> Self {
        self.with(kind, &[text.as_bytes(), &[0]].concat())
    }

    /// Adds a list.
    pub(super) fn with_nested(self, kind: u16, nested: &Self) -> Self {
        self.with(kind | NESTED, &nested.0)
    }

    /// Adds a list that starts with a fixed part.
    pub(super) fn with_nested_after(self, kind: u16, fixed: &[u8], nested: &Self) -> Self {
        self.with(kind | NESTED, &[fixed, &nested.0].concat())
    }
}

fn align(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

/// A message of the kernel.
pub(super) struct Received<'a> {
    pub(super) kind: u16,
    pub(super) sequence: u32,
    pub(super) payload: &'a [u8],
}

impl Received<'_> {
    /// If this is the last answer, returns the error, or zero.
    pub(super) fn end(&self) -> Option<i32> {
        let code = || number(self.payload).map_or(0, i32::from_ne_bytes);
        match self.kind {
            DONE => Some(0),
            ERROR => Some(code().saturating_neg()),
            _ => None,
        }
    }
}

/// Splits a datagram into messages; what is malformed ends it.
pub(super) fn received(mut datagram: &[u8]) -> impl Iterator<Item = Received<'_>> {
    std::iter::from_fn(move || {
        let length = usize::try_from(u32::from_ne_bytes(number(datagram)?)).ok()?;
        let message = datagram.get(..length)?;
        let one = Received {
            kind: u16::from_ne_bytes(number(message.get(4..)?)?),
            sequence: u32::from_ne_bytes(number(message.get(8..)?)?),
            payload: message.get(HEADER..)?,
        };
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        Some(one)
    })
}

/// Splits attributes into their types and values; what is malformed ends them.
pub(super) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(number(bytes)?));
        let kind = u16::from_ne_bytes(number(bytes.get(2..)?)?) & !FLAGS;
        let value = bytes.get(ATTRIBUTE..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        Some((kind, value))
    })
}

/// Returns the bytes of a number at the start.
pub(super) fn number<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.first_chunk().copied()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn what_is_malformed_ends_a_list_and_no_more() {
        let good = Attributes::new().with(1, b"abc").with_u32(2, 7);
        let all = |bytes: &[u8]| {
            let all = attributes(bytes).map(|(kind, value)| (kind, value.to_vec()));
            all.collect::<Vec<_>>()
        };
        let expected = vec![(1, b"abc".to_vec()), (2, 7_u32.to_ne_bytes().to_vec())];
        assert_eq!(all(&good.0), expected);
        for end in 0..good.0.len() {
            let whole = match end {
                0..7 => 0,
                7..16 => 1,
                _ => 2,
            };
            assert_eq!(all(&good.0[..end]), expected[..whole], "{end}");
        }
        // A length that would not get anywhere.
        assert_eq!(all(&[0, 0, 1, 0, 0, 0, 0, 0]), []);
        let mut datagram = Vec::new();
        let message = Message::new(9, 0, &[1, 2], good);
        message.encode(5, &mut datagram);
        message.encode(6, &mut datagram);
        let found = |bytes: &[u8]| received(bytes).map(|one| one.sequence).collect::<Vec<_>>();
        assert_eq!(found(&datagram), [5, 6]);
        assert_eq!(found(&datagram[..datagram.len() - 1]), [5]);
        assert_eq!(found(&[0; 40]), []);
    }

    #[test]
    fn lists_can_be_nested() {
        let inner = Attributes::new().with_text(3, "eth0");
        let outer = Attributes::new().with_nested_after(1, &[9; 4], &inner);
        let (kind, value) = attributes(&outer.0).next().unwrap();
        assert_eq!((kind, &value[..4]), (1, &[9; 4][..]));
        assert_eq!(attributes(&value[4..]).next().unwrap(), (3, &b"eth0\0"[..]));
    }
}
