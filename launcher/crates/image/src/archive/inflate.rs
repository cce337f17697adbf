//! Inflates (RFC 1951): zlib-rs, or, in builds without the feature `zlib-rs`,
//! miniz_oxide, which is slower, smaller, and has no unsafe code in it.

/// What one step did.
pub(crate) struct Step {
    /// Bytes of the input that are done with.
    pub(crate) consumed: usize,
    /// Bytes that were put into the output.
    pub(crate) written: usize,
    /// The stream is over.
    pub(crate) end: bool,
}

/// The data is no deflate stream.
pub(crate) struct Corrupt;

#[cfg(feature = "zlib-rs")]
mod backend {
    use zlib_rs::{Inflate, InflateFlush, Status};

    use crate::archive::inflate::{Corrupt, Step};

    /// A stream that is being inflated.
    pub(crate) struct Inflater(Inflate);

    impl Inflater {
        /// Starts a stream.
        pub(crate) fn new() -> Self {
            Self(Inflate::new(false, WINDOW))
        }

        /// Starts another one.
        pub(crate) fn reset(&mut self) {
            self.0.reset(false);
        }

        /// Inflates as much as there is input and room for.
        pub(crate) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Corrupt> {
            let before = (self.0.total_in(), self.0.total_out());
            let status = self.0.decompress(input, output, InflateFlush::NoFlush);
            let count = |from: u64, to: u64| usize::try_from(to - from).map_err(|_| Corrupt);
            Ok(Step {
                end: matches!(status.map_err(|_| Corrupt)?, Status::StreamEnd),
                consumed: count(before.0, self.0.total_in())?,
                written: count(before.1, self.0.total_out())?,
            })
        }
    }

    /// Bits of the largest window that a stream can have.
    const WINDOW: u8 = 15;
}

#[cfg(not(feature = "zlib-rs"))]
mod backend {
    use miniz_oxide::inflate::stream::{InflateState, inflate};
    use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};

    use crate::archive::inflate::{Corrupt, Step};

    /// A stream that is being inflated.
    pub(crate) struct Inflater(Box<InflateState>);

    impl Inflater {
        /// Starts a stream.
        pub(crate) fn new() -> Self {
            Self(InflateState::new_boxed(DataFormat::Raw))
        }

        /// Starts another one.
        pub(crate) fn reset(&mut self) {
            self.0.reset(DataFormat::Raw);
        }

        /// Inflates as much as there is input and room for.
        pub(crate) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Corrupt> {
            let result = inflate(&mut self.0, input, output, MZFlush::None);
            match result.status {
                Ok(_) | Err(MZError::Buf) => Ok(Step {
                    consumed: result.bytes_consumed,
                    written: result.bytes_written,
                    end: matches!(result.status, Ok(MZStatus::StreamEnd)),
                }),
                Err(_) => Err(Corrupt),
            }
        }
    }
}

pub(crate) use crate::archive::inflate::backend::Inflater;
