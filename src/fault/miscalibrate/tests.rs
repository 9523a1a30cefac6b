//! The wanted calibration error is reached, and accuracy stays.

use proptest::prelude::*;

use super::*;
use crate::{
    fault::{
        testing::{assert_page, edit_one, iris, parse, problems, row},
        traffic::{Stream, calibrated, class, run, run_at},
    },
    stats::calibration_error,
};

fn fault(yaml: &str) -> Miscalibrate {
    serde_saphyr::from_str(yaml).unwrap()
}

/// ECE and accuracy of rows whose truth is known.
fn measured(rows: &[Row], truth: &[usize]) -> (f64, f64) {
    let judged: Vec<(f64, bool)> = rows
        .iter()
        .zip(truth)
        .map(|(row, truth)| {
            let p = probabilities(row).unwrap();
            let highest = p.iter().copied().fold(0.0, f64::max);
            let confidence = if p.len() == 1 { highest.max(1.0 - highest) } else { highest };
            (confidence, class(row) == *truth)
        })
        .collect();
    let right = judged.iter().filter(|(_, right)| *right).count();
    (calibration_error(&judged, 10), right as f64 / rows.len() as f64)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn the_wanted_ece_is_reached(seed: u64, k in 2_usize..6, part in 0.2..0.8, under: bool) {
        let (rows, truth) = calibrated(seed, 20_000, k, 1.5);
        let (own, accuracy) = measured(&rows, &truth);
        // As far as both ends leave room: certainty above, a coin with k sides below.
        let room = if under { accuracy - 1.0 / k as f64 } else { 1.0 - accuracy };
        let ece = room * part;
        let confidence = if under { Confidence::Under } else { Confidence::Over };
        let (ece, accuracy) = (Share::new(ece), Share::new(accuracy));
        let fault = Miscalibrate { temperature: None, ece, accuracy, confidence };
        let run = run(&fault, &rows, &[], &Labels::default(), seed);
        let (got, after) = measured(&run.rows, &truth);
        let wanted = ece.unwrap().fraction();
        // The last 2000 rows tell the temperature: their sampling error comes on top.
        prop_assert!((got - wanted).abs() < 0.012 + own, "{got} of {wanted}");
        prop_assert_eq!(Share::new(after), accuracy);
    }

    #[test]
    fn a_single_score_is_heated_in_logits(p in 0.001..0.999, temperature in 0.1..10.0) {
        let mut scores = [p];
        heat(&mut scores, temperature);
        let logit = |p: f64| (p / (1.0 - p)).ln();
        prop_assert!((logit(scores[0]) - logit(p) / temperature).abs() < 1e-6 * (1.0 + logit(p).abs() / temperature).exp());
        prop_assert_eq!(scores[0] > 0.5, p > 0.5);
    }
}

#[test]
fn known_temperatures_give_known_errors() {
    let mut stream = Stream::new(3);
    let scores: Vec<f64> = (0..60_000).map(|_| stream.beta_2_5()).collect();
    let truth: Vec<usize> = scores.iter().map(|p| usize::from(stream.uniform() < *p)).collect();
    let rows: Vec<Row> = scores.iter().map(|p| row(None, &[*p])).collect();
    let (own, accuracy) = measured(&rows, &truth);
    assert!(own < 0.01);
    for (temperature, ece) in [(0.7, 0.0567), (0.5, 0.1066), (0.3, 0.1669)] {
        let fault = Miscalibrate { temperature: Some(temperature), ..fault("{ temperature: 2 }") };
        let run = run(&fault, &rows, &[], &Labels::default(), 1);
        let (got, after) = measured(&run.rows, &truth);
        assert!((got - ece).abs() < 0.01, "{got} at {temperature}");
        assert_eq!(after, accuracy);
    }
}

#[test]
fn a_ramp_heats_slowly() {
    let rows = vec![row(None, &[0.2, 0.8])];
    let half = run_at(&fault("{ temperature: 0.25 }"), &rows, &[], &Labels::default(), 1, 0.5);
    let whole = run_at(&fault("{ temperature: 0.5 }"), &rows, &[], &Labels::default(), 1, 1.0);
    assert_eq!(half.rows, whole.rows);
}

#[test]
fn what_can_not_be_reached_is_unfit() {
    let labels = Labels::default();
    let far = fault("{ ece: 45%, accuracy: 50% }");
    assert_eq!(run(&far, &vec![row(None, &[0.5]); 50], &[], &labels, 1).unfit, Some(STILL_LEARNING));
    assert_eq!(run(&far, &vec![row(None, &[0.5]); 500], &[], &labels, 1).unfit, Some(OUT_OF_REACH));
    assert_eq!(
        edit_one(&fault("{ temperature: 2 }"), &row(None, &[7.5]), &labels).unfit,
        Some(NOT_A_PROBABILITY)
    );
}

#[test]
fn what_cannot_be_is_told() {
    for temperature in ["0", "1", "21", "-1", ".nan"] {
        assert!(
            parse(&format!("{{ miscalibrate: {{ temperature: {temperature} }} }}")).is_err(),
            "{temperature}"
        );
    }
    for (yaml, message) in [
        ("{}", "`miscalibrate` needs a temperature or an ECE"),
        ("{ temperature: 2, ece: 5%, accuracy: 90% }", "either a temperature or an ECE, not both"),
        ("{ temperature: 2, accuracy: 90% }", "`accuracy` goes with `ece`, not with `temperature`"),
        ("{ ece: 5% }", "an ECE is the distance from the accuracy, which is missing"),
        ("{ ece: 0%, accuracy: 90% }", "an ECE of 0% changes nothing"),
        ("{ ece: 15%, accuracy: 90% }", "a mean confidence of 90% + 15% is beyond 100%"),
        ("{ ece: 95%, accuracy: 90%, confidence: under }", "a mean confidence of 90% − 95% is beyond 0%"),
    ] {
        assert_eq!(problems(&format!("{{ miscalibrate: {yaml} }}"), &iris()), [message], "{yaml}");
    }
}

#[test]
fn it_says_what_it_does() {
    assert_page("miscalibrate");
    assert_eq!(fault("{ ece: 8%, accuracy: 90%, confidence: under }").describe(), "ECE 8%, under-confident");
}
