//! `protocol: auto`: each route is read as the protocol that its path, its content type and its bodies tell.
//!
//! Most paths belong to one protocol. Some are shared (`/invocations` by MLflow and SageMaker, `…:predict` by KServe and
//! TensorFlow Serving, `/predict`, `/rerank`): there the candidates are tried in turn, and the first that reads a
//! body is remembered for all paths of that kind. One target may speak several protocols, each on its own routes.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use http::Method;

use super::{
    Codec, ErrorResponse, Failure, Framing, Generation, Head, Outputs, Protocol, Reading, WireError,
    anthropic, cohere, ollama, openai, tei, tgi, torchserve, triton_generate,
};

/// Nothing was read yet.
const UNSETTLED: usize = usize::MAX;

#[derive(Debug)]
pub(super) struct Auto {
    kinds: Vec<Kind>,
}

/// Routes of one kind, and who may serve them.
#[derive(Debug)]
struct Kind {
    fits: fn(&str) -> bool,
    candidates: Vec<Arc<dyn Codec>>,
    /// Which of them read a body first.
    settled: AtomicUsize,
}

impl Auto {
    pub(super) fn new(outputs: &Outputs) -> Auto {
        let kind = |fits, protocols: &[Protocol]| Kind {
            fits,
            candidates: protocols.iter().map(|protocol| protocol.codec(outputs)).collect(),
            settled: AtomicUsize::new(UNSETTLED),
        };
        // The first kind that fits counts.
        let kinds = vec![
            kind(|path| triton_generate::route(path).is_some(), &[Protocol::TritonGenerate]),
            kind(
                |path| path.contains("/v2/models/") || path.contains("/inference.GRPC"),
                &[Protocol::OpenInference],
            ),
            kind(|path| path.contains("/tensorflow.serving."), &[Protocol::TfServing]),
            kind(|path| path.contains("/v1/models/"), &[Protocol::KserveV1, Protocol::TfServing]),
            kind(openai::is_route, &[Protocol::OpenAi]),
            kind(anthropic::is_route, &[Protocol::Anthropic]),
            kind(ollama::is_route, &[Protocol::Ollama]),
            kind(|path| torchserve::route(path).is_some(), &[Protocol::TorchServe]),
            kind(|path| path.ends_with("/invocations"), &[Protocol::Mlflow, Protocol::SageMaker]),
            kind(cohere::is_route, &[Protocol::Cohere, Protocol::Tei]),
            kind(|path| path.ends_with("/predict"), &[Protocol::Tei, Protocol::LitServe]),
            kind(tei::is_route, &[Protocol::Tei, Protocol::BentoMl]),
            kind(|path| path == "/", &[Protocol::Tgi, Protocol::Tei, Protocol::RayServe]),
            kind(tgi::is_route, &[Protocol::Tgi, Protocol::BentoMl]),
            kind(is_free, &[Protocol::BentoMl]),
        ];
        Auto { kinds }
    }

    fn kind(&self, path: &str) -> Option<&Kind> {
        self.kinds.iter().find(|kind| (kind.fits)(path))
    }

    /// Who serves a route, as far as is known.
    fn likely(&self, path: &str) -> Option<&dyn Codec> {
        let kind = self.kind(path)?;
        kind.candidates
            .get(kind.settled.load(Ordering::Relaxed))
            .or(kind.candidates.first())
            .map(AsRef::as_ref)
    }

    /// Reads by the protocol that is settled, or by the first that can.
    fn try_each<T>(
        &self,
        path: &str,
        read: impl Fn(&dyn Codec) -> Result<T, WireError>,
        settles: impl Fn(&T) -> bool,
    ) -> Result<T, WireError> {
        let kind = self.kind(path).ok_or(WireError::NoPrediction)?;
        let settled = kind.settled.load(Ordering::Relaxed);
        let mut error = WireError::NoPrediction;
        if let Some(codec) = kind.candidates.get(settled) {
            match read(codec.as_ref()) {
                Ok(found) => return Ok(found),
                // Another may know better after all; what the settled one says of it counts.
                Err(wrong) => error = wrong,
            }
        }
        for (index, codec) in kind.candidates.iter().enumerate().filter(|(index, _)| *index != settled) {
            match read(codec.as_ref()) {
                Ok(found) => {
                    if settled == UNSETTLED && settles(&found) {
                        kind.settled.store(index, Ordering::Relaxed);
                    }
                    return Ok(found);
                }
                Err(wrong) if error == WireError::NoPrediction => error = wrong,
                Err(_) => {}
            }
        }
        Err(error)
    }
}

/// A path that no protocol claims may be anybody's, but not those by which servers are managed and watched.
fn is_free(path: &str) -> bool {
    const MANAGED: [&str; 11] =
        ["v1", "v2", "api", "models", "health", "healthz", "readyz", "livez", "ping", "metrics", "-"];
    !path.split('/').any(|part| MANAGED.contains(&part))
}

impl Codec for Auto {
    fn is_prediction(&self, method: &Method, path: &str) -> bool {
        self.kind(path)
            .is_some_and(|kind| kind.candidates.iter().any(|codec| codec.is_prediction(method, path)))
    }

    fn model<'a>(&self, path: &'a str) -> Option<&'a str> {
        self.likely(path)?.model(path)
    }

    fn read(&self, head: Head<'_>, body: &[u8]) -> Result<Reading, WireError> {
        self.try_each(head.path, |codec| codec.read(head, body), |_| true)
    }

    fn features(&self, head: Head<'_>, body: &[u8]) -> Result<Reading, WireError> {
        self.try_each(head.path, |codec| codec.features(head, body), |_| false)
    }

    /// A ping, or an error, is much the same everywhere.
    fn generation(&self, head: Head<'_>, payload: &[u8]) -> Result<Generation, WireError> {
        let settles = |found: &Generation| !found.parts.is_empty();
        self.try_each(head.path, |codec| codec.generation(head, payload), settles)
    }

    fn framing(&self, head: Head<'_>) -> Framing {
        self.likely(head.path).map_or_else(|| Framing::of(head.headers), |codec| codec.framing(head))
    }

    fn error(&self, path: &str, failure: &Failure) -> ErrorResponse {
        match self.likely(path) {
            Some(codec) => codec.error(path, failure),
            None => super::codec::error_field(failure),
        }
    }

    fn stream_error(&self, path: &str, framing: Framing, failure: &Failure) -> Option<Bytes> {
        self.likely(path)?.stream_error(path, framing, failure)
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE};

    use super::*;
    use crate::wire::{Content, testing::at};

    fn auto() -> Auto {
        Auto::new(&Outputs::default())
    }

    #[test]
    fn a_route_tells_its_protocol() {
        let auto = auto();
        for (path, body, content) in [
            (
                "/v2/models/m/infer",
                r#"{"outputs":[{"name":"y","datatype":"INT64","shape":[1],"data":[1]}]}"#,
                Content::Predictions,
            ),
            ("/v1/models/m:predict", r#"{"predictions":[1]}"#, Content::Predictions),
            ("/v1/embeddings", r#"{"data":[{"embedding":[0.5]}]}"#, Content::Embeddings),
            ("/api/embed", r#"{"embeddings":[[0.5]]}"#, Content::Embeddings),
            ("/rerank", r#"[{"index":0,"score":0.5}]"#, Content::Ranking),
            ("/v2/rerank", r#"{"results":[{"index":0,"relevance_score":0.5}]}"#, Content::Ranking),
            ("/predict", r#"{"label":"a","score":0.5}"#, Content::Predictions),
            ("/classify", "[1,1]", Content::Predictions),
            ("/predictions/m", r#"{"a":0.5,"b":0.25}"#, Content::Predictions),
        ] {
            assert!(auto.is_prediction(&Method::POST, path), "{path}");
            let reading =
                auto.read(at(path), body.as_bytes()).unwrap_or_else(|error| panic!("{path}: {error}"));
            assert_eq!(reading.content(), content, "{path}");
        }
        for path in
            ["/v1/models", "/v2/repository/index", "/api/pull", "/healthz", "/v1/feedback", "/metrics"]
        {
            assert!(!auto.is_prediction(&Method::POST, path), "{path}");
        }
        assert!(!auto.is_prediction(&Method::GET, "/classify"));
    }

    #[test]
    fn a_shared_route_settles_on_the_first_body_that_reads() {
        let auto = auto();
        let failure = Failure::new(StatusCode::SERVICE_UNAVAILABLE, "no");
        assert!(auto.error("/invocations", &failure).body.starts_with(b"{\"error_code\""));
        let headers: HeaderMap = [(CONTENT_TYPE, HeaderValue::from_static("text/csv"))].into_iter().collect();
        assert!(auto.read(at("/invocations"), b"<html>").is_err());
        auto.read(Head { path: "/invocations", headers: &headers }, b"0.5\n0.25\n").unwrap();
        assert_eq!(auto.error("/invocations", &failure).body, "no");
        // Whatever comes later: it is remembered.
        auto.read(at("/invocations"), br#"{"predictions":[1]}"#).unwrap();
        assert_eq!(auto.error("/a/invocations", &failure).body, "no");
        assert_eq!(auto.error("/v1/messages", &failure).headers["x-should-retry"], "true");
    }

    #[test]
    fn what_says_nothing_settles_nothing() {
        let auto = auto();
        let failure = Failure::new(StatusCode::SERVICE_UNAVAILABLE, "no");
        for nothing in ["", "\n", r#"{"error":"no"}"#] {
            auto.generation(at("/"), nothing.as_bytes()).unwrap();
        }
        auto.generation(at("/"), br#"{"output":"hello"}"#).unwrap();
        assert_eq!(auto.error("/", &failure).body, "no", "Ray Serve's");
    }
}
