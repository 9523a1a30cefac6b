//! TorchServe: `POST /predictions/M[/V]`. The model's handler decides what the body is.
//!
//! The handlers that come with it answer with a map of the likeliest classes; others are read as any JSON.

use http::Method;

use super::{
    Codec, ErrorResponse, Failure, FailureKind, Generation, Head, Kind, Moment, Outputs, Reading, WireError,
    any_json, ranked, scan,
};

#[derive(Debug)]
pub(super) struct TorchServe(Outputs);

impl TorchServe {
    pub(super) fn new(outputs: Outputs) -> TorchServe {
        TorchServe(outputs)
    }
}

/// The model of `…/predictions/M[/V]`.
pub(super) fn route(path: &str) -> Option<&str> {
    let (_, rest) = path.split_once("/predictions/")?;
    let mut parts = rest.split('/');
    let model = parts.next().filter(|model| !model.is_empty())?;
    parts.next();
    parts.next().is_none().then_some(model)
}

impl Codec for TorchServe {
    fn is_prediction(&self, method: &Method, path: &str) -> bool {
        (method == Method::POST || method == Method::PUT) && route(path).is_some()
    }

    fn model<'a>(&self, path: &'a str) -> Option<&'a str> {
        route(path)
    }

    fn read(&self, _head: Head<'_>, body: &[u8]) -> Result<Reading, WireError> {
        let tree = scan(body)?;
        let mut reading = Reading::default();
        let named = self.0 != Outputs::default();
        // One number alone is a score and no class.
        let classes = tree.root().kind() == Kind::Object && tree.root().members().count() > 1;
        if !named && classes && ranked::push(&mut reading, tree.root())? {
            return Ok(reading);
        }
        any_json::read(body, &self.0)
    }

    fn features(&self, _head: Head<'_>, body: &[u8]) -> Result<Reading, WireError> {
        any_json::features(body)
    }

    fn generation(&self, _head: Head<'_>, payload: &[u8]) -> Result<Generation, WireError> {
        any_json::generation(payload, false).or_else(|_| any_json::bare_text(payload, Moment::Whole))
    }

    /// Printed as its own JSON writer does, with two blanks.
    fn error(&self, _path: &str, failure: &Failure) -> ErrorResponse {
        let (code, kind) = (failure.status.as_u16(), exception(failure));
        let message = serde_json::Value::from(failure.message.as_str());
        let body =
            format!("{{\n  \"code\": {code},\n  \"type\": \"{kind}\",\n  \"message\": {message}\n}}\n");
        ErrorResponse::new(failure.status, "application/json", body)
    }
}

fn exception(failure: &Failure) -> &'static str {
    match (failure.kind, failure.status.as_u16()) {
        (Some(FailureKind::ModelNotFound), _) | (None, 404) => "ModelNotFoundException",
        (Some(FailureKind::InvalidRequest | FailureKind::ContextLength), _) | (None, 400) => {
            "BadRequestException"
        }
        (None, 405) => "MethodNotAllowedException",
        (Some(FailureKind::Authentication), _) | (None, 401 | 403) => "InvalidKeyException",
        (Some(FailureKind::RateLimited | FailureKind::Overloaded | FailureKind::Unavailable), _)
        | (None, 429 | 503) => "ServiceUnavailableException",
        _ => "InternalServerException",
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::wire::{Row, Value, testing};

    fn codec() -> TorchServe {
        TorchServe::new(Outputs::default())
    }

    #[test]
    fn classes_with_probabilities_are_a_row() {
        let body = b"{\n  \"tabby\": 0.40966,\n  \"tiger_cat\": 0.34670\n}";
        let reading = testing::read(&codec(), body).unwrap();
        let row = Row { label: Some(Value::Text("tabby".into())), scores: vec![Value::Float(0.40966)] };
        assert_eq!(reading.rows(), [row]);
        let score = testing::read(&codec(), br#"{"prediction": 0.5}"#).unwrap();
        assert_eq!(score.rows(), [Row { label: None, scores: vec![Value::Float(0.5)] }]);
        let bare = testing::read(&codec(), b"[1, 2]").unwrap();
        assert_eq!(bare.rows().len(), 2);
    }

    #[test]
    fn errors_name_an_exception() {
        let error = testing::error(&codec(), StatusCode::SERVICE_UNAVAILABLE, "Worker died.");
        let body = "{\n  \"code\": 503,\n  \"type\": \"ServiceUnavailableException\",\n  \"message\": \"Worker died.\"\n}\n";
        assert_eq!(error.body, body);
    }

    #[test]
    fn routes_name_their_model() {
        for (path, model) in [
            ("/predictions/densenet", Some("densenet")),
            ("/predictions/densenet/2.0", Some("densenet")),
            ("/predictions/densenet/2.0/x", None),
            ("/predictions/", None),
            ("/models/densenet", None),
        ] {
            assert_eq!(codec().model(path), model, "{path}");
        }
    }
}
