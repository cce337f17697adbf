//! Which listening sockets an app finds open when it starts.

use std::collections::VecDeque;

use crate::resolve::ports::{PortRequest, of_app};
use crate::resolve::report::Entry;
use crate::spec::pod::{Namespace, PodSpec};
use crate::spec::ports::{Protocol, PublishedPort};
use crate::spec::process::Sourced;
use crate::spec::sockets::{ListeningSocket, MOST, Origin};
use appc::manifest::app::Port;
use appc::manifest::pod::ExposedPort;
use error::{Error, Result};

/// A socket that the caller passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Its descriptor.
    pub descriptor: u32,
    /// The port that it listens on, if that is known.
    pub port: Option<(Protocol, u16)>,
}

/// The reason of what the caller passes.
const PASSED: &str = "passed to the launcher";

/// The reason of what the launcher opens.
const OPTION: &str = "option --socket";

/// Parses a value of `--socket`: `NAME:[ADDRESS:]HOSTPORT`.
///
/// # Errors
///
/// It is something else.
pub fn parse(text: &str) -> Result<ExposedPort> {
    match crate::resolve::ports::named(text)? {
        PortRequest::Named(exposed) => Ok(exposed),
        PortRequest::Numbered { .. } | PortRequest::All => Err(Error::usage("it has no name")),
    }
}

/// Returns the sockets that an app expects, of these ports that it declares.
pub(crate) fn expected(ports: &[Port]) -> Vec<Sourced<ListeningSocket>> {
    let activated = ports.iter().filter(|port| port.socket_activated);
    let each = activated.flat_map(|port| {
        (0..port.count).map(|at| {
            let protocol = Protocol::find(&port.protocol);
            let number = port.port.saturating_add(at);
            let socket = ListeningSocket {
                name: port.name.to_string(),
                port: protocol.map(|protocol| (protocol, number)),
                origin: Origin::Missing,
            };
            Sourced::new(socket, "image: socketActivated")
        })
    });
    each.collect()
}

/// Has the launcher listen for a pod whose apps declare these ports. `may_say` is
/// whether the format of their images has a word for ports that are activated.
///
/// # Errors
///
/// No app expects a socket of this name, or two want the same port.
pub(crate) fn open(
    spec: &mut PodSpec,
    requests: &[ExposedPort],
    declared: &[Port],
    may_say: bool,
) -> Result<()> {
    let mut taken: Vec<PublishedPort> = spec.ports.iter().map(|port| port.value).collect();
    for request in requests {
        let name = request.name.as_str();
        let port = declared.iter().find(|port| port.name == request.name);
        let first = match port {
            Some(port) => of_app(port, request.host_ip, request.host_port)?,
            None => PublishedPort {
                protocol: Protocol::Tcp,
                address: request.host_ip,
                host: request.host_port,
                pod: 0,
            },
        };
        let mut sockets = (0..).map_while(|at| {
            let host = first.host.checked_add(at)?;
            Some(Origin::Launcher(PublishedPort { host, ..first }))
        });
        let apps = spec.apps.iter_mut().flat_map(|app| app.sockets.iter_mut());
        let mut waiting = apps.filter(|one| one.value.name == name).peekable();
        if waiting.peek().is_none() {
            drop(waiting);
            add(spec, request, port, may_say, sockets.next())?;
        } else {
            for one in waiting {
                if one.value.is_there() {
                    return Err(Error::usage(format!("socket `{name}` is opened twice")));
                }
                one.value.origin = sockets.next().ok_or_else(|| {
                    Error::usage(format!("socket `{name}` needs ports beyond 65535"))
                })?;
                OPTION.clone_into(&mut one.reason);
            }
        }
    }
    for one in all(spec) {
        if let Origin::Launcher(port) = one.origin {
            if taken.iter().any(|other| other.overlaps(&port)) {
                return Err(Error::usage(format!("port {port} is used twice")));
            }
            taken.push(port);
        }
    }
    check(spec)
}

/// Gives a socket to an app that does not say whether it expects one.
fn add(
    spec: &mut PodSpec,
    request: &ExposedPort,
    port: Option<&Port>,
    may_say: bool,
    origin: Option<Origin>,
) -> Result<()> {
    let name = &request.name;
    let mut names: Vec<String> = all(spec).map(|one| format!("`{}`", one.name)).collect();
    names.dedup();
    let [app] = &mut spec.apps[..] else {
        return Err(no_such(name.as_str(), &names));
    };
    if may_say {
        return Err(match port {
            None => no_such(name.as_str(), &names),
            Some(_) => Error::usage(format!(
                "port `{name}` is not socket-activated: app `{}` opens it itself",
                app.name
            ))
            .hint("`--port` lets a port of the host lead to it"),
        });
    }
    if app
        .sockets
        .iter()
        .any(|one| one.value.name == name.as_str())
    {
        return Err(Error::usage(format!("socket `{name}` is opened twice")));
    }
    let socket = ListeningSocket {
        name: name.to_string(),
        port: None,
        origin: origin.unwrap_or(Origin::Missing),
    };
    app.sockets.push(Sourced::new(socket, OPTION));
    Ok(())
}

fn no_such(name: &str, names: &[String]) -> Error {
    let error = Error::usage(format!(
        "no app of the pod has a socket-activated port `{name}`"
    ));
    match names.is_empty() {
        true => {
            error.hint("`--port` and `--publish` let a port of the host lead to one of the pod")
        }
        false => error.hint(format!("they have {}", names.join(", "))),
    }
}

/// Gives the apps of a pod the sockets that the caller passes: by their names, then
/// by their ports, then in order. An app that expects none gets all of them, if it
/// is the only one.
///
/// # Errors
///
/// A socket is left that no app expects.
pub fn assign(spec: &mut PodSpec, passed: &[Passed]) -> Result<()> {
    let mut left: VecDeque<&Passed> = passed.iter().collect();
    type Fits = fn(&ListeningSocket, &Passed) -> bool;
    let rules: [Fits; 3] = [
        |expected, passed| passed.name.as_deref() == Some(&expected.name),
        |expected, passed| expected.port.is_some() && passed.port == expected.port,
        |_, _| true,
    ];
    for fits in rules {
        let sockets = spec.apps.iter_mut().flat_map(|app| app.sockets.iter_mut());
        for one in sockets.filter(|one| !one.value.is_there()) {
            let found = left.iter().position(|passed| fits(&one.value, passed));
            if let Some(passed) = found.and_then(|at| left.remove(at)) {
                one.value.origin = Origin::Caller(passed.descriptor);
                PASSED.clone_into(&mut one.reason);
            }
        }
    }
    match (&mut spec.apps[..], left.front()) {
        ([app], _) if app.sockets.is_empty() => {
            app.sockets.extend(left.iter().map(|passed| {
                let socket = ListeningSocket {
                    // As systemd calls one without a name.
                    name: passed.name.clone().unwrap_or_else(|| "unknown".to_owned()),
                    port: None,
                    origin: Origin::Caller(passed.descriptor),
                };
                Sourced::new(socket, PASSED)
            }));
        }
        (_, Some(passed)) => {
            let number = passed.descriptor;
            let what = format!("no app expects the socket that was passed as descriptor {number}");
            return Err(Error::invalid(what).hint(
                "`socketActivated` of a port in the manifest says that the app expects one",
            ));
        }
        (_, None) => {}
    }
    // The order in which they are moved to their places.
    for app in &mut spec.apps {
        app.sockets.sort_by_key(|one| match one.value.origin {
            Origin::Caller(descriptor) => descriptor,
            Origin::Launcher(_) | Origin::Missing => u32::MAX,
        });
    }
    check(spec)
}

/// Checks that a pod can be given its sockets.
fn check(spec: &PodSpec) -> Result<()> {
    let count = all(spec).filter(|one| one.is_there()).count();
    if count > MOST {
        return Err(Error::usage(format!(
            "at most {MOST} sockets can be passed to a pod, not {count}"
        )));
    }
    if count > 0 && spec.processes == Namespace::Host {
        let what = "sockets can be passed only to a pod with process numbers of its own";
        return Err(Error::usage(what));
    }
    Ok(())
}

/// Returns an entry for each port that an app expects to be open when it starts,
/// and that nobody opens.
pub fn missing(spec: &PodSpec) -> Vec<Entry> {
    let entry = |port: &str, app: &str| {
        let what = format!("`socketActivated` of port `{port}`");
        let reason = "no socket was passed, so the app has to open the port itself";
        Entry::unsupported(what, &format!("app `{app}`"), reason)
    };
    let apps = spec.apps.iter();
    let missing = apps.flat_map(|app| {
        let sockets = app.sockets.iter().filter(|one| !one.value.is_there());
        sockets.map(move |one| entry(&one.value.name, &app.name))
    });
    let mut missing: Vec<Entry> = missing.collect();
    // A port that counts for several is said once.
    missing.dedup();
    missing
}

fn all(spec: &PodSpec) -> impl Iterator<Item = &ListeningSocket> {
    let sockets = spec.apps.iter().flat_map(|app| &app.sockets);
    sockets.map(|one| &one.value)
}
