//! Answers that say nothing.

use serde::{Deserialize, Serialize};

use super::{
    Action, Answers, Behaviour, CheckContext, Decide, Entry, Fault, Parameter, Problem, Promise, Stage,
    StreamContext, StreamEdit,
    prediction::check_rate,
    streams::{acts, all, share_of_answers},
    text::{Replace, TextEditor},
};
use crate::{unit::Share, wire::Role};

/// Empties generated text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct EmptyAnswer {
    /// Share of the answers that it acts on.
    #[serde(default = "all")]
    pub rate: Share,
}

static ENTRY: Entry = Entry {
    name: "empty-answer",
    summary: "Takes the text out of answers.",
    effect: "In a share `rate` of the answers each piece of text is empty; everything else (finish reason, tool \
             calls, token counts, the chunks themselves) stays. An answer without text is skipped as `no-text`. A \
             ramp scales the rate.",
    parameters: &[Parameter {
        name: "rate",
        values: "share, above 0% to 100%",
        default: "100%",
        meaning: "how many of the answers are empty",
    }],
    example: "- fault: { empty-answer: { rate: 10% } }",
    seen_by: "Share of empty answers, length of answers, gap between counted and reported tokens, user feedback.",
    blind: "Latency, errors, finish reasons and the tokens that the server reports.",
};

impl Behaviour for EmptyAnswer {
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
        Promise::Answers { are: Answers::Empty, share: self.rate.fraction() }
    }

    fn describe(&self) -> String {
        format!("{} is empty", share_of_answers(self.rate))
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        check_rate(self.rate).into_iter().collect()
    }

    fn excludes(&self, other: &Fault) -> Option<&'static str> {
        let edits = matches!(
            other,
            Fault::TextSubstitute(_)
                | Fault::NumberSubstitute(_)
                | Fault::TextLoop(_)
                | Fault::TextScript(_)
                | Fault::Refusal(_)
        );
        (edits && self.rate == Share::ALL).then_some("an empty answer has no text to change")
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        acts(self.rate, context)
    }

    fn stream(&self, _context: StreamContext) -> Option<Box<dyn StreamEdit>> {
        Some(Box::new(TextEditor::new(Role::Text, |_| Replace::with(""), None)))
    }
}

#[cfg(test)]
mod tests;
