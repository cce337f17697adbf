//! Builds the site that the discovery of images is shown with: two trees of
//! files for nosecone.net, one that answers to simple discovery and one only
//! to meta discovery; a certificate authority and a server's certificate; a
//! key, and its signatures of the images.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::cmd::{Cmd, Result, cmd, failed};
use crate::image::has;

/// The image that is run, the image that it needs, and their files.
const IMAGES: [(&str, &str); 2] = [("test", "nosecone-test"), ("base", "nosecone-base")];

/// What a page of the second tree says.
const PAGE: &str = "<!doctype html><title>nosecone.net</title>
<meta name=\"ac-discovery\" content=\"nosecone.net/example \
https://nosecone.net/store/{name}-{version}.{ext}\">
<meta name=\"ac-discovery-pubkeys\" content=\"nosecone.net https://nosecone.net/key.asc\">
";

/// Where `nosecone.net` is.
const HOSTS: &str = "127.0.0.1 localhost nosecone.net other.nosecone.net\n";

/// Builds the site into `INTO/site`, unless it is there and younger than the images.
pub(crate) fn build(into: &Path) -> Result<()> {
    for tool in ["openssl", "gpg", "stunnel"] {
        if !has(tool, "the site for discovery") {
            return Ok(());
        }
    }
    let base = into.join("nosecone-base.aci");
    if !base.exists() {
        return Ok(());
    }
    let site = into.join("site");
    if site.exists() {
        fs::remove_dir_all(&site).map_err(failed("remove", &site))?;
    }
    fs::create_dir_all(&site).map_err(failed("make", &site))?;
    certificates(&site)?;
    let home = site.join("gnupg");
    make(&home)?;
    fs::set_permissions(&home, fs::Permissions::from_mode(0o700))
        .map_err(failed("close", &home))?;
    key(&site, &home)?;
    for (name, file) in IMAGES {
        let image = into.join(format!("{file}.aci"));
        let signature = site.join(format!("{name}.asc"));
        gpg(&home)
            .args(["--armor", "--detach-sign", "--output"])
            .arg(&signature)
            .arg(&image)
            .run()?;
        publish(&site, name, &image, &signature)?;
    }
    write(&site.join("meta/index.html"), PAGE)?;
    write(&site.join("hosts"), HOSTS)?;
    for kind in ["simple", "meta"] {
        write(
            &site.join(format!("{kind}.conf")),
            &configuration(&site, kind),
        )?;
    }
    cmd("gpgconf")
        .quiet()
        .args(["--kill", "all"])
        .env("GNUPGHOME", &home)
        .run()
}

/// Puts an image where both trees have it.
fn publish(site: &Path, name: &str, image: &Path, signature: &Path) -> Result<()> {
    let simple = site.join("simple/example");
    let store = site.join("meta/store/nosecone.net/example");
    let pages = site.join("meta/example");
    for directory in [&simple, &store, &pages] {
        make(directory)?;
    }
    for version in ["latest", "1.0.0"] {
        let platform = format!("{name}-{version}-linux-{}.aci", crate::image::arch());
        let plain = format!("{name}-{version}.aci");
        for (directory, file) in [(&simple, platform), (&store, plain)] {
            copy(image, &directory.join(&file))?;
            copy(signature, &directory.join(format!("{file}.asc")))?;
        }
    }
    write(&pages.join(name), PAGE)
}

fn certificates(site: &Path) -> Result<()> {
    let request = || {
        cmd("openssl")
            .quiet()
            .dir(site)
            .args(["req", "-x509", "-nodes", "-days", "3650", "-newkey", "ec"])
            .args(["-pkeyopt", "ec_paramgen_curve:prime256v1"])
    };
    request()
        .args(["-subj", "/CN=Nose Cone example authority"])
        .args(["-addext", "keyUsage=critical,keyCertSign,cRLSign"])
        .args(["-keyout", "ca.key", "-out", "ca.pem"])
        .discard()
        .run()?;
    request()
        .args([
            "-subj",
            "/CN=nosecone.net",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
        ])
        .args(["-addext", "subjectAltName=DNS:nosecone.net"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-addext", "extendedKeyUsage=serverAuth"])
        .args(["-keyout", "server.key", "-out", "server.pem"])
        .discard()
        .run()
}

fn key(site: &Path, home: &Path) -> Result<()> {
    let user = "Nose Cone example <example@nosecone.net>";
    gpg(home)
        .args(["--quick-gen-key", user, "ed25519", "sign", "never"])
        .run()?;
    let public = site.join("key.asc");
    gpg(home)
        .args(["--armor", "--export", "--output"])
        .arg(&public)
        .run()?;
    for tree in ["simple", "meta"] {
        make(&site.join(tree))?;
        copy(&public, &site.join(tree).join("key.asc"))?;
    }
    Ok(())
}

fn gpg(home: &Path) -> Cmd {
    cmd("gpg")
        .quiet()
        .args(["--batch", "--quiet", "--passphrase", "", "--homedir"])
        .arg(home)
}

/// The server speaks TLS, and has busybox answer each connection.
fn configuration(site: &Path, kind: &str) -> String {
    let site = site.display();
    format!(
        "pid =\n\
         [https]\n\
         accept = 127.0.0.1:443\n\
         cert = {site}/server.pem\n\
         key = {site}/server.key\n\
         exec = /bin/busybox\n\
         execArgs = httpd -i -h {site}/{kind}\n"
    )
}

fn make(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory).map_err(failed("make", directory))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).map(|_| ()).map_err(failed("copy", from))
}

fn write(path: &Path, content: &str) -> Result<()> {
    fs::write(path, content).map_err(failed("write", path))
}
