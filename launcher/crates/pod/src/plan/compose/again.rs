//! How a pod that may be started again waits for its turn.
//!
//! The same plan is executed each time. It begins with a wait for a timer, which
//! has expired when the pod is started for the first time; so nothing but the
//! outer half of `stage1-init` is in memory during the pause, and a signal ends it.

use stage1_init::Directive;

use crate::plan::descriptors::{DELAY, NeededDescriptor};
use crate::plan::directives::Plan;
use crate::spec::pod::PodSpec;

/// Lets the pod wait.
pub(super) fn wait(plan: &mut Plan, pod: &PodSpec, needed: &mut Vec<NeededDescriptor>) {
    if let Some(why) = pod.restarted_by() {
        needed.push(NeededDescriptor::Delay);
        let reason = format!("{why}: the pause before it is started again");
        plan.push(Directive::Await { fd: DELAY }, reason);
    }
}
