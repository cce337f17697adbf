//! Downloads whose progress is shown.

use std::io::Read;

use sys::progress::ProgressBar;

/// An archive whose download is shown.
pub(crate) struct Shown {
    pub(crate) input: Box<dyn Read + Send>,
    pub(crate) progress: Option<ProgressBar>,
}

impl Read for Shown {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.input.read(buffer)?;
        match (&mut self.progress, count) {
            (progress, 0) => progress.take().map_or((), ProgressBar::finish),
            (Some(progress), count) => progress.advance(count as u64),
            (None, _) => {}
        }
        Ok(count)
    }
}
