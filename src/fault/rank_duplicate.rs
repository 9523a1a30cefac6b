//! Rank duplicate: items that stand twice in ranked lists.
//!
//! What a missing deduplication over shards, replicas or variants of a product looks like.

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

/// Repeats items of ranked lists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RankDuplicate {
    /// Share of the items that come twice.
    pub rate: Share,
    /// Does the list keep its length? Then what no longer fits falls off its end.
    #[serde(default)]
    pub keep_length: bool,
}

static ENTRY: Entry = Entry {
    name: "rank-duplicate",
    summary: "Repeats items of ranked lists.",
    effect: "Each item comes a second time, right after itself, with probability `rate`, one draw for each: the \
             list grows from n to n·(1 + rate) in the mean, and rate/(1 + rate) of its places are repeats. With \
             `keep-length` the last ones fall off: about rate/(1 + rate) of the items are lost instead. A ramp \
             grows the rate. Composes with the other faults on rankings in the order of the list; excludes \
             nothing.",
    parameters: &[
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "none; it is needed",
            meaning: "how many of the items come twice",
        },
        Parameter {
            name: "keep-length",
            values: "true | false",
            default: "false",
            meaning: "what no longer fits falls off the end of the list",
        },
    ],
    example: "- fault: { rank-duplicate: { rate: 20% } }",
    seen_by: "Distinct items per list, diversity and coverage, length of result lists.",
    blind: "Latency, error and score monitors; nDCG where repeats are judged like the first.",
};

impl Behaviour for RankDuplicate {
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
        format!("{} of the items twice", self.rate)
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        check_rate(self.rate).into_iter().collect()
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        edits(self.rate, context)
    }

    fn edit(&self, answer: &mut Answer, context: &EditContext<'_>) -> Edited {
        if !context.only.contains(0) {
            return Edited::default();
        }
        let rate = self.rate.scaled(context.intensity);
        let before = places(answer);
        let repeats = |place: usize| context.dice.at(purpose::ACT, context.index(place)).within(rate);
        let mut after = Vec::with_capacity(before.len() * 2);
        let mut changed = 0;
        for (place, row) in before.iter().enumerate() {
            let times = 1 + usize::from(repeats(place));
            after.extend(std::iter::repeat_n(*row, times));
            changed += times - 1;
        }
        if self.keep_length {
            after.truncate(before.len());
            changed = after.windows(2).filter(|pair| pair[0] == pair[1]).count();
        }
        put(answer, after);
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
        fn a_share_of_the_items_comes_twice(seed: u64, rate in 0.01..=1.0, ramp in 0.1..=1.0) {
            let fault = RankDuplicate { rate: Share::new(rate).unwrap(), keep_length: false };
            let mut twice = 0;
            for request in 0..400 {
                let mut answer = list(&[0.5; 10]);
                let edited = edit_list(&fault, &mut answer, seed, request, ramp);
                let mut places = places(&answer);
                prop_assert!(places.is_sorted());
                prop_assert_eq!(places.len(), 10 + edited.changed);
                places.dedup();
                prop_assert_eq!(places, (0..10).collect::<Vec<_>>());
                twice += edited.changed;
            }
            assert_rate(twice, 4000, rate * ramp);
        }
    }

    #[test]
    fn a_list_can_keep_its_length() {
        let fault = RankDuplicate { rate: Share::ALL, keep_length: true };
        let mut answer = list(&[0.5; 5]);
        assert_eq!(edit_list(&fault, &mut answer, 1, 0, 1.0).changed, 2);
        assert_eq!(places(&answer), [0, 0, 1, 1, 2]);
    }

    #[test]
    fn it_says_what_it_does() {
        assert_listed("rank-duplicate");
        let found = problems("{ rank-duplicate: { rate: 0% } }", &Labels::default());
        assert!(found.contains(&"a rate of 0% never acts".to_owned()), "{found:?}");
    }
}
