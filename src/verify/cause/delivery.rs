//! Causes after it fired: silenced, inhibited, waiting in a group, routed to nobody, failed, never handed on.

use std::collections::BTreeSet;

use super::{found, seen, span};
use crate::{
    event::{Cause, CauseKind, Observation},
    monitor::findings::{Counter, Findings, Handover, Question, Route, Routing, Sender},
};

/// It fired, and whoever should have heard of it did not.
pub(super) fn not_heard(question: &Question, findings: &[(String, Findings)]) -> Option<Cause> {
    let managers: Vec<(&String, &Routing)> =
        findings.iter().filter_map(|(monitor, one)| Some((monitor, one.routing.as_ref()?))).collect();
    let handovers = || findings.iter().filter_map(|(monitor, one)| Some((monitor, one.handover.as_ref()?)));
    if !managers.iter().any(|(_, routing)| routing.known)
        && let Some(cause) =
            handovers().find_map(|(monitor, handover)| not_handed_on(question, monitor, handover, &managers))
    {
        return Some(cause);
    }
    let heard_from: BTreeSet<&str> =
        findings.iter().flat_map(|(_, one)| &one.heard_from).map(String::as_str).collect();
    managers.into_iter().find_map(|(monitor, routing)| {
        let mut cause = suppressed(question, routing).or_else(|| routed(question, routing, &heard_from))?;
        cause.monitor = Some(monitor.clone());
        cause.evidence.splice(0..0, routing.seen.iter().cloned());
        Some(cause)
    })
}

/// The evaluator has no Alertmanager, can't reach it, or sends to another than the one that is watched.
fn not_handed_on(
    question: &Question,
    monitor: &str,
    handover: &Handover,
    managers: &[(&String, &Routing)],
) -> Option<Cause> {
    let cause = |summary: String| {
        Some(found(CauseKind::AlertmanagerUnreachable, monitor, summary, handover.seen.clone()))
    };
    let alert = &question.alert;
    if handover.alertmanagers.is_empty() {
        let mut cause = cause(format!("`{alert}` fired, but {monitor} has no Alertmanager to send it to"))?;
        cause.remedy = Some("name one in its `alerting` section".into());
        return Some(cause);
    }
    if let Some((address, times)) = handover.errors.iter().max_by_key(|(_, times)| **times) {
        return cause(format!(
            "`{alert}` fired, but {monitor} could not send to {address}: {times} alerts failed"
        ));
    }
    let watched = managers.first().map(|(name, _)| *name)?;
    let list = handover.alertmanagers.join(", ");
    cause(format!(
        "`{alert}` fired, but {monitor} sends to {list}, and `{watched}` never got it with its labels"
    ))
}

/// Silenced, inhibited, or muted.
fn suppressed(question: &Question, routing: &Routing) -> Option<Cause> {
    let alert = &question.alert;
    if let Some(silence) = routing.silences.first() {
        let left = silence.until.since(question.until);
        let until = if left >= 0.0 {
            format!("for another {}", span(left))
        } else {
            format!("until {} before the end", span(-left))
        };
        let why =
            if silence.comment.is_empty() { String::new() } else { format!(" (\"{}\")", silence.comment) };
        let by = if silence.by.is_empty() { "somebody" } else { &silence.by };
        let summary = format!("`{alert}` fired, but {by} silenced {} {until}{why}", silence.matchers);
        let evidence = routing.silences.iter().map(|one| Observation {
            asked: format!("silence {}", one.id),
            answer: format!("{} by {}: {}", one.matchers, one.by, one.comment),
            at: Some(one.until),
        });
        let mut cause = found(CauseKind::Silenced, "", summary, evidence.collect());
        cause.remedy = Some(format!("end it: amtool silence expire {}", silence.id));
        return Some(cause);
    }
    if let Some(by) = routing.inhibited_by.first() {
        let name = by.labels.get("alertname").map_or("another alert", String::as_str);
        let summary = format!("`{alert}` fired, but `{name}` inhibits it");
        let labels = |labels: &std::collections::BTreeMap<String, String>| {
            labels.iter().map(|(key, value)| format!("{key}=\"{value}\"")).collect::<Vec<_>>().join(", ")
        };
        let evidence = routing.inhibited_by.iter().map(|one| seen("inhibited by", labels(&one.labels)));
        return Some(found(CauseKind::Inhibited, "", summary, evidence.collect()));
    }
    let named = routing.muted_by.first().cloned();
    let on_all = || routing.routes.iter().map(|route| route.muted.clone()).collect::<Option<Vec<_>>>();
    let muted = named.or_else(|| on_all()?.into_iter().next())?;
    let summary = format!("`{alert}` fired, but its route is muted by the time interval `{muted}`");
    Some(found(CauseKind::Silenced, "", summary, routing.routes.iter().map(told).collect()))
}

/// Nobody at the end of its route, or nobody yet, or a notification that failed.
fn routed(question: &Question, routing: &Routing, heard_from: &BTreeSet<&str>) -> Option<Cause> {
    let alert = &question.alert;
    let evidence: Vec<Observation> = routing.routes.iter().map(told).collect();
    let cause = |kind, summary| found(kind, "", summary, evidence.clone());
    let heard: Vec<&Route> = routing.routes.iter().filter(|route| !route.integrations.is_empty()).collect();
    let Some(first) = heard.first() else {
        let receiver = &routing.routes.first()?.receiver;
        let mut cause = cause(
            CauseKind::RoutedToNobody,
            format!("`{alert}` fired, but it is routed to `{receiver}`, which has no integration"),
        );
        cause.remedy = Some("give the receiver an integration, or the route another receiver".into());
        return Some(cause);
    };
    let waited = question.fired.as_ref().map_or(0.0, |(_, at)| question.until.since(*at).max(0.0));
    let waits = |route: &Route| -> (f64, &str) {
        if route.joined {
            (route.group_interval.as_secs_f64(), "group_interval")
        } else {
            (route.group_wait.as_secs_f64(), "group_wait")
        }
    };
    let failed = failed(routing, &heard, heard_from);
    let sure = failed.filter(|failed| failed.sure);
    // A group that was there before is notified anew at some moment of its interval: the failure may be of that.
    let may_have_failed = sure.is_some() && heard.iter().any(|route| route.joined);
    if !may_have_failed && heard.iter().all(|route| waits(route).0 > waited) {
        let (wait, name) = waits(first);
        let mut cause = cause(
            CauseKind::Grouped,
            format!(
                "`{alert}` fired {} before the end, and waits in its group for the `{name}` of {}",
                span(waited),
                span(wait)
            ),
        );
        cause.remedy = Some(format!("with a `{name}` below {} it would have been heard", span(waited)));
        return Some(cause);
    }
    if let Some(Failed { sender, count, .. }) = sure {
        let name = &sender.integration;
        let receiver = sender.receiver.as_ref().unwrap_or(&first.receiver);
        let summary = format!(
            "`{alert}` fired, but notifying `{receiver}` failed: {} requests of `{name}` failed since the run began",
            count.refused.max(count.failed)
        );
        let mut cause = cause(CauseKind::NotificationFailed, summary);
        cause.evidence.extend(counted(sender, count));
        return Some(cause);
    }
    if !routing.known {
        return None;
    }
    let list: Vec<String> = heard
        .iter()
        .map(|route| format!("`{}` ({})", route.receiver, route.integrations.join(", ")))
        .collect();
    let maybe = failed.map_or(String::new(), |Failed { sender, count, .. }| {
        let requests = count.refused.max(count.failed);
        format!(
            "; since the run began {requests} requests of some `{}` failed, maybe of another receiver",
            sender.integration
        )
    });
    let summary =
        format!("`{alert}` fired and was routed to {}, which canard does not hear{maybe}", list.join(", "));
    let mut cause = cause(CauseKind::RoutedElsewhere, summary);
    cause.evidence.extend(failed.into_iter().flat_map(|failed| counted(failed.sender, failed.count)));
    Some(cause)
}

/// Notifications that failed, and whether they surely were of a receiver that the alert was routed to.
#[derive(Clone, Copy)]
struct Failed<'a> {
    sender: &'a Sender,
    count: Counter,
    sure: bool,
}

/// What failed most on the way to these routes' receivers. Where only the integration is told, it is surely theirs if
/// no other receiver has it but such as are heard.
fn failed<'a>(routing: &'a Routing, routes: &[&Route], heard_from: &BTreeSet<&str>) -> Option<Failed<'a>> {
    let of_route = |sender: &Sender| {
        let receives = |route: &&&Route| sender.receiver.as_ref().is_none_or(|name| *name == route.receiver);
        routes.iter().filter(receives).any(|route| route.integrations.contains(&sender.integration))
    };
    let sure = |sender: &Sender| {
        let mut others = routing.others.get(&sender.integration).into_iter().flatten();
        sender.receiver.is_some() || others.all(|name| heard_from.contains(name.as_str()))
    };
    let failed = routing.counters.iter().filter(|(_, count)| count.failed + count.refused > 0);
    let failed = failed.filter(|(sender, _)| of_route(sender));
    let failed = failed.map(|(sender, count)| Failed { sender, count: *count, sure: sure(sender) });
    failed.max_by_key(|failed| (failed.sure, failed.count.refused))
}

/// Failures as evidence.
fn counted(sender: &Sender, count: Counter) -> [Observation; 2] {
    let receiver =
        sender.receiver.as_ref().map_or(String::new(), |name| format!(",receiver_name=\"{name}\""));
    let of = |metric: &str, count: u64| {
        seen(format!("{metric}{{integration=\"{}\"{receiver}}}", sender.integration), format!("+{count}"))
    };
    [
        of("alertmanager_notification_requests_failed_total", count.refused),
        of("alertmanager_notifications_failed_total", count.failed),
    ]
}

/// A route as evidence.
fn told(route: &Route) -> Observation {
    let to = if route.integrations.is_empty() {
        "no integration".to_owned()
    } else {
        route.integrations.join(", ")
    };
    let (wait, interval) = (span(route.group_wait.as_secs_f64()), span(route.group_interval.as_secs_f64()));
    let muted = route.muted.as_ref().map_or(String::new(), |name| format!(", muted by `{name}`"));
    seen(
        format!("route to `{}`", route.receiver),
        format!("{to}; group_wait {wait}, group_interval {interval}{muted}"),
    )
}
