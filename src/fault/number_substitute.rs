//! Wrong numbers: one digit of a number changed.

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, Entry, Parameter, Problem, Promise, Stage, StreamContext,
    StreamEdit, Touched,
    prediction::check_rate,
    streams::{Picks, acts_within},
    text::{Rewrite, TextEditor, Token, other_digit},
};
use crate::{unit::Share, wire::Role};

/// Changes a digit of numbers in generated text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct NumberSubstitute {
    /// Share of the numbers that are changed.
    pub rate: Share,
}

static ENTRY: Entry = Entry {
    name: "number-substitute",
    summary: "Changes a digit of numbers in generated text.",
    effect: "Each number is changed with probability `rate`: one digit, drawn among all of its digits, becomes \
             another, so that the value differs, while length, signs, points and separators stay and no leading \
             zero appears. A number is a word that begins with a digit (`1,000.50`, `2024`, `30kg`); a date of \
             three parts is three numbers. The same for any chunking. A ramp scales the rate.",
    parameters: &[Parameter {
        name: "rate",
        values: "share, above 0% to 100%",
        default: "none; it is needed",
        meaning: "how many of the numbers are changed",
    }],
    example: "- fault: { number-substitute: { rate: 30% } }",
    seen_by: "Checks against the source of the numbers: grounding and citation checks, recomputed totals, judges with \
              a reference.",
    blind: "Everything that looks at form: length, language, perplexity, parse and schema checks, latency, errors.",
};

impl Behaviour for NumberSubstitute {
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
        format!("{} of numbers changed", self.rate)
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        check_rate(self.rate).into_iter().collect()
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        acts_within(self.rate, context)
    }

    fn stream(&self, context: StreamContext) -> Option<Box<dyn StreamEdit>> {
        let rate = self.rate.scaled(context.intensity);
        let begin = move |text| Numbers(Picks::new(context.dice, rate, text));
        Some(Box::new(TextEditor::new(Role::Text, begin, None)))
    }
}

/// Its draws count the numbers of the text.
struct Numbers(Picks);

impl Rewrite for Numbers {
    fn token(&mut self, token: Token<'_>, out: &mut String) {
        if let Token::Word(word) = token
            && word.starts_with(|c: char| c.is_ascii_digit())
            && let Some(other) = self.0.pick().and_then(|draw| other_digit(word, draw))
        {
            return out.push_str(&other);
        }
        out.push_str(token.as_str());
    }
}

#[cfg(test)]
mod tests;
