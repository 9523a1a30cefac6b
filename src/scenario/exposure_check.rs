//! What `exposure` means: its checks, what the stage adds to it, and what it compiles to.
//!
//! A plan travels to sidecars as a document, and they know no stage. So what the stage defines (segments, the
//! hold-out) is written into the document before it is checked: what is checked is what travels.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    check::{Checker, path},
    document::Document,
    exposure::{CapsDocument, ExposureDocument, SegmentDocument},
    expression::{Condition, UnitExpression},
    plan::{Exposure, Group, Segment},
    problem::{Problem, nearest, one_of},
    stage::StageDocument,
    tree::Path,
};
use crate::{
    draw::{Key, UnitHash},
    unit::Share,
};

/// Most units in a list, most segments and most groups: each request looks at them.
const MOST_UNITS: usize = 10_000;
const MOST_SEGMENTS: usize = 64;
/// Highest rate that is capped: the time of each injection of a second is kept.
const FASTEST: f64 = 100_000.0;

/// Writes what the stage defines into a document.
pub(super) fn bind(document: &mut Document, stage: &StageDocument) -> Vec<Problem> {
    let exposure = &mut document.exposure;
    let largest = |one: Share, other: Share| if other > one { other } else { one };
    exposure.holdout = exposure.holdout.into_iter().chain(stage.holdout).reduce(largest);
    let mut problems = Vec::new();
    for (index, segment) in exposure.segments.iter_mut().enumerate() {
        let (Some(name), None) = (&segment.segment, &segment.when) else { continue };
        segment.when = stage.segments.get(name).cloned();
        if segment.when.is_some() || stage.segments.is_empty() {
            continue;
        }
        // Told here, with the names that there are; not once more by the check.
        segment.when = Some("false".to_owned());
        let names: Vec<&str> = stage.segments.keys().map(String::as_str).collect();
        let at = path(["exposure", "segments"]).then(index).then("segment");
        let problem = Problem::at(at, format!("the stage has no segment `{name}`"));
        problems.push(match nearest(name, &names) {
            Some(right) => problem.label(format!("did you mean `{right}`?")),
            None => problem.label("not there").help(format!("its segments are {}", one_of(&names))),
        });
    }
    problems
}

/// Checks an exposure and compiles it.
pub(super) fn build(checker: &mut Checker<'_>, document: &Document) -> Option<Exposure> {
    let exposure = &document.exposure;
    let at = path(["exposure"]);
    if exposure.widest() == Share::NONE && exposure.always.is_empty() {
        let problem = Problem::at(at.then("share"), "a share of 0% treats nobody");
        checker.push(problem.help("give the share of units that are treated, such as 25%"));
    }
    slice(checker, exposure);
    lists(checker, exposure);
    caps(checker, exposure);
    if exposure.holdout == Some(Share::ALL) {
        let problem = Problem::at(at.then("holdout"), "a hold-out of 100% leaves nobody");
        checker.push(problem.help("give the share of units that no scenario touches, such as 5%"));
    }
    let unit = match &exposure.unit {
        Some(text) => {
            let help = "CEL that tells callers apart, such as `request.headers[\"x-user-id\"]`; leave `unit` out to draw for \
                        each request by itself";
            Some(checker.expression_with(at.then("unit"), text, UnitExpression::compile(text), help)?)
        }
        None => None,
    };
    let segments = segments(checker, &exposure.segments);
    let groups = groups(checker, exposure);
    let (seed, rule) = match (&exposure.salt, &exposure.layer) {
        (Some(salt), _) => (0, format!("exposure/salt/{salt}")),
        (None, Some(layer)) if exposure.from.is_some() => (0, format!("exposure/{layer}")),
        (None, layer) => (document.seed, format!("exposure/{}", layer.as_ref().unwrap_or(&document.name))),
    };
    let sorted = |units: &[String]| {
        let units: BTreeSet<UnitHash> = units.iter().map(|unit| UnitHash::of(unit.as_bytes())).collect();
        units.into_iter().collect()
    };
    Some(Exposure {
        unit,
        share: exposure.rest(),
        key: Key::new(seed, &rule),
        seed,
        rule,
        layer: exposure.layer.clone(),
        from: exposure.from.unwrap_or(Share::NONE),
        holdout: exposure.holdout.unwrap_or(Share::NONE),
        always: sorted(&exposure.always),
        never: sorted(&exposure.never),
        segments: segments?,
        groups,
    })
}

/// A layer, and the slice of it.
fn slice(checker: &mut Checker<'_>, exposure: &ExposureDocument) {
    let at = path(["exposure"]);
    if let Some(layer) = &exposure.layer {
        checker.name(&at.then("layer"), "name of the layer", layer);
    }
    if let Some(salt) = &exposure.salt {
        checker.name(&at.then("salt"), "salt", salt);
        if exposure.layer.is_some() {
            let problem = Problem::at(at.then("salt"), "a layer is its own salt");
            checker.push(problem.at_key().help(
                "all scenarios of a layer have to draw alike: leave `salt` out, or give the layer another name",
            ));
        }
    }
    if !exposure.always.is_empty() && exposure.layer.is_some() {
        let problem =
            Problem::at(at.then("always"), "these units may be in another scenario's slice of the layer");
        checker.push(problem.at_key().label("not in a layer").help(
            "scenarios in one layer never share a unit: leave `layer` out, or widen the share instead",
        ));
    }
    let Some(from) = exposure.from else { return };
    if exposure.layer.is_none() {
        let problem = Problem::at(at.then("from"), "a slice is a part of a layer, and none is named");
        checker.push(problem.at_key().help("add `layer:` with the name of the layer"));
    }
    if from.plus(exposure.widest()).is_none() {
        let message = format!("a slice of {} from {from} ends beyond 100%", exposure.widest());
        checker.push(Problem::at(at.then("from"), message).help("begin earlier, or lower the share"));
    }
}

fn lists(checker: &mut Checker<'_>, exposure: &ExposureDocument) {
    for (key, list) in [("always", &exposure.always), ("never", &exposure.never)] {
        let at = path(["exposure", key]);
        if list.len() > MOST_UNITS {
            let problem = Problem::at(at.clone(), format!("more than {MOST_UNITS} units are listed"));
            checker.push(problem.help("tell so many apart by a segment"));
        }
        if !list.is_empty() && exposure.unit.is_none() {
            let problem = Problem::at(at.clone(), "units are listed here, and nothing says what a unit is");
            checker
                .push(problem.at_key().help("add `unit:`, such as `unit: request.headers[\"x-user-id\"]`"));
        }
        let mut seen = BTreeSet::new();
        for (index, unit) in list.iter().enumerate() {
            checker.not_blank(at.then(index), "unit", unit);
            if !seen.insert(unit) {
                checker.push(Problem::at(at.then(index), format!("unit `{unit}` stands twice")));
            }
        }
    }
    let never: BTreeSet<&String> = exposure.never.iter().collect();
    for (index, unit) in exposure.always.iter().enumerate().filter(|(_, unit)| never.contains(unit)) {
        let problem =
            Problem::at(path(["exposure", "always"]).then(index), format!("`{unit}` is among `never` too"));
        checker.push(problem.label("never wins").help("keep it in one of the lists"));
    }
}

fn caps(checker: &mut Checker<'_>, exposure: &ExposureDocument) {
    let at = path(["exposure", "caps"]);
    let CapsDocument { rate, concurrent, total, per_unit_per_hour } = exposure.caps;
    let nought = [
        ("rate", rate.is_some_and(|rate| rate.per_second() <= 0.0)),
        ("concurrent", concurrent == Some(0)),
        ("total", total == Some(0)),
        ("per-unit-per-hour", per_unit_per_hour == Some(0)),
    ];
    for (key, _) in nought.into_iter().filter(|(_, nought)| *nought) {
        let problem = Problem::at(at.then(key), "a cap of 0 lets no fault act");
        checker
            .push(problem.help("leave the cap out, or inject nothing in a phase that should have no faults"));
    }
    if rate.is_some_and(|rate| rate.per_second() > FASTEST) {
        let problem = Problem::at(at.then("rate"), "a cap of more than 100000/s can't be kept");
        checker.push(problem.help("leave it out, or lower it"));
    }
    if per_unit_per_hour.is_some() && exposure.unit.is_none() {
        let at = at.then("per-unit-per-hour");
        let problem = Problem::at(at, "every request is its own unit here, so this cap would never bind");
        checker.push(problem.at_key().help("add `unit:`, such as `unit: request.headers[\"x-user-id\"]`"));
    }
}

fn segments(checker: &mut Checker<'_>, segments: &[SegmentDocument]) -> Option<Vec<Segment>> {
    let at = path(["exposure", "segments"]);
    if segments.len() > MOST_SEGMENTS {
        checker.push(Problem::at(at.clone(), format!("more than {MOST_SEGMENTS} segments")));
    }
    let mut compiled = Vec::new();
    for (index, segment) in segments.iter().enumerate() {
        let at = at.then(index);
        if let Some(name) = &segment.segment {
            checker.name(&at.then("segment"), "name of the segment", name);
        }
        let Some(text) = &segment.when else {
            checker.push(match &segment.segment {
                Some(name) => Problem::at(at.then("segment"), format!("nothing says what segment `{name}` is")).help(
                    format!("define it in the stage (`segments: {{ {name}: … }}`) and name that with --stage, or give it a \
                             `when:` here"),
                ),
                None => Problem::at(at, "this segment has no condition")
                    .help("add `when:` with CEL over the request, or `segment:` with a name that the stage defines"),
            });
            continue;
        };
        let when = checker.expression(at.then("when"), text, Condition::compile(text));
        compiled.extend(when.map(|when| Segment {
            name: segment.segment.clone(),
            when,
            share: segment.share,
        }));
    }
    (compiled.len() == segments.len()).then_some(compiled)
}

/// The groups with their shares, in the order in which they are drawn.
fn shares(exposure: &ExposureDocument) -> Vec<(&str, Share)> {
    let equal = 1.0 / exposure.equal_groups.len().max(1) as f64;
    let equal = exposure.equal_groups.iter().map(|name| (name.as_str(), Share::ALL.scaled(equal)));
    exposure.groups.iter().map(|(name, share)| (name.as_str(), *share)).chain(equal).collect()
}

fn groups(checker: &mut Checker<'_>, exposure: &ExposureDocument) -> Vec<Group> {
    let (weighted, equal) = (path(["exposure", "groups"]), path(["exposure", "equal-groups"]));
    if !exposure.groups.is_empty() && !exposure.equal_groups.is_empty() {
        let problem = Problem::at(equal, "the treated are split by `groups` already");
        checker.push(problem.at_key().help("keep `groups` for shares of your own, or `equal-groups`"));
        return Vec::new();
    }
    let shares = shares(exposure);
    if shares.len() > MOST_SEGMENTS {
        checker.push(Problem::at(weighted.clone(), format!("more than {MOST_SEGMENTS} groups")));
    }
    let mut names = BTreeSet::new();
    for (index, (name, share)) in shares.iter().enumerate() {
        let at = match exposure.groups.is_empty() {
            true => equal.then(index),
            false => weighted.then(*name),
        };
        checker.name(&at, "name of the group", name);
        if !names.insert(name) {
            checker.push(Problem::at(at.clone(), format!("group `{name}` stands twice")));
        }
        if *share == Share::NONE {
            checker.push(Problem::at(at, format!("nobody is in group `{name}`")).help("leave it out"));
        }
    }
    let total: f64 = shares.iter().map(|(_, share)| share.fraction()).sum();
    if !shares.is_empty() && (total - 1.0).abs() > 1e-9 {
        let message = format!("the groups add up to {}%, not to 100%", (total * 1e12).round() / 1e10);
        let problem = Problem::at(weighted, message);
        checker.push(
            problem.help("they split the treated; for groups of one size write `equal-groups: [a, b, c]`"),
        );
    }
    let last = shares.len();
    let (mut until, mut groups) = (0.0, Vec::new());
    for (number, (name, share)) in shares.iter().enumerate() {
        until += share.fraction();
        // Sums of shares don't always meet 1.
        let end = if number + 1 == last { 1.0 } else { until };
        groups.push(Group { name: (*name).to_owned(), until: Share::ALL.scaled(end) });
    }
    groups
}

/// The names of the groups, in the order in which they are drawn.
pub(super) fn group_names(exposure: &ExposureDocument) -> Vec<&str> {
    shares(exposure).into_iter().map(|(name, _)| name).collect()
}

/// The number of a group, in the order in which they are drawn.
pub(super) fn group_number(exposure: &ExposureDocument, name: Option<&str>) -> Option<usize> {
    let name = name?;
    shares(exposure).iter().position(|(group, _)| *group == name)
}

/// Is there the group that an injection is for?
pub(super) fn group(checker: &mut Checker<'_>, at: &Path, exposure: &ExposureDocument, name: Option<&str>) {
    let Some(name) = name else { return };
    if group_number(exposure, Some(name)).is_some() {
        return;
    }
    let names = group_names(exposure);
    let problem = Problem::at(at.then("group"), format!("the exposure has no group `{name}`"));
    let problem = match nearest(name, &names) {
        Some(right) => problem.label(format!("did you mean `{right}`?")),
        None => problem.label("not there"),
    };
    checker.push(match names.as_slice() {
        [] => problem.help("split the treated: `exposure: { groups: { a: 50%, b: 50% } }`"),
        names => problem.help(format!("its groups are {}", one_of(names))),
    });
}

/// The segments and the hold-out of a stage.
pub(super) fn stage(checker: &mut Checker<'_>, segments: &BTreeMap<String, String>, holdout: Option<Share>) {
    for (name, text) in segments {
        let at = path(["segments", name.as_str()]);
        checker.name(&at, "name of the segment", name);
        checker.expression(at, text, Condition::compile(text));
    }
    if holdout == Some(Share::ALL) {
        let problem = Problem::at(path(["holdout"]), "a hold-out of 100% leaves nobody");
        checker.push(problem.help("give the share of units that no scenario touches, such as 5%"));
    }
}
