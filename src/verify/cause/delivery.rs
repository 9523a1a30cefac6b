//! Causes after it fired: silenced, inhibited, waiting in a group, routed to nobody, failed, never handed on.

use super::{found, seen, span};
use crate::{
    event::{Cause, CauseKind, Observation},
    monitor::findings::{Findings, Handover, Question, Route, Routing},
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
    managers.into_iter().find_map(|(monitor, routing)| {
        let mut cause = suppressed(question, routing).or_else(|| routed(question, routing))?;
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
    cause(format!("`{alert}` fired, but {monitor} sends to {list}, and `{watched}` never got it"))
}

/// Silenced, inhibited, or muted.
fn suppressed(question: &Question, routing: &Routing) -> Option<Cause> {
    let alert = &question.alert;
    if let Some(silence) = routing.silences.first() {
        let left = silence.until.since(question.to);
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
fn routed(question: &Question, routing: &Routing) -> Option<Cause> {
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
    let waited = question.fired.as_ref().map_or(0.0, |(_, at)| question.to.since(*at).max(0.0));
    let waits = |route: &Route| -> (f64, &str) {
        if route.joined {
            (route.group_interval.as_secs_f64(), "group_interval")
        } else {
            (route.group_wait.as_secs_f64(), "group_wait")
        }
    };
    if heard.iter().all(|route| waits(route).0 > waited) {
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
    let of_route = |name: &String| heard.iter().any(|route| route.integrations.contains(name));
    let failed = routing.counters.iter().filter(|(name, _)| of_route(name));
    if let Some((name, count)) =
        failed.filter(|(_, count)| count.failed + count.refused > 0).max_by_key(|(_, count)| count.refused)
    {
        let summary = format!(
            "`{alert}` fired, but notifying `{}` failed: {} requests of `{name}` failed since the run began",
            first.receiver,
            count.refused.max(count.failed)
        );
        let mut cause = cause(CauseKind::NotificationFailed, summary);
        let metric = format!("alertmanager_notification_requests_failed_total{{integration=\"{name}\"}}");
        cause.evidence.push(seen(metric, format!("+{}", count.refused)));
        let metric = format!("alertmanager_notifications_failed_total{{integration=\"{name}\"}}");
        cause.evidence.push(seen(metric, format!("+{}", count.failed)));
        return Some(cause);
    }
    if !routing.known {
        return None;
    }
    let list: Vec<String> = heard
        .iter()
        .map(|route| format!("`{}` ({})", route.receiver, route.integrations.join(", ")))
        .collect();
    let summary =
        format!("`{alert}` fired and was routed to {}, which canard does not hear", list.join(", "));
    Some(cause(CauseKind::RoutedElsewhere, summary))
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
