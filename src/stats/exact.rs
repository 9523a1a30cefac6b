//! Exact intervals of a share and of a rate: never below their level, however few were counted.

use statrs::function::{beta::checked_beta_reg, gamma::checked_gamma_lr};

use super::{
    Interval,
    root::{beyond, boundary},
};

/// A proportion with the exact interval of Clopper and Pearson (*Biometrika* 26, 1934): it covers at least at
/// its level, and is wider than Wilson's ([`proportion`](super::proportion)). `None` without trials, or with more
/// hits than trials.
///
/// ```
/// // binom.test(8, 20)$conf.int in R: 0.1911901, 0.6394574.
/// let p = canard::stats::exact_proportion(8, 20, 0.95).unwrap();
/// assert!((p.low - 0.191_190_1).abs() < 1e-6 && (p.high - 0.639_457_4).abs() < 1e-6);
/// ```
pub fn exact_proportion(hits: u64, n: u64, level: f64) -> Option<Interval> {
    let misses = n.checked_sub(hits).filter(|_| n > 0)?;
    let tail = (1.0 - level) / 2.0;
    let quantile = |a: u64, b: u64, p: f64| {
        boundary(0.0, 1.0, |x| checked_beta_reg(a as f64, b as f64, x).unwrap_or(1.0) < p)
    };
    let low = if hits == 0 { 0.0 } else { quantile(hits, misses + 1, tail) };
    let high = if misses == 0 { 1.0 } else { quantile(hits + 1, misses, 1.0 - tail) };
    Some(Interval { estimate: hits as f64 / n as f64, low, high, level })
}

/// Events per unit of `exposure` (hours, say) with the exact interval of a Poisson count (Garwood, *Biometrika*
/// 28, 1936). `None` when the exposure is not above zero.
///
/// ```
/// // poisson.test(0, 4)$conf.int in R: 0, 0.9222199: no false alarm in four hours may be one an hour.
/// let rate = canard::stats::exact_rate(0, 4.0, 0.95).unwrap();
/// assert!(rate.low == 0.0 && (rate.high - 0.922_219_9).abs() < 1e-6);
/// ```
pub fn exact_rate(events: u64, exposure: f64, level: f64) -> Option<Interval> {
    let tail = (1.0 - level) / 2.0;
    let quantile = |shape: u64, p: f64| {
        let below = |x: f64| checked_gamma_lr(shape as f64, x).unwrap_or(0.0) < p;
        Some(boundary(0.0, beyond(shape as f64, below)?, below))
    };
    (exposure > 0.0 && exposure.is_finite()).then_some(())?;
    let low = if events == 0 { 0.0 } else { quantile(events, tail)? };
    let high = quantile(events.checked_add(1)?, 1.0 - tail)?;
    let per = |count: f64| count / exposure;
    Some(Interval { estimate: per(events as f64), low: per(low), high: per(high), level })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_and_nonsense() {
        assert_eq!(exact_proportion(0, 0, 0.95), None);
        assert_eq!(exact_proportion(3, 2, 0.95), None);
        let none = exact_proportion(0, 20, 0.95).unwrap();
        assert!(none.low == 0.0 && (none.high - (1.0 - 0.025_f64.powf(0.05))).abs() < 1e-12);
        assert_eq!(exact_proportion(20, 20, 0.95).unwrap().high, 1.0);
        assert_eq!(exact_rate(3, 0.0, 0.95), None);
        assert_eq!(exact_rate(3, f64::NAN, 0.95), None);
    }
}
