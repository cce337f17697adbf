//! The inherited descriptors that directives name.

use crate::directive::Directive;
use crate::operand::{Operand as _, read_number};
use crate::words::Sink;

impl Directive<'_> {
    /// Returns the inherited descriptors that it names, and 0 for the rest.
    pub fn descriptors(&self) -> [u32; 3] {
        match *self {
            Self::Join { fd, .. }
            | Self::Terminal { fd }
            | Self::JoinCgroup { fd }
            | Self::Attended { fd }
            | Self::Await { fd }
            | Self::Seccomp { fd }
            | Self::Rename { fd, .. }
            | Self::Remove { fd, .. } => [fd, 0, 0],
            Self::Pass { fd, number } => [fd, number, 0],
            Self::Log { fd, directory, .. } => [fd, directory, 0],
            Self::Stdio {
                input,
                output,
                error,
            } => [input, output, error],
            Self::Bind { source, .. } => {
                let number = source.to_bytes().strip_prefix(b"fd:");
                [number.and_then(read_number).unwrap_or(0), 0, 0]
            }
            _ => [0; 3],
        }
    }

    /// Appends the words of the directive to `sink`, with each descriptor that
    /// it names replaced by what `number` returns for it.
    pub fn encode_renumbered(&self, number: &dyn Fn(u32) -> u32, sink: &mut dyn Sink) {
        let mut other = *self;
        match &mut other {
            Self::Join { fd, .. }
            | Self::Terminal { fd }
            | Self::JoinCgroup { fd }
            | Self::Attended { fd }
            | Self::Await { fd }
            | Self::Pass { fd, .. }
            | Self::Seccomp { fd }
            | Self::Rename { fd, .. }
            | Self::Remove { fd, .. } => *fd = number(*fd),
            Self::Log { fd, directory, .. } => {
                *fd = number(*fd);
                *directory = number(*directory);
            }
            Self::Stdio {
                input,
                output,
                error,
            } => {
                for fd in [input, output, error] {
                    *fd = number(*fd);
                }
            }
            Self::Bind { target, flags, .. } => {
                if let [fd, ..] = self.descriptors()
                    && fd != 0
                {
                    sink.write(b"bind\0fd:");
                    number(fd).write(sink);
                    target.write(sink);
                    flags.write(sink);
                    return;
                }
            }
            _ => {}
        }
        other.encode(sink);
    }
}
