//! Mislabel: a prediction is told as another class.
//!
//! Whether a row is told wrong is the draw `ACT` of its place in the batch, and what it is told as is the
//! draw `SIZE`: among the other classes in the order of the target's labels the one at `(draw · count) >> 64`;
//! with a matrix, the first in the order of their names (as bytes) at which the cumulated share passes
//! `uniform · share told wrong`. So the same rows are wrong on every machine, and a ramp, which lowers the
//! threshold of `ACT`, only adds to them.

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, EditContext, Edited, Entry, Parameter, Problem, Promise, Stage,
    prediction::{another, can_tell, check_class, check_rate, edits, relabel},
    purpose,
    turn::pick,
    unfit::UNKNOWN_CLASS,
};
use crate::{
    draw::Draw,
    unit::Share,
    wire::{Answer, Labels, Row},
};

/// For each true class the shares in which it is told as each class: rows of 100 %.
pub type Confusion = BTreeMap<String, BTreeMap<String, Share>>;

/// Tells predictions as another class, at a rate or by a confusion matrix.
///
/// ```
/// use canard::fault::Fault;
/// let fault: Fault = serde_json::from_str(r#"{ "mislabel": { "rate": "30%", "from": "virginica", "to": "versicolor" } }"#)?;
/// assert_eq!(fault.describe(), "30% virginica → versicolor");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Mislabel {
    /// Share of the predictions of class `from` that are told as another class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Share>,
    /// The class that is told wrong; left out, every class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("type" = super::prediction::SCALAR)))]
    pub from: Option<String>,
    /// The class that it is told as; left out, any of the other classes alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("type" = super::prediction::SCALAR)))]
    pub to: Option<String>,
    /// In place of a rate: for each class the shares in which it is told as each class, 100% in all. A class
    /// that is not listed stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confusion: Option<Confusion>,
}

static ENTRY: Entry = Entry {
    name: "mislabel",
    summary: "Tells predictions as another class, at a rate or by a confusion matrix.",
    effect: "A share `rate` of the predictions of class `from` becomes `to`. Accuracy falls by \
             Δ = rate · (acc − (1 − acc)/(K − 1)) when K classes are flipped uniformly, so a wanted drop needs \
             rate = Δ / (acc − (1 − acc)/(K − 1)). A confusion matrix T (row-stochastic) turns the model's own \
             matrix C into C·T and its label marginal q into q·T. Scores for each class follow: those of the old \
             and the new class change places. A ramp grows the rate, or the shares of \
             other classes.",
    parameters: &[
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "none; either `rate` or `confusion` is needed",
            meaning: "how many of the predictions of class `from` are told wrong",
        },
        Parameter {
            name: "from",
            values: "class name; the number's text where classes have no names",
            default: "every class",
            meaning: "the class that is told wrong",
        },
        Parameter {
            name: "to",
            values: "class name; the number's text where classes have no names",
            default: "any of the other classes, uniformly (needs the target's `labels`)",
            meaning: "the class that it is told as",
        },
        Parameter {
            name: "confusion",
            values: "for each class, shares for classes, 100% in all: { a: { a: 70%, b: 30% } }",
            default: "none",
            meaning: "in place of `rate`, `from` and `to`; a class that is not listed stays as it is",
        },
    ],
    example: "- fault: { mislabel: { rate: 30%, from: virginica, to: versicolor } }\n  ramp: 15s",
    seen_by: "Drift of the predicted labels (χ², PSI, share of a label); accuracy, precision and recall on \
              delayed labels.",
    blind: "Latency and error monitors; score drift where scores are only permuted among classes; any drift \
            monitor when the matrix keeps the label marginal (q·T = q): only labels show that.",
};

impl Mislabel {
    /// The class that a prediction of `class` is told as; `None` leaves it.
    fn target<'a>(
        &'a self,
        row: &Row,
        [act, size]: [Draw; 2],
        context: &EditContext<'a>,
    ) -> Result<Option<Cow<'a, str>>, &'static str> {
        let class = context.labels.of(row);
        let rate = match (&self.confusion, &class) {
            (Some(confusion), Some(class)) if confusion.contains_key(&**class) => {
                wrong_share(class, &confusion[&**class])
            }
            _ => self.rate(),
        };
        if !act.within(rate.scaled(context.intensity)) {
            return Ok(None);
        }
        let class = class.ok_or(UNKNOWN_CLASS)?;
        if let Some(confusion) = &self.confusion {
            let Some(shares) = confusion.get(&*class) else {
                let any = confusion.keys().any(|name| can_tell(row, name, context.labels));
                return if any { Ok(None) } else { Err(UNKNOWN_CLASS) };
            };
            let others = shares.iter().filter(|(name, _)| **name != class);
            let others = others.map(|(name, share)| (name, share.fraction()));
            return Ok(pick(others, size.uniform() * rate.fraction()).map(Cow::Borrowed));
        }
        if let Some(from) = self.from.as_ref().filter(|from| **from != class) {
            return if can_tell(row, from, context.labels) { Ok(None) } else { Err(UNKNOWN_CLASS) };
        }
        match &self.to {
            Some(to) => Ok(Some(Cow::Borrowed(to))),
            None => {
                let other = another(&class, row, size, context.labels).ok_or(UNKNOWN_CLASS)?;
                Ok(Some(Cow::Borrowed(other)))
            }
        }
    }
}

/// How much of a class a row of the matrix tells wrong.
fn wrong_share(class: &str, row: &BTreeMap<String, Share>) -> Share {
    let total: f64 = row.iter().filter(|(name, _)| *name != class).map(|(_, share)| share.fraction()).sum();
    Share::new(total.min(1.0)).unwrap_or(Share::ALL)
}

impl Behaviour for Mislabel {
    fn entry() -> &'static Entry {
        &ENTRY
    }

    fn stage(&self) -> Stage {
        Stage::Prediction
    }

    /// With a confusion matrix, the share told wrong of the class that suffers most.
    fn rate(&self) -> Share {
        let Some(confusion) = &self.confusion else {
            return self.rate.unwrap_or(Share::NONE);
        };
        let rates = confusion.iter().map(|(class, row)| wrong_share(class, row));
        rates.fold(Share::NONE, |a, b| if b > a { b } else { a })
    }

    fn promise(&self) -> Promise {
        if self.confusion.is_some() {
            return Promise::Unknown {
                because: "which share of the predictions is of each class depends on the model",
            };
        }
        Promise::Relabel { from: self.from.clone(), to: self.to.clone(), share: self.rate().fraction() }
    }

    fn describe(&self) -> String {
        let rate = self.rate();
        if let Some(confusion) = &self.confusion {
            let classes: Vec<&str> = confusion.keys().map(String::as_str).collect();
            return format!("confusion of {}, at most {rate} of a class", classes.join(", "));
        }
        let from = self.from.as_deref().unwrap_or("every class");
        format!("{rate} {from} → {}", self.to.as_deref().unwrap_or("another class"))
    }

    fn check(&self, target: &CheckContext<'_>) -> Vec<Problem> {
        let labels = target.labels;
        match (&self.rate, &self.confusion) {
            (None, None) => {
                let help = "write `rate: 30%`, with `from` and `to` as you like, or a `confusion` matrix";
                vec![Problem::new("", "`mislabel` needs a rate or a confusion matrix").help(help)]
            }
            (Some(_), Some(_)) => {
                let help = "the matrix has the rates in it; leave `rate` out";
                vec![Problem::new("confusion", "either a rate or a confusion matrix, not both").help(help)]
            }
            (Some(rate), None) => self.check_rate(*rate, labels),
            (None, Some(confusion)) => self.check_confusion(confusion, labels),
        }
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        edits(self.rate(), context)
    }

    fn edit(&self, answer: &mut Answer, context: &EditContext<'_>) -> Edited {
        let edit = |(index, row): (u32, &mut Row)| {
            let draws = [purpose::ACT, purpose::SIZE].map(|purpose| context.dice.at(purpose, index));
            let to = self.target(row, draws, context)?;
            to.map_or(Ok(false), |to| relabel(row, &to, context))
        };
        context.each(&mut answer.rows).map(edit).collect()
    }
}

impl Mislabel {
    fn check_rate(&self, rate: Share, labels: &Labels) -> Vec<Problem> {
        let class =
            |key, name: &Option<String>| name.as_ref().and_then(|name| check_class(key, name, labels));
        let mut problems: Vec<Problem> = [check_rate(rate), class("from", &self.from), class("to", &self.to)]
            .into_iter()
            .flatten()
            .collect();
        if self.from.is_some() && self.from == self.to {
            problems.push(Problem::new("to", "`from` and `to` are the same class"));
        }
        if self.to.is_none() && labels.names().len() < 2 {
            let help = "name the class with `to`, or list the classes under `labels` of the target";
            problems.push(Problem::new("", "without `to`, the other classes must be known").help(help));
        }
        problems
    }

    fn check_confusion(&self, confusion: &Confusion, labels: &Labels) -> Vec<Problem> {
        let problem = |message: String| Problem::new("confusion", message);
        let mut problems = Vec::new();
        for (key, set) in [("from", self.from.is_some()), ("to", self.to.is_some())] {
            if set {
                problems.push(Problem::new(key, format!("`{key}` goes with `rate`, not with `confusion`")));
            }
        }
        if self.rate() == Share::NONE {
            problems.push(problem("the matrix tells no class as another".into()));
        }
        for (class, row) in confusion {
            let names = std::iter::once(class).chain(row.keys().filter(|name| *name != class));
            problems.extend(names.filter_map(|name| check_class("confusion", name, labels)));
            let total: f64 = row.values().map(|share| share.fraction()).sum();
            if (total - 1.0).abs() > 1e-6 {
                let percent = (total * 1e6).round() / 1e4;
                let help = format!("list what stays too, such as `{class}: {{ {class}: 70%, … }}`");
                problems.push(
                    problem(format!("the shares of `{class}` are {percent}% in all, not 100%")).help(help),
                );
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests;
