//! Builds the specification's own conformance program from Debian's source of
//! it, and packs it as the two images that it is to run in.

use std::fs;
use std::path::{Path, PathBuf};

use crate::aci::{Node, Tree};
use crate::cmd::{Result, cmd, failed, say, target_dir};
use crate::image::{has, write};

/// Where Debian's package puts the source.
const SOURCE: &str = "/usr/share/gocode/src/github.com/appc/spec/ace";

/// `ace-main.aci` and `ace-sidekick.aci`.
pub(crate) fn build(into: &Path) -> Result<()> {
    let what = "ace-main.aci, ace-sidekick.aci";
    if !has("go", what) {
        return Ok(());
    }
    if !Path::new(SOURCE).exists() {
        say(&format!(
            "left out: {what} (needs golang-github-appc-spec-dev)"
        ));
        return Ok(());
    }
    let dir = target_dir().join("ace");
    fs::create_dir_all(&dir).map_err(failed("make", &dir))?;
    let program = dir.join("ace-validator");
    cmd("go")
        .quiet()
        .arg("build")
        .arg("-overlay")
        .arg(patient(&dir)?)
        .arg("-o")
        .arg(&program)
        .arg("github.com/appc/spec/ace")
        .env("GO111MODULE", "off")
        .env("GOPATH", "/usr/share/gocode")
        .env("GOCACHE", dir.join("cache"))
        .env("CGO_ENABLED", "0")
        .run()?;
    let content = fs::read(&program).map_err(failed("read", &program))?;
    for name in ["ace-main", "ace-sidekick"] {
        let mut tree = Tree::default();
        tree.program("ace-validator", content.clone());
        if name == "ace-main" {
            // The directory that the app starts in.
            tree.put("opt", Node::Dir { mode: 0o755 });
            tree.put("opt/acvalidator", Node::Dir { mode: 0o755 });
        }
        write(into, name, &tree)?;
    }
    Ok(())
}

/// The one thing that is changed: how long it waits for an answer of the
/// metadata service. On a host that is busy with other tests a tenth of a
/// second says nothing about the service.
const HASTE: [&str; 2] = ["100 * time.Millisecond", "30 * time.Second"];

/// Writes down for the compiler which file of the source is replaced.
fn patient(dir: &Path) -> Result<PathBuf> {
    let original = Path::new(SOURCE).join("validator.go");
    let source = fs::read_to_string(&original).map_err(failed("read", &original))?;
    let [haste, patience] = HASTE;
    if source.matches(haste).count() != 1 {
        return Err(format!("`{}` is not as it was", original.display()));
    }
    let replaced = dir.join("validator.go");
    fs::write(&replaced, source.replace(haste, patience)).map_err(failed("write", &replaced))?;
    let overlay = dir.join("overlay.json");
    let text = format!("{{\"Replace\": {{{original:?}: {replaced:?}}}}}");
    fs::write(&overlay, text).map_err(failed("write", &overlay))?;
    Ok(overlay)
}
