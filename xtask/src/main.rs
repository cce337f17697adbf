//! The project's tasks. One file a task; this one only says which.

#![forbid(unsafe_code)]

mod cmd;

mod ace;
mod aci;
mod attack;
mod bench;
mod build;
mod calls;
mod cross;
mod debian;
mod demo;
mod deny;
mod dist;
mod elf;
mod filters;
mod fuzz;
mod guest;
mod image;
mod images;
mod imports;
mod leftovers;
mod man;
mod nginx;
mod setup;
mod site;
mod size;
mod source;
mod sweep;
mod test;
mod tidy;
mod tokens;

use std::path::PathBuf;
use std::process::ExitCode;

use cmd::Result;
use pico_args::Arguments;

const HELP: &str = "\
The tasks of Nose Cone: cargo xtask TASK

  demo      build everything and run the hello image (as root); with --discovery,
            an image that is found by name, downloaded and verified over HTTPS
  test      run all checks that a change must pass, from formatting to running pods;
            --strict turns skipped tests into failures
  setup     install what the tests need (as root on Debian), or list what is missing;
            --cross adds the compilers for `cross`, almost a gigabyte
  build     build the launcher, with stage1-init embedded
  calls     generate the table of system calls from the crate that has the kernel's
            numbers; `tidy` checks that it is up to date
  images    build images/ into target/images; --into DIR writes them to DIR,
            --programs skips those that need Debian's tools
  dist      build both programs, check that they need nothing else, and pack them
            with licence and checksums; --target TRIPLE chooses the target
  man       write the man pages of the launcher to target/man
  attack    try known attacks on containers on this host, with many rounds of each
            race [--rounds N], and print which were prevented (as root)
  guest     run the tests that need another kernel, in virtual machines; --strict
            fails if this host cannot run them
  size      check the programs on disk, and a pod in memory, against their budgets
  bench     compare with a floor and the other runners that are installed (as root):
            bench run|parallel|enter|unpack|pull|net, and show what a full store costs:
            bench list|start [--growth]; with [--rounds N]. Results are in BENCHMARKS.md
  cross     build stage1-init for all supported machines, check its size, and start
            it in emulators; --strict fails if this host cannot
  filters   compare the default system call filter with those of podman and Docker,
            downloaded from Debian; each difference needs a reason in
            tests/golden/filters
  fuzz      feed random input to the parsers of foreign data:
            fuzz [TARGET] [--seconds N], a minute each by default
  sweep     kill every command at each of its system calls, and make each call fail;
            --only WORD selects commands, --sample tries a few calls of each;
            --deny refuses each call of `run` and `enter` every time; --races runs
            commands concurrently, in many rounds [--rounds N] (as root; half an
            hour, a quarter, and a quarter)
  soak      run hundreds of pods, concurrently and in sequence, and check that
            nothing is left of them (as root)
  tidy      check layers, import cycles, where unsafe code and foreign crates are
            used, and documents
  deny      check the licences, sources, versions and known vulnerabilities of
            all dependencies
  help      show this text
";

fn main() -> ExitCode {
    match parse().and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            cmd::say(&format!("xtask: {error}"));
            ExitCode::FAILURE
        }
    }
}

enum Task {
    Attack { rounds: Option<usize> },
    Bench(Bench, Option<usize>),
    Build,
    Calls,
    Cross { strict: bool },
    Dependencies,
    Demo { discovery: bool },
    Dist { target: Option<String> },
    Filters,
    Fuzz(Option<String>, u32),
    Guest { strict: bool },
    Help,
    Images { into: PathBuf, programs_only: bool },
    Setup { cross: bool },
    Man,
    Races { rounds: Option<usize> },
    Deny { only: Option<String> },
    Size,
    Soak,
    Sweep(sweep::Faults),
    Test { strict: bool },
    Tidy,
}

/// What is compared.
enum Bench {
    Enter,
    List,
    Net,
    Parallel,
    Run,
    Start { growth: bool },
    Pull,
    Unpack,
}

fn run(task: Task) -> Result<()> {
    match task {
        Task::Attack { rounds } => attack::attack(rounds),
        Task::Bench(what, rounds) => {
            let rounds = |usual| rounds.unwrap_or(usual);
            match what {
                Bench::Enter => bench::enter(rounds(100)),
                Bench::List => bench::list(rounds(20)),
                Bench::Net => bench::net(rounds(30)),
                Bench::Parallel => bench::parallel(rounds(20)),
                Bench::Run => bench::run(rounds(100)),
                Bench::Start { growth } => bench::start(rounds(50), growth),
                Bench::Pull => bench::pull(rounds(3)),
                Bench::Unpack => bench::unpack(rounds(5)),
            }
        }
        Task::Build => build::task(),
        Task::Calls => calls::calls(),
        Task::Cross { strict } => cross::cross(strict),
        Task::Demo { discovery: true } => demo::discovery(),
        Task::Demo { .. } => demo::demo(),
        Task::Dependencies => deny::deny(),
        Task::Deny { only } => sweep::deny(only),
        Task::Dist { target } => dist::dist(target),
        Task::Filters => filters::filters(),
        Task::Fuzz(target, seconds) => fuzz::fuzz(target.as_deref(), seconds),
        Task::Guest { strict } => test::guest(strict),
        Task::Help => {
            cmd::show(HELP);
            Ok(())
        }
        Task::Images {
            into,
            programs_only: true,
        } => images::programs(&into),
        Task::Images { into, .. } => images::all(&into),
        Task::Man => man::man(),
        Task::Setup { cross } => setup::setup(cross).map(drop),
        Task::Races { rounds } => sweep::races(rounds),
        Task::Size => size::task(),
        Task::Soak => sweep::soak(),
        Task::Sweep(faults) => sweep::faults(&faults),
        Task::Test { strict } => test::test(strict),
        Task::Tidy => tidy::tidy(),
    }
}

fn parse() -> Result<Task> {
    let mut words = Arguments::from_env();
    if words.contains(["-h", "--help"]) {
        return Ok(Task::Help);
    }
    let name = words.subcommand().map_err(|error| error.to_string())?;
    let task = match name.as_deref() {
        None | Some("help") => Task::Help,
        Some("attack") => Task::Attack {
            rounds: option(&mut words, "--rounds")?,
        },
        Some("bench") => bench_task(&mut words)?,
        Some("build") => Task::Build,
        Some("calls") => Task::Calls,
        Some("cross") => Task::Cross {
            strict: words.contains("--strict"),
        },
        Some("demo") => Task::Demo {
            discovery: words.contains("--discovery"),
        },
        Some("deny") => Task::Dependencies,
        Some("dist") => Task::Dist {
            target: option(&mut words, "--target")?,
        },
        Some("filters") => Task::Filters,
        Some("fuzz") => {
            let seconds = option(&mut words, "--seconds")?.unwrap_or(60);
            let target = words.subcommand().map_err(|error| error.to_string())?;
            Task::Fuzz(target, seconds)
        }
        Some("guest") => Task::Guest {
            strict: words.contains("--strict"),
        },
        Some("images") => Task::Images {
            into: option(&mut words, "--into")?.unwrap_or_else(cmd::images_dir),
            programs_only: words.contains("--programs"),
        },
        Some("man") => Task::Man,
        Some("setup") => Task::Setup {
            cross: words.contains("--cross"),
        },
        Some("size") => Task::Size,
        Some("soak") => Task::Soak,
        Some("sweep") if words.contains("--races") => Task::Races {
            rounds: option(&mut words, "--rounds")?,
        },
        Some("sweep") if words.contains("--deny") => Task::Deny {
            only: option(&mut words, "--only")?,
        },
        Some("sweep") => Task::Sweep(sweep::Faults {
            sample: words.contains("--sample"),
            only: option(&mut words, "--only")?,
        }),
        Some("test") => Task::Test {
            strict: words.contains("--strict"),
        },
        Some("tidy") => Task::Tidy,
        Some(other) => return Err(format!("no task `{other}`; see `cargo xtask help`")),
    };
    match words.finish().first() {
        None => Ok(task),
        Some(word) => Err(format!(
            "do not know what to do with `{}`; see `cargo xtask help`",
            word.to_string_lossy()
        )),
    }
}

fn bench_task(words: &mut Arguments) -> Result<Task> {
    let rounds = option(words, "--rounds")?;
    let name = words.subcommand().map_err(|error| error.to_string())?;
    let what = match name.as_deref() {
        None | Some("run") => Bench::Run,
        Some("enter") => Bench::Enter,
        Some("list") => Bench::List,
        Some("net") => Bench::Net,
        Some("parallel") => Bench::Parallel,
        Some("start") => Bench::Start {
            growth: words.contains("--growth"),
        },
        Some("pull") => Bench::Pull,
        Some("unpack") => Bench::Unpack,
        Some(other) => {
            return Err(format!(
                "no benchmark `{other}`: there are `run`, `parallel`, `enter`, `list`, `net`, \
                 `pull`, `start` and `unpack`"
            ));
        }
    };
    Ok(Task::Bench(what, rounds))
}

fn option<T: std::str::FromStr>(words: &mut Arguments, name: &'static str) -> Result<Option<T>>
where
    T::Err: std::fmt::Display,
{
    words
        .opt_value_from_str(name)
        .map_err(|error| error.to_string())
}
