//! A payload as CloudEvents, in the form of KServe's inference logger.
//!
//! Two JSON lines for each exchange, CloudEvents 1.0 in structured mode: the types
//! `org.kubeflow.serving.inference.request` and `….response` under one `id`, with `inferenceservicename`, `component`
//! and `endpoint` as KServe's logger has them. Where KServe puts the bodies, `data` has what was extracted from them,
//! unless bodies are asked for. Attributes of canard's own: `canardarm` (`treated`, `control`), `canardweight` (how
//! many exchanges this one stands for) and on responses `canardstatus`. What a shadow was answered has `canardshadow`
//! and another `source`, which makes it another event; its `id` is that of its caller's exchange if the request has one
//! of its own (`x-request-id`, `traceparent`), else another number.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value as Json, json};

use crate::{
    layer::view::Payload,
    wire::{Answer, Labels, Value},
};

/// One event. Attributes in the order of the specification.
#[derive(Debug, Serialize)]
pub(super) struct Event<'a> {
    specversion: &'static str,
    id: &'a str,
    source: &'a str,
    r#type: &'static str,
    time: String,
    datacontenttype: &'static str,
    inferenceservicename: &'a str,
    component: &'static str,
    endpoint: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    canardarm: Option<&'static str>,
    canardweight: f64,
    #[serde(skip_serializing_if = "is_false")]
    canardshadow: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    canardstatus: Option<u16>,
    data: Json,
}

const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// What is written, and how much of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Form {
    /// Columns of features that are left out, by name or number.
    pub(super) redact: Vec<String>,
    /// The bodies too.
    pub(super) raw: bool,
}

/// The request and the response of an exchange.
pub(super) fn of<'a>(
    payload: &'a Payload<'_>,
    id: &'a str,
    source: &'a str,
    weight: f64,
    form: &Form,
) -> [Event<'a>; 2] {
    let time = Duration::try_from_secs_f64(payload.at.unix_s()).ok();
    let time = time.and_then(|since| Timestamp::UNIX_EPOCH.checked_add(since).ok()).unwrap_or_default();
    let features = payload.features().and_then(|features| features_of(&features, form));
    let mut asked = features.unwrap_or_else(|reason| json!({ "unread": reason }));
    let mut answered = predictions_of(payload.predictions, payload.labels);
    if form.raw {
        for (data, body) in [&mut asked, &mut answered].into_iter().zip(&payload.bodies()) {
            data["body"] = String::from_utf8_lossy(body).into();
        }
    }
    let event = |r#type, status, data| Event {
        specversion: "1.0",
        id,
        source,
        r#type,
        time: format!("{time:.3}"),
        datacontenttype: "application/json",
        inferenceservicename: payload.model,
        component: "predictor",
        endpoint: payload.uri.path(),
        canardarm: payload.arm.map(crate::exposure::Arm::name),
        canardweight: weight,
        canardshadow: payload.shadow,
        canardstatus: status,
        data,
    };
    [
        event("org.kubeflow.serving.inference.request", None, asked),
        event("org.kubeflow.serving.inference.response", Some(payload.status.as_u16()), answered),
    ]
}

/// `{"columns": […], "features": [[…], …]}`.
///
/// # Errors
/// If a column that must not be told can't be found by its name.
fn features_of(features: &Answer, form: &Form) -> Result<Json, &'static str> {
    let is_number = |name: &String| name.bytes().all(|byte| byte.is_ascii_digit());
    if !form.redact.iter().all(|name| is_number(name) || features.columns.contains(name)) {
        return Err("redaction");
    }
    let column = |index: usize| features.columns.get(index).cloned().unwrap_or_else(|| index.to_string());
    let width = features.rows.iter().map(|row| row.scores.len()).max().unwrap_or(0);
    let columns: Vec<String> = (0..width).map(column).collect();
    let secret = |index: usize| {
        let by = |name: &String| columns.get(index) == Some(name) || *name == index.to_string();
        form.redact.iter().any(by)
    };
    let row = |row: &crate::wire::Row| -> Vec<Json> {
        let cell = |(index, value)| if secret(index) { Json::Null } else { plain(value) };
        row.scores.iter().enumerate().map(cell).collect()
    };
    let rows: Vec<Vec<Json>> = features.rows.iter().map(row).collect();
    Ok(json!({ "columns": columns, "features": rows }))
}

/// `{"predictions": [{"label": …, "scores": […]}, …]}`.
fn predictions_of(answer: &Answer, labels: &Labels) -> Json {
    let names = answer.labels(labels);
    let row = |row: &crate::wire::Row| {
        let mut told = Map::new();
        if let Some(label) = names.of(row) {
            told.insert("label".to_owned(), label.into_owned().into());
        }
        if !row.scores.is_empty() {
            told.insert("scores".to_owned(), row.scores.iter().map(plain).collect());
        }
        Json::Object(told)
    };
    json!({ "predictions": answer.rows.iter().map(row).collect::<Vec<_>>() })
}

/// A value as JSON; what JSON has no number for is a text.
fn plain(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(truth) => (*truth).into(),
        Value::Int(number) => (*number).into(),
        Value::Float(number) if number.is_finite() => (*number).into(),
        Value::Float(number) => number.to_string().into(),
        Value::Text(text) => text.as_str().into(),
    }
}
