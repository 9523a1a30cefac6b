//! The features that are served are as old as promised, and memory stays bounded.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::{
    draw::{Dice, Key},
    fault::{
        feature::testing::{features, numbers},
        testing::{assert_page, assert_rate, problems},
    },
    wire::Labels,
};

fn fault(yaml: &str) -> FeatureStale {
    serde_saphyr::from_str(yaml).unwrap()
}

/// A request of one row, at a time since the phase began.
fn ask(fault: &FeatureStale, memory: &Memory, at: Duration, row: Vec<f64>) -> (Vec<f64>, Edited) {
    let labels = Labels::default();
    let dice = Dice::new(Key::new(7, "phase/0/fault"), UnitHash::from_u64(at.as_millis() as u64));
    let unit = UnitHash::from_u64(1);
    let context = EditContext { since_phase: at, unit, ..EditContext::new(dice, 1.0, &labels, memory) };
    let mut one = features(&["id", "x"], [row]);
    let edited = fault.amend(&mut one, &context);
    (one.rows[0].scores.iter().map(|value| value.as_f64().unwrap()).collect(), edited)
}

proptest! {
    #[test]
    fn features_are_as_old_as_promised(age_s in 1_u64..600, gap_ms in 20_u64..2000) {
        let fault = fault(&format!("{{ age: {age_s}s, key: id }}"));
        let memory = fault.memory();
        let age = Duration::from_secs(age_s);
        let gap = Duration::from_millis(gap_ms);
        for i in 0..(3 * age.as_millis() / gap.as_millis()).min(4000) as u32 {
            let at = gap * i;
            let (row, edited) = ask(&fault, &memory, at, vec![5.0, at.as_secs_f64()]);
            let lag = at.as_secs_f64() - row[1];
            if at >= age {
                let longest = 1.125 * age.as_secs_f64() + gap.as_secs_f64();
                prop_assert!(lag >= age.as_secs_f64() - 1e-9 && lag <= longest + 1e-9, "{lag} at {at:?}");
                prop_assert_eq!(edited, Edited { changed: 1, unfit: None });
            } else {
                prop_assert_eq!(edited, Edited { changed: 0, unfit: Some(NOT_OLD_ENOUGH) });
            }
        }
    }
}

#[test]
fn each_key_has_its_own_past() {
    let fault = fault("{ age: 10s, key: id }");
    let memory = fault.memory();
    for (at, id, x) in [(0, 1.0, 10.0), (1, 2.0, 20.0), (5, 1.0, 11.0)] {
        ask(&fault, &memory, Duration::from_secs(at), vec![id, x]);
    }
    for (at, id, wanted) in [(11, 1.0, 10.0), (12, 2.0, 20.0), (16, 1.0, 11.0)] {
        let (row, edited) = ask(&fault, &memory, Duration::from_secs(at), vec![id, 99.0]);
        assert_eq!((row, edited.changed), (vec![id, wanted], 1), "{id} at {at} s");
    }
}

#[test]
fn a_share_of_the_keys_is_stale_always_or_never() {
    let fault = fault("{ age: 1s, key: id, rate: 30% }");
    let memory = fault.memory();
    let stale = |at: u64| -> Vec<bool> {
        let changed =
            |id| ask(&fault, &memory, Duration::from_secs(at), vec![f64::from(id), at as f64]).1.changed;
        (0..3000).map(|id| changed(id) == 1).collect()
    };
    assert!(!stale(0).contains(&true));
    let first = stale(2);
    assert_rate(first.iter().filter(|stale| **stale).count(), 3000, 0.3);
    assert_eq!(stale(4), first);
}

#[test]
fn the_unit_is_the_key_unless_a_column_is() {
    let fault = fault("{ age: 1s, columns: [x] }");
    let memory = fault.memory();
    ask(&fault, &memory, Duration::ZERO, vec![1.0, 10.0]);
    assert_eq!(ask(&fault, &memory, Duration::from_secs(1), vec![2.0, 11.0]).0, [2.0, 10.0]);
}

#[test]
fn memory_is_bounded_and_what_is_forgotten_is_counted() {
    let fault = fault("{ age: 1s, key: id, keys: 50 }");
    let memory = fault.memory();
    for i in 0..2000 {
        let (_, edited) =
            ask(&fault, &memory, Duration::from_millis(i * 10), vec![(i % 100) as f64, i as f64]);
        assert_eq!(edited.unfit == Some(KEYS_OVER_LIMIT), i >= 50, "{i}");
    }
    let past = memory.get::<Mutex<Past>>().unwrap().lock().unwrap();
    assert!(past.rows() <= 50 * 10);
    assert_eq!(past.forgotten(), 1950);
}

#[test]
fn one_key_keeps_few_rows() {
    let fault = fault("{ age: 1s, key: id }");
    let memory = fault.memory();
    (0..10_000).for_each(|i| drop(ask(&fault, &memory, Duration::from_millis(i), vec![1.0, i as f64])));
    assert!(memory.get::<Mutex<Past>>().unwrap().lock().unwrap().rows() <= 10);
}

#[test]
fn settings_that_cannot_be_are_told() {
    assert_page("feature-stale");
    for (yaml, message) in [
        ("{ age: 0s }", "features of 0s ago are not stale"),
        ("{ age: 1s, keys: 0 }", "0 is not between 1 and 1000000"),
        ("{ age: 1s, rate: 0% }", "a rate of 0% never acts"),
    ] {
        assert_eq!(
            problems(&format!("{{ feature-stale: {yaml} }}"), &Labels::default()),
            [message],
            "{yaml}"
        );
    }
    let wrong = fault("{ age: 1s, key: z }");
    let mut one = features(&["a"], [vec![1.0]]);
    let labels = Labels::default();
    let memory = wrong.memory();
    let dice = Dice::new(Key::new(7, "x"), UnitHash::from_u64(1));
    let edited = wrong.amend(&mut one, &EditContext::new(dice, 1.0, &labels, &memory));
    assert_eq!((edited.unfit, numbers(&one, 0)), (Some(UNKNOWN_COLUMN), vec![1.0]));
}
