//! The share of missing cells is the one that was promised, under each of the three mechanisms.

use proptest::prelude::*;

use super::*;
use crate::{
    fault::{
        feature::testing::{amend, features, numbers, texts},
        testing::{assert_page, assert_rate, problems},
    },
    wire::Labels,
};

fn fault(yaml: &str) -> FeatureMissing {
    serde_saphyr::from_str(yaml).unwrap()
}

fn missing(features: &Answer, column: usize) -> Vec<bool> {
    numbers(features, column).into_iter().map(f64::is_nan).collect()
}

/// Two columns: a number that rises and falls, and one that depends on nothing.
fn traffic(n: usize) -> Answer {
    features(&["age", "income"], (0..n).map(|i| vec![(i * 37 % 100) as f64, (i * 7919 % 1000) as f64]))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn completely_at_random(seed: u64, rate in 0.01..=1.0, ramp in 0.0..=1.0) {
        let fault = FeatureMissing { rate: Share::new(rate).unwrap(), ..fault("{ rate: 1%, columns: [income] }") };
        let mut rows = traffic(4000);
        let changed = amend(&fault, &mut rows, seed, ramp).changed;
        let gone = missing(&rows, 1).into_iter().filter(|gone| *gone).count();
        prop_assert_eq!(changed, gone);
        assert_rate(gone, 4000, rate * ramp);
        prop_assert!(!missing(&rows, 0).contains(&true));
    }

    #[test]
    fn at_random_given_another_column(seed: u64) {
        let fault = fault("{ rate: 50%, columns: [income], given: { column: age, above: 59 } }");
        let before = traffic(4000);
        let mut rows = before.clone();
        amend(&fault, &mut rows, seed, 1.0);
        let (age, gone) = (numbers(&before, 0), missing(&rows, 1));
        prop_assert!(age.iter().zip(&gone).all(|(age, gone)| *age > 59.0 || !gone));
        assert_rate(gone.iter().filter(|gone| **gone).count(), 1600, 0.5);
    }

    #[test]
    fn not_at_random_given_its_own_quantile(seed: u64, q in 0.2..0.8) {
        let fault = FeatureMissing {
            given: Some(Depends { above_quantile: Share::new(q), ..Depends::default() }),
            ..fault("{ rate: 60%, columns: [income] }")
        };
        let before = traffic(20_000);
        let mut rows = before.clone();
        let edited = amend(&fault, &mut rows, seed, 1.0);
        prop_assert_eq!(edited.unfit, Some(STILL_LEARNING));
        let gone = missing(&rows, 1);
        let share = gone.iter().filter(|gone| **gone).count() as f64 / 20_000.0;
        prop_assert!((share - 0.6 * (1.0 - q)).abs() < 0.03, "{share} at {q}");
        let left = numbers(&rows, 1).into_iter().filter(|x| !x.is_nan()).sum::<f64>();
        prop_assert!(left < numbers(&before, 1).iter().sum::<f64>() * 0.99);
    }
}

#[test]
fn missing_is_written_in_four_ways() {
    for (with, number, text) in [
        ("null", Value::Null, Value::Null),
        ("nan", Value::Float(f64::NAN), Value::Float(f64::NAN)),
        ("empty", Value::Text(String::new()), Value::Text(String::new())),
        ("{ sentinel: -999 }", Value::Float(-999.0), Value::Text("-999".into())),
    ] {
        let fault = fault(&format!("{{ rate: 100%, with: {with} }}"));
        let mut one = features(&[], [vec![1.5]]);
        amend(&fault, &mut one, 1, 1.0);
        assert!(one.rows[0].scores[0].is_same(&number), "{with}: {:?}", one.rows[0]);
        let mut one = texts("x", ["a".to_owned()]);
        amend(&fault, &mut one, 1, 1.0);
        assert!(one.rows[0].scores[0].is_same(&text), "{with}: {:?}", one.rows[0]);
        assert_eq!(amend(&fault, &mut one, 1, 1.0).changed, 0);
    }
}

#[test]
fn settings_that_cannot_be_are_told() {
    assert_page("feature-missing");
    for (yaml, message) in [
        ("{ rate: 0% }", "a rate of 0% never acts"),
        ("{ rate: 1%, given: {} }", "one limit decides, not 0"),
        ("{ rate: 1%, given: { above: 1, below-quantile: 5% } }", "one limit decides, not 2"),
        ("{ rate: 1%, given: { above-quantile: 99.9% } }", "the 99.9% quantile can't be estimated"),
        ("{ rate: 1%, with: { sentinel: .inf } }", "a sentinel is a finite number"),
    ] {
        assert_eq!(
            problems(&format!("{{ feature-missing: {yaml} }}"), &Labels::default()),
            [message],
            "{yaml}"
        );
    }
    let other = fault("{ rate: 100%, given: { column: z, above: 1 } }");
    let edited = amend(&other, &mut traffic(3), 1, 1.0);
    assert_eq!(edited, Edited { changed: 0, unfit: Some(UNKNOWN_COLUMN) });
    let described =
        fault("{ rate: 50%, columns: [a], with: nan, given: { column: b, below-quantile: 10% } }");
    assert_eq!(described.describe(), "50% of a missing as NaN where b is below the 10% quantile");
}
