//! Cohere's rerank, `/v1/rerank` and `/v2/rerank`, which vLLM, Jina and others serve too.
//!
//! Results are sorted downward by `relevance_score`, and stay so: an item that moves takes the score of its
//! new place, a score that is edited moves its item.

use http::Method;
use serde_json::json;

use super::{
    Codec, Content, ErrorResponse, Failure, Head, Node, Reading, Row, WireError,
    limits::{retry_after, unique_id},
    openai,
    reading::{Format, Slot},
    scan,
};

#[derive(Debug)]
pub(super) struct Cohere;

/// Is it one of the routes of this API?
pub(super) fn is_route(path: &str) -> bool {
    path.ends_with("/rerank")
}

impl Codec for Cohere {
    fn is_prediction(&self, method: &Method, path: &str) -> bool {
        method == Method::POST && is_route(path)
    }

    fn model<'a>(&self, _path: &'a str) -> Option<&'a str> {
        None
    }

    fn read(&self, _head: Head<'_>, body: &[u8]) -> Result<Reading, WireError> {
        let tree = scan(body)?;
        rank(tree.root().get("results").ok_or(WireError::NoPrediction)?, "relevance_score")
    }

    /// A row for each document.
    fn features(&self, _head: Head<'_>, body: &[u8]) -> Result<Reading, WireError> {
        let tree = scan(body)?;
        let documents = tree.root().get("documents").ok_or(WireError::NoPrediction)?;
        let texts = documents.elements().map(|document| vec![document.get("text").unwrap_or(document)]);
        let reading = openai::cells_of(texts)?;
        Ok(reading.with_columns(vec!["document".to_owned()]))
    }

    fn error(&self, path: &str, failure: &Failure) -> ErrorResponse {
        let body = match path.contains("/v2/") {
            true => json!({ "id": unique_id(), "message": failure.message }),
            false => json!({ "message": failure.message }),
        };
        let mut response = ErrorResponse::json(failure.status, &body);
        retry_after(&mut response.headers, failure.retry_after);
        response
    }
}

/// Reads a ranking: a list of `{index, <score>}`.
pub(super) fn rank(list: Node<'_>, score: &str) -> Result<Reading, WireError> {
    let mut reading = Reading::default().with_content(Content::Ranking);
    let mut items = Vec::new();
    for item in list.elements() {
        let missing = || WireError::Malformed(format!("a ranked item lacks `index` or `{score}`"));
        let (index, score) = item.get("index").zip(item.get(score)).ok_or_else(missing)?;
        let slot = |node: Node<'_>, format| Slot { span: node.span(), format };
        let row = Row { label: Some(index.label()?), scores: vec![score.score()?] };
        reading.push(row, Some(slot(index, Format::Whole)), [slot(score, Format::Double)]);
        items.push(item.span());
    }
    if items.is_empty() { Err(WireError::NoPrediction) } else { Ok(reading.with_items(items)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Value, testing};

    #[test]
    fn documents_are_rows_of_text() {
        let body = br#"{"query":"q","documents":["a",{"text":"b"}]}"#;
        let reading = Cohere.features(testing::at("/v2/rerank"), body).unwrap();
        let cells: Vec<_> = reading.rows().iter().map(|row| row.scores.clone()).collect();
        assert_eq!(cells, [[Value::Text("a".into())], [Value::Text("b".into())]]);
    }

    #[test]
    fn both_versions_have_their_errors() {
        let failure = Failure::new(http::StatusCode::TOO_MANY_REQUESTS, "slow down");
        assert_eq!(Cohere.error("/v1/rerank", &failure).body, r#"{"message":"slow down"}"#);
        let second = Cohere.error("/v2/rerank", &failure).body;
        let second: serde_json::Value = serde_json::from_slice(&second).unwrap();
        assert_eq!((second["message"].as_str(), second["id"].is_string()), (Some("slow down"), true));
    }
}
