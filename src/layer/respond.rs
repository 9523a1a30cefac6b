//! The response of a fault in the upstream's place: where an action becomes a status and a body.
//!
//! gRPC carries its status in trailers under HTTP 200, so a gRPC call is answered "trailers-only": as the
//! protocol's codec says, else as [`grpc_error`] does.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header::RETRY_AFTER};
use http_body::Body;

use super::{
    ResponseBody,
    exchange::Exchange,
    victim::{Reserved, Rule},
};
use crate::{
    fault::Action,
    wire::{Codec, Failure, grpc_error},
};

const GRPC_STATUS: &str = "grpc-status";

/// What answers in the upstream's place, unless the fault must not act.
pub(super) fn instead<R: Body>(
    exchange: &mut Exchange,
    rule: Rule,
    action: Action,
) -> Option<Response<ResponseBody<R>>> {
    match action {
        Action::Respond { failure, .. } => failed(exchange, rule, &failure),
        Action::Answer { status, headers, body } => {
            let change = format!("answered {} in the upstream's place", status.as_u16());
            exchange.victim.act(rule, &change, 0).then(|| as_said(status, headers, body))
        }
        Action::Refuse => exchange.victim.act(rule, "connection refused", 0).then(|| {
            exchange.refuse();
            Response::new(ResponseBody::whole(Bytes::new(), None))
        }),
        _ => None,
    }
}

/// A response as a fault says it.
pub(super) fn as_said<R: Body>(
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
) -> Response<ResponseBody<R>> {
    let mut response = Response::new(ResponseBody::whole(body, None));
    (*response.status_mut(), *response.headers_mut()) = (status, headers);
    response
}

/// The response of an error, unless the fault must not act.
pub(super) fn failed<R: Body>(
    exchange: &mut Exchange,
    rule: Rule,
    failure: &Failure,
) -> Option<Response<ResponseBody<R>>> {
    let reserved = exchange.victim.reserve(rule)?;
    Some(failed_as(exchange, rule, reserved, failure))
}

/// The response of an error of a fault that may act.
pub(super) fn failed_as<R: Body>(
    exchange: &mut Exchange,
    rule: Rule,
    reserved: Reserved,
    failure: &Failure,
) -> Response<ResponseBody<R>> {
    let codec = exchange.victim.lease.plan.target.codec.as_ref();
    let response = error(codec, exchange.path(), failure, exchange.is_grpc);
    // Under gRPC's 200 the status of the failure tells more.
    let status = if exchange.is_grpc { failure.status } else { response.status() };
    exchange.victim.commit(reserved, rule, &format!("status {}", status.as_u16()), 0);
    response
}

/// An error, as this protocol's servers would answer it.
fn error<R: Body>(
    codec: &dyn Codec,
    path: &str,
    failure: &Failure,
    is_grpc: bool,
) -> Response<ResponseBody<R>> {
    let error = match codec.error(path, failure) {
        error if is_grpc && !error.headers.contains_key(GRPC_STATUS) => grpc_error(failure),
        error => error,
    };
    let mut response = Response::new(ResponseBody::whole(error.body, None));
    (*response.status_mut(), *response.headers_mut()) = (error.status, error.headers);
    retry_after(&mut response, failure);
    response
}

fn retry_after<R: Body>(response: &mut Response<ResponseBody<R>>, failure: &Failure) {
    if let Some(after) = failure.retry_after.filter(|_| !response.headers().contains_key(RETRY_AFTER)) {
        // Rounded up: who comes back earlier is refused again.
        let seconds = after.as_secs().saturating_add(u64::from(after.subsec_nanos() > 0));
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Empty};

    use super::*;
    use crate::wire::{Outputs, Protocol};

    fn refuse(status: u16, is_grpc: bool) -> Response<ResponseBody<Empty<Bytes>>> {
        let codec = Protocol::Http.codec(&Outputs::default());
        let status = http::StatusCode::from_u16(status).unwrap();
        let retry_after = Some(std::time::Duration::from_millis(6001));
        let failure = Failure { retry_after, ..Failure::new(status, "50% é") };
        error(codec.as_ref(), "/", &failure, is_grpc)
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
