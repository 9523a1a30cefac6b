//! Generated traffic for the tests of faults on predictions: classes and scores of a known distribution, and the truth
//! behind them.

use super::{Behaviour, EditContext, Edited, Members, Memory, testing::BATCH};
use crate::{
    draw::{Dice, Draw, Key, UnitHash},
    wire::{Answer, Labels, Row, Value},
};

/// Draws without an end.
pub(super) struct Stream {
    key: Key,
    next: u64,
}

impl Stream {
    pub(super) fn new(seed: u64) -> Stream {
        Stream { key: Key::new(seed, "traffic"), next: 0 }
    }

    pub(super) fn draw(&mut self) -> Draw {
        self.next += 1;
        self.key.draw(UnitHash::from_u64(self.next), 0)
    }

    pub(super) fn uniform(&mut self) -> f64 {
        self.draw().uniform()
    }

    pub(super) fn normal(&mut self) -> f64 {
        crate::stats::normal_quantile(self.uniform())
    }

    /// A place among weights that add up to 1.
    pub(super) fn pick(&mut self, shares: &[f64]) -> usize {
        let mut left = self.uniform();
        let passes = |share: &f64| {
            left -= share;
            left < 0.0
        };
        shares.iter().position(passes).unwrap_or(shares.len() - 1)
    }

    /// A number of Beta(2, 5), by bisection of its distribution function 1 − (1 − x)⁶ − 6x(1 − x)⁵.
    pub(super) fn beta_2_5(&mut self) -> f64 {
        let u = self.uniform();
        let below = |x: f64| 1.0 - (1.0 - x).powi(6) - 6.0 * x * (1.0 - x).powi(5);
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..50 {
            let middle = (low + high) / 2.0;
            if below(middle) < u { low = middle } else { high = middle }
        }
        (low + high) / 2.0
    }

    /// Probabilities of `classes`, softmax of normal logits.
    pub(super) fn probabilities(&mut self, classes: usize, spread: f64) -> Vec<f64> {
        let weights: Vec<f64> = (0..classes).map(|_| (self.normal() * spread).exp()).collect();
        let total: f64 = weights.iter().sum();
        weights.into_iter().map(|weight| weight / total).collect()
    }
}

/// Rows of one class each, by number.
pub(super) fn told(classes: impl IntoIterator<Item = usize>) -> Vec<Row> {
    classes
        .into_iter()
        .map(|class| Row { label: Some(Value::Int(class as i64)), scores: Vec::new() })
        .collect()
}

/// `n` rows of classes in these shares.
pub(super) fn classes(seed: u64, n: usize, shares: &[f64]) -> Vec<Row> {
    let mut stream = Stream::new(seed);
    told((0..n).map(|_| stream.pick(shares)))
}

/// `n` calibrated rows with a probability for each class, and the truth, which is drawn from them.
pub(super) fn calibrated(seed: u64, n: usize, classes: usize, spread: f64) -> (Vec<Row>, Vec<usize>) {
    let mut stream = Stream::new(seed);
    let row = |_| {
        let p = stream.probabilities(classes, spread);
        let truth = stream.pick(&p);
        (Row { label: None, scores: p.into_iter().map(Value::Float).collect() }, truth)
    };
    (0..n).map(row).unzip()
}

/// The number of the class that a row tells.
pub(super) fn class(row: &Row) -> usize {
    Labels::default().of(row).unwrap().parse().unwrap()
}

/// How many rows tell a class.
pub(super) fn count(rows: &[Row], of: usize) -> usize {
    rows.iter().filter(|row| class(row) == of).count()
}

/// What a fault is given, and what became of it.
pub(super) struct Run {
    pub(super) rows: Vec<Row>,
    pub(super) changed: usize,
    pub(super) unfit: Option<&'static str>,
}

/// Lets a fault learn from some traffic, then edit it, in batches; `members` are the rows of its group.
pub(super) fn run(fault: &impl Behaviour, rows: &[Row], members: &[bool], labels: &Labels, seed: u64) -> Run {
    run_at(fault, rows, members, labels, seed, 1.0)
}

/// The same at another intensity.
pub(super) fn run_at(
    fault: &impl Behaviour,
    rows: &[Row],
    members: &[bool],
    labels: &Labels,
    seed: u64,
    intensity: f64,
) -> Run {
    let memory = fault.memory();
    learn(fault, rows, members, labels, &memory);
    let mut run = Run { rows: Vec::with_capacity(rows.len()), changed: 0, unfit: None };
    for (request, batch) in rows.chunks(BATCH).enumerate() {
        let members = members.get(request * BATCH..(request + 1) * BATCH).map_or(Members::All, Members::Rows);
        let dice = Dice::new(Key::new(seed, "phase/0/fault"), UnitHash::from_u64(request as u64));
        let context = EditContext { members, ..EditContext::new(dice, intensity, labels, &memory) };
        let mut answer = Answer::of_rows(batch.to_vec());
        let Edited { changed, unfit } = fault.edit(&mut answer, &context);
        run.changed += changed;
        run.unfit = run.unfit.or(unfit);
        run.rows.extend(answer.rows);
    }
    run
}

/// Lets a fault see traffic.
pub(super) fn learn(
    fault: &impl Behaviour,
    rows: &[Row],
    members: &[bool],
    labels: &Labels,
    memory: &Memory,
) {
    for (request, batch) in rows.chunks(BATCH).enumerate() {
        let members = members.get(request * BATCH..(request + 1) * BATCH).map_or(Members::All, Members::Rows);
        fault.observe(batch, members, labels, memory);
    }
}
