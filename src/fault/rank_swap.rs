//! Rank swap: a ranked list in a worse order, by Kendall's τ or by a drop of nDCG.
//!
//! Neighbours change places, at random, and only pairs that still stand as the model had them: each swap then
//! adds exactly one inversion, so τ, which counts inversions, is met and not only expected.

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, EditContext, Edited, Entry, Fault, Parameter, Problem, Promise,
    Scales, Stage,
    prediction::{check_rate, edits},
    purpose,
    ranking::{MOST_ITEMS, excludes, is_chosen, places, put},
    unfit::{NO_VALUE, NOT_A_RELEVANCE, OUT_OF_REACH, TOO_LARGE},
};
use crate::{
    draw::Dice,
    stats::{dcg, discount},
    unit::Share,
    wire::{Answer, Content, Value},
};

/// Worsens the order of ranked lists. Exactly one of `tau` and `ndcg-drop` is given.
///
/// ```
/// use canard::fault::Fault;
/// let fault: Fault = serde_json::from_str(r#"{ "rank-swap": { "tau": 0.6 } }"#)?;
/// assert_eq!(fault.describe(), "Kendall τ 0.6 in 100% of the lists");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RankSwap {
    /// Kendall's τ with the model's own order, -1 (reversed) to below 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = -1.0, max = 1.0)))]
    pub tau: Option<f64>,
    /// How much nDCG falls, above 0 to below 1, with the model's own scores as gains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0, max = 1.0)))]
    pub ndcg_drop: Option<f64>,
    /// Share of the lists.
    #[serde(default = "all")]
    pub rate: Share,
}

const fn all() -> Share {
    Share::ALL
}

static ENTRY: Entry = Entry {
    name: "rank-swap",
    summary: "Worsens the order of ranked lists, to a Kendall τ or by a drop of nDCG.",
    effect: "In a share `rate` of the lists neighbours change places at random, only where they still stand in the \
             model's order, so that each swap adds one inversion (Kendall's distance is the number of such swaps, \
             Diaconis and Graham 1977). `tau` t needs (1 − t)·n·(n − 1)/4 inversions (Kendall 1938), rounded at \
             random so that the mean of τ over lists is exactly t; one list of n items is within 4/(n·(n − 1)). \
             `ndcg-drop` swaps until DCG (Järvelin, Kekäläinen 2002; gains are the model's own scores) is 1 − drop \
             of what it was, within half of the worth of one swap at the top, 0.19·(g₁ − gₙ)/DCG; a drop that \
             even the reversed list does not have is `out-of-reach`, scores below 0 or not sorted are \
             `not-a-relevance`, lists over 1,000 items `too-large`. Scores stay with the places. A ramp grows \
             1 − τ, or the drop. Excludes faults that decide the order of the same list (rank-swap, rank-push); \
             composes with rank-drop and rank-duplicate in the order of the list.",
    parameters: &[
        Parameter {
            name: "tau",
            values: "number, -1 to below 1",
            default: "none; either `tau` or `ndcg-drop` is needed",
            meaning: "Kendall's τ with the model's own order",
        },
        Parameter {
            name: "ndcg-drop",
            values: "number, above 0 to below 1",
            default: "none",
            meaning: "how much nDCG falls",
        },
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "100%",
            meaning: "how many of the lists are worse",
        },
    ],
    example: "- fault: { rank-swap: { tau: 0.6 } }",
    seen_by: "nDCG, MRR and precision at k on judged queries; mean rank of clicks; overlap with a canary query's \
              known order.",
    blind: "Monitors of scores, counts and latency: the scores, the items and the length of the list are the \
            same; reformulation and abandonment rates only if users look far enough.",
};

/// A list on its way into disorder, one inversion at a time.
struct Disorder {
    order: Vec<usize>,
    /// Places whose item and the next one stand in the first order.
    open: Vec<usize>,
    /// Where each place is in `open`.
    at: Vec<Option<usize>>,
    dice: Dice,
    steps: u32,
}

impl Disorder {
    fn new(items: usize, dice: Dice) -> Disorder {
        let open: Vec<usize> = (0..items.saturating_sub(1)).collect();
        let at = open.iter().copied().map(Some).collect();
        Disorder { order: (0..items).collect(), open, at, dice, steps: 0 }
    }

    /// Swaps two neighbours; returns the place of the first, `None` when all is reversed.
    fn step(&mut self) -> Option<usize> {
        if self.open.is_empty() {
            return None;
        }
        let place = self.open[self.dice.at(purpose::SIZE, self.steps).index(self.open.len())];
        self.steps += 1;
        self.swap(place);
        Some(place)
    }

    fn swap(&mut self, place: usize) {
        self.order.swap(place, place + 1);
        for near in place.saturating_sub(1)..=(place + 1).min(self.at.len() - 1) {
            let is_open = self.order[near] < self.order[near + 1];
            match self.at[near] {
                None if is_open => {
                    self.at[near] = Some(self.open.len());
                    self.open.push(near);
                }
                Some(at) if !is_open => {
                    self.open.swap_remove(at);
                    self.at[near] = None;
                    if let Some(moved) = self.open.get(at) {
                        self.at[*moved] = Some(at);
                    }
                }
                _ => {}
            }
        }
    }
}

impl RankSwap {
    fn by_tau(tau: f64, items: usize, dice: Dice) -> Vec<usize> {
        let inversions = (1.0 - tau) * (items * items.saturating_sub(1)) as f64 / 4.0;
        let up = dice.at(purpose::SIZE, u32::MAX).uniform() < inversions.fract();
        let mut disorder = Disorder::new(items, dice);
        for _ in 0..inversions as u64 + u64::from(up) {
            disorder.step();
        }
        disorder.order
    }

    fn by_ndcg(drop: f64, gains: &[f64], dice: Dice) -> Result<Vec<usize>, &'static str> {
        let is_sorted = gains.is_sorted_by(|a, b| a >= b);
        let before = dcg(gains);
        if !is_sorted || gains.iter().any(|gain| !gain.is_finite() || *gain < 0.0) || before <= 0.0 {
            return Err(NOT_A_RELEVANCE);
        }
        let reversed: Vec<f64> = gains.iter().rev().copied().collect();
        let wanted = (1.0 - drop) * before;
        if dcg(&reversed) > wanted {
            return Err(OUT_OF_REACH);
        }
        let mut now = before;
        let mut disorder = Disorder::new(gains.len(), dice);
        while now > wanted {
            let Some(place) = disorder.step() else { break };
            let [first, second] = [place, place + 1].map(|place| gains[disorder.order[place]]);
            let lost = (second - first) * (discount(place) - discount(place + 1));
            if now - lost < wanted && wanted - (now - lost) > now - wanted {
                disorder.swap(place);
                break;
            }
            now -= lost;
        }
        Ok(disorder.order)
    }

    fn order(
        &self,
        answer: &Answer,
        before: &[usize],
        context: &EditContext<'_>,
    ) -> Result<Vec<usize>, &'static str> {
        match (before.len(), self.tau, self.ndcg_drop) {
            (0, ..) => Err(NO_VALUE),
            (MOST_ITEMS.., ..) => Err(TOO_LARGE),
            (items, Some(tau), _) => {
                Ok(RankSwap::by_tau(1.0 - (1.0 - tau) * context.intensity, items, context.dice))
            }
            (_, None, drop) => {
                let gain = |row: &usize| answer.rows.get(*row)?.scores.first().and_then(Value::as_f64);
                let gains: Option<Vec<f64>> = before.iter().map(gain).collect();
                let drop = drop.unwrap_or_default() * context.intensity;
                RankSwap::by_ndcg(drop, &gains.ok_or(NOT_A_RELEVANCE)?, context.dice)
            }
        }
    }
}

impl Behaviour for RankSwap {
    fn entry() -> &'static Entry {
        &ENTRY
    }

    fn stage(&self) -> Stage {
        Stage::Prediction
    }

    fn needs(&self) -> Option<Content> {
        Some(Content::Ranking)
    }

    fn rate(&self) -> Share {
        self.rate
    }

    fn promise(&self) -> Promise {
        let share = self.rate.fraction();
        match (self.tau, self.ndcg_drop) {
            (Some(tau), _) => Promise::KendallTau { tau, share },
            (None, drop) => Promise::NdcgDrop { drop: drop.unwrap_or_default(), share },
        }
    }

    fn scales(&self) -> Scales {
        Scales::Size
    }

    fn describe(&self) -> String {
        let size = match (self.tau, self.ndcg_drop) {
            (Some(tau), _) => format!("Kendall τ {tau}"),
            (None, drop) => format!("nDCG down by {}", drop.unwrap_or_default()),
        };
        format!("{size} in {} of the lists", self.rate)
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        let size = match (self.tau, self.ndcg_drop) {
            (Some(tau), None) if !(-1.0..1.0).contains(&tau) => {
                let help = "give a number from -1 (reversed) to below 1 (as it was)";
                Some(Problem::new("tau", format!("no other order has a τ of {tau}")).help(help))
            }
            (None, Some(drop)) if !(drop > 0.0 && drop < 1.0) => {
                let help = "give a number above 0 and below 1";
                Some(Problem::new("ndcg-drop", format!("nDCG can't fall by {drop}")).help(help))
            }
            (Some(_), None) | (None, Some(_)) => None,
            (None, None) | (Some(_), Some(_)) => {
                let help = "write `tau: 0.6`, or `ndcg-drop: 0.1`";
                Some(Problem::new("", "either `tau` or `ndcg-drop` says how much worse").help(help))
            }
        };
        check_rate(self.rate).into_iter().chain(size).collect()
    }

    fn excludes(&self, other: &Fault) -> Option<&'static str> {
        excludes(other)
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        edits(self.rate, context)
    }

    fn edit(&self, answer: &mut Answer, context: &EditContext<'_>) -> Edited {
        if !is_chosen(context, self.rate) || context.intensity <= 0.0 {
            return Edited::default();
        }
        let before = places(answer);
        match self.order(answer, &before, context) {
            Ok(order) => {
                let new = order.into_iter().map(|place| before[place]).collect();
                Edited { changed: put(answer, new), unfit: None }
            }
            Err(unfit) => Edited { changed: 0, unfit: Some(unfit) },
        }
    }
}

#[cfg(test)]
mod tests;
