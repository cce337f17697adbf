//! `cargo xtask bench enter`: another process in a pod that runs.

use super::measure::{Bench, Contender, table};
use super::run::{EXITS, Ground};
use crate::cmd::{Result, cmd, find, say};

/// The peer, which only joins all namespaces.
const PEER: &str = "nsenter -a";

/// A program that only exits, as another process of an app.
pub(crate) fn enter(rounds: usize) -> Result<()> {
    let Some(nsenter) = find("nsenter") else {
        return Err("there is nothing to compare with: nsenter is missing".to_owned());
    };
    let ground = Ground::new(Bench::new("enter", rounds)?)?;
    let pod = Pod::start(&ground)?;
    let app = pod.app()?;
    let contenders = vec![
        ground.ours("launcher enter", &["enter", &pod.uuid, EXITS]),
        Contender::new(PEER, &nsenter, &["-a", "-t", &app, EXITS]),
        ground.ours("launcher version", &["version"]),
    ];
    let measured = ground.bench.measure(contenders)?;
    let title = "A program that only exits is another process of a pod";
    table(title, &measured, &[PEER]);
    Ok(())
}

/// A pod that does nothing.
struct Pod<'a> {
    ground: &'a Ground,
    uuid: String,
}

impl<'a> Pod<'a> {
    fn start(ground: &'a Ground) -> Result<Self> {
        let words = ["--exec=/bin/sleep", "--", "86400"];
        let run = cmd(&ground.launcher).arg("--dir").arg(&ground.store);
        let run = run
            .args(["run", "--detach", "--net=none"])
            .arg(&ground.image);
        let uuid = run.args(words).quiet().read()?.trim_end().to_owned();
        Ok(Self { ground, uuid })
    }

    /// The number of the app's process on the host.
    fn app(&self) -> Result<String> {
        let status = cmd(&self.ground.launcher)
            .arg("--dir")
            .arg(&self.ground.store);
        let status = status.args(["status", &self.uuid]).quiet().read()?;
        let pid = status
            .lines()
            .filter(|line| line.starts_with("app-"))
            .find_map(|line| line.split_once(".pid=").map(|(_, pid)| pid.to_owned()));
        pid.ok_or_else(|| format!("the pod's app does not run: {status}"))
    }
}

impl Drop for Pod<'_> {
    fn drop(&mut self) {
        let remove = cmd(&self.ground.launcher)
            .arg("--dir")
            .arg(&self.ground.store);
        let remove = remove.args(["rm", "--force", &self.uuid]).quiet().read();
        remove.map_or_else(|error| say(&error), drop);
    }
}
