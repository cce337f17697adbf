//! Whatever happened to a log, all of it that is undamaged is read.

use super::*;

/// An owned record.
type Owned = (u64, Stream, Vec<u8>);

fn spell((time, stream, data): &Owned) -> Vec<u8> {
    let (seconds, rest) = (time / 1_000_000_000, time % 1_000_000_000);
    let (tag, length) = (stream.tag(), data.len());
    let mut bytes = format!("{seconds}.{rest:09} {tag} {length}\n").into_bytes();
    bytes.extend_from_slice(data);
    bytes
}

/// Reads all records, from windows that end at multiples of the step and at the
/// end.
fn read(bytes: &[u8], step: usize) -> Vec<Owned> {
    let mut records = Vec::new();
    let (mut start, mut end) = (0, step.min(bytes.len()));
    loop {
        let last = end == bytes.len();
        match take(&bytes[start..end], last) {
            Taken::Record(record, size) => {
                assert!(!record.data.is_empty() && size > record.data.len());
                start += size;
                records.push((record.time, record.stream, record.data.to_vec()));
            }
            Taken::Damage(size) => {
                assert!(size > 0);
                start += size;
            }
            Taken::More if last => {
                assert_eq!(start, end, "to their end");
                return records;
            }
            Taken::More => end = (end + step).min(bytes.len()),
        }
    }
}

fn read_whole(bytes: &[u8]) -> Vec<Owned> {
    read(bytes, bytes.len())
}

/// Reproducible random numbers: xorshift64.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(limit).unwrap()).unwrap()
    }

    /// A record of random bytes that do not look like a head.
    fn record(&mut self, longest: usize) -> Owned {
        let stream = [Stream::Out, Stream::Err, Stream::Terminal][self.below(3)];
        let time = 1_700_000_000_000_000_000 + u64::try_from(self.below(1 << 50)).unwrap();
        let length = 1 + self.below(longest);
        let data = (0..length).map(|_| b"ab \n\0\xff.12"[self.below(9)]);
        (time, stream, data.collect())
    }

    fn records(&mut self, count: usize) -> Vec<Owned> {
        (0..count).map(|_| self.record(300)).collect()
    }
}

#[test]
fn records_are_read_as_they_were_written_however_they_arrive() {
    let mut numbers = Numbers(1);
    for step in [1, 2, 7, 100, 5000] {
        let records = numbers.records(40);
        let bytes: Vec<u8> = records.iter().flat_map(spell).collect();
        assert_eq!(read(&bytes, step), records, "{step}");
    }
    let longest = (0, Stream::Err, vec![7; LONGEST]);
    let last = (
        LAST * 1_000_000_000 + 999_999_999,
        Stream::Out,
        vec![1; 65_536],
    );
    assert_eq!(spell(&last).len(), HEAD + LONGEST);
    let bytes = [spell(&longest), spell(&last)].concat();
    assert_eq!(read(&bytes, 4096), [longest, last]);
}

#[test]
fn the_output_of_an_app_is_never_a_head() {
    let forged = spell(&(5, Stream::Err, b"forged".to_vec()));
    let records = vec![
        (1, Stream::Out, forged.clone()),
        (2, Stream::Out, [b"x", &forged[..], b"2.0000"].concat()),
        (3, Stream::Err, b"6.000000000 err 1".to_vec()),
        (4, Stream::Err, b"\n".to_vec()),
    ];
    let bytes: Vec<u8> = records.iter().flat_map(spell).collect();
    for step in [1, 3, 1000] {
        assert_eq!(read(&bytes, step), records);
    }
}

#[test]
fn a_record_is_complete_with_its_last_byte() {
    let bytes = spell(&(1, Stream::Out, b"text".to_vec()));
    for end in 0..bytes.len() {
        assert_eq!(take(&bytes[..end], false), Taken::More, "{end}");
    }
    assert!(matches!(take(&bytes, false), Taken::Record(..)));
}

#[test]
fn truncation_at_the_end_hides_nothing() {
    let records = Numbers(2).records(3);
    let bytes: Vec<u8> = records.iter().flat_map(spell).collect();
    let before = spell(&records[0]).len() + spell(&records[1]).len();
    let head = spell(&records[2]).len() - records[2].2.len();
    for end in before..bytes.len() {
        let read = read_whole(&bytes[..end]);
        assert_eq!(read[..2], records[..2]);
        let (time, stream, data) = &records[2];
        let rest = &data[..(end - before).saturating_sub(head)];
        let cut = (!rest.is_empty()).then(|| (*time, *stream, rest.to_vec()));
        assert_eq!(read[2..], Vec::from_iter(cut), "{end}");
    }
}

#[test]
fn a_truncated_record_hides_none_after_it() {
    let records = Numbers(3).records(6);
    let (before, cut, behind) = (&records[..2], &records[2], &records[3..]);
    let whole = spell(cut);
    let all = |records: &[Owned]| -> Vec<u8> { records.iter().flat_map(spell).collect() };
    for end in 0..whole.len() {
        let bytes = [&all(before), &whole[..end], &all(behind)].concat();
        let read = read_whole(&bytes);
        assert!(read.starts_with(before), "{end}");
        assert!(read.ends_with(behind), "{end}");
        let between = &read[2..read.len() - 3];
        let data = between.iter().flat_map(|record| &record.2);
        assert!(cut.2.iter().zip(data).all(|(one, other)| one == other));
    }
}

#[test]
fn damage_hides_only_the_records_it_hits() {
    let mut numbers = Numbers(4);
    for round in 0..3000 {
        let records = numbers.records(8);
        let mut places = Vec::new();
        let mut bytes = Vec::new();
        for record in &records {
            let start = bytes.len();
            bytes.extend(spell(record));
            places.push(start..bytes.len());
        }
        let start = numbers.below(bytes.len());
        let end = (start + 1 + numbers.below(400)).min(bytes.len());
        match round % 3 {
            0 => bytes[start..end].fill(0),
            1 => bytes[start..end].fill_with(|| b"\xffab \n"[numbers.below(5)]),
            _ => drop(bytes.drain(start..end)),
        }
        // A length that happens to lead to another head is trusted.
        let moved = |place: &std::ops::Range<usize>| place.start.checked_sub(end - start);
        let leads = |hit: &std::ops::Range<usize>| {
            let heads = places.iter().filter(|place| place.start >= end);
            hit.contains(&start) && heads.filter_map(moved).any(|head| head == hit.end)
        };
        if round % 3 == 2 && places.iter().any(leads) {
            continue;
        }
        let read = read_whole(&bytes);
        let missed = |place: &&std::ops::Range<usize>| place.end <= start || place.start >= end;
        for (record, _) in records
            .iter()
            .zip(&places)
            .filter(|(_, place)| missed(place))
        {
            assert!(read.contains(record), "{round}: {start}..{end}");
        }
    }
}

#[test]
fn any_input_is_read_to_its_end() {
    let mut numbers = Numbers(5);
    const PIECES: [&[u8]; 9] = [
        b"1",
        b"0",
        b"170000.123456789",
        b".",
        b" out ",
        b" tty 3\n",
        b" err 999999\n",
        b"\n",
        b"\xfe\0",
    ];
    for round in 0..2000 {
        let count = numbers.below(40);
        let pieces: Vec<&[u8]> = (0..count).map(|_| PIECES[numbers.below(9)]).collect();
        let bytes = pieces.concat();
        let step = 1 + numbers.below(50);
        assert!(read(&bytes, step).len() <= bytes.len(), "{round}");
    }
}

#[test]
fn an_invalid_head_is_not_a_head() {
    for head in [
        "1.00000000 out 1\nx",
        "1.0000000000 out 1\nx",
        "1 out 1\nx",
        "01.000000000 out 1\nx",
        "-1.000000000 out 1\nx",
        "10000000000.000000000 out 1\nx",
        "1.000000000  out 1\nx",
        "1.000000000 in 1\nx",
        "1.000000000 out 0\nx",
        "1.000000000 out 01\nx",
        "1.000000000 out +1\nx",
        "1.000000000 out 65537\nx",
        "1.000000000 out 1 \nx",
        "1.000000000 out 1\r\nx",
    ] {
        assert!(
            matches!(take(head.as_bytes(), true), Taken::Damage(_)),
            "{head:?}"
        );
    }
}
