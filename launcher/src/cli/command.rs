//! What a command line asks for.

use std::path::PathBuf;

use crate::cmd::mode::RunMode;
use crate::cmd::plan::Format;
use crate::cmd::request;
use crate::cmd::selector::PodSelector;
use crate::cmd::{collect, list, logs, stats, status, stop};
use ::pod::spec::log::Log;
use appc::types::{AcName, Uuid};
use error::Error;

/// What was asked for.
pub(crate) struct Invocation {
    /// The data directory, if it was given.
    pub(crate) dir: Option<PathBuf>,
    /// Whether errors are shown with all their causes.
    pub(crate) verbose: bool,
    /// What to do.
    pub(crate) command: Command,
}

/// A command with its options.
pub(crate) enum Command {
    /// Print this.
    Say(String),
    /// Run a pod.
    Run(request::Options),
    /// Make a pod, to be run later.
    Prepare(request::Options),
    /// Run the prepared pod that this word means.
    RunPrepared(String, RunMode),
    /// Execute a plan, in a pod that may have a name.
    RunPlan(PathBuf, Option<AcName>, RunMode),
    /// Run a pod whose lock is the standard input, keep it in the end or not, and
    /// its log so; its terminal can be the standard output.
    Begin(Uuid, bool, Log, bool),
    /// Attend to the terminal of a pod.
    Attach(crate::cmd::attach::Attach),
    /// Show the plan of a pod.
    Plan(request::Options, Format),
    /// Fetch images.
    Fetch(crate::cmd::fetch::Options),
    /// Show or change the store.
    Image(crate::cmd::image::Verb),
    /// Say whose signatures count.
    Trust(crate::cmd::trust::Verb),
    /// List pods.
    List(list::Listing),
    /// Tell of a pod.
    Status(status::Options),
    /// Tell how much pods use.
    Stats(stats::Options),
    /// Pause pods.
    Pause(PodSelector),
    /// Let pods go on.
    Resume(PodSelector),
    /// Stop pods.
    Stop(stop::Stop),
    /// Send a signal to pods.
    Kill(PodSelector, rustix::process::Signal),
    /// Remove pods, also those that run.
    Remove(PodSelector, bool),
    /// Remove what is left of pods.
    Collect(collect::Collect),
    /// Print the manifest of a pod.
    CatManifest(PodSelector),
    /// Print what the apps of a pod have written.
    Logs(logs::Options),
    /// Run a command in a pod.
    Enter(crate::cmd::enter::Options),
    /// Say why a command was not executed of which these are open, and which
    /// has this status.
    Entered([u32; 3], u8),
    /// Make an image of an app of a pod.
    Export(crate::cmd::export::Export),
    /// Check files.
    Validate(Vec<PathBuf>),
    /// Clean up after a pod that ended with this status.
    Finish(Uuid, u8),
    /// Serve the metadata of a pod to who connected to the standard input.
    Serve(Uuid),
}

impl Command {
    /// Tells whether pipes are wanted before the caller's streams.
    pub(crate) fn is_piped(&self) -> bool {
        match self {
            Self::Run(options) => options.mode.piped,
            Self::RunPrepared(_, mode) | Self::RunPlan(_, _, mode) => mode.piped,
            _ => false,
        }
    }

    /// Leaves the streams as they are: the pipes are there.
    pub(super) fn unpiped(&mut self) {
        match self {
            Self::Run(options) => options.mode.piped = false,
            Self::RunPrepared(_, mode) | Self::RunPlan(_, _, mode) => mode.piped = false,
            _ => {}
        }
    }
}

/// A command line that is not understood: why, and the status to exit with.
pub(crate) struct Misuse {
    /// Why.
    pub(crate) error: Error,
    /// Usage errors of commands that exit with an app's status must not look
    /// like one.
    pub(crate) status: u8,
}
