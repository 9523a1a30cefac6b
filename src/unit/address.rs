//! Addresses compared.

use std::net::SocketAddr;

/// Would what is sent to one of two addresses reach the other? Port 0 is any free port.
pub(crate) fn meet(one: SocketAddr, other: SocketAddr) -> bool {
    let anywhere = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && one.port() != 0 && (anywhere || one.ip() == other.ip())
}

/// The same of addresses as they are written, with or without a scheme; names other than `localhost` as they are.
pub(crate) fn meet_as_written(one: &str, other: &str) -> bool {
    let written = |text: &str| text.trim_end_matches('/').to_ascii_lowercase();
    match (socket(one), socket(other)) {
        (Some(one), Some(other)) => meet(one, other),
        _ => written(one) == written(other),
    }
}

fn socket(text: &str) -> Option<SocketAddr> {
    let (port, rest) = match text.split_once("://") {
        Some(("https", rest)) => (443, rest),
        Some((_, rest)) => (80, rest),
        None => (0, text),
    };
    let authority = rest.split('/').next().unwrap_or_default();
    let authority = match authority.strip_prefix("localhost") {
        Some(port) if port.is_empty() || port.starts_with(':') => format!("127.0.0.1{port}"),
        _ => authority.to_owned(),
    };
    authority.parse().ok().or_else(|| format!("{authority}:{port}").parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_meet_however_they_are_written() {
        for (one, other) in [
            ("http://localhost:9900", "http://127.0.0.1:9900/"),
            ("0.0.0.0:9000", "127.0.0.1:9000"),
            ("http://127.0.0.1", "127.0.0.1:80"),
            ("http://EU:1/", "http://eu:1"),
        ] {
            assert!(meet_as_written(one, other) && meet_as_written(other, one), "{one} {other}");
        }
        for (one, other) in [
            ("http://localhost:9900", "http://127.0.0.1:9901"),
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("10.0.0.1:80", "10.0.0.2:80"),
            ("http://localhost.example:9900", "127.0.0.1:9900"),
        ] {
            assert!(!meet_as_written(one, other) && !meet_as_written(other, one), "{one} {other}");
        }
    }
}
