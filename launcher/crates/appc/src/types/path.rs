//! Paths inside an image, as manifests write them. This is text only: paths are
//! opened below a root that they cannot leave.

use error::quote::quoted;
use error::{Error, Result};

/// Parses an absolute path.
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

/// Normalises a path for comparison: relative to the root (`etc/passwd`),
/// without empty components and `.`, and with `..` resolved lexically. The root
/// is the empty string.
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
