//! Secrets in addresses and in the environment: nobody is told them but the
//! server that they are for.

use super::transfer::{IMAGE, UNSIGNED};
use super::*;

/// What must be nowhere.
const SECRETS: [&str; 3] = ["geheim", "Z2VoZWlt", "bWU6Z2VoZWlt"];

impl Site {
    /// Neither what was printed nor anything in the data directory has a
    /// secret.
    #[track_caller]
    fn tells_nobody(&self, ran: &Ran) {
        let printed = format!("{}{}", ran.stdout, ran.stderr);
        for secret in SECRETS {
            assert!(!printed.contains(secret), "{printed}");
        }
        if self.dir().exists() {
            let mut grep = call(Path::new("grep")).args(["--recursive", "--files-with-matches"]);
            for secret in SECRETS {
                grep = grep.args(["-e", secret]);
            }
            grep.arg(self.dir()).run().exits(1);
        }
    }
}

#[test]
fn the_secrets_of_an_address_are_in_no_message_and_no_file() {
    let moved = "case $path in /moved*)
        printf 'HTTP/1.1 302 Found\\r\\nLocation: /a.aci?ticket=geheim\\r\\n\\r\\n'
        exit ;;
    esac
    serve";
    let site = site!("simple").answering(moved);
    site.put("a");
    let secret = "?ticket=geheim#geheim";
    let host = "nosecone.net";
    for (address, code) in [
        (format!("https://me:geheim@{host}/a.aci"), 1),
        (format!("https://me:ge/geheim@{host}/a.aci"), 1),
        (format!("https://geheim@{host}:x/a.aci"), 1),
        (format!("http://me:geheim@{host}/a.aci"), 1),
        (format!("http://{host}/a.aci{secret}"), 1),
        (format!("https://{host}/none.aci{secret}"), 1),
        (format!("https://{host}/moved{secret}"), 0),
        (format!("{IMAGE}{secret}"), 0),
    ] {
        for verbose in [&["--verbose"][..], &[]] {
            let launcher = site.beside(&host::program()).args(verbose).arg("--dir");
            let launcher = launcher.arg(site.dir()).arg("fetch").arg("--ca-file");
            let ran = launcher
                .arg(site.file("ca.pem"))
                .args([UNSIGNED, &address])
                .run();
            site.tells_nobody(&ran.exits(code));
        }
        // Where there is nothing to fetch with.
        for words in [
            &["plan", &*address][..],
            &["fetch", "--pull-policy=never", &address],
            &["trust", "--prefix=a.b", &address],
            &["image", "verify", &address],
            &["image", "rm", &address],
            // Where no address is expected.
            &["validate", &address],
            &["status", &address],
            &["image", "build", "--name=a.b", &address, "--", "/a"],
            &["run", "--plan", &address],
            &["plan", &address, "--format=x"],
            &["list", &address],
            &[&address],
        ] {
            let ran = launcher(&site.dir()).args(words).run();
            site.tells_nobody(&ran);
        }
    }
    // The server got what is its own.
    assert!(!site.requests("/a.aci?ticket=geheim").is_empty());
    for words in [
        &["image", "list"][..],
        &["image", "list", "--format=json"],
        &["image", "verify"],
    ] {
        let ran = launcher(&site.dir()).args(words).run();
        site.tells_nobody(&ran);
    }
}

#[test]
fn the_password_of_a_proxy_and_that_of_a_server_are_in_no_message() {
    let site = site!("simple").answering("printf 'HTTP/1.1 401 No\\r\\n\\r\\n'");
    let proxy = "http://me:geheim@127.0.0.1:1";
    for (variable, value) in [
        ("https_proxy", proxy),
        ("https_proxy", "socks5://me:geheim@127.0.0.1"),
        ("https_proxy", "me:geheim@127.0.0.1:x"),
        ("XDG_CONFIG_HOME", site.knowing("geheim").to_str().unwrap()),
    ] {
        let launcher = site.beside(&host::program()).arg("--verbose").arg("--dir");
        let launcher = launcher.arg(site.dir()).arg("fetch").arg("--ca-file");
        let launcher = launcher.arg(site.file("ca.pem")).args([UNSIGNED, IMAGE]);
        let ran = launcher.env(variable, value).run().exits(1);
        site.tells_nobody(&ran);
    }
}
