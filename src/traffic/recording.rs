//! Recorded requests: one JSON object a line.
//!
//! ```json
//! {"method":"POST","path":"/v2/models/iris/infer","headers":{"x-user-id":"u17"},"body":{"inputs":[]},"label":"virginica"}
//! ```
//!
//! The whole file is read and checked before the first request is sent, so a bad line can't end a run in
//! its middle. `body` is JSON, sent as it is written, or a string, sent as text. `unit` and `label` are not
//! sent: they say whom the request belongs to and what the right prediction is.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header::CONTENT_TYPE, uri::PathAndQuery};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Largest recording that is read: 64 MiB.
const MAX_BYTES: u64 = 64 << 20;

/// Why there is no traffic to send.
#[derive(Debug, thiserror::Error)]
pub enum TrafficError {
    /// The file can't be read.
    #[error("cannot read the recorded requests in {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is too large to hold.
    #[error("{} is larger than {} MiB, the most that a recording may have", path.display(), MAX_BYTES >> 20)]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file holds no request.
    #[error("{} holds no request; write one JSON object a line", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A line is no request.
    #[error("{}:{line}: {cause}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Its line, counted from 1.
        line: usize,
        /// What is wrong with it, and where it matters what would be right.
        cause: String,
    },
    /// The target is no address that requests can be sent to.
    #[error("`{target}` is no target for traffic: {cause}")]
    Target {
        /// As it was given.
        target: String,
        /// What is wrong with it.
        cause: &'static str,
    },
}

/// One recorded request.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Path and query, from the root.
    pub path: PathAndQuery,
    /// Headers, without those that the connection sets itself.
    pub headers: HeaderMap,
    /// Body; empty when there is none.
    pub body: Bytes,
    /// Whom the request belongs to, when the recording says so.
    pub unit: Option<String>,
    /// The right prediction, when it is known.
    pub label: Option<String>,
}

/// Requests to send again and again; never empty. Cheap to clone.
///
/// ```
/// use canard::traffic::Recording;
/// let recording = Recording::parse("inline", r#"{"method":"GET","path":"/healthz"}"#)?;
/// assert_eq!(recording.requests().len(), 1);
/// # Ok::<(), canard::traffic::TrafficError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Recording {
    requests: Arc<[Request]>,
}

impl Recording {
    /// Reads a JSONL file of at most 64 MiB.
    pub fn load(path: impl AsRef<Path>) -> Result<Recording, TrafficError> {
        let path = path.as_ref();
        let unreadable = |source| TrafficError::Read { path: path.to_owned(), source };
        let mut text = Vec::new();
        File::open(path)
            .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut text))
            .map_err(unreadable)?;
        if text.len() as u64 > MAX_BYTES {
            return Err(TrafficError::TooLarge { path: path.to_owned() });
        }
        let lines_before = |bytes: &[u8]| bytes.iter().filter(|b| **b == b'\n').count();
        let text = std::str::from_utf8(&text).map_err(|error| TrafficError::Line {
            path: path.to_owned(),
            line: lines_before(&text[..error.valid_up_to()]) + 1,
            cause: "is not UTF-8".to_owned(),
        })?;
        Recording::parse(path, text)
    }

    /// Reads the text of a recording; `name` stands in for the file in errors. Blank lines are skipped.
    pub fn parse(name: impl AsRef<Path>, text: &str) -> Result<Recording, TrafficError> {
        let path = name.as_ref();
        let lines = text.trim_start_matches('\u{feff}').lines().enumerate();
        let requests = lines
            .filter(|(_, line)| !line.trim().is_empty())
            .map(|(index, line)| {
                Request::parse(line).map_err(|cause| TrafficError::Line {
                    path: path.to_owned(),
                    line: index + 1,
                    cause,
                })
            })
            .collect::<Result<Arc<[Request]>, _>>()?;
        if requests.is_empty() {
            return Err(TrafficError::Empty { path: path.to_owned() });
        }
        Ok(Recording { requests })
    }

    /// The requests, in the order of the file.
    pub fn requests(&self) -> &[Request] {
        &self.requests
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(default)]
    method: Option<String>,
    path: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default, borrow)]
    body: Option<&'a RawValue>,
    #[serde(default)]
    unit: Option<String>,
    #[serde(default)]
    label: Option<String>,
}

impl Request {
    fn parse(line: &str) -> Result<Request, String> {
        let line: Line<'_> = serde_json::from_str(line).map_err(json_cause)?;
        let (body, is_json) = match line.body.map(RawValue::get) {
            None => (Bytes::new(), false),
            Some(raw) if raw.starts_with('"') => {
                (Bytes::from(serde_json::from_str::<String>(raw).map_err(json_cause)?), false)
            }
            Some(raw) => (Bytes::copy_from_slice(raw.as_bytes()), true),
        };
        let method = match &line.method {
            Some(method) => method_of(method)?,
            None if line.body.is_some() => Method::POST,
            None => Method::GET,
        };
        let mut headers = headers_of(&line.headers)?;
        if is_json && !headers.contains_key(CONTENT_TYPE) {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        Ok(Request { method, path: path_of(&line.path)?, headers, body, unit: line.unit, label: line.label })
    }
}

/// The message of a JSON error with the column alone: each line is its own document.
fn json_cause(error: serde_json::Error) -> String {
    let text = error.to_string();
    let message = text.split(" at line ").next().unwrap_or(&text);
    format!("{message} (column {})", error.column())
}

fn method_of(text: &str) -> Result<Method, String> {
    match Method::from_str(text) {
        Ok(Method::CONNECT) => Err("method CONNECT opens a tunnel; it can't be replayed".to_owned()),
        Ok(method) if !text.chars().any(|c| c.is_ascii_lowercase()) => Ok(method),
        _ => Err(format!("`{text}` is no method; write it like GET or POST")),
    }
}

fn path_of(text: &str) -> Result<PathAndQuery, String> {
    if !text.starts_with('/') || text.contains('#') {
        return Err(format!("path `{text}` must start with `/` and have no fragment"));
    }
    PathAndQuery::from_str(text).map_err(|error| format!("path `{text}`: {error}"))
}

/// Headers that belong to the connection or follow from the body; a recorded value would contradict it.
const NOT_REPLAYED: [&str; 9] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

fn headers_of(recorded: &BTreeMap<String, String>) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in recorded {
        let parsed = HeaderName::from_str(name).map_err(|_| format!("`{name}` is no header name"))?;
        let value = HeaderValue::from_str(value)
            .map_err(|_| format!("header `{name}` has a value with control characters"))?;
        if !NOT_REPLAYED.contains(&parsed.as_str()) {
            headers.append(parsed, value);
        }
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(text: &str) -> String {
        Recording::parse("day.jsonl", text).unwrap_err().to_string()
    }

    #[test]
    fn a_line_becomes_a_request() {
        let text = r#"
            {"method":"POST","path":"/v2/models/iris/infer?x=1","headers":{"x-user-id":"u1","Host":"old"},"body":{"a": 1.50},"unit":"u1","label":"setosa"}
            {"path":"/raw","body":"as\ntext"}
            {"path":"/healthz"}"#;
        let recording = Recording::parse("day.jsonl", text).unwrap();
        let [infer, raw, health] = recording.requests() else { panic!("three requests") };
        assert_eq!(infer.path, "/v2/models/iris/infer?x=1");
        assert_eq!(&infer.body[..], br#"{"a": 1.50}"#, "JSON is sent as it is written");
        assert_eq!(infer.headers["x-user-id"], "u1");
        assert_eq!(infer.headers[CONTENT_TYPE], "application/json");
        assert!(!infer.headers.contains_key("host"));
        assert_eq!((infer.unit.as_deref(), infer.label.as_deref()), (Some("u1"), Some("setosa")));
        assert_eq!((&raw.method, &raw.body[..]), (&Method::POST, &b"as\ntext"[..]));
        assert!(!raw.headers.contains_key(CONTENT_TYPE));
        assert_eq!((&health.method, health.body.is_empty()), (&Method::GET, true));
    }

    #[test]
    fn errors_name_file_line_and_cause() {
        let good = r#"{"path":"/a"}"#;
        for (line, part) in [
            (r#"{"path":"/a","boddy":{}}"#, "unknown field `boddy`"),
            (r#"{"method":"POST"}"#, "missing field `path`"),
            (r#"{"path":"a"}"#, "must start with `/`"),
            (r#"{"path":"/a","method":"get"}"#, "`get` is no method"),
            (r#"{"path":"/a","headers":{"a b":"c"}}"#, "`a b` is no header name"),
            (r#"{"path":"/a","headers":{"a":"b\nc"}}"#, "control characters"),
            (r#"{"path":"/a","body":{"x":}}"#, "expected value (column 26)"),
            ("[]", "(column"),
            ("<html>", "(column 1)"),
        ] {
            let message = cause(&format!("{good}\n\n{line}\n{good}"));
            assert!(message.starts_with("day.jsonl:3: ") && message.contains(part), "{line}: {message}");
        }
    }

    #[test]
    fn an_empty_or_absent_file_is_refused() {
        assert!(cause("\n \n").contains("day.jsonl holds no request"));
        let message = Recording::load("/no/such/file.jsonl").unwrap_err().to_string();
        assert!(message.contains("/no/such/file.jsonl"), "{message}");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("latin1.jsonl");
        std::fs::write(&path, b"{\"path\":\"/a\"}\n{\"path\":\"/\xe9\"}\n").unwrap();
        let message = Recording::load(&path).unwrap_err().to_string();
        assert!(message.contains("latin1.jsonl:2: is not UTF-8"), "{message}");
    }
}
