use std::collections::BTreeSet;

use super::*;
use crate::scenario::{Source, compile};

fn plan(name: &str, seed: u64) -> Arc<Plan> {
    let text = format!(
        "name: {name}\nseed: {seed}\nrepeat: 4\nnull-runs: 2\ntarget: {{ protocol: http }}\nexposure: {{ share: 50% }}\n\
         phases:\n  - {{ name: a, lasts: 5s, inject: [{{ fault: {{ hang: {{}} }} }}] }}\n  \
         - {{ name: b, lasts: 5s, inject: [{{ fault: {{ latency: {{ fixed: 5ms }} }} }}] }}\n"
    );
    Arc::new(compile(&Source::new("t.yaml", text)).unwrap_or_else(|errors| panic!("{errors}")))
}

fn names(items: &[Item]) -> Vec<&str> {
    items.iter().map(|item| item.run.as_str()).collect()
}

#[test]
fn a_plain_suite_is_played_as_it_is_given() {
    let once = Times { repeat: Some(1), null_runs: Some(0), ..Times::default() };
    let items = agenda(&[plan("one", 7), plan("two", 7)], once).unwrap();
    assert_eq!(names(&items), ["001-one", "002-two"]);
    assert!(items.iter().all(|item| !item.shuffled && !item.null && item.plan.document.seed == 7));
}

#[test]
fn the_scenario_says_how_often_and_the_command_line_goes_before_it() {
    let of = |times: Times| times.of(&plan("one", 7));
    assert_eq!(of(Times::default()), (4, 2));
    assert_eq!(of(Times { repeat: Some(2), null_runs: Some(0), ..Times::default() }), (2, 0));
}

#[test]
fn rounds_have_a_run_of_each_and_seeds_differ() {
    let items = agenda(&[plan("one", 7), plan("two", 7)], Times::default()).unwrap();
    assert_eq!(items.len(), 12);
    for round in items.chunks(2) {
        let scenarios: BTreeSet<_> = round.iter().map(|item| &item.plan.document.name).collect();
        assert_eq!(scenarios.len(), 2);
    }
    let first: BTreeSet<_> = items.chunks(2).map(|round| &round[0].plan.document.name).collect();
    assert_eq!(first.len(), 2, "neither is always first");
    let one = || items.iter().filter(|item| item.plan.document.name == "one");
    assert_eq!(one().filter(|item| item.null).count(), 2);
    let seeds: BTreeSet<u64> = one().map(|item| item.plan.document.seed).collect();
    assert_eq!(seeds.len(), 6, "other units are treated in each");
    assert_eq!(names(&items), names(&agenda(&[plan("one", 7), plan("two", 7)], Times::default()).unwrap()));
}

#[test]
fn null_runs_take_all_their_time_and_a_campaign_has_a_limit() {
    let options = Options { early_stop: true, lease: std::time::Duration::from_secs(10) };
    for item in agenda(&[plan("one", 7)], Times::default()).unwrap() {
        assert_eq!(item.options(&options).early_stop, !item.null);
        assert!(!item.options(&Options { early_stop: false, ..options.clone() }).early_stop);
    }
    let many = Times { repeat: Some(600), null_runs: Some(0), ..Times::default() };
    assert_eq!(agenda(&[plan("one", 7)], many).unwrap().len(), 600);
    let refused = agenda(&[plan("one", 7), plan("two", 7)], many).unwrap_err();
    assert!(refused.to_string().contains("these are 1200 runs"), "{refused}");
}

#[test]
fn null_runs_are_spread() {
    for seed in 0..100 {
        let places = nulls_at(seed, 20, 4);
        for (part, place) in places.iter().enumerate() {
            assert!((6 * part as u32..6 * part as u32 + 6).contains(place), "{places:?}");
        }
        assert_eq!(nulls_at(seed, 0, 3), [0, 1, 2], "null runs alone");
    }
    let distinct: BTreeSet<Vec<u32>> = (0..100).map(|seed| nulls_at(seed, 20, 4)).collect();
    assert!(distinct.len() > 50, "by chance");
}
