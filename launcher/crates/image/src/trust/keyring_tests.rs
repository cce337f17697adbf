//! Which keys count for which image, and how they are stored.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

const ED: &[u8] = include_bytes!("openpgp_fixtures/ed25519.key.asc");
const ED_NAME: &str = "2e2bab99d894ff17eef053199eac97be1379422f";
const RSA: &[u8] = include_bytes!("openpgp_fixtures/rsa.key.asc");
const RSA_NAME: &str = "4ec85c96e0b3196cb95fe149c9adf6dc31fd12b6";

/// Our directory, and the places of a system without keys.
struct Scratch {
    path: PathBuf,
    dirs: Dirs,
}

impl Scratch {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("nosecone-keyring-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let dirs = Dirs::open(&path.join("dir")).unwrap();
        Self { path, dirs }
    }

    /// Writes a file into a place.
    fn put(&self, path: &str, content: &[u8]) -> PathBuf {
        let path = self.path.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    fn open(&self) -> Result<Keyring> {
        let place = |name| self.path.join(name).display().to_string();
        let (vendor, local) = (place("vendor"), place("local"));
        Keyring::of(&self.dirs, &[&vendor, &local])
    }

    /// The keys for an image, and the warnings.
    fn keys(&self, name: &str) -> (Vec<String>, Vec<String>) {
        let mut warnings = Vec::new();
        let mut warn = |error: &Error| warnings.push(self.shown(error));
        let keys = self.open().unwrap().keys_for(&image(name), &mut warn);
        let keys = keys.unwrap().into_iter();
        let names = keys.map(|key| key.fingerprint().to_string()).collect();
        (names, warnings)
    }

    /// A message without this test's path.
    fn shown(&self, error: &Error) -> String {
        error
            .to_string()
            .replace(&self.path.display().to_string(), "")
    }

    #[track_caller]
    fn trusts(&self, name: &str, expected: &[&str]) {
        let (keys, warnings) = self.keys(name);
        assert_eq!(keys, expected, "{name}");
        assert_eq!(warnings, [""; 0], "{name}");
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

fn image(name: &str) -> AcIdentifier {
    AcIdentifier::parse(name).unwrap()
}

fn fingerprint(text: &str) -> Fingerprint {
    Fingerprint::parse(text).unwrap()
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

// --- what must not count ---

#[test]
fn nobody_is_trusted_to_begin_with() {
    Scratch::new().trusts("example.com/app", &[]);
}

#[test]
fn a_prefix_is_compared_component_by_component() {
    let scratch = Scratch::new();
    let keyring = scratch.open().unwrap();
    let key = Key::parse(ED).unwrap();
    keyring
        .add(&scratch.dirs, Some(&image("example.com/app")), &key, false)
        .unwrap();
    for name in [
        "example.com",
        "example.com/application",
        "example.com/ap",
        "example.org/app",
        "www.example.com/app",
    ] {
        scratch.trusts(name, &[]);
    }
    for name in [
        "example.com/app",
        "example.com/app/part",
        "example.com/app/a/b",
    ] {
        scratch.trusts(name, &[ED_NAME]);
    }
}

#[test]
fn a_place_that_others_may_change_ends_everything() {
    let scratch = Scratch::new();
    let key = scratch.put(&format!("local/root.d/{ED_NAME}"), ED);
    let directory = key.parent().unwrap();
    mode(directory, 0o777);
    let result = scratch.open().unwrap().keys_for(&image("a"), &mut |_| {});
    assert_eq!(
        scratch.shown(&result.unwrap_err()),
        "cannot read `/local/root.d`: other users can write to it"
    );
    mode(directory, 0o755);
    mode(directory.parent().unwrap(), 0o777);
    assert_eq!(
        scratch.shown(&scratch.open().unwrap_err()),
        "cannot read `/local`: other users can write to it"
    );
    mode(directory.parent().unwrap(), 0o755);
    mode(&key, 0o666);
    let (keys, warnings) = scratch.keys("a");
    assert_eq!(keys, [""; 0]);
    assert_eq!(
        warnings,
        [format!(
            "key file `{ED_NAME}` in `/local` is ignored: other users can write to it"
        )]
    );
}

#[test]
fn a_bad_key_file_is_said_and_does_not_hide_the_others() {
    let scratch = Scratch::new();
    scratch.put(&format!("vendor/root.d/{RSA_NAME}"), RSA);
    let bad = "0123456789012345678901234567890123456789";
    let link = "1123456789012345678901234567890123456789";
    scratch.put(&format!("local/root.d/{bad}"), ED);
    scratch.put(&format!("local/root.d/{ED_NAME}"), &ED[..100]);
    let outside = scratch.put("outside", ED);
    symlink(outside, scratch.path.join("local/root.d").join(link)).unwrap();
    scratch.put("local/root.d/README", b"notes");
    scratch.put(&format!("local/root.d/{}", RSA_NAME.to_uppercase()), b"");
    let (keys, warnings) = scratch.keys("example.com/app");
    assert_eq!(keys, [RSA_NAME]);
    assert_eq!(
        warnings,
        [
            format!("key file `{bad}` in `/local` is ignored: it contains key `{ED_NAME}`"),
            format!("key file `{link}` in `/local` is ignored: it is a symbolic link"),
            format!(
                "key file `{ED_NAME}` in `/local` is ignored: the key has invalid ASCII armour \
                 or is truncated"
            ),
        ]
    );
}

#[test]
fn an_empty_or_broken_file_takes_trust_away_from_an_earlier_place() {
    let scratch = Scratch::new();
    scratch.put(&format!("vendor/root.d/{ED_NAME}"), ED);
    scratch.put(&format!("vendor/prefix.d/example.com/{RSA_NAME}"), RSA);
    scratch.trusts("example.com/app", &[ED_NAME, RSA_NAME]);
    // For the images of one prefix.
    scratch.put(&format!("local/prefix.d/example.com/app/{ED_NAME}"), b"");
    scratch.trusts("example.com/app", &[RSA_NAME]);
    scratch.trusts("example.com/other", &[ED_NAME, RSA_NAME]);
    // For all.
    scratch.put(&format!("local/root.d/{ED_NAME}"), b"");
    scratch.trusts("example.com/other", &[RSA_NAME]);
    scratch.put(&format!("local/prefix.d/example.com/{RSA_NAME}"), b"broken");
    assert_eq!(scratch.keys("example.com/other").0, [""; 0]);
}

#[test]
fn the_error_for_an_untrusted_signer_says_who_it_is_and_how_to_trust() {
    let scratch = Scratch::new();
    let check = Check::begin(include_bytes!("openpgp_fixtures/ed25519.sig.asc")).unwrap();
    let keyring = scratch.open().unwrap();
    let error = keyring.verify(check, &image("example.com/app"), &mut |_| {});
    assert_eq!(
        error.unwrap_err().to_string(),
        format!(
            "the signature of image `example.com/app` is not trusted: it is signed by key \
             `{ED_NAME}`, which is not trusted\n\
             hint: `launcher trust --prefix=example.com/app KEYFILE` trusts a key"
        )
    );
}

#[test]
fn only_a_key_that_is_trusted_for_this_very_prefix_can_be_removed() {
    let scratch = Scratch::new();
    let keyring = scratch.open().unwrap();
    keyring
        .add(&scratch.dirs, None, &Key::parse(ED).unwrap(), false)
        .unwrap();
    let prefix = image("example.com");
    let error = keyring.remove(&scratch.dirs, Some(&prefix), &fingerprint(ED_NAME));
    assert_eq!(
        error.unwrap_err().to_string(),
        format!(
            "key `{ED_NAME}` is not trusted for `example.com`\n\
             hint: `launcher trust list` lists the keys"
        )
    );
    scratch.trusts("a", &[ED_NAME]);
}

// --- what counts ---

#[test]
fn a_key_is_added_as_often_as_one_likes_and_removed_once() {
    let scratch = Scratch::new();
    let keyring = scratch.open().unwrap();
    let key = Key::parse(ED).unwrap();
    let prefix = image("example.com/~bob/app");
    for _ in 0..2 {
        let added = keyring
            .add(&scratch.dirs, Some(&prefix), &key, false)
            .unwrap();
        assert_eq!(added.as_str(), ED_NAME);
    }
    let directory = scratch
        .path
        .join("dir/trustedkeys/prefix.d/example.com/~bob/app");
    let names = std::fs::read_dir(&directory).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, [ED_NAME]);
    assert!(
        std::fs::read(directory.join(ED_NAME))
            .unwrap()
            .starts_with(b"-----BEGIN PGP PUBLIC")
    );
    let fingerprint = fingerprint(ED_NAME);
    assert_eq!(
        keyring
            .remove(&scratch.dirs, Some(&prefix), &fingerprint)
            .unwrap(),
        Removed::Deleted
    );
    assert!(
        keyring
            .remove(&scratch.dirs, Some(&prefix), &fingerprint)
            .is_err()
    );
    scratch.trusts("example.com/~bob/app", &[]);
}

#[test]
fn a_key_of_the_system_is_masked_and_trusted_again() {
    let scratch = Scratch::new();
    let system = scratch.put(&format!("vendor/root.d/{ED_NAME}"), ED);
    let keyring = scratch.open().unwrap();
    let removed = keyring
        .remove(&scratch.dirs, None, &fingerprint(ED_NAME))
        .unwrap();
    assert_eq!(removed, Removed::Masked);
    assert_eq!(std::fs::read(system).unwrap(), ED);
    scratch.trusts("a", &[]);
    keyring
        .add(&scratch.dirs, None, &Key::parse(ED).unwrap(), false)
        .unwrap();
    scratch.trusts("a", &[ED_NAME]);
}

#[test]
fn all_key_files_are_listed_with_where_they_are() {
    let scratch = Scratch::new();
    scratch.put(&format!("vendor/root.d/{ED_NAME}"), ED);
    scratch.put(&format!("local/root.d/{ED_NAME}"), b"");
    scratch.put("local/root.d/README", b"notes");
    let keyring = scratch.open().unwrap();
    let key = Key::parse(RSA).unwrap();
    keyring
        .add(&scratch.dirs, Some(&image("example.com/a/b")), &key, false)
        .unwrap();
    let entries = keyring.list().unwrap();
    let shown = entries.iter().map(|entry| {
        let place = entry.place.replace(&scratch.path.display().to_string(), "");
        let key = matches!(entry.key, Ok(Some(_))) && !entry.overridden;
        (
            entry.prefix.as_deref(),
            entry.fingerprint.as_str(),
            place,
            key,
        )
    });
    assert_eq!(
        shown.collect::<Vec<_>>(),
        [
            (None, ED_NAME, "/vendor".to_owned(), false),
            (None, ED_NAME, "/local".to_owned(), false),
            (
                Some("example.com/a/b"),
                RSA_NAME,
                "/dir/trustedkeys".to_owned(),
                true
            ),
        ]
    );
}

#[test]
fn what_a_key_signs_raises_its_rights_only_where_that_was_said() {
    let scratch = Scratch::new();
    let (ed, rsa) = (Key::parse(ED).unwrap(), Key::parse(RSA).unwrap());
    let (prefix, below) = (image("example.com/app"), image("example.com/app/x"));
    let raises = |name: &str, signer: &Key| {
        let warn = &mut |error: &Error| panic!("{error}");
        let keyring = scratch.open().unwrap();
        keyring
            .may_raise(&image(name), &signer.fingerprint(), warn)
            .unwrap()
    };
    let add = |key: &Key, prefix: Option<&AcIdentifier>, raises| {
        let keyring = scratch.open().unwrap();
        keyring.add(&scratch.dirs, prefix, key, raises).unwrap();
    };
    add(&ed, Some(&prefix), true);
    add(&rsa, None, false);
    assert!(raises("example.com/app", &ed) && raises("example.com/app/x", &ed));
    for (name, key) in [
        ("example.com/application", &ed),
        ("example.com", &ed),
        ("example.com/app", &rsa),
    ] {
        assert!(!raises(name, key), "{name}");
    }
    let listed = scratch.open().unwrap().list().unwrap();
    let listed: Vec<_> = listed.iter().map(|entry| entry.raises).collect();
    assert_eq!(listed, [false, true]);
    // The nearest prefix counts, and the last place.
    add(&ed, Some(&below), false);
    assert!(!raises("example.com/app/x", &ed) && raises("example.com/app", &ed));
    add(&ed, Some(&prefix), false);
    assert!(!raises("example.com/app", &ed));
    // What was removed does not come back with the key.
    add(&ed, Some(&prefix), true);
    let keyring = scratch.open().unwrap();
    keyring
        .remove(&scratch.dirs, Some(&prefix), &ed.fingerprint())
        .unwrap();
    assert!(!raises("example.com/app", &ed));
    add(&ed, Some(&prefix), false);
    assert!(!raises("example.com/app", &ed));
}
