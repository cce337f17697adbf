//! Which signatures count, with keys and signatures made by GnuPG
//! (`openpgp_fixtures/README.md`).

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use pgp::composed::{ArmorOptions, Deserializable as _, SignedPublicKey};

use super::*;

/// The signed file.
const FILE: &[u8] = b"an image as it is distributed\n";

const ED: &str = "2e2bab99d894ff17eef053199eac97be1379422f";
const RSA: &str = "4ec85c96e0b3196cb95fe149c9adf6dc31fd12b6";
const SUB: &str = "70080754a0fcbc148e83a44ce3f3a806df2c03f5";

macro_rules! fixture {
    ($($name:literal),+) => {
        include_bytes!(concat!("../openpgp_fixtures/" $(, $name)+)).as_slice()
    };
}

/// A key and the signature by it.
macro_rules! pair {
    ($name:literal) => {
        (fixture!($name, ".key.asc"), fixture!($name, ".sig.asc"))
    };
}

/// 2024-07-01, a month after everything was signed.
fn soon() -> u64 {
    1_719_792_000
}

/// 2025-06-01, when everything valid for a year has expired.
fn late() -> u64 {
    1_748_736_000
}

fn check(keys: &[&[u8]], signature: &[u8], file: &[u8], now: u64) -> Result<Signer> {
    let keys: Vec<Key> = keys.iter().map(|key| Key::parse(key).unwrap()).collect();
    let mut check = Check::begin(signature)?;
    for piece in file.chunks(7) {
        check.update(piece);
    }
    check.finish(&keys, now)
}

#[track_caller]
fn refused((key, signature): (&[u8], &[u8]), now: u64, expected: &str) {
    let error = check(&[key], signature, FILE, now).unwrap_err();
    assert_eq!(error.to_string(), expected);
}

#[track_caller]
fn unreadable(signature: &[u8], expected: &str) {
    let error = Check::begin(signature).unwrap_err();
    assert_eq!(error.to_string(), expected);
}

// --- what must not count ---

#[test]
fn a_changed_file_is_not_what_was_signed() {
    let expected = format!(
        "the signature by key `{ED}` does not match this file\n\
         hint: the file or the signature was changed, or they are of different versions"
    );
    let (key, signature) = pair!("ed25519");
    for file in [
        &b"an image as it is distributed"[..],
        b"an image as it is distributed\r\n",
        b"an image as it is distributeD\n",
        b"",
    ] {
        let error = check(&[key], signature, file, soon()).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn a_key_that_is_not_trusted_vouches_for_nothing() {
    let (_, signature) = pair!("ed25519");
    let keys: [&[&[u8]]; 2] = [&[], &[fixture!("rsa.key.asc")]];
    for keys in keys {
        let error = check(keys, signature, FILE, soon()).unwrap_err();
        assert_eq!(error.kind(), error::Kind::NotFound);
        assert_eq!(
            error.to_string(),
            format!("it is signed by key `{ED}`, which is not trusted")
        );
    }
}

#[test]
fn a_revoked_key_does_not_count_even_for_what_it_signed_before() {
    refused(
        pair!("revoked"),
        soon(),
        "key `5a231931fcddfe88c6f274676d304bc801d84225` was revoked by its owner",
    );
    refused(
        (
            fixture!("revoked-subkey.key.asc"),
            fixture!("subkey.sig.asc"),
        ),
        soon(),
        &format!("key `{SUB}` was revoked by its owner"),
    );
}

#[test]
fn a_critical_property_that_is_not_known_spoils_a_signature() {
    const NOTE: &str = "d6007b6473531d133435268dc88cf2f6f1d49af9";
    let key = fixture!("notation.key.asc");
    refused(
        (key, fixture!("critical-notation.sig.asc")),
        soon(),
        &format!(
            "the signature by key `{NOTE}` has a critical property that is not known here: \
             the notation `a@example.com`"
        ),
    );
    check(&[key], fixture!("notation.sig.asc"), FILE, soon()).unwrap();
    // Its other property is the time; whoever makes it critical changes it.
    let signature = fixture!("ed25519.sig");
    for (number, why) in [
        (40, "a critical property that is not known here: number 40"),
        (
            105,
            "a critical property that is not known here: number 105",
        ),
    ] {
        let at = signature
            .windows(2)
            .position(|pair| pair == [5, 2])
            .unwrap()
            + 1;
        let mut changed = signature.to_vec();
        changed[at] = 0x80 | number;
        let key = (fixture!("ed25519.key.asc"), &*changed);
        let why = format!("the signature by key `{ED}` has {why}");
        refused(key, soon(), &why);
    }
}

#[test]
fn a_critical_property_that_is_not_known_spoils_what_binds_a_key() {
    for (pair, key) in [
        (
            pair!("critical-self"),
            "0e872c377af43ee3a8a8e4266c3fcbb8e67f5aa6",
        ),
        (
            pair!("critical-binding"),
            "cd99aa4b6b621b27e10f5ac6016185a910d2aa02",
        ),
    ] {
        let why = format!(
            "key `{key}` is bound by a signature with a critical property that is not known here"
        );
        refused(pair, soon(), &why);
    }
}

#[test]
fn an_expired_key_does_not_count_even_for_what_it_signed_before() {
    let hint = "hint: its owner may have extended it: trust the updated key";
    for (pair, key) in [
        (
            pair!("one-year"),
            "85c47b25a2614f3a2975111df5ce73ce149ac3cc",
        ),
        (
            pair!("one-year-subkey"),
            "33b0e5af69ad497dcfd4ea49973e2d1aa848f4c5",
        ),
    ] {
        let expected = format!("key `{key}` expired on 2024-12-31\n{hint}");
        refused(pair, late(), &expected);
        check(&[pair.0], pair.1, FILE, soon()).unwrap();
        // To the second.
        refused(pair, 1_735_603_200, &expected);
        check(&[pair.0], pair.1, FILE, 1_735_603_199).unwrap();
    }
}

#[test]
fn a_signature_counts_only_in_its_time() {
    let key = fixture!("ed25519.key.asc");
    let by = format!("the signature by key `{ED}`");
    refused(
        (key, fixture!("expired-signature.sig.asc")),
        soon(),
        &format!("{by} expired on 2024-06-08"),
    );
    refused(
        (key, fixture!("older-than-key.sig.asc")),
        soon(),
        &format!("{by} is older than the key"),
    );
    let future = format!(
        "{by} was made on 2024-06-01, which is in the future\nhint: is the clock of this host right?"
    );
    refused(pair!("ed25519"), 0, &future);
    refused(pair!("ed25519"), 1_717_200_000 - 301, &future);
    // Clocks differ a little.
    check(
        &[key],
        fixture!("ed25519.sig.asc"),
        FILE,
        1_717_200_000 - 300,
    )
    .unwrap();
}

#[test]
fn weak_hashes_and_short_keys_do_not_count() {
    let key = fixture!("ed25519.key.asc");
    for (signature, name) in [
        (fixture!("sha1.sig.asc"), "SHA1"),
        (fixture!("ripemd160.sig.asc"), "RIPEMD160"),
    ] {
        refused(
            (key, signature),
            soon(),
            &format!(
                "the signature by key `{ED}` uses the outdated hash {name}, and can be forged"
            ),
        );
    }
    refused(
        pair!("rsa1024"),
        soon(),
        "key `9af108ff4bdca1abcb46fedd7abbc030dbb39bff` has fewer than 2048 bits",
    );
    refused(
        pair!("sha1-binding"),
        soon(),
        "key `1ba0b8e534392f1148e7dfca98aa01e1ff9aa069` is bound by a signature with an \
         outdated hash, which can be forged",
    );
    // Revocations count even if they could be forged.
    let key = Key::parse(fixture!("sha1-revoked.key.asc")).unwrap();
    assert!(key.is_revoked());
}

#[test]
fn a_signature_over_text_does_not_count() {
    refused(
        (fixture!("ed25519.key.asc"), fixture!("text.sig.asc")),
        soon(),
        &format!("the signature by key `{ED}` is not a signature of a file"),
    );
}

#[test]
fn a_key_cannot_adopt_a_subkey_that_does_not_agree() {
    let (key, signature) = pair!("subkey");
    let (mut alien, _) = SignedPublicKey::from_reader_single(key).unwrap();
    let binding = &mut alien.public_subkeys[0].signatures[0];
    let config = binding.config().unwrap();
    let is_back = |packet: &pgp::packet::Subpacket| {
        packet.typ() == pgp::packet::SubpacketType::EmbeddedSignature
    };
    let back = config.unhashed_subpackets().position(is_back).unwrap();
    binding.unhashed_subpacket_remove(back).unwrap();
    let alien = alien.to_armored_bytes(ArmorOptions::default()).unwrap();
    refused(
        (&alien, signature),
        soon(),
        &format!("key `{SUB}` has no valid back signature"),
    );
}

#[test]
fn a_subkey_of_another_key_is_no_subkey() {
    let (key, _) = SignedPublicKey::from_reader_single(fixture!("subkey.key.asc")).unwrap();
    let (mut thief, _) = SignedPublicKey::from_reader_single(fixture!("ed25519.key.asc")).unwrap();
    thief.public_subkeys = key.public_subkeys;
    let thief = thief.to_armored_bytes(ArmorOptions::default()).unwrap();
    refused(
        (&thief, fixture!("subkey.sig.asc")),
        soon(),
        &format!("it is signed by key `{SUB}`, which is not trusted"),
    );
}

#[test]
fn a_name_that_the_owner_has_not_signed_is_not_shown() {
    let (mut key, _) = SignedPublicKey::from_reader_single(fixture!("ed25519.key.asc")).unwrap();
    let (other, _) = SignedPublicKey::from_reader_single(fixture!("rsa.key.asc")).unwrap();
    key.details.users.extend(other.details.users.clone());
    let bytes = key.to_armored_bytes(ArmorOptions::default()).unwrap();
    assert_eq!(Key::parse(&bytes).unwrap().users(), ["Ed <ed@example.com>"]);
    // Without a user ID, it is nobody's.
    key.details.users = other.details.users;
    let bytes = key.to_armored_bytes(ArmorOptions::default()).unwrap();
    let error = Key::parse(&bytes).unwrap_err().to_string();
    assert_eq!(error, format!("key `{ED}` has no self-signature"));
}

#[test]
fn what_is_no_signature_is_refused() {
    unreadable(b"", "the signature is empty");
    unreadable(b"<html>404</html>", "the signature is not OpenPGP data");
    unreadable(
        fixture!("ed25519.key.asc"),
        "it is OpenPGP data, but not a signature\n\
         hint: `gpg --armor --detach-sign FILE` makes a signature",
    );
    unreadable(
        &vec![b' '; SIGNATURE_LIMIT + 1],
        "the signature is larger than 64.0 KiB",
    );
    let many = fixture!("ed25519.sig").repeat(9);
    unreadable(&many, "there are 9 signatures; at most 8 are allowed");
}

#[test]
fn a_signature_cut_off_anywhere_is_refused() {
    let (armoured, binary) = (fixture!("ed25519.sig.asc"), fixture!("ed25519.sig"));
    // The last line may lack its line break.
    for length in 0..armoured.len() - 1 {
        assert!(Check::begin(&armoured[..length]).is_err(), "{length}");
    }
    for length in 0..binary.len() {
        assert!(Check::begin(&binary[..length]).is_err(), "{length}");
    }
}

#[test]
fn no_flipped_bit_makes_a_signature_of_another_file_good() {
    let key = fixture!("ed25519.key.asc");
    let binary = fixture!("ed25519.sig");
    for bit in 0..binary.len() * 8 {
        let mut changed = binary.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(check(&[key], &changed, b"other", soon()).is_err(), "{bit}");
    }
}

#[test]
fn what_is_no_single_public_key_is_refused() {
    for (bytes, expected) in [
        (&b""[..], "the key is empty"),
        (b"hello", "the key is not OpenPGP data"),
        (fixture!("ed25519.sig.asc"), "it contains no key"),
        (
            fixture!("two.key.asc"),
            "it contains 2 keys\nhint: `gpg --armor --export FINGERPRINT` writes one key",
        ),
        (
            b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQ==\n-----END PGP PRIVATE KEY BLOCK-----\n",
            "the key is a private key\nhint: `gpg --armor --export FINGERPRINT` writes the public \
             key; keep the private key secret",
        ),
    ] {
        assert_eq!(Key::parse(bytes).unwrap_err().to_string(), expected);
    }
    let large = vec![b' '; KEY_LIMIT + 1];
    let error = Key::parse(&large).unwrap_err().to_string();
    assert_eq!(error, "the key is larger than 1.0 MiB");
    let key = fixture!("revoked.key.asc");
    for length in 0..key.len() - 1 {
        assert!(Key::parse(&key[..length]).is_err(), "{length}");
    }
}

// --- what counts ---

#[test]
fn good_signatures_name_the_trusted_key_and_its_owner() {
    for ((key, signature), fingerprint, user) in [
        (pair!("ed25519"), ED, "Ed <ed@example.com>"),
        (pair!("rsa"), RSA, "Rivest <rsa@example.com>"),
        (
            pair!("nistp256"),
            "2c2110316819e3f73394e68b90c387dbe49b597c",
            "Enc <nistp@example.com>",
        ),
        (
            pair!("subkey"),
            "f6728e9508792aab9361d9cdcd9b41a9b919974e",
            "Sub <sub@example.com>",
        ),
    ] {
        let expected = Signer {
            fingerprint: Fingerprint::parse(fingerprint).unwrap(),
            user: Some(user.into()),
        };
        assert_eq!(check(&[key], signature, FILE, late()).unwrap(), expected);
    }
}

#[test]
fn armour_is_not_needed_and_a_remark_before_it_does_no_harm() {
    let key = fixture!("ed25519.key.asc");
    let remark = [b"Signed by Ed:\n\n", fixture!("ed25519.sig.asc")].concat();
    for signature in [fixture!("ed25519.sig"), &remark] {
        check(&[key], signature, FILE, soon()).unwrap();
    }
    let (parsed, _) = SignedPublicKey::from_reader_single(key).unwrap();
    let binary = pgp::ser::Serialize::to_bytes(&parsed).unwrap();
    check(&[&binary], fixture!("ed25519.sig"), FILE, soon()).unwrap();
}

#[test]
fn of_several_signatures_one_by_a_trusted_key_suffices() {
    let blocks = [fixture!("sha1.sig.asc"), fixture!("rsa.sig.asc")].concat();
    for signature in [fixture!("two.sig.asc"), &blocks] {
        let signer = check(&[fixture!("rsa.key.asc")], signature, FILE, soon()).unwrap();
        assert_eq!(signer.fingerprint.as_str(), RSA);
    }
    let signer = check(
        &[fixture!("ed25519.key.asc")],
        fixture!("two.sig.asc"),
        FILE,
        soon(),
    );
    assert_eq!(signer.unwrap().fingerprint.as_str(), ED);
    assert_eq!(
        check(&[], fixture!("two.sig.asc"), FILE, soon())
            .unwrap_err()
            .to_string(),
        format!("it is signed by key `{RSA}` and `{ED}`, which is not trusted")
    );
}

#[test]
fn a_key_says_when_it_was_made_and_when_it_ends() {
    let key = Key::parse(fixture!("one-year.key.asc")).unwrap();
    assert_eq!(key.created(), 1_704_067_200);
    assert_eq!(key.expires(), Some(1_735_603_200));
    assert!(!key.is_revoked());
    assert!(key.usable(soon()).is_ok() && key.usable(late()).is_err());
    let key = Key::parse(fixture!("revoked.key.asc")).unwrap();
    assert!(key.is_revoked() && key.usable(soon()).is_err());
    assert_eq!(key.expires(), None);
    // Only its subkey signs, and that has expired.
    let key = Key::parse(fixture!("one-year-subkey.key.asc")).unwrap();
    assert!(key.usable(soon()).is_ok() && key.usable(late()).is_err());
}

#[test]
fn a_key_that_is_written_again_is_the_same() {
    let key = Key::parse(fixture!("subkey.key.asc")).unwrap();
    let again = Key::parse(&key.armoured().unwrap()).unwrap();
    assert_eq!(again.fingerprint(), key.fingerprint());
    assert!(again.usable(soon()).is_ok());
}

#[test]
fn fingerprints_are_read_as_people_write_them() {
    let grouped = "2e2b ab99 d894 ff17 eef0 5319 9eac 97be 1379 422f";
    for text in [ED, grouped, &format!("0x{}", ED.to_uppercase())] {
        let fingerprint = Fingerprint::parse(text).unwrap();
        assert_eq!(fingerprint.as_str(), ED);
        assert_eq!(fingerprint.grouped(), grouped);
    }
    for text in [
        "",
        "1379422f",
        "9eac97be1379422f",
        "../../../../../../../../../../../../x",
    ] {
        assert!(Fingerprint::parse(text).is_err(), "{text}");
    }
}
