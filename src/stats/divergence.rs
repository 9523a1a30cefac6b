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

/// Jensen-Shannon distance with base 2, 0 (alike) to 1 (disjoint): the root of the mean divergence of both sides
/// from their middle (Lin, *IEEE Transactions on Information Theory* 37, 1991; a metric by Endres and Schindelin,
/// same journal 49, 2003). 0 when either side is empty.
///
/// ```
/// // scipy.spatial.distance.jensenshannon([.5, .5], [.9, .1], base=2): 0.38314.
/// assert!((canard::stats::jensen_shannon(&[5, 5], &[9, 1]) - 0.38314).abs() < 1e-4);
/// ```
pub fn jensen_shannon(expected: &[u64], actual: &[u64]) -> f64 {
    let part = |p: f64, m: f64| if p > 0.0 { p * (p / m).log2() } else { 0.0 };
    let pairs = pairs(expected, actual, 0.0).map(|(e, a)| (e, a, (e + a) / 2.0));
    let twice: f64 = pairs.map(|(e, a, m)| part(e, m) + part(a, m)).sum();
    (twice.max(0.0) / 2.0).sqrt()
}

/// Two-sample Kolmogorov-Smirnov distance: the largest gap between the empirical distribution functions, 0 to 1
/// (Smirnov, *Annals of Mathematical Statistics* 19, 1948). Not-a-number is left out; 0 when either side is empty.
///
/// ```
/// // scipy.stats.ks_2samp([1, 2, 3, 4], [3, 4, 5]).statistic: 0.5.
/// assert!((canard::stats::kolmogorov_smirnov(&[1.0, 2.0, 3.0, 4.0], &[3.0, 4.0, 5.0]) - 0.5).abs() < 1e-12);
/// ```
pub fn kolmogorov_smirnov(first: &[f64], second: &[f64]) -> f64 {
    let sorted = |sample: &[f64]| {
        let mut sample: Vec<f64> = sample.iter().copied().filter(|x| !x.is_nan()).collect();
        sample.sort_unstable_by(f64::total_cmp);
        sample
    };
    let (first, second) = (sorted(first), sorted(second));
    if first.is_empty() || second.is_empty() {
        return 0.0;
    }
    let below = |sample: &[f64], x: f64| sample.partition_point(|y| *y <= x) as f64 / sample.len() as f64;
    let gaps = first.iter().chain(&second).map(|x| (below(&first, *x) - below(&second, *x)).abs());
    gaps.fold(0.0, f64::max)
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
    fn distances_are_one_between_what_has_nothing_in_common() {
        assert!((jensen_shannon(&[3, 0], &[0, 7]) - 1.0).abs() < 1e-12);
        assert_eq!(kolmogorov_smirnov(&[0.0, 0.1], &[0.9]), 1.0);
        assert_eq!(kolmogorov_smirnov(&[0.5, f64::NAN], &[0.5]), 0.0);
        assert_eq!((jensen_shannon(&[], &[1]), kolmogorov_smirnov(&[], &[1.0])), (0.0, 0.0));
        assert_eq!(jensen_shannon(&[2, 5], &[4, 10]), 0.0);
    }

    #[test]
    fn known_values() {
        assert!((total_variation(&[1, 1], &[1, 0]) - 0.5).abs() < 1e-12);
        // Shares .5/.5 against .8/.2 with large counts: .3·ln 1.6 + (−.3)·ln .4 = 0.4159.
        assert!((psi(&[500_000, 500_000], &[800_000, 200_000]) - 0.4159).abs() < 1e-3);
    }
}
