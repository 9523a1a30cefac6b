//! What happens to header fields between caller and upstream.
//!
//! Hop-by-hop fields end here (RFC 9110 §7.6.1): those that `Connection` names, `Connection` itself,
//! `Keep-Alive`, `Proxy-Connection`, `TE` except `trailers`, `Transfer-Encoding` and `Upgrade`. Everything
//! else passes as it came, `traceparent` and `x-request-id` among it.
//!
//! `Expect: 100-continue` ends here too: the caller is told to go on once the upstream's connection stands
//! and the body is wanted, so that an upstream that is down, or an injected error, saves the caller its
//! body.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONNECTION, COOKIE, EXPECT, TE, TRANSFER_ENCODING, UPGRADE},
};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The protocol that a request asks to switch to, if it asks for one that can pass through.
///
/// `h2c` can't: the sidecar would stand in the middle of a protocol that it no longer understands while
/// callers think it does. The request is then served as the HTTP/1.1 that it also is.
pub(super) fn upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let wanted = headers.get(UPGRADE)?;
    let named = headers.get_all(CONNECTION).iter().any(|value| lists(value, "upgrade"));
    (named && !lists(wanted, "h2c")).then(|| wanted.clone())
}

/// Does a comma-separated field hold this token?
pub(super) fn lists(value: &HeaderValue, token: &str) -> bool {
    value.to_str().is_ok_and(|text| text.split(',').any(|t| t.trim().eq_ignore_ascii_case(token)))
}

/// Removes hop-by-hop fields from a request. `TE: trailers` stays.
pub(super) fn strip_request(headers: &mut HeaderMap) {
    let trailers = headers.get_all(TE).iter().any(|value| lists(value, "trailers"));
    strip(headers);
    headers.remove(EXPECT);
    if headers.remove(TE).is_some() && trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

/// Removes hop-by-hop fields from a response.
pub(super) fn strip(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|text| text.split(',').filter_map(|token| token.trim().parse().ok()))
            .filter(|name| *name != TE)
            .collect();
        for name in named {
            headers.remove(name);
        }
        headers.remove(CONNECTION);
    }
    for name in [KEEP_ALIVE, PROXY_CONNECTION, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
}

/// Says on whose behalf the request is made: the peer is appended to `X-Forwarded-For`; `-Proto` and
/// `-Host` stay as an earlier proxy set them.
pub(super) fn forwarded(headers: &mut HeaderMap, peer: &HeaderValue, host: Option<&HeaderValue>) {
    let chain = match headers.get_all(X_FORWARDED_FOR).iter().count() {
        0 => peer.clone(),
        _ => {
            let mut chain = Vec::new();
            for earlier in headers.get_all(X_FORWARDED_FOR) {
                chain.extend_from_slice(earlier.as_bytes());
                chain.extend_from_slice(b", ");
            }
            chain.extend_from_slice(peer.as_bytes());
            HeaderValue::from_bytes(&chain).unwrap_or_else(|_| peer.clone())
        }
    };
    headers.insert(X_FORWARDED_FOR, chain);
    headers.entry(X_FORWARDED_PROTO).or_insert(HeaderValue::from_static("http"));
    if let Some(host) = host {
        headers.entry(X_FORWARDED_HOST).or_insert_with(|| host.clone());
    }
}

/// Joins the cookie crumbs of HTTP/2 into the one field that HTTP/1.1 allows (RFC 9113 §8.2.3).
pub(super) fn join_cookies(headers: &mut HeaderMap) {
    let crumbs: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if crumbs.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..]))
    {
        headers.insert(COOKIE, joined);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(fields: &[(&str, &str)]) -> HeaderMap {
        let parse =
            |(name, value): &(&str, &str)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        let mut map = HeaderMap::new();
        for (name, value) in fields.iter().map(parse) {
            map.append(name, value);
        }
        map
    }

    #[test]
    fn hop_by_hop_fields_end_here() {
        let mut headers = map(&[
            ("connection", "close, X-Private"),
            ("connection", "te"),
            ("x-private", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("te", "gzip, trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("expect", "100-continue"),
            ("traceparent", "00-1-2-01"),
            ("trailer", "x-checksum"),
        ]);
        strip_request(&mut headers);
        assert_eq!(
            headers,
            map(&[("te", "trailers"), ("traceparent", "00-1-2-01"), ("trailer", "x-checksum")])
        );
    }

    #[test]
    fn an_upgrade_passes_unless_it_is_h2c() {
        assert!(upgrade(&map(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")])).is_some());
        assert!(upgrade(&map(&[("upgrade", "websocket")])).is_none());
        assert!(upgrade(&map(&[("connection", "Upgrade, HTTP2-Settings"), ("upgrade", "h2c")])).is_none());
    }

    #[test]
    fn the_peer_is_appended_and_what_an_earlier_proxy_said_stays() {
        let (peer, host) = (HeaderValue::from_static("10.0.0.9"), HeaderValue::from_static("models"));
        let mut first = HeaderMap::new();
        forwarded(&mut first, &peer, Some(&host));
        assert_eq!(first["x-forwarded-for"], "10.0.0.9");
        assert_eq!(first["x-forwarded-proto"], "http");
        assert_eq!(first["x-forwarded-host"], "models");
        let mut second = map(&[("x-forwarded-for", "1.2.3.4"), ("x-forwarded-proto", "https")]);
        forwarded(&mut second, &peer, None);
        assert_eq!(second["x-forwarded-for"], "1.2.3.4, 10.0.0.9");
        assert_eq!(second["x-forwarded-proto"], "https");
    }

    #[test]
    fn cookie_crumbs_become_one_field() {
        let mut headers = map(&[("cookie", "a=1"), ("cookie", "b=2")]);
        join_cookies(&mut headers);
        assert_eq!(headers, map(&[("cookie", "a=1; b=2")]));
    }
}
