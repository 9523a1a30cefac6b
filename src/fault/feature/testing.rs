//! What the tests of the faults on requests share: generated traffic, and what comes of it.

use crate::{
    fault::{
        Behaviour, CheckContext, EditContext, Edited, Fault, Memory,
        testing::{BATCH, dice},
    },
    wire::{Answer, Content, Labels, Protocol, Row, Value},
};

pub(in crate::fault) fn features(names: &[&str], rows: impl IntoIterator<Item = Vec<f64>>) -> Answer {
    let row = |cells: Vec<f64>| Row { label: None, scores: cells.into_iter().map(Value::Float).collect() };
    Answer {
        content: Content::Features,
        columns: names.iter().map(|name| (*name).to_owned()).collect(),
        ..Answer::of_rows(rows.into_iter().map(row).collect())
    }
}

pub(in crate::fault) fn texts(column: &str, cells: impl IntoIterator<Item = String>) -> Answer {
    let row = |cell: String| Row { label: None, scores: vec![Value::Text(cell)] };
    let rows = cells.into_iter().map(row).collect();
    Answer { content: Content::Features, columns: vec![column.to_owned()], ..Answer::of_rows(rows) }
}

/// The numbers of a column; what is none is not-a-number.
pub(in crate::fault) fn numbers(features: &Answer, column: usize) -> Vec<f64> {
    features.rows.iter().map(|row| row.scores[column].as_f64().unwrap_or(f64::NAN)).collect()
}

/// Amends rows in batches, each another request under one memory; sums up what was said to change.
pub(in crate::fault) fn amend(
    fault: &dyn Behaviour,
    features: &mut Answer,
    seed: u64,
    intensity: f64,
) -> Edited {
    amend_with(fault, features, seed, intensity, &fault.memory())
}

pub(in crate::fault) fn amend_with(
    fault: &dyn Behaviour,
    features: &mut Answer,
    seed: u64,
    intensity: f64,
    memory: &Memory,
) -> Edited {
    let labels = Labels::default();
    let rows = std::mem::take(&mut features.rows);
    let empty = features.clone();
    let mut sum = Edited::default();
    for (request, batch) in rows.chunks(BATCH).enumerate() {
        let context = EditContext::new(dice(seed, request as u64), intensity, &labels, memory);
        let mut one = Answer { rows: batch.to_vec(), ..empty.clone() };
        let edited = fault.amend(&mut one, &context);
        sum.changed += edited.changed;
        sum.unfit = sum.unfit.or(edited.unfit);
        features.rows.append(&mut one.rows);
    }
    sum
}

/// A ranked list with these scores, of items `item 0`, `item 1`, …
pub(in crate::fault) fn list(scores: &[f64]) -> Answer {
    let row = |(i, score): (usize, &f64)| Row {
        label: Some(Value::Text(format!("item {i}"))),
        scores: vec![Value::Float(*score)],
    };
    Answer { content: Content::Ranking, ..Answer::of_rows(scores.iter().enumerate().map(row).collect()) }
}

/// Vectors that point anywhere, of any length.
pub(in crate::fault) fn vectors(seed: u64, count: usize, dimension: usize) -> Answer {
    let row = |i: usize| {
        let vector = crate::fault::embedding::direction(dice(seed, i as u64), dimension);
        Row { label: None, scores: vector.into_iter().map(Value::Float).collect() }
    };
    Answer { content: Content::Embeddings, ..Answer::of_rows((0..count).map(row).collect()) }
}

/// Edits the answer to one of many requests.
pub(in crate::fault) fn edit_list(
    fault: &dyn Behaviour,
    answer: &mut Answer,
    seed: u64,
    request: u64,
    intensity: f64,
) -> Edited {
    let (labels, memory) = (Labels::default(), fault.memory());
    fault.edit(answer, &EditContext::new(dice(seed, request), intensity, &labels, &memory))
}

/// The page of a fault on what only some protocols carry: like `assert_page`, for any target.
pub(in crate::fault) fn assert_listed(name: &str) {
    #[derive(serde::Deserialize)]
    struct Injection {
        fault: Fault,
    }
    let entry = Fault::catalogue().into_iter().find(|entry| entry.name == name).unwrap();
    let injections: Vec<Injection> = serde_saphyr::from_str(entry.example).unwrap();
    for Injection { fault } in injections {
        assert_eq!(fault.name(), name);
        let target = CheckContext { protocol: &Protocol::Http, labels: &Labels::default() };
        assert_eq!(fault.behaviour().check(&target), []);
        let sent = serde_json::to_string(&fault).unwrap();
        assert_eq!(serde_json::from_str::<Fault>(&sent).unwrap(), fault);
    }
    assert!(!entry.parameters.is_empty());
}

/// Why two faults exclude each other.
pub(in crate::fault) fn exclusion(one: &str, other: &str) -> Option<&'static str> {
    let [one, other] = [one, other].map(|yaml| crate::fault::testing::parse(yaml).unwrap());
    one.behaviour().excludes(&other).or_else(|| other.behaviour().excludes(&one))
}
