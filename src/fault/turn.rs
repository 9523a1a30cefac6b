//! Turn: a row-stochastic matrix that tells predictions of one class as others.
//!
//! Whether a prediction of class i is told anew is the draw `ACT` against 1 − T_ii, and what it is told as is the draw
//! `SIZE`: the first other class in the order of the names (as bytes) at which the cumulated share passes
//! `uniform · (1 − T_ii)`. So a ramp only adds to the rows that change.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    EditContext,
    prediction::{Place, can_tell, relabel},
    purpose,
    unfit::UNKNOWN_CLASS,
};
use crate::{
    unit::Share,
    wire::{Labels, Row},
};

/// What may be lost to rounding in an entry of T, and the least pivot that is no zero.
const ROUNDING: f64 = 1e-6;

/// For each class the shares of the *other* classes that it is told as.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Turn(BTreeMap<String, BTreeMap<String, f64>>);

/// Why there is no such matrix.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Unturnable {
    Singular,
    Impossible { from: String, to: String, share: f64 },
}

impl Turn {
    /// From the shares in which each class is told as others; what is left stays.
    pub(super) fn new(shares: impl IntoIterator<Item = (String, Vec<(String, f64)>)>) -> Turn {
        let row = |(class, row): (String, Vec<(String, f64)>)| {
            let others = row.into_iter().filter(|(to, share)| *to != class && *share > 0.0).collect();
            (class, others)
        };
        Turn(shares.into_iter().map(row).collect())
    }

    /// T with C·T = C′, if there is one that is row-stochastic.
    pub(super) fn between(
        now: &BTreeMap<String, BTreeMap<String, Share>>,
        wanted: &BTreeMap<String, BTreeMap<String, Share>>,
    ) -> Result<Turn, Unturnable> {
        let classes: BTreeSet<&String> = now.keys().chain(wanted.keys()).collect();
        let classes: Vec<&String> = classes.into_iter().collect();
        let matrix = |of: &BTreeMap<String, BTreeMap<String, Share>>| -> Vec<Vec<f64>> {
            let share =
                |i: &String, j: &String| of.get(i).and_then(|row| row.get(j)).map_or(0.0, |s| s.fraction());
            classes.iter().map(|i| classes.iter().map(|j| share(i, j)).collect()).collect()
        };
        let turn = solve(matrix(now), matrix(wanted)).ok_or(Unturnable::Singular)?;
        for (i, row) in turn.iter().enumerate() {
            let least = row.iter().enumerate().min_by(|(_, a), (_, b)| a.total_cmp(b));
            // Rows of T add up to 1, as those of both matrices do: one above 1 comes with one below 0.
            if let Some((j, share)) = least.filter(|(_, share)| **share < -ROUNDING) {
                let (from, to) = (classes[i].clone(), classes[j].clone());
                return Err(Unturnable::Impossible { from, to, share: *share });
            }
        }
        let named = |row: Vec<f64>| {
            let shares = row.into_iter().map(|share| if share < ROUNDING { 0.0 } else { share.min(1.0) });
            classes.iter().map(|class| (*class).clone()).zip(shares).collect::<Vec<_>>()
        };
        Ok(Turn::new(classes.iter().map(|class| (*class).clone()).zip(turn.into_iter().map(named))))
    }

    /// The share told anew of the class that changes most.
    pub(super) fn most(&self) -> Share {
        let moved = self.0.values().map(|row| row.values().sum::<f64>());
        Share::new(moved.fold(0.0, f64::max).min(1.0)).unwrap_or(Share::ALL)
    }

    /// Tells a row as another class, as its draws say.
    pub(super) fn tell(
        &self,
        row: &mut Row,
        place: Place,
        context: &EditContext<'_>,
    ) -> Result<bool, &'static str> {
        let labels: &Labels = context.labels;
        let class = labels.of(row).map(|class| class.into_owned());
        let Some(others) = class.as_ref().and_then(|class| self.0.get(class)) else {
            let any = self.0.keys().any(|name| can_tell(row, name, labels));
            let knows = class.is_some() && any;
            return if knows || !place.acts(self.most().scaled(context.intensity)) {
                Ok(false)
            } else {
                Err(UNKNOWN_CLASS)
            };
        };
        let moved = others.values().sum::<f64>().min(1.0);
        if !place.acts(Share::new(moved * context.intensity).unwrap_or(Share::NONE)) {
            return Ok(false);
        }
        let point = place.draw(purpose::SIZE).uniform() * moved;
        let to = pick(others.iter().map(|(name, share)| (name, *share)), point);
        to.map_or(Ok(false), |to| relabel(row, to, context))
    }
}

/// The first name whose cumulated share passes `point`; the last one if rounding leaves `point` beyond them all.
pub(super) fn pick<'a>(shares: impl Iterator<Item = (&'a String, f64)>, point: f64) -> Option<&'a str> {
    let mut passed = 0.0;
    let mut last = None;
    for (name, share) in shares.filter(|(_, share)| *share > 0.0) {
        passed += share;
        last = Some(name.as_str());
        if point < passed {
            break;
        }
    }
    last
}

/// X with A·X = B, by Gauss-Jordan elimination with partial pivoting; `None` where A is singular.
fn solve(mut a: Vec<Vec<f64>>, mut b: Vec<Vec<f64>>) -> Option<Vec<Vec<f64>>> {
    let n = a.len();
    for column in 0..n {
        let pivot = (column..n).max_by(|i, j| a[*i][column].abs().total_cmp(&a[*j][column].abs()))?;
        if a[pivot][column].abs() < ROUNDING {
            return None;
        }
        a.swap(column, pivot);
        b.swap(column, pivot);
        let (pivot_a, pivot_b, by) = (a[column].clone(), b[column].clone(), a[column][column]);
        for i in (0..n).filter(|i| *i != column) {
            let factor = a[i][column] / by;
            a[i].iter_mut().zip(&pivot_a).for_each(|(x, p)| *x -= factor * p);
            b[i].iter_mut().zip(&pivot_b).for_each(|(x, p)| *x -= factor * p);
        }
        a[column].iter_mut().for_each(|x| *x /= by);
        b[column].iter_mut().for_each(|x| *x /= by);
    }
    Some(b)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stochastic(n: usize) -> impl Strategy<Value = Vec<Vec<f64>>> {
        let row = prop::collection::vec(0.01..1.0_f64, n);
        prop::collection::vec(row, n).prop_map(|rows| {
            let normal = |row: Vec<f64>| {
                let total: f64 = row.iter().sum();
                row.into_iter().map(|x| x / total).collect()
            };
            rows.into_iter().map(normal).collect()
        })
    }

    fn product(a: &[Vec<f64>], b: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let entry = |row: &Vec<f64>, j: usize| row.iter().zip(b).map(|(x, y)| x * y[j]).sum();
        a.iter().map(|row| (0..b.len()).map(|j| entry(row, j)).collect()).collect()
    }

    proptest! {
        #[test]
        fn what_is_solved_gives_the_right_side(a in stochastic(4), x in stochastic(4)) {
            // Strong on the diagonal, as the matrix of a model that is of use.
            let a: Vec<Vec<f64>> = a.iter().enumerate().map(|(i, row)| {
                row.iter().enumerate().map(|(j, x)| 0.3 * x + if i == j { 0.7 } else { 0.0 }).collect()
            }).collect();
            let solved = solve(a.clone(), product(&a, &x)).unwrap();
            for (row, right) in solved.iter().zip(&x) {
                prop_assert!(row.iter().zip(right).all(|(s, r)| (s - r).abs() < 1e-9), "{row:?} {right:?}");
            }
        }
    }

    #[test]
    fn mixtures_are_singular() {
        assert_eq!(solve(vec![vec![0.5, 0.5], vec![0.5, 0.5]], vec![vec![1.0, 0.0]; 2]), None);
        assert_eq!(
            solve(vec![vec![0.0, 1.0], vec![1.0, 0.0]], vec![vec![1.0, 0.0], vec![0.0, 1.0]]).unwrap()[0],
            [0.0, 1.0]
        );
    }

    #[test]
    fn picking_passes_the_point() {
        let names = ["a", "b", "c"].map(str::to_owned);
        let shares = || names.iter().zip([0.2, 0.0, 0.3]);
        assert_eq!(pick(shares(), 0.1), Some("a"));
        assert_eq!(pick(shares(), 0.2), Some("c"));
        assert_eq!(pick(shares(), 0.9), Some("c"));
        assert_eq!(pick(std::iter::empty(), 0.1), None);
    }
}
