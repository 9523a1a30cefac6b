//! Delays in proportion to the work that was asked for: bytes of the request, rows of the answer, tokens of
//! a generated text.
//!
//! Tokens are counted as ⌈characters / 4⌉ of the joined text, OpenAI's rule of thumb for English, and never by
//! chunks: how many tokens a server puts into one is its own affair. So a whole body and a stream of the same
//! text are delayed alike, each chunk of the stream by its own part.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::{Edited, Piece, Problem, Promise, Step, StreamEdit, Work};
use crate::{
    unit::Span,
    wire::{Role, Value},
};

/// A delay for each unit of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Proportion {
    /// For each 1024 bytes of the request's body, by its Content-Length; without one there is no delay.
    Kibibyte(Span),
    /// For each prediction of the answer, which is held back for so long.
    Row(Span),
    /// For each token of the generated text, about four characters; a stream is slowed chunk by
    /// chunk.
    Token(Span),
}

impl Proportion {
    const fn name(self) -> &'static str {
        match self {
            Proportion::Kibibyte(_) => "kibibyte",
            Proportion::Row(_) => "row",
            Proportion::Token(_) => "token",
        }
    }

    const fn each(self) -> Span {
        let (Proportion::Kibibyte(each) | Proportion::Row(each) | Proportion::Token(each)) = self;
        each
    }

    /// What is known of it before the upstream is asked.
    pub(super) fn request_s(self, request_bytes: Option<u64>) -> f64 {
        match self {
            Proportion::Kibibyte(each) => each.as_secs_f64() * request_bytes.unwrap_or(0) as f64 / 1024.0,
            Proportion::Row(_) | Proportion::Token(_) => 0.0,
        }
    }

    pub(super) fn promise(self, share: f64) -> Promise {
        let work = match self {
            Proportion::Kibibyte(_) => Work::Kibibyte,
            Proportion::Row(_) => Work::Row,
            Proportion::Token(_) => Work::Token,
        };
        Promise::DelayPer { each_s: self.each().as_secs_f64(), work, share }
    }

    pub(super) fn describe(self) -> String {
        format!("+{} per {}", self.each(), self.name())
    }

    pub(super) fn check(self) -> Option<Problem> {
        self.each().is_zero().then(|| {
            Problem::new("per", format!("a delay of 0s per {} is none", self.name()))
                .help("write a time above 0s")
        })
    }
}

/// Slows a text down, token by token.
#[derive(Debug)]
pub(super) struct TokenDelay {
    each: Duration,
    characters: u64,
    edited: Edited,
}

impl TokenDelay {
    pub(super) fn new(each: Duration) -> TokenDelay {
        TokenDelay { each, characters: 0, edited: Edited::default() }
    }

    fn tokens(&self) -> u64 {
        self.characters.div_ceil(4)
    }
}

impl StreamEdit for TokenDelay {
    fn piece(&mut self, piece: Piece, out: &mut Vec<Step>) {
        let before = self.tokens();
        for (index, part) in piece.parts().iter().enumerate() {
            let spoken = matches!(part.role, Role::Text | Role::Refusal | Role::ToolArguments);
            if let Value::Text(text) = piece.value(index)
                && spoken
                && !part.repeats
            {
                self.characters += text.chars().count() as u64;
            }
        }
        let new = u32::try_from(self.tokens() - before).unwrap_or(u32::MAX);
        let wait = self.each.saturating_mul(new).min(Duration::from_secs(3600));
        if !wait.is_zero() {
            self.edited.changed += 1;
            out.push(Step::Wait(wait));
        }
        out.push(Step::Send(piece));
    }

    fn edited(&self) -> Edited {
        self.edited
    }
}
