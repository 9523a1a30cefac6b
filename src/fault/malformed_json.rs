//! Text that should be JSON and is not quite.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, Entry, Parameter, Problem, Stage, StreamContext, StreamEdit,
    prediction::check_rate,
    streams::{acts, all, share_of_answers},
    text::{JsonPlace, Rewrite, TextEditor, Token},
    unfit::NO_JSON,
};
use crate::{unit::Share, wire::Role};

const CHATTER: &str = "Sure! Here is the JSON that you asked for:\n\n";

/// Breaks JSON that the model wrote.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MalformedJson {
    /// How it is broken.
    pub with: Flaw,
    /// Which JSON.
    #[serde(default, rename = "in")]
    pub place: JsonIn,
    /// Share of the answers that it acts on.
    #[serde(default = "all")]
    pub rate: Share,
}

/// How JSON is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Flaw {
    /// It ends after its first colon or comma.
    Truncated,
    /// A comma stands before its first closing bracket.
    TrailingComma,
    /// Its strings have single quotes, as Python prints them.
    SingleQuotes,
    /// A sentence stands before it.
    Chatter,
}

/// Where the JSON is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum JsonIn {
    /// In the text of the answer.
    #[default]
    Text,
    /// In the arguments of tool calls.
    ToolArguments,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Flaw::Truncated => "truncated",
            Flaw::TrailingComma => "a trailing comma",
            Flaw::SingleQuotes => "single quotes",
            Flaw::Chatter => "a sentence before it",
        })
    }
}

static ENTRY: Entry = Entry {
    name: "malformed-json",
    summary: "Breaks the JSON in generated text or in tool arguments.",
    effect: "In a share `rate` of the answers the JSON that the model wrote does not parse any more: it ends after \
             its first colon or comma outside a string (`truncated`), has a comma before its first closing bracket \
             (`trailing-comma`), single for double quotes (`single-quotes`), or a sentence before it (`chatter`). \
             The envelope around it (the protocol's own JSON) stays valid. A text whose first character is none of \
             `{`, `[` and a backtick, or that has no place for the flaw, is skipped as `no-json`. The same for any \
             chunking. A ramp scales the rate.",
    parameters: &[
        Parameter {
            name: "with",
            values: "`truncated`, `trailing-comma`, `single-quotes` or `chatter`",
            default: "none; it is needed",
            meaning: "how it is broken",
        },
        Parameter {
            name: "in",
            values: "`text` or `tool-arguments`",
            default: "text",
            meaning: "which JSON",
        },
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "100%",
            meaning: "how many of the answers",
        },
    ],
    example: "- fault: { malformed-json: { with: trailing-comma, rate: 20% } }",
    seen_by: "Parse-failure and schema-failure rates of whoever reads the JSON, retries, repair rates.",
    blind: "Latency, HTTP errors, finish reasons, token counters; callers that repair JSON in silence.",
};

impl Behaviour for MalformedJson {
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
        let place = match self.place {
            JsonIn::Text => "JSON",
            JsonIn::ToolArguments => "tool arguments",
        };
        format!("{place} of {} with {}", share_of_answers(self.rate), self.with)
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        check_rate(self.rate).into_iter().collect()
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        acts(self.rate, context)
    }

    fn stream(&self, _context: StreamContext) -> Option<Box<dyn StreamEdit>> {
        let role = match self.place {
            JsonIn::Text => Role::Text,
            JsonIn::ToolArguments => Role::ToolArguments,
        };
        let flaw = self.with;
        let begin = move |_| Breaker { flaw, begun: None, done: false, place: JsonPlace::default() };
        Some(Box::new(TextEditor::new(role, begin, Some(NO_JSON))))
    }
}

struct Breaker {
    flaw: Flaw,
    /// Whether it is JSON, as soon as that is known.
    begun: Option<bool>,
    done: bool,
    place: JsonPlace,
}

impl Breaker {
    fn begin(&mut self, token: &str, out: &mut String) {
        if self.begun.is_none() && !token.trim().is_empty() {
            let is_json = matches!(token, "{" | "[" | "`");
            self.begun = Some(is_json);
            if is_json && self.flaw == Flaw::Chatter {
                out.push_str(CHATTER);
                self.done = true;
            }
        }
    }
}

impl Rewrite for Breaker {
    fn token(&mut self, token: Token<'_>, out: &mut String) {
        let token = token.as_str();
        self.begin(token, out);
        let is_json = self.begun == Some(true);
        let in_string = self.place.in_string();
        let is_quote = token == "\"" && !self.place.escaped();
        self.place.pass(token);
        match (self.flaw, token) {
            _ if !is_json => out.push_str(token),
            (Flaw::Truncated, _) if self.done => {}
            (Flaw::Truncated, ":" | ",") if !in_string => {
                self.done = true;
                out.push_str(token);
            }
            (Flaw::TrailingComma, "}" | "]") if !in_string && !self.done => {
                self.done = true;
                out.extend([",", token]);
            }
            (Flaw::SingleQuotes, "\"") if is_quote => out.push('\''),
            _ => out.push_str(token),
        }
    }
}

#[cfg(test)]
mod tests;
