//! Low margin: the predictions that the model is least sure of are flipped, within a budget.
//!
//! The attack that is hardest to see: the flipped rows look like the model's own doubts. Which margin is small is
//! learnt online, as the quantile of all margins that the budget allows.

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, EditContext, Edited, Entry, Members, Memory, Parameter, Problem,
    Promise, Stage,
    estimate::Histogram,
    prediction::{each, edits, name_at, relabel, tells_confidence},
    score::probabilities,
    unfit::{NOT_A_PROBABILITY, STILL_LEARNING},
};
use crate::{
    unit::Share,
    wire::{Answer, Labels, Row},
};

/// Flips the predictions with the smallest margins.
///
/// ```
/// use canard::fault::Fault;
/// let fault: Fault = serde_json::from_str(r#"{ "low-margin": { "budget": "5%" } }"#)?;
/// assert_eq!(fault.describe(), "the 5% with the smallest margins flipped");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LowMargin {
    /// Share of all predictions that are flipped.
    pub budget: Share,
}

static ENTRY: Entry = Entry {
    name: "low-margin",
    summary: "Flips the predictions that the model is least sure of, within a budget.",
    effect: "The share `budget` of all predictions with the smallest margin (highest probability less the second; \
             |2p − 1| of a single one: Scheffer, Decomain and Wrobel, *Active Hidden Markov Models*, 2001) is told as \
             the second class, whose score changes places with the first. The threshold is the `budget` quantile of \
             the margins, learnt online in 2048 bins from every prediction as the model made it (of both arms, from the first phase on); inside the bin of the \
             threshold a draw decides, so the budget is met but for the estimate's error, about √(b(1 − b)/n) after n \
             predictions. The fault waits for 200 of them (`still-learning`). Of a calibrated model the flipped ones \
             were right little more than half of the time, so accuracy falls by far less than the budget. A ramp grows the budget.",
    parameters: &[Parameter {
        name: "budget",
        values: "share, above 0% to 100%",
        default: "none; it is needed",
        meaning: "how many of all predictions are flipped",
    }],
    example: "- fault: { low-margin: { budget: 5% } }",
    seen_by: "Accuracy on delayed labels, and agreement with a shadow model.",
    blind: "Confidence, entropy and rate of low margins, since scores only change places; drift of the predicted \
            labels where doubts are as common both ways; latency and error monitors.",
};

/// The distribution of the margins.
#[derive(Debug)]
struct Margins(Histogram);

/// The margin, and the places of the highest and the second score.
fn margin(scores: &[f64]) -> Option<(f64, usize, usize)> {
    if let [p] = scores {
        let told = usize::from(*p >= 0.5);
        return Some(((2.0 * p - 1.0).abs(), told, 1 - told));
    }
    let mut places: Vec<usize> = (0..scores.len()).collect();
    places.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(b.cmp(a)));
    let [first, second, ..] = places[..] else { return None };
    Some((scores[first] - scores[second], first, second))
}

impl Behaviour for LowMargin {
    fn entry() -> &'static Entry {
        &ENTRY
    }

    fn stage(&self) -> Stage {
        Stage::Prediction
    }

    fn rate(&self) -> Share {
        self.budget
    }

    fn promise(&self) -> Promise {
        Promise::Relabel { from: None, to: None, share: self.budget.fraction() }
    }

    fn describe(&self) -> String {
        format!("the {} with the smallest margins flipped", self.budget)
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        let help = "write a budget above 0%, or leave the fault out";
        let never = (self.budget == Share::NONE)
            .then(|| Problem::new("budget", "a budget of 0% never acts").help(help));
        never.into_iter().collect()
    }

    fn memory(&self) -> Memory {
        Memory::of(Margins(Histogram::new(0.0, 1.0)))
    }

    fn observe(&self, rows: &[Row], _members: Members<'_>, _labels: &Labels, memory: &Memory) {
        let Some(Margins(margins)) = memory.get() else { return };
        let known = rows.iter().filter_map(|row| margin(&probabilities(row)?));
        known.for_each(|(margin, ..)| margins.record(margin));
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        edits(self.budget, context)
    }

    fn edit(&self, answer: &mut Answer, context: &EditContext<'_>) -> Edited {
        let budget = self.budget.scaled(context.intensity).fraction();
        let ranks = context.memory.get::<Margins>().and_then(|Margins(margins)| margins.ranks());
        each(&mut answer.rows, context, |place, row| {
            if tells_confidence(row, context) {
                return Err(NOT_A_PROBABILITY);
            }
            let (margin, _, second) = probabilities(row).and_then(|p| margin(&p)).ok_or(NOT_A_PROBABILITY)?;
            let (below, here) = ranks.as_ref().ok_or(STILL_LEARNING)?.of(margin);
            let share =
                if here > 0.0 { (budget - below) / here } else { f64::from(u8::from(below < budget)) };
            if !place.acts(Share::new(share.clamp(0.0, 1.0)).unwrap_or(Share::NONE)) {
                return Ok(false);
            }
            let other = name_at(second, context.labels);
            relabel(row, &other, context)
        })
    }
}

#[cfg(test)]
mod tests;
