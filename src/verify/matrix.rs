//! Several reports → the detection matrix, and one exit code for all of them.
//!
//! What each expectation came to is taken from its run's verdicts; only what nobody asked for (cross-talk, false alarms)
//! and the time that was quiet is read from the alerts themselves.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    episodes::{Stray, Timeline, fired},
    score::detected,
};
use crate::{
    event::{
        AlertRow, Asked, CampaignRun, Curve, Expected, FORMAT_VERSION, FaultRow, Matrix, MatrixCell, Outcome,
        Outline, PhaseOutline, Portion, Report, Verdict,
    },
    stats::exact_rate,
};

const HOUR_S: f64 = 3600.0;

/// A run of a campaign, and what came of it.
#[derive(Debug, Clone)]
pub struct Played {
    /// Its folder.
    pub run: String,
    /// Name of its scenario.
    pub scenario: String,
    /// Its seed.
    pub seed: u64,
    /// Was nothing injected, by design?
    pub null: bool,
    /// Were its faults put into an order drawn by the seed, if that is known?
    pub shuffled: Option<bool>,
    /// Its report, or why it could not begin.
    pub report: Result<Report, String>,
}

impl Played {
    fn record(&self) -> CampaignRun {
        let report = self.report.as_ref().ok();
        CampaignRun {
            run: self.run.clone(),
            scenario: self.scenario.clone(),
            seed: self.seed,
            null: self.null,
            shuffled: self.shuffled,
            ending: report.map(|report| report.ending),
            detail: report
                .map_or(self.report.as_ref().err(), |report| report.ending_detail.as_ref())
                .cloned(),
            exit_code: self.exit_code(),
            started: report.map(|report| report.started),
            lasted_s: report.map_or(0.0, |report| report.ended.since(report.started)),
        }
    }

    /// Its own exit code; 2 if it could not begin.
    pub fn exit_code(&self) -> u8 {
        self.report.as_ref().map_or(2, |report| report.exit_code)
    }
}

/// What is gathered of one cell, or of one alert.
#[derive(Debug, Default)]
struct Times(Vec<(f64, bool)>);

/// What the runs say together. `scenarios` are those that were to be played, as they are written: they give the order of
/// the rows, and rows to faults that no run reached.
pub fn matrix(scenarios: &[Outline], played: &[Played], exit_code: u8) -> Matrix {
    let mut faults: Vec<FaultRow> = Vec::new();
    let mut alerts: BTreeMap<String, AlertRow> = BTreeMap::new();
    let mut times: BTreeMap<String, Times> = BTreeMap::new();
    for scenario in scenarios {
        for phase in scenario.phases.iter().filter(|phase| !phase.faults.is_empty()) {
            faults.push(row(&scenario.scenario, phase, played, &mut times));
        }
    }
    let reports = || played.iter().filter_map(|played| played.report.as_ref().ok());
    let asked = |report: &Report| -> Vec<String> {
        let alerts = report.outcomes.iter().filter(|outcome| outcome.asked != Asked::Holds);
        alerts.map(|outcome| outcome.subject.clone()).collect()
    };
    let expected: BTreeSet<String> = reports().flat_map(asked).collect();
    let rules: BTreeSet<String> =
        reports().flat_map(|report| report.rules.values().flatten().cloned()).collect();
    let seen: BTreeSet<String> = reports().flat_map(fired).map(str::to_owned).collect();
    for name in expected.iter().chain(&seen) {
        let cells = || faults.iter().filter_map(|row| row.cells.get(name));
        let times = times.remove(name).unwrap_or_default();
        alerts.entry(name.clone()).or_insert_with(|| alert(name, cells().collect(), reports(), &times));
    }
    let (hits, of) = faults
        .iter()
        .filter_map(|row| row.detected)
        .fold((0, 0), |sum, part| (sum.0 + part.hits, sum.1 + part.of));
    let dark = |row: &&FaultRow| {
        row.delivered > 0 && !row.cells.values().any(|cell| told_of(cell, row.runs) || untold(cell))
    };
    Matrix {
        format_version: FORMAT_VERSION,
        canard_version: env!("CARGO_PKG_VERSION").to_owned(),
        runs: played.iter().map(Played::record).collect(),
        never_fired: rules.union(&expected).filter(|name| !seen.contains(*name)).cloned().collect(),
        unseen: faults.iter().filter(dark).map(FaultRow::name).collect(),
        score: Portion::new(hits, of),
        baseline: None,
        exit_code,
        faults,
        alerts,
    }
}

/// Did an alert tell of a fault? One that nobody asked for has to do so in half of the runs, or what it fired at was chance.
fn told_of(cell: &MatrixCell, runs: u64) -> bool {
    cell.detected + cell.late > 0 || (cell.cross_talk > 0 && 2 * cell.cross_talk >= runs)
}

/// Could nobody tell whether an alert that should fire did?
fn untold(cell: &MatrixCell) -> bool {
    cell.expected == Expected::Fires && cell.inconclusive > 0 && cell.told() == 0
}

fn row(
    scenario: &str,
    phase: &PhaseOutline,
    played: &[Played],
    times: &mut BTreeMap<String, Times>,
) -> FaultRow {
    let join = |texts: Vec<&str>| texts.join(" + ");
    let mut row = FaultRow {
        scenario: scenario.to_owned(),
        fault: join(phase.faults.iter().map(|fault| fault.id.as_str()).collect()),
        size: join(phase.faults.iter().map(|fault| fault.size.as_str()).collect()),
        runs: 0,
        delivered: 0,
        detected: None,
        cells: BTreeMap::new(),
    };
    let mut cell_times: BTreeMap<String, Times> = BTreeMap::new();
    let (mut hits, mut judged) = (0, 0);
    for run in played.iter().filter(|run| run.scenario == scenario && !run.null) {
        let Ok(report) = &run.report else { continue };
        let Some(index) = report.phases.iter().position(|record| record.phase == phase.phase) else {
            continue;
        };
        row.runs += 1;
        let mut deliveries = report.deliveries.iter().filter(|d| d.phase == phase.phase).peekable();
        let delivered = deliveries.peek().is_some() && deliveries.all(|d| d.delivered.took_effect());
        row.delivered += u64::from(delivered);
        let timeline = Timeline::of(report);
        for (alert, (expected, outcomes)) in by_alert(report, &phase.phase) {
            let cell = row.cells.entry(alert.to_owned()).or_default();
            cell.expected = cell.expected.max(expected);
            count(cell, &outcomes);
            if let Some(time) = time(&outcomes, timeline.watched_s(index)) {
                cell_times.entry(alert.to_owned()).or_default().0.push(time);
            }
        }
        if let Some(in_time) = detected(&phase.phase, &report.outcomes, &report.deliveries) {
            judged += 1;
            hits += u64::from(in_time);
        }
        for alert in fired(report) {
            let here = |stray: &Stray| *stray == Stray::CrossTalk(index);
            if timeline.strays(alert).iter().any(here) {
                row.cells.entry(alert.to_owned()).or_default().cross_talk += 1;
            }
        }
    }
    row.detected = Portion::new(hits, judged);
    for (alert, cell) in &mut row.cells {
        cell.probability = Portion::new(cell.detected, cell.told());
        if let Some(of_cell) = cell_times.remove(alert) {
            cell.time_to_detect = Curve::new(&of_cell.0);
            times.entry(alert.clone()).or_default().0.extend(of_cell.0);
        }
    }
    row
}

/// What a run says of each alert in a phase. An alert may be asked about several times, of several monitors or with several
/// sets of labels; where it should fire at all, only that is counted.
fn by_alert<'a>(report: &'a Report, phase: &str) -> BTreeMap<&'a str, (Expected, Vec<&'a Outcome>)> {
    let mut alerts: BTreeMap<&str, (Expected, Vec<&Outcome>)> = BTreeMap::new();
    for outcome in report.outcomes.iter().filter(|outcome| outcome.phase == phase) {
        let expected = match outcome.asked {
            Asked::Fires => Expected::Fires,
            Asked::Silent => Expected::Silence,
            Asked::Clears | Asked::Holds => continue,
        };
        let of_alert = alerts.entry(&outcome.subject).or_default();
        if expected > of_alert.0 {
            *of_alert = (expected, Vec::new());
        }
        if expected == of_alert.0 {
            of_alert.1.push(outcome);
        }
    }
    alerts
}

/// Counts a run once, by the worst of what it says.
fn count(cell: &mut MatrixCell, outcomes: &[&Outcome]) {
    let because = |reasons: &mut BTreeMap<String, u64>, outcome: &Outcome| {
        let reason = outcome.reason.and_then(|reason| serde_json::to_value(reason).ok());
        if let Some(serde_json::Value::String(reason)) = reason {
            *reasons.entry(reason).or_default() += 1;
        }
    };
    let Some(worst) = worst(outcomes) else { return };
    match (worst.verdict, worst.asked) {
        (Verdict::Inconclusive, _) => {
            cell.inconclusive += 1;
            because(&mut cell.inconclusive_because, worst);
        }
        (Verdict::Met, Asked::Fires) => cell.detected += 1,
        (Verdict::Late, Asked::Fires) => cell.late += 1,
        (Verdict::Missed, Asked::Fires) => {
            cell.missed += 1;
            because(&mut cell.missed_because, worst);
        }
        _ => {}
    }
}

/// The one of several outcomes that decides: a miss, then lateness, then what can't be told. The first of its kind.
fn worst<'a>(outcomes: &[&'a Outcome]) -> Option<&'a Outcome> {
    let gravity = |outcome: &&&Outcome| match outcome.verdict {
        Verdict::Missed | Verdict::FalseAlarm | Verdict::Stuck => 0,
        Verdict::Late => 1,
        Verdict::Inconclusive => 2,
        Verdict::Met => 3,
    };
    outcomes.iter().min_by_key(gravity).copied()
}

/// The time to detect, the longest of several, or the time after which it was not watched any more.
fn time(outcomes: &[&Outcome], watched_s: f64) -> Option<(f64, bool)> {
    let worst = worst(outcomes).filter(|outcome| outcome.asked == Asked::Fires)?;
    let times = outcomes.iter().filter_map(|outcome| outcome.time.map(|time| time.seconds));
    match worst.verdict {
        Verdict::Met | Verdict::Late => times.reduce(f64::max).map(|seconds| (seconds, true)),
        Verdict::Missed => Some((watched_s, false)),
        _ => None,
    }
}

fn alert<'a>(
    name: &str,
    cells: Vec<&MatrixCell>,
    reports: impl Iterator<Item = &'a Report>,
    times: &Times,
) -> AlertRow {
    let sum = |of: fn(&MatrixCell) -> u64| cells.iter().map(|cell| of(cell)).sum::<u64>();
    let mut row =
        AlertRow { recall: Portion::new(sum(|c| c.detected), sum(MatrixCell::told)), ..AlertRow::default() };
    for report in reports {
        let timeline = Timeline::of(report);
        row.quiet_s += timeline.quiet_s(name);
        for stray in timeline.strays(name) {
            match stray {
                Stray::CrossTalk(_) => row.cross_talk += 1,
                Stray::FalseAlarm => row.false_alarms += 1,
            }
        }
    }
    let answers = sum(|cell| cell.detected + cell.late);
    row.precision = Portion::new(answers, answers + row.cross_talk + row.false_alarms);
    row.false_alarms_per_hour = exact_rate(row.false_alarms, row.quiet_s / HOUR_S, 0.95);
    row.time_to_detect = Curve::new(&times.0);
    row
}

/// One exit code for a campaign: the gravest of its runs, of 130 (interrupted), 2 (one could not begin), 4 (a guard), 1
/// (fell short), 3 (can't be told), 0.
///
/// With a `required` share, misses and lateness are judged by alert and fault over all runs: they count only where the
/// share of runs detected in time is below it, and what some runs could not tell only where none could. What was missed
/// has nothing to clear, which is no question left open.
///
/// Compared with a baseline, only what that lost counts beside 130, 2 and 4.
pub fn campaign_exit_code(played: &[Played], matrix: &Matrix, required: Option<f64>) -> u8 {
    let gravest = |codes: &[u8]| [130, 2, 4, 1, 3].into_iter().find(|code| codes.contains(code)).unwrap_or(0);
    if let Some(difference) = &matrix.baseline {
        let broken = played.iter().map(Played::exit_code).filter(|code| ![0, 1, 3].contains(code));
        return gravest(&broken.chain([super::baseline::exit_code(difference)]).collect::<Vec<_>>());
    }
    let Some(required) = required else {
        return gravest(&played.iter().map(Played::exit_code).collect::<Vec<_>>());
    };
    let code = |run: &Played| match &run.report {
        Ok(report) if [1, 3].contains(&report.exit_code) => {
            let others = report.outcomes.iter().filter(|outcome| !judged_by_alert(outcome, &report.outcomes));
            super::exit_code(&others.cloned().collect::<Vec<_>>(), report.ending)
        }
        _ => run.exit_code(),
    };
    let cells = matrix.faults.iter().flat_map(|row| row.cells.values());
    let judged = cells.filter(|cell| cell.expected == Expected::Fires).map(|cell| match cell.probability {
        Some(part) if part.share.estimate >= required => 0,
        Some(_) => 1,
        None => 3,
    });
    gravest(&played.iter().map(code).chain(judged).collect::<Vec<_>>())
}

/// Is it judged over all runs? Whether an alert fires, and that what did not fire in time left nothing to clear.
fn judged_by_alert(outcome: &Outcome, run: &[Outcome]) -> bool {
    let fell_short = |other: &Outcome| {
        other.asked == Asked::Fires && other.subject == outcome.subject && other.verdict != Verdict::Met
    };
    match outcome.asked {
        Asked::Fires => true,
        Asked::Clears => outcome.verdict == Verdict::Inconclusive && run.iter().any(fell_short),
        Asked::Silent | Asked::Holds => false,
    }
}

#[cfg(test)]
mod tests;
