//! What the tests of the faults on predictions share: many draws, and exact bounds on what they give.

use statrs::distribution::{Binomial, DiscreteCDF};

use super::{Action, Behaviour, CheckContext, Decide, EditContext, Edited, Fault, Problem};
use crate::{
    draw::{Dice, Key, UnitHash},
    wire::{Answer, Labels, Protocol, Row, Value},
};

pub(super) const BATCH: usize = 20;

pub(super) fn iris() -> Labels {
    Labels::new(["setosa", "versicolor", "virginica"].map(str::to_owned))
}

pub(super) fn row(label: impl Into<Option<Value>>, scores: &[f64]) -> Row {
    Row { label: label.into(), scores: scores.iter().copied().map(Value::Float).collect() }
}

pub(super) fn text(name: &str) -> Value {
    Value::Text(name.to_owned())
}

/// Edits `rows` in batches, each the answer to another request; returns how many were said to change.
pub(super) fn edit(fault: &impl Behaviour, rows: &mut [Row], labels: &Labels, intensity: f64) -> usize {
    let memory = fault.memory();
    let key = Key::new(7, "phase/0/fault");
    let mut changed = 0;
    for (request, batch) in rows.chunks_mut(BATCH).enumerate() {
        let dice = Dice::new(key, UnitHash::of(format!("request {request}").as_bytes()));
        let context = EditContext::new(dice, intensity, labels, &memory);
        let mut answer = Answer::of_rows(batch.to_vec());
        changed += fault.edit(&mut answer, &context).changed;
        batch.clone_from_slice(&answer.rows);
    }
    changed
}

/// What an edit of one row at full intensity came to.
pub(super) fn edit_one(fault: &impl Behaviour, row: &Row, labels: &Labels) -> Edited {
    let dice = Dice::new(Key::new(7, "phase/0/fault"), UnitHash::of(b"request"));
    let memory = fault.memory();
    fault.edit(&mut Answer::of_rows(vec![row.clone()]), &EditContext::new(dice, 1.0, labels, &memory))
}

/// Is `count` of `n` what a rate of `p` gives? Wrongly not in one case of a thousand million: properties ask
/// this thousands of times.
pub(super) fn assert_rate(count: usize, n: usize, p: f64) {
    if p == 0.0 || p == 1.0 || n == 0 {
        return assert_eq!(count, if p == 1.0 { n } else { 0 }, "of {n}, at a rate of {p}");
    }
    let exact = Binomial::new(p, n as u64).unwrap();
    let at_most = exact.cdf(count as u64);
    let at_least = if count == 0 { 1.0 } else { exact.sf(count as u64 - 1) };
    assert!(at_most.min(at_least) > 5e-10, "{count} of {n} is not {p}: P(≤) {at_most}, P(≥) {at_least}");
}

/// The dice of one of many requests.
pub(super) fn dice(seed: u64, request: u64) -> Dice {
    Dice::new(Key::new(seed, "phase/0/fault"), UnitHash::from_u64(request))
}

/// What a fault decides about a request, from the draws alone.
pub(super) fn decide(fault: &impl Behaviour, dice: Dice, intensity: f64) -> Option<Action> {
    fault.decide(&Decide::of(dice, intensity, &fault.memory()))
}

/// What is wrong with a fault's settings for a protocol.
pub(super) fn check(fault: &impl Behaviour, protocol: &Protocol, labels: &Labels) -> Vec<Problem> {
    fault.check(&CheckContext { protocol, labels })
}

/// A fault as a scenario has it.
pub(super) fn parse(yaml: &str) -> Result<Fault, String> {
    serde_saphyr::from_str(yaml).map_err(|error| error.to_string())
}

/// The messages of everything that is wrong with a fault's settings.
pub(super) fn problems(yaml: &str, labels: &Labels) -> Vec<String> {
    let fault = parse(yaml).unwrap();
    fault
        .check(&CheckContext { protocol: &Protocol::OpenInference, labels })
        .into_iter()
        .map(|p| p.message)
        .collect()
}

/// The example of a catalogue page is an injection of that fault, and survives a journey as JSON.
pub(super) fn assert_page(name: &str) {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Injection {
        fault: Fault,
        #[serde(rename = "ramp")]
        _ramp: Option<crate::unit::Span>,
    }
    let entry = Fault::catalogue().into_iter().find(|entry| entry.name == name).unwrap();
    let injections: Vec<Injection> = serde_saphyr::from_str(entry.example).unwrap();
    for Injection { fault, .. } in injections {
        assert_eq!(fault.name(), name);
        let target = CheckContext { protocol: &Protocol::OpenInference, labels: &iris() };
        assert_eq!(fault.behaviour().check(&target), []);
        let sent = serde_json::to_string(&fault).unwrap();
        assert_eq!(serde_json::from_str::<Fault>(&sent).unwrap(), fault);
    }
    assert!(!entry.parameters.is_empty());
}
