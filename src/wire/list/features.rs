//! The features of a request in JSON: rows of cells, named where the wire names them.
//!
//! | form | columns |
//! | --- | --- |
//! | `[[1, "a"], …]` | none |
//! | `[{"age": 1, "city": "a"}, …]` | the names that all rows have |
//! | `{"age": [1, …], "city": ["a", …]}` | the names of the columns with one value or list for each row |
//! | `{"columns": ["age", "city"], "data": [[1, "a"], …]}` | `columns` |
//!
//! A list in a cell is as many cells, `name[0]`, `name[1]` and so on. What is no number, text, truth value or `null`
//! (objects, bytes that are no text) is left out.

use std::borrow::Cow;

use super::{
    super::{
        Content, Reading, Row, Value, WireError,
        reading::{Format, Slot},
        scan::{Kind, Node},
    },
    base64_text::{cell as base64_cell, held},
};

/// Values of one row with their places.
#[derive(Debug, Default)]
struct Cells<'t> {
    names: Vec<Cow<'t, str>>,
    values: Vec<Value>,
    slots: Vec<Slot>,
}

impl<'t> Cells<'t> {
    fn push(&mut self, value: Value, slot: Slot) {
        self.values.push(value);
        self.slots.push(slot);
    }

    /// Adds what a node holds, under its name.
    fn add(&mut self, name: Option<Cow<'t, str>>, node: Node<'_>) {
        let before = self.values.len();
        let is_list = node.kind() == Kind::Array;
        if let Some((value, slot)) = base64_cell(node) {
            self.push(value, slot);
        } else if let Some(leaves) = node.leaves() {
            for leaf in leaves {
                let Some(value) = leaf.value() else { continue };
                self.push(value, Slot { span: leaf.span(), format: Format::Double });
            }
        } else if is_list {
            node.elements().filter_map(base64_cell).for_each(|(value, slot)| self.push(value, slot));
        }
        let Some(name) = name else { return };
        let added = self.values.len() - before;
        match is_list {
            true => self.names.extend((0..added).map(|index| format!("{name}[{index}]").into())),
            false => self.names.extend((added > 0).then_some(name)),
        }
    }
}

/// Reads a list of rows, a single row, or an object of columns.
pub(crate) fn features(node: Node<'_>) -> Result<Reading, WireError> {
    if node.kind() == Kind::Object && held(node).is_none() {
        return columns(node);
    }
    let is_list = node.kind() == Kind::Array;
    let nodes: Vec<Node<'_>> = if is_list { node.elements().collect() } else { vec![node] };
    let mut names: Option<Vec<Cow<'_, str>>> = None;
    let mut rows = Vec::with_capacity(nodes.len());
    for node in &nodes {
        let mut cells = Cells::default();
        if node.kind() == Kind::Object && held(*node).is_none() {
            for (name, value) in node.members() {
                cells.add(Some(name.text().unwrap_or_default()), value);
            }
            names = Some(match names {
                None => cells.names.clone(),
                Some(known) => common(known, &cells.names),
            });
        } else {
            cells.add(None, *node);
        }
        rows.push(cells);
    }
    let reading = match names {
        Some(names) => named(rows, names)?,
        None => plain(rows)?,
    };
    Ok(if is_list { reading.with_items(nodes.iter().map(|node| node.span()).collect()) } else { reading })
}

/// Reads rows whose columns are named apart from them.
pub(crate) fn features_split(columns: Option<Node<'_>>, data: Node<'_>) -> Result<Reading, WireError> {
    let reading = features(data)?;
    let names = columns.into_iter().flat_map(Node::elements);
    let names: Vec<String> =
        names.map(|name| name.text().unwrap_or_else(|| text(name)).into_owned()).collect();
    let fits = reading.rows().iter().all(|row| row.scores.len() == names.len());
    Ok(if fits { reading.with_columns(names) } else { reading })
}

/// A column that is named by a number.
fn text(name: Node<'_>) -> Cow<'_, str> {
    String::from_utf8_lossy(name.raw())
}

/// The names that both have, in the order of the first.
fn common<'t>(known: Vec<Cow<'t, str>>, others: &[Cow<'t, str>]) -> Vec<Cow<'t, str>> {
    if known == others {
        return known;
    }
    let others: std::collections::HashSet<&str> = others.iter().map(|name| &**name).collect();
    known.into_iter().filter(|name| others.contains(&**name)).collect()
}

fn named(rows: Vec<Cells<'_>>, names: Vec<Cow<'_, str>>) -> Result<Reading, WireError> {
    let mut reading = Reading::default().with_content(Content::Features);
    for cells in rows {
        if cells.names == names {
            reading.push(Row { label: None, scores: cells.values }, None, cells.slots);
            continue;
        }
        let mut by_name: std::collections::HashMap<_, _> =
            cells.names.into_iter().zip(cells.values.into_iter().zip(cells.slots)).collect();
        let found: Vec<_> = names.iter().filter_map(|name| by_name.remove(name)).collect();
        let (scores, slots): (Vec<_>, Vec<_>) = found.into_iter().unzip();
        if scores.len() != names.len() {
            return Err(WireError::Unsupported("rows that are objects beside rows that are not"));
        }
        reading.push(Row { label: None, scores }, None, slots);
    }
    let is_empty = reading.rows().is_empty() || names.is_empty();
    if is_empty {
        Err(WireError::NoPrediction)
    } else {
        Ok(reading.with_columns(names.into_iter().map(Cow::into_owned).collect()))
    }
}

fn plain(rows: Vec<Cells<'_>>) -> Result<Reading, WireError> {
    let mut reading = Reading::default().with_content(Content::Features);
    if rows.iter().all(|cells| cells.values.is_empty()) {
        return Err(WireError::NoPrediction);
    }
    for cells in rows {
        reading.push(Row { label: None, scores: cells.values }, None, cells.slots);
    }
    Ok(reading)
}

/// An object of columns, or one row whose cells are named.
fn columns(node: Node<'_>) -> Result<Reading, WireError> {
    let lists = node.members().filter(|(_, value)| value.kind() == Kind::Array);
    let count = lists.map(|(_, value)| value.elements().count()).max().unwrap_or(0);
    let mut rows: Vec<Cells<'_>> = Vec::new();
    rows.resize_with(count.max(1), Cells::default);
    for (name, value) in node.members() {
        let name = name.text().unwrap_or_default();
        if count == 0 {
            rows[0].add(Some(name), value);
        } else if value.kind() == Kind::Array && value.elements().count() == count {
            rows.iter_mut()
                .zip(value.elements())
                .for_each(|(cells, value)| cells.add(Some(name.clone()), value));
        }
    }
    let mut names = rows.first().map(|cells| cells.names.clone()).unwrap_or_default();
    for cells in &rows {
        names = common(names, &cells.names);
    }
    named(rows, names)
}

#[cfg(test)]
mod tests;
