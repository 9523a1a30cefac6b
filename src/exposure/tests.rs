use http::{HeaderMap, Method};
use proptest::prelude::*;

use super::*;
use crate::scenario::{Plan, Source, StageDocument, compile, compile_for, overlap};

const MILLION: u32 = 1_000_000;

fn plan(exposure: &str) -> Plan {
    plan_for(exposure, &StageDocument::default())
}

fn plan_for(exposure: &str, stage: &StageDocument) -> Plan {
    let text = format!(
        "name: t\nseed: 7\ntarget: {{ protocol: http }}\nexposure: {exposure}\n\
         phases: [{{ name: p, lasts: 1m, inject: [{{ fault: {{ latency: {{ fixed: 1ms }} }} }}] }}]"
    );
    compile_for(&Source::new("t.yaml", text), stage).unwrap_or_else(|errors| panic!("{errors}"))
}

fn mistake(exposure: &str) -> String {
    let text = format!(
        "name: t\ntarget: {{ protocol: http }}\nexposure: {exposure}\nphases: [{{ name: p, lasts: 1m }}]"
    );
    compile(&Source::new("t.yaml", text)).expect_err(exposure).list[0].message.clone()
}

fn unit(number: u32) -> UnitHash {
    UnitHash::of(format!("u{number}").as_bytes())
}

fn of(exposure: &Exposure, number: u32) -> Assignment {
    Assignment::of(exposure, Share::NONE, unit(number))
}

fn treated(exposure: &Exposure, number: u32) -> bool {
    of(exposure, number).arm == Arm::Treated
}

/// What `unit` gets with these headers.
fn with_headers(plan: &Plan, unit: &str, headers: &[(&'static str, &str)]) -> Assignment {
    let mut map = HeaderMap::new();
    map.insert("x-user-id", unit.parse().unwrap());
    for (name, value) in headers {
        map.insert(*name, value.parse().unwrap());
    }
    let request = RequestView { method: &Method::POST, path: "/", headers: &map, body: None };
    assign(&plan.exposure, Share::NONE, request, UnitHash::from_u64(0)).unwrap().unwrap()
}

/// Is a count within five standard deviations of a binomial?
fn binomial(count: u32, of: u32, share: f64) -> bool {
    let (n, count) = (f64::from(of), f64::from(count));
    (count - n * share).abs() <= 5.0 * (n * share * (1.0 - share)).sqrt()
}

proptest! {
    #[test]
    fn a_larger_share_only_adds_units(number: u32, small in 0.001_f64..1.0, more in 0.0_f64..1.0, from in 0.0_f64..0.5) {
        let mut exposure = Exposure::new(Share::new(small * 0.5).unwrap(), 7, "exposure/t");
        exposure.from = Share::new(from).unwrap();
        let before = treated(&exposure, number);
        prop_assert_eq!(before, treated(&exposure, number));
        exposure.share = Share::new(small * 0.5 + more * (0.5 - small * 0.5)).unwrap();
        prop_assert!(!before || treated(&exposure, number));
    }

    #[test]
    fn a_salt_decides_whatever_the_seed_and_the_name(number: u32, seed: u64) {
        let text = |seed: u64, name: &str, salt: &str| format!(
            "name: {name}\nseed: {seed}\ntarget: {{ protocol: http }}\nexposure: {{ share: 30%, salt: {salt} }}\n\
             phases: [{{ name: p, lasts: 1m }}]"
        );
        let side = |text: String| of(&compile(&Source::new("t", text)).unwrap().exposure, number).arm;
        prop_assert_eq!(side(text(seed, "one", "pepper")), side(text(seed ^ 1, "other", "pepper")));
    }

    #[test]
    fn slices_side_by_side_never_share_a_unit(number: u32, cuts in proptest::collection::btree_set(1_u32..1000, 1..6)) {
        let ends: Vec<u32> = cuts.into_iter().chain([1000]).collect();
        let mut from = 0;
        let mut holders = 0;
        for end in ends {
            let percent = |thousandth: u32| f64::from(thousandth) / 10.0;
            let plan = plan(&format!("{{ layer: l, from: {}%, share: {}% }}", percent(from), percent(end - from)));
            holders += u32::from(treated(&plan.exposure, number));
            from = end;
        }
        prop_assert_eq!(holders, 1);
    }

    #[test]
    fn nobody_touches_what_is_held_out(number: u32, share in 0.0_f64..1.0) {
        let share = Share::new(share).unwrap();
        let user = format!("u{number}");
        let plan = plan(&format!("{{ unit: 'request.headers[\"x-user-id\"]', share: 100%, always: [{user}] }}"));
        let assignment = Assignment::of(&plan.exposure, share, unit(number));
        let held_out = is_held_out(unit(number), share);
        prop_assert_eq!(assignment.rule, if held_out { Rule::Holdout } else { Rule::Always });
        prop_assert_eq!(assignment.arm == Arm::Control, held_out);
        prop_assert_eq!(assignment.is_denied(), held_out);
    }
}

#[test]
fn a_scenario_without_the_new_keys_decides_as_before() {
    for (exposure, rule) in
        [("{ share: 30% }", "exposure/t"), ("{ share: 30%, layer: serving }", "exposure/serving")]
    {
        let plan = plan(exposure);
        let key = Key::new(7, rule);
        for number in 0..2_000 {
            let before = key.draw(unit(number), 0).within(Share::new(0.3).unwrap());
            assert_eq!(treated(&plan.exposure, number), before);
        }
    }
}

#[test]
fn deny_beats_allow_beats_segments_beats_share() {
    let plan = plan(
        "{ unit: 'request.headers[\"x-user-id\"]', share: 100%, always: [a, s], never: [n], segments: [\
         { segment: beta, when: 'request.headers[\"x-beta\"] == \"1\"', share: 0% },\
         { when: 'request.headers[\"x-beta\"] != \"2\"', share: 0% } ] }",
    );
    let decided = |unit, headers: &[_]| {
        let assignment = with_headers(&plan, unit, headers);
        (assignment.rule, assignment.arm)
    };
    let beta = [("x-beta", "1")];
    assert_eq!(decided("n", &beta), (Rule::Never, Arm::Control));
    assert_eq!(decided("a", &beta), (Rule::Always, Arm::Treated));
    assert_eq!(decided("x", &beta), (Rule::Segment(0), Arm::Control));
    assert_eq!(decided("x", &[("x-beta", "3")]), (Rule::Segment(1), Arm::Control));
    assert_eq!(decided("x", &[("x-beta", "2")]), (Rule::Share, Arm::Treated));
    assert_eq!(decided("x", &[]), (Rule::Share, Arm::Treated), "what is absent matches nothing");
    assert!(with_headers(&plan, "a", &beta).gets(Share::NONE), "always gets every fault");
}

#[test]
fn one_percent_of_users_half_of_the_beta_users_and_five_always() {
    let stage = StageDocument {
        segments: [("beta".to_owned(), "request.headers[\"x-beta\"] == \"1\"".to_owned())].into(),
        ..StageDocument::default()
    };
    let exposure = "{ unit: 'request.headers[\"x-user-id\"]', share: 1%, always: [v1, v2, v3, v4, v5], never: [u1], \
                    segments: [{ segment: beta, share: 50% }] }";
    let plan = plan_for(exposure, &stage);
    let users = 20_000;
    let count = |headers: &[_]| {
        (0..users).filter(|n| with_headers(&plan, &format!("u{n}"), headers).arm == Arm::Treated).count()
            as u32
    };
    assert!(binomial(count(&[]), users, 0.01), "{}", count(&[]));
    assert!(binomial(count(&[("x-beta", "1")]), users, 0.5), "{}", count(&[("x-beta", "1")]));
    assert!((1..=5).all(|n| with_headers(&plan, &format!("v{n}"), &[]).arm == Arm::Treated));
    assert_eq!(with_headers(&plan, "u1", &[("x-beta", "1")]).arm, Arm::Control);
    // It travels with the definition in it, to where there is no stage.
    let travelled = serde_json::to_string(&plan.document).unwrap();
    let there = crate::scenario::compile_document(serde_json::from_str(&travelled).unwrap()).unwrap();
    for n in 0..2_000 {
        let user = format!("u{n}");
        assert_eq!(
            with_headers(&plan, &user, &[("x-beta", "1")]),
            with_headers(&there, &user, &[("x-beta", "1")])
        );
    }
}

#[test]
fn weighted_and_uniform_choice_are_within_binomial_bounds() {
    let users = 200_000;
    let sizes = |exposure: &str| {
        let plan = plan(exposure);
        let mut sizes = vec![0; plan.exposure.groups.len()];
        let mut treated = 0;
        for number in 0..users {
            let assignment = of(&plan.exposure, number);
            if assignment.arm == Arm::Treated {
                treated += 1;
                sizes[assignment.group.unwrap()] += 1;
            }
        }
        (treated, sizes)
    };
    let (treated, weighted) = sizes("{ share: 50%, groups: { a: 70%, b: 20%, c: 10% } }");
    for (size, share) in weighted.iter().zip([0.7, 0.2, 0.1]) {
        assert!(binomial(*size, treated, share), "{size} of {treated}");
    }
    let (treated, equal) = sizes("{ share: 50%, equal-groups: [a, b, c] }");
    for size in &equal {
        assert!(binomial(*size, treated, 1.0 / 3.0), "{size} of {treated}");
    }
    assert_eq!(equal.iter().sum::<u32>(), treated, "everybody is in one");
}

#[test]
fn a_fault_of_a_group_is_for_its_units_alone() {
    let text = "name: t\ntarget: { protocol: http }\nexposure: { share: 60%, groups: { a: 50%, b: 50% } }\nphases:\n  \
                - name: p\n    lasts: 1m\n    inject:\n      - { fault: { latency: { fixed: 1ms } }, group: a }\n      \
                - { fault: { error: { status: 503 } }, group: b }\n";
    let plan = compile(&Source::new("t", text)).unwrap_or_else(|errors| panic!("{errors}"));
    let injections = &plan.phases[0].injections;
    for number in 0..5_000 {
        let assignment = of(&plan.exposure, number);
        let faults: Vec<bool> = injections.iter().map(|injection| assignment.is_in(injection)).collect();
        let expected = assignment.arm == Arm::Treated;
        assert_eq!(faults.iter().filter(|gets| **gets).count(), usize::from(expected));
    }
}

/// Pearson's statistic of a table of two choices of ten deciles each.
fn chi_squared(table: &[[u32; 10]; 10], total: u32) -> f64 {
    let (mut rows, mut columns) = ([0; 10], [0; 10]);
    for (r, row) in table.iter().enumerate() {
        for (c, count) in row.iter().enumerate() {
            rows[r] += count;
            columns[c] += count;
        }
    }
    let cell = |r: usize, c: usize| {
        let expected = f64::from(rows[r]) * f64::from(columns[c]) / f64::from(total);
        (f64::from(table[r][c]) - expected).powi(2) / expected
    };
    (0..10).flat_map(|r| (0..10).map(move |c| (r, c))).map(|(r, c)| cell(r, c)).sum()
}

#[test]
fn layers_and_the_holdout_are_independent_over_a_million_units() {
    // The 99.9 % quantile of chi-squared with 9 * 9 degrees of freedom.
    const CRITICAL: f64 = 124.84;
    let (serving, ranking) =
        (plan("{ layer: serving, from: 0%, share: 10% }"), plan("{ layer: ranking, from: 0%, share: 10% }"));
    let mut tables = [[[0_u32; 10]; 10]; 3];
    let decile = |draw: Draw| draw.index(10);
    for number in 0..MILLION {
        let unit = UnitHash::from_u64(u64::from(number));
        let [a, b] = [&serving, &ranking].map(|plan| decile(plan.exposure.key.draw(unit, 0)));
        let group = decile(serving.exposure.key.draw(unit, GROUP));
        tables[0][a][b] += 1;
        tables[1][a][decile(holdout_draw(unit))] += 1;
        tables[2][a][group] += 1;
    }
    for (table, of) in tables.iter().zip(["two layers", "a layer and the hold-out", "a slice and its groups"])
    {
        let statistic = chi_squared(table, MILLION);
        assert!(statistic < CRITICAL, "{of}: {statistic}");
    }
    let mut same = [[0; 10]; 10];
    (0..10_000).for_each(|n| {
        same[decile(serving.exposure.key.draw(unit(n), 0))][decile(serving.exposure.key.draw(unit(n), 0))] +=
            1
    });
    assert!(chi_squared(&same, 10_000) > CRITICAL, "the test tells dependence");
}

#[test]
fn overlapping_slices_are_told() {
    let overlaps = |one: &str, other: &str| overlap(&plan(one).exposure, &plan(other).exposure).is_some();
    assert!(!overlaps("{ layer: l, from: 0%, share: 20% }", "{ layer: l, from: 20%, share: 10% }"));
    assert!(!overlaps("{ layer: l, from: 20%, share: 10% }", "{ layer: l, from: 30%, share: 10% }"));
    assert!(overlaps("{ layer: l, from: 0%, share: 20.1% }", "{ layer: l, from: 20%, share: 10% }"));
    assert!(overlaps("{ layer: l, from: 0%, share: 20% }", "{ layer: l, share: 10% }"), "seeds differ");
    assert!(!overlaps("{ layer: l, from: 0%, share: 20% }", "{ layer: m, from: 0%, share: 20% }"));
    assert!(!overlaps("{ share: 20% }", "{ share: 20% }"), "each is alone in its layer");
    let wide = "{ layer: l, from: 0%, share: 5%, segments: [{ when: 'request.path == \"/\"', share: 30% }] }";
    assert!(overlaps(wide, "{ layer: l, from: 20%, share: 10% }"), "a segment widens the slice");
}

#[test]
fn what_can_not_be_meant_is_refused() {
    for (exposure, wanted) in [
        ("{ share: 10%, from: 10% }", "a slice is a part of a layer"),
        ("{ layer: l, from: 95%, share: 10% }", "ends beyond 100%"),
        ("{ layer: l, salt: s }", "a layer is its own salt"),
        ("{ unit: 'request.path', layer: l, always: [a] }", "another scenario's slice"),
        ("{ always: [a] }", "nothing says what a unit is"),
        ("{ unit: 'request.path', always: [a], never: [a] }", "is among `never` too"),
        ("{ unit: 'request.path', always: [a, a] }", "stands twice"),
        ("{ segments: [{ segment: beta, share: 50% }] }", "nothing says what segment `beta` is"),
        ("{ segments: [{ share: 50% }] }", "no condition"),
        ("{ segments: [{ when: 'request.path == \"/\"', share: 0% }] }", "treats nobody"),
        ("{ groups: { a: 50%, b: 40% } }", "add up to 90%"),
        ("{ groups: { a: 100% }, equal-groups: [a, b] }", "split by `groups` already"),
        ("{ holdout: 100% }", "leaves nobody"),
    ] {
        let told = mistake(exposure);
        assert!(told.contains(wanted), "{exposure}: {told}");
    }
}

/// A phase with a share of its own, or without.
fn phase(share: Option<f64>) -> crate::scenario::Phase {
    let share = share.map_or(String::new(), |share| format!(", share: {share}%"));
    let text = format!(
        "name: t\ntarget: {{ protocol: http }}\nexposure: {{ share: 100% }}\nphases: [{{ name: p, lasts: 1m{share} }}]"
    );
    compile(&Source::new("t.yaml", text)).unwrap_or_else(|errors| panic!("{errors}")).phases.remove(0)
}

proptest! {
    #[test]
    fn a_larger_step_only_adds_units(number: u32, from in 0.0_f64..0.5, beta: bool) {
        let mut plan = plan(
            "{ unit: 'request.headers[\"x-user-id\"]', share: 40%, always: [ada], segments: [\
             { when: 'request.headers[\"x-beta\"] == \"1\"', share: 10% }] }",
        );
        plan.exposure.from = Share::new(from).unwrap();
        let user = format!("u{number}");
        let headers = if beta { &[("x-beta", "1")][..] } else { &[] };
        let side = |step| with_headers(&plan, &user, headers).in_phase(&phase(step)).arm;
        let steps = [Some(0.0), Some(1.0), Some(5.0), Some(25.0), Some(40.0), None].map(side);
        prop_assert_eq!(steps[0], Arm::Control);
        prop_assert!(steps.is_sorted_by_key(|arm| *arm == Arm::Treated), "{:?}", steps);
        prop_assert_eq!(steps[4], steps[5], "the whole share is the exposure's own");
        prop_assert_eq!(steps, [Some(0.0), Some(1.0), Some(5.0), Some(25.0), Some(40.0), None].map(side), "sticky");
        let ada = |step| with_headers(&plan, "ada", headers).in_phase(&phase(step)).arm;
        prop_assert_eq!([Some(1.0), Some(0.0)].map(ada), [Arm::Treated, Arm::Control]);
    }
}

#[test]
fn the_steps_of_a_canary_are_within_binomial_bounds() {
    let plan = plan("{ share: 50% }");
    let users = 200_000;
    for percent in [1.0, 5.0, 25.0, 50.0] {
        let step = phase(Some(percent));
        let count = (0..users).filter(|n| of(&plan.exposure, *n).in_phase(&step).arm == Arm::Treated).count();
        assert!(binomial(count as u32, users, percent / 100.0), "{percent}%: {count}");
    }
}
