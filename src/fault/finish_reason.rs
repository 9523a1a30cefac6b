//! The wrong reason for the end of an answer.
//!
//! Each provider has its own words. Which one speaks is told by the word that it used, so that a wrong reason is
//! one that its clients know.

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, Entry, Parameter, Problem, Stage, StreamContext, StreamEdit,
    prediction::check_rate,
    streams::{PartEditor, acts, all, share_of_answers},
    unfit::NO_FINISH_REASON,
};
use crate::{
    unit::Share,
    wire::{Role, Value},
};

/// Gives another finish reason than the model had.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FinishReason {
    /// The reason that is given, in the provider's own words.
    pub to: Reason,
    /// Share of the answers that it acts on.
    #[serde(default = "all")]
    pub rate: Share,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The model was done: `stop`, `end_turn`, `eos_token`, `completed`.
    Stop,
    /// It ran out of tokens: `length`, `max_tokens`, `incomplete`.
    Length,
    /// It wants to call a tool: `tool_calls`, `tool_use`.
    ToolCalls,
    /// The provider held the answer back: `content_filter`, `refusal`.
    ContentFilter,
    /// A reason that no client knows: `unknown`.
    Unknown,
}

impl Reason {
    /// The reason in the words of the provider who gave `original`; `None` when it has no word for it.
    fn like(self, original: &str) -> Option<&'static str> {
        let word = match original {
            // Anthropic Messages.
            "end_turn" | "max_tokens" | "tool_use" | "pause_turn" | "refusal" => match self {
                Reason::Stop => "end_turn",
                Reason::Length => "max_tokens",
                Reason::ToolCalls => "tool_use",
                Reason::ContentFilter => "refusal",
                Reason::Unknown => "unknown",
            },
            // Text Generation Inference; Anthropic shares `stop_sequence` and what follows here would not fit it.
            "eos_token" => match self {
                Reason::Stop => "eos_token",
                Reason::Length => "length",
                Reason::ToolCalls | Reason::ContentFilter => return None,
                Reason::Unknown => "unknown",
            },
            "stop_sequence" => match self {
                Reason::Unknown => "unknown",
                _ => return None,
            },
            // OpenAI Responses: the status.
            "completed" | "incomplete" | "failed" | "cancelled" => match self {
                Reason::Stop => "completed",
                Reason::Length | Reason::ContentFilter => "incomplete",
                Reason::ToolCalls => return None,
                Reason::Unknown => "unknown",
            },
            // OpenAI Responses: why it is incomplete.
            "max_output_tokens" => match self {
                Reason::Length => "max_output_tokens",
                Reason::ContentFilter => "content_filter",
                Reason::Stop | Reason::ToolCalls => return None,
                Reason::Unknown => "unknown",
            },
            // OpenAI chat and completions, and those that follow them.
            _ => match self {
                Reason::Stop => "stop",
                Reason::Length => "length",
                Reason::ToolCalls => "tool_calls",
                Reason::ContentFilter => "content_filter",
                Reason::Unknown => "unknown",
            },
        };
        Some(word)
    }

    const fn name(self) -> &'static str {
        match self {
            Reason::Stop => "stop",
            Reason::Length => "length",
            Reason::ToolCalls => "tool-calls",
            Reason::ContentFilter => "content-filter",
            Reason::Unknown => "unknown",
        }
    }
}

static ENTRY: Entry = Entry {
    name: "finish-reason",
    summary: "Gives a wrong reason for the end of an answer.",
    effect: "A share `rate` of the answers ends with the reason `to`, in the words of the provider, who is known by \
             the word that it used: `stop`, `length`, `tool_calls`, `content_filter` (OpenAI, Ollama), `end_turn`, \
             `max_tokens`, `tool_use`, `refusal` (Anthropic), `eos_token`, `length` (TGI), `completed`, \
             `incomplete` (OpenAI Responses). A provider without a word for it, or an answer without a reason, is \
             skipped as `no-finish-reason`. A ramp scales the rate.",
    parameters: &[
        Parameter {
            name: "to",
            values: "`stop`, `length`, `tool-calls`, `content-filter` or `unknown`",
            default: "none; it is needed",
            meaning: "the reason that is given",
        },
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "100%",
            meaning: "how many of the answers",
        },
    ],
    example: "- fault: { finish-reason: { to: length, rate: 30% } }",
    seen_by: "Shares of finish reasons (`vllm:request_success_total{finished_reason}` as the gateway counts it), \
              truncation alerts, agents that wait for a tool call.",
    blind: "Latency, errors and the text itself; the model server's own counter of finish reasons.",
};

impl Behaviour for FinishReason {
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
        format!("{} ends with {}", share_of_answers(self.rate), self.to.name())
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        check_rate(self.rate).into_iter().collect()
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        acts(self.rate, context)
    }

    fn stream(&self, _context: StreamContext) -> Option<Box<dyn StreamEdit>> {
        let to = self.to;
        Some(Box::new(PartEditor::new(NO_FINISH_REASON, move |_, part, value| match (part.role, value) {
            (Role::FinishReason, Value::Text(original)) => {
                to.like(original).map(|word| Value::Text(word.to_owned()))
            }
            _ => None,
        })))
    }
}

#[cfg(test)]
mod tests;
