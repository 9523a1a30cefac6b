//! Answers that refuse.

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, Entry, Fault, Parameter, Problem, Stage, StreamContext,
    StreamEdit,
    prediction::check_rate,
    streams::{Both, PartEditor, acts, all, share_of_answers},
    text::{Replace, TextEditor},
    unfit::NO_FINISH_REASON,
};
use crate::{
    unit::Share,
    wire::{Role, Value},
};

const APOLOGY: &str = "I'm sorry, but I can't help with that.";

/// Puts a refusal in the place of generated text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Refusal {
    /// What is said instead; left out, `I'm sorry, but I can't help with that.`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// How the refusal is told.
    #[serde(default)]
    pub how: Telling,
    /// Share of the answers that it acts on.
    #[serde(default = "all")]
    pub rate: Share,
}

/// How a refusal is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Telling {
    /// In the text alone, as models mostly do.
    Text,
    /// In the text, and where the provider has a word for it as a finish reason, there too.
    #[default]
    Provider,
}

static ENTRY: Entry = Entry {
    name: "refusal",
    summary: "Puts a refusal in the place of generated text.",
    effect: "In a share `rate` of the answers the whole text is the refusal: in a stream it comes in the first chunk \
             of text, and the later ones are empty. With `how: provider` the stop reason of Anthropic Messages is \
             `refusal`, too; other providers have no word for it (OpenAI's chat models refuse with `stop`). An answer without text (a tool call) is skipped as \
             `no-text`. Token counts stay as they were. A ramp scales the rate.",
    parameters: &[
        Parameter {
            name: "text",
            values: "text",
            default: "I'm sorry, but I can't help with that.",
            meaning: "what is said",
        },
        Parameter {
            name: "how",
            values: "`text` or `provider`",
            default: "provider",
            meaning: "in the text alone, or in the finish reason too",
        },
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "100%",
            meaning: "how many of the answers refuse",
        },
    ],
    example: "- fault: { refusal: { rate: 15% } }",
    seen_by: "Refusal rate (by a classifier, by phrases, or by finish reason), length of answers, judges, user feedback.",
    blind: "Latency, errors and token counters; with `how: text` the shares of finish reasons.",
};

impl Behaviour for Refusal {
    fn entry() -> &'static Entry {
        &ENTRY
    }

    fn stage(&self) -> Stage {
        Stage::Text
    }

    fn rate(&self) -> Share {
        self.rate
    }

    fn describe(&self) -> String {
        format!("{} refuses", share_of_answers(self.rate))
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        let empty = self.text.as_ref().is_some_and(String::is_empty).then(|| {
            Problem::new("text", "a refusal says something").help("leave `text` out, or use `empty-answer`")
        });
        check_rate(self.rate).into_iter().chain(empty).collect()
    }

    fn excludes(&self, other: &Fault) -> Option<&'static str> {
        let replaces = match other {
            Fault::TextScript(script) => script.answer.is_some() && script.rate == Share::ALL,
            Fault::Refusal(refusal) => refusal.rate == Share::ALL,
            _ => false,
        };
        (replaces && self.rate == Share::ALL).then_some("both take the place of the whole text")
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        acts(self.rate, context)
    }

    fn stream(&self, _context: StreamContext) -> Option<Box<dyn StreamEdit>> {
        let text = self.text.clone().unwrap_or_else(|| APOLOGY.to_owned());
        let editor = TextEditor::new(Role::Text, move |_| Replace::with(&text), None);
        if self.how == Telling::Text {
            return Some(Box::new(editor));
        }
        let reason = PartEditor::new(NO_FINISH_REASON, |_, part, value| match (part.role, value) {
            (Role::FinishReason, Value::Text(reason)) => {
                let is_anthropic = matches!(reason.as_str(), "end_turn" | "max_tokens" | "stop_sequence");
                is_anthropic.then(|| Value::Text("refusal".to_owned()))
            }
            _ => None,
        });
        Some(Box::new(Both(editor, reason)))
    }
}

#[cfg(test)]
mod tests;
