//! Do probabilities mean what they say?

/// Expected calibration error: Σ over bins of n_b/n · |accuracy_b − confidence_b|, with `bins` equal bins of the
/// confidence (Naeini, Cooper and Hauskrecht, AAAI 2015; Guo, Pleiss, Sun and Weinberger, ICML 2017, eq. 3).
/// Each prediction is its confidence, 0 to 1, and whether it was right. 0 without predictions or bins.
///
/// ```
/// let said = [(0.9, true), (0.9, false), (0.3, false)];
/// assert!((canard::stats::calibration_error(&said, 10) - (2.0 * 0.4 + 0.3) / 3.0).abs() < 1e-12);
/// ```
pub fn calibration_error(predictions: &[(f64, bool)], bins: usize) -> f64 {
    let mut gaps = vec![0.0; bins];
    for (confidence, right) in predictions {
        let bin = ((confidence * bins as f64) as usize).min(bins.saturating_sub(1));
        if let Some(gap) = gaps.get_mut(bin) {
            *gap += f64::from(u8::from(*right)) - confidence;
        }
    }
    let n = predictions.len().max(1) as f64;
    gaps.into_iter().map(f64::abs).sum::<f64>() / n
}

/// Shannon's entropy of a distribution in bits, −Σ p·log₂ p (Shannon, *Bell System Technical Journal* 27, 1948).
/// The shares are weights: they need not add up to 1. 0 when there are none above zero.
///
/// ```
/// assert_eq!(canard::stats::entropy(&[1.0, 1.0]), 1.0);
/// ```
pub fn entropy(weights: &[f64]) -> f64 {
    let total: f64 = weights.iter().filter(|weight| **weight > 0.0).sum();
    let shares = weights.iter().filter(|weight| **weight > 0.0).map(|weight| weight / total);
    -shares.map(|p| p * p.log2()).sum::<f64>() + 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gap_of_each_bin_counts_by_its_size() {
        // Two bins: four at .75 of which three are right (no gap), two at .25 of which two are right (.75).
        let mut said = vec![(0.75, true), (0.75, true), (0.75, true), (0.75, false)];
        said.extend([(0.25, true); 2]);
        assert!((calibration_error(&said, 2) - 2.0 / 6.0 * 0.75).abs() < 1e-12);
        assert_eq!(calibration_error(&[], 10), 0.0);
        assert_eq!(calibration_error(&said, 0), 0.0);
        assert_eq!(calibration_error(&[(1.0, true)], 10), 0.0);
    }

    #[test]
    fn entropy_of_known_distributions() {
        assert_eq!(entropy(&[]), 0.0);
        assert_eq!(entropy(&[0.0, 5.0]), 0.0);
        assert!((entropy(&[1.0, 1.0, 2.0]) - 1.5).abs() < 1e-12);
    }
}
