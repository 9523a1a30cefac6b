//! Before a run: how much traffic it takes to see each fault, by canard's own evidence and by a monitor.
//!
//! The size of an effect is what the fault promises, after its rate and what its ramp leaves of it in the mean. A share of
//! the treated that does not get it (a group, a share of its own) dilutes it for canard, everybody else for a monitor, which
//! can't tell the arms apart. With everybody treated the phases before the first fault are the control, as in the
//! delivery check. What depends on the model is not guessed.

mod contrast;

use std::collections::BTreeMap;

use self::contrast::{Seen, seen};
use super::delivery::{Accuracy, FEWEST};
use crate::{
    event::{Baselines, FaultPower, MonitorTraffic, Power, Sight},
    evidence::{ArmEvidence, PhaseEvidence},
    fault::Fault,
    scenario::{Expectation, Injection, Phase, Plan},
};

/// What the faults of a plan need at a rate of traffic (requests per second that its target matches), for tests at
/// level `alpha` that find what is there with probability `power`.
pub fn power(plan: &Plan, rate_per_s: Option<f64>, alpha: f64, power: f64, baselines: Baselines) -> Power {
    let names = plan.target.labels.names();
    let mix = names.iter().map(|name| (name.clone(), 1.0 / names.len() as f64)).collect();
    let rate = rate_per_s.filter(|rate| *rate > 0.0);
    let asked = Asked { plan, rate, alpha, power, baselines, mix: &mix };
    let written = |injection: &&Injection| !injection.of_release;
    let injections = plan
        .phases
        .iter()
        .flat_map(|phase| phase.injections.iter().filter(written).map(move |one| (phase, one)));
    Power {
        scenario: plan.document.name.clone(),
        alpha,
        power,
        rate_per_s: asked.rate,
        baselines,
        faults: injections.map(|(phase, injection)| asked.of(phase, injection)).collect(),
    }
}

/// What a monitor that can't tell the arms apart needs in a phase to see a fault of it with probability 0.9, at level
/// 0.05 and over as many before it, against what it had. The service without the fault is as it was measured: `usual`,
/// with the truth where that is known. `None` where that and the scenario do not tell.
pub(super) fn had_by_a_monitor(
    plan: &Plan,
    (phase, injection): (&Phase, &Injection),
    (usual, known): (&ArmEvidence, &Accuracy),
    (seen, eligible): (&PhaseEvidence, u64),
) -> Option<MonitorTraffic> {
    let (baselines, mix) = measured(usual, known);
    // At any rate at all: the number does not depend on it.
    let asked = Asked { plan, rate: Some(1.0), alpha: 0.05, power: 0.9, baselines, mix: &mix };
    let monitor = asked.of(phase, injection).monitor;
    let needed = monitor.needs_s.and(monitor.with)?;
    let everybody = seen.everybody();
    let had = match monitor.of.as_str() {
        contrast::REQUESTS => eligible,
        contrast::PREDICTIONS => everybody.predictions,
        contrast::ANSWERS => everybody.text.answers,
        _ => return None,
    };
    Some(MonitorTraffic { of: monitor.of, had, needed })
}

/// The service without faults, as it was seen; what was not is as [`Baselines::default`] has it.
fn measured(usual: &ArmEvidence, known: &Accuracy) -> (Baselines, Mix) {
    let default = Baselines::default();
    let spread = usual.latency.moments(|seconds| seconds).filter(|_| usual.latency.count() > 1);
    let baselines = Baselines {
        error_share: usual.error_share().unwrap_or(default.error_share),
        latency_deviation_s: spread.map_or(default.latency_deviation_s, |(_, variance)| variance.sqrt()),
        accuracy: match known.labelled {
            0 => default.accuracy,
            all => known.correct as f64 / all as f64,
        },
        ..default
    };
    let all = usual.labels.values().sum::<u64>();
    let mix = usual.labels.iter().map(|(label, n)| (label.clone(), *n as f64 / all as f64));
    (baselines, mix.collect())
}

/// Share of each predicted class.
type Mix = BTreeMap<String, f64>;

#[derive(Clone, Copy)]
struct Asked<'a> {
    plan: &'a Plan,
    rate: Option<f64>,
    alpha: f64,
    power: f64,
    baselines: Baselines,
    /// Of the service without the fault.
    mix: &'a Mix,
}

/// Two groups of requests.
#[derive(Clone, Copy)]
struct Groups {
    /// The share of the traffic in the phase that is in the group with the fault.
    with: f64,
    /// How many there are without it.
    without: Without,
}

#[derive(Clone, Copy)]
enum Without {
    /// So many for each one with the fault.
    Each(f64),
    /// Those of so many seconds before the first fault.
    Before(f64),
}

impl Asked<'_> {
    fn of(self, phase: &Phase, injection: &Injection) -> FaultPower {
        let outline = injection.outline(phase.lasts(), &self.plan.exposure);
        let promise = injection.fault.promise();
        let arm = self.plan.exposure.within(phase.share.unwrap_or(self.plan.exposure.share)).fraction();
        let part = if arm > 0.0 { (outline.exposure_share / arm).min(1.0) } else { 0.0 };
        // In the mean over the phase, whatever it is that its intensity scales.
        let over_time = injection.shape.mean(phase.lasts());
        let view = |diluted: f64| match (&injection.fault, over_time) {
            (Fault::LowMargin(_), _) => {
                Seen::unknown("how often the model is right where its margin is small")
            }
            (_, None) => Seen::unknown("how many requests its shape admits"),
            (_, Some(over_time)) => seen(&promise, over_time * diluted, self.baselines, self.mix),
        };
        let own = match view(part) {
            told @ Seen::By { timed: None, .. } => told,
            told if over_time.is_none() => told,
            // What canard changed it knows, whatever came of it, and without a label.
            told => match (contrast::touched(&promise, outline.over_time), told) {
                (Seen::Unknown(_), told @ Seen::By { .. }) => told,
                (touched, _) => touched,
            },
        };
        let lasts_s = phase.lasts().as_secs_f64();
        let shadow = self.plan.shadow().is_some();
        let without = match arm {
            // Callers are the control of shadows, all of them.
            _ if shadow => Without::Each(1.0 / arm),
            _ if arm < 1.0 => Without::Each((1.0 - arm) / arm),
            _ => Without::Before(self.before_any_fault_s()),
        };
        let own = self.sight(own, Groups { with: arm, without }, lasts_s, injection);
        let everybody = Groups { with: 1.0, without: Without::Each(1.0) };
        let monitor = match shadow {
            true => Sight {
                unknown: Some("shadows alone get it: no monitor of callers sees it".into()),
                ..Sight::default()
            },
            false => {
                let sight = self.sight(view(outline.exposure_share), everybody, lasts_s, injection);
                self.beside_what_came_before(sight, phase)
            }
        };
        let expected =
            phase.expectations.iter().any(|placed| matches!(placed.expectation, Expectation::Fires(_)));
        let promise = promise.to_string();
        FaultPower { phase: phase.name.clone(), lasts_s, fault: outline, promise, expected, own, monitor }
    }

    fn before_any_fault_s(self) -> f64 {
        let quiet = self.plan.phases.iter().take_while(|phase| phase.injections.is_empty());
        quiet.map(|phase| phase.lasts().as_secs_f64()).sum()
    }

    /// Generated traffic begins with the run: as many requests before a phase have to come from phases without faults.
    fn beside_what_came_before(self, sight: Sight, phase: &Phase) -> Sight {
        let earlier = self.plan.phases.iter().take_while(|earlier| earlier.name != phase.name);
        let quiet = earlier.filter(|earlier| earlier.injections.is_empty());
        let quiet_s: f64 = quiet.map(|phase| phase.lasts().as_secs_f64()).sum();
        let wanted_s = sight.without.zip(self.rate).map(|(without, rate)| without as f64 / rate);
        let short = self.plan.traffic.is_some() && wanted_s.is_some_and(|wanted_s| wanted_s > quiet_s);
        if !short || sight.enough != Some(true) {
            return sight;
        }
        let unknown = match quiet_s {
            0.0 => {
                "no traffic without faults comes before it, and no rule that compares with the past sees it"
                    .to_owned()
            }
            some => format!(
                "{some} s without faults come before it: too short for a rule that compares with the past"
            ),
        };
        Sight { enough: None, unknown: Some(unknown), ..sight }
    }

    fn sight(self, seen: Seen, groups: Groups, lasts_s: f64, injection: &Injection) -> Sight {
        let (test, contrast, of, timed) = match seen {
            Seen::By { test, contrast, of, timed } => (test, contrast, of, timed),
            Seen::Unknown(why) => return Sight { unknown: Some(why), ..Sight::default() },
        };
        let mut sight = Sight { test: Some(test), of: of.to_owned(), ..Sight::default() };
        let segments = !self.plan.exposure.segments.is_empty();
        let unknown = timed
            .or(injection.only.is_some().then_some("how much of the traffic its `where` matches"))
            .or(segments.then_some("how much of the traffic the segments match"))
            .or(self.rate.is_none().then_some("the rate of the traffic (--rate)"));
        let fewest = FEWEST as f64;
        let sizes = match groups.without {
            _ if groups.with <= 0.0 => Err("nobody is treated"),
            Without::Before(0.0) => Err("everybody is treated, and no phase without faults comes first"),
            Without::Before(seconds) => {
                sight.before_s = Some(seconds);
                match self.rate.filter(|_| unknown.is_none()) {
                    Some(rate) => {
                        let before = (rate * seconds).floor();
                        let needed = contrast.needed_beside(self.alpha, self.power, before);
                        let needed = needed.filter(|_| before >= fewest).map(|n| (n.max(fewest), before));
                        needed.ok_or("the phases before the first fault are too short for any comparison")
                    }
                    None => self.pair(&contrast, seconds / lasts_s),
                }
            }
            Without::Each(ratio) => self.pair(&contrast, ratio),
        };
        match sizes {
            Ok((n, m)) => {
                (sight.with, sight.without) = (Some(n.ceil() as u64), Some(m.ceil() as u64));
                let needs_s =
                    self.rate.filter(|_| unknown.is_none()).map(|rate| n.ceil() / (rate * groups.with));
                sight.needs_s = needs_s;
                sight.enough = needs_s.map(|needs_s| needs_s <= lasts_s);
                sight.unknown = unknown.map(|what| format!("not known from the scenario: {what}"));
            }
            Err(why) => {
                sight.enough = sight.before_s.map(|_| false);
                sight.unknown = Some(why.to_owned());
            }
        }
        sight
    }

    /// Sizes with `ratio` without the fault for each one with it. Fewer than [`FEWEST`] tell nothing.
    fn pair(self, contrast: &crate::stats::Contrast, ratio: f64) -> Result<(f64, f64), &'static str> {
        let (n, _) =
            contrast.needed(self.alpha, self.power, ratio).ok_or("nothing differs: no traffic shows it")?;
        let n = n.max(FEWEST as f64 / ratio.min(1.0)).ceil();
        Ok((n, n * ratio))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Source, compile};

    fn plan(rest: &str) -> Power {
        let text = format!(
            "name: x\nhypothesis: y\nseed: 1\ntarget: {{ protocol: open-inference, labels: [a, b, c] }}\n{rest}\n"
        );
        let plan = compile(&Source::new("x.yaml", text.as_str())).unwrap();
        power(&plan, Some(100.0), 0.05, 0.9, Baselines::default())
    }

    fn of(fault: &str, lasts: &str) -> FaultPower {
        let phases = format!(
            "exposure: {{ share: 25% }}\nphases:\n  - {{ name: steady, lasts: 60s }}\n  - name: broken\n    \
             lasts: {lasts}\n    inject:\n      - fault: {{ {fault} }}"
        );
        plan(&phases).faults.remove(0)
    }

    fn everybody(steady: &str) -> Sight {
        let phases = format!(
            "exposure: {{ share: 100% }}\nphases:\n{steady}  - name: broken\n    lasts: 60s\n    inject:\n      \
             - fault: {{ error: {{ status: 503, rate: 5% }} }}"
        );
        plan(&phases).faults.remove(0).own
    }

    #[test]
    fn a_monitor_needs_more_than_canard_because_its_view_is_diluted() {
        let errors = of("error: { status: 503, rate: 20% }", "60s");
        let (own, monitor) = (&errors.own, &errors.monitor);
        assert_eq!((own.enough, monitor.enough), (Some(true), Some(true)));
        assert!(monitor.with > own.with, "{errors:?}");
        // 0 % against 5 % of everybody: power.prop.test(p1 = 0, p2 = .05, power = .9) in R, n = 202.8.
        assert_eq!((monitor.with, monitor.without), (Some(203), Some(203)));
        assert!((monitor.needs_s.unwrap() - 2.03).abs() < 1e-9);
        // Of 100 requests a second 25 are treated.
        assert!((own.needs_s.unwrap() - own.with.unwrap() as f64 / 25.0).abs() < 1e-9);
    }

    #[test]
    fn a_ramp_counts_by_its_mean_and_counted_requests_are_not_guessed() {
        let slow = |shape: &str| {
            let phases = format!(
                "exposure: {{ share: 25% }}\nphases:\n  - {{ name: steady, lasts: 60s }}\n  - name: broken\n    \
                 lasts: 60s\n    inject:\n      - fault: {{ latency: {{ fixed: 20ms }} }}{shape}"
            );
            plan(&phases).faults.remove(0)
        };
        let (whole, ramped) = (slow("").monitor, slow("\n        ramp: 60s").monitor);
        let times = ramped.with.unwrap() as f64 / whole.with.unwrap() as f64;
        assert!((3.0..5.0).contains(&times), "half the size needs four times as many: {times}");
        let counted = slow("\n        shape: { first-n: { n: 1 } }");
        assert!(counted.monitor.with.is_none() && counted.own.with.is_none(), "{counted:?}");
    }

    #[test]
    fn generated_traffic_has_no_past_before_the_run() {
        let of = |first: &str, traffic: &str| {
            let text = format!(
                "exposure: {{ share: 25% }}\n{traffic}phases:\n{first}  - name: broken\n    lasts: 60s\n    inject:\n      \
                 - fault: {{ error: {{ status: 503, rate: 20% }} }}"
            );
            plan(&text).faults.remove(0).monitor
        };
        let requests = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/traffic/iris.jsonl");
        let generated = &format!("traffic: {{ rate: 100/s, requests: {requests} }}\n");
        let steady = |lasts: &str| format!("  - {{ name: steady, lasts: {lasts} }}\n");
        // 203 before it take 2.03 s.
        for (first, enough) in [(steady("3s"), Some(true)), (steady("2s"), None), (String::new(), None)] {
            let sight = of(&first, generated);
            assert_eq!(
                (sight.enough, sight.unknown.is_none()),
                (enough, enough.is_some()),
                "{first}: {sight:?}"
            );
        }
        assert_eq!(of("", "").enough, Some(true), "the callers of a service were there before");
    }

    #[test]
    fn a_short_phase_is_told() {
        let rare = of("error: { status: 503, rate: 1% }", "5s");
        assert_eq!((rare.own.enough, rare.monitor.enough), (Some(false), Some(false)));
    }

    #[test]
    fn what_depends_on_the_model_is_not_guessed() {
        let noise = of("mislabel: { rate: 30% }", "60s");
        assert!(noise.own.enough.is_some(), "{noise:?}");
        // Accuracy shows it, from the baseline; how many predictions get a label is not known.
        let monitor = &noise.monitor;
        assert!(
            monitor.with.is_some() && monitor.needs_s.is_none() && monitor.unknown.is_some(),
            "{noise:?}"
        );
        let told = of("mislabel: { rate: 30%, from: a, to: b }", "60s");
        assert!(told.monitor.enough.is_some(), "{told:?}");
        let margin = of("low-margin: { budget: 20% }", "60s");
        assert!(margin.own.enough.is_some() && margin.monitor.with.is_none(), "{margin:?}");
    }

    #[test]
    fn with_everybody_treated_the_phases_before_are_the_control() {
        let long = everybody("  - { name: steady, lasts: 60s }\n");
        assert_eq!((long.before_s, long.without, long.enough), (Some(60.0), Some(6000), Some(true)));
        // More of the control than of the treated: fewer of these are needed than with as many of each.
        assert!(long.with < Some(203), "{long:?}");
        let short = everybody("  - { name: steady, lasts: 1s }\n");
        assert!(short.with > Some(203) || short.enough == Some(false), "{short:?}");
        let none = everybody("");
        assert!(none.with.is_none() && none.unknown.is_some(), "{none:?}");
    }

    #[test]
    fn a_group_is_diluted_by_the_rest_of_its_arm_and_not_compared_with_it() {
        let power = plan(
            "exposure: { share: 80%, groups: { one: 50%, two: 50% } }\nphases:\n  - name: broken\n    lasts: 60s\n    \
             inject:\n      - { fault: { error: { status: 503, rate: 40% } }, group: one }",
        );
        let own = &power.faults[0].own;
        // 20 % of the units are control, 80 % treated, of which half have 40 % errors.
        assert!(own.test.as_ref().unwrap().contains("0.0% → 20.0%"), "{own:?}");
        assert!((own.with.unwrap() as f64 / own.without.unwrap() as f64 - 4.0).abs() < 0.2, "{own:?}");
    }
}
