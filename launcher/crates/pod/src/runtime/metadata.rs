//! The responses of a pod's metadata service.
//!
//! ```text
//! GET  /TOKEN/acMetadata/v1/pod/annotations          JSON
//! GET  /TOKEN/acMetadata/v1/pod/manifest             JSON, reified
//! GET  /TOKEN/acMetadata/v1/pod/uuid                 text
//! POST /TOKEN/acMetadata/v1/pod/hmac/sign            content=...
//! POST /TOKEN/acMetadata/v1/pod/hmac/verify          content=...&uuid=...&signature=...
//! GET  /TOKEN/acMetadata/v1/apps/NAME/annotations    JSON
//! GET  /TOKEN/acMetadata/v1/apps/NAME/image/manifest JSON, as in the image
//! GET  /TOKEN/acMetadata/v1/apps/NAME/image/id       text
//! ```
//!
//! Source: the App Container specification, "App Container Metadata Service".
//! Pure: it turns a request into a response. The signature is an HMAC-SHA512
//! over the UUID and the content, with a key of the host: so a pod can verify
//! what another pod signed, but can sign only in its own name.
//!
//! The only file that knows base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use appc::types::Uuid;
use image::digest::{Code, KEY};

/// The port of the service, on the pod's loopback interface.
pub const PORT: u16 = 18_112;

/// Shown in place of the token in a plan that is only printed.
pub const HIDDEN: &str = "TOKEN";

/// Returns the URL of a pod's service, as its apps get it.
pub fn url(token: &str) -> String {
    format!("http://127.0.0.1:{PORT}/{token}")
}

/// What the service knows.
pub struct Metadata {
    /// Clients must know it. The apps have it in their environment.
    pub token: String,
    /// The pod's UUID.
    pub uuid: Uuid,
    /// The pod's reified manifest.
    pub manifest: Vec<u8>,
    /// The pod's annotations, as JSON.
    pub annotations: Vec<u8>,
    /// Its apps.
    pub apps: Vec<AppMetadata>,
    /// The key that signatures are made with.
    pub key: [u8; KEY],
}

/// What the service knows of an app.
pub struct AppMetadata {
    /// Its name in the pod.
    pub name: String,
    /// The annotations of image and pod, as JSON.
    pub annotations: Vec<u8>,
    /// The manifest of its image, byte for byte.
    pub image_manifest: Vec<u8>,
    /// The ID of its image.
    pub image_id: String,
}

/// The parts of a request that matter.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method, such as `GET`.
    pub method: &'a str,
    /// The path, starting with the slash.
    pub path: &'a str,
    /// The body.
    pub body: &'a [u8],
}

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status code.
    pub status: u16,
    /// Its media type.
    pub media: &'static str,
    /// Its body.
    pub body: Vec<u8>,
}

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=us-ascii";

impl Response {
    /// Makes an error response.
    pub fn refusal(status: u16, why: &str) -> Self {
        Self {
            status,
            media: TEXT,
            body: format!("{why}\n").into_bytes(),
        }
    }

    fn json(body: &[u8]) -> Self {
        Self {
            status: 200,
            media: JSON,
            body: body.to_vec(),
        }
    }

    fn text(body: impl Into<String>) -> Self {
        Self {
            status: 200,
            media: TEXT,
            body: body.into().into_bytes(),
        }
    }
}

impl Metadata {
    /// Answers a request.
    pub fn answer(&self, request: Request<'_>) -> Response {
        let path = request.path.split('?').next().unwrap_or_default();
        let mut parts = path.strip_prefix('/').unwrap_or(path).splitn(2, '/');
        let token = parts.next().unwrap_or_default();
        if !same(token.as_bytes(), self.token.as_bytes()) {
            return Response::refusal(401, "the token is not valid for this pod");
        }
        let rest = parts.next().unwrap_or_default();
        let Some(rest) = rest.strip_prefix("acMetadata/v1/") else {
            return Response::refusal(404, "not found");
        };
        let words: Vec<&str> = rest.split('/').collect();
        match (request.method, words.as_slice()) {
            ("GET" | "HEAD", ["pod", "annotations"]) => Response::json(&self.annotations),
            ("GET" | "HEAD", ["pod", "manifest"]) => Response::json(&self.manifest),
            ("GET" | "HEAD", ["pod", "uuid"]) => Response::text(self.uuid.to_string()),
            ("GET" | "HEAD", ["apps", name, what @ ..]) => self.app(name, what),
            ("POST", ["pod", "hmac", "sign"]) => self.sign(request.body),
            ("POST", ["pod", "hmac", "verify"]) => self.verify(request.body),
            (
                _,
                ["pod", "annotations" | "manifest" | "uuid"] | ["pod", "hmac", "sign" | "verify"],
            ) => Response::refusal(405, "this method is not supported here"),
            _ => Response::refusal(404, "not found"),
        }
    }

    fn app(&self, name: &str, what: &[&str]) -> Response {
        let Some(app) = self.apps.iter().find(|app| app.name == name) else {
            return Response::refusal(404, "app not found");
        };
        match what {
            ["annotations"] => Response::json(&app.annotations),
            ["image", "manifest"] => Response::json(&app.image_manifest),
            ["image", "id"] => Response::text(app.image_id.as_str()),
            _ => Response::refusal(404, "not found"),
        }
    }

    fn sign(&self, body: &[u8]) -> Response {
        match field(body, "content") {
            Some(content) if !content.is_empty() => {
                let code = self.code(self.uuid, &content).finish();
                Response::text(BASE64.encode(code))
            }
            _ => Response::refusal(400, "`content` is missing"),
        }
    }

    fn verify(&self, body: &[u8]) -> Response {
        let content = field(body, "content").filter(|content| !content.is_empty());
        let uuid = field(body, "uuid").and_then(|uuid| String::from_utf8(uuid).ok());
        let uuid = uuid.and_then(|uuid| Uuid::parse(&uuid).ok());
        let signature = field(body, "signature").and_then(|text| BASE64.decode(text).ok());
        let Some(content) = content else {
            return Response::refusal(400, "`content` is missing");
        };
        let Some(uuid) = uuid else {
            return Response::refusal(400, "`uuid` is missing or malformed");
        };
        let Some(signature) = signature else {
            return Response::refusal(400, "`signature` is missing or malformed");
        };
        match self.code(uuid, &content).is(&signature) {
            true => Response::text(""),
            false => Response::refusal(403, "the pod did not sign this"),
        }
    }

    fn code(&self, uuid: Uuid, content: &[u8]) -> Code {
        let mut code = Code::new(&self.key);
        code.update(uuid.to_string().as_bytes());
        code.update(content);
        code
    }
}

/// Compares in constant time.
fn same(one: &[u8], other: &[u8]) -> bool {
    let mut difference = u8::from(one.len() != other.len());
    for (one, other) in one.iter().zip(other) {
        difference |= one ^ other;
    }
    difference == 0
}

/// Extracts a field of a form, `application/x-www-form-urlencoded`.
fn field(form: &[u8], name: &str) -> Option<Vec<u8>> {
    form.split(|&byte| byte == b'&').find_map(|pair| {
        let at = pair.iter().position(|&byte| byte == b'=')?;
        (decoded(&pair[..at])? == name.as_bytes()).then(|| decoded(&pair[at + 1..]))?
    })
}

/// Decodes the percent-encoding of a form; `None` if it is malformed.
fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest = &rest[2..];
            }
            byte => bytes.push(byte),
        }
    }
    Some(bytes)
}

#[cfg(test)]
#[path = "metadata_tests.rs"]
mod tests;
