//! The one place where the sidecar's own errors become responses.
//!
//! A gRPC caller gets a gRPC status (trailers-only, HTTP 200), because its client library would otherwise
//! have to guess one; everybody else gets JSON `{"error": …}`.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header::CONTENT_TYPE};

use super::{body::ResponseBody, config::Upstream, connect::ConnectError};

/// Why a request got no answer from the upstream.
#[derive(Debug, thiserror::Error)]
pub(super) enum ForwardError {
    #[error("upstream {0}: {1}")]
    Connect(Upstream, ConnectError),
    #[error("upstream {0} broke off before it answered: {1}")]
    Exchange(Upstream, hyper::Error),
    #[error("upstream {0} switched protocols without being asked")]
    Unasked(Upstream),
    #[error("CONNECT is not served: this is a reverse proxy for one upstream")]
    Tunnel,
}

impl ForwardError {
    fn status(&self) -> StatusCode {
        match self {
            ForwardError::Connect(_, ConnectError::TimedOut(_)) => StatusCode::GATEWAY_TIMEOUT,
            ForwardError::Connect(..) | ForwardError::Exchange(..) | ForwardError::Unasked(_) => {
                StatusCode::BAD_GATEWAY
            }
            ForwardError::Tunnel => StatusCode::NOT_IMPLEMENTED,
        }
    }

    /// gRPC's code for it: UNAVAILABLE, or UNIMPLEMENTED.
    fn grpc_status(&self) -> HeaderValue {
        HeaderValue::from_static(if matches!(self, ForwardError::Tunnel) { "12" } else { "14" })
    }

    pub(super) fn response<B>(&self, grpc: bool) -> Response<ResponseBody<B>> {
        let mut message = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(deeper) = cause {
            message = format!("{message}: {deeper}");
            cause = deeper.source();
        }
        let (status, body) = if grpc {
            (StatusCode::OK, Bytes::new())
        } else {
            (self.status(), Bytes::from(serde_json::json!({ "error": message }).to_string()))
        };
        let mut response = Response::new(ResponseBody::whole(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        if grpc {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            headers.insert("grpc-status", self.grpc_status());
            let safe: String = message
                .chars()
                .map(|c| if c == ' ' || c.is_ascii_graphic() && c != '%' { c } else { '?' })
                .collect();
            if let Ok(message) = HeaderValue::from_str(&safe) {
                headers.insert("grpc-message", message);
            }
        } else {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        response
    }
}

/// Does this request speak gRPC?
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}
