//! Label shift: the mix of predicted classes becomes the wanted one, with as few changes as can be.
//!
//! Why not draw every prediction anew from the wanted mix? That would change far more of them, and the damage would
//! have no known size. The optimal coupling changes just TV(π, q*), the total variation distance.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, EditContext, Edited, Entry, Marginals, Members, Memory,
    Parameter, Problem, Promise, Stage,
    estimate::{Marginal, check_marginals},
    prediction::{each, edits},
    turn::Turn,
    unfit::STILL_LEARNING,
};
use crate::{
    unit::Share,
    wire::{Answer, Labels, Row},
};

/// Moves the mix of predicted classes to a wanted one.
///
/// ```
/// use canard::fault::Fault;
/// let fault: Fault = serde_json::from_str(r#"{ "label-shift": { "to": { "ham": "40%", "spam": "60%" },
///     "from": { "ham": "90%", "spam": "10%" } } }"#)?;
/// assert_eq!(fault.describe(), "labels to ham 40%, spam 60%; 50% change");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LabelShift {
    /// The wanted share of each class, 100% in all; a class that is not listed is told no more.
    pub to: Marginals,
    /// The shares of the classes now, 100% in all; left out, they are learnt from the traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Marginals>,
}

static ENTRY: Entry = Entry {
    name: "label-shift",
    summary: "Moves the mix of predicted classes to a wanted one, with as few changes as can be.",
    effect: "The label marginal becomes q* = `to`. A prediction of a class k that is to get rarer changes with \
             probability 1 − q*_k/π_k, and becomes class j in proportion to max(0, q*_j − π_j): the maximal coupling \
             of π and q*, under which the share of changed predictions is the total variation distance TV(π, q*) = \
             ½ Σ |q*_k − π_k|, the least there can be (Lindvall, *Lectures on the Coupling Method*, 1992, theorem 5.2). \
             With π learnt online, from every prediction as the model made it (of both arms, from the first phase on), q* is reached but for the estimate's \
             error, about √(π(1 − π)/n) after n predictions; the fault waits for 200 of them (`still-learning`), and \
             which ones change depends on what was seen before. Give `from` where runs must be alike. A ramp goes from π \
             to q* in a straight line.",
    parameters: &[
        Parameter {
            name: "to",
            values: "shares of classes, 100% in all: { a: 40%, b: 60% }",
            default: "none; it is needed",
            meaning: "the wanted mix of predictions",
        },
        Parameter {
            name: "from",
            values: "shares of classes, 100% in all",
            default: "learnt from the traffic",
            meaning: "the mix of the model's own predictions",
        },
    ],
    example: "- fault: { label-shift: { to: { setosa: 60%, versicolor: 20%, virginica: 20% } } }",
    seen_by: "Drift of the predicted labels: χ², PSI, share of a label; black-box shift estimation (BBSE).",
    blind: "Latency and error monitors; score drift where scores are only permuted among classes.",
};

impl LabelShift {
    /// How each class has to be told anew to get from the mix `now` to the wanted one.
    fn turn(&self, now: &BTreeMap<String, f64>) -> Turn {
        let wanted = |class: &String| self.to.get(class).map_or(0.0, |share| share.fraction());
        let own = |class: &String| now.get(class).copied().unwrap_or(0.0);
        let gains: Vec<(String, f64)> =
            self.to.keys().map(|c| (c.clone(), (wanted(c) - own(c)).max(0.0))).collect();
        let gained: f64 = gains.iter().map(|(_, gain)| gain).sum();
        Turn::new(now.iter().map(|(class, share)| {
            let moved = if *share > 0.0 { (1.0 - wanted(class) / share).max(0.0) } else { 0.0 };
            let to = gains
                .iter()
                .map(|(other, gain)| (other.clone(), moved * gain / gained.max(f64::MIN_POSITIVE)));
            (class.clone(), to.collect::<Vec<_>>())
        }))
    }

    /// TV(π, q*), where π is given.
    fn distance(&self) -> Option<Share> {
        let from = self.from.as_ref()?;
        let own =
            |shares: &Marginals, class: &String| shares.get(class).map_or(0.0, |share| share.fraction());
        let lost = from.keys().map(|class| (own(from, class) - own(&self.to, class)).max(0.0));
        Share::new(lost.sum::<f64>().min(1.0))
    }
}

impl Behaviour for LabelShift {
    fn entry() -> &'static Entry {
        &ENTRY
    }

    fn stage(&self) -> Stage {
        Stage::Prediction
    }

    /// TV(π, q*); 100% where π is yet to be learnt.
    fn rate(&self) -> Share {
        self.distance().unwrap_or(Share::ALL)
    }

    fn promise(&self) -> Promise {
        let to = self.to.iter().map(|(class, share)| (class.clone(), share.fraction())).collect();
        Promise::Labels { to, distance: self.distance().map(Share::fraction) }
    }

    fn describe(&self) -> String {
        let to: Vec<String> = self.to.iter().map(|(class, share)| format!("{class} {share}")).collect();
        let change = self.distance().map(|share| format!("; {share} change")).unwrap_or_default();
        format!("labels to {}{change}", to.join(", "))
    }

    fn check(&self, target: &CheckContext<'_>) -> Vec<Problem> {
        let mut problems = check_marginals("to", &self.to, target.labels, true);
        if let Some(from) = &self.from {
            problems.extend(check_marginals("from", from, target.labels, true));
            if problems.is_empty() && self.distance() == Some(Share::NONE) {
                problems.push(Problem::new("to", "the wanted mix is the one that there is"));
            }
        }
        problems
    }

    fn memory(&self) -> Memory {
        if self.from.is_some() { Memory::none() } else { Memory::of(Marginal::default()) }
    }

    fn observe(&self, rows: &[Row], _members: Members<'_>, labels: &Labels, memory: &Memory) {
        if let Some(marginal) = memory.get::<Marginal>() {
            marginal.record(rows, labels);
        }
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        edits(self.rate(), context)
    }

    fn edit(&self, answer: &mut Answer, context: &EditContext<'_>) -> Edited {
        let now = match &self.from {
            Some(from) => Some(from.iter().map(|(class, share)| (class.clone(), share.fraction())).collect()),
            None => context.memory.get::<Marginal>().and_then(Marginal::shares),
        };
        let Some(now) = now else {
            return Edited { changed: 0, unfit: (!answer.rows.is_empty()).then_some(STILL_LEARNING) };
        };
        let turn = self.turn(&now);
        each(&mut answer.rows, context, |place, row| turn.tell(row, place, context))
    }
}

#[cfg(test)]
mod tests;
