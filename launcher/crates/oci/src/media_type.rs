//! Media types: which documents and layers there are (image-spec,
//! media-types.md; docker's "Image Manifest Version 2, Schema 2").

/// The media type of an index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// The media type of a manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// The `Accept` of a request for a manifest: everything that
/// [`Document`](crate::manifest::Document) reads. A registry that is not asked
/// for an index may answer that there is nothing.
pub const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json";

/// What a media type stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An index, which docker calls a manifest list.
    Index,
    /// The manifest of an image or of something else.
    Manifest,
    /// A manifest of docker's first schema, which has no configuration.
    Schema1,
    /// The configuration of an image.
    Config,
    /// A layer.
    Layer(Layer),
    /// Anything else.
    Other,
}

/// What the media type of a layer says. Compressions are mislabelled often
/// enough that the first bytes decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    /// How it is compressed.
    pub compression: Compression,
    /// Whether registries may not have it, so that it is fetched from the
    /// descriptor's URLs: `nondistributable` or `foreign`.
    pub foreign: bool,
}

/// How a layer is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// It is a plain tar archive.
    None,
    /// By gzip.
    Gzip,
    /// By zstd.
    Zstd,
}

impl Kind {
    /// Tells what a media type stands for. Parameters such as `; charset=utf-8`
    /// and the case do not matter (RFC 6838, section 4.2).
    pub fn of(media_type: &str) -> Self {
        let name = essence(media_type);
        match &*name {
            "application/vnd.oci.image.index.v1+json"
            | "application/vnd.docker.distribution.manifest.list.v2+json" => Self::Index,
            "application/vnd.oci.image.manifest.v1+json"
            | "application/vnd.docker.distribution.manifest.v2+json" => Self::Manifest,
            "application/vnd.docker.distribution.manifest.v1+json"
            | "application/vnd.docker.distribution.manifest.v1+prettyjws" => Self::Schema1,
            "application/vnd.oci.image.config.v1+json"
            | "application/vnd.docker.container.image.v1+json" => Self::Config,
            name => layer(name).map_or(Self::Other, Self::Layer),
        }
    }
}

/// Returns a media type without parameters, in lower case.
pub(crate) fn essence(media_type: &str) -> String {
    let name = media_type.split(';').next().unwrap_or_default();
    name.trim().to_ascii_lowercase()
}

fn layer(name: &str) -> Option<Layer> {
    // The beginning, whether it is foreign, and what stands before `gzip`.
    let families = [
        ("application/vnd.oci.image.layer.v1.tar", false, '+'),
        (
            "application/vnd.oci.image.layer.nondistributable.v1.tar",
            true,
            '+',
        ),
        ("application/vnd.docker.image.rootfs.diff.tar", false, '.'),
        (
            "application/vnd.docker.image.rootfs.foreign.diff.tar",
            true,
            '.',
        ),
    ];
    families
        .into_iter()
        .find_map(|(family, foreign, separator)| {
            let rest = name.strip_prefix(family)?;
            let compression = match rest.strip_prefix(separator) {
                Some("gzip") => Compression::Gzip,
                Some("zstd") => Compression::Zstd,
                None if rest.is_empty() => Compression::None,
                _ => return None,
            };
            Some(Layer {
                compression,
                foreign,
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_images_do_not_consist_of_is_neither_layer_nor_configuration() {
        for name in [
            "",
            "application/json",
            "application/octet-stream",
            "application/vnd.oci.empty.v1+json",
            "application/vnd.oci.artifact.manifest.v1+json",
            "application/vnd.in-toto+json",
            "application/vnd.cncf.helm.config.v1+json",
            "application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
            "application/vnd.oci.image.layer.v1.tar.gzip",
            "application/vnd.oci.image.layer.v1.target",
            "application/vnd.docker.image.rootfs.diff.tar+gzip",
            "application/vnd.docker.image.rootfs.diff",
        ] {
            assert_eq!(Kind::of(name), Kind::Other, "{name}");
        }
    }

    #[test]
    fn documents_are_told_apart() {
        for (name, kind) in [
            ("application/vnd.oci.image.index.v1+json", Kind::Index),
            (
                "application/vnd.docker.distribution.manifest.list.v2+json",
                Kind::Index,
            ),
            ("application/vnd.oci.image.manifest.v1+json", Kind::Manifest),
            (
                "application/vnd.docker.distribution.manifest.v2+json",
                Kind::Manifest,
            ),
            (
                "application/vnd.docker.distribution.manifest.v1+prettyjws",
                Kind::Schema1,
            ),
            ("application/vnd.oci.image.config.v1+json", Kind::Config),
            (
                "application/vnd.docker.container.image.v1+json",
                Kind::Config,
            ),
        ] {
            assert_eq!(Kind::of(name), kind, "{name}");
            let spelled = format!("{} ; charset=utf-8", name.to_uppercase());
            assert_eq!(Kind::of(&spelled), kind, "{spelled}");
        }
    }

    #[test]
    fn a_layer_says_how_it_is_compressed_and_whether_it_is_elsewhere() {
        for (name, compression, foreign) in [
            ("oci.image.layer.v1.tar", Compression::None, false),
            ("oci.image.layer.v1.tar+gzip", Compression::Gzip, false),
            ("oci.image.layer.v1.tar+zstd", Compression::Zstd, false),
            (
                "oci.image.layer.nondistributable.v1.tar",
                Compression::None,
                true,
            ),
            (
                "oci.image.layer.nondistributable.v1.tar+gzip",
                Compression::Gzip,
                true,
            ),
            (
                "oci.image.layer.nondistributable.v1.tar+zstd",
                Compression::Zstd,
                true,
            ),
            ("docker.image.rootfs.diff.tar", Compression::None, false),
            (
                "docker.image.rootfs.diff.tar.gzip",
                Compression::Gzip,
                false,
            ),
            (
                "docker.image.rootfs.foreign.diff.tar.gzip",
                Compression::Gzip,
                true,
            ),
        ] {
            let layer = Layer {
                compression,
                foreign,
            };
            let name = format!("application/vnd.{name}");
            assert_eq!(Kind::of(&name), Kind::Layer(layer), "{name}");
        }
    }
}
