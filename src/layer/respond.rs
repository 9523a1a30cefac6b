//! The response of an injected error: the one place where a fault becomes a status and a body.
//!
//! gRPC carries its status in trailers under HTTP 200, so a gRPC call is answered "trailers-only", with the
//! code that gRPC's own table gives for the HTTP status.

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use http_body::Body;

use super::ResponseBody;
use crate::wire::Codec;

/// An injected error.
pub(super) struct Refusal<'a> {
    pub(super) status: u16,
    pub(super) retry_after_s: Option<u64>,
    pub(super) message: &'a str,
}

impl Refusal<'_> {
    /// As this protocol's servers would answer.
    pub(super) fn response<R: Body>(&self, codec: &dyn Codec, is_grpc: bool) -> Response<ResponseBody<R>> {
        let mut response = match is_grpc {
            true => self.grpc(),
            false => self.http(codec),
        };
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }

    fn http<R: Body>(&self, codec: &dyn Codec) -> Response<ResponseBody<R>> {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        let error = codec.error(status, self.message);
        let mut response = Response::new(ResponseBody::whole(error.body, None));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, error.content_type);
        response
    }

    fn grpc<R: Body>(&self) -> Response<ResponseBody<R>> {
        let mut response = Response::new(ResponseBody::whole(Bytes::new(), None));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert("grpc-status", HeaderValue::from(grpc_code(self.status)));
        if let Ok(message) = HeaderValue::from_str(&percent_encoded(self.message)) {
            headers.insert("grpc-message", message);
        }
        response
    }
}

/// The gRPC code of an HTTP status (gRPC's `http-grpc-status-mapping.md`): 14 is UNAVAILABLE.
const fn grpc_code(status: u16) -> u16 {
    match status {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502 | 503 | 504 => 14,
        _ => 2,
    }
}

/// Percent-encoding as gRPC wants it for `grpc-message`: printable ASCII stays, except `%`.
fn percent_encoded(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    for byte in message.bytes() {
        match byte {
            b'%' | 0..0x20 | 0x7f.. => out.push_str(&format!("%{byte:02X}")),
            printable => out.push(printable as char),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Empty};

    use super::*;
    use crate::wire::{Outputs, Protocol};

    fn refuse(status: u16, is_grpc: bool) -> Response<ResponseBody<Empty<Bytes>>> {
        let codec = Protocol::Http.codec(&Outputs::default());
        let refusal = Refusal { status, retry_after_s: Some(7), message: "50% é" };
        refusal.response(codec.as_ref(), is_grpc)
    }

    #[tokio::test]
    async fn http_carries_status_message_and_retry_after() {
        let response = refuse(503, false);
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()[RETRY_AFTER], "7");
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "50% é".as_bytes());
    }

    #[test]
    fn grpc_is_trailers_only() {
        for (status, code) in [(503, "14"), (429, "14"), (401, "16"), (404, "12"), (500, "2"), (400, "13")] {
            let response = refuse(status, true);
            assert_eq!(response.status(), 200);
            assert_eq!(response.headers()["grpc-status"], code);
            assert_eq!(response.headers()["grpc-message"], "50%25 %C3%A9");
            assert!(response.body().is_end_stream());
        }
    }
}
