//! Who may call: a bearer token where one is set, and never a web page.
//!
//! A page in the operator's browser can reach loopback. A foreign `Origin`, or a `Host` that is no name of
//! loopback (DNS rebinding), is therefore refused even where no token is needed.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{AUTHORIZATION, HOST, ORIGIN, WWW_AUTHENTICATE},
        uri::Authority,
    },
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{Admin, routes::problem};

/// Refuses calls without the token.
pub(super) async fn token(State(admin): State<Arc<Admin>>, request: Request, next: Next) -> Response {
    let Some(token) = &admin.token else { return next.run(request).await };
    let offered = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let offered = offered.and_then(|value| value.split_once(' '));
    if offered
        .is_some_and(|(scheme, given)| scheme.eq_ignore_ascii_case("bearer") && token.matches(given.trim()))
    {
        return next.run(request).await;
    }
    let mut refusal =
        problem(StatusCode::UNAUTHORIZED, "this needs `Authorization: Bearer <token>`").into_response();
    refusal.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    refusal
}

/// Refuses calls on behalf of a web page, or under a name that is not ours.
pub(super) async fn origin(State(admin): State<Arc<Admin>>, request: Request, next: Next) -> Response {
    match refuse(request.headers(), admin.loopback) {
        Some(why) => problem(StatusCode::FORBIDDEN, why).into_response(),
        None => next.run(request).await,
    }
}

fn refuse(headers: &HeaderMap, loopback: bool) -> Option<&'static str> {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    if let Some(origin) = headers.get(ORIGIN) {
        let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
        if origin.is_none() || origin != host {
            return Some("calls on behalf of another origin are refused");
        }
    }
    if loopback && host.is_some_and(|host| !is_loopback(host)) {
        return Some("the admin API listens on loopback and answers only to its names");
    }
    None
}

fn is_loopback(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(fields: &[(&'static str, &'static str)], loopback: bool) -> bool {
        let fields = fields.iter().map(|(n, v)| (n.parse().unwrap(), HeaderValue::from_static(v)));
        refuse(&fields.collect(), loopback).is_some()
    }

    #[test]
    fn web_pages_and_rebound_names_are_refused() {
        for host in ["127.0.0.1:9900", "localhost:9900", "[::1]:9900", "127.8.8.8"] {
            assert!(!refused(&[("host", host)], true), "{host}");
        }
        assert!(!refused(&[], true));
        for host in ["evil.example", "evil.example:9900", "localhost.evil.example", "10.0.0.7:9900", ""] {
            assert!(refused(&[("host", host)], true), "{host}");
        }
        assert!(!refused(&[("host", "canard.internal:9900")], false));
        assert!(refused(&[("host", "127.0.0.1:9900"), ("origin", "https://evil.example")], true));
        assert!(refused(&[("host", "canard.internal"), ("origin", "null")], false));
        assert!(!refused(&[("host", "127.0.0.1:9900"), ("origin", "http://127.0.0.1:9900")], true));
    }
}
