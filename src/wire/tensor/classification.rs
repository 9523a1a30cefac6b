//! Triton's classification extension: the scores of a row as texts, `score:index[:name]`, the highest first.
//!
//! When a row lists every class, it is read as one score for each, in the order of their indices; when it lists the
//! top few, as its first class and that one's score. An edit writes the texts of the row anew, sorted as Triton sorts
//! them: the class that an edit makes the highest is then the first, unless the edit names the first. Scores have
//! six decimals, or as many as it takes to be read back exactly.

use std::cmp::Ordering;

use super::{
    super::{
        Outputs, Reading, Row, Value, WireError,
        protobuf::{self, write_varint},
        reading::{Format, RenderPacked, Slot},
        scan::scan,
    },
    Cells, Data, Datatype, TEXT_TAG, Tensor,
};

/// Index of the score among the values of a row that is read as its first class.
const SCORE: usize = 0;
const LABEL: usize = 1;

/// One class of a row.
#[derive(Debug, Clone, PartialEq)]
struct Entry {
    score: String,
    index: u64,
    name: Option<String>,
}

impl Entry {
    fn parse(text: &str) -> Option<Entry> {
        let mut parts = text.splitn(3, ':');
        let score = parts.next().filter(|score| score.parse::<f64>().is_ok())?.to_owned();
        let index = parts.next()?.parse::<u32>().ok()?.into();
        Some(Entry { score, index, name: parts.next().map(str::to_owned) })
    }

    fn score(&self) -> f64 {
        self.score.parse().unwrap_or(f64::NAN)
    }

    fn label(&self) -> Value {
        match &self.name {
            Some(name) => Value::Text(name.clone()),
            None => Value::Int(self.index.cast_signed()),
        }
    }

    fn text(&self) -> String {
        let Entry { score, index, name } = self;
        name.as_ref().map_or_else(|| format!("{score}:{index}"), |name| format!("{score}:{index}:{name}"))
    }
}

/// Reads the first tensor of classification texts; `None` when there is none, or another one is named.
pub(crate) fn read(tensors: &[Tensor<'_>], outputs: &Outputs) -> Result<Option<Reading>, WireError> {
    let named = outputs.label.as_deref().or(outputs.scores.as_deref());
    for tensor in tensors {
        let wanted = named.is_none_or(|name| name == tensor.name);
        if !wanted || tensor.datatype != Some(Datatype::Bytes) || !tensor.shape.is_flat {
            continue;
        }
        let Ok(cells) = tensor.cells() else { continue };
        let entries: Option<Vec<Entry>> = cells.values.iter().map(entry).collect();
        if let Some(entries) = entries.filter(|entries| !entries.is_empty()) {
            let mut reading = rows(tensor, &cells, &entries).with_declaration(tensor.declaration.clone());
            tensor.lengths.iter().cloned().for_each(|length| reading.cover(length));
            return Ok(Some(reading));
        }
    }
    Ok(None)
}

fn entry(value: &Value) -> Option<Entry> {
    match value {
        Value::Text(text) => Entry::parse(text),
        _ => None,
    }
}

fn rows(tensor: &Tensor<'_>, cells: &Cells, entries: &[Entry]) -> Reading {
    // A model without a batch dimension has one row.
    let width = if tensor.shape.rank < 2 { entries.len() } else { tensor.shape.width };
    let names = names(entries, width);
    let mut reading = Reading::default().with_confidences();
    if let Some(names) = &names
        && names.iter().all(Option::is_some)
    {
        reading = reading.with_columns(names.iter().flatten().cloned().collect());
    }
    for (row, entries) in entries.chunks(width).enumerate() {
        let (first, last) = (row * width, row * width + entries.len() - 1);
        let span = cells.places.get(first).span.start..cells.places.get(last).span.end;
        let render = render(&tensor.data, names.is_some());
        let slot = |index| Slot { span: span.clone(), format: Format::Packed { index, render } };
        if names.is_some() {
            let mut scores = vec![Value::Null; width];
            for entry in entries {
                scores[entry.index as usize] = Value::Float(entry.score());
            }
            reading.push(Row { label: None, scores }, None, (0..width).map(slot));
        } else {
            let top = &entries[0];
            let row = Row { label: Some(top.label()), scores: vec![Value::Float(top.score())] };
            reading.push(row, Some(slot(LABEL)), [slot(SCORE)]);
        }
    }
    reading
}

/// The names of all classes by index, if each row lists every class, by the same name.
fn names(entries: &[Entry], width: usize) -> Option<Vec<Option<String>>> {
    if width < 2 {
        return None;
    }
    let mut names: Vec<Option<&Entry>> = vec![None; width];
    for row in entries.chunks(width) {
        let mut seen = vec![false; width];
        for entry in row {
            let index = usize::try_from(entry.index).ok()?;
            let is_new = !std::mem::replace(seen.get_mut(index)?, true);
            let known = *names[index].get_or_insert(entry);
            if !is_new || known.name != entry.name {
                return None;
            }
        }
    }
    Some(names.into_iter().map(|entry| entry.and_then(|entry| entry.name.clone())).collect())
}

fn render(data: &Data<'_>, whole: bool) -> RenderPacked {
    match (data, whole) {
        (Data::Json(_), true) => |values, original, out| json(original, out, |row| rescore(row, values)),
        (Data::Json(_), false) => |values, original, out| json(original, out, |row| retop(row, values)),
        (Data::Typed(..), true) => |values, original, out| fields(original, out, |row| rescore(row, values)),
        (Data::Typed(..), false) => |values, original, out| fields(original, out, |row| retop(row, values)),
        (_, true) => |values, original, out| counted(original, out, |row| rescore(row, values)),
        (_, false) => |values, original, out| counted(original, out, |row| retop(row, values)),
    }
}

/// Changes the classes of a row; those after the first so many are then sorted.
type Edit<'a> = &'a dyn Fn(&mut Vec<Entry>) -> Result<usize, WireError>;

fn lost() -> WireError {
    WireError::Unwritable("the texts of a row do not stand side by side".into())
}

fn edited<'a>(
    texts: impl Iterator<Item = Option<std::borrow::Cow<'a, str>>>,
    edit: Edit<'_>,
) -> Result<Vec<String>, WireError> {
    let mut row = texts
        .map(|text| text.and_then(|text| Entry::parse(&text)).ok_or_else(lost))
        .collect::<Result<Vec<_>, _>>()?;
    let was_sorted = row.is_sorted_by(|a, b| descending(a, b) != Ordering::Greater);
    let pinned = edit(&mut row)?;
    if was_sorted {
        row[pinned..].sort_by(descending);
    }
    Ok(row.iter().map(Entry::text).collect())
}

/// The highest first, and what is no number at the end.
fn descending(a: &Entry, b: &Entry) -> Ordering {
    let key =
        |entry: &Entry| Some(entry.score()).filter(|score| !score.is_nan()).unwrap_or(f64::NEG_INFINITY);
    key(b).total_cmp(&key(a))
}

/// Texts of JSON, with what stands between them.
fn json(
    original: &[u8],
    out: &mut Vec<u8>,
    edit: impl Fn(&mut Vec<Entry>) -> Result<usize, WireError>,
) -> Result<(), WireError> {
    let list = [b"[", original, b"]"].concat();
    let tree = scan(&list).map_err(|_| lost())?;
    let nodes: Vec<_> = tree.root().leaves().ok_or_else(lost)?.collect();
    let texts = edited(nodes.iter().map(|node| node.text()), &edit)?;
    let mut copied = 1;
    for (node, text) in nodes.iter().zip(&texts) {
        let span = node.span();
        out.extend_from_slice(&list[copied..span.start]);
        serde_json::to_writer(&mut *out, text).map_err(|_| lost())?;
        copied = span.end;
    }
    out.extend_from_slice(&list[copied..list.len() - 1]);
    Ok(())
}

/// Texts behind their length.
fn counted(
    mut original: &[u8],
    out: &mut Vec<u8>,
    edit: impl Fn(&mut Vec<Entry>) -> Result<usize, WireError>,
) -> Result<(), WireError> {
    let texts = std::iter::from_fn(|| {
        let (length, rest) = original.split_first_chunk()?;
        let (text, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        original = rest;
        Some(std::str::from_utf8(text).ok().map(Into::into))
    });
    for text in edited(texts, &edit)? {
        let length = u32::try_from(text.len()).map_err(|_| lost())?;
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(text.as_bytes());
    }
    Ok(())
}

/// Texts as fields of a message.
fn fields(
    original: &[u8],
    out: &mut Vec<u8>,
    edit: impl Fn(&mut Vec<Entry>) -> Result<usize, WireError>,
) -> Result<(), WireError> {
    let texts = protobuf::fields(original, 0..original.len()).map(|field| {
        let field =
            field.ok().filter(|field| field.whole.len() > 1 && original[field.whole.start] == TEXT_TAG)?;
        std::str::from_utf8(&original[field.span]).ok().map(Into::into)
    });
    for text in edited(texts, &edit)? {
        out.push(TEXT_TAG);
        write_varint(text.len() as u64, out);
        out.extend_from_slice(text.as_bytes());
    }
    Ok(())
}

/// Scores by the index of their class.
fn rescore(row: &mut [Entry], values: &[(usize, &Value)]) -> Result<usize, WireError> {
    for (class, value) in values {
        let entry = row.iter_mut().find(|entry| entry.index == *class as u64).ok_or_else(lost)?;
        entry.score = score(value)?;
    }
    Ok(0)
}

/// The first class and its score. A class that stands further down changes places with the first; one that
/// is not in the row is written over the first's name, and its index stays, because none is known.
fn retop(row: &mut [Entry], values: &[(usize, &Value)]) -> Result<usize, WireError> {
    let mut pinned = 0;
    for (part, value) in values {
        let same = row.iter().position(|entry| entry.label().is_same(value));
        let (first, rest) = row.split_first_mut().ok_or_else(lost)?;
        if *part == SCORE {
            first.score = score(value)?;
            continue;
        }
        pinned = 1;
        if let Some(other) = same.and_then(|place| rest.get_mut(place.checked_sub(1)?)) {
            std::mem::swap(first, other);
            std::mem::swap(&mut first.score, &mut other.score);
            continue;
        }
        match value {
            Value::Text(text) if first.name.is_some() => first.name = Some(text.clone()),
            Value::Int(index @ 0..=0xffff_ffff) if first.name.is_none() => {
                first.index = index.cast_unsigned()
            }
            _ => return Err(WireError::Unwritable("no class of this row can be called so".into())),
        }
    }
    Ok(pinned)
}

fn score(value: &Value) -> Result<String, WireError> {
    let score = value.as_f64().ok_or_else(|| WireError::Unwritable("a score must be a number".into()))?;
    Ok(match score {
        _ if score.is_nan() => "nan".into(),
        _ if score.is_infinite() => {
            if score > 0.0 {
                "inf".into()
            } else {
                "-inf".into()
            }
        }
        _ if score != 0.0 && !(1e-9..1e15).contains(&score.abs()) => format!("{score:?}"),
        _ => Some(format!("{score:.6}"))
            .filter(|usual| usual.parse() == Ok(score))
            .unwrap_or_else(|| score.to_string()),
    })
}

#[cfg(test)]
mod tests;
