//! Promises in words.

use std::{collections::BTreeMap, fmt, time::Duration};

use super::Promise;
use crate::unit::Span;

/// A share as a person reads it: `12.5%`.
fn percent(share: f64) -> String {
    format!("{}%", (share * 1000.0).round() / 10.0)
}

/// Seconds as a person reads them: `250ms`.
fn span(seconds: f64) -> Span {
    Span::from(Duration::from_secs_f64((seconds.clamp(0.0, 1e9) * 1e6).round() / 1e6))
}

/// `on 40% of the requests`, or nothing where it is all of them.
fn on(share: f64, what: &str) -> String {
    if share >= 1.0 { String::new() } else { format!(" on {} of the {what}", percent(share)) }
}

fn classes(shares: &BTreeMap<String, f64>) -> String {
    let shares = shares.iter().map(|(class, share)| format!("{class} {}", percent(*share)));
    shares.collect::<Vec<_>>().join(", ")
}

/// In words, such as `+250ms in the mean on 40% of the requests`.
impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Promise::Touch { of, share } => write!(f, "acts on {} of the {}", percent(*share), of.name()),
            Promise::Failed { status: Some(status), share } => {
                write!(f, "{} of the requests answered {status}", percent(*share))
            }
            Promise::Failed { status: None, share } => write!(f, "{} of the requests fail", percent(*share)),
            Promise::Delay { mean_s, finite_variance: true, share, .. } => {
                write!(f, "+{} in the mean{}", span(*mean_s), on(*share, "requests"))
            }
            Promise::Delay { quantiles_s: [(_, median_s), ..], share, .. } => {
                write!(f, "+{} in the median{}", span(*median_s), on(*share, "requests"))
            }
            Promise::DelayPer { each_s, work, share } => {
                write!(f, "+{} per {}{}", span(*each_s), work.name(), on(*share, "requests"))
            }
            Promise::AccuracyDrop { drop, accuracy, .. } => {
                write!(f, "accuracy {} to {}", percent(*accuracy), percent(accuracy - drop))
            }
            Promise::ParityGap { gap } => write!(f, "a parity gap of {}", percent(*gap)),
            Promise::OpportunityGap { gap, true_positive_rate } => {
                let after = percent((true_positive_rate - gap).max(0.0));
                write!(f, "the group's true-positive rate {} to {after}", percent(*true_positive_rate))
            }
            Promise::Labels { to, .. } => write!(f, "predictions {}", classes(to)),
            Promise::Relabel { from: Some(from), share, .. } => {
                write!(f, "{} of the predictions of {from} told as another class", percent(*share))
            }
            Promise::Relabel { from: None, share, .. } => {
                write!(f, "{} of the predictions told as another class", percent(*share))
            }
            Promise::Logit { delta, share } => write!(f, "{delta:+} logits{}", on(*share, "predictions")),
            Promise::Psi { psi, share } => write!(f, "PSI {psi}{}", on(*share, "predictions")),
            Promise::Priors { to, share } => write!(f, "priors {}{}", classes(to), on(*share, "predictions")),
            Promise::Temperature { temperature } => write!(f, "probabilities at temperature {temperature}"),
            Promise::CalibrationError { ece, .. } => write!(f, "ECE {}", percent(*ece)),
            Promise::Invalid { share } => write!(f, "{} of the predictions invalid", percent(*share)),
            Promise::KendallTau { tau, share } => write!(f, "Kendall τ {tau}{}", on(*share, "lists")),
            Promise::NdcgDrop { drop, share } => write!(f, "nDCG down by {drop}{}", on(*share, "lists")),
            Promise::Cosine { cosine, share } => write!(f, "cosine {cosine:.3}{}", on(*share, "vectors")),
            Promise::TokenDelay { first_token_s, between_tokens_s, tokens_per_s, share } => {
                let added = |what: &str, of: &Option<(f64, f64)>| {
                    of.map(|(median_s, _)| format!("{what} +{} in the median", span(median_s)))
                };
                let pace = tokens_per_s.map(|pace| format!("at most {pace} tokens/s"));
                let told =
                    [added("first token", first_token_s), added("between tokens", between_tokens_s), pace];
                let told: Vec<String> = told.into_iter().flatten().collect();
                write!(f, "{}{}", told.join(", "), on(*share, "answers"))
            }
            Promise::Stall { lasts_s, share } => {
                write!(f, "a stall of {}{}", span(*lasts_s), on(*share, "answers"))
            }
            Promise::Answers { are, share } => write!(f, "{} of the answers {}", percent(*share), are.name()),
            Promise::TokenCount { factor, share } => {
                write!(f, "{factor} times the tokens reported{}", on(*share, "answers"))
            }
            Promise::Unknown { because } => write!(f, "no number: {because}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Fault;

    /// The fault of a phase entry, whatever else the entry says.
    #[derive(serde::Deserialize)]
    struct Example {
        fault: Fault,
    }

    fn fault(json: &str) -> Fault {
        serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"))
    }

    #[test]
    fn every_fault_of_the_catalogue_promises_something() {
        for entry in Fault::catalogue() {
            let example: Vec<Example> = serde_saphyr::from_str(entry.example).unwrap();
            let promise = example[0].fault.promise();
            assert!(promise.share().is_none_or(|share| (0.0..=1.0).contains(&share)), "{promise:?}");
            assert!(!promise.to_string().is_empty(), "{promise:?}");
        }
    }

    #[test]
    fn settings_become_numbers() {
        for (json, words) in [
            (r#"{"error": {"status": 503, "rate": "30%"}}"#, "30% of the requests answered 503"),
            (r#"{"latency": {"uniform": {"min": "100ms", "max": "300ms"}}}"#, "+200ms in the mean"),
            (r#"{"latency": {"pareto": {"p50": "80ms", "p99": "900ms"}}}"#, "+80ms in the median"),
            (
                r#"{"mislabel": {"rate": "30%", "from": "a"}}"#,
                "30% of the predictions of a told as another class",
            ),
            (r#"{"embedding-rotate": {"degrees": 60}}"#, "cosine 0.500"),
            (r#"{"feature-missing": {"rate": "5%"}}"#, "acts on 5% of the feature values"),
            (r#"{"usage": {"factor": 3}}"#, "3 times the tokens reported"),
            (r#"{"hang": {"rate": "50%", "for": "2s"}}"#, "+2s in the mean on 50% of the requests"),
        ] {
            assert_eq!(fault(json).promise().to_string(), words);
        }
    }

    #[test]
    fn a_lognormal_delay_has_its_mean() {
        let fault = fault(r#"{"latency": {"lognormal": {"median": "100ms", "p99": "500ms"}}}"#);
        let Promise::Delay { mean_s, .. } = fault.promise() else { panic!("{fault:?}") };
        let sigma = 5.0_f64.ln() / crate::stats::normal_quantile(0.99);
        assert!((mean_s / (0.1 * (sigma * sigma / 2.0).exp()) - 1.0).abs() < 1e-3, "{mean_s}");
    }
}
