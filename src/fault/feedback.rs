//! What the faults on feedback share: which requests bring labels back, where the labels are, and what a caller
//! is told whose label was swallowed.
//!
//! Feedback goes to an endpoint of its own, which no inference protocol knows, so the fault itself says which
//! requests it means and where in their JSON the label is. The scenario's target must let them through: its
//! `when` has to match the feedback endpoint too.

use std::ops::Range;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE};
use serde::{Deserialize, Serialize};

use super::{
    Problem,
    unfit::{NO_VALUE, NOT_JSON},
};
use crate::wire::{JsonPath, Value, scan};

/// What the caller is told whose label was swallowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Receipt {
    /// The status, 200 to 299.
    #[cfg_attr(feature = "schema", schemars(range(min = 200, max = 299)))]
    pub status: u16,
    /// The JSON body.
    pub body: String,
}

impl Default for Receipt {
    fn default() -> Receipt {
        Receipt { status: 202, body: "{}".to_owned() }
    }
}

impl Receipt {
    pub(super) fn is_default(&self) -> bool {
        *self == Receipt::default()
    }

    pub(super) fn check(&self) -> Option<Problem> {
        let status = (!(200..=299).contains(&self.status)).then(|| {
            let help = "200 to 299; a label that is refused for all to see is the fault `error`";
            Problem::new("receipt.status", format!("{} is no success", self.status)).help(help)
        });
        let body = scan(self.body.as_bytes()).is_err().then(|| {
            Problem::new("receipt.body", "the body is no JSON").help("write it like '{\"ok\": true}'")
        });
        status.or(body)
    }

    /// Status, headers and body.
    pub(super) fn parts(&self) -> (StatusCode, HeaderMap, Bytes) {
        let json = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::ACCEPTED);
        (status, HeaderMap::from_iter([json]), Bytes::from(self.body.clone()))
    }
}

/// Is it the path of a feedback endpoint, or below it?
pub(super) fn is_feedback(prefix: &str, path: &str) -> bool {
    let below = |rest: &str| rest.is_empty() || rest.starts_with('/') || prefix.ends_with('/');
    path.strip_prefix(prefix).is_some_and(below)
}

/// A path that no request has.
pub(super) fn check_path(prefix: &str) -> Option<Problem> {
    let wrong = !prefix.starts_with('/') || prefix.contains(['?', '#', ' ']);
    wrong.then(|| {
        let help = "give the path of the endpoint that takes labels back, such as `/feedback`";
        Problem::new("path", format!("`{prefix}` is no path of a request")).help(help)
    })
}

/// The values that a path selects, with their places.
pub(super) fn select(body: &[u8], path: &JsonPath) -> Result<Vec<(Range<usize>, Value)>, &'static str> {
    let tree = scan(body).map_err(|_| NOT_JSON)?;
    let nodes = path.select(tree.root());
    if nodes.is_empty() {
        return Err(NO_VALUE);
    }
    nodes.into_iter().map(|node| Ok((node.span(), node.value().ok_or(NO_VALUE)?))).collect()
}

/// The body with other JSON in some places, which are in order; all other bytes stay.
pub(super) fn rewrite(body: &[u8], edits: &[(Range<usize>, String)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 16);
    let mut copied = 0;
    for (span, json) in edits {
        out.extend_from_slice(&body[copied..span.start]);
        out.extend_from_slice(json.as_bytes());
        copied = span.end;
    }
    out.extend_from_slice(&body[copied..]);
    out
}

/// A label as a scenario writes it.
pub(super) fn name(label: &Value) -> Option<String> {
    match label {
        Value::Null => None,
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Int(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Text(text) => Some(text.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_itself_and_what_is_below() {
        for (prefix, path, is) in [
            ("/feedback", "/feedback", true),
            ("/feedback", "/feedback/7", true),
            ("/feedback", "/feedbacks", false),
            ("/feedback/", "/feedback/7", true),
            ("/feedback", "/v1/feedback", false),
            ("/feedback", "", false),
        ] {
            assert_eq!(is_feedback(prefix, path), is, "{prefix} {path}");
        }
        assert!(
            check_path("feedback").is_some() && check_path("/a?b").is_some() && check_path("/a").is_none()
        );
    }

    #[test]
    fn only_the_selected_places_are_rewritten() {
        let body = br#"{ "events": [ {"y": 1.0}, {"y":"a"} ] , "z":NaN}"#;
        let places = select(body, &"$.events[*].y".parse().unwrap()).unwrap();
        let edits: Vec<_> = places.into_iter().map(|(span, _)| (span, "0".to_owned())).collect();
        assert_eq!(rewrite(body, &edits), br#"{ "events": [ {"y": 0}, {"y":0} ] , "z":NaN}"#);
        assert_eq!(select(b"{", &"$.a".parse().unwrap()), Err(NOT_JSON));
        assert_eq!(select(b"{}", &"$.a".parse().unwrap()), Err(NO_VALUE));
        assert_eq!(select(b"{\"a\":[]}", &"$.a".parse().unwrap()), Err(NO_VALUE));
    }

    #[test]
    fn a_receipt_is_a_success_in_json() {
        assert_eq!(Receipt::default().check(), None);
        let wrong = |status, body: &str| Receipt { status, body: body.to_owned() }.check().unwrap().message;
        assert_eq!(wrong(404, "{}"), "404 is no success");
        assert_eq!(wrong(200, "{"), "the body is no JSON");
    }
}
