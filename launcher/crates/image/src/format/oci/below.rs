//! The layers below one that is being unpacked. They may be unpacked at the same
//! time, so whoever looks at them waits until they are there.

use std::cell::OnceCell;

use crate::store::rootfs_view::Stack;
use error::Result;

/// The layers below one, which are opened when they are looked at for the first time.
pub(crate) struct Below<'a> {
    open: Box<dyn Fn() -> Result<Stack> + 'a>,
    stack: OnceCell<Stack>,
}

impl<'a> Below<'a> {
    /// Takes what opens them, when they are there.
    pub(crate) fn new(open: impl Fn() -> Result<Stack> + 'a) -> Self {
        Self {
            open: Box::new(open),
            stack: OnceCell::new(),
        }
    }

    /// Returns them.
    ///
    /// # Errors
    ///
    /// One of them will never be there, or cannot be opened.
    pub(crate) fn stack(&self) -> Result<&Stack> {
        if let Some(stack) = self.stack.get() {
            return Ok(stack);
        }
        let stack = (self.open)()?;
        Ok(self.stack.get_or_init(|| stack))
    }
}
