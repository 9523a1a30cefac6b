//! An alert that fired after its time: which stage took how long.

use std::collections::BTreeMap;

use super::{figures, found, seen, span, value};
use crate::{
    event::{Cause, CauseKind, Outcome},
    monitor::findings::{Comparison, Condition, Findings, Question, RuleFacts, RuleFinding},
};

/// The stage that took longest, and what would have brought it into its time.
pub(super) fn late(outcome: &Outcome, question: &Question, findings: &[(String, Findings)]) -> Option<Cause> {
    let (time, within) = (outcome.time?.seconds, outcome.within_s?);
    let late_by = time - within;
    let stage = |name: &str| outcome.stages_s.get(name).copied();
    let rule = findings.iter().find_map(|(monitor, one)| match &one.rule {
        RuleFinding::Present(rule) => Some((monitor, rule, one.condition.as_ref())),
        _ => None,
    });
    let evidence = || {
        let order = ["pending", "firing", "notified"].into_iter();
        order.filter_map(|name| Some(seen(name, format!("after {}", span(stage(name)?))))).collect()
    };
    let Some((monitor, rule, condition)) = rule else { return grouped(outcome, findings, evidence()) };
    let pending = stage("pending").unwrap_or(time - rule.hold.as_secs_f64());
    let held = time - pending;
    let parts = format!("{} until its condition was true, {} of `for`", span(pending), span(held));
    if held > pending {
        let mut cause = found(CauseKind::ForTooLong, monitor, format!("it took {parts}"), evidence());
        let most = rule.hold.as_secs_f64() - late_by;
        cause.remedy =
            (most > 0.0).then(|| format!("with a `for` of up to {} it would have been in time", span(most)));
        return Some(cause);
    }
    let window = rule.window.map_or(String::new(), |window| {
        format!(", and looks through a window of {}", span(window.as_secs_f64()))
    });
    let every = rule.interval.map_or(String::new(), |every| {
        format!("; the rule is evaluated every {}", span(every.as_secs_f64()))
    });
    let mut cause =
        found(CauseKind::SlowCondition, monitor, format!("it took {parts}{every}{window}"), evidence());
    cause.remedy = condition.and_then(|condition| earlier(question, rule, condition, within));
    Some(cause)
}

/// The threshold that the value had passed early enough, if that is not where it was before the fault.
fn earlier(question: &Question, rule: &RuleFacts, condition: &Condition, within: f64) -> Option<String> {
    let Condition::Compare(comparison) = condition else { return None };
    let by = question.from.plus_s(within);
    let cut = |track: &crate::monitor::findings::Track| {
        let points = track.points.iter().filter(|point| point.at.since(by) <= 0.0).copied().collect();
        crate::monitor::findings::Track { labels: BTreeMap::clone(&track.labels), points }
    };
    let early = Comparison { tracks: comparison.tracks.iter().map(cut).collect(), ..comparison.clone() };
    let (reached, side) = value::would_have_fired_at(question, rule, &early)?;
    Some(format!("with a threshold {side} {} it would have been in time", figures(reached)))
}

/// No evaluator is watched: the time passed on the way.
fn grouped(
    outcome: &Outcome,
    findings: &[(String, Findings)],
    evidence: Vec<crate::event::Observation>,
) -> Option<Cause> {
    let (monitor, routing) =
        findings.iter().find_map(|(monitor, one)| Some((monitor, one.routing.as_ref()?)))?;
    let route = routing.routes.iter().find(|route| !route.integrations.is_empty())?;
    let (wait, name) = if route.joined {
        (route.group_interval, "group_interval")
    } else {
        (route.group_wait, "group_wait")
    };
    let wait = wait.as_secs_f64();
    if wait < 0.25 * outcome.time?.seconds {
        return None;
    }
    let summary = format!("its group waits {} (`{name}`) before anybody is told", span(wait));
    Some(found(CauseKind::Grouped, monitor, summary, evidence))
}
