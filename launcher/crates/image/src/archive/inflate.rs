//! Inflates (RFC 1951) with zlib-rs or, without the feature `zlib-rs`, with
//! miniz_oxide, which is slower and smaller and has no unsafe code.

/// The result of one step.
pub(crate) struct Step {
    /// Bytes of the input that were consumed.
    pub(crate) consumed: usize,
    /// Bytes of output that were written.
    pub(crate) written: usize,
    /// Whether the stream has ended.
    pub(crate) end: bool,
}

/// The data is not a deflate stream.
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

        /// Starts a new stream.
        pub(crate) fn reset(&mut self) {
            self.0.reset(false);
        }

        /// Inflates as far as input and output space allow.
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

    /// The largest window size, as a power of two.
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

        /// Starts a new stream.
        pub(crate) fn reset(&mut self) {
            self.0.reset(DataFormat::Raw);
        }

        /// Inflates as far as input and output space allow.
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
