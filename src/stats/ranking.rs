//! How far a ranking, or a vector, is from another.

/// Pairs that stand the other way round than in the order 0, 1, 2, …: the least number of swaps of neighbours
/// that sorts the list (Knuth, *The Art of Computer Programming* 3, § 5.1.1). Equal numbers are no such pair.
pub fn inversions(order: &[usize]) -> u64 {
    fn sort(values: &mut [usize], spare: &mut Vec<usize>) -> u64 {
        if values.len() < 2 {
            return 0;
        }
        let (left, right) = values.split_at_mut(values.len() / 2);
        let mut found = sort(left, spare) + sort(right, spare);
        spare.clear();
        let (mut l, mut r) = (left.iter().peekable(), right.iter().peekable());
        loop {
            match (l.peek(), r.peek()) {
                (Some(a), Some(b)) if b < a => {
                    found += l.len() as u64;
                    spare.extend(r.next());
                }
                (Some(_), _) => spare.extend(l.next()),
                (None, Some(_)) => spare.extend(r.next()),
                (None, None) => break,
            }
        }
        values.copy_from_slice(spare);
        found
    }
    sort(&mut order.to_vec(), &mut Vec::with_capacity(order.len()))
}

/// Kendall's rank correlation of an order with 0, 1, 2, …: τ = 1 − 4·inversions / (n·(n − 1)) (Kendall,
/// *Biometrika* 30, 1938), 1 for the same order, −1 for the reverse. 1 for fewer than two items.
///
/// ```
/// assert_eq!(canard::stats::kendall_tau(&[0, 1, 2]), 1.0);
/// assert_eq!(canard::stats::kendall_tau(&[2, 1, 0]), -1.0);
/// ```
pub fn kendall_tau(order: &[usize]) -> f64 {
    let n = order.len() as f64;
    if order.len() < 2 { 1.0 } else { 1.0 - 4.0 * inversions(order) as f64 / (n * (n - 1.0)) }
}

/// What a gain at a place (from 0) counts: 1 / log₂(place + 2).
pub fn discount(place: usize) -> f64 {
    1.0 / (place as f64 + 2.0).log2()
}

/// Discounted cumulative gain with linear gains, Σ gainᵢ / log₂(i + 2) over places i from 0 (Järvelin and
/// Kekäläinen, *ACM TOIS* 20, 2002, with the discount from the first place on).
pub fn dcg(gains: &[f64]) -> f64 {
    gains.iter().enumerate().map(|(place, gain)| gain * discount(place)).sum()
}

/// DCG as a share of that of the best order of the same gains; `None` when no gain is above zero, or one is
/// below it.
///
/// ```
/// assert_eq!(canard::stats::ndcg(&[3.0, 2.0, 1.0]), Some(1.0));
/// assert!((canard::stats::ndcg(&[0.0, 1.0]).unwrap() - 0.6309).abs() < 1e-4);
/// ```
pub fn ndcg(gains: &[f64]) -> Option<f64> {
    if gains.iter().any(|gain| !gain.is_finite() || *gain < 0.0) {
        return None;
    }
    let mut best = gains.to_vec();
    best.sort_unstable_by(|a, b| b.total_cmp(a));
    let ideal = dcg(&best);
    (ideal > 0.0).then(|| dcg(gains) / ideal)
}

/// Cosine of the angle between two vectors; `None` when one of them has no length, or not the same dimension.
///
/// ```
/// assert_eq!(canard::stats::cosine(&[1.0, 0.0], &[0.0, 2.0]), Some(0.0));
/// ```
pub fn cosine(a: &[f64], b: &[f64]) -> Option<f64> {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let lengths = (dot(a, a) * dot(b, b)).sqrt();
    (a.len() == b.len() && lengths > 0.0).then(|| dot(a, b) / lengths)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn inversions_are_the_pairs_out_of_order(order in prop::collection::vec(0_usize..20, 0..40)) {
            let pairs = (0..order.len()).flat_map(|i| (0..i).map(move |j| (j, i)));
            let slow = pairs.filter(|(a, b)| order[*a] > order[*b]).count();
            prop_assert_eq!(inversions(&order), slow as u64);
        }
    }

    #[test]
    fn known_values() {
        assert_eq!(kendall_tau(&[]), 1.0);
        // scipy.stats.kendalltau([0, 1, 2, 3], [0, 2, 1, 3]): 2/3.
        assert!((kendall_tau(&[0, 2, 1, 3]) - 2.0 / 3.0).abs() < 1e-12);
        // sklearn.metrics.ndcg_score([[1, 2, 3]], [[3, 2, 1]]): the gains stand as 1, 2, 3.
        assert!((ndcg(&[1.0, 2.0, 3.0]).unwrap() - 0.790_001_884).abs() < 1e-4);
        assert_eq!(ndcg(&[0.0, 0.0]), None);
        assert_eq!(ndcg(&[1.0, -1.0]), None);
        assert_eq!(cosine(&[1.0], &[1.0, 2.0]), None);
        assert_eq!(cosine(&[0.0], &[1.0]), None);
        assert!((cosine(&[1.0, 1.0], &[1.0, 0.0]).unwrap() - 0.5_f64.sqrt()).abs() < 1e-12);
    }
}
