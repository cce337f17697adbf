//! Runs contenders in turn, and measures them: wall and processor time, peak
//! memory, system calls. The C programs beside this file are the helpers.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cmd::{Result, cmd, failed, find, is_root, say, show, target_dir};

/// The variable that says how pods are connected: peers do not connect theirs.
pub(super) const NETWORK: &str = "NOSECONE_NET";

/// What was measured of one run, or of several at a time.
#[derive(Clone, Copy, Default)]
pub(super) struct Sample {
    /// Until all had ended, in milliseconds.
    pub(super) wall: f64,
    /// Processor time of all processes, in milliseconds.
    pub(super) processor: f64,
    /// Most memory that one process had, in KiB.
    pub(super) memory: u64,
}

/// One way to do what is compared.
pub(super) struct Contender {
    pub(super) name: String,
    program: PathBuf,
    words: Vec<OsString>,
    input: PathBuf,
    pub(super) samples: Vec<Sample>,
    /// All system calls of all its processes, if they could be counted.
    pub(super) calls: Option<u64>,
}

impl Contender {
    pub(super) fn new<W: AsRef<OsStr>>(name: &str, program: &Path, words: &[W]) -> Self {
        Self {
            name: name.to_owned(),
            program: program.to_owned(),
            words: words.iter().map(|word| word.as_ref().to_owned()).collect(),
            input: "/dev/null".into(),
            samples: Vec::new(),
            calls: None,
        }
    }

    /// Returns its command line.
    pub(super) fn words(&self) -> impl Iterator<Item = OsString> {
        let program = self.program.clone().into_os_string();
        std::iter::once(program).chain(self.words.iter().cloned())
    }

    /// Sets what it reads from its standard input.
    pub(super) fn input(mut self, file: &Path) -> Self {
        self.input = file.to_owned();
        self
    }

    /// Returns the value that so many tenths of all samples stay below.
    pub(super) fn quantile(&self, of: fn(&Sample) -> f64, tenths: usize) -> f64 {
        let mut values: Vec<f64> = self.samples.iter().map(of).collect();
        values.sort_unstable_by(f64::total_cmp);
        let last = values.len().saturating_sub(1);
        let index = (values.len() * tenths / 10).min(last);
        values.get(index).copied().unwrap_or_default()
    }

    pub(super) fn memory(&self) -> u64 {
        let memory = self.samples.iter().map(|sample| sample.memory);
        memory.max().unwrap_or_default()
    }
}

/// The helpers, built, and how often to measure.
pub(super) struct Bench {
    pub(super) dir: PathBuf,
    measure: PathBuf,
    rounds: usize,
    /// How many of each contender run at a time.
    width: usize,
}

impl Bench {
    /// Prepares an empty directory, and builds what measures.
    pub(super) fn new(name: &str, rounds: usize) -> Result<Self> {
        if !is_root() {
            return Err("running pods needs root".to_owned());
        }
        let dir = target_dir().join("bench").join(name);
        if dir.exists() {
            fs::remove_dir_all(&dir).map_err(failed("remove", &dir))?;
        }
        fs::create_dir_all(&dir).map_err(failed("make", &dir))?;
        let mut bench = Self {
            measure: PathBuf::new(),
            rounds: rounds.max(1),
            width: 1,
            dir,
        };
        bench.measure = bench.helper("measure", &["-static"])?;
        Ok(bench)
    }

    /// Runs so many of each contender at a time.
    pub(super) fn at_a_time(self, width: usize) -> Self {
        Self { width, ..self }
    }

    /// Compiles one of the C programs beside this file.
    pub(super) fn helper(&self, name: &str, flags: &[&str]) -> Result<PathBuf> {
        let source = format!("xtask/src/bench/{name}.c");
        let program = self.dir.join(name);
        let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
        let compile = cmd(compiler).args(["-O2", "-Wall", "-Wextra"]).args(flags);
        compile.arg("-o").arg(&program).arg(source).quiet().run()?;
        Ok(program)
    }

    /// Runs a contender to the end, which must be a success.
    ///
    /// # Errors
    ///
    /// What it says itself of why it fails.
    pub(super) fn once(&self, contender: &Contender) -> Result<Sample> {
        let mut measure = Command::new(&self.measure);
        measure.env(NETWORK, "none");
        measure.arg(self.width.to_string()).arg(&contender.input);
        measure.arg(&contender.program).args(&contender.words);
        let text = said(contender, &mut measure)?;
        let mut numbers = text.split_whitespace().map(str::parse::<u32>);
        let mut next = || numbers.next().and_then(std::result::Result::ok);
        match (next(), next(), next()) {
            (Some(wall), Some(processor), Some(memory)) => Ok(Sample {
                wall: f64::from(wall) / 1e3,
                processor: f64::from(processor) / 1e3,
                memory: memory.into(),
            }),
            _ => Err(format!("`measure` prints `{text}`")),
        }
    }

    /// Counts the system calls of a contender and all its children.
    pub(super) fn calls(&self, contender: &Contender) -> Result<Option<u64>> {
        let Some(strace) = find("strace") else {
            return Ok(None);
        };
        let summary = self.dir.join("calls");
        let mut traced = Command::new(strace);
        traced.env(NETWORK, "none");
        traced.args(["-f", "-c", "-qq", "-o"]).arg(&summary);
        traced.arg(&contender.program).args(&contender.words);
        let input = fs::File::open(&contender.input);
        traced.stdin(input.map_err(failed("open", &contender.input))?);
        said(contender, &mut traced)?;
        let text = fs::read_to_string(&summary).map_err(failed("read", &summary))?;
        let total = text.lines().find(|line| line.ends_with(" total"));
        let calls = total.and_then(|line| line.split_whitespace().nth(3)?.parse().ok());
        calls
            .map(Some)
            .ok_or_else(|| format!("strace prints no total: {text}"))
    }

    /// Measures all contenders. One that cannot run on this host is left out,
    /// unless it is the first, and the others go on.
    pub(super) fn measure(&self, contenders: Vec<Contender>) -> Result<Vec<Contender>> {
        let mut all: Vec<Contender> = Vec::new();
        // Once without the clock: caches fill.
        for mut contender in contenders {
            let counted = self.once(&contender).and_then(|_| match self.width {
                1 => self.calls(&contender),
                _ => Ok(None),
            });
            match counted {
                Ok(calls) => {
                    contender.calls = calls;
                    all.push(contender);
                }
                Err(error) if all.is_empty() => return Err(error),
                Err(error) => say(&format!("left out: {error}")),
            }
        }
        // Interleaved, so that whatever else the machine does meets all alike.
        for _ in 0..self.rounds {
            for contender in &mut all {
                let sample = self.once(contender)?;
                contender.samples.push(sample);
            }
        }
        Ok(all)
    }
}

/// Runs a command line of a contender, and returns what it prints.
fn said(contender: &Contender, command: &mut Command) -> Result<String> {
    let name = &contender.name;
    let output = command
        .output()
        .map_err(|error| format!("cannot run {name}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let words: Vec<&str> = words.lines().map(str::trim).collect();
    Err(match words.join("; ") {
        words if words.is_empty() => format!("{name} fails: {}", output.status),
        words => format!("{name} fails: {words}"),
    })
}

/// Prints all contenders, and how many times as long as each of the bases they
/// take.
pub(super) fn table(title: &str, contenders: &[Contender], bases: &[&str]) {
    say(&format!("\n{title}; milliseconds, KiB\n"));
    let wall = |sample: &Sample| sample.wall;
    let width = contenders.iter().map(|contender| contender.name.len());
    let width = width.max().unwrap_or_default();
    let mut titles = format!("{:<width$} {:>7} {:>7} {:>7}", "", "p10", "p50", "p90");
    let ratios = bases.iter().map(|base| format!("x {base}"));
    let ratios: Vec<String> = ratios.collect();
    for title in &ratios {
        titles.push_str(&format!(" {title:>7}"));
    }
    titles.push_str(&format!(" {:>7} {:>7} {:>7}\n", "cpu", "calls", "memory"));
    show(&titles);
    for contender in contenders {
        let [low, middle, high] = [1, 5, 9].map(|tenths| contender.quantile(wall, tenths));
        let mut line = format!("{:<width$}", contender.name);
        line.push_str(&format!(" {low:>7.2} {middle:>7.2} {high:>7.2}"));
        for (base, title) in bases.iter().zip(&ratios) {
            let wide = title.len().max(7);
            let base = contenders.iter().find(|other| other.name == *base);
            let ratio = base.map(|base| middle / base.quantile(wall, 5));
            let ratio = ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
            line.push_str(&format!(" {ratio:>wide$}"));
        }
        let calls = contender.calls.map(|calls| calls.to_string());
        line.push_str(&format!(
            " {:>7.2} {:>7} {:>7}\n",
            contender.quantile(|sample| sample.processor, 5),
            calls.unwrap_or_else(|| "-".to_owned()),
            contender.memory(),
        ));
        show(&line);
    }
}
