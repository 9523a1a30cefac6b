//! How far an edit moved the lists and vectors that it was shown: 1 − Kendall's τ of a list's order with the one
//! before, 1 − the cosine of a vector with the one before. 0 is as it was, 2 the reverse.

use std::collections::{HashMap, VecDeque};

use crate::{
    stats::{cosine, kendall_tau},
    wire::{Answer, Content, Row, Value},
};

/// What a fault was shown.
#[derive(Debug)]
pub(super) enum Before {
    /// The row at each place of a list.
    Order(Vec<usize>),
    Vectors(Vec<Row>),
    Other,
}

impl Before {
    pub(super) fn of(answer: &Answer) -> Before {
        match answer.content {
            Content::Ranking => Before::Order(places(answer)),
            Content::Embeddings => Before::Vectors(answer.rows.clone()),
            _ => Before::Other,
        }
    }

    /// How far all lists or vectors moved together, and how many of them there are. A list that lost or gained items
    /// has no τ.
    pub(super) fn moved(&self, after: &Answer) -> (f64, usize) {
        match self {
            Before::Order(before) => match permutation(before, &places(after)) {
                Some(order) => (1.0 - kendall_tau(&order), 1),
                None => (0.0, 0),
            },
            Before::Vectors(before) => {
                let apart = before.iter().zip(&after.rows).filter_map(|(before, after)| {
                    Some((1.0 - cosine(&vector(before)?, &vector(after)?)?).max(0.0))
                });
                apart.fold((0.0, 0), |(sum, n), apart| (sum + apart, n + 1))
            }
            Before::Other => (0.0, 0),
        }
    }
}

fn places(answer: &Answer) -> Vec<usize> {
    answer.order.clone().unwrap_or_else(|| (0..answer.rows.len()).collect())
}

/// The places that the rows had before, in the order after; `None` where they are not the same rows. A row that is there
/// twice keeps the order of its places.
fn permutation(before: &[usize], after: &[usize]) -> Option<Vec<usize>> {
    let mut places: HashMap<usize, VecDeque<usize>> = HashMap::new();
    for (at, row) in before.iter().enumerate() {
        places.entry(*row).or_default().push_back(at);
    }
    let order: Option<Vec<usize>> = after.iter().map(|row| places.get_mut(row)?.pop_front()).collect();
    order.filter(|order| order.len() == before.len())
}

fn vector(row: &Row) -> Option<Vec<f64>> {
    row.scores.iter().map(Value::as_f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(content: Content, vectors: &[&[f64]]) -> Answer {
        let row =
            |vector: &&[f64]| Row { label: None, scores: vector.iter().copied().map(Value::Float).collect() };
        let rows = vectors.iter().map(row).collect();
        Answer { content, ..Answer::of_rows(rows) }
    }

    #[test]
    fn lists_move_by_their_order_and_vectors_by_their_angle() {
        let list = answer(Content::Ranking, &[&[0.9], &[0.5], &[0.1]]);
        let ordered = |order: &[usize]| Answer { order: Some(order.to_vec()), ..list.clone() };
        let before = Before::of(&list);
        assert_eq!(before.moved(&list), (0.0, 1));
        assert_eq!(before.moved(&ordered(&[2, 1, 0])), (2.0, 1));
        assert_eq!(Before::of(&ordered(&[2, 1, 0])).moved(&ordered(&[2, 1, 0])), (0.0, 1));
        // What another fault dropped or told twice before is no reason not to measure.
        assert_eq!(Before::of(&ordered(&[2, 0])).moved(&ordered(&[0, 2])), (2.0, 1));
        assert_eq!(Before::of(&ordered(&[0, 0, 1])).moved(&ordered(&[0, 0, 1])), (0.0, 1));
        assert_eq!(Before::of(&ordered(&[0, 0, 1])).moved(&ordered(&[1, 0, 0])), (1.0 + 1.0 / 3.0, 1));
        for other in [&[0, 1][..], &[0, 1, 1], &[0, 1, 2, 2]] {
            assert_eq!(before.moved(&ordered(other)), (0.0, 0), "{other:?} is another list");
        }
        let before = Before::of(&answer(Content::Embeddings, &[&[1.0, 0.0], &[0.0, 2.0], &[0.0, 0.0]]));
        let after = answer(Content::Embeddings, &[&[0.0, 3.0], &[0.0, 1.0], &[0.0, 0.0]]);
        assert_eq!(before.moved(&after), (1.0, 2), "a vector without length points nowhere");
        assert_eq!(Before::of(&answer(Content::Predictions, &[&[1.0]])).moved(&after), (0.0, 0));
    }
}
