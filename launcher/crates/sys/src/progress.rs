//! What Nose Cone prints on standard error while it works.
//!
//! Results go to standard output, and errors are printed by `main`. This is for
//! what takes long: plain lines and, on a terminal, a bar below them for each
//! download that is under way.

use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::size::spell;
use crate::standard::Output;
use error::Error;
use error::quote::{escaped, shown};

/// Shortest time between two frames of a bar.
const FRAME: Duration = Duration::from_millis(100);

/// Assumed size of a terminal that does not report one.
const COLUMNS: usize = 80;
const ROWS: usize = 24;

/// Whether details are told. It is a property of the process, like its standard
/// error.
static VERBOSE: AtomicBool = AtomicBool::new(false);

/// Sets whether details are told (`--verbose`).
pub fn set_verbose(verbose: bool) {
    VERBOSE.store(verbose, Ordering::Relaxed);
}

/// Returns whether details are told.
pub fn is_verbose() -> bool {
    VERBOSE.load(Ordering::Relaxed)
}

/// Who else is told of progress, besides whoever reads standard error.
static TOLD: OnceLock<Tell> = OnceLock::new();

/// Called with the name of a download.
type Tell = Box<dyn Fn(&str) + Send + Sync>;

/// The shortest time between two times that they are told.
const PULSE: Duration = Duration::from_secs(5);

/// Has this called with the name of a download when it begins, and now and then
/// while bytes arrive. It is a property of the process; the first that is set stays.
pub fn each_time(tell: impl Fn(&str) + Send + Sync + 'static) {
    let _ = TOLD.set(Box::new(tell));
}

/// Where progress goes: to standard error, or nowhere.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    quiet: bool,
}

impl Progress {
    /// Reports on standard error, or nowhere if `quiet`.
    pub fn new(quiet: bool) -> Self {
        Self { quiet }
    }

    /// Returns whether bars are drawn. A terminal that cannot move the cursor gets
    /// plain lines.
    fn draws(self) -> bool {
        let dumb = || std::env::var_os("TERM").is_none_or(|kind| kind == "dumb");
        !self.quiet && std::io::stderr().is_terminal() && !dumb()
    }

    /// Prints a line, above the bars.
    pub fn say(self, line: &str) {
        if !self.quiet {
            screen().print(&format!("{}\n", shown(line)));
        }
    }

    /// Prints a line that only matters to whoever asks for details.
    pub fn tell(self, line: &str) {
        if is_verbose() {
            self.say(line);
        }
    }

    /// Prints a warning: something failed that does not stop the command.
    pub fn warn(self, error: &Error) {
        if !self.quiet {
            // Errors are escaped already, and can have a line for the hint.
            screen().print(&format!("warning: {error}\n"));
        }
    }

    /// Starts a bar for a download of `total` bytes, if that is known. Where none are
    /// drawn, there is a line at its end.
    pub fn bar(self, name: &str, total: Option<u64>) -> ProgressBar {
        let start = Instant::now();
        let download = Download {
            name: escaped(name),
            total,
            done: 0,
            start,
        };
        let drawn = self.draws().then(|| screen().add(download.clone()));
        let mut bar = ProgressBar {
            output: self,
            download,
            drawn,
            told: None,
        };
        bar.tell();
        bar
    }
}

/// A download, as far as it is.
#[derive(Clone, Debug)]
struct Download {
    name: String,
    total: Option<u64>,
    done: u64,
    start: Instant,
}

/// A download in progress. If it is dropped before [`Self::finish`], the bar is
/// removed.
#[derive(Debug)]
pub struct ProgressBar {
    output: Progress,
    download: Download,
    /// Which of the bars it is, if it is drawn.
    drawn: Option<u64>,
    /// When others were told last.
    told: Option<Instant>,
}

impl ProgressBar {
    /// Adds bytes that have arrived.
    pub fn advance(&mut self, bytes: u64) {
        let done = self.download.done.saturating_add(bytes);
        self.download.done = done;
        self.tell();
        if let Some(number) = self.drawn {
            screen().advance(number, done);
        }
    }

    /// Tells others that it goes on, if it is time to.
    fn tell(&mut self) {
        if let Some(tell) = TOLD.get()
            && self.told.is_none_or(|told| told.elapsed() >= PULSE)
        {
            self.told = Some(Instant::now());
            tell(&self.download.name);
        }
    }

    /// Replaces the bar with a summary.
    pub fn finish(mut self) {
        self.remove();
        let Download {
            name, done, start, ..
        } = &self.download;
        self.output.say(&ending(name, *done, start.elapsed()));
    }

    fn remove(&mut self) {
        if let Some(number) = self.drawn.take() {
            screen().remove(number);
        }
    }
}

impl Drop for ProgressBar {
    fn drop(&mut self) {
        self.remove();
    }
}

/// The bars below everything that was printed. It is a property of the process, like
/// its standard error.
static SCREEN: Mutex<Screen> = Mutex::new(Screen::new());

fn screen() -> MutexGuard<'static, Screen> {
    SCREEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is drawn on the last lines of a terminal.
struct Screen {
    bars: Vec<(u64, Download)>,
    /// How many bars there were so far.
    count: u64,
    /// How many lines are drawn.
    lines: usize,
    /// When they were drawn last.
    drawn: Option<Instant>,
}

impl Screen {
    const fn new() -> Self {
        Self {
            bars: Vec::new(),
            count: 0,
            lines: 0,
            drawn: None,
        }
    }

    /// Adds a bar, which is drawn with its first bytes.
    fn add(&mut self, download: Download) -> u64 {
        self.count += 1;
        self.bars.push((self.count, download));
        self.count
    }

    fn advance(&mut self, number: u64, done: u64) {
        let mut bars = self.bars.iter_mut();
        let mut is_first = false;
        if let Some((_, bar)) = bars.find(|(other, _)| *other == number) {
            is_first = bar.done == 0;
            bar.done = done;
        }
        let now = Instant::now();
        if is_first || self.drawn.is_none_or(|drawn| now - drawn >= FRAME) {
            self.drawn = Some(now);
            self.print("");
        }
    }

    fn remove(&mut self, number: u64) {
        self.bars.retain(|(other, _)| *other != number);
        if self.lines > 0 {
            self.print("");
        }
    }

    /// Prints lines, and draws the bars below them.
    fn print(&mut self, text: &str) {
        let size = match self.bars.is_empty() {
            true => (0, 0),
            false => size(),
        };
        let text = self.frame(text, size, Instant::now());
        write(&text);
    }

    /// Returns what moves the cursor to the first bar, removes all of them, prints
    /// lines, and draws the bars anew: as many as there is room for.
    fn frame(&mut self, text: &str, (columns, rows): (usize, usize), now: Instant) -> String {
        let mut frame = String::new();
        match self.lines {
            0 => {}
            1 => frame.push_str("\r\x1b[K"),
            lines => frame.push_str(&format!("\r\x1b[{}A\x1b[J", lines - 1)),
        }
        frame.push_str(text);
        // Nothing is drawn before the first bytes.
        let bars = match self.drawn {
            Some(_) => &self.bars[..self.bars.len().min(rows.saturating_sub(1))],
            None => &[],
        };
        let lines = bars.iter().map(|(_, download)| {
            let Download {
                name, done, total, ..
            } = download;
            let time = now.saturating_duration_since(download.start);
            draw(name, *done, *total, time, columns)
        });
        frame.push_str(&lines.collect::<Vec<_>>().join("\n"));
        self.lines = bars.len();
        frame
    }
}

/// Standard error may be closed, which is no reason to stop.
fn write(text: &str) {
    let _ = Output::stderr().write_all(text.as_bytes());
}

/// Returns the columns and rows of the terminal.
fn size() -> (usize, usize) {
    let size = rustix::termios::tcgetwinsize(std::io::stderr()).ok();
    let told = |name| std::env::var(name).ok()?.parse().ok();
    let of = |asked: Option<u16>, name, usual| {
        let asked = asked.map(usize::from).filter(|asked| *asked > 0);
        asked.or_else(|| told(name)).unwrap_or(usual)
    };
    let columns = of(size.map(|size| size.ws_col), "COLUMNS", COLUMNS);
    (columns, of(size.map(|size| size.ws_row), "LINES", ROWS))
}

/// Draws a bar that is narrower than `columns`, because some terminals wrap
/// after the last column.
fn draw(name: &str, done: u64, total: Option<u64>, time: Duration, columns: usize) -> String {
    let speed = per_second(done, time);
    let rate = format!("{}/s", spell(speed));
    let figures = match total.filter(|total| *total > 0) {
        Some(total) => {
            let percent = u128::from(done.min(total)) * 100 / u128::from(total);
            let left = match total.saturating_sub(done).checked_div(speed) {
                Some(seconds) => clock(seconds),
                None => "-:--".to_owned(),
            };
            format!(
                "{percent:3}%  {}/{}  {rate}  {left}",
                spell(done),
                spell(total)
            )
        }
        None => format!("{}  {rate}", spell(done)),
    };
    let room = columns.saturating_sub(figures.chars().count() + 3);
    // Half of the rest is for the end of the name, which differs most.
    let length = name.chars().count();
    let shown: String = match length.checked_sub(room / 2) {
        Some(beyond) if beyond > 0 => {
            let tail = name.chars().skip(beyond + 1);
            std::iter::once('\u{2026}').chain(tail).collect()
        }
        _ => name.to_owned(),
    };
    let room = room.saturating_sub(shown.chars().count() + 4).min(40);
    let line = match total.filter(|total| *total > 0 && room >= 5) {
        Some(total) => {
            let width = u64::try_from(room).unwrap_or(0);
            let full = u128::from(done.min(total)) * u128::from(width) / u128::from(total);
            let full = usize::try_from(full).unwrap_or(0);
            let rest = room - full;
            format!(
                "{shown}  [{}{}]  {figures}",
                "=".repeat(full),
                " ".repeat(rest)
            )
        }
        None => format!("{shown}  {figures}"),
    };
    line.chars().take(columns.saturating_sub(1)).collect()
}

fn ending(name: &str, done: u64, time: Duration) -> String {
    let speed = spell(per_second(done, time));
    let seconds = time.as_secs_f64();
    format!(
        "Fetched: {name} ({} in {seconds:.1} s, {speed}/s)",
        spell(done)
    )
}

fn per_second(done: u64, time: Duration) -> u64 {
    let millis = time.as_millis().max(1);
    u64::try_from(u128::from(done) * 1000 / millis).unwrap_or(u64::MAX)
}

/// `0:07`, `12:34`, `1:02:03`; anything longer is unknown.
fn clock(seconds: u64) -> String {
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{rest:02}"),
        1..=99 => format!("{hours}:{minutes:02}:{rest:02}"),
        _ => "-:--".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn no_bar_reaches_the_last_column() {
        let name = "https://example.com/a/very/long/path/to/some/image-1.2.3-linux-amd64.aci";
        for columns in 0..200 {
            for total in [None, Some(0), Some(5), Some(u64::MAX)] {
                for done in [0, 7, u64::MAX] {
                    let line = draw(name, done, total, SECOND, columns);
                    let width = line.chars().count();
                    assert!(width < columns.max(1), "{columns}: {line}");
                }
            }
        }
    }

    #[test]
    fn a_bar_shows_how_far_how_fast_and_how_long() {
        let line = draw("app", 3 << 20, Some(12 << 20), SECOND * 2, 80);
        assert_eq!(
            line,
            "app  [=======                        ]   25%  3.0 MiB/12.0 MiB  1.5 MiB/s  0:06"
        );
        assert_eq!(
            draw("app", 2048, None, SECOND, 80),
            "app  2.0 KiB  2.0 KiB/s"
        );
        assert_eq!(
            draw("app", 0, Some(9), Duration::ZERO, 40),
            "app    0%  0 B/9 B  0 B/s  -:--"
        );
    }

    #[test]
    fn a_long_name_is_known_by_its_end() {
        let line = draw(
            "https://example.com/images/app-1.2.3.aci",
            1,
            None,
            SECOND,
            40,
        );
        assert_eq!(line, "\u{2026}pp-1.2.3.aci  1 B  1 B/s");
    }

    #[test]
    fn a_name_cannot_drive_the_terminal() {
        let progress = Progress::new(true).bar("a\u{1b}[2J\r\nb", Some(1));
        assert_eq!(progress.download.name, r"a\u{1b}[2J\r\nb");
    }

    /// A screen with bars of these names, and what it draws first.
    fn drawn(names: &[&str], rows: usize) -> (Screen, String, Instant) {
        let mut screen = Screen::new();
        let start = Instant::now();
        for name in names {
            screen.add(Download {
                name: (*name).to_owned(),
                total: None,
                done: 0,
                start,
            });
        }
        assert_eq!(screen.frame("said\n", (80, rows), start), "said\n");
        screen.drawn = Some(start);
        let first = screen.frame("", (80, rows), start);
        (screen, first, start)
    }

    #[test]
    fn each_download_has_a_bar_and_lines_are_printed_above_all_of_them() {
        let (mut screen, first, now) = drawn(&["one", "two", "three"], 24);
        let [one, two, three] = ["one", "two", "three"].map(|name| format!("{name}  0 B  0 B/s"));
        assert_eq!(first, format!("{one}\n{two}\n{three}"));
        let next = screen.frame("said\n", (80, 24), now);
        assert_eq!(next, format!("\r\x1b[2A\x1b[Jsaid\n{one}\n{two}\n{three}"));
        screen.bars.remove(1);
        let next = screen.frame("", (80, 24), now);
        assert_eq!(next, format!("\r\x1b[2A\x1b[J{one}\n{three}"));
        screen.bars.clear();
        assert_eq!(screen.frame("", (80, 24), now), "\r\x1b[1A\x1b[J");
        assert_eq!(screen.frame("said\n", (80, 24), now), "said\n");
    }

    #[test]
    fn bars_never_scroll_a_terminal() {
        for rows in 0..5 {
            let (_, first, _) = drawn(&["a", "b", "c"], rows);
            assert!(first.lines().count() <= rows.saturating_sub(1), "{first:?}");
        }
    }

    #[test]
    fn times_are_short() {
        for (seconds, text) in [
            (0, "0:00"),
            (67, "1:07"),
            (3723, "1:02:03"),
            (u64::MAX, "-:--"),
        ] {
            assert_eq!(clock(seconds), text);
        }
        let text = "Fetched: app (3.0 MiB in 2.0 s, 1.5 MiB/s)";
        assert_eq!(ending("app", 3 << 20, SECOND * 2), text);
    }
}
