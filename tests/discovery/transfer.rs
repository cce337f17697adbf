//! How documents come: over connections that prove something or nothing, with
//! credentials, again, in part, and cut.

use super::*;
use crate::aci::{Aci, manifest};
use crate::claims;

/// Where [`Site::put`] puts images.
pub(super) const IMAGE: &str = "https://nosecone.net/a.aci";

pub(super) const UNSIGNED: &str = "--insecure-options=image";

impl Site {
    /// Leaves answering to a script. It has the request in `$header` and its
    /// path in `$path`; `serve` answers as the server would.
    pub(super) fn answering(self, script: &str) -> Self {
        let file = self.scratch.join("answer.sh");
        let [log, home] = [self.scratch.join("log"), self.file(self.kind)];
        let text = format!(
            "header=\nend=$(printf '\\r')\n\
             while IFS= read -r line; do\n\
             header=\"$header$line\n\"\n\
             [ \"$line\" != \"$end\" ] || break\n\
             done\n\
             printf '%s' \"$header\" >> {log}\n\
             path=${{header#GET }}; path=${{path%% *}}\n\
             file={home}$path\n\
             serve() {{ printf '%s' \"$header\" | busybox httpd -i -h {home}; }}\n\
             {script}\n",
            log = log.display(),
            home = home.display(),
        );
        fs::write(&file, text).unwrap();
        self.executing(&format!("sh {}", file.display()))
    }

    /// Changes what busybox does with a connection.
    fn executing(self, words: &str) -> Self {
        let file = self.file(&format!("{}.conf", self.kind));
        let text = fs::read_to_string(&file).unwrap();
        let (start, _) = text.split_once("execArgs").unwrap();
        fs::write(file, format!("{start}execArgs = {words}\n")).unwrap();
        self
    }

    /// The requests so far that get this path, with all their fields.
    pub(super) fn requests(&self, path: &str) -> Vec<String> {
        let log = fs::read_to_string(self.scratch.join("log")).unwrap_or_default();
        let start = format!("{path} HTTP/1.1\r\n");
        let requests = log.split("GET ").filter(|text| text.starts_with(&start));
        requests.map(str::to_owned).collect()
    }

    /// Puts an image with this content where [`IMAGE`] is.
    pub(super) fn put(&self, content: &str) {
        fs::write(self.file(self.kind).join("a.aci"), archive(content)).unwrap();
    }

    /// A directory of configuration with credentials in it.
    pub(super) fn knowing(&self, password: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let config = self.scratch.join("config");
        fs::create_dir_all(config.join("nosecone/auth.d")).unwrap();
        let file = config.join("nosecone/auth.d/site.json");
        let text = format!(
            r#"{{"kind": "auth", "domains": ["nosecone.net"], "type": "basic",
                "credentials": {{"user": "me", "password": "{password}"}}}}"#
        );
        fs::write(&file, text).unwrap();
        fs::set_permissions(file, PermissionsExt::from_mode(0o600)).unwrap();
        config
    }

    /// Lets only `me` in, whose password is `geheim`.
    fn closed(self) -> Self {
        let config = self.scratch.write("httpd.conf", "/:me:geheim\n");
        let home = self.file(self.kind);
        let words = format!("httpd -i -h {} -c {}", home.display(), config.display());
        self.executing(&words)
    }

    /// The launcher without the site's authority.
    pub(super) fn unaware(&self, words: &[&str]) -> Call {
        let launcher = self.beside(&host::program()).arg("--dir").arg(self.dir());
        launcher.args(words)
    }
}

/// An image with this content.
pub(super) fn archive(content: &str) -> Vec<u8> {
    let manifest = manifest(r#"{"exec": ["/a"], "user": "0", "group": "0"}"#);
    Aci::new(&manifest).file("rootfs/a", 0o755, content).bytes()
}

#[track_caller]
fn refused(ran: Ran, title: &str) {
    ran.exits(1).complains_as(title);
}

// --- who the server is ---

#[test]
fn an_unchecked_server_vouches_for_nothing() {
    let site = site!("simple");
    let ran = site
        .unaware(&["fetch", "--insecure-options=tls", TEST])
        .run()
        .exits(1);
    naming(&site, ran)
        .at_last()
        .complains_as("a signature from an unchecked server");
    site.is_empty();
}

#[test]
fn one_run_that_checks_nothing_changes_nothing_for_the_next() {
    let site = site!("simple");
    site.put("a");
    let waived = "--insecure-options=image,tls";
    site.unaware(&["fetch", waived, IMAGE]).run().exits(0);
    assert_eq!(site.images(), 1);
    let ran = site.unaware(&["fetch", UNSIGNED, IMAGE]).run().exits(1);
    naming(&site, ran)
        .at_last()
        .complains_as("a server that is checked again");
}

#[test]
fn a_server_that_nobody_certified_is_believed_where_that_is_waived() {
    for kind in ["simple", "meta"] {
        let site = match kind {
            "simple" => site!("simple"),
            _ => site!("meta"),
        };
        let site = site.trusting("nosecone.net");
        site.unaware(&["fetch", "--insecure-options=tls", TEST])
            .run()
            .exits(0);
        assert_eq!(site.images(), 2, "{kind}");
    }
}

#[test]
fn a_key_comes_from_an_unchecked_server_only_where_that_is_waived() {
    let site = site!("meta");
    let trust = |waived| {
        let waived = format!("--insecure-options={waived}");
        site.unaware(&["trust", "--prefix=nosecone.net/example", "--yes", &waived])
            .run()
    };
    for waived in ["none", "http", "image"] {
        trust(waived).exits(1);
    }
    let ran = trust("pubkey").exits(0);
    assert!(ran.stdout.starts_with("trusted "), "{}", ran.stdout);
}

#[test]
fn a_download_from_an_unchecked_server_goes_on_where_it_broke() {
    let site = site!("simple").answering(BREAKS_ONCE);
    site.put(&"a".repeat(300_000));
    site.unaware(&["fetch", "--insecure-options=image,tls", IMAGE])
        .run()
        .exits(0);
    assert_eq!(site.requests("/a.aci").len(), 2);
    assert_eq!(site.images(), 1);
}

// --- who we are ---

#[test]
fn nobody_is_let_in_with_a_wrong_password() {
    let site = site!("simple").closed();
    site.put("a");
    let ran = site
        .launcher(&["fetch", "--quiet", UNSIGNED, IMAGE])
        .env("XDG_CONFIG_HOME", site.knowing("wrong"))
        .run();
    refused(ran, "a wrong password");
    let ran = site.launcher(&["fetch", "--quiet", UNSIGNED, IMAGE]).run();
    refused(ran, "no password");
    site.is_empty();
}

#[test]
fn an_unchecked_server_gets_no_credentials() {
    let site = site!("simple").closed();
    site.put("a");
    let words = ["fetch", "--quiet", "--insecure-options=image,tls", IMAGE];
    let know = site.knowing("geheim");
    let ran = site.unaware(&words).env("XDG_CONFIG_HOME", &know).run();
    refused(ran, "a password that is withheld");
    // Whatever it answers, it was not told.
    let site = site.answering("serve");
    let ran = site.unaware(&words).env("XDG_CONFIG_HOME", &know).run();
    ran.exits(0);
    let requests = site.requests("/a.aci");
    assert_eq!(requests.len(), 1);
    assert!(!requests[0].contains("uthorization"), "{}", requests[0]);
    assert!(
        requests[0].contains("\r\nHost: nosecone.net\r\n"),
        "{}",
        requests[0]
    );
}

#[test]
fn a_server_whose_certificate_is_good_gets_its_credentials() {
    let site = site!("simple").trusting("nosecone.net").closed();
    site.launcher(&["fetch", TEST])
        .env("XDG_CONFIG_HOME", site.knowing("geheim"))
        .run()
        .exits(0);
    assert_eq!(site.images(), 2);
}

// --- cut ---

/// Sends the first half of an image, later whatever is asked for.
const BREAKS_ONCE: &str = "case $path in *.aci)
    if mkdir $file.half 2> /dev/null; then
        serve | head -c $(($(wc -c < $file) / 2))
        exit
    fi ;;
esac
serve";

/// Sends in chunks all that lies in FILE.sent, and tells of `more` bytes.
const CHUNKS: &str = "if [ -e $file.sent ]; then
    printf 'HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n'
    printf '%x\\r\\n' $(($(wc -c < $file.sent) + $(cat $file.more)))
    cat $file.sent
    cat $file.end
else serve; fi";

impl Site {
    /// How the next answer for a file comes: this, as a chunk `more` bytes
    /// longer, and then this.
    fn sends(&self, name: &str, sent: &[u8], more: usize, end: &str) {
        let file = |what| self.file(self.kind).join(format!("{name}.{what}"));
        fs::write(file("sent"), sent).unwrap();
        fs::write(file("more"), more.to_string()).unwrap();
        fs::write(file("end"), end).unwrap();
    }
}

#[test]
fn an_archive_of_which_chunks_are_missing_leaves_nothing() {
    let site = site!("simple").answering(CHUNKS);
    site.put("");
    let whole = archive(&"a".repeat(10_000));
    let fetch = || site.launcher(&["fetch", UNSIGNED, IMAGE]).run();
    // Of the connection, the last chunk: it is asked for again, in vain.
    for (missing, more, end) in [
        // Both blocks of zeros at the end; content; all of it.
        (1024, 1024, ""),
        (5000, 0, "\r\n"),
        (whole.len(), whole.len(), ""),
    ] {
        let before = site.requests("/a.aci").len();
        site.sends("a.aci", &whole[..whole.len() - missing], more, end);
        let ran = fetch().exits(1);
        ran.at_last()
            .naming("AT", claims::size(whole.len() - missing))
            .complains_with("an archive of which chunks are missing");
        assert_eq!(site.requests("/a.aci").len() - before, 5);
        site.is_empty();
    }
    // Of the archive.
    for missing in [5000, whole.len() - 2048, whole.len()] {
        let sent = &whole[..whole.len() - missing];
        let end = match sent {
            [] => "\r\n",
            _ => "\r\n0\r\n\r\n",
        };
        site.sends("a.aci", sent, 0, end);
        let ran = fetch().exits(1);
        ran.complains_with(match sent {
            [] => "an archive of which nothing came",
            _ => "an archive of which not all came",
        });
        site.is_empty();
    }
    site.sends("a.aci", &whole, 0, "\r\n0\r\n\r\n");
    fetch().exits(0);
    assert_eq!(site.images(), 1);
}

#[test]
fn a_signature_of_which_chunks_are_missing_vouches_for_nothing() {
    let site = site!("simple").trusting("nosecone.net").answering(CHUNKS);
    let path = site.path("test-latest");
    let name = path.file_name().unwrap().to_str().unwrap();
    let whole = fs::read(format!("{}.asc", path.display())).unwrap();
    let name = format!("example/{name}.asc");
    let fetch = || site.launcher(&["fetch", "--no-deps", TEST]).run();
    for missing in [60, whole.len() / 2] {
        let sent = &whole[..whole.len() - missing];
        for (more, end) in [(missing, ""), (0, "\r\n")] {
            site.sends(&name, sent, more, end);
            fetch().exits(1);
            site.is_empty();
        }
    }
    site.sends(&name, &whole, 0, "\r\n0\r\n\r\n");
    fetch().exits(0);
}

#[test]
fn a_download_that_broke_is_told_of_as_one() {
    let site = site!("simple")
        .trusting("nosecone.net")
        .answering(BREAKS_ONCE);
    let base = "nosecone.net/example/base";
    let ran = site.launcher(&["fetch", base]).run().exits(0);
    assert_eq!(lines(&ran, "Fetched: ").len(), 1, "{}", ran.stderr);
    let path = site.path("base-latest");
    let half = fs::metadata(&path).unwrap().len() / 2;
    let path = format!("/example/{}", path.file_name().unwrap().to_str().unwrap());
    let requests = site.requests(&path);
    assert_eq!(requests.len(), 2, "{requests:?}");
    assert!(!requests[0].contains("\r\nRange: "), "{}", requests[0]);
    let (_, from) = requests[1].split_once("\r\nRange: bytes=").unwrap();
    let (from, _) = from.split_once('-').unwrap();
    // The header was part of what came.
    let from: u64 = from.parse().unwrap();
    assert!(half - 1000 < from && from < half, "{from} of {half}");
}

// --- again ---

#[test]
fn what_changed_on_the_server_is_fetched_only_if_that_is_asked_for() {
    let site = site!("simple").answering("serve");
    site.put("old");
    let fetch = |policy| {
        let ran = site
            .launcher(&["fetch", "--quiet", policy, UNSIGNED, IMAGE])
            .run();
        ran.exits(0).stdout
    };
    let old = fetch("--pull-policy=new");
    // busybox takes a file of the same second and length for the same.
    site.put(&"new".repeat(1000));
    for policy in ["--pull-policy=never", "--pull-policy=new"] {
        assert_eq!(fetch(policy), old, "{policy}");
    }
    assert_eq!(site.requests("/a.aci").len(), 1);
    let new = fetch("--pull-policy=update");
    assert_ne!(new, old);
    assert_eq!(site.images(), 2);
    assert_eq!(fetch("--pull-policy=never"), new);
    assert_eq!(site.requests("/a.aci").len(), 2);
}

#[test]
fn an_address_is_not_asked_where_that_is_forbidden() {
    let site = site!("simple").answering("serve");
    site.put("a");
    let ran = site
        .launcher(&["fetch", "--pull-policy=never", UNSIGNED, IMAGE])
        .run();
    ran.exits(1)
        .complains_as("an address is not asked where that is forbidden");
    assert!(site.requests("/a.aci").is_empty());
}

#[test]
fn who_wants_the_same_image_at_once_gets_it_of_one_download() {
    // The first waits long enough for the second to have begun, too.
    let slow = "case $path in *.aci) sleep 2 ;; esac; serve";
    let site = site!("simple").trusting("nosecone.net").answering(slow);
    let both = "\"$@\" & first=$!; \"$@\" && wait $first";
    let ran = site
        .beside(Path::new("sh"))
        .args(["-c", both, "sh"])
        .arg(host::program())
        .arg("--dir")
        .arg(site.dir())
        .args(["fetch", "--full", "--no-deps", "--ca-file"])
        .arg(site.file("ca.pem"))
        .arg(TEST)
        .run()
        .exits(0);
    let ids: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0], ids[1]);
    assert_eq!(lines(&ran, "Fetched: ").len(), 1, "{}", ran.stderr);
    let path = site.path("test-latest");
    let path = format!("/example/{}", path.file_name().unwrap().to_str().unwrap());
    assert_eq!(site.requests(&path).len(), 1);
}

// --- what it takes ---

/// The most memory that fetching may take, in kibibytes.
const MEMORY: u64 = 16 << 10;

#[test]
fn fetching_a_whole_userland_takes_little_memory() {
    let site = site!("simple");
    // What is not optimised takes what it takes.
    if std::env::var_os("LAUNCHER").is_none() {
        skip!("needs the launcher as it is released; LAUNCHER says where it is");
    }
    let Some(debian) = host::find_image("debian") else {
        skip!("needs the image of Debian; `cargo xtask images` says why it is not there");
    };
    fs::copy(debian, site.file("simple/a.aci")).unwrap();
    let watched = "\"$@\" > /dev/null & pid=$!
while now=$(grep VmHWM /proc/$pid/status); do peak=$now; sleep 0.02; done
wait $pid && echo $peak";
    let ran = site
        .beside(Path::new("sh"))
        .args(["-c", watched, "sh"])
        .arg(host::program())
        .arg("--dir")
        .arg(site.dir())
        .args(["fetch", UNSIGNED, "--ca-file"])
        .arg(site.file("ca.pem"))
        .arg(IMAGE)
        .run()
        .exits(0);
    let peak = ran.stdout.split_whitespace().nth(1).unwrap();
    let peak: u64 = peak.parse().unwrap();
    assert!(peak < MEMORY, "{peak} KiB");
}
