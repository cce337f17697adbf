//! What the images have in common: manifests, a userland, and how one is packed.

use std::env::consts::ARCH;
use std::fs;
use std::path::Path;

use crate::aci::{Node, Tree};
use crate::cmd::{Result, cmd, failed, find, root, say};

/// Where Debian's package puts the static busybox.
pub(crate) const BUSYBOX: &str = "/bin/busybox";

/// The root file system of a busybox userland.
pub(crate) fn busybox() -> Result<Tree> {
    let program = Path::new(BUSYBOX);
    let mut tree = Tree::default();
    tree.add(&root().join("images/nosecone-base/rootfs"), "")?;
    for path in cmd(program).arg("--list-full").quiet().read()?.lines() {
        tree.put(path, Node::Symlink("/bin/busybox".to_owned()));
    }
    let content = fs::read(program).map_err(failed("read", program))?;
    tree.program("bin/busybox", content);
    tree.put("root", Node::Dir { mode: 0o700 });
    tree.put("tmp", Node::Dir { mode: 0o1777 });
    Ok(tree)
}

/// Packs an image into `INTO/NAME.aci`.
pub(crate) fn write(into: &Path, name: &str, tree: &Tree) -> Result<()> {
    let bytes = tree.pack(manifest(name)?.as_bytes())?;
    let path = into.join(format!("{name}.aci"));
    fs::write(&path, bytes).map_err(failed("write", &path))?;
    say(&format!("built {}", path.display()));
    Ok(())
}

/// Reads the manifest of an image; `@ARCH@` in it is this machine.
pub(crate) fn manifest(name: &str) -> Result<String> {
    let path = root().join("images").join(name).join("manifest");
    let text = fs::read_to_string(&path).map_err(failed("read", &path))?;
    Ok(text.replace("@ARCH@", architecture(ARCH)))
}

/// Returns what the specification calls this machine.
pub(crate) fn arch() -> &'static str {
    architecture(ARCH)
}

/// Returns what the specification calls an architecture that Rust calls so.
fn architecture(name: &str) -> &str {
    match name {
        "x86_64" => "amd64",
        "x86" => "i386",
        "arm" => "armv7l",
        "powerpc64" => "ppc64",
        other => other,
    }
}

/// Tells whether a tool is there, and says so if it is not.
pub(crate) fn has(tool: &str, left_out: &str) -> bool {
    let found = find(tool).is_some();
    if !found {
        say(&format!("left out: {left_out} (needs {tool})"));
    }
    found
}
