//! Checks of guards, and of what has to hold.

use super::{
    check::{Checker, share_limit, time_limit},
    expression::AnswerCondition,
    guard::{Guard, Holds, Observed, QueryGuard},
    problem::Problem,
    tree::Path,
};
use crate::unit::{Share, Span};

pub(super) fn guard(checker: &mut Checker<'_>, at: Path, guard: &Guard) {
    match guard {
        Guard::Query(QueryGuard { monitor, promql, .. }) => {
            let at = at.then("query");
            checker.not_blank(at.then("monitor"), "name of the monitor", monitor);
            checker.not_blank(at.then("promql"), "query", promql);
        }
        Guard::Observed(limits) => observed(checker, &at.then("observed"), limits),
        Guard::Alert(alert) => {
            checker.not_blank(at.then("alert").then("name"), "name of the alert", &alert.name);
        }
        Guard::Probe(probe) => {
            let at = at.then("probe");
            checker.not_blank(at.then("name"), "name of the probe", &probe.name);
            let compiled = AnswerCondition::compile(&probe.unless);
            checker.answer_expression(at.then("unless"), &probe.unless, compiled);
        }
        Guard::Budget(_) => {}
    }
}

fn observed(checker: &mut Checker<'_>, at: &Path, limits: &Observed) {
    let Observed { of: _, error_rate, latency_p99, latency, after: _ } = limits;
    if error_rate.is_none() && latency_p99.is_none() && latency.is_none() {
        let problem = Problem::at(at.clone(), "this guard has no limit, so it guards nothing");
        checker.push(problem.at_key().help("give `error-rate: \"> 20%\"` or `latency-p99: \"> 2s\"`"));
    }
    if let Some(limit) = error_rate {
        share_limit(checker, at.then("error-rate"), limit);
    }
    if let Some(limit) = latency_p99 {
        time_limit(checker, at.then("latency-p99"), limit);
    }
    if let Some(latency) = latency {
        time_limit(checker, at.then("latency").then("limit"), &latency.limit);
        if latency.quantile == Share::NONE {
            let place = at.then("latency").then("quantile");
            checker.push(Problem::at(place, "the 0% quantile says nothing"));
        }
    }
}

/// What has to hold in a phase of a length.
pub(super) fn holds(checker: &mut Checker<'_>, at: &Path, check: &Holds, lasts: Span) {
    let Holds { monitor, promql, probe, cel, within } = check;
    if check.question().is_none() {
        let some = |given: &[&Option<String>]| given.iter().any(|part| part.is_some());
        let problem = match (some(&[monitor, promql]), some(&[probe, cel])) {
            (true, true) => "this asks a monitor and a probe at once",
            (true, false) if monitor.is_none() => "`monitor` is missing",
            (true, false) => "`promql` is missing",
            (false, true) if probe.is_none() => "`probe` is missing",
            (false, true) => "`cel` is missing",
            (false, false) => "this asks nobody anything",
        };
        let help =
            "ask Prometheus with `monitor` and `promql`, or a probe of the stage with `probe` and `cel`";
        checker.push(Problem::at(at.clone(), problem).at_key().help(help));
    }
    for (key, what, text) in [
        ("monitor", "name of the monitor", monitor),
        ("promql", "query", promql),
        ("probe", "name of the probe", probe),
    ] {
        if let Some(text) = text {
            checker.not_blank(at.then(key), what, text);
        }
    }
    if let Some(text) = cel {
        checker.answer_expression(at.then("cel"), text, AnswerCondition::compile(text));
    }
    if let Some(within) = within {
        let at = at.then("within");
        if within.is_zero() {
            checker.push(Problem::at(at, "nothing is as fast as that").help("give a time, such as 30s"));
        } else if *within > lasts && !lasts.is_zero() {
            let message = format!("the phase lasts {lasts}, and it is asked only during it");
            let problem = Problem::at(at, message).label("could not be told");
            checker.push(problem.help("shorten `within`, or lengthen the phase"));
        }
    }
}
