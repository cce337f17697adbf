//! OpenPGP keys and detached signatures.

use std::sync::LazyLock;

use image::trust::openpgp::{Check, Key};

/// Keys whose signatures are among the seeds.
static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| {
    let keys = [
        include_bytes!("../corpus/openpgp/ed25519.key.asc").as_slice(),
        include_bytes!("../corpus/openpgp/rsa.key.asc"),
        include_bytes!("../corpus/openpgp/subkey.key.asc"),
    ];
    keys.into_iter()
        .filter_map(|key| Key::parse(key).ok())
        .collect()
});

/// What was signed is not this.
const FILE: &[u8] = b"a file that nobody has signed\n";

/// 2024-07-01, when the keys are valid.
const NOW: u64 = 1_719_792_000;

/// Reads a key, and a signature, which it checks.
///
/// # Panics
///
/// A file counts as signed that nobody has signed.
pub fn openpgp(bytes: &[u8]) {
    assert_eq!(KEYS.len(), 3, "the keys cannot be read");
    if let Ok(key) = Key::parse(bytes) {
        assert!(matches!(key.fingerprint().as_str().len(), 40 | 64));
        // Whether it can be used does not matter.
        let _ = (key.users(), key.expires(), key.usable(NOW));
    }
    if let Ok(mut check) = Check::begin(bytes) {
        check.update(FILE);
        assert!(check.finish(&KEYS, NOW).is_err(), "a forged signature");
    }
}
