//! The places of many values, in little memory: a span for each, or none at all where values of one size stand
//! side by side, and a format for each run of values that share it (or count on, where several are in one span).

use std::ops::Range;

use super::{Format, Slot};

/// Places in the order of their values.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Places {
    spans: Spans,
    /// Formats, each with the index of the first place that has it.
    formats: Vec<(usize, Format)>,
}

#[derive(Debug, Clone, PartialEq)]
enum Spans {
    Listed(Vec<Range<usize>>),
    Strided { start: usize, size: usize, count: usize },
}

impl Default for Spans {
    fn default() -> Spans {
        Spans::Listed(Vec::new())
    }
}

impl Places {
    pub(crate) fn with_capacity(count: usize) -> Places {
        Places { spans: Spans::Listed(Vec::with_capacity(count)), formats: Vec::new() }
    }

    /// So many values of one size, side by side.
    pub(crate) fn strided(start: usize, size: usize, count: usize, format: Format) -> Places {
        let formats = if count == 0 { Vec::new() } else { vec![(0, format)] };
        Places { spans: Spans::Strided { start, size, count }, formats }
    }

    pub(crate) fn len(&self) -> usize {
        match &self.spans {
            Spans::Listed(spans) => spans.len(),
            Spans::Strided { count, .. } => *count,
        }
    }

    pub(crate) fn push(&mut self, span: Range<usize>, format: Format) {
        let index = self.len();
        if self.formats.last().is_none_or(|(first, last)| after(*last, index - first) != format) {
            self.formats.push((index, format));
        }
        self.list().push(span);
    }

    fn list(&mut self) -> &mut Vec<Range<usize>> {
        if let Spans::Strided { start, size, count } = self.spans {
            let span = |index: usize| start + index * size..start + (index + 1) * size;
            self.spans = Spans::Listed((0..count).map(span).collect());
        }
        match &mut self.spans {
            Spans::Listed(spans) => spans,
            Spans::Strided { .. } => unreachable!("it was just listed"),
        }
    }

    /// The place of a value.
    ///
    /// # Panics
    /// If there is no such value.
    pub(crate) fn get(&self, index: usize) -> Slot {
        let span = match &self.spans {
            Spans::Listed(spans) => spans[index].clone(),
            Spans::Strided { start, size, count } => {
                assert!(index < *count, "a place for each value");
                start + index * size..start + (index + 1) * size
            }
        };
        let run = self.formats.partition_point(|(first, _)| *first <= index);
        let (first, format) = self.formats[run - 1];
        Slot { span, format: after(format, index - first) }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Slot> + '_ {
        self.range(0..self.len())
    }

    pub(crate) fn range(&self, range: Range<usize>) -> impl Iterator<Item = Slot> + '_ {
        range.map(|index| self.get(index))
    }
}

/// The format of a run so many places on: values in one place are counted.
fn after(format: Format, places: usize) -> Format {
    match format {
        Format::Packed { index, render } => Format::Packed { index: index + places, render },
        format => format,
    }
}

impl Extend<Slot> for Places {
    fn extend<I: IntoIterator<Item = Slot>>(&mut self, slots: I) {
        slots.into_iter().for_each(|Slot { span, format }| self.push(span, format));
    }
}
