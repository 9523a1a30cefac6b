//! The wanted PSI, and the wanted priors, are reached.

use proptest::prelude::*;

use super::*;
use crate::{
    fault::{
        score::logit,
        testing::{assert_page, assert_rate, edit_one, iris, parse, problems, row},
        traffic::{Stream, calibrated, run, run_at},
    },
    stats::psi,
};

const N: usize = 20_000;

fn fault(yaml: &str) -> PriorShift {
    serde_saphyr::from_str(yaml).unwrap()
}

fn scores(rows: &[Row], place: usize) -> Vec<f64> {
    rows.iter().map(|row| at(&probabilities(row).unwrap(), place).unwrap()).collect()
}

/// The PSI of one sample against another, over ten quantile bins of the first.
fn measured(reference: &[f64], actual: &[f64]) -> f64 {
    let mut sorted = reference.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let edges: Vec<f64> = (1..10).map(|tenth| sorted[tenth * sorted.len() / 10]).collect();
    let counts = |sample: &[f64]| {
        let mut counts = [0_u64; 10];
        sample.iter().for_each(|x| counts[edges.partition_point(|edge| edge <= x)] += 1);
        counts
    };
    psi(&counts(reference), &counts(actual))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]
    #[test]
    fn the_wanted_psi_is_reached(seed: u64, wanted in 0.02..1.5, down: bool, part in 0.4..1.0, whole: bool) {
        let mut stream = Stream::new(seed);
        let rows: Vec<Row> = (0..N).map(|_| row(None, &[stream.beta_2_5()])).collect();
        // Of fewer moved predictions less can be wanted.
        let (part, wanted) = if whole { (1.0, wanted) } else { (part, wanted * 0.3) };
        let rate = Share::new(part).unwrap();
        let towards = if down { Towards::Down } else { Towards::Up };
        let fault = PriorShift { psi: Some(wanted), towards, rate, ..fault("{ psi: 1 }") };
        let run = run(&fault, &rows, &[], &Labels::default(), seed);
        let got = measured(&scores(&rows, 1), &scores(&run.rows, 1));
        // Below a rate of one the draw that chooses the moved ones adds to the sampling error.
        prop_assert!((got - wanted).abs() < 0.01 + 0.08 * wanted, "{got} of {wanted} at {rate}");
    }

    #[test]
    fn the_priors_are_tilted(seed: u64, k in 2_usize..5) {
        let (rows, _) = calibrated(seed, 3_000, k, 1.0);
        let mut stream = Stream::new(!seed);
        let (from, to) = (stream.probabilities(k, 0.5), stream.probabilities(k, 0.5));
        let marginals = |shares: &[f64]| -> Marginals {
            shares.iter().enumerate().map(|(k, share)| (k.to_string(), Share::new(*share).unwrap())).collect()
        };
        let fault = PriorShift {
            psi: None, to: Some(marginals(&to)), from: Some(marginals(&from)), ..fault("{ psi: 1 }")
        };
        let run = run(&fault, &rows, &[], &Labels::default(), seed);
        for (before, after) in rows.iter().zip(&run.rows) {
            let (before, after) = (probabilities(before).unwrap(), probabilities(after).unwrap());
            let total: f64 = (0..k).map(|i| before[i] * to[i] / from[i]).sum();
            for i in 0..k {
                prop_assert!((after[i] - before[i] * to[i] / from[i] / total).abs() < 1e-9);
            }
        }
    }
}

#[test]
fn the_table_of_visible_shifts_holds() {
    // Beta(2, 5) scores in ten quantile bins: PSI .108 at a step of .3, .295 at .5, 1.10 at 1.
    for (psi, step) in [(0.108, 0.3), (0.295, 0.5), (1.1, 1.0)] {
        let mut stream = Stream::new(8);
        let rows: Vec<Row> = (0..N).map(|_| row(None, &[stream.beta_2_5()])).collect();
        let fault = PriorShift { psi: Some(psi), ..fault("{ psi: 1 }") };
        let run = run(&fault, &rows, &[], &Labels::default(), 3);
        let moved = logit(scores(&run.rows, 1)[0]) - logit(scores(&rows, 1)[0]);
        assert!((moved - step).abs() < 0.05 * step + 0.01, "{moved} for {psi}");
    }
}

#[test]
fn learnt_priors_become_the_wanted_ones_in_odds() {
    let (rows, _) = calibrated(4, 5_000, 3, 1.0);
    let mean = |place| scores(&rows, place).iter().sum::<f64>() / 5_000.0;
    let fault = fault("{ to: { 0: 60%, 1: 20%, 2: 20% } }");
    let run = run_at(&fault, &rows, &[], &Labels::default(), 3, 0.5);
    let step = |place| (scores(&run.rows, place)[7] / scores(&rows, place)[7]).ln();
    let wanted = 0.5 * ((0.6 / mean(0)).ln() - (0.2 / mean(1)).ln());
    assert!((step(0) - step(1) - wanted).abs() < 1e-9);
}

#[test]
fn what_can_not_be_reached_is_unfit() {
    let labels = Labels::default();
    let of = |rows: &[Row]| run(&fault("{ psi: 0.2 }"), rows, &[], &labels, 1).unfit;
    assert_eq!(of(&vec![row(None, &[0.5]); 100]), Some(STILL_LEARNING));
    let certain: Vec<Row> = (0..1000).map(|i| row(None, &[f64::from(i % 2)])).collect();
    let moved = run(&fault("{ psi: 0.2 }"), &certain, &[], &labels, 1);
    assert_eq!(moved.changed, 0);
    assert_eq!(edit_one(&fault("{ psi: 0.2 }"), &row(None, &[7.5]), &labels).unfit, Some(NOT_A_PROBABILITY));
    let given = fault("{ to: { 0: 50%, 1: 50% }, from: { 0: 40%, 1: 60% }, rate: 30% }");
    let run = run(&given, &vec![row(None, &[0.5]); N], &[], &labels, 1);
    assert_rate(run.changed, N, 0.3);
}

#[test]
fn what_cannot_be_is_told() {
    for yaml in
        ["{ prior-shift: { psi: 0 } }", "{ prior-shift: { psi: 6 } }", "{ prior-shift: { psi: .nan } }"]
    {
        assert!(parse(yaml).is_err(), "{yaml}");
    }
    for (yaml, message) in [
        ("{}", "`prior-shift` needs the wanted priors or a PSI"),
        ("{ psi: 0.2, class: rose }", "`rose` is none of the target's labels"),
        ("{ psi: 0.2, from: { setosa: 100% } }", "`from` goes with `to`, not with `psi`"),
        ("{ to: { setosa: 50%, versicolor: 50% } }", "class `virginica` has no prior"),
        ("{ to: { setosa: 50%, versicolor: 50%, virginica: 0% } }", "the prior of `virginica` is 0%"),
        ("{ to: { setosa: 50%, versicolor: 30%, virginica: 10% } }", "the shares are 90% in all, not 100%"),
        ("{ psi: 0.2, rate: 0% }", "a rate of 0% never acts"),
        ("{ psi: 1.1, rate: 40% }", "with 40% of the predictions moved, the PSI is at most 0.733"),
    ] {
        assert_eq!(problems(&format!("{{ prior-shift: {yaml} }}"), &iris()), [message], "{yaml}");
    }
}

#[test]
fn it_says_what_it_does() {
    assert_page("prior-shift");
    assert_eq!(
        fault("{ psi: 0.25, towards: down }").describe(),
        "PSI 0.25 of the last class's score, downwards, on 100%"
    );
}
