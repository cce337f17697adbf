//! Which directives are allowed where.

use core::mem;

use crate::choice::Namespaces;
use crate::directive::{Directive, Part};
use crate::fault::FaultKind;

/// The maximum number of apps in one pod: each costs a few words in the memory
/// of PID 1.
pub const MAX_APPS: usize = 64;

/// What has been seen so far, as far as it decides what may come next.
#[derive(Default)]
pub(crate) struct Grammar {
    place: Place,
    apps: usize,
    /// The pid namespace was entered: what follows runs in the child.
    in_child: bool,
    apart: bool,
    pre_start: bool,
    main: bool,
    post_stop: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Pod,
    AppSetup,
    AppProcess,
    Init,
    Undo,
}

impl Grammar {
    /// Accepts the next directive, if it is allowed here.
    pub(crate) fn accept(&mut self, directive: &Directive<'_>) -> Result<(), FaultKind> {
        let allowed = match directive.part() {
            Part::Pod => self.place == Place::Pod,
            Part::Setup => !matches!(self.place, Place::AppProcess | Place::Undo),
            Part::Process => {
                self.place == Place::AppProcess || self.place == Place::Init && bounds(directive)
            }
            Part::Undo => self.place == Place::Undo,
            Part::Mark => self.marks(directive),
        };
        if !allowed {
            return Err(FaultKind::Misplaced);
        }
        match directive {
            Directive::App { .. } => self.begin_app(),
            Directive::Process {} => {
                self.place = Place::AppProcess;
                Ok(())
            }
            Directive::Init {} => {
                self.place = Place::Init;
                self.end_app()
            }
            Directive::Undo {} => {
                self.place = Place::Undo;
                self.end_app()
            }
            Directive::Unshare { namespaces } => self.unshare(*namespaces),
            Directive::Join { namespaces, .. } => self.enter_child(*namespaces),
            Directive::DieWithParent {}
            | Directive::Cgroup { .. }
            | Directive::Log { .. }
            | Directive::Attended { .. }
            | Directive::UidMap { .. }
            | Directive::GidMap { .. }
            | Directive::SetGroups { .. }
            | Directive::ClockOffset { .. }
                if self.in_child =>
            {
                Err(FaultKind::Misplaced)
            }
            Directive::PreStart { .. } => once(&mut self.pre_start),
            Directive::Main { .. } => once(&mut self.main),
            Directive::PostStop { .. } => once(&mut self.post_stop),
            _ => Ok(()),
        }
    }

    fn marks(&self, directive: &Directive<'_>) -> bool {
        match directive {
            Directive::App { .. } => matches!(self.place, Place::Pod | Place::AppProcess),
            Directive::Process {} => self.place == Place::AppSetup,
            Directive::Undo {} => matches!(self.place, Place::AppProcess | Place::Init),
            _ => self.place == Place::AppProcess,
        }
    }

    fn begin_app(&mut self) -> Result<(), FaultKind> {
        if self.place == Place::AppProcess {
            self.end_app()?;
        }
        self.apps += 1;
        if self.apps > MAX_APPS {
            return Err(FaultKind::TooManyApps);
        }
        self.place = Place::AppSetup;
        self.apart = false;
        self.pre_start = false;
        self.main = false;
        self.post_stop = false;
        Ok(())
    }

    fn end_app(&self) -> Result<(), FaultKind> {
        if self.main {
            Ok(())
        } else {
            Err(FaultKind::NoMain)
        }
    }

    /// New namespaces belong to the pod, but an app may have its own mounts.
    fn unshare(&mut self, namespaces: Namespaces) -> Result<(), FaultKind> {
        match self.place {
            Place::Pod => self.enter_child(namespaces),
            Place::AppSetup if namespaces == Namespaces::MNT => once(&mut self.apart),
            _ => Err(FaultKind::Misplaced),
        }
    }

    fn enter_child(&mut self, namespaces: Namespaces) -> Result<(), FaultKind> {
        if namespaces.is_empty() {
            return Err(FaultKind::UnknownWord);
        }
        if namespaces.contains(Namespaces::PID) {
            once(&mut self.in_child)?;
        }
        Ok(())
    }

    /// Checks whether a plan may end here.
    pub(crate) fn finish(&self) -> Result<(), FaultKind> {
        match self.place {
            Place::Pod => Err(FaultKind::NoApp),
            Place::AppSetup => Err(FaultKind::NoMain),
            Place::AppProcess => self.end_app(),
            Place::Init | Place::Undo => Ok(()),
        }
    }
}

/// Tells whether a directive restricts what a process may do: PID 1 takes those
/// as well.
fn bounds(directive: &Directive<'_>) -> bool {
    matches!(
        directive,
        Directive::Bounding { .. }
            | Directive::Capabilities { .. }
            | Directive::NoNewPrivs {}
            | Directive::Seccomp { .. }
    )
}

fn once(seen: &mut bool) -> Result<(), FaultKind> {
    if mem::replace(seen, true) {
        Err(FaultKind::Repeated)
    } else {
        Ok(())
    }
}
