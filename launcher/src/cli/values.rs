//! Parses the values of options: volumes, mounts, system calls, numbers, and
//! pairs of a name and a text.
//!
//! Parts are separated by commas, or by colons; a backslash takes one of these
//! literally.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::cli::options::Options;
use crate::cli::separated::{first, parts};
use crate::cli::spelling::{boolean, excluded};
use crate::cmd::results::Format;
use appc::manifest::pod::{EMPTY_MODE, Mount, Volume, VolumeKind, mode};
use appc::types::{AcName, Quantity, absolute};
use error::quote::quoted;
use error::{Error, Result};
use pod::resolve::isolators::LEAST_MEMORY;
use pod::resolve::request::Writable;
use pod::resolve::settings::Setting;
use pod::resolve::tmpfs;
use pod::resolve::volumes::Requested;
use pod::spec::mounts::{Size, Tmpfs};

/// `KEY=VALUE` parts, taken one by one.
pub(super) struct Parts(Vec<(String, String)>);

impl Parts {
    /// Parses parts. Each must have one of these keys, none twice.
    pub(super) fn read(parts: impl Iterator<Item = String>, keys: &[&str]) -> Result<Self> {
        let mut read: Vec<(String, String)> = Vec::new();
        for part in parts {
            let (key, value) = part
                .split_once('=')
                .ok_or_else(|| Error::usage(format!("{} is not `KEY=VALUE`", quoted(&part))))?;
            if !keys.contains(&key) {
                let keys: Vec<_> = keys.iter().map(|key| format!("`{key}`")).collect();
                return Err(Error::usage(format!("unknown key {}", quoted(key)))
                    .hint(format!("the keys are {}", keys.join(", "))));
            }
            if read.iter().any(|(known, _)| known == key) {
                return Err(Error::usage(format!("the key `{key}` is given twice")));
            }
            read.push((key.to_owned(), value.to_owned()));
        }
        Ok(Self(read))
    }

    /// Takes the value of a key, if it was given.
    pub(super) fn take(&mut self, key: &str) -> Option<String> {
        let at = self.0.iter().position(|(known, _)| known == key)?;
        Some(self.0.remove(at).1)
    }

    /// Takes the value of a key.
    pub(super) fn required(&mut self, key: &str) -> Result<String> {
        self.take(key)
            .ok_or_else(|| Error::usage(format!("the key `{key}` is missing")))
    }

    fn boolean(&mut self, key: &str) -> Result<Option<bool>> {
        let Some(value) = self.take(key) else {
            return Ok(None);
        };
        boolean(&value).map(Some).ok_or_else(|| {
            Error::usage(format!(
                "{} is neither `true` nor `false`",
                quoted(&format!("{key}={value}"))
            ))
        })
    }

    /// The highest number is not an ID: for chown(2), it means no change.
    fn id(&mut self, key: &str) -> Result<Option<u32>> {
        self.take(key).map(|value| id(&value, key)).transpose()
    }
}

/// Parses the number of a user or group.
pub(super) fn id(text: &str, noun: &str) -> Result<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|&id| digits && id != u32::MAX);
    number.ok_or_else(|| Error::usage(format!("{} is not a {noun}", quoted(text))))
}

/// The value of `--volume`.
#[derive(Debug)]
pub(super) struct OptionVolume {
    /// The volume.
    pub(super) requested: Requested,
    /// Where all apps mount it, without using its name.
    pub(super) everywhere: Option<String>,
}

/// Parses a volume: `/HOST:/POD[:ro]`, or one with a name.
pub(super) fn volume(text: &str) -> Result<OptionVolume> {
    match text.contains([':', ',']) {
        true if text.starts_with('/') => bind(text),
        _ => Ok(OptionVolume {
            requested: named_volume(text)?,
            everywhere: None,
        }),
    }
}

/// Parses a path of the host and its mount point: `/HOST:/POD[:ro]`.
fn bind(text: &str) -> Result<OptionVolume> {
    let wrong = |what: &str| {
        Error::usage(format!("{what} in {}", quoted(text)))
            .hint("use `/HOST:/POD` or `/HOST:/POD:ro`; in a path, write a colon as `\\:`")
    };
    let parts = parts(text, ':');
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let (host, path, read_only) = match parts[..] {
        [host, path] | [host, path, "rw"] => (host, path, false),
        [host, path, "ro"] => (host, path, true),
        [_, _, _] => return Err(wrong("unknown mode")),
        _ => {
            return Err(wrong("expected two paths"));
        }
    };
    if !path.starts_with('/') {
        return Err(wrong("the path in the pod is not absolute"));
    }
    Ok(OptionVolume {
        requested: Requested {
            volume: Volume {
                name: AcName::parse("volume")?,
                kind: VolumeKind::Host {
                    source: source(host)?,
                    recursive: None,
                },
                read_only: read_only.then_some(true),
            },
            follow_links: false,
            reason: "option --volume",
        },
        everywhere: Some(absolute(path)?),
    })
}

/// Parses a volume: `NAME,kind=host,source=/PATH` or `NAME,kind=empty`, and
/// more keys.
fn named_volume(text: &str) -> Result<Requested> {
    const KEYS: &[&str] = &[
        "kind",
        "source",
        "readOnly",
        "recursive",
        "followSymlinks",
        "mode",
        "uid",
        "gid",
    ];
    let mut parts = parts(text, ',').into_iter();
    let name = AcName::parse(&parts.next().unwrap_or_default())?;
    let mut parts = Parts::read(parts, KEYS)?;
    let read_only = parts.boolean("readOnly")?;
    let kind = parts.required("kind")?;
    let mut follow_links = false;
    let volume_kind = match &*kind {
        "host" => {
            follow_links = parts.boolean("followSymlinks")?.unwrap_or(false);
            VolumeKind::Host {
                source: source(&parts.required("source")?)?,
                recursive: parts.boolean("recursive")?,
            }
        }
        "empty" => VolumeKind::Empty {
            mode: parts
                .take("mode")
                .map_or(Ok(EMPTY_MODE), |text| mode(&text))?,
            uid: parts.id("uid")?.unwrap_or(0),
            gid: parts.id("gid")?.unwrap_or(0),
        },
        other => {
            return Err(Error::usage(format!(
                "{} is not a kind of volume: use `host` or `empty`",
                quoted(other)
            )));
        }
    };
    if let Some((key, _)) = parts.0.first() {
        return Err(Error::usage(format!(
            "the key `{key}` does not apply to volumes of kind `{kind}`"
        )));
    }
    Ok(Requested {
        volume: Volume {
            name,
            kind: volume_kind,
            read_only,
        },
        follow_links,
        reason: "option --volume",
    })
}

fn source(text: &str) -> Result<String> {
    match text.starts_with('/') {
        true => Ok(text.to_owned()),
        false => Err(Error::usage(format!(
            "the source {} is not an absolute path",
            quoted(text)
        ))),
    }
}

/// Parses a mount: `volume=NAME,target=PATH`. A relative target is relative to
/// the root.
pub(super) fn mount(text: &str) -> Result<Mount> {
    let mut parts = Parts::read(parts(text, ',').into_iter(), &["volume", "target"])?;
    let volume = AcName::parse(&parts.required("volume")?)?;
    let target = parts.required("target")?;
    if target.is_empty() {
        return Err(Error::usage("the target is empty"));
    }
    Ok(Mount {
        volume,
        path: absolute(&format!("/{}", target.trim_start_matches('/')))?,
        app_volume: None,
    })
}

/// Parses group IDs: `1,2,3`. The list may be empty.
pub(super) fn group_ids(text: &str) -> Result<Vec<u32>> {
    let parts = text.split(',').filter(|_| !text.is_empty());
    parts.map(|part| id(part, "group id")).collect()
}

/// Parses `NAME=TEXT`.
pub(super) fn pair(text: &str) -> Result<(String, String)> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(Error::usage(format!(
            "{} is not `NAME=VALUE`",
            quoted(text)
        ))),
    }
}

/// Parses an amount of memory: `--memory`.
pub(super) fn memory(text: &str) -> Result<Quantity> {
    let bytes = amount(text)?;
    if u64::try_from(bytes.units()).is_ok_and(|bytes| bytes < LEAST_MEMORY) {
        let least = LEAST_MEMORY >> 10;
        let less = format!(
            "{} is too little memory to start an app: it takes {least}Ki",
            quoted(text)
        );
        return Err(Error::usage(less).hint(UNITS));
    }
    Ok(bytes)
}

const UNITS: &str = "sizes are in bytes unless they have a unit, such as `16Mi`";

/// Parses an amount of a resource: `--cpu`.
pub(super) fn amount(text: &str) -> Result<Quantity> {
    let quantity = Quantity::parse(text)?;
    match quantity.is_negative() {
        true => Err(Error::usage(format!("{} is negative", quoted(text)))),
        false => Ok(quantity),
    }
}

/// Parses a whole number in a range: `--cpu-shares`, `--oom-score-adj`.
pub(super) fn number<T>(text: &str, within: RangeInclusive<T>) -> Result<T>
where
    T: FromStr + PartialOrd + Display,
{
    let number = text.parse().ok().filter(|number| within.contains(number));
    number.ok_or_else(|| {
        let (least, most) = (within.start(), within.end());
        Error::usage(format!("{} is not a valid number", quoted(text)))
            .hint(format!("use a whole number from {least} to {most}"))
    })
}

/// Parses a number of processes: `--pids-limit`.
pub(super) fn processes(text: &str) -> Result<Setting> {
    if text == "unlimited" {
        return Ok(Setting::Processes(None));
    }
    let number: Option<i32> = text.parse().ok().filter(|&number| number > 0);
    let number = number.ok_or_else(|| {
        Error::usage(format!("{} is not a number of processes", quoted(text)))
            .hint("use a whole number from 1, or `unlimited`")
    })?;
    Ok(Setting::Processes(Some(number.unsigned_abs())))
}

/// Parses a file system in memory: `/PATH[:size=SIZE,mode=MODE]`.
pub(super) fn tmpfs(text: &str) -> Result<Tmpfs> {
    let (path, keys) = first(text, ':');
    let (mut read_only, mut no_exec) = (None, None);
    let mut given = Vec::new();
    for part in parts(&keys.unwrap_or_default(), ',') {
        let (flag, value) = match &*part {
            "" => continue,
            "ro" => (&mut read_only, true),
            "rw" => (&mut read_only, false),
            "noexec" => (&mut no_exec, true),
            "exec" => (&mut no_exec, false),
            // It is so anyway.
            "nosuid" | "nodev" => continue,
            _ => {
                given.push(part);
                continue;
            }
        };
        if flag.replace(value).is_some_and(|other| other != value) {
            return Err(Error::usage(format!(
                "`{part}` contradicts what is before it"
            )));
        }
    }
    let mut keys = Parts::read(given.into_iter(), &["size", "mode"])?;
    let size = keys
        .take("size")
        .map_or(Ok(Size::default()), |text| size(&text))?;
    let mode = keys.take("mode").map(|text| mode(&text)).transpose()?;
    Ok(Tmpfs {
        read_only: read_only.unwrap_or(false),
        no_exec: no_exec.unwrap_or(false),
        ..tmpfs::tmpfs(&path, size, mode)?
    })
}

/// Parses where the changes of apps go: `disk`, `memory[:SIZE]` or `none`.
pub(super) fn writable(text: &str) -> Result<Writable> {
    match text.split_once(':') {
        None if text == "disk" => Ok(Writable::Disk),
        None if text == "none" => Ok(Writable::None),
        None if text == "memory" => Ok(Writable::Memory(Size::default())),
        Some(("memory", text)) => size(text).map(Writable::Memory),
        _ => Err(Error::usage(format!(
            "{} is not a place for changes: use `disk`, `memory`, `memory:SIZE` or `none`",
            quoted(text)
        ))),
    }
}

/// The size of a page, in bytes: what a file system in memory is made of.
const PAGE: i64 = 4096;

/// Parses a number of bytes, at least one. Small letters count as large ones, as in
/// curl and wget: nobody wants thousandths of a byte.
pub(super) fn bytes(text: &str) -> Result<u64> {
    let unit = text.trim_start_matches(|digit: char| digit.is_ascii_digit() || digit == '.');
    let number = &text[..text.len() - unit.len()];
    let unit = match unit {
        "K" => "k",
        "m" => "M",
        "g" => "G",
        unit => unit,
    };
    let quantity = Quantity::parse(&format!("{number}{unit}")).ok();
    let bytes = quantity.map_or(0, Quantity::units);
    let bytes = u64::try_from(bytes).ok().filter(|bytes| *bytes > 0);
    bytes.ok_or_else(|| {
        Error::usage(format!("{} is not a number of bytes", quoted(text))).hint(UNITS)
    })
}

/// Parses a size: bytes, or a percentage of the memory.
pub(super) fn size(text: &str) -> Result<Size> {
    if let Some(number) = text.strip_suffix('%') {
        let part = number.parse().ok().filter(|part| (1..=100).contains(part));
        return part.map(Size::Percent).ok_or_else(|| {
            Error::usage(format!("{} is not a percentage of memory", quoted(text)))
                .hint("use `1%` to `100%`")
        });
    }
    let bytes = Quantity::parse(text)?;
    if bytes.units() < PAGE {
        let less = format!("{} is less than a page of memory", quoted(text));
        return Err(Error::usage(less).hint(UNITS));
    }
    Ok(Size::Bytes(bytes.units().unsigned_abs()))
}

/// Parses the name of a locale, such as `C.UTF-8` or `de_DE.UTF-8@euro`.
pub(super) fn locale(text: &str) -> Result<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.@-".contains(&byte);
    match !text.is_empty() && text.bytes().all(allowed) {
        true => Ok(text.to_owned()),
        false => Err(Error::usage(format!("{} is not a locale", quoted(text)))
            .hint("use a name such as `C.UTF-8`")),
    }
}

/// Returns the first duplicate.
pub(super) fn repeated(texts: impl Iterator<Item = String>) -> Option<String> {
    let mut seen = std::collections::BTreeSet::new();
    let mut texts = texts;
    texts.find(|text| !seen.insert(text.clone()))
}

/// Checks that a value is not empty.
pub(super) fn some(text: &str) -> Result<String> {
    match text {
        "" => Err(Error::usage("the value is empty")),
        text => Ok(text.to_owned()),
    }
}

/// Takes the format of what is printed.
pub(super) fn formatted(options: &mut Options) -> Result<Format> {
    Ok(options.value("--format", format)?.unwrap_or_default())
}

/// Parses a format.
fn format(text: &str) -> Result<Format> {
    match text {
        "text" => Ok(Format::Text),
        "json" => Ok(Format::Json),
        "json-pretty" => Ok(Format::JsonPretty),
        other => Err(Error::usage(format!(
            "`{other}` is not a format: use `text`, `json` or `json-pretty`"
        ))),
    }
}

/// Takes the user and the group of a program: `--user USER[:GROUP]`, `--group`.
pub(super) fn identity(options: &mut Options) -> Result<(Option<String>, Option<String>)> {
    let user = options.value("--user", some)?;
    let group = options.value("--group", some)?;
    // A path may contain a colon.
    let both = user.as_deref().filter(|user| !user.starts_with('/'));
    match both.and_then(|user| user.split_once(':')) {
        Some((both, _)) if group.is_some() => Err(excluded(&format!("--user={both}:"), "--group")),
        Some((user, group)) => Ok((Some(some(user)?), Some(some(group)?))),
        None => Ok((user, group)),
    }
}
