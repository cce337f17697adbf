//! Paths inside an image, as manifests write them. Text only: whoever opens
//! one does so below a root that it cannot lead out of.

use error::quote::quoted;
use error::{Error, Result};

/// Takes a path that starts at the root.
pub fn absolute(text: &str) -> Result<String> {
    if text.starts_with('/') {
        return Ok(text.to_owned());
    }
    let error = Error::invalid(format!("{} is not an absolute path", quoted(text)));
    Err(match text {
        "" => error,
        _ => error.hint("paths in manifests start with `/`, the root of the image"),
    })
}

/// Brings a path into the form in which paths are compared: from the root,
/// without it (`etc/passwd`), no empty component, no `.`, and `..` applied
/// without asking what the component before it is. The root is the empty text.
pub fn clean(path: &str) -> String {
    let mut components: Vec<&str> = Vec::new();
    for component in path.split('/') {
        match component {
            "" | "." => {}
            ".." => {
                components.pop();
            }
            name => components.push(name),
        }
    }
    components.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_start_at_the_root_is_not_absolute() {
        for text in ["", "stuff", "../home/fred", "./a", "~", " /a"] {
            assert!(absolute(text).is_err(), "{text}");
        }
        assert!(absolute("/").is_ok());
    }

    #[test]
    fn one_place_has_one_clean_path() {
        for (path, expected) in [
            ("/", ""),
            ("", ""),
            ("/etc/passwd", "etc/passwd"),
            ("etc/passwd", "etc/passwd"),
            ("/a//b/./c/", "a/b/c"),
            ("/q/../z", "z"),
            ("/../../x", "x"),
            ("/..", ""),
        ] {
            assert_eq!(clean(path), expected, "{path}");
        }
    }
}
