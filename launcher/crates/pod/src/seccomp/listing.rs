//! Describes a filter by names of calls: lists what it allows or what it
//! blocks, whichever is shorter.

use std::collections::BTreeMap;

use super::errno;
use super::program::{Action, Filter, Rule};

/// Returns one line.
///
/// ```text
/// 78 calls are not allowed: EPERM acct bpf ...; ENOSYS clone3; by argument: clone ioctl
/// 3 calls are allowed: read write exit; others kill
/// ```
pub(crate) fn listing(filter: &Filter) -> String {
    let mut named: Vec<(&str, Rule)> = Vec::new();
    for (name, number) in filter.arch.calls() {
        let otherwise = Rule::Always(filter.otherwise);
        named.push((name, *filter.rules.get(&number).unwrap_or(&otherwise)));
    }
    let allowed: Vec<&str> = named
        .iter()
        .filter(|(_, rule)| *rule == Rule::Always(Action::Allow))
        .map(|&(name, _)| name)
        .collect();
    let mut refused: BTreeMap<Action, Vec<&str>> = BTreeMap::new();
    let mut judged = Vec::new();
    for &(name, rule) in &named {
        match rule {
            Rule::Always(Action::Allow) => {}
            Rule::Always(action) => refused.entry(action).or_default().push(name),
            Rule::If { .. } => judged.push(name),
        }
    }
    let count: usize = refused.values().map(Vec::len).sum();
    let mut parts = Vec::new();
    if count <= allowed.len() {
        for (action, names) in &refused {
            parts.push(format!("{} {}", word(*action), names.join(" ")));
        }
        by_argument(&mut parts, &judged);
        format!("{} not allowed: {}", calls(count), parts.join("; "))
    } else {
        parts.push(allowed.join(" "));
        by_argument(&mut parts, &judged);
        let most = refused.iter().max_by_key(|(_, names)| names.len());
        let most = most.map_or(filter.otherwise, |(action, _)| *action);
        for (action, names) in refused.iter().filter(|(action, _)| **action != most) {
            parts.push(format!("{} {}", word(*action), names.join(" ")));
        }
        parts.push(format!("others: {}", word(most)));
        format!("{} allowed: {}", calls(allowed.len()), parts.join("; "))
    }
}

fn calls(count: usize) -> String {
    match count {
        1 => "1 call is".to_owned(),
        _ => format!("{count} calls are"),
    }
}

fn by_argument(parts: &mut Vec<String>, judged: &[&str]) {
    if !judged.is_empty() {
        parts.push(format!("by argument: {}", judged.join(" ")));
    }
}

fn word(action: Action) -> String {
    match action {
        Action::Allow => "allow".to_owned(),
        Action::Kill => "kill".to_owned(),
        Action::Errno(number) => match errno::name(number) {
            Some(name) => name.to_owned(),
            None => format!("error {number}"),
        },
    }
}
