//! Is there enough traffic to see it? Power and size of the tests that a sound monitor, or a sceptic, could use.
//!
//! Each formula is for two groups of any sizes and agrees with R's for groups of one size (`power.prop.test`,
//! `power.t.test`, both not `strict`, and `pwr.chisq.test`). Sizes are not rounded up, as in R.

use super::{
    homogeneity::{chi_squared_above, kolmogorov_above},
    noncentral::{chi_squared_below, normal_below},
    normal_quantile,
    root::{beyond, boundary},
    student::{t_above, t_below},
};

/// Whether a test looks for a change in one direction or in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sides {
    /// In one.
    One,
    /// In both.
    Two,
}

impl Sides {
    fn tail(self, alpha: f64) -> f64 {
        match self {
            Sides::One => alpha,
            Sides::Two => alpha / 2.0,
        }
    }
}

/// What sets two groups apart, by the test that is to see it.
#[derive(Debug, Clone, PartialEq)]
pub enum Contrast {
    /// Two shares, by the normal test of proportions with a pooled variance under "no difference" (Fleiss, Levin and
    /// Paik, *Statistical Methods for Rates and Proportions*, 2003, eq. 4.14 without continuity correction).
    Shares {
        /// Of the first group, 0 to 1.
        first: f64,
        /// Of the second.
        second: f64,
        /// Directions.
        sides: Sides,
    },
    /// Two means of one spread, by Student's t test (Cohen, *Statistical Power Analysis*, 1988, ch. 2). The chance
    /// to be significant in the wrong direction does not count.
    Means {
        /// Difference of the means.
        difference: f64,
        /// Standard deviation in each group.
        deviation: f64,
        /// Directions.
        sides: Sides,
    },
    /// Two mixes of categories, by the χ² test of homogeneity (Cohen 1988, ch. 7: noncentrality N·w²).
    Mixes {
        /// Share of each category in the first group.
        first: Vec<f64>,
        /// In the second.
        second: Vec<f64>,
    },
    /// Two distributions whose functions are so far apart at most (0 to 1), by the test of Kolmogorov and Smirnov.
    /// A lower bound of its power: that of the gap at its widest place (Massey, *Annals of Mathematical Statistics*
    /// 21, 1950), so budgets err towards more.
    Distributions {
        /// The largest gap.
        distance: f64,
    },
}

impl Contrast {
    /// The probability that the test finds a difference at level `alpha` with groups of these sizes; `None` where
    /// there is no such test: empty groups, shares outside 0 to 1, no spread.
    ///
    /// ```
    /// use canard::stats::{Contrast, Sides};
    /// // power.prop.test(n = 50, p1 = .50, p2 = .75) in R: power = 0.7401659.
    /// let halves = Contrast::Shares { first: 0.50, second: 0.75, sides: Sides::Two };
    /// assert!((halves.power((50.0, 50.0), 0.05).unwrap() - 0.740_165_9).abs() < 1e-7);
    /// ```
    pub fn power(&self, (n, m): (f64, f64), alpha: f64) -> Option<f64> {
        let share = |p: f64| (0.0..=1.0).contains(&p);
        let usable = n > 0.0 && m > 0.0 && alpha > 0.0 && alpha < 1.0;
        usable.then_some(())?;
        let each = 1.0 / n + 1.0 / m;
        match self {
            Contrast::Shares { first, second, sides } => {
                let pooled = (n * first + m * second) / (n + m);
                let null = (pooled * (1.0 - pooled) * each).sqrt();
                let real = (first * (1.0 - first) / n + second * (1.0 - second) / m).sqrt();
                let z = -normal_quantile(sides.tail(alpha));
                let over = (first - second).abs() - z * null;
                // Shares of 0 and 1 have no spread: the difference is certain to be what it is.
                let certain = if over > 0.0 { 1.0 } else { 0.0 };
                (share(*first) && share(*second))
                    .then(|| if real > 0.0 { normal_below(over / real) } else { certain })
            }
            Contrast::Means { difference, deviation, sides } => {
                let freedom = n + m - 2.0;
                (*deviation > 0.0 && freedom > 0.0).then_some(())?;
                let noncentrality = difference.abs() / deviation / each.sqrt();
                Some(1.0 - t_below(t_above(sides.tail(alpha), freedom)?, freedom, noncentrality))
            }
            Contrast::Mixes { first, second } => {
                let noncentrality = (n + m) * squared_effect(first, second, n / (n + m))?;
                let freedom = first.len().checked_sub(1).filter(|freedom| *freedom > 0)? as f64;
                Some(1.0 - chi_squared_below(critical(freedom, alpha)?, freedom, noncentrality))
            }
            Contrast::Distributions { distance } => {
                let critical = boundary(0.0, 20.0, |lambda| kolmogorov_above(lambda) > alpha);
                let over = distance / each.sqrt() - critical;
                // One half is the most that the deviation can be: a bound above the middle, and none below it.
                share(*distance).then(|| if over > 0.0 { normal_below(over / 0.5) } else { 0.0 })
            }
        }
    }

    /// The sizes of both groups from which on the test finds the difference with probability `power`, where the second
    /// has `ratio` times as many as the first; at least 2 in each. `None` when no size does, or there is no such test.
    ///
    /// ```
    /// use canard::stats::{Contrast, Sides};
    /// // power.prop.test(p1 = .50, p2 = .75, power = .90, tol = 1e-12) in R: n = 76.70693 in each group.
    /// let halves = Contrast::Shares { first: 0.50, second: 0.75, sides: Sides::Two };
    /// let (n, m) = halves.needed(0.05, 0.9, 1.0).unwrap();
    /// assert!((n - 76.706_93).abs() < 1e-5 && n == m);
    /// ```
    pub fn needed(&self, alpha: f64, power: f64, ratio: f64) -> Option<(f64, f64)> {
        (ratio > 0.0 && ratio.is_finite() && power > 0.0 && power < 1.0).then_some(())?;
        let fewest = FEWEST / ratio.min(1.0);
        self.power((fewest, fewest * ratio), alpha)?;
        let before = |n: f64| self.power((n, n * ratio), alpha).unwrap_or(0.0) < power;
        if !before(fewest) {
            return Some((fewest, fewest * ratio));
        }
        let most = beyond(fewest, before).filter(|most| *most < MOST)?;
        let n = boundary(fewest, most, before);
        Some((n, n * ratio))
    }

    /// The size of the first group from which on the test finds the difference with probability `power` beside a second
    /// of this size, at least 2. `None` when no size does: the second is too small, or nothing differs.
    ///
    /// ```
    /// use canard::stats::{Contrast, Sides};
    /// let halves = Contrast::Shares { first: 0.50, second: 0.75, sides: Sides::Two };
    /// assert!(halves.needed_beside(0.05, 0.9, 1000.0).unwrap() < 76.7);
    /// assert!(halves.needed_beside(0.05, 0.9, 20.0).is_none());
    /// ```
    pub fn needed_beside(&self, alpha: f64, power: f64, second: f64) -> Option<f64> {
        let before = |n: f64| self.power((n, second), alpha).is_none_or(|found| found < power);
        if !before(FEWEST) {
            return Some(FEWEST);
        }
        let most = beyond(FEWEST, before).filter(|most| *most < MOST)?;
        Some(boundary(FEWEST, most, before))
    }
}

/// A test that needs more than this is no test of any traffic.
const MOST: f64 = 1e15;
/// Fewer have no spread.
const FEWEST: f64 = 2.0;

/// Cohen's w²: Σ (p − p₀)² / p₀ over the cells of both groups, the first having `part` of all.
fn squared_effect(first: &[f64], second: &[f64], part: f64) -> Option<f64> {
    let whole = |shares: &[f64]| {
        shares.iter().all(|share| *share >= 0.0) && (shares.iter().sum::<f64>() - 1.0).abs() < 1e-6
    };
    (first.len() == second.len() && whole(first) && whole(second)).then_some(())?;
    let cell = |(p, q): (&f64, &f64)| {
        let both = part * p + (1.0 - part) * q;
        let off = |share: f64, of: f64| of * (share - both).powi(2) / both;
        if both > 0.0 { off(*p, part) + off(*q, 1.0 - part) } else { 0.0 }
    };
    Some(first.iter().zip(second).map(cell).sum())
}

fn critical(freedom: f64, alpha: f64) -> Option<f64> {
    let before = |x: f64| chi_squared_above(x, freedom) > alpha;
    Some(boundary(0.0, beyond(freedom, before)?, before))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::stats::vectors::{assert_near, cases};

    #[derive(Deserialize)]
    struct Case {
        #[serde(default)]
        first: Vec<f64>,
        #[serde(default)]
        second: Vec<f64>,
        #[serde(default)]
        p: (f64, f64),
        #[serde(default)]
        difference: f64,
        #[serde(default)]
        deviation: f64,
        #[serde(default)]
        one_sided: bool,
        alpha: f64,
        n: (f64, f64),
        power: f64,
        /// The size was asked for too, not only the power.
        solved: bool,
    }

    fn agree(kind: &str, contrast: impl Fn(&Case) -> Contrast) {
        for case in cases::<Case>("power", kind) {
            let contrast = contrast(&case);
            let what = format!("{contrast:?} {:?}", case.n);
            assert_near(contrast.power(case.n, case.alpha).unwrap(), case.power, 1e-6, &what);
            if case.solved {
                let (n, m) = contrast.needed(case.alpha, case.power, case.n.1 / case.n.0).unwrap();
                assert_near(n, case.n.0, 1e-6, &what);
                assert_near(m, case.n.1, 1e-6, &what);
            }
        }
    }

    fn sides(case: &Case) -> Sides {
        if case.one_sided { Sides::One } else { Sides::Two }
    }

    #[test]
    fn power_and_sizes_as_in_r() {
        agree("shares", |case| Contrast::Shares { first: case.p.0, second: case.p.1, sides: sides(case) });
        agree("means", |case| Contrast::Means {
            difference: case.difference,
            deviation: case.deviation,
            sides: sides(case),
        });
        agree("mixes", |case| Contrast::Mixes { first: case.first.clone(), second: case.second.clone() });
    }

    #[test]
    fn the_table_of_accuracy_drops() {
        // One-sided α = .05, power .9, base accuracy .9: one sample against a known share needs about half of that.
        for (drop, fewest, most) in [(0.02, 4_000.0, 4_500.0), (0.05, 700.0, 800.0), (0.10, 210.0, 230.0)] {
            let contrast = Contrast::Shares { first: 0.9, second: 0.9 - drop, sides: Sides::One };
            let (n, _) = contrast.needed(0.05, 0.9, 1.0).unwrap();
            assert!(n > fewest && n < most, "{drop}: {n}");
        }
    }

    #[test]
    fn no_effect_needs_no_end_of_traffic() {
        let none = Contrast::Shares { first: 0.1, second: 0.1, sides: Sides::Two };
        assert_eq!(none.needed(0.05, 0.9, 1.0), None);
        assert_eq!(Contrast::Distributions { distance: 0.0 }.needed(0.05, 0.9, 1.0), None);
        assert_eq!(none.power((0.0, 5.0), 0.05), None);
        let wrong = Contrast::Mixes { first: vec![0.5, 0.4], second: vec![0.5, 0.5] };
        assert_eq!(wrong.power((50.0, 50.0), 0.05), None);
        let flat = Contrast::Means { difference: 1.0, deviation: 0.0, sides: Sides::Two };
        assert_eq!(flat.needed(0.05, 0.9, 1.0), None);
        let all = Contrast::Shares { first: 0.0, second: 1.0, sides: Sides::Two };
        assert!(all.needed(0.05, 0.9, 0.25).unwrap().0 < 20.0);
    }
}
