//! The record of a pod that rests: one that is prepared, or has exited. Nothing
//! changes it any more, so all that is listed of it is read from one file. It is
//! in the file `prepared`, or with how the pod ended in `ended`; see `records`.
//!
//! It only saves time. A pod without it, or with one that was cut short or that
//! another version wrote, is read from its other files.

use std::os::fd::AsFd;

use serde::{Deserialize, Serialize};

use crate::runtime::status::app::App;
use crate::spec::limits::Limits;
use crate::state::directory::read_in;
use crate::state::records::{ENDED, PREPARED};
use appc::json::Value;
use appc::types::Uuid;
use sys::dirs::State;

/// The record.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    /// When it began to rest, in nanoseconds since 1970.
    pub(crate) time: u64,
    /// With which status it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u8>,
    /// What is listed.
    pub(crate) pod: Listed,
}

/// What is listed of a pod: its other records, and what its files say of its apps.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listed {
    pub(crate) created: Option<Value>,
    pub(crate) started: Option<Value>,
    pub(crate) ready: bool,
    pub(crate) oom_kills: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) restarts: u32,
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    pub(crate) limits: Limits,
    pub(crate) apps: Vec<App>,
}

/// For serde, which calls it so.
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Returns the file with the record of pods in a state, if they rest.
const fn file(state: State) -> Option<&'static str> {
    match state {
        State::Prepared => Some(PREPARED),
        State::Exited => Some(ENDED),
        _ => None,
    }
}

/// Formats the record.
pub(crate) fn text(record: &Record) -> Option<String> {
    let text = serde_json::to_string(record).ok()?;
    Some(format!("{text}\n"))
}

/// Reads the record of a pod in the directory of pods in a state; `None` if it
/// has none.
pub(crate) fn read(pods: impl AsFd, state: State, uuid: Uuid) -> Option<Record> {
    let path = format!("{uuid}/{}", file(state)?);
    let text = read_in(pods, &path).ok()??;
    serde_json::from_slice(&text).ok()
}
