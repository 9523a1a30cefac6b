//! Causes before anything fires: the rule, its evaluation, its `for`, its labels.

use super::{figures, found, seen, span, value};
use crate::{
    clock::Timestamp,
    event::{Cause, CauseKind, Observation},
    monitor::findings::{Findings, Question, RuleFacts, RuleFinding},
};

/// No monitor that tells its rules has such a one.
pub(super) fn absent(question: &Question, findings: &[(String, Findings)]) -> Option<Cause> {
    let mut absent = findings.iter().filter_map(|(monitor, one)| match &one.rule {
        RuleFinding::Absent { near, seen } => Some((monitor, near, seen)),
        _ => None,
    });
    let present = findings.iter().any(|(_, one)| matches!(one.rule, RuleFinding::Present(_)));
    let (monitor, near, read) = absent.next().filter(|_| !present)?;
    let summary = format!("no rule `{}` in {monitor}{}", question.alert, there_is(near));
    let mut cause = found(CauseKind::RuleAbsent, monitor, summary, vec![read.clone()]);
    cause.evidence.extend(absent.map(|(_, _, seen)| seen.clone()));
    Some(cause)
}

/// `; there is a or b`
pub(super) fn there_is(near: &[String]) -> String {
    let list: Vec<String> = near.iter().map(|name| format!("`{name}`")).collect();
    if list.is_empty() { String::new() } else { format!("; there is {}", list.join(", ")) }
}

/// It fired, with other labels than were asked for.
pub(super) fn wrong_labels(question: &Question, findings: &[(String, Findings)]) -> Option<Cause> {
    let (has, at) = question.fired.as_ref()?;
    let wrong = question.wanted.iter().filter(|(key, value)| has.get(*key) != Some(*value));
    let told = |(key, value): (&String, &String)| {
        let has = has.get(key).map_or("missing".to_owned(), |has| format!("`{has}`"));
        (key.clone(), format!("`{key}` is {has}, not `{value}`"))
    };
    let (keys, told): (Vec<String>, Vec<String>) = wrong.map(told).unzip();
    let labels: Vec<String> = has.iter().map(|(key, value)| format!("{key}=\"{value}\"")).collect();
    let asked = format!("labels of `{}` as it fired", question.alert);
    let mut evidence = vec![Observation { asked, answer: labels.join(", "), at: Some(*at) }];
    let rule = findings.iter().find_map(|(monitor, one)| match &one.rule {
        RuleFinding::Present(rule) => Some((monitor, rule)),
        _ => None,
    });
    let mut from = "what the rule selects";
    if let Some((_, rule)) = rule {
        let sets: Vec<String> = rule.labels.iter().map(|(key, value)| format!("{key}=\"{value}\"")).collect();
        evidence.push(seen(format!("labels that the rule `{}` sets", question.alert), sets.join(", ")));
        if keys.iter().any(|key| rule.labels.contains_key(key)) {
            from = "the rule itself";
        }
    }
    let summary = format!("it fired, but {} (set by {from})", told.join(", "));
    let monitor = rule.map(|(monitor, _)| monitor.clone());
    Some(Cause { monitor, ..found(CauseKind::WrongLabels, "", summary, evidence) })
}

/// The rule is there, and nothing fired.
pub(super) fn not_fired(question: &Question, (monitor, findings): &(String, Findings)) -> Option<Cause> {
    let RuleFinding::Present(rule) = &findings.rule else { return None };
    let evidence = vec![seen(format!("rule `{}`", question.alert), in_words(rule))];
    // One that was never evaluated has no health yet.
    let fails = !rule.healthy && rule.last_evaluation.is_some();
    if fails || rule.last_error.is_some() {
        let error = rule.last_error.as_deref().unwrap_or("no error is told");
        let short = error.split(';').next_back().unwrap_or(error).trim();
        let mut cause = found(
            CauseKind::RuleUnhealthy,
            monitor,
            format!("its rule fails when it is evaluated: {short}"),
            evidence,
        );
        cause.evidence.push(Observation {
            asked: "lastError".into(),
            answer: error.to_owned(),
            at: rule.last_evaluation,
        });
        return Some(cause);
    }
    if let Some(summary) = not_evaluated(question, rule) {
        let mut cause = found(CauseKind::NotEvaluated, monitor, summary, evidence);
        let last = rule.last_evaluation.map_or("never".to_owned(), |at| at.to_string());
        cause.evidence.push(Observation {
            asked: "lastEvaluation".into(),
            answer: last,
            at: rule.last_evaluation,
        });
        let lasted = question.to.since(question.from);
        let seldom = rule.interval.map(|every| every.as_secs_f64()).filter(|every| *every > lasted);
        cause.remedy = Some(match seldom {
            Some(every) => format!("its group's interval is {}: shorten it", span(every)),
            None => "its group stands still: look at the log, and at its missed iterations".into(),
        });
        return Some(cause);
    }
    let cause = match held(question, rule, findings) {
        Some((kind, summary, remedy)) => {
            let mut cause = found(kind, monitor, summary, evidence);
            cause.remedy = remedy;
            cause.evidence.extend(findings.pending_seen.clone());
            cause
        }
        None => {
            let mut cause = value::not_true(question, rule, monitor, findings)?;
            cause.evidence.splice(0..0, evidence);
            cause
        }
    };
    Some(cause)
}

/// `up == 0 for 10 s, evaluated every 1 s`
fn in_words(rule: &RuleFacts) -> String {
    let hold =
        if rule.hold.is_zero() { String::new() } else { format!(" for {}", span(rule.hold.as_secs_f64())) };
    let every = rule
        .interval
        .map_or(String::new(), |every| format!(", evaluated every {}", span(every.as_secs_f64())));
    format!("{}{hold}{every}", rule.query.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Was there no evaluation in the phase? The newest is known, and those before it an interval apart.
fn not_evaluated(question: &Question, rule: &RuleFacts) -> Option<String> {
    let lasted = question.to.since(question.from);
    let Some(last) = rule.last_evaluation else { return Some("its rule was never evaluated".into()) };
    let every = rule.interval.map_or(0.0, |every| every.as_secs_f64());
    if last.since(question.from) < 0.0 {
        let ago = question.from.since(last);
        return Some(format!(
            "its rule was not evaluated in the phase: the last time was {} before it",
            span(ago)
        ));
    }
    let after = last.since(question.to);
    let before = after - (after / every.max(1e-3)).ceil() * every;
    let missed = every > lasted && after > 0.0 && before < -lasted;
    missed.then(|| {
        format!(
            "its rule is evaluated every {}, and not once in the {} of the phase",
            span(every),
            span(lasted)
        )
    })
}

/// It was pending, and never for long enough.
fn held(
    question: &Question,
    rule: &RuleFacts,
    findings: &Findings,
) -> Option<(CauseKind, String, Option<String>)> {
    let hold = rule.hold.as_secs_f64();
    let length = |span: &&(Timestamp, Timestamp)| span.1.since(span.0);
    let longest = findings.pending.iter().max_by(|a, b| length(a).total_cmp(&length(b)))?;
    let (lasts, after) = (length(&longest), longest.0.since(question.from));
    let interval = rule.interval.map_or(1.0, |every| every.as_secs_f64());
    let to_the_end = |span: &(_, Timestamp)| span.1.plus_s(2.0 * interval).since(question.ended) >= 0.0;
    let fault = question.ended.since(question.from);
    if findings.pending.iter().all(to_the_end) {
        let summary = format!(
            "it was pending for {} of its `for` of {} when the fault ended (true after {}, the fault lasted {})",
            span(lasts),
            span(hold),
            span(after.max(0.0)),
            span(fault)
        );
        let remedy =
            format!("with a `for` of up to {} it would have fired", span((lasts - interval).max(0.0)));
        return Some((CauseKind::ForTooLong, summary, Some(remedy)));
    }
    let times = match findings.pending.len() {
        1 => "once".to_owned(),
        n => format!("{} times", figures(n as f64)),
    };
    if hold >= fault {
        let summary = format!(
            "its `for` of {} is longer than the fault, which lasted {} (it was pending {times}, at most for {})",
            span(hold),
            span(fault),
            span(lasts)
        );
        return Some((
            CauseKind::ForTooLong,
            summary,
            Some("shorten its `for`, or let the fault last".into()),
        ));
    }
    let summary = format!(
        "it was pending {times}, at most for {} of its `for` of {}: the condition flaps",
        span(lasts),
        span(hold)
    );
    let remedy =
        "smooth the value with a longer window, or use `keep_firing_for` with a shorter `for`".to_owned();
    Some((CauseKind::PendingOnly, summary, Some(remedy)))
}
