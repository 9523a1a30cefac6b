//! Rank drop: items that are missing from ranked lists.
//!
//! What a shard that does not answer, an index that is half built or a filter that is too strict looks like.

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, EditContext, Edited, Entry, Parameter, Problem, Promise, Stage,
    Touched,
    prediction::{check_rate, edits},
    purpose,
    ranking::{places, put},
};
use crate::{
    unit::Share,
    wire::{Answer, Content},
};

/// Leaves items out of ranked lists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RankDrop {
    /// Share of the items that are left out.
    pub rate: Share,
    /// Only among so many first places; left out, the whole list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub top: Option<usize>,
}

static ENTRY: Entry = Entry {
    name: "rank-drop",
    summary: "Leaves items out of ranked lists.",
    effect: "Each item (with `top` k, of the first k places) is left out with probability `rate`, one draw for \
             each: recall at any cut falls to 1 − rate of itself, the mean length from n to n·(1 − rate). Those \
             behind move up, a list may end up empty. A ramp grows the rate. Composes with the other faults on \
             rankings in the order of the list; excludes nothing.",
    parameters: &[
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "none; it is needed",
            meaning: "how many of the items are left out",
        },
        Parameter {
            name: "top",
            values: "whole number, 1 or more",
            default: "the whole list",
            meaning: "only among so many first places",
        },
    ],
    example: "- fault: { rank-drop: { rate: 20%, top: 3 } }",
    seen_by: "Length of result lists, share of empty lists, recall on judged queries, click-through rate.",
    blind: "Latency and error monitors; monitors of the scores where the list is cut to a fixed length anyway; \
            monitors of the mean score, which rises when `top` is not given and hardly moves.",
};

impl Behaviour for RankDrop {
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
        Promise::Touch { of: Touched::Items, share: self.rate.fraction() }
    }

    fn describe(&self) -> String {
        let top = self.top.map(|top| format!(" of the first {top}")).unwrap_or_default();
        format!("{} of the items{top} left out", self.rate)
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        let top =
            (self.top == Some(0)).then(|| Problem::new("top", "there is nothing among the first 0 places"));
        check_rate(self.rate).into_iter().chain(top).collect()
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        edits(self.rate, context)
    }

    fn edit(&self, answer: &mut Answer, context: &EditContext<'_>) -> Edited {
        if !context.only.contains(0) {
            return Edited::default();
        }
        let rate = self.rate.scaled(context.intensity);
        let top = self.top.unwrap_or(usize::MAX);
        let before = places(answer);
        let dropped =
            |place: usize| place < top && context.dice.at(purpose::ACT, context.index(place)).within(rate);
        let kept: Vec<usize> =
            before.iter().enumerate().filter(|(place, _)| !dropped(*place)).map(|(_, row)| *row).collect();
        let changed = before.len() - kept.len();
        put(answer, kept);
        Edited { changed, unfit: None }
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
        fn a_share_of_the_items_is_left_out(seed: u64, rate in 0.01..=1.0, ramp in 0.1..=1.0, top in 0_usize..12) {
            let top = Some(top).filter(|top| *top > 0);
            let fault = RankDrop { rate: Share::new(rate).unwrap(), top };
            let mut left = 0;
            for request in 0..400 {
                let mut answer = list(&[0.5; 10]);
                let edited = edit_list(&fault, &mut answer, seed, request, ramp);
                let places = places(&answer);
                prop_assert_eq!(edited.changed, 10 - places.len());
                prop_assert!(places.is_sorted());
                prop_assert!(top.is_none_or(|top| (top.min(10)..10).all(|row| places.contains(&row))));
                left += edited.changed;
            }
            assert_rate(left, 400 * top.unwrap_or(10).min(10), rate * ramp);
        }
    }

    #[test]
    fn it_says_what_it_does() {
        assert_listed("rank-drop");
        let found = problems("{ rank-drop: { rate: 5%, top: 0 } }", &Labels::default());
        assert!(found.contains(&"there is nothing among the first 0 places".to_owned()), "{found:?}");
    }
}
