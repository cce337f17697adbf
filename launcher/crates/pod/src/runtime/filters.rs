//! The filters of system calls that a plan names: each in a file that nobody
//! can change any more.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::os::fd::AsFd;

use stage1_init::Directive;

use crate::plan::descriptors::{DEFAULT_FILTER, Named};
use crate::plan::seccomp::Program;
use crate::plan::text::Plan;
use crate::runtime::exec::sealed;
use crate::state::directory::read_in;
use error::{Context as _, Result};

/// Opens them, by the labels that the plan has for them. One that is neither the
/// default nor kept in the directory of the pod is its caller's, who has it open.
///
/// # Errors
///
/// One that is kept cannot be read.
pub fn open(pod: impl AsFd, plan: &Plan) -> Result<Named> {
    let mut wanted = BTreeSet::new();
    plan.find(|_, directive, _| -> Option<()> {
        if let Directive::Seccomp { fd } = directive {
            wanted.insert(*fd);
        }
        None
    });
    let mut filters = Named::new();
    for label in wanted {
        let name = format!("filter-{label}");
        let own = read_in(&pod, &name).context(|| format!("cannot read `{name}` of the pod"))?;
        let program = match (own, label) {
            (Some(bytes), _) => Cow::Owned(bytes),
            (None, DEFAULT_FILTER) => Program::default().bytes,
            (None, _) => continue,
        };
        filters.insert(label, sealed("filter", &program)?);
    }
    Ok(filters)
}
