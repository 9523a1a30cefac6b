//! What the reference detector noticed, beside the alerts, in words.

use super::words;
use crate::event::{Delay, Outcome, Part, Reference};

/// What a table of these lines is called.
pub(super) fn title(reference: &Reference) -> String {
    format!(
        "When the faults could be noticed, by a sequential test at one false alarm in {:.0} days:",
        reference.false_alarm_days
    )
}

/// `slow: HighLatency after 4.0 s; reference detector 1.0 s (latency above 0.256 s); of the 3.0 s, 2.0 s are …`
pub(super) fn line(outcome: &Outcome) -> Option<String> {
    let reference = outcome.reference.as_ref()?;
    let alert = match outcome.time {
        Some(time) => format!("after {:.1} s", time.seconds),
        None => words::verdict(outcome),
    };
    let noticed = match (reference.noticed, &reference.signal) {
        (Some(noticed), Some(signal)) => format!("reference detector {:.1} s ({signal})", noticed.seconds),
        _ => {
            let of = match reference.looked_at.as_slice() {
                [] => String::new(),
                signals => format!(" (of {})", signals.join(", ")),
            };
            format!("the reference detector noticed nothing in {:.0} s{of}", reference.watched_s)
        }
    };
    let behind = behind(&reference.behind);
    Some(format!("{}: {} {alert}; {noticed}{behind}", outcome.phase, outcome.subject))
}

fn behind(parts: &[Delay]) -> String {
    let total: f64 = parts.iter().map(|delay| delay.seconds).sum();
    let part = |delay: &Delay| {
        let what = match delay.part {
            Part::For => "the rule's `for`",
            Part::ScrapeAndEvaluation => "scrape and evaluation",
            Part::WindowAndThreshold => "window and threshold",
            Part::Rule => "the rule's own",
        };
        format!("{:.1} s {what}", delay.seconds)
    };
    match parts {
        [] => String::new(),
        parts => {
            format!("; behind by {total:.1} s: {}", parts.iter().map(part).collect::<Vec<_>>().join(", "))
        }
    }
}
