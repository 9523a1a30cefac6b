//! The stream faults of one response, each seeing what the one before it sends.

use std::collections::VecDeque;

use bytes::Bytes;

use super::Script;
use crate::{
    fault::{Piece, Step, StreamEdit},
    layer::{
        rows::Account,
        victim::{Rule, Victim},
    },
    wire::{Chunk, Codec, Framing, Generation, Head, WireError},
};

/// The faults that edit one stream, in the order in which they compose.
pub(in crate::layer) struct Chain {
    editors: Vec<Editor>,
    /// Could any piece be read? If not, why.
    read: Result<(), Option<&'static str>>,
}

struct Editor {
    account: Account,
    edit: Box<dyn StreamEdit>,
}

impl Default for Chain {
    fn default() -> Chain {
        Chain { editors: Vec::new(), read: Err(None) }
    }
}

impl Chain {
    /// Those that may act on this stream.
    pub(in crate::layer) fn open(
        victim: &Victim,
        rules: impl IntoIterator<Item = Rule>,
        path: &str,
        framing: Framing,
    ) -> Chain {
        let editor = |rule| {
            let edit = victim.fault(rule).stream(victim.stream_context(rule, path, framing))?;
            Some(Editor { account: Account::open(victim, rule)?, edit })
        };
        Chain { editors: rules.into_iter().filter_map(editor).collect(), read: Err(None) }
    }

    /// These editors, each on the account of one rule.
    #[cfg(test)]
    pub(super) fn of(victim: &Victim, edits: Vec<(Rule, Box<dyn StreamEdit>)>) -> Chain {
        let editor = |(rule, edit)| Some(Editor { account: Account::open(victim, rule)?, edit });
        Chain { editors: edits.into_iter().filter_map(editor).collect(), read: Err(None) }
    }

    pub(in crate::layer) fn is_empty(&self) -> bool {
        self.editors.is_empty()
    }

    pub(in crate::layer) fn rules(&self) -> impl Iterator<Item = Rule> {
        self.editors.iter().map(|editor| editor.account.rule)
    }

    /// Takes the next chunk, with what it says; one that nobody can read is a piece without parts.
    pub(super) fn chunk(
        &mut self,
        chunk: Chunk,
        generation: Result<Generation, WireError>,
        out: &mut VecDeque<Step>,
    ) {
        let piece = match generation {
            Ok(generation) => {
                self.read = Ok(());
                Piece::new(chunk, generation)
            }
            Err(error) => {
                self.miss(error.reason());
                Piece::opaque(chunk.bytes().clone())
            }
        };
        pass(&mut self.editors, Step::Send(piece), out);
    }

    /// Lets go of what is held back.
    pub(super) fn end(&mut self, out: &mut VecDeque<Step>) {
        end(&mut self.editors, out);
    }

    /// Edits a whole body, decoded.
    pub(in crate::layer) fn whole(&mut self, codec: &dyn Codec, head: Head<'_>, body: Bytes) -> Script {
        let mut steps = VecDeque::new();
        self.chunk(Chunk::whole(body.clone()), codec.generation(head, &body), &mut steps);
        self.end(&mut steps);
        Script::of_steps(steps).unwrap_or_else(|error| {
            self.editors.iter_mut().for_each(|editor| editor.account.fail(error.reason()));
            Script::of(body)
        })
    }

    /// Notes why a piece could not be read.
    pub(in crate::layer) fn miss(&mut self, reason: &'static str) {
        if let Err(unread) = &mut self.read {
            unread.get_or_insert(reason);
        }
    }

    /// Notes that it is counted already why the edits end.
    pub(super) fn stop(&mut self) {
        self.read = Ok(());
    }

    /// Notes that a changed piece could not be written.
    pub(super) fn fail(&mut self, reason: &'static str) {
        self.editors.iter_mut().for_each(|editor| editor.account.miss(Some(reason)));
    }

    /// Puts everything on record.
    pub(in crate::layer) fn settle(self, victim: &mut Victim) {
        let unread = self.read.err().map(|reason| reason.unwrap_or("no-text"));
        for Editor { mut account, edit } in self.editors {
            account.note(edit.edited());
            account.miss(unread);
            account.settle(victim, "edit");
        }
    }
}

fn pass(editors: &mut [Editor], step: Step, out: &mut VecDeque<Step>) {
    match (editors, step) {
        ([first, rest @ ..], Step::Send(piece)) => {
            let mut steps = Vec::new();
            first.edit.piece(piece, &mut steps);
            steps.into_iter().for_each(|step| pass(rest, step, out));
        }
        // What the later ones hold came before this end.
        (rest, Step::End) => {
            end(rest, out);
            out.push_back(Step::End);
        }
        (_, step) => out.push_back(step),
    }
}

fn end(editors: &mut [Editor], out: &mut VecDeque<Step>) {
    if let [first, rest @ ..] = editors {
        let mut steps = Vec::new();
        first.edit.end(&mut steps);
        steps.into_iter().for_each(|step| pass(rest, step, out));
        end(rest, out);
    }
}
