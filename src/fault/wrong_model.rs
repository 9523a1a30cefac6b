//! Answers that name another model than the one that was asked.

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, Entry, Parameter, Problem, Stage, StreamContext, StreamEdit,
    prediction::check_rate,
    streams::{PartEditor, acts, all, share_of_answers},
    unfit::NO_MODEL,
};
use crate::{
    unit::Share,
    wire::{Role, Value},
};

/// Names another model in answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WrongModel {
    /// The name of the model that is told.
    pub to: String,
    /// Share of the answers that it acts on.
    #[serde(default = "all")]
    pub rate: Share,
}

static ENTRY: Entry = Entry {
    name: "wrong-model",
    summary: "Names another model in answers, as a silent change of routes would.",
    effect: "In a share `rate` of the answers `model` is `to`, in each chunk. The text is still that of the model \
             that was asked. An answer that names no model (TGI) is skipped as `no-model`. A ramp scales the rate.",
    parameters: &[
        Parameter {
            name: "to",
            values: "text",
            default: "none; it is needed",
            meaning: "the model that is told",
        },
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "100%",
            meaning: "how many of the answers",
        },
    ],
    example: "- fault: { wrong-model: { to: tiny-chat-1b, rate: 20% } }",
    seen_by: "Shares of answers by model, model and version checks, cost per model.",
    blind: "Latency, errors, quality: the text is what it was; the model server's own metrics.",
};

impl Behaviour for WrongModel {
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
        format!("{} names {}", share_of_answers(self.rate), self.to)
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        let empty = self.to.is_empty().then(|| Problem::new("to", "a model has a name"));
        check_rate(self.rate).into_iter().chain(empty).collect()
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        acts(self.rate, context)
    }

    fn stream(&self, _context: StreamContext) -> Option<Box<dyn StreamEdit>> {
        let to = self.to.clone();
        Some(Box::new(PartEditor::new(NO_MODEL, move |_, part, _| {
            (part.role == Role::Model).then(|| Value::Text(to.clone()))
        })))
    }
}

#[cfg(test)]
mod tests;
