//! Which tensors are the prediction, and rows made of them.

use super::{
    super::{Content, Outputs, Reading, Row, Value, WireError, reading::Slot},
    Cells, Family, Tensor, classification,
};

/// The rows that the tensors of a response hold.
pub(crate) fn predictions(tensors: &[Tensor<'_>], outputs: &Outputs) -> Result<Reading, WireError> {
    if let Some(reading) = classification::read(tensors, outputs)? {
        return Ok(reading);
    }
    let (label, scores) = choose(tensors, outputs);
    let mut reading = join(label, scores)?;
    if let Some(tensor) = scores.or(label) {
        reading = reading.with_declaration(tensor.declaration.clone());
        if scores.is_some()
            && let Some(separator) = tensor.separator()
        {
            reading = reading.with_separator(separator);
        }
    }
    for tensor in label.into_iter().chain(scores) {
        tensor.lengths.iter().cloned().for_each(|length| reading.cover(length));
    }
    Ok(reading)
}

/// The tensors that hold the label and the scores.
fn choose<'a, 't>(
    tensors: &'a [Tensor<'t>],
    outputs: &Outputs,
) -> (Option<&'a Tensor<'t>>, Option<&'a Tensor<'t>>) {
    let named = |name: &Option<String>| {
        let wanted = name.as_deref()?;
        tensors.iter().find(|tensor| tensor.name == wanted)
    };
    // An output that is named for one half is no candidate for the other.
    let free = |tensor: &&Tensor<'_>| {
        let name = Some(&*tensor.name);
        name != outputs.label.as_deref() && name != outputs.scores.as_deref()
    };
    let first = |fits: fn(&Tensor<'_>) -> bool| tensors.iter().filter(free).find(|tensor| fits(tensor));
    let mut label =
        named(&outputs.label).or_else(|| first(|t| t.family() == Family::Discrete && t.width() == 1));
    let scores = named(&outputs.scores).or_else(|| first(|t| t.family() == Family::Real && t.width() > 1));
    let single = first(|t| t.family() == Family::Real && t.width() == 1);
    match (label, scores, single) {
        (None, Some(scores), Some(single)) if holds_indices(single, scores.width()) => label = Some(single),
        (label, None, single) => return (label, single),
        _ => {}
    }
    (label, scores)
}

fn holds_indices(tensor: &Tensor<'_>, classes: usize) -> bool {
    let is_index = |value: &Value| {
        value.as_f64().is_some_and(|n| n.fract() == 0.0 && (0.0..classes as f64).contains(&n))
    };
    tensor.cells().is_ok_and(|cells| cells.values.iter().all(is_index))
}

fn join(label: Option<&Tensor<'_>>, scores: Option<&Tensor<'_>>) -> Result<Reading, WireError> {
    let count = match (label, scores) {
        (None, None) => return Err(WireError::NoPrediction),
        (Some(label), Some(scores)) if label.shape.rows != scores.shape.rows => {
            let (a, b) = (&label.name, &scores.name);
            let message = format!("{}s `{a}` and `{b}` differ in their number of rows", label.kind);
            return Err(WireError::Malformed(message));
        }
        (Some(tensor), _) | (None, Some(tensor)) => tensor.shape.rows,
    };
    if let Some(label) = label.filter(|label| label.width() != 1) {
        return Err(label.malformed("is no label: it has not one value for each row"));
    }
    if let Some(scores) = scores.filter(|scores| scores.width() == 0) {
        return Err(scores.malformed("holds no scores: its shape is not [rows, classes]"));
    }
    let width = scores.map_or(0, |tensor| tensor.shape.width);
    let labels = label.map(Tensor::cells).transpose()?.unwrap_or_default();
    let scores = scores.map(Tensor::cells).transpose()?.unwrap_or_default();
    let (mut names, mut values) = (labels.values.into_iter(), scores.values.into_iter());
    // Both halves hold as many values as `count` says, so it is not what a hostile shape says.
    let row = |_| Row { label: names.next(), scores: values.by_ref().take(width).collect() };
    let rows: Vec<Row> = (0..count).map(row).collect();
    if rows.is_empty() {
        return Err(WireError::NoPrediction);
    }
    Ok(Reading::of_rows(rows, labels.places, scores.places))
}

/// The rows of a request: each input's values side by side, as many rows as the longest batch has. What can't be
/// read (images, other bytes) is left out.
pub(crate) fn features(tensors: Vec<Tensor<'_>>) -> Result<Reading, WireError> {
    let mut read: Vec<(Tensor<'_>, Cells)> = Vec::new();
    let mut unread = WireError::NoPrediction;
    for tensor in tensors {
        match tensor.cells() {
            Ok(cells) if !cells.values.is_empty() => read.push((tensor, cells)),
            Ok(_) => {}
            Err(error) => unread = error,
        }
    }
    let rows = read.iter().map(|(tensor, _)| tensor.shape.rows).max().ok_or(unread)?;
    read.retain(|(tensor, _)| tensor.shape.rows == rows);
    let mut reading = Reading::default().with_content(Content::Features).with_columns(columns(&read));
    if let [(tensor, _)] = read.as_slice() {
        reading = reading.with_declaration(tensor.declaration.clone());
        if let Some(separator) = tensor.separator() {
            reading = reading.with_separator(separator);
        }
    }
    let mut inputs: Vec<_> = Vec::with_capacity(read.len());
    for (tensor, cells) in read {
        tensor.lengths.into_iter().for_each(|length| reading.cover(length));
        inputs.push((tensor.shape.width, cells.values.into_iter(), cells.places));
    }
    for row in 0..rows {
        let mut scores: Vec<Value> = Vec::new();
        let mut slots: Vec<Slot> = Vec::new();
        for (width, values, places) in &mut inputs {
            scores.extend(values.by_ref().take(*width));
            slots.extend(places.range(row * *width..(row + 1) * *width));
        }
        reading.push(Row { label: None, scores }, None, slots);
    }
    Ok(reading)
}

/// A tensor of one column gives its name; one of several has none for them, but beside others its own, with a
/// number.
fn columns(read: &[(Tensor<'_>, Cells)]) -> Vec<String> {
    if let [(tensor, _)] = read
        && tensor.shape.width > 1
    {
        return Vec::new();
    }
    let names = |(tensor, _): &(Tensor<'_>, Cells)| -> Vec<String> {
        match tensor.shape.width {
            1 => vec![tensor.name.to_string()],
            width => (0..width).map(|index| format!("{}[{index}]", tensor.name)).collect(),
        }
    };
    read.iter().flat_map(names).collect()
}
