//! Tool calls with the wrong name or the wrong arguments.

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, Entry, Parameter, Problem, Stage, StreamContext, StreamEdit,
    prediction::check_rate,
    streams::{Both, PartEditor, Picks, acts, all, share_of_answers},
    text::{JsonPlace, Replace, Rewrite, TextEditor, Token, other_digit, shuffled},
    unfit::{NO_TOOL_CALL, NO_VALUE},
};
use crate::{
    unit::Share,
    wire::{Role, Value},
};

/// Makes tool calls wrong. At least one of `name` and `arguments` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ToolCall {
    /// The tool that is named instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What becomes of the arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<WrongArguments>,
    /// Share of the answers that it acts on.
    #[serde(default = "all")]
    pub rate: Share,
}

/// What becomes of the arguments of a tool call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum WrongArguments {
    /// `{}`.
    Empty,
    /// Other values of the same types under the same keys.
    Values,
    /// The same values under other keys.
    Keys,
}

static ENTRY: Entry = Entry {
    name: "tool-call",
    summary: "Makes tool calls wrong: another tool, or wrong arguments.",
    effect: "In a share `rate` of the answers each tool call names the tool `name`, or has `arguments` that are \
             `{}` (`empty`), that have the same keys with other values (`values`: a digit of each number changed, \
             the letters of words in other order, true for false), or the same values under other keys (`keys`: \
             letters in other order). The JSON stays valid. An answer without a tool call is skipped as \
             `no-tool-call`. The same for any chunking. For arguments that do not parse use `malformed-json` \
             with `in: tool-arguments`. A ramp scales the rate.",
    parameters: &[
        Parameter { name: "name", values: "text", default: "—", meaning: "the tool that is named" },
        Parameter {
            name: "arguments",
            values: "`empty`, `values` or `keys`",
            default: "—",
            meaning: "what becomes of the arguments",
        },
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "100%",
            meaning: "how many of the answers",
        },
    ],
    example: "- fault: { tool-call: { arguments: values, rate: 30% } }",
    seen_by: "Tool error rate, unknown-tool and schema failures, task success of the agent; with `values`, only checks \
              of what the tool was asked for.",
    blind: "Latency, HTTP errors, finish reasons, token counters.",
};

impl Behaviour for ToolCall {
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
        let name = self.name.as_ref().map(|name| format!("calls {name}"));
        let arguments = self.arguments.map(|arguments| match arguments {
            WrongArguments::Empty => "calls without arguments".to_owned(),
            WrongArguments::Values => "calls with wrong values".to_owned(),
            WrongArguments::Keys => "calls with wrong keys".to_owned(),
        });
        let what: Vec<String> = name.into_iter().chain(arguments).collect();
        format!("{} {}", share_of_answers(self.rate), what.join(" and "))
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        let mut problems: Vec<Problem> = check_rate(self.rate).into_iter().collect();
        if self.name.is_none() && self.arguments.is_none() {
            let help = "write `name: delete_account`, `arguments: values`, or both";
            problems.push(Problem::new("", "`tool-call` does not say what is wrong").help(help));
        }
        if self.name.as_ref().is_some_and(String::is_empty) {
            problems.push(Problem::new("name", "a tool has a name"));
        }
        problems
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        acts(self.rate, context)
    }

    fn stream(&self, context: StreamContext) -> Option<Box<dyn StreamEdit>> {
        let dice = context.dice;
        let name = self.name.clone();
        let names = name.map(|name| {
            PartEditor::new(NO_TOOL_CALL, move |_, part, value| match (part.role, value) {
                (Role::ToolName, Value::Text(old)) if !old.is_empty() => Some(Value::Text(name.clone())),
                _ => None,
            })
        });
        let arguments = self.arguments.map(|wrong| {
            let begin = move |text| match wrong {
                WrongArguments::Empty => Wrong::Empty(Replace::with("{}")),
                other => Wrong::Words {
                    values: other == WrongArguments::Values,
                    place: JsonPlace::default(),
                    picks: Picks::new(dice, Share::ALL, text),
                },
            };
            TextEditor::new(Role::ToolArguments, begin, Some(NO_VALUE)).without_text(NO_TOOL_CALL)
        });
        Some(match (names, arguments) {
            (Some(names), Some(arguments)) => Box::new(Both(names, arguments)),
            (Some(names), None) => Box::new(names),
            (None, Some(arguments)) => Box::new(arguments),
            (None, None) => return None,
        })
    }
}

/// How the arguments of one call are rewritten.
enum Wrong {
    Empty(Replace),
    Words { values: bool, place: JsonPlace, picks: Picks },
}

impl Rewrite for Wrong {
    fn token(&mut self, token: Token<'_>, out: &mut String) {
        let Wrong::Words { values, place, picks } = self else {
            if let Wrong::Empty(replace) = self {
                replace.token(token, out);
            }
            return;
        };
        let here = place.at_value() == *values && !place.escaped();
        let in_string = place.in_string();
        place.pass(token.as_str());
        let draw = match token {
            Token::Word(_) => picks.pick().filter(|_| here),
            Token::Gap(_) => None,
        };
        let other = draw.and_then(|draw| match token.as_str() {
            "true" if !in_string => Some("false".to_owned()),
            "false" if !in_string => Some("true".to_owned()),
            word if word.starts_with(|c: char| c.is_ascii_digit()) => other_digit(word, draw),
            word if in_string => shuffled(word, draw),
            _ => None,
        });
        out.push_str(other.as_deref().unwrap_or(token.as_str()));
    }
}

#[cfg(test)]
mod tests;
