//! One request and its answer.

use std::{error::Error, io, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use serde::{Deserialize, Serialize};

use super::recording::Request;

/// A finished exchange, as the caller of [`Generator::on_answer`](super::Generator::on_answer) gets it.
#[derive(Debug)]
pub struct Answer<'a> {
    /// Number of the request, from 0; `x-request-id` is `<seed>-<number>`.
    pub number: u64,
    /// Its index in the recording.
    pub index: usize,
    /// What was sent.
    pub request: &'a Request,
    /// When it was due, from the start of the traffic.
    pub due: Duration,
    /// From then to the last byte of the answer, or to the failure.
    pub latency: Duration,
    /// What came back.
    pub outcome: &'a Outcome,
}

/// How an exchange ended.
#[derive(Debug)]
pub enum Outcome {
    /// With a whole answer.
    Answered(Response),
    /// Without one.
    Failed(Failure),
}

/// A whole answer.
#[derive(Debug)]
pub struct Response {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// Why there is no whole answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// No connection could be made.
    Connect,
    /// This process has no file descriptor or port left for a connection (see `ulimit -n`); it says
    /// nothing about the target.
    NoSocket,
    /// The connection broke before the answer was whole.
    Broken,
    /// The deadline passed.
    Deadline,
    /// The body is larger than the limit.
    TooLarge,
}

/// What sends: a pool of keep-alive HTTP/1.1 connections.
pub(super) type Pool = Client<HttpConnector, Full<Bytes>>;

/// Sends a request and reads the answer to its end.
pub(super) async fn exchange(pool: &Pool, request: http::Request<Full<Bytes>>, max_body: usize) -> Outcome {
    let response = match pool.request(request).await {
        Ok(response) => response,
        Err(error) if error.is_connect() => return Outcome::Failed(why_not_connected(&error)),
        Err(_) => return Outcome::Failed(Failure::Broken),
    };
    let (head, body) = response.into_parts();
    match Limited::new(body, max_body).collect().await {
        Ok(body) => {
            Outcome::Answered(Response { status: head.status, headers: head.headers, body: body.to_bytes() })
        }
        Err(error) if error.is::<LengthLimitError>() => Outcome::Failed(Failure::TooLarge),
        Err(_) => Outcome::Failed(Failure::Broken),
    }
}

const ENFILE: i32 = 23;
const EMFILE: i32 = 24;

fn why_not_connected(error: &(dyn Error + 'static)) -> Failure {
    let no_socket = |error: &io::Error| {
        matches!(error.raw_os_error(), Some(ENFILE | EMFILE))
            || error.kind() == io::ErrorKind::AddrNotAvailable
    };
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref().is_some_and(no_socket) {
            return Failure::NoSocket;
        }
        cause = error.source();
    }
    Failure::Connect
}

/// The HTTP request of a recorded one. The request id replaces a recorded one.
pub(super) fn outgoing(recorded: &Request, uri: Uri, request_id: HeaderValue) -> http::Request<Full<Bytes>> {
    let mut request = http::Request::new(Full::new(recorded.body.clone()));
    *request.method_mut() = recorded.method.clone();
    *request.uri_mut() = uri;
    request.headers_mut().clone_from(&recorded.headers);
    request.headers_mut().insert(HeaderName::from_static("x-request-id"), request_id);
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lack_of_sockets_is_not_blamed_on_the_target() {
        for (os_error, failure) in
            [(EMFILE, Failure::NoSocket), (ENFILE, Failure::NoSocket), (111, Failure::Connect)]
        {
            let error = Wrapped(io::Error::from_raw_os_error(os_error));
            assert_eq!(why_not_connected(&error), failure);
        }
        assert_eq!(why_not_connected(&Wrapped(io::Error::other("no such host"))), Failure::Connect);
    }

    #[derive(Debug, thiserror::Error)]
    #[error("connect")]
    struct Wrapped(#[source] io::Error);
}
