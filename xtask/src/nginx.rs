//! Builds `nginx.aci`: a service as people have it, of Debian's package.

use std::fs;
use std::path::Path;

use crate::aci::{Node, Tree};
use crate::cmd::{Result, cmd, failed, root, say};
use crate::image::write;

/// Where Debian's package puts the program.
pub(crate) const PROGRAM: &str = "/usr/sbin/nginx";

/// Where the program keeps what is too large for memory, as it was built.
const STATE: &str = "var/lib/nginx";

/// Builds the image, if the package is installed.
pub(crate) fn build(into: &Path) -> Result<()> {
    if !Path::new(PROGRAM).exists() {
        say("left out: nginx.aci (needs nginx-light)");
        return Ok(());
    }
    write(into, "nginx", &tree()?)
}

/// The program, the libraries that it needs, and our own configuration and page.
fn tree() -> Result<Tree> {
    let mut tree = Tree::default();
    tree.add(&root().join("images/nginx/rootfs"), "")?;
    for name in ["run", "tmp", STATE] {
        tree.put(name, Node::Dir { mode: 0o755 });
    }
    let needed = cmd("ldd").arg(PROGRAM).quiet().read()?;
    let words = needed.split_whitespace();
    let libraries = words.filter(|word| word.starts_with('/'));
    for path in libraries.chain([PROGRAM]) {
        let content = fs::read(path).map_err(failed("read", Path::new(path)))?;
        tree.program(path.trim_start_matches('/'), content);
    }
    Ok(tree)
}
