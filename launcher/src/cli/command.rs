//! The result of parsing a command line.

use std::path::PathBuf;

use crate::cmd::mode::RunMode;
use crate::cmd::notify::Handed;
use crate::cmd::request;
use crate::cmd::results::Format;
use crate::cmd::selector::PodSelector;
use crate::cmd::{collect, list, logs, plan, stats, status, stop};
use ::pod::spec::log::Log;
use appc::types::{AcName, Uuid};
use error::Error;

/// A parsed command line.
pub(crate) struct Invocation {
    /// The data directory, if it was given.
    pub(crate) dir: Option<PathBuf>,
    /// Whether errors are shown with all their causes.
    pub(crate) verbose: bool,
    /// Whether the phases of a run are timed.
    pub(crate) timing: bool,
    /// The command.
    pub(crate) command: Command,
}

/// A command with its options.
pub(crate) enum Command {
    /// Print this.
    Say(String),
    /// Run a pod.
    Run(request::Options),
    /// Create a pod to be run later.
    Prepare(request::Options),
    /// Run a prepared pod.
    RunPrepared(String, RunMode),
    /// Execute a plan, in a pod with an optional name.
    RunPlan(PathBuf, Option<AcName>, RunMode),
    /// Run a pod whose lock is standard input (internal): whether to keep it,
    /// its log, and whether its terminal is standard output.
    Begin(Uuid, bool, Log, bool),
    /// Attach to the terminal of a pod.
    Attach(crate::cmd::attach::Attach),
    /// Show the plan of a pod.
    Plan(request::Options, plan::Format),
    /// Fetch images.
    Fetch(crate::cmd::fetch::Options, Format),
    /// Build an image.
    Build(crate::cmd::build::Build),
    /// Manage the store.
    Image(crate::cmd::image::Verb, Format),
    /// Manage the keys that may sign images.
    Trust(crate::cmd::trust::Verb, Format),
    /// Show the policy for images, and lock names.
    Policy(crate::cmd::policy::Verb, Format),
    /// Log in to a registry.
    Login(crate::cmd::login::Login, Format),
    /// Log out from a registry.
    Logout(String, Format),
    /// List pods.
    List(list::Listing),
    /// Show the status of a pod.
    Status(status::Options),
    /// Wait for pods, at most this long.
    Wait(PodSelector, Option<std::time::Duration>, Format),
    /// Show the resource usage of pods.
    Stats(stats::Options),
    /// Show the ports of a pod.
    Port(PodSelector, Format),
    /// Pause pods.
    Pause(PodSelector, Format),
    /// Resume pods.
    Resume(PodSelector, Format),
    /// Stop pods.
    Stop(stop::Stop, Format),
    /// Send a signal to pods.
    Kill(PodSelector, rustix::process::Signal),
    /// Remove pods; if `true`, also running ones.
    Remove(PodSelector, bool, Format),
    /// Remove exited pods.
    Collect(collect::Collect, Format),
    /// Print the manifest of a pod.
    CatManifest(PodSelector),
    /// Print the output of a pod.
    Logs(logs::Options),
    /// Run a command in a pod.
    Enter(crate::cmd::enter::Options),
    /// Explain why a command was not executed (internal): its descriptors and
    /// its status.
    Entered([u32; 3], u8),
    /// Copy files between an app and the host.
    Copy(crate::cmd::cp::Options),
    /// List what an app has changed.
    Diff(crate::cmd::diff::Options, Format),
    /// Create an image from an app of a pod.
    Export(crate::cmd::export::Export),
    /// Check files.
    Validate(crate::cmd::validate::Options, Format),
    /// Clean up after a pod that exited with this status (internal).
    Finish(u32, Uuid, Handed, u8),
    /// Tell the service manager how a pod is doing, and find out whether its apps
    /// work (internal).
    Notify(u32, Uuid, Handed),
    /// Find out whether an app works (internal).
    Check(u32, Uuid, String),
    /// Serve the metadata of a pod on standard input, a socket (internal).
    Serve(u32, Uuid),
}

impl Command {
    /// Returns whether to put pipes before the caller's streams.
    pub(crate) fn is_piped(&self) -> bool {
        match self {
            Self::Run(options) => options.mode.piped,
            Self::RunPrepared(_, mode) | Self::RunPlan(_, _, mode) => mode.piped,
            _ => false,
        }
    }

    /// Leaves the streams as they are: the pipes already exist.
    pub(super) fn unpiped(&mut self) {
        match self {
            Self::Run(options) => options.mode.piped = false,
            Self::RunPrepared(_, mode) | Self::RunPlan(_, _, mode) => mode.piped = false,
            _ => {}
        }
    }
}

/// A command line that is not valid.
pub(crate) struct Misuse {
    /// The reason.
    pub(crate) error: Error,
    /// The exit status. For commands that exit with an app's status, it must
    /// not look like one.
    pub(crate) status: u8,
}
