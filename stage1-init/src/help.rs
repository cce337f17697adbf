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

/// Prints the usage, and every directive.
pub(crate) fn help() -> ! {
    let mut line = Line::new(sys::STDOUT);
    line.push(USAGE);
    // The vocabulary is in the order of the parts of a plan.
    for (usage, _) in stage1_init::vocabulary() {
        for text in [b"  ", usage, b"\n"] {
            line.push(text);
        }
    }
    line.flush();
    sys::exit(0)
}

const USAGE: &[u8] = b"\
stage1-init executes a plan, and is PID 1 of the pod that it creates.

  stage1-init [OPTION...] plan 1 DIRECTIVE...
  stage1-init [OPTION...] --plan-fd N [--finally-fd N -- WORD...]
  stage1-init [-g] [-e CODE] [--] COMMAND...
  stage1-init --help | --version

  --plan-fd N     read the plan from N
  --report-fd N   write a report to N
  --hold-fd N     keep N open outside of the pod
  --lock-fd N     keep N open in PID 1
  --finally-fd N  execute program N at the end
  --demand-fd N   execute it whenever N is readable
  --timer-fd N    look, too, when timer N expires
  -g              signal the command's whole group
  -e CODE         this exit code means success

Directives:
";
