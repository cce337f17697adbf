//! Keys of people who sign images: what GnuPG makes is understood, shown, and
//! trusted only when somebody has said so.

use std::fs;
use std::path::{Path, PathBuf};

use crate::aci::{Aci, manifest, running};
use crate::golden::{self, Cases};
use crate::host::{self, Call, Ran, Scratch, call, launcher, program};

/// Status of a launcher that failed.
const FAILED: i32 = 1;
/// Status of wrong usage.
const USAGE: i32 = 2;

/// GnuPG with a keyring of one test's own.
struct Gpg {
    program: PathBuf,
    scratch: Scratch,
}

impl Gpg {
    fn new(program: PathBuf) -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let scratch = Scratch::new();
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o700)).unwrap();
        Self { program, scratch }
    }

    fn call(&self, words: &[&str]) -> Call {
        let quiet = ["--quiet", "--batch", "--no-tty", "--passphrase", ""];
        call(&self.program)
            .env("GNUPGHOME", self.scratch.path())
            .args(quiet)
            .args(["--pinentry-mode", "loopback"])
            .args(words)
    }

    #[track_caller]
    fn run(&self, words: &[&str]) -> Ran {
        self.call(words).run().exits(0)
    }

    /// Makes a key, and returns its fingerprint as the launcher spells it.
    #[track_caller]
    fn key(&self, user: &str, kind: &str, expires: &str, options: &[&str]) -> String {
        let words = ["--quick-gen-key", user, kind, "sign", expires];
        self.run(&[options, &words].concat());
        let listed = self.run(&["--with-colons", "--list-keys", user]);
        let line = listed.stdout.lines().find(|line| line.starts_with("fpr"));
        line.unwrap().split(':').nth(9).unwrap().to_lowercase()
    }

    /// Writes a public key into a file.
    #[track_caller]
    fn export(&self, user: &str, options: &[&str]) -> PathBuf {
        let file = self.scratch.join(&format!("{user}.pub"));
        let _ = fs::remove_file(&file);
        let out = file.display().to_string();
        self.run(&[options, &["--output", &out, "--export", user]].concat());
        file
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        // Otherwise its agent would outlive the test.
        let connect = self.program.with_file_name("gpgconf");
        let kill = call(&connect).env("GNUPGHOME", self.scratch.path());
        if connect.exists() {
            kill.args(["--kill", "all"]).run();
        }
    }
}

/// `launcher trust WORDS FILE`.
fn trust(dir: &Path, words: &str, file: &Path) -> Call {
    let words = words.split_whitespace();
    launcher(dir).arg("trust").args(words).arg(file)
}

/// The rows of `launcher trust list` that are of this directory: the prefix,
/// the fingerprint and the state.
#[track_caller]
fn listed(dir: &Path) -> Vec<String> {
    let ran = launcher(dir).args(["trust", "list"]).run().exits(0);
    let place = dir.join("trustedkeys").display().to_string();
    let rows = ran.stdout.lines().filter(|row| row.ends_with(&place));
    rows.map(|row| row.split_whitespace().take(3).collect::<Vec<_>>().join(" "))
        .collect()
}

// --- what must not happen ---

#[test]
fn wrong_usage_of_trust() {
    let scratch = Scratch::new();
    let mut cases = Cases::default();
    for words in [
        "trust key.asc",
        "trust rm 0123456789012345678901234567890123456789",
        "trust --root --prefix=a key.asc",
        "trust --root",
        "trust --root --fingerprint=abcd key.asc",
        "trust --prefix=../../etc -y key.asc",
        "trust rm --root",
        "trust --root -y --fingerprint=0123456789012345678901234567890123456789 key.asc",
        "trust --root --fingerprint=0123456789012345678901234567890123456789 a b",
    ] {
        let ran = launcher(&scratch.join("dir")).args(words.split(' ')).run();
        cases.add(words, &ran.exits(USAGE).says("").told());
    }
    cases.as_written("wrong usage of trust");
    assert!(!scratch.join("dir").exists());
}

#[test]
fn a_key_is_not_trusted_unless_somebody_says_so() {
    let gpg = Gpg::new(tool!("gpg"));
    let fingerprint = gpg.key("ann@example.com", "ed25519", "never", &[]);
    let key = gpg.export("ann@example.com", &["--armor"]);
    let dir = gpg.scratch.join("dir");
    trust(&dir, "--root", &key)
        .run()
        .exits(FAILED)
        .says("")
        .naming("FINGERPRINT", &fingerprint)
        .complains_as("nobody is there");
    let other = "0123456789012345678901234567890123456789";
    trust(&dir, &format!("--root --fingerprint={other}"), &key)
        .run()
        .exits(FAILED)
        .says("")
        .naming("FINGERPRINT", &fingerprint)
        .naming("OTHER", other)
        .complains_as("it is another key");
    assert!(!dir.exists());
}

#[test]
fn keys_that_cannot_vouch_for_a_file_are_not_trusted() {
    let gpg = Gpg::new(tool!("gpg"));
    let dir = gpg.scratch.join("dir");
    let refused = |file: &Path, key: &str, title: &str| {
        trust(&dir, "--root --yes", file)
            .run()
            .exits(FAILED)
            .says("")
            .naming("FILE", file)
            .naming("KEY", key)
            .complains_as(title);
    };
    let then = ["--faked-system-time", "20240101T000000!"];
    let key = gpg.key("old@example.com", "ed25519", "1y", &then);
    let file = gpg.export("old@example.com", &[]);
    refused(&file, &key, "a key that expired");
    let key = gpg.key("gone@example.com", "ed25519", "never", &[]);
    let upper = key.to_uppercase();
    let made = gpg.scratch.join(&format!("openpgp-revocs.d/{upper}.rev"));
    // GnuPG puts a colon before it, so that nobody takes it for good by mistake.
    let revocation = fs::read_to_string(made).unwrap().replace("\n:---", "\n---");
    let revocation = gpg.scratch.write("revocation", revocation);
    gpg.run(&["--import", &revocation.display().to_string()]);
    let file = gpg.export("gone@example.com", &["--armor"]);
    refused(&file, &key, "a key that was revoked");
    let file = gpg.scratch.write("text.pub", "hello");
    refused(&file, "none", "a key that is none");
    let file = gpg.scratch.join("none.pub");
    refused(&file, "none", "a key that is not there");
    let private = gpg.run(&["--armor", "--export-secret-keys", "old@example.com"]);
    let file = gpg.scratch.write("private.pub", private.stdout);
    refused(&file, "none", "a private key");
    assert!(!dir.exists());
}

#[test]
fn an_image_counts_only_as_its_signer_left_it_and_under_the_trusted_name() {
    let gpg = Gpg::new(tool!("gpg"));
    let dir = gpg.scratch.join("dir");
    let ann = gpg.key("Ann <ann@example.com>", "ed25519", "never", &[]);
    let key = gpg.export("ann@example.com", &[]);
    let manifest = running(&["/a"]);
    let image = gpg.scratch.write("a.aci", Aci::new(&manifest).bytes());
    let signature = gpg.scratch.join("a.aci.asc");
    let [image_name, signature_name] = [&image, &signature].map(|path| path.display().to_string());
    let sign = ["--armor", "--output", &signature_name, "--detach-sign"];
    gpg.run(&[&sign[..], &[&image_name]].concat());
    let verify_as = |format: &str| {
        let verify = launcher(&dir).args(["image", "verify", format, "--signature"]);
        verify.args([&signature, &image]).run()
    };
    let verify = || verify_as("--format=text");
    let refused = |title: &str| {
        verify()
            .exits(FAILED)
            .says("")
            .naming("IMAGE", &image_name)
            .naming("KEY", &ann)
            .complains_as(title);
    };
    let untrusted = "a signature by a key that is not trusted";
    refused(untrusted);
    trust(&dir, "--yes --prefix=example.com/other", &key)
        .run()
        .exits(0);
    refused(untrusted);
    trust(&dir, "--yes --prefix=example.com", &key)
        .run()
        .exits(0);
    verify()
        .exits(0)
        .naming("IMAGE", &image_name)
        .naming("KEY", &ann)
        .says_as("a signature that counts")
        .complains("");
    verify_as("--format=json")
        .exits(0)
        .naming("IMAGE", &image_name)
        .naming("KEY", &ann)
        .says_as("a signature that counts, for programs");
    let other = Aci::new(&manifest).file("rootfs/evil", 0o755, "x").bytes();
    fs::write(&image, other).unwrap();
    refused("a signature of another file");
    fs::write(&signature, "not found").unwrap();
    verify()
        .exits(FAILED)
        .says("")
        .naming("FILE", &signature_name)
        .complains_as("a signature that is none");
}

#[test]
fn of_several_keys_all_are_trusted_or_none() {
    let gpg = Gpg::new(tool!("gpg"));
    gpg.key("ann@example.com", "ed25519", "never", &[]);
    let key = gpg.export("ann@example.com", &[]);
    let bad = gpg.scratch.write("bad", "");
    let dir = gpg.scratch.join("dir");
    let both = trust(&dir, "--root --yes", &key).arg(&bad);
    both.run().exits(FAILED).says("");
    assert!(!dir.exists());
}

// --- what happens ---

#[test]
fn keys_of_gnupg_are_trusted_listed_and_removed() {
    let gpg = Gpg::new(tool!("gpg"));
    let dir = gpg.scratch.join("dir");
    let ann = gpg.key("ann@example.com", "ed25519", "never", &[]);
    let ann_file = gpg.export("ann@example.com", &["--armor"]);
    let bob = gpg.key("bob@example.com", "rsa2048", "2y", &[]);
    let bob_file = gpg.export("bob@example.com", &[]);
    trust(&dir, "--prefix=example.com/app --yes", &ann_file)
        .run()
        .exits(0)
        .naming("KEY", &ann)
        .says_as("a key that is trusted for a prefix")
        .complains("");
    // As GnuPG spells it, and from the standard input.
    trust(
        &dir,
        &format!("--root --fingerprint={}", bob.to_uppercase()),
        Path::new("-"),
    )
    .input(fs::read(&bob_file).unwrap())
    .run()
    .exits(0)
    .naming("KEY", &bob)
    .says_as("a key that is trusted for all")
    .complains("");
    let expected = [
        format!("(all) {bob} trusted"),
        format!("example.com/app {ann} trusted"),
    ];
    assert_eq!(listed(&dir), expected);
    let stored = dir.join(format!("trustedkeys/prefix.d/example.com/app/{ann}"));
    let armoured = fs::read_to_string(stored).unwrap();
    assert!(
        armoured.starts_with("-----BEGIN PGP PUBLIC KEY BLOCK-----\n"),
        "{armoured}"
    );
    // What is stored is what GnuPG understands, too.
    let shown = gpg
        .call(&["--with-colons", "--show-keys"])
        .input(armoured)
        .run();
    assert!(shown.exits(0).stdout.to_lowercase().contains(&ann));
    launcher(&dir)
        .args(["trust", "rm", "--prefix=example.com/app", &ann])
        .run()
        .exits(0)
        .says(&format!("removed {ann} for `example.com/app`\n"))
        .complains("");
    assert_eq!(listed(&dir).len(), 1);
    launcher(&dir)
        .args(["trust", "rm", "--prefix=example.com/app", &ann])
        .run()
        .exits(FAILED)
        .says("")
        .naming("KEY", &ann)
        .complains_as("a key that is not trusted");
}

#[test]
fn at_a_terminal_the_key_is_shown_and_the_answer_counts() {
    let gpg = Gpg::new(tool!("gpg"));
    let script = tool!("script");
    let then = ["--faked-system-time", "20240101T000000!"];
    let fingerprint = gpg.key("Ann <ann@example.com>", "ed25519", "never", &then);
    let key = gpg.export("ann@example.com", &[]);
    let dir = gpg.scratch.join("dir");
    let line = format!(
        "{} --dir {} trust --prefix=example.com {}",
        program().display(),
        dir.display(),
        key.display()
    );
    let groups: Vec<&str> = (0..10).map(|at| &fingerprint[4 * at..4 * at + 4]).collect();
    let groups = groups.join(" ");
    let answer = |answer: &str, status: i32| {
        let terminal = call(&script).args(["-qec", &line, "/dev/null"]);
        let mut ran = terminal.input(answer).run().exits(status);
        // The terminal shows what was typed, whenever that comes.
        let shown = ran.stdout.replace("\r\n", "\n");
        ran.stdout = shown.replacen(answer, "", 1);
        ran.naming("GROUPS", &groups).naming("KEY", &fingerprint)
    };
    answer("no\n", FAILED).says_as("a key that somebody does not trust");
    answer("\n", FAILED);
    assert!(!dir.exists());
    answer("yes\n", 0).says_as("a key that somebody trusts");
    assert_eq!(listed(&dir).len(), 1);
}

// --- rights ---

/// A server of some files, for so many requests.
fn serve(files: Vec<(String, Vec<u8>)>, requests: usize) -> String {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten().take(requests) {
            let mut stream = stream;
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) > 0 {
                request.push(byte[0]);
            }
            let request = String::from_utf8_lossy(&request).into_owned();
            let path = request.split(' ').nth(1).unwrap_or_default();
            let found = files.iter().find(|(known, _)| known == path);
            let (status, body) = match found {
                Some((_, body)) => ("200 OK", body.as_slice()),
                None => ("404 Not Found", &[][..]),
            };
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
            );
            // Who asks says whether it got it.
            let _ = stream
                .write_all(head.as_bytes())
                .and_then(|()| stream.write_all(body));
        }
    });
    address
}

#[test]
fn an_image_raises_its_rights_only_by_a_signature_of_a_key_that_may() {
    require_root!();
    let gpg = Gpg::new(tool!("gpg"));
    let dir = gpg.scratch.join("dir");
    let ann = gpg.key("Ann <ann@example.com>", "ed25519", "never", &[]);
    let key = gpg.export("ann@example.com", &[]);
    let app = r#"{"exec": ["/probe"], "user": "0", "group": "0", "isolators": [
        {"name": "os/linux/capabilities-retain-set", "value": {"set": ["CAP_SYS_ADMIN"]}}]}"#;
    let image = Aci::new(&manifest(app));
    let image = image.file("rootfs/probe", 0o755, fs::read(host::probe()).unwrap());
    let file = gpg.scratch.write("a.aci", image.bytes());
    let signature = gpg.scratch.join("a.aci.asc").display().to_string();
    let sign = ["--armor", "--output", &signature, "--detach-sign"];
    gpg.run(&[&sign[..], &[&file.display().to_string()]].concat());
    let served = |path: &str, from: &Path| (path.to_owned(), fs::read(from).unwrap());
    let files = vec![
        served("/a.aci", &file),
        served("/a.aci.asc", Path::new(&signature)),
    ];
    let address = serve(files, usize::MAX);
    let url = format!("http://{address}/a.aci");
    let run = |words: &[&str], expected: &str| {
        let run = launcher(&dir).arg("run").args(words);
        let ran = run.args(["--", "--report-only", "bounding"]).run().exits(0);
        let ran = ran.says(&format!("bounding {expected}\n"));
        let lines = ran.stderr.lines();
        let complaints = lines.filter(|line| line.starts_with("launcher: "));
        complaints
            .map(|line| format!("{line}\n"))
            .collect::<String>()
    };
    let (none, raised) = ("0000000000000000", "0000000000200000");
    trust(&dir, "--yes --prefix=example.com", &key)
        .run()
        .exits(0);
    let by_url = ["--insecure-options=http", &url];
    let said = run(&by_url, none);
    let title = "rights that nobody has signed for";
    golden::as_written("standard error", title, &said);
    let which = "example.com/sample";
    trust(
        &dir,
        "--yes --allow-isolators --prefix=example.com/other",
        &key,
    )
    .run()
    .exits(0);
    run(&[which], none);
    let allow = "--yes --allow-isolators --prefix=example.com";
    trust(&dir, allow, &key)
        .run()
        .exits(0)
        .naming("KEY", &ann)
        .says_as("a key that is trusted with rights");
    let said = run(&[which], raised);
    let title = "rights because of who signed";
    golden::as_written("standard error", title, &said);
    let planned = launcher(&dir).args(["plan", which]).run().exits(0);
    assert!(
        planned.stdout.contains("\nbounding sys_admin "),
        "{}",
        planned.stdout
    );
    planned.complains_as(title);
    let listed = launcher(&dir).args(["trust", "list"]).run().exits(0).stdout;
    golden::has_lines_as_written("the list", "a key that is listed with rights", &listed);
    // Neither the name alone nor a file of the same name is a signature.
    let other = gpg.scratch.join("other");
    trust(&other, allow, &key).run().exits(0);
    let from_file = launcher(&other).arg("run").arg(&file);
    let from_file = from_file.args(["--", "--report-only", "bounding"]).run();
    from_file.exits(0).says(&format!("bounding {none}\n"));
    // What was given is taken away again.
    trust(&dir, "--yes --prefix=example.com", &key)
        .run()
        .exits(0);
    run(&[which], none);
}
