//! From the upstream's bytes to what the caller gets: chunks, rows, pieces, steps.
//!
//! No more than one incomplete chunk, and what faults hold back, is ever kept. A chunk that can't be read
//! passes as it came; framing that can't be followed ends the edits, and so does the end of the lease: what is
//! held back goes out first, the rest as it comes.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use http::HeaderMap;
use tokio::time::Instant;

use super::Chain;
use crate::{
    fault::{Piece, Step},
    layer::{
        rows::RowEdits,
        victim::{Rule, Victim},
    },
    wire::{Chunk, Framer, Framing, Head, encoding::Encoding},
};

/// What happens next on the way to the caller.
#[derive(Debug)]
pub(in crate::layer) enum Next {
    Send(Bytes),
    Wait(Duration),
    End,
    Break,
}

/// The faults on one stream, and what they work with.
pub(in crate::layer) struct Pipeline {
    pub(super) victim: Victim,
    path: String,
    headers: HeaderMap,
    framing: Framing,
    framer: Framer,
    rows: Option<RowEdits>,
    chain: Option<Chain>,
    steps: VecDeque<Step>,
    mode: Mode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Chunks are edited.
    Editing,
    /// What comes passes as it comes.
    Passing,
    /// And no fault acts any more.
    Lapsed,
}

impl Pipeline {
    pub(in crate::layer) fn new(
        victim: Victim,
        head: Head<'_>,
        framing: Framing,
        rows: RowEdits,
        chain: Chain,
    ) -> Pipeline {
        Pipeline {
            path: head.path.to_owned(),
            headers: head.headers.clone(),
            framing,
            framer: framer(framing, head.headers, victim.lease.body_limit),
            rows: (!rows.is_empty()).then_some(rows),
            chain: (!chain.is_empty()).then_some(chain),
            steps: VecDeque::new(),
            mode: Mode::Editing,
            victim,
        }
    }

    pub(super) fn framing(&self) -> Framing {
        self.framing
    }

    /// Takes what came.
    pub(super) fn push(&mut self, data: Bytes) {
        match self.mode {
            Mode::Editing => self.framer.push(data),
            Mode::Passing | Mode::Lapsed => self.steps.push_back(Step::Send(Piece::opaque(data))),
        }
    }

    /// What to do next; `None`: wait for more.
    pub(super) fn next(&mut self) -> Option<Next> {
        loop {
            if self.mode != Mode::Lapsed && self.victim.lease.acts_until(Instant::now()).is_none() {
                self.pass();
                self.mode = Mode::Lapsed;
            }
            match self.steps.pop_front() {
                Some(Step::Send(piece)) => return Some(Next::Send(self.bytes(piece))),
                Some(_) if self.mode == Mode::Lapsed => continue,
                Some(Step::Wait(span)) => return Some(Next::Wait(span)),
                Some(Step::End) => return Some(Next::End),
                Some(Step::Break) => return Some(Next::Break),
                None if self.mode == Mode::Editing => {}
                None => return None,
            }
            match self.framer.next()? {
                Ok(chunk) => self.chunk(chunk),
                Err(error) => self.stop(error.reason()),
            }
        }
    }

    /// Does no fault act any more?
    pub(super) fn has_lapsed(&self) -> bool {
        self.mode == Mode::Lapsed
    }

    /// Nothing more is wanted.
    pub(super) fn close(&mut self) {
        self.steps.clear();
        self.mode = Mode::Passing;
    }

    /// Lets what is held back go: nothing more comes.
    pub(super) fn finish(&mut self) {
        while self.mode == Mode::Editing
            && let Some(chunk) = self.framer.next().or_else(|| self.framer.last().map(Ok))
        {
            match chunk {
                Ok(chunk) => self.chunk(chunk),
                Err(error) => self.stop(error.reason()),
            }
        }
        self.pass();
    }

    /// Ends the edits, and counts why.
    pub(super) fn stop(&mut self, reason: &'static str) {
        self.victim.skip_all(self.rules(), reason);
        self.rows.iter_mut().for_each(RowEdits::stop);
        self.chain.iter_mut().for_each(Chain::stop);
        self.pass();
    }

    fn rules(&self) -> Vec<Rule> {
        let rows = self.rows.iter().flat_map(RowEdits::rules);
        rows.chain(self.chain.iter().flat_map(Chain::rules)).collect()
    }

    fn pass(&mut self) {
        if self.mode == Mode::Editing {
            self.mode = Mode::Passing;
            if let Some(chain) = &mut self.chain {
                chain.end(&mut self.steps);
            }
            let rest = self.framer.rest();
            if !rest.is_empty() {
                self.steps.push_back(Step::Send(Piece::opaque(rest)));
            }
        }
    }

    fn chunk(&mut self, mut chunk: Chunk) {
        let head = Head { path: &self.path, headers: &self.headers };
        if let Some(rows) = &mut self.rows
            && !chunk.payload().is_empty()
            && let Some(spliced) = rows.message(&self.victim, head, chunk.payload())
        {
            chunk = chunk.with_payload(spliced.body);
        }
        let Some(chain) = &mut self.chain else {
            self.steps.push_back(Step::Send(Piece::opaque(chunk.bytes().clone())));
            return;
        };
        let generation = self.victim.lease.plan.target.codec.generation(head, chunk.payload());
        chain.chunk(chunk, generation, &mut self.steps);
    }

    fn bytes(&mut self, piece: Piece) -> Bytes {
        let original = piece.chunk().bytes().clone();
        match piece.into_chunk() {
            Ok(chunk) => chunk.bytes().clone(),
            Err(error) => {
                self.chain.iter_mut().for_each(|chain| chain.fail(error.reason()));
                original
            }
        }
    }
}

fn framer(framing: Framing, headers: &HeaderMap, limit: usize) -> Framer {
    // Messages in a coding that is not read have no payload, and pass.
    let messages = Encoding::of_messages(headers).unwrap_or(Encoding::Identity);
    Framer::new(framing, limit).with_messages(messages)
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.settle();
    }
}

impl Pipeline {
    /// The body is over, or nobody wants it any more: what was done goes on record.
    pub(super) fn settle(&mut self) {
        if let Some(rows) = self.rows.take() {
            rows.settle(&mut self.victim);
        }
        if let Some(chain) = self.chain.take() {
            chain.settle(&mut self.victim);
        }
    }
}
