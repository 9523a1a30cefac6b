//! The true-positive rate of the group falls by the gap, and the false-positive rate with it.

use proptest::prelude::*;

use super::*;
use crate::{
    fault::{
        testing::{assert_page, assert_rate, iris, problems},
        traffic::{Stream, class, run, told},
    },
    wire::{Labels, Row},
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn the_true_positive_rate_falls_by_the_gap(seed: u64, tpr in 0.4..0.95, part in 0.1..1.0, fpr in 0.1..0.4) {
        let mut stream = Stream::new(seed);
        let n = 20_000;
        let truth: Vec<(bool, bool)> = (0..n).map(|_| (stream.uniform() < 0.4, stream.uniform() < 0.5)).collect();
        let said = |(_, positive): &(bool, bool)| usize::from(stream.uniform() < if *positive { tpr } else { fpr });
        let rows = told(truth.iter().map(said).collect::<Vec<_>>());
        let members: Vec<bool> = truth.iter().map(|(member, _)| *member).collect();
        let share = |x: f64| Share::new(x).unwrap();
        let fault = OpportunityGap {
            group: "x".into(), gap: share(tpr * part), true_positive_rate: share(tpr), positive: None, negative: None,
        };
        let run = run(&fault, &rows, &members, &Labels::default(), seed);
        let of = |rows: &[Row], member: bool, positive: bool| {
            let own = rows.iter().zip(&truth).filter(|(_, truth)| **truth == (member, positive));
            let told: Vec<usize> = own.map(|(row, _)| class(row)).collect();
            (told.iter().sum::<usize>(), told.len())
        };
        let (right, n_right) = of(&run.rows, true, true);
        assert_rate(right, n_right, tpr - tpr * part + f64::EPSILON);
        let (wrong, n_wrong) = of(&run.rows, true, false);
        assert_rate(wrong, n_wrong, fpr * (1.0 - part) + f64::EPSILON);
        prop_assert_eq!(of(&run.rows, false, true), of(&rows, false, true));
    }
}

#[test]
fn what_cannot_be_is_told() {
    let poles = "positive: virginica, negative: setosa";
    for (yaml, message) in [
        ("gap: 0%, true-positive-rate: 80%", "a gap of 0% is none"),
        ("gap: 5%, true-positive-rate: 0%", "a group without true positives can't lose any"),
        ("gap: 85%, true-positive-rate: 80%", "a true-positive rate of 80% can't fall by 85%"),
    ] {
        let yaml = format!("{{ opportunity-gap: {{ group: x, {yaml}, {poles} }} }}");
        assert_eq!(problems(&yaml, &iris()), [message], "{yaml}");
    }
}

#[test]
fn it_says_what_it_does() {
    assert_page("opportunity-gap");
}
