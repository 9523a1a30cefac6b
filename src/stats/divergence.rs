//! Distances between two distributions over the same categories.

/// Population stability index, Σ (aᵢ − eᵢ)·ln(aᵢ / eᵢ) over category shares (Siddiqi, *Credit Risk
/// Scorecards*, 2006, ch. 9). Half a count is added to every category, so that an empty one stays finite.
///
/// Zero when either side is empty. Categories missing from the shorter side count as empty.
///
/// ```
/// assert_eq!(canard::stats::psi(&[10, 10], &[100, 100]), 0.0);
/// assert!(canard::stats::psi(&[50, 50], &[90, 10]) > 0.2);
/// ```
pub fn psi(expected: &[u64], actual: &[u64]) -> f64 {
    pairs(expected, actual, 0.5).map(|(e, a)| (a - e) * (a / e).ln()).sum()
}

/// Total variation distance, ½ Σ |aᵢ − eᵢ| over category shares, 0 (alike) to 1 (disjoint).
pub fn total_variation(expected: &[u64], actual: &[u64]) -> f64 {
    pairs(expected, actual, 0.0).map(|(e, a)| (a - e).abs()).sum::<f64>() / 2.0
}

fn pairs<'a>(
    expected: &'a [u64],
    actual: &'a [u64],
    smoothing: f64,
) -> impl Iterator<Item = (f64, f64)> + 'a {
    let categories = expected.len().max(actual.len());
    let (n_expected, n_actual): (u64, u64) = (expected.iter().sum(), actual.iter().sum());
    let empty = n_expected == 0 || n_actual == 0;
    let share = move |counts: &[u64], total: u64, i: usize| {
        (counts.get(i).copied().unwrap_or(0) as f64 + smoothing)
            / (total as f64 + smoothing * categories as f64)
    };
    (0..if empty { 0 } else { categories })
        .map(move |i| (share(expected, n_expected, i), share(actual, n_actual, i)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_zero_on_nothing_and_on_the_same() {
        assert_eq!(psi(&[], &[]), 0.0);
        assert_eq!(psi(&[5, 5], &[]), 0.0);
        assert_eq!(total_variation(&[1, 3], &[2, 6]), 0.0);
    }

    #[test]
    fn known_values() {
        assert!((total_variation(&[1, 1], &[1, 0]) - 0.5).abs() < 1e-12);
        // Shares .5/.5 against .8/.2 with large counts: .3·ln 1.6 + (−.3)·ln .4 = 0.4159.
        assert!((psi(&[500_000, 500_000], &[800_000, 200_000]) - 0.4159).abs() < 1e-3);
    }
}
