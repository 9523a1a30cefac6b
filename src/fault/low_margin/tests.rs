//! The least sure predictions are flipped, as many as the budget says.

use proptest::prelude::*;

use super::*;
use crate::fault::{
    testing::{assert_page, edit_one, iris, problems, row},
    traffic::{calibrated, class, run, run_at},
};

fn fault(yaml: &str) -> LowMargin {
    serde_saphyr::from_str(yaml).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn the_smallest_margins_are_flipped(seed: u64, k in 2_usize..5, budget in 0.01..0.5) {
        let n = 20_000;
        let (rows, _) = calibrated(seed, n, k, 1.5);
        let fault = LowMargin { budget: Share::new(budget).unwrap() };
        let run = run(&fault, &rows, &[], &Labels::default(), seed);
        // Learnt from these very rows, so only the draws inside one bin are left to chance.
        prop_assert!((run.changed as f64 / n as f64 - budget).abs() < 0.003, "{}", run.changed);
        let margin_of = |row: &Row| margin(&probabilities(row).unwrap()).unwrap().0;
        let (mut flipped, mut stayed) = (0.0_f64, 1.0_f64);
        for (before, after) in rows.iter().zip(&run.rows) {
            let own = margin_of(before);
            if before == after {
                stayed = stayed.min(own);
            } else {
                flipped = flipped.max(own);
                prop_assert!(class(before) != class(after) && (margin_of(after) - own).abs() < 1e-12);
            }
        }
        prop_assert!(flipped - stayed < 1.0 / 1024.0, "{flipped} {stayed}");
    }
}

#[test]
fn a_label_follows_and_a_ramp_scales_the_budget() {
    let (rows, _) = calibrated(5, 20_000, 3, 1.5);
    let labelled: Vec<Row> = rows
        .iter()
        .map(|row| Row { label: Some(crate::wire::Value::Int(class(row) as i64)), ..row.clone() })
        .collect();
    let run = run_at(&fault("{ budget: 20% }"), &labelled, &[], &Labels::default(), 5, 0.5);
    assert!((run.changed as f64 / 20_000.0 - 0.1).abs() < 0.003);
    assert!(run.rows.iter().all(|row| class(row) == class(&Row { label: None, ..row.clone() })));
}

#[test]
fn accuracy_falls_by_less_than_the_budget() {
    let (rows, truth) = calibrated(6, 40_000, 3, 2.0);
    let run = run(&fault("{ budget: 10% }"), &rows, &[], &Labels::default(), 5);
    let right =
        |rows: &[Row]| rows.iter().zip(&truth).filter(|(row, truth)| class(row) == **truth).count() as f64;
    let lost = (right(&rows) - right(&run.rows)) / 40_000.0;
    assert!(lost > 0.0 && lost < 0.03, "{lost}");
}

#[test]
fn what_cannot_be_is_told() {
    let labels = Labels::default();
    assert_eq!(problems("{ low-margin: { budget: 0% } }", &iris()), ["a budget of 0% never acts"]);
    assert_eq!(edit_one(&fault("{ budget: 5% }"), &row(None, &[0.5]), &labels).unfit, Some(STILL_LEARNING));
    assert_eq!(
        edit_one(&fault("{ budget: 5% }"), &row(None, &[5.5]), &labels).unfit,
        Some(NOT_A_PROBABILITY)
    );
}

#[test]
fn it_says_what_it_does() {
    assert_page("low-margin");
}
