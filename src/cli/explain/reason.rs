//! Why a unit is touched, as plain data and in words.

use std::fmt::Write as _;

use serde::Serialize;

use crate::{
    draw::{Draw, UnitHash},
    exposure::{Arm, Assignment, HOLDOUT, Rule, assign_unit, holdout_draw},
    fault::Scales,
    scenario::{
        CapsDocument, Exposure, ExpressionError, Injection, InjectionDocument, Phase, Plan, ReleaseDocument,
        RequestView,
    },
    unit::{Share, Span},
};

/// What is asked.
pub(super) struct Asked<'a> {
    pub(super) unit: Option<String>,
    pub(super) hash: UnitHash,
    pub(super) holdout: Share,
    pub(super) request: RequestView<'a>,
}

/// Whether, when and why a unit is touched.
#[derive(Debug, Serialize)]
pub(super) struct Explanation {
    scenario: String,
    unit: Option<String>,
    unit_hash: UnitHash,
    /// `treated` or `control`.
    arm: &'static str,
    /// `holdout`, `never`, `always`, `segment` or `share`.
    decided_by: &'static str,
    /// The segment that decided: its name, or its number from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    segment: Option<String>,
    /// The draw that shares are compared with.
    draw: DrawRead,
    /// The part of the draws that is treated, if a share decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    treated: Option<Slice>,
    /// The draw of the hold-out, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    holdout: Option<Holdout>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    layer: Option<String>,
    /// The release that is rehearsed: `canary`, `blue-green`, `ab` or `shadow`.
    #[serde(skip_serializing_if = "Option::is_none")]
    release: Option<&'static str>,
    /// CEL that requests have to match besides.
    #[serde(skip_serializing_if = "Option::is_none")]
    when: Option<String>,
    phases: Vec<PhaseTold>,
    #[serde(skip_serializing_if = "CapsDocument::is_none")]
    caps: CapsDocument,
}

/// A draw, and how it can be repeated.
#[derive(Debug, Serialize)]
struct DrawRead {
    rule: String,
    seed: u64,
    counter: u64,
    /// 16 hexadecimal digits.
    bits: String,
    /// As a share of all draws.
    share: f64,
}

/// From a share to a share of all draws.
#[derive(Debug, Serialize)]
struct Slice {
    from: Share,
    until: Share,
}

#[derive(Debug, Serialize)]
struct Holdout {
    share: Share,
    draw: DrawRead,
    held_out: bool,
}

/// One phase for the unit.
#[derive(Debug, Serialize)]
struct PhaseTold {
    phase: String,
    starts_s: f64,
    ends_s: f64,
    /// Share of units that are treated in it, where it has one of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    share: Option<Share>,
    /// Units that are treated in it because they are listed under `always`, where it has a share of its own.
    #[serde(skip_serializing_if = "is_zero")]
    listed: usize,
    /// The side of the unit in it, where it has a share of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    arm: Option<&'static str>,
    /// The version that the unit has in a release.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    faults: Vec<FaultTold>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(listed: &usize) -> bool {
    *listed == 0
}

/// One fault for the unit.
#[derive(Debug, Serialize)]
struct FaultTold {
    id: String,
    size: String,
    /// May it act on this unit?
    gets: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<String>,
    /// Share of units that get it.
    share: Share,
    /// How its size goes with time.
    over_time: String,
    /// Chance for each request (or each prediction) of the unit, at full size.
    chance: f64,
    /// The same on average over the phase, with its ramp or shape.
    chance_over_phase: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    only_where: Option<String>,
}

impl DrawRead {
    fn new(rule: &str, seed: u64, draw: Draw) -> DrawRead {
        let bits = format!("{:016x}", draw.bits());
        DrawRead { rule: rule.to_owned(), seed, counter: 0, bits, share: draw.uniform() }
    }

    fn percent(&self) -> String {
        format!("{:.6}%", self.share * 100.0)
    }
}

impl Explanation {
    /// # Errors
    /// If a segment's condition fails on the request.
    pub(super) fn of(plan: &Plan, asked: &Asked<'_>) -> Result<Explanation, ExpressionError> {
        let exposure = &plan.exposure;
        let assignment = assign_unit(exposure, asked.holdout, asked.request, asked.hash)?;
        let slice =
            |share| Slice { from: exposure.from, until: exposure.from.plus(share).unwrap_or(Share::ALL) };
        let (decided_by, segment, treated) = match assignment.rule {
            Rule::Holdout => ("holdout", None, None),
            Rule::Never => ("never", None, None),
            Rule::Always => ("always", None, None),
            Rule::Segment(number) => {
                let segment = exposure.segments.get(number);
                let name = segment.and_then(|segment| segment.name.clone());
                let share = segment.map_or(Share::NONE, |segment| segment.share);
                ("segment", Some(name.unwrap_or_else(|| (number + 1).to_string())), Some(slice(share)))
            }
            Rule::Share => ("share", None, Some(slice(exposure.share))),
        };
        let holdout = if asked.holdout > exposure.holdout { asked.holdout } else { exposure.holdout };
        let phases = plan.phases.iter().enumerate();
        Ok(Explanation {
            scenario: plan.document.name.clone(),
            unit: asked.unit.clone(),
            unit_hash: asked.hash,
            arm: assignment.arm.name(),
            decided_by,
            segment,
            draw: DrawRead::new(&exposure.rule, exposure.seed, assignment.draw()),
            treated,
            holdout: (holdout > Share::NONE).then(|| Holdout {
                share: holdout,
                draw: DrawRead::new(HOLDOUT, 0, holdout_draw(asked.hash)),
                held_out: assignment.rule == Rule::Holdout,
            }),
            group: assignment.group.and_then(|number| Some(exposure.groups.get(number)?.name.clone())),
            layer: exposure.layer.clone(),
            release: plan.document.release.as_ref().map(ReleaseDocument::kind),
            when: plan.document.target.when.clone(),
            phases: phases.map(|(number, phase)| PhaseTold::of(plan, number, phase, &assignment)).collect(),
            caps: plan.document.exposure.caps,
        })
    }
}

impl PhaseTold {
    fn of(plan: &Plan, number: usize, phase: &Phase, assignment: &Assignment) -> PhaseTold {
        let written = &plan.document.phases[number].inject;
        let assignment = &assignment.in_phase(phase);
        let version = plan.release.as_ref().and_then(|release| assignment.version(release));
        let treats = phase.share.is_some_and(|share| share > Share::NONE);
        let told = |injection: &Injection| {
            let outline = injection.outline(phase.lasts(), &plan.exposure);
            let over = outline.over_time;
            let chance = injection.fault.rate().fraction();
            FaultTold {
                id: injection.id.clone(),
                size: outline.size,
                gets: assignment.is_in(injection),
                because: why_not(&plan.exposure, injection, assignment),
                share: injection.share,
                over_time: injection.shape.describe(),
                chance,
                chance_over_phase: (injection.fault.scales() == Scales::Rate).then_some(chance * over),
                only_where: written_as(written, injection).and_then(|one| one.only.clone()),
            }
        };
        PhaseTold {
            phase: phase.name.clone(),
            starts_s: phase.start.as_secs_f64(),
            ends_s: phase.end.as_secs_f64(),
            share: phase.share.map(|share| plan.exposure.within(share)),
            listed: if treats { plan.exposure.always.len() } else { 0 },
            arm: phase.share.map(|_| assignment.arm.name()),
            version: version.map(|version| version.name.to_string()),
            faults: phase.injections.iter().map(told).collect(),
        }
    }
}

/// What an injection was compiled from: in `phase/fault#2`, the second of its name.
fn written_as<'a>(written: &'a [InjectionDocument], injection: &Injection) -> Option<&'a InjectionDocument> {
    if injection.of_release {
        return None;
    }
    let number =
        injection.id.rsplit_once('#').and_then(|(_, number)| number.parse::<usize>().ok()).unwrap_or(1);
    written.iter().filter(|one| one.fault.name() == injection.fault.name()).nth(number - 1)
}

fn why_not(exposure: &Exposure, injection: &Injection, assignment: &Assignment) -> Option<String> {
    if assignment.arm == Arm::Control {
        return Some("the unit is in the control arm".to_owned());
    }
    let group = injection.for_group.filter(|group| assignment.group != Some(*group));
    if let Some(group) = group.and_then(|number| exposure.groups.get(number)) {
        return Some(format!("it is for group `{}`", group.name));
    }
    (!assignment.gets(injection.share)).then(|| {
        let until = exposure.from.plus(injection.share).unwrap_or(Share::ALL);
        format!("its own share ends at {until} of the draws")
    })
}

impl Explanation {
    pub(super) fn in_words(&self) -> String {
        let mut text = String::new();
        self.verdict(&mut text);
        for phase in &self.phases {
            phase.in_words(&mut text);
        }
        if let Some(when) = &self.when {
            let _ = writeln!(text, "only requests that match `{when}`");
        }
        if !self.caps.is_none() {
            let _ = writeln!(text, "caps may take injections away: {}", caps(&self.caps));
        }
        text
    }

    fn verdict(&self, text: &mut String) {
        let (hash, name) = (self.unit_hash, &self.scenario);
        let unit = match &self.unit {
            Some(unit) => format!("unit `{unit}` ({hash:016x})"),
            None => format!("unit {hash:016x}"),
        };
        let _ = writeln!(
            text,
            "{unit} is {} in `{name}`",
            match self.arm {
                "treated" => "treated",
                _ => "in the control arm",
            }
        );
        let draw =
            format!("its draw {} (rule `{}`, seed {})", self.draw.percent(), self.draw.rule, self.draw.seed);
        let because = match (self.decided_by, &self.treated) {
            ("holdout", _) => "no scenario touches it: it is held out".to_owned(),
            ("never", _) => "it is listed under `never`".to_owned(),
            ("always", _) => "it is listed under `always`".to_owned(),
            (by, Some(Slice { from, until })) => {
                let what = match &self.segment {
                    Some(segment) => format!("segment `{segment}` decides: "),
                    None if by == "share" => "the share decides: ".to_owned(),
                    None => String::new(),
                };
                let verb = if self.arm == "treated" { "is" } else { "is not" };
                format!("{what}{draw} {verb} from {from} to below {until}")
            }
            _ => draw,
        };
        let _ = writeln!(text, "  {because}");
        if let Some(Holdout { share, draw, held_out }) = &self.holdout {
            let verb = if *held_out { "is" } else { "is not" };
            let _ = writeln!(
                text,
                "  hold-out: its draw {} (rule `{HOLDOUT}`, seed 0) {verb} below {share}",
                draw.percent()
            );
        }
        if let Some(layer) = &self.layer {
            let _ = writeln!(text, "  layer `{layer}`");
        }
        if let Some(release) = self.release {
            let whom = match release {
                "shadow" => ": faults act on copies, and callers get the true answer",
                _ => "",
            };
            let _ = writeln!(text, "  release `{release}`{whom}");
        }
        if let Some(group) = self.group.as_ref().filter(|_| self.arm == "treated") {
            let _ = writeln!(text, "  group `{group}`");
        }
    }
}

impl PhaseTold {
    fn in_words(&self, text: &mut String) {
        let span = |seconds: f64| Span::from(std::time::Duration::from_secs_f64(seconds));
        let (from, until) = (span(self.starts_s), span(self.ends_s));
        let _ = write!(text, "{from} to {until}, {}", self.phase);
        if let (Some(share), Some(arm)) = (self.share, self.arm) {
            let side = if arm == "treated" { "treated" } else { "in the control arm" };
            let listed = match self.listed {
                some if some > 0 => format!(" and {some} listed"),
                _ => String::new(),
            };
            let _ = write!(text, ", {share} of units{listed}: {side}");
        }
        if let Some(version) = &self.version {
            let _ = write!(text, ", version `{version}`");
        }
        text.push('\n');
        if self.faults.is_empty() {
            let _ = writeln!(text, "  nothing is injected");
        }
        for fault in &self.faults {
            let FaultTold { id, size, over_time, because, only_where, .. } = fault;
            let percent = |chance: f64| (chance * 1e8).round() / 1e6;
            let mut line = match because {
                Some(because) => format!("{id}: no, {because}"),
                None => format!(
                    "{id}: yes, {}% chance for each request or prediction ({size})",
                    percent(fault.chance)
                ),
            };
            if because.is_none() && over_time != "at full size" && !size.contains(over_time.as_str()) {
                let _ = write!(line, ", {over_time}");
            }
            if let (None, Some(mean)) = (because, fault.chance_over_phase.filter(|mean| *mean < fault.chance))
            {
                let _ = write!(line, ", {}% on average over the phase", percent(mean));
            }
            if let (None, Some(only)) = (because, only_where) {
                let _ = write!(line, ", only where `{only}`");
            }
            let _ = writeln!(text, "  {line}");
        }
    }
}

fn caps(caps: &CapsDocument) -> String {
    let CapsDocument { rate, concurrent, total, per_unit_per_hour } = caps;
    let all = [
        rate.map(|rate| format!("{rate}")),
        concurrent.map(|most| format!("{most} at once")),
        total.map(|most| format!("{most} in all")),
        per_unit_per_hour.map(|most| format!("{most} for a unit in an hour")),
    ];
    all.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
