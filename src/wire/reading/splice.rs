//! Writing changed values back: pieces of new bytes, each in the place of a range of the old ones.
//!
//! All pieces are rendered first, because a length that stands before the values has to know how much longer
//! they became. Lengths may themselves grow (a varint from one byte to two), and then so does what covers
//! them; inner lengths stand behind outer ones, so from the back to the front each is settled once.

use std::ops::Range;

use http::{HeaderName, HeaderValue};

use super::{
    super::{Value, WireError},
    Format, Length, LengthField, RenderPacked, Slot, render,
};
use crate::wire::protobuf::write_varint;

/// A body after an edit, and what changes in its headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spliced {
    /// The bytes.
    pub body: Vec<u8>,
    /// Headers to set: lengths of parts of the body. `Content-Length` is the business of whoever sends it.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// New bytes for a range of the old body; they are in the scratch buffer.
#[derive(Debug, Clone)]
struct Piece {
    old: Range<usize>,
    new: Range<usize>,
}

impl Piece {
    fn growth(&self) -> isize {
        self.new.len().cast_signed() - self.old.len().cast_signed()
    }
}

/// Collects pieces and puts the new body together.
#[derive(Debug)]
pub(super) struct Splicer<'b> {
    body: &'b [u8],
    pieces: Vec<Piece>,
    scratch: Vec<u8>,
    packed: Vec<Packed<'b>>,
}

/// One of several values that are written together.
#[derive(Debug)]
struct Packed<'b> {
    span: Range<usize>,
    index: usize,
    value: &'b Value,
    render: RenderPacked,
}

fn overlap() -> WireError {
    WireError::Unwritable("values overlap".into())
}

impl<'b> Splicer<'b> {
    pub(super) fn new(body: &'b [u8]) -> Splicer<'b> {
        Splicer { body, pieces: Vec::new(), scratch: Vec::new(), packed: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.packed.is_empty()
    }

    fn original(&self, span: &Range<usize>) -> Result<&'b [u8], WireError> {
        self.body.get(span.clone()).ok_or_else(overlap)
    }

    /// Adds what `write` appends, in the place of `old`.
    pub(super) fn replace(
        &mut self,
        old: Range<usize>,
        write: impl FnOnce(&[u8], &mut Vec<u8>) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        let original = self.original(&old)?;
        let start = self.scratch.len();
        write(original, &mut self.scratch)?;
        self.pieces.push(Piece { old, new: start..self.scratch.len() });
        Ok(())
    }

    /// Writes a value in its slot.
    pub(super) fn set(&mut self, slot: &Slot, value: &'b Value) -> Result<(), WireError> {
        match slot.format {
            Format::Packed { index, render } => {
                self.original(&slot.span)?;
                self.packed.push(Packed { span: slot.span.clone(), index, value, render });
                Ok(())
            }
            format => self.replace(slot.span.clone(), |original, out| write(value, format, original, out)),
        }
    }

    /// Writes what differs in a row, which may have got another length.
    pub(super) fn row(
        &mut self,
        before: &[Value],
        after: &'b [Value],
        slots: &[Slot],
        separator: Option<&str>,
    ) -> Result<(), WireError> {
        if before.len() != after.len() {
            self.resize(slots, after, separator)?;
            if slots.last().is_some_and(|slot| matches!(slot.format, Format::Packed { .. })) {
                return Ok(());
            }
        }
        for ((old, new), slot) in before.iter().zip(after).zip(slots) {
            if !old.is_same(new) {
                self.set(slot, new)?;
            }
        }
        Ok(())
    }

    fn resize(
        &mut self,
        slots: &[Slot],
        values: &'b [Value],
        separator: Option<&str>,
    ) -> Result<(), WireError> {
        let refused =
            |why: &str| Err(WireError::Unwritable(format!("a row can't get another length: {why}")));
        let (Some(last), false) = (slots.last(), values.is_empty()) else {
            return refused("there is nothing left of it");
        };
        if let Format::Packed { render, .. } = last.format {
            // No original bytes: all values of the row are given, and there are no others.
            let all: Vec<_> = values.iter().enumerate().collect();
            return self.replace(last.span.clone(), |_, out| render(&all, &[], out));
        }
        let Some(separator) = separator else {
            return refused("its values do not stand in a list of their own");
        };
        if !slots.is_sorted_by(|a, b| a.span.end <= b.span.start) {
            return refused("its values do not stand side by side");
        }
        if let Some(kept) = slots.get(values.len() - 1)
            && values.len() < slots.len()
        {
            return self.replace(kept.span.end..last.span.end, |_, _| Ok(()));
        }
        let between = match slots {
            [.., a, b] => self.original(&(a.span.end..b.span.start))?,
            _ => separator.as_bytes(),
        };
        self.replace(last.span.end..last.span.end, |_, out| {
            values[slots.len()..].iter().try_for_each(|value| {
                out.extend_from_slice(between);
                write(value, last.format, &[], out)
            })
        })
    }

    /// Renders the values that share a place.
    pub(super) fn pack(&mut self) -> Result<(), WireError> {
        let mut packed = std::mem::take(&mut self.packed);
        packed.sort_by_key(|value| (value.span.start, value.span.end, value.index));
        for group in packed.chunk_by(|a, b| a.span == b.span) {
            let values: Vec<_> = group.iter().map(|packed| (packed.index, packed.value)).collect();
            let render = group[0].render;
            self.replace(group[0].span.clone(), |original, out| render(&values, original, out))?;
        }
        Ok(())
    }

    /// In order of place; what is inserted stands before what is replaced.
    fn sort(&mut self) {
        self.pieces.sort_by_key(|piece| (piece.old.start, piece.old.end));
    }

    /// Puts the items of a list in another order, with their edits; some may be dropped or repeated. What is in
    /// the slots of `stays`, one in each item, stays with its place.
    pub(super) fn reorder(
        &mut self,
        items: &[Range<usize>],
        order: &[usize],
        stays: &[Slot],
    ) -> Result<(), WireError> {
        let (Some(first), Some(last)) = (items.first(), items.last()) else { return Err(overlap()) };
        let list = first.start..last.end;
        self.sort();
        let from = self.pieces.partition_point(|piece| piece.old.start < list.start);
        let to = self.pieces.partition_point(|piece| piece.old.start < list.end);
        let mut inside: Vec<Piece> = self.pieces.drain(from..to).collect();
        let staying = self.take_out(stays, &mut inside)?;
        let separator = match items {
            [a, b, ..] => self.original(&(a.end..b.start))?,
            _ => b",",
        };
        let start = self.scratch.len();
        for (place, &item) in order.iter().enumerate() {
            let range = items.get(item).ok_or_else(|| {
                WireError::Unwritable(format!("place {place} is given to a row that is not there"))
            })?;
            if place > 0 {
                self.scratch.extend_from_slice(separator);
            }
            let from = inside.partition_point(|piece| piece.old.start < range.start);
            let to = inside.partition_point(|piece| piece.old.start < range.end);
            let mut pieces = inside.get(from..to).unwrap_or_default().to_vec();
            if let (Some(here), Some(own)) = (staying.get(place).or(staying.last()), staying.get(item)) {
                let at = pieces.partition_point(|piece| piece.old.start < own.old.start);
                pieces.insert(at, Piece { old: own.old.clone(), new: here.new.clone() });
            }
            let mut copied = range.start;
            for piece in pieces {
                let kept = self.original(&(copied..piece.old.start))?;
                self.scratch.extend_from_slice(kept);
                self.scratch.extend_from_within(piece.new);
                copied = piece.old.end;
            }
            let kept = self.original(&(copied..range.end))?;
            self.scratch.extend_from_slice(kept);
        }
        self.pieces.insert(from, Piece { old: list, new: start..self.scratch.len() });
        Ok(())
    }

    /// The pieces of these slots, out of those given or else with the original bytes.
    fn take_out(&mut self, slots: &[Slot], pieces: &mut Vec<Piece>) -> Result<Vec<Piece>, WireError> {
        let mut taken = Vec::with_capacity(slots.len());
        for Slot { span, .. } in slots {
            let key = |piece: &Piece| (piece.old.start, piece.old.end);
            let new = match pieces.binary_search_by_key(&(span.start, span.end), key) {
                Ok(edited) => pieces[edited].new.clone(),
                Err(_) => {
                    let start = self.scratch.len();
                    self.scratch.extend_from_slice(self.original(span)?);
                    start..self.scratch.len()
                }
            };
            taken.push(Piece { old: span.clone(), new });
        }
        let staying: std::collections::HashSet<_> = slots.iter().map(|slot| slot.span.start).collect();
        pieces.retain(|piece| !staying.contains(&piece.old.start));
        Ok(taken)
    }

    /// The new body, with every length that covers an edit put right.
    pub(super) fn finish(mut self, lengths: &[Length]) -> Result<Spliced, WireError> {
        self.sort();
        let headers = if lengths.is_empty() { Vec::new() } else { self.measure(lengths)? };
        let growth: isize = self.pieces.iter().map(Piece::growth).sum();
        let mut body = Vec::with_capacity(self.body.len().saturating_add_signed(growth));
        let mut copied = 0;
        for piece in &self.pieces {
            body.extend_from_slice(self.original(&(copied..piece.old.start))?);
            body.extend_from_slice(&self.scratch[piece.new.clone()]);
            copied = piece.old.end;
        }
        body.extend_from_slice(self.original(&(copied..self.body.len()))?);
        Ok(Spliced { body, headers })
    }

    fn measure(&mut self, lengths: &[Length]) -> Result<Vec<(HeaderName, HeaderValue)>, WireError> {
        let edits = Growth::new(self.pieces.iter());
        // From the back to the front of the body, headers at the end: inner lengths come first.
        let place = |length: &&Length| length.field.span().map_or(0, |span| span.start + 1);
        let mut ordered: Vec<&Length> = lengths.iter().collect();
        ordered.sort_by_key(|length| std::cmp::Reverse(place(length)));
        ordered.dedup_by(|a, b| a.field == b.field);
        let mut widened = Widened::default();
        let mut headers = Vec::new();
        for length in ordered {
            let growth = edits.inside(&length.covers) + widened.inside(&length.covers);
            if growth == 0 {
                continue;
            }
            let size = length.covers.len().saturating_add_signed(growth);
            let Some(field) = length.field.span() else {
                if let LengthField::Header(name) = &length.field {
                    headers.push((name.clone(), HeaderValue::from(size)));
                }
                continue;
            };
            let before = self.scratch.len();
            self.replace(field.clone(), |_, out| length.field.write(size, out))?;
            let wider = (self.scratch.len() - before).cast_signed() - field.len().cast_signed();
            if wider != 0 {
                widened.push(field.start, wider);
            }
        }
        self.sort();
        Ok(headers)
    }
}

/// How much longer the body becomes before each piece.
struct Growth {
    places: Vec<(usize, usize)>,
    sums: Vec<isize>,
}

impl Growth {
    fn new<'p>(pieces: impl Iterator<Item = &'p Piece>) -> Growth {
        let (mut places, mut sums, mut sum) = (Vec::new(), vec![0], 0);
        for piece in pieces {
            sum += piece.growth();
            places.push((piece.old.start, piece.old.end));
            sums.push(sum);
        }
        Growth { places, sums }
    }

    /// What is inserted at the end of a range is inside; at its start it is not, unless the range is empty.
    fn inside(&self, range: &Range<usize>) -> isize {
        let Range { start, end } = *range;
        let before =
            |&(from, to): &(usize, usize)| from < start || start < end && (from, to) == (start, start);
        let first = self.places.partition_point(before);
        let past = self.places.partition_point(|&(from, to)| from < end || (from, to) == (end, end));
        self.sums[past.max(first)] - self.sums[first]
    }
}

/// How much wider length fields became, from the back to the front.
#[derive(Default)]
struct Widened {
    places: Vec<usize>,
    sums: Vec<isize>,
}

impl Widened {
    fn push(&mut self, place: usize, wider: isize) {
        self.places.push(place);
        self.sums.push(self.total() + wider);
    }

    fn total(&self) -> isize {
        self.sums.last().copied().unwrap_or(0)
    }

    fn inside(&self, range: &Range<usize>) -> isize {
        let from = |place: usize| {
            let count = self.places.partition_point(|at| *at >= place);
            count.checked_sub(1).map_or(0, |last| self.sums[last])
        };
        from(range.start) - from(range.end)
    }
}

impl LengthField {
    fn span(&self) -> Option<&Range<usize>> {
        match self {
            LengthField::Varint(span) | LengthField::U32Le(span) | LengthField::Decimal(span) => Some(span),
            LengthField::Header(_) => None,
        }
    }

    fn write(&self, size: usize, out: &mut Vec<u8>) -> Result<(), WireError> {
        match self {
            LengthField::Varint(_) => write_varint(size as u64, out),
            LengthField::U32Le(_) => {
                let size = u32::try_from(size);
                let size = size.map_err(|_| WireError::Unwritable("a part is over 4 GiB".into()))?;
                out.extend_from_slice(&size.to_le_bytes());
            }
            LengthField::Decimal(_) | LengthField::Header(_) => {
                out.extend_from_slice(size.to_string().as_bytes())
            }
        }
        Ok(())
    }
}

fn write(value: &Value, format: Format, original: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
    match format {
        Format::With(write) => write(value, original, out),
        Format::Packed { index, render } => render(&[(index, value)], original, out),
        format => {
            render(value, format, out);
            Ok(())
        }
    }
}
