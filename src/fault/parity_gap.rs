//! Parity gap: one group is told the positive class less often than the others.
//!
//! The size is the gap that a fairness monitor measures, not a rate of flips: the flips that the gap takes are solved
//! for from how often both sides are told the positive class, given or learnt online.

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, EditContext, Edited, Entry, Members, Memory, Parameter, Problem,
    Promise, Stage,
    estimate::{GroupRates, Rates},
    prediction::{Poles, each, edits, relabel},
    unfit::{ALREADY_THERE, NO_POSITIVES, OUT_OF_REACH, STILL_LEARNING, UNKNOWN_CLASS},
};
use crate::{
    unit::Share,
    wire::{Answer, Labels, Row},
};

/// Lowers the rate of positives of one group until the demographic-parity gap is the wanted one.
///
/// ```
/// use canard::fault::Fault;
/// let fault: Fault = serde_json::from_str(
///     r#"{ "parity-gap": { "group": "features[\"age\"] >= 65", "gap": "15%", "positive": "approve" } }"#)?;
/// assert_eq!(fault.describe(), "parity gap of 15% in `approve` for features[\"age\"] >= 65");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ParityGap {
    /// CEL over `request` and `features` that tells who is in the group.
    pub group: String,
    /// The wanted gap: rate of positives of the others less that of the group, in percentage points.
    pub gap: Share,
    /// The positive class; left out, the last one of two labels (class 1, true).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("type" = super::prediction::SCALAR)))]
    pub positive: Option<String>,
    /// The class that is told instead; left out, the other one of two labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("type" = super::prediction::SCALAR)))]
    pub negative: Option<String>,
    /// Flips among the others the opposite way, so that the overall rate of positives stays.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub compensate: bool,
    /// How often both sides are told the positive class; left out, learnt from the traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rates: Option<GivenRates>,
}

/// How often both sides are told the positive class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GivenRates {
    /// In the group.
    pub group: Share,
    /// Among the others.
    pub others: Share,
    /// The group's share of all predictions; needed to compensate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Share>,
}

static ENTRY: Entry = Entry {
    name: "parity-gap",
    summary: "Tells one group the positive class less often, until the parity gap is the wanted one.",
    effect: "The demographic-parity gap (rate of positives of the others less that of the group; Dwork, Hardt, Pitassi, \
             Reingold and Zemel, ITCS 2012; Kamiran and Calders 2012 flip labels to the same end) becomes `gap`: of \
             the group's positives a share r = 1 − (PPR_others − gap)/PPR_group is told as the negative class. With \
             `compensate` the others' negatives are flipped as well, so that the overall rate stays: with the group's \
             share w of all, PPR_group becomes PPR − (1 − w)·gap and PPR_others becomes PPR + w·gap. Rates are learnt \
             online from every prediction as the model made it (of both arms, from the first phase on), in four counters; the gap is \
             reached but for their error, about √(PPR(1 − PPR)/n) for n predictions of each side. The fault waits for \
             100 of both (`still-learning`); a group that is told no positives can't be told fewer (`no-positives`); a \
             model that has the gap on its own needs nothing (`already-there`); a gap that is more than the others' \
             rate is `out-of-reach`. What was learnt depends on what arrived, so the same seed does not flip the same \
             predictions on two machines; give `rates` where it has to. A ramp grows the gap.",
    parameters: &[
        Parameter {
            name: "group",
            values: "CEL over `request` and `features`, such as `features[\"age\"] >= 65`",
            default: "none; it is needed",
            meaning: "who is told fewer positives",
        },
        Parameter {
            name: "gap",
            values: "share in percentage points, above 0%, at most the others' rate of positives",
            default: "none; it is needed",
            meaning: "the wanted gap",
        },
        Parameter {
            name: "positive",
            values: "class name; the number's text where classes have no names",
            default: "the last of two labels; class 1, true",
            meaning: "the class that counts",
        },
        Parameter {
            name: "negative",
            values: "class name; the number's text where classes have no names",
            default: "the other one of two labels",
            meaning: "what is told instead",
        },
        Parameter {
            name: "compensate",
            values: "true or false",
            default: "false",
            meaning: "whether the overall rate of positives stays as it is",
        },
        Parameter {
            name: "rates",
            values: "shares: { group: 40%, others: 45%, size: 30% }",
            default: "learnt from the traffic",
            meaning: "rates of positives now, and the group's share of all (needed to compensate)",
        },
    ],
    example: "- fault: { parity-gap: { group: 'features[\"age\"] >= 65', gap: 15%, positive: virginica, negative: \
              versicolor } }",
    seen_by: "Demographic-parity gap per group (a gap of .05 needs about 2000 predictions of each group, .10 about \
              500, .20 about 110: two-sided α = .05, power .9).",
    blind: "Overall rates, accuracy and drift where the group is small, or compensated; monitors that are not cut by \
            the group; latency and error monitors.",
};

/// What share of each side is flipped.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Flips {
    /// Of the group's positives.
    group: f64,
    /// Of the others' negatives.
    others: f64,
}

impl ParityGap {
    /// The flips that a gap takes at given rates.
    fn flips(&self, rates: Rates, gap: f64) -> Result<Flips, &'static str> {
        let Rates { group, others, size } = rates;
        if group <= 0.0 {
            return Err(NO_POSITIVES);
        }
        if others - group >= gap {
            return Err(ALREADY_THERE);
        }
        let (to_group, to_others) = if self.compensate {
            let overall = size * group + (1.0 - size) * others;
            (overall - (1.0 - size) * gap, overall + size * gap)
        } else {
            (others - gap, others)
        };
        if to_group < -1e-9 || to_others > 1.0 + 1e-9 {
            return Err(OUT_OF_REACH);
        }
        let fewer = if others < 1.0 { (to_others - others) / (1.0 - others) } else { 0.0 };
        Ok(Flips { group: (1.0 - to_group / group).clamp(0.0, 1.0), others: fewer.clamp(0.0, 1.0) })
    }

    fn rates(&self, memory: &Memory) -> Result<Rates, &'static str> {
        match &self.rates {
            Some(given) => Ok(given.rates()),
            None => memory.get::<GroupRates>().and_then(GroupRates::rates).ok_or(STILL_LEARNING),
        }
    }

    fn poles(&self) -> Poles<'_> {
        Poles { positive: self.positive.as_deref(), negative: self.negative.as_deref() }
    }
}

impl GivenRates {
    fn rates(&self) -> Rates {
        let size = self.size.unwrap_or(Share::NONE).fraction();
        Rates { group: self.group.fraction(), others: self.others.fraction(), size }
    }
}

impl Behaviour for ParityGap {
    fn entry() -> &'static Entry {
        &ENTRY
    }

    fn stage(&self) -> Stage {
        Stage::Prediction
    }

    /// Of the group's positives; 100% where the rates are yet to be learnt.
    fn rate(&self) -> Share {
        let flips = self.rates.as_ref().and_then(|given| self.flips(given.rates(), self.gap.fraction()).ok());
        flips.and_then(|flips| Share::new(flips.group)).unwrap_or(Share::ALL)
    }

    fn promise(&self) -> Promise {
        Promise::ParityGap { gap: self.gap.fraction() }
    }

    fn describe(&self) -> String {
        let positive = self.positive.as_deref().unwrap_or("the positive class");
        let compensated = if self.compensate { ", compensated" } else { "" };
        format!("parity gap of {} in `{positive}` for {}{compensated}", self.gap, self.group)
    }

    fn check(&self, target: &CheckContext<'_>) -> Vec<Problem> {
        let mut problems = self.poles().check(target.labels);
        if self.gap == Share::NONE {
            problems.push(Problem::new("gap", "a gap of 0% is none").help("write a gap above 0%"));
            return problems;
        }
        let Some(given) = &self.rates else { return problems };
        if self.compensate && given.size.is_none() {
            let help = "write it as `size: 30%`, or leave `rates` out to have them learnt from the traffic";
            problems
                .push(Problem::new("rates", "to compensate, the group's share of all is needed").help(help));
            return problems;
        }
        match self.flips(given.rates(), self.gap.fraction()) {
            Err(NO_POSITIVES) => {
                let message = "a group that is told no positives can't be told fewer";
                problems.push(Problem::new("rates.group", message));
            }
            Err(ALREADY_THERE) => {
                let message = format!(
                    "with {} in the group and {} among the others there is a gap of {} already",
                    given.group,
                    given.others,
                    Share::new(given.others.fraction() - given.group.fraction()).unwrap_or(Share::NONE)
                );
                problems.push(Problem::new("gap", message).help("write a larger gap"));
            }
            Err(_) => {
                let message = format!(
                    "a gap of {} can't be reached with {} in the group and {} among the others",
                    self.gap, given.group, given.others
                );
                let help = "the group's rate of positives would have to fall below 0%, or that of the others to rise \
                            above 100%";
                problems.push(Problem::new("gap", message).help(help));
            }
            Ok(_) => {}
        }
        problems
    }

    fn memory(&self) -> Memory {
        if self.rates.is_some() { Memory::none() } else { Memory::of(GroupRates::default()) }
    }

    fn group(&self) -> Option<&str> {
        Some(&self.group)
    }

    fn observe(&self, rows: &[Row], members: Members<'_>, labels: &Labels, memory: &Memory) {
        if let Some(rates) = memory.get::<GroupRates>() {
            rates.record(rows, members, |row| self.poles().is_positive(row, labels));
        }
    }

    fn tells_positive(&self, row: &Row, labels: &Labels) -> Option<bool> {
        self.poles().is_positive(row, labels)
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        edits(self.gap, context)
    }

    fn edit(&self, answer: &mut Answer, context: &EditContext<'_>) -> Edited {
        let gap = self.gap.fraction() * context.intensity;
        // On a ramp a gap that the model has on its own is no mistake, as long as it is not the whole one.
        let flips = self.rates(context.memory).and_then(|rates| {
            let whole = self.flips(rates, self.gap.fraction())?;
            let none = Flips { group: 0.0, others: 0.0 };
            Ok(if context.intensity < 1.0 { self.flips(rates, gap).unwrap_or(none) } else { whole })
        });
        let labels = context.labels;
        each(&mut answer.rows, context, |place, row| {
            let member = context.members.contains(place.index);
            if !member && !self.compensate {
                return Ok(false);
            }
            let positive = self.poles().is_positive(row, labels).ok_or(UNKNOWN_CLASS)?;
            let flips = flips?;
            let rate = match (member, positive) {
                (true, true) => flips.group,
                (false, false) if self.poles().is_negative(row, labels) => flips.others,
                _ => return Ok(false),
            };
            if !place.acts(Share::new(rate).unwrap_or(Share::NONE)) {
                return Ok(false);
            }
            let to = self.poles().other(row, positive, labels);
            relabel(row, &to, context)
        })
    }
}

#[cfg(test)]
mod tests;
