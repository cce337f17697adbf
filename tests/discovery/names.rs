//! Names of hosts, found where there is no libc to ask.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::thread;

use super::*;

/// An address of this machine at which nobody else has a server, nor has another
/// run of the tests.
fn here() -> [u8; 4] {
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    [127, 64 | high, middle, low]
}

/// Starts a name server that knows one name, and a web server that has nothing;
/// returns the latter's port.
fn servers() -> std::io::Result<u16> {
    let names = UdpSocket::bind((Ipv4Addr::from(here()), 53))?;
    let web = TcpListener::bind((Ipv4Addr::from(here()), 0))?;
    let port = web.local_addr()?.port();
    thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = names.recv_from(&mut buffer) {
            let mut answer = buffer[..length].to_vec();
            let known = answer[12..].starts_with(b"\x03web\x03lan\x07example\0");
            answer[2..4].copy_from_slice(if known { &[0x81, 0x80] } else { &[0x81, 0x83] });
            // Addresses of IPv4 only.
            if known && answer[length - 3] == 1 {
                answer[7] = 1;
                answer.extend(b"\xc0\x0c\0\x01\0\x01\0\0\0\x09\0\x04");
                answer.extend(here());
            }
            names.send_to(&answer, from).unwrap();
        }
    });
    thread::spawn(move || {
        for stream in web.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(&stream).lines().map_while(Result::ok);
            lines.take_while(|line| !line.is_empty()).for_each(drop);
            stream
                .write_all(b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n")
                .unwrap();
        }
    });
    Ok(port)
}

#[test]
fn the_launcher_alone_finds_hosts_in_a_file_and_at_name_servers() {
    require_root!();
    let port = servers().unwrap();
    let scratch = Scratch::new();
    let root = scratch.join("root");
    fs::create_dir_all(root.join("etc")).unwrap();
    host::copy_program(&host::program(), &root.join("launcher"));
    let here = Ipv4Addr::from(here());
    scratch.write("root/etc/hosts", format!("{here} known.example\n"));
    let text = format!("nameserver {here}\nsearch lan.example\n");
    scratch.write("root/etc/resolv.conf", text);
    let says = |host: &str, expected: &str| {
        let url = format!("http://{host}:{port}/a.aci");
        let ran = call(Path::new("chroot"))
            .arg(&root)
            .args(["/launcher", "--dir", "/dir", "fetch", "--quiet"])
            .args(["--insecure-options=image,http", &url])
            .run()
            .exits(1);
        let said = ran.stderr.lines().next();
        let expected = format!("launcher: cannot fetch image `{url}`: {expected}");
        assert_eq!(said, Some(&*expected));
    };
    for host in ["known.example", "web", "web.lan.example."] {
        says(host, "the server responded with `410 Gone`");
    }
    let unknown = "cannot resolve the host name: no host has this name";
    says("unknown.example", unknown);
}
