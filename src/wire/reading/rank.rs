//! Rankings stay sorted: an item whose score was edited moves to where it now belongs.
//!
//! Servers sort their answers downward and clients rely on it, so an edit of a score alone would be a wrong
//! order that no fault named. A fault that wants one gives an order; then too each place keeps its score.

use std::cmp::Ordering;

use super::Reading;
use crate::wire::{Answer, Content, Row, Value};

impl Reading {
    /// The edited answer in the order of its scores; `None` if it is no ranking, or is in order.
    pub(super) fn ranked(&self, edited: &Answer) -> Option<Answer> {
        let is_list = self.content == Content::Ranking && edited.rows.len() == self.rows.len();
        if !is_list
            || self.items.len() != self.rows.len()
            || !is_sorted(&self.rows)
            || is_sorted(&edited.rows)
        {
            return None;
        }
        let mut order: Vec<usize> = (0..edited.rows.len()).collect();
        order.sort_by(|a, b| downward(&edited.rows[*a], &edited.rows[*b]));
        let mut ranked = edited.clone();
        for (place, row) in order.iter().enumerate() {
            ranked.rows[place].scores.clone_from(&edited.rows[*row].scores);
        }
        ranked.order.get_or_insert(order);
        Some(ranked)
    }
}

fn is_sorted(rows: &[Row]) -> bool {
    rows.is_sorted_by(|a, b| downward(a, b).is_le())
}

/// The higher score first; what is no number last.
fn downward(a: &Row, b: &Row) -> Ordering {
    let score = |row: &Row| row.scores.first().and_then(Value::as_f64).filter(|score| !score.is_nan());
    let score = |row| score(row).unwrap_or(f64::NEG_INFINITY);
    score(b).total_cmp(&score(a))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::{Outputs, Protocol, WireError, testing::at};

    const BODY: &str = r#"{"id":"a", "results": [ {"index":2,"relevance_score":0.90}, {"relevance_score":0.5,"index":0}, {"index":1,"relevance_score":1e-1} ],"meta":{}}"#;

    fn edit(change: impl Fn(&mut Answer)) -> Result<String, WireError> {
        let codec = Protocol::Cohere.codec(&Outputs::default());
        let reading = codec.read(at("/v2/rerank"), BODY.as_bytes()).unwrap();
        let mut answer = reading.answer();
        change(&mut answer);
        let spliced = reading.splice(BODY.as_bytes(), &answer)?;
        Ok(spliced.map_or(BODY.to_owned(), |spliced| String::from_utf8(spliced.body).unwrap()))
    }

    #[test]
    fn a_place_keeps_its_score_and_items_change_places() {
        let swapped = edit(|answer| answer.order = Some(vec![1, 0, 2])).unwrap();
        let list = r#"[ {"relevance_score":0.90,"index":0}, {"index":2,"relevance_score":0.5}, {"index":1,"relevance_score":1e-1} ]"#;
        assert!(swapped.contains(list), "{swapped}");
        assert_eq!(edit(|answer| answer.order = Some(vec![0, 1, 2])).unwrap(), BODY);
    }

    #[test]
    fn items_may_be_dropped_and_come_twice() {
        let fewer = edit(|answer| answer.order = Some(vec![2])).unwrap();
        assert!(fewer.contains(r#"[ {"index":1,"relevance_score":0.90} ]"#), "{fewer}");
        let twice = edit(|answer| answer.order = Some(vec![0, 1, 2, 0])).unwrap();
        assert_eq!((twice.matches(r#""index":2"#).count(), twice.matches("1e-1").count()), (2, 2));
        assert!(edit(|answer| answer.order = Some(vec![])).unwrap().contains("[  ]"));
        assert!(edit(|answer| answer.order = Some(vec![3])).is_err());
    }

    #[test]
    fn an_edited_score_moves_its_item() {
        let moved = edit(|answer| answer.rows[2].scores[0] = Value::Float(0.7)).unwrap();
        let list = r#"[ {"index":2,"relevance_score":0.90}, {"index":1,"relevance_score":0.7}, {"relevance_score":0.5,"index":0} ]"#;
        assert!(moved.contains(list), "{moved}");
        let stays = edit(|answer| answer.rows[2].scores[0] = Value::Float(0.4)).unwrap();
        assert_eq!(stays, BODY.replace("1e-1", "0.4"));
    }

    proptest! {
        #[test]
        fn a_sorted_list_stays_sorted(
            scores in prop::collection::vec(0.0..1.0, 3),
            order in prop::option::of(prop::collection::vec(0_usize..3, 0..5)),
        ) {
            let edited = edit(|answer| {
                for (row, score) in answer.rows.iter_mut().zip(&scores) {
                    row.scores[0] = Value::Float(*score);
                }
                answer.order.clone_from(&order);
            });
            let body: serde_json::Value = serde_json::from_str(&edited.unwrap()).unwrap();
            let items = body["results"].as_array().unwrap();
            let numbers: Vec<f64> = items.iter().map(|item| item["relevance_score"].as_f64().unwrap()).collect();
            prop_assert!(numbers.is_sorted_by(|a, b| a >= b), "{}", body);
            let ids: Vec<u64> = items.iter().map(|item| item["index"].as_u64().unwrap()).collect();
            if let Some(order) = order {
                prop_assert_eq!(ids, order.iter().map(|row| [2, 0, 1][*row]).collect::<Vec<u64>>());
            }
        }
    }
}
