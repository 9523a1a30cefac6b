//! Text that repeats itself: the last words again and again.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, Entry, Parameter, Problem, Stage, StreamContext, StreamEdit,
    prediction::check_rate,
    streams::{acts, all, check_count, share_of_answers},
    text::{Rewrite, TextEditor, Token},
    unfit::TOO_SHORT,
};
use crate::{unit::Share, wire::Role};

const LONGEST_LOOP: u32 = 50;
const MOST_REPEATS: u32 = 1_000;
const LATEST: u32 = 1_000_000;
/// Of what stands between two words, so many bytes are repeated with them.
const LONGEST_GAP: usize = 16;

/// Repeats the last words of a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TextLoop {
    /// Number of the word after which the loop begins, from 1.
    #[serde(default = "from_word")]
    pub from_word: u32,
    /// How many words a round has, 1 to 50.
    #[serde(default = "words")]
    pub words: u32,
    /// How often they are repeated, 1 to 1000.
    #[serde(default = "repeats")]
    pub repeats: u32,
    /// Share of the answers that it acts on.
    #[serde(default = "all")]
    pub rate: Share,
}

const fn from_word() -> u32 {
    8
}

const fn words() -> u32 {
    4
}

const fn repeats() -> u32 {
    20
}

static ENTRY: Entry = Entry {
    name: "text-loop",
    summary: "Repeats some words of generated text again and again.",
    effect: "In a share `rate` of the answers the `words` words that end with word number `from-word` come `repeats` \
             times more; then the text goes on. The text grows by words · repeats words, and its share of repeated \
             n-grams (n = `words`) rises to about 1 − 1/(repeats + 1) of the loop. The loop leaves in the chunk of \
             its last word. A text of fewer words is skipped as `too-short`. Token counts that the server reports \
             stay as they were. A ramp scales the rate.",
    parameters: &[
        Parameter {
            name: "from-word",
            values: "1 to 1000000",
            default: "8",
            meaning: "the word after which the loop begins",
        },
        Parameter { name: "words", values: "1 to 50", default: "4", meaning: "words in a round" },
        Parameter { name: "repeats", values: "1 to 1000", default: "20", meaning: "rounds that are added" },
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "100%",
            meaning: "how many of the answers loop",
        },
    ],
    example: "- fault: { text-loop: { from-word: 10, words: 4, repeats: 25, rate: 20% } }",
    seen_by: "Repetition ratio, length of answers, gap between counted and reported tokens, cost, judges.",
    blind: "Latency and time between tokens, since the loop comes in one chunk; error rates, finish reasons, \
            language checks.",
};

impl Behaviour for TextLoop {
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
        let TextLoop { from_word, words, repeats, rate } = self;
        format!("{} repeats {words} words {repeats} times from word {from_word}", share_of_answers(*rate))
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        let counts = [
            ("from-word", self.from_word, LATEST),
            ("words", self.words, LONGEST_LOOP),
            ("repeats", self.repeats, MOST_REPEATS),
        ];
        let wrong = counts.into_iter().filter_map(|(key, count, most)| check_count(key, Some(count), most));
        let mut problems: Vec<Problem> = check_rate(self.rate).into_iter().chain(wrong).collect();
        if self.words > self.from_word {
            let message = format!("there are no {} words up to word {}", self.words, self.from_word);
            problems.push(Problem::new("words", message).help("begin later, or repeat fewer words"));
        }
        problems
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        acts(self.rate, context)
    }

    fn stream(&self, _context: StreamContext) -> Option<Box<dyn StreamEdit>> {
        let fault = self.clone();
        let begin = move |_| Loop { fault: fault.clone(), seen: 0, recent: VecDeque::new() };
        Some(Box::new(TextEditor::new(Role::Text, begin, Some(TOO_SHORT))))
    }
}

struct Loop {
    fault: TextLoop,
    seen: u32,
    /// The last words, each with what stands after it.
    recent: VecDeque<(String, String)>,
}

impl Rewrite for Loop {
    fn token(&mut self, token: Token<'_>, out: &mut String) {
        out.push_str(token.as_str());
        match token {
            _ if self.seen >= self.fault.from_word => {}
            Token::Gap(gap) => {
                if let Some((_, after)) =
                    self.recent.back_mut().filter(|(_, after)| after.len() < LONGEST_GAP)
                {
                    after.push_str(gap);
                }
            }
            Token::Word(word) => {
                self.seen += 1;
                self.recent.push_back((word.to_owned(), String::new()));
                if self.recent.len() > self.fault.words as usize {
                    self.recent.pop_front();
                }
                if self.seen == self.fault.from_word {
                    let rounds = std::iter::repeat_n(&self.recent, self.fault.repeats as usize);
                    for round in rounds {
                        out.push(' ');
                        round.iter().for_each(|(word, after)| out.extend([word.as_str(), after.as_str()]));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
