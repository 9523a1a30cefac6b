//! Faults that a single request asks for: `x-canard-fault: latency, broken/error#2`.
//!
//! Off unless the program (or the stage) allows it. Then the named injections of the armed plan act on this
//! request at full size, whatever its unit's draw and whichever phase they belong to; the target's `when` and
//! an injection's `where` go on holding. The header never reaches the upstream; names that the plan does not
//! have come back in `x-canard-fault-unknown`. Such a request is in no arm of the evidence.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::victim::Rule;
use crate::scenario::Plan;

/// What a request asks for.
const ASKS: HeaderName = HeaderName::from_static("x-canard-fault");

/// What of it there is not.
pub(super) const UNKNOWN: HeaderName = HeaderName::from_static("x-canard-fault-unknown");

/// Names that one request may give.
const MOST: usize = 16;

/// What one request asks for by names of faults, or identities of injections.
#[derive(Debug, Clone)]
pub(super) struct Control {
    /// What the plan has.
    pub(super) rules: Vec<Rule>,
    /// Names that it does not have, for the caller.
    pub(super) unknown: Option<HeaderValue>,
}

impl Control {
    /// Takes it off a request. Names that the plan (if any is armed here) does not have are left on it if it
    /// meets another plan.
    pub(super) fn take(headers: &mut HeaderMap, plan: Option<&Plan>, meets_another: bool) -> Option<Control> {
        if !headers.contains_key(ASKS) {
            return None;
        }
        let values = headers.get_all(ASKS).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        let names =
            values.flat_map(|value| value.split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>());
        let names: Vec<String> = names.filter(|name| !name.is_empty()).take(MOST).collect();
        headers.remove(ASKS);
        let mut control = Control { rules: Vec::new(), unknown: None };
        let mut unknown = Vec::new();
        for name in &names {
            match plan.and_then(|plan| rule(plan, name)) {
                Some(rule) if control.rules.contains(&rule) => {}
                Some(rule) => control.rules.push(rule),
                None => unknown.push(name.as_str()),
            }
        }
        let unknown = header(&unknown);
        match unknown {
            Some(names) if meets_another => _ = headers.insert(ASKS, names),
            unknown => control.unknown = unknown,
        }
        Some(control).filter(|control| control.unknown.is_some() || !control.rules.is_empty())
    }
}

/// Looks a name up: an injection's own identity, or the name of a fault, of which the first counts.
fn rule(plan: &Plan, name: &str) -> Option<Rule> {
    let rules = plan.phases.iter().enumerate().flat_map(|(phase, of)| {
        of.injections.iter().enumerate().map(move |(index, injection)| (Rule { phase, index }, injection))
    });
    let by = |wanted: fn(&crate::scenario::Injection) -> &str| {
        rules.clone().find(|(_, injection)| wanted(injection) == name).map(|(rule, _)| rule)
    };
    by(|injection| &injection.id).or_else(|| by(|injection| injection.fault.name()))
}

fn header<T: AsRef<str>>(names: &[T]) -> Option<HeaderValue> {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    let text: String =
        names.join(", ").chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect();
    HeaderValue::from_str(&text).ok().filter(|_| !names.is_empty())
}
