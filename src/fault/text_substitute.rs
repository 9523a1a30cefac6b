//! Wrong words: others in their place, or their own letters in another order.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, Entry, Parameter, Problem, Promise, Stage, StreamContext,
    StreamEdit, Touched,
    prediction::check_rate,
    streams::{Picks, acts_within},
    text::{Rewrite, TextEditor, Token, capitalised_like, shuffled},
};
use crate::{draw::Draw, unit::Share, wire::Role};

/// Puts other words in place of words. Exactly one of `words`, `pairs` and `shuffle` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TextSubstitute {
    /// Share of the words that are replaced; with `pairs`, of those that the pairs name.
    pub rate: Share,
    /// Any word becomes one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<String>,
    /// These words become those: `{ Paris: Lyon }`. Capitals do not matter, and are kept.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pairs: BTreeMap<String, String>,
    /// The letters of a word change places.
    #[serde(default, skip_serializing_if = "is_false")]
    pub shuffle: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

static ENTRY: Entry = Entry {
    name: "text-substitute",
    summary: "Puts other words in the place of words of generated text.",
    effect: "Each word that can be replaced is, with probability `rate`: by another of `words`, by its partner in \
             `pairs`, or by its own letters in another order (`shuffle`; words of one letter stay). A word is a run \
             of letters and digits, apostrophes between letters and points between digits included (at most 64 \
             characters); in Chinese and Japanese each sign is one. The draw is of the request, the text and the \
             number of the word in it, so the result is the same for any chunking, and wherever the wire repeats \
             the text. Capitals of the original are kept. A ramp scales the rate.",
    parameters: &[
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "none; it is needed",
            meaning: "how many of the words are replaced",
        },
        Parameter {
            name: "words",
            values: "list of texts",
            default: "—",
            meaning: "what any word may become",
        },
        Parameter {
            name: "pairs",
            values: "map of word to word",
            default: "—",
            meaning: "which words become which",
        },
        Parameter {
            name: "shuffle",
            values: "true or false",
            default: "false",
            meaning: "letters of a word change places",
        },
    ],
    example: "- fault: { text-substitute: { rate: 5%, shuffle: true } }",
    seen_by: "Judges and reference checks of answers, spell-check and out-of-vocabulary rates, user feedback.",
    blind: "Latency, errors, length, finish reasons and token counters; with `pairs` of plausible words (another \
            city, another drug) everything but a check against the truth.",
};

impl Behaviour for TextSubstitute {
    fn entry() -> &'static Entry {
        &ENTRY
    }

    fn stage(&self) -> Stage {
        Stage::Text
    }

    fn rate(&self) -> Share {
        self.rate
    }

    fn promise(&self) -> Promise {
        Promise::Touch { of: Touched::Pieces, share: self.rate.fraction() }
    }

    fn describe(&self) -> String {
        match (self.pairs.len(), self.shuffle) {
            (0, true) => format!("{} of words, letters shuffled", self.rate),
            (0, false) => format!("{} of words, one of {}", self.rate, self.words.len()),
            (pairs, _) => format!("{} of {pairs} words by their pairs", self.rate),
        }
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        let mut problems: Vec<Problem> = check_rate(self.rate).into_iter().collect();
        let given = [!self.words.is_empty(), !self.pairs.is_empty(), self.shuffle];
        if given.into_iter().filter(|given| *given).count() != 1 {
            let help =
                "give exactly one of `words: [apple, pear]`, `pairs: { Paris: Lyon }` and `shuffle: true`";
            problems.push(Problem::new("", "`text-substitute` needs one way to replace words").help(help));
        }
        for (from, to) in &self.pairs {
            if from.to_lowercase() == to.to_lowercase() {
                problems.push(Problem::new("pairs", format!("`{from}` becomes itself")));
            }
            if !from.chars().all(|c| c.is_alphanumeric() || matches!(c, '\'' | '’' | '.' | ','))
                || from.is_empty()
            {
                let message = format!("`{from}` is no single word");
                problems.push(Problem::new("pairs", message).help("name words without spaces or hyphens"));
            }
        }
        problems
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        acts_within(self.rate, context)
    }

    fn stream(&self, context: StreamContext) -> Option<Box<dyn StreamEdit>> {
        let rate = self.rate.scaled(context.intensity);
        let lower = |(from, to): (&String, &String)| (from.to_lowercase(), to.clone());
        let pairs = self.pairs.iter().map(lower).collect();
        let fault = Arc::new(TextSubstitute { pairs, ..self.clone() });
        let begin = move |text| Words { fault: fault.clone(), picks: Picks::new(context.dice, rate, text) };
        Some(Box::new(TextEditor::new(Role::Text, begin, None)))
    }
}

struct Words {
    /// With the left side of its pairs in lower case.
    fault: Arc<TextSubstitute>,
    picks: Picks,
}

impl Words {
    fn other(&self, word: &str, draw: Draw) -> Option<String> {
        let fault = &self.fault;
        if fault.shuffle {
            return shuffled(word, draw);
        }
        if fault.words.is_empty() {
            return fault.pairs.get(&word.to_lowercase()).map(|to| capitalised_like(word, to));
        }
        let first = draw.index(fault.words.len());
        let choices = fault.words[first..].iter().chain(&fault.words[..first]);
        choices.map(|to| capitalised_like(word, to)).find(|to| to != word)
    }
}

impl Rewrite for Words {
    fn token(&mut self, token: Token<'_>, out: &mut String) {
        if let Token::Word(word) = token
            && let Some(draw) = self.picks.pick()
            && let Some(other) = self.other(word, draw)
        {
            return out.push_str(&other);
        }
        out.push_str(token.as_str());
    }
}

#[cfg(test)]
mod tests;
