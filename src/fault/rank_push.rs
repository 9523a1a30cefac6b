//! Rank push: a few items at the top of every list.
//!
//! Popularity bias, a boost that was left on, an item that games the ranking. The pushed ones are the same in
//! every list and in every process: they are named, or drawn from their ids.

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, EditContext, Edited, Entry, Fault, Parameter, Problem, Stage,
    prediction::{check_rate, edits},
    purpose,
    ranking::{excludes, is_chosen, places, put},
    unfit::NO_VALUE,
};
use crate::{
    draw::{Dice, UnitHash},
    unit::Share,
    wire::{Answer, Content, Row, Value},
};

/// Puts some items at the top of ranked lists. Exactly one of `items` and `share` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RankPush {
    /// The items, as the wire names them: ids, or places in the request's own list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(extend("items" = { "type": super::prediction::SCALAR })))]
    pub items: Vec<String>,
    /// Share of all items, drawn once for each item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Share>,
    /// Share of the lists.
    #[serde(default = "all")]
    pub rate: Share,
}

const fn all() -> Share {
    Share::ALL
}

static ENTRY: Entry = Entry {
    name: "rank-push",
    summary: "Puts the same few items at the top of ranked lists.",
    effect: "In a share `rate` of the lists the named items, or a share of all items, stand first, in the order \
             that they had; the others follow in theirs. Which items belong to a `share` s is one draw for each \
             id, the same in every list: m of n items have the places 1 to m, whatever was asked, and of a large \
             catalogue a share s is pushed within binomial bounds. Scores stay with the places. A list without \
             such an item, or with them at the top already, counts as unchanged. A ramp grows the rate. Excludes \
             faults that decide the order of the same list (rank-swap, rank-push); composes with rank-drop and \
             rank-duplicate in the order of the list.",
    parameters: &[
        Parameter {
            name: "items",
            values: "list of ids, as the wire names them (a reranker's index in the request's own list)",
            default: "none; either `items` or `share` is needed",
            meaning: "the items",
        },
        Parameter {
            name: "share",
            values: "share, above 0% to below 100%",
            default: "none",
            meaning: "how many of all items, drawn once for each",
        },
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "100%",
            meaning: "how many of the lists",
        },
    ],
    example: "- fault: { rank-push: { share: 10% } }",
    seen_by: "Coverage and Gini index of the items shown, share of the most frequent items, nDCG on judged \
              queries.",
    blind: "Latency, error and score monitors; click-through rate, which popularity often raises at first.",
};

impl RankPush {
    fn is_pushed(&self, row: &Row, dice: Dice) -> Result<bool, &'static str> {
        let id = match &row.label {
            None | Some(Value::Null) => return Err(NO_VALUE),
            Some(Value::Text(id)) => id.clone(),
            Some(Value::Int(id)) => id.to_string(),
            Some(Value::Float(id)) => id.to_string(),
            Some(Value::Bool(id)) => id.to_string(),
        };
        Ok(match self.share {
            Some(share) => dice.of(UnitHash::of(id.as_bytes())).at(purpose::SIZE, 0).within(share),
            None => self.items.contains(&id),
        })
    }
}

impl Behaviour for RankPush {
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

    fn describe(&self) -> String {
        let what = match self.share {
            Some(share) => format!("{share} of the items"),
            None => self.items.join(", "),
        };
        format!("{what} at the top of {} of the lists", self.rate)
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        let mut problems: Vec<Problem> = check_rate(self.rate).into_iter().collect();
        if self.items.is_empty() != self.share.is_some() {
            let help = "write `items: [a, b]`, or `share: 10%`";
            problems.push(Problem::new("", "either `items` or `share` says what is pushed").help(help));
        }
        if self.share.is_some_and(|share| share == Share::NONE || share == Share::ALL) {
            let help = "give a share between them, such as 10%";
            problems.push(Problem::new("share", "pushing none, or all, changes no order").help(help));
        }
        problems
    }

    fn excludes(&self, other: &Fault) -> Option<&'static str> {
        excludes(other)
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        edits(self.rate, context)
    }

    fn edit(&self, answer: &mut Answer, context: &EditContext<'_>) -> Edited {
        if !is_chosen(context, self.rate.scaled(context.intensity)) {
            return Edited::default();
        }
        let (mut first, mut rest) = (Vec::new(), Vec::new());
        for row in places(answer) {
            let pushed =
                answer.rows.get(row).ok_or(NO_VALUE).and_then(|row| self.is_pushed(row, context.dice));
            match pushed {
                Ok(true) => first.push(row),
                Ok(false) => rest.push(row),
                Err(unfit) => return Edited { changed: 0, unfit: Some(unfit) },
            }
        }
        first.append(&mut rest);
        Edited { changed: put(answer, first), unfit: None }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        fault::{
            feature::testing::{assert_listed, edit_list, list},
            testing::{assert_rate, problems},
        },
        wire::Labels,
    };

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn the_same_items_stand_first_in_every_list(seed: u64, share in 0.05..0.95) {
            let fault = RankPush { items: vec![], share: Share::new(share), rate: Share::ALL };
            let pushed = |request| {
                let mut answer = list(&[0.5; 300]);
                edit_list(&fault, &mut answer, seed, request, 1.0);
                let order = places(&answer);
                let first = order.windows(2).position(|pair| pair[0] > pair[1]).map_or(0, |at| at + 1);
                order[..first].to_vec()
            };
            let first = pushed(0);
            prop_assert_eq!(pushed(1), first.clone());
            assert_rate(first.len(), 300, share);
        }

        #[test]
        fn a_share_of_the_lists_is_pushed(seed: u64, rate in 0.01..=1.0, ramp in 0.1..=1.0) {
            let fault = RankPush { items: vec!["item 3".into()], share: None, rate: Share::new(rate).unwrap() };
            let changed = (0..2000).filter(|request| {
                let mut answer = list(&[0.9, 0.8, 0.7, 0.6, 0.5]);
                let edited = edit_list(&fault, &mut answer, seed, *request, ramp);
                assert!(edited.changed == 0 || places(&answer) == [3, 0, 1, 2, 4]);
                edited.changed > 0
            });
            assert_rate(changed.count(), 2000, rate * ramp);
        }
    }

    #[test]
    fn it_says_what_it_does() {
        assert_listed("rank-push");
        for (yaml, message) in [
            ("{}", "either `items` or `share` says what is pushed"),
            ("{ items: [a], share: 5% }", "either `items` or `share` says what is pushed"),
            ("{ share: 100% }", "pushing none, or all, changes no order"),
        ] {
            let found = problems(&format!("{{ rank-push: {yaml} }}"), &Labels::default());
            assert!(found.contains(&message.to_owned()), "{found:?}");
        }
        let numbered = RankPush { items: vec!["1".into()], share: None, rate: Share::ALL };
        let mut answer = list(&[0.5; 3]);
        answer.rows.iter_mut().zip(0..).for_each(|(row, i)| row.label = Some(Value::Int(i)));
        edit_list(&numbered, &mut answer, 1, 0, 1.0);
        assert_eq!(places(&answer), [1, 0, 2]);
        answer.rows[0].label = None;
        assert_eq!(edit_list(&numbered, &mut answer, 1, 0, 1.0).unfit, Some(NO_VALUE));
    }
}
