//! How the detection matrix puts things.

use crate::event::{AlertRow, CampaignRun, Catch, Curve, Ending, Expected, Matrix, Portion};

/// `4 of 5 (28% to 99%)`
pub(super) fn portion(part: Portion) -> String {
    let percent = |share: f64| format!("{:.0}%", share * 100.0);
    format!("{} of {} ({} to {})", part.hits, part.of, percent(part.share.low), percent(part.share.high))
}

/// `median 3.0 s (2.0 to 8.1)`; what is not known is said so.
pub(super) fn curve(curve: &Curve) -> String {
    let end = |time: Option<f64>| time.map_or("?".to_owned(), |time| format!("{time:.1}"));
    match (curve.undetected.events, curve.median_s.estimate) {
        (0, _) => "never".to_owned(),
        (_, None) => "mostly never".to_owned(),
        (_, Some(median)) if curve.undetected.n == 1 => format!("{median:.1} s"),
        (_, Some(median)) => {
            let (low, high) = (curve.median_s.low, curve.median_s.high);
            format!("median {median:.1} s ({} to {})", end(low), end(high))
        }
    }
}

/// `1 in 12 min (0.1 to 28 an hour)`
pub(super) fn false_alarms(row: &AlertRow) -> String {
    let Some(rate) = row.false_alarms_per_hour else { return "never watched in peace".to_owned() };
    let watched = super::words::span(row.quiet_s.round());
    let per_hour = |rate: f64| if rate < 10.0 { format!("{rate:.2}") } else { format!("{rate:.0}") };
    match row.false_alarms {
        0 => format!("none in {watched} (at most {} an hour)", per_hour(rate.high)),
        some => format!("{some} in {watched} ({} to {} an hour)", per_hour(rate.low), per_hour(rate.high)),
    }
}

/// What became of a baseline, a line for each pair of fault and alert; what was lost with its counts, since one run of one
/// may be chance.
pub(super) fn difference(matrix: &Matrix) -> Vec<String> {
    let Some(difference) = &matrix.baseline else { return Vec::new() };
    let counts = |catch: &Catch| {
        let row = matrix.faults.iter().find(|row| row.name() == catch.fault);
        let part = row.and_then(|row| row.cells.get(&catch.alert)?.probability);
        part.map_or(String::new(), |part| format!(" ({} of {} runs)", part.hits, part.of))
    };
    let pairs = |catches: &[Catch], what: &str| -> Vec<String> {
        let line = |catch: &Catch| format!("{what}: {} by {}.", catch.fault, catch.alert);
        catches.iter().map(line).collect()
    };
    let lost = |catch: &Catch| {
        let Catch { fault, alert } = catch;
        format!("No longer caught in time: {fault} by {alert}{}.", counts(catch))
    };
    let mut lines: Vec<String> = difference.lost.iter().map(lost).collect();
    lines.extend(pairs(&difference.untold, "Caught before, and it can't be told now"));
    lines.extend(pairs(&difference.gained, "Caught now and not in the baseline"));
    let absent = difference.absent.iter();
    lines.extend(absent.map(|fault| format!("In the baseline and not in this campaign: {fault}.")));
    if lines.is_empty() {
        lines.push("As in the baseline: every alert that caught a fault still does.".to_owned());
    }
    lines
}

/// The verdict on all runs, in one sentence.
pub(super) fn campaign(matrix: &Matrix) -> String {
    let runs = matrix.runs.len();
    let null = matrix.runs.iter().filter(|run| run.null).count();
    let of_null = if null > 0 { format!(", {null} of them with nothing injected") } else { String::new() };
    let runs = format!("{runs} run{}{of_null}", if runs == 1 { "" } else { "s" });
    let absent = matrix.baseline.as_ref().is_some_and(|difference| !difference.absent.is_empty());
    let judged = || matrix.faults.iter().flat_map(|row| row.cells.values());
    let fires = || judged().filter(|cell| cell.expected == Expected::Fires);
    match matrix.exit_code {
        0 if absent => {
            format!("{runs}: your monitoring catches what it caught before, of the faults that were played.")
        }
        0 if matrix.baseline.is_some() => format!("{runs}: your monitoring catches what it caught before."),
        1 if matrix.baseline.is_some() => format!("{runs}: your monitoring no longer catches what it did."),
        0 if judged().all(|cell| cell.expected == Expected::Nothing) => {
            format!("{runs}: no alert was expected to notice a fault, and nothing fell short.")
        }
        0 if fires().any(|cell| cell.late + cell.missed + cell.inconclusive > 0) => {
            format!("{runs}: your monitoring told you of each fault as often as was required.")
        }
        0 => format!("{runs}: your monitoring told you everything it should, in time."),
        1 => format!("{runs}: your monitoring fell short."),
        2 => format!("{runs}, of which some could not begin."),
        4 => format!("{runs}, of which a guard ended some."),
        130 => format!("{runs}, then interrupted; everything is disarmed."),
        _ => format!("{runs}: not everything could be told."),
    }
}

/// What became of a run that is not whole.
pub(super) fn broken_off(run: &CampaignRun) -> Option<String> {
    let why = run.detail.as_deref().map_or(String::new(), |why| format!(": {why}"));
    let what = match run.ending {
        Some(Ending::Completed) => return None,
        Some(Ending::Guard) => "was ended by a guard",
        Some(Ending::Interrupted) => "was interrupted",
        Some(Ending::Withdrawn) => "was withdrawn",
        Some(Ending::Failed) => "failed",
        None => "could not begin",
    };
    let why = if run.ending == Some(Ending::Interrupted) { String::new() } else { why };
    Some(format!("Run {} {what}{why}.", run.run))
}
