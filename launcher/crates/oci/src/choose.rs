//! Chooses the image for a platform (image-spec, image-index.md: of those that
//! fit, the first).

use std::collections::BTreeSet;

use error::{Error, Kind as ErrorKind, Result};

use crate::digest::Digest;
use crate::list::list;
use crate::manifest::{Descriptor, Index};
use crate::media_type::Kind;
use crate::platform::Platform;

/// Most indexes that lead to an image, one in the other.
const DEPTH: usize = 4;

/// The key under which builders say that an entry is about another, not an image
/// (buildkit, docs/attestations/attestation-storage.md).
const ATTESTATION: &str = "vnd.docker.reference.type";

/// Chooses the entry of an index for a platform. It may be an index itself.
///
/// Of several variants that run on it, the newest is chosen. An entry that does
/// not say its platform is only chosen if there is no other; its configuration
/// may say it.
///
/// # Errors
///
/// None fits; the error lists the platforms that there are.
pub fn choose<'a>(index: &'a Index, platform: &Platform) -> Result<&'a Descriptor> {
    let images: Vec<&Descriptor> = index.manifests.iter().filter(|one| is_image(one)).collect();
    if let [image] = *images
        && image.platform.is_none()
    {
        return Ok(image);
    }
    let distance = |image: &Descriptor| platform.distance(image.platform.as_ref()?);
    let fitting = images
        .iter()
        .filter_map(|image| Some((distance(image)?, *image)));
    // The first of the nearest.
    match fitting.min_by_key(|(distance, _)| *distance) {
        Some((_, image)) => Ok(image),
        None => Err(none(&images, platform)),
    }
}

/// Tells whether an entry is an image or a list of images.
pub(crate) fn is_image(entry: &Descriptor) -> bool {
    let is_unknown = entry
        .platform
        .as_ref()
        .is_some_and(|platform| platform.os == "unknown" || platform.architecture == "unknown");
    matches!(entry.kind(), Kind::Index | Kind::Manifest)
        && !is_unknown
        && entry.artifact_type.as_ref().is_none_or(String::is_empty)
        && !entry.annotations.contains_key(ATTESTATION)
}

fn none(images: &[&Descriptor], platform: &Platform) -> Error {
    if images.is_empty() {
        return Error::invalid("the index has no image");
    }
    let there: BTreeSet<String> = images
        .iter()
        .map(|image| match &image.platform {
            Some(platform) => platform.to_string(),
            None => "unknown".to_owned(),
        })
        .collect();
    let what = format!(
        "there is no image for `{platform}`, only for {}",
        list(there)
    );
    Error::new(ErrorKind::NotFound, what)
        .hint("`--platform` chooses another, which this host may not be able to run")
}

/// The indexes on the way to an image.
#[derive(Debug, Default)]
pub struct Descent(Vec<Digest>);

impl Descent {
    /// Notes that an index is entered.
    ///
    /// # Errors
    ///
    /// It was entered before, or there were too many.
    pub fn enter(&mut self, index: &Digest) -> Result<()> {
        if self.0.contains(index) {
            return Err(Error::invalid("the index leads to itself"));
        }
        if self.0.len() == DEPTH {
            let what = format!("more than {DEPTH} indexes lead to the image");
            return Err(Error::invalid(what));
        }
        self.0.push(index.clone());
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

    /// An image for a platform; of none if it is empty.
    fn entry(platform: &str, number: u8) -> Descriptor {
        Descriptor {
            media_type: MANIFEST.to_owned(),
            digest: Digest::sha256(&[number; 32]),
            size: 1,
            urls: Vec::new(),
            annotations: Default::default(),
            platform: (!platform.is_empty()).then(|| Platform::parse(platform).unwrap()),
            data: None,
            artifact_type: None,
        }
    }

    fn index(manifests: Vec<Descriptor>) -> Index {
        Index {
            manifests,
            ..Index::default()
        }
    }

    fn entries(platforms: &[&str]) -> Index {
        let entries = (0..)
            .zip(platforms)
            .map(|(number, platform)| entry(platform, number));
        index(entries.collect())
    }

    fn position(index: &Index, platform: &str) -> Option<usize> {
        let chosen = choose(index, &Platform::parse(platform).unwrap()).ok()?;
        index.manifests.iter().position(|entry| entry == chosen)
    }

    #[test]
    fn what_does_not_fit_is_refused_with_what_there_is() {
        let there = entries(&["arm64", "windows/amd64", "arm/v7", "arm/v7", ""]);
        let error = choose(&there, &Platform::parse("amd64").unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(
            error.to_string(),
            "there is no image for `linux/amd64`, only for `linux/arm/v7`, `linux/arm64`, \
             `unknown`, `windows/amd64`\n\
             hint: `--platform` chooses another, which this host may not be able to run"
        );
        let error = choose(&index(Vec::new()), &Platform::default()).unwrap_err();
        assert_eq!(error.to_string(), "the index has no image");
        assert_eq!(position(&entries(&["arm64"]), "amd64"), None);
        assert_eq!(position(&entries(&["", ""]), "amd64"), None);
    }

    #[test]
    fn what_is_not_an_image_is_never_chosen() {
        let unknown = Platform {
            os: "unknown".into(),
            architecture: "unknown".into(),
            variant: None,
        };
        let mut manifests = vec![entry("amd64", 0); 4];
        manifests[0].platform = Some(unknown);
        let attests = (ATTESTATION.to_owned(), "attestation-manifest".to_owned());
        manifests[1].annotations.extend([attests]);
        manifests[2].artifact_type = Some("application/vnd.in-toto+json".into());
        manifests[3].media_type = "application/vnd.docker.distribution.manifest.v1+json".into();
        let others = index(manifests.clone());
        assert_eq!(position(&others, "amd64"), None);
        // An image beside them counts as alone.
        manifests.push(entry("", 1));
        assert_eq!(position(&index(manifests), "amd64"), Some(4));
    }

    #[test]
    fn the_first_of_the_nearest_is_chosen() {
        for (there, platform, expected) in [
            (&["arm64", "amd64", "amd64"][..], "amd64", 1),
            (&["arm/v5", "arm/v6", "arm/v7", "arm/v8"], "arm/v7", 2),
            (&["arm/v5", "arm/v6", "arm/v8"], "arm/v7", 1),
            (&["arm", "arm/v5"], "arm/v6", 1),
            (&["arm", "arm/v7"], "arm/v6", 0),
            (&["arm/v7", "arm64/v8"], "arm64", 1),
            (&["amd64", "amd64/v4", "amd64/v2"], "amd64/v3", 2),
            (&["", "amd64"], "amd64", 1),
            (&[""], "amd64", 0),
        ] {
            assert_eq!(
                position(&entries(there), platform),
                Some(expected),
                "{there:?}"
            );
        }
    }

    #[test]
    fn a_list_in_a_list_can_be_chosen() {
        let mut nested = entries(&["arm64", "amd64"]);
        nested.manifests[1].media_type = "application/vnd.oci.image.index.v1+json".into();
        assert_eq!(position(&nested, "amd64"), Some(1));
    }

    #[test]
    fn no_way_through_indexes_is_long_or_a_circle() {
        let mut descent = Descent::default();
        let digest = |number| Digest::sha256(&[number; 32]);
        descent.enter(&digest(0)).unwrap();
        let error = descent.enter(&digest(0)).unwrap_err().to_string();
        assert_eq!(error, "the index leads to itself");
        for number in 1..4 {
            descent.enter(&digest(number)).unwrap();
        }
        let error = descent.enter(&digest(4)).unwrap_err().to_string();
        assert_eq!(error, "more than 4 indexes lead to the image");
    }
}
