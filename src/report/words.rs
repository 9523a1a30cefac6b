//! How reports put things: one wording for every format.

pub(super) use super::words_matrix::{broken_off, campaign, curve, difference, false_alarms, portion};
use crate::event::{
    Asked, Cause, Compared, Comparison, Delivered, Delivery, Effect, Ending, Measured, Observation, Outcome,
    Reason, Report, Verdict,
};

/// `HighLatency fires within 30s`
pub(super) fn expectation(outcome: &Outcome) -> String {
    let subject = &outcome.subject;
    let within = |verb: &str| match outcome.within_s {
        Some(seconds) => format!("{subject} {verb} within {}", span(seconds)),
        None => format!("{subject} {verb}"),
    };
    match outcome.asked {
        Asked::Fires => within("fires"),
        Asked::Clears => within("clears"),
        Asked::Silent if outcome.line.is_none() => format!("{subject} is not expected"),
        Asked::Silent => format!("{subject} stays silent"),
        Asked::Holds => format!("{subject} holds"),
    }
}

/// Seconds as a person writes them: `250ms`, `30s`, `1m30s`.
pub(super) fn span(seconds: f64) -> String {
    crate::unit::Span::from(std::time::Duration::from_secs_f64(seconds.max(0.0))).to_string()
}

/// The verdict, with its reason: `missed (suppressed)`.
pub(super) fn verdict(outcome: &Outcome) -> String {
    let word = kebab(&outcome.verdict);
    match &outcome.reason {
        Some(reason) => format!("{word} ({})", kebab(reason)),
        None => word,
    }
}

/// The name that a value has in JSON.
pub(super) fn kebab<T: serde::Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

/// `4.0 s ±0.5`
pub(super) fn time(measured: Measured) -> String {
    format!("{:.1} s ±{:.1}", measured.seconds, measured.uncertainty_s)
}

/// Did the monitoring do what it should?
pub(super) fn fell_short(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Late | Verdict::Missed | Verdict::FalseAlarm | Verdict::Stuck)
}

/// One number of an effect in its unit.
pub(super) fn amount(unit: &str, value: f64) -> String {
    match unit {
        "share" => format!("{:.1}%", value * 100.0),
        "s" if value.abs() < 0.01 => format!("{:.2} ms", value * 1000.0),
        "s" if value.abs() < 1.0 => format!("{:.0} ms", value * 1000.0),
        "s" => format!("{value:.2} s"),
        _ => format!("{value:.3}"),
    }
}

/// `0.0% → 31.2% (+25.0% to +35.0%)`: control, treated, and the interval of their difference.
pub(super) fn effect(effect: &Effect) -> String {
    let of = |value| amount(&effect.unit, value);
    let shown = format!("{} → {}", of(effect.control), of(effect.treated));
    match effect.difference {
        Some(d) => format!("{shown} ({} to {})", signed(of(d.low)), signed(of(d.high))),
        None => shown,
    }
}

/// `v2 (120 requests) against v1 (2400 requests)`
pub(super) fn versions(comparison: &Comparison) -> String {
    let side = |side: &Compared, before: &str| {
        let group = side.group.as_ref().map_or(String::new(), |group| format!("group `{group}`, "));
        format!("{} ({group}{} requests{before})", side.version, side.requests)
    };
    let before = if comparison.before { " in the phases before" } else { "" };
    format!("{} against {}", side(&comparison.candidate, ""), side(&comparison.baseline, before))
}

fn signed(amount: String) -> String {
    if amount.starts_with('-') { amount } else { format!("+{amount}") }
}

/// `delivered`, `partly delivered (46% of the promise)`, `not delivered` or `too little traffic to tell`.
pub(super) fn delivered(delivery: &Delivery) -> String {
    match (delivery.delivered, delivery.achieved) {
        (Delivered::Yes, _) => "delivered".to_owned(),
        (Delivered::Partly, Some(achieved)) => {
            format!("partly delivered ({:.0}% of the promise)", achieved.estimate * 100.0)
        }
        (Delivered::Partly, None) => "partly delivered".to_owned(),
        (Delivered::No, _) => "not delivered".to_owned(),
        (Delivered::TooLittleTraffic, _) => "too little traffic to tell".to_owned(),
    }
}

/// `promised error share +30.0% → measured +28.8% (88% to 104% of the promise)`
pub(super) fn promise(delivery: &Delivery) -> Option<String> {
    let (promised, achieved) = (delivery.promised.as_ref()?, delivery.achieved?);
    let of = |amount| signed(self::amount(&promised.unit, amount));
    let share = match promised.at_least {
        true => String::new(),
        false => format!(" ({:.0}% to {:.0}% of the promise)", achieved.low * 100.0, achieved.high * 100.0),
    };
    Some(format!(
        "promised {} {}{} → measured {}{share}",
        promised.measure,
        if promised.at_least { "at least " } else { "" },
        of(promised.amount),
        of(promised.amount * achieved.estimate),
    ))
}

/// The verdict on the whole run, in one sentence.
pub(super) fn headline(report: &Report) -> String {
    let ended = report.ending_detail.as_deref().map_or(String::new(), |why| format!(": {why}"));
    match report.exit_code {
        0 if report.outcomes.is_empty() => "Nothing was expected, and nothing fired.".to_owned(),
        0 => "Your monitoring told you everything it should, in time.".to_owned(),
        1 => {
            let short = report.outcomes.iter().filter(|outcome| fell_short(outcome.verdict)).count();
            format!("Your monitoring fell short: {short} of {} expectations.", report.outcomes.len())
        }
        4 if report.ending == Ending::Withdrawn => format!("The run was withdrawn{ended}."),
        4 => format!("A guard ended the run{ended}."),
        130 => "Interrupted; everything is disarmed.".to_owned(),
        _ => format!("This run could not tell{ended}."),
    }
}

/// The share of delivered faults that were detected in time, in words.
pub(super) fn score(report: &Report) -> Option<String> {
    report.score.map(|score| format!("{:.0}% of the delivered faults were detected in time", score * 100.0))
}

/// Why it was missed or late, in a line: `for-too-long: it was pending …; with a …`.
pub(super) fn why(cause: &Cause) -> String {
    let remedy = cause.remedy.as_ref().map_or(String::new(), |remedy| format!("; {remedy}"));
    format!("{}: {}{remedy}", kebab(&cause.kind), cause.summary)
}

/// The same with all that shows it, a line each.
pub(super) fn why_in_full(cause: &Cause) -> String {
    let line = |seen: &Observation| {
        let at = seen.at.map_or(String::new(), |at| format!(" [{at}]"));
        format!("\n  {}: {}{at}", seen.asked, seen.answer)
    };
    why(cause) + &cause.evidence.iter().map(line).collect::<String>()
}

/// What lies behind a reason, for a reader who meets the word for the first time.
pub(super) fn meaning(reason: Reason) -> &'static str {
    match reason {
        Reason::AlreadyFiring => "it was true before the fault began",
        Reason::NotDelivered => "the fault did not take effect",
        Reason::MonitorUnreachable => "the monitor did not answer when it mattered",
        Reason::NoSuchAlert => "no monitor has such a rule",
        Reason::Aborted => "the run ended first",
        Reason::Underpowered => "too little traffic for any monitor to see it",
        Reason::Suppressed => "it was silenced or inhibited",
        Reason::WrongLabels => "it fired with other labels",
        Reason::NotNotified => "nobody was notified",
        Reason::CrossTalk => "another alert fired instead",
        Reason::MonitorBlind => "the rule can't see anything",
        Reason::NeverFired => "it never fired",
        Reason::ConditionFalse => "the query was not true",
    }
}
