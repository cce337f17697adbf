//! Finds a pod by a unique prefix of its UUID, or by its name. Only one pod with
//! a name is alive at a time, but any number may have ended; then the newest is
//! meant.

use std::collections::BTreeMap;
use std::os::fd::AsFd;

use rustix::fs::Dir;

use crate::state::directory::{self, read_in};
use crate::state::lock;
use crate::state::records::{CREATED, Created};
use appc::types::{AcName, Uuid};
use error::quote::quoted;
use error::{Context as _, Error, Kind, Result};
use sys::dirs::{Dirs, Part, State};

/// The states of pods that can have a name.
const NAMED: [State; 4] = [State::Prepare, State::Prepared, State::Run, State::Exited];

/// The states of pods that can be found: all that are listed. A pod that is in
/// several, because an earlier one of its UUID was not removed completely, is the
/// one in the last of these.
const FINDABLE: [State; 6] = [
    State::Garbage,
    State::Embryo,
    State::Prepare,
    State::Prepared,
    State::Run,
    State::Exited,
];

/// Returns all pods in these states, each with the last state in which it was
/// seen.
pub fn all(dirs: &Dirs, states: &[State]) -> Result<BTreeMap<Uuid, State>> {
    let mut found = BTreeMap::new();
    for &state in states {
        if let Some(pods) = dirs.find(Part::Pods(state))? {
            found.extend(in_state(&pods)?.into_iter().map(|uuid| (uuid, state)));
        }
    }
    Ok(found)
}

/// Returns all pods in the directory of a state.
pub(crate) fn in_state(pods: impl AsFd) -> Result<Vec<Uuid>> {
    let what = || "cannot list the pods";
    let mut found = Vec::new();
    for entry in Dir::read_from(pods).context(what)? {
        let entry = entry.context(what)?;
        // Other names are not ours.
        let name = entry.file_name().to_str().ok();
        found.extend(name.and_then(|name| Uuid::parse(name).ok()));
    }
    Ok(found)
}

/// Finds a pod, and the place that it is in.
///
/// # Errors
///
/// Fails if the text is empty, or no pod or several pods match.
pub fn pod(dirs: &Dirs, text: &str) -> Result<(Dirs, Uuid)> {
    let places = dirs.places();
    if let Ok(uuid) = Uuid::parse(text)
        && let Some(place) = place_of(&places, uuid)?
    {
        return Ok((place, uuid));
    }
    let mut found = BTreeMap::new();
    for (at, place) in places.iter().enumerate() {
        let pods = all(place, &FINDABLE)?.into_iter();
        found.extend(pods.map(|(uuid, state)| (uuid, (at, state))));
    }
    let uuid = choose(
        text,
        &found,
        &|uuid, (at, state)| called(&places[at], state, uuid),
        "pod",
        "`launcher list` lists all pods",
    )?;
    let at = found.get(&uuid).map_or(0, |&(at, _)| at);
    Ok((places[at].clone(), uuid))
}

/// Returns the place that has a pod, whatever its state. A pod that moves on is
/// seen in the next one.
fn place_of(places: &[Dirs], uuid: Uuid) -> Result<Option<Dirs>> {
    for place in places.iter().rev() {
        for state in State::ALL {
            if directory::open_in(place, state, uuid)?.is_some() {
                return Ok(Some(place.clone()));
            }
        }
    }
    Ok(None)
}

/// Returns the place in which a pod is running; if none, the place of
/// remembered pods.
pub fn running_place(dirs: &Dirs, uuid: Uuid) -> Dirs {
    let mut places = dirs.places();
    if places.len() == 1 {
        return places.remove(0);
    }
    first(places, State::Run, uuid).unwrap_or_else(|| dirs.clone())
}

/// Returns the place in which a pod is being removed, and was running before.
pub fn undone_place(dirs: &Dirs, uuid: Uuid) -> Option<Dirs> {
    match first(dirs.places(), State::Run, uuid) {
        Some(_) => None,
        None => first(dirs.places(), State::Garbage, uuid),
    }
}

fn first(places: Vec<Dirs>, state: State, uuid: Uuid) -> Option<Dirs> {
    let is_there = |place: &Dirs| matches!(directory::open_in(place, state, uuid), Ok(Some(_)));
    places.into_iter().find(is_there)
}

/// Finds a prepared pod.
///
/// # Errors
///
/// As for [`pod`].
pub fn prepared(dirs: &Dirs, text: &str) -> Result<Uuid> {
    let found = all(dirs, &[State::Prepared])?;
    let none = "`launcher prepare` creates a pod and prints its UUID";
    let called = |uuid, state| called(dirs, state, uuid);
    choose(text, &found, &called, "prepared pod", none)
}

/// Refuses a name that is in use by a pod that has not exited.
///
/// # Errors
///
/// Fails if a pod has this name, or the name looks like a UUID.
pub(crate) fn check_free(dirs: &Dirs, name: &AcName) -> Result<()> {
    if Uuid::parse(name.as_str()).is_ok() {
        return Err(Error::invalid(format!(
            "`{name}` is not a valid pod name: it looks like a UUID"
        )));
    }
    for place in dirs.places() {
        for (uuid, state) in all(&place, &NAMED)? {
            let called = called(&place, state, uuid);
            if !called.over && called.name.as_ref() == Some(name) {
                return Err(Error::invalid(format!(
                    "the name `{name}` is in use by pod `{uuid}`"
                )));
            }
        }
    }
    Ok(())
}

/// The name of a pod, when it was made, and whether it has ended.
struct Naming {
    name: Option<AcName>,
    /// In nanoseconds since 1970.
    created: u64,
    over: bool,
}

/// Looks up the name of a pod that was seen in this state and may have moved
/// on. If its record cannot be read, it has no name.
fn called(dirs: &Dirs, seen: State, uuid: Uuid) -> Naming {
    let from = NAMED.iter().position(|&state| state == seen).unwrap_or(0);
    let mut found = NAMED[from..]
        .iter()
        .filter_map(|&state| called_in(dirs, state, uuid).ok()?);
    found.next().unwrap_or(Naming {
        name: None,
        created: 0,
        over: true,
    })
}

/// The same, if it is in this state.
fn called_in(dirs: &Dirs, state: State, uuid: Uuid) -> std::io::Result<Option<Naming>> {
    let Ok(Some(pod)) = directory::open_in(dirs, state, uuid) else {
        return Ok(None);
    };
    let record = read_in(&pod, CREATED)?;
    let over = match state {
        State::Prepared => false,
        State::Exited => true,
        // Whoever made or ran it was killed, or it has just moved on.
        _ => !lock::is_held(&pod)?,
    };
    let is_there = |parent| lock::is_there(parent, uuid.to_string(), &pod);
    if !dirs
        .pods(state)
        .is_ok_and(|parent| is_there(parent) == Ok(true))
    {
        return Ok(None);
    }
    let created = record.and_then(|record| Created::read(&record));
    Ok(Some(Naming {
        created: created.as_ref().map_or(0, |created| created.time),
        name: created.and_then(|created| created.name),
        over,
    }))
}

/// Chooses a pod: the one with that UUID, or with that name, or the only one
/// whose UUID starts with the text. Of several pods with the same name, the one
/// that has not ended is meant, or, if all have, the newest.
fn choose<S: Copy>(
    text: &str,
    found: &BTreeMap<Uuid, S>,
    called: &dyn Fn(Uuid, S) -> Naming,
    noun: &str,
    none: &str,
) -> Result<Uuid> {
    if text.is_empty() {
        return Err(Error::usage("the name or UUID of the pod is empty"));
    }
    if let Ok(uuid) = Uuid::parse(text)
        && found.contains_key(&uuid)
    {
        return Ok(uuid);
    }
    if let Ok(name) = AcName::parse(text) {
        let (mut live, mut over) = (Vec::new(), None);
        for (&uuid, &state) in found {
            let called = called(uuid, state);
            if called.name.as_ref() == Some(&name) {
                match called.over {
                    true => over = over.max(Some((called.created, uuid))),
                    false => live.push(uuid),
                }
            }
        }
        match (&live[..], over) {
            ([uuid], _) => return Ok(*uuid),
            ([], Some((_, uuid))) => return Ok(uuid),
            ([], None) => {}
            _ => {
                return Err(
                    Error::invalid(format!("several {noun}s have the name `{name}`"))
                        .hint("use a UUID instead"),
                );
            }
        }
    }
    let plain = |text: &str| text.replace('-', "").to_ascii_lowercase();
    let wanted = plain(text);
    let begins = |uuid: &&Uuid| !wanted.is_empty() && plain(&uuid.to_string()).starts_with(&wanted);
    let meant: Vec<&Uuid> = found.keys().filter(begins).collect();
    match meant[..] {
        [uuid] => Ok(*uuid),
        [] => {
            let what = format!("{noun} {} not found", quoted(text));
            Err(Error::new(Kind::NotFound, what).hint(none))
        }
        _ => Err(Error::invalid(format!(
            "the UUIDs of several {noun}s begin with {}",
            quoted(text)
        ))
        .hint("add more digits")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    const ONE: &str = "abcdef12-0000-4000-8000-000000000001";
    const TWO: &str = "abcd0000-0000-4000-8000-000000000002";
    const OVER: &str = "11110000-0000-4000-8000-000000000003";
    const OLDER: &str = "22220000-0000-4000-8000-000000000004";
    const NEW: &str = "33330000-0000-4000-8000-000000000005";
    const OLD: &str = "44440000-0000-4000-8000-000000000006";

    fn meant(text: &str) -> std::result::Result<String, String> {
        let uuid = |text| Uuid::parse(text).unwrap();
        let found = [
            (uuid(ONE), State::Run),
            (uuid(TWO), State::Prepared),
            (uuid(OVER), State::Exited),
            (uuid(OLDER), State::Exited),
            (uuid(NEW), State::Exited),
            (uuid(OLD), State::Exited),
        ];
        let called = |pod: Uuid, state| {
            let (name, created) = match pod.to_string().as_str() {
                ONE => ("web", 1),
                TWO => ("1111", 2),
                OVER => ("web", 4),
                NEW => ("job", 6),
                OLD => ("job", 5),
                _ => ("", 3),
            };
            Naming {
                name: AcName::parse(name).ok(),
                created,
                over: state == State::Exited,
            }
        };
        choose(text, &found.into(), &called, "pod", "so it is")
            .map(|uuid| uuid.to_string())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn unknown_and_ambiguous_pods_are_refused() {
        for (text, expected) in [
            ("", "the name or UUID of the pod is empty"),
            ("-", "pod `-` not found\nhint: so it is"),
            ("5", "pod `5` not found\nhint: so it is"),
            ("we", "pod `we` not found\nhint: so it is"),
            ("a\u{1b}", "pod `a\\u{1b}` not found\nhint: so it is"),
            (
                "abcd",
                "the UUIDs of several pods begin with `abcd`\nhint: add more digits",
            ),
        ] {
            assert_eq!(meant(text), Err(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn of_pods_with_one_name_the_live_one_is_meant_or_else_the_newest() {
        assert_eq!(meant("web"), Ok(ONE.to_owned()));
        assert_eq!(meant("job"), Ok(NEW.to_owned()));
    }

    #[test]
    fn uuids_win_over_names_and_names_over_prefixes() {
        for (text, expected) in [
            (ONE, ONE),
            ("ABCDEF1200004000", ONE),
            ("abcde", ONE),
            ("abcd-0", TWO),
            ("web", ONE),
            ("1111", TWO),
            ("11110", OVER),
            ("2", OLDER),
        ] {
            assert_eq!(meant(text), Ok(expected.to_owned()), "{text}");
        }
    }
}
