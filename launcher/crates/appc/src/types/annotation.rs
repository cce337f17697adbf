//! Annotations: what an image or a pod says about itself.

use crate::types::{AcIdentifier, date, url};
use error::{Context, Error, Result};

/// One thing said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// What about.
    pub name: AcIdentifier,
    /// What.
    pub value: String,
}

/// Annotations in their order, no name twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotations(Vec<Annotation>);

impl Annotations {
    /// Takes a list whose names are unique and whose well-known values have
    /// the form that the specification gives them.
    pub fn new(list: Vec<Annotation>) -> Result<Self> {
        for (index, annotation) in list.iter().enumerate() {
            let name = &annotation.name;
            if list[..index].iter().any(|earlier| earlier.name == *name) {
                return Err(Error::invalid(format!("annotation `{name}` stands twice")));
            }
            check(annotation).context(|| format!("annotation `{name}`"))?;
        }
        Ok(Self(list))
    }

    /// Sets a value: in its place if there is the name already, else at the end.
    pub fn set(&mut self, annotation: Annotation) {
        match self.0.iter_mut().find(|one| one.name == annotation.name) {
            Some(one) => one.value = annotation.value,
            None => self.0.push(annotation),
        }
    }

    /// Returns these with the others set over them, as the annotations of an
    /// app in a pod are set over those of its image.
    #[must_use]
    pub fn overridden_by(&self, others: &Self) -> Self {
        let mut all = self.clone();
        for other in others.iter() {
            all.set(other.clone());
        }
        all
    }

    /// Returns them one after another.
    pub fn iter(&self) -> impl Iterator<Item = &Annotation> {
        self.0.iter()
    }
}

/// The values that programs read have a form.
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
