//! Versions of a release compared: what the candidate's callers saw against the baseline's, or each group against the
//! first.
//!
//! The measures are those of the delivery check, taken whatever the faults are: a real candidate has none, and still
//! differs. With everybody on the candidate, what everybody saw in the phases before it stands in for the baseline.

use std::collections::BTreeMap;

use crate::{
    event::{Compared, Comparison},
    evidence::{ArmEvidence, Evidence, PhaseEvidence},
    scenario::{Plan, Release, Versions},
};

use super::delivery::{Arms, FEWEST, PhaseAccuracy};

/// One comparison for each phase and version that has callers beside the one it is compared with.
pub fn comparisons(plan: &Plan, evidence: &Evidence, accuracy: &[PhaseAccuracy]) -> Vec<Comparison> {
    let Some(release) = &plan.release else { return Vec::new() };
    let (mut before, nothing) = (ArmEvidence::default(), PhaseAccuracy::default());
    let mut all = Vec::new();
    for (index, seen) in evidence.phases.iter().enumerate() {
        let known = accuracy.get(index).unwrap_or(&nothing);
        all.extend(of_phase(plan, release, seen, &before, (known, &nothing)));
        if seen.treated.requests() == 0 {
            before.merge(&seen.control);
        }
    }
    all
}

fn of_phase(
    plan: &Plan,
    release: &Release,
    seen: &PhaseEvidence,
    before: &ArmEvidence,
    (known, nothing): (&PhaseAccuracy, &PhaseAccuracy),
) -> Vec<Comparison> {
    let compare = |baseline: (Compared, &ArmEvidence), candidate: (Compared, &ArmEvidence), known, before| {
        let arms = Arms {
            control: baseline.1,
            treated: candidate.1,
            groups: &BTreeMap::new(),
            known,
            pairs: None,
            codec: plan.target.codec.as_ref(),
        };
        let effects = arms.of_versions();
        let phase = seen.phase.clone();
        Comparison { phase, baseline: baseline.0, candidate: candidate.0, before, effects }
    };
    match &release.versions {
        Versions::Arms { .. } if seen.treated.requests() == 0 => Vec::new(),
        Versions::Arms { baseline, candidate } => {
            let side = |version: &str, seen: &ArmEvidence| Compared {
                version: version.to_owned(),
                group: None,
                requests: seen.requests(),
            };
            let alone = seen.control.requests() < FEWEST && before.requests() >= FEWEST;
            let control = if alone { before } else { &seen.control };
            let first = (side(&baseline.name, control), control);
            vec![compare(first, (side(&candidate.name, &seen.treated), &seen.treated), known, alone)]
        }
        Versions::Groups(versions) => {
            let groups = plan.exposure.groups.iter().zip(versions).filter_map(|(group, version)| {
                let seen = seen.groups.get(&group.name)?;
                let compared = Compared {
                    version: version.name.to_string(),
                    group: Some(group.name.clone()),
                    requests: seen.requests(),
                };
                Some((compared, seen))
            });
            let mut groups = groups.filter(|(_, seen)| seen.requests() > 0);
            let Some(first) = groups.next() else { return Vec::new() };
            // Nobody knows the truth by group.
            groups.map(|group| compare(first.clone(), group, nothing, false)).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        evidence::FaultEvidence,
        scenario::{Source, compile},
        verify::Accuracy,
    };

    fn plan(release: &str, exposure: &str, phases: &str) -> Plan {
        let text = format!(
            "name: t\ntarget: {{ protocol: open-inference }}\nexposure: {exposure}\nrelease: {release}\nphases: {phases}"
        );
        compile(&Source::new("t.yaml", text)).unwrap_or_else(|errors| panic!("{errors}"))
    }

    fn arm(requests: u64, failed: u64, labels: &[(&str, u64)], ms: u64) -> ArmEvidence {
        let mut arm = ArmEvidence {
            statuses: [(200, requests - failed), (500, failed)].into(),
            predictions: requests,
            labels: labels.iter().map(|(label, count)| ((*label).to_owned(), *count)).collect(),
            ..Default::default()
        };
        (0..requests).for_each(|i| arm.latency.record(Duration::from_millis(ms + i % 3)));
        (0..requests).for_each(|_| arm.scores.record(0.9));
        arm
    }

    fn phase(name: &str, control: ArmEvidence, treated: ArmEvidence) -> PhaseEvidence {
        PhaseEvidence { phase: name.to_owned(), control, treated, ..Default::default() }
    }

    fn differs(comparison: &Comparison) -> Vec<&str> {
        comparison.differing().map(|effect| effect.measure.as_str()).collect()
    }

    const CANARY: &str = "{ canary: { baseline: v1, candidate: v2 } }";
    const STEPS: &str = "[{ name: steady, lasts: 9s, share: 0% }, { name: one, lasts: 9s, share: 10% }]";

    #[test]
    fn a_candidate_is_compared_where_it_has_callers() {
        let plan = plan(CANARY, "{ share: 10% }", STEPS);
        let healthy = [("a", 450), ("b", 450)];
        let evidence = Evidence {
            phases: vec![
                phase("steady", arm(1000, 0, &healthy, 10), ArmEvidence::default()),
                phase("one", arm(900, 9, &healthy, 10), arm(100, 40, &[("a", 20), ("b", 80)], 10)),
            ],
            ..Default::default()
        };
        let accuracy = PhaseAccuracy {
            control: Accuracy { labelled: 900, correct: 850, ..Accuracy::default() },
            treated: Accuracy { labelled: 100, correct: 60, ..Accuracy::default() },
        };
        let found = comparisons(&plan, &evidence, &[PhaseAccuracy::default(), accuracy]);
        let [one] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((one.phase.as_str(), one.before), ("one", false));
        assert_eq!((one.baseline.version.as_str(), one.baseline.requests), ("v1", 900));
        assert_eq!((one.candidate.version.as_str(), one.candidate.requests), ("v2", 100));
        assert_eq!(differs(one), ["error share", "share of `a`", "share of `b`", "accuracy"]);
        let error = &one.effects[0];
        assert!((error.control - 0.01).abs() < 1e-9 && (error.treated - 0.4).abs() < 1e-9, "{error:?}");
        let measured: Vec<&str> = one.effects.iter().map(|effect| effect.measure.as_str()).collect();
        for measure in ["mean latency", "p50 latency", "p99 latency", "mean score"] {
            assert!(measured.contains(&measure), "{measured:?}");
        }
    }

    #[test]
    fn with_everybody_switched_what_was_before_is_the_baseline() {
        let blue_green = CANARY.replace("canary", "blue-green");
        let plan = plan(&blue_green, "{ share: 100% }", &STEPS.replace("10%", "100%"));
        let evidence = Evidence {
            phases: vec![
                phase("steady", arm(500, 0, &[], 10), ArmEvidence::default()),
                phase("one", ArmEvidence::default(), arm(400, 0, &[], 60)),
            ],
            ..Default::default()
        };
        let found = comparisons(&plan, &evidence, &[]);
        assert!(found[0].before);
        assert_eq!((found[0].baseline.requests, found[0].candidate.requests), (500, 400));
        assert_eq!(differs(&found[0]), ["mean latency", "p50 latency"]);
    }

    #[test]
    fn each_group_is_compared_with_the_first() {
        let plan = plan(
            "{ ab: { versions: { a: v1, b: v2, c: v3 } } }",
            "{ share: 50%, equal-groups: [b, a, c] }",
            "[{ name: p, lasts: 9s }]",
        );
        let mut seen = phase("p", arm(300, 0, &[], 10), arm(300, 50, &[], 10));
        seen.faults = vec![FaultEvidence::default()];
        for (group, failed) in [("a", 0), ("b", 0), ("c", 50)] {
            seen.groups.insert(group.to_owned(), arm(100, failed, &[], 10));
        }
        let evidence = Evidence { phases: vec![seen], ..Default::default() };
        let found = comparisons(&plan, &evidence, &[]);
        let versions =
            found.iter().map(|one| (one.baseline.version.as_str(), one.candidate.version.as_str()));
        assert_eq!(versions.collect::<Vec<_>>(), [("v2", "v1"), ("v2", "v3")], "b is drawn first");
        assert_eq!(found.iter().map(differs).collect::<Vec<_>>(), [vec![], vec!["error share"]]);
        assert_eq!(found[1].candidate.group.as_deref(), Some("c"));
    }
}
