//! Objects of which every field must be known, spelled exactly and there once: what
//! somebody wrote for safety, and where a slip must not go unnoticed.

use appc::json::Node;
use error::quote::quoted;
use error::{Error, Result};

/// The fields of an object, of which each is taken once.
pub(crate) struct Exact<'n, 'a> {
    node: &'n Node<'a>,
    left: Vec<(&'a str, Node<'a>)>,
}

impl<'n, 'a> Exact<'n, 'a> {
    /// Starts with all fields.
    ///
    /// # Errors
    ///
    /// It is not an object; a field is there twice.
    pub(crate) fn new(node: &'n Node<'a>) -> Result<Self> {
        let left = node.entries()?;
        for (at, (name, node)) in left.iter().enumerate() {
            if left[..at].iter().any(|(before, _)| before == name) {
                return Err(node.fault("it is there twice"));
            }
        }
        Ok(Self { node, left })
    }

    /// Takes a field that may be missing.
    pub(crate) fn take(&mut self, name: &str) -> Option<Node<'a>> {
        let at = self.left.iter().position(|(known, _)| *known == name)?;
        Some(self.left.swap_remove(at).1)
    }

    /// Reads a field that may be missing.
    ///
    /// # Errors
    ///
    /// Those of `read`.
    pub(crate) fn optional<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&Node<'a>) -> Result<T>,
    ) -> Result<Option<T>> {
        self.take(name).map(|node| read(&node)).transpose()
    }

    /// Reads a field that must be there.
    ///
    /// # Errors
    ///
    /// It is missing; those of `read`.
    pub(crate) fn required<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&Node<'a>) -> Result<T>,
    ) -> Result<T> {
        let missing = || self.node.fault(format!("`{name}` is missing"));
        let node = self.left.iter().position(|(known, _)| *known == name);
        let node = node.ok_or_else(missing)?;
        read(&self.left.swap_remove(node).1)
    }

    /// Ends with no field left.
    ///
    /// # Errors
    ///
    /// A field is not known.
    pub(crate) fn end(self) -> Result<()> {
        match self.left.first() {
            None => Ok(()),
            Some((name, _)) => {
                let why = format!("there is no field {} here", quoted(name));
                Err(self.node.fault(why))
            }
        }
    }
}

/// Reads an object without fields beside those that `read` takes.
///
/// # Errors
///
/// Those of [`Exact`] and of `read`.
pub(crate) fn exact<'a, T>(
    node: &Node<'a>,
    read: impl FnOnce(&mut Exact<'_, 'a>) -> Result<T>,
) -> Result<T> {
    let mut fields = Exact::new(node)?;
    let value = read(&mut fields)?;
    fields.end()?;
    Ok::<T, Error>(value)
}
