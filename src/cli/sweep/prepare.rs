//! What a sweep is going to do, found and checked before anything runs.

use super::{SweepArgs, probe_seed};
use crate::{
    cli::{Failure, diagnostics::Mistakes, load, target::Target},
    draw::UnitHash,
    event::{Probe, Search, Seen},
    scenario::{Expectation, Places, Plan, Setting, Source, StageDocument, find_setting},
    unit::{SizeRange, Span},
    verify::{Counted, Findings, Next},
};

pub(super) struct Prepared {
    source: Source,
    /// What scenarios are checked against.
    against: StageDocument,
    pub(super) target: Target,
    places: Places,
    pub(super) range: SizeRange,
    pub(super) search: Search,
    lasts: Span,
}

impl Prepared {
    pub(super) fn new(args: &SweepArgs) -> miette::Result<Prepared> {
        let (target, stage_source) = args.target.read()?;
        let source = load::source(&args.scenario)?;
        let against = target.against();
        // Its own mistakes first.
        let plan = load::scenario(&source, &against)?;
        let (setting, range) = over(args)?;
        let places = find_setting(&source, &setting, &range).map_err(Mistakes::from)?;
        let counted = Counted { phases: places.phases.as_deref(), alert: args.alert.as_deref() };
        let expectations = expectations(&plan, &counted)?;
        let hash = |source: &Source| format!("{:016x}", UnitHash::of(source.text.as_bytes()));
        let search = Search {
            scenario: plan.document.name.clone(),
            scenario_hash: hash(&source),
            stage_hash: stage_source.as_ref().map(hash),
            setting: setting.to_string(),
            range: range.to_string(),
            scale: range.scale(),
            seed: args.seed.unwrap_or(plan.document.seed),
            alert: args.alert.clone(),
            expectations,
        };
        let lasts = Span::from(plan.lasts());
        let prepared = Prepared { source, against, target, places, range, search, lasts };
        // A size that the scenario can't have is told before the first run.
        for position in [0.0, 0.4, 1.0] {
            prepared.plan(&prepared.range.written(position), prepared.search.seed)?;
        }
        Ok(prepared)
    }

    /// The scenario with this size.
    pub(super) fn plan(&self, size: &str, seed: u64) -> Result<Plan, Mistakes> {
        let mut changed = self.places.with(&self.source, size, seed).map_err(Mistakes::from)?;
        changed.name = format!("{} (with {} = {size})", self.source.name, self.search.setting);
        load::scenario(&changed, &self.against)
    }

    /// What counts as detected.
    pub(super) fn counted(&self) -> Counted<'_> {
        Counted { phases: self.places.phases.as_deref(), alert: self.search.alert.as_deref() }
    }

    /// What would be tried first, in words.
    pub(super) fn outlook(&self, runs: u32) -> String {
        let search = &self.search;
        let after = |seen: &[Seen]| {
            let mut probes: Vec<Probe> = Vec::new();
            for seen in seen {
                let Next::Try(size) = Findings::of(&self.range, &probes).next(&probes, runs, 0.0) else {
                    break;
                };
                probes.push(imagined(size, *seen));
            }
            match Findings::of(&self.range, &probes).next(&probes, runs, 0.0) {
                Next::Try(size) => size,
                Next::End(..) => "none".to_owned(),
            }
        };
        let (first, seen, missed) = (after(&[]), after(&[Seen::Detected]), after(&[Seen::Missed]));
        let most = Span::from(self.lasts.duration() * runs);
        format!(
            "{}: {} over {}, {} scale, seed {}\ndetected when in time: {}\n\nprobe 1: {first} (seed {})\n\
             probe 2: {seen} if that was detected, {missed} if not (seed {})\n\
             at most {runs} runs of at most {}, {most} in all\n\nNothing was touched.\n",
            search.scenario,
            search.setting,
            search.range,
            match search.scale {
                crate::unit::Scale::Log => "log",
                crate::unit::Scale::Linear => "linear",
            },
            search.seed,
            search.expectations.join(", "),
            probe_seed(search.seed, 1),
            probe_seed(search.seed, 2),
            self.lasts,
        )
    }
}

fn over(args: &SweepArgs) -> Result<(Setting, SizeRange), Failure> {
    let wrong = |message: String| {
        Failure::new(message)
            .help("--over names a setting and its sizes: --over faults.mislabel.rate=1%..50%")
    };
    let (path, range) =
        args.over.split_once('=').ok_or_else(|| wrong(format!("`{}` names no sizes", args.over)))?;
    let setting = Setting::new(path).ok_or_else(|| wrong(format!("`{path}` is no path of a setting")))?;
    let range = SizeRange::new(range, args.scale).map_err(|error| wrong(error.to_string()))?;
    Ok((setting, range))
}

/// The expectations that count, `phase/alert`.
fn expectations(plan: &Plan, counted: &Counted<'_>) -> Result<Vec<String>, Failure> {
    let placed =
        plan.phases.iter().flat_map(|phase| phase.expectations.iter().map(move |placed| (phase, placed)));
    let fires = placed.filter_map(|(phase, placed)| match &placed.expectation {
        Expectation::Fires(fires) => Some((&phase.name, &fires.alert)),
        _ => None,
    });
    let (count, others): (Vec<_>, Vec<_>) = fires.partition(|(phase, alert)| counted.counts(phase, alert));
    if !count.is_empty() {
        return Ok(count.iter().map(|(phase, alert)| format!("{phase}/{alert}")).collect());
    }
    let phases = counted
        .phases
        .map_or_else(|| "the scenario".to_owned(), |names| format!("phase `{}`", names.join("`, `")));
    let what = counted.alert.map_or_else(|| "an alert".to_owned(), |alert| format!("`{alert}`"));
    let failure =
        Failure::new(format!("nothing in {phases} expects that {what} fires, so no size could be detected"));
    let mut others: Vec<&str> = others.iter().map(|(_, alert)| alert.as_str()).collect();
    others.dedup();
    Err(failure.help(match others.as_slice() {
        [] => "write `expect: [fires: { alert: …, within: … }]` in the phase".to_owned(),
        _ => format!("the scenario expects {} to fire elsewhere", crate::scenario::one_of(&others)),
    }))
}

fn imagined(size: String, seen: Seen) -> Probe {
    Probe {
        number: 0,
        folder: String::new(),
        size,
        seed: 0,
        seen,
        time_s: None,
        reason: None,
        detail: String::new(),
        reference: None,
        reference_s: None,
    }
}
