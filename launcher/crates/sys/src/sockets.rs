//! Who has a port of this host: the kernel's tables of sockets (proc(5),
//! `/proc/net/tcp`), and the descriptors of processes.

use std::fs;

use crate::small_file;

/// A process that has a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its number.
    pub process: u32,
    /// The name of its program, which it can choose.
    pub name: String,
}

/// Finds a process that has a port of `tcp` or `udp`; `None` if it cannot be seen.
pub fn owner(protocol: &str, port: u16) -> Option<Owner> {
    let tables = ["", "6"].into_iter().filter_map(|version| {
        small_file::list(&format!("/proc/thread-self/net/{protocol}{version}")).ok()
    });
    let links: Vec<String> = tables
        .flat_map(|table| inodes(&table, port))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    if links.is_empty() {
        return None;
    }
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let process: u32 = numbers.find(|process| {
        // It may just have ended.
        let files = fs::read_dir(format!("/proc/{process}/fd"));
        let mut files = files.into_iter().flatten().flatten();
        files.any(|file| {
            let link = fs::read_link(file.path()).unwrap_or_default();
            links
                .iter()
                .any(|wanted| link.as_os_str() == wanted.as_str())
        })
    })?;
    let name = small_file::text(&format!("/proc/{process}/comm")).ok()?;
    Some(Owner {
        process,
        name: name.trim_end().to_owned(),
    })
}

/// Returns the inodes of sockets in a table that have this port and no peer.
fn inodes(table: &str, port: u16) -> Vec<u64> {
    let found = table.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let end = |at: usize| {
            let (_, port) = words.get(at)?.rsplit_once(':')?;
            u16::from_str_radix(port, 16).ok()
        };
        (end(1) == Some(port) && end(2) == Some(0)).then(|| words.get(9)?.parse().ok())?
    });
    found.collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn only_sockets_without_a_peer_have_a_port() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   \
                     uid  timeout inode\n   \
                     0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     \
                     0        0 4711 1 0000000000000000 100 0 0 10 0\n   \
                     1: 0100007F:1F90 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     \
                     0        0 4712 1 0000000000000000 20 4 30 10 -1\n   \
                     2: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     \
                     0        0 4713 1 0000000000000000 100 0 0 10 0\n   3: 0100007F\n\n";
        assert_eq!(inodes(table, 8080), [4711]);
        assert_eq!(inodes(table, 80), [4713]);
        assert_eq!(inodes(table, 81), []);
    }

    #[test]
    fn the_owner_of_a_port_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let found = owner("tcp", port).unwrap();
        assert_eq!(found.process, std::process::id());
        let name = fs::read_to_string("/proc/self/comm").unwrap();
        assert_eq!(found.name, name.trim_end());
        drop(listener);
        assert_eq!(owner("tcp", port), None);
    }
}
