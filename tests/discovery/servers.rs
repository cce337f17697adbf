//! Servers that do what is allowed and seldom done, and what we know of them.

use std::os::unix::fs::PermissionsExt;

use super::transfer::{IMAGE, UNSIGNED, archive};
use super::*;
use crate::claims;

#[test]
fn early_hints_and_bytes_that_are_no_text_are_no_obstacle() {
    let odd = "case $path in *.aci)
        printf 'HTTP/1.1 103 Early Hints\\r\\nLink: </a>\\r\\n\\r\\n'
        printf 'HTTP/1.1 200 Gut\\r\\nX-Disk: M\\374ller\\r\\n'
        printf 'Content-Length: %s\\r\\n\\r\\n' $(wc -c < $file)
        cat $file
        exit ;;
    esac
    serve";
    let site = site!("simple").answering(odd);
    site.put("a");
    site.launcher(&["fetch", UNSIGNED, IMAGE]).run().exits(0);
    assert_eq!(site.requests("/a.aci").len(), 1);
    assert_eq!(site.images(), 1);
}

// Without this, the tar that is cut in its padding is another image.
#[test]
fn an_archive_that_was_cut_once_is_stored_as_it_is() {
    let once = "case $path in *.aci)
        printf 'HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n'
        printf '%x\\r\\n' $(wc -c < $file)
        mkdir $file.cut 2> /dev/null && { head -c -5000 $file; exit; }
        cat $file
        printf '\\r\\n0\\r\\n\\r\\n'
        exit ;;
    esac
    serve";
    let site = site!("simple").answering(once);
    let mut image = archive("a");
    image.resize(image.len() + 9000, 0);
    fs::write(site.file("simple/a.aci"), &image).unwrap();
    let ran = site.launcher(&["fetch", "--full", UNSIGNED, IMAGE]).run();
    let ran = ran.exits(0);
    let at = claims::size(image.len() - 5000);
    let resuming = format!("Resuming: {IMAGE}: the connection broke after {at}");
    assert_eq!(lines(&ran, "Resuming: "), [resuming]);
    let file = site.scratch.write("own.aci", image);
    let own = launcher(&site.scratch.join("own")).args(["fetch", "--full"]);
    assert_eq!(own.arg(file).run().exits(0).stdout, ran.stdout);
}

#[test]
fn what_a_server_asks_to_be_waited_for_is_told() {
    let busy = "case $path in *.aci)
        mkdir $file.busy 2> /dev/null && {
            printf 'HTTP/1.1 503 Busy\\r\\nRetry-After: 1\\r\\n\\r\\n'
            exit
        } ;;
    esac
    serve";
    let site = site!("simple").answering(busy);
    site.put("a");
    let ran = site.launcher(&["fetch", UNSIGNED, IMAGE]).run().exits(0);
    ran.complains_with("a server that asks to be waited for");
}

impl Site {
    /// Lets the server have a certificate that it has made itself, as `openssl`
    /// usually does, for a host.
    fn certified_by_itself(self, host: &str) -> Self {
        call(Path::new("openssl"))
            .args([
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
            ])
            .args(["-subj", &format!("/CN={host}")])
            .args(["-addext", &format!("subjectAltName=DNS:{host}")])
            .arg("-keyout")
            .arg(self.file("server.key"))
            .arg("-out")
            .arg(self.file("server.pem"))
            .run()
            .exits(0);
        self
    }

    /// Lets the server have a certificate by the site's authority that is good
    /// from one time to another.
    fn certified_for(self, from: &str, to: &str) -> Self {
        let config = format!(
            "[ca]\ndefault_ca = site\n[site]\ndatabase = {0}/index\nnew_certs_dir = {0}\n\
             default_md = sha256\npolicy = any\nrand_serial = yes\nunique_subject = no\n\
             x509_extensions = names\n[any]\ncommonName = supplied\n\
             [names]\nsubjectAltName = DNS:nosecone.net\n",
            self.scratch.path().display()
        );
        let config = self.scratch.write("ca.conf", config);
        self.scratch.write("index", "");
        let request = self.scratch.join("server.csr");
        call(Path::new("openssl"))
            .args(["req", "-new", "-subj", "/CN=nosecone.net", "-key"])
            .arg(self.file("server.key"))
            .arg("-out")
            .arg(&request)
            .run()
            .exits(0);
        call(Path::new("openssl"))
            .args(["ca", "-batch", "-startdate", from, "-enddate", to])
            .arg("-config")
            .arg(config)
            .arg("-cert")
            .arg(self.file("ca.pem"))
            .arg("-keyfile")
            .arg(self.file("ca.key"))
            .arg("-in")
            .arg(request)
            .arg("-out")
            .arg(self.file("server.pem"))
            .run()
            .exits(0);
        self
    }

    fn fetching(&self, certificates: &str) -> Ran {
        self.unaware(&["fetch", "--quiet", UNSIGNED, "--ca-file"])
            .arg(self.file(certificates))
            .arg(IMAGE)
            .run()
    }
}

#[test]
fn a_certificate_that_the_operator_gives_is_believed_for_its_host() {
    let site = site!("simple").certified_by_itself("nosecone.net");
    site.put("a");
    let ran = site.fetching("ca.pem").exits(1);
    ran.complains_as("a certificate that nobody knows");
    site.fetching("server.pem").exits(0);
    let site = site!("simple").certified_by_itself("example.com");
    site.put("a");
    let ran = site.fetching("server.pem").exits(1);
    ran.complains_as("a certificate for another host");
    site.is_empty();
}

#[test]
fn a_file_without_certificates_is_refused_even_where_nothing_is_fetched() {
    let scratch = Scratch::new();
    let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let key = scratch.write("key.pem", key);
    let image = scratch.write("a.aci", archive("a"));
    let call = launcher(&scratch.join("dir")).args(["fetch", "--ca-file"]);
    let ran = call.arg(&key).arg(image).run().exits(1);
    ran.naming("FILE", key)
        .complains_as("a file of authorities without any");
}

#[test]
fn the_days_of_a_certificate_are_said_as_days() {
    for (from, to, title) in [
        (
            "20200101000000Z",
            "20210203000000Z",
            "a certificate that has expired",
        ),
        (
            "21000102000000Z",
            "21010101000000Z",
            "a certificate that is not valid yet",
        ),
    ] {
        let site = site!("simple").certified_for(from, to);
        site.put("a");
        site.fetching("ca.pem").exits(1).complains_as(title);
        site.is_empty();
    }
}

#[test]
fn credentials_for_other_programs_and_hosts_are_in_nobodys_way() {
    let site = site!("simple");
    site.put("a");
    let config = site.knowing("geheim");
    let write = |name: &str, text: &str| {
        let file = config.join("nosecone/auth.d").join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(file, PermissionsExt::from_mode(0o600)).unwrap();
    };
    write(
        "docker.json",
        r#"{"rktKind": "dockerAuth", "rktVersion": "v1"}"#,
    );
    write("paths.json", r#"{"rktKind": "paths", "rktVersion": "v1"}"#);
    write(
        "other.json",
        r#"{"kind": "auth", "domains": ["example.com"]}"#,
    );
    write("half.json", "{");
    let fetch = || {
        let fetch = site.launcher(&["fetch", "--pull-policy=update", UNSIGNED, IMAGE]);
        fetch.env("XDG_CONFIG_HOME", &config).run()
    };
    let ran = fetch().exits(0);
    let warnings = lines(&ran, "warning: ");
    let half = config.join("nosecone/auth.d/half.json");
    let warning = format!(
        "warning: cannot use credentials in `{}`: it is not JSON",
        half.display()
    );
    assert_eq!(warnings, [warning]);
    assert_eq!(lines(&ran, "Skipped: "), [""; 0]);
    // Who asks is told of the others.
    let fetch_all = [
        "fetch",
        "--verbose",
        "--pull-policy=update",
        UNSIGNED,
        IMAGE,
    ];
    let ran = site.launcher(&fetch_all).env("XDG_CONFIG_HOME", &config);
    let skipped = ["docker.json", "paths.json"].map(|name| {
        let file = config.join("nosecone/auth.d").join(name);
        format!("Skipped: {}: it is not for Nose Cone", file.display())
    });
    assert_eq!(lines(&ran.run().exits(0), "Skipped: "), skipped);
    write(
        "site.json",
        r#"{"kind": "auth", "domains": ["nosecone.net"]}"#,
    );
    let ran = fetch().exits(1);
    ran.naming("CONFIG", &config)
        .at_last()
        .complains_as("credentials for this host that cannot be used");
}

#[test]
fn a_file_is_found_by_each_of_its_urls() {
    let site = Scratch::new();
    let file = site.write("a b.aci", archive("a"));
    let path = file.to_str().unwrap();
    let encoded = path.replace(' ', "%20");
    let mut ids = Vec::new();
    for url in [
        path.to_owned(),
        format!("file://{path}"),
        format!("file://{encoded}"),
        format!("FILE://localhost{encoded}"),
        format!("file:{encoded}"),
    ] {
        let ran = launcher(&site.join("dir"))
            .args(["fetch", "--full", &url])
            .run();
        ids.push(ran.exits(0).stdout);
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    let away = launcher(&site.join("dir")).args(["fetch", "file://example.com/a.aci"]);
    away.run().exits(2).complains_as("a file of another host");
}
