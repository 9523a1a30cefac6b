//! The wanted mix is reached with as few changes as can be.

use proptest::prelude::*;

use super::*;
use crate::{
    fault::{
        testing::{assert_page, assert_rate, iris, problems},
        traffic::{Stream, classes, count, run, run_at},
    },
    stats::total_variation,
};

fn marginals(shares: &[f64]) -> Marginals {
    shares.iter().enumerate().map(|(class, share)| (class.to_string(), Share::new(*share).unwrap())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn the_wanted_mix_is_reached(seed: u64, k in 2_usize..6, given: bool, half: bool) {
        let mut stream = Stream::new(seed);
        let (now, to) = (stream.probabilities(k, 1.0), stream.probabilities(k, 1.0));
        let n = 20_000;
        let rows = classes(seed, n, &now);
        let fault = LabelShift { to: marginals(&to), from: given.then(|| marginals(&now)) };
        let intensity = if half { 0.5 } else { 1.0 };
        let run = run_at(&fault, &rows, &[], &Labels::default(), seed, intensity);
        let mut moved = 0.0;
        for (class, to) in to.iter().enumerate() {
            let own = count(&rows, class) as f64 / n as f64;
            // What is learnt is the mix of these very rows; what is given is the one that they were drawn from.
            let base = if given { now[class] } else { own };
            let wanted = base + intensity * (to - base);
            let told = count(&run.rows, class);
            if given {
                assert_rate(told, n, wanted);
            } else {
                let off = (told as f64 / n as f64 - wanted).abs();
                prop_assert!(off < 5.0 * (0.25 / n as f64).sqrt(), "{class}: {off}");
            }
            moved += (base - to).max(0.0) * intensity;
        }
        assert_rate(run.changed, n, moved);
        if given {
            prop_assert!((fault.rate().fraction() * intensity - moved).abs() < 1e-9);
        }
    }
}

#[test]
fn no_more_change_than_the_distance() {
    let rows = classes(9, 40_000, &[0.7, 0.2, 0.1]);
    let fault: LabelShift = serde_saphyr::from_str("{ to: { 0: 20%, 1: 20%, 2: 60% } }").unwrap();
    let run = run(&fault, &rows, &[], &Labels::default(), 4);
    let counts = |rows| [0, 1, 2].map(|class| count(rows, class) as u64);
    let distance = total_variation(&counts(&rows), &counts(&run.rows));
    assert!((run.changed as f64 / 40_000.0 - distance).abs() < 0.005);
    assert!((distance - 0.5).abs() < 0.01);
}

#[test]
fn a_class_that_is_not_wanted_is_told_no_more() {
    let rows = classes(9, 5_000, &[0.5, 0.3, 0.2]);
    let fault: LabelShift = serde_saphyr::from_str("{ to: { 0: 100% } }").unwrap();
    let run = run(&fault, &rows, &[], &Labels::default(), 4);
    assert_eq!(count(&run.rows, 0), 5_000);
}

#[test]
fn it_waits_until_it_knows_enough() {
    let fault: LabelShift = serde_saphyr::from_str("{ to: { 0: 100% } }").unwrap();
    let run = run(&fault, &classes(9, 150, &[0.5, 0.5]), &[], &Labels::default(), 4);
    assert_eq!((run.changed, run.unfit), (0, Some(STILL_LEARNING)));
}

#[test]
fn what_cannot_be_is_told() {
    for (yaml, message) in [
        ("{ to: { setosa: 60% } }", "the shares are 60% in all, not 100%"),
        ("{ to: { setosa: 60%, rose: 40% } }", "`rose` is none of the target's labels"),
        ("{ to: { setosa: 100% }, from: { setosa: 100% } }", "the wanted mix is the one that there is"),
    ] {
        assert_eq!(problems(&format!("{{ label-shift: {yaml} }}"), &iris()), [message]);
    }
}

#[test]
fn it_says_what_it_does() {
    assert_page("label-shift");
}
