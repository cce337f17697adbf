//! Images of registries: docker's own, and one that answers as it is told.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::{Layout, MANIFEST, base};
use crate::aci::Aci;
use crate::discovery::Site;
use crate::host::{self, Call, Running, call, launcher};

/// `docker-registry`, on a port of its own.
pub(super) struct Registry {
    server: Running,
    pub(super) host: String,
    /// Where it keeps what it has.
    place: PathBuf,
    /// The login that `skopeo` needs.
    login: Option<&'static str>,
}

impl Registry {
    pub(super) fn new(layout: &Layout) -> Option<Self> {
        Self::start(layout, "", "", None)
    }

    /// One that has what another one has.
    pub(super) fn mirror_of(layout: &Layout, host: &str) -> Option<Self> {
        let proxy = format!("proxy: {{remoteurl: \"http://{host}\"}}\n");
        Self::start(layout, "", &proxy, None)
    }

    /// One that speaks TLS, with those only that an authority vouches for.
    pub(super) fn with_tls(
        layout: &Layout,
        certificate: &str,
        key: &str,
        authority: &str,
    ) -> Option<Self> {
        let tls =
            format!(", tls: {{certificate: {certificate}, key: {key}, clientcas: [{authority}]}}");
        Self::start(layout, &tls, "", None)
    }

    /// The same with TLS, for `me` with `s3cret`.
    pub(super) fn mirror_with_tls(
        layout: &Layout,
        host: &str,
        certificate: &str,
        key: &str,
    ) -> Option<Self> {
        let tls = format!(", tls: {{certificate: {certificate}, key: {key}}}");
        let users = layout.scratch.write("users", USERS);
        let more = format!(
            "proxy: {{remoteurl: \"http://{host}\"}}\nauth: {{htpasswd: {{realm: it, path: {}}}}}\n",
            users.display()
        );
        Self::start(layout, &tls, &more, Some("me:s3cret"))
    }

    /// One that only these users have access to, each with what bcrypt makes of a
    /// password; of them `me` has `s3cret`.
    pub(super) fn with_users(layout: &Layout, users: &str) -> Option<Self> {
        let users = layout.scratch.write("users", users);
        let auth = format!(
            "auth: {{htpasswd: {{realm: it, path: {}}}}}\n",
            users.display()
        );
        Self::start(layout, "", &auth, Some("me:s3cret"))
    }

    /// One that wants tokens from a server of this host, which are signed by a key of
    /// these certificates.
    pub(super) fn with_tokens(layout: &Layout, host: &str, certificates: &Path) -> Option<Self> {
        let auth = format!(
            "auth: {{token: {{realm: \"http://{host}/token\", service: it, issuer: it, rootcertbundle: {}}}}}\n",
            certificates.display()
        );
        Self::start(layout, "", &auth, Some("me:s3cret"))
    }

    fn start(layout: &Layout, http: &str, more: &str, login: Option<&'static str>) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
        let host = format!("127.0.0.1:{}", port.unwrap().port());
        Self::at(layout, host, http, more, login)
    }

    /// One on this host and port.
    pub(super) fn at(
        layout: &Layout,
        host: String,
        http: &str,
        more: &str,
        login: Option<&'static str>,
    ) -> Option<Self> {
        let program = host::find_tool("docker-registry")?;
        let name = format!("registry-{}", host.replace(':', "-"));
        let place = layout.scratch.join(&name);
        let configuration = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"{host}\"{http}}}\n{more}",
            place.display()
        );
        let configuration = layout.scratch.write(&format!("{name}.yml"), configuration);
        let mut server = call(&program).arg("serve").arg(configuration).start();
        server.until("it listens", |_| TcpStream::connect(&host).is_ok());
        Some(Self {
            server,
            host,
            place,
            login,
        })
    }

    /// Copies an image of the layout to the registry.
    pub(super) fn push(&self, layout: &Layout, name: &str, to: &str) {
        let login = self.login.map(|login| format!("--dest-creds={login}"));
        let how = [Some("--dest-tls-verify=false".to_owned()), login];
        self.copy(layout, name, to, how.into_iter().flatten());
    }

    /// The same with certificates from a directory.
    pub(super) fn push_with(&self, layout: &Layout, name: &str, to: &str, files: &Path) {
        let how = format!("--dest-cert-dir={}", files.display());
        self.copy(layout, name, to, [how]);
    }

    fn copy(&self, layout: &Layout, name: &str, to: &str, how: impl IntoIterator<Item = String>) {
        let skopeo = host::find_tool("skopeo").unwrap();
        let copy = call(&skopeo).args(["copy", "--quiet"]).args(how);
        let copy = copy.arg(layout.reference(name));
        copy.arg(format!("docker://{}/{to}", self.host))
            .run()
            .exits(0);
    }

    pub(super) fn reference(&self, name: &str) -> String {
        format!("docker://{}/{name}", self.host)
    }

    /// How often such requests came, whose paths begin so.
    pub(super) fn sent(&self, method: &str, path: &str) -> usize {
        let sent = format!("\"{method} {path}");
        self.server.said().matches(&sent).count()
    }

    /// Waits until it has so many blobs of a repository: it writes them while it
    /// sends them on.
    pub(super) fn until_it_keeps(&mut self, repository: &str, blobs: usize) {
        let blobs_of = self.place.join("docker/registry/v2/repositories");
        let blobs_of = blobs_of.join(repository).join("_layers/sha256");
        let is_whole = |blob: &String| blobs_of.join(blob).join("link").exists();
        let so = |_: &Running| {
            let blobs_there = fs::read_dir(&blobs_of).map_or(0, |_| {
                host::names(&blobs_of)
                    .iter()
                    .filter(|blob| is_whole(blob))
                    .count()
            });
            blobs_there == blobs
        };
        self.server.until("it keeps what it has sent", so);
    }

    /// What it has logged.
    pub(super) fn said(&self) -> String {
        self.server.said()
    }

    /// How often a path was asked for.
    fn asked(&self, path: &str) -> usize {
        let asked = format!("\"GET {path} ");
        self.server.said().matches(&asked).count()
    }
}

/// A registry for a layout; the test is skipped where there is none.
macro_rules! registry {
    ($layout:expr) => {{
        let _ = tool!("skopeo");
        let _ = tool!("docker-registry");
        Registry::new($layout).unwrap()
    }};
}

/// A layout with an image that prints its name.
pub(super) fn layout(names: &[&str]) -> Layout {
    let mut layout = Layout::new();
    let shared = layout.layer(base());
    for name in names {
        let own = layout.layer(Aci::empty().file("name", 0o644, name));
        let run = format!(r#"{{"Cmd":["/bin/probe","--stdout","{name}"]}}"#);
        layout.image(name, &run, &[shared.clone(), own]);
    }
    layout
}

fn fetch(layout: &Layout, words: &[&str]) -> Call {
    layout.launch(&["fetch"]).args(words)
}

#[test]
fn what_a_registry_does_not_have_is_not_found() {
    let layout = layout(&["one"]);
    let registry = registry!(&layout);
    let digest = "app@sha256:0c6d3a2d0c6d3a2d0c6d3a2d0c6d3a2d0c6d3a2d0c6d3a2d0c6d3a2d0c6d3a2d";
    for (name, title) in [
        ("app:1", "a tag that is not there"),
        (digest, "a digest that is not there"),
    ] {
        let ran = fetch(&layout, &[&registry.reference(name)]).run().exits(1);
        ran.says("")
            .naming("REGISTRY", &registry.host)
            .complains_as(title);
    }
    let never = fetch(
        &layout,
        &["--pull-policy=never", &registry.reference("app:1")],
    );
    let never = never.run().exits(1).naming("REGISTRY", &registry.host);
    never.complains_as("an image that is not stored");
    assert_eq!(host::names(&layout.dir().join("images")), [""; 0]);
}

#[test]
fn a_tag_beside_a_digest_does_not_count_and_that_is_said() {
    let layout = layout(&["one"]);
    let registry = registry!(&layout);
    registry.push(&layout, "one", "app:1");
    let inspect = call(&host::find_tool("skopeo").unwrap());
    let inspect = inspect.args(["inspect", "--tls-verify=false", "--format={{.Digest}}"]);
    let digest = inspect.arg(registry.reference("app:1")).run().exits(0);
    let digest = digest.stdout.trim();
    // The registry has no such tag.
    let name = registry.reference(&format!("app:2@{digest}"));
    let ran = fetch(&layout, &[&name]).run().exits(0);
    let ran = ran.naming("REGISTRY", &registry.host);
    let ran = ran.naming("DIGEST", digest);
    assert!(
        ran.stderr.contains("Not checked: tag `2` of "),
        "{}",
        ran.stderr
    );
    assert_eq!(registry.asked("/v2/app/manifests/2"), 0);
}

#[test]
fn an_image_of_a_registry_is_asked_for_once_and_called_by_its_whole_name() {
    require_root!();
    let layout = layout(&["one"]);
    let registry = registry!(&layout);
    registry.push(&layout, "one", "org/app:1");
    let name = registry.reference("org/app:1");
    let run = || layout.launch(&["run", "--net=none", &name]).run().exits(0);
    run().says("one\n");
    drop(registry);
    // By now, nobody could be asked.
    run().says("one\n");
    let bare = name.strip_prefix("docker://").unwrap();
    let listed = layout
        .launch(&["image", "list", "--no-legend"])
        .run()
        .exits(0);
    assert!(listed.stdout.contains(bare), "{}", listed.stdout);
    let again = layout.launch(&["run", "--net=none", bare]).run();
    again.exits(0).says("one\n");
}

#[test]
fn a_layer_that_is_stored_is_not_fetched_again() {
    let layout = layout(&["one", "two"]);
    let registry = registry!(&layout);
    for name in ["one", "two"] {
        registry.push(&layout, name, &format!("app:{name}"));
        let reference = registry.reference(&format!("app:{name}"));
        fetch(&layout, &[&reference]).run().exits(0);
    }
    let layers = host::names(&layout.dir().join("layers"));
    assert_eq!(layers.len(), 3, "{layers:?}");
    let pushed = registry.server.said();
    let blobs = pushed
        .lines()
        .filter(|line| line.contains("\"GET /v2/app/blobs/"));
    let blobs: Vec<&str> = blobs
        .map(|line| line.split("\"GET ").nth(1).unwrap())
        .collect();
    let mut each: Vec<&&str> = blobs.iter().collect();
    each.sort();
    each.dedup();
    // Two configurations, and three layers.
    assert_eq!((blobs.len(), each.len()), (5, 5), "{blobs:?}");
}

#[test]
fn a_tag_means_what_it_meant_until_an_update_is_asked_for() {
    require_root!();
    let layout = layout(&["one", "two"]);
    let registry = registry!(&layout);
    let name = registry.reference("app");
    let run = || layout.launch(&["run", "--net=none", &name]).run().exits(0);
    registry.push(&layout, "one", "app:latest");
    run().says("one\n");
    registry.push(&layout, "two", "app:latest");
    run().says("one\n");
    fetch(&layout, &["--pull-policy=update", &name])
        .run()
        .exits(0);
    run().says("two\n");
    assert!(registry.asked("/v2/app/manifests/latest") >= 2);
}

/// What docker's registry has of the user `me` with `s3cret`.
pub(super) const USERS: &str = "me:$2b$04$abcdefghijklmnopqrstuuLZYjhNQAOdpbzt4WxWlUHjv1wsyH5DG\n";

/// What a scripted registry answers to a path: a status with fields, and a body.
pub(super) type Answers = BTreeMap<String, (String, Vec<u8>)>;

/// A registry that answers as it is told, and keeps what it was asked.
pub(super) struct Scripted {
    pub(super) host: String,
    pub(super) seen: Arc<Mutex<Vec<String>>>,
    /// The methods of the requests, and what each accepts.
    wanted: Arc<Mutex<Vec<(String, String)>>>,
}

impl Scripted {
    pub(super) fn new(answers: impl FnOnce(&str) -> Answers) -> Self {
        Self::at("127.0.0.1", answers)
    }

    /// One at an address of this machine.
    pub(super) fn at(address: &str, answers: impl FnOnce(&str) -> Answers) -> Self {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let (answers, seen) = (answers(&host), Arc::new(Mutex::new(Vec::new())));
        let wanted = Arc::new(Mutex::new(Vec::new()));
        let (log, methods) = (Arc::clone(&seen), Arc::clone(&wanted));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                answer(stream.unwrap(), &answers, &log, &methods);
            }
        });
        Self { host, seen, wanted }
    }

    pub(super) fn reference(&self, name: &str) -> String {
        format!("docker://{}/{name}", self.host)
    }

    /// The paths that it was asked for, each with what it was told who asks, and the
    /// form that was sent.
    pub(super) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    /// The methods of the requests, and which media types each accepts.
    pub(super) fn wanted(&self) -> Vec<(String, String)> {
        self.wanted.lock().unwrap().clone()
    }
}

fn answer(
    mut stream: TcpStream,
    answers: &Answers,
    log: &Mutex<Vec<String>>,
    wanted: &Mutex<Vec<(String, String)>>,
) {
    let mut reader = BufReader::new(&stream);
    let lines = reader.by_ref().lines().map_while(Result::ok);
    let request: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    // Else it is a client that tries to speak TLS.
    let Some(path) = request.first().and_then(|line| line.split(' ').nth(1)) else {
        return;
    };
    let field = |name: &str| request.iter().find_map(|line| line.strip_prefix(name));
    let mut told = field("Authorization: ").unwrap_or("-").to_owned();
    if request[0].starts_with("POST ") {
        let mut form = vec![0; field("Content-Length: ").unwrap().parse().unwrap()];
        reader.read_exact(&mut form).unwrap();
        told.push(' ');
        told.push_str(&String::from_utf8(form).unwrap());
    }
    let method = request[0].split(' ').next().unwrap_or_default();
    let accepted = field("Accept: ").unwrap_or_default();
    wanted
        .lock()
        .unwrap()
        .push((method.to_owned(), accepted.to_owned()));
    log.lock().unwrap().push(format!("{path} {told}"));
    let known = answers
        .get(&format!("{path} {told}"))
        .or_else(|| answers.get(path));
    let missing = ("404 Not Found".to_owned(), Vec::new());
    let (status, body) = known.unwrap_or(&missing);
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let _ = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(body));
}

/// What a registry has of the image in a layout, under the name `app`.
pub(super) fn served(layout: &Layout) -> Answers {
    let mut answers = Answers::new();
    let blobs = layout.path().join("blobs/sha256");
    for name in host::names(&blobs) {
        let body = fs::read(blobs.join(&name)).unwrap();
        let is_manifest = String::from_utf8_lossy(&body).contains(MANIFEST);
        let ok = format!("200 OK\r\nContent-Type: {MANIFEST}");
        if is_manifest {
            answers.insert("/v2/app/manifests/1".to_owned(), (ok.clone(), body.clone()));
        }
        let kind = if is_manifest { "manifests" } else { "blobs" };
        answers.insert(format!("/v2/app/{kind}/sha256:{name}"), (ok, body));
    }
    answers
}

#[test]
fn other_bytes_than_those_of_a_digest_are_refused_and_nothing_is_left() {
    let layout = layout(&["one"]);
    for part in ["manifests/sha256", "blobs/sha256"] {
        let mut wrong = Vec::new();
        let registry = Scripted::new(|_| {
            let mut answers = served(&layout);
            for (path, (_, body)) in &mut answers {
                if path.contains(part) {
                    wrong.push(path.rsplit('/').next().unwrap().to_owned());
                    body.push(b' ');
                }
            }
            answers
        });
        let name = match part {
            "manifests/sha256" => format!("app@{}", wrong[0]),
            _ => "app:1".to_owned(),
        };
        let ran = fetch(&layout, &[&registry.reference(&name)]).run().exits(1);
        let told = ran.told();
        let is_said = ["more than", "its digest is", "is larger than"];
        assert!(is_said.iter().any(|said| told.contains(said)), "{told}");
        assert_eq!(host::names(&layout.dir().join("images")), [""; 0]);
    }
}

/// The files of podman with a login.
fn logins(layout: &Layout, host: &str, login: &str) -> PathBuf {
    let text = format!(r#"{{"auths": {{"{host}": {login}}}}}"#);
    layout.scratch.write("auth.json", text)
}

#[test]
fn a_login_goes_to_the_server_for_tokens_and_is_never_shown() {
    let layout = layout(&["one"]);
    let basic = "Basic bWU6czNjcmV0";
    let registry = Scripted::new(|host| {
        let mut answers = Answers::new();
        for (path, answer) in served(&layout) {
            answers.insert(format!("{path} Bearer t0ken"), answer);
            let realm = format!("realm=\"http://{host}/token\",service=\"it\"");
            let refused = format!("401 Unauthorized\r\nWWW-Authenticate: Bearer {realm}");
            answers.insert(path, (refused, Vec::new()));
        }
        let asked = "/token?scope=repository%3Aapp%3Apull&service=it&account=me";
        let token = br#"{"token": "t0ken"}"#.to_vec();
        answers.insert(format!("{asked} {basic}"), ("200 OK".to_owned(), token));
        answers
    });
    let name = registry.reference("app:1");
    let refused = fetch(&layout, &[&name]).run().exits(1);
    assert!(
        refused.told().contains("cannot fetch"),
        "{}",
        refused.told()
    );
    for login in [
        r#"{"auth": "bWU6czNjcmV0"}"#,
        r#"{"username": "me", "password": "s3cret"}"#,
    ] {
        let file = logins(&layout, &registry.host, login);
        let ran = fetch(&layout, &["--pull-policy=update", &name]);
        let ran = ran.env("REGISTRY_AUTH_FILE", &file).run().exits(0);
        for secret in ["s3cret", "t0ken", "bWU6czNjcmV0"] {
            assert!(!ran.output().contains(secret), "{}", ran.output());
        }
    }
    let seen = registry.seen.lock().unwrap().clone();
    let with = |told: &str| seen.iter().filter(|line| line.ends_with(told)).count();
    assert!(with(basic) >= 2 && with("Bearer t0ken") >= 2, "{seen:?}");
    let outside = seen.iter().filter(|line| line.ends_with(basic));
    assert!(
        outside.into_iter().all(|line| line.starts_with("/token")),
        "{seen:?}"
    );
    let file = logins(&layout, &registry.host, r#"{"auth": "s3cret"}"#);
    let ran = fetch(&layout, &["--pull-policy=update", &name]);
    let ran = ran.env("REGISTRY_AUTH_FILE", &file).run().exits(1);
    ran.naming("REGISTRY", &registry.host)
        .naming("FILE", &file)
        .complains_as("a login that is not valid");
}

#[test]
fn warnings_and_scarce_requests_are_told_once() {
    let layout = layout(&["one"]);
    let registry = Scripted::new(|_| {
        let mut answers = served(&layout);
        for (status, _) in answers.values_mut() {
            status.push_str(
                "\r\nWarning: 299 - \"this image is old\"\
                 \r\nRateLimit-Limit: 100;w=21600\r\nRateLimit-Remaining: 3;w=21600",
            );
        }
        answers
    });
    let ran = fetch(&layout, &[&registry.reference("app:1")])
        .run()
        .exits(0);
    let told = ran.told();
    for line in [
        "says: `this image is old`",
        "answers 3 more requests for now",
    ] {
        assert_eq!(told.matches(line).count(), 1, "{told}");
    }
}

/// A web site that has no archives, but the image `one` as a registry has it.
fn website(layout: &Layout) -> Option<Site> {
    host::images().join("site").exists().then(|| {
        let site = Site::new("simple");
        for (path, (_, body)) in served(layout) {
            let file = site.file(&format!("simple{path}"));
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, body).unwrap();
        }
        site
    })
}

#[test]
fn a_name_whose_images_have_to_be_signed_is_not_asked_of_a_registry() {
    require_root!();
    let layout = layout(&["one"]);
    let Some(site) = website(&layout) else {
        skip!("needs the site; `cargo xtask images` says why it is not there");
    };
    let site = site.trusting("nosecone.net/app");
    let ran = site.launcher(&["run", "nosecone.net/app:1"]).run();
    ran.exits(125)
        .complains_as("a name that is nowhere, with a key");
}

#[test]
fn a_name_that_discovery_does_not_find_is_an_image_of_a_registry() {
    require_root!();
    let layout = layout(&["one"]);
    let Some(site) = website(&layout) else {
        skip!("needs the site; `cargo xtask images` says why it is not there");
    };
    let fetch = |words: &[&str]| {
        let words = [&["fetch"], words].concat();
        site.launcher(&words).run()
    };
    fetch(&["nosecone.net/none:1"])
        .exits(1)
        .complains_as("a name that is nowhere");
    let ran = fetch(&["nosecone.net/app:1"]).exits(0);
    assert!(
        ran.stderr.contains("Fetching: nosecone.net/app:1"),
        "{}",
        ran.stderr
    );
    // Now it is stored under this name, and nobody is asked.
    launcher(&site.dir())
        .args(["run", "nosecone.net/app:1"])
        .run()
        .exits(0)
        .says("one\n")
        .complains("");
    launcher(&site.dir())
        .args(["plan", "nosecone.net/app:1"])
        .run()
        .exits(0);
}
