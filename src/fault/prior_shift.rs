//! Prior shift: probabilities as the same model would give them where the classes are otherwise common.
//!
//! A tilt for each class, p′_k ∝ p_k·π′_k/π_k, or for one class by as much as a wanted PSI takes. `score-shift` is the
//! same with a step that is given in logits. Labels stay as they are.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Deserializer, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, EditContext, Edited, Entry, Marginals, Members, Memory,
    Parameter, Problem, Promise, Scales, Stage,
    estimate::{ENOUGH, check_marginals},
    prediction::{check_rate, each, edits, index_of},
    score::{LARGEST, Logits, at, moving, probabilities, rewrite, tilt},
    score_shift::check_place,
    unfit::{NOT_A_PROBABILITY, OUT_OF_REACH, STILL_LEARNING},
};
use crate::{
    unit::Share,
    wire::{Answer, Labels, Row},
};

/// Which way a class moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Towards {
    /// More probable.
    #[default]
    Up,
    /// Less probable.
    Down,
}

/// Tilts probabilities as a changed prior does, or by a wanted PSI.
///
/// ```
/// use canard::fault::Fault;
/// let fault: Fault = serde_json::from_str(r#"{ "prior-shift": { "psi": 0.25, "class": "virginica" } }"#)?;
/// assert_eq!(fault.describe(), "PSI 0.25 of virginica's score, upwards, on 100%");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PriorShift {
    /// The wanted prior of each class, above 0%, 100% in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Marginals>,
    /// The prior of each class now, above 0%, 100% in all; left out, the mean probability in the traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Marginals>,
    /// In place of `to`: the wanted PSI of one class's scores, 0.001 to 5.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "psi")]
    #[cfg_attr(feature = "schema", schemars(range(min = 0.001, max = 5.0)))]
    pub psi: Option<f64>,
    /// With `psi`, the class whose probability moves; left out, the last one (class 1 of a single score).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("type" = super::prediction::SCALAR)))]
    pub class: Option<String>,
    /// With `psi`, which way it moves.
    #[serde(default, skip_serializing_if = "is_default")]
    pub towards: Towards,
    /// Share of the predictions that move.
    #[serde(default = "all")]
    pub rate: Share,
}

fn all() -> Share {
    Share::ALL
}

fn is_default(towards: &Towards) -> bool {
    *towards == Towards::default()
}

fn psi<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    let psi = f64::deserialize(from)?;
    if (0.001..=5.0).contains(&psi) {
        return Ok(Some(psi));
    }
    Err(serde::de::Error::custom(format!("a PSI of {psi} is not possible; it is a number from 0.001 to 5")))
}

static ENTRY: Entry = Entry {
    name: "prior-shift",
    summary: "Tilts probabilities as another prior does, or by as much as a wanted PSI takes.",
    effect: "p′_k ∝ p_k·e^{δ_k} with δ_k = log(π′_k/π_k): what a calibrated model gives where the priors are π′ = `to` \
             and not π = `from` (Saerens, Latinne and Decaestecker, *Neural Computation* 14, 2002, eq. 2.4). With \
             `psi` only one class is tilted, so that its logits move by one δ, which is bisected until the population \
             stability index of its scores, over ten quantile bins of the scores as they were, is the wanted one; a \
             `rate` below 100% counts as the mixture that it gives. The scores are learnt online in 2048 bins of the \
             logit, from every prediction as the model made it (of both arms, from the first phase on); the fault waits for 200 of them (`still-learning`). A \
             monitor that sees N and M predictions measures more than was asked for by about (B − 1)(1/N + 1/M) with B \
             bins. Where no step of up to 20 logits gives the PSI (scores of 0 and 1 don't move) it is \
             `out-of-reach`. Labels stay as they are. A ramp grows δ, not the rate.",
    parameters: &[
        Parameter {
            name: "to",
            values: "shares of classes, each above 0%, 100% in all",
            default: "none; either `to` or `psi` is needed",
            meaning: "the wanted priors",
        },
        Parameter {
            name: "from",
            values: "shares of the same classes, each above 0%, 100% in all",
            default: "mean probability of each class in the traffic",
            meaning: "the priors now",
        },
        Parameter {
            name: "psi",
            values: "0.001 to 5",
            default: "none",
            meaning: "in place of `to`: the wanted PSI of the scores of one class",
        },
        Parameter {
            name: "class",
            values: "class name; the number's text where classes have no names",
            default: "the last class; class 1 of a single score",
            meaning: "with `psi`: the class whose scores move",
        },
        Parameter {
            name: "towards",
            values: "`up` or `down`",
            default: "up",
            meaning: "with `psi`: whether the class becomes more or less probable",
        },
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "100%",
            meaning: "how many of the predictions move",
        },
    ],
    example: "- fault: { prior-shift: { psi: 0.25 } }\n  ramp: 15s",
    seen_by: "Drift of the scores (PSI, Kolmogorov-Smirnov, Jensen-Shannon), calibration on delayed labels.",
    blind: "Monitors of labels, as labels stay as they are; latency and error monitors; a `PSI > 0.2` rule below 0.2.",
};

/// The PSI over ten quantile bins when a share of the predictions has moved into the last one; infinite for all.
fn most_psi(rate: f64) -> f64 {
    0.9 * rate * ((1.0 + 9.0 * rate).ln() - (1.0 - rate).ln())
}

/// What is learnt: the logits of the class that moves, and the mean probability of each class.
#[derive(Debug, Default)]
struct Learnt {
    logits: Logits,
    rest: Mutex<Rest>,
}

#[derive(Debug, Default)]
struct Rest {
    rows: u64,
    /// One for each place of the scores.
    sums: Vec<f64>,
    /// The last step that was bisected, and how much was known then.
    step: Option<(u64, Option<f64>)>,
}

/// Places whose mean is learnt.
const MOST_PLACES: usize = 1000;

impl Learnt {
    fn record(&self, rows: &[Row], class: Option<&str>, labels: &Labels) {
        let mut rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        for scores in rows.iter().filter_map(probabilities) {
            let places = scores.len().clamp(2, MOST_PLACES);
            if rest.sums.is_empty() {
                rest.sums = vec![0.0; places];
            }
            if rest.sums.len() == places {
                rest.rows += 1;
                (0..places).for_each(|place| rest.sums[place] += at(&scores, place).unwrap_or(0.0));
            }
            if let Some(p) = moving(&scores, class, labels).and_then(|place| at(&scores, place)) {
                self.logits.record(p);
            }
        }
    }

    /// The step for a PSI, bisected anew whenever a tenth more is known.
    fn step(&self, psi: f64, rate: f64, sign: f64) -> Result<f64, &'static str> {
        let mut rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = rest.rows;
        match rest.step {
            Some((at, step)) if seen < at + at / 10 => step.ok_or(OUT_OF_REACH),
            _ if seen < ENOUGH => Err(STILL_LEARNING),
            _ => {
                let step = self.logits.step_for(psi, rate, sign);
                rest.step = Some((seen, step));
                step.ok_or(OUT_OF_REACH)
            }
        }
    }

    /// The mean probability at each place.
    fn means(&self) -> Option<Vec<f64>> {
        let rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        (rest.rows >= ENOUGH).then(|| rest.sums.iter().map(|sum| sum / rest.rows as f64).collect())
    }
}

impl PriorShift {
    /// The δ of each place.
    fn steps(
        &self,
        places: usize,
        learnt: Option<&Learnt>,
        labels: &Labels,
    ) -> Result<Vec<f64>, &'static str> {
        if let Some(psi) = self.psi {
            let sign = if self.towards == Towards::Up { 1.0 } else { -1.0 };
            let step = learnt.ok_or(STILL_LEARNING)?.step(psi, self.rate.fraction(), sign)?;
            let place = match &self.class {
                Some(class) => {
                    index_of(class, labels).filter(|place| *place < places).ok_or(NOT_A_PROBABILITY)?
                }
                None => places - 1,
            };
            return Ok((0..places).map(|own| if own == place { step } else { 0.0 }).collect());
        }
        let by_place = |shares: &Marginals| {
            let mut own = vec![0.0; places];
            for (class, share) in shares {
                *own.get_mut(index_of(class, labels)?)? = share.fraction();
            }
            Some(own)
        };
        let from = match &self.from {
            Some(from) => by_place(from).ok_or(NOT_A_PROBABILITY)?,
            None => learnt.and_then(Learnt::means).ok_or(STILL_LEARNING)?,
        };
        let to = self.to.as_ref().and_then(by_place).ok_or(NOT_A_PROBABILITY)?;
        if from.len() != places {
            return Err(NOT_A_PROBABILITY);
        }
        let step = |(to, from): (f64, f64)| (to / from).ln().clamp(-LARGEST, LARGEST);
        // A class that never had any probability stays so, whatever its step.
        Ok(to.into_iter().zip(from).map(|pair| if pair.1 > 0.0 { step(pair) } else { 0.0 }).collect())
    }
}

impl Behaviour for PriorShift {
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
        let share = self.rate.fraction();
        match (self.psi, &self.to) {
            (None, Some(to)) => {
                let to = to.iter().map(|(class, share)| (class.clone(), share.fraction())).collect();
                Promise::Priors { to, share }
            }
            (psi, _) => Promise::Psi { psi: psi.unwrap_or_default(), share },
        }
    }

    fn scales(&self) -> Scales {
        Scales::Size
    }

    fn describe(&self) -> String {
        if let Some(psi) = self.psi {
            let of = self.class.as_ref().map_or("the last class".to_owned(), |class| class.clone());
            let way = if self.towards == Towards::Up { "upwards" } else { "downwards" };
            return format!("PSI {psi} of {of}'s score, {way}, on {}", self.rate);
        }
        let to = self.to.iter().flatten().map(|(class, share)| format!("{class} {share}"));
        format!("priors to {} on {}", to.collect::<Vec<_>>().join(", "), self.rate)
    }

    fn check(&self, target: &CheckContext<'_>) -> Vec<Problem> {
        let mut problems: Vec<Problem> = check_rate(self.rate).into_iter().collect();
        match (&self.to, self.psi) {
            (None, None) => {
                let help = "write `psi: 0.25`, or the wanted priors as `to: { a: 40%, b: 60% }`";
                problems.push(Problem::new("", "`prior-shift` needs the wanted priors or a PSI").help(help));
            }
            (Some(_), Some(_)) => {
                problems.push(Problem::new("psi", "either the wanted priors or a PSI, not both"));
            }
            (Some(to), None) => {
                for (key, shares) in [("to", Some(to)), ("from", self.from.as_ref())] {
                    let Some(shares) = shares else { continue };
                    problems.extend(check_marginals(key, shares, target.labels, true));
                    problems.extend(shares.keys().filter_map(|class| check_place(key, class, target.labels)));
                    let never = shares.iter().filter(|(_, share)| **share == Share::NONE);
                    problems.extend(never.map(|(class, _)| {
                        let help =
                            "a prior of 0% would take an endless step; write a small one, such as 0.1%";
                        Problem::new(key, format!("the prior of `{class}` is 0%")).help(help)
                    }));
                }
                let listed = |shares: &Marginals| shares.keys().cloned().collect::<Vec<_>>();
                if self.from.as_ref().is_some_and(|from| listed(from) != listed(to)) {
                    problems.push(Problem::new("from", "`from` and `to` list different classes"));
                }
                let missing = target.labels.names().iter().filter(|name| !to.contains_key(*name));
                problems
                    .extend(missing.map(|name| Problem::new("to", format!("class `{name}` has no prior"))));
                if self.from.as_ref() == Some(to) {
                    problems.push(Problem::new("to", "the wanted priors are those that there are"));
                }
                if self.class.is_some() {
                    problems.push(Problem::new("class", "`class` goes with `psi`, not with `to`"));
                }
            }
            (None, Some(_)) => {
                problems
                    .extend(self.class.as_ref().and_then(|class| check_place("class", class, target.labels)));
                if self.from.is_some() {
                    problems.push(Problem::new("from", "`from` goes with `to`, not with `psi`"));
                }
                let most = most_psi(self.rate.fraction());
                if self.rate != Share::NONE && self.psi.is_some_and(|psi| psi > most) {
                    let most = (most * 1e3).floor() / 1e3;
                    let message =
                        format!("with {} of the predictions moved, the PSI is at most {most}", self.rate);
                    problems.push(Problem::new("psi", message).help("raise the rate or lower the PSI"));
                }
            }
        }
        problems
    }

    fn memory(&self) -> Memory {
        if self.from.is_some() { Memory::none() } else { Memory::of(Learnt::default()) }
    }

    fn observe(&self, rows: &[Row], _members: Members<'_>, labels: &Labels, memory: &Memory) {
        if let Some(learnt) = memory.get::<Learnt>() {
            learnt.record(rows, self.class.as_deref(), labels);
        }
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        edits(self.rate, context)
    }

    fn edit(&self, answer: &mut Answer, context: &EditContext<'_>) -> Edited {
        let learnt = context.memory.get::<Learnt>();
        let mut steps: Option<(usize, Result<Vec<f64>, &'static str>)> = None;
        each(&mut answer.rows, context, |place, row| {
            if !place.acts(self.rate) {
                return Ok(false);
            }
            let before = probabilities(row).ok_or(NOT_A_PROBABILITY)?;
            let places = before.len().max(2);
            if steps.as_ref().is_none_or(|(known, _)| *known != places) {
                steps = Some((places, self.steps(places, learnt, context.labels)));
            }
            let steps =
                steps.as_ref().map_or(Err(STILL_LEARNING), |(_, steps)| steps.as_ref().map_err(|e| *e))?;
            let mut after = before.clone();
            tilt(&mut after, |place| (steps[place] * context.intensity).exp());
            Ok(rewrite(row, &before, &after))
        })
    }
}

#[cfg(test)]
mod tests;
