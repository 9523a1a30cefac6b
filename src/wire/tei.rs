//! Hugging Face's Text Embeddings Inference: `/embed`, `/embed_sparse`, `/rerank`, `/predict`, `/similarity`, and
//! OpenAI's embeddings, where its errors have OpenAI's names.

use http::{Method, StatusCode};

use super::{
    Codec, ErrorResponse, Failure, FailureKind, Head, Kind, Node, Reading, Row, WireError, cohere,
    failure::quoted,
    json_api::push,
    limits::retry_after,
    openai::{self, OpenAi},
    ranked,
    reading::{Format, Slot},
    scan, vector,
};

const ROUTES: [&str; 5] = ["/embed", "/embed_sparse", "/rerank", "/predict", "/similarity"];

#[derive(Debug)]
pub(super) struct Tei;

/// Is it one of the routes of this API?
pub(super) fn is_route(path: &str) -> bool {
    ROUTES.iter().any(|route| path.ends_with(route))
}

impl Codec for Tei {
    fn is_prediction(&self, method: &Method, path: &str) -> bool {
        method == Method::POST && (is_route(path) || path == "/" || path.ends_with("/embeddings"))
    }

    fn model<'a>(&self, _path: &'a str) -> Option<&'a str> {
        None
    }

    /// Which route answered is told by the body alone.
    fn read(&self, head: Head<'_>, body: &[u8]) -> Result<Reading, WireError> {
        let tree = scan(body)?;
        let root = tree.root();
        if root.get("data").is_some() {
            return OpenAi.read(head, body);
        }
        let first = root.elements().next().ok_or(WireError::NoPrediction)?;
        let inner = first.elements().next();
        match (first.kind(), inner.map(Node::kind)) {
            (Kind::Object, _) if first.get("index").is_some() => cohere::rank(root, "score"),
            (Kind::Object, _) => classes([root]),
            (Kind::Array, Some(Kind::Object)) if inner.is_some_and(|item| item.get("value").is_some()) => {
                sparse(root)
            }
            (Kind::Array, Some(Kind::Object)) => classes(root.elements()),
            // Numbers are no classes, whoever serves them there.
            _ if head.path.ends_with("/predict") => Err(WireError::NoPrediction),
            (Kind::Array, Some(Kind::Array)) => Err(WireError::Unsupported("a vector for each token")),
            (Kind::Array, _) => vector::read(root.elements()),
            _ => {
                let mut reading = Reading::default();
                root.elements().try_for_each(|score| push(&mut reading, None, Some(score)))?;
                Ok(reading)
            }
        }
    }

    fn features(&self, head: Head<'_>, body: &[u8]) -> Result<Reading, WireError> {
        let tree = scan(body)?;
        let find = |name: &'static str| Some((name, tree.root().get(name)?));
        let Some((name, texts)) = find("inputs").or_else(|| find("texts")) else {
            return OpenAi.features(head, body);
        };
        let rows: Vec<_> = match texts.kind() {
            Kind::Array => texts.elements().map(|text| pair(text)).collect(),
            _ => vec![vec![texts]],
        };
        let reading = openai::cells_of(rows)?;
        let one = reading.rows().iter().all(|row| row.scores.len() == 1);
        Ok(if one { reading.with_columns(vec![name.to_owned()]) } else { reading })
    }

    fn error(&self, path: &str, failure: &Failure) -> ErrorResponse {
        let (kind, status) = kind(failure);
        let (message, code) = (quoted(&failure.message), status.as_u16());
        let body = match path.ends_with("/embeddings") {
            true => format!(r#"{{"message":{message},"code":{code},"type":"{kind}"}}"#),
            false => format!(r#"{{"error":{message},"error_type":"{kind}"}}"#),
        };
        let mut response = ErrorResponse::members(status, body);
        retry_after(&mut response.headers, failure.retry_after);
        response
    }
}

/// A text, or a pair of texts that is classified together.
fn pair(text: Node<'_>) -> Vec<Node<'_>> {
    if text.kind() == Kind::Array { text.elements().collect() } else { vec![text] }
}

/// Classes with scores, for each input.
fn classes<'t>(inputs: impl IntoIterator<Item = Node<'t>>) -> Result<Reading, WireError> {
    let mut reading = Reading::default();
    for input in inputs {
        if !ranked::push(&mut reading, input)? {
            return Err(WireError::NoPrediction);
        }
    }
    Ok(reading)
}

/// The weights of the tokens that have one.
fn sparse(root: Node<'_>) -> Result<Reading, WireError> {
    let mut reading = Reading::default().with_content(super::Content::Embeddings);
    for vector in root.elements() {
        let weights: Vec<_> = vector.elements().filter_map(|item| item.get("value")).collect();
        let scores = weights.iter().map(|node| node.score()).collect::<Result<_, _>>()?;
        let slots = weights.iter().map(|node| Slot { span: node.span(), format: Format::Single });
        reading.push(Row { label: None, scores }, None, slots);
    }
    Ok(reading)
}

/// The types of TEI's errors, and the status of each.
fn kind(failure: &Failure) -> (&'static str, StatusCode) {
    match (failure.kind, failure.status) {
        (Some(FailureKind::RateLimited | FailureKind::Overloaded), _) => {
            ("overloaded", StatusCode::TOO_MANY_REQUESTS)
        }
        (Some(FailureKind::ContextLength | FailureKind::InvalidRequest), _) => {
            ("validation", StatusCode::PAYLOAD_TOO_LARGE)
        }
        (Some(FailureKind::Unavailable), _) => ("unhealthy", StatusCode::SERVICE_UNAVAILABLE),
        (Some(FailureKind::Internal | FailureKind::Timeout), _) => ("backend", StatusCode::FAILED_DEPENDENCY),
        (None, status @ StatusCode::TOO_MANY_REQUESTS) => ("overloaded", status),
        (None, status @ StatusCode::SERVICE_UNAVAILABLE) => ("unhealthy", status),
        (None, status @ StatusCode::PAYLOAD_TOO_LARGE) => ("validation", status),
        (None, status @ StatusCode::UNPROCESSABLE_ENTITY) => ("tokenizer", status),
        (None, status @ StatusCode::BAD_REQUEST) => ("empty", status),
        (_, status) => ("backend", status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Content, Value, testing};

    #[test]
    fn the_body_tells_which_route_answered() {
        for (body, content, rows, width) in [
            ("[[0.5,-1.0],[1.5,2]]", Content::Embeddings, 2, 2),
            (r#"[[{"index":7,"value":0.5},{"index":9,"value":1.25}]]"#, Content::Embeddings, 1, 2),
            (r#"[{"index":1,"score":0.9},{"index":0,"score":0.1}]"#, Content::Ranking, 2, 1),
            (r#"[{"score":0.9,"label":"joy"},{"score":0.1,"label":"fear"}]"#, Content::Predictions, 1, 1),
            (r#"[[{"score":0.9,"label":"a"}],[{"score":0.8,"label":"b"}]]"#, Content::Predictions, 2, 1),
            ("[0.25,0.5]", Content::Predictions, 2, 1),
            (r#"{"object":"list","data":[{"embedding":[0.5]}]}"#, Content::Embeddings, 1, 1),
        ] {
            let reading =
                testing::read(&Tei, body.as_bytes()).unwrap_or_else(|error| panic!("{body}: {error}"));
            let seen = (reading.content(), reading.rows().len(), reading.rows()[0].scores.len());
            assert_eq!(seen, (content, rows, width), "{body}");
        }
        for body in ["[]", "{}", "[[[0.5]]]", r#"{"error":"no"}"#] {
            assert!(testing::read(&Tei, body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn inputs_are_cells() {
        let cells = |body: &[u8]| {
            let reading = Tei.features(testing::at("/embed"), body).unwrap();
            reading.rows().iter().map(|row| row.scores.clone()).collect::<Vec<_>>()
        };
        let text = |text: &str| Value::Text(text.to_owned());
        assert_eq!(cells(br#"{"inputs":"a"}"#), [[text("a")]]);
        assert_eq!(cells(br#"{"inputs":["a","b"]}"#), [[text("a")], [text("b")]]);
        assert_eq!(cells(br#"{"inputs":[["a","b"]]}"#), [[text("a"), text("b")]]);
        assert_eq!(cells(br#"{"query":"q","texts":["a"]}"#), [[text("a")]]);
    }
}
