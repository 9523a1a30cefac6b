//! The wrong script or the wrong language.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, Entry, Parameter, Problem, Stage, StreamContext, StreamEdit,
    prediction::check_rate,
    streams::{acts, all, share_of_answers},
    text::{Replace, Rewrite, TextEditor, Token},
    unfit::NO_LATIN,
};
use crate::{unit::Share, wire::Role};

/// Writes answers in another script, or answers with a sentence of another language. Exactly one of the two.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TextScript {
    /// The script that Latin letters are written in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<Script>,
    /// What is answered instead, such as a sentence in another language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// Share of the answers that it acts on.
    #[serde(default = "all")]
    pub rate: Share,
}

/// A script that Latin letters can be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Script {
    /// Кириллица.
    Cyrillic,
    /// Ελληνικά.
    Greek,
    /// العربية.
    Arabic,
    /// Ｆｕｌｌｗｉｄｔｈ Latin, as East Asian encodings have it.
    Fullwidth,
}

impl Script {
    /// The letters for a to z.
    const fn letters(self) -> Option<[&'static str; 26]> {
        match self {
            Script::Cyrillic => Some([
                "а", "б", "ц", "д", "е", "ф", "г", "х", "и", "й", "к", "л", "м", "н", "о", "п", "к", "р",
                "с", "т", "у", "в", "в", "кс", "ы", "з",
            ]),
            Script::Greek => Some([
                "α", "β", "κ", "δ", "ε", "φ", "γ", "η", "ι", "ι", "κ", "λ", "μ", "ν", "ο", "π", "κ", "ρ",
                "σ", "τ", "υ", "β", "ω", "ξ", "υ", "ζ",
            ]),
            Script::Arabic => Some([
                "ا", "ب", "ك", "د", "ي", "ف", "ج", "ه", "ي", "ج", "ك", "ل", "م", "ن", "و", "ب", "ق", "ر",
                "س", "ت", "و", "ف", "و", "كس", "ي", "ز",
            ]),
            Script::Fullwidth => None,
        }
    }

    fn write(self, letter: char, out: &mut String) {
        if !letter.is_ascii_alphabetic() {
            return out.push(letter);
        }
        match self.letters() {
            // U+FF01 to U+FF5E are U+0021 to U+007E, in the same order.
            None => out.extend(char::from_u32(letter as u32 + 0xFEE0)),
            Some(letters) => {
                let written = letters[usize::from(letter.to_ascii_lowercase() as u8 - b'a')];
                if letter.is_ascii_uppercase() {
                    out.push_str(&written.to_uppercase());
                } else {
                    out.push_str(written);
                }
            }
        }
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Script::Cyrillic => "Cyrillic",
            Script::Greek => "Greek",
            Script::Arabic => "Arabic",
            Script::Fullwidth => "fullwidth",
        })
    }
}

static ENTRY: Entry = Entry {
    name: "text-script",
    summary: "Writes generated text in the wrong script, or answers in the wrong language.",
    effect: "In a share `rate` of the answers each Latin letter (a to z) is written in the other script, letter by \
             letter, capitals kept where the script has them; or the whole text is the sentence `answer`. Digits, \
             punctuation and length in words stay with `script`. A text without Latin letters is skipped as \
             `no-latin-letters`. The same for any chunking. A ramp scales the rate.",
    parameters: &[
        Parameter {
            name: "script",
            values: "`cyrillic`, `greek`, `arabic` or `fullwidth`",
            default: "—",
            meaning: "the script that Latin letters are written in",
        },
        Parameter {
            name: "answer",
            values: "text",
            default: "—",
            meaning: "what is answered instead, in another language",
        },
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "100%",
            meaning: "how many of the answers",
        },
    ],
    example: "- fault: { text-script: { script: cyrillic, rate: 10% } }",
    seen_by: "Language identification, share of unexpected scripts, judges, user feedback.",
    blind: "Latency, errors, finish reasons, token counters that the server reports; with `script`, length in words.",
};

impl Behaviour for TextScript {
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
        let share = share_of_answers(self.rate);
        self.script.map_or_else(
            || format!("{share} in another language"),
            |script| format!("{share} in {script} letters"),
        )
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        let mut problems: Vec<Problem> = check_rate(self.rate).into_iter().collect();
        if self.script.is_some() == self.answer.is_some() {
            let help = "write `script: cyrillic`, or `answer: \"Je ne comprends pas la question.\"`";
            problems.push(Problem::new("", "`text-script` needs either `script` or `answer`").help(help));
        }
        if self.answer.as_ref().is_some_and(|answer| answer.trim().is_empty()) {
            let help = "write a sentence, or use `empty-answer`";
            problems.push(Problem::new("answer", "an empty answer has no language").help(help));
        }
        problems
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        acts(self.rate, context)
    }

    fn stream(&self, _context: StreamContext) -> Option<Box<dyn StreamEdit>> {
        if let Some(script) = self.script {
            return Some(Box::new(TextEditor::new(
                Role::Text,
                move |_| Transliterate(script),
                Some(NO_LATIN),
            )));
        }
        let answer = self.answer.clone().unwrap_or_default();
        Some(Box::new(TextEditor::new(Role::Text, move |_| Replace::with(&answer), None)))
    }
}

struct Transliterate(Script);

impl Rewrite for Transliterate {
    fn token(&mut self, token: Token<'_>, out: &mut String) {
        match token {
            Token::Word(word) => word.chars().for_each(|letter| self.0.write(letter, out)),
            Token::Gap(gap) => out.push_str(gap),
        }
    }
}

#[cfg(test)]
mod tests;
