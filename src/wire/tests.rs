//! For every codec: an edit moves no byte but those of the edited values, and reads back as it was meant.

use proptest::prelude::*;

use super::*;

/// A value as a server wrote it.
#[derive(Debug, Clone)]
struct Cell {
    text: String,
    value: Value,
}

/// Cells of one body, row by row: a label for each row or for none, equally many scores for each.
#[derive(Debug, Clone)]
struct Table {
    labels: Vec<Cell>,
    scores: Vec<Vec<Cell>>,
}

/// How a body is written around its cells.
#[derive(Debug, Clone, Copy)]
struct Style {
    protocol: usize,
    nested: bool,
    single: bool,
    blank: &'static str,
}

const NOISE: &str = r#""meta":{"predictions":[1,2.50],"label":"\"\\é","x":[[],{}]}"#;

impl Style {
    fn protocol(self) -> Protocol {
        match self.protocol {
            0 => Protocol::OpenInference,
            1 | 2 => Protocol::KserveV1,
            3 => Protocol::Mlflow,
            _ => Protocol::Json(JsonApi {
                label: Some("$.rows[*].y".parse().unwrap()),
                scores: Some("$.rows[*]['the p']".parse().unwrap()),
            }),
        }
    }

    /// 32-bit numbers are told by a tensor's datatype alone.
    fn is_single(self) -> bool {
        self.single && self.protocol == 0
    }

    fn join(self, parts: impl IntoIterator<Item = String>) -> String {
        let b = self.blank;
        format!("[{b}{}{b}]", parts.into_iter().collect::<Vec<_>>().join(&format!("{b},{b}")))
    }

    fn scores(self, row: &[Cell]) -> String {
        match row {
            [one] => one.text.clone(),
            many => self.join(many.iter().map(|cell| cell.text.clone())),
        }
    }

    fn body(self, table: &Table) -> String {
        let rows = table.labels.len().max(table.scores.len());
        let b = self.blank;
        let object = |label: &str, scores: &str, row: usize| {
            let label = table.labels.get(row).map(|cell| format!("\"{label}\":{b}{}", cell.text));
            let scores = table.scores.get(row).map(|row| format!("\"{scores}\"{b}:{}", self.scores(row)));
            let members: Vec<_> = label.into_iter().chain(scores).chain([NOISE.to_owned()]).collect();
            format!("{{{}}}", members.join(","))
        };
        let column = || match table.scores.is_empty() {
            true => self.join(table.labels.iter().map(|cell| cell.text.clone())),
            false => self.join(table.scores.iter().map(|row| self.scores(row))),
        };
        match self.protocol {
            0 => self.tensors(table),
            // Without names there is but one column.
            1 if table.labels.is_empty() || table.scores.is_empty() => {
                format!("{b}{{{NOISE},{b}\"predictions\":{b}{}}}{b}", column())
            }
            1..=3 => {
                let rows = self.join((0..rows).map(|row| object("label", "scores", row)));
                format!("{{{NOISE},\"predictions\":{rows}}}")
            }
            _ => {
                format!("{{{NOISE},\"rows\":{}}}", self.join((0..rows).map(|row| object("y", "the p", row))))
            }
        }
    }

    fn tensors(self, table: &Table) -> String {
        let tensor = |name: &str, datatype: &str, shape: String, data: String| {
            format!(r#"{{"name":"{name}",{NOISE},"shape":{shape},"datatype":"{datatype}","data":{data}}}"#)
        };
        let mut tensors = Vec::new();
        if let Some(width) = table.scores.first().map(Vec::len) {
            let datatype = if self.single { "FP32" } else { "FP64" };
            let texts = |row: &Vec<Cell>| row.iter().map(|cell| cell.text.clone()).collect::<Vec<_>>();
            let data = match self.nested {
                true => self.join(table.scores.iter().map(|row| self.join(texts(row)))),
                false => self.join(table.scores.iter().flat_map(texts)),
            };
            tensors.push(tensor("p", datatype, format!("[{},{width}]", table.scores.len()), data));
        }
        if let Some(first) = table.labels.first() {
            let datatype = match first.value {
                Value::Text(_) => "BYTES",
                Value::Bool(_) => "BOOL",
                _ => "INT64",
            };
            let data = self.join(table.labels.iter().map(|cell| cell.text.clone()));
            tensors.push(tensor("y", datatype, format!("[{}]", table.labels.len()), data));
        }
        format!(r#"{{{NOISE},"outputs":{}}}"#, self.join(tensors))
    }
}

fn rows(table: &Table) -> Vec<Row> {
    let count = table.labels.len().max(table.scores.len());
    let label = |row: usize| table.labels.get(row).map(|cell| cell.value.clone());
    let scores =
        |row: usize| table.scores.get(row).into_iter().flatten().map(|cell| cell.value.clone()).collect();
    (0..count).map(|row| Row { label: label(row), scores: scores(row) }).collect()
}

/// The cell after an edit: as it was when the value is the same.
fn edited(old: &Cell, new: &Value, single: bool) -> Cell {
    if format!("{:?}", old.value) == format!("{new:?}") {
        return old.clone();
    }
    let text = match new {
        Value::Float(x) if x.is_nan() => "NaN".to_owned(),
        Value::Float(x) if x.is_infinite() => format!("{}Infinity", if *x < 0.0 { "-" } else { "" }),
        Value::Float(x) if single => serde_json::to_string(&(*x as f32)).unwrap(),
        other => serde_json::to_string(other).unwrap(),
    };
    let value = match new {
        Value::Float(x) if x.is_finite() => Value::Float(text.parse().unwrap()),
        other => other.clone(),
    };
    Cell { text, value }
}

fn number() -> impl Strategy<Value = Cell> {
    let finite = (-1e6..1e6, 0..3).prop_map(|(x, form)| match form {
        0 => format!("{x:.2}"),
        1 => format!("{x:e}").replace("e0", "E+0"),
        _ => format!("{x:?}"),
    });
    let text = prop_oneof![8 => finite.boxed(), 1 => "NaN|nan|Infinity|-inf".boxed(), 1 => Just("null".to_owned()).boxed()];
    text.prop_map(|text| {
        let value = if text == "null" { Value::Null } else { Value::Float(text.parse().unwrap()) };
        let exponent = text.contains(['.', 'e', 'E', 'n', 'N', 'i', 'I']);
        Cell { text: if exponent { text } else { text + ".0" }, value }
    })
}

fn label(kind: usize) -> BoxedStrategy<Cell> {
    match kind {
        0 => any::<i64>().prop_map(|n| Cell { text: n.to_string(), value: Value::Int(n) }).boxed(),
        1 => any::<bool>().prop_map(|b| Cell { text: b.to_string(), value: Value::Bool(b) }).boxed(),
        _ => ("[a-zé\"\\\\\n ]{0,6}", any::<bool>())
            .prop_map(|(text, escaped)| {
                let quoted = serde_json::to_string(&text).unwrap();
                let quoted = if escaped { quoted.replace('é', "\\u00e9") } else { quoted };
                Cell { text: quoted, value: Value::Text(text) }
            })
            .boxed(),
    }
}

/// A table, and a second one of the same shape with the values of an edit.
fn tables() -> impl Strategy<Value = (Table, Table)> {
    (1_usize..6, 0_usize..4, 0_usize..4).prop_flat_map(|(rows, kind, width)| {
        let labelled = kind < 3 || width == 0;
        let table = move || {
            let labels = prop::collection::vec(label(kind), if labelled { rows } else { 0 });
            let row = prop::collection::vec(number(), width);
            let scores = prop::collection::vec(row, if width > 0 { rows } else { 0 });
            (labels, scores).prop_map(|(labels, mut scores)| {
                // At least one fraction tells a column of scores from one of labels.
                if let Some(first) = scores.first_mut() {
                    first[0] = Cell { text: "0.250".to_owned(), value: Value::Float(0.25) };
                }
                Table { labels, scores }
            })
        };
        (table(), table())
    })
}

fn style() -> impl Strategy<Value = Style> {
    let blank = prop_oneof![Just(""), Just(" "), Just("\r\n\t")];
    (0_usize..5, any::<bool>(), any::<bool>(), blank).prop_map(|(protocol, nested, single, blank)| Style {
        protocol,
        nested,
        single,
        blank,
    })
}

fn shown(rows: &[Row]) -> String {
    format!("{rows:?}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn an_edit_is_surgical((before, wanted) in tables(), style in style(), touched in any::<u64>()) {
        let codec = style.protocol().codec(&Outputs::default());
        let body = style.body(&before);
        let reading = testing::read(codec.as_ref(), body.as_bytes()).unwrap();
        prop_assert_eq!(shown(reading.rows()), shown(&rows(&before)), "{}", body);

        let mut place = 0;
        let mut after = |old: &Cell, new: &Cell, single| {
            place += 1;
            if touched >> (place % 64) & 1 == 1 { edited(old, &new.value, single) } else { old.clone() }
        };
        let labels = before.labels.iter().zip(&wanted.labels).map(|(o, n)| after(o, n, false)).collect();
        let mut row = |(o, n): (&Vec<Cell>, &Vec<Cell>)| {
            o.iter().zip(n).map(|(o, n)| after(o, n, style.is_single())).collect()
        };
        let after = Table { labels, scores: before.scores.iter().zip(&wanted.scores).map(&mut row).collect() };

        let edited = style.body(&after);
        let out = testing::splice(&reading, body.as_bytes(), &rows(&after)).unwrap();
        let out = out.map_or(body.clone(), |out| String::from_utf8(out).unwrap());
        prop_assert_eq!(&out, &edited);
        let again = testing::read(codec.as_ref(), out.as_bytes()).unwrap();
        prop_assert_eq!(shown(again.rows()), shown(&rows(&after)));
        prop_assert_eq!(testing::splice(&reading, body.as_bytes(), reading.rows()).unwrap(), None);
    }

    #[test]
    fn a_damaged_body_never_panics((table, _) in tables(), style in style(), at in any::<prop::sample::Index>(), byte: u8) {
        let mut body = style.body(&table).into_bytes();
        let at = at.index(body.len());
        let codec = style.protocol().codec(&Outputs { label: Some("y".into()), scores: None });
        let _ = testing::read(codec.as_ref(), &body[..at]);
        body[at] = byte;
        if let Ok(reading) = testing::read(codec.as_ref(), &body) {
            prop_assert_eq!(testing::splice(&reading, &body, reading.rows()), Ok(None));
        }
    }

    #[test]
    fn hostile_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..300), style in style()) {
        let _ = style.protocol().codec(&Outputs::default()).read(testing::at("/"), &body);
        let _ = encoding::Encoding::Gzip.decode(&body, 1000);
    }
}

#[test]
fn a_class_is_named_by_its_label_or_its_highest_score() {
    let iris = Labels::new(["setosa", "versicolor", "virginica"].map(str::to_owned));
    let row = |label: Option<Value>, scores: &[f64]| Row {
        label,
        scores: scores.iter().copied().map(Value::Float).collect(),
    };
    let none = Labels::default();
    let binary = Labels::new(["deny", "approve"].map(str::to_owned));
    for (labels, row, class) in [
        (&iris, row(Some(Value::Int(2)), &[]), Some("virginica")),
        (&iris, row(Some(Value::Float(1.0)), &[]), Some("versicolor")),
        (&iris, row(Some(Value::Int(7)), &[]), Some("7")),
        (&iris, row(Some(Value::Text("rose".into())), &[]), Some("rose")),
        (&iris, row(None, &[0.2, 0.5, 0.3]), Some("versicolor")),
        (&none, row(None, &[0.2, 0.5, 0.3]), Some("1")),
        (&none, row(None, &[0.7]), Some("1")),
        (&none, row(None, &[0.7, f64::NAN]), None),
        (&none, row(None, &[17.0]), None),
        (&none, row(Some(Value::Bool(true)), &[]), Some("true")),
        (&binary, row(Some(Value::Bool(true)), &[]), Some("approve")),
        (&binary, row(None, &[0.2]), Some("deny")),
        (&iris, row(Some(Value::Null), &[]), None),
        (&iris, row(Some(Value::Float(f64::NAN)), &[]), None),
    ] {
        assert_eq!(labels.of(&row).as_deref(), class, "{row:?}");
    }
}

#[test]
fn a_protocol_is_read_as_a_scenario_writes_it() {
    let read = |yaml: &str| serde_saphyr::from_str::<Protocol>(yaml).map_err(|error| error.to_string());
    assert_eq!(read("open-inference"), Ok(Protocol::OpenInference));
    let json = read("{ json: { label: '$.rows[*].label' } }").unwrap();
    assert_eq!(serde_json::to_string(&json).unwrap(), r#"{"json":{"label":"$.rows[*].label"}}"#);
    for (yaml, message) in [
        ("{ json: {} }", "protocol `json` needs a path to `label`, to `scores`, or to both"),
        ("{ json: { label: label } }", "a path begins with `$`"),
        ("{ json: { lable: $.a } }", "lable"),
    ] {
        let error = read(yaml).unwrap_err();
        assert!(error.contains(message), "{error}");
    }
}
