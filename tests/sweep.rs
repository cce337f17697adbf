//! Every command, killed at each system call that it makes, and told by each
//! that can say so that the disk is broken or full.
//!
//! Whatever happens, the command ends; the next one works, and the same again;
//! what is listed is true; stored images are whole; and one `gc` leaves nothing
//! behind, on the disk or in the kernel. A command that ends well has done what
//! it says, and one that does not says why.
//!
//! With SWEEP=whole every point is hit, which takes half an hour (`cargo xtask
//! sweep`); without, a few of each command. With SWEEP=deny every call of a run and
//! of a command in a pod is refused, each time that it is made (`cargo xtask sweep
//! --deny`).

/// What commands are swept on, and what must be true of it afterwards.
mod ground;
/// Hits a command at its points, one after another.
mod hit;
/// The images that commands are swept with.
mod images;
/// Where a command can be hit.
mod points;
/// A server of images.
mod server;

use std::fs;
use std::sync::OnceLock;

use self::ground::Ground;
use crate::golden;
use crate::host::{self, Ran};

/// A command that is swept.
struct Command {
    /// It, in the words of [`Ground::words`].
    words: String,
    /// Makes what it needs, and returns what stands for IT.
    before: fn(&Ground) -> String,
    /// What the same command may say once more, where the first has done its
    /// work before it was hit.
    done: Vec<String>,
    /// What is so if it ends well.
    promise: fn(&Ground, &Ran, &str) -> bool,
    /// Images are at stake: each time it begins with a directory of its own.
    images: bool,
    /// Its calls do not fail once, but each time.
    refused: bool,
    /// It runs on a host of its own, with a network that pods change.
    networked: bool,
}

/// Begins to say what is swept.
fn command(words: &str) -> Command {
    Command {
        words: words.to_owned(),
        before: |_| String::new(),
        done: Vec::new(),
        promise: |_, _, _| true,
        images: false,
        refused: false,
        networked: false,
    }
}

impl Command {
    fn after(mut self, before: fn(&Ground) -> String) -> Self {
        self.before = before;
        self
    }

    /// Lets it say one of the lines that stand under a title, where IT is what
    /// the command was given.
    #[track_caller]
    fn may_say(mut self, title: &str) -> Self {
        self.done = golden::lines_written(title);
        self
    }

    fn promises(mut self, promise: fn(&Ground, &Ran, &str) -> bool) -> Self {
        self.promise = promise;
        self
    }

    fn of_images(mut self) -> Self {
        self.images = true;
        self
    }

    fn refused(mut self) -> Self {
        self.refused = true;
        self
    }

    fn networked(mut self) -> Self {
        self.networked = true;
        self
    }

    #[track_caller]
    fn sweep(self) {
        hit::sweep(&self);
    }
}

// --- what is there before ---

fn prepared(ground: &Ground) -> String {
    ground.says("prepare --uuid NEW PROBE -- --exit-code 0")
}

fn running(ground: &Ground) -> String {
    ground.says("run --detach --uuid NEW PROBE -- --trap-exit 15 0")
}

fn paused(ground: &Ground) -> String {
    let uuid = running(ground);
    ground.says(&format!("pause {uuid}"));
    uuid
}

fn over(ground: &Ground) -> String {
    let uuid = running(ground);
    ground.says(&format!("stop {uuid}"));
    uuid
}

fn stored(ground: &Ground) -> String {
    ground.says("fetch --quiet --full FILE")
}

fn begun(ground: &Ground) -> String {
    server::begin(&ground.dir());
    String::new()
}

fn rendered(ground: &Ground) -> String {
    stored(ground);
    ground.says("run --insecure-options=image DEPENDENT -- --exit-code 0")
}

fn trusted(ground: &Ground) -> String {
    ground.says("trust --yes --prefix=nosecone.net/example KEY")
}

// --- what is promised ---

/// The pod whose UUID was printed is in one of these states.
fn printed(ground: &Ground, ran: &Ran, states: &[&str]) -> bool {
    let state = ground.state(ran.stdout.trim_end());
    state.is_some_and(|state| states.contains(&state.as_str()))
}

fn is_gone(ground: &Ground, it: &str) -> bool {
    ground.list().is_ok() && ground.state(it).is_none()
}

/// There is one image, and it is whole.
fn is_stored(ground: &Ground) -> bool {
    let images = ground.clean("image verify");
    images.is_ok_and(|images| images.lines().count() == 1)
}

fn is_empty(ground: &Ground, name: &str) -> bool {
    count(ground, name) == 0
}

fn count(ground: &Ground, name: &str) -> usize {
    host::names(&ground.dir().join(name)).len()
}

// --- pods ---

const NO_POD: &str = "a pod that was removed";

#[test]
fn a_run_can_be_cut_short() {
    require_root!();
    command("run --name web PROBE -- --exit-code 0").sweep();
}

#[test]
fn a_run_with_limits_can_be_cut_short() {
    require_root!();
    command("run --uuid NEW PROBE --memory 64Mi -- --exit-code 0").sweep();
}

#[test]
fn a_run_without_its_caller_can_be_cut_short() {
    require_root!();
    command("run --detach PROBE -- --sleep 600")
        .promises(|ground, ran, _| printed(ground, ran, &["running", "exited", "aborted"]))
        .sweep();
}

#[test]
fn a_run_that_asks_for_metadata_can_be_cut_short() {
    require_root!();
    let _ = image!("busybox");
    command("run BUSYBOX -- -c ASK").sweep();
}

#[test]
fn a_run_that_begins_again_can_be_cut_short() {
    require_root!();
    let _ = image!("busybox");
    command("run --restart=on-failure:1 BUSYBOX -- -c TWICE").sweep();
}

#[test]
fn a_run_that_is_connected_can_be_cut_short() {
    require_root!();
    for tool in ["ip", "nft", "nsenter"] {
        if host::find_tool(tool).is_none() {
            skip!("needs `{tool}`; see `cargo xtask setup`");
        }
    }
    command("run --net=nat,bridge:web -p 8080:80 -p 127.0.0.1:5353:53/udp PROBE -- --exit-code 0")
        .networked()
        .sweep();
}

#[test]
fn a_preparation_can_be_cut_short() {
    require_root!();
    command("prepare PROBE -- --exit-code 0")
        .promises(|ground, ran, _| printed(ground, ran, &["prepared"]))
        .sweep();
}

#[test]
fn a_run_of_what_is_prepared_can_be_cut_short() {
    require_root!();
    command("run-prepared --keep IT")
        .after(prepared)
        .may_say("a prepared pod that was run")
        .promises(|ground, _, it| ground.state(it).is_some())
        .sweep();
}

#[test]
fn a_run_of_what_is_prepared_without_its_caller_can_be_cut_short() {
    require_root!();
    command("run-prepared --detach --rm IT")
        .after(prepared)
        .may_say("a prepared pod that was run")
        .sweep();
}

#[test]
fn a_command_in_a_pod_can_be_cut_short() {
    require_root!();
    command("enter IT /probe --exit-code 0")
        .after(running)
        .sweep();
}

#[test]
fn a_pause_can_be_cut_short() {
    require_root!();
    command("pause IT")
        .after(running)
        .promises(|ground, _, it| ground.state(it).is_some_and(|state| state == "paused"))
        .sweep();
}

#[test]
fn what_ends_a_pause_can_be_cut_short() {
    require_root!();
    command("resume IT")
        .after(paused)
        .promises(|ground, _, it| ground.state(it).is_some_and(|state| state == "running"))
        .sweep();
}

#[test]
fn an_export_can_be_cut_short() {
    require_root!();
    command("export --overwrite IT OUT")
        .after(over)
        .promises(|ground, _, _| ground.clean("validate OUT").is_ok())
        .sweep();
}

#[test]
fn a_stop_can_be_cut_short() {
    require_root!();
    command("stop IT")
        .after(running)
        .promises(|ground, _, it| ground.state(it).is_some_and(|state| state == "exited"))
        .sweep();
}

#[test]
fn a_kill_can_be_cut_short() {
    require_root!();
    command("kill IT")
        .after(running)
        .may_say("a pod that is over")
        .promises(|ground, _, it| ground.state(it).is_some_and(|state| state == "exited"))
        .sweep();
}

#[test]
fn a_removal_can_be_cut_short() {
    require_root!();
    command("rm IT")
        .after(over)
        .may_say(NO_POD)
        .promises(|ground, _, it| is_gone(ground, it))
        .sweep();
}

#[test]
fn a_removal_of_what_runs_can_be_cut_short() {
    require_root!();
    command("rm --force IT")
        .after(running)
        .may_say(NO_POD)
        .promises(|ground, _, it| is_gone(ground, it))
        .sweep();
}

#[test]
fn a_collection_can_be_cut_short() {
    require_root!();
    command("gc --grace-period=0 --expire-prepared=0")
        .after(|ground| {
            prepared(ground);
            over(ground)
        })
        .promises(|ground, _, _| ground.list().is_ok_and(|pods| pods.is_empty()))
        .sweep();
}

// --- calls that the kernel does not have, or a filter forbids ---

#[test]
fn whichever_call_is_refused_a_run_ends_and_says_so() {
    require_root!();
    command("run QUIET --exec /nothing").refused().sweep();
}

#[test]
fn whichever_call_is_refused_a_command_in_a_pod_ends_and_says_so() {
    require_root!();
    command("enter IT /nothing")
        .after(|ground| ground.says("run --detach --uuid NEW QUIET -- --trap-exit 15 0"))
        .refused()
        .sweep();
}

// --- images ---

#[test]
fn a_fetch_of_a_file_can_be_cut_short() {
    require_root!();
    command("fetch FILE")
        .promises(|ground, _, _| is_stored(ground))
        .of_images()
        .sweep();
}

#[test]
fn a_fetch_of_layers_side_by_side_can_be_cut_short() {
    require_root!();
    command("fetch LAYERED")
        .promises(|ground, _, _| is_stored(ground))
        .of_images()
        .sweep();
}

#[test]
fn a_fetch_from_a_registry_can_be_cut_short() {
    require_root!();
    command("fetch docker://SERVER/app:1")
        .promises(|ground, _, _| is_stored(ground))
        .of_images()
        .sweep();
}

/// Half of a large layer of the image that is fetched from a registry.
fn half(ground: &Ground) -> String {
    /// What is kept of it: it takes a while until nobody tries any more to get the rest.
    static KEPT: OnceLock<(String, Vec<u8>)> = OnceLock::new();
    let downloads = ground.dir().join("downloads");
    let (name, kept) = KEPT.get_or_init(|| {
        let ran = ground.run("fetch docker://SERVER/cut:1").exits(1);
        assert!(ran.stderr.contains("is kept for a day"), "{ran:?}");
        let name = host::names(&downloads).remove(0);
        let kept = fs::read(downloads.join(&name)).unwrap();
        (name, kept)
    });
    fs::create_dir_all(&downloads).unwrap();
    fs::write(downloads.join(name), kept).unwrap();
    String::new()
}

#[test]
fn what_is_swept_as_half_a_layer_is_gone_on_with() {
    require_root!();
    let ground = Ground::new(false);
    half(&ground);
    let ran = ground.run("fetch docker://SERVER/app:1").exits(0);
    assert!(ran.stderr.contains(" after 16.5 MiB\n"), "{ran:?}");
}

#[test]
fn a_fetch_that_goes_on_with_half_a_layer_can_be_cut_short() {
    require_root!();
    command("fetch docker://SERVER/app:1")
        .after(half)
        .promises(|ground, _, _| is_stored(ground))
        .of_images()
        .sweep();
}

#[test]
fn a_fetch_from_a_server_can_be_cut_short() {
    require_root!();
    command("fetch --insecure-options=image,http http://SERVER/image.aci")
        .promises(|ground, _, _| is_stored(ground))
        .of_images()
        .sweep();
}

#[test]
fn what_is_swept_as_the_beginning_of_a_download_is_one() {
    require_root!();
    let ground = Ground::new(false);
    begun(&ground);
    let ran = ground.run("fetch --insecure-options=image,http http://SERVER/image.aci");
    ran.complains_with("a download that goes on");
    assert!(is_stored(&ground));
}

#[test]
fn a_fetch_that_goes_on_with_another_one_can_be_cut_short() {
    require_root!();
    command("fetch --insecure-options=image,http http://SERVER/image.aci")
        .after(begun)
        .promises(|ground, _, _| is_stored(ground))
        .of_images()
        .sweep();
}

#[test]
fn a_fetch_of_what_is_signed_can_be_cut_short() {
    require_root!();
    if !server::has_signed() {
        skip!("needs the site; `cargo xtask images` says why it is not there");
    }
    command("fetch --insecure-options=http http://SERVER/signed.aci")
        .after(trusted)
        .promises(|ground, _, _| is_stored(ground))
        .of_images()
        .sweep();
}

#[test]
fn trust_can_be_cut_short() {
    require_root!();
    if !server::has_signed() {
        skip!("needs the site; `cargo xtask images` says why it is not there");
    }
    command("trust --yes --prefix=nosecone.net/example KEY")
        .promises(|ground, _, _| {
            let listed = ground.clean("trust list");
            listed.is_ok_and(|keys| keys.contains("nosecone.net/example"))
        })
        .of_images()
        .sweep();
}

/// A directory to build an image of.
fn tree(ground: &Ground) -> String {
    ground.tree()
}

#[test]
fn an_image_that_is_built_can_be_cut_short() {
    require_root!();
    command("image build --name=example.com/sample IT -- /bin/program")
        .after(tree)
        .promises(|ground, _, _| is_stored(ground))
        .of_images()
        .sweep();
}

#[test]
fn an_image_that_is_built_into_a_file_can_be_cut_short() {
    require_root!();
    command("image build --name=a --overwrite -o OUT IT -- /bin/program")
        .after(tree)
        .promises(|ground, _, _| ground.clean("validate OUT").is_ok())
        .sweep();
}

#[test]
fn a_run_of_what_is_not_stored_can_be_cut_short() {
    require_root!();
    command("run PROBE -- --stdout ran")
        .promises(|ground, _, _| is_stored(ground))
        .of_images()
        .sweep();
}

#[test]
fn a_run_of_what_has_to_be_rendered_can_be_cut_short() {
    require_root!();
    command("run --insecure-options=image DEPENDENT -- --exit-code 0")
        .after(stored)
        .promises(|ground, _, _| count(ground, "layers") > count(ground, "images"))
        .of_images()
        .sweep();
}

#[test]
fn a_removal_of_an_image_can_be_cut_short() {
    require_root!();
    command("image rm IT")
        .after(stored)
        .may_say("an image that was removed")
        .promises(|ground, _, _| is_empty(ground, "images"))
        .of_images()
        .sweep();
}

#[test]
fn a_collection_of_images_can_be_cut_short() {
    require_root!();
    command("image gc --grace-period=0")
        .after(rendered)
        .promises(|ground, _, _| is_empty(ground, "images") && is_empty(ground, "layers"))
        .of_images()
        .sweep();
}
