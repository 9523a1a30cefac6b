//! The traffic that the faults of a scenario need, as text.

use std::fmt::Write;

use super::words;
use crate::event::{FaultPower, Power, Sight};

/// What each fault needs to be seen, by canard and by a monitor, with what is taken for granted.
pub fn power(power: &Power) -> String {
    let rate = power.rate_per_s.map_or("an unknown rate".to_owned(), |rate| format!("{rate}/s"));
    let base = power.baselines;
    let mut text = format!(
        "{}: traffic that a sound test needs (α = {}, two-sided; power {}), at {rate}\n\
         Taken for granted without faults: error share {}, deviation of latency {}, positive rate {}, accuracy {}; one \
         prediction to a request.\n",
        power.scenario,
        power.alpha,
        power.power,
        words::amount("share", base.error_share),
        words::span(base.latency_deviation_s),
        words::amount("share", base.positive_rate),
        words::amount("share", base.accuracy),
    );
    for fault in &power.faults {
        let _ = write!(text, "\n{}", of_fault(fault));
    }
    if power.faults.is_empty() {
        text.push_str("\nNothing is injected.\n");
    }
    text
}

/// A line for each fault whose phase expects an alert and is too short for a monitor to see it.
pub fn too_short(power: &Power) -> Vec<String> {
    let short = power.faults.iter().filter(|fault| fault.expected && fault.monitor.enough == Some(false));
    let line = |fault: &FaultPower| {
        let needs = words::span(fault.monitor.needs_s.unwrap_or_default().ceil());
        format!(
            "`{}` lasts {}, and at this traffic a monitor needs {needs} to see it: `canard power` tells more",
            fault.fault.id,
            words::span(fault.lasts_s),
        )
    };
    short.map(line).collect()
}

fn of_fault(power: &FaultPower) -> String {
    let FaultPower { fault, promise, own, monitor, .. } = power;
    let group = fault.group.as_ref().map_or(String::new(), |group| format!(", group `{group}`"));
    let lasts = words::span(power.lasts_s);
    let treated = words::amount("share", fault.exposure_share);
    let (against, without) = match own.before_s {
        Some(_) => ("treated against before:", "before any fault"),
        None => ("treated against control:", "control"),
    };
    format!(
        "{}: {promise}; {treated} of the units{group} for {lasts}\n  {against:<25} {}\n  everybody against before: {}\n",
        fault.id,
        sight(own, "treated", without),
        sight(monitor, "in the phase", "before it"),
    )
}

fn sight(sight: &Sight, with: &str, without: &str) -> String {
    let mut parts = Vec::new();
    parts.extend(sight.test.clone());
    if let (Some(n), Some(m)) = (sight.with, sight.without) {
        parts.push(format!("{n} {} {with} and {m} {without}", sight.of));
    }
    if let Some(needs) = sight.needs_s {
        let word = match sight.enough {
            Some(true) => ": enough",
            Some(false) => ": TOO SHORT",
            None => "",
        };
        parts.push(format!("{needs:.1} s{word}"));
    }
    parts.extend(sight.unknown.clone());
    parts.join("; ")
}
