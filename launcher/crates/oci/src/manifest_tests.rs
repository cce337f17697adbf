//! Documents that are refused, and what is read of the others.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use crate::media_type::{Compression, Layer};

const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

fn descriptor(media_type: &str, more: &str) -> String {
    let hex = "0c".repeat(32);
    format!(r#"{{"mediaType":"{media_type}","digest":"sha256:{hex}","size":3{more}}}"#)
}

fn manifest(more: &str) -> String {
    let (config, layer) = (descriptor(CONFIG, ""), descriptor(LAYER, ""));
    format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{layer}]{more}}}"#)
}

fn index(more: &str) -> String {
    let entry = descriptor(OCI_MANIFEST, "");
    format!(r#"{{"schemaVersion":2,"manifests":[{entry}]{more}}}"#)
}

fn media_type(name: &str) -> String {
    format!(r#","mediaType":"{name}""#)
}

fn fault(text: &str, claimed: Option<&str>) -> String {
    let error = Document::read(text.as_bytes(), claimed).unwrap_err();
    error.to_string()
}

#[test]
fn what_is_an_index_for_some_and_a_manifest_for_others_is_refused() {
    let both = manifest(r#","manifests":[]"#);
    assert!(fault(&both, None).starts_with("it has both `manifests` and `layers`"));
    let both = index(r#","config":{}"#);
    assert!(fault(&both, None).starts_with("it has both `manifests` and `config`"));
    // A reader that ignores case sees them, too.
    let both = manifest(r#","Manifests":[]"#);
    assert!(fault(&both, None).starts_with("it has both"));
    let claims = [
        (manifest(&media_type(OCI_INDEX)), None),
        (manifest(""), Some(OCI_INDEX)),
        (index(&media_type(OCI_MANIFEST)), None),
        (index(""), Some(OCI_MANIFEST)),
    ];
    for (text, claimed) in claims {
        assert!(
            fault(&text, claimed).starts_with("it is of the type of"),
            "{text}"
        );
    }
}

#[test]
fn a_document_of_another_type_than_it_is_offered_as_is_refused() {
    let text = manifest(&media_type(OCI_MANIFEST));
    assert_eq!(
        fault(&text, Some(DOCKER_MANIFEST)),
        format!(
            "it says that it is of type `{OCI_MANIFEST}`, but is offered as `{DOCKER_MANIFEST}`"
        )
    );
    // A server may not know, and may add parameters.
    for claimed in [
        "application/json",
        "text/plain; charset=utf-8",
        &format!("{OCI_MANIFEST}; charset=utf-8"),
    ] {
        Document::read(text.as_bytes(), Some(claimed)).unwrap();
    }
}

#[test]
fn schema_1_is_refused_in_a_sentence() {
    let said = "it is a manifest of docker's schema 1, which is not supported\n\
                hint: push the image again with a current tool";
    let signed = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    assert_eq!(fault(r#"{"schemaVersion":1,"fsLayers":[]}"#, None), said);
    assert_eq!(fault(r#"{"fsLayers":[{"blobSum":"x"}]}"#, None), said);
    assert_eq!(fault("{}", Some(signed)), said);
    let third = fault(r#"{"schemaVersion":3,"layers":[]}"#, None);
    assert_eq!(third, "it has schema version 3; supported is 2");
}

#[test]
fn what_is_not_an_image_is_named() {
    let helm = "application/vnd.cncf.helm.config.v1+json";
    let text = manifest(&format!(r#","artifactType":"{helm}""#));
    assert_eq!(fault(&text, None), format!("not an image: `{helm}`"));
    for (kind, text) in [
        (helm, manifest("").replace(CONFIG, helm)),
        (
            "application/vnd.oci.empty.v1+json",
            manifest("").replace(CONFIG, "application/vnd.oci.empty.v1+json"),
        ),
        (
            "application/vnd.in-toto+json",
            manifest("").replace(LAYER, "application/vnd.in-toto+json"),
        ),
        (
            "application/vnd.oci.artifact.manifest.v1+json",
            format!(
                r#"{{"blobs":[]{}}}"#,
                media_type("application/vnd.oci.artifact.manifest.v1+json")
            ),
        ),
    ] {
        let said = fault(&text, None);
        assert!(said.ends_with(&format!("not an image: `{kind}`")), "{said}");
    }
    let said = fault(r#"{"errors":[]}"#, None);
    assert_eq!(said, "it is neither an index nor the manifest of an image");
}

#[test]
fn a_blob_of_a_type_that_contradicts_its_place_is_refused() {
    for (text, field) in [
        (manifest("").replace(CONFIG, LAYER), "config"),
        (manifest("").replace(LAYER, CONFIG), "layers[0]"),
        (manifest("").replace(LAYER, OCI_MANIFEST), "layers[0]"),
        (index("").replace(OCI_MANIFEST, LAYER), "manifests[0]"),
        (index("").replace(OCI_MANIFEST, CONFIG), "manifests[0]"),
    ] {
        let said = fault(&text, None);
        assert!(
            said.starts_with(&format!("field `{field}`: a blob of type")),
            "{said}"
        );
        assert!(said.ends_with("does not belong here"), "{said}");
    }
}

#[test]
fn a_descriptor_that_is_not_valid_is_named_by_its_field() {
    for (wrong, said) in [
        (
            manifest("").replace(r#""size":3"#, r#""size":-1"#),
            "field `config.size`: expected a whole number from 0 to",
        ),
        (
            manifest("").replace("sha256:", "md5:"),
            "field `config.digest`: digest `md5:",
        ),
        (
            manifest("").replace(r#","size":3"#, ""),
            "field `config.size` is missing",
        ),
        (
            manifest("").replace(r#""size":3"#, r#""size":3,"data":"%""#),
            "field `config.data`: is not Base64",
        ),
        (
            manifest("").replace(r#""size":3"#, r#""size":3,"data":"YQ==""#),
            "field `config`: `data` does not have as many bytes",
        ),
        (
            manifest("").replace(r#""size":3"#, r#""size":3,"urls":"x""#),
            "field `config.urls`: expected a list",
        ),
        (r#"{"layers":[]}"#.to_owned(), "field `config` is missing"),
        ("[]".to_owned(), "expected an object"),
    ] {
        let found = fault(&wrong, None);
        assert!(found.starts_with(said), "{found}");
    }
}

#[test]
fn a_document_out_of_bounds_is_refused() {
    let many = |count| {
        let layers = vec![descriptor(LAYER, ""); count].join(",");
        let config = descriptor(CONFIG, "");
        format!(r#"{{"config":{config},"layers":[{layers}]}}"#)
    };
    Document::read(many(1000).as_bytes(), None).unwrap();
    assert_eq!(
        fault(&many(1001), None),
        "field `layers`: has 1001 descriptors; at most 1000 are read"
    );
    let large = " ".repeat(LIMIT + 1);
    assert_eq!(fault(&large, None), "it is larger than 4194304 bytes");
}

#[test]
fn a_manifest_is_read_with_all_that_its_blobs_say() {
    let more = r#","urls":["https://x/y"],"annotations":{"a":"b"},"data":"YWJj","new":[1],
                  "platform":null,"artifactType":null"#;
    let foreign = "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd";
    let (config, layer) = (descriptor(CONFIG, ""), descriptor(foreign, more));
    let text = format!(
        r#"{{"config":{config},"layers":[{layer}],"manifests":null,"subject":{{}},
            "mediaType":"{OCI_MANIFEST}","annotations":{{"c":"d","e":null}}}}"#
    );
    let read = Document::read(text.as_bytes(), None).unwrap();
    let Document::Manifest(manifest) = read else {
        unreachable!("it is a manifest");
    };
    assert_eq!(manifest.config.kind(), Kind::Config);
    assert_eq!(
        manifest.annotations,
        BTreeMap::from([("c".into(), "d".into())])
    );
    let layer = &manifest.layers[0];
    let kind = Kind::Layer(Layer {
        compression: Compression::Zstd,
        foreign: true,
    });
    assert_eq!(layer.kind(), kind);
    assert_eq!(layer.size, 3);
    assert_eq!(layer.digest.hex(), "0c".repeat(32));
    assert_eq!(layer.urls, ["https://x/y"]);
    assert_eq!(
        layer.annotations,
        BTreeMap::from([("a".into(), "b".into())])
    );
    assert_eq!(layer.data.as_deref(), Some(&b"abc"[..]));
    assert_eq!((&layer.platform, &layer.artifact_type), (&None, &None));
}

#[test]
fn an_index_is_read_with_its_platforms() {
    let entry = |platform: &str| descriptor(OCI_MANIFEST, &format!(r#","platform":{platform}"#));
    let entries = [
        r#"{"os":"linux","architecture":"arm64","variant":"v8","os.features":["x"]}"#,
        r#"{"os":"linux","architecture":"arm","variant":"7"}"#,
        r#"{"os":"linux","architecture":"amd64","variant":""}"#,
        r#"{"os":null,"architecture":null}"#,
    ]
    .map(entry)
    .join(",");
    let text = format!(r#"{{"manifests":[{entries}]}}"#);
    let Document::Index(index) = Document::read(text.as_bytes(), Some(OCI_INDEX)).unwrap() else {
        unreachable!("it is an index");
    };
    let platforms = index.manifests.iter();
    let platforms = platforms.map(|entry| entry.platform.as_ref().map(Platform::to_string));
    let expected = [
        Some("linux/arm64"),
        Some("linux/arm/v7"),
        Some("linux/amd64"),
        None,
    ];
    assert!(platforms.eq(expected.map(|platform| platform.map(str::to_owned))));
}

#[test]
fn an_image_without_layers_is_one() {
    let config = descriptor(CONFIG, "");
    for text in [
        format!(r#"{{"config":{config},"layers":[]}}"#),
        format!(r#"{{"config":{config},"layers":null}}"#),
    ] {
        let read = Document::read(text.as_bytes(), None).unwrap();
        assert!(matches!(read, Document::Manifest(image) if image.layers.is_empty()));
    }
}
