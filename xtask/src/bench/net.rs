//! `cargo xtask bench net`: what networks cost: a web server and its clients, and
//! the start and end of pods.
//!
//! All of it happens in namespaces of its own: a host with a neighbour.

use std::ffi::OsString;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use super::measure::{Bench, Contender, table};
use super::run::{EXITS, Ground};
use crate::cmd::{Result, cmd, failed, find, say, show};
use crate::nginx;

/// Set where this program has namespaces of its own.
const INSIDE: &str = "NOSECONE_BENCH_SITE";

/// The addresses of the host and of its neighbour.
const HOST: &str = "192.0.2.1";
const NEIGHBOUR: &str = "192.0.2.2";

/// How long each client asks.
const SECONDS: u32 = 3;

/// How many connections a client has.
const CONNECTIONS: u32 = 32;

/// Measures throughput and starts.
pub(crate) fn net(rounds: usize) -> Result<()> {
    if std::env::var_os(INSIDE).is_none() {
        return apart(rounds);
    }
    let site = Site::new()?;
    let ground = Ground::new(Bench::new("net", rounds)?)?;
    starts(&ground)?;
    throughput(&site, &ground, rounds.div_ceil(5))
}

/// Does it in namespaces of its own.
fn apart(rounds: usize) -> Result<()> {
    let unshare = find("unshare").ok_or("unshare is missing")?;
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    // podman's runtime refuses a host with both versions of cgroups.
    let script = "umount -l /sys/fs/cgroup/unified 2>/dev/null; exec \"$@\"";
    cmd(unshare)
        .args(["--net", "--mount", "sh", "-c", script, "-"])
        .arg(own)
        .args(["bench", "net", "--rounds", &rounds.to_string()])
        .env(INSIDE, "1")
        .quiet()
        .run()
}

/// The configuration of the same network for plugins.
const CNI: &str = r#"{"cniVersion":"0.4.0","name":"cni","plugins":[
    {"type":"bridge","bridge":"cni-bench","isGateway":true,"ipMasq":true,
     "ipam":{"type":"host-local","dataDir":"/etc/nosecone/leases","subnet":"10.78.0.0/16",
             "routes":[{"dst":"0.0.0.0/0"}]}},
    {"type":"portmap","capabilities":{"portMappings":true}}]}
"#;

/// A host with a neighbour, in this process's namespaces.
struct Site {
    /// Holds the neighbour's network namespace.
    neighbour: Child,
}

impl Site {
    fn new() -> Result<Self> {
        let ip = |words: &str| cmd("ip").args(words.split(' ')).quiet().run();
        let mut sleep = cmd("unshare").args(["--net", "sleep", "infinity"]).quiet();
        sleep = sleep.env(INSIDE, "1");
        let neighbour = sleep.into_command().spawn();
        let site = Self {
            neighbour: neighbour.map_err(|error| format!("cannot run unshare: {error}"))?,
        };
        let own = fs::read_link("/proc/self/ns/net").unwrap_or_default();
        let its = PathBuf::from(site.namespace());
        wait(|| fs::read_link(&its).is_ok_and(|its| its != own))?;
        ip("link set lo up")?;
        let pid = site.neighbour.id();
        ip(&format!(
            "link add eth0 type veth peer name eth0 netns {pid}"
        ))?;
        ip(&format!("address add {HOST}/24 dev eth0"))?;
        ip("link set eth0 up")?;
        for words in [
            "link set lo up",
            &format!("address add {NEIGHBOUR}/24 dev eth0"),
            "link set eth0 up",
        ] {
            site.there("ip").args(words.split(' ')).quiet().run()?;
        }
        // What is configured here is not the machine's, nor is what podman leases.
        for place in ["/etc/nosecone", "/run/containers"] {
            let path = Path::new(place);
            fs::create_dir_all(path).map_err(failed("make", path))?;
            let mount = ["-t", "tmpfs", "-o", "mode=755", "none", place];
            cmd("mount").args(mount).quiet().run()?;
        }
        let place = PathBuf::from("/etc/nosecone/net.d");
        fs::create_dir(&place).map_err(failed("make", &place))?;
        let file = place.join("cni.conflist");
        fs::write(&file, CNI).map_err(failed("write", &file))?;
        Ok(site)
    }

    fn namespace(&self) -> String {
        format!("/proc/{}/ns/net", self.neighbour.id())
    }

    /// A command line of the neighbour.
    fn there(&self, program: &str) -> crate::cmd::Cmd {
        cmd("nsenter")
            .arg(format!("--net={}", self.namespace()))
            .arg(program)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.neighbour.kill();
        let _ = self.neighbour.wait();
    }
}

/// Waits until something is so.
fn wait(so: impl Fn() -> bool) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(30);
    while !so() {
        if Instant::now() > end {
            return Err("something that was started is not there after 30 seconds".to_owned());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// What the ratios of starts are of.
const ALONE: &str = "launcher run --net=none";

/// Runs a program that only exits, in every network.
fn starts(ground: &Ground) -> Result<()> {
    let image = ground.image.to_string_lossy();
    let ours = |network: &str| {
        let option = format!("--net={network}");
        ground.ours(&format!("launcher run {option}"), &["run", &option, &image])
    };
    let mut contenders: Vec<Contender> = ["none", "host", "nat", "bridge", "cni"]
        .into_iter()
        .map(ours)
        .collect();
    match podman(ground) {
        Ok(podman) => contenders.extend(podman),
        Err(error) => say(&format!("left out: podman: {error}")),
    }
    let measured = ground.bench.measure(contenders)?;
    let title = "A program that only exits runs in a pod with a network";
    table(title, &measured, &[ALONE]);
    Ok(())
}

/// podman with the same root file system: its own network, and none.
fn podman(ground: &Ground) -> Result<Vec<Contender>> {
    let podman = find("podman").ok_or("it is missing")?;
    let place = |name: &str| ground.bench.dir.join("podman").join(name);
    let mut words: Vec<OsString> = Vec::new();
    for (option, name) in [("--root", "root"), ("--runroot", "run")] {
        words.extend([option.into(), place(name).into()]);
    }
    let rest = [
        "--cgroup-manager=cgroupfs",
        "--events-backend=file",
        "--network-backend=netavark",
    ];
    words.extend(rest.map(OsString::from));
    words.extend(["--network-config-dir".into(), place("networks").into()]);
    let archive = ground.bench.dir.join("root.tar");
    let tar = cmd("tar").arg("-C").arg(&ground.root).arg("-cf");
    tar.arg(&archive).arg(".").quiet().run()?;
    let import = cmd(&podman).args(&words).args(["import", "--quiet"]);
    import.arg(&archive).arg("bench").quiet().read()?;
    let run = |network: &str| {
        let mut all = words.clone();
        all.extend(["run", "--rm", "--network", network].map(OsString::from));
        // The limits that podman asks for are more than some hosts allow.
        all.extend(["--ulimit=nofile=1024:1024", "--ulimit=nproc=1000:1000"].map(OsString::from));
        all.extend(["localhost/bench", EXITS].map(OsString::from));
        Contender::new(&format!("podman run --network={network}"), &podman, &all)
    };
    Ok(["none", "host", "podman"].into_iter().map(run).collect())
}

/// A web server that runs: where it is, and what stops it.
struct Server {
    name: &'static str,
    port: u16,
    process: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = self.process.id().to_string();
        let stopped = cmd("kill").args(["-TERM", &pid]).quiet().run();
        stopped.unwrap_or_else(|error| say(&error));
        let _ = self.process.wait();
    }
}

/// Lets clients ask the same web server in every network.
fn throughput(site: &Site, ground: &Ground, rounds: usize) -> Result<()> {
    let Some(wrk) = find("wrk").filter(|_| Path::new(nginx::PROGRAM).exists()) else {
        say("left out: a web server and its clients (need nginx-light and wrk)");
        return Ok(());
    };
    let dir = &ground.bench.dir;
    nginx::build(dir)?;
    let image = dir.join("nginx.aci");
    let mut servers = vec![on_the_host(dir)?];
    for (name, port, options) in [
        ("pod, --net=host", 80, &["--net=host"][..]),
        ("pod, --net=nat", 8081, &["--net=nat", "-p", "8081:80"]),
        (
            "pod, --net=bridge",
            8082,
            &["--net=bridge", "-p", "8082:80"],
        ),
        (
            "pod, CNI's bridge and portmap",
            8083,
            &["--net=cni", "-p", "8083:80"],
        ),
    ] {
        let run = cmd(&ground.launcher).arg("--dir").arg(&ground.store);
        let run = run.arg("run").args(options).arg(&image).quiet();
        let process = run.into_command().spawn();
        servers.push(Server {
            name,
            port,
            process: process.map_err(failed("run", &ground.launcher))?,
        });
    }
    for server in &servers {
        wait(|| answers(server.port))?;
    }
    let wrk = wrk.to_string_lossy();
    let clients = [("loopback", "127.0.0.1", false), ("neighbour", HOST, true)];
    let mut all: Vec<(String, Vec<Asked>)> = Vec::new();
    for server in &servers {
        for (client, ..) in clients {
            all.push((format!("{}, from {client}", server.name), Vec::new()));
        }
    }
    for round in 0..=rounds {
        let mut each = all.iter_mut();
        for server in &servers {
            for (_, address, is_there) in clients {
                let url = format!("http://{address}:{}/", server.port);
                let client = match is_there {
                    true => site.there(&wrk),
                    false => cmd(&*wrk),
                };
                // The first warms up.
                let seconds = if round == 0 { 1 } else { SECONDS };
                let words = ["-t1", &format!("-c{CONNECTIONS}"), &format!("-d{seconds}s")];
                let said = client.args(words).args(["--latency", &url]).quiet();
                let asked = Asked::read(&said.read()?)?;
                if let Some((_, asked_before)) = each.next()
                    && round > 0
                {
                    asked_before.push(asked);
                }
            }
        }
    }
    print(&all);
    Ok(())
}

/// Returns whether a server answers on this port of the host.
fn answers(port: u16) -> bool {
    let mut answer = [0; 1];
    let asked = TcpStream::connect(("127.0.0.1", port)).and_then(|mut stream| {
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        stream.read(&mut answer)
    });
    asked.is_ok_and(|length| length > 0)
}

/// Starts the server without a pod.
fn on_the_host(dir: &Path) -> Result<Server> {
    let file = crate::cmd::root().join("images/nginx/rootfs/etc/nginx.conf");
    let text = fs::read_to_string(&file).map_err(failed("read", &file))?;
    let page = crate::cmd::root().join("images/nginx/rootfs/www");
    let own = dir.join("www");
    cmd("cp").arg("-r").arg(page).arg(&own).quiet().run()?;
    let text = text
        .replace("/run/nginx.pid", &dir.join("nginx.pid").to_string_lossy())
        .replace(":80;", ":8080;")
        .replace("listen 80;", "listen 8080;")
        .replace("/www", &own.to_string_lossy());
    let file = dir.join("nginx.conf");
    fs::write(&file, text).map_err(failed("write", &file))?;
    let run = cmd(nginx::PROGRAM).args(["-e", "stderr", "-c"]).arg(&file);
    let process = run.quiet().into_command().spawn();
    Ok(Server {
        name: "no pod",
        port: 8080,
        process: process.map_err(failed("run", Path::new(nginx::PROGRAM)))?,
    })
}

/// What a client has seen.
struct Asked {
    /// Answers in a second.
    rate: f64,
    /// How long half of them took at most, in milliseconds.
    middle: f64,
    /// The same of 99 in 100.
    late: f64,
}

impl Asked {
    /// Reads what wrk(1) prints.
    fn read(text: &str) -> Result<Self> {
        let after = |word: &str| {
            let mut words = text.split_whitespace().skip_while(|other| *other != word);
            words.nth(1)
        };
        let time = |word: &str| {
            let text = after(word)?;
            let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
            let unit = match &text[number.len()..] {
                "us" => 1e-3,
                "ms" => 1.0,
                "s" => 1e3,
                _ => return None,
            };
            Some(number.parse::<f64>().ok()? * unit)
        };
        let failed = text.contains("Socket errors") || text.contains("Non-2xx");
        let rate = after("Requests/sec:").and_then(|rate| rate.parse().ok());
        match (rate, time("50%"), time("99%")) {
            (Some(rate), Some(middle), Some(late)) if !failed => Ok(Self { rate, middle, late }),
            _ => Err(format!("wrk prints `{text}`")),
        }
    }
}

fn print(all: &[(String, Vec<Asked>)]) {
    let title = format!(
        "A web server answers with a page of 1 KiB, {CONNECTIONS} connections; the middle of \
         several runs of {SECONDS} seconds"
    );
    say(&format!("\n{title}\n"));
    let middle = |asked: &[Asked], of: fn(&Asked) -> f64| {
        let mut values: Vec<f64> = asked.iter().map(of).collect();
        values.sort_unstable_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or_default()
    };
    let width = all
        .iter()
        .map(|(name, _)| name.len())
        .max()
        .unwrap_or_default();
    show(&format!(
        "{:<width$} {:>10} {:>7} {:>7} {:>7}\n",
        "", "per second", "x alone", "p50 ms", "p99 ms"
    ));
    for (at, (name, asked)) in all.iter().enumerate() {
        // The first server is without a pod; its clients alternate.
        let alone = all
            .get(at % 2)
            .map(|(_, asked)| middle(asked, |one| one.rate));
        let rate = middle(asked, |one| one.rate);
        show(&format!(
            "{name:<width$} {rate:>10.0} {:>7.2} {:>7.2} {:>7.2}\n",
            rate / alone.unwrap_or(rate),
            middle(asked, |one| one.middle),
            middle(asked, |one| one.late)
        ));
    }
}
