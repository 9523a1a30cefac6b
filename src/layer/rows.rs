//! Faults on rows: the predictions of a response, the features of a request.
//!
//! A body is one message or a stream of them; each is read, edited by every fault in turn and spliced. The
//! right to perturb is reserved before the first, and the record written after the last (or when the body is
//! dropped): one line for each fault that changed anything.

use super::{
    moved::Before,
    victim::{Reserved, Rule, Victim},
};
use crate::{
    fault::{EditContext, Edited},
    wire::{Answer, Head, Reading, Row, Spliced, WireError},
};

/// Why rows of another kind are left alone.
const OTHER_CONTENT: &str = "other-content";

/// The part that one fault has in the edit of a body.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) rule: Rule,
    permit: Reserved,
    changed: usize,
    unfit: Option<&'static str>,
    void: bool,
    /// Rows that it was shown, and how many of them it may touch.
    rows: (usize, usize),
    /// How far it moved the lists or vectors so far, and how many there were.
    moved: (f64, usize),
    /// The same of the edit that is not noted yet.
    moves: (f64, usize),
}

impl Account {
    /// With the right to perturb; without it there is none.
    pub(super) fn open(victim: &Victim, rule: Rule) -> Option<Account> {
        victim.reserve(rule).map(|permit| Account {
            rule,
            permit,
            changed: 0,
            unfit: None,
            void: false,
            rows: (0, 0),
            moved: (0.0, 0),
            moves: (0.0, 0),
        })
    }

    /// Notes what the fault did.
    pub(super) fn note(&mut self, edited: Edited) {
        self.changed += edited.changed;
        self.unfit = self.unfit.or(edited.unfit);
        let (far, of) = std::mem::take(&mut self.moves);
        self.moved = (self.moved.0 + if edited.changed > 0 { far } else { 0.0 }, self.moved.1 + of);
    }

    /// Notes why it could do nothing, unless that is known.
    pub(super) fn miss(&mut self, reason: Option<&'static str>) {
        self.unfit = self.unfit.or(reason);
    }

    /// Notes that what the fault does can't be written.
    pub(super) fn fail(&mut self, reason: &'static str) {
        (self.unfit, self.void) = (Some(reason), true);
    }

    /// Puts it on record: what changed, or why nothing could.
    pub(super) fn settle(self, victim: &mut Victim, of: &str) {
        if !victim.asked() && self.rows.0 > 0 {
            victim.cell(self.rule).shown(self.rows.0, self.rows.1);
            if self.moved.1 > 0 && !self.void {
                victim.cell(self.rule).moved(self.moved.0 / self.moved.1 as f64);
            }
        }
        match if self.void { 0 } else { self.changed } {
            0 => self.unfit.into_iter().for_each(|reason| victim.skip(self.rule, reason)),
            changed => {
                let plural = if changed == 1 { "" } else { "s" };
                victim.commit(self.permit, self.rule, &format!("{changed} {of}{plural}"), changed);
            }
        }
    }
}

/// Which way the rows go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// Features, to the model.
    Request,
    /// Predictions, to the caller.
    Response,
}

/// The edit of one body's rows.
#[derive(Debug)]
pub(super) struct RowEdits {
    side: Side,
    accounts: Vec<Account>,
    /// Rows of earlier messages.
    offset: usize,
    first: Option<Row>,
    /// Could any message be read? If not, why.
    read: Result<(), Option<&'static str>>,
}

impl RowEdits {
    pub(super) fn open(victim: &Victim, side: Side, rules: impl IntoIterator<Item = Rule>) -> RowEdits {
        let accounts = rules.into_iter().filter_map(|rule| Account::open(victim, rule)).collect();
        RowEdits { side, accounts, offset: 0, first: None, read: Err(None) }
    }

    /// May no fault act?
    pub(super) fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    pub(super) fn rules(&self) -> impl Iterator<Item = Rule> {
        self.accounts.iter().map(|account| account.rule)
    }

    /// Edits the next message, decoded and without framing; `None` leaves it as it is.
    pub(super) fn message(&mut self, victim: &Victim, head: Head<'_>, body: &[u8]) -> Option<Spliced> {
        let codec = &victim.lease.plan.target.codec;
        let reading = match self.side {
            Side::Request => codec.features(head, body),
            Side::Response => codec.read(head, body),
        };
        match reading {
            Ok(reading) => {
                self.read = Ok(());
                self.splice(victim, &reading, body)
            }
            Err(error) => {
                self.miss(error.reason());
                None
            }
        }
    }

    fn splice(&mut self, victim: &Victim, reading: &Reading, body: &[u8]) -> Option<Spliced> {
        let mut answer = reading.answer();
        let rows = answer.rows.len();
        let edited = self.answer(victim, &mut answer);
        self.offset += rows;
        let spliced = match edited.iter().any(|edited| edited.changed > 0) {
            true => reading.splice(body, &answer),
            false => Ok(None),
        };
        self.take(edited, spliced)
    }

    /// Lets each fault edit an answer; what each of them did.
    fn answer(&mut self, victim: &Victim, answer: &mut Answer) -> Vec<Edited> {
        if self.side == Side::Response {
            victim.observe(answer, self.offset);
        }
        if self.first.is_none() {
            self.first = answer.rows.first().cloned();
        }
        let (offset, rows) = (self.offset, answer.rows.len());
        let labels = answer.labels(&victim.lease.plan.target.labels);
        let mut edited = Vec::with_capacity(self.accounts.len());
        for account in &mut self.accounts {
            let fault = victim.fault(account.rule);
            let masks = victim.masks.only(account.rule, offset, rows);
            let masks = masks.and_then(|only| Ok((only, victim.masks.members(account.rule, offset, rows)?)));
            edited.push(match masks {
                Err(reason) => unfit(reason),
                Ok(_) if fault.needs().is_some_and(|needs| needs != answer.content) => unfit(OTHER_CONTENT),
                Ok((only, members)) => {
                    let in_scope = (0..rows).filter(|row| only.contains(*row)).count();
                    account.rows = (account.rows.0 + rows, account.rows.1 + in_scope);
                    let first = self.first.as_ref();
                    let context = victim.edit_context(account.rule);
                    let context = EditContext {
                        first,
                        labels: &labels,
                        confidences: answer.confidences,
                        offset,
                        only,
                        members,
                        ..context
                    };
                    match self.side {
                        Side::Request => fault.amend(answer, &context),
                        Side::Response => {
                            let before = Before::of(answer);
                            let edited = fault.edit(answer, &context);
                            account.moves = before.moved(answer);
                            edited
                        }
                    }
                }
            });
        }
        edited
    }

    /// Notes what came of the edits, all of which stand or fall together.
    fn take(&mut self, edited: Vec<Edited>, spliced: Result<Option<Spliced>, WireError>) -> Option<Spliced> {
        let reason = spliced.as_ref().err().map(WireError::reason);
        let spliced = spliced.ok().flatten();
        for (account, edited) in self.accounts.iter_mut().zip(edited) {
            match spliced {
                Some(_) => account.note(edited),
                None if edited.changed > 0 => account.note(Edited { changed: 0, unfit: reason }),
                None => account.note(edited),
            }
        }
        spliced
    }

    /// Edits rows that need no reading; `true` when any changed.
    pub(super) fn typed(&mut self, victim: &Victim, answer: &mut Answer) -> bool {
        self.read = Ok(());
        let rows = answer.rows.len();
        let edited = self.answer(victim, answer);
        let reshaped = answer.order.is_some() || answer.rows.len() != rows;
        let spliced = if reshaped { Err(WireError::Unsupported("reordered rows")) } else { Ok(None) };
        let changed = !reshaped && edited.iter().any(|edited| edited.changed > 0);
        match spliced {
            Err(_) => _ = self.take(edited, spliced),
            Ok(_) => self.accounts.iter_mut().zip(edited).for_each(|(account, edited)| account.note(edited)),
        }
        changed
    }

    /// Notes why a message could not be read.
    pub(super) fn miss(&mut self, reason: &'static str) {
        if let Err(unread) = &mut self.read {
            unread.get_or_insert(reason);
        }
    }

    /// Notes that it is counted already why the edits end.
    pub(super) fn stop(&mut self) {
        self.read = Ok(());
    }

    /// Puts everything on record.
    pub(super) fn settle(self, victim: &mut Victim) {
        let unread = self.read.err().map(|reason| reason.unwrap_or("no-prediction"));
        let of = match self.side {
            Side::Request => "feature row",
            Side::Response => "prediction",
        };
        for mut account in self.accounts {
            account.miss(unread);
            account.settle(victim, of);
        }
    }
}

fn unfit(reason: &'static str) -> Edited {
    Edited { changed: 0, unfit: Some(reason) }
}
