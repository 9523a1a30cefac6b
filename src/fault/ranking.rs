//! What the faults on ranked lists share: which row stands at which place.
//!
//! A fault moves items; the scores of a ranking stay with the places (the list stays sorted by score), so that
//! a caller who sorts again gets the same wrong order. Several faults act one after another on the places as
//! they are.

use super::{EditContext, Fault};
use crate::wire::Answer;

/// Longer lists are left alone, as `too-large`.
pub(super) const MOST_ITEMS: usize = 1000;

/// The row at each place.
pub(super) fn places(answer: &Answer) -> Vec<usize> {
    answer.order.clone().unwrap_or_else(|| (0..answer.rows.len()).collect())
}

/// Puts other rows at the places; returns at how many places, of the longer list, another row stands.
pub(super) fn put(answer: &mut Answer, new: Vec<usize>) -> usize {
    let old = places(answer);
    let common = old.iter().zip(&new).filter(|(old, new)| old != new).count();
    let changed = common + old.len().abs_diff(new.len());
    if changed > 0 {
        answer.order = Some(new);
    }
    changed
}

/// Does the fault act on this list, which is one answer to one question?
pub(super) fn is_chosen(context: &EditContext<'_>, rate: crate::unit::Share) -> bool {
    context.only.contains(0) && context.dice.at(super::purpose::ACT, context.index(0)).within(rate)
}

/// Why a fault that gives a list another order can't act with another such.
pub(super) fn excludes(other: &Fault) -> Option<&'static str> {
    matches!(other, Fault::RankSwap(_) | Fault::RankPush(_))
        .then_some("both decide the order of the same list, so the first would not reach its size")
}
