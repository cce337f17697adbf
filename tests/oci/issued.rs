//! Docker's registry, and a server that issues the tokens that it wants: who logs in may
//! fetch and push all, others may fetch one repository. Who wants more gets a token that
//! is good for less, not an error.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use super::Layout;
use super::cosign::base64;
use super::registry::{Registry, layout};
use super::served::Served;
use crate::host::{self, call};

/// The login that counts: `me`, `s3cret`.
const LOGIN: &str = "Basic bWU6czNjcmV0";

/// The repository that everybody may fetch from.
const OPEN: &str = "open";

/// Who signs tokens.
struct Issuer(PathBuf);

impl Issuer {
    fn new(layout: &Layout) -> Self {
        let issuer = Self(layout.scratch.join("issuer"));
        fs::create_dir(&issuer.0).unwrap();
        issuer
            .openssl("req -x509 -newkey rsa:2048 -noenc -days 2 -subj /CN=it -keyout key -out crt");
        issuer.openssl("x509 -in crt -outform DER -out der");
        issuer
    }

    fn openssl(&self, words: &str) {
        let openssl = call(&host::find_tool("openssl").unwrap());
        let openssl = openssl.args(words.split(' ')).dir(&self.0);
        openssl.run().exits(0);
    }

    /// A token (RFC 7519) for what an access list says.
    fn token(&self, access: &str) -> String {
        let certificate = base64(&fs::read(self.0.join("der")).unwrap());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now = now.as_secs();
        let (begin, end) = (now - 10, now + 300);
        let header = format!(r#"{{"typ":"JWT","alg":"RS256","x5c":["{certificate}"]}}"#);
        let claims = format!(
            r#"{{"iss":"it","sub":"","aud":"it","nbf":{begin},"iat":{now},"exp":{end},"jti":"1","access":[{access}]}}"#
        );
        let signed = format!(
            "{}.{}",
            for_urls(header.as_bytes()),
            for_urls(claims.as_bytes())
        );
        fs::write(self.0.join("in"), &signed).unwrap();
        self.openssl("dgst -sha256 -sign key -out sig in");
        let signature = fs::read(self.0.join("sig")).unwrap();
        format!("{signed}.{}", for_urls(&signature))
    }
}

/// Base64 as tokens have it.
fn for_urls(bytes: &[u8]) -> String {
    let text = base64(bytes).replace('+', "-").replace('/', "_");
    text.trim_end_matches('=').to_owned()
}

/// What a request for a token is granted, as an access list.
fn granted(request: &str, told: Option<&str>) -> String {
    let request = request.replace("%3A", ":").replace("%2C", ",");
    let scopes = request.split(['?', '&']);
    let scopes = scopes.filter_map(|field| field.strip_prefix("scope=repository:"));
    let mut list = String::new();
    for (name, actions) in scopes.filter_map(|scope| scope.rsplit_once(':')) {
        let may = |action: &&str| told == Some(LOGIN) || (name == OPEN && *action == "pull");
        let actions: Vec<String> = actions
            .split(',')
            .filter(may)
            .map(|action| format!("{action:?}"))
            .collect();
        let comma = if list.is_empty() { "" } else { "," };
        let actions = actions.join(",");
        write!(
            list,
            r#"{comma}{{"type":"repository","name":"{name}","actions":[{actions}]}}"#
        )
        .unwrap();
    }
    list
}

/// Starts both; the registry has an image that everybody may fetch, and one for who logs
/// in.
fn begin(layout: &Layout) -> (Registry, Served) {
    let issuer = Issuer::new(layout);
    let certificates = issuer.0.join("crt");
    // Tokens are signed in one place.
    let issuer = Mutex::new(issuer);
    let server = Served::new(layout, move |_, asked, stream| {
        let access = granted(&asked.path, asked.told.as_deref());
        let token = issuer.lock().unwrap().token(&access);
        let body = format!(r#"{{"token":"{token}","expires_in":300}}"#);
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    });
    let registry = Registry::with_tokens(layout, &server.host, &certificates).unwrap();
    for name in [OPEN, "app"] {
        registry.push(layout, "one", &format!("{name}:1"));
    }
    (registry, server)
}

#[test]
fn a_token_is_good_for_what_its_server_grants() {
    let layout = layout(&["one"]);
    let _ = (tool!("openssl"), tool!("skopeo"), tool!("docker-registry"));
    let (registry, server) = begin(&layout);
    let login = r#"{"username": "me", "password": "s3cret"}"#;
    let text = format!(r#"{{"auths": {{"{}": {login}}}}}"#, registry.host);
    let logins = layout.scratch.write("auth.json", text);
    let nobody = |words: &[&str]| layout.launch(words).run();
    let me = |words: &[&str]| {
        let call = layout.launch(words);
        call.env("REGISTRY_AUTH_FILE", &logins).run()
    };
    let [open, app] = [OPEN, "app"].map(|name| registry.reference(&format!("{name}:1")));
    let told = nobody(&["fetch", &app]).exits(1).told();
    assert!(told.contains("does not let us have"), "{told}");
    nobody(&["fetch", &open]).exits(0);
    me(&["fetch", &app]).exits(0);
    let stored = open.strip_prefix("docker://").unwrap();
    for name in [OPEN, "new"] {
        let to = registry.reference(&format!("{name}:2"));
        let told = nobody(&["image", "push", stored, &to]).exits(1).told();
        assert!(told.contains("does not let us push"), "{told}");
        let ran = me(&["image", "push", stored, &to]).exits(0);
        assert!(!ran.output().contains("s3cret"), "{}", ran.output());
    }
    let again = host::launcher(&layout.scratch.join("again"));
    let again = again.arg("fetch").arg(registry.reference("new:2"));
    again.env("REGISTRY_AUTH_FILE", &logins).run().exits(0);
    // No login was sent but for a token.
    let log = server.shared.log.lock().unwrap();
    assert!(
        log.iter().all(|line| line.starts_with("asked /token?")),
        "{log:?}"
    );
}
