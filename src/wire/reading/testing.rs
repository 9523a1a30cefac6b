//! What tests of the wire look at: a body with edited values and the lengths that count them covered up.

use std::ops::Range;

use super::{LengthField, Reading};
use crate::wire::Answer;

impl Reading {
    /// The body with a mark in the place of each length, and of each value that differs between two answers.
    pub(crate) fn masked(&self, body: &[u8], before: &Answer, after: &Answer) -> Vec<u8> {
        let mut places: Vec<Range<usize>> = Vec::new();
        let (mut labels, mut scores) = (self.labels.iter(), self.scores.iter());
        for (old, new) in before.rows.iter().zip(&after.rows) {
            let labels = old.label.iter().zip(&new.label).zip(labels.by_ref());
            let scores = old.scores.iter().zip(&new.scores).zip(scores.by_ref());
            let differing = labels.chain(scores).filter(|((old, new), _)| !old.is_same(new));
            places.extend(differing.map(|(_, slot)| slot.span));
        }
        places.extend(self.lengths.iter().filter_map(|length| match &length.field {
            LengthField::Varint(span) | LengthField::U32Le(span) | LengthField::Decimal(span) => {
                Some(span.clone())
            }
            LengthField::Header(_) => None,
        }));
        places.sort_by_key(|span| (span.start, span.end));
        places.dedup();
        let mut masked = Vec::new();
        let mut copied = 0;
        for span in places {
            masked.extend_from_slice(&body[copied..span.start]);
            masked.extend_from_slice("█".as_bytes());
            copied = span.end;
        }
        masked.extend_from_slice(&body[copied..]);
        masked
    }
}
