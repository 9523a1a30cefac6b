//! Faults that a single request asks for: `x-canard-fault: latency, broken/error#2`.
//!
//! Off unless the program (or the stage) allows it. Then the named injections of the armed plan act on this
//! request at full size, whatever its unit's draw and whichever phase they belong to; the target's `when` and
//! an injection's `where` go on holding. The header never reaches the upstream; names that the plan does not
//! have come back in `x-canard-fault-unknown`. Such a request is in no arm of the evidence.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Request};

use super::victim::Rule;
use crate::scenario::Plan;

/// What a request asks for.
const ASKS: HeaderName = HeaderName::from_static("x-canard-fault");

/// What of it there is not.
pub(super) const UNKNOWN: HeaderName = HeaderName::from_static("x-canard-fault-unknown");

/// Names that one request may give.
const MOST: usize = 16;

/// The names that a request gave, for every plan that it meets.
#[derive(Debug, Clone)]
struct Asked(Arc<[String]>);

/// What one request asks for.
#[derive(Debug, Clone)]
pub(super) struct Control {
    /// What this plan has of it; none, if only another has.
    pub(super) rules: Vec<Rule>,
    /// Names that no plan has, for the caller.
    pub(super) unknown: Option<HeaderValue>,
}

impl Control {
    /// Does a request ask for faults?
    pub(super) fn is_asked(headers: &HeaderMap) -> bool {
        headers.contains_key(ASKS)
    }

    /// Takes the header off. The first plan that a request meets does, and tells what none has.
    pub(super) fn strip(headers: &mut HeaderMap) -> Vec<String> {
        let values = headers.get_all(ASKS).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        let names =
            values.flat_map(|value| value.split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>());
        let names = names.filter(|name| !name.is_empty()).take(MOST).collect();
        headers.remove(ASKS);
        names
    }

    /// What a request asks of a plan, or of another that it meets; `plans` are all in force.
    pub(super) fn take<B>(
        request: &mut Request<B>,
        plan: Option<&Plan>,
        plans: impl FnOnce() -> Vec<Arc<Plan>>,
    ) -> Option<Control> {
        let is_first = Control::is_asked(request.headers());
        if is_first {
            let names = Control::strip(request.headers_mut());
            request.extensions_mut().insert(Asked(names.into()));
        }
        let Asked(names) = request.extensions().get::<Asked>().filter(|Asked(names)| !names.is_empty())?;
        let mut rules = Vec::new();
        for rule in names.iter().filter_map(|name| rule(plan?, name)) {
            if !rules.contains(&rule) {
                rules.push(rule);
            }
        }
        let unknown = is_first.then(|| {
            let plans = plans();
            let known = |name: &&String| plans.iter().any(|plan| rule(plan, name).is_some());
            header(&names.iter().filter(|name| !known(name)).collect::<Vec<_>>())
        });
        Some(Control { rules, unknown: unknown.flatten() })
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
