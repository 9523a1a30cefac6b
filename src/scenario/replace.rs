//! May one plan take the place of another while that is armed?
//!
//! What callers saw, what was injected and what faults remember is kept by the number of a phase and of an injection in it,
//! and goes on; so phases, their times and their injections have to be the same. What decides who a unit is and which draw
//! it has must not change either, or treated and control callers would be shuffled.

use super::{
    document::Document,
    exposure::ExposureDocument,
    plan::{Injection, Phase, Plan},
};

/// May `new` take the place of `old` while that is armed? It may change the sizes, rates and shapes of faults, their `where`
/// and `share`, the target's `when`, the exposure's shares, lists and caps, and whether responses are marked.
///
/// # Errors
/// What else it changes: that takes effect at the next run.
pub fn replaces(new: &Plan, old: &Plan) -> Result<(), String> {
    let (mine, theirs) = (rest(&new.document), rest(&old.document));
    let exposure = |of: &Document| {
        let ExposureDocument { unit, salt, layer, from, groups, equal_groups, holdout, .. } =
            of.exposure.clone();
        (unit, salt, layer, from, groups, equal_groups, holdout)
    };
    let changed = [
        ("name", mine.name != theirs.name),
        ("seed", mine.seed != theirs.seed),
        ("target", mine.target != theirs.target),
        ("exposure (unit, salt, layer, from, groups or holdout)", exposure(&mine) != exposure(&theirs)),
        ("release", mine.release != theirs.release),
        ("traffic", mine.traffic != theirs.traffic),
        ("abort", mine.abort != theirs.abort),
    ];
    let changed = changed.iter().filter(|(_, changed)| *changed).map(|(key, _)| format!("`{key}` changed"));
    let mut changed: Vec<String> = changed.collect();
    if new.phases.len() == old.phases.len() {
        changed.extend(new.phases.iter().zip(&old.phases).filter_map(|(new, old)| phase(new, old)));
    } else {
        changed.push(format!("it has {} phases, not {}", new.phases.len(), old.phases.len()));
    }
    if changed.is_empty() { Ok(()) } else { Err(changed.join("; ")) }
}

/// A document without what may change and is compared as a whole elsewhere.
fn rest(document: &Document) -> Document {
    let mut rest = document.clone();
    rest.target.when = None;
    rest
}

fn phase(new: &Phase, old: &Phase) -> Option<String> {
    let ids = |phase: &Phase| phase.injections.iter().map(|i: &Injection| i.id.clone()).collect::<Vec<_>>();
    let groups = |phase: &Phase| phase.injections.iter().map(|i| i.for_group).collect::<Vec<_>>();
    let expects =
        |phase: &Phase| phase.expectations.iter().map(|e| e.expectation.clone()).collect::<Vec<_>>();
    let name = &old.name;
    if new.name != *name {
        Some(format!("phase `{name}` is called `{}`", new.name))
    } else if (new.start, new.end) != (old.start, old.end) {
        Some(format!("phase `{name}` begins or ends at another time"))
    } else if ids(new) != ids(old) {
        Some(format!("phase `{name}` injects other faults, or in another order"))
    } else if groups(new) != groups(old) {
        Some(format!("faults of phase `{name}` are for other groups"))
    } else if expects(new) != expects(old) {
        Some(format!("phase `{name}` expects something else"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Source, compile, tests::WHOLE};

    fn plan(text: &str) -> Plan {
        compile(&Source::new("t.yaml", text)).unwrap_or_else(|errors| panic!("{errors}"))
    }

    fn why(from: &str, to: &str) -> String {
        assert!(WHOLE.contains(from), "{from}");
        replaces(&plan(&WHOLE.replace(from, to)), &plan(WHOLE)).err().unwrap_or_default()
    }

    #[test]
    fn sizes_shares_and_conditions_may_change() {
        let free = [
            ("share: 25%", "share: 10%\n  never: [ada]\n  caps: { total: 7 }"),
            ("\"/v2/models/iris/\"", "\"/v2/\""),
            ("ramp: 15s", "ramp: 1s"),
            ("share: 5%", "share: 6%\n        where: request.headers[\"a\"] == \"b\""),
            ("hang: {}", "hang: { rate: 10% }"),
            ("phases:\n", "mark: off\nphases:\n"),
            ("Somebody notices", "Nobody does"),
        ];
        for (from, to) in free {
            assert_eq!(why(from, to), "", "{to}");
        }
    }

    #[test]
    fn structure_and_identity_may_not() {
        let fixed = [
            ("name: confused-classifier", "name: other", "`name` changed"),
            ("seed: 7", "seed: 8", "`seed` changed"),
            ("x-user-id", "x-tenant", "`exposure (unit"),
            ("layer: serving", "layer: other", "`exposure (unit"),
            ("protocol: open-inference", "protocol: kserve-v1", "`target` changed"),
            ("> 20%", "> 30%", "`abort` changed"),
            ("name: broken", "name: breaking", "phase `broken` is called `breaking`"),
            ("at: 95s", "at: 96s", "phase `recovery` begins or ends"),
            (
                "- fault: { reset: {} }",
                "- fault: { latency: { fixed: 1s } }",
                "phase `broken` injects other faults",
            ),
            ("within: 30s", "within: 20s", "phase `broken` expects something else"),
            ("  - name: steady\n    lasts: 30s\n", "", "it has 2 phases, not 3"),
        ];
        for (from, to, words) in fixed {
            assert!(why(from, to).contains(words), "{to}: {}", why(from, to));
        }
    }
}
