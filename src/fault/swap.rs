//! Swap: two classes are mixed up in equal measure, so that the mix of predictions does not move.
//!
//! The blind spot of every drift monitor, on purpose: as many predictions go from a to b as from b to a,
//! π_a·r_ab = π_b·r_ba, and only labels show it.

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, EditContext, Edited, Entry, Marginals, Members, Memory,
    Parameter, Problem, Promise, Stage,
    estimate::{Marginal, check_marginals},
    prediction::{can_tell, check_class, check_rate, each, edits, relabel},
    unfit::{NOT_SEEN, STILL_LEARNING, UNKNOWN_CLASS},
};
use crate::{
    unit::Share,
    wire::{Answer, Labels, Row},
};

/// Mixes up two classes without moving the mix of predictions.
///
/// ```
/// use canard::fault::Fault;
/// let fault: Fault = serde_json::from_str(r#"{ "swap": { "between": ["versicolor", "virginica"], "rate": "40%" } }"#)?;
/// assert_eq!(fault.describe(), "versicolor ⇄ virginica, 40% of the rarer");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Swap {
    /// The two classes.
    pub between: [String; 2],
    /// Share of the rarer class's predictions that are told as the other; as many go the other way.
    pub rate: Share,
    /// Shares of both classes among all predictions; left out, they are learnt from the traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marginals: Option<Marginals>,
}

static ENTRY: Entry = Entry {
    name: "swap",
    summary: "Mixes up two classes in equal measure: the mix of predictions stays as it is.",
    effect: "A share `rate` of the predictions of the rarer class is told as the other, and as many the other way: \
             r_ab = rate · min(π_a, π_b) / π_a, so that π_a·r_ab = π_b·r_ba and the label marginal stays (detailed \
             balance of the transition matrix: q·T = q). 2 · rate · min(π_a, π_b) of all predictions change. With \
             marginals learnt online, from every prediction as the model made it (of both arms, from the first phase on), the marginal moves by no more than \
             the estimate's error, about √(π(1 − π)/n) · rate after n predictions; the fault waits for 200 of them \
             (`still-learning`). Which predictions change then depends on what was seen before, so the same seed does \
             not choose the same ones on two machines; give `marginals` where it has to. A ramp grows the rate.",
    parameters: &[
        Parameter {
            name: "between",
            values: "two class names; the numbers' text where classes have no names",
            default: "none; it is needed",
            meaning: "the classes that are mixed up",
        },
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "none; it is needed",
            meaning: "how many predictions of the rarer class are told as the other",
        },
        Parameter {
            name: "marginals",
            values: "shares of both classes, above 0%: { a: 30%, b: 10% }",
            default: "learnt from the traffic",
            meaning: "how common both classes are among all predictions",
        },
    ],
    example: "- fault: { swap: { between: [versicolor, virginica], rate: 40% } }",
    seen_by: "Accuracy, precision and recall on delayed labels, and nothing else.",
    blind: "Every drift monitor of labels, and of scores that are permuted with them; latency and error monitors.",
};

impl Swap {
    /// How much of each of the two classes is told as the other.
    fn rates(&self, memory: &Memory) -> Result<[f64; 2], &'static str> {
        let shares = match &self.marginals {
            Some(given) => {
                self.between.each_ref().map(|class| given.get(class).map_or(0.0, |share| share.fraction()))
            }
            None => {
                let seen = memory.get::<Marginal>().and_then(Marginal::shares).ok_or(STILL_LEARNING)?;
                self.between.each_ref().map(|class| seen.get(class).copied().unwrap_or(0.0))
            }
        };
        let rarer = shares[0].min(shares[1]);
        if rarer <= 0.0 {
            return Err(NOT_SEEN);
        }
        Ok(shares.map(|share| self.rate.fraction() * rarer / share))
    }
}

impl Behaviour for Swap {
    fn entry() -> &'static Entry {
        &ENTRY
    }

    fn stage(&self) -> Stage {
        Stage::Prediction
    }

    fn rate(&self) -> Share {
        self.rate
    }

    fn promise(&self) -> Promise {
        Promise::Unknown {
            because: "which share of the predictions is of the two classes depends on the model",
        }
    }

    fn describe(&self) -> String {
        let [a, b] = &self.between;
        format!("{a} ⇄ {b}, {} of the rarer", self.rate)
    }

    fn check(&self, target: &CheckContext<'_>) -> Vec<Problem> {
        let [a, b] = &self.between;
        let mut problems: Vec<Problem> =
            self.between.iter().filter_map(|class| check_class("between", class, target.labels)).collect();
        problems.extend(check_rate(self.rate));
        if a == b {
            problems.push(Problem::new("between", "a class can't be mixed up with itself"));
        }
        if let Some(marginals) = &self.marginals {
            problems.extend(check_marginals("marginals", marginals, target.labels, false));
            let missing =
                self.between.iter().filter(|class| marginals.get(*class).is_none_or(|s| *s == Share::NONE));
            problems.extend(missing.map(|class| {
                let help = "give the shares of both classes, above 0%, or leave `marginals` out";
                Problem::new("marginals", format!("the share of `{class}` is missing")).help(help)
            }));
        }
        problems
    }

    fn memory(&self) -> Memory {
        if self.marginals.is_some() { Memory::none() } else { Memory::of(Marginal::default()) }
    }

    fn observe(&self, rows: &[Row], _members: Members<'_>, labels: &Labels, memory: &Memory) {
        if let Some(marginal) = memory.get::<Marginal>() {
            marginal.record(rows, labels);
        }
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        edits(self.rate, context)
    }

    fn edit(&self, answer: &mut Answer, context: &EditContext<'_>) -> Edited {
        let rates = self.rates(context.memory);
        each(&mut answer.rows, context, |place, row| {
            let class = context.labels.of(row).ok_or(UNKNOWN_CLASS)?;
            let Some(own) = self.between.iter().position(|name| *name == *class) else {
                let any = self.between.iter().any(|name| can_tell(row, name, context.labels));
                return if any { Ok(false) } else { Err(UNKNOWN_CLASS) };
            };
            let rate = rates?[own] * context.intensity;
            if !place.acts(Share::new(rate.min(1.0)).unwrap_or(Share::NONE)) {
                return Ok(false);
            }
            relabel(row, &self.between[1 - own], context)
        })
    }
}

#[cfg(test)]
mod tests;
