//! Do two samples come from one distribution? Tests for counts by category and for binned scores.

use serde::{Deserialize, Serialize};
use statrs::function::gamma::checked_gamma_ur;

/// The result of a test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Test {
    /// The test's statistic.
    pub statistic: f64,
    /// Its degrees of freedom, where it has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freedom: Option<u64>,
    /// Probability of a statistic at least as large when both samples come from one distribution.
    pub p: f64,
}

/// Fewer expected counts than this in a category, and the χ² distribution is no good guide (Cochran,
/// *Biometrics* 10, 1954).
pub const FEWEST_EXPECTED: f64 = 5.0;

/// Pearson's χ² test of homogeneity of two vectors of counts by category (Pearson, *Philosophical Magazine* 50,
/// 1900), without correction for continuity. Categories of which the smaller sample can expect fewer than
/// `fewest` ([`FEWEST_EXPECTED`]) are pooled into one, and that with the next smallest while it stays too small.
/// `None` when a sample is empty or fewer than two categories are left.
///
/// ```
/// // chisq.test(rbind(c(30, 50, 20), c(45, 35, 20)), correct = FALSE) in R: X-squared = 5.6471, df = 2, p = 0.0594.
/// let test = canard::stats::chi_squared(&[30, 50, 20], &[45, 35, 20], 5.0).unwrap();
/// assert!((test.statistic - 5.6471).abs() < 1e-4 && test.freedom == Some(2) && (test.p - 0.0594).abs() < 1e-4);
/// ```
pub fn chi_squared(first: &[u64], second: &[u64], fewest: f64) -> Option<Test> {
    let (n, m) = (first.iter().sum::<u64>() as f64, second.iter().sum::<u64>() as f64);
    let at = |counts: &[u64], i: usize| counts.get(i).copied().unwrap_or(0) as f64;
    let categories = (0..first.len().max(second.len())).map(|i| (at(first, i), at(second, i)));
    let mut categories: Vec<(f64, f64)> = categories.filter(|(a, b)| a + b > 0.0).collect();
    if n == 0.0 || m == 0.0 {
        return None;
    }
    // The largest first, so that what is to be pooled is at the end.
    categories.sort_by(|x, y| (y.0 + y.1).total_cmp(&(x.0 + x.1)));
    let too_small = |(a, b): &(f64, f64)| (a + b) * n.min(m) / (n + m) < fewest;
    while let [.., before, last] = &mut categories[..]
        && too_small(last)
    {
        *before = (before.0 + last.0, before.1 + last.1);
        categories.pop();
    }
    let freedom = categories.len().checked_sub(1).filter(|freedom| *freedom > 0)? as u64;
    let part = |(a, b): &(f64, f64)| {
        let (first, second) = ((a + b) * n / (n + m), (a + b) * m / (n + m));
        (a - first).powi(2) / first + (b - second).powi(2) / second
    };
    let statistic = categories.iter().map(part).sum();
    Some(Test { statistic, freedom: Some(freedom), p: chi_squared_above(statistic, freedom as f64) })
}

/// P(χ² > x) with so many degrees of freedom.
pub(super) fn chi_squared_above(x: f64, freedom: f64) -> f64 {
    checked_gamma_ur(freedom / 2.0, x / 2.0).unwrap_or(1.0)
}

/// Two-sample Kolmogorov-Smirnov test of scores in the same bins, with Smirnov's asymptotic p (Smirnov, *Annals
/// of Mathematical Statistics* 19, 1948). What lies within a bin can't be told apart, so the distance is a lower
/// bound of that of the scores themselves and the p an upper one. `None` when a sample is empty.
///
/// ```
/// let test = canard::stats::kolmogorov_smirnov_binned(&[40, 40, 20], &[20, 40, 40]).unwrap();
/// assert!((test.statistic - 0.2).abs() < 1e-12 && (test.p - 0.0366).abs() < 1e-4);
/// ```
pub fn kolmogorov_smirnov_binned(first: &[u64], second: &[u64]) -> Option<Test> {
    let statistic =
        super::absolute::cumulative_gaps(first, second)?.fold(0.0, |most: f64, gap| most.max(gap.abs()));
    let (n, m) = (first.iter().sum(), second.iter().sum());
    Some(Test { statistic, freedom: None, p: smirnov_p(statistic, n, m) })
}

/// Probability of a Kolmogorov-Smirnov distance of at least `distance` between samples of `n` and `m` from one
/// distribution, by its limit Q(√(nm/(n+m))·D) (Smirnov 1948): too large by a little for small samples.
/// 1 when a sample is empty.
pub fn smirnov_p(distance: f64, n: u64, m: u64) -> f64 {
    let (n, m) = (n as f64, m as f64);
    if n == 0.0 || m == 0.0 { 1.0 } else { kolmogorov_above((n * m / (n + m)).sqrt() * distance) }
}

/// Kolmogorov's Q(λ) = 2 Σ (−1)^{k−1} e^{−2k²λ²}, and for small λ its theta transform.
pub(super) fn kolmogorov_above(lambda: f64) -> f64 {
    use std::f64::consts::PI;
    if lambda <= 0.0 {
        return 1.0;
    }
    let q: f64 = if lambda < 1.0 {
        let term = |k: i32| (-f64::from(2 * k - 1).powi(2) * PI * PI / (8.0 * lambda * lambda)).exp();
        1.0 - (2.0 * PI).sqrt() / lambda * (1..=20).map(term).sum::<f64>()
    } else {
        let sign = |k: i32| if k % 2 == 1 { 2.0 } else { -2.0 };
        (1..=20).map(|k| sign(k) * (-2.0 * f64::from(k * k) * lambda * lambda).exp()).sum()
    };
    q.clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_to_test() {
        assert_eq!(chi_squared(&[], &[], 5.0), None);
        assert_eq!(chi_squared(&[5, 5], &[0, 0], 5.0), None);
        assert_eq!(chi_squared(&[500], &[700], 5.0), None);
        assert_eq!(chi_squared(&[2, 1], &[1, 2], 5.0), None);
        assert_eq!(kolmogorov_smirnov_binned(&[], &[1]), None);
        assert_eq!((smirnov_p(0.5, 0, 3), smirnov_p(0.0, 5, 5)), (1.0, 1.0));
    }

    #[test]
    fn rare_categories_are_pooled() {
        let rare = chi_squared(&[100, 80, 1, 2, 1], &[90, 85, 2, 1, 3], 5.0).unwrap();
        let by_hand = chi_squared(&[100, 80, 4], &[90, 85, 6], 0.0).unwrap();
        assert_eq!(rare.freedom, Some(1));
        assert_eq!(by_hand.freedom, Some(2));
        let pooled = chi_squared(&[100, 84], &[90, 91], 0.0).unwrap();
        assert!((rare.statistic - pooled.statistic).abs() < 1e-12);
    }
}
