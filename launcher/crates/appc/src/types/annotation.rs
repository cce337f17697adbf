//! Annotations: metadata of images and pods.

use crate::types::{AcIdentifier, date, url};
use error::{Error, Result};

/// The annotation of an app that reports its start as systemd's services do
/// (sd_notify(3)), if its value is `true`.
pub const NOTIFY: &str = "appc.io/executor/supports-systemd-notify";

/// One annotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// Its name.
    pub name: AcIdentifier,
    /// Its value.
    pub value: String,
}

/// Annotations in order. No name occurs twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotations(Vec<Annotation>);

impl Annotations {
    /// Checks that names are unique and that well-known values have the
    /// form that the specification requires.
    pub fn new(list: Vec<Annotation>) -> Result<Self> {
        for (index, annotation) in list.iter().enumerate() {
            let name = &annotation.name;
            if list[..index].iter().any(|earlier| earlier.name == *name) {
                return Err(Error::invalid(format!(
                    "annotation `{name}` is given twice"
                )));
            }
            check(annotation).map_err(|error| error.at(format!("annotation `{name}`")))?;
        }
        Ok(Self(list))
    }

    /// Sets a value: replaces an annotation of this name, or appends it.
    pub fn set(&mut self, annotation: Annotation) {
        match self.0.iter_mut().find(|one| one.name == annotation.name) {
            Some(one) => one.value = annotation.value,
            None => self.0.push(annotation),
        }
    }

    /// Returns these annotations, overridden by the others, as those of an
    /// image are by those of its app in a pod.
    #[must_use]
    pub fn overridden_by(&self, others: &Self) -> Self {
        let mut all = self.clone();
        for other in others.iter() {
            all.set(other.clone());
        }
        all
    }

    /// Iterates over the annotations.
    pub fn iter(&self) -> impl Iterator<Item = &Annotation> {
        self.0.iter()
    }
}

/// Checks the values that programs read.
fn check(annotation: &Annotation) -> Result<()> {
    match annotation.name.as_str() {
        "created" => date::check(&annotation.value),
        "homepage" | "documentation" => url::check(&annotation.value),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn annotations(list: &[(&str, &str)]) -> Result<Annotations> {
        let one = |&(name, value): &(&str, &str)| Annotation {
            name: AcIdentifier::parse(name).unwrap(),
            value: value.to_owned(),
        };
        Annotations::new(list.iter().map(one).collect())
    }

    #[test]
    fn repeated_names_and_malformed_values_are_refused() {
        for list in [
            &[("foo", "a"), ("foo", "b")][..],
            &[("foo", "a"), ("bar", "b"), ("foo", "a")],
            &[("created", "garbage")],
            &[("created", "")],
            &[("homepage", "not-A$@#URL")],
            &[("documentation", "ftp://example.com")],
        ] {
            assert!(annotations(list).is_err(), "{list:?}");
        }
    }

    #[test]
    fn anything_else_can_be_said() {
        for list in [
            &[][..],
            &[
                ("created", "2004-05-14T23:11:14+00:00"),
                ("documentation", "http://example.com/docs"),
            ],
            &[("foo", ""), ("homepage", "https://example.com")],
            &[("appc.io/executor/supports-systemd-notify", "true")],
        ] {
            assert!(annotations(list).is_ok(), "{list:?}");
        }
    }

    #[test]
    fn overriding_keeps_places_and_appends_what_is_new() {
        let image = annotations(&[("a", "1"), ("b", "2"), ("c", "3")]).unwrap();
        let pod = annotations(&[("d", "5"), ("b", "4")]).unwrap();
        let expected = annotations(&[("a", "1"), ("b", "4"), ("c", "3"), ("d", "5")]).unwrap();
        assert_eq!(image.overridden_by(&pod), expected);
    }
}
