//! What the faults on embeddings share: vectors in and out of rows, and directions drawn at random.

use super::{
    EditContext, Edited,
    unfit::{NO_VALUE, NOT_A_NUMBER},
};
use crate::{
    draw::{Dice, UnitHash},
    unit::Share,
    wire::{Answer, Row, Value},
};

/// The vector of a row.
pub(super) fn vector(row: &Row) -> Result<Vec<f64>, &'static str> {
    if row.scores.is_empty() {
        return Err(NO_VALUE);
    }
    let numbers = row.scores.iter().map(|x| x.as_f64().filter(|x| x.is_finite()));
    numbers.collect::<Option<Vec<f64>>>().ok_or(NOT_A_NUMBER)
}

/// Gives a row another vector; `false` if it is the same.
pub(super) fn put(row: &mut Row, vector: Vec<f64>) -> bool {
    let new: Vec<Value> = vector.into_iter().map(Value::Float).collect();
    let changes = new.len() != row.scores.len()
        || new.iter().zip(&row.scores).any(|(new, old)| new.as_f64() != old.as_f64());
    if changes {
        row.scores = new;
    }
    changes
}

/// Lets `change` have each vector that `rate` admits, with dice of its own.
pub(super) fn edit_vectors(
    answer: &mut Answer,
    rate: Share,
    context: &EditContext<'_>,
    mut change: impl FnMut(&[f64], Dice) -> Result<Vec<f64>, &'static str>,
) -> Edited {
    let chosen = context.chosen(rate, &mut answer.rows).map(|(index, row)| {
        let draw = context.dice.at(super::purpose::SIZE, index);
        let changed = change(&vector(row)?, context.dice.of(UnitHash::from_u64(draw.bits())))?;
        Ok(put(row, changed))
    });
    chosen.collect()
}

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

pub(super) fn norm(vector: &[f64]) -> f64 {
    dot(vector, vector).sqrt()
}

/// A vector that points anywhere, all directions alike: normal coordinates (Muller, *Communications of the
/// ACM* 2, 1959), two from two draws (Box and Muller, *Annals of Mathematical Statistics* 29, 1958).
pub(super) fn direction(dice: Dice, dimension: usize) -> Vec<f64> {
    let pair = |i: u32| {
        let [u, v] = [2 * i, 2 * i + 1].map(|index| dice.at(super::purpose::SIZE, index).uniform());
        let (radius, angle) = ((-2.0 * u.ln()).sqrt(), std::f64::consts::TAU * v);
        [radius * angle.cos(), radius * angle.sin()]
    };
    (0..).flat_map(pair).take(dimension).collect()
}
