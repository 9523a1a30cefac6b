//! What the probes of a sweep tell together, and what to try next.
//!
//! Everything follows from the list of probes, so a sweep that went on after a break finds the same. A probe that can't
//! be told is never a miss: it is repeated by itself, since the next size depends on the answers alone. A size that twice
//! was too little to be seen by anybody is the floor of the search; no answer from there or below counts, for what is
//! left of them is a selection: detected ones only.

use super::fires::{Untold, no_miss};
use crate::{
    event::{
        Asked, CurvePoint, Delivery, Ending, Known, Outcome, Probe, Reason, Report, Seen, SizeCurve,
        SweepEnding, Threshold, Verdict,
    },
    scenario::Plan,
    stats::Quest,
    unit::SizeRange,
};

/// Credible level of every interval.
const LEVEL: f64 = 0.95;
/// Points of a curve.
const POINTS: u32 = 48;
/// So many probes of one size that were too little to be seen make it the floor.
const TOO_LITTLE: usize = 2;
/// Of the grid on which sizes are proposed.
const HALF_A_STEP: f64 = 1.0 / 64.0;
/// The last look of the reference detector may come so long before the end of the phase.
const WATCH_S: f64 = 1.5;
/// So many probes in a row that could not be told end a sweep.
const IN_A_ROW: usize = 3;

/// What counts as detected.
#[derive(Debug, Clone)]
pub struct Counted<'a> {
    /// Expectations of these phases; `None`: of all.
    pub phases: Option<&'a [String]>,
    /// Of this alert; `None`: of all.
    pub alert: Option<&'a str>,
}

impl Counted<'_> {
    /// Does an expectation that an alert fires count?
    pub fn counts(&self, phase: &str, alert: &str) -> bool {
        self.phases.is_none_or(|phases| phases.iter().any(|one| one == phase))
            && self.alert.is_none_or(|one| one == alert)
    }

    /// What the run of a plan tells of the size that it injected: the probe, but for what it was.
    pub fn judge(&self, plan: &Plan, report: &Report) -> Judged {
        let counted = |outcome: &&Outcome| {
            outcome.asked == Asked::Fires && self.counts(&outcome.phase, &outcome.subject)
        };
        let outcomes: Vec<&Outcome> = report.outcomes.iter().filter(counted).collect();
        let first = |seen: fn(Verdict) -> bool| outcomes.iter().find(|outcome| seen(outcome.verdict));
        let told = |seen, outcome: &Outcome| Judged {
            seen,
            time_s: None,
            reason: outcome.reason,
            detail: format!("{}: {}", outcome.subject, outcome.detail),
            reference: reference(&outcomes),
        };
        if report.ending != Ending::Completed {
            let detail =
                report.ending_detail.clone().unwrap_or_else(|| "the run did not complete".to_owned());
            return Judged {
                seen: Seen::Inconclusive,
                time_s: None,
                reason: Some(Reason::Aborted),
                detail,
                reference: None,
            };
        }
        // One that was missed is one too many, whatever the others did.
        if let Some(missed) = first(|verdict| !matches!(verdict, Verdict::Met | Verdict::Inconclusive)) {
            return told(Seen::Missed, missed);
        }
        let phases = plan.phases.iter().filter(|phase| outcomes.iter().any(|o| o.phase == phase.name));
        let deliveries = at_full_length(plan, report);
        let untold: Vec<Untold> = phases.filter_map(|phase| no_miss(phase, &deliveries)).collect();
        let reason = |untold: &Untold| match untold.beside_size {
            true => Reason::NotDelivered,
            false => Reason::Underpowered,
        };
        let untold = untold.iter().find(|untold| untold.beside_size).or(untold.first());
        if let Some(unclear) = first(|verdict| verdict == Verdict::Inconclusive) {
            let judged = told(Seen::Inconclusive, unclear);
            // Whether more of the fault would have been enough, the reason of an outcome does not tell.
            let short =
                untold.filter(|_| too_little(unclear.reason) || unclear.reason == Some(Reason::NotDelivered));
            return Judged { reason: short.map(reason).or(judged.reason), ..judged };
        }
        if let Some((why, met)) = untold.zip(outcomes.first()) {
            let detail = format!(
                "{}: {}, but a miss would have told nothing: {}",
                met.subject, met.detail, why.detail
            );
            return Judged { reason: Some(reason(why)), detail, ..told(Seen::Inconclusive, met) };
        }
        let times = outcomes.iter().filter_map(|outcome| outcome.time.map(|time| time.seconds));
        let time_s = times.reduce(f64::max);
        let detail = if outcomes.len() == 1 { "fired in time" } else { "all fired in time" };
        let seen = if outcomes.is_empty() { Seen::Inconclusive } else { Seen::Detected };
        Judged { seen, time_s, reason: None, detail: detail.to_owned(), reference: reference(&outcomes) }
    }
}

/// What a run tells.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// Was the size detected in time?
    pub seen: Seen,
    /// When.
    pub time_s: Option<f64>,
    /// Why it can't be told.
    pub reason: Option<Reason>,
    /// In a sentence.
    pub detail: String,
    /// Did the reference detector notice it in time, and when? `None` if there was none.
    pub reference: Option<(Seen, Option<f64>)>,
}

/// What was delivered, with as much traffic as a phase that ended early, when its alert had fired, would have had: a miss
/// would have taken all its time.
fn at_full_length(plan: &Plan, report: &Report) -> Vec<Delivery> {
    let mut deliveries = report.deliveries.clone();
    for delivery in &mut deliveries {
        let phase = plan.phases.iter().find(|phase| phase.name == delivery.phase);
        let early = report.phases.iter().find(|record| record.phase == delivery.phase && record.early);
        if let Some((phase, early)) = phase.zip(early) {
            let whole = phase.lasts().as_secs_f64() / early.ended.since(early.started).max(1e-3);
            if let Some(monitor) = &mut delivery.monitor {
                monitor.had = (monitor.had as f64 * whole.max(1.0)) as u64;
            }
        }
    }
    deliveries
}

/// What the reference detector made of it. Where it watched for less than the alert had time, that it noticed nothing
/// tells nothing.
fn reference(outcomes: &[&Outcome]) -> Option<(Seen, Option<f64>)> {
    let each = outcomes.iter().map(|outcome| {
        let (reference, within) = (outcome.reference.as_ref()?, outcome.within_s?);
        Some(match reference.noticed {
            Some(at) if at.seconds <= within => (Seen::Detected, Some(at.seconds)),
            Some(at) => (Seen::Missed, Some(at.seconds)),
            None if reference.watched_s + WATCH_S >= within => (Seen::Missed, None),
            None => (Seen::Inconclusive, None),
        })
    });
    let each: Vec<(Seen, Option<f64>)> = each.collect::<Option<_>>()?;
    let any = |wanted: Seen| each.iter().find(|(seen, _)| *seen == wanted).copied();
    let latest = || each.iter().filter_map(|(_, at)| *at).reduce(f64::max);
    let detected = any(Seen::Detected).map(|(seen, _)| (seen, latest()));
    any(Seen::Missed).or(any(Seen::Inconclusive)).or(detected)
}

/// What to do next.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Try this size.
    Try(String),
    /// End, and why.
    End(SweepEnding, String),
}

/// The probes of a sweep so far.
#[derive(Debug, Clone)]
pub struct Findings {
    range: SizeRange,
    /// Position of the largest size that nobody could see.
    floor: Option<f64>,
    monitoring: Quest,
    reference: Option<Quest>,
}

impl Findings {
    /// From the probes.
    pub fn of(range: &SizeRange, probes: &[Probe]) -> Findings {
        let at = |probe: &Probe| range.position(&probe.size);
        let little = |probe: &&Probe| probe.seen == Seen::Inconclusive && too_little(probe.reason);
        let often = |probe: &&Probe| {
            probes.iter().filter(little).filter(|other| other.size == probe.size).count() >= TOO_LITTLE
        };
        let floor = probes.iter().filter(little).filter(often).filter_map(at).reduce(f64::max);
        let answers = |of: fn(&Probe) -> Option<Seen>, floor: Option<f64>| {
            let counted = probes.iter().filter_map(move |probe| {
                let detected = match of(probe)? {
                    Seen::Detected => true,
                    Seen::Missed => false,
                    Seen::Inconclusive => return None,
                };
                Some((at(probe)?, detected))
            });
            let counted = counted.filter(move |(at, _)| floor.is_none_or(|floor| *at > floor));
            counted.fold((Quest::default(), 0), |(mut quest, count), (at, detected)| {
                quest.answer(at, detected);
                (quest, count + 1)
            })
        };
        let (monitoring, _) = answers(|probe| Some(probe.seen), floor);
        // That the reference detector can't see so little is an answer.
        let (reference, known) = answers(|probe| probe.reference, None);
        Findings { range: range.clone(), floor, monitoring, reference: (known > 0).then_some(reference) }
    }

    /// The largest size that nobody could see.
    pub fn untold_up_to(&self) -> Option<String> {
        self.floor.map(|floor| self.range.written(floor))
    }

    /// What is known of the monitoring.
    pub fn monitoring(&self) -> SizeCurve {
        self.curve(&self.monitoring, self.floor)
    }

    /// What is known of the reference detector.
    pub fn reference(&self) -> Option<SizeCurve> {
        self.reference.as_ref().map(|quest| self.curve(quest, None))
    }

    /// What to do after these probes, with so many runs at most, until each interval is at most so long.
    pub fn next(&self, probes: &[Probe], runs: u32, width: f64) -> Next {
        let end = |ending, why: String| Next::End(ending, why);
        let cant = |why: String| end(SweepEnding::CantTell, why);
        if let Some(probe) = probes.last().filter(|probe| probe.reason == Some(Reason::NoSuchAlert)) {
            return cant(probe.detail.clone());
        }
        let unclear = |probe: &&Probe| probe.seen == Seen::Inconclusive && !too_little(probe.reason);
        if let Some(last) = probes.last()
            && probes.iter().rev().take_while(unclear).count() >= IN_A_ROW
        {
            return cant(format!("{IN_A_ROW} runs in a row could not tell; the last: {}", last.detail));
        }
        if self.floor.is_some_and(|floor| floor >= 1.0) {
            let last = probes.last().map_or("", |probe| probe.detail.as_str());
            return cant(format!("even {} can't be told: {last}", self.range.written(1.0)));
        }
        let curve = self.monitoring();
        if !probes.is_empty() && [&curve.half, &curve.most].into_iter().all(|one| is_known(one, width)) {
            return end(SweepEnding::Known, "known as well as was asked for".to_owned());
        }
        if probes.len() >= runs as usize {
            return end(SweepEnding::Runs, format!("{runs} runs are used up"));
        }
        let best = self.monitoring.next(0.0);
        let next = self.floor.map_or(best, |floor| self.above(floor, best, probes));
        Next::Try(self.range.written(next))
    }

    /// The size to try above a floor. What tells most may lie below it; then the floor is in the way, and its true place is
    /// sought by halving, up to the mildest size that could be told.
    fn above(&self, floor: f64, best: f64, probes: &[Probe]) -> f64 {
        // Sizes may be coarser than positions: whole numbers are.
        let new = |at: &f64| *at > floor && self.range.written(*at) != self.range.written(floor);
        let told = probes.iter().filter(|probe| probe.seen != Seen::Inconclusive);
        let told = told.filter_map(|probe| self.range.position(&probe.size)).filter(new);
        let middle = f64::midpoint(floor, told.reduce(f64::min).unwrap_or(1.0));
        if best <= floor && middle - floor > HALF_A_STEP && new(&middle) {
            return middle;
        }
        let steps = (1..=64).map(|step| floor + f64::from(step) * HALF_A_STEP);
        self.monitoring.next({ steps }.find(new).unwrap_or(1.0))
    }

    fn curve(&self, quest: &Quest, floor: Option<f64>) -> SizeCurve {
        let threshold = |probability| self.threshold(quest, floor, probability);
        let point = |step: u32| {
            let at = f64::from(step) / f64::from(POINTS);
            CurvePoint { size: self.range.written(at), probability: quest.mean(at) }
        };
        let points = (0..=POINTS).map(point).collect();
        SizeCurve { half: threshold(0.5), most: threshold(0.9), points }
    }

    fn threshold(&self, quest: &Quest, floor: Option<f64>, probability: f64) -> Threshold {
        let size = quest.size_detected(probability, LEVEL);
        let mild = floor.unwrap_or(0.0);
        let searched = |at: f64| (mild..=1.0).contains(&at).then(|| self.range.written(at));
        let (from, to) = (searched(size.low), searched(size.high));
        let known = if quest.at_most(mild, probability) >= LEVEL {
            Known::Milder
        } else if quest.at_most(1.0, probability) <= 1.0 - LEVEL {
            Known::Severer
        } else if from.is_some() && to.is_some() {
            Known::Within
        } else {
            Known::Open
        };
        let width_share = (known == Known::Within).then_some(size.high - size.low);
        Threshold { probability, level: LEVEL, known, size: searched(size.estimate), from, to, width_share }
    }
}

/// Is a threshold known, with an interval that is no longer than this?
fn is_known(threshold: &Threshold, width: f64) -> bool {
    match threshold.known {
        Known::Within => threshold.width_share.is_some_and(|share| share <= width),
        Known::Milder | Known::Severer => true,
        Known::Open => false,
    }
}

/// Could it be told if there were more of the fault?
fn too_little(reason: Option<Reason>) -> bool {
    reason == Some(Reason::Underpowered)
}

/// 0 when both thresholds are found or bounded; 3 when not; 4 and 130 as for a run.
pub fn sweep_exit_code(ending: SweepEnding, curve: &SizeCurve) -> u8 {
    match ending {
        SweepEnding::Interrupted => 130,
        SweepEnding::Aborted => 4,
        SweepEnding::CantTell | SweepEnding::GoingOn => 3,
        SweepEnding::Known | SweepEnding::Runs => {
            let open = [&curve.half, &curve.most].iter().any(|one| one.known == Known::Open);
            if open { 3 } else { 0 }
        }
    }
}

#[cfg(test)]
mod tests;
