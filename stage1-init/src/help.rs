//! `--help` and `--version`.

use crate::say::Line;
use crate::sys;

/// Prints the version.
pub(crate) fn version() -> ! {
    let mut line = Line::new(sys::STDOUT);
    line.push(concat!("stage1-init ", env!("CARGO_PKG_VERSION"), "\n").as_bytes());
    line.flush();
    sys::exit(0)
}

/// Prints how to call the program, and every directive.
pub(crate) fn help() -> ! {
    let mut line = Line::new(sys::STDOUT);
    line.push(USAGE);
    // In the order of the vocabulary, which is that of the parts of a plan.
    for (usage, _) in stage1_init::vocabulary() {
        for text in [b"  ", usage, b"\n"] {
            line.push(text);
        }
    }
    line.flush();
    sys::exit(0)
}

const USAGE: &[u8] = b"\
stage1-init carries out a plan, and is PID 1 of its pod.

  stage1-init [OPTION...] plan 1 DIRECTIVE...
  stage1-init [OPTION...] --plan-fd N [--finally-fd N -- WORD...]
  stage1-init -- COMMAND...     no plan: an init for it
  stage1-init --help | --version

Options: --report-fd N, where to report to; --hold-fd N, what stays open outside;
--lock-fd N, what PID 1 keeps open;
--demand-fd N, what --finally-fd serves when it can be read.
A plan is words that each end in a NUL byte, or arguments.
Exit codes: 125 the plan failed, 126 not executable, 127 not found,
128+N died of signal N, else that of the first app that failed, or 0.

The directives:
";
