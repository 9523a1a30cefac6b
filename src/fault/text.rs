//! Edits of generated text, word by word, while it passes.
//!
//! A [`Rewrite`] sees the *joined* text of one number as a sequence of words and of what stands between them,
//! and never where a chunk began: the same text gives the same edit under any chunking, and once more where
//! the wire repeats it as a whole. [`TextEditor`] therefore holds a piece back while a word in it may still go
//! on, which is at most one word of [`LONGEST_WORD`] characters for each text, and lets pings overtake. A word
//! that is not changed goes out in the pieces that it came in, byte for byte; one that is changed stands in the
//! piece where it began.
//!
//! Why not rewrite chunk by chunk? `" Par"`, `"is"` would be two words, and an edit would depend on the
//! server's tokenizer.

mod json;
#[cfg(test)]
mod recorded;
mod rewrites;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use super::{Edited, Piece, Step, StreamEdit, unfit::NO_TEXT};
use crate::wire::{Moment, Part, Role, Value};

pub(super) use json::JsonPlace;
pub(super) use rewrites::{Replace, capitalised_like, other_digit, shuffled};

/// A longer word is taken for several, cut so many characters from its start.
pub(super) const LONGEST_WORD: usize = 64;
/// More pieces are never held; then the word in them counts as complete.
const MOST_HELD: usize = 256;
/// Texts of one answer (choices, content blocks, tool calls) that are edited; what comes beyond passes.
const MOST_TEXTS: usize = 128;

/// A step of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A run of letters and digits: `Paris`, `don't`, `1,000.50`; or one sign of a script without spaces.
    Word(&'a str),
    /// One character between words.
    Gap(&'a str),
}

impl<'a> Token<'a> {
    pub(super) const fn as_str(self) -> &'a str {
        match self {
            Token::Word(text) | Token::Gap(text) => text,
        }
    }
}

/// Rewrites one text from its first token on.
pub(super) trait Rewrite: Send {
    /// Writes what stands in the place of a token.
    fn token(&mut self, token: Token<'_>, out: &mut String);
}

/// Cuts a text into tokens.
#[derive(Debug, Default)]
struct Words {
    word: String,
    chars: usize,
}

impl Words {
    fn push(&mut self, c: char, settle: &mut impl FnMut(Token<'_>)) {
        if !self.word.is_empty() {
            if self.chars < LONGEST_WORD && self.goes_on_with(c) {
                self.word.push(c);
                self.chars += 1;
                return;
            }
            self.end(settle);
        }
        if begins_word(c) {
            self.word.push(c);
            self.chars = 1;
            return;
        }
        let mut buffer = [0; 4];
        let text: &str = c.encode_utf8(&mut buffer);
        settle(if stands_alone(c) { Token::Word(text) } else { Token::Gap(text) });
    }

    /// A point or comma goes on between digits, an apostrophe between letters.
    fn goes_on_with(&self, c: char) -> bool {
        match (self.word.chars().next_back(), c) {
            (Some('.' | ','), _) => c.is_ascii_digit(),
            (Some('\'' | '’'), _) => c.is_alphabetic() && !stands_alone(c),
            (Some(last), '.' | ',') => last.is_ascii_digit(),
            (Some(last), '\'' | '’') => last.is_alphabetic(),
            _ => begins_word(c),
        }
    }

    fn end(&mut self, settle: &mut impl FnMut(Token<'_>)) {
        let word = self.word.trim_end_matches(['.', ',', '\'', '’']);
        let rest = &self.word[word.len()..];
        for token in [Token::Word(word), Token::Gap(rest)] {
            if !token.as_str().is_empty() {
                settle(token);
            }
        }
        self.word.clear();
    }
}

fn begins_word(c: char) -> bool {
    c.is_alphanumeric() && !stands_alone(c)
}

/// Is it a sign of a script that puts no spaces between words (Chinese, Japanese)?
fn stands_alone(c: char) -> bool {
    matches!(c, '\u{2E80}'..='\u{A4CF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
        && c.is_alphanumeric()
}

fn calls_tool(part: &Part) -> bool {
    !part.repeats && matches!(part.role, Role::ToolName | Role::ToolArguments) && part.value != Value::Null
}

/// The whole of a text, rewritten.
pub(super) fn rewritten(rewrite: &mut impl Rewrite, text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut words = Words::default();
    let mut settle = |token: Token<'_>| rewrite.token(token, &mut out);
    text.chars().for_each(|c| words.push(c, &mut settle));
    words.end(&mut settle);
    out
}

/// Rewrites the texts of one role in an answer.
pub(super) struct TextEditor<F, R> {
    role: Role,
    begin: F,
    unchanged: Option<&'static str>,
    missing: &'static str,
    texts: BTreeMap<u32, Text<R>>,
    shelf: Shelf,
}

/// One joined text.
struct Text<R> {
    words: Words,
    rewrite: R,
    pending: VecDeque<Fragment>,
}

/// A stretch of text that is not settled, and the part that it came in.
struct Fragment {
    piece: u64,
    part: usize,
    bytes: usize,
}

/// Pieces that wait for the end of a word.
#[derive(Default)]
struct Shelf {
    held: VecDeque<Held>,
    /// Number of the first piece that is held.
    first: u64,
    changed: usize,
    had_text: bool,
    written: String,
}

struct Held {
    piece: Piece,
    /// Parts of the role, and what they say now.
    texts: Vec<(usize, String)>,
    /// Bytes that are not settled.
    open: usize,
}

impl<F, R> TextEditor<F, R>
where
    F: Fn(u32) -> R + Send,
    R: Rewrite,
{
    /// Rewrites the texts of `role`, each with what `begin` gives for its number. `unchanged`: why it could not
    /// be edited if there was a text and none of it changed.
    pub(super) fn new(role: Role, begin: F, unchanged: Option<&'static str>) -> TextEditor<F, R> {
        let (texts, shelf) = (BTreeMap::new(), Shelf::default());
        TextEditor { role, begin, unchanged, missing: NO_TEXT, texts, shelf }
    }

    /// Why it could not be edited if there was no text of the role.
    pub(super) fn without_text(self, missing: &'static str) -> TextEditor<F, R> {
        TextEditor { missing, ..self }
    }

    fn feed(&mut self, number: u32, fragment: Fragment, text: &str) {
        if !self.texts.contains_key(&number) && self.texts.len() >= MOST_TEXTS {
            return self.shelf.settle(&fragment, text, fragment.bytes);
        }
        let begin = &self.begin;
        let fresh = || Text { words: Words::default(), rewrite: begin(number), pending: VecDeque::new() };
        let Text { words, rewrite, pending } = self.texts.entry(number).or_insert_with(fresh);
        pending.push_back(fragment);
        let shelf = &mut self.shelf;
        let mut settle = |token: Token<'_>| shelf.rewrite(rewrite, pending, token);
        text.chars().for_each(|c| words.push(c, &mut settle));
    }

    /// Takes the word that a text ends in for complete.
    fn complete(&mut self, which: impl Fn(u32) -> bool) {
        let shelf = &mut self.shelf;
        for (_, text) in self.texts.iter_mut().filter(|(number, _)| which(**number)) {
            let Text { words, rewrite, pending } = text;
            words.end(&mut |token: Token<'_>| shelf.rewrite(rewrite, pending, token));
        }
    }

    /// Takes words for complete that can't go on after a piece: one that says nothing ends none.
    fn complete_after(&mut self, moment: Moment, says_nothing: bool, named: &[u32], repeated: &[u32]) {
        match moment {
            _ if self.shelf.held.len() > MOST_HELD => self.complete(|_| true),
            Moment::Delta => self.complete(|number| repeated.contains(&number)),
            Moment::Other if says_nothing => {}
            // One of several choices is over, and the others go on.
            Moment::Finish if named.iter().any(|number| self.texts.contains_key(number)) => {
                self.complete(|number| named.contains(&number) || repeated.contains(&number));
            }
            _ => self.complete(|_| true),
        }
    }
}

impl Shelf {
    fn rewrite<R: Rewrite>(&mut self, rewrite: &mut R, pending: &mut VecDeque<Fragment>, token: Token<'_>) {
        let mut new = std::mem::take(&mut self.written);
        rewrite.token(token, &mut new);
        let unchanged = new == token.as_str();
        self.changed += usize::from(!unchanged);
        let (mut rest, mut replacement) = (token.as_str(), new.as_str());
        while let Some(fragment) = pending.front_mut().filter(|_| !rest.is_empty()) {
            let (piece, tail) = rest.split_at(fragment.bytes.min(rest.len()));
            self.settle(
                fragment,
                if unchanged { piece } else { std::mem::take(&mut replacement) },
                piece.len(),
            );
            fragment.bytes -= piece.len();
            if fragment.bytes == 0 {
                pending.pop_front();
            }
            rest = tail;
        }
        new.clear();
        self.written = new;
    }

    /// Writes `text` where `bytes` bytes of a fragment stood.
    fn settle(&mut self, fragment: &Fragment, text: &str, bytes: usize) {
        let place = usize::try_from(fragment.piece - self.first).unwrap_or(usize::MAX);
        let Some(held) = self.held.get_mut(place) else { return };
        held.open -= bytes;
        if let Some((_, written)) = held.texts.iter_mut().find(|(part, _)| *part == fragment.part) {
            written.push_str(text);
        }
    }

    fn release(&mut self, out: &mut Vec<Step>) {
        while let Some(mut held) = self.held.pop_front_if(|held| held.open == 0) {
            self.first += 1;
            for (part, text) in held.texts {
                let text = Value::Text(text);
                if held.piece.value(part) != &text {
                    held.piece.set(part, text);
                }
            }
            out.push(Step::Send(held.piece));
        }
    }
}

impl<F, R> StreamEdit for TextEditor<F, R>
where
    F: Fn(u32) -> R + Send,
    R: Rewrite,
{
    fn piece(&mut self, piece: Piece, out: &mut Vec<Step>) {
        let moment = piece.moment();
        if moment == Moment::Ping {
            return out.push(Step::Send(piece));
        }
        let number = self.shelf.first + self.shelf.held.len() as u64;
        let (mut texts, mut fed, mut named, mut repeated) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        // Comments, and chunks that could not be read.
        let says_nothing = piece.chunk().payload().is_empty();
        if self.role == Role::Text && piece.parts().iter().any(calls_tool) {
            // A model that begins to call a tool has said what it had to say.
            self.complete(|_| true);
        }
        for (index, part) in piece.parts().iter().enumerate() {
            if part.role == Role::FinishReason && *piece.value(index) != Value::Null {
                named.push(part.text);
            }
            let Value::Text(text) = piece.value(index) else { continue };
            if part.role != self.role || text.is_empty() {
                continue;
            }
            self.shelf.had_text = true;
            if part.repeats {
                let new = rewritten(&mut (self.begin)(part.text), text);
                self.shelf.changed += usize::from(!self.texts.contains_key(&part.text) && new != *text);
                texts.push((index, new));
                repeated.push(part.text);
            } else {
                texts.push((index, String::with_capacity(text.len())));
                let fragment = Fragment { piece: number, part: index, bytes: text.len() };
                fed.push((part.text, fragment, text.clone()));
            }
        }
        let open = fed.iter().map(|(_, fragment, _)| fragment.bytes).sum();
        self.shelf.held.push_back(Held { piece, texts, open });
        for (text, fragment, value) in fed {
            self.feed(text, fragment, &value);
        }
        self.complete_after(moment, says_nothing, &named, &repeated);
        self.shelf.release(out);
    }

    fn end(&mut self, out: &mut Vec<Step>) {
        self.complete(|_| true);
        self.shelf.release(out);
    }

    fn edited(&self) -> Edited {
        let why = if self.shelf.had_text { self.unchanged } else { Some(self.missing) };
        Edited { changed: self.shelf.changed, unfit: why.filter(|_| self.shelf.changed == 0) }
    }
}
