//! Manifests of App Container images and pods.

use appc::manifest::{ImageManifest, PodManifest};

/// Reads a manifest of an image, and one of a pod.
///
/// # Panics
///
/// A manifest that was read and written is another one when it is read again.
pub fn manifest(bytes: &[u8]) {
    // Both kinds, and what the `validate` command does.
    let checked = appc::manifest::check(bytes).is_ok();
    let mut read = false;
    if let Ok(manifest) = ImageManifest::parse(bytes) {
        read = true;
        let written = manifest.value.to_json().to_string();
        let again = ImageManifest::parse(written.as_bytes());
        let again = again.map(|again| again.value.to_json().to_string());
        assert_eq!(again.ok().as_ref(), Some(&written));
    }
    if let Ok(manifest) = PodManifest::parse(bytes) {
        read = true;
        let written = manifest.value.to_json().to_string();
        let again = PodManifest::parse(written.as_bytes());
        let again = again.map(|again| again.value.to_json().to_string());
        assert_eq!(again.ok().as_ref(), Some(&written));
    }
    assert_eq!(read, checked, "what is valid depends on who asks");
}
