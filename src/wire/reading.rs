//! The predictions of one body, and where each value stands in its bytes.
//!
//! Everything that is written is a value that differs from what was read, in the place where it was read;
//! all other bytes are copied. A number is written as shortly as it can be read back exactly, in the
//! precision of its tensor: a 32-bit score as `0.9`, never as `0.8999999761581421`.

mod places;
mod rank;
mod render;
mod splice;
#[cfg(test)]
mod testing;

use std::ops::Range;

use http::HeaderName;

use super::{Answer, Content, Declared, Row, Value, WireError};

pub(super) use places::Places;
pub(super) use render::render;
pub use splice::Spliced;
use splice::Splicer;

/// Where one value stands in the body.
#[derive(Debug, Clone, PartialEq)]
pub struct Slot {
    /// The bytes of the value, quotes of a string included. Empty where a value that the wire leaves out would
    /// stand.
    pub span: Range<usize>,
    /// How values are written here.
    pub format: Format,
}

/// Writes a value where the original bytes (none when a value is added) stood.
pub type Render = fn(&Value, original: &[u8], out: &mut Vec<u8>) -> Result<(), WireError>;

/// Writes the changed values of one place, each with its index, in place of the original bytes. When the row has
/// got another length, there are no original bytes, and the values are all of the row's.
pub type RenderPacked = fn(&[(usize, &Value)], original: &[u8], out: &mut Vec<u8>) -> Result<(), WireError>;

/// How values are written in a place.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub enum Format {
    /// JSON, numbers with 64-bit precision.
    #[default]
    Double,
    /// JSON, numbers with 32-bit precision: an `FP32` tensor.
    Single,
    /// JSON, numbers without a fraction where there is none: an integer tensor.
    Whole,
    /// Not as JSON: binary, varint, CSV and others.
    With(Render),
    /// Several values in one place, such as a base64 embedding.
    Packed {
        /// Which of them.
        index: usize,
        /// Writes them together.
        render: RenderPacked,
    },
}

impl PartialEq for Format {
    fn eq(&self, other: &Format) -> bool {
        match (self, other) {
            (Format::With(a), Format::With(b)) => std::ptr::fn_addr_eq(*a, *b),
            (Format::Packed { index: a, render: f }, Format::Packed { index: b, render: g }) => {
                a == b && std::ptr::fn_addr_eq(*f, *g)
            }
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

/// A length on the wire that covers bytes which an edit may lengthen or shorten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Length {
    /// What it counts.
    pub covers: Range<usize>,
    /// Where it stands.
    pub field: LengthField,
}

/// Where a length stands, and how it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LengthField {
    /// A protobuf varint.
    Varint(Range<usize>),
    /// Four bytes, little-endian.
    U32Le(Range<usize>),
    /// Decimal digits.
    Decimal(Range<usize>),
    /// A header, in decimal digits.
    Header(HeaderName),
}

/// Predictions or features read from a body, with the place of every value.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reading {
    content: Content,
    rows: Vec<Row>,
    /// One for each row that has a label.
    labels: Places,
    /// One for each score of each row, one row after another.
    scores: Places,
    columns: Vec<String>,
    confidences: bool,
    separator: Option<&'static str>,
    items: Vec<Range<usize>>,
    lengths: Vec<Length>,
    declared: Option<Declaration>,
    version: Option<(Value, Slot)>,
}

/// What the wire declares for a tensor, and where.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Declaration {
    pub(super) declared: Declared,
    pub(super) shape: Vec<Slot>,
    pub(super) datatype: Option<Slot>,
    /// As of a row: with it there may be more or fewer dimensions.
    pub(super) separator: Option<&'static str>,
}

impl Reading {
    /// Adds a row with the place of its label and of each score.
    ///
    /// # Panics
    /// If the slots do not match the row's values.
    pub fn push(&mut self, row: Row, label: Option<Slot>, scores: impl IntoIterator<Item = Slot>) {
        assert_eq!(row.label.is_some(), label.is_some(), "a label needs a place");
        let before = self.scores.len();
        self.scores.extend(scores);
        assert_eq!(row.scores.len(), self.scores.len() - before, "each score needs a place");
        self.rows.push(row);
        self.labels.extend(label);
    }

    /// Rows with the places of all their labels and all their scores.
    ///
    /// # Panics
    /// If there is not a place for each value.
    pub(super) fn of_rows(rows: Vec<Row>, labels: Places, scores: Places) -> Reading {
        assert_eq!(rows.iter().filter(|row| row.label.is_some()).count(), labels.len(), "labels need places");
        assert_eq!(
            rows.iter().map(|row| row.scores.len()).sum::<usize>(),
            scores.len(),
            "scores need places"
        );
        Reading { rows, labels, scores, ..Reading::default() }
    }

    /// Says what the rows are.
    #[must_use]
    pub fn with_content(self, content: Content) -> Reading {
        Reading { content, ..self }
    }

    /// Names the scores of each row.
    #[must_use]
    pub fn with_columns(self, columns: Vec<String>) -> Reading {
        Reading { columns, ..self }
    }

    /// A lone score beside a label is the confidence in that label.
    #[must_use]
    pub fn with_confidences(self) -> Reading {
        Reading { confidences: true, ..self }
    }

    /// Rows may get more or fewer scores; this stands between two, where no two show it.
    #[must_use]
    pub fn with_separator(self, separator: &'static str) -> Reading {
        Reading { separator: Some(separator), ..self }
    }

    /// Adds a length that has to follow edits.
    pub fn cover(&mut self, length: Length) {
        self.lengths.push(length);
    }

    /// The elements of a JSON list that the rows stand in, one for each row: what a changed order moves.
    #[must_use]
    pub fn with_items(self, items: Vec<Range<usize>>) -> Reading {
        Reading { items, ..self }
    }

    /// What the wire declares of the tensor, and where.
    #[must_use]
    pub fn declaring(self, declared: Declared, shape: Vec<Slot>, datatype: Option<Slot>) -> Reading {
        self.with_declaration(Some(Declaration { declared, shape, datatype, separator: None }))
    }

    /// The version of the model that the body tells, and where.
    #[must_use]
    pub fn with_version(self, version: Value, slot: Slot) -> Reading {
        Reading { version: Some((version, slot)), ..self }
    }

    pub(super) fn with_declaration(self, declared: Option<Declaration>) -> Reading {
        Reading { declared, ..self }
    }

    /// What the rows are.
    pub const fn content(&self) -> Content {
        self.content
    }

    /// The predictions, in the order of the batch.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// All scores and their places, row after row.
    pub(super) fn into_scores(self) -> (Vec<Value>, Places) {
        (self.rows.into_iter().flat_map(|row| row.scores).collect(), self.scores)
    }

    /// What a fault edits.
    pub fn answer(&self) -> Answer {
        Answer {
            content: self.content,
            rows: self.rows.clone(),
            columns: self.columns.clone(),
            confidences: self.confidences,
            order: None,
            declared: self.declared.as_ref().map(|declaration| declaration.declared.clone()),
            version: self.version.as_ref().map(|(version, _)| version.clone()),
        }
    }

    /// The body with the values of `edited` in place of the original ones; only values that differ are
    /// written, and the lengths that count them. `None` when nothing differs.
    ///
    /// # Errors
    /// When `edited` differs in a way that this body can't carry: more or fewer rows, a label where none was, a
    /// value that the datatype can't hold.
    pub fn splice(&self, body: &[u8], edited: &Answer) -> Result<Option<Spliced>, WireError> {
        let ranked = self.ranked(edited);
        let edited = ranked.as_ref().unwrap_or(edited);
        let declared = match (&self.declared, &edited.declared) {
            (Some(before), Some(after)) if before.declared != *after => Some(after.row()),
            (Some(_), Some(_)) | (None, None) => None,
            _ => return Err(WireError::Unwritable("what the wire declares can't come or go".into())),
        };
        let mut splicer = Splicer::new(body);
        self.write_rows(&edited.rows, &mut splicer)?;
        if let Some((before, after)) = self.declared.as_ref().zip(declared.as_ref()) {
            before.write(after, &mut splicer)?;
        }
        if let (Some((before, slot)), Some(after)) = (&self.version, &edited.version)
            && before != after
        {
            splicer.set(slot, after)?;
        }
        splicer.pack()?;
        let order = edited.order.as_ref().filter(|order| !order.iter().copied().eq(0..self.rows.len()));
        if let Some(order) = order {
            if self.items.is_empty() || self.items.len() != self.rows.len() {
                return Err(WireError::Unwritable("this body has no list to reorder".into()));
            }
            // The best place of a ranking has the best score, whatever is put there.
            let stays: Vec<Slot> = match self.content {
                Content::Ranking if self.scores.len() == self.rows.len() => self.scores.iter().collect(),
                _ => Vec::new(),
            };
            splicer.reorder(&self.items, order, &stays)?;
        }
        if splicer.is_empty() { Ok(None) } else { splicer.finish(&self.lengths).map(Some) }
    }

    fn write_rows<'b>(&self, edited: &'b [Row], splicer: &mut Splicer<'b>) -> Result<(), WireError> {
        let reshaped = || WireError::Unwritable("a fault must not add or drop predictions".into());
        if edited.len() != self.rows.len() {
            return Err(reshaped());
        }
        let (mut label, mut score) = (0, 0);
        for (before, after) in self.rows.iter().zip(edited) {
            match (&before.label, &after.label) {
                (Some(old), Some(new)) => {
                    if !old.is_same(new) {
                        splicer.set(&self.labels.get(label), new)?;
                    }
                    label += 1;
                }
                (None, None) => {}
                _ => return Err(reshaped()),
            }
            let places = score..score + before.scores.len();
            score = places.end;
            if before.scores.len() != after.scores.len() {
                let slots: Vec<Slot> = self.scores.range(places).collect();
                splicer.row(&before.scores, &after.scores, &slots, self.separator)?;
                continue;
            }
            for (place, (old, new)) in places.zip(before.scores.iter().zip(&after.scores)) {
                if !old.is_same(new) {
                    splicer.set(&self.scores.get(place), new)?;
                }
            }
        }
        Ok(())
    }
}

impl Declaration {
    fn write<'b>(&self, after: &'b Row, splicer: &mut Splicer<'b>) -> Result<(), WireError> {
        let before = self.declared.row();
        if let Some((old, new)) = before.label.as_ref().zip(after.label.as_ref())
            && old != new
        {
            let fixed = || WireError::Unwritable("the datatype is not on the wire".into());
            splicer.set(self.datatype.as_ref().ok_or_else(fixed)?, new)?;
        }
        splicer.row(&before.scores, &after.scores, &self.shape, self.separator)
    }
}

impl Declared {
    /// The datatype as a label, the shape as scores: they are written like those of a row.
    fn row(&self) -> Row {
        Row {
            label: Some(Value::Text(self.datatype.clone())),
            scores: self.shape.iter().copied().map(Value::Int).collect(),
        }
    }
}

/// The bytes with values written in their places; `None` when there are none.
pub(super) fn splice_values(bytes: &[u8], edits: Vec<(&Slot, &Value)>) -> Result<Option<Vec<u8>>, WireError> {
    let mut splicer = Splicer::new(bytes);
    for (slot, value) in edits {
        splicer.set(slot, value)?;
    }
    splicer.pack()?;
    if splicer.is_empty() { Ok(None) } else { splicer.finish(&[]).map(|spliced| Some(spliced.body)) }
}

#[cfg(test)]
mod tests;
