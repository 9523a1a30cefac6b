//! An alert that should fire: met, late or missed, and why.

use super::{Facts, Window, alerts, of_phase};
use crate::{
    clock::Timestamp,
    event::{AlertState, Delivered, Delivery, MonitorTraffic, Outcome, Reason, Verdict},
    monitor::Life,
    scenario::{AlertFires, Expectation, Phase},
};

pub(super) fn judge(
    wanted: &AlertFires,
    phase: usize,
    window: Window,
    facts: Facts<'_>,
    blank: Outcome,
) -> Option<Outcome> {
    let monitor = wanted.monitor.as_deref();
    let mut outcome = Outcome { within_s: Some(wanted.within.as_secs_f64()), ..blank };
    let labelled = |life: &Life| wanted.labels.iter().all(|(key, value)| life.labels.get(key) == Some(value));
    let (right, wrong): (Vec<&Life>, Vec<&Life>) =
        facts.history.lives(&wanted.alert, monitor).into_iter().partition(|life| labelled(life));
    if let Some(early) = right.iter().find(|life| alerts::true_before(life, window.started)) {
        // It may have ended in time, and that be told only now.
        facts.heard(&wanted.alert, monitor, window.started).then_some(())?;
        let firing = early.firing.is_some_and(|(at, _)| at.since(window.started) < 0.0);
        let state = if firing { "firing" } else { "pending" };
        outcome.reason = Some(Reason::AlreadyFiring);
        outcome.monitor = Some(early.monitor.clone());
        outcome.detail = format!("was {state} before the fault began");
        outcome.advice = Some("let it clear before the phase: a longer steady or recovery phase".into());
        return Some(outcome);
    }
    // An alert that fires after its fault has gone is still the answer to it, until the next fault begins.
    let next_fault = next_fault(phase, facts);
    let until = next_fault.unwrap_or(facts.now);
    let in_window = |lives: Vec<&'_ Life>| -> Vec<_> {
        let fired = |life: &&Life| alerts::fired_within(life, window.started, until);
        lives.into_iter().filter(fired).map(Life::clone).collect()
    };
    let (right, wrong) = (in_window(right), in_window(wrong));

    if let Some(outcome) = fired(wanted, &right, window, facts, &outcome) {
        return Some(outcome);
    }
    let last_moment = facts.last_moment(window, wanted.within)?;
    // Fired, but not yet heard: a receiver may take its time, until the next fault.
    let on_its_way = !right.is_empty() && !right.iter().any(suppressed);
    let waits = on_its_way && next_fault.is_none() && facts.ending.is_none();
    if waits || !facts.heard(&wanted.alert, monitor, last_moment) {
        return None;
    }
    Some(not_fired(wanted, phase, window, facts, &right, &wrong, outcome))
}

/// The outcome when it fired and somebody was, or could be, told.
fn fired(
    wanted: &AlertFires,
    lives: &[Life],
    window: Window,
    facts: Facts<'_>,
    blank: &Outcome,
) -> Option<Outcome> {
    let earliest = |notification: bool| {
        let heard = |life: &&Life| life.firing.is_some() && !suppressed(life);
        let such = lives.iter().filter(|life| life.notification == notification).filter(heard);
        such.min_by(|a, b| facts.distance(a).cmp(&facts.distance(b)).then(order(a, b)))
    };
    let (evaluated, notified) = (earliest(false), earliest(true));
    let first = evaluated.or(notified)?;
    if wanted.monitor.is_none() && unheard(facts, lives).is_some() {
        return None; // It fired, but it has not reached the end of the chain that is watched.
    }
    let time = alerts::measured(window.started, first.firing?);
    let mut outcome = Outcome { monitor: Some(first.monitor.clone()), time: Some(time), ..blank.clone() };
    let mut stage = |name: &str, at: Option<(Timestamp, f64)>| {
        if let Some((at, _)) = at {
            outcome.stages_s.insert(name.to_owned(), at.since(window.started).max(0.0));
        }
    };
    stage("pending", evaluated.and_then(|life| life.pending));
    stage("firing", evaluated.and_then(|life| life.firing));
    stage("notified", notified.and_then(|life| life.firing));

    let mut deliveries = of_phase(facts.deliveries, &blank.phase).peekable();
    if deliveries.peek().is_some() && deliveries.all(|d| d.delivered == Delivered::No) {
        // While the phase runs the effect may still come.
        (facts.ending.is_some() || window.ended.is_some()).then_some(())?;
        outcome.reason = Some(Reason::NotDelivered);
        outcome.detail =
            "fired, but the evidence shows no effect of the fault that it could have seen".into();
        return Some(outcome);
    }
    let late_by = time.seconds - wanted.within.as_secs_f64();
    if late_by > time.uncertainty_s {
        outcome.verdict = Verdict::Late;
        outcome.detail = format!("fired {late_by:.1} s after its time");
        outcome.advice = Some(shorten(&outcome));
    } else {
        outcome.verdict = Verdict::Met;
        outcome.detail = "fired in time".into();
    }
    Some(outcome)
}

/// The first link of the chain that an alert has not reached: each Alertmanager has to show it, unsuppressed,
/// and each inbox has to get it.
fn unheard<'a>(facts: Facts<'a>, lives: &[Life]) -> Option<&'a str> {
    let heard = |name: &str| lives.iter().any(|life| life.monitor == name && !suppressed(life));
    let links = facts.monitors.iter().filter(|(_, monitor)| !monitor.knows_rules);
    links.map(|(name, _)| name.as_str()).find(|name| !heard(name))
}

/// Is it suppressed, or was it until it ended? A silence that was lifted while it fired let it be heard.
fn suppressed(life: &Life) -> bool {
    life.suppressed.is_some() && life.state() != AlertState::Firing
}

fn order(a: &Life, b: &Life) -> std::cmp::Ordering {
    let at = |life: &Life| life.firing.map_or(f64::INFINITY, |(at, _)| at.unix_s());
    at(a).total_cmp(&at(b))
}

fn shorten(outcome: &Outcome) -> String {
    match (outcome.stages_s.get("pending"), outcome.stages_s.get("firing")) {
        (Some(pending), Some(firing)) if firing - pending > *pending => {
            format!("{:.1} s of it are the rule's own `for`: shorten that first", firing - pending)
        }
        (Some(pending), _) => format!(
            "{pending:.1} s passed before the condition was true: look at the rule's window and threshold, and \
             at the scrape interval"
        ),
        _ => "look at the rule's window, its `for` and the scrape interval".into(),
    }
}

/// The outcome when nothing that counts has fired by the last moment: what canard can't answer for first, and
/// blame only after the delivery check.
fn not_fired(
    wanted: &AlertFires,
    phase: usize,
    window: Window,
    facts: Facts<'_>,
    right: &[Life],
    wrong: &[Life],
    mut outcome: Outcome,
) -> Outcome {
    let (alert, monitor) = (&wanted.alert, wanted.monitor.as_deref());
    if facts.aborted() {
        outcome.reason = Some(Reason::Aborted);
        outcome.detail = "the run ended before this could be told".into();
        return outcome;
    }
    if right.is_empty()
        && wrong.is_empty()
        && let Some((reason, detail)) = facts.silence_means_nothing(alert, monitor, window)
    {
        return Outcome { reason: Some(reason), detail, ..outcome };
    }
    let deliveries = of_phase(facts.deliveries, &facts.plan.phases[phase].name);
    if let Some(delivery) = deliveries.clone().find(|delivery| !delivery.delivered.took_effect()) {
        (outcome.reason, outcome.detail, outcome.advice) = undelivered(delivery);
        return outcome;
    }
    if let Some(life) = right.first().or(wrong.first()) {
        outcome.monitor = Some(life.monitor.clone());
        outcome.time = alerts::fired(life).map(|at| alerts::measured(window.started, at));
        return fired_in_vain(wanted, window, facts, right, life, outcome);
    }
    outcome.verdict = Verdict::Missed;
    let lasted = window.ended.unwrap_or(facts.now).since(window.started);
    outcome.detail = format!("the fault was there for {lasted:.0} s and it did not fire");
    let part = deliveries.clone().filter(|delivery| delivery.delivered == Delivered::Partly);
    for (delivery, achieved) in part.filter_map(|delivery| Some((delivery, delivery.achieved?))) {
        let share = achieved.estimate * 100.0;
        outcome.detail.push_str(&format!("; `{}` was {share:.0}% of what it promised", delivery.fault.id));
    }
    let faults: Vec<_> = deliveries.map(|d| format!("`{}` shows in: {}", d.fault.fault, d.seen_by)).collect();
    outcome.advice = (!faults.is_empty()).then(|| faults.join("; "));
    if let Some((monitor, detail)) = facts.blind(alert, monitor, true) {
        outcome.reason = Some(Reason::MonitorBlind);
        outcome.monitor = Some(monitor);
        outcome.detail = detail;
    } else if let Some(other) = cross_talk(alert, phase, window, facts) {
        outcome.reason = Some(Reason::CrossTalk);
        outcome.detail.push_str(&format!("; `{other}` fired instead"));
    } else if let Some(detail) = underpowered(&facts.plan.phases[phase], facts.deliveries) {
        outcome.verdict = Verdict::Inconclusive;
        outcome.reason = Some(Reason::Underpowered);
        outcome.detail = detail;
        outcome.advice =
            Some("more traffic, a larger exposure share, or a longer phase: see `canard power`".into());
    }
    outcome
}

/// It fired, but that helped nobody: suppressed, on its way lost, or with other labels.
fn fired_in_vain(
    wanted: &AlertFires,
    window: Window,
    facts: Facts<'_>,
    right: &[Life],
    first: &Life,
    outcome: Outcome,
) -> Outcome {
    let missed = |reason, detail, advice: &str| Outcome {
        verdict: Verdict::Missed,
        reason: Some(reason),
        detail,
        advice: Some(advice.to_owned()),
        ..outcome.clone()
    };
    if let Some((state, _)) = right.iter().find(|life| suppressed(life)).and_then(|life| life.suppressed) {
        let word = alerts::suppressed_word(state);
        let detail = format!("fired, but was {word}: nobody was told");
        let advice = "end the silence or the inhibit rule, or expect it with `monitor:` naming the one that evaluates it";
        return missed(Reason::Suppressed, detail, advice);
    }
    if right.is_empty() {
        let has =
            |key: &String| first.labels.get(key).map_or("nothing".to_owned(), |value| format!("`{value}`"));
        let wrong = wanted.labels.iter().filter(|(k, v)| first.labels.get(*k) != Some(*v));
        let list: Vec<_> =
            wrong.map(|(key, value)| format!("{key} is {}, not `{value}`", has(key))).collect();
        let detail = format!("fired with other labels: {}", list.join(", "));
        return missed(Reason::WrongLabels, detail, "mend the rule's labels, or the scenario's");
    }
    let link = unheard(facts, right);
    if let Some(away) = link.filter(|name| facts.was_away(name, window)) {
        return Outcome {
            reason: Some(Reason::MonitorUnreachable),
            detail: format!("fired, but monitor `{away}` did not answer for part of the phase"),
            ..outcome
        };
    }
    let detail = format!("fired, but never reached `{}`", link.unwrap_or("a receiver"));
    let advice = "look at `alerting` in Prometheus, and at Alertmanager's routes, group_wait and receivers";
    missed(Reason::NotNotified, detail, advice)
}

/// Why a miss in a phase would prove nothing, if so: a fault of it was not delivered, or was too little to be seen by
/// anybody.
pub(super) fn no_miss(phase: &Phase, deliveries: &[Delivery]) -> Option<Untold> {
    let lost = of_phase(deliveries, &phase.name).find(|delivery| !delivery.delivered.took_effect());
    if let Some(lost) = lost {
        let (_, detail, _) = undelivered(lost);
        let beside_size = lost.eligible == 0 || (lost.perturbed == 0 && !lost.skipped.is_empty());
        return Some(Untold { beside_size, detail });
    }
    underpowered(phase, deliveries).map(|detail| Untold { beside_size: false, detail })
}

/// Why a miss would prove nothing.
#[derive(Debug)]
pub(super) struct Untold {
    /// Would it be the same with more of the fault?
    pub(super) beside_size: bool,
    pub(super) detail: String,
}

/// That no sound test could have seen any fault of the phase in everybody's traffic, if that is known of each.
fn underpowered(phase: &Phase, deliveries: &[Delivery]) -> Option<String> {
    let short = |delivery: &Delivery| {
        let MonitorTraffic { of, had, needed } = delivery.monitor.as_ref()?;
        (had < needed).then(|| format!("`{}`: {had} {of} seen, {needed} needed to see it", delivery.fault.id))
    };
    let all: Option<Vec<String>> = of_phase(deliveries, &phase.name).map(short).collect();
    all.filter(|all| !all.is_empty())
        .map(|all| format!("too little traffic for any monitor: {}", all.join("; ")))
}

/// Why a fault that was not seen to act proves nothing about the monitoring, and what to do.
fn undelivered(delivery: &Delivery) -> (Option<Reason>, String, Option<String>) {
    let id = &delivery.fault.id;
    let what = format!("{} of {} treated requests changed", delivery.perturbed, delivery.exposed);
    let (reason, detail, advice) = match delivery.delivered {
        _ if delivery.eligible == 0 => (
            Reason::NotDelivered,
            format!("no request matched the target while `{id}` was active"),
            "send the traffic through the sidecar, and look at `target.when` and `exposure.unit`",
        ),
        Delivered::TooLittleTraffic => (
            Reason::Underpowered,
            format!("`{id}` was too little to be seen ({what})"),
            "more traffic, a larger exposure share, or a longer phase",
        ),
        Delivered::No | Delivered::Partly | Delivered::Yes => {
            let most = delivery.skipped.iter().max_by_key(|(_, count)| **count);
            let why =
                most.map_or(String::new(), |(reason, count)| format!("; skipped {count} times: {reason}"));
            (
                Reason::NotDelivered,
                format!("`{id}` did not take effect ({what}{why})"),
                "does the target's `protocol` fit what the server answers?",
            )
        }
    };
    (Some(reason), detail, Some(advice.to_owned()))
}

/// Another alert that fired in the window and that nobody asked for.
fn cross_talk(alert: &str, phase: usize, window: Window, facts: Facts<'_>) -> Option<String> {
    let expected = |name: &str| {
        let mut expectations = facts.plan.phases[phase].expectations.iter();
        expectations.any(|placed| matches!(&placed.expectation, Expectation::Fires(f) if f.alert == name))
    };
    let end = window.ended.unwrap_or(facts.now);
    let changes = facts.history.changes().iter();
    let fired = changes.filter(|c| c.state == AlertState::Firing && c.alert != alert && !expected(&c.alert));
    fired
        .filter(|c| c.at.since(window.started) >= 0.0 && c.at.since(end) <= 0.0)
        .map(|c| c.alert.clone())
        .next()
}

/// When the next phase that injects something began.
pub(super) fn next_fault(phase: usize, facts: Facts<'_>) -> Option<Timestamp> {
    let later = facts.plan.phases.iter().zip(facts.windows).skip(phase + 1);
    later.filter(|(phase, _)| !phase.injections.is_empty()).map(|(_, window)| window.started).next()
}
