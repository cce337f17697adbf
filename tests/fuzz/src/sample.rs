//! A sample of what a fuzzer tries: every seed, and the same changed seeds in
//! every run.

use std::fs;
use std::path::Path;

/// How often each target is tried with changed seeds: about a second's work.
const ROUNDS: usize = 2000;

/// Bytes that parsers treat in a way of their own.
const SPECIAL: &[u8] = b"\0\x01\x7f\x80\xff\n\r\t \"'%*+,-./0:;<=>@[\\]{}~";

/// A small generator, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        // Marsaglia: "Xorshift RNGs" (2003).
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let limit = limit.max(1) as u64;
        usize::try_from(self.0 % limit).unwrap_or_default()
    }

    /// A part of some bytes, often a short one.
    fn part<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let start = self.below(bytes.len());
        let most = (bytes.len() - start).min(1 << self.below(12));
        &bytes[start..start + self.below(most + 1)]
    }

    fn change(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(bytes.len());
        let end = at + self.part(&bytes[at..]).len();
        let new = match self.below(6) {
            0 => vec![SPECIAL[self.below(SPECIAL.len())]],
            1 => vec![bytes.get(at).map_or(0, |byte| byte ^ (1 << self.below(8)))],
            2 => self.part(other).to_vec(),
            3 => self.part(bytes).to_vec(),
            4 => bytes[at..end].repeat(2 + self.below(3)),
            _ => Vec::new(),
        };
        // Mostly in the place of as much, since lengths are what is checked first.
        let end = match self.below(3) {
            0 => end,
            _ => bytes.len().min(at + new.len()),
        };
        bytes.splice(at..end, new);
    }
}

fn try_sample(name: &str, target: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(name);
    let mut paths: Vec<_> = fs::read_dir(&corpus)
        .expect("the target has a corpus")
        .map(|entry| entry.expect("it can be listed").path())
        .collect();
    paths.sort();
    let seeds: Vec<Vec<u8>> = paths
        .iter()
        .map(|path| fs::read(path).expect("a seed can be read"))
        .collect();
    assert!(!seeds.is_empty(), "no seeds are in {}", corpus.display());
    for seed in &seeds {
        target(seed);
    }
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for round in 0..ROUNDS {
        let mut bytes = seeds[round % seeds.len()].clone();
        for _ in 0..=random.below(4) {
            let other = &seeds[random.below(seeds.len())];
            random.change(&mut bytes, other);
        }
        let tried = std::panic::catch_unwind(|| target(&bytes));
        assert!(tried.is_ok(), "round {round}: {}", bytes.escape_ascii());
    }
}

#[test]
fn no_archive_makes_its_reader_panic() {
    try_sample("archive", crate::archive);
}

#[test]
fn no_answer_of_a_server_makes_its_readers_panic() {
    try_sample("http", crate::http);
}

#[test]
fn no_manifest_makes_its_reader_panic_or_changes_when_it_is_written() {
    try_sample("manifest", crate::manifest);
}

#[test]
fn nothing_that_an_oci_image_or_a_registry_says_makes_its_reader_panic() {
    try_sample("oci", crate::oci);
}

#[test]
fn no_key_or_signature_makes_its_reader_panic_or_is_forged() {
    try_sample("openpgp", crate::openpgp);
}

#[test]
fn no_plan_makes_its_readers_panic_or_changes_when_it_is_written() {
    try_sample("plan", crate::plan);
}
